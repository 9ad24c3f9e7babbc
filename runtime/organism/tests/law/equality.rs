//! I12 determinism and I14 dormancy.

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};
use cyte_organism::law::Decision;
use proptest::prelude::*;

use crate::world::World;

fn life(seed: u64, loads: &[u32]) -> Vec<Decision> {
    let spec = ClassSpec { slots: 8, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec, spec], seed);
    let mut all = Vec::new();
    for load in loads {
        let now = world.now;
        for (at, tissue) in world.tissues.iter_mut().enumerate() {
            tissue.set_loads(load.rotate_left(at as u32) % 12);
            tissue.queued = load % 30;
            tissue.head = (tissue.queued > 0).then(|| Nanos(now.0.saturating_sub(6_000_000)));
            tissue.arrived += u64::from(*load % 100);
            tissue.wake(now);
        }
        world.step(Nanos::from_millis(u64::from(load % 25)));
        all.extend(world.decisions.iter().copied());
        if load % 5 == 0 {
            world.bury();
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// I12: the same DNA, seed and order of events give the same births, deaths and classes, and
    /// the same numbers behind them, to the last bit.
    #[test]
    fn i12_same_seed_same_life(seed: u64, loads in prop::collection::vec(any::<u32>(), 1..200)) {
        prop_assert_eq!(life(seed, &loads), life(seed, &loads));
    }

    /// I14: looked at only when it asks to be, a population whose load ended comes to its minimum,
    /// wherever its averages stood at that moment.
    #[test]
    fn i14_who_is_idle_goes_before_the_law_sleeps(
        cells in 2u32..24, min in 0u32..2, load in 0u32..9, busy in 1u32..40, last_ms in 1u64..25,
    ) {
        let spec = ClassSpec { slots: 8, min, max: 60, ..ClassSpec::default() };
        let mut world = World::new(Constants::default(), &[spec], 1);
        world.populate(0, cells);
        world.ticks(busy, |world| world.tissues[0].set_loads(load));
        world.tissues[0].set_loads(0);
        world.step(Nanos::from_millis(last_ms));
        let until = world.now + Nanos::from_millis(120_000);
        while let Some(next) = world.law.next_deadline().filter(|next| *next < until) {
            world.step(next.since(world.now));
            let now = world.now;
            world.tissues[0].wake(now);
            world.bury();
        }
        prop_assert_eq!(world.tissues[0].living(), min);
        prop_assert_eq!(world.law.next_deadline(), None);
    }
}

#[test]
fn i14_a_dormant_law_asks_for_no_tick() {
    let spec = ClassSpec { slots: 8, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec], 1);
    // The pool fills; then nothing is left to do.
    let mut rounds = 0;
    loop {
        world.step(Nanos::from_millis(20));
        let Some(next) = world.law.next_deadline() else { break };
        assert!(next > world.now);
        rounds += 1;
        assert!(rounds < 10, "the pool of 16 fills within ten ticks");
    }
    assert_eq!(world.stems, 16);
    // A burst, and back to rest: what was grown dies, the averages are forgotten, no tick is left.
    world.ticks(20, |world| {
        world.tissues[0].queued = 50;
        world.tissues[0].head = Some(Nanos(0));
        world.tissues[0].set_loads(8);
    });
    assert!(world.tissues[0].living() > 5);
    (world.tissues[0].queued, world.tissues[0].head) = (0, None);
    let mut ticks = 0;
    while world.law.next_deadline().is_some() {
        world.tissues[0].set_loads(0);
        world.step(Nanos::from_millis(20));
        let now = world.now;
        world.tissues[0].wake(now);
        world.bury();
        ticks += 1;
        assert!(ticks < 3_000, "a minute is enough: {:?}", world.law.view(cyte_organism::law::ClassId(0)));
    }
    assert_eq!(world.tissues[0].living(), 0);
}

#[test]
fn i14_without_room_for_stems_it_looks_twice_a_second() {
    let mut world = World::new(Constants::default(), &[ClassSpec::default()], 1);
    world.room = 0;
    world.step(Nanos::from_millis(20));
    assert_eq!(world.law.next_deadline(), Some(world.now + Nanos::from_millis(500)));
}

#[test]
fn a_queue_wakes_the_law_when_it_is_felt_and_no_sooner() {
    use cyte_organism::law::ClassId;
    let spec = ClassSpec { slots: 8, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec], 1);
    world.populate(0, 1);
    world.step(Nanos::from_millis(20));
    let head = world.now;
    assert_eq!(world.law.reflex(ClassId(0), head), Some(head + Nanos::from_millis(5)));
    // A queue whose head waited long ago is felt at once, but not within the reflex gap.
    assert_eq!(world.law.reflex(ClassId(0), Nanos(0)), Some(world.now + Nanos::from_millis(2)));
    world.tissues[0].queued = 5;
    world.tissues[0].head = Some(head);
    world.step(Nanos::from_millis(2));
    assert_eq!(world.law.next_deadline(), Some(head + Nanos::from_millis(5)));
}
