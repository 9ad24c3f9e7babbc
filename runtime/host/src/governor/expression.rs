//! Expression in the governor's loop: what is wanted minus what there is, and what is to be done
//! about it.
//!
//! The subtraction is `cyte_organism::expressor::express`; here it gets its facts, in the moments in
//! which it could come to something else than before, and its plan is kept for whoever asks why. The
//! hormone law rules between a wish's ends: it never sees a minimum that is not met yet
//! ([`Expression::as_met`]), so that only one of the two acts.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use cyte_dna::{GeneName, Scope};
use cyte_organism::Nanos;
use cyte_organism::dice::Dice;
use cyte_organism::expressor::{
    Attempts, Expressors, Had, Have, Missing, Plan, Reason, Round, SETTLED, Switch, express,
};
use cyte_organism::phenotype::{Cause, HostId};
use cyte_organism::wish::Wish;

use super::{Population, Tally};
use crate::colony::Commons;
use crate::wishes::{InForce, Wishes};

/// How often it is looked whether a gene in trouble is well again.
const WELL_AGAIN: Nanos = Nanos::from_millis(1_000);
/// How soon a piece for which there was no room is tried again.
const NO_ROOM_AGAIN: Nanos = Nanos::from_millis(1_000);

/// What is known of the last round, for `cyte why`.
#[derive(Debug, Default)]
pub struct Outlook {
    missing: RwLock<Arc<Vec<Missing>>>,
}

impl Outlook {
    /// Every gene that had fewer cells than wanted when this was last looked at.
    #[must_use]
    pub fn missing(&self) -> Arc<Vec<Missing>> {
        Arc::clone(&self.missing.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, missing: Vec<Missing>) {
        *self.missing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(missing);
    }
}

/// What expression is made from that stays the same.
pub struct Pressure {
    /// What is wanted.
    pub wishes: Arc<Wishes>,
    /// Whether anything is started ahead of a request.
    pub switch: Switch,
    /// Where the plan is kept for whoever asks.
    pub outlook: Arc<Outlook>,
    /// How many cells more the host could hold.
    pub room: Box<dyn Fn() -> u32 + Send>,
    /// The seed of all draws.
    pub seed: u64,
    /// What this host does for the organism, where there are several hosts.
    pub commons: Option<Arc<Commons>>,
}

impl std::fmt::Debug for Pressure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pressure").field("switch", &self.switch).finish_non_exhaustive()
    }
}

/// Expression of one host.
#[derive(Debug)]
pub(super) struct Expression {
    pressure: Pressure,
    expressors: Expressors,
    attempts: Attempts,
    /// Genes whose cells died young, which may have settled since.
    in_trouble: BTreeSet<GeneName>,
    /// What was looked at when nothing was to be done.
    before: Option<(u64, Vec<u32>)>,
    /// Genes that come as companions, by the wishes of a revision.
    brought: (u64, BTreeSet<GeneName>),
    /// When something is to be tried again.
    again: Option<Nanos>,
    dice: Dice,
}

/// What one look came to.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What is to be started and ended, and what is missing.
    pub(super) plan: Plan,
    /// The revision of the gene store that wanted it.
    pub(super) revision: u64,
    /// What is missing for another reason than before, and is not being started.
    pub(super) news: Vec<Missing>,
}

impl Expression {
    pub(super) fn new(pressure: Pressure) -> Self {
        Self {
            dice: Dice::new(pressure.seed),
            pressure,
            expressors: Expressors::default(),
            attempts: Attempts::default(),
            in_trouble: BTreeSet::new(),
            before: None,
            brought: (0, BTreeSet::new()),
            again: None,
        }
    }

    /// Whether cells may be started ahead of a request.
    fn is_on(&self) -> bool {
        self.pressure.switch == Switch::On
    }

    /// Whether a cell of `gene` may be made ahead of a request for another reason than a wish: not
    /// while they die young, that is the restart budget's.
    pub(super) fn allows_spares(&self, gene: &GeneName) -> bool {
        self.is_on() && !self.in_trouble.contains(gene)
    }

    /// Whether a last cell of `gene` may stay here though nothing wants it: not where its cells are
    /// counted over several hosts, or not every host may hold one.
    pub(super) fn may_keep(&self, gene: &GeneName) -> bool {
        let in_force = self.pressure.wishes.in_force();
        let is_shared = |wish: &Wish| self.pressure.commons.is_some() && wish.scope == Scope::Network;
        in_force
            .get(gene)
            .is_some_and(|wish| wish.count.max != Some(0) && wish.constraints.is_empty() && !is_shared(wish))
    }

    /// What is wanted changed: what went wrong with another wish is no reason to wait.
    pub(super) fn wished(&mut self) {
        for gene in std::mem::take(&mut self.in_trouble) {
            self.attempts.forget(&gene);
        }
        self.before = None;
    }

    /// Which part of what all hosts want is this one's changed.
    pub(super) fn shared(&mut self) {
        self.before = None;
    }

    /// A cell died.
    pub(super) fn died(&mut self, now: Nanos, gene: &GeneName, cause: Cause, born: Nanos, served: u64) {
        let draw = self.dice.bits();
        self.attempts.died(now, gene, cause, born, served, draw);
        if served == 0 && now.since(born) < SETTLED {
            self.in_trouble.insert(gene.clone());
        } else {
            self.in_trouble.remove(gene);
        }
        self.before = None;
    }

    /// What was missing when it was last looked at.
    #[cfg(test)]
    pub(super) fn missing(&self) -> Arc<Vec<Missing>> {
        self.pressure.outlook.missing()
    }

    /// When the next look is due, if anything waits for one.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.again
    }

    /// Looks at what is missing and what is too much. Nothing where nothing changed since nothing
    /// was to be done.
    pub(super) fn look(&mut self, now: Nanos, populations: &[Arc<dyn Population>]) -> Look {
        self.settle(populations);
        let in_force = self.pressure.wishes.in_force();
        let staying: Vec<u32> = populations.iter().map(|population| population.staying()).collect();
        let seen = (in_force.revision, staying);
        if self.before.as_ref() == Some(&seen) && self.again.is_none_or(|again| now < again) {
            return Look::default();
        }
        if self.brought.0 != in_force.revision {
            let brought = in_force.wishes.iter().flat_map(|wish| wish.companions.iter().cloned());
            self.brought = (in_force.revision, brought.collect());
        }
        let plan = self.subtract(now, &in_force, populations, &seen.1);
        let tried = plan.missing.iter().filter_map(|missing| tried_at(now, missing));
        let probes = populations
            .iter()
            .zip(&seen.1)
            .any(|(population, here)| *here > 0 && self.in_trouble.contains(population.gene()));
        self.again = tried.chain(probes.then_some(now + WELL_AGAIN)).min();
        let is_done = plan.start.is_empty() && plan.stop.is_empty();
        self.before = is_done.then_some(seen);
        let before = self.pressure.outlook.missing();
        let is_news = |missing: &&Missing| {
            missing.reason != Reason::Starting
                && !before.iter().any(|old| old.gene == missing.gene && is_kind(&old.reason, &missing.reason))
        };
        let news = plan.missing.iter().filter(is_news).cloned().collect();
        self.pressure.outlook.set(plan.missing.clone());
        Look { plan, revision: in_force.revision, news }
    }

    fn subtract(
        &mut self,
        now: Nanos,
        in_force: &InForce,
        populations: &[Arc<dyn Population>],
        staying: &[u32],
    ) -> Plan {
        let mut have = Have::default();
        for (population, here) in populations.iter().zip(staying) {
            // One cell of a gene in trouble is not there yet before it settled.
            let pending = u32::from(*here > 0 && self.in_trouble.contains(population.gene()));
            let had = Had { here: here - pending, pending, ..Had::default() };
            have.set(population.gene().clone(), had);
        }
        // A gene without a tissue, a task, lives when it is run and not by a wish.
        let lives = |wish: &&Wish| populations.iter().any(|population| *population.gene() == wish.gene);
        let part = |wish: &Wish| match &self.pressure.commons {
            Some(commons) => commons.part_of(wish),
            None => wish.clone(),
        };
        let wishes: Vec<Wish> = in_force.wishes.iter().filter(lives).map(part).collect();
        let labels = self.pressure.wishes.host_labels();
        let permits = (self.pressure.room)();
        let switch = self.pressure.switch;
        // What others have is in the commons' parts already: who this is makes no difference.
        let me = HostId(0);
        let round = Round { now, me, labels, wishes: &wishes, have: &have, permits, switch };
        let dice = &mut self.dice;
        express(&round, &self.expressors, &self.attempts, &mut || dice.bits())
    }

    /// Genes in trouble of which a cell lives long enough, or answered, are well again.
    fn settle(&mut self, populations: &[Arc<dyn Population>]) {
        if self.in_trouble.is_empty() {
            return;
        }
        for population in populations {
            let gene = population.gene();
            if self.in_trouble.contains(gene) && population.has_settled(SETTLED) {
                self.attempts.settled(gene);
                self.in_trouble.remove(gene);
                self.before = None;
            }
        }
    }

    /// The fewest cells of a tissue as the hormone law is to see it: a minimum that is not met is not
    /// its to meet, and companions are nobody's but the expressor's.
    pub(super) fn as_met(&self, gene: &GeneName, tally: &Tally) -> u32 {
        if self.brought.1.contains(gene) { tally.staying } else { tally.least.min(tally.staying) }
    }
}

/// Whether two reasons differ in their numbers at most: a count that rises with each death is no news.
fn is_kind(a: &Reason, b: &Reason) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// When a missing piece is looked at again, if by itself.
fn tried_at(now: Nanos, missing: &Missing) -> Option<Nanos> {
    match missing.reason {
        Reason::NoRoom => Some(now + NO_ROOM_AGAIN),
        _ => missing.again,
    }
}
