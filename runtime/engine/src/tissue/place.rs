//! A place of a tissue: what a cell holds from its conception to its end, however it ends.

use std::sync::Arc;

use cyte_organism::{fast::End, lineage::Birth};
use tokio::sync::oneshot;

use super::Tissue;
use crate::vitals::Vitals;

/// A place of a tissue that a cell holds from its conception to its end. Dropping it gives it up.
pub(crate) struct Place {
    tissue: Arc<Tissue>,
    vitals: Arc<Vitals>,
    end: End,
}

impl Place {
    /// The place for a birth, if the host has room for one more cell.
    pub(super) fn take(tissue: &Arc<Tissue>, birth: Birth) -> Option<Self> {
        let is_taken = tissue.host.places.seat(birth.generation > 0);
        Self::or_none(tissue, birth, is_taken)
    }

    /// The same for a request, for which a cell of another gene that rests gives way.
    pub(super) fn claim(tissue: &Arc<Tissue>, birth: Birth) -> Option<Self> {
        let places = &tissue.host.places;
        let is_taken = places.seat(birth.generation > 0) || places.make_room(tissue);
        Self::or_none(tissue, birth, is_taken)
    }

    fn or_none(tissue: &Arc<Tissue>, birth: Birth, is_taken: bool) -> Option<Self> {
        if is_taken {
            return Some(Self::taken(tissue, birth));
        }
        tissue.host.counters.no_place.add();
        tissue.lock().miscarry(birth);
        None
    }

    /// A place that was taken for this birth.
    pub(super) fn taken(tissue: &Arc<Tissue>, birth: Birth) -> Self {
        let vitals = Arc::new(Vitals::new(tissue.host.clock, birth));
        tissue.alive.insert(birth.id.0, vitals.clone());
        tissue.has_daughter(&birth);
        Self { tissue: tissue.clone(), vitals, end: End::Died }
    }

    /// Whose place it is.
    pub(crate) fn tissue(&self) -> &Arc<Tissue> {
        &self.tissue
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// The cell takes messages from now on.
    pub(crate) fn is_settled(&self) {
        let now = self.tissue.host.clock.now();
        self.vitals.settle(now);
        let took = now.since(self.vitals.born);
        self.tissue.work.activate(took);
        self.tissue.wakes.record(took);
    }

    /// The cell ends by use, age or memory; unless this or the next is said it counts as a death.
    pub(crate) fn has_worn(&mut self) {
        self.end = if self.tissue.is_one_use() { End::Succeeded } else { End::Worn };
    }

    /// The cell ends because it is one too many. It was counted as leaving already.
    pub(crate) fn is_surplus(&mut self) {
        self.end = End::Surplus;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (tissue, places) = (&self.tissue, &self.tissue.host.places);
        tissue.alive.remove(&self.vitals.birth.id.0);
        let was_leaving = tissue.has_left(self.vitals.birth.id.0) || self.end == End::Surplus;
        // One that was dismissed is not missed, however it ended.
        let end = if was_leaving && self.end != End::Died { End::Surplus } else { self.end };
        let heir = {
            let mut queue = tissue.lock();
            queue.skip(oneshot::Sender::is_closed);
            queue.leave(self.vitals.birth, end, was_leaving);
            // Otherwise the place goes round among all who wait for one; so does that of a cell that was
            // one too many here.
            let stays = !was_leaving && !places.is_short();
            let heir = if stays { queue.heir(|| tissue.host.clock.now()) } else { None };
            if heir.is_some() && end == End::Worn {
                queue.is_replaced();
            }
            heir
        };
        match heir {
            Some(heir) => tissue.pass_to(heir),
            None => {
                places.vacate();
                if was_leaving { places.is_wanted() } else { places.pass_on() }
            }
        }
    }
}
