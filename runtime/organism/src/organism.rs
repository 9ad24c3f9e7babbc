//! The heart: a pure state machine that the governor drives.
//!
//! `handle(now, stimulus, &mut responses)` and `next_deadline(now)` are its whole surface. Same
//! stimuli at the same times give the same responses.

use std::collections::BTreeMap;

use cyte_dna::GeneName;

use crate::{
    Nanos,
    homeostasis::{Balance, Sample},
};

/// How often tissues are looked at while anything is asked of them (design: one tick).
const TICK: Nanos = Nanos::from_millis(20);

/// How often they are looked at while a peak is still to be forgotten but nothing is asked.
const IDLE_TICK: Nanos = Nanos::from_millis(1_000);

/// What the organism can be told.
#[derive(Clone, Debug)]
pub enum Stimulus {
    /// One tissue as it was at the tick.
    Tissue(GeneName, Sample),
    /// A gene is no longer here.
    Gone(GeneName),
}

/// What the governor is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Make this many cells ready ahead of need.
    Prepare(GeneName, u32),
    /// Retire this many of the coldest ready cells.
    Retire(GeneName, u32),
}

/// All that one host decides, for all its genes.
#[derive(Debug, Default)]
pub struct Organism {
    balances: BTreeMap<GeneName, Balance>,
    active: bool,
}

impl Organism {
    /// Takes in one stimulus and appends what should be done about it.
    pub fn handle(&mut self, now: Nanos, stimulus: Stimulus, responses: &mut Vec<Response>) {
        match stimulus {
            Stimulus::Tissue(gene, sample) => {
                self.active |= sample.active || sample.busy > 0;
                let target = self.balances.entry(gene.clone()).or_default().decide(now, sample);
                if target.prepare > 0 {
                    responses.push(Response::Prepare(gene.clone(), target.prepare));
                }
                if target.retire > 0 {
                    responses.push(Response::Retire(gene, target.retire));
                }
            }
            Stimulus::Gone(gene) => {
                self.balances.remove(&gene);
            }
        }
    }

    /// When the tissues want to be looked at again; `None` while nothing would change, so that an
    /// idle host does not wake at all. Call once after a round of stimuli.
    pub fn next_deadline(&mut self, now: Nanos) -> Option<Nanos> {
        if std::mem::take(&mut self.active) {
            return Some(now + TICK);
        }
        let settled = self.balances.values().all(Balance::is_settled);
        (!settled).then_some(now + IDLE_TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gene() -> GeneName {
        "front".parse().expect("a valid name")
    }

    #[test]
    fn an_idle_organism_asks_for_no_tick() {
        let mut organism = Organism::default();
        let mut responses = Vec::new();
        let idle = Sample { ready: 0, busy: 0, busy_peak: 0, min: 0, max: 8, one_use: true, active: false };
        organism.handle(Nanos(0), Stimulus::Tissue(gene(), idle), &mut responses);
        assert_eq!((responses.len(), organism.next_deadline(Nanos(0))), (0, None));
    }

    #[test]
    fn the_same_stimuli_give_the_same_responses() {
        let run = || {
            let (mut organism, mut responses) = (Organism::default(), Vec::new());
            for at in 0..200u32 {
                let sample = Sample {
                    ready: at % 5,
                    busy: at % 7,
                    busy_peak: at % 11,
                    min: 1,
                    max: 16,
                    one_use: at % 2 == 0,
                    active: true,
                };
                organism.handle(
                    Nanos::from_millis(u64::from(at) * 130),
                    Stimulus::Tissue(gene(), sample),
                    &mut responses,
                );
            }
            responses
        };
        assert!(!run().is_empty());
        assert_eq!(run(), run());
    }
}
