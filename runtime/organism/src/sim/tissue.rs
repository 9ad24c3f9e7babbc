//! One class of a simulated host: its cells, its queue, and what is measured of it.

use std::collections::VecDeque;

use super::arrivals::Arrivals;
use super::cells::Cells;
use super::control::Gauge;
use super::figures::Meter;
use super::scenario::ClassPlan;
use crate::Nanos;
use crate::constants::Constants;
use crate::law::{ClassId, ClassSample};

pub(super) fn seconds(seconds: f64) -> Nanos {
    Nanos((seconds * 1e9) as u64)
}

pub(super) fn millis(ms: f64) -> Nanos {
    seconds(ms / 1e3)
}

/// One class of the host.
#[derive(Debug)]
pub(super) struct Tissue {
    pub(super) plan: ClassPlan,
    pub(super) arrivals: Arrivals,
    pub(super) cells: Cells,
    pub(super) queue: VecDeque<Nanos>,
    pub(super) has_expiry: bool,
    pub(super) arrived: u64,
    /// `S` as a host would have it: an average over what finished.
    pub(super) service: f64,
    pub(super) gauge: Gauge,
    /// The peak of the last gauge.
    peaked: u32,
    pub(super) gauged: Nanos,
    /// Least queue delay of this and of the last window of 100 ms.
    pub(super) delay: (Nanos, Nanos, Nanos),
    pub(super) meter: Meter,
}

impl Tissue {
    pub(super) fn new(plan: &ClassPlan, seconds: f64, seed: u64) -> Self {
        let target = Nanos::from_millis(plan.spec.wait_target_ms.into());
        Self {
            plan: plan.clone(),
            arrivals: Arrivals::new(plan.load.clone(), seed),
            cells: Cells::new(plan.spec.slots),
            queue: VecDeque::new(),
            has_expiry: false,
            arrived: 0,
            service: 0.0,
            gauge: Gauge::default(),
            peaked: 0,
            gauged: Nanos(0),
            delay: (Nanos(0), Nanos(0), Nanos(0)),
            meter: Meter::new(&plan.name, target, seconds),
        }
    }

    pub(super) fn need(&self, constants: &Constants, t: f64) -> f64 {
        let demand = self.arrivals.rate(t) * self.plan.service();
        let most = f64::from(self.plan.spec.max);
        constants.wanted(demand, self.plan.spec.slots).max(f64::from(self.plan.spec.min)).min(most)
    }

    /// Adds up what went on since it was last asked; before anything changes.
    pub(super) fn count(&mut self, now: Nanos) {
        let span = now.since(self.gauged).0 as f64 / 1e9;
        self.gauged = now;
        self.gauge.concurrency += (f64::from(self.cells.inflight) + self.queue.len() as f64) * span;
    }

    pub(super) fn peak(&mut self) {
        self.gauge.peak = self.gauge.peak.max(self.cells.inflight + self.queue.len() as u32);
    }

    pub(super) fn look(&mut self, now: Nanos, constants: &Constants, t: f64, ahead: f64) -> Gauge {
        self.count(now);
        self.cells.readings();
        let gauge = Gauge {
            living: self.cells.living(),
            ready: self.cells.ready,
            pending: self.cells.pending,
            queued: self.queue.len() as u32,
            need: self.need(constants, t).max(self.need(constants, ahead)),
            ..self.gauge
        };
        self.peaked = std::mem::take(&mut self.gauge.peak);
        self.peak();
        gauge
    }

    pub(super) fn sample(&self, class: usize, stalled: u32, activation: Nanos) -> ClassSample<'_> {
        ClassSample {
            class: ClassId(class as u32),
            cells: self.cells.last_readings(),
            queued: self.queue.len() as u32,
            peak: self.peaked,
            head: self.queue.front().copied(),
            arrived: self.arrived,
            service: Nanos(self.service as u64),
            computing: if self.service > 0.0 { millis(self.plan.cpu_ms) } else { Nanos(0) },
            stalled,
            activation,
            retired: 0,
            signal: 0,
            resting_mib: 0,
        }
    }

    /// Whether the gateway refuses at once: at the limit, and the least delay of the last two
    /// windows above the target.
    pub(super) fn sheds(&self, now: Nanos) -> bool {
        let (start, least, before) = self.delay;
        let is_current = now.since(start) < Nanos::from_millis(200);
        let target = Nanos::from_millis(self.plan.spec.wait_target_ms.into());
        self.plan.sheds && !self.queue.is_empty() && is_current && least.min(before) > target
    }

    pub(super) fn note_delay(&mut self, now: Nanos, delay: Nanos) {
        let (start, least, _) = self.delay;
        if now.since(start) >= Nanos::from_millis(100) {
            self.delay = (now, delay, least);
        } else {
            self.delay.1 = least.min(delay);
        }
    }
}
