//! The recorder: what happens on this host, and what its tissues count, as records of the phenotype
//! in `phenotype.redb`.
//!
//! Whoever tells it something only puts it into a bounded buffer. A thread of its own folds it into the
//! view at once and commits a second after the first event that waits: one durable write a second
//! while something happens, none while nothing does. Before each commit it looks at the tissues:
//! requests and renewals travel as sums, births one by one. While the sums move it looks again every
//! second; then it sleeps until something is told, or until the governor, which sleeps as long as
//! nothing happens, gives it a [`Recorder::nudge`].
//!
//! A disk that takes nothing stops nobody: events wait in memory, the oldest are dropped and counted, one
//! warning says so, and it is tried again until it works. It never decides anything.

mod keeper;
mod pulse;
mod telling;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cyte_dna::limits::OBSERVED_WAITING;
use cyte_organism::phenotype::{HostId, Record};
use cyte_organism::wish::Labels;
use cyte_store::PhenotypeStore;
use serde::Serialize;
use tokio::sync::mpsc::Sender;

use crate::event::Happening;
use keeper::Keeper;
pub use pulse::{Look, Observed, Seen, Sums};
use telling::Told;
pub use telling::value;

/// How long the end of a host waits for the last commit.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where a host's records go, and what they say of it.
#[derive(Debug, Clone)]
pub struct Diary {
    /// The file, `phenotype.redb`.
    pub path: PathBuf,
    /// The host, as its key says.
    pub host: HostId,
    /// What constraints can ask of it.
    pub labels: Labels,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// How long events wait for a commit.
    pub every: Duration,
}

/// How the recorder does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The number of the newest event in the store; 0 = none, or the file is not open.
    pub newest: u64,
    /// Events that wait for a commit.
    pub waiting: usize,
    /// Events lost because the disk took none.
    pub dropped: u64,
    /// Commits that wrote something since the start.
    pub commits: u64,
    /// Why the last attempt to write failed; none while it works.
    pub failing: Option<String>,
}

/// The recorder of one host.
#[derive(Debug, Default)]
pub struct Recorder {
    shared: Mutex<Shared>,
    /// Rings for the thread, and at the end for whoever waits for it.
    changed: Condvar,
    is_nudged: AtomicBool,
    store: OnceLock<Arc<PhenotypeStore>>,
    copies: OnceLock<Sender<Record>>,
    sums: OnceLock<Sender<Sums>>,
}

/// What is handed to the thread.
#[derive(Debug, Default)]
struct Shared {
    told: VecDeque<Told>,
    dropped: u64,
    commits: u64,
    failing: Option<String>,
    stage: Stage,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No thread yet.
    #[default]
    Waiting,
    Running,
    /// Asked to write what waits and to end.
    Ending,
    Ended,
}

impl Recorder {
    /// A recorder that only remembers, until it is started.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes down what happened at `at_ms`. Never waits for the disk.
    pub fn tell(&self, at_ms: u64, what: &Happening) {
        let Some(told) = Told::of(at_ms, what) else { return self.nudge() };
        let mut shared = self.lock();
        shared.told.push_back(told);
        while shared.told.len() > OBSERVED_WAITING {
            shared.told.pop_front();
            shared.dropped = shared.dropped.saturating_add(1);
        }
        drop(shared);
        self.changed.notify_one();
    }

    /// Somebody is awake: it may be worth a look at the tissues. Costs one load where that was said
    /// already.
    pub fn nudge(&self) {
        if !self.is_nudged.load(Ordering::Relaxed) && !self.is_nudged.swap(true, Ordering::AcqRel) {
            // Through the lock, so that the thread is not between its look and its sleep.
            drop(self.lock());
            self.changed.notify_one();
        }
    }

    /// Gives a copy of every record of this host to `copies`, once it is started; only the first
    /// counts.
    pub fn copy_to(&self, copies: Sender<Record>) {
        let _ = self.copies.set(copies);
    }

    /// Tells `sums` what is counted in each second in which anything is, once it is started; only the
    /// first counts, and one that does not keep up misses some.
    pub fn sum_to(&self, sums: Sender<Sums>) {
        let _ = self.sums.set(sums);
    }

    /// Starts the thread that keeps records in the file of `diary`, of what is told and of `tissues`.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(self: &Arc<Self>, diary: Diary, tissues: Vec<Arc<dyn Observed>>) -> io::Result<()> {
        let recorder = Arc::clone(self);
        let mut keeper = Keeper::new(diary, tissues);
        keeper.copy_to(self.copies.get().cloned(), self.sums.get().cloned());
        std::thread::Builder::new().name("phenotype".into()).spawn(move || recorder.run(keeper))?;
        let mut shared = self.lock();
        if shared.stage == Stage::Waiting {
            shared.stage = Stage::Running;
        }
        Ok(())
    }

    /// The store, once it is open.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<PhenotypeStore>> {
        self.store.get()
    }

    /// How it does.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let (waiting, dropped) = self.store().map_or((0, 0), |store| store.backlog());
        let newest = self.store().map_or(0, |store| store.newest());
        let shared = self.lock();
        Condition {
            newest,
            waiting: waiting + shared.told.len(),
            dropped: dropped.saturating_add(shared.dropped),
            commits: shared.commits,
            failing: shared.failing.clone(),
        }
    }

    /// Writes what waits and ends the thread; waits a moment for both.
    pub fn finish(&self) {
        let mut shared = self.lock();
        if shared.stage != Stage::Running {
            return;
        }
        shared.stage = Stage::Ending;
        self.changed.notify_all();
        let waits = |shared: &mut Shared| shared.stage != Stage::Ended;
        // A disk that hangs does not keep the host from ending; what waited is lost then.
        drop(self.changed.wait_timeout_while(shared, LAST_WORDS, waits));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut keeper: Keeper) {
        keeper.open(Instant::now());
        loop {
            self.publish(&keeper);
            let is_ending = self.wait(&keeper);
            let is_nudged = self.is_nudged.swap(false, Ordering::AcqRel);
            let now = Instant::now();
            let is_time = is_ending || keeper.is_due(now);
            // Until a store is open what is told stays in the buffer, inside its bound.
            if keeper.store().is_some() || (is_time && keeper.open(now)) {
                let told = std::mem::take(&mut self.lock().told);
                keeper.take(told, is_nudged, now);
                if is_time {
                    keeper.keep(now);
                }
            }
            if is_ending {
                self.publish(&keeper);
                self.lock().stage = Stage::Ended;
                return self.changed.notify_all();
            }
        }
    }

    /// Says how it went.
    fn publish(&self, keeper: &Keeper) {
        if let Some(store) = keeper.store() {
            self.store.get_or_init(|| Arc::clone(store));
        }
        let mut shared = self.lock();
        shared.commits = keeper.commits();
        shared.failing = keeper.failing().map(str::to_owned);
    }

    /// Waits until there is something to do; says whether it is the end.
    fn wait(&self, keeper: &Keeper) -> bool {
        let sleeps = |shared: &mut Shared| {
            let has_news = keeper.store().is_some() && !shared.told.is_empty();
            // Where a commit is due anyway a nudge is not worth another waking.
            let is_nudged = keeper.due().is_none() && self.is_nudged.load(Ordering::Acquire);
            !has_news && !is_nudged && shared.stage != Stage::Ending
        };
        let shared = self.lock();
        let shared = match keeper.due() {
            None => self.changed.wait_while(shared, sleeps).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let patience = due.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(shared, patience, sleeps);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        shared.stage == Stage::Ending
    }
}

#[cfg(test)]
mod tests;
