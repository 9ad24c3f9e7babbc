//! The governor: one closed [`Event`] enum and one loop around the organism's pure decisions.
//!
//! At each tick it starts what is wanted and missing ([`expression`]), samples every tissue, hands
//! the samples to the organism and performs what comes back, each response at exactly one door. It
//! ticks while anything is active or left to forget; after that it sleeps until the engine's
//! [`Alarm`] rings at a request, or somebody tells it something. The gateway never waits for it: a
//! request that finds no cell makes one at once.
//!
//! Births and deaths are recorded in sums ([`census`]), so that a gene that is born or dies with
//! every request does not drown what else happens.

mod census;
mod expression;

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::GeneName;
use cyte_engine::Alarm;
use cyte_organism::homeostasis::Sample;
use cyte_organism::phenotype::Cause;
use cyte_organism::{Nanos, Organism, Response, Stimulus};
use tokio::sync::mpsc;

use crate::event::{EventLog, Happening};
use census::Census;
use expression::{Expression, Look};
pub use expression::{Outlook, Pressure};

/// How soon the tissues are looked at after a cell died: many that die together cost one look.
const AFTER_A_DEATH: Nanos = Nanos::from_millis(1);
/// How soon an otherwise idle organism is looked at after something was done about it.
const AFTER_A_DEED: Nanos = Nanos::from_millis(1_000);
/// How soon it is looked whether what was started is there.
const AFTER_AN_EXPRESSION: Nanos = Nanos::from_millis(20);
/// How many events may wait; more are dropped and counted by the sender.
const INBOX: usize = 1_024;

/// What can happen to a governor. Closed: whatever is not here does not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is time to look at the tissues.
    Tick,
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
    /// An operator wrote something.
    Operator {
        /// Who, as a user id.
        uid: u32,
        /// The verb.
        verb: String,
        /// What it was done to.
        subject: String,
    },
    /// The host stops; the loop ends.
    Shutdown,
}

/// One tissue as the governor sees and moves it.
pub trait Population: Send + Sync {
    /// Whose cells these are.
    fn gene(&self) -> &GeneName;
    /// What is, since the last look.
    fn sample(&self) -> Sample;
    /// Cells born since the host started.
    fn born(&self) -> u64;
    /// Cells alive or being made, without those that are about to end.
    fn staying(&self) -> u32;
    /// Messages that one cell holds at once; samples are counted in them.
    fn slots(&self) -> u32;
    /// Whether a living cell has answered a message or is at least this old.
    fn has_settled(&self, age: Nanos) -> bool;
    /// Makes up to `count` cells ready, off the request path.
    fn prepare(&self, count: u32);
    /// Retires up to `count` of the coldest cells that rest.
    fn retire(&self, count: u32);
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
        Alarm::new(move || {
            if let Some(ear) = ear.upgrade() {
                // A full inbox wakes the governor as well.
                let _ = ear.try_send(Event::Tick);
            }
        })
    }
}

/// A governor's inbox, made before the governor so that its senders can be handed out.
pub fn inbox() -> (Ear, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(INBOX);
    (Ear(sender), receiver)
}

/// The loop's state.
pub struct Governor {
    organism: Organism,
    expression: Expression,
    populations: Vec<Arc<dyn Population>>,
    census: Census,
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
    /// A governor of these tissues under this pressure. `alarm` is the one that they ring.
    pub fn new(
        populations: Vec<Arc<dyn Population>>,
        events: Arc<EventLog>,
        alarm: Arc<Alarm>,
        inbox: mpsc::Receiver<Event>,
        pressure: Pressure,
    ) -> Self {
        let census = Census::new(populations.len());
        Self {
            organism: Organism::default(),
            expression: Expression::new(pressure),
            populations,
            census,
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
            Event::CellDied { gene, cell, reason, born, served, cause } => {
                self.expression.died(now, &gene, cause, born, served);
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
            Event::Operator { uid, verb, subject } => {
                self.events.record(Happening::Operator { uid, verb, subject });
                self.look_by(now);
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

    fn tick(&mut self, now: Nanos) {
        // Before anything is started: a cell that is being made looks like one that works.
        let samples: Vec<Sample> = self.populations.iter().map(|population| population.sample()).collect();
        let look = self.expression.look(now, &self.populations);
        let has_expressed = self.express(now, look);
        let mut responses = Vec::new();
        for (population, sample) in self.populations.iter().zip(&samples) {
            let sample = self.expression.as_met(population.gene(), *sample);
            let stimulus = Stimulus::Tissue(population.gene().clone(), sample);
            self.organism.handle(now, stimulus, &mut responses);
        }
        responses.retain(|response| match response {
            Response::Prepare(gene, _) => self.expression.allows_spares(gene),
            Response::Retire(..) => true,
        });
        let did_nothing = responses.is_empty() && !has_expressed;
        for response in responses {
            self.perform(response, &samples);
        }
        self.due = self.organism.next_deadline(now);
        self.doze(now, did_nothing);
        self.take_census(now, self.due.is_none());
        if has_expressed {
            self.look_by(now + AFTER_AN_EXPRESSION);
        }
        if let Some(again) = self.expression.due() {
            self.look_by(again);
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

    /// Where nothing is left to do: sets the alarm, looks once more for what came before it was
    /// set, and only then sleeps without an end.
    fn doze(&mut self, now: Nanos, did_nothing: bool) {
        let is_idle = self.due.is_none() && did_nothing;
        match (is_idle, self.is_dozing) {
            (true, false) => {
                self.alarm.set();
                self.due = Some(now);
            }
            (false, true) => self.alarm.unset(),
            _ => {}
        }
        if !is_idle && self.due.is_none() {
            self.due = Some(now + AFTER_A_DEED);
        }
        self.is_dozing = is_idle;
    }

    /// Tells of births, and of deaths that were not told one by one.
    fn take_census(&mut self, now: Nanos, is_last: bool) {
        for (at, population) in self.populations.iter().enumerate() {
            let Some(change) = self.census.take(at, now, population.born(), is_last) else { continue };
            let gene = population.gene().to_string();
            if change.born > 0 {
                self.events.record(Happening::CellsBorn { gene: gene.clone(), count: change.born });
            }
            if change.died > 0 {
                self.events.record(Happening::CellsDied { gene, count: change.died });
            }
        }
    }

    /// Each response has one door.
    fn perform(&self, response: Response, samples: &[Sample]) {
        let (gene, prepare, retire) = match response {
            Response::Prepare(gene, count) => (gene, count, 0),
            Response::Retire(gene, count) => (gene, 0, count),
        };
        let found = self.populations.iter().zip(samples).find(|(tissue, _)| *tissue.gene() == gene);
        let Some((population, sample)) = found else { return };
        let slots = population.slots().max(1);
        if prepare > 0 {
            population.prepare(prepare.div_ceil(slots));
        }
        if retire >= slots {
            population.retire(retire / slots);
        }
        // One-use cells are renewed with every request; a record of each would be noise.
        if !sample.one_use {
            let cause = format!(
                "ready {} busy {} peak {} bounds {}..{}",
                sample.ready, sample.busy, sample.busy_peak, sample.min, sample.max
            );
            self.events.record(Happening::Balanced {
                gene: gene.to_string(),
                prepared: prepare,
                retired: retire,
                cause,
            });
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

    struct Fake {
        gene: GeneName,
        sample: Mutex<Sample>,
        asked: Mutex<Vec<(u32, u32)>>,
        born: std::sync::atomic::AtomicU64,
    }

    impl Population for Fake {
        fn gene(&self) -> &GeneName {
            &self.gene
        }
        fn sample(&self) -> Sample {
            *self.sample.lock().unwrap()
        }
        fn born(&self) -> u64 {
            self.born.load(std::sync::atomic::Ordering::Relaxed)
        }
        fn staying(&self) -> u32 {
            let sample = self.sample.lock().unwrap();
            sample.ready + sample.busy
        }
        fn slots(&self) -> u32 {
            1
        }
        fn has_settled(&self, _age: Nanos) -> bool {
            false
        }
        fn prepare(&self, count: u32) {
            self.asked.lock().unwrap().push((count, 0));
        }
        fn retire(&self, count: u32) {
            self.asked.lock().unwrap().push((0, count));
        }
    }

    fn fake(min: u32, one_use: bool) -> Arc<Fake> {
        let sample = Sample { ready: 0, busy: 0, busy_peak: 0, min, max: 8, one_use, active: false };
        Arc::new(Fake {
            gene: "front".parse().unwrap(),
            sample: Mutex::new(sample),
            asked: Mutex::default(),
            born: std::sync::atomic::AtomicU64::default(),
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
        let Sample { min, max, .. } = tissue.sample();
        gene.express = Expression { min, max: Some(max), ..Expression::default() };
        let (wishes, _) = Wishes::load(state.head(), &[gene], 1).unwrap();
        let pressure = Pressure {
            wishes: Arc::new(wishes),
            switch,
            outlook: Arc::default(),
            room: Box::new(|| 100),
            seed: 1,
        };
        let events = EventLog::new(None);
        let (ear, inbox) = inbox();
        let populations: Vec<Arc<dyn Population>> = vec![tissue.clone()];
        (Governor::new(populations, events.clone(), ear.alarm(), inbox, pressure), ear, events)
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
        let tissue = fake(2, false);
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), Event::Tick);
        assert_eq!(*tissue.asked.lock().unwrap(), [(2, 0)], "the resting law asks for no more");
        let expressed = Happening::Expressed { gene: "front".into(), cells: 2, revision: 1 };
        assert_eq!(told(&events), [expressed]);
        tissue.sample.lock().unwrap().ready = 2;
        governor.handle(Nanos::from_millis(20), Event::Tick);
        assert_eq!(tissue.asked.lock().unwrap().len(), 1, "nothing is missing, nothing is surplus");
    }

    #[test]
    fn a_tick_performs_what_the_organism_says_and_notes_why() {
        let tissue = fake(2, false);
        tissue.sample.lock().unwrap().ready = 5;
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), Event::Tick);
        assert_eq!(*tissue.asked.lock().unwrap(), [(0, 3)], "down to what is wanted");
        assert!(matches!(told(&events)[..], [Happening::Balanced { prepared: 0, retired: 3, .. }]));
    }

    #[test]
    fn with_expression_off_nothing_starts_ahead() {
        let tissue = fake(2, true);
        let (mut governor, _ear, events) = governor_with(&tissue, Switch::Off);
        let busy = Sample { busy: 3, busy_peak: 3, active: true, ..tissue.sample() };
        *tissue.sample.lock().unwrap() = busy;
        governor.handle(Nanos(0), Event::Tick);
        *tissue.sample.lock().unwrap() = Sample { busy: 0, active: false, ..busy };
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
        let tissue = fake(1, false);
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
        let tissue = fake(0, false);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(5), Event::Tick);
        assert_eq!(governor.due, Some(Nanos(5)), "one more look after the alarm was set");
        governor.handle(Nanos(6), Event::Tick);
        assert_eq!(governor.due, None);
        tissue.sample.lock().unwrap().active = true;
        governor.handle(Nanos::from_millis(1), Event::Tick);
        let due = governor.due.unwrap();
        assert!(due <= Nanos::from_millis(21), "{due:?}");
    }

    /// What comes between the look and the alarm is found by the second look.
    #[test]
    fn a_request_between_the_look_and_the_alarm_is_not_missed() {
        let tissue = fake(0, false);
        let (mut governor, _ear, _) = governor(&tissue);
        governor.handle(Nanos(5), Event::Tick);
        tissue.sample.lock().unwrap().active = true;
        governor.handle(Nanos(6), Event::Tick);
        assert!(governor.due.is_some() && !governor.is_dozing);
    }

    #[test]
    fn births_and_a_flood_of_deaths_are_told_in_sums() {
        let tissue = fake(0, true);
        let (mut governor, _ear, events) = governor(&tissue);
        tissue.sample.lock().unwrap().active = true;
        tissue.born.store(3, std::sync::atomic::Ordering::Relaxed);
        governor.handle(Nanos::from_millis(1), Event::Tick);
        let born = |count| Happening::CellsBorn { gene: "front".into(), count };
        assert_eq!(told(&events), [born(3)], "the first at once");
        for ms in 2..900 {
            tissue.born.store(3 + ms, std::sync::atomic::Ordering::Relaxed);
            let died = died(&tissue, ms);
            governor.handle(Nanos::from_millis(ms), died);
            governor.handle(Nanos::from_millis(ms), Event::Tick);
        }
        let one_by_one = told(&events).len() - 1;
        assert_eq!(one_by_one as u64, cyte_dna::limits::DEATHS_TOLD_PER_S);
        governor.handle(Nanos::from_millis(1_001), Event::Tick);
        let died = Happening::CellsDied { gene: "front".into(), count: 898 - one_by_one as u64 };
        assert_eq!(told(&events)[1 + one_by_one..], [born(899), died]);
        let looks = governor.due.unwrap();
        assert!(looks > Nanos::from_millis(1_001));
    }

    #[test]
    fn what_is_told_is_recorded_and_shutdown_stops() {
        let tissue = fake(0, false);
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), died(&tissue, 3));
        governor.handle(Nanos(0), Event::Operator { uid: 1, verb: "secret.set".into(), subject: "x".into() });
        assert_eq!(events.after(0, 10).entries.len(), 2);
        assert_eq!(governor.handle(Nanos(0), Event::Shutdown), Next::Stop);
    }

    #[tokio::test]
    async fn the_loop_ends_when_told_and_when_nobody_is_left() {
        for drop_ear in [false, true] {
            let tissue = fake(0, false);
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
