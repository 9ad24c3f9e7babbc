//! The governor: one loop over a closed [`Event`] enum around the organism's pure decisions.
//!
//! At each look it starts what is wanted and missing ([`expression`]), hands what the tissues say to
//! the hormone law ([`homeostasis`]) and performs what comes back, each decision at exactly one
//! door. It looks at every tick while the law wants to, sooner where a queue is felt; otherwise it
//! sleeps until the engine's [`Alarm`] rings, or somebody tells it something. The gateway never
//! waits for it: a request that finds no cell calls for one on its own, as far as the law last
//! allowed.
//!
//! Births and deaths are recorded in sums ([`census`]), so that a gene that is born or dies with
//! every request does not drown what else happens.

mod census;
mod ear;
mod egg;
mod expression;
mod ground;
mod heat;
mod homeostasis;
mod levels;
mod orders;
mod population;
#[cfg(test)]
mod tests;
mod watch;
mod zombies;

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::GeneName;
pub use cyte_engine::Tally;
use cyte_engine::{Alarm, Neuron};
use cyte_organism::constants::Constants;
use cyte_organism::hot::Thermometer;
use cyte_organism::law::{Act, ClassId, Decision};
use cyte_organism::lineage::Niche;
use cyte_organism::{Nanos, ReleaseError};
use tokio::sync::mpsc;

use crate::egg::Egg;
use crate::event::{EventLog, Happening};
use crate::flight::Flight;
use census::Census;
pub use ear::{Ear, Event, inbox};
use egg::Core;
use expression::{Expression, Look};
pub use expression::{Outlook, Pressure};
pub use ground::{Ground, Soil};
use homeostasis::{Homeostasis, Seen};
pub use levels::Levels;
pub use orders::{Order, Voice};
pub use population::Population;
use watch::Watch;
pub use watch::{Incident, Kind};
use zombies::Court;
pub use zombies::Judge;

/// How soon the tissues are looked at after a cell died: many that die together cost one look.
const AFTER_A_DEATH: Nanos = Nanos::from_millis(1);
/// How soon an otherwise idle organism is looked at after something was done about it.
const AFTER_A_DEED: Nanos = Nanos::from_millis(1_000);
/// How soon it is looked whether what was started is there.
const AFTER_AN_EXPRESSION: Nanos = Nanos::from_millis(20);

/// What a governor rules by, and where it says how things stand.
pub struct Charge {
    /// The DNA's constants of the hormone law.
    pub constants: Constants,
    /// What all tissues share.
    pub ground: Box<dyn Ground>,
    /// Whether stems grow before the first request.
    pub awake: bool,
    /// The first cell.
    pub egg: Arc<Egg>,
    /// Where hormones and cells are shown.
    pub levels: Arc<Levels>,
    /// Who is asked what each class is to follow, where the DNA has one.
    pub neuron: Option<Arc<Neuron>>,
    /// Who is asked about cells that are stuck, where the DNA has one.
    pub judge: Option<Box<dyn Judge>>,
    /// What makes recordings.
    pub flight: Arc<Flight>,
    /// What is wanted.
    pub pressure: Pressure,
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Charge").field("pressure", &self.pressure).finish_non_exhaustive()
    }
}

/// The loop's state.
pub struct Governor {
    homeostasis: Homeostasis,
    expression: Expression,
    ground: Box<dyn Ground>,
    /// An egg is not, until something lives or is asked.
    is_awake: bool,
    core: Core,
    levels: Arc<Levels>,
    neuron: Option<Arc<Neuron>>,
    flight: Arc<Flight>,
    watch: Watch,
    court: Court,
    thermometer: Thermometer,
    populations: Vec<Arc<dyn Population>>,
    census: Census,
    /// What guests of one class released; keeps its space.
    released: Vec<(Niche, f64)>,
    events: Arc<EventLog>,
    alarm: Arc<Alarm>,
    /// Whether the alarm was set before the last look.
    is_dozing: bool,
    /// When the tissues are to be looked at next; never, until somebody says so.
    due: Option<Nanos>,
    inbox: mpsc::Receiver<Event>,
}

impl std::fmt::Debug for Governor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Governor").field("populations", &self.populations.len()).finish_non_exhaustive()
    }
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl Governor {
    /// A governor of these tissues. `alarm` is the one that they ring.
    pub fn new(
        populations: Vec<Arc<dyn Population>>,
        events: Arc<EventLog>,
        alarm: Arc<Alarm>,
        inbox: mpsc::Receiver<Event>,
        charge: Charge,
    ) -> Self {
        let Charge { constants, ground, awake, egg, levels, neuron, judge, flight, pressure } = charge;
        let census = Census::new(populations.len());
        Self {
            homeostasis: Homeostasis::new(constants, pressure.seed, populations.len()),
            expression: Expression::new(pressure),
            ground,
            is_awake: awake,
            core: Core::new(egg),
            levels,
            neuron,
            flight,
            watch: Watch::default(),
            court: Court::new(judge),
            thermometer: Thermometer::default(),
            populations,
            census,
            released: Vec::new(),
            events,
            alarm,
            is_dozing: false,
            due: Some(Nanos(0)),
            inbox,
        }
    }

    /// Runs until [`Event::Shutdown`]. `now` reads the host's clock.
    pub async fn run(mut self, now: impl Fn() -> Nanos) {
        loop {
            let event = self.next_event(now()).await;
            if self.handle(now(), event) == Next::Stop {
                return;
            }
        }
    }

    async fn next_event(&mut self, now: Nanos) -> Event {
        let told = self.inbox.recv();
        let told = match self.due {
            None => told.await,
            Some(due) => {
                let sleep = Duration::from_nanos(due.since(now).0);
                match tokio::time::timeout(sleep, told).await {
                    Ok(told) => told,
                    Err(_) => Some(Event::Tick),
                }
            }
        };
        // Nobody is left who could say anything, not even "stop".
        told.unwrap_or(Event::Shutdown)
    }

    fn handle(&mut self, now: Nanos, event: Event) -> Next {
        match event {
            Event::Tick => self.tick(now),
            Event::Queued => self.feel(now),
            Event::CellDied { gene, cell, reason, born, served, cause } => {
                self.expression.died(now, &gene, cause, born, served);
                let incident = self.watch.died(now, &gene, cause, &reason);
                self.keep(now, incident);
                if self.census.may_tell(now) {
                    let gene = gene.to_string();
                    self.events.record(Happening::CellDied { gene, cell, cause, uses: served, reason });
                } else if let Some(at) = self.place_of(&gene) {
                    self.census.died(at);
                }
                // Its tissue may want a successor.
                self.look_by(now + AFTER_A_DEATH);
            }
            Event::Wished => {
                self.expression.wished();
                self.look_by(now);
            }
            Event::Shared => {
                self.expression.shared();
                self.look_by(now);
            }
            Event::Grow { class, cells } => self.grow(now, class, cells),
            Event::Operator { uid, verb, subject } => {
                self.events.record(Happening::Operator { uid, verb, subject });
                self.look_by(now);
            }
            Event::Release { gene, strength, answer } => {
                let released = self.release(gene.as_ref(), strength);
                // Whoever asked may be gone.
                let _ = answer.map(|answer| answer.send(released));
                self.look_by(now);
            }
            Event::Order { gene, order, voice, answer } => {
                let _ = answer.send(self.obey_order(&gene, order, voice));
                self.look_by(now);
            }
            Event::Judged { gene, found, verdict } => {
                self.judged(&gene, found, verdict);
                self.look_by(now);
            }
            Event::Ask { gene, niche, answer } => {
                let felt = self.place_of(&gene).and_then(|at| self.homeostasis.trace(at, niche));
                let _ = answer.send(felt);
            }
            Event::Record { answer } => {
                let segments = self.homeostasis.segments();
                let _ = answer.send(self.flight.recording("asked".to_owned(), now, segments));
            }
            Event::Shutdown => return Next::Stop,
        }
        Next::GoOn
    }

    fn look_by(&mut self, at: Nanos) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn place_of(&self, gene: &GeneName) -> Option<usize> {
        self.populations.iter().position(|tissue| tissue.gene() == gene)
    }

    /// Makes cells for another host, as far as this one may make any.
    fn grow(&mut self, now: Nanos, class: ClassId, cells: u32) {
        let Some(population) = self.populations.get(class.0 as usize) else { return };
        if self.expression.allows_spares(population.gene()) {
            population.prepare(cells);
            let gene = population.gene().to_string();
            self.events.record(Happening::GrewForOthers { gene, cells });
            self.look_by(now);
        }
    }

    /// Requests wait: the law looks when the first of them has waited long enough to be felt.
    fn feel(&mut self, now: Nanos) {
        self.alarm.heard();
        let heads = self.populations.iter().enumerate().filter_map(|(at, tissue)| Some((at, tissue.head()?)));
        // A class that the law does not know yet was never looked at.
        let looks = heads.map(|(at, head)| self.homeostasis.reflex(at, head).unwrap_or(now));
        if let Some(soonest) = looks.min() {
            self.look_by(soonest);
        }
    }

    fn release(&mut self, gene: Option<&GeneName>, strength: f64) -> Result<(), ReleaseError> {
        let chosen = |tissue: &Arc<dyn Population>| gene.is_none_or(|gene| tissue.gene() == gene);
        let places: Vec<usize> = self
            .populations
            .iter()
            .enumerate()
            .filter(|(_, tissue)| chosen(tissue))
            .map(|(at, _)| at)
            .collect();
        places.into_iter().try_for_each(|at| self.homeostasis.command(at, strength))
    }

    fn tick(&mut self, now: Nanos) {
        self.alarm.heard();
        self.core.egg.looked();
        for (population, seen) in self.populations.iter().zip(self.homeostasis.seen_mut()) {
            seen.tally = population.look(&mut seen.cells);
        }
        let has_woken = self.wake(now);
        let look = self.expression.look(now, &self.populations);
        let has_expressed = self.express(now, look);
        for (population, seen) in self.populations.iter().zip(self.homeostasis.seen_mut()) {
            seen.least = self.expression.as_met(population.gene(), &seen.tally);
        }
        let has_borne = self.keep_a_drone(now);
        let has_decided = self.regulate(now);
        self.watch_refusals(now);
        self.due = self.homeostasis.next_deadline(now);
        self.doze(now, !has_expressed && !has_decided);
        self.take_census(now, self.due.is_none());
        if has_expressed || has_borne {
            self.look_by(now + AFTER_AN_EXPRESSION);
        }
        if has_woken {
            // The pool is raised at the next look: a budget fills with time.
            self.look_by(now + self.homeostasis.constants().tick);
        }
        if let Some(again) = self.expression.due() {
            self.look_by(again);
        }
        self.find_zombies(now);
        self.feel_heat(now);
        if self.exchange() {
            self.look_by(now + self.homeostasis.constants().tick);
        }
    }

    /// Hormones between the law and the guests: what they released is heard at the next look, how their
    /// classes stand is told to those with a receptor. Says whether there is more of either.
    fn exchange(&mut self) -> bool {
        let mut has_more = false;
        for (at, population) in self.populations.iter().enumerate() {
            has_more |= self.is_awake && population.tell(self.homeostasis.told(at));
            self.released.clear();
            population.take_released(&mut self.released);
            for (niche, strength) in &self.released {
                has_more |= self.homeostasis.release(at, *niche, *strength).is_ok();
            }
        }
        has_more
    }

    /// Runs the law and does what it decided; says whether there was anything. An egg does nothing.
    fn regulate(&mut self, now: Nanos) -> bool {
        if !self.is_awake {
            return false;
        }
        self.obey(now);
        let host = self.ground.look(now);
        let decisions = match self.homeostasis.decide(now, host) {
            Ok(decisions) => decisions.to_vec(),
            Err(refused) => {
                tracing::error!("the hormone law refuses a class: {refused}");
                return false;
            }
        };
        for decision in &decisions {
            self.perform(now, decision);
        }
        for (at, population) in self.populations.iter().enumerate() {
            if let Some(demand) = self.homeostasis.demand(at) {
                population.publish(demand);
            }
            if self.expression.allows_spares(population.gene()) {
                population.renew();
            }
        }
        self.levels.show(host, &self.homeostasis, &self.populations);
        self.tell_stems(host);
        if let Some(neuron) = &self.neuron {
            let names = self.populations.iter().map(|tissue| tissue.gene().as_str());
            // It answers when it can; whether it may be asked now is its own affair.
            neuron.ask(now, self.homeostasis.look(now, host, self.ground.memory(), names));
        }
        !decisions.is_empty()
    }

    /// Writes what the neuron ordered since the last look into the law's registers.
    fn obey(&mut self, now: Nanos) {
        let orders = self.neuron.as_ref().and_then(|neuron| neuron.take()).unwrap_or_default();
        for order in orders {
            let at = self.populations.iter().position(|tissue| tissue.gene().as_str() == order.gene);
            if let Some(at) = at {
                self.homeostasis.advise(now, at, &order);
            }
        }
    }

    /// Each decision has one door.
    fn perform(&mut self, now: Nanos, decision: &Decision) {
        let (class, act, cause, trace) = match *decision {
            Decision::Refill(count) => return self.ground.make_stems(count),
            Decision::Dissolve(count) => return self.ground.dissolve_stems(count),
            Decision::Cell { class, act, cause, trace } => (class.0 as usize, act, cause, trace),
        };
        let Some(population) = self.populations.get(class) else { return };
        let is_waited_for = self.homeostasis.seen().get(class).is_some_and(|seen| seen.tally.queued > 0);
        let may_grow = is_waited_for || self.expression.allows_spares(population.gene());
        let is_done = match act {
            Act::Differentiate { mother } => may_grow && population.beget(mother, true),
            Act::Divide { mother } => may_grow && population.beget(Some(mother), false),
            Act::Found => may_grow && population.beget(None, false),
            Act::Die { niche } => {
                population.end(niche);
                true
            }
        };
        if is_done {
            self.census.decided(class, act, cause, trace);
            self.levels.decided(now, class, act, cause, trace);
        }
    }

    /// Starts what is missing and ends what is too much; says whether there was anything.
    fn express(&self, now: Nanos, look: Look) -> bool {
        let Look { plan, revision, news } = look;
        for piece in &plan.start {
            if let Some(population) = self.place_of(&piece.gene).and_then(|at| self.populations.get(at)) {
                population.prepare(piece.cells);
            }
            let gene = piece.gene.to_string();
            self.events.record(Happening::Expressed { gene, cells: piece.cells, revision });
        }
        for surplus in &plan.stop {
            if let Some(population) = self.place_of(&surplus.gene).and_then(|at| self.populations.get(at)) {
                population.retire(surplus.cells);
            }
        }
        for missing in news {
            self.events.record(Happening::NotExpressed {
                gene: missing.gene.to_string(),
                cells: missing.cells,
                reason: missing.reason.to_string(),
                again_ms: missing.again.map(|again| again.since(now).as_millis()),
            });
        }
        !plan.start.is_empty() || !plan.stop.is_empty()
    }

    /// Requests that find no cell for long are an incident.
    fn watch_refusals(&mut self, now: Nanos) {
        let mut found = None;
        for (population, seen) in self.populations.iter().zip(self.homeostasis.seen()) {
            let incident = self.watch.refused(now, population.gene(), seen.tally.refused);
            found = found.or(incident);
        }
        self.keep(now, found);
    }

    /// Keeps what the law was told until now, where that is worth it.
    fn keep(&self, now: Nanos, incident: Option<Incident>) {
        self.flight.too_soon(self.watch.missed());
        if let Some(incident) = incident {
            self.flight.keep(incident, now, self.homeostasis.segments());
        }
    }

    /// Where nothing is left to do: sets the alarm, looks once more for what came before it was
    /// set, as soon as the law looks again at all, and only then sleeps without an end.
    fn doze(&mut self, now: Nanos, did_nothing: bool) {
        let is_idle = self.due.is_none() && did_nothing;
        match (is_idle, self.is_dozing) {
            (true, false) => {
                self.alarm.set();
                self.due = Some(now + self.homeostasis.constants().reflex_gap);
            }
            (false, true) => self.alarm.unset(),
            _ => {}
        }
        if !is_idle && self.due.is_none() {
            self.due = Some(now + AFTER_A_DEED);
        }
        self.is_dozing = is_idle;
    }

    /// Tells of births, of decisions, and of deaths that were not told one by one.
    fn take_census(&mut self, now: Nanos, is_last: bool) {
        let born = self.homeostasis.seen().iter().map(|seen: &Seen| seen.tally.born);
        for ((at, population), born) in self.populations.iter().enumerate().zip(born) {
            let gene = population.gene().to_string();
            for deed in self.census.take_deeds(at, now, is_last) {
                self.events.record(deed.happening(&gene));
            }
            let Some(change) = self.census.take(at, now, born, is_last) else { continue };
            if change.born > 0 {
                self.events.record(Happening::CellsBorn { gene: gene.clone(), count: change.born });
            }
            if change.died > 0 {
                self.events.record(Happening::CellsDied { gene, count: change.died });
            }
        }
    }
}
