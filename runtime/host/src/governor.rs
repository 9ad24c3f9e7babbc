//! The governor: one closed [`Event`] enum and one loop around the organism's pure decisions.
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
mod expression;
mod ground;
mod homeostasis;
mod levels;
mod orders;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::GeneName;
pub use cyte_engine::Tally;
use cyte_engine::capability::control::Refused;
use cyte_engine::{Alarm, HormoneLevels, Neuron, Ring, Zombie};
use cyte_organism::constants::Constants;
use cyte_organism::flight::Recording;
use cyte_organism::law::{Act, ClassId, Decision, Demand, Trace};
use cyte_organism::lineage::Niche;
use cyte_organism::phenotype::Cause;
use cyte_organism::{Nanos, Reading, ReleaseError};
use tokio::sync::{mpsc, oneshot};

use crate::event::{EventLog, Happening};
use crate::flight::Flight;
use census::Census;
use expression::{Expression, Look};
pub use expression::{Outlook, Pressure};
pub use ground::{Ground, Soil};
use homeostasis::{Homeostasis, Seen};
pub use levels::Levels;
pub use orders::{Order, Voice};
use watch::Watch;
pub use watch::{Incident, Kind};

/// How soon the tissues are looked at after a cell died: many that die together cost one look.
const AFTER_A_DEATH: Nanos = Nanos::from_millis(1);
/// How soon an otherwise idle organism is looked at after something was done about it.
const AFTER_A_DEED: Nanos = Nanos::from_millis(1_000);
/// How soon it is looked whether what was started is there.
const AFTER_AN_EXPRESSION: Nanos = Nanos::from_millis(20);
/// How many events may wait; more are dropped and counted by the sender.
const INBOX: usize = 1_024;

/// What can happen to a governor. Closed: whatever is not here does not happen.
#[derive(Debug)]
pub enum Event {
    /// It is time to look at the tissues.
    Tick,
    /// Requests wait where none waited before.
    Queued,
    /// A cell died before its uses were spent.
    CellDied {
        /// Its gene.
        gene: GeneName,
        /// Its number.
        cell: u64,
        /// When it was born.
        born: Nanos,
        /// Messages that it answered.
        served: u64,
        /// What kind of death.
        cause: Cause,
        /// Why, in words.
        reason: String,
    },
    /// What is wanted changed.
    Wished,
    /// What this host does for the organism of several changed.
    Shared,
    /// Another host lacks cells, and this one took some over.
    Grow {
        /// Of the gene at this place.
        class: ClassId,
        /// How many.
        cells: u32,
    },
    /// An operator wrote something.
    Operator {
        /// Who, as a user id.
        uid: u32,
        /// The verb.
        verb: String,
        /// What it was done to.
        subject: String,
    },
    /// An operator releases a hormone.
    Release {
        /// To the cells of this gene; to all where there is none.
        gene: Option<GeneName>,
        /// From -1 to the most that a cell may report; positive asks for growth.
        strength: f64,
        /// Told what became of it, where somebody wants to know.
        answer: Option<oneshot::Sender<Result<(), ReleaseError>>>,
    },
    /// A cell is to be made or to end by somebody's word.
    Order {
        /// Of this gene.
        gene: GeneName,
        /// What is to be done.
        order: Order,
        /// Whose word it is.
        voice: Voice,
        /// Told what became of it.
        answer: oneshot::Sender<Result<u64, Refused>>,
    },
    /// Somebody asks what a cell felt at the last look.
    Ask {
        /// Its gene.
        gene: GeneName,
        /// Its niche.
        niche: Niche,
        /// Told what it felt; nothing where the law did not see it.
        answer: oneshot::Sender<Option<Trace>>,
    },
    /// Somebody wants to know what the law was told and decided lately.
    Record {
        /// Told it.
        answer: oneshot::Sender<Recording>,
    },
    /// The host stops; the loop ends.
    Shutdown,
}

/// One tissue as the governor sees and moves it.
pub trait Population: Send + Sync {
    /// Whose cells these are.
    fn gene(&self) -> &GeneName;
    /// Every niche into `cells`, ascending, and the rest as sums; starts a new window for the peak.
    fn look(&self, cells: &mut Vec<Reading>) -> Tally;
    /// When the longest-waiting request came.
    fn head(&self) -> Option<Nanos>;
    /// Cells alive or being made, without those that are about to end.
    fn staying(&self) -> u32;
    /// Whether a living cell has answered a message or is at least this old.
    fn has_settled(&self, age: Nanos) -> bool;
    /// What requests may do on their own from now on.
    fn publish(&self, demand: Demand);
    /// Makes one more cell as a daughter of who holds `mother`, from a stem or from nothing; says
    /// whether there was one.
    fn beget(&self, mother: Option<Niche>, from_stem: bool) -> bool;
    /// Ends who holds a niche, when it finished what it has.
    fn end(&self, niche: Niche);
    /// Makes successors of one-use cells ready, a few.
    fn renew(&self);
    /// Makes up to `count` cells ready, off the request path.
    fn prepare(&self, count: u32);
    /// Retires up to `count` of the coldest cells that rest.
    fn retire(&self, count: u32);
    /// Makes one more cell, as a daughter of cell `mother` or of the eldest; says its number.
    ///
    /// # Errors
    /// Why there is none more.
    fn divide(&self, mother: Option<u64>) -> Result<u64, Refused>;
    /// Ends a cell when it finished what it has, or with it.
    ///
    /// # Errors
    /// [`Refused::NoCell`] where it does not live.
    fn end_cell(&self, cell: u64, at_once: bool) -> Result<(), Refused>;
    /// What guests released since this was asked last, appended with their niches.
    fn take_released(&self, into: &mut Vec<(Niche, f64)>);
    /// Pings cells that hold a message, where it is time to; those that are stuck.
    fn ping(&self, now: Nanos) -> Vec<Zombie>;
    /// Ends a cell that is stuck.
    fn bury(&self, cell: u64);
    /// Tells the cells how their class stands, where they have a receptor; says whether some still have
    /// to be told.
    fn tell(&self, levels: HormoneLevels) -> bool;
}

/// The way to tell the governor something. Never waits.
#[derive(Debug, Clone)]
pub struct Ear(mpsc::Sender<Event>);

impl Ear {
    /// Tells the governor `event`; says whether there was room for it.
    pub fn tell(&self, event: Event) -> bool {
        self.0.try_send(event).is_ok()
    }

    /// An alarm that makes the governor look at the tissues, as long as somebody else can tell it
    /// something too.
    pub fn alarm(&self) -> Arc<Alarm> {
        let ear = self.0.downgrade();
        Alarm::new(move |ring| {
            if let Some(ear) = ear.upgrade() {
                // A full inbox wakes the governor as well.
                let _ = ear.try_send(match ring {
                    Ring::Request => Event::Tick,
                    Ring::Queue => Event::Queued,
                });
            }
        })
    }
}

/// A governor's inbox, made before the governor so that its senders can be handed out.
pub fn inbox() -> (Ear, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(INBOX);
    (Ear(sender), receiver)
}

/// What a governor rules by, and where it says how things stand.
pub struct Charge {
    /// The DNA's constants of the hormone law.
    pub constants: Constants,
    /// What all tissues share.
    pub ground: Box<dyn Ground>,
    /// Whether stems grow before the first request.
    pub awake: bool,
    /// Where hormones and cells are shown.
    pub levels: Arc<Levels>,
    /// Who is asked what each class is to follow, where the DNA has one.
    pub neuron: Option<Arc<Neuron>>,
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
    levels: Arc<Levels>,
    neuron: Option<Arc<Neuron>>,
    flight: Arc<Flight>,
    watch: Watch,
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
        let Charge { constants, ground, awake, levels, neuron, flight, pressure } = charge;
        let census = Census::new(populations.len());
        Self {
            homeostasis: Homeostasis::new(constants, pressure.seed, populations.len()),
            expression: Expression::new(pressure),
            ground,
            is_awake: awake,
            levels,
            neuron,
            flight,
            watch: Watch::default(),
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
        for (population, seen) in self.populations.iter().zip(self.homeostasis.seen_mut()) {
            seen.tally = population.look(&mut seen.cells);
        }
        let look = self.expression.look(now, &self.populations);
        let has_expressed = self.express(now, look);
        for (population, seen) in self.populations.iter().zip(self.homeostasis.seen_mut()) {
            seen.least = self.expression.as_met(population.gene(), &seen.tally);
        }
        let has_decided = self.regulate(now);
        self.watch_refusals(now);
        self.due = self.homeostasis.next_deadline(now);
        self.doze(now, !has_expressed && !has_decided);
        self.take_census(now, self.due.is_none());
        if has_expressed {
            self.look_by(now + AFTER_AN_EXPRESSION);
        }
        if let Some(again) = self.expression.due() {
            self.look_by(again);
        }
        self.find_zombies(now);
        if self.exchange() {
            self.look_by(now + self.homeostasis.constants().tick);
        }
    }

    /// Cells that are stuck end, and who wants one gets a successor as after any other death.
    fn find_zombies(&self, now: Nanos) {
        for population in &self.populations {
            for Zombie { cell, silent, last } in population.ping(now) {
                let (gene, silent_ms) = (population.gene().to_string(), silent.as_millis());
                self.events.record(Happening::Zombie { gene, cell, silent_ms, last });
                population.bury(cell);
            }
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
        self.is_awake |= !self.homeostasis.is_dormant();
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
        if let Some(neuron) = &self.neuron {
            let names = self.populations.iter().map(|tissue| tissue.gene().as_str());
            // It answers when it can; whether it may be asked now is its own affair.
            neuron.ask(now, self.homeostasis.look(now, host, names));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateFolder;
    use crate::state::tests::scratch;
    use crate::wishes::Wishes;
    use cyte_dna::{Blob, Expression, Gene, Role};
    use cyte_organism::expressor::Switch;
    use std::sync::Mutex;

    /// A tissue of which the test says what is there, and which notes what is asked of it: cells to
    /// make and cells to end.
    struct Fake {
        gene: GeneName,
        tally: Mutex<Tally>,
        cells: Mutex<Vec<Reading>>,
        asked: Mutex<Vec<(u32, u32)>>,
        released: Mutex<Vec<(Niche, f64)>>,
        told: Mutex<HormoneLevels>,
        stuck: Mutex<Vec<Zombie>>,
    }

    impl Fake {
        /// So many cells rest since the start.
        fn has(&self, cells: u64) {
            let rests = |niche| Reading {
                niche: Niche(niche),
                mother: (niche > 1).then_some(Niche(1)),
                phase: cyte_organism::Phase::Ready,
                inflight: 0,
                since: Nanos(1),
            };
            *self.cells.lock().unwrap() = (1..=cells).map(rests).collect();
            self.tally.lock().unwrap().staying = cells as u32;
        }
    }

    impl Population for Fake {
        fn gene(&self) -> &GeneName {
            &self.gene
        }
        fn look(&self, cells: &mut Vec<Reading>) -> Tally {
            cells.clone_from(&self.cells.lock().unwrap());
            *self.tally.lock().unwrap()
        }
        fn head(&self) -> Option<Nanos> {
            self.tally.lock().unwrap().head
        }
        fn staying(&self) -> u32 {
            self.tally.lock().unwrap().staying
        }
        fn has_settled(&self, _age: Nanos) -> bool {
            false
        }
        fn publish(&self, _demand: Demand) {}
        fn beget(&self, _mother: Option<Niche>, _from_stem: bool) -> bool {
            self.asked.lock().unwrap().push((1, 0));
            true
        }
        fn end(&self, niche: Niche) {
            self.asked.lock().unwrap().push((0, 1));
            self.cells.lock().unwrap().retain(|cell| cell.niche != niche);
            self.tally.lock().unwrap().staying -= 1;
        }
        fn renew(&self) {}
        fn prepare(&self, count: u32) {
            self.asked.lock().unwrap().push((count, 0));
        }
        fn retire(&self, count: u32) {
            self.asked.lock().unwrap().push((0, count));
        }
        fn divide(&self, mother: Option<u64>) -> Result<u64, Refused> {
            self.asked.lock().unwrap().push((1, 0));
            Ok(mother.unwrap_or(1) + 1)
        }
        fn end_cell(&self, cell: u64, _at_once: bool) -> Result<(), Refused> {
            let lives = self.cells.lock().unwrap().iter().any(|reading| reading.niche == Niche(cell));
            if !lives {
                return Err(Refused::NoCell);
            }
            self.end(Niche(cell));
            Ok(())
        }
        fn take_released(&self, into: &mut Vec<(Niche, f64)>) {
            into.append(&mut self.released.lock().unwrap());
        }
        fn ping(&self, _now: Nanos) -> Vec<Zombie> {
            std::mem::take(&mut *self.stuck.lock().unwrap())
        }
        fn bury(&self, cell: u64) {
            self.end(Niche(cell));
        }
        fn tell(&self, levels: HormoneLevels) -> bool {
            *self.told.lock().unwrap() = levels;
            false
        }
    }

    /// A host with room and stems, which notes what is asked of it.
    struct Garden(Arc<Mutex<(u32, u32)>>);

    impl Ground for Garden {
        fn look(&mut self, _now: Nanos) -> cyte_organism::law::HostSample {
            let (stems, room) = *self.0.lock().unwrap();
            cyte_organism::law::HostSample { stems, room, cores: 2, ..Default::default() }
        }
        fn make_stems(&self, count: u32) {
            self.0.lock().unwrap().0 += count;
        }
        fn dissolve_stems(&self, count: u32) {
            self.0.lock().unwrap().0 -= count;
        }
    }

    fn fake(least: u32) -> Arc<Fake> {
        let tally = Tally { least, most: 8, slots: 1, target: Nanos::from_millis(20), ..Tally::default() };
        Arc::new(Fake {
            gene: "front".parse().unwrap(),
            tally: Mutex::new(tally),
            cells: Mutex::default(),
            asked: Mutex::default(),
            released: Mutex::default(),
            told: Mutex::default(),
            stuck: Mutex::default(),
        })
    }

    fn governor(tissue: &Arc<Fake>) -> (Governor, Ear, Arc<EventLog>) {
        governor_with(tissue, Switch::On)
    }

    /// What the DNA wants of the tissue is its sample's minimum.
    fn governor_with(tissue: &Arc<Fake>, switch: Switch) -> (Governor, Ear, Arc<EventLog>) {
        let (path, _) = scratch("governor");
        let state = StateFolder::open(&path).unwrap();
        let mut gene = Gene::new(tissue.gene.clone(), Role::Drone, Blob::of(b""));
        let Tally { least, most, .. } = *tissue.tally.lock().unwrap();
        gene.express = Expression { min: least, max: Some(most), ..Expression::default() };
        let (wishes, _) = Wishes::load(state.head(), &[gene], 1).unwrap();
        let pressure = Pressure {
            wishes: Arc::new(wishes),
            switch,
            outlook: Arc::default(),
            room: Box::new(|| 100),
            seed: 1,
            commons: None,
        };
        let events = EventLog::new(None);
        let (ear, inbox) = inbox();
        let populations: Vec<Arc<dyn Population>> = vec![tissue.clone()];
        let policy = cyte_dna::Policy::default();
        let charge = Charge {
            constants: Constants::new(&policy.hormones, &policy.pool).unwrap(),
            ground: Box::new(Garden(Arc::new(Mutex::new((0, 100))))),
            awake: false,
            levels: Arc::default(),
            neuron: None,
            flight: Arc::default(),
            pressure,
        };
        (Governor::new(populations, events.clone(), ear.alarm(), inbox, charge), ear, events)
    }

    fn died(tissue: &Fake, cell: u64) -> Event {
        Event::CellDied {
            gene: tissue.gene.clone(),
            cell,
            born: Nanos(u64::MAX),
            served: 0,
            cause: Cause::Trap,
            reason: "trap".into(),
        }
    }

    fn told(events: &EventLog) -> Vec<Happening> {
        events.after(0, usize::MAX).entries.into_iter().map(|(_, record)| record.what).collect()
    }

    #[test]
    fn what_is_missing_is_started_once_by_the_expressor_and_told() {
        let tissue = fake(2);
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), Event::Tick);
        assert_eq!(*tissue.asked.lock().unwrap(), [(2, 0)], "the hormone law asks for no more");
        let expressed = Happening::Expressed { gene: "front".into(), cells: 2, revision: 1 };
        assert_eq!(told(&events), [expressed]);
        tissue.has(2);
        governor.handle(Nanos::from_millis(20), Event::Tick);
        assert_eq!(tissue.asked.lock().unwrap().len(), 1, "nothing is missing, nothing is surplus");
    }

    #[test]
    fn surplus_ends_cell_by_cell_down_to_what_is_wanted_and_is_told() {
        let tissue = fake(2);
        tissue.has(5);
        let (mut governor, _ear, events) = governor(&tissue);
        let mut now = Nanos(1);
        while let Some(due) = governor.due.filter(|due| *due < Nanos::from_millis(60_000)) {
            now = due.max(now + Nanos(1));
            governor.handle(now, Event::Tick);
        }
        assert_eq!(tissue.staying(), 2);
        assert_eq!(governor.due, None, "and then there is nothing to look at");
        let told = told(&events);
        let ended: u32 = told
            .iter()
            .map(|told| match told {
                Happening::Regulated { ended, born: 0, cause, .. } if cause == "surplus" => *ended,
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(ended, 3);
    }

    #[test]
    fn a_felt_queue_makes_the_law_look_and_grow() {
        let tissue = fake(0);
        tissue.has(1);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(1), Event::Tick);
        let came = Nanos::from_millis(10);
        tissue.cells.lock().unwrap()[0].inflight = 1;
        {
            let mut tally = tissue.tally.lock().unwrap();
            (tally.queued, tally.head, tally.arrived) = (3, Some(came), 4);
        }
        governor.handle(came, Event::Queued);
        assert_eq!(governor.due, Some(came + Nanos::from_millis(4)), "a fifth of the wait that does no harm");
        governor.handle(came + Nanos::from_millis(4), Event::Tick);
        let born = tissue.asked.lock().unwrap().iter().filter(|asked| **asked == (1, 0)).count();
        assert!((1..=4).contains(&born), "{born}");
    }

    #[test]
    fn a_hormone_that_an_operator_releases_is_heard_and_nonsense_is_refused() {
        let tissue = fake(0);
        tissue.has(2);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(1), Event::Tick);
        let release = |governor: &mut Governor, strength| {
            let (answer, mut told) = oneshot::channel();
            governor.handle(Nanos(2), Event::Release { gene: None, strength, answer: Some(answer) });
            told.try_recv().unwrap()
        };
        assert_eq!(release(&mut governor, f64::NAN), Err(ReleaseError::Strength));
        assert_eq!(release(&mut governor, 1.0), Ok(()));
        governor.handle(Nanos::from_millis(21), Event::Tick);
        let grown = tissue.asked.lock().unwrap().contains(&(1, 0));
        assert!(grown, "it asks for as many again");
    }

    /// One packet alone is heard and changes nothing; what is felt of it is told to the cells.
    #[test]
    fn what_guests_release_is_heard_once_and_one_packet_changes_nothing() {
        let tissue = fake(4);
        tissue.has(4);
        let (mut governor, _ear, _) = governor(&tissue);
        // Each as busy as the law wants it to be.
        tissue.tally.lock().unwrap().slots = 10;
        for cell in tissue.cells.lock().unwrap().iter_mut() {
            cell.inflight = 9;
        }
        let at = |tick: u64| Nanos::from_millis(20 * tick);
        let run = |governor: &mut Governor, ticks: std::ops::RangeInclusive<u64>| {
            for tick in ticks {
                governor.handle(at(tick), Event::Tick);
            }
        };
        run(&mut governor, 1..=100);
        let before = (tissue.told.lock().unwrap().felt_fast, tissue.asked.lock().unwrap().len());
        tissue.released.lock().unwrap().push((Niche(2), 1.0));
        run(&mut governor, 101..=101);
        assert!(governor.due.is_some_and(|due| due <= at(102)), "it is heard soon");
        run(&mut governor, 102..=102);
        let felt = tissue.told.lock().unwrap().felt_fast;
        assert!(felt > before.0, "{felt} after {}", before.0);
        run(&mut governor, 103..=150);
        assert_eq!(tissue.asked.lock().unwrap().len(), before.1, "no birth, no death");
    }

    #[test]
    fn a_cell_that_is_stuck_ends_and_is_told() {
        let tissue = fake(2);
        tissue.has(2);
        let (mut governor, _ear, events) = governor(&tissue);
        let silent = Nanos::from_millis(1_500);
        tissue.stuck.lock().unwrap().push(Zombie { cell: 2, silent, last: "it slept".into() });
        governor.handle(Nanos(1), Event::Tick);
        assert_eq!(tissue.staying(), 1);
        let zombie =
            Happening::Zombie { gene: "front".into(), cell: 2, silent_ms: 1_500, last: "it slept".into() };
        assert!(told(&events).contains(&zombie));
    }

    #[test]
    fn an_operators_word_is_done_and_a_cells_word_is_bound_by_the_law() {
        let tissue = fake(2);
        tissue.has(2);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(1), Event::Tick);
        let order = |governor: &mut Governor, gene: &str, order, voice| {
            let (answer, mut told) = oneshot::channel();
            let gene = gene.parse().unwrap();
            governor.handle(Nanos(2), Event::Order { gene, order, voice, answer });
            told.try_recv().unwrap()
        };
        let end = |cell| Order::End { cell, at_once: false };
        let divide = Order::Divide { mother: Some(1) };
        assert_eq!(order(&mut governor, "front", divide, Voice::Cell), Ok(2));
        assert_eq!(order(&mut governor, "front", end(2), Voice::Cell), Err(Refused::Least));
        assert_eq!(order(&mut governor, "front", end(2), Voice::Operator), Ok(2));
        assert_eq!(order(&mut governor, "front", end(9), Voice::Operator), Err(Refused::NoCell));
        // No name is the governor's.
        assert_eq!(order(&mut governor, "governor", divide, Voice::Operator), Err(Refused::NoCell));
    }

    #[test]
    fn with_expression_off_nothing_starts_ahead() {
        let tissue = fake(2);
        let (mut governor, _ear, events) = governor_with(&tissue, Switch::Off);
        tissue.tally.lock().unwrap().arrived = 3;
        governor.handle(Nanos(0), Event::Tick);
        governor.handle(Nanos::from_millis(20), Event::Tick);
        assert!(tissue.asked.lock().unwrap().is_empty());
        let reasons: Vec<_> =
            told(&events).into_iter().filter(|told| matches!(told, Happening::NotExpressed { .. })).collect();
        assert!(
            matches!(&reasons[..], [Happening::NotExpressed { reason, again_ms: None, .. }] if reason.contains("switched off")),
            "{reasons:?}"
        );
    }

    /// The wait doubles, a crash loop waits a minute, and a changed wish does not wait.
    #[test]
    fn a_gene_whose_cells_die_young_is_started_ever_later() {
        let tissue = fake(1);
        let (mut governor, _ear, events) = governor(&tissue);
        let (mut now, mut waits) = (Nanos(0), Vec::new());
        for _ in 0..6 {
            let asked = tissue.asked.lock().unwrap().len();
            while tissue.asked.lock().unwrap().len() == asked {
                now = governor.due.unwrap().max(now + Nanos(1));
                governor.handle(now, Event::Tick);
            }
            waits.push(now);
            governor.handle(now, died(&tissue, 1));
        }
        let gaps: Vec<u64> = waits.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect();
        assert!((75..=130).contains(&gaps[0]) && (600..=1_100).contains(&gaps[3]), "{gaps:?}");
        assert!((45_000..=76_000).contains(&gaps[4]), "{gaps:?}");
        governor.handle(now, Event::Tick);
        let missing = governor.expression.missing();
        assert!(missing[0].reason.to_string().contains("crash loop"), "{missing:?}");
        assert!(missing[0].again > Some(now));
        let last = told(&events).pop();
        assert!(matches!(&last, Some(Happening::NotExpressed { again_ms: Some(_), .. })), "{last:?}");
        let asked = tissue.asked.lock().unwrap().len();
        governor.handle(now, Event::Wished);
        governor.handle(now, Event::Tick);
        assert_eq!(tissue.asked.lock().unwrap().len(), asked + 1);
    }

    #[test]
    fn an_idle_host_sleeps_until_it_is_woken_and_a_busy_one_is_looked_at_often() {
        let tissue = fake(0);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(5), Event::Tick);
        let again = Nanos::from_millis(2) + Nanos(5);
        assert_eq!(governor.due, Some(again), "one more look after the alarm was set");
        governor.handle(again, Event::Tick);
        assert_eq!(governor.due, None);
        tissue.tally.lock().unwrap().arrived = 1;
        governor.handle(Nanos::from_millis(5), Event::Tick);
        let due = governor.due.unwrap();
        assert!(due <= Nanos::from_millis(25), "{due:?}");
    }

    /// What comes between the look and the alarm is found by the second look.
    #[test]
    fn a_request_between_the_look_and_the_alarm_is_not_missed() {
        let tissue = fake(0);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(5), Event::Tick);
        tissue.tally.lock().unwrap().arrived = 1;
        governor.handle(Nanos(6), Event::Tick);
        assert!(governor.due.is_some() && !governor.is_dozing);
    }

    #[test]
    fn births_and_a_flood_of_deaths_are_told_in_sums() {
        let tissue = fake(0);
        let (mut governor, _ear, events) = governor(&tissue);
        (tissue.tally.lock().unwrap().arrived, tissue.tally.lock().unwrap().born) = (3, 3);
        governor.handle(Nanos::from_millis(1), Event::Tick);
        let born = |count| Happening::CellsBorn { gene: "front".into(), count };
        assert_eq!(told(&events), [born(3)], "the first at once");
        for ms in 2..900 {
            let mut tally = tissue.tally.lock().unwrap();
            (tally.arrived, tally.born) = (3 + ms, 3 + ms);
            drop(tally);
            let died = died(&tissue, ms);
            governor.handle(Nanos::from_millis(ms), died);
            governor.handle(Nanos::from_millis(ms), Event::Tick);
        }
        let one_by_one = told(&events).len() - 1;
        assert_eq!(one_by_one as u64, cyte_dna::limits::DEATHS_TOLD_PER_S);
        governor.handle(Nanos::from_millis(1_001), Event::Tick);
        let died = Happening::CellsDied { gene: "front".into(), count: 898 - one_by_one as u64 };
        assert_eq!(told(&events)[1 + one_by_one..], [born(899), died]);
    }

    #[test]
    fn what_is_told_is_recorded_and_shutdown_stops() {
        let tissue = fake(0);
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), died(&tissue, 3));
        governor.handle(Nanos(0), Event::Operator { uid: 1, verb: "secret.set".into(), subject: "x".into() });
        assert_eq!(events.after(0, 10).entries.len(), 2);
        assert_eq!(governor.handle(Nanos(0), Event::Shutdown), Next::Stop);
    }

    #[tokio::test]
    async fn the_loop_ends_when_told_and_when_nobody_is_left() {
        for drop_ear in [false, true] {
            let tissue = fake(0);
            let (governor, ear, _) = governor(&tissue);
            if drop_ear {
                drop(ear);
            } else {
                assert!(ear.tell(Event::Shutdown));
            }
            governor.run(|| Nanos(0)).await;
        }
    }

    #[test]
    fn a_full_inbox_never_blocks_the_teller() {
        let (ear, _inbox) = inbox();
        let told = (0..INBOX + 5).filter(|_| ear.tell(Event::Tick)).count();
        assert_eq!(told, INBOX);
    }
}
