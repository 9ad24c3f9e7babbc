//! What the law decides, and what it knew when it did.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ClassId;
use crate::lineage::Niche;

/// What becomes of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A stem becomes a cell of the class, as a daughter of `mother`.
    Differentiate {
        /// Who called it; `None` where the class has no cell.
        mother: Option<Niche>,
    },
    /// A cell divides: a daughter is made from nothing.
    Divide {
        /// Which.
        mother: Niche,
    },
    /// A first cell is made from nothing, without stem and without mother.
    Found,
    /// A cell takes nothing new, finishes, and ends.
    Die {
        /// Which.
        niche: Niche,
    },
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its class was below its least number.
    Floor,
    /// Growth hormone.
    Growth,
    /// Others retired by use, age or memory.
    Renewal,
    /// Anti-hormone: a surplus that lasted.
    Surplus,
    /// Another class is owed the place.
    Pressure,
    /// A bound was lowered below what lives.
    Bound,
    /// The cores are full: it only waited for them beside others of its class.
    Cores,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Floor => "floor",
            Self::Growth => "growth",
            Self::Renewal => "renewal",
            Self::Surplus => "surplus",
            Self::Pressure => "pressure",
            Self::Bound => "bound",
            Self::Cores => "cores",
        })
    }
}

/// The numbers behind a decision, for people who ask why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The average deficit that this cell felt, and the slow one.
    pub felt_fast: f64,
    /// See `felt_fast`.
    pub felt_slow: f64,
    /// What the reports weighed that it heard.
    pub weight: f64,
    /// What it reported itself.
    pub own: f64,
    /// `n`: cells ready and pending.
    pub living: u32,
    /// `N*`: cells that the demand wants.
    pub wanted: f64,
    /// `G`: cells that all growth hormone of the class asked for.
    pub growth: f64,
    /// Deaths that the surplus had added up to.
    pub dying: f64,
    /// Requests that waited.
    pub queued: u32,
    /// Whether full cores suppressed growth.
    pub is_suppressed: bool,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { felt_fast, felt_slow, living, wanted, queued, .. } = self;
        write!(f, "{living} cells, {wanted:.1} wanted, felt {felt_fast:+.2} now and {felt_slow:+.2} lately")?;
        if *queued > 0 {
            write!(f, ", {queued} waiting")?;
        }
        if self.is_suppressed { write!(f, ", the cores are full") } else { Ok(()) }
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    /// About one cell.
    Cell {
        /// Of which class.
        class: ClassId,
        /// What.
        act: Act,
        /// Why.
        cause: Cause,
        /// What was known.
        trace: Trace,
    },
    /// Make so many stems.
    Refill(u32),
    /// Give so many stems back.
    Dissolve(u32),
}
