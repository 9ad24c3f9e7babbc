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

use super::{Loan, Patience, Place, Queue, Tissue, Wait, WayOut};
use crate::{cell::Vessel, crowd, error::CallError};

/// How often a request looks for a way out in what is left of its wait.
const LOOKS: u64 = 8;

/// A request's place in the queue.
struct Ticket<'a> {
    waiting: oneshot::Receiver<Loan>,
    patience: Nanos,
    way_out: Option<WayOut<'a>>,
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
    fn offer<'a>(self: &Arc<Self>, patience: Patience<'a>) -> Result<Vessel, Result<Ticket<'a>, CallError>> {
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
    fn queue_up<'a>(
        self: &Arc<Self>,
        mut queue: MutexGuard<'_, Queue>,
        wait: Wait<'a>,
    ) -> Result<Ticket<'a>, CallError> {
        let now = self.host.clock.now();
        queue.skip(oneshot::Sender::is_closed);
        if queue.turns_away(now) {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, now, wait);
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
    fn wait_for_place<'a>(&self, wait: Wait<'a>) -> Result<Ticket<'a>, CallError> {
        let mut queue = self.lock();
        if queue.is_full() {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, self.host.clock.now(), wait);
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

    /// What `wait` says only ever shortens.
    fn enqueue<'a>(queue: &mut Queue, now: Nanos, wait: Wait<'a>) -> Ticket<'a> {
        let (waker, waiting) = oneshot::channel();
        let allowed = queue.enqueue(now, waker).since(now);
        let patience = wait.most.map_or(allowed, |most| most.min(allowed));
        let (way_out, is_hasty) = (wait.way_out, patience < allowed);
        Ticket { waiting, patience, way_out, is_hasty, recruits: false }
    }

    async fn wait(self: &Arc<Self>, ticket: Ticket<'_>) -> Result<Vessel, CallError> {
        let Ticket { mut waiting, patience, way_out, is_hasty, recruits } = ticket;
        if recruits {
            // After a moment in which the machine stood still everybody comes at once and everybody ends
            // at once: those who are about to end go first, before a cell is made for their slots.
            tokio::task::yield_now().await;
            self.recruit();
        }
        let heard = match way_out {
            None => within(patience, &mut waiting).await,
            Some(way_out) => within_or_out(patience, way_out, &mut waiting).await,
        };
        match heard {
            Some(Ok(loan)) => loan.take().ok_or(CallError::WaitedTooLong),
            Some(Err(_)) => Err(CallError::WaitedTooLong),
            None => {
                drop(waiting);
                let now = self.host.clock.now();
                let mut queue = self.lock();
                if is_hasty || way_out.is_some() {
                    // Somewhere in the middle, and its receiver is gone.
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

/// What one who waits is given, or that nothing will come.
type Heard<T> = Result<T, oneshot::error::RecvError>;

/// What comes in time.
async fn within<T>(time: Nanos, waiting: &mut oneshot::Receiver<T>) -> Option<Heard<T>> {
    timeout(Duration::from_nanos(time.0), waiting).await.ok()
}

/// The same, unless there is somewhere else to go before.
async fn within_or_out<T>(
    patience: Nanos,
    way_out: WayOut<'_>,
    waiting: &mut oneshot::Receiver<T>,
) -> Option<Heard<T>> {
    let mut rest = way_out.after.min(patience);
    let mut left = patience.since(rest);
    let step = Nanos(left.0 / LOOKS + 1);
    loop {
        if let Some(heard) = within(rest, waiting).await {
            return Some(heard);
        }
        if left == Nanos(0) || (way_out.is_open)() {
            return None;
        }
        rest = step.min(left);
        left = left.since(rest);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How long one waits that has `patience` ms, may leave after half of it once the way is open, which
    /// is `opens` ms from now, and is given something after `given` ms; and whether it was.
    async fn waits(patience: u64, opens: u64, given: u64) -> (u64, bool) {
        let (sender, mut waiting) = oneshot::channel();
        let begun = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(given)).await;
            let _ = sender.send(());
        });
        let is_open = || begun.elapsed() >= Duration::from_millis(opens);
        let way_out = WayOut { after: Nanos::from_millis(patience / 2), is_open: &is_open };
        let heard = within_or_out(Nanos::from_millis(patience), way_out, &mut waiting).await;
        (begun.elapsed().as_millis() as u64, heard.is_some())
    }

    #[tokio::test]
    async fn who_may_leave_keeps_its_place_until_the_way_is_open() {
        let never = 1 << 30;
        let (left, was_given) = waits(100, 0, never).await;
        assert!(left >= 50 && !was_given, "half of its wait is for this host: {left}");
        let (left, was_given) = waits(4_000, 2_600, never).await;
        assert!((2_600..4_000).contains(&left) && !was_given, "{left}");
        let (end, was_given) = waits(100, never, never).await;
        assert!(end >= 100 && !was_given, "nowhere to go, all of its wait: {end}");
        let (end, was_given) = waits(60_000, 120, 150).await;
        assert!(end >= 150 && was_given, "its place is kept: {end}");
        assert!(waits(400, never, 300).await.0 >= 300);
    }
}
