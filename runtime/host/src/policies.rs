//! The policies that the DNA names: what they are asked, what they are told, and what happens where they
//! do not answer.
//!
//! Each has tasks of its own on the threads that poll guests. Log lines and counts are read behind the
//! host's own log and recorder, which never wait: a sink that is slow misses lines, and is told how many.
//! A failure is an event, and the host's own default acts.

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::{Duty, GeneName, limits};
use cyte_engine::{GeneCounts, Genome, NoAnswer, Policy, PolicySnapshot, SinkLine, Stuck, Verdict, Zombie};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::event::{EventLog, Happening};
use crate::governor::{Ear, Event, Judge};
use crate::growth::Grown;
use crate::log::{GuestLog, LogRecord};
use crate::record::{Recorder, Sums};

/// How long lines are gathered before they go to a sink together.
const GATHER: Duration = Duration::from_millis(100);
/// Seconds of counts that may wait for a policy; more are not told.
const SECONDS_WAITING: usize = 4;

/// The policies of one host.
#[derive(Debug, Default)]
pub struct Policies {
    all: Vec<Arc<Policy>>,
}

/// Where policies run, and what they read.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The threads that poll guests.
    pub on: &'a Handle,
    /// What guests say.
    pub logs: &'a Arc<GuestLog>,
    /// What is counted; not started yet.
    pub recorder: &'a Arc<Recorder>,
    /// Where failures are told.
    pub events: &'a Arc<EventLog>,
}

impl Policies {
    /// The policies among `grown`, and the tasks that hand them lines and counts.
    #[must_use]
    pub fn start(genome: &Genome, grown: &[Grown], desk: &Desk<'_>) -> Arc<Self> {
        let all = grown.iter().filter_map(|gene| genome.policy(gene.pre.clone())).collect();
        let policies = Self { all };
        if let Some(sink) = policies.doing(Duty::Log) {
            desk.on.spawn(pour(sink.clone(), desk.logs.clone(), desk.events.clone()));
        }
        if let Some(meter) = policies.doing(Duty::Metrics) {
            let (sums, told) = mpsc::channel(SECONDS_WAITING);
            desk.recorder.sum_to(sums);
            desk.on.spawn(measure(meter.clone(), told, desk.events.clone()));
        }
        Arc::new(policies)
    }

    /// Who does this, where the DNA names a gene for it.
    fn doing(&self, duty: Duty) -> Option<&Arc<Policy>> {
        self.all.iter().find(|policy| policy.duties().contains(&duty))
    }

    /// How the policy of this gene stands; none for any other gene.
    #[must_use]
    pub fn snapshot(&self, gene: &GeneName) -> Option<PolicySnapshot> {
        self.all.iter().find(|policy| policy.gene() == gene).map(|policy| policy.snapshot())
    }

    /// Who judges cells that are stuck; its word goes to `ear`.
    #[must_use]
    pub fn judge(&self, ear: Ear, on: Handle, events: Arc<EventLog>) -> Option<Box<dyn Judge>> {
        let policy = self.doing(Duty::Zombies)?.clone();
        Some(Box::new(Bench { policy, ear, on, events }))
    }
}

/// The way from the governor to its judge and back.
struct Bench {
    policy: Arc<Policy>,
    ear: Ear,
    on: Handle,
    events: Arc<EventLog>,
}

impl Judge for Bench {
    fn ask(&self, gene: &GeneName, found: &Zombie) {
        let (policy, ear, events) = (self.policy.clone(), self.ear.clone(), self.events.clone());
        let (gene, found) = (gene.clone(), found.clone());
        self.on.spawn(async move {
            let stuck = Stuck {
                gene: gene.to_string(),
                cell: found.cell,
                silent_ms: found.silent.as_millis(),
                last: found.last.clone(),
            };
            let patience = Duration::from_millis(limits::VERDICT_MS);
            let said = timeout(patience, policy.judge(stuck)).await;
            let said = said.unwrap_or_else(|_| Err(NoAnswer::Failed("it did not answer in time".into())));
            let verdict: Option<Verdict> =
                said.map_err(|why| tell(&events, &policy, Duty::Zombies, &why)).ok();
            ear.tell(Event::Judged { gene, found, verdict });
        });
    }
}

/// Says that a policy did not do what it is there for, and the host's default acts.
fn tell(events: &EventLog, policy: &Policy, duty: Duty, why: &NoAnswer) {
    // Who rests or has too much to do failed before, and that was said.
    if let NoAnswer::Failed(why) = why {
        events.record(Happening::PolicyFailed {
            gene: policy.gene().to_string(),
            duty: duty.to_string(),
            why: why.clone(),
        });
    }
}

/// Hands the lines of genes to a sink, for as long as there is a log.
async fn pour(sink: Arc<Policy>, logs: Arc<GuestLog>, events: Arc<EventLog>) {
    let mut follower = logs.ring().follow();
    let (mut seen, mut dropped) = (0, 0_u64);
    loop {
        let page = logs.ring().after(seen, limits::SINK_LINES);
        if page.entries.is_empty() {
            if follower.changed().await.is_err() {
                return;
            }
            sleep(GATHER).await;
            continue;
        }
        dropped = dropped.saturating_add(page.missed);
        // Its own lines would come back for ever.
        let is_other = |line: &&(u64, LogRecord)| line.1.gene != sink.gene().as_str();
        let lines: Vec<SinkLine> =
            page.entries.iter().filter(is_other).map(|(_, line)| shown(line)).collect();
        let count = lines.len() as u64;
        let taken = if lines.is_empty() { Ok(()) } else { sink.take_lines(lines, dropped).await };
        match taken {
            Ok(()) if count > 0 => dropped = 0,
            Ok(()) => {}
            // They wait in the log, inside its bound.
            Err(NoAnswer::Busy | NoAnswer::Resting) => {
                dropped = dropped.saturating_sub(page.missed);
                sleep(GATHER).await;
                continue;
            }
            Err(why @ NoAnswer::Failed(_)) => {
                tell(&events, &sink, Duty::Log, &why);
                dropped = dropped.saturating_add(count);
            }
        }
        seen = page.last;
    }
}

fn shown(line: &LogRecord) -> SinkLine {
    SinkLine {
        at_ms: line.at_ms,
        gene: line.gene.clone(),
        cell: line.cell,
        request: line.request.clone(),
        origin: line.stream.as_str().to_owned(),
        level: line.level.clone(),
        text: line.text.clone(),
    }
}

/// Hands the sums of each second to a policy, for as long as there is a recorder.
async fn measure(meter: Arc<Policy>, mut told: mpsc::Receiver<Sums>, events: Arc<EventLog>) {
    while let Some(Sums { at_ms, genes }) = told.recv().await {
        let counts = |(gene, sum, cells): (GeneName, cyte_organism::phenotype::Requests, u32)| GeneCounts {
            gene: gene.to_string(),
            served: sum.served,
            failed: sum.failed,
            refused: sum.refused,
            p50_us: sum.p50_us,
            p99_us: sum.p99_us,
            cells,
        };
        let genes = genes.into_iter().map(counts).collect();
        if let Err(why) = meter.take_counts(at_ms, genes).await {
            tell(&events, &meter, Duty::Metrics, &why);
        }
    }
}
