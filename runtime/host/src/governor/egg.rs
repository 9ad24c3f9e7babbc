//! The egg in the governor's loop: when it divides, who its first drone is, and that one drone stays.
//!
//! Three core cells are the least that an organism rests at. Two of them are the host's own code and
//! never end; the third is a cell of Wasm. Where the law would let the last one go, which no wish
//! keeps, it sees a minimum of one for its gene; where the last one died, a new one is prepared, unless
//! cells of that gene die young. A gene that is counted over several hosts, or that not every host may hold, is left alone:
//! what it needs here is the expressor's.

use std::sync::Arc;

use cyte_organism::law::HostSample;
use cyte_organism::{Nanos, Phase};

use super::Governor;
use crate::egg::{Egg, Spark};

/// How soon a drone that could not be made is tried again, at the earliest.
const DRONE_AGAIN: Nanos = Nanos::from_millis(1_000);

/// What the governor knows of the core cells.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) egg: Arc<Egg>,
    /// Whose eldest cell is the third of them, as a place among the tissues.
    drone: Option<usize>,
    /// When one was prepared last.
    tried: Option<Nanos>,
}

impl Core {
    pub(super) fn new(egg: Arc<Egg>) -> Self {
        Self { egg, drone: None, tried: None }
    }
}

impl Governor {
    /// Wakes the organism where something lives or was asked, and lets the egg divide; says whether it
    /// did just now.
    pub(super) fn wake(&mut self, now: Nanos) -> bool {
        let was_awake = self.is_awake;
        self.is_awake |= !self.homeostasis.is_dormant();
        if !self.is_awake || self.core.egg.has_borne() {
            return false;
        }
        let seen = self.homeostasis.seen();
        let is_asked = seen.iter().any(|seen| seen.tally.arrived > 0);
        let spark = match (was_awake, is_asked) {
            (true, _) => Spark::Dna,
            (false, true) => Spark::Request,
            (false, false) => Spark::Wish,
        };
        let has_divided = self.core.egg.divide(now, spark);
        let born = |asked: bool| {
            seen.iter().position(|seen| seen.tally.born > 0 && (seen.tally.arrived > 0) == asked)
        };
        let first = born(true).or_else(|| born(false));
        let Some(at) = first else { return has_divided };
        if let (Some(population), Some(seen)) = (self.populations.get(at), seen.get(at)) {
            // Cells and niches are counted from 1 alike, so the lowest niche is the first cell's.
            let first = seen.cells.first().map_or(1, |cell| cell.niche.0);
            self.core.egg.bears(population.gene(), first);
        }
        has_divided
    }

    /// Sees to it that one drone stays: the one there is, else a new one. Says whether one was made.
    pub(super) fn keep_a_drone(&mut self, now: Nanos) -> bool {
        if !self.is_awake {
            return false;
        }
        let lives = |at: &usize| {
            let seen = self.homeostasis.seen().get(*at);
            seen.is_some_and(|seen| seen.cells.iter().any(|cell| cell.phase != Phase::Draining))
        };
        let may = |at: &usize| {
            self.populations.get(*at).is_some_and(|population| self.expression.may_keep(population.gene()))
        };
        let all = || 0..self.populations.len();
        let of = |fits: &dyn Fn(&usize) -> bool| self.core.drone.filter(fits).or_else(|| all().find(fits));
        let living = of(&|at| lives(at) && may(at));
        let chosen = living.or_else(|| of(&may));
        if chosen != self.core.drone {
            self.core.drone = chosen;
            let gene = chosen.and_then(|at| self.populations.get(at)).map(|population| population.gene());
            self.core.egg.keeps(gene);
        }
        // Where a wish keeps a drone, the others may go.
        let is_met = self.homeostasis.seen().iter().any(|seen| seen.least > 0);
        if let Some(seen) = living.and_then(|at| self.homeostasis.seen_mut().get_mut(at)) {
            seen.least = seen.least.max(u32::from(!is_met));
            return false;
        }
        self.bear_a_drone(now, chosen)
    }

    fn bear_a_drone(&mut self, now: Nanos, of: Option<usize>) -> bool {
        let may_try = self.core.tried.is_none_or(|tried| now.since(tried) >= DRONE_AGAIN);
        let Some(population) = of.filter(|_| may_try).and_then(|at| self.populations.get(at)) else {
            return false;
        };
        if !self.expression.allows_spares(population.gene()) {
            return false;
        }
        population.prepare(1);
        self.core.tried = Some(now);
        true
    }

    /// Tells once that the pool has as many stems as the DNA wants, or as there is room for.
    pub(super) fn tell_stems(&mut self, host: HostSample) {
        let goal = self.homeostasis.constants().stems_goal(0);
        let is_full = host.stems >= goal || (host.room == 0 && host.stems > 0);
        if is_full {
            self.core.egg.raised(host.stems);
        }
    }
}
