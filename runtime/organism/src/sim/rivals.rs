//! The rivals that the law is measured against, on the same cells, births and queue.

use std::collections::VecDeque;

use super::control::{Gauge, Look, Mind, Order};
use crate::Nanos;
use crate::constants::{ClassSpec, Constants};
use crate::law::{ClassId, Decision, Demand};
use crate::neuron::{KpaCount, KpaMemory, KpaTimes, OnDemandCount, OnDemandMemory};

/// Keeps the stem pool at the goal that the law would have for it.
fn refill(constants: &Constants, look: &Look<'_>, orders: &mut Vec<Order>) {
    let living = look.gauges.iter().map(|gauge| gauge.living).sum();
    let missing = constants.stems_goal(living).saturating_sub(look.host.stems);
    let made = missing.min(constants.refill).min(look.host.room);
    if made > 0 {
        orders.push(Order::Do(Decision::Refill(made)));
    }
}

fn each<'a>(
    look: &'a Look<'_>,
    specs: &'a [ClassSpec],
) -> impl Iterator<Item = (usize, ClassId, &'a ClassSpec, &'a Gauge)> {
    let both = specs.iter().zip(look.gauges).enumerate();
    both.map(|(at, (spec, gauge))| (at, ClassId(at as u32), spec, gauge))
}

/// No free slot: wake a cell at once; retire surplus over the last second's peak.
#[derive(Debug)]
pub(super) struct OnDemand {
    constants: Constants,
    specs: Vec<ClassSpec>,
    memory: Vec<OnDemandMemory>,
}

/// How often it looks.
const ON_DEMAND_TICK: Nanos = Nanos::from_millis(20);

impl OnDemand {
    pub(super) fn new(constants: Constants, specs: Vec<ClassSpec>) -> Self {
        let memory = specs.iter().map(|_| OnDemandMemory::default()).collect();
        Self { constants, specs, memory }
    }
}

impl Mind for OnDemand {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (at, class, spec, gauge) in each(look, &self.specs) {
            let Some(memory) = self.memory.get_mut(at) else { continue };
            let count = OnDemandCount {
                living: gauge.living,
                pending: gauge.pending,
                queued: gauge.queued,
                peak: gauge.peak,
                slots: spec.slots,
                least: spec.min,
                most: spec.max,
            };
            let cells = memory.look(look.now, count);
            orders.push(Order::Target { class, cells, from_stems: true });
        }
        refill(&self.constants, look, orders);
        Some(look.now + ON_DEMAND_TICK)
    }

    fn demand(&self, class: ClassId) -> Option<Demand> {
        let spec = self.specs.get(class.0 as usize)?;
        Some(Demand { is_open: true, slots: spec.slots, max: spec.max, ..Demand::default() })
    }
}

/// Knative's rule: a stable and a panic window over concurrency, target 70 %.
#[derive(Debug)]
pub(super) struct Kpa {
    constants: Constants,
    specs: Vec<ClassSpec>,
    times: KpaTimes,
    has_stems: bool,
    memory: Vec<KpaMemory>,
}

impl Kpa {
    /// The rule with all times divided by `speed`; above 1 with a stem pool.
    pub(super) fn new(constants: Constants, specs: Vec<ClassSpec>, speed: u64) -> Self {
        let memory = specs.iter().map(|_| KpaMemory::default()).collect();
        Self { constants, specs, times: KpaTimes::default().faster(speed), has_stems: speed > 1, memory }
    }
}

impl Mind for Kpa {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (at, class, spec, gauge) in each(look, &self.specs) {
            let Some(memory) = self.memory.get_mut(at) else { continue };
            let count = KpaCount {
                living: gauge.living,
                ready: gauge.ready,
                concurrency: gauge.concurrency,
                slots: spec.slots,
                least: spec.min,
                most: spec.max,
            };
            let cells = memory.look(look.now, &self.times, count);
            orders.push(Order::Target { class, cells, from_stems: self.has_stems });
        }
        if self.has_stems {
            refill(&self.constants, look, orders);
        }
        Some(look.now + self.times.tick)
    }
}

/// Kubernetes' rule over concurrency (requests in slots and in the queue, which tells it more than
/// processors' utilisation would), target 70 %.
#[derive(Debug)]
pub(super) struct Hpa {
    specs: Vec<ClassSpec>,
    memory: Vec<HpaMemory>,
}

#[derive(Debug, Default)]
struct HpaMemory {
    last: Option<(Nanos, f64)>,
    wishes: VecDeque<(Nanos, u32)>,
}

/// Share of its slots that a cell should use.
const HPA_TARGET: f64 = 0.7;
const HPA_TICK: Nanos = Nanos::from_millis(15_000);
const HPA_DOWN: Nanos = Nanos::from_millis(300_000);

impl Hpa {
    pub(super) fn new(specs: Vec<ClassSpec>) -> Self {
        let memory = specs.iter().map(|_| HpaMemory::default()).collect();
        Self { specs, memory }
    }
}

impl HpaMemory {
    fn look(&mut self, now: Nanos, gauge: &Gauge, spec: &ClassSpec) -> u32 {
        let (at, then) = self.last.replace((now, gauge.concurrency)).unwrap_or((now, gauge.concurrency));
        let seconds = now.since(at).0 as f64 / 1e9;
        let living = gauge.living.max(1);
        let slots = f64::from(living * spec.slots);
        let used = if seconds > 0.0 { (gauge.concurrency - then) / seconds / slots } else { HPA_TARGET };
        let ratio = used / HPA_TARGET;
        let wish =
            if (0.9..=1.1).contains(&ratio) { living } else { libm::ceil(f64::from(living) * ratio) as u32 };
        self.wishes.push_back((now, wish));
        let oldest = Nanos(now.0.saturating_sub(HPA_DOWN.0));
        while self.wishes.front().is_some_and(|(at, _)| *at < oldest) {
            self.wishes.pop_front();
        }
        let held = self.wishes.iter().map(|(_, wish)| *wish).max().unwrap_or(wish);
        // Up at once, by twice or by four; down only as far as the whole window agrees.
        let cells = if wish > living { wish.min((living * 2).max(living + 4)) } else { held.min(living) };
        cells.clamp(spec.min, spec.max)
    }
}

impl Mind for Hpa {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (at, class, spec, gauge) in each(look, &self.specs) {
            let Some(memory) = self.memory.get_mut(at) else { continue };
            let cells = memory.look(look.now, gauge, spec);
            orders.push(Order::Target { class, cells, from_stems: false });
        }
        Some(look.now + HPA_TICK)
    }
}

/// Has what will be needed.
#[derive(Debug)]
pub(super) struct Oracle {
    constants: Constants,
    specs: Vec<ClassSpec>,
}

impl Oracle {
    pub(super) fn new(constants: Constants, specs: Vec<ClassSpec>) -> Self {
        Self { constants, specs }
    }
}

impl Mind for Oracle {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (_, class, spec, gauge) in each(look, &self.specs) {
            let cells = (libm::ceil(gauge.need) as u32).clamp(spec.min, spec.max);
            orders.push(Order::Target { class, cells, from_stems: true });
        }
        refill(&self.constants, look, orders);
        Some(look.now + Nanos::from_millis(20))
    }
}

/// Always the same number.
#[derive(Debug)]
pub(super) struct Static {
    specs: Vec<ClassSpec>,
    cells: u32,
}

impl Static {
    pub(super) fn new(specs: Vec<ClassSpec>, cells: u32) -> Self {
        Self { specs, cells }
    }
}

impl Mind for Static {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (_, class, ..) in each(look, &self.specs) {
            orders.push(Order::Target { class, cells: self.cells, from_stems: false });
        }
        Some(look.now + Nanos::from_millis(100))
    }
}
