//! Birth records: every cell has an id, a mother, a generation and a niche (seed 001).
//!
//! A *niche* is a cell's place in the family tree. A one-use cell leaves its niche to a successor of
//! the next generation, which is neither a birth nor a death; a cell that is added opens a niche of
//! its own.

use serde::{Deserialize, Serialize};

/// A cell's number within its gene on this host, counted from 1 and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId(pub u64);

/// A place in the family tree, numbered like cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Niche(pub u64);

/// What is known of a cell from the moment it has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The cell's own number.
    pub id: CellId,
    /// Who divided to make it; `None` for the first cell of a gene.
    pub mother: Option<CellId>,
    /// The niche that the mother held.
    pub mother_niche: Option<Niche>,
    /// How many predecessors held the same niche before it.
    pub generation: u64,
    /// The place it holds.
    pub niche: Niche,
}

/// Hands out birth records for one gene.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    born: u64,
    vacant: Vec<Birth>,
}

/// Niches remembered for successors; more are forgotten, which only restarts their generation count.
const VACANT_MAX: usize = 4_096;

impl Lineage {
    /// A new cell: it takes over a vacant niche if there is one, else it opens its own as a daughter
    /// of `mother`.
    pub fn birth(&mut self, mother: Option<&Birth>) -> Birth {
        let id = self.next();
        match self.vacant.pop() {
            Some(gone) => Birth { id, generation: gone.generation + 1, ..gone },
            None => Self::open(id, mother),
        }
    }

    /// A new cell in a niche of its own, as a daughter of `mother`.
    pub fn add(&mut self, mother: Option<&Birth>) -> Birth {
        Self::open(self.next(), mother)
    }

    fn next(&mut self) -> CellId {
        self.born += 1;
        CellId(self.born)
    }

    fn open(id: CellId, mother: Option<&Birth>) -> Birth {
        Birth {
            id,
            mother: mother.map(|mother| mother.id),
            mother_niche: mother.map(|mother| mother.niche),
            generation: 0,
            niche: Niche(id.0),
        }
    }

    /// A one-use cell served: its niche is free for a successor.
    pub fn vacate(&mut self, birth: Birth) {
        if self.vacant.len() < VACANT_MAX {
            self.vacant.push(birth);
        }
    }

    /// The last holders of the niches that wait for a successor.
    pub fn vacant(&self) -> &[Birth] {
        &self.vacant
    }

    /// Gives up a vacant niche; whether it was vacant.
    pub fn abandon(&mut self, niche: Niche) -> bool {
        let at = self.vacant.iter().position(|gone| gone.niche == niche);
        at.map(|at| self.vacant.swap_remove(at)).is_some()
    }

    /// How many cells were born so far.
    pub fn born(&self) -> u64 {
        self.born
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_inherits_niche_and_mother() {
        let mut lineage = Lineage::default();
        let first = lineage.birth(None);
        let second = lineage.birth(Some(&first));
        assert_eq!((second.mother, second.generation), (Some(first.id), 0));
        lineage.vacate(second);
        let heir = lineage.birth(Some(&first));
        assert_eq!((heir.niche, heir.mother, heir.generation), (second.niche, second.mother, 1));
        assert_ne!(heir.id, second.id);
        lineage.vacate(heir);
        assert!(!lineage.abandon(first.niche) && lineage.abandon(heir.niche));
        let added = lineage.birth(Some(&first));
        assert_eq!((added.niche, added.mother_niche), (Niche(added.id.0), Some(first.niche)));
    }
}
