//! I15: what a run costs. Time on a shared machine is noisy, so the best of many runs counts.

use std::time::Instant;

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};

use crate::world::World;

fn best_run(cells: u32) -> u128 {
    let spec = ClassSpec { slots: 8, max: 20_000, ..ClassSpec::default() };
    let mut world = World::new(Constants { stems_min: 0, stems_max: 0, ..Constants::default() }, &[spec], 1);
    world.room = 0;
    world.populate(0, cells);
    world.tissues[0].set_loads(7);
    let runs = (0..50).map(|_| {
        #[expect(clippy::disallowed_methods, reason = "this test measures the law, it is not part of it")]
        let start = Instant::now();
        world.step(Nanos::from_millis(20));
        start.elapsed().as_nanos()
    });
    runs.min().expect("fifty runs")
}

#[test]
fn i15_a_run_is_linear_and_cheap() {
    // Without optimisation only the order can be checked.
    let allowed: u128 = if cfg!(debug_assertions) { 40 } else { 1 };
    let (hundred, thousand, ten_thousand) = (best_run(100), best_run(1_000), best_run(10_000));
    println!("{hundred} ns for 100 cells, {thousand} ns for 1,000, {ten_thousand} ns for 10,000");
    assert!(hundred <= 10_000 * allowed, "{hundred} ns for 100 cells");
    assert!(thousand <= 100_000 * allowed, "{thousand} ns for 1,000 cells");
    assert!(ten_thousand <= 2_000_000 * allowed, "{ten_thousand} ns for 10,000 cells");
}
