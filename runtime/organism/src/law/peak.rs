//! The most messages that a class held lately: what keeps a cell that was needed a moment ago.
//!
//! Averages say how many cells are needed in the mean; whoever ends all others makes the next wave of
//! chance wait, and a cell for it anew (a class whose load is around two cells was born and died with
//! every such wave, four times as often as it needed).

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::constants::PEAK_WINDOW;

/// Parts of the window: one is filled, the others are full.
const PARTS: usize = 4;

/// The peaks of the last [`PEAK_WINDOW`], to a third of it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Peak {
    parts: [u32; PARTS],
    filled: u64,
}

impl Peak {
    /// So many messages were inside and waiting at once since the last look.
    pub(super) fn note(&mut self, now: Nanos, most: u32) {
        let part = now.0 / (PEAK_WINDOW.0 / (PARTS as u64 - 1));
        for stale in (self.filled.saturating_add(1)..=part).take(PARTS) {
            if let Some(old) = self.parts.get_mut(stale as usize % PARTS) {
                *old = 0;
            }
        }
        self.filled = part;
        if let Some(current) = self.parts.get_mut(part as usize % PARTS) {
            *current = most.max(*current);
        }
    }

    /// The most of them.
    pub(super) fn most(&self) -> u32 {
        self.parts.iter().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_remembered_for_its_window_and_then_forgotten() {
        let at = |part: u64| Nanos(PEAK_WINDOW.0 / 3 * part);
        let mut peak = Peak::default();
        peak.note(at(10), 9);
        for part in 11..14 {
            peak.note(at(part), 2);
            assert_eq!(peak.most(), 9, "{part}");
        }
        peak.note(at(14), 1);
        assert_eq!(peak.most(), 2);
        peak.note(at(1_000), 0);
        assert_eq!(peak.most(), 0);
    }
}
