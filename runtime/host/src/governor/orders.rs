//! The one way to make and end cells by somebody's word: an operator's, or a cell's.
//!
//! Both come through the governor's inbox, so that they are decided one after the other with what the
//! law decides. A cell's word is bound by what binds the law: no growth while the cores are full, no
//! end below what is wanted. An operator's is not; what is missing then is expressed again. The hard
//! bounds hold for both.

use cyte_dna::GeneName;
use cyte_engine::capability::control::Refused;

use super::Governor;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One more cell of the gene, as a daughter of this one or of the eldest.
    Divide {
        /// The mother's number.
        mother: Option<u64>,
    },
    /// A cell ends.
    End {
        /// Its number.
        cell: u64,
        /// With what it holds, else when it finished that.
        at_once: bool,
    },
}

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// An operator's.
    Operator,
    /// A cell's of the same gene.
    Cell,
}

impl Governor {
    /// Does it; says the number of the cell that was made or told to end.
    pub(super) fn obey_order(&mut self, gene: &GeneName, order: Order, voice: Voice) -> Result<u64, Refused> {
        let at = self.place_of(gene).ok_or(Refused::NoCell)?;
        let population = self.populations.get(at).ok_or(Refused::NoCell)?;
        match order {
            Order::Divide { mother } => {
                if voice == Voice::Cell && self.homeostasis.is_suppressed() {
                    return Err(Refused::CoresFull);
                }
                population.divide(mother)
            }
            Order::End { cell, at_once } => {
                let least = self.homeostasis.seen().get(at).map_or(0, |seen| seen.tally.least);
                if voice == Voice::Cell && population.staying() <= least {
                    return Err(Refused::Least);
                }
                population.end_cell(cell, at_once).map(|()| cell)
            }
        }
    }
}
