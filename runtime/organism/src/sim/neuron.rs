//! The law under a neuron: asked as a host asks it, its orders in the law's registers.

use cyte_dna::limits::NEURON_EVERY_MS;

use super::control::{Look, Mind, Order};
use super::scenario::{Scenario, ScenarioError};
use crate::Nanos;
use crate::constants::ClassSpec;
use crate::law::{ClassId, ClassSample, Decision, Demand, Law, Transport};
use crate::neuron::{self, Watch};

/// How often a host asks at most.
const ASK_EVERY: Nanos = Nanos::from_millis(NEURON_EVERY_MS);

/// The law as a host runs it, and a neuron beside it.
#[derive(Debug)]
pub(super) struct NeuronMind {
    law: Law,
    watch: Box<dyn Watch>,
    names: Vec<String>,
    specs: Vec<ClassSpec>,
    /// The most messages at once that looks in between have seen.
    peaks: Vec<u32>,
    asked: Option<Nanos>,
    decisions: Vec<Decision>,
}

impl NeuronMind {
    pub(super) fn new(scenario: &Scenario, watch: Box<dyn Watch>, seed: u64) -> Result<Self, ScenarioError> {
        let mut law = Law::new(scenario.constants()?, Transport::Family, seed);
        for (id, class) in scenario.classes.iter().enumerate() {
            law.set_class(ClassId(id as u32), class.spec)?;
        }
        Ok(Self {
            law,
            watch,
            names: scenario.classes.iter().map(|class| class.name.clone()).collect(),
            specs: scenario.classes.iter().map(|class| class.spec).collect(),
            peaks: scenario.classes.iter().map(|_| 0).collect(),
            asked: None,
            decisions: Vec::new(),
        })
    }

    /// Asks, and writes the registers. What names no class is dropped, as a host does.
    fn ask(&mut self, look: &Look<'_>) {
        let classes = self.names.iter().zip(&self.specs).zip(look.samples.iter().zip(look.gauges));
        let classes = classes.zip(&mut self.peaks).map(|(((name, spec), (sample, gauge)), peak)| {
            let concurrency = Nanos((gauge.concurrency * 1e9) as u64);
            let sample = ClassSample { peak: std::mem::take(peak), ..*sample };
            let beside = neuron::Beside { concurrency, ..neuron::Beside::default() };
            neuron::Sample::of(look.now, name, spec, &sample, beside)
        });
        let host = neuron::Host::of(look.now, look.host, (0, 0));
        let shown = neuron::Look { host, classes: classes.collect() };
        for order in self.watch.watch(&shown) {
            if let Some(at) = self.names.iter().position(|name| *name == order.gene) {
                self.law.advise(look.now, ClassId(at as u32), order.advice.into());
            }
        }
    }
}

impl Mind for NeuronMind {
    fn act(&mut self, look: &Look<'_>, orders: &mut Vec<Order>) -> Option<Nanos> {
        for (peak, gauge) in self.peaks.iter_mut().zip(look.gauges) {
            *peak = gauge.peak.max(*peak);
        }
        if self.asked.is_none_or(|asked| look.now.since(asked) >= ASK_EVERY) {
            self.asked = Some(look.now);
            self.ask(look);
        }
        self.decisions.clear();
        self.law.run(look.now, look.host, look.samples, &mut self.decisions);
        orders.extend(self.decisions.iter().map(|decision| Order::Do(*decision)));
        let ask = self.asked.unwrap_or(look.now) + ASK_EVERY;
        Some(self.law.next_deadline().map_or(ask, |deadline| deadline.min(ask)))
    }

    fn reflex(&self, class: ClassId, head: Nanos) -> Option<Nanos> {
        self.law.reflex(class, head)
    }

    fn demand(&self, class: ClassId) -> Option<Demand> {
        Some(self.law.demand(class))
    }

    fn hormone(&self, class: ClassId) -> Option<f64> {
        self.law.view(class).map(|view| view.felt_fast)
    }
}
