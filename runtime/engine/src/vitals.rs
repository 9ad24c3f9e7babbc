//! A cell's vital signs: what the host reads of a cell without touching its store.
//!
//! One allocation a cell, shared by the store (whose epoch callback measures), the driver (which
//! polls) and the tissue (which lists). Only one thread polls a cell at a time, so the numbers need
//! no ordering among themselves; `failed` alone is published before the body's channel closes.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    },
    time::Instant,
};

use cyte_organism::{Nanos, lineage::Birth};

use crate::error::Breach;

/// The host's monotonic clock, as nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A guest that is still in Wasm this long into one poll leaves the threads that serve others.
const PATIENCE: Nanos = Nanos::from_millis(1);

const INLINE: u8 = 0;
const LEAVING: u8 = 1;
const SLOW: u8 = 2;

/// What a tick of the epoch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Go on for one more tick.
    Stay,
    /// Yield, so that the driver can move the call to the slow lane.
    Leave,
    /// Yield to the others in the slow lane.
    Share,
    /// The CPU budget is spent.
    Spent,
}

/// What one cell does and has done.
#[derive(Debug)]
pub(crate) struct Vitals {
    pub(crate) birth: Birth,
    pub(crate) born: Nanos,
    clock: Clock,
    uses: AtomicU64,
    memory: AtomicU64,
    request: AtomicU64,
    is_busy: AtomicBool,
    poll_started: AtomicU64,
    used: AtomicU64,
    budget: AtomicU64,
    cpu_total: AtomicU64,
    ticks: AtomicU32,
    lane: AtomicU8,
    breach: AtomicU8,
    failed: AtomicBool,
}

impl Vitals {
    pub(crate) fn new(clock: Clock, birth: Birth) -> Self {
        Self {
            birth,
            born: clock.now(),
            clock,
            uses: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            request: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
            poll_started: AtomicU64::new(0),
            used: AtomicU64::new(0),
            budget: AtomicU64::new(u64::MAX),
            cpu_total: AtomicU64::new(0),
            ticks: AtomicU32::new(0),
            lane: AtomicU8::new(INLINE),
            breach: AtomicU8::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// A message begins, with this much CPU to spend before its answer's head.
    pub(crate) fn begin(&self, request: u64, budget: Nanos) {
        self.request.store(request, Relaxed);
        self.used.store(0, Relaxed);
        self.budget.store(budget.0, Relaxed);
        self.lane.store(INLINE, Relaxed);
        self.is_busy.store(true, Relaxed);
    }

    /// The cell takes one more message.
    pub(crate) fn count_use(&self) {
        self.uses.store(self.uses.load(Relaxed) + 1, Relaxed);
    }

    /// The message ended.
    pub(crate) fn end(&self) {
        self.is_busy.store(false, Relaxed);
        self.cpu_total.store(self.cpu_total.load(Relaxed) + self.used.load(Relaxed), Relaxed);
    }

    /// Whether a shared cell has messages inside.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Relaxed);
    }

    /// The guest is about to be polled.
    pub(crate) fn enter(&self) {
        self.ticks.store(0, Relaxed);
        self.poll_started.store(self.clock.now().0, Relaxed);
    }

    /// The guest was polled; returns the time now, so that the caller need not ask again.
    pub(crate) fn leave(&self) -> Nanos {
        let now = self.clock.now();
        let spent = now.since(Nanos(self.poll_started.load(Relaxed)));
        self.used.store(self.used.load(Relaxed).saturating_add(spent.0), Relaxed);
        now
    }

    /// Called from the epoch callback, inside a poll.
    pub(crate) fn tick(&self) -> Tick {
        let spent = self.clock.now().since(Nanos(self.poll_started.load(Relaxed)));
        if self.used.load(Relaxed).saturating_add(spent.0) > self.budget.load(Relaxed) {
            self.breach(Breach::Cpu);
            return Tick::Spent;
        }
        if self.lane.load(Relaxed) == SLOW {
            return Tick::Share;
        }
        let ticks = self.ticks.load(Relaxed) + 1;
        self.ticks.store(ticks, Relaxed);
        if ticks < 2 || spent < PATIENCE {
            return Tick::Stay;
        }
        self.lane.store(LEAVING, Relaxed);
        Tick::Leave
    }

    /// Whether the guest yielded in order to be moved; if so it counts as moved from here on.
    pub(crate) fn moves_to_slow_lane(&self) -> bool {
        let leaving = self.lane.load(Relaxed) == LEAVING;
        if leaving {
            self.lane.store(SLOW, Relaxed);
        }
        leaving
    }

    /// The answer's head is out or bytes moved: the CPU budget counts anew.
    pub(crate) fn refill(&self) {
        self.cpu_total.store(self.cpu_total.load(Relaxed) + self.used.load(Relaxed), Relaxed);
        self.used.store(0, Relaxed);
    }

    /// Leaves the guest only this much more CPU.
    pub(crate) fn curb(&self, rest: Nanos) {
        self.budget.store(self.used.load(Relaxed).saturating_add(rest.0), Relaxed);
    }

    /// Records which limit was broken; the first one counts.
    pub(crate) fn breach(&self, breach: Breach) {
        let _ = self.breach.compare_exchange(0, breach as u8, Relaxed, Relaxed);
    }

    /// Which limit was broken, if any.
    pub(crate) fn breached(&self) -> Option<Breach> {
        Breach::from_code(self.breach.load(Relaxed))
    }

    /// The guest ended badly. Published before its store, and with it the body's channel, goes.
    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Relaxed);
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Relaxed)
    }

    pub(crate) fn request(&self) -> u64 {
        self.request.load(Relaxed)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Relaxed)
    }

    pub(crate) fn cpu_total(&self) -> Nanos {
        Nanos(self.cpu_total.load(Relaxed))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use cyte_organism::lineage::{CellId, Niche};

    use super::*;

    #[test]
    fn a_spent_budget_is_noticed_at_a_tick_and_bytes_refill_it() {
        let birth = Birth { id: CellId(1), mother: None, generation: 0, niche: Niche(1) };
        let vitals = Vitals::new(Clock::start(), birth);
        vitals.begin(7, Nanos(0));
        vitals.enter();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(vitals.tick(), Tick::Spent);
        assert_eq!(vitals.breached(), Some(Breach::Cpu));
        vitals.begin(8, Nanos::from_millis(60_000));
        vitals.enter();
        assert_eq!(vitals.tick(), Tick::Stay);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(vitals.tick(), Tick::Leave);
        assert!(vitals.moves_to_slow_lane());
        assert!(!vitals.moves_to_slow_lane());
        assert_eq!(vitals.tick(), Tick::Share);
    }
}
