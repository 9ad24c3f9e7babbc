//! At which pace a queue moves: what a newcomer may expect.

use crate::Nanos;

/// Steps that must have been seen before anything is said.
const SEEN_MIN: u32 = 4;
/// What one step counts in the mean of them, as a part.
const PART: u64 = 8;
/// What was seen before nobody waited for so long tells nothing: other cells, another load.
const FORGOTTEN_AFTER: Nanos = Nanos::from_millis(1_000);

/// How long it takes until the next one gets a cell, while somebody waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When somebody got a cell last, and others waited on.
    last: Option<Nanos>,
    /// When somebody who had waited got a cell last.
    noted: Nanos,
    mean: Nanos,
    seen: u32,
}

impl Pace {
    /// Somebody who waited got a cell; `others_wait` on. While nobody does there are no steps.
    pub(super) fn note(&mut self, now: Nanos, others_wait: bool) {
        if let Some(last) = self.last {
            let step = now.since(last).0;
            let mean = self.mean.0;
            self.mean = Nanos(if self.seen == 0 { step } else { mean - mean / PART + step / PART });
            self.seen = self.seen.saturating_add(1);
        } else if now.since(self.noted) >= FORGOTTEN_AFTER {
            self.seen = 0;
        }
        self.last = others_wait.then_some(now);
        self.noted = now;
    }

    /// How long one waits whom `ahead` others precede; `None` while too little is known.
    pub(super) fn wait(&self, ahead: usize, now: Nanos) -> Option<Nanos> {
        let is_fresh = self.last.is_some() || now.since(self.noted) < FORGOTTEN_AFTER;
        if self.seen < SEEN_MIN || !is_fresh {
            return None;
        }
        // A step that takes longer than the others is one that takes longer.
        let step = self.last.map_or(self.mean, |last| self.mean.max(now.since(last)));
        Some(Nanos(step.0.saturating_mul(ahead as u64).saturating_add(self.mean.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_moves_evenly_tells_how_long_it_takes() {
        let ms = Nanos::from_millis;
        let mut pace = Pace::default();
        for step in 0..4 {
            pace.note(ms(100 + step * 7), true);
            assert_eq!(pace.wait(9, ms(121)), None, "{step}");
        }
        pace.note(ms(128), true);
        assert_eq!(pace.wait(9, ms(128)), Some(ms(70)));
        assert_eq!(pace.wait(0, ms(130)), Some(ms(7)));
        assert!(pace.wait(9, ms(150)) > Some(ms(190)), "nobody got a cell for a while");
        for step in 0..30 {
            pace.note(ms(128 + step * 2), true);
        }
        assert!(pace.wait(9, ms(186)) < Some(ms(22)), "it became faster");
    }

    #[test]
    fn the_time_without_a_queue_is_no_step_and_a_long_one_forgets() {
        let ms = Nanos::from_millis;
        let mut pace = Pace::default();
        (0..5).for_each(|step| pace.note(ms(step * 10), step < 4));
        assert_eq!(pace.wait(4, ms(600)), Some(ms(50)), "nobody waited meanwhile");
        assert_eq!(pace.wait(4, ms(1_040)), None);
        pace.note(ms(2_000), true);
        assert_eq!(pace.wait(4, ms(2_010)), None, "it begins anew");
    }
}
