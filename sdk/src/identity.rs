//! Which cell this is.

use std::fmt;

use crate::sys;

/// One cell, as its host knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The cell's number: unique on its host for as long as the host process runs.
    pub id: u64,
    /// The cell that this one descends from; none for one that the host made from nothing.
    pub mother: Option<u64>,
    /// Generations between this cell and the first in its place; 0 for a first one.
    pub generation: u64,
    /// The gene's name.
    pub gene: String,
    /// The gene's version, a label for people.
    pub gene_version: String,
    /// The organism's name.
    pub organism: String,
}

impl Identity {
    pub(crate) fn new(
        (id, mother, generation): (u64, Option<u64>, u64),
        (gene, gene_version, organism): (String, String, String),
    ) -> Self {
        Self { id, mother, generation, gene, gene_version, organism }
    }
}

impl fmt::Display for Identity {
    /// As the command line shows a cell: `front#7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.gene, self.id)
    }
}

/// Says which cell this is.
///
/// A component that calls this imports `cyte:cell/identity`, and therefore runs under cyte only.
#[must_use]
pub fn me() -> Identity {
    sys::me()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_test_has_an_identity_too() {
        assert_eq!(super::me().to_string(), "test#1");
    }
}
