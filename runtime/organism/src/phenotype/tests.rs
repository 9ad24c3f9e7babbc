use std::collections::BTreeSet;

use cyte_dna::{GeneName, Role};
use proptest::prelude::*;

use super::*;
use crate::lineage::{CellId, Niche};

const A: HostId = HostId(10);
const B: HostId = HostId(20);

fn gene(name: &str) -> GeneName {
    name.parse().unwrap()
}

/// A host that lives a random but possible life and records it.
struct Life {
    host: HostId,
    epoch: u64,
    records: Vec<Record>,
    stems: BTreeSet<u64>,
    cells: BTreeSet<u64>,
    next: u64,
}

impl Life {
    fn new(host: HostId, epoch: u64) -> Self {
        let (stems, cells) = (BTreeSet::new(), BTreeSet::new());
        Life { host, epoch, records: Vec::new(), stems, cells, next: 1 }
    }

    fn say(&mut self, gene: Option<&str>, cell: Option<u64>, event: Event) {
        let number = self.records.len() as u64 + 1;
        let (gene, cell) = (gene.map(self::gene), cell.map(CellId));
        let (host, epoch) = (self.host, Epoch(self.epoch));
        self.records.push(Record { host, epoch, number, at_ms: number * 10, gene, cell, event });
    }

    fn birth(&mut self) -> (u64, Event) {
        let id = self.next;
        self.next += 1;
        (id, Event::Born { role: None, mother: None, generation: 0, niche: Niche(id) })
    }

    /// One step, chosen by a number.
    fn step(&mut self, choice: u32, pick: u32) {
        let one = |set: &BTreeSet<u64>| set.iter().nth(pick as usize % set.len().max(1)).copied();
        match (choice % 9, one(&self.stems), one(&self.cells)) {
            (0 | 1, ..) => {
                let (id, event) = self.birth();
                self.stems.insert(id);
                self.say(None, Some(id), event);
            }
            (2 | 3, Some(stem), _) => {
                self.stems.remove(&stem);
                let id = self.next;
                self.next += 1;
                self.cells.insert(id);
                let event = Event::Differentiated { stem: Some(CellId(stem)), role: Role::Drone, micros: 90 };
                self.say(Some("front"), Some(id), event);
            }
            (4, _, Some(cell)) => self.say(Some("front"), Some(cell), Event::Dying { cause: Cause::Surplus }),
            (5, _, Some(cell)) => {
                self.cells.remove(&cell);
                self.say(Some("front"), Some(cell), Event::Dead { cause: Cause::Trap, uses: 3 });
            }
            (6, _, Some(cell)) => {
                self.say(Some("front"), Some(cell), Event::Adopted { mother: CellId(u64::from(pick)) });
            }
            (7, ..) => {
                let second = Requests { served: pick, failed: 1, ..Requests::default() };
                self.say(Some("front"), None, Event::Requests(second));
            }
            _ => {
                let census = Census::of(self.cells.iter().copied().map(CellId));
                self.say(Some("front"), None, Event::Census(census));
            }
        }
    }
}

fn lives(steps: &[(u32, u32)]) -> (Life, Life) {
    let (mut a, mut b) = (Life::new(A, 1), Life::new(B, 7));
    for (choice, pick) in steps {
        if choice % 2 == 0 { a.step(choice / 2, *pick) } else { b.step(choice / 2, *pick) }
    }
    (a, b)
}

fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> View {
    let mut view = View::default();
    for record in records {
        record.check().unwrap();
        view.fold(record);
    }
    view
}

fn alive(view: &View, host: HostId, gene: Option<&GeneName>) -> BTreeSet<u64> {
    let tissue = view.tissue(host, gene);
    tissue.map(|tissue| tissue.cells().map(|(id, _)| id.0).collect()).unwrap_or_default()
}

proptest! {
    /// The view knows exactly the cells that live.
    #[test]
    fn a_view_knows_the_living(steps in prop::collection::vec((any::<u32>(), any::<u32>()), 0..300)) {
        let (a, b) = lives(&steps);
        let view = fold(a.records.iter().chain(&b.records));
        for life in [&a, &b] {
            prop_assert_eq!(alive(&view, life.host, Some(&gene("front"))), life.cells.clone());
            prop_assert_eq!(alive(&view, life.host, None), life.stems.clone());
        }
        let by_gene = view.by_gene();
        let sum = by_gene.get(&Some(&gene("front"))).copied().unwrap_or_default();
        prop_assert_eq!((sum.alive + sum.dying) as usize, a.cells.len() + b.cells.len());
    }

    /// What is stored and what the control socket shows come back as they were.
    #[test]
    fn records_survive_their_encodings(steps in prop::collection::vec((any::<u32>(), any::<u32>()), 0..60)) {
        let (a, b) = lives(&steps);
        for record in a.records.iter().chain(&b.records) {
            let bytes = postcard::to_allocvec(record).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Record>(&bytes).unwrap(), record);
            let json = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }

    /// Any order between hosts, any order within a window of one, anything twice: the same view.
    #[test]
    fn order_and_repetition_do_not_matter(
        steps in prop::collection::vec((any::<u32>(), any::<u32>()), 0..200),
        keys in prop::collection::vec(any::<u16>(), 400),
        twice in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let (a, b) = lives(&steps);
        let all: Vec<&Record> = a.records.iter().chain(&b.records).collect();
        let expected = fold(all.iter().copied());
        let mut mixed: Vec<(u16, &Record)> = all.iter().zip(&keys).map(|(record, key)| (*key, *record)).collect();
        if !all.is_empty() {
            mixed.extend(twice.iter().map(|at| (at.index(65_536) as u16, all[at.index(all.len())])));
        }
        mixed.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(fold(mixed.into_iter().map(|(_, record)| record)), expected);
    }

    /// Replay from a snapshot taken anywhere is replay from the beginning: what is older may expire.
    #[test]
    fn a_snapshot_stands_for_all_before_it(
        steps in prop::collection::vec((any::<u32>(), any::<u32>()), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let (a, b) = lives(&steps);
        let all: Vec<&Record> = a.records.iter().chain(&b.records).collect();
        let cut = at.index(all.len() + 1);
        let bytes = postcard::to_allocvec(&fold(all[..cut].iter().copied())).unwrap();
        let mut view: View = postcard::from_bytes(&bytes).unwrap();
        for record in &all[cut..] {
            view.fold(record);
        }
        prop_assert_eq!(view, fold(all));
    }

    /// Records that were lost leave the picture wrong; one census puts the living cells right.
    #[test]
    fn a_census_repairs_what_was_lost(
        steps in prop::collection::vec((any::<u32>(), any::<u32>()), 0..200),
        lost in prop::collection::vec(any::<bool>(), 200),
    ) {
        let mut life = Life::new(A, 1);
        steps.iter().for_each(|(choice, pick)| life.step(*choice, *pick));
        let kept: Vec<Record> =
            life.records.iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(record, _)| record.clone()).collect();
        let cells = Census::of(life.cells.iter().copied().map(CellId));
        life.say(Some("front"), None, Event::Census(cells));
        let view = fold(kept.iter().chain(life.records.last()));
        prop_assert_eq!(alive(&view, A, Some(&gene("front"))), life.cells);
    }

}

proptest! {
    // Few cases: a census of very many cells costs milliseconds.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a host sends, folding it does not panic and memory stays bounded.
    #[test]
    fn absurd_records_do_no_harm(numbers in prop::collection::vec((any::<u64>(), any::<u64>(), 0u32..9, any::<u64>()), 0..200)) {
        let mut view = View::default();
        for (number, at_ms, choice, cell) in numbers {
            let event = match choice {
                0 => Event::Born { role: None, mother: None, generation: at_ms, niche: Niche(cell) },
                1 => Event::Differentiated { stem: Some(CellId(cell)), role: Role::Task, micros: 0 },
                2 => Event::Dead { cause: Cause::Uses, uses: u64::MAX },
                3 => Event::Census(Census { runs: vec![(CellId(cell), 1 << (at_ms % 20))], complete: true }),
                4 => Event::HostDown { host: HostId(cell % 3), epoch: Epoch(at_ms) },
                5 => Event::Requests(Requests { served: u32::MAX, ..Requests::default() }),
                6 => Event::HostUp { labels: Default::default() },
                7 => Event::Adopted { mother: CellId(cell) },
                _ => Event::Renewed { cells: u32::MAX },
            };
            let (host, epoch) = (HostId(number % 3), Epoch(at_ms % 3));
            let record = Record { host, epoch, number, at_ms, gene: Some(gene("x")), cell: Some(CellId(cell)), event };
            if record.check().is_ok() {
                view.fold(&record);
            }
        }
        for (_, host) in view.hosts() {
            prop_assert!(host.tissues().all(|(_, tissue)| tissue.cells.len() <= CELLS_MAX));
        }
    }
}

#[test]
fn a_new_life_of_a_host_ends_what_was_known_of_the_one_before() {
    let (mut old, mut new) = (Life::new(A, 1), Life::new(A, 2));
    (0..20).for_each(|i| old.step(i * 2, i));
    new.say(None, None, Event::HostUp { labels: Default::default() });
    let view = fold(old.records.iter().chain(&new.records).chain(&old.records));
    assert_eq!(view.by_gene().values().map(|counts| counts.alive).sum::<u32>(), 0);
    assert_eq!(view.host(A).unwrap().epoch, Epoch(2));
}

#[test]
fn a_host_that_is_gone_does_not_count_until_it_speaks_again() {
    let (mut a, mut b) = (Life::new(A, 1), Life::new(B, 7));
    (0..9).for_each(|_| b.step(0, 0));
    (0..20).for_each(|_| a.say(None, None, Event::Note { text: String::new() }));
    a.say(None, None, Event::HostDown { host: B, epoch: Epoch(7) });
    let mut view = fold(a.records.iter().chain(&b.records));
    assert!(!view.host(B).unwrap().is_up());
    assert_eq!(view.by_gene().len(), 0);
    let late = a.records.len() as u64 * 10 + 1;
    let event = Event::Note { text: String::new() };
    view.fold(&Record { at_ms: late, number: 10, event, cell: None, gene: None, ..b.records[0].clone() });
    assert!(view.host(B).unwrap().is_up() && view.host(B).unwrap().is_stale(late + STALE_MS + 1));
    assert_eq!(view.by_gene()[&None].alive, 9);
    // A life that is over can be called gone again without a second effect.
    let mut later = Life::new(B, 8);
    later.say(None, None, Event::HostUp { labels: Default::default() });
    view.fold(&later.records[0]);
    a.say(None, None, Event::HostDown { host: B, epoch: Epoch(7) });
    view.fold(a.records.last().unwrap());
    assert!(view.host(B).unwrap().is_up());
}

#[test]
fn the_last_deaths_are_kept_with_their_causes() {
    let mut life = Life::new(A, 1);
    for cell in 1..=20 {
        life.say(Some("front"), Some(cell), Event::Dead { cause: Cause::Trap, uses: 1 });
    }
    life.say(Some("front"), Some(21), Event::Dead { cause: Cause::Breach, uses: 1 });
    let view = fold(&life.records);
    let tissue = view.tissue(A, Some(&gene("front"))).unwrap();
    assert_eq!((tissue.deaths.len(), tissue.deaths.values().last().unwrap().cause), (8, Cause::Breach));
    assert_eq!((tissue.totals.dead[&Cause::Trap], tissue.totals.dead[&Cause::Breach]), (20, 1));
}

#[test]
fn a_late_record_beyond_the_window_counts_as_lost() {
    let mut life = Life::new(A, 1);
    (0..WINDOW + 10).for_each(|_| life.step(7, 1));
    let late = life.records.remove(3);
    let mut view = fold(&life.records);
    assert!(!view.fold(&late));
    assert_eq!(view.tissue(A, Some(&gene("front"))).unwrap().totals.served, WINDOW + 9);
}

#[test]
fn events_out_of_bounds_are_refused() {
    let record =
        |event| Record { host: A, epoch: Epoch(1), number: 1, at_ms: 1, gene: None, cell: None, event };
    let long = || "x".repeat(NOTE_BYTES + 1);
    for event in [
        Event::Note { text: long() },
        Event::Refused { reason: long(), again_ms: None },
        Event::Hot { part: Part::Signal("x".repeat(64)), number: 1, mark: 1 },
        Event::Level { hormone: Hormone::Named("x".repeat(64)), milli: 0 },
        Event::Decision(Decided { numbers: vec![(String::new(), 0); 17], ..Decided::default() }),
        Event::Census(Census { runs: vec![(CellId(2), 1), (CellId(1), 1)], complete: true }),
        Event::Census(Census { runs: vec![(CellId(u64::MAX), 2)], complete: true }),
        Event::Census(Census { runs: vec![(CellId(1), u32::MAX)], complete: true }),
        Event::HostUp { labels: [("A".to_owned(), String::new())].into() },
    ] {
        assert!(record(event.clone()).check().is_err(), "{event:?}");
    }
    assert!(Record { number: 0, ..record(Event::Renewed { cells: 1 }) }.check().is_err());
}

#[test]
fn a_census_says_who_lives_as_far_as_it_goes() {
    let few = Census::of([1, 2, 3, 7].map(CellId));
    assert_eq!(few.runs, [(CellId(1), 3), (CellId(7), 1)]);
    let says = |census: &Census, id| census.says(CellId(id));
    assert_eq!(
        [0, 1, 3, 4, 7, 8].map(|id| says(&few, id)),
        [false, true, true, false, true, false].map(Some)
    );
    let many = Census::of((0..2_000).map(|i| CellId(i * 2)));
    assert!(!many.complete);
    assert_eq!([0, 1, 1_022, 1_023].map(|id| says(&many, id)), [Some(true), Some(false), Some(true), None]);
    assert_eq!(few.cells().map(|cell| cell.0).collect::<Vec<_>>(), [1, 2, 3, 7]);
}
