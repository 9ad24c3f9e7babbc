use std::path::PathBuf;
use std::time::Duration;

use cyte_organism::wish::{Count, Selector};
use proptest::prelude::*;

use super::*;
use crate::News;
use crate::faults::Kind;

pub(crate) fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cyte-genes-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn gene(name: &str) -> GeneName {
    name.parse().unwrap()
}

fn wish(name: &str, n: u32) -> Wish {
    Wish { count: Count::exact(n), ..Wish::new(gene(name)) }
}

fn open(path: &std::path::Path) -> Arc<GeneStore> {
    GeneStore::open(Arc::new(Head::open(path).unwrap())).unwrap()
}

fn put(store: &GeneStore, name: &str, n: u32) -> Result<Option<Change>, StoreError> {
    store.put(wish(name, n), Origin::Operator, Expect::Anything, u64::from(n), None)
}

#[test]
fn definitions_survive_reopening_with_their_revisions_and_history() {
    let path = folder("reopen").join("head.redb");
    {
        let store = open(&path);
        put(&store, "front", 1).unwrap();
        put(&store, "back", 2).unwrap();
        put(&store, "front", 3).unwrap();
        store.delete(&gene("back"), Origin::Operator, Expect::Anything, 4, None).unwrap().unwrap();
    }
    let store = open(&path);
    assert_eq!((store.revision(), store.book().len()), (4, 1));
    let front = store.get(&gene("front"), Origin::Operator).unwrap();
    assert_eq!((front.wish, front.revision, front.at_ms), (wish("front", 3), 3, 3));
    let history = store.history(Some(&gene("front")), 9).unwrap();
    let told: Vec<_> = history.iter().map(|change| (change.revision, change.wish.clone())).collect();
    assert_eq!(told, [(3, Some(wish("front", 3))), (1, Some(wish("front", 1)))]);
    assert_eq!(store.history(None, 1).unwrap()[0].wish, None, "the newest is the deletion");
}

#[test]
fn a_head_of_an_earlier_build_has_no_definitions_and_takes_some() {
    let path = folder("earlier").join("head.redb");
    drop(Head::open(&path).unwrap());
    let store = open(&path);
    assert!(store.book().is_empty() && store.history(None, 9).unwrap().is_empty());
    put(&store, "front", 1).unwrap();
    assert_eq!(
        open(&{
            drop(store);
            path
        })
        .revision(),
        1
    );
}

#[test]
fn what_is_so_already_is_not_written_again() {
    let store = open(&folder("again").join("head.redb"));
    assert!(put(&store, "front", 1).unwrap().is_some());
    assert_eq!(put(&store, "front", 1).unwrap(), None);
    let nobody = store.delete(&gene("back"), Origin::Dna, Expect::Anything, 0, None).unwrap();
    assert_eq!((nobody, store.revision()), (None, 1));
}

#[test]
fn loading_the_same_dna_again_writes_nothing_and_another_replaces_it() {
    let path = folder("dna").join("head.redb");
    let first = [wish("a", 1), wish("b", 1)];
    let store = open(&path);
    assert_eq!(store.load_dna(first.clone(), [], 1).unwrap().len(), 2);
    put(&store, "b", 5).unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    let store = open(&path);
    assert!(store.load_dna(first, [], 2).unwrap().is_empty());
    drop(store);
    assert!(std::fs::read(&path).unwrap() == before, "a start must not write");
    let store = open(&path);
    let made = store.load_dna([wish("a", 2), wish("c", 1)], [gene("b")], 3).unwrap();
    assert_eq!(made.len(), 4, "b of the DNA, b of the operator, a, c");
    let left: Vec<_> = store.book().iter().map(|d| d.wish.gene.to_string()).collect();
    assert_eq!(left, ["a", "c"]);
}

#[test]
fn a_writer_that_saw_something_else_is_refused_and_nothing_is_written() {
    let store = open(&folder("cas").join("head.redb"));
    put(&store, "front", 1).unwrap();
    let stale = [
        Ask::Put { wish: wish("back", 1), origin: Origin::Operator, expect: Expect::Absent },
        Ask::Put { wish: wish("front", 2), origin: Origin::Operator, expect: Expect::Revision(7) },
    ];
    let refused = store.write(&stale, 0, None);
    assert!(matches!(refused, Err(StoreError::Conflict { expected: 7, found: 1, .. })), "{refused:?}");
    assert_eq!(store.book().len(), 1, "all or nothing");
    let ask = Ask::Put { wish: wish("front", 2), origin: Origin::Operator, expect: Expect::Revision(1) };
    assert_eq!(store.write(&[ask], 0, None).unwrap()[0].revision, 2);
    let ask = Ask::Put { wish: wish("front", 3), origin: Origin::Operator, expect: Expect::Absent };
    assert!(matches!(store.write(&[ask], 0, None), Err(StoreError::Conflict { .. })));
}

#[test]
fn a_write_is_audited_in_the_same_transaction() {
    let path = folder("audit").join("head.redb");
    let head = Arc::new(Head::open(&path).unwrap());
    let store = GeneStore::open(Arc::clone(&head)).unwrap();
    let audit = AuditEntry { at_s: 1, uid: 7, verb: "gene.put".into(), subject: "front".into() };
    store.put(wish("front", 1), Origin::Operator, Expect::Anything, 1, Some(&audit)).unwrap();
    assert_eq!(head.audit_trail(9).unwrap(), [(0, audit)]);
}

#[test]
fn a_bad_wish_and_one_over_the_cap_are_refused() {
    let store = open(&folder("bad").join("head.redb"));
    let bad = Wish { count: Count::range(2, 1), ..Wish::new(gene("front")) };
    let refused = store.put(bad, Origin::Operator, Expect::Anything, 0, None);
    assert!(matches!(&refused, Err(StoreError::Wish(error)) if error.field == "count"), "{refused:?}");
    let mut big = Wish::new(gene("front"));
    let values = (0..16).map(|i| format!("{i:063}")).collect();
    big.constraints = vec![cyte_organism::wish::Constraint::Host(Selector::OneOf("zone".into(), values)); 16];
    let refused = store.put(big, Origin::Operator, Expect::Anything, 0, None);
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.revision(), 0);
}

#[test]
fn more_definitions_than_the_cap_are_refused() {
    let store = open(&folder("many").join("head.redb"));
    let asks: Vec<_> = (0..=DEFINITIONS_MAX)
        .map(|i| Ask::Put { wish: wish(&format!("g{i}"), 1), origin: Origin::Dna, expect: Expect::Anything })
        .collect();
    let refused = store.write(&asks, 0, None);
    assert!(matches!(refused, Err(StoreError::TooMany { .. })));
    assert_eq!(store.write(&asks[1..], 0, None).unwrap().len(), DEFINITIONS_MAX);
}

#[test]
fn definitions_are_found_by_field_and_label() {
    let store = open(&folder("search").join("head.redb"));
    for (name, zone) in [("front", "a"), ("back", "b"), ("side", "a")] {
        let mut wish = wish(name, 1);
        wish.labels.insert("zone".into(), zone.into());
        store.put(wish, Origin::Operator, Expect::Anything, 0, None).unwrap();
    }
    let names = |query: &Query| -> Vec<String> {
        store.search(query, |_| None).iter().map(|d| d.wish.gene.to_string()).collect()
    };
    let zone = Query { labels: vec!["zone=a".parse().unwrap()], ..Query::default() };
    assert_eq!(names(&zone), ["front", "side"]);
    assert_eq!(names(&Query { name_holds: Some("ac".into()), ..Query::default() }), ["back"]);
    assert_eq!(names(&Query { after_revision: Some(2), ..Query::default() }), ["side"]);
    let drones = Query { role: Some(cyte_dna::Role::Drone), ..Query::default() };
    assert_eq!(names(&drones).len(), 0, "nothing is known about these genes");
    let front = Gene::new(gene("front"), cyte_dna::Role::Drone, cyte_dna::Blob::of(b""));
    let found = store.search(&drones, |name| (*name == front.name).then_some(&front));
    assert_eq!(found.len(), 1);
}

#[test]
fn a_watcher_sees_every_change_once_in_order() {
    let store = open(&folder("watch").join("head.redb"));
    let mut watcher = store.watch(0);
    assert_eq!(watcher.poll().unwrap(), News::Nothing);
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || (1..=40).for_each(|n| drop(put(&store, "front", n).unwrap())))
    };
    let mut seen = Vec::new();
    while seen.len() < 40 {
        match watcher.wait(Duration::from_secs(10)).unwrap() {
            News::Changes(changes) => seen.extend(changes.into_iter().map(|change| change.revision)),
            other => panic!("{other:?}"),
        }
    }
    writer.join().unwrap();
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
    assert_eq!(watcher.poll().unwrap(), News::Nothing);
}

#[test]
fn a_listener_is_told_the_revision_until_it_goes() {
    let store = open(&folder("listen").join("head.redb"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let listening = {
        let told = Arc::clone(&told);
        store.listen(Arc::new(move |revision| told.lock().unwrap().push(revision))).unwrap()
    };
    put(&store, "front", 1).unwrap();
    put(&store, "front", 2).unwrap();
    drop(listening);
    put(&store, "front", 3).unwrap();
    assert_eq!(*told.lock().unwrap(), [1, 2]);
    let all: Vec<_> = (0..crate::LISTENERS_MAX).map(|_| store.listen(Arc::new(|_| ())).unwrap()).collect();
    assert!(matches!(store.listen(Arc::new(|_| ())), Err(StoreError::TooMany { .. })));
    drop(all);
}

#[test]
fn a_watcher_that_is_too_slow_is_given_all_anew_and_goes_on_without_a_gap() {
    let store = open(&folder("slow").join("head.redb"));
    let mut watcher = store.watch(0);
    let many = |from: u64, to: u64| -> Vec<Ask> {
        (from..to)
            .map(|i| wish(&format!("g{}", i % 7), i as u32))
            .map(|wish| Ask::Put { wish, origin: Origin::Operator, expect: Expect::Anything })
            .collect()
    };
    store.write(&many(0, HISTORY_KEPT + 50), 0, None).unwrap();
    let oldest = store.history(None, usize::MAX).unwrap().last().unwrap().revision;
    assert_eq!(oldest, 51, "the history is bounded");
    let News::Resync { revision, all } = watcher.poll().unwrap() else { panic!("it missed 50") };
    assert_eq!((revision, all.len()), (HISTORY_KEPT + 50, 7));
    put(&store, "late", 1).unwrap();
    let News::Changes(changes) = watcher.poll().unwrap() else { panic!("it is up to date") };
    assert_eq!(changes.iter().map(|c| c.revision).collect::<Vec<_>>(), [HISTORY_KEPT + 51]);
    // One that comes from another store's revisions starts anew as well.
    let News::Resync { .. } = store.watch(1 << 40).poll().unwrap() else { panic!("it is of another store") };
}

#[test]
fn a_full_disk_refuses_writes_clearly_and_is_forgotten_when_there_is_space() {
    let path = folder("full").join("head.redb");
    let head = Arc::new(Head::open(&path).unwrap());
    let store = GeneStore::open(Arc::clone(&head)).unwrap();
    put(&store, "front", 1).unwrap();
    head.disk.faults.after(0, Kind::Full);
    for _ in 0..3 {
        let refused = put(&store, "front", 2);
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        assert_eq!(store.get(&gene("front"), Origin::Operator).unwrap().wish, wish("front", 1));
    }
    head.disk.faults.heal();
    assert_eq!(put(&store, "front", 2).unwrap().unwrap().revision, 2);
    drop((store, head));
    assert_eq!(open(&path).get(&gene("front"), Origin::Operator).unwrap().wish, wish("front", 2));
}

/// What the store holds must be what it says it holds, after any failure at any moment.
fn survives(kind: Kind, at: i64, during: u32) -> Result<(), TestCaseError> {
    let path = folder(&format!("faults-{kind:?}-{at}-{during}")).join("head.redb");
    let head = Arc::new(Head::open(&path).unwrap());
    let store = GeneStore::open(Arc::clone(&head)).unwrap();
    let mut watcher = store.watch(0);
    let (mut surely, mut maybe) = (0, 0);
    for n in 1..=during + 8 {
        if n == during {
            head.disk.faults.after(at, kind);
        }
        if n == during + 4 {
            head.disk.faults.heal();
        }
        match put(&store, "front", n) {
            Ok(_) => surely = n,
            Err(StoreError::Full(_) | StoreError::Io(_)) => maybe = n,
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        let here = store.get(&gene("front"), Origin::Operator).map_or(0, |d| d.wish.count.min);
        prop_assert!(here == surely || (here == maybe && maybe > surely), "{here} {surely} {maybe}");
    }
    prop_assert_eq!(surely, during + 8, "it goes on after the fault");
    let mut last = 0;
    loop {
        match watcher.poll().unwrap() {
            News::Changes(changes) => {
                for change in changes {
                    prop_assert_eq!(change.revision, last + 1, "no gap");
                    last = change.revision;
                }
            }
            News::Nothing => break,
            News::Resync { .. } => prop_assert!(false, "nothing was forgotten"),
        }
    }
    prop_assert_eq!(last, store.revision());
    let book = store.book();
    drop((store, watcher, head));
    prop_assert_eq!(&*open(&path).book(), &*book);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_when_the_disk_fails(is_sync: bool, at in 0i64..24, during in 1u32..6) {
        survives(if is_sync { Kind::Sync } else { Kind::Full }, at, during)?;
    }
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(gene in "[a-z]{1,3}", origin: u8, mut row in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_definition(&gene, origin, &row);
        let _ = decode_as::<Change>(FORMAT, "genes_history", &row);
        if let Some(first) = row.first_mut() {
            *first = FORMAT;
        }
        let _ = read_definition(&gene, origin, &row);
        let _ = decode_as::<Change>(FORMAT, "genes_history", &row);
    }

    #[test]
    fn a_damaged_row_is_no_other_wish_than_a_sound_one(at in 0usize..64, bit in 0u32..8) {
        let mut wish = wish("front", 3);
        wish.labels.insert("zone".into(), "a".into());
        let mut row = encode_as(FORMAT, "genes", &(&wish, 5u64, 6u64)).unwrap();
        let at = at % row.len();
        row[at] ^= 1 << bit;
        if let Some(definition) = read_definition("front", 1, &row) {
            prop_assert!(definition.wish.check().is_ok());
            prop_assert_eq!(definition.wish.gene.as_str(), "front");
        }
    }
}

#[test]
fn rows_that_do_not_decode_are_named_and_left_alone() {
    let path = folder("rows").join("head.redb");
    let store = open(&path);
    put(&store, "front", 1).unwrap();
    store
        .head
        .writing(|db| {
            let write = db.begin_write()?;
            write.open_table(GENES)?.insert(("back", 1), [9u8, 9, 9].as_slice())?;
            Ok(write.commit()?)
        })
        .unwrap();
    drop(store);
    let store = open(&path);
    assert_eq!((store.book().unreadable.clone(), store.book().len()), (vec!["back".to_owned()], 1));
}
