//! What all tissues of a host share: the clock, the threads, the budgets, the counters.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use serde::Serialize;
use tokio::runtime::Handle;

use crate::{
    gate::Gate, limiter::MemoryBudget, places::Places, run_delay::RunDelay, ticker::Ticker, vitals::Clock,
};

/// The threads that guests run on.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// Where connections live and guests are polled.
    pub cytoplasm: Handle,
    /// Threads of lower priority, for guests that keep on computing.
    pub slow: Handle,
    /// How many of those are polled at once, at least 1; see [`crate::Genome::set_slow_at_once`].
    pub slow_at_once: u32,
}

/// Why an alarm wakes somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// A request came.
    Request,
    /// Requests wait where none waited before.
    Queue,
}

/// Wakes whoever sleeps until a request comes. A request pays one relaxed load for it.
pub struct Alarm {
    is_set: AtomicBool,
    has_cried: AtomicBool,
    wake: Box<dyn Fn(Ring) + Send + Sync>,
}

impl Alarm {
    /// An alarm that calls `wake` when it rings; `wake` must not block.
    pub fn new(wake: impl Fn(Ring) + Send + Sync + 'static) -> Arc<Self> {
        let off = || AtomicBool::new(false);
        Arc::new(Self { is_set: off(), has_cried: off(), wake: Box::new(wake) })
    }

    /// Rings once at the next request. Whoever samples a tissue after this and finds no new request
    /// is certain to be woken by the next one: both go through the tissue's lock.
    pub fn set(&self) {
        self.is_set.store(true, Relaxed);
    }

    /// Rings no more.
    pub fn unset(&self) {
        self.is_set.store(false, Relaxed);
    }

    /// Queues that form from now on are told again.
    pub fn heard(&self) {
        self.has_cried.store(false, Relaxed);
    }

    /// A request was offered.
    pub(crate) fn ring(&self) {
        if self.is_set.load(Relaxed) && self.is_set.swap(false, Relaxed) {
            (self.wake)(Ring::Request);
        }
    }

    /// A queue formed: told at once, and once until somebody heard it.
    pub(crate) fn cry(&self) {
        if !self.has_cried.swap(true, Relaxed) {
            (self.wake)(Ring::Queue);
        }
    }
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What the engine counts over all genes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Calls that moved to the slow lane.
    pub(crate) slow_lane: Counter,
    /// Cells refused because the host had no place left.
    pub(crate) no_place: Counter,
    /// Cells that trapped or panicked.
    pub(crate) traps: Counter,
    /// Cells stopped for their CPU budget.
    pub(crate) cpu_breaches: Counter,
    /// Cells stopped for their wall clock.
    pub(crate) wall_breaches: Counter,
    /// Cells stopped after a denied growth of memory.
    pub(crate) memory_breaches: Counter,
    /// Cells stopped for tables, instances or handles.
    pub(crate) structure_breaches: Counter,
    /// Cells stopped because they were stuck.
    pub(crate) stuck: Counter,
    /// One-use cells dropped because their client went away.
    pub(crate) cancelled: Counter,
    /// Looks of a neuron that ended with orders, perhaps none.
    pub(crate) neuron_looks: Counter,
    /// Looks of a neuron that ended badly, and its cell with them.
    pub(crate) neuron_failures: Counter,
    /// Orders of a neuron that did not count.
    pub(crate) neuron_orders_refused: Counter,
    /// Cells that ended while they were told how their class stands.
    pub(crate) receptor_failures: Counter,
    /// Cells that ended or failed while they were told a turn of their lives.
    pub(crate) lifecycle_failures: Counter,
    /// Calls of a policy that ended well.
    pub(crate) policy_calls: Counter,
    /// Calls of a policy that ended badly, and its cell with them.
    pub(crate) policy_failures: Counter,
    /// Calls of a policy that were not made: too many waited, or it rested.
    pub(crate) policy_skipped: Counter,
}

/// [`Counters`] at one instant.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CountersSnapshot {
    /// See [`Counters::slow_lane`].
    pub slow_lane: u64,
    /// See [`Counters::no_place`].
    pub no_place: u64,
    /// See [`Counters::traps`].
    pub traps: u64,
    /// See [`Counters::cpu_breaches`].
    pub cpu_breaches: u64,
    /// See [`Counters::wall_breaches`].
    pub wall_breaches: u64,
    /// See [`Counters::memory_breaches`].
    pub memory_breaches: u64,
    /// See [`Counters::structure_breaches`].
    pub structure_breaches: u64,
    /// See [`Counters::stuck`].
    pub stuck: u64,
    /// See [`Counters::cancelled`].
    pub cancelled: u64,
    /// See [`Counters::neuron_looks`].
    pub neuron_looks: u64,
    /// See [`Counters::neuron_failures`].
    pub neuron_failures: u64,
    /// See [`Counters::neuron_orders_refused`].
    pub neuron_orders_refused: u64,
    /// See [`Counters::receptor_failures`].
    pub receptor_failures: u64,
    /// See [`Counters::lifecycle_failures`].
    pub lifecycle_failures: u64,
    /// See [`Counters::policy_calls`].
    pub policy_calls: u64,
    /// See [`Counters::policy_failures`].
    pub policy_failures: u64,
    /// See [`Counters::policy_skipped`].
    pub policy_skipped: u64,
}

impl Counters {
    /// All of them now.
    pub(crate) fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            slow_lane: self.slow_lane.get(),
            no_place: self.no_place.get(),
            traps: self.traps.get(),
            cpu_breaches: self.cpu_breaches.get(),
            wall_breaches: self.wall_breaches.get(),
            memory_breaches: self.memory_breaches.get(),
            structure_breaches: self.structure_breaches.get(),
            stuck: self.stuck.get(),
            cancelled: self.cancelled.get(),
            neuron_looks: self.neuron_looks.get(),
            neuron_failures: self.neuron_failures.get(),
            neuron_orders_refused: self.neuron_orders_refused.get(),
            receptor_failures: self.receptor_failures.get(),
            lifecycle_failures: self.lifecycle_failures.get(),
            policy_calls: self.policy_calls.get(),
            policy_failures: self.policy_failures.get(),
            policy_skipped: self.policy_skipped.get(),
        }
    }
}

/// Shared by all tissues.
#[derive(Debug)]
pub(crate) struct CellHost {
    pub(crate) clock: Clock,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) cytoplasm: Handle,
    pub(crate) slow_lane: Handle,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Counters,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) places: Places,
    pub(crate) run_delay: RunDelay,
}

impl CellHost {
    pub(crate) fn new(
        clock: Clock,
        ticker: Arc<Ticker>,
        memory_max: u64,
        places_max: u32,
        lanes: Lanes,
        alarm: Arc<Alarm>,
    ) -> Self {
        Self {
            clock,
            ticker,
            memory: Arc::new(MemoryBudget::new(memory_max)),
            cytoplasm: lanes.cytoplasm,
            slow_lane: lanes.slow,
            gate: Gate::new(lanes.slow_at_once),
            counters: Counters::default(),
            alarm,
            places: Places::new(places_max),
            run_delay: RunDelay::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_once_for_each_time_it_is_set() {
        let rung = Arc::new(Counter::default());
        let alarm = Alarm::new({
            let rung = rung.clone();
            move |_| rung.add()
        });
        alarm.ring();
        assert_eq!(rung.get(), 0, "nobody sleeps");
        alarm.set();
        (0..3).for_each(|_| alarm.ring());
        assert_eq!(rung.get(), 1);
        alarm.set();
        alarm.unset();
        alarm.ring();
        assert_eq!(rung.get(), 1);
        (0..3).for_each(|_| alarm.cry());
        assert_eq!(rung.get(), 2, "once until it was heard");
        alarm.heard();
        alarm.cry();
        assert_eq!(rung.get(), 3);
    }
}
