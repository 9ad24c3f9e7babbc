//! A number of the gene's own that counts as the load of its class.

use std::fmt;

use crate::sys;

/// Why a number was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no number from 0 to 1e12.
    Value,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Value => "it is no number from 0 to 1e12",
        })
    }
}

impl std::error::Error for Refusal {}

/// Reports how much there is now for the whole gene, for example in a queue that it works off: whichever
/// cell of it reported last is believed.
///
/// A report that is not renewed ages away in five seconds, and it goes with its cell. Needs
/// `signal = { name = "queue-depth", per-cell = 10 }` in `dna.toml`, which says how much of it is the
/// load of one cell; a component that calls this imports `cyte:cell/load`, and therefore runs under
/// cyte only.
///
/// # Errors
///
/// [`Refusal::Value`] for what is no number from 0 to 1e12.
pub fn report(amount: f64) -> Result<(), Refusal> {
    sys::report(amount)
}
