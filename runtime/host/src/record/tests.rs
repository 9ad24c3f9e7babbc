use super::*;
use crate::event::EventLog;
use crate::state::tests::{Scratch, scratch};
use cyte_dna::{GeneName, Role};
use cyte_organism::lineage::{Birth, CellId, Niche};
use cyte_organism::phenotype::{Cause, Event, Record, View};
use cyte_store::{Begin, Retention};

/// A tissue whose numbers a test sets.
pub(super) struct Fake(GeneName, pub(super) Mutex<Look>);

impl Fake {
    pub(super) fn new() -> Self {
        Self("front".parse().unwrap(), Mutex::default())
    }
}

impl Observed for Fake {
    fn gene(&self) -> &GeneName {
        &self.0
    }
    fn role(&self) -> Role {
        Role::Drone
    }
    fn seen(&self) -> Seen {
        self.1.lock().unwrap().seen
    }
    fn look(&self) -> Look {
        self.1.lock().unwrap().clone()
    }
}

const EVERY: Duration = Duration::from_millis(20);

struct Host {
    events: Arc<EventLog>,
    recorder: Arc<Recorder>,
    tissue: Arc<Fake>,
    path: PathBuf,
}

fn host(folder: &Scratch, started_ms: u64) -> Host {
    let (events, recorder) = (EventLog::new(None), Recorder::new());
    events.tell(recorder.clone());
    let tissue = Arc::new(Fake::new());
    let path = folder.join("phenotype.redb");
    let diary =
        Diary { path: path.clone(), host: HostId(7), labels: Labels::default(), started_ms, every: EVERY };
    recorder.start(diary, vec![tissue.clone()]).unwrap();
    Host { events, recorder, tissue, path }
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the file holds once its host is gone.
fn kept(host: Host) -> Vec<Record> {
    host.recorder.finish();
    let Host { recorder, path, events, .. } = host;
    drop(events);
    until("the thread lets the store go", || (Arc::strong_count(&recorder) == 1).then_some(()));
    drop(recorder);
    let store = PhenotypeStore::open(&path, Retention::default()).unwrap().store;
    let mut view = View::default();
    let records: Vec<Record> =
        store.events(Begin::After(0)).unwrap().into_iter().map(|(_, record)| record).collect();
    records.iter().for_each(|record| assert!(view.fold(record), "{record:?}"));
    assert!(store.view(|replayed| *replayed == view), "a replay gives the same view");
    records
}

fn note(text: &str) -> Happening {
    Happening::Draining { reason: text.into() }
}

fn is_note(event: &Event, part: &str) -> bool {
    matches!(event, Event::Note { text } if text.contains(part))
}

#[test]
fn what_happens_is_kept_in_order_with_the_host_first() {
    let (folder, _) = scratch("recorder");
    let host = host(&folder, 1_000);
    host.events.record(note("one"));
    let (cause, uses) = (Cause::Trap, 2);
    host.events.record(Happening::CellDied {
        gene: "front".into(),
        cell: 3,
        cause,
        uses,
        reason: "x".into(),
    });
    host.events.record(Happening::Stopped);
    let records = kept(host);
    assert!(matches!(records[0].event, Event::HostUp { .. }) && records[0].at_ms == 1_000);
    assert!(is_note(&records[1].event, "one"));
    assert_eq!((records[2].cell, &records[2].event), (Some(CellId(3)), &Event::Dead { cause, uses }));
    assert_eq!(records[3].event, Event::HostDown { host: HostId(7), epoch: records[0].epoch });
    // The death was a request's too.
    assert!(matches!(records[4].event, Event::Requests(_)) && records.len() == 5);
    let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

/// Its clock may have been put back meanwhile.
#[test]
fn each_life_of_a_host_counts_from_one_and_is_later_than_the_one_before() {
    let (folder, _) = scratch("lives");
    let mut epochs = Vec::new();
    for started_ms in [5_000, 4_000, 9_000] {
        let host = host(&folder, started_ms);
        host.events.record(note("here"));
        let records = kept(host);
        let last: Vec<&Record> = records.iter().rev().take(2).collect();
        assert_eq!((last[0].number, last[1].number), (2, 1));
        epochs.push(last[0].epoch.0);
    }
    assert_eq!(epochs, [5_000, 5_001, 9_000]);
}

#[test]
fn an_idle_host_writes_nothing_and_a_nudge_makes_it_look() {
    let (folder, _) = scratch("idle");
    let host = host(&folder, 1);
    let commits = || host.recorder.condition().commits;
    until("the first commit", || (commits() == 1).then_some(()));
    host.recorder.nudge();
    std::thread::sleep(EVERY * 5);
    assert_eq!(commits(), 1, "nothing had changed");
    let cell = Birth { id: CellId(1), mother: None, mother_niche: None, generation: 0, niche: Niche(1) };
    let seen = Seen { born: 1, offered: 4, ..Seen::default() };
    *host.tissue.1.lock().unwrap() = Look { seen, p50_us: 3, p99_us: 4, cells: vec![cell] };
    std::thread::sleep(EVERY * 5);
    assert_eq!(commits(), 1, "nobody is awake");
    host.recorder.nudge();
    // It goes on by itself while the numbers move.
    until("a second and a third commit", || {
        host.tissue.1.lock().unwrap().seen.offered += 1;
        (commits() >= 3).then_some(())
    });
    let offered = host.tissue.1.lock().unwrap().seen.offered;
    let served: Vec<u32> = kept(host)
        .iter()
        .filter_map(|record| if let Event::Requests(sum) = &record.event { Some(sum.served) } else { None })
        .collect();
    let all: u32 = served.iter().sum();
    assert!(served.len() >= 2 && (4..=offered as u32).contains(&all), "{served:?} of {offered}");
}

#[test]
fn a_disk_that_takes_nothing_stops_nobody_and_is_tried_again() {
    let (folder, _) = scratch("blocked");
    std::fs::create_dir(folder.join("phenotype.redb")).unwrap();
    let host = host(&folder, 1);
    until("a failure", || host.recorder.condition().failing);
    let more = 10;
    for n in 0..OBSERVED_WAITING + more {
        host.events.record(note(&n.to_string()));
    }
    let Condition { waiting, dropped, .. } = host.recorder.condition();
    assert_eq!((waiting, dropped), (OBSERVED_WAITING, more as u64));
    std::fs::remove_dir(folder.join("phenotype.redb")).unwrap();
    until("it works again", || {
        let now = host.recorder.condition();
        (now.failing.is_none() && now.waiting == 0).then_some(())
    });
    host.recorder.finish();
    let store = Arc::clone(host.recorder.store().unwrap());
    // The host's own first record made the oldest of those that waited one too many.
    let newest = store.events(Begin::Newest(1)).unwrap();
    assert!(is_note(&newest[0].1.event, &(OBSERVED_WAITING + more - 1).to_string()), "{newest:?}");
    assert!(host.recorder.condition().dropped <= more as u64 + 1);
}

#[test]
fn a_damaged_file_is_set_aside_and_begun_anew() {
    let (folder, _) = scratch("damaged");
    std::fs::write(folder.join("phenotype.redb"), vec![7; 9_000]).unwrap();
    let host = host(&folder, 1);
    host.events.record(note("anew"));
    assert!(kept(host).iter().any(|record| is_note(&record.event, "anew")));
    assert!(folder.join("phenotype.redb.damaged").is_file());
}
