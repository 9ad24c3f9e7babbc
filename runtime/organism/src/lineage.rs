//! Birth records: every cell has an id, a mother, a generation and a niche (seed 001).
//!
//! A *niche* is a cell's place in the family tree. A cell that retires after its last use leaves
//! its niche to a successor of the next generation; a cell that is added opens a niche of its own.

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
    /// A new cell: it takes over a vacant niche if a cell retired from one, else it opens its own.
    ///
    /// `divider` is the cell whose division makes it, usually the youngest that is alive.
    pub fn birth(&mut self, divider: Option<CellId>) -> Birth {
        self.born += 1;
        let id = CellId(self.born);
        match self.vacant.pop() {
            Some(gone) => {
                Birth { id, mother: gone.mother, generation: gone.generation + 1, niche: gone.niche }
            }
            None => Birth { id, mother: divider, generation: 0, niche: Niche(self.born) },
        }
    }

    /// A cell retired after its last use: its niche is free for a successor.
    pub fn vacate(&mut self, birth: Birth) {
        if self.vacant.len() < VACANT_MAX {
            self.vacant.push(birth);
        }
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
        let second = lineage.birth(Some(first.id));
        assert_eq!((second.mother, second.generation), (Some(first.id), 0));
        lineage.vacate(second);
        let heir = lineage.birth(Some(first.id));
        assert_eq!((heir.niche, heir.mother, heir.generation), (second.niche, second.mother, 1));
        assert_ne!(heir.id, second.id);
    }
}
