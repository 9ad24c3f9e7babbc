//! How a cell comes back from a message: to the next request, to rest, or to its end.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use cyte_organism::fast::GivenBack;

use super::{Tenant, Tissue};
use crate::{
    cell::{Cell, Vessel},
    crowd::Slot,
    lifecycle::Peace,
};

/// A vessel on its way to a request that waits for it. If the request goes away in the same
/// moment, the vessel goes to the next one.
pub(super) struct Loan {
    vessel: Option<Vessel>,
    tissue: Arc<Tissue>,
}

impl Loan {
    pub(super) fn new(vessel: Vessel, tissue: &Arc<Tissue>) -> Self {
        Self { vessel: Some(vessel), tissue: tissue.clone() }
    }

    pub(super) fn take(mut self) -> Option<Vessel> {
        self.vessel.take()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        match self.vessel.take() {
            Some(Vessel::Ready(cell)) => self.tissue.lend(Tenant::Cell(cell)),
            Some(Vessel::Slot(slot)) => self.tissue.lend_again(slot),
            // Dropping a place passes it on.
            Some(Vessel::Stem(_)) | None => {}
        }
    }
}

impl Tissue {
    /// A cell finished its message, or was made ahead of need: next use, or the end of its life.
    pub(crate) fn give_back(self: &Arc<Self>, cell: Box<Cell>) {
        if cell.uses_left == 0 {
            return cell.retire(Peace::Worn);
        }
        if self.takes_nothing(cell.vitals.birth.id.0) {
            return cell.retire(Peace::Surplus);
        }
        if self.is_senescent(&cell.vitals) {
            self.has_grown_old();
            return cell.retire(Peace::Memory);
        }
        self.lend(Tenant::Cell(cell));
    }

    /// To the longest-waiting request that is still there, else onto the stack.
    pub(super) fn lend(self: &Arc<Self>, tenant: Tenant) {
        let mut next = Some(tenant);
        while let Some(tenant) = next.take() {
            let given = self.lock().give_back(tenant, || self.host.clock.now());
            let (waiter, tenant) = match given {
                GivenBack::Passed(waiter, tenant) => (waiter, tenant),
                GivenBack::Kept => return self.host.places.relieve(self),
                GivenBack::Surplus(tenant) => return tenant.retire(),
            };
            let refused = waiter.send(Loan::new(tenant.into(), self)).err();
            next = match refused.and_then(Loan::take) {
                Some(Vessel::Ready(cell)) => Some(Tenant::Cell(cell)),
                Some(Vessel::Slot(slot)) => Some(Tenant::Slot(slot)),
                Some(Vessel::Stem(_)) | None => None,
            };
        }
    }

    /// A slot of a shared cell is free.
    pub(crate) fn lend_again(self: &Arc<Self>, slot: Slot) {
        let cell = slot.cell();
        if slot.is_closed() || self.takes_nothing(cell) {
            return;
        }
        self.lend(Tenant::Slot(slot));
        // It may have been dismissed in between.
        if self.takes_nothing(cell) {
            self.evict(cell);
        }
    }

    /// A shared cell takes nothing new: its slots are not lent again.
    pub(crate) fn evict(&self, cell: u64) {
        let evicted = self.lock().evict(|tenant| matches!(tenant, Tenant::Slot(slot) if slot.cell() == cell));
        // Outside the lock: the last slot of a cell ends it.
        drop(evicted);
    }

    /// Takes up to `most` cells that rest and are `fit` out of those that are ready, never more than a
    /// quarter of them but one; whether others are left that lag. Each is to be given back.
    #[expect(clippy::vec_box, reason = "cells lie in boxes wherever they rest; unpacking would copy them")]
    pub(crate) fn borrow_resting(
        &self,
        most: usize,
        fit: impl Fn(&Cell) -> bool,
        lags: impl Fn(&Cell) -> bool,
    ) -> (Vec<Box<Cell>>, bool) {
        let mut queue = self.lock();
        let most = most.min((queue.ready().len() / 4).max(1));
        let is_fit = |tenant: &Tenant| matches!(tenant, Tenant::Cell(cell) if fit(cell));
        let borrowed = queue.borrow(most, is_fit);
        let others = queue.ready().iter().any(|tenant| matches!(tenant, Tenant::Cell(cell) if lags(cell)));
        drop(queue);
        let cells = borrowed.into_iter().filter_map(|tenant| match tenant {
            Tenant::Cell(cell) => Some(cell),
            Tenant::Slot(_) => None,
        });
        (cells.collect(), others)
    }

    /// A borrowed cell rests again, as cold as it was, unless somebody waits or it was dismissed.
    pub(crate) fn rest_again(self: &Arc<Self>, cell: Box<Cell>) {
        if self.takes_nothing(cell.vitals.birth.id.0) {
            return cell.retire(Peace::Surplus);
        }
        let unwanted = self.lock().put_back(Tenant::Cell(cell));
        if let Some(tenant) = unwanted {
            self.lend(tenant);
        }
    }

    /// Whether a cell was dismissed.
    pub(super) fn takes_nothing(&self, cell: u64) -> bool {
        self.is_leaving.load(SeqCst) && self.leaving.contains(&cell)
    }

    /// A cell is gone; says whether it was dismissed before.
    pub(super) fn has_left(&self, cell: u64) -> bool {
        if !self.is_leaving.load(SeqCst) {
            return false;
        }
        let was_leaving = self.leaving.remove(&cell).is_some();
        // Cleared before it is looked at again: who dismisses inserts before setting.
        self.is_leaving.store(false, SeqCst);
        if !self.leaving.is_empty() {
            self.is_leaving.store(true, SeqCst);
        }
        was_leaving
    }
}
