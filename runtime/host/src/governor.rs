//! The governor: one closed [`Event`] enum and one loop around the organism's pure decisions.
//!
//! At each tick it samples every tissue, hands the samples to the organism and performs what comes
//! back, each response at exactly one door. It ticks while anything is active; when nothing would
//! change it only glances at the tissues once a second, which costs nothing to speak of. The
//! gateway never waits for it: a request that finds no cell makes one at once.

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::GeneName;
use cyte_organism::homeostasis::Sample;
use cyte_organism::{Nanos, Organism, Response, Stimulus};
use tokio::sync::mpsc;

use crate::event::{EventLog, Happening};

/// How long the governor sleeps at most: while the organism asks for no tick, a tissue that came to
/// life is noticed within this time. What a request needs does not wait for it.
const GLANCE: Duration = Duration::from_secs(1);
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
        /// Why.
        reason: String,
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
    /// The host stops; the loop ends.
    Shutdown,
}

/// One tissue as the governor sees and moves it.
pub trait Population: Send + Sync {
    /// Whose cells these are.
    fn gene(&self) -> &GeneName;
    /// What is, since the last look.
    fn sample(&self) -> Sample;
    /// Makes up to `count` cells ready, off the request path.
    fn prepare(&self, count: u32);
    /// Retires up to `count` of the coldest ready cells.
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
}

/// A governor's inbox, made before the governor so that its senders can be handed out.
pub fn inbox() -> (Ear, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(INBOX);
    (Ear(sender), receiver)
}

/// The loop's state.
pub struct Governor {
    organism: Organism,
    populations: Vec<Arc<dyn Population>>,
    events: Arc<EventLog>,
    inbox: mpsc::Receiver<Event>,
}

impl std::fmt::Debug for Governor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Governor").field("populations", &self.populations.len()).finish_non_exhaustive()
    }
}

/// Whether the loop goes on, and when it looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Within(Duration),
    Stop,
}

impl Governor {
    /// A governor of these tissues.
    pub fn new(
        populations: Vec<Arc<dyn Population>>,
        events: Arc<EventLog>,
        inbox: mpsc::Receiver<Event>,
    ) -> Self {
        Self { organism: Organism::default(), populations, events, inbox }
    }

    /// Runs until [`Event::Shutdown`]. `now` reads the host's clock.
    pub async fn run(mut self, now: impl Fn() -> Nanos) {
        let mut sleep = Duration::ZERO;
        loop {
            let event = self.next_event(sleep).await;
            match self.handle(now(), event) {
                Next::Within(span) => sleep = span,
                Next::Stop => return,
            }
        }
    }

    async fn next_event(&mut self, sleep: Duration) -> Event {
        match tokio::time::timeout(sleep, self.inbox.recv()).await {
            Ok(Some(event)) => event,
            // Nobody is left who could say anything, not even "stop".
            Ok(None) => Event::Shutdown,
            Err(_) => Event::Tick,
        }
    }

    fn handle(&mut self, now: Nanos, event: Event) -> Next {
        match event {
            Event::Tick => self.tick(now),
            Event::CellDied { gene, cell, reason } => {
                self.events.record(Happening::CellDied { gene: gene.to_string(), cell, reason });
                // Its tissue may want a successor; look at once.
                self.tick(now)
            }
            Event::Operator { uid, verb, subject } => {
                self.events.record(Happening::Operator { uid, verb, subject });
                Next::Within(Duration::ZERO)
            }
            Event::Shutdown => Next::Stop,
        }
    }

    fn tick(&mut self, now: Nanos) -> Next {
        let mut responses = Vec::new();
        let mut samples = Vec::with_capacity(self.populations.len());
        for population in &self.populations {
            let sample = population.sample();
            let stimulus = Stimulus::Tissue(population.gene().clone(), sample);
            self.organism.handle(now, stimulus, &mut responses);
            samples.push(sample);
        }
        for response in responses {
            self.perform(response, &samples);
        }
        match self.organism.next_deadline(now) {
            Some(at) => Next::Within(Duration::from_nanos(at.since(now).0).min(GLANCE)),
            None => Next::Within(GLANCE),
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
        if prepare > 0 {
            population.prepare(prepare);
        }
        if retire > 0 {
            population.retire(retire);
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
    use std::sync::Mutex;

    struct Fake {
        gene: GeneName,
        sample: Mutex<Sample>,
        asked: Mutex<Vec<(u32, u32)>>,
    }

    impl Population for Fake {
        fn gene(&self) -> &GeneName {
            &self.gene
        }
        fn sample(&self) -> Sample {
            *self.sample.lock().unwrap()
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
        Arc::new(Fake { gene: "front".parse().unwrap(), sample: Mutex::new(sample), asked: Mutex::default() })
    }

    fn governor(tissue: &Arc<Fake>) -> (Governor, Ear, Arc<EventLog>) {
        let events = EventLog::new(None);
        let (ear, inbox) = inbox();
        let populations: Vec<Arc<dyn Population>> = vec![tissue.clone()];
        (Governor::new(populations, events.clone(), inbox), ear, events)
    }

    #[test]
    fn a_tick_performs_what_the_organism_says_and_notes_why() {
        let tissue = fake(2, false);
        let (mut governor, _ear, events) = governor(&tissue);
        governor.handle(Nanos(0), Event::Tick);
        assert_eq!(*tissue.asked.lock().unwrap(), [(2, 0)]);
        let (_, record) = events.after(0, 1).entries.remove(0);
        assert!(matches!(record.what, Happening::Balanced { prepared: 2, retired: 0, .. }), "{record:?}");
    }

    #[test]
    fn an_idle_host_is_only_glanced_at_and_a_busy_one_is_looked_at_often() {
        let tissue = fake(0, false);
        let (mut governor, _ear, _) = governor(&tissue);
        assert_eq!(governor.handle(Nanos(0), Event::Tick), Next::Within(GLANCE));
        tissue.sample.lock().unwrap().active = true;
        let Next::Within(span) = governor.handle(Nanos::from_millis(1), Event::Tick) else { panic!() };
        assert!(span <= Duration::from_millis(20), "{span:?}");
    }

    #[test]
    fn what_is_told_is_recorded_and_shutdown_stops() {
        let tissue = fake(0, false);
        let (mut governor, _ear, events) = governor(&tissue);
        let died = Event::CellDied { gene: tissue.gene.clone(), cell: 3, reason: "trap".into() };
        governor.handle(Nanos(0), died);
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
