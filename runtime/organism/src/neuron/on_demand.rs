//! On demand: no free slot, a cell at once; what the last second's peak did not need retires.

use std::collections::{BTreeMap, VecDeque};

use super::{Look, Order, Watch};
use crate::Nanos;

/// How far back a peak keeps cells.
const KEPT_FOR: Nanos = Nanos::from_millis(1_000);

/// Looks remembered of that time at most; a host looks every 20 ms, reflexes more often.
const LOOKS_MAX: usize = 1_000;

/// What the rule needs to know of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// Cells ready and pending.
    pub(crate) living: u32,
    pub(crate) pending: u32,
    pub(crate) queued: u32,
    /// Most messages inside and waiting at once since the last look.
    pub(crate) peak: u32,
    pub(crate) slots: u32,
    pub(crate) least: u32,
    pub(crate) most: u32,
}

/// What the rule remembers of a class: the peaks of its looks.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    peaks: VecDeque<(Nanos, u32)>,
}

impl Memory {
    /// How many cells there are to be.
    pub(crate) fn look(&mut self, now: Nanos, count: Count) -> u32 {
        self.peaks.push_back((now, count.peak));
        let is_old = |(at, _): &(Nanos, u32)| now.since(*at) >= KEPT_FOR;
        while self.peaks.len() > LOOKS_MAX || self.peaks.front().is_some_and(is_old) {
            self.peaks.pop_front();
        }
        let slots = count.slots.max(1);
        let peak = self.peaks.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
        let kept = peak.div_ceil(slots).max(count.least).min(count.most);
        // Those who still wait beyond what is on its way get cells of their own.
        let unserved = count.queued.saturating_sub(count.pending.saturating_mul(slots));
        let wanted = count.living.saturating_add(unserved.div_ceil(slots));
        let cells = if unserved > 0 { wanted } else { kept.min(count.living).max(count.least) };
        cells.min(count.most)
    }
}

/// The rule for all classes of a host.
#[derive(Debug, Default)]
pub struct OnDemand {
    classes: BTreeMap<String, Memory>,
}

impl Watch for OnDemand {
    fn watch(&mut self, look: &Look) -> Vec<Order> {
        self.classes.retain(|gene, _| look.classes.iter().any(|class| class.gene == *gene));
        let orders = look.classes.iter().map(|class| {
            let memory = self.classes.entry(class.gene.clone()).or_default();
            let count = Count {
                living: class.living(),
                pending: class.pending,
                queued: class.queued,
                peak: class.peak,
                slots: class.slots,
                least: class.least,
                most: class.most,
            };
            Order::target(&class.gene, memory.look(look.host.now(), count))
        });
        orders.collect()
    }
}
