//! The restart budget: how soon a gene whose cells die young is tried again.
//!
//! A cell that served or lived for a while is replaced at once. One that dies before that makes the
//! next attempt wait, twice as long each time; too many of them within a minute are a crash loop,
//! which is tried with one cell a minute until that one settles.

use std::collections::{BTreeMap, VecDeque};

use cyte_dna::{GeneName, limits};

use crate::Nanos;
use crate::phenotype::Cause;

/// A cell that lived this long, or served once, was no failed start.
pub const SETTLED: Nanos = Nanos::from_millis(10_000);
/// The wait after the first failed start; it doubles with each one in a row.
pub const BACKOFF: Nanos = Nanos::from_millis(100);
/// The longest wait below a crash loop.
pub const BACKOFF_MAX: Nanos = Nanos::from_millis(30_000);
/// Failed starts within [`RESTART_WINDOW`] that make a crash loop.
pub const RESTARTS: usize = 5;
/// The window of the restart budget.
pub const RESTART_WINDOW: Nanos = Nanos::from_millis(60_000);
/// The wait in a crash loop.
pub const CRASH_LOOP_PAUSE: Nanos = Nanos::from_millis(limits::CRASH_LOOP_PAUSE_MS);

/// What is remembered of failed starts, by gene.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts(BTreeMap<GeneName, Trouble>);

/// A gene in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// When starts failed, oldest first; at most [`RESTARTS`].
    recent: VecDeque<Nanos>,
    /// Failed starts since one settled.
    pub(super) in_a_row: u32,
    /// Not tried before.
    pub(super) again: Nanos,
    /// Whether the budget is spent.
    pub(super) is_crash_loop: bool,
    /// Why the last one died.
    pub(super) cause: Cause,
}

impl Attempts {
    /// A cell of `gene`, born at `born`, died at `now` after `uses` messages. `draw` is any random
    /// number; it spreads the wait by a quarter either way, so that hosts do not retry in step.
    pub fn died(&mut self, now: Nanos, gene: &GeneName, cause: Cause, born: Nanos, uses: u64, draw: u64) {
        if uses > 0 || now.since(born) >= SETTLED {
            self.settled(gene);
            return;
        }
        if cause.is_fault() {
            self.failed(now, gene, cause, draw);
        }
    }

    /// A start of `gene` failed, or its cell died young.
    pub fn failed(&mut self, now: Nanos, gene: &GeneName, cause: Cause, draw: u64) {
        let fresh =
            || Trouble { recent: VecDeque::new(), in_a_row: 0, again: now, is_crash_loop: false, cause };
        let trouble = self.0.entry(gene.clone()).or_insert_with(fresh);
        trouble.cause = cause;
        trouble.in_a_row = trouble.in_a_row.saturating_add(1);
        trouble.recent.push_back(now);
        while trouble.recent.len() > RESTARTS {
            trouble.recent.pop_front();
        }
        let spent = trouble.recent.len() == RESTARTS
            && trouble.recent.front().is_some_and(|first| now.since(*first) <= RESTART_WINDOW);
        trouble.is_crash_loop |= spent;
        let doubled = BACKOFF.0.saturating_mul(1 << (trouble.in_a_row - 1).min(20));
        let wait = if trouble.is_crash_loop { CRASH_LOOP_PAUSE.0 } else { doubled.min(BACKOFF_MAX.0) };
        trouble.again = now + Nanos(wait - wait / 4 + draw % (wait / 2 + 1));
    }

    /// A cell of `gene` served, or lived long enough: the gene is well.
    pub fn settled(&mut self, gene: &GeneName) {
        self.0.remove(gene);
    }

    /// The gene's definition changed or it left the DNA: what was is no reason to wait.
    pub fn forget(&mut self, gene: &GeneName) {
        self.0.remove(gene);
    }

    pub(super) fn trouble(&self, gene: &GeneName) -> Option<&Trouble> {
        self.0.get(gene)
    }
}
