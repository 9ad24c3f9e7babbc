//! Making and ending cells by somebody's word: an operator's, or a cell's of the same gene.
//!
//! The hard bounds hold whoever asks. What else speaks against it (full cores, the least that is
//! wanted) is the governor's to say, who calls this.

use std::sync::Arc;

use cyte_organism::lineage::Niche;

use super::{Place, Tissue};
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
        let places = &self.host.places;
        let has_place = places.occupy();
        if !has_place && !places.take_stem() {
            return Err(Refused::NoRoom);
        }
        let conceived = match mother {
            Some(mother) => self.lock().conceive_under(Some(&mother)),
            None => self.lock().conceive_daughter(),
        };
        let Some(birth) = conceived else {
            if has_place {
                places.vacate()
            } else {
                places.return_stem()
            }
            return Err(Refused::Most);
        };
        self.raise(Place::taken(self, birth));
        Ok(birth.id.0)
    }

    /// Ends a cell when it finished what it has, or with it (`at_once`).
    ///
    /// # Errors
    ///
    /// [`Refused::NoCell`] for one that does not live.
    pub fn retire_cell(&self, cell: u64, at_once: bool) -> Result<(), Refused> {
        let vitals = self.alive.get(&cell).map(|vitals| vitals.clone()).ok_or(Refused::NoCell)?;
        let pick = || self.lock().pick(|tenant| tenant.cell() == cell);
        match if self.is_shared() { None } else { pick() } {
            Some(tenant) => tenant.retire(),
            None => {
                self.dismiss([cell]);
                if at_once {
                    vitals.condemn(Breach::Ended);
                }
            }
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
