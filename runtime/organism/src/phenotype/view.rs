//! The picture of all hosts.

use std::collections::BTreeMap;

use cyte_dna::{GeneName, Role, limits};
use serde::{Deserialize, Serialize};

use super::event::{Epoch, Event, HostId, Record};
use super::seen::Seen;
use super::tissue::{Counts, Latest, State, Tissue};
use crate::lineage::CellId;
use crate::wish::Labels;

/// A host of which nothing was heard for longer than this is marked stale, in milliseconds.
pub const STALE_MS: u64 = 5_000;

/// A fold over records. Two views of the same records are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    hosts: BTreeMap<HostId, Host>,
    /// Records not taken up because a bound was reached: hosts, or genes of a host.
    pub unseen: u64,
}

/// What is known of one host, in its present life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its present life.
    pub epoch: Epoch,
    seen: Seen,
    /// The newest time that a record of its own carried, in milliseconds since 1970.
    pub heard_ms: u64,
    /// The newest time at which somebody said that it is gone.
    pub gone_ms: Option<u64>,
    /// What it said of itself when it came up.
    pub labels: Option<Latest<Labels>>,
    tissues: BTreeMap<Option<GeneName>, Tissue>,
    /// Cells that are gone, by the record that said so, until nothing older can come.
    buried: BTreeMap<u64, (Option<GeneName>, CellId)>,
}

impl Host {
    /// Whether it is up, as far as is known: it spoke later than anybody said that it is gone.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.gone_ms.is_none_or(|gone| self.heard_ms > gone)
    }

    /// Whether what is known of it may be old.
    #[must_use]
    pub fn is_stale(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.heard_ms) > STALE_MS
    }

    /// What is known of a gene there; `None` asks for its stems.
    #[must_use]
    pub fn tissue(&self, gene: Option<&GeneName>) -> Option<&Tissue> {
        // The map's key owns its name, so that a borrowed one has to become one.
        self.tissues.get(&gene.cloned())
    }

    /// All tissues, stems (`None`) first, then by gene.
    pub fn tissues(&self) -> impl Iterator<Item = (Option<&GeneName>, &Tissue)> {
        self.tissues.iter().map(|(gene, tissue)| (gene.as_ref(), tissue))
    }

    fn tissue_mut(&mut self, gene: Option<&GeneName>) -> Option<&mut Tissue> {
        let key = gene.cloned();
        if !self.tissues.contains_key(&key) && self.tissues.len() > limits::GENES {
            return None;
        }
        Some(self.tissues.entry(key).or_default())
    }

    /// Folds one record of this host's own; false where a bound was reached.
    fn fold(&mut self, record: &Record) -> bool {
        if let Event::HostUp { labels } = &record.event {
            Latest::renew(&mut self.labels, record, labels.clone());
            return true;
        }
        if matches!(record.event, Event::HostDown { .. } | Event::Note { .. }) {
            return true;
        }
        if let Event::Differentiated { stem: Some(stem), .. } = record.event
            && let Some(stems) = self.tissue_mut(None)
        {
            stems.put(record.number, stem, Latest::of(record, State::Gone));
            self.buried.insert(record.number, (None, stem));
        }
        let Some(tissue) = self.tissue_mut(record.gene.as_ref()) else {
            return false;
        };
        if tissue.fold(record)
            && let Some(cell) = record.cell
        {
            self.buried.insert(record.number, (record.gene.clone(), cell));
        }
        true
    }

    fn forget_the_gone(&mut self) {
        let settled = self.seen.settled();
        while let Some(first) = self.buried.first_entry()
            && *first.key() <= settled
        {
            let (gene, cell) = first.remove();
            if let Some(tissue) = self.tissues.get_mut(&gene) {
                tissue.forget(cell);
            }
        }
    }
}

impl View {
    /// Folds one record. Says whether it had an effect: it had not been seen, belongs to the
    /// host's present life, and no bound was in its way.
    pub fn fold(&mut self, record: &Record) -> bool {
        let Some(host) = self.host_in(record.host, record.epoch) else {
            return false;
        };
        if !host.seen.take(record.number) {
            return false;
        }
        let is_farewell = matches!(&record.event, Event::HostDown { host, .. } if *host == record.host);
        if !is_farewell {
            host.heard_ms = host.heard_ms.max(record.at_ms);
        }
        let taken = host.fold(record);
        host.forget_the_gone();
        if !taken {
            self.unseen = self.unseen.saturating_add(1);
        }
        if let Event::HostDown { host, epoch } = &record.event
            && let Some(gone) = self.host_in(*host, *epoch)
        {
            gone.gone_ms = gone.gone_ms.max(Some(record.at_ms));
        }
        taken
    }

    /// The host in this life. A newer life ends all that was known of the one before; an older one
    /// is over.
    fn host_in(&mut self, id: HostId, epoch: Epoch) -> Option<&mut Host> {
        if !self.hosts.contains_key(&id) && self.hosts.len() >= limits::ROSTER_HOSTS && !self.evict() {
            self.unseen = self.unseen.saturating_add(1);
            return None;
        }
        let host = self.hosts.entry(id).or_default();
        if host.epoch < epoch {
            *host = Host { epoch, ..Host::default() };
        }
        (host.epoch == epoch).then_some(host)
    }

    /// Makes room by forgetting the host that has been gone for longest.
    fn evict(&mut self) -> bool {
        let gone = self.hosts.iter().filter(|(_, host)| !host.is_up());
        let longest = gone.min_by_key(|(id, host)| (host.heard_ms, **id)).map(|(id, _)| *id);
        longest.is_some_and(|id| self.hosts.remove(&id).is_some())
    }

    /// All hosts ever heard of, by id; see [`Host::is_up`].
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.hosts.iter().map(|(id, host)| (*id, host))
    }

    /// One host.
    #[must_use]
    pub fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(&id)
    }

    /// What is known of a gene on one host; `None` for its stems.
    #[must_use]
    pub fn tissue(&self, host: HostId, gene: Option<&GeneName>) -> Option<&Tissue> {
        self.host(host)?.tissue(gene)
    }

    /// Cells of a gene on every host that is up, hosts without any left out.
    pub fn by_host(&self, gene: &GeneName) -> impl Iterator<Item = (HostId, Counts)> {
        let key = Some(gene.clone());
        let up = self.hosts().filter(|(_, host)| host.is_up());
        up.filter_map(move |(id, host)| Some((id, host.tissues.get(&key)?.counts())))
            .filter(|(_, counts)| *counts != Counts::default())
    }

    /// Cells by gene (`None` = stems) over all hosts that are up.
    #[must_use]
    pub fn by_gene(&self) -> BTreeMap<Option<&GeneName>, Counts> {
        self.tally(|gene, _| gene)
    }

    /// Cells by role (`None` = stems) over all hosts that are up.
    #[must_use]
    pub fn by_role(&self) -> BTreeMap<Option<Role>, Counts> {
        self.tally(|_, tissue| tissue.role.as_ref().map(|role| role.value))
    }

    fn tally<'a, K: Ord>(
        &'a self,
        key: impl Fn(Option<&'a GeneName>, &'a Tissue) -> K,
    ) -> BTreeMap<K, Counts> {
        let mut all = BTreeMap::new();
        for (_, host) in self.hosts().filter(|(_, host)| host.is_up()) {
            for (gene, tissue) in host.tissues() {
                let counts = tissue.counts();
                let sum: &mut Counts = all.entry(key(gene, tissue)).or_default();
                sum.alive = sum.alive.saturating_add(counts.alive);
                sum.dying = sum.dying.saturating_add(counts.dying);
            }
        }
        all
    }
}
