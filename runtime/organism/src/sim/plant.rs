//! The simulated host: an event queue on virtual time and what each event does.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::arrivals::Nature;
use super::cells::{CellRef, Freed};
use super::control::{Controller, Gauge, Look, Mind, Order, mind};
use super::cores::{Cores, Job};
use super::figures::Outcome;
use super::neuron::NeuronMind;
use super::scenario::{Blow, BlowKind, HostPlan, Scenario, ScenarioError};
use super::tissue::{Tissue, millis, seconds};
use crate::Nanos;
use crate::constants::Constants;
use crate::law::{Act, ClassId, ClassSample, Decision, HostSample};
use crate::lineage::Niche;
use crate::neuron::Watch;

/// A request on the cores.
#[derive(Clone, Copy, Debug)]
struct Task {
    class: usize,
    cell: CellRef,
    arrived: Nanos,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request may arrive.
    Arrive(usize),
    /// A request is finished that took so long on free cores.
    Done(Task, Nanos),
    /// A turn on a core ends.
    Turn(Job<Task>),
    /// A committed cell serves.
    Wake(usize, CellRef),
    /// The head of a queue may lose its patience.
    Expire(usize),
    /// The controller looks.
    Control,
    /// A bursty source switches.
    Source(usize, bool),
    /// Something befalls a class.
    Strike(Blow),
    /// A point of the timeline.
    Point,
}

#[derive(Debug)]
struct Due {
    at: Nanos,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest, as the heap gives out its greatest; of equals the first made.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// A simulated host.
#[derive(Debug)]
pub(super) struct Plant {
    name: String,
    controller: Controller,
    seed: u64,
    end: Nanos,
    every: f64,
    host: HostPlan,
    constants: Constants,
    now: Nanos,
    due: BinaryHeap<Due>,
    made: u64,
    tissues: Vec<Tissue>,
    cores: Cores<Task>,
    stems: u32,
    nature: Nature,
    mind: Box<dyn Mind>,
    control_at: Option<Nanos>,
    orders: Vec<Order>,
}

/// Points of a timeline.
const POINTS: f64 = 1_200.0;

impl Plant {
    /// The host at its start. `watch` is what a [`Controller::Neuron`] asks.
    pub(super) fn new(
        scenario: &Scenario,
        controller: Controller,
        seed: u64,
        watch: Option<Box<dyn Watch>>,
    ) -> Result<Self, ScenarioError> {
        let mut seeds = crate::dice::Dice::new(seed);
        let constants = scenario.constants()?;
        let tissues = scenario.classes.iter().map(|plan| Tissue::new(plan, scenario.seconds, seeds.bits()));
        let tissues: Vec<Tissue> = tissues.collect();
        let mut plant = Self {
            name: scenario.name.clone(),
            controller,
            seed,
            end: seconds(scenario.seconds),
            every: scenario.seconds / POINTS,
            host: scenario.host,
            constants,
            now: Nanos(0),
            due: BinaryHeap::new(),
            made: 0,
            tissues,
            cores: Cores::new(scenario.host.cores),
            stems: constants.stems_min,
            nature: Nature::new(seeds.bits()),
            mind: match watch {
                Some(watch) => Box::new(NeuronMind::new(scenario, watch, seeds.bits())?),
                None => mind(scenario, controller, seeds.bits())?,
            },
            control_at: None,
            orders: Vec::new(),
        };
        plant.prepare(&scenario.blows);
        Ok(plant)
    }

    /// The cells that the load at the start needs serve already; the first events are set.
    fn prepare(&mut self, blows: &[Blow]) {
        for class in 0..self.tissues.len() {
            self.start_sources(class);
            let need = self.need(class, 0.0);
            let Some(tissue) = self.tissues.get_mut(class) else { continue };
            let cells = (libm::ceil(need) as u32).clamp(tissue.plan.spec.min, tissue.plan.spec.max);
            for at in 0..u64::from(cells) {
                // A bushy tree: the n-th is a daughter of the one at half its number.
                let cell = tissue.cells.conceive(Nanos(0), (at > 0).then_some(Niche(at.div_ceil(2).max(1))));
                tissue.cells.wake(cell, Nanos(0));
            }
            if let Some((from, to)) = tissue.arrivals.jump() {
                tissue.meter.watch(seconds(from), Some(seconds(to)));
            }
            self.note(class);
            self.next_arrival(class);
        }
        for blow in blows {
            self.schedule(seconds(blow.at), Event::Strike(*blow));
            let tissue = self.tissues.get_mut(blow.class);
            if let (Some(tissue), BlowKind::Crash(_)) = (tissue, blow.kind) {
                tissue.meter.watch(seconds(blow.at), None);
            }
        }
        self.control_by(Nanos(0));
        self.schedule(seconds(self.every), Event::Point);
    }

    fn start_sources(&mut self, class: usize) {
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        for _ in 0..tissue.arrivals.sources() {
            let is_on = tissue.arrivals.starts_on();
            if is_on {
                tissue.arrivals.turn(true);
            }
            let left = tissue.arrivals.switch(is_on);
            self.made += 1;
            self.due.push(Due { at: seconds(left), order: self.made, event: Event::Source(class, !is_on) });
        }
    }

    /// Plays to the end.
    pub(super) fn play(mut self) -> Outcome {
        while let Some(Due { at, event, .. }) = self.due.pop() {
            if at > self.end {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        let end = self.end;
        let classes = self.tissues.into_iter().map(|tissue| tissue.meter.finish(end)).collect();
        Outcome { scenario: self.name, controller: self.controller, seed: self.seed, classes }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive(class) => self.arrive(class),
            Event::Done(task, took) => self.finish(task, took),
            Event::Turn(job) => self.turned(job),
            Event::Wake(class, cell) => self.wake(class, cell),
            Event::Expire(class) => self.expire(class),
            Event::Control => self.control(),
            Event::Source(class, is_on) => self.switch(class, is_on),
            Event::Strike(blow) => self.strike(blow),
            Event::Point => self.point(),
        }
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.made += 1;
        self.due.push(Due { at, order: self.made, event });
    }

    fn seconds(&self) -> f64 {
        self.now.0 as f64 / 1e9
    }

    /// Cells that a class needs at `t` seconds: what the law would want if it knew the rate.
    fn need(&self, class: usize, t: f64) -> f64 {
        self.tissues.get(class).map_or(0.0, |tissue| tissue.need(&self.constants, t))
    }

    fn next_arrival(&mut self, class: usize) {
        let t = self.seconds();
        let next = self.tissues.get_mut(class).and_then(|tissue| tissue.arrivals.next(t));
        if let Some(next) = next {
            self.schedule(seconds(next), Event::Arrive(class));
        }
    }

    fn arrive(&mut self, class: usize) {
        self.next_arrival(class);
        let (now, t) = (self.now, self.seconds());
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        if !tissue.arrivals.is_real(t) {
            return;
        }
        tissue.count(now);
        tissue.arrived += 1;
        tissue.meter.offered(now);
        if tissue.queue.is_empty()
            && let Some(cell) = tissue.cells.take(&mut self.nature)
        {
            tissue.peak();
            self.begin(class, cell, now);
        } else if tissue.sheds(now) {
            tissue.meter.refused(now);
        } else {
            self.enqueue(class);
        }
        if self.control_at.is_none() {
            // The alarm of a sleeping governor.
            self.control_by(now);
        }
    }

    fn enqueue(&mut self, class: usize) {
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        let is_first = tissue.queue.is_empty();
        tissue.queue.push_back(now);
        tissue.peak();
        if !tissue.has_expiry {
            tissue.has_expiry = true;
            let at = now + millis(tissue.plan.patience_ms);
            self.schedule(at, Event::Expire(class));
        }
        let id = ClassId(class as u32);
        if is_first && let Some(at) = self.mind.reflex(id, now) {
            self.control_by(at);
        }
        let Some(tissue) = self.tissues.get(class) else { return };
        let cells = &tissue.cells;
        let takes = self.mind.demand(id).is_some_and(|demand| {
            demand.may_take(
                tissue.queue.len() as u32,
                cells.inflight,
                cells.pending,
                cells.placed(),
                self.stems,
            )
        });
        if takes {
            let mother = cells.last_readings().first().map(|reading| reading.niche);
            self.stems -= 1;
            self.conceive(class, mother, self.host.wake_ms);
        }
    }

    /// A request gets a slot.
    fn begin(&mut self, class: usize, cell: CellRef, arrived: Nanos) {
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        tissue.meter.started(arrived, now);
        tissue.note_delay(now, now.since(arrived));
        let task = Task { class, cell, arrived };
        let cpu = millis(tissue.plan.cpu_ms);
        if cpu > Nanos(0) {
            self.cores.wake(now, task, cpu);
            self.dispatch();
        } else {
            let took = seconds(self.nature.service(tissue.plan.service_ms / 1e3, tissue.plan.service_cv));
            self.schedule(now + took, Event::Done(task, took));
        }
    }

    fn dispatch(&mut self) {
        while let Some((end, job)) = self.cores.turn(self.now) {
            self.schedule(end, Event::Turn(job));
        }
    }

    fn turned(&mut self, job: Job<Task>) {
        self.cores.yielded(self.now, job);
        if job.left == Nanos(0) {
            self.computed(job.owner);
        }
        self.dispatch();
    }

    /// A request has had its CPU time; the rest is waiting.
    fn computed(&mut self, task: Task) {
        let Some(tissue) = self.tissues.get(task.class) else { return };
        let (mean, cv) = (tissue.plan.service_ms / 1e3, tissue.plan.service_cv);
        let cpu = millis(tissue.plan.cpu_ms);
        let waits = seconds(self.nature.service(mean, cv));
        if waits > Nanos(0) {
            self.schedule(self.now + waits, Event::Done(task, waits + cpu));
        } else {
            self.finish(task, cpu);
        }
    }

    fn finish(&mut self, task: Task, took: Nanos) {
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(task.class) else { return };
        tissue.count(now);
        let freed = tissue.cells.give_back(task.cell);
        if freed == Freed::Stale {
            return;
        }
        tissue.meter.served(task.arrived, now);
        let took = took.0 as f64;
        tissue.service =
            if tissue.service > 0.0 { tissue.service + (took - tissue.service) / 64.0 } else { took };
        if freed == Freed::Nothing {
            self.note(task.class);
        }
        self.serve_queue(task.class);
    }

    fn serve_queue(&mut self, class: usize) {
        loop {
            let Some(tissue) = self.tissues.get_mut(class) else { return };
            if tissue.queue.is_empty() {
                return;
            }
            let Some(cell) = tissue.cells.take(&mut self.nature) else { return };
            let Some(arrived) = tissue.queue.pop_front() else { return };
            self.begin(class, cell, arrived);
        }
    }

    fn wake(&mut self, class: usize, cell: CellRef) {
        let now = self.now;
        if let Some(tissue) = self.tissues.get_mut(class) {
            tissue.count(now);
            tissue.cells.wake(cell, now);
        }
        self.note(class);
        self.serve_queue(class);
    }

    fn expire(&mut self, class: usize) {
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        tissue.count(now);
        let patience = millis(tissue.plan.patience_ms);
        while let Some(arrived) = tissue.queue.front().copied().filter(|at| *at + patience <= now) {
            tissue.queue.pop_front();
            tissue.meter.gave_up(arrived);
        }
        let next = tissue.queue.front().map(|arrived| *arrived + patience);
        tissue.has_expiry = next.is_some();
        if let Some(next) = next {
            self.schedule(next, Event::Expire(class));
        }
    }

    fn switch(&mut self, class: usize, is_on: bool) {
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        tissue.arrivals.turn(is_on);
        let span = seconds(tissue.arrivals.switch(is_on));
        self.schedule(self.now + span, Event::Source(class, !is_on));
    }

    fn strike(&mut self, blow: Blow) {
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(blow.class) else { return };
        match blow.kind {
            BlowKind::Crash(share) => {
                tissue.count(now);
                let before = tissue.cells.placed();
                let lost = tissue.cells.crash(share, &mut self.nature);
                tissue.meter.lost(lost, now);
                tissue.meter.died(before - tissue.cells.placed());
                self.note(blow.class);
                // A death is a stimulus: the law looks at once.
                self.control_by(now);
            }
            BlowKind::Liars(count) => tissue.cells.corrupt(count),
        }
    }

    fn point(&mut self) {
        let (now, every, t) = (self.now, self.every, self.seconds());
        for class in 0..self.tissues.len() {
            let need = self.need(class, t);
            let hormone = self.mind.hormone(ClassId(class as u32));
            self.note(class);
            if let Some(tissue) = self.tissues.get_mut(class) {
                tissue.meter.point(now, every, need, hormone);
            }
        }
        self.schedule(now + seconds(every), Event::Point);
    }

    /// The population of a class changed, or is to be looked at.
    fn note(&mut self, class: usize) {
        let need = self.need(class, self.seconds());
        let now = self.now;
        if let Some(tissue) = self.tissues.get_mut(class) {
            let (placed, ready) = (tissue.cells.placed(), tissue.cells.ready);
            tissue.meter.population(now, placed, ready, need);
        }
    }

    fn conceive(&mut self, class: usize, mother: Option<Niche>, delay_ms: f64) {
        let delay = millis(self.nature.delay(delay_ms, self.host.spread));
        let now = self.now;
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        let cell = tissue.cells.conceive(now, mother);
        tissue.meter.born();
        self.schedule(now + delay, Event::Wake(class, cell));
        self.note(class);
    }

    /// The controller looks at `at`, unless it does so sooner anyway.
    fn control_by(&mut self, at: Nanos) {
        let at = at.max(self.now);
        if self.control_at.is_none_or(|known| at < known) {
            self.control_at = Some(at);
            self.schedule(at, Event::Control);
        }
    }

    fn control(&mut self) {
        if self.control_at != Some(self.now) {
            return;
        }
        self.control_at = None;
        let placed: u32 = self.tissues.iter().map(|tissue| tissue.cells.placed()).sum();
        let host = HostSample {
            stems: self.stems,
            room: self.host.places.saturating_sub(placed).saturating_sub(self.stems),
            run_delay: self.cores.run_delay(),
            busy_permille: self.cores.busy_permille(self.now),
            cores: self.host.cores,
            warm_mib: 0,
        };
        let (now, t, wake) = (self.now, self.seconds(), self.host.wake_ms);
        let ahead = t + (wake * (1.0 + self.host.spread) + 20.0) / 1e3;
        let constants = self.constants;
        let gauges: Vec<Gauge> =
            self.tissues.iter_mut().map(|tissue| tissue.look(now, &constants, t, ahead)).collect();
        let samples: Vec<ClassSample<'_>> = self
            .tissues
            .iter()
            .enumerate()
            .map(|(class, tissue)| {
                let stalled = self.cores.stalled(|task| task.class == class);
                tissue.sample(class, stalled, millis(wake))
            })
            .collect();
        let mut orders = std::mem::take(&mut self.orders);
        let look = Look { now, host, samples: &samples, gauges: &gauges };
        let next = self.mind.act(&look, &mut orders);
        for order in orders.drain(..) {
            self.perform(order);
        }
        self.orders = orders;
        if let Some(next) = next {
            // Time goes on, whatever a controller says.
            self.control_by(next.max(now + Nanos(1_000)));
        }
    }

    fn perform(&mut self, order: Order) {
        match order {
            Order::Do(Decision::Refill(count)) => self.stems += count,
            Order::Do(Decision::Dissolve(count)) => self.stems = self.stems.saturating_sub(count),
            Order::Do(Decision::Cell { class, act, .. }) => self.act(class.0 as usize, act),
            Order::Target { class, cells, from_stems } => self.aim(class.0 as usize, cells, from_stems),
        }
    }

    fn act(&mut self, class: usize, act: Act) {
        match act {
            Act::Differentiate { mother } => {
                self.stems = self.stems.saturating_sub(1);
                self.conceive(class, mother, self.host.wake_ms);
            }
            Act::Divide { mother } => self.conceive(class, Some(mother), self.host.birth_ms),
            Act::Found => self.conceive(class, None, self.host.birth_ms),
            Act::Die { niche } => {
                let Some(tissue) = self.tissues.get_mut(class) else { return };
                let count = u32::from(tissue.cells.drain(niche));
                tissue.meter.died(count);
                self.note(class);
            }
        }
    }

    /// Brings a class to so many cells, for rivals that say only that.
    fn aim(&mut self, class: usize, cells: u32, from_stems: bool) {
        let Some(tissue) = self.tissues.get_mut(class) else { return };
        let living = tissue.cells.living();
        if cells < living {
            tissue.cells.drain_idlest(living - cells);
            tissue.meter.died(living - cells);
            self.note(class);
        }
        for _ in living..cells {
            let placed: u32 = self.tissues.iter().map(|tissue| tissue.cells.placed()).sum();
            let held = self.tissues.get(class).map_or(0, |tissue| tissue.cells.placed());
            if self.tissues.get(class).is_none_or(|tissue| held >= tissue.plan.spec.max) {
                break;
            }
            let is_stem = from_stems && self.stems > 0;
            if is_stem {
                self.stems -= 1;
            } else if placed + self.stems >= self.host.places {
                break;
            }
            self.conceive(class, None, if is_stem { self.host.wake_ms } else { self.host.birth_ms });
        }
    }
}
