//! How many ready cells a tissue should hold: enough that the next request finds one, no more
//! than its recent peak needs, so that memory comes back after a burst.
//!
//! This is the resting half of the law; growth under load is decided where the load is felt
//! ([`crate::fast::Tissue::offer`] makes a cell at once while there is room).

use serde::Serialize;

use crate::Nanos;

/// Ready cells kept in front of a gene whose cells serve one request each: the next request should
/// not pay for its cell's making.
pub const SPARES_MAX: u32 = 4;

/// How long a tissue's peak is remembered before surplus cells retire.
pub const PEAK_WINDOW: Nanos = Nanos::from_millis(10_000);

/// What the governor saw of one tissue at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Cells ready and unused or kept.
    pub ready: u32,
    /// Cells working.
    pub busy: u32,
    /// Most cells working at once since the last sample.
    pub busy_peak: u32,
    /// Fewest cells the DNA wants alive.
    pub min: u32,
    /// Most cells the bounds allow.
    pub max: u32,
    /// Whether a cell of this gene serves one request only.
    pub one_use: bool,
    /// Whether anything was asked of the tissue since the last sample.
    pub active: bool,
}

/// What should be done about one tissue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Cells to make ready ahead of need.
    pub prepare: u32,
    /// Ready cells to retire.
    pub retire: u32,
}

/// The memory of one tissue's recent peak: two windows, so that forgetting is never abrupt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balance {
    window_start: Nanos,
    peak: u32,
    peak_before: u32,
}

impl Balance {
    /// Decides one tissue at `now`.
    pub fn decide(&mut self, now: Nanos, sample: Sample) -> Target {
        self.remember(now, sample.busy_peak.max(sample.busy));
        let alive = sample.ready + sample.busy;
        let floor = sample.min.min(sample.max);
        let peak = self.peak.max(self.peak_before);
        let spares = if sample.one_use && peak > 0 { peak.min(SPARES_MAX) } else { 0 };
        let wanted_ready = spares.max(floor.saturating_sub(sample.busy));
        let room = sample.max.saturating_sub(alive);
        let prepare = wanted_ready.saturating_sub(sample.ready).min(room);
        let ceiling = peak.max(floor).max(sample.busy + spares);
        Target { prepare, retire: alive.saturating_sub(ceiling).min(sample.ready) }
    }

    /// Whether a look at the clock could still change anything: a peak is left to forget.
    pub fn is_settled(&self) -> bool {
        self.peak == 0 && self.peak_before == 0
    }

    fn remember(&mut self, now: Nanos, busy: u32) {
        if now.since(self.window_start) >= PEAK_WINDOW {
            self.peak_before = self.peak;
            self.peak = 0;
            self.window_start = now;
        }
        self.peak = self.peak.max(busy);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(ready: u32, busy: u32, one_use: bool) -> Sample {
        Sample { ready, busy, busy_peak: busy, min: 0, max: 64, one_use, active: true }
    }

    #[test]
    fn memory_comes_back_after_a_burst() {
        let mut balance = Balance::default();
        assert_eq!(balance.decide(Nanos(0), sample(0, 40, false)), Target::default());
        assert_eq!(balance.decide(Nanos::from_millis(20), sample(40, 0, false)).retire, 0);
        let later = Nanos::from_millis(10_001);
        assert_eq!(balance.decide(later, sample(40, 0, false)).retire, 0, "the last window still counts");
        let much_later = Nanos::from_millis(20_002);
        assert_eq!(balance.decide(much_later, sample(40, 0, false)).retire, 40);
    }

    #[test]
    fn one_use_genes_keep_spares_while_they_are_asked_for() {
        let mut balance = Balance::default();
        assert_eq!(balance.decide(Nanos(0), sample(0, 2, true)).prepare, 2);
        assert_eq!(Balance::default().decide(Nanos(0), sample(0, 0, true)).prepare, 0);
    }

    proptest! {
        /// Never above the bound, never below the minimum, and never both more and fewer.
        #[test]
        fn targets_stay_inside_the_bounds(ready in 0u32..80, busy in 0u32..80, min in 0u32..80, max in 0u32..80, one_use: bool, at in 0u64..1 << 40) {
            let mut balance = Balance::default();
            let target = balance.decide(Nanos(at), Sample { ready, busy, busy_peak: busy, min, max, one_use, active: true });
            prop_assert!(target.prepare == 0 || target.retire == 0);
            prop_assert!(target.prepare == 0 || ready + busy + target.prepare <= max);
            prop_assert!(ready + busy - target.retire.min(ready + busy) >= min.min(max).min(ready + busy));
            prop_assert!(target.retire <= ready);
        }
    }
}
