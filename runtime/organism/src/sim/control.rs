//! Who decides about cells in a simulation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::neuron::NeuronMind;
use super::rivals::{Hpa, Kpa, OnDemand, Oracle, Static};
use super::scenario::{Scenario, ScenarioError};
use crate::Nanos;
use crate::constants::Constants;
use crate::law::{ClassId, ClassSample, Decision, Demand, HostSample, Law, Transport};
use crate::neuron::{self, Calculus, Watch};

/// A way to decide about cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Controller {
    /// The hormone law alone.
    Hormone,
    /// The hormone law, and demand takes a stem at once: what a host runs.
    Hybrid,
    /// The hormone law with exact counts instead of hormones: what a brain would gain.
    Central,
    /// No free slot: wake a cell at once; retire surplus over the last second's peak.
    OnDemand,
    /// Knative's rule with its own times; cells are born from nothing.
    Kpa,
    /// The same rule 200 times faster, with a stem pool.
    FastKpa,
    /// Kubernetes' rule: every 15 s, within a tolerance, a window of 300 s on the way down.
    Hpa,
    /// Knows the future rate, and has always what it needs.
    Oracle,
    /// Always so many cells.
    Static(u32),
    /// The law, and the standard neuron `neuron-calculus` beside it.
    NeuronCalculus,
    /// The law, and the standard neuron `neuron-kpa` beside it.
    NeuronKpa,
    /// The law, and the standard neuron `neuron-on-demand` beside it.
    NeuronOnDemand,
    /// The law, and a neuron that was handed in ([`super::run_neuron`]).
    Neuron,
}

impl Controller {
    /// The standard neurons, natively.
    pub const NEURONS: [Self; 3] = [Self::NeuronCalculus, Self::NeuronKpa, Self::NeuronOnDemand];

    /// Every kind but the fixed populations and the neurons.
    pub const ALL: [Self; 8] = [
        Self::Hormone,
        Self::Hybrid,
        Self::Central,
        Self::OnDemand,
        Self::Kpa,
        Self::FastKpa,
        Self::Hpa,
        Self::Oracle,
    ];
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hormone => f.pad("hormone"),
            Self::Hybrid => f.pad("hybrid"),
            Self::Central => f.pad("central"),
            Self::OnDemand => f.pad("on-demand"),
            Self::Kpa => f.pad("kpa"),
            Self::FastKpa => f.pad("fast-kpa"),
            Self::Hpa => f.pad("hpa"),
            Self::Oracle => f.pad("oracle"),
            Self::NeuronCalculus => f.pad("neuron-calculus"),
            Self::NeuronKpa => f.pad("neuron-kpa"),
            Self::NeuronOnDemand => f.pad("neuron-on-demand"),
            Self::Neuron => f.pad("neuron"),
            Self::Static(cells) => f.pad(&format!("static-{cells}")),
        }
    }
}

/// There is no controller of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no controller `{0}`: hormone, hybrid, central, on-demand, kpa, fast-kpa, hpa, oracle, static-N, neuron-calculus, neuron-kpa, neuron-on-demand"
)]
pub struct UnknownController(String);

impl FromStr for Controller {
    type Err = UnknownController;

    fn from_str(text: &str) -> Result<Self, UnknownController> {
        let mut named = Self::ALL.into_iter().chain(Self::NEURONS);
        if let Some(known) = named.find(|known| known.to_string() == text) {
            return Ok(known);
        }
        let cells = text.strip_prefix("static-").and_then(|cells| cells.parse().ok());
        cells.map(Self::Static).ok_or_else(|| UnknownController(text.to_owned()))
    }
}

impl From<Controller> for String {
    fn from(controller: Controller) -> Self {
        controller.to_string()
    }
}

impl TryFrom<String> for Controller {
    type Error = UnknownController;

    fn try_from(text: String) -> Result<Self, UnknownController> {
        text.parse()
    }
}

/// What a controller wants done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// What the law decided.
    Do(Decision),
    /// So many cells, however that is reached.
    Target {
        /// Of which class.
        class: ClassId,
        /// How many.
        cells: u32,
        /// Whether stems are taken first.
        from_stems: bool,
    },
}

/// What rivals measure of a class, beyond the law's sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gauge {
    /// Cells ready and pending.
    pub(super) living: u32,
    /// Cells that serve.
    pub(super) ready: u32,
    /// Cells on their way.
    pub(super) pending: u32,
    /// Slot-seconds so far, of requests in slots and in the queue.
    pub(super) concurrency: f64,
    /// Most requests in slots and queue since the last look.
    pub(super) peak: u32,
    /// Requests that wait.
    pub(super) queued: u32,
    /// What an oracle knows: cells needed now and a little later.
    pub(super) need: f64,
}

/// What a controller sees when it looks.
pub(super) struct Look<'a> {
    pub(super) now: Nanos,
    pub(super) host: HostSample,
    pub(super) samples: &'a [ClassSample<'a>],
    pub(super) gauges: &'a [Gauge],
}

/// A controller at work.
pub(super) trait Mind: fmt::Debug {
    /// Looks, orders, and says when it wants to look again.
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos>;

    /// When it must look because a queue formed.
    fn reflex(&self, _class: ClassId, _head: Nanos) -> Option<Nanos> {
        None
    }

    /// Whether a request without a slot may take a stem itself.
    fn demand(&self, _class: ClassId) -> Option<Demand> {
        None
    }

    /// The mean hormone that the class's cells feel, for the picture.
    fn hormone(&self, _class: ClassId) -> Option<f64> {
        None
    }
}

/// The mind of `controller` for `scenario`.
pub(super) fn mind(
    scenario: &Scenario,
    controller: Controller,
    seed: u64,
) -> Result<Box<dyn Mind>, ScenarioError> {
    let beside = |watch: Box<dyn Watch>| NeuronMind::new(scenario, watch, seed).map(Box::new);
    let constants = scenario.constants()?;
    let specs: Vec<_> = scenario.classes.iter().map(|class| class.spec).collect();
    Ok(match controller {
        Controller::Hormone => Box::new(LawMind::new(scenario, constants, Transport::Family, false, seed)?),
        Controller::Hybrid => Box::new(LawMind::new(scenario, constants, Transport::Family, true, seed)?),
        Controller::Central => Box::new(LawMind::new(scenario, constants, Transport::Central, false, seed)?),
        Controller::OnDemand => Box::new(OnDemand::new(constants, specs)),
        Controller::Kpa => Box::new(Kpa::new(constants, specs, 1)),
        Controller::FastKpa => Box::new(Kpa::new(constants, specs, 200)),
        Controller::Hpa => Box::new(Hpa::new(specs)),
        Controller::Oracle => Box::new(Oracle::new(constants, specs)),
        Controller::Static(cells) => Box::new(Static::new(specs, cells)),
        Controller::NeuronCalculus => beside(Box::new(Calculus::new(Constants::default(), 0)))?,
        Controller::NeuronKpa => beside(Box::<neuron::Kpa>::default())?,
        Controller::NeuronOnDemand => beside(Box::<neuron::OnDemand>::default())?,
        Controller::Neuron => return Err(ScenarioError::NoNeuron),
    })
}

/// The law, driven exactly as a host drives it.
#[derive(Debug)]
struct LawMind {
    law: Law,
    is_hybrid: bool,
    decisions: Vec<Decision>,
}

impl LawMind {
    fn new(
        scenario: &Scenario,
        constants: Constants,
        transport: Transport,
        is_hybrid: bool,
        seed: u64,
    ) -> Result<Self, ScenarioError> {
        let mut law = Law::new(constants, transport, seed);
        for (id, class) in scenario.classes.iter().enumerate() {
            law.set_class(ClassId(id as u32), class.spec)?;
        }
        Ok(Self { law, is_hybrid, decisions: Vec::new() })
    }
}

impl Mind for LawMind {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        self.decisions.clear();
        self.law.run(look.now, look.host, look.samples, &mut self.decisions);
        orders.extend(self.decisions.iter().map(|decision| Order::Do(*decision)));
        self.law.next_deadline()
    }

    fn reflex(&self, class: ClassId, head: Nanos) -> Option<Nanos> {
        self.law.reflex(class, head)
    }

    fn demand(&self, class: ClassId) -> Option<Demand> {
        self.is_hybrid.then(|| self.law.demand(class))
    }

    fn hormone(&self, class: ClassId) -> Option<f64> {
        self.law.view(class).map(|view| view.felt_fast)
    }
}
