//! I17: several classes share stems, places and births.

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};
use proptest::prelude::*;

use crate::world::{World, exact};

/// Both classes want everything there is; returns how many cells each has in the end.
fn mix(weights: [u32; 2], start: [u32; 2], places: u32, seed: u64) -> ([u32; 2], Option<Nanos>) {
    let specs = weights.map(|weight| ClassSpec { slots: 1, max: 1_000, weight, ..ClassSpec::default() });
    let mut world = World::new(Constants { min_age: Nanos(0), ..exact() }, &specs, seed);
    for (class, cells) in start.into_iter().enumerate() {
        world.populate(class, cells);
    }
    world.room = places - start[0] - start[1];
    let mut first = None;
    world.ticks(500, |world| {
        world.bury();
        if first.is_none() && world.tissues[1].living() > start[1] {
            first = Some(world.now);
        }
        for tissue in &mut world.tissues {
            tissue.set_loads(1);
            (tissue.queued, tissue.head) = (500, Some(Nanos(0)));
        }
    });
    world.bury();
    ([world.tissues[0].living(), world.tissues[1].living()], first)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// I17: whoever is above the share gives way within a second, and strength moves the mix in
    /// proportion.
    #[test]
    fn i17_strength_moves_the_mix_and_nobody_waits_for_a_second(a in 1u32..5, b in 1u32..5, seed: u64) {
        let places = 60;
        let ([left, right], first) = mix([a * 100, b * 100], [59, 1], places, seed);
        let fair = f64::from(places) * f64::from(a) / f64::from(a + b);
        prop_assert!((f64::from(left) - fair).abs() <= 2.0, "{left}:{right} for {a}:{b}");
        prop_assert!(left + right <= places);
        prop_assert!(first.is_some_and(|first| first <= Nanos::from_millis(1_000)), "{first:?}");
    }
}

#[test]
fn i17_core_classes_come_first() {
    let gene = ClassSpec { slots: 1, max: 1_000, weight: 1_000_000, ..ClassSpec::default() };
    let core = ClassSpec { slots: 1, max: 10, weight: 1, core: true, ..ClassSpec::default() };
    let mut world = World::new(Constants { stems_min: 16, stems_max: 16, ..exact() }, &[gene, core], 5);
    world.populate(0, 10);
    world.room = 100;
    world.ticks(4, |world| {
        world.tissues[0].set_loads(1);
        (world.tissues[0].queued, world.tissues[0].head) = (500, Some(Nanos(0)));
    });
    // The gene took what it could, and stems for the core class are still there.
    assert!(world.stems >= 4 || world.room > 0, "{} stems", world.stems);
    world.ticks(3, |world| {
        world.tissues[0].set_loads(1);
        world.tissues[1].set_loads(1);
        (world.tissues[1].queued, world.tissues[1].head) = (20, Some(Nanos(0)));
    });
    assert!(world.tissues[1].living() >= 4, "{}", world.tissues[1].living());
}

#[test]
fn demand_takes_a_stem_only_above_the_floor_and_counts_what_is_on_its_way() {
    use cyte_organism::law::Demand;
    let demand = Demand { floor: 4, is_open: true, driven: 0, slots: 8, max: 10, soon_ppm: 0 };
    assert!(demand.may_take(1, 24, 0, 3, 16));
    assert!(!demand.may_take(1, 24, 1, 3, 16), "a cell is on its way for eight");
    assert!(demand.may_take(9, 24, 1, 3, 16));
    assert!(!demand.may_take(9, 80, 0, 10, 16), "at the bound");
    assert!(!demand.may_take(9, 24, 0, 3, 4), "the floor is the law's");
    let full = Demand { is_open: false, ..demand };
    assert!(!full.may_take(9, 24, 0, 3, 16), "the cores are full");
    let idle_cores = Demand { driven: 4, ..full };
    assert!(idle_cores.may_take(9, 24, 0, 3, 16) && !idle_cores.may_take(9, 24, 0, 4, 16));
    // 3 ms to wake, 50 ms of service: of 100 busy slots six come free before a stem is awake.
    let soon = Demand { soon_ppm: 60_000, ..demand };
    assert!(!soon.may_take(6, 100, 0, 3, 16) && soon.may_take(7, 100, 0, 3, 16));
}
