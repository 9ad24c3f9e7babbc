//! The loop against tissues of which the test says what is there.

use super::ear::INBOX;
use super::*;
use crate::state::StateFolder;
use crate::state::tests::scratch;
use crate::wishes::Wishes;
use cyte_dna::{Blob, Expression, Gene, Role};
use cyte_engine::capability::control::Refused;
use cyte_engine::{HormoneLevels, Verdict, Zombie};
use cyte_organism::Reading;
use cyte_organism::expressor::Switch;
use cyte_organism::law::Demand;
use cyte_organism::phenotype::Cause;
use std::sync::Mutex;
use tokio::sync::oneshot;

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
        egg: Egg::lay(Nanos(0), EventLog::new(None)),
        levels: Arc::default(),
        neuron: None,
        judge: None,
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

/// Asks nobody, and remembers what it was asked.
struct Slow(Arc<Mutex<Vec<u64>>>);

impl Judge for Slow {
    fn ask(&self, _gene: &GeneName, found: &Zombie) {
        self.0.lock().unwrap().push(found.cell);
    }
}

#[test]
fn a_judge_is_asked_once_at_a_time_and_what_it_does_not_say_is_the_end() {
    let tissue = fake(2);
    tissue.has(2);
    let (mut governor, _ear, events) = governor(&tissue);
    let asked = Arc::new(Mutex::new(Vec::new()));
    governor.court = Court::new(Some(Box::new(Slow(asked.clone()))));
    let stuck = || Zombie { cell: 2, silent: Nanos::from_millis(1_500), last: "it slept".into() };
    let find = |governor: &mut Governor, ms| {
        tissue.stuck.lock().unwrap().push(stuck());
        governor.handle(Nanos::from_millis(ms), Event::Tick);
    };
    let judged = |governor: &mut Governor, verdict| {
        let (gene, found) = (tissue.gene.clone(), stuck());
        governor.handle(Nanos::from_millis(30), Event::Judged { gene, found, verdict });
    };
    find(&mut governor, 10);
    find(&mut governor, 20);
    assert_eq!((asked.lock().unwrap().len(), tissue.staying()), (1, 2), "once, and it waits");
    judged(&mut governor, Some(Verdict::Spare));
    assert_eq!(tissue.staying(), 2);
    let spared = Happening::ZombieSpared { gene: "front".into(), cell: 2, silent_ms: 1_500 };
    assert!(told(&events).contains(&spared));
    find(&mut governor, 40);
    assert_eq!(asked.lock().unwrap().len(), 2, "asked again");
    judged(&mut governor, None);
    assert_eq!(tissue.staying(), 1, "no word is the end");
    // A word that was lost on the way: the cell ends after twice the time that it may take.
    find(&mut governor, 50);
    find(&mut governor, 50 + 2 * cyte_dna::limits::VERDICT_MS + 1);
    assert_eq!((asked.lock().unwrap().len(), tissue.staying()), (3, 0));
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

/// Three core cells are the least: the law does not let the last drone go, and where it died another is
/// made, but not again and again.
#[test]
fn the_last_drone_stays_and_one_that_died_is_born_again_unless_it_dies_young() {
    let tissue = fake(0);
    tissue.has(2);
    let (mut governor, _ear, _) = governor(&tissue);
    let mut now = Nanos(1);
    while let Some(due) = governor.due.filter(|due| *due < Nanos::from_millis(60_000)) {
        now = due.max(now + Nanos(1));
        governor.handle(now, Event::Tick);
    }
    assert_eq!((tissue.staying(), governor.due), (1, None), "and then there is nothing to look at");

    tissue.has(0);
    tissue.asked.lock().unwrap().clear();
    let look = |governor: &mut Governor, ms: u64| {
        governor.handle(now + Nanos::from_millis(ms), Event::Tick);
        tissue.asked.lock().unwrap().len()
    };
    assert_eq!(look(&mut governor, 1), 1);
    assert_eq!(look(&mut governor, 2), 1, "one at a time");
    governor.handle(now + Nanos::from_millis(3), died(&tissue, 3));
    assert_eq!(look(&mut governor, 5_000), 1, "it died young");
    assert_eq!(*tissue.asked.lock().unwrap(), [(1, 0)]);
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
