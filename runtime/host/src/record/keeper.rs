//! The thread's own part: the store, the numbers of records, and when to write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cyte_dna::GeneName;
use cyte_dna::limits::{OBSERVED_AGE_MS, OBSERVED_BYTES, OBSERVED_WAITING};
use cyte_organism::lineage::CellId;
use cyte_organism::phenotype::{Epoch, Event, Record};
use cyte_store::{Opened, PhenotypeStore, Retention, SetAside, StoreError};

use tokio::sync::mpsc::Sender;

use super::Diary;
use super::pulse::{Observed, Pulse, Sums};
use super::telling::{Told, What};
use crate::state::clock::wall_ms;

/// How much longer than the usual the longest pause between two attempts at a disk that fails is.
const PAUSES_MAX: u32 = 8;

/// What the recorder's thread works with.
pub(super) struct Keeper {
    diary: Diary,
    pulses: Vec<Pulse>,
    store: Option<Arc<PhenotypeStore>>,
    epoch: Epoch,
    /// The number of the last record.
    number: u64,
    due: Option<Instant>,
    /// Failed attempts since the last that succeeded, as far as they lengthen the pause.
    failures: u32,
    failing: Option<String>,
    commits: u64,
    /// Who gets a copy of every record of this host.
    copies: Option<Sender<Record>>,
    /// Who is told the sums of every second.
    sums: Option<Sender<Sums>>,
}

impl Keeper {
    /// One that has not opened the file yet.
    pub(super) fn new(diary: Diary, tissues: Vec<Arc<dyn Observed>>) -> Self {
        let epoch = Epoch(diary.started_ms);
        Self {
            diary,
            pulses: tissues.into_iter().map(Pulse::new).collect(),
            store: None,
            epoch,
            number: 0,
            due: None,
            failures: 0,
            failing: None,
            commits: 0,
            copies: None,
            sums: None,
        }
    }

    /// Gives a copy of every record from here on, and the sums of every second, to whoever listens
    /// there; one that does not keep up misses some.
    pub(super) fn copy_to(&mut self, copies: Option<Sender<Record>>, sums: Option<Sender<Sums>>) {
        (self.copies, self.sums) = (copies, sums);
    }

    pub(super) fn store(&self) -> Option<&Arc<PhenotypeStore>> {
        self.store.as_ref()
    }

    /// When the next commit is due; never, until something is told.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn failing(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// Folds what was told; it waits for the next commit, which is due by then.
    pub(super) fn take(&mut self, told: VecDeque<Told>, is_nudged: bool, now: Instant) {
        if self.due.is_none() && (is_nudged || !told.is_empty()) {
            self.due = Some(now + self.diary.every);
        }
        for Told { at_ms, gene, cell, what } in told {
            let event = match what {
                What::Event(event) => event,
                What::Died(count) => {
                    self.of(gene.as_ref()).into_iter().for_each(|pulse| pulse.count_failed(count));
                    continue;
                }
                What::Farewell => Event::HostDown { host: self.diary.host, epoch: self.epoch },
            };
            if let (Event::Dead { .. }, Some(cell)) = (&event, cell) {
                self.of(gene.as_ref()).into_iter().for_each(|pulse| pulse.bury(cell));
            }
            self.append(at_ms, gene, cell, event);
        }
    }

    /// Opens the file, if it is not open. Where that does not go another attempt is due later.
    pub(super) fn open(&mut self, now: Instant) -> bool {
        let opened = match self.store {
            Some(_) => return true,
            None => PhenotypeStore::open(&self.diary.path, retention()),
        };
        match opened {
            Ok(Opened { store, set_aside }) => {
                self.begin(store);
                if let Some(SetAside { to, why }) = set_aside {
                    let to = to.display();
                    tracing::warn!(%to, %why, "what was observed before is damaged and was set aside");
                }
                self.due = Some(now + self.diary.every);
            }
            Err(error) => self.fail(&error, now),
        }
        self.store.is_some()
    }

    /// This host's life begins in the records.
    fn begin(&mut self, store: Arc<PhenotypeStore>) {
        // Rises even where the clock was put back: records of an older life would count as over.
        let before = store.view(|view| view.host(self.diary.host).map_or(Epoch(0), |host| host.epoch));
        self.epoch = Epoch(self.epoch.0.max(before.0.saturating_add(1)));
        self.store = Some(store);
        let labels = self.diary.labels.clone();
        self.append(self.diary.started_ms, None, None, Event::HostUp { labels });
    }

    /// Looks at the tissues and writes what waits.
    pub(super) fn keep(&mut self, now: Instant) {
        self.look();
        let Some(store) = &self.store else { return };
        match store.commit(wall_ms()) {
            Ok(written) => {
                self.commits = self.commits.saturating_add(u64::from(written > 0));
                self.recover();
                let goes_on = self.pulses.iter().any(Pulse::has_moved);
                self.due = goes_on.then(|| now + self.diary.every);
            }
            Err(error) => self.fail(&error, now),
        }
    }

    fn look(&mut self) {
        let at_ms = wall_ms();
        let (mut events, mut genes) = (Vec::new(), Vec::new());
        for pulse in &mut self.pulses {
            let gene = pulse.gene().clone();
            let beat = pulse.beat();
            if let Some(Event::Requests(sum)) = beat.first().map(|(_, event)| event) {
                genes.push((gene.clone(), *sum, pulse.living()));
            }
            events.extend(beat.into_iter().map(|(cell, event)| (gene.clone(), cell, event)));
        }
        if let Some(sums) = self.sums.as_ref().filter(|_| !genes.is_empty()) {
            drop(sums.try_send(Sums { at_ms, genes }));
        }
        for (gene, cell, event) in events {
            self.append(at_ms, Some(gene), cell, event);
        }
    }

    fn append(&mut self, at_ms: u64, gene: Option<GeneName>, cell: Option<CellId>, event: Event) {
        let Some(store) = &self.store else { return };
        let number = self.number.saturating_add(1);
        let record = Record { host: self.diary.host, epoch: self.epoch, number, at_ms, gene, cell, event };
        let copy = self.copies.as_ref().map(|copies| (copies, record.clone()));
        match store.append(record) {
            Ok(_) => {
                self.number = number;
                copy.into_iter().for_each(|(copies, record)| drop(copies.try_send(record)));
            }
            Err(error) => tracing::debug!(%error, "not recorded"),
        }
    }

    fn of(&mut self, gene: Option<&GeneName>) -> Option<&mut Pulse> {
        self.pulses.iter_mut().find(|pulse| Some(pulse.gene()) == gene)
    }

    fn fail(&mut self, error: &StoreError, now: Instant) {
        if self.failing.is_none() {
            tracing::warn!(
                "what happens cannot be kept: {error}; serving goes on, the newest {OBSERVED_WAITING} events wait in memory"
            );
        }
        self.failing = Some(error.to_string());
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + self.pause());
    }

    fn recover(&mut self) {
        self.failures = 0;
        if self.failing.take().is_some() {
            let lost = self.store().map_or(0, |store| store.backlog().1);
            tracing::warn!("what happens is kept again; events lost so far: {lost}");
        }
    }

    /// Longer with every failure in a row: an idle host does not try every second for ever.
    fn pause(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(PAUSES_MAX);
        self.diary.every * doubled.clamp(1, PAUSES_MAX)
    }
}

/// What a host keeps of what it observed.
fn retention() -> Retention {
    Retention {
        age_ms: OBSERVED_AGE_MS,
        bytes: OBSERVED_BYTES,
        waiting: OBSERVED_WAITING,
        ..Retention::default()
    }
}
