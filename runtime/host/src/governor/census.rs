//! Births and deaths in sums: at most one event of each kind, gene and second.
//!
//! Pure: the time is handed in.

use cyte_dna::limits;
use cyte_organism::Nanos;

/// How long a gene's births and deaths are gathered before they are told again.
const EVERY: Nanos = Nanos::from_millis(1_000);

/// What there is to tell of each tissue.
#[derive(Debug)]
pub(super) struct Census {
    tissues: Vec<Tally>,
    second: u64,
    told: u64,
}

/// One tissue's.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    born_told: u64,
    died: u64,
    next: Nanos,
}

/// What happened since it was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) born: u64,
    pub(super) died: u64,
}

impl Census {
    pub(super) fn new(tissues: usize) -> Self {
        Self { tissues: vec![Tally::default(); tissues], second: 0, told: 0 }
    }

    /// Whether a death may be told by itself, with its reason: so many a second may.
    pub(super) fn may_tell(&mut self, now: Nanos) -> bool {
        let second = now.as_millis() / 1_000;
        if second != self.second {
            (self.second, self.told) = (second, 0);
        }
        self.told += 1;
        self.told <= limits::DEATHS_TOLD_PER_S
    }

    /// A cell of tissue `at` died, and this was not told by itself.
    pub(super) fn died(&mut self, at: usize) {
        if let Some(tally) = self.tissues.get_mut(at) {
            tally.died += 1;
        }
    }

    /// What is to be told of tissue `at`, of which `born` cells were born so far; with `is_last`
    /// because nobody will ask for a while.
    pub(super) fn take(&mut self, at: usize, now: Nanos, born: u64, is_last: bool) -> Option<Change> {
        let tally = self.tissues.get_mut(at)?;
        let change = Change { born: born.saturating_sub(tally.born_told), died: tally.died };
        let is_quiet = change.born == 0 && change.died == 0;
        if is_quiet || (now < tally.next && !is_last) {
            return None;
        }
        *tally = Tally { born_told: born, died: 0, next: now + EVERY };
        Some(change)
    }
}
