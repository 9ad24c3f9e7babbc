//! Memory that rests: a surplus that holds more than may stay warm goes sooner, any other as before.

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};

use crate::world::World;

/// Cells that are left of forty, `ms` after their load ended, where each holds so much.
fn left(cell_mib: u32, ms: u64) -> u32 {
    let spec = ClassSpec { slots: 1, min: 1, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec], 1);
    world.warm_mib = 32;
    world.populate(0, 40);
    world.tissues[0].cell_mib = cell_mib;
    world.ticks(200, |world| world.tissues[0].set_loads(1));
    world.ticks((ms / 20) as u32, |world| {
        let now = world.now;
        world.tissues[0].set_loads(0);
        world.tissues[0].wake(now);
        world.bury();
    });
    world.tissues[0].living()
}

#[test]
fn a_surplus_that_holds_much_goes_sooner() {
    let [light, warm, heavy] = [0, 4, 64].map(|mib| left(mib, 10_000));
    println!("10 s after: {light} cells of nothing, {warm} of 4 MiB, {heavy} of 64 MiB");
    assert!(heavy <= warm && warm < light, "{heavy} {warm} {light}");
    // What is remembered of the load is not forgotten sooner: a tenth of it, after ten seconds.
    assert!((1..=5).contains(&heavy), "{heavy} cells of 64 MiB");
    assert!(warm <= 8, "{warm} cells of 4 MiB are what may stay warm");
    assert_eq!(left(0, 40_000), 1, "and what may stay warm is not kept for ever");
}

#[test]
fn the_light_do_not_die_for_the_heavy() {
    let spec = ClassSpec { slots: 1, min: 1, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec, spec], 1);
    world.warm_mib = 32;
    world.tissues[1].cell_mib = 16;
    for class in 0..2 {
        world.populate(class, 20);
    }
    world.ticks(200, |world| world.tissues.iter_mut().for_each(|tissue| tissue.set_loads(1)));
    world.ticks(350, |world| {
        world.tissues.iter_mut().for_each(|tissue| tissue.set_loads(0));
        world.bury();
    });
    let (light, heavy) = (world.tissues[0].living(), world.tissues[1].living());
    assert!(light > heavy + 2, "{light} light cells, {heavy} heavy ones");
    assert_eq!(world.now, Nanos::from_millis(550 * 20));
}
