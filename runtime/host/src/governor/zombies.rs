//! Cells that are stuck: found by their pongs, judged where the DNA names a judge, and ended.
//!
//! A judge is asked and never waited for: its word comes as an event of its own, or that it has none.
//! Whoever has no judge, or one that does not answer in time, ends.

use std::collections::BTreeMap;

use cyte_dna::{GeneName, limits};
use cyte_engine::{Verdict, Zombie};
use cyte_organism::Nanos;

use super::Governor;
use crate::event::Happening;

/// Who says what becomes of a cell that is stuck.
pub trait Judge: Send + Sync {
    /// Asks about a cell of `gene`; the answer is told as [`Event::Judged`](super::Event::Judged). Never
    /// waits.
    fn ask(&self, gene: &GeneName, found: &Zombie);
}

/// The judge, and what it was asked and has not answered.
#[derive(Default)]
pub(super) struct Court {
    judge: Option<Box<dyn Judge>>,
    /// Since when, by gene and cell.
    open: BTreeMap<(GeneName, u64), Nanos>,
}

impl Court {
    pub(super) fn new(judge: Option<Box<dyn Judge>>) -> Self {
        Self { judge, open: BTreeMap::new() }
    }

    /// Whether somebody says what becomes of this cell, now or soon.
    fn takes(&mut self, now: Nanos, gene: &GeneName, found: &Zombie) -> bool {
        let Some(judge) = &self.judge else { return false };
        let case = (gene.clone(), found.cell);
        let patience = Nanos::from_millis(limits::VERDICT_MS);
        match self.open.get(&case) {
            Some(since) if now.since(*since) <= patience + patience => true,
            // Its word was lost on the way.
            Some(_) => {
                self.open.remove(&case);
                false
            }
            None => {
                judge.ask(gene, found);
                self.open.insert(case, now);
                true
            }
        }
    }
}

impl Governor {
    /// Cells that are stuck end, unless a judge is asked about them; who wants one gets a successor as
    /// after any other death.
    pub(super) fn find_zombies(&mut self, now: Nanos) {
        for population in &self.populations {
            for found in population.ping(now) {
                if !self.court.takes(now, population.gene(), &found) {
                    self.events.record(zombie(population.gene(), found.clone()));
                    population.bury(found.cell);
                }
            }
        }
    }

    /// What the judge said of a cell; `None` where it said nothing.
    pub(super) fn judged(&mut self, gene: &GeneName, found: Zombie, said: Option<Verdict>) {
        self.court.open.remove(&(gene.clone(), found.cell));
        if said == Some(Verdict::Spare) {
            let silent_ms = found.silent.as_millis();
            self.events.record(Happening::ZombieSpared {
                gene: gene.to_string(),
                cell: found.cell,
                silent_ms,
            });
        } else if let Some(population) = self.place_of(gene).and_then(|at| self.populations.get(at)) {
            population.bury(found.cell);
            self.events.record(zombie(gene, found));
        }
    }
}

fn zombie(gene: &GeneName, found: Zombie) -> Happening {
    let Zombie { cell, silent, last } = found;
    Happening::Zombie { gene: gene.to_string(), cell, silent_ms: silent.as_millis(), last }
}
