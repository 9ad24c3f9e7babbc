//! How hormones and populations stand, for whoever looks: copied at each look of the law.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cyte_organism::Nanos;
use cyte_organism::law::{Act, Cause, HostSample, Trace, View};
use cyte_organism::lineage::Niche;
use serde_json::{Value, json};

use super::Population;
use super::homeostasis::Homeostasis;

/// Decisions kept of each class.
const DECISIONS: usize = 16;

/// One decision of the law about one cell.
#[derive(Debug, Clone, Copy)]
struct Decided {
    at: Nanos,
    act: Act,
    cause: Cause,
    trace: Trace,
}

impl Decided {
    fn value(&self, now: Nanos) -> Value {
        let (act, niche) = match self.act {
            Act::Differentiate { mother } => ("differentiate", mother),
            Act::Divide { mother } => ("divide", Some(mother)),
            Act::Found => ("found", None),
            Act::Die { niche } => ("die", Some(niche)),
        };
        json!({
            "ago_ms": now.since(self.at).as_millis(),
            "act": act,
            "niche": niche.map(|niche| niche.0),
            "cause": self.cause,
            "why": self.trace.to_string(),
            "trace": self.trace,
        })
    }
}

/// One gene's population as the law saw it last.
#[derive(Debug, Clone, Default)]
struct ClassLevel {
    gene: String,
    view: View,
    head: Option<Nanos>,
    born: u64,
    service_us: u64,
    computing_us: u64,
    /// Niches whose mother is gone, ascending, each with the niche of whoever adopted it.
    adopted: Vec<(Niche, Niche)>,
    /// Oldest first.
    decided: VecDeque<Decided>,
}

impl ClassLevel {
    fn value(&self, now: Nanos) -> Value {
        let View { ready, pending, draining, queued, is_felt, rate, .. } = self.view;
        let View { deficit, wanted, growth, felt_fast, felt_slow, dying, unmet, .. } = self.view;
        json!({
            "gene": self.gene,
            "ready": ready,
            "pending": pending,
            "draining": draining,
            "queued": queued,
            "wait_us": self.head.map_or(0, |head| now.since(head).0 / 1_000),
            "is_felt": is_felt,
            "signal": self.view.signal,
            "rate": rate,
            "deficit": deficit,
            "wanted": wanted,
            "growth": growth,
            "felt_fast": felt_fast,
            "felt_slow": felt_slow,
            "dying": dying,
            "unmet": unmet,
            "born": self.born,
            "service_us": self.service_us,
            "computing_us": self.computing_us,
        })
    }
}

/// The host and its classes as the law saw them last.
#[derive(Debug, Clone, Default)]
struct Now {
    host: HostSample,
    stems_goal: u32,
    is_suppressed: bool,
    /// In the order of the genes; none while the organism is dormant.
    classes: Vec<ClassLevel>,
}

/// What was shown last.
#[derive(Debug, Default)]
pub struct Levels(Mutex<Now>);

impl Levels {
    /// What was shown last, as JSON; without classes while the organism is dormant.
    #[must_use]
    pub fn value(&self, now: Nanos) -> Value {
        let levels = self.lock();
        let host = levels.host;
        json!({
            "v": 1,
            "host": {
                "stems": host.stems,
                "stems_goal": levels.stems_goal,
                "room": host.room,
                "cores": host.cores,
                "busy_permille": host.busy_permille,
                "run_delay_us": host.run_delay.0 / 1_000,
                "is_suppressed": levels.is_suppressed,
            },
            "classes": levels.classes.iter().map(|class| class.value(now)).collect::<Vec<_>>(),
        })
    }

    /// The host as the law saw it last.
    #[must_use]
    pub fn host(&self) -> HostSample {
        self.lock().host
    }

    /// Cells that each class lacks and this host cannot make, by the class's place.
    #[must_use]
    pub fn unmet(&self) -> Vec<(u32, f64)> {
        let levels = self.lock();
        let unmet = (0..).zip(levels.classes.iter().map(|class| class.view.unmet));
        unmet.filter(|(_, unmet)| *unmet >= 1.0).collect()
    }

    /// Who adopted whom among the cells of a gene, as niches: the daughter's, ascending, and that of
    /// her mother since.
    #[must_use]
    pub fn adopted(&self, gene: &str) -> Vec<(Niche, Niche)> {
        let levels = self.lock();
        let class = levels.classes.iter().find(|class| class.gene == gene);
        class.map(|class| class.adopted.clone()).unwrap_or_default()
    }

    /// The last decisions about the cells of a gene, oldest first.
    #[must_use]
    pub fn decisions(&self, gene: &str, now: Nanos) -> Vec<Value> {
        let levels = self.lock();
        let class = levels.classes.iter().find(|class| class.gene == gene);
        class
            .map(|class| class.decided.iter().map(|decided| decided.value(now)).collect())
            .unwrap_or_default()
    }

    pub(super) fn show(&self, host: HostSample, law: &Homeostasis, populations: &[Arc<dyn Population>]) {
        let mut now = self.lock();
        let name = |population: &Arc<dyn Population>| ClassLevel {
            gene: population.gene().to_string(),
            ..ClassLevel::default()
        };
        if now.classes.len() != populations.len() {
            now.classes = populations.iter().map(name).collect();
        }
        (now.host, now.is_suppressed) = (host, law.is_suppressed());
        let mut living: u32 = 0;
        for (at, class) in now.classes.iter_mut().enumerate() {
            class.view = law.view(at);
            if let Some(seen) = law.seen().get(at) {
                (class.head, class.born) = (seen.tally.head, seen.tally.born);
            }
            (class.service_us, class.computing_us) = law.service_us(at);
            class.adopted.clear();
            class.adopted.extend(law.adopted(at));
            living = living.saturating_add(class.view.ready).saturating_add(class.view.pending);
        }
        now.stems_goal = law.constants().stems_goal(living);
    }

    pub(super) fn decided(&self, now: Nanos, at: usize, act: Act, cause: Cause, trace: Trace) {
        let mut levels = self.lock();
        let Some(class) = levels.classes.get_mut(at) else { return };
        if class.decided.len() >= DECISIONS {
            class.decided.pop_front();
        }
        class.decided.push_back(Decided { at: now, act, cause, trace });
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
