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
//! `C` is a ready cell and `W` is whatever wakes a waiting request; this crate looks into neither.

use std::collections::VecDeque;

use serde::Serialize;

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
    /// within [`Bounds::target`] for [`Bounds::stands_after`] and others wait already. The first
    /// in an empty queue may always wait: by its luck the tissue learns that there is room again.
    pub fn turns_away(&mut self, now: Nanos) -> bool {
        let Some(head) = self.waiting.front().map(|waiting| waiting.since) else { return false };
        self.note_wait(head, now);
        let turns_away = self.late_since.is_some_and(|late| now.since(late) >= self.bounds.stands_after);
        self.counts.shed += u64::from(turns_away);
        turns_away
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

    /// Whether somebody waits although there may be one more cell: the host has no place for it.
    pub fn wants_place(&self) -> bool {
        !self.waiting.is_empty() && self.cells < self.bounds.cells_max
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(cells_max: u32, waiters_max: u32) -> Bounds {
        let ms = Nanos::from_millis;
        Bounds { cells_max, slots: 1, waiters_max, wait: ms(100), target: ms(20), stands_after: ms(100) }
    }

    fn plenty() -> Stock {
        Stock { stems: 1_000, coming: 0 }
    }

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn the_hottest_cell_comes_first_and_waiters_are_served_in_order() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(2, 2));
        let Offer::NeedsCell(a) = tissue.offer(plenty) else { panic!("room for a") };
        let Offer::NeedsCell(b) = tissue.offer(plenty) else { panic!("room for b") };
        assert_eq!(tissue.offer(plenty), Offer::MustWait);
        tissue.enqueue(Nanos(0), 1);
        assert_eq!(tissue.offer(plenty), Offer::MustWait);
        tissue.enqueue(Nanos(0), 2);
        assert_eq!(tissue.offer(plenty), Offer::Saturated);
        assert_eq!(tissue.give_back(a, || ms(1)), GivenBack::Passed(1, a));
        tissue.leave(b, End::Died, false);
        let (waker, heir) = tissue.heir(|| ms(1)).expect("the place passes to the second waiter");
        assert_eq!((waker, tissue.alive()), (2, 2));
        assert_eq!(tissue.give_back(a, || ms(1)), GivenBack::Kept);
        assert_eq!(tissue.give_back(heir, || ms(1)), GivenBack::Kept);
        assert_eq!(tissue.offer(plenty), Offer::Sent(heir));
    }

    #[test]
    fn above_a_lowered_bound_just_as_many_end_as_are_too_many() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(4, 2));
        let born: Vec<Birth> = (0..4).filter_map(|_| tissue.conceive()).collect();
        tissue.set_bounds(bounds(2, 2));
        assert_eq!((tissue.over(), tissue.staying()), (2, 4));
        assert_eq!(tissue.give_back(born[0], || ms(1)), GivenBack::Surplus(born[0]));
        assert_eq!(tissue.give_back(born[1], || ms(1)), GivenBack::Surplus(born[1]));
        // Both are about to end; who comes now stays.
        assert_eq!(tissue.give_back(born[2], || ms(1)), GivenBack::Kept);
        tissue.leave(born[0], End::Surplus, true);
        tissue.leave(born[1], End::Surplus, true);
        assert_eq!((tissue.over(), tissue.staying(), tissue.alive()), (0, 2, 2));
        assert_eq!(tissue.conceive_ahead(), None);
    }

    #[test]
    fn a_request_calls_for_a_cell_only_as_the_law_allows() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(8, 8));
        let shut = Demand { max: 8, slots: 1, floor: 4, ..Demand::default() };
        tissue.publish(shut);
        let Offer::NeedsCell(first) = tissue.offer(Stock::default) else { panic!("the first of its gene") };
        assert_eq!(tissue.offer(plenty), Offer::MustWait, "the cores are full");
        let open = Demand { is_open: true, ..shut };
        tissue.publish(open);
        let stems = |stems, coming| move || Stock { stems, coming };
        assert_eq!(tissue.offer(stems(4, 0)), Offer::MustWait, "the last stems are the law's");
        assert_eq!(tissue.offer(stems(5, 1)), Offer::MustWait, "one is coming");
        let Offer::NeedsCell(second) = tissue.offer(stems(5, 0)) else { panic!("a stem for it") };
        assert_eq!((second.mother, second.mother_niche), (Some(first.id), Some(first.niche)));
        tissue.leave(second, End::Succeeded, false);
        tissue.publish(shut);
        let Offer::NeedsCell(heir) = tissue.offer(Stock::default) else { panic!("a successor") };
        assert_eq!((heir.niche, heir.generation), (second.niche, 1));
        tissue.enqueue(ms(1), 1);
        assert!(!tissue.calls(plenty()));
        tissue.publish(open);
        assert!(tissue.calls(plenty()) && !tissue.calls(Stock::default()));
    }

    #[test]
    fn who_is_worn_and_replaced_at_once_is_not_missed() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(1, 2));
        let Offer::NeedsCell(worn) = tissue.offer(plenty) else { panic!("room for one") };
        tissue.enqueue(ms(0), 1);
        tissue.leave(worn, End::Worn, false);
        assert_eq!(tissue.counts().worn, 1);
        let (_, heir) = tissue.heir(|| ms(1)).expect("somebody waits");
        tissue.is_replaced();
        assert_eq!((tissue.counts().worn, heir.generation), (0, 0));
    }

    #[test]
    fn a_cell_made_ahead_is_no_sign_of_load() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(4, 2));
        let birth = tissue.conceive_ahead().expect("there is room");
        tissue.give_back(birth, || ms(1));
        assert_eq!(tissue.sample().peak, 0);
        tissue.offer(plenty);
        assert_eq!(tissue.sample().peak, 1);
    }

    #[test]
    fn patience_ends_at_the_deadline() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(0, 8));
        assert_eq!(tissue.offer(plenty), Offer::MustWait);
        assert_eq!(tissue.enqueue(Nanos(5), 1), Nanos(5) + Nanos::from_millis(100));
        tissue.enqueue(Nanos(7), 2);
        assert_eq!(tissue.expire(Nanos(5) + Nanos::from_millis(100)).collect::<Vec<_>>(), [1]);
        assert_eq!((tissue.waiting(), tissue.counts().expired), (1, 1));
    }

    #[test]
    fn who_wants_to_wait_less_leaves_the_middle_of_the_queue_and_counts_once() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(0, 8));
        for (at, who) in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(tissue.offer(plenty), Offer::MustWait);
            tissue.enqueue(ms(at), who);
        }
        assert!(!tissue.suffers(|| ms(3)) && tissue.suffers(|| ms(4)));
        tissue.lapse(|waker| *waker == 2);
        assert_eq!((tissue.waiting(), tissue.counts().expired), (2, 1));
        assert_eq!(tissue.expire(ms(102)).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(tissue.counts().expired, 3);
        assert!(!tissue.suffers(|| ms(500)), "nobody waits");
    }

    /// One cell, busy, and nobody waits.
    fn busy() -> (Tissue<Birth, u32>, Birth) {
        let mut tissue = Tissue::new(Bounds { wait: ms(1_000), ..bounds(1, 1_000) });
        let Offer::NeedsCell(birth) = tissue.offer(plenty) else { panic!("room for one") };
        (tissue, birth)
    }

    /// A request at `now`; whether it waits.
    fn arrives(tissue: &mut Tissue<Birth, u32>, now: Nanos) -> bool {
        assert_eq!(tissue.offer(plenty), Offer::MustWait);
        let may_wait = !tissue.turns_away(now);
        if may_wait {
            tissue.enqueue(now, 0);
        }
        may_wait
    }

    #[test]
    fn newcomers_are_refused_once_the_queue_stands() {
        let (mut tissue, cell) = busy();
        // Who came first is too late from 21 on; a hundred later the queue stands.
        assert!(arrives(&mut tissue, ms(0)));
        assert!(arrives(&mut tissue, ms(119)) && arrives(&mut tissue, ms(119)));
        assert!(!arrives(&mut tissue, ms(120)));
        assert_eq!(tissue.give_back(cell, || ms(130)), GivenBack::Passed(0, cell));
        assert!(!arrives(&mut tissue, ms(135)), "the one that was served was late too");
        assert_eq!((tissue.counts().shed, tissue.waiting()), (2, 2));
        // The second one waited 20, which is no harm.
        assert_eq!(tissue.give_back(cell, || ms(139)), GivenBack::Passed(0, cell));
        assert!(arrives(&mut tissue, ms(140)));
        assert_eq!((tissue.counts().shed, tissue.counts().saturated), (2, 0));
    }

    #[test]
    fn a_burst_with_lucky_ones_is_worked_off() {
        let (mut tissue, cell) = busy();
        let mut waiting = std::collections::VecDeque::new();
        for now in 0..2_000 {
            // Thirty at once every 250, served one each 8: the last of them waits 240.
            for _ in 0..if now % 250 == 0 { 30 } else { 0 } {
                assert!(arrives(&mut tissue, ms(now)), "at {now}");
                waiting.push_back(now);
            }
            if now % 8 == 0 && waiting.pop_front().is_some() {
                assert_eq!(tissue.give_back(cell, || ms(now)), GivenBack::Passed(0, cell));
            }
        }
        assert_eq!(tissue.counts().shed, 0);
    }

    #[test]
    fn after_the_queue_stood_one_waits_to_see_whether_there_is_room() {
        let (mut tissue, cell) = busy();
        assert!(arrives(&mut tissue, ms(0)));
        assert!(!arrives(&mut tissue, ms(500)));
        assert_eq!(tissue.expire(ms(1_000)).count(), 1);
        assert!(arrives(&mut tissue, ms(1_001)), "the first in an empty queue");
        assert!(!arrives(&mut tissue, ms(1_002)), "but no second one");
        assert_eq!(tissue.give_back(cell, || ms(1_003)), GivenBack::Passed(0, cell));
        assert!(arrives(&mut tissue, ms(1_004)), "it was served in time");
        assert_eq!(tissue.expire(ms(2_004)).count(), 1);
        assert_eq!(tissue.give_back(cell, || ms(3_000)), GivenBack::Kept);
        assert_eq!(tissue.offer(plenty), Offer::Sent(cell));
        assert!(
            arrives(&mut tissue, ms(9_000)) && arrives(&mut tissue, ms(9_001)),
            "old lateness is forgotten"
        );
    }

    proptest! {
        /// Nobody is turned away unless somebody waits and everybody who was served in the last
        /// 100 ms waited longer than the target.
        #[test]
        fn who_is_turned_away_would_have_waited_too_long(
            gaps in prop::collection::vec(0u64..40, 1..200),
            service in 1u64..60,
        ) {
            let (mut tissue, cell) = busy();
            let (mut now, mut free_at) = (0, service);
            let mut queue = std::collections::VecDeque::new();
            let mut served: Vec<(u64, u64)> = Vec::new();
            for gap in gaps {
                now += gap;
                while free_at <= now && let Some(since) = queue.pop_front() {
                    let at: u64 = free_at;
                    prop_assert_eq!(tissue.give_back(cell, || ms(at)), GivenBack::Passed(0, cell));
                    served.push((at, at - since));
                    free_at += service;
                }
                if free_at <= now {
                    prop_assert_eq!(tissue.give_back(cell, || ms(now)), GivenBack::Kept);
                    prop_assert_eq!(tissue.offer(plenty), Offer::Sent(cell));
                    served.push((now, 0));
                    free_at = now + service;
                    continue;
                }
                if arrives(&mut tissue, ms(now)) {
                    queue.push_back(now);
                    continue;
                }
                prop_assert!(!queue.is_empty() && now >= 120);
                for (at, wait) in &served {
                    prop_assert!(*wait > 20 || now - at >= 100, "{wait} at {at}, now {now}");
                }
            }
        }

        /// Whatever happens, never more cells than the bound, never more waiters than theirs, and
        /// every birth has an id of its own.
        #[test]
        fn bounds_hold(cells_max in 0u32..6, waiters_max in 0u32..6, steps in prop::collection::vec(0u8..5, 0..300)) {
            let mut tissue: Tissue<Birth, u32> = Tissue::new(bounds(cells_max, waiters_max));
            let mut busy: Vec<Birth> = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            for (now, step) in steps.into_iter().enumerate() {
                let now = Nanos::from_millis(now as u64 * 7);
                let mut born = None;
                match step {
                    0 | 1 => match tissue.offer(plenty) {
                        Offer::Sent(cell) => busy.push(cell),
                        Offer::NeedsCell(birth) => born = Some(birth),
                        Offer::MustWait => if !tissue.turns_away(now) { tissue.enqueue(now, 0); },
                        Offer::Saturated => prop_assert_eq!(tissue.waiting(), waiters_max as usize),
                    },
                    2 => if let Some(cell) = busy.pop()
                        && let GivenBack::Passed(_, cell) = tissue.give_back(cell, || now) { busy.push(cell) },
                    3 => if let Some(cell) = busy.pop() {
                        let ends = [End::Succeeded, End::Worn, End::Surplus, End::Died];
                        tissue.leave(cell, ends[now.0 as usize % 4], false);
                        born = tissue.heir(|| now).map(|(_, birth)| birth);
                    },
                    _ => { tissue.expire(now).count(); }
                }
                if let Some(birth) = born {
                    prop_assert!(seen.insert(birth.id));
                    busy.push(birth);
                }
                prop_assert!(tissue.alive() <= cells_max);
                prop_assert!(tissue.waiting() <= waiters_max as usize);
                prop_assert_eq!(tissue.busy() as usize, busy.len());
            }
        }
    }
}
