//! The decisions a request needs: plain structs and functions of the time that is handed in.
//!
//! A *tissue* is all cells of one gene on a host. [`Tissue`] holds its ready cells (hottest first),
//! the first-come-first-served queue of waiting requests and the bounds; it is called under the
//! tissue's lock and never across an await. Every operation is O(1) except [`Tissue::expire`],
//! which is O(number of expired waiters).
//!
//! A request that finds no ready cell may make one on its own path: the first of its gene always, a
//! successor in a vacant niche always, any other as the law last published ([`Demand`]). What it may
//! not, it waits for: the law hears of the queue.
//!
//! A queue that stands is of no use: who joins it only waits longer for the same answer. So a tissue
//! watches how long those waited who leave its queue, and once even the luckiest of
//! [`Bounds::stands_after`] waited longer than [`Bounds::target`], newcomers are refused at once
//! ([`Tissue::turns_away`]) until somebody was served in time. The minimum and not the mean, as in
//! CoDel: a burst that the tissue works off has lucky ones, a queue that stands has none.
//!
//! Where no more cells may come there is nothing to hope for but what is there: a newcomer who would
//! wait in vain at the [pace] at which others before it get their cells is refused at once, too.
//!
//! `C` is a ready cell and `W` is whatever wakes a waiting request; this crate looks into neither.

mod pace;

use std::collections::VecDeque;

use serde::Serialize;

use self::pace::Pace;

use crate::{
    Nanos,
    law::Demand,
    lineage::{Birth, Lineage, Niche},
};

/// The hard limits of one tissue. No decision moves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Most cells alive at once: ready, busy and being made.
    pub cells_max: u32,
    /// Messages that one cell takes at once, at least 1. What is ready, lent and given back is a
    /// *slot*; a cell has this many.
    pub slots: u32,
    /// Most requests that may wait.
    pub waiters_max: u32,
    /// How long a request may wait.
    pub wait: Nanos,
    /// A wait that does no harm; while it is exceeded the queue is felt.
    pub target: Nanos,
    /// Newcomers are refused at once when every wait was above the target for this long.
    pub stands_after: Nanos,
}

/// What a tissue counts, for people and for the governor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests that asked for a cell.
    pub offered: u64,
    /// Requests that had to wait.
    pub waited: u64,
    /// Requests refused because the queue was full.
    pub saturated: u64,
    /// Requests refused at once because the queue stood (see [`Tissue::turns_away`]).
    pub shed: u64,
    /// Requests refused because no cell came free in time.
    pub expired: u64,
    /// Cells that ended by use, age or surplus.
    pub retired: u64,
    /// Those of them that were worn by use, age or memory and left no niche to a successor.
    pub worn: u64,
    /// Cells that ended by a trap, a breach or a cancelled request.
    pub died: u64,
    /// Most slots busy and requests waiting at once since the last sample.
    pub peak: u32,
}

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It served its one message; its niche waits for a successor.
    Succeeded,
    /// By use, age or memory; whether another takes over is the law's affair.
    Worn,
    /// It was one too many.
    Surplus,
    /// By a trap, a breach or a cancelled request.
    Died,
}

/// What a host holds for the next births of a tissue, as far as a request needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Stems that wait.
    pub stems: u32,
    /// Cells of this tissue that are being made and that no request carries.
    pub coming: u32,
}

/// How a request gets its cell.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<C> {
    /// Here is one.
    Sent(C),
    /// There is room: differentiate a stem with this birth record at once.
    NeedsCell(Birth),
    /// All are busy and no more may be made: [`Tissue::enqueue`] and wait.
    MustWait,
    /// The queue is full too: refuse.
    Saturated,
}

/// What becomes of a cell that finished its message.
#[derive(Debug, PartialEq, Eq)]
pub enum GivenBack<C, W> {
    /// The longest-waiting request takes it.
    Passed(W, C),
    /// It is ready again.
    Kept,
    /// There are more cells than the bounds allow: this one is to end.
    Surplus(C),
}

#[derive(Debug)]
struct Waiting<W> {
    since: Nanos,
    until: Nanos,
    waker: W,
}

/// The cells, the queue and the bounds of one gene on this host.
#[derive(Debug)]
pub struct Tissue<C, W> {
    ready: Vec<C>,
    waiting: VecDeque<Waiting<W>>,
    cells: u32,
    /// Cells of these that are about to end.
    leaving: u32,
    lineage: Lineage,
    /// Whose daughters are those that requests call for.
    matron: Option<Birth>,
    demand: Demand,
    bounds: Bounds,
    counts: Counts,
    /// Since when nobody got a cell within the target; `None` = the last one did, or nobody was
    /// behind that one.
    late_since: Option<Nanos>,
    pace: Pace,
}

impl<C, W> Tissue<C, W> {
    /// An empty tissue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            ready: Vec::new(),
            waiting: VecDeque::new(),
            cells: 0,
            leaving: 0,
            lineage: Lineage::default(),
            matron: None,
            demand: Demand::unheard(bounds.slots),
            bounds,
            counts: Counts::default(),
            late_since: None,
            pace: Pace::default(),
        }
    }

    /// A request arrives.
    ///
    /// First come, first served: while others wait, a newcomer never takes a cell before them.
    /// `stock` is asked for only where no cell is ready.
    pub fn offer(&mut self, stock: impl FnOnce() -> Stock) -> Offer<C> {
        self.counts.offered += 1;
        if self.waiting.is_empty() {
            if let Some(cell) = self.ready.pop() {
                self.note_peak();
                self.late_since = None;
                return Offer::Sent(cell);
            }
            if self.may_call(1, stock)
                && let Some(birth) = self.conceive()
            {
                self.late_since = None;
                return Offer::NeedsCell(birth);
            }
        }
        if self.is_full() {
            self.counts.saturated += 1;
            return Offer::Saturated;
        }
        Offer::MustWait
    }

    /// Whether a request that [`Offer::MustWait`] is refused at once, because nobody was served
    /// within [`Bounds::target`] for [`Bounds::stands_after`] and others wait already, or because it
    /// would wait in vain. The first in an empty queue may always wait: by its luck the tissue learns
    /// that there is room again.
    pub fn turns_away(&mut self, now: Nanos) -> bool {
        let Some(head) = self.waiting.front().map(|waiting| waiting.since) else { return false };
        self.note_wait(head, now);
        let stands = self.late_since.is_some_and(|late| now.since(late) >= self.bounds.stands_after);
        let turns_away = stands || self.is_in_vain(now);
        self.counts.shed += u64::from(turns_away);
        turns_away
    }

    /// Whether one more at the end of the queue would hardly get a cell in time, and no more cells may
    /// come.
    fn is_in_vain(&self, now: Nanos) -> bool {
        let wait = || self.pace.wait(self.waiting.len(), now);
        !self.may_grow() && wait().is_some_and(|wait| wait.0 > self.bounds.wait.0 / 4 * 3)
    }

    /// Somebody has waited since then: is served now, is let go, or is the first who still waits.
    ///
    /// First come, first served, so whoever was served in time before came earlier, and the
    /// instant at which this wait became too long is after that.
    fn note_wait(&mut self, since: Nanos, now: Nanos) {
        if now.since(since) > self.bounds.target {
            self.late_since.get_or_insert(since + self.bounds.target);
        }
    }

    /// Somebody who has waited since then is served now and is out of the queue already. One that
    /// was worked off to its end did not stand.
    fn note_served(&mut self, since: Nanos, now: Nanos) {
        self.note_wait(since, now);
        self.pace.note(now, !self.waiting.is_empty());
        if self.waiting.is_empty() || now.since(since) <= self.bounds.target {
            self.late_since = None;
        }
    }

    /// Puts a request that [`Offer::MustWait`] at the end of the queue, to be woken through `waker`.
    /// Returns the instant at which its patience ends.
    pub fn enqueue(&mut self, now: Nanos, waker: W) -> Nanos {
        let until = now + self.bounds.wait;
        self.counts.waited += 1;
        self.waiting.push_back(Waiting { since: now, until, waker });
        self.note_peak();
        until
    }

    /// Whether the last of `queued` requests may call for a cell on its own.
    fn may_call(&self, queued: u32, stock: impl FnOnce() -> Stock) -> bool {
        if self.cells == 0 || !self.lineage.vacant().is_empty() {
            return true;
        }
        let Stock { stems, coming } = stock();
        self.demand.may_take(queued, self.busy(), coming, self.cells, stems)
    }

    /// Takes a place for one more cell, for a request, if the bounds leave room.
    pub fn conceive(&mut self) -> Option<Birth> {
        let birth = self.conceive_ahead()?;
        self.note_peak();
        Some(birth)
    }

    /// Takes a place for one more cell, for nobody yet: nothing was asked of the tissue by that.
    pub fn conceive_ahead(&mut self) -> Option<Birth> {
        let birth = (self.cells < self.bounds.cells_max).then(|| self.lineage.birth(self.matron.as_ref()))?;
        Some(self.settle(birth))
    }

    /// Takes a place for a cell in a niche of its own, as a daughter of `mother`, for nobody yet. A
    /// bound that was lowered since that was decided holds.
    pub fn conceive_under(&mut self, mother: Option<&Birth>) -> Option<Birth> {
        let birth = (self.cells < self.bounds.cells_max).then(|| self.lineage.add(mother))?;
        Some(self.settle(birth))
    }

    /// The same as a daughter of the eldest.
    pub fn conceive_daughter(&mut self) -> Option<Birth> {
        let matron = self.matron;
        self.conceive_under(matron.as_ref())
    }

    fn settle(&mut self, birth: Birth) -> Birth {
        self.cells += 1;
        self.matron.get_or_insert(birth);
        birth
    }

    /// A cell finished its message, or was made ahead of need.
    ///
    /// `now` is asked only when somebody waits: looking at a clock costs more than all the rest.
    ///
    /// Of a tissue with several slots a cell only a slot comes back here, and never as surplus.
    pub fn give_back(&mut self, cell: C, now: impl FnOnce() -> Nanos) -> GivenBack<C, W> {
        if self.bounds.slots == 1 && self.over() > 0 {
            self.leaving += 1;
            return GivenBack::Surplus(cell);
        }
        match self.waiting.pop_front() {
            Some(next) => {
                self.note_served(next.since, now());
                GivenBack::Passed(next.waker, cell)
            }
            None => {
                self.ready.push(cell);
                GivenBack::Kept
            }
        }
    }

    /// A cell is gone, and its place is for the host to give away. `was_leaving` says that it took
    /// nothing new for a while already.
    pub fn leave(&mut self, birth: Birth, end: End, was_leaving: bool) {
        match end {
            End::Died => self.counts.died += 1,
            End::Succeeded | End::Worn | End::Surplus => self.counts.retired += 1,
        }
        match end {
            End::Succeeded => self.lineage.vacate(birth),
            End::Worn => self.counts.worn += 1,
            End::Surplus | End::Died => {}
        }
        self.cells = self.cells.saturating_sub(1);
        self.leaving = self.leaving.saturating_sub(u32::from(was_leaving));
        self.bury(birth);
    }

    /// The last cell that was worn has a successor already: nobody need think about one.
    pub fn is_replaced(&mut self) {
        self.counts.worn = self.counts.worn.saturating_sub(1);
    }

    /// A birth that found no place on the host: as if it had never been conceived.
    pub fn miscarry(&mut self, birth: Birth) {
        self.cells = self.cells.saturating_sub(1);
        if birth.generation > 0 {
            self.lineage.vacate(birth);
        }
        self.bury(birth);
    }

    fn bury(&mut self, birth: Birth) {
        self.matron = self.matron.filter(|matron| matron.id != birth.id);
    }

    /// What requests may do from now on.
    pub fn publish(&mut self, demand: Demand) {
        self.demand = demand;
    }

    /// Whose daughters those are that requests call for from now on: the eldest that lives.
    pub fn descend_from(&mut self, eldest: Option<Birth>) {
        self.matron = eldest.or(self.matron);
    }

    /// Niches that wait for a successor.
    pub fn vacant(&self) -> &[Birth] {
        self.lineage.vacant()
    }

    /// Gives up a vacant niche; whether it was vacant.
    pub fn abandon(&mut self, niche: Niche) -> bool {
        self.lineage.abandon(niche)
    }

    /// When the longest-waiting request came.
    pub fn head(&self) -> Option<Nanos> {
        self.waiting.front().map(|waiting| waiting.since)
    }

    /// Whether the longest-waiting request may call for a cell on its own.
    pub fn calls(&self, stock: Stock) -> bool {
        let queued = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        queued > 0 && self.cells < self.bounds.cells_max && self.may_call(queued, || stock)
    }

    /// Whether one more waiter would be too many.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.bounds.waiters_max as usize
    }

    /// The longest-waiting request and a place for it, if there are both; `now` as in
    /// [`Tissue::give_back`].
    pub fn heir(&mut self, now: impl FnOnce() -> Nanos) -> Option<(W, Birth)> {
        if self.waiting.is_empty() {
            return None;
        }
        let birth = self.conceive()?;
        let next = self.waiting.pop_front()?;
        self.note_served(next.since, now());
        Some((next.waker, birth))
    }

    /// Removes the requests whose patience has ended. They are at the front: one wait for all, so
    /// the queue is in order of deadlines (a changed wait takes effect as older ones leave).
    pub fn expire(&mut self, now: Nanos) -> impl Iterator<Item = W> {
        let end = self.waiting.iter().take_while(|waiting| waiting.until <= now).count();
        self.counts.expired += end as u64;
        if let Some(first) = self.waiting.front().filter(|_| end > 0).map(|waiting| waiting.since) {
            self.note_wait(first, now);
        }
        self.waiting.drain(..end).map(|waiting| waiting.waker)
    }

    /// Somebody in the queue waited as long as it wanted to, which was less than the bound: that one, and
    /// whoever else nobody is behind any more, is out of it.
    pub fn lapse(&mut self, is_gone: impl FnMut(&W) -> bool) {
        self.counts.expired += 1;
        self.forget(is_gone);
    }

    /// Whether the longest-waiting request has waited for a fifth of the wait that does no harm, from
    /// which on the law feels it. `now` is asked only when somebody waits.
    pub fn suffers(&self, now: impl FnOnce() -> Nanos) -> bool {
        const FELT: u64 = 5;
        self.head().is_some_and(|head| now().since(head).0 >= self.bounds.target.0 / FELT)
    }

    /// Drops the requests at the front of the queue that nobody is behind any more.
    pub fn skip(&mut self, is_gone: impl Fn(&W) -> bool) {
        while self.waiting.front().is_some_and(|waiting| is_gone(&waiting.waker)) {
            self.waiting.pop_front();
        }
    }

    /// Removes waiting requests that nobody is behind any more (their client went away).
    pub fn forget(&mut self, mut is_gone: impl FnMut(&W) -> bool) {
        self.waiting.retain(|waiting| !is_gone(&waiting.waker));
    }

    /// Takes out every ready slot of a cell that is no more.
    pub fn evict(&mut self, mut is_its: impl FnMut(&C) -> bool) -> Vec<C> {
        self.ready.extract_if(.., |cell| is_its(cell)).collect()
    }

    /// Takes up to `count` of the coldest ready cells out, for retirement. Only for tissues with one
    /// slot a cell.
    pub fn surplus(&mut self, count: usize) -> Vec<C> {
        let count = count.min(self.ready.len());
        self.leaving = self.leaving.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.ready.drain(..count).collect()
    }

    /// Takes one ready cell out, for retirement. Only for tissues with one slot a cell.
    pub fn pick(&mut self, is_it: impl FnMut(&C) -> bool) -> Option<C> {
        let at = self.ready.iter().position(is_it)?;
        self.leaving = self.leaving.saturating_add(1);
        Some(self.ready.remove(at))
    }

    /// Takes up to `count` of the coldest ready cells that are `fit` out, each to be
    /// [put back](Self::put_back). Meanwhile they count as busy.
    pub fn borrow(&mut self, count: usize, fit: impl Fn(&C) -> bool) -> Vec<C> {
        self.ready.extract_if(.., |cell| fit(cell)).take(count).collect()
    }

    /// A borrowed cell is ready again, colder than all others; handed back where it is to be
    /// [given back](Self::give_back) instead, because somebody waits or it is one too many.
    pub fn put_back(&mut self, cell: C) -> Option<C> {
        if !self.waiting.is_empty() || self.over() > 0 {
            return Some(cell);
        }
        self.ready.insert(0, cell);
        None
    }

    /// A cell takes nothing new from now on and ends with what it holds.
    pub fn dismiss(&mut self) {
        self.leaving = self.leaving.saturating_add(1);
    }

    /// Cells that stay: alive, and not about to end.
    pub fn staying(&self) -> u32 {
        self.cells.saturating_sub(self.leaving)
    }

    /// Cells above the bound that do not end yet.
    pub fn over(&self) -> u32 {
        self.staying().saturating_sub(self.bounds.cells_max)
    }

    /// All ready cells, hottest last.
    pub fn ready(&self) -> &[C] {
        &self.ready
    }

    /// Cells ready, busy or being made.
    pub fn alive(&self) -> u32 {
        self.cells
    }

    /// Slots that work or whose cell is being made.
    pub fn busy(&self) -> u32 {
        self.cells
            .saturating_mul(self.bounds.slots)
            .saturating_sub(u32::try_from(self.ready.len()).unwrap_or(u32::MAX))
    }

    /// Whether somebody waits although there may be one more cell and the law has nothing against it: the
    /// host has no place for it.
    pub fn wants_place(&self) -> bool {
        !self.waiting.is_empty() && self.may_grow()
    }

    fn may_grow(&self) -> bool {
        self.cells < self.bounds.cells_max && self.demand.may_grow(self.cells)
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Cells born so far.
    pub fn born(&self) -> u64 {
        self.lineage.born()
    }

    /// The bounds in force.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Replaces the bounds. Cells above a lowered bound finish first.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was counted, and starts a new window for the peak.
    pub fn sample(&mut self) -> Counts {
        let counts = self.counts;
        self.counts.peak = self.pressing();
        counts
    }

    /// Slots busy and requests waiting.
    fn pressing(&self) -> u32 {
        self.busy().saturating_add(u32::try_from(self.waiting.len()).unwrap_or(u32::MAX))
    }

    fn note_peak(&mut self) {
        self.counts.peak = self.counts.peak.max(self.pressing());
    }
}

#[cfg(test)]
mod tests;
