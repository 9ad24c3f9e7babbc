//! Want minus have: which pieces of what is wanted are missing here, and which are too many (seed
//! 000, "Gene Expression": "read the definitions, read the platform state, subtract one from the
//! other").
//!
//! [`express`] is a pure function. Per gene an [`Expressor`], plugged in by kind, says how many
//! cells a wish means on this host; the subtraction, constraints, companions, order of priority,
//! the random pick and the restart budget are the same for all. Every gene that has fewer cells than
//! wanted gets one [`Missing`] with a reason and the time of the next attempt.
//!
//! A gene that grows by hormones has at least `min` cells from here and at most `max`; what lies
//! between is the law's ([`crate::law`]). A gene that comes as a companion is ruled from
//! here alone.
//!
//! Never here: starting or stopping anything; that is the control plane's, through the host.

mod attempts;
mod have;
mod plan;

use std::collections::BTreeMap;
use std::fmt;

use cyte_dna::Scope;

use crate::wish::{Kind, Wish};

pub use attempts::{Attempts, BACKOFF, BACKOFF_MAX, CRASH_LOOP_PAUSE, RESTART_WINDOW, RESTARTS, SETTLED};
pub use have::{Had, Have};
pub use plan::{Draw, Missing, Piece, Plan, Reason, Round, Surplus, Switch, express};

/// Where cells are counted against a want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// On this host.
    Here,
    /// Over all hosts that are up.
    Everywhere,
    /// On all other hosts; here there must be none.
    Elsewhere,
}

/// How many cells a wish means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Fewer are missing.
    pub least: u32,
    /// More are too many.
    pub most: u32,
    /// Where they are counted.
    pub counted: Counted,
    /// Whether the wish's constraints are asked.
    pub constrained: bool,
}

/// One kind of expressor: what a wish of its kind means on a host.
pub trait Expressor: fmt::Debug + Send + Sync {
    /// The kind of wish that it understands.
    fn kind(&self) -> Kind;

    /// What `wish` means on this host, given what there is.
    fn want(&self, wish: &Wish, have: &Have) -> Want;
}

/// A number of cells inside a range.
#[derive(Debug, Clone, Copy, Default)]
pub struct PopulationExpressor;

impl Expressor for PopulationExpressor {
    fn kind(&self) -> Kind {
        Kind::population()
    }

    fn want(&self, wish: &Wish, _have: &Have) -> Want {
        let counted = match wish.scope {
            Scope::Local => Counted::Here,
            Scope::Network => Counted::Everywhere,
            Scope::Remote => Counted::Elsewhere,
        };
        Want { least: wish.count.min, most: wish.count.most(), counted, constrained: true }
    }
}

/// The simplest one, part of the base platform: "It selects any gene that is marked for cell
/// expression, and creates a single instance of it", on every host, always.
#[derive(Debug, Clone, Copy, Default)]
pub struct CellGeneExpressor;

impl Expressor for CellGeneExpressor {
    fn kind(&self) -> Kind {
        Kind::cell()
    }

    fn want(&self, _wish: &Wish, _have: &Have) -> Want {
        Want { least: 1, most: 1, counted: Counted::Here, constrained: false }
    }
}

/// The expressors of a host, by kind.
#[derive(Debug)]
pub struct Expressors(BTreeMap<Kind, Box<dyn Expressor>>);

impl Default for Expressors {
    /// Population and cell gene expressor: what every host has.
    fn default() -> Self {
        let mut all = Expressors(BTreeMap::new());
        all.plug(Box::new(PopulationExpressor));
        all.plug(Box::new(CellGeneExpressor));
        all
    }
}

impl Expressors {
    /// Adds one, in place of another of its kind.
    pub fn plug(&mut self, expressor: Box<dyn Expressor>) {
        self.0.insert(expressor.kind(), expressor);
    }

    /// The expressor of a kind.
    #[must_use]
    pub fn get(&self, kind: &Kind) -> Option<&dyn Expressor> {
        self.0.get(kind).map(AsRef::as_ref)
    }

    /// The kinds there are.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests;
