//! How hormones and populations stand, for whoever looks: copied at each look of the law.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cyte_organism::law::{Act, Cause, HostSample, Trace, View};
use serde::Serialize;

use super::Population;
use super::homeostasis::Homeostasis;

/// Decisions kept of each class.
const DECISIONS: usize = 16;

/// One decision of the law about one cell.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Decided {
    /// What.
    pub act: Act,
    /// Why.
    pub cause: Cause,
    /// What was known.
    pub trace: Trace,
}

/// One gene's population as the law saw it last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ClassLevel {
    /// The gene's name.
    pub gene: String,
    /// How it stood.
    #[serde(flatten)]
    pub view: View,
    /// What one message holds a cell, in microseconds, and how much of it computing takes.
    pub service_us: u64,
    /// See `service_us`.
    pub computing_us: u64,
    /// The last decisions, oldest first.
    pub decided: VecDeque<Decided>,
}

/// The host and its classes as the law saw them last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Now {
    /// Stems, room and cores.
    pub host: HostSample,
    /// Stems that are wanted.
    pub stems_goal: u32,
    /// Whether full cores hold growth back.
    pub is_suppressed: bool,
    /// The classes, in the order of the genes.
    pub classes: Vec<ClassLevel>,
}

/// What was shown last.
#[derive(Debug, Default)]
pub struct Levels(Mutex<Now>);

impl Levels {
    /// A copy of what was shown last; empty while the organism is dormant.
    #[must_use]
    pub fn now(&self) -> Now {
        self.lock().clone()
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
            (class.service_us, class.computing_us) = law.service_us(at);
            living = living.saturating_add(class.view.ready).saturating_add(class.view.pending);
        }
        now.stems_goal = law.constants().stems_goal(living);
    }

    pub(super) fn decided(&self, at: usize, act: Act, cause: Cause, trace: Trace) {
        let mut now = self.lock();
        let Some(class) = now.classes.get_mut(at) else { return };
        if class.decided.len() >= DECISIONS {
            class.decided.pop_front();
        }
        class.decided.push_back(Decided { act, cause, trace });
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
