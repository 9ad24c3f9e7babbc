//! A host's policy: one kept cell that is asked for a verdict, or takes what its host has to say.
//!
//! Whoever asks is a task of its own that has the time; the governor's loop and requests never are. Calls
//! are made one after the other; a few wait, more are turned away at once. A cell that traps, breaks a
//! limit or is late ends, its death is told like any other, and a fresh one is asked after a pause that
//! doubles from 100 ms to 10 s while that goes on.
//!
//! Never here: what is done where there is no answer. That is the host's own default.

mod clerk;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex as Plain, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use cyte_dna::{Duty, GeneName, limits};
use cyte_organism::{Nanos, lineage::Lineage};
use serde::Serialize;
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use crate::{
    driver::Metered,
    error::{Breach, CallError},
    genome::{CellPre, DoorPre, Genome},
    host::CellHost,
    neuron::{Held, pause},
    obituary::obituary,
    vitals::Vitals,
};
use clerk::Clerk;
pub use clerk::{GeneCounts, SinkLine, Stuck, Verdict};

/// Why a policy gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many calls wait for it.
    #[error("too many calls wait for it")]
    Busy,
    /// Its cells ended badly, and it rests for a while.
    #[error("it rests after it failed")]
    Resting,
    /// Its cell ended by this call, or could not be made.
    #[error("{0}")]
    Failed(String),
}

/// A policy as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicySnapshot {
    /// Its gene.
    pub gene: String,
    /// What it does.
    pub duties: Vec<Duty>,
    /// The number of its cell, while one lives.
    pub cell: Option<u64>,
    /// Cells born so far.
    pub born: u64,
    /// Calls that ended well.
    pub calls: u64,
    /// Calls that ended badly, and its cell with them.
    pub failures: u64,
    /// Calls that were not made: too many waited, or it rested.
    pub skipped: u64,
    /// Why the last call failed, while none succeeded since.
    pub trouble: Option<String>,
}

/// The policy of one host.
pub struct Policy {
    pre: Arc<CellPre>,
    host: Arc<CellHost>,
    /// How many more calls may wait.
    room: Semaphore,
    desk: Mutex<Desk>,
    shown: Plain<PolicySnapshot>,
    skipped: AtomicU64,
}

/// What a call has to itself.
#[derive(Default)]
struct Desk {
    lineage: Lineage,
    clerk: Option<Box<Clerk>>,
    /// Failures in a row.
    streak: u32,
    rests_until: Option<Nanos>,
}

/// What is asked of a cell.
enum Work {
    Judge(Stuck),
    Lines(Vec<SinkLine>, u64),
    Counts(u64, Vec<GeneCounts>),
}

type Done = wasmtime::Result<(Box<Clerk>, Option<Verdict>)>;

impl Genome {
    /// The policy of this gene, which has no cell yet; `None` for a gene of another role.
    pub fn policy(&self, pre: Arc<CellPre>) -> Option<Arc<Policy>> {
        let gene = &pre.context.gene;
        let shown = PolicySnapshot {
            gene: gene.name.to_string(),
            duties: gene.policy.clone(),
            cell: None,
            born: 0,
            calls: 0,
            failures: 0,
            skipped: 0,
            trouble: None,
        };
        let is_policy = matches!(pre.door, DoorPre::Policy(_));
        is_policy.then(|| {
            Arc::new(Policy {
                host: self.host().clone(),
                room: Semaphore::new(limits::POLICY_CALLS),
                desk: Mutex::default(),
                shown: Plain::new(shown),
                skipped: AtomicU64::new(0),
                pre,
            })
        })
    }
}

impl Policy {
    /// The gene's name.
    pub fn gene(&self) -> &GeneName {
        &self.pre.context.gene.name
    }

    /// What it does.
    pub fn duties(&self) -> &[Duty] {
        &self.pre.context.gene.policy
    }

    /// What is to become of a cell that is stuck.
    ///
    /// # Errors
    /// Why it does not say.
    pub async fn judge(&self, found: Stuck) -> Result<Verdict, NoAnswer> {
        let said = self.call(Work::Judge(found)).await?;
        said.ok_or_else(|| NoAnswer::Failed("it said nothing".into()))
    }

    /// Hands log lines over; `dropped` of those before them never reached it.
    ///
    /// # Errors
    /// Why it did not take them.
    pub async fn take_lines(&self, lines: Vec<SinkLine>, dropped: u64) -> Result<(), NoAnswer> {
        self.call(Work::Lines(lines, dropped)).await.map(drop)
    }

    /// Hands over what was counted at `at_ms`, in milliseconds since 1970.
    ///
    /// # Errors
    /// Why it did not take it.
    pub async fn take_counts(&self, at_ms: u64, genes: Vec<GeneCounts>) -> Result<(), NoAnswer> {
        self.call(Work::Counts(at_ms, genes)).await.map(drop)
    }

    /// How it stands.
    pub fn snapshot(&self) -> PolicySnapshot {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        PolicySnapshot { skipped: self.skipped.load(Relaxed), ..shown }
    }

    async fn call(&self, work: Work) -> Result<Option<Verdict>, NoAnswer> {
        let Ok(_place) = self.room.try_acquire() else { return Err(self.skip(NoAnswer::Busy)) };
        let mut desk = self.desk.lock().await;
        if desk.rests_until.is_some_and(|until| self.host.clock.now() < until) {
            return Err(self.skip(NoAnswer::Resting));
        }
        match self.attempt(&mut desk, work).await {
            Ok(said) => {
                (desk.streak, desk.rests_until) = (0, None);
                self.host.counters.policy_calls.add();
                self.show(&desk, None);
                Ok(said)
            }
            Err(error) => {
                desk.rests_until = Some(self.host.clock.now() + pause(limits::POLICY_PAUSE_MS, desk.streak));
                desk.streak = desk.streak.saturating_add(1);
                self.host.counters.policy_failures.add();
                let why = error.to_string();
                self.show(&desk, Some(why.clone()));
                Err(NoAnswer::Failed(why))
            }
        }
    }

    fn skip(&self, why: NoAnswer) -> NoAnswer {
        self.skipped.fetch_add(1, Relaxed);
        self.host.counters.policy_skipped.add();
        why
    }

    async fn attempt(&self, desk: &mut Desk, work: Work) -> Result<Option<Verdict>, CallError> {
        let (vitals, call) = self.begin(desk, work)?;
        let limits = &self.pre.context.limits;
        vitals.begin(0, limits.cpu);
        let metered = Metered { call, vitals: vitals.clone(), ticker: self.host.ticker.clone() };
        let done = timeout(Duration::from_nanos(limits.wall.0), metered)
            .await
            .unwrap_or_else(|_| Err(Breach::Wall.into()));
        vitals.end();
        match done {
            Ok((clerk, said)) => {
                if clerk.uses_left == 0 {
                    desk.lineage.vacate(clerk.vitals.birth);
                } else {
                    desk.clerk = Some(clerk);
                }
                Ok(said)
            }
            Err(error) => {
                if let Some(Breach::Wall) = error.downcast_ref() {
                    vitals.breach(Breach::Wall);
                }
                desk.lineage.vacate(vitals.birth);
                let served = vitals.uses().saturating_sub(1);
                Err(obituary(&self.host, &self.pre.context, &vitals, served, &error))
            }
        }
    }

    /// The call as a future that owns the cell, and the vital signs to watch it by.
    #[allow(clippy::type_complexity, reason = "one pair, taken apart by its one caller")]
    fn begin(
        &self,
        desk: &mut Desk,
        work: Work,
    ) -> Result<(Arc<Vitals>, Pin<Box<dyn Future<Output = Done> + Send>>), CallError> {
        if let Some(clerk) = desk.clerk.take() {
            return Ok((clerk.vitals.clone(), Box::pin(serve(clerk, work))));
        }
        let place = Held::take(&self.host)?;
        let vitals = Arc::new(Vitals::new(self.host.clock, desk.lineage.birth(None)));
        let (pre, memory, signs) = (self.pre.clone(), self.host.memory.clone(), vitals.clone());
        let call = async move { serve(Clerk::embody(&pre, &signs, &memory, place).await?, work).await };
        Ok((vitals, Box::pin(call)))
    }

    fn show(&self, desk: &Desk, trouble: Option<String>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.cell = desk.clerk.as_ref().map(|clerk| clerk.vitals.birth.id.0);
        shown.born = desk.lineage.born();
        match &trouble {
            None => shown.calls += 1,
            Some(_) => shown.failures += 1,
        }
        shown.trouble = trouble;
    }
}

async fn serve(mut clerk: Box<Clerk>, work: Work) -> Done {
    let said = match work {
        Work::Judge(found) => Some(clerk.judge(found).await?),
        Work::Lines(lines, dropped) => clerk.take_lines(lines, dropped).await.map(|()| None)?,
        Work::Counts(at_ms, genes) => clerk.take_counts(at_ms, genes).await.map(|()| None)?,
    };
    Ok((clerk, said))
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("gene", self.gene()).finish_non_exhaustive()
    }
}
