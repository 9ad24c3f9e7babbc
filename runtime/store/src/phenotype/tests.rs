use cyte_organism::lineage::{CellId, Niche};
use cyte_organism::phenotype::{Cause, Epoch, Event, HostId};
use proptest::prelude::*;

use super::*;
use crate::faults::Kind;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cyte-phenotype-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

const SHORT: Retention = Retention { age_ms: 5_000, bucket_ms: 1_000, bytes: 1 << 20, waiting: 64 };

fn open(path: &Path) -> Arc<PhenotypeStore> {
    let opened = PhenotypeStore::open(path, SHORT).unwrap();
    assert_eq!(opened.set_aside, None);
    opened.store
}

fn record(number: u64, at_ms: u64, cell: u64, event: Event) -> Record {
    let gene = Some("front".parse().unwrap());
    Record { host: HostId(1), epoch: Epoch(1), number, at_ms, gene, cell: Some(CellId(cell)), event }
}

fn born(number: u64, at_ms: u64) -> Record {
    let event = Event::Born { role: None, mother: None, generation: 0, niche: Niche(number) };
    record(number, at_ms, number, event)
}

fn dead(number: u64, at_ms: u64, cell: u64) -> Record {
    record(number, at_ms, cell, Event::Dead { cause: Cause::Trap, uses: 1 })
}

fn fill(store: &PhenotypeStore, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        store.append(born(n, n)).unwrap();
    }
}

fn view(store: &PhenotypeStore) -> View {
    store.view(View::clone)
}

#[test]
fn replay_gives_the_same_view() {
    let path = folder("replay").join("phenotype.redb");
    let store = open(&path);
    assert!(!path.exists(), "a start must not write");
    assert_eq!(store.commit(0).unwrap(), 0);
    assert!(!path.exists(), "nor must a commit of nothing");
    for n in 1..=20 {
        assert_eq!(store.append(born(n, n * 10)).unwrap(), Some(n));
    }
    store.append(dead(21, 300, 4)).unwrap();
    assert_eq!(store.append(dead(21, 300, 4)).unwrap(), None, "twice has no second effect");
    assert_eq!(store.commit(1_000).unwrap(), 21);
    let before = view(&store);
    drop(store);
    let store = open(&path);
    assert_eq!(view(&store), before);
    assert_eq!((store.newest(), store.append(dead(21, 300, 4)).unwrap()), (21, None));
}

#[test]
fn what_was_not_committed_is_what_is_lost() {
    let path = folder("lost").join("phenotype.redb");
    let store = open(&path);
    store.append(born(1, 0)).unwrap();
    store.commit(0).unwrap();
    let before = view(&store);
    store.append(born(2, 0)).unwrap();
    drop(store);
    assert_eq!(view(&open(&path)), before);
}

#[test]
fn old_buckets_expire_and_the_living_cells_stay_right() {
    let path = folder("expire").join("phenotype.redb");
    let store = open(&path);
    store.append(born(1, 0)).unwrap();
    for second in 0..60u64 {
        let number = 2 + second * 2;
        store.append(born(number, second * 1_000)).unwrap();
        store.append(dead(number + 1, second * 1_000 + 1, number)).unwrap();
        store.commit(second * 1_000).unwrap();
    }
    let oldest = store.events(Begin::After(0)).unwrap()[0].1.at_ms;
    assert!((52_000..=56_000).contains(&oldest), "{oldest}");
    let before = view(&store);
    let tissue =
        |view: &View| view.tissue(HostId(1), Some(&"front".parse().unwrap())).unwrap().counts().alive;
    assert_eq!(tissue(&before), 1, "the cell that was born first still lives");
    drop(store);
    let store = open(&path);
    assert_eq!(view(&store), before);
    // Dormant: what is old goes although nothing new comes.
    store.commit(120_000).unwrap();
    assert_eq!(store.events(Begin::After(0)).unwrap().len(), 0);
    assert_eq!(view(&store), before);
}

#[test]
fn bytes_are_bounded() {
    let path = folder("bytes").join("phenotype.redb");
    let retention = Retention { bytes: 64 << 10, waiting: 4_096, ..Retention::default() };
    let store = PhenotypeStore::open(&path, retention).unwrap().store;
    for n in 1..=40_000u64 {
        let event = Event::Note { text: "x".repeat(40) };
        store.append(Record { gene: None, cell: None, ..record(n, n, 0, event) }).unwrap();
        if n % 500 == 0 {
            store.commit(n).unwrap();
        }
    }
    let kept: u64 = store.written().buckets.iter().map(|bucket| bucket.bytes).sum();
    assert!(kept <= retention.bytes + (32 << 10), "{kept}");
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 4 << 20, "{size}");
    assert_eq!(store.backlog(), (0, 0));
    assert_eq!(store.events(Begin::Newest(3)).unwrap().last().unwrap().0, 40_000);
}

#[test]
fn events_are_read_by_number_by_time_and_from_the_end() {
    let path = folder("read").join("phenotype.redb");
    let store = open(&path);
    for n in 1..=30u64 {
        store.append(born(n, n * 100)).unwrap();
        if n % 10 == 0 && n < 30 {
            store.commit(n * 100).unwrap();
        }
    }
    let numbers = |from| store.events(from).unwrap().into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(numbers(Begin::After(0)), (1..=30).collect::<Vec<_>>());
    assert_eq!(numbers(Begin::After(15)), (16..=30).collect::<Vec<_>>());
    assert_eq!(numbers(Begin::Since(1_800)), (18..=30).collect::<Vec<_>>());
    assert_eq!(numbers(Begin::Since(9_999)), Vec::<u64>::new());
    assert_eq!(numbers(Begin::Newest(12)), (19..=30).collect::<Vec<_>>());
    assert_eq!(numbers(Begin::After(30)), Vec::<u64>::new());
}

#[test]
fn a_full_disk_keeps_events_waiting_in_bounded_memory_and_goes_on() {
    let path = folder("full").join("phenotype.redb");
    let store = open(&path);
    store.append(born(1, 0)).unwrap();
    store.commit(0).unwrap();
    store.disk.faults.after(0, Kind::Full);
    for n in 2..=100u64 {
        store.append(born(n, n)).unwrap();
        if n % 10 == 0 {
            assert!(matches!(store.commit(n), Err(StoreError::Full(_))));
        }
    }
    assert_eq!(store.backlog(), (64, 35));
    store.disk.faults.heal();
    assert_eq!(store.commit(200).unwrap(), 64);
    let before = view(&store);
    assert_eq!(before.by_gene().values().next().unwrap().alive, 100);
    drop(store);
    assert_eq!(view(&open(&path)), before, "what was dropped is still in the view");
}

#[test]
fn a_damaged_file_is_set_aside_and_begun_anew() {
    for damage in ["garbage", "torn", "empty"] {
        let path = folder(&format!("damaged-{damage}")).join("phenotype.redb");
        let store = open(&path);
        fill(&store, 1..=50);
        store.commit(1).unwrap();
        drop(store);
        let bytes = std::fs::read(&path).unwrap();
        let bad = match damage {
            "garbage" => vec![0x5a; bytes.len()],
            "torn" => bytes[..bytes.len() / 3].to_vec(),
            _ => bytes[..1].to_vec(),
        };
        std::fs::write(&path, &bad).unwrap();
        let opened = PhenotypeStore::open(&path, SHORT).unwrap();
        let set_aside = opened.set_aside.unwrap_or_else(|| panic!("{damage}"));
        assert!(set_aside.to.exists() && !set_aside.why.is_empty());
        let store = opened.store;
        assert_eq!(view(&store), View::default());
        store.append(born(1, 1)).unwrap();
        assert_eq!(store.commit(2).unwrap(), 1);
        drop(store);
        assert_eq!(open(&path).newest(), 1);
    }
}

#[test]
fn a_file_that_is_damaged_while_it_is_used_is_begun_anew_with_all_that_is_known() {
    let path = folder("damaged-later").join("phenotype.redb");
    let store = open(&path);
    fill(&store, 1..=50);
    store.commit(1).unwrap();
    // The next commit fails, so that the one after it opens the file anew.
    store.disk.faults.after(0, Kind::Sync);
    fill(&store, 51..=60);
    store.commit(2).unwrap_err();
    store.disk.faults.heal();
    std::fs::write(&path, vec![0x5a; 50_000]).unwrap();
    assert!(matches!(store.commit(3), Err(StoreError::Unreadable(_))));
    assert_eq!(store.commit(4).unwrap(), 10);
    let before = view(&store);
    assert_eq!(before.by_gene().values().next().unwrap().alive, 60);
    drop(store);
    assert_eq!(view(&open(&path)), before);
}

#[test]
fn a_file_that_somebody_else_writes_is_busy_and_not_damaged() {
    let path = folder("busy").join("phenotype.redb");
    let store = open(&path);
    store.append(born(1, 1)).unwrap();
    store.commit(1).unwrap();
    assert!(matches!(PhenotypeStore::open(&path, SHORT), Err(StoreError::Busy)));
}

/// After any fault at any moment, what is on the disk replays to what is in memory.
fn survives(kind: Kind, at: i64, during: u64) -> Result<(), TestCaseError> {
    let path = folder(&format!("faults-{kind:?}-{at}-{during}")).join("phenotype.redb");
    let store = open(&path);
    let mut number = 0;
    for step in 1..=during + 8 {
        for _ in 0..5 {
            number += 1;
            let event = if number % 3 == 0 { dead(number, step, number - 1) } else { born(number, step) };
            store.append(event).unwrap();
        }
        match step {
            _ if step == during => store.disk.faults.after(at, kind),
            _ if step == during + 4 => store.disk.faults.heal(),
            _ => {}
        }
        let done = store.commit(step * 400);
        let is_calm = step < during || step >= during + 4;
        prop_assert!(done.is_ok() || !is_calm, "{:?}", done);
    }
    prop_assert_eq!(store.backlog(), (0, 0));
    let (before, events) = (view(&store), store.events(Begin::After(0)).unwrap());
    drop(store);
    let store = open(&path);
    prop_assert_eq!(view(&store), before);
    prop_assert_eq!(store.events(Begin::After(0)).unwrap(), events);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn replay_is_right_when_the_disk_fails(is_sync: bool, at in 0i64..24, during in 1u64..8) {
        survives(if is_sync { Kind::Sync } else { Kind::Full }, at, during)?;
    }

    /// A byte that flipped on the disk is found, or does no harm; it never keeps a host from starting.
    #[test]
    fn a_flipped_byte_never_stops_a_start(at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let path = folder(&format!("flip-{}-{bit}", at.index(1 << 20))).join("phenotype.redb");
        let store = open(&path);
        fill(&store, 1..=200);
        store.commit(2_000).unwrap();
        fill(&store, 201..=300);
        store.commit(2_100).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        let store = PhenotypeStore::open(&path, SHORT).unwrap().store;
        store.append(born(1_000, 1)).unwrap();
        let _ = store.commit(3_000);
        drop(store);
        PhenotypeStore::open(&path, SHORT).unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(mut row in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(first) = row.first_mut() {
            *first = FORMAT;
        }
        let _ = decode_as::<View>(FORMAT, "snapshot", &row);
        let _ = decode_as::<Bucket>(FORMAT, "buckets", &row);
        for (_, record) in read_chunk(&row).unwrap_or_default() {
            if record.check().is_ok() {
                View::default().fold(&record);
            }
        }
    }

    #[test]
    fn a_damaged_chunk_folds_without_a_panic(at in any::<prop::sample::Index>(), byte: u8) {
        let records: Vec<(u64, Record)> = (1..=9).map(|n| (n, if n % 3 == 0 { dead(n, n, n) } else { born(n, n) })).collect();
        let mut row = encode_as(FORMAT, "events", &records).unwrap();
        let at = at.index(row.len());
        row[at] = byte;
        let mut view = View::default();
        for (_, record) in read_chunk(&row).unwrap_or_default() {
            view.fold(&record);
        }
    }
}
