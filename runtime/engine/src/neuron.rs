//! A host's neuron: one kept cell that is asked what each class is to follow, off the governor's
//! loop.
//!
//! [`Neuron::ask`] begins a look on the cytoplasm and returns at once; the orders that count lie in a
//! small register until the governor [takes](Neuron::take) them. At most one look is under way, and
//! one begins at most every 20 ms. A cell that traps, breaks a limit or is late ends, its death is
//! told like any other, and a fresh one answers after a pause that doubles from 100 ms to 10 s while
//! that goes on. What it ordered before stays with the law for ten ticks, then the law is alone.
//!
//! Never here: whether anybody obeys. A dead neuron costs its host nothing but its advice.

mod mind;
mod orders;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cyte_dna::{GeneName, Mandate, limits};
use cyte_organism::{
    Nanos,
    lineage::{Birth, CellId, Lineage},
    neuron::{Look, Order},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    driver::Metered,
    error::{Breach, CallError},
    genome::{CellPre, DoorPre, Genome},
    host::CellHost,
    obituary::obituary,
    state::CellLimits,
    vitals::Vitals,
};
use mind::Mind;
pub(crate) use mind::NeuronPre;

/// What became of an [ask](Neuron::ask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A look is under way.
    Begun,
    /// The one before has not ended.
    Busy,
    /// The one before began less than 20 ms ago.
    TooSoon,
    /// Its cells ended badly; it rests until then.
    Resting(Nanos),
}

/// A neuron as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeuronSnapshot {
    /// Its gene.
    pub gene: String,
    /// How much its word counts.
    pub mandate: Mandate,
    /// The number of its cell, while one lives.
    pub cell: Option<u64>,
    /// Cells born so far.
    pub born: u64,
    /// Looks that ended with orders, perhaps none.
    pub looks: u64,
    /// Looks that ended badly, and their cells with them.
    pub failures: u64,
    /// Orders that did not count.
    pub orders_refused: u64,
    /// How long the last look took, in microseconds.
    pub last_look_us: u64,
    /// Why the last look failed, while none succeeded since.
    pub trouble: Option<String>,
}

/// The neuron of one host.
pub struct Neuron {
    pre: Arc<CellPre>,
    host: Arc<CellHost>,
    mandate: Mandate,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lineage: Lineage,
    /// The cell, while it is not looking.
    mind: Option<Box<Mind>>,
    alive: Option<CellId>,
    is_looking: bool,
    asked: Option<Nanos>,
    rests_until: Option<Nanos>,
    /// Failures in a row.
    streak: u32,
    /// The newest orders that nobody took yet.
    orders: Option<Vec<Order>>,
    looks: u64,
    failures: u64,
    refused: u64,
    last_look: Nanos,
    trouble: Option<String>,
}

/// A place of the host for one cell; free again when this is dropped.
pub(crate) struct Held(Arc<CellHost>);

impl Held {
    /// One, where the host has one left; counted where it has not.
    pub(crate) fn take(host: &Arc<CellHost>) -> Result<Self, CallError> {
        if host.places.occupy() {
            return Ok(Self(host.clone()));
        }
        host.counters.no_place.add();
        Err(CallError::NotMade("the host has no place left".into()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.places.vacate();
        self.0.places.pass_on();
    }
}

impl Genome {
    /// The neuron of this gene, which has no cell yet; `None` for a gene of another role.
    pub fn neuron(&self, pre: Arc<CellPre>) -> Option<Arc<Neuron>> {
        let mandate = pre.context.gene.neuron?;
        let is_neuron = matches!(pre.door, DoorPre::Neuron(_));
        let state = Mutex::default();
        is_neuron.then(|| Arc::new(Neuron { pre, host: self.host().clone(), mandate, state }))
    }
}

/// The look that is under way; over when this is dropped, also when the host stops in the middle.
struct Turn(Arc<Neuron>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state().is_looking = false;
    }
}

type Looked = wasmtime::Result<(Box<Mind>, Vec<Order>)>;

impl Neuron {
    /// The gene's name.
    pub fn gene(&self) -> &GeneName {
        &self.pre.context.gene.name
    }

    /// How much its word counts.
    pub fn mandate(&self) -> Mandate {
        self.mandate
    }

    /// Begins a look, unless one is under way, one was begun just now, or the neuron rests. Never
    /// waits. `now` is by the host's clock.
    pub fn ask(self: &Arc<Self>, now: Nanos, look: Look) -> Asked {
        {
            let mut state = self.state();
            if state.is_looking {
                return Asked::Busy;
            }
            if let Some(until) = state.rests_until.filter(|until| now < *until) {
                return Asked::Resting(until);
            }
            let every = Nanos::from_millis(limits::NEURON_EVERY_MS);
            if state.asked.is_some_and(|asked| now.since(asked) < every) {
                return Asked::TooSoon;
            }
            state.is_looking = true;
            state.asked = Some(now);
        }
        let turn = Turn(self.clone());
        self.host.cytoplasm.spawn(async move {
            if let Ok(orders) = turn.0.look(&look).await {
                turn.0.state().orders = Some(orders);
            }
        });
        Asked::Begun
    }

    /// The newest orders since the last call; `None` where there are none. Each counts, and names a
    /// class of the look that it answers.
    pub fn take(&self) -> Option<Vec<Order>> {
        self.state().orders.take()
    }

    /// Looks now and waits for the orders that count: what [`Neuron::ask`] does in the background,
    /// for whoever has the time. Not to be called while a look is under way; then a cell is made
    /// beside the other.
    ///
    /// # Errors
    /// Why the cell ended, or could not be made. The next look makes a fresh one.
    pub async fn look(&self, look: &Look) -> Result<Vec<Order>, CallError> {
        let started = self.host.clock.now();
        let result = self.attempt(look).await;
        let mut state = self.state();
        state.last_look = self.host.clock.now().since(started);
        match &result {
            Ok((_, refused)) => {
                (state.streak, state.rests_until, state.trouble) = (0, None, None);
                state.looks += 1;
                state.refused += refused;
                self.host.counters.neuron_looks.add();
                (0..*refused).for_each(|_| self.host.counters.neuron_orders_refused.add());
            }
            Err(error) => {
                state.failures += 1;
                state.rests_until =
                    Some(self.host.clock.now() + pause(limits::NEURON_PAUSE_MS, state.streak));
                state.streak = state.streak.saturating_add(1);
                state.trouble = Some(error.to_string());
                self.host.counters.neuron_failures.add();
            }
        }
        result.map(|(orders, _)| orders)
    }

    async fn attempt(&self, look: &Look) -> Result<(Vec<Order>, u64), CallError> {
        let (vitals, call) = self.call(look.clone())?;
        let CellLimits { cpu, wall, .. } = self.pre.context.limits;
        let started = self.host.clock.now();
        vitals.begin(0, cpu);
        let metered = Metered { call, vitals: vitals.clone(), ticker: self.host.ticker.clone() };
        let looked =
            timeout(Duration::from_nanos(wall.0), metered).await.unwrap_or_else(|_| Err(Breach::Wall.into()));
        vitals.end();
        match looked {
            Ok((mind, said)) => {
                self.keep(mind);
                // Whoever answered after its time waited for a core. It keeps what it remembers; what it
                // says of a look that the next one would have replaced is not heard.
                let took = self.host.clock.now().since(started);
                let is_old = took > wall.max(Nanos::from_millis(limits::NEURON_EVERY_MS));
                Ok(orders::judge(self.mandate, look, if is_old { Vec::new() } else { said }))
            }
            Err(error) => {
                if let Some(Breach::Wall) = error.downcast_ref() {
                    vitals.breach(Breach::Wall);
                }
                self.bury(vitals.birth);
                let served = vitals.uses().saturating_sub(1);
                Err(obituary(&self.host, &self.pre.context, &vitals, served, &error))
            }
        }
    }

    /// The look as a future that owns the cell, and the vital signs to watch it by.
    #[allow(clippy::type_complexity, reason = "one pair, taken apart by its one caller")]
    fn call(
        &self,
        look: Look,
    ) -> Result<(Arc<Vitals>, Pin<Box<dyn Future<Output = Looked> + Send>>), CallError> {
        if let Some(mut mind) = self.state().mind.take() {
            let vitals = mind.vitals.clone();
            let call = async move {
                let orders = mind.watch(&look).await?;
                Ok((mind, orders))
            };
            return Ok((vitals, Box::pin(call)));
        }
        let place = Held::take(&self.host)?;
        let birth = {
            let mut state = self.state();
            let birth = state.lineage.birth(None);
            state.alive = Some(birth.id);
            birth
        };
        let vitals = Arc::new(Vitals::new(self.host.clock, birth));
        let (pre, memory, signs) = (self.pre.clone(), self.host.memory.clone(), vitals.clone());
        let call = async move {
            let mut mind = Mind::embody(&pre, &signs, &memory, place).await?;
            let orders = mind.watch(&look).await?;
            Ok((mind, orders))
        };
        Ok((vitals, Box::pin(call)))
    }

    /// The cell waits for the next look, or retires after its last.
    fn keep(&self, mind: Box<Mind>) {
        if mind.uses_left == 0 {
            self.bury(mind.vitals.birth);
            return;
        }
        self.state().mind = Some(mind);
    }

    /// A cell is gone; the next one takes over its niche.
    fn bury(&self, birth: Birth) {
        let mut state = self.state();
        state.lineage.vacate(birth);
        state.alive = None;
    }

    /// Ends its cell, so that the next look finds a fresh one that remembers nothing. A cell that
    /// is looking stays.
    pub fn forget(&self) {
        let mind = self.state().mind.take();
        if let Some(mind) = mind {
            self.bury(mind.vitals.birth);
        }
    }

    /// How it stands.
    pub fn snapshot(&self) -> NeuronSnapshot {
        let state = self.state();
        NeuronSnapshot {
            gene: self.gene().to_string(),
            mandate: self.mandate,
            cell: state.alive.map(|id| id.0),
            born: state.lineage.born(),
            looks: state.looks,
            failures: state.failures,
            orders_refused: state.refused,
            last_look_us: state.last_look.0 / 1_000,
            trouble: state.trouble.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Neuron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Neuron").field("gene", self.gene()).finish_non_exhaustive()
    }
}

/// The pause after one more failure, where so many came before it without a success: from the first
/// to the longest, in milliseconds.
pub(crate) fn pause((first, longest): (u64, u64), streak: u32) -> Nanos {
    Nanos::from_millis(first.saturating_mul(1 << streak.min(16)).min(longest))
}
