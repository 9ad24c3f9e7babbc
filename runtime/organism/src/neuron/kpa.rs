//! Knative's rule: a stable and a panic window over concurrency, with a wanted utilisation.
//!
//! Up at once (by a factor of 1,000 at most), down by half at most; while the panic window calls
//! for twice what serves, and for a stable window after, nothing shrinks.

use std::collections::{BTreeMap, VecDeque};

use super::{Look, Order, Watch};
use crate::Nanos;

/// The times of the rule and the utilisation it aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KpaTimes {
    /// How often it decides.
    pub tick: Nanos,
    /// The window of calm decisions.
    pub stable: Nanos,
    /// The window that calls for a hurry.
    pub panic: Nanos,
    /// Share of its slots that a cell should use, in thousandths, 1 to 1,000.
    pub utilisation_permille: u32,
}

impl Default for KpaTimes {
    /// Knative's own.
    fn default() -> Self {
        Self {
            tick: Nanos::from_millis(2_000),
            stable: Nanos::from_millis(60_000),
            panic: Nanos::from_millis(6_000),
            utilisation_permille: 700,
        }
    }
}

/// Times that do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimesError;

impl std::fmt::Display for TimesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the tick must be 1 ms or more, the panic window a tick or more, the stable window from the \
             panic window to 1,000 ticks, the utilisation from 1 to 1,000 thousandths",
        )
    }
}

impl std::error::Error for TimesError {}

impl KpaTimes {
    /// All times divided by `speed`; 0 counts as 1.
    pub fn faster(self, speed: u64) -> Self {
        let by = |span: Nanos| Nanos(span.0 / speed.max(1));
        Self { tick: by(self.tick), stable: by(self.stable), panic: by(self.panic), ..self }
    }

    /// Refuses times that do not fit together, or would remember without end.
    ///
    /// # Errors
    /// [`TimesError`].
    pub fn check(&self) -> Result<(), TimesError> {
        let fits = self.tick >= Nanos::from_millis(1)
            && self.panic >= self.tick
            && self.stable >= self.panic
            && self.stable.0 / self.tick.0 <= 1_000
            && (1..=1_000).contains(&self.utilisation_permille);
        if fits { Ok(()) } else { Err(TimesError) }
    }
}

/// What the rule needs to know of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// Cells ready and pending.
    pub(crate) living: u32,
    pub(crate) ready: u32,
    /// Slot-seconds so far, of messages inside and waiting.
    pub(crate) concurrency: f64,
    pub(crate) slots: u32,
    pub(crate) least: u32,
    pub(crate) most: u32,
}

/// What the rule remembers of a class.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Instants and the concurrency summed up until then.
    seen: VecDeque<(Nanos, f64)>,
    panicked: Option<Nanos>,
    panic_most: u32,
    /// What was decided last, and when.
    decided: Option<(Nanos, u32)>,
}

impl Memory {
    /// Mean concurrency over the last `window`, or since the start.
    fn mean(&self, now: Nanos, window: Nanos) -> f64 {
        let from = Nanos(now.0.saturating_sub(window.0));
        let Some((_, last)) = self.seen.back() else { return 0.0 };
        let Some((at, then)) = self.seen.iter().find(|(at, _)| *at >= from) else { return 0.0 };
        let seconds = now.since(*at).0 as f64 / 1e9;
        if seconds > 0.0 { (last - then) / seconds } else { 0.0 }
    }

    /// How many cells there are to be, from one look each tick.
    pub(crate) fn look(&mut self, now: Nanos, times: &KpaTimes, count: Count) -> u32 {
        let within = |cells: u32| cells.max(count.least).min(count.most);
        self.seen.push_back((now, count.concurrency));
        if self.seen.len() < 2 {
            // Nothing was measured yet.
            return within(count.living);
        }
        let oldest = Nanos(now.0.saturating_sub(times.stable.0));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(at, _)| *at < oldest) {
            self.seen.pop_front();
        }
        let used = f64::from(count.slots) * (f64::from(times.utilisation_permille) / 1_000.0);
        let wanted = |mean: f64| libm::ceil(mean / used) as u32;
        let ready = count.ready.max(1);
        let bound = |cells: u32| cells.clamp(ready / 2, ready.saturating_mul(1_000));
        let calm = bound(wanted(self.mean(now, times.stable)));
        let hurry = bound(wanted(self.mean(now, times.panic)));
        if hurry >= ready.saturating_mul(2) {
            self.panicked = Some(now);
        }
        let is_panic = self.panicked.is_some_and(|at| now.since(at) < times.stable);
        self.panic_most = if is_panic { self.panic_most.max(hurry).max(count.living) } else { 0 };
        within(if is_panic { self.panic_most } else { calm })
    }

    /// The same for a host that looks more often than the rule decides: in between, what was
    /// decided last holds.
    fn at_its_tick(&mut self, now: Nanos, times: &KpaTimes, count: Count) -> u32 {
        if let Some((at, cells)) = self.decided
            && now.since(at) < times.tick
        {
            return cells.max(count.least).min(count.most);
        }
        let cells = self.look(now, times, count);
        self.decided = Some((now, cells));
        cells
    }
}

/// The rule for all classes of a host.
#[derive(Debug, Default)]
pub struct Kpa {
    times: KpaTimes,
    classes: BTreeMap<String, Memory>,
}

impl Kpa {
    /// The rule with these times.
    ///
    /// # Errors
    /// [`TimesError`] where they do not fit together.
    pub fn new(times: KpaTimes) -> Result<Self, TimesError> {
        times.check()?;
        Ok(Self { times, classes: BTreeMap::new() })
    }
}

impl Watch for Kpa {
    fn watch(&mut self, look: &Look) -> Vec<Order> {
        self.classes.retain(|gene, _| look.classes.iter().any(|class| class.gene == *gene));
        let times = self.times;
        let orders = look.classes.iter().map(|class| {
            let memory = self.classes.entry(class.gene.clone()).or_default();
            let count = Count {
                living: class.living(),
                ready: class.ready,
                concurrency: class.concurrency_us as f64 / 1e6,
                slots: class.slots.max(1),
                least: class.least,
                most: class.most,
            };
            Order::target(&class.gene, memory.at_its_tick(look.host.now(), &times, count))
        });
        orders.collect()
    }
}
