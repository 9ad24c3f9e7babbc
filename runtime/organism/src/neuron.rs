//! Neurons: what one sees of its host, what it may say, and the rules of the standard ones.
//!
//! A neuron is a gene of its own (`world neuron` in `wit/`): the host asks it at most every 20 ms
//! with a [`Look`], off its loop, and writes its [`Order`]s into a register for each class, which
//! [`crate::law::Law::advise`] obeys for ten ticks. These structs are that exchange without Wasm:
//! plain numbers in whole microseconds, as they cross the boundary, so that a rule gives the same
//! orders natively and as a component.
//!
//! - [`Calculus`]: the hormone law itself, with exact counts.
//! - [`Kpa`]: Knative's rule. [`OnDemand`]: a cell when none is free.
//!
//! Never here: calling a component, deadlines, deciding whom to believe. Those are the engine's.

mod calculus;
mod kpa;
mod on_demand;
#[cfg(test)]
mod tests;

pub use calculus::Calculus;
#[cfg(feature = "host")]
pub(crate) use kpa::Count as KpaCount;
#[cfg(feature = "host")]
pub(crate) use kpa::Memory as KpaMemory;
pub use kpa::{Kpa, KpaTimes, TimesError};
#[cfg(feature = "host")]
pub(crate) use on_demand::Count as OnDemandCount;
#[cfg(feature = "host")]
pub(crate) use on_demand::Memory as OnDemandMemory;
pub use on_demand::OnDemand;

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::constants::ClassSpec;
use crate::family::{Phase, Reading};
use crate::law::{self, ClassSample, HostSample};

/// The host as it counted itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Microseconds since the host started.
    pub now_us: u64,
    /// Stems that wait.
    pub stems: u32,
    /// Places that the bounds of memory and maps still leave, beside cells and stems.
    pub room: u32,
    /// Mean delay from woken to polled since the last look, in microseconds.
    pub run_delay_us: u64,
    /// Share of the cores' time since the last look that cells used, in thousandths; 0 = not known.
    pub busy_permille: u32,
    /// Cores that cells may use; 0 = not known.
    pub cores: u32,
    /// Memory that cells may hold at rest and do no harm, in MiB; 0 = any.
    pub warm_mib: u32,
    /// Memory of all cells, in bytes; 0 where the host does not know.
    pub memory: u64,
    /// What of it they may use, in bytes; 0 where the host does not know.
    pub memory_max: u64,
}

impl Host {
    /// What the law was shown, for a neuron; `memory` is what cells have and may have, in bytes.
    pub fn of(now: Nanos, host: HostSample, (memory, memory_max): (u64, u64)) -> Self {
        Self {
            now_us: micros(now),
            stems: host.stems,
            room: host.room,
            run_delay_us: micros(host.run_delay),
            busy_permille: host.busy_permille,
            cores: host.cores,
            warm_mib: host.warm_mib,
            memory,
            memory_max,
        }
    }

    fn now(&self) -> Nanos {
        nanos(self.now_us)
    }

    fn sample(&self) -> HostSample {
        HostSample {
            stems: self.stems,
            room: self.room,
            run_delay: nanos(self.run_delay_us),
            busy_permille: self.busy_permille,
            cores: self.cores,
            warm_mib: self.warm_mib,
        }
    }
}

/// One class of a host: all cells of one gene.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The gene's name.
    pub gene: String,
    /// Cells that serve.
    pub ready: u32,
    /// Cells on their way.
    pub pending: u32,
    /// Cells that finish.
    pub draining: u32,
    /// Messages that wait.
    pub queued: u32,
    /// For how long the first of them has waited; 0 where none waits.
    pub head_wait_us: u64,
    /// Messages inside ready cells.
    pub inflight: u64,
    /// Messages that arrived since the host started.
    pub arrived: u64,
    /// Cells retired and not succeeded since the host started.
    pub retired: u64,
    /// Mean time of a message inside, on free cores; 0 before the first ended.
    pub service_us: u64,
    /// The part of it that is CPU time; 0 where nothing was measured.
    pub computing_us: u64,
    /// From the order for a cell until it serves.
    pub activation_us: u64,
    /// Messages that one cell takes at once.
    pub slots: u32,
    /// The least cells.
    pub least: u32,
    /// The most cells.
    pub most: u32,
    /// How long a message should wait at most, in milliseconds.
    pub wait_target_ms: u32,
    /// The strength of the class against the others.
    pub weight: u32,
    /// Whether it is served before all others.
    pub core: bool,
    /// The most messages inside and waiting at once since the last look.
    pub peak: u32,
    /// Message-microseconds inside and waiting since the host started.
    pub concurrency_us: u64,
    /// Cells whose guest computes and waits for a core right now.
    pub stalled: u32,
    /// What the gene's own signal says, in thousandths of one cell's load; 0 where it has none.
    pub signal: u64,
    /// Memory of its cells, in bytes; 0 where the host does not know.
    pub memory: u64,
    /// The part of it whose cells hold no message, in whole MiB.
    pub resting_mib: u32,
    /// Cells that died since the host started: by a trap, a breach or a message that was given up.
    pub died: u64,
}

/// What a neuron sees of a class and the law does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The sum of all times that messages were inside or waiting.
    pub concurrency: Nanos,
    /// See [`Sample::memory`].
    pub memory: u64,
    /// See [`Sample::died`].
    pub died: u64,
}

impl Sample {
    /// What the law was shown of a class at `now`, for a neuron, and what is `beside` it.
    pub fn of(now: Nanos, gene: &str, spec: &ClassSpec, sample: &ClassSample<'_>, beside: Beside) -> Self {
        let count = |phase| cells(sample.cells.iter().filter(|cell: &&Reading| cell.phase == phase).count());
        let ready = sample.cells.iter().filter(|cell| cell.phase == Phase::Ready);
        Self {
            gene: gene.to_owned(),
            ready: count(Phase::Ready),
            pending: count(Phase::Pending),
            draining: count(Phase::Draining),
            queued: sample.queued,
            head_wait_us: sample.head.map_or(0, |head| micros(now.since(head))),
            inflight: ready.map(|cell| u64::from(cell.inflight)).sum(),
            arrived: sample.arrived,
            retired: sample.retired,
            service_us: micros(sample.service),
            computing_us: micros(sample.computing),
            activation_us: micros(sample.activation),
            slots: spec.slots,
            least: spec.min,
            most: spec.max,
            wait_target_ms: spec.wait_target_ms,
            weight: spec.weight,
            core: spec.core,
            peak: sample.peak,
            concurrency_us: micros(beside.concurrency),
            stalled: sample.stalled,
            signal: sample.signal,
            memory: beside.memory,
            resting_mib: sample.resting_mib,
            died: beside.died,
        }
    }

    /// Cells ready and pending.
    pub fn living(&self) -> u32 {
        self.ready.saturating_add(self.pending)
    }
}

/// All that a neuron is shown at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The host.
    pub host: Host,
    /// Its classes, each once, in any order.
    pub classes: Vec<Sample>,
}

/// What a class is to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advice {
    /// So much more or less demand than there is, in thousandths; the law takes -250 to 250.
    Bias(i32),
    /// So many cells.
    Target(u32),
}

impl From<Advice> for law::Advice {
    fn from(advice: Advice) -> Self {
        match advice {
            Advice::Bias(permille) => Self::Bias(1.0 + f64::from(permille) / 1_000.0),
            Advice::Target(cells) => Self::Target(cells),
        }
    }
}

/// An order for one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The class, by its gene's name.
    pub gene: String,
    /// What it is to follow.
    pub advice: Advice,
}

impl Order {
    fn target(gene: &str, cells: u32) -> Self {
        Self { gene: gene.to_owned(), advice: Advice::Target(cells) }
    }
}

/// Decides for all classes of a host from one look: a standard rule, or a component.
pub trait Watch: std::fmt::Debug {
    /// Looks and orders, at most one order a class.
    fn watch(&mut self, look: &Look) -> Vec<Order>;
}

fn micros(span: Nanos) -> u64 {
    span.0 / 1_000
}

fn nanos(us: u64) -> Nanos {
    Nanos(us.saturating_mul(1_000))
}

fn cells(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
