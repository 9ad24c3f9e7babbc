//! Births, deaths and decisions in sums: at most one event of each kind, gene and second.
//!
//! Pure: the time is handed in.

use cyte_dna::limits;
use cyte_organism::Nanos;
use cyte_organism::law::{Act, Cause, Trace};

use crate::event::Happening;

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
#[derive(Debug, Clone, Default)]
struct Tally {
    born_told: u64,
    died: u64,
    next: Nanos,
    deeds: Vec<Deed>,
}

/// What the law decided about one gene for one reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Deed {
    is_birth: bool,
    cause: Cause,
    count: u32,
    /// What was known at the last of them.
    trace: Trace,
    next: Nanos,
}

impl Deed {
    pub(super) fn happening(&self, gene: &str) -> Happening {
        let (born, ended) = if self.is_birth { (self.count, 0) } else { (0, self.count) };
        let (cause, why) = (self.cause.to_string(), self.trace.to_string());
        let Trace { living, wanted, felt_fast, .. } = self.trace;
        Happening::Regulated {
            gene: gene.to_owned(),
            born,
            ended,
            cause,
            living,
            wanted_permille: (wanted * 1e3) as u64,
            felt_permille: (felt_fast * 1e3) as i64,
            why,
        }
    }
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
        (tally.born_told, tally.died, tally.next) = (born, 0, now + EVERY);
        Some(change)
    }

    /// The law decided this about one cell of tissue `at`.
    pub(super) fn decided(&mut self, at: usize, act: Act, cause: Cause, trace: Trace) {
        let Some(tally) = self.tissues.get_mut(at) else { return };
        let is_birth = !matches!(act, Act::Die { .. });
        let known = tally.deeds.iter_mut().find(|deed| deed.is_birth == is_birth && deed.cause == cause);
        match known {
            Some(deed) => (deed.count, deed.trace) = (deed.count + 1, trace),
            None => tally.deeds.push(Deed { is_birth, cause, count: 1, trace, next: Nanos(0) }),
        }
    }

    /// What is to be told of the law's decisions about tissue `at`; `is_last` as in [`Self::take`].
    pub(super) fn take_deeds(&mut self, at: usize, now: Nanos, is_last: bool) -> Vec<Deed> {
        let Some(tally) = self.tissues.get_mut(at) else { return Vec::new() };
        let is_due = |deed: &&mut Deed| deed.count > 0 && (now >= deed.next || is_last);
        let told = |deed: &mut Deed| {
            let told = *deed;
            (deed.count, deed.next) = (0, now + EVERY);
            told
        };
        tally.deeds.iter_mut().filter(is_due).map(told).collect()
    }
}
