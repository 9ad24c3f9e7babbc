//! I1, I2, I4, I5, I6, I7 and the ratio of births to retirements.

use cyte_dna::{HormonePolicy, PoolPolicy};
use cyte_organism::constants::{ClassSpec, Constants};
use cyte_organism::law::{Advice, Cause, ClassId, Decision};
use cyte_organism::lineage::Niche;
use cyte_organism::{Nanos, Phase, ReleaseError};
use proptest::prelude::*;

use crate::world::{World, exact};

/// Every constant that the DNA lets through, however absurd.
fn constants() -> impl Strategy<Value = Constants> {
    let hormones =
        (5u32..=500, 1u32..=50, 500u32..=1_000, 500u32..=4_000, 250u32..=1_000, 0u32..=1_000, 0u32..=1_000);
    let more =
        (0u32..=3_000, 100u32..=1_000, 5u32..=1_000, 100u32..=5_000, 0u32..=2_000, 1u32..=1_000, 1u32..=100);
    let pool = (0u32..40, 0u32..40, 0u32..=10_000, 1u32..40);
    (hormones, more, pool).prop_map(|(h, m, p)| {
        let hormones = HormonePolicy {
            tick_ms: h.0,
            reflex_gap_ms: h.1,
            attenuation_permille: h.2,
            report_max_permille: h.3,
            gain_permille: h.4,
            grow_above_permille: h.5,
            die_above_permille: h.6,
            headroom_permille: m.0,
            utilisation_max_permille: m.1,
            feel_fast_ms: m.2,
            feel_slow_ms: m.2 + 1,
            death_ms: m.3,
            min_age_ms: m.4,
            deaths_per_tick_permille: m.5,
            births_per_tick: m.6,
            renewal_permille: 1_000,
        };
        let pool = PoolPolicy {
            stems_min: p.0.min(p.1),
            stems_max: p.0.max(p.1),
            stems_per_cell_permille: p.2,
            refill_per_tick: p.3,
        };
        Constants::new(&hormones, &pool).expect("in range")
    })
}

fn spec() -> impl Strategy<Value = ClassSpec> {
    (1u32..9, 0u32..12, 0u32..40, 1u32..200, 1u32..2_000, any::<bool>()).prop_map(
        |(slots, a, b, wait, weight, core)| ClassSpec {
            slots,
            min: a.min(b),
            max: a.max(b),
            wait_target_ms: wait,
            weight,
            core,
        },
    )
}

/// What happens to the host between two runs.
#[derive(Clone, Debug)]
enum Blow {
    Load { class: usize, inflight: u32 },
    Queue { class: usize, queued: u32, waited: u32 },
    Crash { class: usize, share: u32 },
    Release { class: usize, niche: u64, strength: f64 },
    Command { class: usize, strength: f64 },
    Advise { class: usize, target: u32, bias: f64 },
    Retired { class: usize, count: u32 },
    Cores { full: bool },
    Room { room: u32 },
    Calm,
}

fn blow() -> impl Strategy<Value = Blow> {
    let class = 0usize..2;
    prop_oneof![
        (class.clone(), prop_oneof![0u32..20, Just(u32::MAX)])
            .prop_map(|(class, inflight)| Blow::Load { class, inflight }),
        (class.clone(), prop_oneof![0u32..500, Just(u32::MAX)], 0u32..1_000)
            .prop_map(|(class, queued, waited)| Blow::Queue { class, queued, waited }),
        (class.clone(), 0u32..100).prop_map(|(class, share)| Blow::Crash { class, share }),
        (class.clone(), 1u64..40, any::<f64>()).prop_map(|(class, niche, strength)| Blow::Release {
            class,
            niche,
            strength
        }),
        (class.clone(), any::<f64>()).prop_map(|(class, strength)| Blow::Command { class, strength }),
        (class.clone(), 0u32..100, any::<f64>()).prop_map(|(class, target, bias)| Blow::Advise {
            class,
            target,
            bias
        }),
        (class, 0u32..200).prop_map(|(class, count)| Blow::Retired { class, count }),
        any::<bool>().prop_map(|full| Blow::Cores { full }),
        (0u32..60).prop_map(|room| Blow::Room { room }),
        Just(Blow::Calm),
    ]
}

fn strike(world: &mut World, blow: &Blow) {
    let now = world.now;
    match *blow {
        Blow::Load { class, inflight } => world.tissues[class].set_loads(inflight),
        Blow::Queue { class, queued, waited } => {
            let head = Nanos(now.0.saturating_sub(Nanos::from_millis(waited.into()).0));
            let tissue = &mut world.tissues[class];
            (tissue.queued, tissue.head) = (queued, (queued > 0).then_some(head));
            tissue.arrived += u64::from(queued);
        }
        Blow::Crash { class, share } => {
            let cells = &mut world.tissues[class].cells;
            let dies = |at: usize| (at * 37) % 100 < share as usize;
            let mut at = 0;
            cells.retain(|_| {
                at += 1;
                !dies(at)
            });
        }
        Blow::Release { class, niche, strength } => {
            let _ = world.law.release(ClassId(class as u32), Niche(niche), strength);
        }
        Blow::Command { class, strength } => {
            let _ = world.law.command(ClassId(class as u32), strength);
        }
        Blow::Advise { class, target, bias } => {
            let advice = if target % 2 == 0 { Advice::Target(target) } else { Advice::Bias(bias) };
            world.law.advise(now, ClassId(class as u32), advice);
        }
        Blow::Retired { class, count } => world.tissues[class].retired += u64::from(count),
        Blow::Cores { full } => world.run_delay = Nanos::from_millis(if full { 50 } else { 0 }),
        Blow::Room { room } => world.room = room,
        Blow::Calm => world.tissues.iter_mut().for_each(|tissue| {
            tissue.set_loads(0);
            (tissue.queued, tissue.head) = (0, None);
        }),
    }
}

fn check_bounds(
    world: &World,
    specs: &[ClassSpec],
    before: &[u32],
    room: u32,
    stems: u32,
    constants: &Constants,
    ran: bool,
) -> Result<(), TestCaseError> {
    prop_assert!(world.births() <= constants.birth_cap, "I2: births a tick");
    let creatable = room.saturating_add(stems).min(constants.birth_cap);
    let missing: u32 = specs.iter().zip(before).map(|(spec, before)| spec.min.saturating_sub(*before)).sum();
    for (id, (spec, before)) in specs.iter().zip(before).enumerate() {
        let tissue = &world.tissues[id];
        prop_assert!(tissue.cells.len() as u32 <= spec.max, "I1: never above the bound");
        let deaths = world.deaths(id as u32);
        // A class that lost cells is given new ones in the same run, and then has so many to end.
        let living = before + world.births_of(id as u32);
        let cap = ((f64::from(living) * constants.death_cap) as u32).max(1);
        prop_assert!(deaths <= cap, "I2: {} deaths of {}", deaths, living);
        prop_assert!(deaths == 0 || tissue.living() >= spec.min, "never below the floor by choice");
        // Drained cells still hold places of the class.
        let held = tissue.count(Phase::Draining);
        if ran && creatable >= missing && world.births_by(Cause::Floor) < constants.birth_cap {
            prop_assert!(tissue.living() >= spec.min.min(spec.max - held.min(spec.max)), "I1: the floor");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// I1 and I2: whatever happens, and whatever the DNA says, bounds and caps hold after each
    /// run, and only what is there is spent (the world itself checks stems, room and mothers).
    #[test]
    fn i1_i2_bounds_and_caps_hold_whatever_happens(
        mut constants in constants(),
        specs in prop::collection::vec(spec(), 2..3),
        blows in prop::collection::vec((blow(), 1u64..120), 1..120),
        seed: u64,
    ) {
        // The budget of births is then full at every run, so the floor can be asked of each.
        constants.tick = Nanos::from_millis(5);
        let gap = constants.reflex_gap;
        let mut world = World::new(constants, &specs, seed);
        world.room = 40;
        for (blow, span) in blows {
            strike(&mut world, &blow);
            let before: Vec<u32> = world.tissues.iter().map(|tissue| tissue.living()).collect();
            let (room, stems) = (world.room, world.stems);
            let span = Nanos::from_millis(span);
            world.step(span);
            check_bounds(&world, &specs, &before, room, stems, &constants, span >= gap && span.0 >= constants.tick.0)?;
            if span.as_millis().is_multiple_of(2) {
                let now = world.now;
                world.tissues.iter_mut().for_each(|tissue| tissue.wake(now));
            }
            if span.as_millis().is_multiple_of(3) { world.bury(); }
        }
    }

    /// I4: while nothing is clamped the sum of all reports is the deficit in cells, and a
    /// commitment changes it by exactly -1 before the new cell serves.
    #[test]
    fn i4_the_sum_of_reports_is_the_deficit(cells in 1u32..40, inflight in 0u32..15, slots in 8u32..16) {
        let spec = ClassSpec { slots, max: 100, ..ClassSpec::default() };
        let mut world = World::new(Constants { grow_above: 1.0, die_above: 1.0, ..exact() }, &[spec], 1);
        world.populate(0, cells);
        world.tissues[0].set_loads(inflight);
        world.ticks(400, |_| {});
        let view = *world.law.view(ClassId(0)).unwrap();
        let wanted = f64::from(inflight * world.tissues[0].count(Phase::Ready)) / f64::from(slots);
        prop_assert!((view.deficit - (wanted - f64::from(world.tissues[0].living()))).abs() < 1e-3, "{view:?}");
        prop_assert!((view.wanted - wanted).abs() < 1e-6);
        let mother = world.tissues[0].cells[0].niche;
        world.tissues[0].born += 1;
        let niche = Niche(world.tissues[0].born);
        let pending = cyte_organism::Reading { niche, mother: Some(mother), phase: Phase::Pending, inflight: 0, since: world.now };
        world.tissues[0].cells.push(pending);
        world.step(Nanos::from_millis(20));
        let after = world.law.view(ClassId(0)).unwrap().deficit;
        prop_assert!((view.deficit - after - 1.0).abs() < 1e-3, "{} {after}", view.deficit);
    }

    /// I5: within the dead bands nothing is born and nobody dies, for ever.
    #[test]
    fn i5_content_within_the_dead_bands_is_stable(cells in 1u32..60, drift in -9i32..=9, seed: u64) {
        let spec = ClassSpec { slots: 100, max: 100, ..ClassSpec::default() };
        let mut world = World::new(exact(), &[spec], seed);
        world.populate(0, cells);
        // The averages begin at what they would be after a long time.
        for _ in 0..60 {
            world.tissues[0].set_loads((100 + drift) as u32);
            world.step(Nanos::from_millis(2_000));
            world.decisions.clear();
            if world.tissues[0].cells.len() != cells as usize || world.tissues[0].count(Phase::Ready) != cells {
                world.tissues[0].cells.truncate(cells as usize);
                world.tissues[0].cells.iter_mut().for_each(|cell| cell.phase = Phase::Ready);
                world.tissues[0].born = u64::from(cells);
            }
        }
        for tick in 0..2_000 {
            world.tissues[0].set_loads((100 + drift) as u32);
            world.step(Nanos::from_millis(20));
            prop_assert!(world.decisions.is_empty(), "tick {tick}: {:?}", world.decisions);
        }
    }

    /// I6: where nobody feels more than the dead band there is no birth but refill and floor.
    #[test]
    fn i6_no_birth_without_felt_deficit(cells in 1u32..60, inflight in 0u32..=100, seed: u64) {
        let spec = ClassSpec { slots: 100, min: 1, max: 100, ..ClassSpec::default() };
        let constants = Constants { stems_min: 4, stems_max: 8, ..exact() };
        let mut world = World::new(constants, &[spec], seed);
        world.populate(0, cells);
        for _ in 0..200 {
            world.tissues[0].set_loads(inflight);
            world.step(Nanos::from_millis(20));
            world.bury();
            prop_assert_eq!(world.births() - world.births_by(Cause::Floor), 0);
        }
    }

    /// I7: liars who report the clamp for ever stop growth at `N* + l (1 + s_max) + 1`.
    #[test]
    fn i7_liars_are_worth_a_bounded_number_of_cells(liars in 1u32..6, honest in 3u32..30, seed: u64) {
        let spec = ClassSpec { slots: 8, min: liars, max: 1_000, ..ClassSpec::default() };
        let constants = Constants { attenuation: 1.0, ..exact() };
        let mut world = World::new(constants, &[spec], seed);
        world.populate(0, honest + liars);
        let demand = honest * 8;
        let mut most = 0;
        for _ in 0..1_500 {
            let ready = world.tissues[0].count(Phase::Ready);
            let serving = ready.saturating_sub(liars).max(1);
            for (at, cell) in world.tissues[0].cells.iter_mut().filter(|cell| cell.phase == Phase::Ready).enumerate() {
                let at = at as u32;
                // The demand is spread evenly over the honest.
                let even = demand / serving + u32::from((at.wrapping_sub(liars)) < demand % serving);
                cell.inflight = if at < liars { u32::MAX } else { even };
            }
            world.step(Nanos::from_millis(20));
            let now = world.now;
            world.tissues[0].wake(now);
            world.bury();
            most = most.max(world.tissues[0].living());
        }
        // The liars serve nothing here, so the honest ones carry all of the demand.
        let bound = honest + liars * 2 + 1 + liars;
        prop_assert!(most <= bound.max(honest + liars), "{most} > {bound}");
    }

    /// The ratio of births to retirements, over 100 events and within the dead bands.
    #[test]
    fn the_ratio_of_births_to_retirements_holds(permille in 500u32..=2_000) {
        let spec = ClassSpec { slots: 100, max: 1_000, ..ClassSpec::default() };
        let constants = Constants { renewal_permille: permille, ..exact() };
        let mut world = World::new(constants, &[spec], 3);
        world.populate(0, 100);
        world.ticks(50, |world| world.tissues[0].set_loads(100));
        let mut born = 0;
        for _ in 0..100 {
            world.tissues[0].retired += 1;
            world.tissues[0].cells.pop();
            world.tissues[0].set_loads(100);
            world.step(Nanos::from_millis(20));
            born += world.births_by(Cause::Renewal);
            // The population is held where it is, so that only the ratio speaks.
            world.tissues[0].cells.truncate(99);
            while world.tissues[0].cells.len() < 100 {
                let niche = Niche(world.tissues[0].born + 1);
                world.tissues[0].born += 1;
                let reading = cyte_organism::Reading { niche, mother: None, phase: Phase::Ready, inflight: 100, since: Nanos(0) };
                world.tissues[0].cells.push(reading);
            }
        }
        prop_assert!(born.abs_diff(permille / 10) <= 1, "{born} for {permille}");
    }
}

#[test]
fn a_lowered_bound_is_reached_by_draining() {
    let spec = ClassSpec { slots: 1, max: 50, ..ClassSpec::default() };
    let mut world = World::new(exact(), &[spec], 1);
    world.populate(0, 50);
    world.law.set_class(ClassId(0), ClassSpec { max: 10, ..spec }).unwrap();
    for _ in 0..60 {
        world.tissues[0].set_loads(1);
        world.step(Nanos::from_millis(20));
        assert!(world.deaths(0) <= 5, "drained at the cap of 10 % a tick");
        world.bury();
    }
    assert_eq!(world.tissues[0].living(), 10);
}

#[test]
fn a_cell_releases_once_a_tick_and_only_while_it_serves() {
    let mut world = World::new(exact(), &[ClassSpec::default()], 1);
    world.populate(0, 2);
    world.ticks(1, |_| {});
    let class = ClassId(0);
    assert_eq!(world.law.release(class, Niche(1), 0.5), Ok(()));
    assert_eq!(world.law.release(class, Niche(1), 0.5), Err(ReleaseError::TooOften));
    assert_eq!(world.law.release(class, Niche(9), 0.5), Err(ReleaseError::NoCell));
    assert_eq!(world.law.release(ClassId(7), Niche(1), 0.5), Err(ReleaseError::NoCell));
    assert_eq!(world.law.release(class, Niche(2), f64::NAN), Err(ReleaseError::Strength));
    world.ticks(1, |_| {});
    assert_eq!(world.law.release(class, Niche(1), 0.5), Ok(()));
}

#[test]
fn full_cores_stop_growth_but_not_the_floor() {
    let spec = ClassSpec { slots: 1, min: 2, max: 50, ..ClassSpec::default() };
    let mut world = World::new(exact(), &[spec], 1);
    world.run_delay = Nanos::from_millis(3);
    world.computing = Nanos::from_millis(50);
    world.ticks(50, |world| {
        world.tissues[0].set_loads(1);
        let head = Nanos(world.now.0.saturating_sub(100_000_000));
        (world.tissues[0].queued, world.tissues[0].head) = (100, Some(head));
    });
    assert_eq!(world.tissues[0].living(), 2);
    assert!(!world.law.demand(ClassId(0)).is_open);
    world.computing = Nanos::from_millis(5);
    world.ticks(1, |_| {});
    assert!(world.law.demand(ClassId(0)).is_open, "who mostly waits needs no core");
    world.run_delay = Nanos(0);
    world.ticks(50, |world| world.tissues[0].set_loads(1));
    assert_eq!(world.tissues[0].living(), 50);
}

/// I16: a class that only computes grows to what the cores can drive and one more, whatever waits.
#[test]
fn i16_who_computes_grows_no_further_than_the_cores() {
    for computing in [50, 25, 5] {
        let spec = ClassSpec { slots: 1, min: 0, max: 50, ..ClassSpec::default() };
        let mut world = World::new(exact(), &[spec], 1);
        (world.cores, world.computing) = (4, Nanos::from_millis(computing));
        world.ticks(100, |world| {
            world.tissues[0].set_loads(1);
            (world.tissues[0].queued, world.tissues[0].head) = (300, Some(Nanos(0)));
        });
        let grown = world.tissues[0].living();
        assert!((1..=2).contains(&(grown - 4 * 50 / computing as u32)), "{grown} at {computing}");
        assert!(world.law.view(ClassId(0)).unwrap().unmet_since.is_some(), "other hosts are to help");
    }
}

#[test]
fn what_an_operator_says_is_heard_once_and_bounded() {
    let spec = ClassSpec { slots: 100, max: 100, ..ClassSpec::default() };
    let mut world = World::new(exact(), &[spec], 1);
    world.populate(0, 20);
    world.ticks(50, |world| world.tissues[0].set_loads(100));
    assert_eq!(world.law.command(ClassId(0), 2.0), Err(ReleaseError::Strength));
    world.law.command(ClassId(0), 1.0).unwrap();
    world.tissues[0].set_loads(100);
    world.step(Nanos::from_millis(20));
    let births = world.births();
    assert!((8..=12).contains(&births), "half of the class: {births}");
    let explained = world.decisions.iter().any(|decision| {
        matches!(decision, Decision::Cell { cause: Cause::Growth, trace, .. } if trace.felt_fast > 0.1 && trace.living == 20)
    });
    assert!(explained, "{:?}", world.decisions);
}

/// Each class has a hormone of its own: whoever shouts in one, the cells of another feel nothing of it.
#[test]
fn a_hormone_is_felt_by_its_class_and_no_other() {
    let spec = ClassSpec { slots: 100, max: 100, ..ClassSpec::default() };
    let mut world = World::new(exact(), &[spec, spec], 1);
    for class in [0, 1] {
        world.populate(class, 20);
    }
    let content = |world: &mut World| world.tissues.iter_mut().for_each(|tissue| tissue.set_loads(100));
    world.ticks(50, content);
    world.law.command(ClassId(0), 1.0).unwrap();
    content(&mut world);
    world.step(Nanos::from_millis(20));
    let grown = |of: u32| {
        let born = |decision: &&Decision| matches!(decision, Decision::Cell { class, cause: Cause::Growth, .. } if class.0 == of);
        world.decisions.iter().filter(born).count()
    };
    assert!(grown(0) > 0 && grown(1) == 0, "{:?}", world.decisions);
    assert!(world.law.view(ClassId(1)).unwrap().felt_fast.abs() < 0.01);
}
