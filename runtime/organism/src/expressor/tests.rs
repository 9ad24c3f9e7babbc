use std::collections::BTreeMap;

use cyte_dna::GeneName;
use proptest::prelude::*;

use super::*;
use crate::Nanos;
use crate::phenotype::{Cause, HostId};
use crate::wish::{Count, Labels};

const ME: HostId = HostId(5);

fn gene(name: &str) -> GeneName {
    name.parse().unwrap()
}

fn wish(name: &str, min: u32, max: u32) -> Wish {
    Wish { count: Count::range(min, max), ..Wish::new(gene(name)) }
}

fn here(n: u32) -> Had {
    Had { here: n, ..Had::default() }
}

fn have(all: &[(&str, Had)]) -> Have {
    let mut have = Have::default();
    all.iter().for_each(|(name, had)| have.set(gene(name), *had));
    have
}

#[derive(Debug)]
struct World {
    wishes: Vec<Wish>,
    have: Have,
    labels: Labels,
    attempts: Attempts,
    now: Nanos,
    permits: u32,
    switch: Switch,
}

fn world(wishes: &[Wish], had: &[(&str, Had)]) -> World {
    World {
        wishes: wishes.to_vec(),
        have: have(had),
        labels: Labels::new(),
        attempts: Attempts::default(),
        now: Nanos(0),
        permits: 64,
        switch: Switch::On,
    }
}

impl World {
    fn plan_with(&self, mut seed: u64) -> Plan {
        let round = Round {
            now: self.now,
            me: ME,
            labels: &self.labels,
            wishes: &self.wishes,
            have: &self.have,
            permits: self.permits,
            switch: self.switch,
        };
        // Any sequence will do, as long as a seed gives the same one again.
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        express(&round, &Expressors::default(), &self.attempts, &mut draw)
    }

    fn plan(&self) -> Plan {
        self.plan_with(1)
    }
}

fn started(plan: &Plan) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    plan.start.iter().for_each(|piece| *all.entry(piece.gene.to_string()).or_default() += piece.cells);
    all
}

fn stopped(plan: &Plan) -> BTreeMap<String, u32> {
    plan.stop.iter().map(|surplus| (surplus.gene.to_string(), surplus.cells)).collect()
}

fn counts(rows: &[(&str, u32)]) -> BTreeMap<String, u32> {
    rows.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

fn reason<'a>(plan: &'a Plan, name: &str) -> &'a Reason {
    &plan.missing.iter().find(|missing| missing.gene == gene(name)).unwrap().reason
}

#[test]
fn want_minus_have_is_started_and_surplus_ends() {
    let world = world(
        &[wish("a", 3, 5), wish("b", 0, 2), wish("c", 1, 1), wish("d", 0, 9)],
        &[
            ("a", Had { here: 1, pending: 1, ..Had::default() }),
            ("b", here(4)),
            ("c", here(1)),
            ("z", here(7)),
        ],
    );
    let plan = world.plan();
    assert_eq!(started(&plan), counts(&[("a", 1)]));
    assert_eq!(stopped(&plan), counts(&[("b", 2)]), "nobody wished for z, and nobody says anything about it");
    assert_eq!((plan.missing.len(), plan.missing[0].cells), (1, 2));
    assert_eq!(reason(&plan, "a"), &Reason::Starting);
}

#[test]
fn switched_off_nothing_starts_and_nothing_ends() {
    let mut world = world(&[wish("a", 3, 5), wish("b", 0, 2)], &[("b", here(4))]);
    world.switch = Switch::Off;
    let plan = world.plan();
    assert_eq!((plan.start.len(), plan.stop.len(), reason(&plan, "a")), (0, 0, &Reason::Off));
}

#[test]
fn higher_priority_comes_first_and_the_rest_says_why_it_waits() {
    let high = Wish { priority: 900, ..wish("z", 2, 2) };
    let mut world = world(&[wish("a", 2, 2), wish("b", 2, 2), high], &[]);
    world.permits = 3;
    for seed in 0..20 {
        let plan = world.plan_with(seed);
        assert_eq!(plan.start[0], Piece { gene: gene("z"), cells: 2 });
        assert_eq!(plan.start.iter().map(|piece| piece.cells).sum::<u32>(), 3);
        assert!(plan.missing.iter().any(|missing| missing.reason == Reason::NoRoom));
    }
}

#[test]
fn two_hosts_that_start_at_once_rarely_choose_the_same() {
    let wishes: Vec<Wish> = (0..50).map(|i| wish(&format!("g{i}"), 1, 1)).collect();
    let mut world = world(&wishes, &[]);
    world.permits = 1;
    let same = (0..200u64).filter(|i| world.plan_with(*i).start == world.plan_with(*i + 1_000).start).count();
    assert!(same < 20, "{same} of 200");
    assert_eq!(world.plan_with(3), world.plan_with(3));
}

#[test]
fn failed_starts_back_off_and_end_in_a_crash_loop_that_is_probed() {
    let mut world = world(&[wish("a", 3, 3)], &[]);
    let mut waits = Vec::new();
    for _ in 0..RESTARTS {
        world.attempts.failed(world.now, &gene("a"), Cause::Trap, 7);
        let plan = world.plan();
        assert!(plan.start.is_empty());
        let again = plan.missing[0].again.unwrap();
        waits.push(again.since(world.now).as_millis());
        world.now = again;
        assert_eq!(started(&world.plan()), counts(&[("a", 1)]), "one is tried, not three");
        assert_eq!(reason(&world.plan(), "a"), &Reason::Probing);
    }
    assert!(waits[..4].windows(2).all(|pair| pair[1] >= pair[0] * 3 / 2), "{waits:?}");
    assert!((45_000..=75_000).contains(&waits[4]), "{waits:?}");
    world.attempts.failed(world.now, &gene("a"), Cause::Breach, 7);
    let crash = Reason::CrashLoop { failures: 6, cause: Cause::Breach };
    assert_eq!(reason(&world.plan(), "a"), &crash);
    // A probe that is under way is waited for.
    world.now = world.now + Nanos::from_millis(80_000);
    world.have.set(gene("a"), Had { pending: 1, ..Had::default() });
    assert!(world.plan().start.is_empty());
    world.attempts.settled(&gene("a"));
    world.have.set(gene("a"), here(1));
    assert_eq!(started(&world.plan()), counts(&[("a", 2)]));
}

#[test]
fn a_cell_that_served_or_lived_is_replaced_at_once() {
    let mut world = world(&[wish("a", 1, 1)], &[]);
    let second = Nanos::from_millis(1_000);
    world.attempts.died(second, &gene("a"), Cause::Trap, Nanos(0), 1, 0);
    world.attempts.died(SETTLED, &gene("a"), Cause::Trap, Nanos(0), 0, 0);
    world.attempts.died(second, &gene("a"), Cause::Surplus, Nanos(0), 0, 0);
    assert_eq!(started(&world.plan()), counts(&[("a", 1)]));
    world.attempts.died(second, &gene("a"), Cause::Trap, Nanos(0), 0, 0);
    world.now = second;
    assert!(world.plan().start.is_empty());
    world.attempts.forget(&gene("a"));
    assert_eq!(started(&world.plan()), counts(&[("a", 1)]), "a new definition is tried at once");
}

#[test]
fn a_host_that_does_not_meet_a_constraint_starts_nothing_and_gives_up_what_it_has() {
    let picky = Wish { constraints: vec!["zone=a".parse().unwrap()], ..wish("a", 2, 2) };
    let mut world = world(&[picky], &[("a", here(1))]);
    let plan = world.plan();
    assert_eq!((plan.start.len(), stopped(&plan)), (0, counts(&[("a", 1)])));
    assert!(reason(&plan, "a").to_string().contains("zone=a"));
    world.labels.insert("zone".into(), "a".into());
    assert_eq!(started(&world.plan()), counts(&[("a", 1)]));
}

#[test]
fn genes_that_may_not_live_together_do_not() {
    let not_with = |name: &str, other: &str, n| Wish {
        constraints: vec![format!("not-with:{other}").parse().unwrap()],
        ..wish(name, n, 9)
    };
    let plan = world(&[not_with("a", "b", 1), wish("b", 1, 1)], &[]).plan();
    assert_eq!(started(&plan), counts(&[("b", 1)]), "the one that names the other gives way");
    let plan = world(&[not_with("a", "b", 1), not_with("b", "a", 1)], &[]).plan();
    assert_eq!(started(&plan), counts(&[("a", 1)]), "one of two that name each other comes");
    let plan = world(&[not_with("a", "b", 1), not_with("b", "a", 1)], &[("b", here(1))]).plan();
    assert_eq!((plan.start.len(), stopped(&plan)), (0, BTreeMap::new()), "who is there stays");
    let plan = world(&[not_with("a", "a", 3)], &[]).plan();
    assert_eq!(started(&plan), counts(&[("a", 1)]), "at most one of itself");
    let plan = world(&[not_with("a", "a", 3)], &[("a", here(3))]).plan();
    assert_eq!(stopped(&plan), counts(&[("a", 2)]));
}

#[test]
fn companions_come_one_to_one_and_go_one_to_one() {
    let with = |name: &str, companion: &str, n| Wish {
        companions: vec![gene(companion)],
        priority: 800,
        ..wish(name, n, 9)
    };
    let wishes = [with("a", "b", 2), with("b", "c", 0), wish("c", 0, 9)];
    assert_eq!(started(&world(&wishes, &[]).plan()), counts(&[("a", 2), ("b", 2), ("c", 2)]));
    let grown = [("a", here(5)), ("b", here(2)), ("c", here(2))];
    assert_eq!(started(&world(&wishes, &grown).plan()), counts(&[("b", 3), ("c", 3)]));
    let shrunk = [("a", here(2)), ("b", here(5)), ("c", here(5))];
    assert_eq!(stopped(&world(&wishes, &shrunk).plan()), counts(&[("b", 3)]), "one step at a time");
    let shrunk = [("a", here(2)), ("b", here(2)), ("c", here(5))];
    assert_eq!(stopped(&world(&wishes, &shrunk).plan()), counts(&[("c", 3)]));
}

#[test]
fn who_cannot_have_its_companion_does_not_come() {
    let with = |name: &str, companion: &str| Wish { companions: vec![gene(companion)], ..wish(name, 2, 9) };
    let unwanted = world(&[with("a", "b")], &[]).plan();
    assert!(unwanted.start.is_empty() && matches!(reason(&unwanted, "a"), Reason::Companion { .. }));
    let bounded = world(&[with("a", "b"), wish("b", 0, 1)], &[]).plan();
    assert!(bounded.start.is_empty(), "{bounded:?}");
    assert!(reason(&bounded, "a").to_string().contains("at most 1"));
    let circle = world(&[with("a", "b"), with("b", "a")], &[]).plan();
    assert!(circle.start.is_empty(), "{circle:?}");
    let quarrel = Wish { constraints: vec!["not-with:b".parse().unwrap()], ..with("a", "b") };
    let quarrel = world(&[quarrel, wish("b", 0, 9)], &[]).plan();
    assert!(
        quarrel.start.is_empty() && reason(&quarrel, "a").to_string().contains("not-with:b"),
        "{quarrel:?}"
    );
    let mut sick = world(&[with("a", "b"), wish("b", 0, 9)], &[]);
    sick.attempts.failed(Nanos(0), &gene("b"), Cause::StartFailed, 0);
    let plan = sick.plan();
    assert!(plan.start.is_empty(), "{plan:?}");
    assert!(plan.missing.iter().all(|missing| missing.again.is_some()), "{plan:?}");
}

#[test]
fn scopes_count_where_they_say() {
    let scoped = |scope, min, max| Wish { scope, ..wish("a", min, max) };
    let others =
        |here, elsewhere, most| Had { here, elsewhere, largest: Some((most, HostId(9))), pending: 0 };
    let plan = world(&[scoped(Scope::Network, 5, 5)], &[("a", others(1, 2, 2))]).plan();
    assert_eq!(started(&plan), counts(&[("a", 2)]));
    let plan = world(&[scoped(Scope::Network, 2, 4)], &[("a", others(1, 5, 5))]).plan();
    assert_eq!(stopped(&plan), BTreeMap::new(), "the host that has most gives up first");
    let plan = world(&[scoped(Scope::Network, 2, 4)], &[("a", others(4, 3, 2))]).plan();
    assert_eq!(stopped(&plan), counts(&[("a", 2)]), "down to what the others have");
    let plan = world(&[scoped(Scope::Remote, 2, 4)], &[("a", others(1, 1, 1))]).plan();
    assert_eq!((started(&plan), stopped(&plan)), (BTreeMap::new(), counts(&[("a", 1)])));
    assert_eq!(reason(&plan, "a"), &Reason::ElsewhereOnly);
}

#[test]
fn a_kind_that_nobody_understands_is_left_alone_and_named() {
    let strange = Wish { expressor: "strange".parse().unwrap(), ..wish("a", 1, 1) };
    let plan = world(&[strange], &[("a", here(3))]).plan();
    assert_eq!((plan.start.len(), plan.stop.len()), (0, 0));
    let strange = Wish { expressor: "strange".parse().unwrap(), ..wish("a", 1, 1) };
    assert!(matches!(reason(&world(&[strange], &[]).plan(), "a"), Reason::UnknownKind(_)));
}

#[test]
fn an_expressor_is_plugged_in_by_kind() {
    #[derive(Debug)]
    struct Twice;
    impl Expressor for Twice {
        fn kind(&self) -> Kind {
            "twice".parse().unwrap()
        }
        fn want(&self, wish: &Wish, _have: &Have) -> Want {
            let n = wish.count.min * 2;
            Want { least: n, most: n, counted: Counted::Here, constrained: true }
        }
    }
    let mut expressors = Expressors::default();
    expressors.plug(Box::new(Twice));
    assert_eq!(expressors.kinds().count(), 3);
    let wishes = [Wish { expressor: Twice.kind(), ..wish("a", 2, 9) }];
    let (have, labels) = (Have::default(), Labels::new());
    let round = Round {
        now: Nanos(0),
        me: ME,
        labels: &labels,
        wishes: &wishes,
        have: &have,
        permits: 9,
        switch: Switch::On,
    };
    let plan = express(&round, &expressors, &Attempts::default(), &mut || 0);
    assert_eq!(started(&plan), counts(&[("a", 4)]));
}

#[test]
fn every_host_gets_one_cell_of_a_gene_marked_for_cells_and_a_crash_is_refilled() {
    let marked = Wish { expressor: Kind::cell(), count: Count::exact(1), ..Wish::new(gene("a")) };
    for others in 0..5u32 {
        let elsewhere = Had { elsewhere: others, largest: Some((1, HostId(9))), ..Had::default() };
        let plan = world(std::slice::from_ref(&marked), &[("a", elsewhere)]).plan();
        assert_eq!(started(&plan), counts(&[("a", 1)]), "whatever the others have");
        let two = Had { here: 2, ..elsewhere };
        let plan = world(std::slice::from_ref(&marked), &[("a", two)]).plan();
        assert_eq!(stopped(&plan), counts(&[("a", 1)]));
    }
}

prop_compose! {
    fn any_had()(here in 0u32..6, pending in 0u32..3, elsewhere in 0u32..6, most in 0u32..6) -> Had {
        Had { here, pending, elsewhere, largest: (elsewhere > 0).then_some((most.clamp(1, elsewhere.max(1)), HostId(9))) }
    }
}

const NAMES: [&str; 4] = ["front", "back", "eager", "other"];

prop_compose! {
    fn any_world()(
        wishes in prop::collection::vec(crate::wish::tests::any_wish(), 0..6),
        had in prop::collection::vec(any_had(), NAMES.len()),
        failures in prop::collection::vec((0usize..NAMES.len(), 0u64..5_000), 0..12),
        permits in 0u32..12,
        has_zone: bool,
    ) -> World {
        let mut one: BTreeMap<GeneName, Wish> = BTreeMap::new();
        for mut wish in wishes {
            wish.companions.dedup();
            if wish.expressor == Kind::cell() {
                wish = Wish { count: Count::exact(1), scope: Scope::Local, constraints: Vec::new(), ..wish };
            }
            if wish.check().is_ok() {
                one.insert(wish.gene.clone(), wish);
            }
        }
        let mut world = world(&one.into_values().collect::<Vec<_>>(), &[]);
        NAMES.iter().zip(had).for_each(|(name, had)| world.have.set(gene(name), had));
        for (name, at) in failures {
            world.attempts.failed(Nanos::from_millis(at), &gene(NAMES[name]), Cause::Trap, at);
        }
        world.now = Nanos::from_millis(5_000);
        world.permits = permits;
        if has_zone {
            world.labels.insert("zone".into(), "a".into());
        }
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_keeps_its_promises(world in any_world(), seed: u64) {
        let plan = world.plan_with(seed);
        prop_assert_eq!(&plan, &world.plan_with(seed), "the same draws give the same plan");
        let (start, stop) = (started(&plan), stopped(&plan));
        prop_assert!(start.values().sum::<u32>() <= world.permits);
        prop_assert!(start.keys().all(|gene| !stop.contains_key(gene)), "never both: {:?}", plan);
        let mut named: Vec<_> = plan.missing.iter().map(|missing| missing.gene.clone()).collect();
        named.dedup();
        prop_assert_eq!(named.len(), plan.missing.len(), "each once, ascending");
        for wish in &world.wishes {
            let had = world.have.get(&wish.gene);
            let begun = start.get(wish.gene.as_str()).copied().unwrap_or(0);
            let ended = stop.get(wish.gene.as_str()).copied().unwrap_or(0);
            prop_assert!(begun == 0 || had.committed() + begun <= wish.count.most(), "above its bound");
            prop_assert!(ended <= had.here);
            let missing = plan.missing.iter().find(|missing| missing.gene == wish.gene);
            let there = if wish.scope == Scope::Local { had.here } else { had.here + had.elsewhere };
            prop_assert!(missing.is_some() || there >= wish.count.min || wish.scope == Scope::Remote);
            if begun == 0 && had.pending == 0 && let Some(missing) = missing {
                prop_assert!(missing.reason != Reason::Starting, "{:?}", plan);
            }
            if let Some(Missing { reason: Reason::Backoff { .. } | Reason::CrashLoop { .. }, again, .. }) = missing {
                prop_assert!(again.is_some_and(|again| again > world.now));
            }
        }
        prop_assert!(plan.start.iter().all(|piece| world.wishes.iter().any(|wish| wish.gene == piece.gene)));
    }

    /// Doing what the plan says, round after round, comes to rest: nothing starts and ends for ever.
    #[test]
    fn plans_come_to_rest(mut world in any_world(), seed: u64) {
        world.attempts = Attempts::default();
        world.permits = 4;
        let mut calm = 0;
        for round in 0..200u64 {
            let plan = world.plan_with(seed ^ round);
            calm = if plan.start.is_empty() && plan.stop.is_empty() { calm + 1 } else { 0 };
            for (name, had) in world.have.clone().iter() {
                let begun = started(&plan).get(name.as_str()).copied().unwrap_or(0);
                let ended = stopped(&plan).get(name.as_str()).copied().unwrap_or(0);
                world.have.set(name.clone(), Had { here: had.here + had.pending - ended.min(had.here), pending: begun, ..had });
            }
        }
        prop_assert!(calm > 100, "{:?}", world.plan_with(seed));
    }
}
