//! Several hosts: this host's part in the colony, and what it means for its governor.
//!
//! The decisions are `cyte_organism::colony`'s. Here they meet the medium, the recorder and the governor:
//! [`Colonist`] is the task that carries messages, records and time to them and performs what comes
//! back; [`Commons`] is what it lets the governor know. The governor never waits for it.
//! [`Overflow`] carries requests that one host has no room for to another. [`Village`] holds the hosts of one process.

mod colonist;
mod overflow;
mod village;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use cyte_dna::{GeneName, Scope};
use cyte_medium::{Inbox, Station};
use cyte_organism::colony::handover::GivenUp;
use cyte_organism::dice::Key;
use cyte_organism::phenotype::HostId;
use cyte_organism::wish::{Count, Wish};
use serde::Serialize;
use serde_json::Value;

pub use colonist::{Around, Colonist};
pub use overflow::{Carried, Overflow, Way};
pub use village::Village;

/// A host's place among others.
pub struct Seat {
    /// Its name, for people.
    pub name: String,
    /// Its way to the others.
    pub station: Station,
    /// What they tell it.
    pub inbox: Inbox,
    /// All hosts by name, this one included.
    pub roster: BTreeMap<HostId, String>,
    /// The organism's key for draws that all hosts agree on.
    pub key: Key,
    /// The seed of this host's own draws.
    pub seed: u64,
    /// Where it is said for people what becomes of other hosts.
    pub tell: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a host does for the organism of one gene that is counted over all hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Cells that this host answers for.
    pub least: u32,
    /// Cells that it may have; `None` = as many as it holds.
    pub most: Option<u32>,
}

/// What the colony lets the governor and whoever looks know; replaced whole.
#[derive(Debug, Default)]
pub struct Commons {
    shares: RwLock<Arc<BTreeMap<GeneName, Share>>>,
    given_up: RwLock<Arc<Vec<GivenUp>>>,
    seen: RwLock<Arc<Value>>,
}

impl Commons {
    /// This host's part of a wish: one that is counted over all hosts becomes one of this host's own,
    /// of as many cells as it answers for and at most its part of all. Every other stays.
    #[must_use]
    pub fn part_of(&self, wish: &Wish) -> Wish {
        let mut part = wish.clone();
        if wish.scope == Scope::Network {
            let shares = Arc::clone(&self.shares.read().unwrap_or_else(PoisonError::into_inner));
            let Share { least, most } = shares.get(&wish.gene).copied().unwrap_or_default();
            (part.scope, part.count) = (Scope::Local, Count { min: least, max: most.or(wish.count.max) });
        }
        part
    }

    /// What this host answered for, could not start and does not claim yet.
    #[must_use]
    pub fn given_up(&self) -> Arc<Vec<GivenUp>> {
        Arc::clone(&self.given_up.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The other hosts as this one sees them.
    #[must_use]
    pub fn seen(&self) -> Arc<Value> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes new shares; says whether they differ.
    fn set_shares(&self, shares: BTreeMap<GeneName, Share>) -> bool {
        let mut kept = self.shares.write().unwrap_or_else(PoisonError::into_inner);
        let differs = **kept != shares;
        if differs {
            *kept = Arc::new(shares);
        }
        differs
    }

    fn set_given_up(&self, given_up: Vec<GivenUp>) {
        *self.given_up.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(given_up);
    }

    fn set_seen(&self, seen: Value) {
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_over_all_hosts_becomes_this_hosts_part_and_others_stay() {
        let gene: GeneName = "shop".parse().unwrap();
        let mut wish = Wish { scope: Scope::Network, count: Count::range(3, 5), ..Wish::new(gene.clone()) };
        let commons = Commons::default();
        assert_eq!(commons.part_of(&wish).count, Count::range(0, 5), "nothing was claimed yet");
        let share = Share { least: 1, most: Some(2) };
        assert!(commons.set_shares([(gene.clone(), share)].into()));
        assert!(!commons.set_shares([(gene, share)].into()));
        let part = commons.part_of(&wish);
        assert_eq!((part.scope, part.count), (Scope::Local, Count::range(1, 2)));
        wish.scope = Scope::Local;
        assert_eq!(commons.part_of(&wish), wish);
    }
}
