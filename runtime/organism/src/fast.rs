//! The decisions a request needs: plain structs and functions of the time that is handed in.
//!
//! A *tissue* is all cells of one gene on a host. [`Tissue`] holds its ready cells (hottest first),
//! the first-come-first-served queue of waiting requests and the bounds; it is called under the
//! tissue's lock and never across an await. Every operation is O(1) except [`Tissue::expire`],
//! which is O(number of expired waiters).
//!
//! `C` is a ready cell and `W` is whatever wakes a waiting request; this crate looks into neither.

use std::collections::VecDeque;

use serde::Serialize;

use crate::{
    Nanos,
    lineage::{Birth, CellId, Lineage},
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
    /// Requests refused because no cell came free in time.
    pub expired: u64,
    /// Cells that ended by use, age or surplus.
    pub retired: u64,
    /// Cells that ended by a trap, a breach or a cancelled request.
    pub died: u64,
    /// Most cells busy at once since the last sample.
    pub busy_peak: u32,
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
}

#[derive(Debug)]
struct Waiting<W> {
    until: Nanos,
    waker: W,
}

/// The cells, the queue and the bounds of one gene on this host.
#[derive(Debug)]
pub struct Tissue<C, W> {
    ready: Vec<C>,
    waiting: VecDeque<Waiting<W>>,
    cells: u32,
    lineage: Lineage,
    youngest: Option<CellId>,
    bounds: Bounds,
    counts: Counts,
}

impl<C, W> Tissue<C, W> {
    /// An empty tissue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            ready: Vec::new(),
            waiting: VecDeque::new(),
            cells: 0,
            lineage: Lineage::default(),
            youngest: None,
            bounds,
            counts: Counts::default(),
        }
    }

    /// A request arrives.
    ///
    /// First come, first served: while others wait, a newcomer never takes a cell before them.
    pub fn offer(&mut self) -> Offer<C> {
        self.counts.offered += 1;
        if self.waiting.is_empty() {
            if let Some(cell) = self.ready.pop() {
                self.note_busy();
                return Offer::Sent(cell);
            }
            if let Some(birth) = self.conceive() {
                return Offer::NeedsCell(birth);
            }
        }
        if self.is_full() {
            self.counts.saturated += 1;
            return Offer::Saturated;
        }
        Offer::MustWait
    }

    /// Puts a request that [`Offer::MustWait`] at the end of the queue, to be woken through `waker`.
    /// Returns the instant at which its patience ends.
    pub fn enqueue(&mut self, now: Nanos, waker: W) -> Nanos {
        let until = now + self.bounds.wait;
        self.counts.waited += 1;
        self.waiting.push_back(Waiting { until, waker });
        until
    }

    /// Takes a place for one more cell, if the bounds leave room.
    pub fn conceive(&mut self) -> Option<Birth> {
        if self.cells >= self.bounds.cells_max {
            return None;
        }
        self.cells += 1;
        let birth = self.lineage.birth(self.youngest);
        self.youngest = Some(birth.id);
        self.note_busy();
        Some(birth)
    }

    /// A cell finished its message, or was made ahead of need.
    pub fn give_back(&mut self, cell: C) -> GivenBack<C, W> {
        match self.waiting.pop_front() {
            Some(next) => GivenBack::Passed(next.waker, cell),
            None => {
                self.ready.push(cell);
                GivenBack::Kept
            }
        }
    }

    /// A cell is gone. If somebody waits, its place goes to the longest-waiting request as a new
    /// birth, which the caller must pass on.
    pub fn gone(&mut self, birth: Birth, retired: bool) -> Option<(W, Birth)> {
        self.leave(birth, retired);
        self.heir()
    }

    /// A cell is gone, and its place is for the host to give away.
    pub fn leave(&mut self, birth: Birth, retired: bool) {
        if retired {
            self.counts.retired += 1;
            self.lineage.vacate(birth);
        } else {
            self.counts.died += 1;
        }
        self.cells = self.cells.saturating_sub(1);
        if self.youngest == Some(birth.id) {
            self.youngest = None;
        }
    }

    /// A birth that found no place on the host: as if it had never been conceived.
    pub fn miscarry(&mut self, birth: Birth) {
        self.cells = self.cells.saturating_sub(1);
        if self.youngest == Some(birth.id) {
            self.youngest = birth.mother;
        }
    }

    /// Whether one more waiter would be too many.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.bounds.waiters_max as usize
    }

    /// The longest-waiting request and a place for it, if there are both.
    pub fn heir(&mut self) -> Option<(W, Birth)> {
        if self.waiting.is_empty() {
            return None;
        }
        let birth = self.conceive()?;
        self.waiting.pop_front().map(|next| (next.waker, birth))
    }

    /// Removes the requests whose patience has ended. They are at the front: one wait for all, so
    /// the queue is in order of deadlines (a changed wait takes effect as older ones leave).
    pub fn expire(&mut self, now: Nanos) -> impl Iterator<Item = W> {
        let end = self.waiting.iter().take_while(|waiting| waiting.until <= now).count();
        self.counts.expired += end as u64;
        self.waiting.drain(..end).map(|waiting| waiting.waker)
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

    /// Takes up to `count` of the coldest ready cells out, for retirement.
    pub fn surplus(&mut self, count: usize) -> Vec<C> {
        let count = count.min(self.ready.len());
        self.ready.drain(..count).collect()
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
        self.counts.busy_peak = self.busy();
        counts
    }

    fn note_busy(&mut self) {
        self.counts.busy_peak = self.counts.busy_peak.max(self.busy());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(cells_max: u32, waiters_max: u32) -> Bounds {
        Bounds { cells_max, slots: 1, waiters_max, wait: Nanos::from_millis(100) }
    }

    #[test]
    fn the_hottest_cell_comes_first_and_waiters_are_served_in_order() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(2, 2));
        let Offer::NeedsCell(a) = tissue.offer() else { panic!("room for a") };
        let Offer::NeedsCell(b) = tissue.offer() else { panic!("room for b") };
        assert_eq!(tissue.offer(), Offer::MustWait);
        tissue.enqueue(Nanos(0), 1);
        assert_eq!(tissue.offer(), Offer::MustWait);
        tissue.enqueue(Nanos(0), 2);
        assert_eq!(tissue.offer(), Offer::Saturated);
        assert_eq!(tissue.give_back(a), GivenBack::Passed(1, a));
        let (waker, heir) = tissue.gone(b, false).expect("the place passes to the second waiter");
        assert_eq!((waker, tissue.alive()), (2, 2));
        assert_eq!(tissue.give_back(a), GivenBack::Kept);
        assert_eq!(tissue.give_back(heir), GivenBack::Kept);
        assert_eq!(tissue.offer(), Offer::Sent(heir));
    }

    #[test]
    fn patience_ends_at_the_deadline() {
        let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(0, 8));
        assert_eq!(tissue.offer(), Offer::MustWait);
        assert_eq!(tissue.enqueue(Nanos(5), 1), Nanos(5) + Nanos::from_millis(100));
        tissue.enqueue(Nanos(7), 2);
        assert_eq!(tissue.expire(Nanos(5) + Nanos::from_millis(100)).collect::<Vec<_>>(), [1]);
        assert_eq!((tissue.waiting(), tissue.counts().expired), (1, 1));
    }

    proptest! {
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
                    0 | 1 => match tissue.offer() {
                        Offer::Sent(cell) => busy.push(cell),
                        Offer::NeedsCell(birth) => born = Some(birth),
                        Offer::MustWait => { tissue.enqueue(now, 0); }
                        Offer::Saturated => prop_assert_eq!(tissue.waiting(), waiters_max as usize),
                    },
                    2 => if let Some(cell) = busy.pop()
                        && let GivenBack::Passed(_, cell) = tissue.give_back(cell) { busy.push(cell) },
                    3 => if let Some(cell) = busy.pop()
                        && let Some((_, birth)) = tissue.gone(cell, now.0.is_multiple_of(2)) { born = Some(birth) },
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
