//! Making and ending cells by somebody's word: an operator's, or a cell's of the same gene.
//!
//! The hard bounds hold whoever asks. What else speaks against it (full cores, the least that is
//! wanted) is the governor's to say, who calls this.

use std::sync::Arc;

use cyte_organism::lineage::Niche;

use super::{Queue, Tissue};
use crate::{capability::control::Refused, error::Breach};

impl Tissue {
    /// Makes one more cell, as a daughter of cell `mother` or, without one, of the eldest. Says its
    /// number.
    ///
    /// # Errors
    ///
    /// [`Refused::NoCell`] for a mother that does not live, [`Refused::NoRoom`] and [`Refused::Most`]
    /// at the bounds.
    pub fn divide(self: &Arc<Self>, mother: Option<u64>) -> Result<u64, Refused> {
        let mother = match mother {
            Some(cell) => Some(self.alive.get(&cell).map(|vitals| vitals.birth).ok_or(Refused::NoCell)?),
            None => None,
        };
        let conceive = |queue: &mut Queue| match mother {
            Some(mother) => queue.conceive_under(Some(&mother)),
            None => queue.conceive_daughter(),
        };
        let born = match self.bear(false, conceive) {
            // No place is left, but perhaps a stem.
            Err(Refused::NoRoom) => self.bear(true, conceive),
            born => born,
        };
        born.map(|birth| birth.id.0)
    }

    /// Ends a cell when it finished what it has, or with it (`at_once`).
    ///
    /// # Errors
    ///
    /// [`Refused::NoCell`] for one that does not live.
    pub fn retire_cell(&self, cell: u64, at_once: bool) -> Result<(), Refused> {
        let vitals = self.alive.get(&cell).map(|vitals| vitals.clone()).ok_or(Refused::NoCell)?;
        let rested = self.let_go(cell);
        if at_once && !rested {
            vitals.condemn(Breach::Ended);
        }
        Ok(())
    }

    /// What guests released since the last look, appended to `into` with their niches.
    pub fn take_released(&self, into: &mut Vec<(Niche, f64)>) {
        if !self.gene().grants.allows(cyte_dna::Deed::Release) {
            return;
        }
        let released = self.alive.iter().filter_map(|entry| {
            let vitals = entry.value();
            Some((vitals.birth.niche, vitals.take_released()?))
        });
        into.extend(released);
    }
}
