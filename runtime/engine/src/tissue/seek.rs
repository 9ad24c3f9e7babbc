//! How a request gets a cell: one that is ready, one that is made for it, or its place in the queue and a
//! wait.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering::Relaxed},
    time::Duration,
};

use cyte_organism::{
    Nanos,
    fast::{Offer, Stock},
    lineage::Birth,
};
use tokio::{sync::oneshot, time::timeout};

use super::{Loan, Patience, Place, Queue, Tissue};
use crate::{cell::Vessel, crowd, error::CallError};

/// A request's place in the queue.
struct Ticket {
    waiting: oneshot::Receiver<Loan>,
    patience: Nanos,
    /// Whether the client waits for less than the gene allows.
    is_hasty: bool,
    /// Whether it may call for cells for those who wait, itself among them.
    recruits: bool,
}

impl Tissue {
    /// A cell or a place for one, as soon as there is either.
    pub(crate) async fn find_vessel(self: &Arc<Self>, patience: Patience<'_>) -> Result<Vessel, CallError> {
        let offered = self.offer(patience);
        // After the tissue's lock was held: see `Alarm::set`.
        self.host.alarm.ring();
        match offered {
            Ok(vessel) => Ok(vessel),
            Err(waiting) => self.wait(waiting?).await,
        }
    }

    /// A cell, a place for one, or a ticket to wait for either.
    fn offer(self: &Arc<Self>, patience: Patience<'_>) -> Result<Vessel, Result<Ticket, CallError>> {
        let birth = {
            let mut queue = self.lock();
            if queue.is_full() {
                // Those whose client went away are in nobody's way.
                queue.forget(oneshot::Sender::is_closed);
            }
            match queue.offer(|| self.stock()) {
                Offer::Sent(tenant) => return Ok(tenant.into()),
                Offer::NeedsCell(birth) => birth,
                Offer::MustWait => return Err(self.queue_up(queue, patience.read())),
                Offer::Saturated => return Err(Err(CallError::Saturated)),
            }
        };
        match Place::claim(self, birth) {
            Some(place) => Ok(self.vessel(place)),
            None => Err(self.wait_for_place(patience.read())),
        }
    }

    /// What there is for the next births.
    fn stock(&self) -> Stock {
        Stock { stems: self.host.places.stems_at_hand(), coming: self.coming.load(Relaxed) }
    }

    /// To the end of the queue, unless it stands.
    fn queue_up(
        self: &Arc<Self>,
        mut queue: MutexGuard<'_, Queue>,
        patience: Option<Nanos>,
    ) -> Result<Ticket, CallError> {
        let now = self.host.clock.now();
        queue.skip(oneshot::Sender::is_closed);
        if queue.turns_away(now) {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, now, patience);
        let is_first = queue.waiting() == 1;
        drop(queue);
        if is_first {
            self.host.alarm.cry();
        }
        // Those before it may have waited for nothing but more company.
        Ok(Ticket { recruits: !is_first, ..ticket })
    }

    /// Waiting requests call for cells, as far as the law allows and there are stems.
    pub(crate) fn recruit(self: &Arc<Self>) {
        let calls = || self.lock().calls(self.stock());
        while calls() && self.host.places.take_stem() {
            if !self.welcome() {
                return self.host.places.return_stem();
            }
        }
    }

    /// Room among the cells of this gene, but none on the host.
    fn wait_for_place(&self, patience: Option<Nanos>) -> Result<Ticket, CallError> {
        let mut queue = self.lock();
        if queue.is_full() {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, self.host.clock.now(), patience);
        drop(queue);
        self.host.alarm.cry();
        self.host.places.is_wanted();
        Ok(ticket)
    }

    /// A place that is taken goes, as a new birth, to a waiting request.
    pub(super) fn pass_to(self: &Arc<Self>, (waiter, birth): (oneshot::Sender<Loan>, Birth)) {
        let place = Place::taken(self, birth);
        // A waiter that goes away just now drops the loan, and so passes it on to the next.
        drop(waiter.send(Loan::new(self.vessel(place), self)));
    }

    /// Takes over a place of the host, which is taken already, for the longest-waiting request;
    /// whether there was one.
    pub(crate) fn welcome(self: &Arc<Self>) -> bool {
        let heir = {
            let mut queue = self.lock();
            queue.skip(oneshot::Sender::is_closed);
            queue.heir(|| self.host.clock.now())
        };
        heir.map(|heir| self.pass_to(heir)).is_some()
    }

    /// Whether somebody waits here for a place of the host.
    pub(crate) fn wants_place(&self) -> bool {
        let mut queue = self.lock();
        queue.skip(oneshot::Sender::is_closed);
        queue.wants_place()
    }

    /// `patience` is how long the client says that it waits; it only ever shortens.
    fn enqueue(queue: &mut Queue, now: Nanos, patience: Option<Nanos>) -> Ticket {
        let (waker, waiting) = oneshot::channel();
        let allowed = queue.enqueue(now, waker).since(now);
        let patience = patience.map_or(allowed, |patience| patience.min(allowed));
        Ticket { waiting, patience, is_hasty: patience < allowed, recruits: false }
    }

    async fn wait(self: &Arc<Self>, ticket: Ticket) -> Result<Vessel, CallError> {
        let Ticket { waiting, patience, is_hasty, recruits } = ticket;
        if recruits {
            // After a moment in which the machine stood still everybody comes at once and everybody ends
            // at once: those who are about to end go first, before a cell is made for their slots.
            tokio::task::yield_now().await;
            self.recruit();
        }
        match timeout(Duration::from_nanos(patience.0), waiting).await {
            Ok(Ok(loan)) => loan.take().ok_or(CallError::WaitedTooLong),
            Ok(Err(_)) => Err(CallError::WaitedTooLong),
            Err(_) => {
                let now = self.host.clock.now();
                let mut queue = self.lock();
                if is_hasty {
                    // Somewhere in the middle, and its receiver is gone with the timeout.
                    queue.lapse(oneshot::Sender::is_closed);
                } else {
                    queue.expire(now).for_each(drop);
                }
                Err(CallError::WaitedTooLong)
            }
        }
    }

    /// A place becomes a vessel for one message. A shared cell starts at once, and its other slots
    /// are ready.
    fn vessel(self: &Arc<Self>, place: Place) -> Vessel {
        if !self.is_shared() {
            return Vessel::Stem(place);
        }
        let mut slots = crowd::settle(self, place, self.pre.slots());
        let Some(slot) = slots.pop() else { unreachable!("a cell has a slot") };
        for slot in slots {
            self.lend_again(slot);
        }
        Vessel::Slot(slot)
    }
}
