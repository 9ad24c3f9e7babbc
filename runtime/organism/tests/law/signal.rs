//! A gene's own signal: the population follows it up and down, inside the class's bounds.

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};

use crate::world::World;

const TICK: Nanos = Nanos::from_millis(20);

/// Lets `seconds` pass with this signal, in thousandths of a cell's load; how many cells there are then.
fn after(world: &mut World, signal: u64, seconds: u64) -> u32 {
    world.tissues[0].signal = signal;
    for _ in 0..seconds * 50 {
        world.step(TICK);
        let now = world.now;
        world.tissues[0].wake(now);
        world.tissues[0].cells.retain(|cell| cell.phase != cyte_organism::Phase::Draining);
    }
    world.tissues[0].living()
}

#[test]
fn the_population_follows_the_signal_up_and_down() {
    // Two cores, and messages that do nothing but compute, say nothing of the signal's work.
    for (slots, cores) in [(1, 0), (8, 0), (1, 2)] {
        let spec = ClassSpec { slots, max: 20, ..ClassSpec::default() };
        let mut world = World::new(Constants::default(), &[spec], 7);
        (world.cores, world.computing) = (cores, Nanos::from_millis(50));
        world.populate(0, 1);
        let up = after(&mut world, 6_000, 5);
        assert!((6..=8).contains(&up), "{up} cells for the load of 6, {slots} slots");
        let bound = after(&mut world, 90_000, 5);
        assert_eq!(bound, 20, "the bound of its range");
        let down = after(&mut world, 3_000, 60);
        assert!((3..=4).contains(&down), "{down} cells for the load of 3, {slots} slots");
        assert_eq!(after(&mut world, 0, 60), 0, "nothing is left to do");
        assert_eq!(world.law.next_deadline(), None, "and the law sleeps");
    }
}
