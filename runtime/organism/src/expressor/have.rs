//! What there is, as far as an expressor needs it.

use std::collections::BTreeMap;

use cyte_dna::GeneName;

use crate::phenotype::{HostId, View};

/// Cells of one gene.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Had {
    /// Alive on this host.
    pub here: u32,
    /// Started on this host and not alive yet.
    pub pending: u32,
    /// Alive on other hosts that are up.
    pub elsewhere: u32,
    /// The other host that has most of them; among equals the one with the highest id.
    pub largest: Option<(u32, HostId)>,
}

impl Had {
    /// Alive or on the way on this host.
    #[must_use]
    pub fn committed(&self) -> u32 {
        self.here.saturating_add(self.pending)
    }
}

/// Cells by gene.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Have(BTreeMap<GeneName, Had>);

impl Have {
    /// What `view` knows, seen from host `me`. Cells that are ending do not count.
    #[must_use]
    pub fn of(view: &View, me: HostId) -> Self {
        let mut have = Have::default();
        for (id, host) in view.hosts().filter(|(id, host)| *id == me || host.is_up()) {
            for (gene, tissue) in host.tissues() {
                let (Some(gene), alive) = (gene, tissue.counts().alive) else { continue };
                if alive == 0 {
                    continue;
                }
                let had = have.0.entry(gene.clone()).or_default();
                if id == me {
                    had.here = alive;
                } else {
                    had.elsewhere = had.elsewhere.saturating_add(alive);
                    had.largest = had.largest.max(Some((alive, id)));
                }
            }
        }
        have
    }

    /// Sets what is known of one gene.
    pub fn set(&mut self, gene: GeneName, had: Had) {
        self.0.insert(gene, had);
    }

    /// Notes cells that were started here and are not in the view yet.
    pub fn add_pending(&mut self, gene: &GeneName, cells: u32) {
        let had = self.0.entry(gene.clone()).or_default();
        had.pending = had.pending.saturating_add(cells);
    }

    /// Cells of a gene; none where nothing is known.
    #[must_use]
    pub fn get(&self, gene: &GeneName) -> Had {
        self.0.get(gene).copied().unwrap_or_default()
    }

    /// All genes of which anything is known, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&GeneName, Had)> {
        self.0.iter().map(|(gene, had)| (gene, *had))
    }
}
