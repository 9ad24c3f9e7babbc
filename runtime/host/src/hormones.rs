//! Hormones by the names that people use for them.

use std::fmt;
use std::str::FromStr;

use cyte_dna::GeneName;

/// A hormone that an operator may release: which way, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hormone {
    /// Growth, else its counterpart.
    pub is_growth: bool,
    /// To the cells of this gene; to all where there is none.
    pub gene: Option<GeneName>,
}

impl Hormone {
    /// The strength as the law takes it: negative for what holds growth back.
    pub fn signed(&self, strength: f64) -> f64 {
        if self.is_growth { strength } else { -strength }
    }
}

impl fmt::Display for Hormone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_growth { "growth" } else { "anti-growth" })?;
        match &self.gene {
            Some(gene) => write!(f, ".{gene}"),
            None => Ok(()),
        }
    }
}

/// No hormone is called so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no hormone `{0}`: growth, anti-growth, growth.GENE, anti-growth.GENE")]
pub struct UnknownHormone(String);

impl FromStr for Hormone {
    type Err = UnknownHormone;

    fn from_str(text: &str) -> Result<Self, UnknownHormone> {
        let unknown = || UnknownHormone(text.chars().take(80).collect());
        let (kind, gene) = text.split_once('.').map_or((text, None), |(kind, gene)| (kind, Some(gene)));
        let is_growth = match kind {
            "growth" => true,
            "anti-growth" => false,
            _ => return Err(unknown()),
        };
        let gene = gene.map(str::parse).transpose().map_err(|_| unknown())?;
        Ok(Self { is_growth, gene })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hormones_are_read_as_they_are_written() {
        for text in ["growth", "anti-growth", "growth.front", "anti-growth.a-1"] {
            assert_eq!(text.parse::<Hormone>().unwrap().to_string(), text);
        }
        for text in ["", "grow", "growth.", "growth.A", ".front", "growth.front.x"] {
            assert!(text.parse::<Hormone>().is_err(), "{text}");
        }
        assert_eq!("anti-growth".parse::<Hormone>().unwrap().signed(0.5), -0.5);
    }
}
