//! What the law is to reach on the simulated plant, held against its rivals in the same run.

use cyte_organism::constants::ClassSpec;
use cyte_organism::sim::{Blow, BlowKind, ClassOutcome, ClassPlan, Controller, Load, Scenario, run};

fn scenario(seconds: f64, load: Load) -> Scenario {
    let mut scenario = Scenario { seconds, ..Scenario::default() };
    scenario.classes[0].load = load;
    scenario
}

fn play(scenario: &Scenario, controller: Controller) -> ClassOutcome {
    run(scenario, controller, 1).expect("a scenario in range").classes.remove(0)
}

#[test]
fn step_is_met_in_time_and_for_less_than_the_rivals() {
    let step = scenario(240.0, Load::Step { base: 400.0, peak: 4_000.0, from: 60.0, to: 180.0 });
    let (kpa, on_demand) = (play(&step, Controller::Kpa), play(&step, Controller::OnDemand));
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let got = play(&step, controller);
        assert!(got.late_percent <= 0.05 && got.worst_window_percent <= 5.0, "{controller}: late");
        assert!(got.t90_ms.is_some_and(|t90| t90 <= 120.0), "{controller}: {:?}", got.t90_ms);
        assert!(got.settle_s.is_some_and(|settle| settle <= 20.0), "{controller}: {:?}", got.settle_s);
        assert!(got.cell_seconds <= 0.55 * kpa.cell_seconds, "{controller}: {}", got.cell_seconds);
        assert!(got.cell_seconds <= 1.1 * on_demand.cell_seconds, "{controller}: {}", got.cell_seconds);
        assert!(got.births < on_demand.births, "{controller}: {} births", got.births);
    }
    let hybrid = play(&step, Controller::Hybrid);
    assert!(hybrid.overshoot_percent.is_some_and(|over| over <= 25.0), "{:?}", hybrid.overshoot_percent);
    assert!(hybrid.wait_p999_ms <= 5.0, "{}", hybrid.wait_p999_ms);
    let central = play(&step, Controller::Central);
    let hormone = play(&step, Controller::Hormone);
    assert!(hormone.cell_seconds <= 1.1 * central.cell_seconds, "what doing without a brain costs");
}

#[test]
fn flash_loses_nobody() {
    let flash = Load::Flash { base: 400.0, height: 14.0, at: vec![20.0], rise: 0.5, decay: 20.0 };
    let flash = scenario(120.0, flash);
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let got = play(&flash, controller);
        assert!(got.late_percent <= 0.05 && got.given_up == 0, "{controller}: {}", got.late_percent);
    }
}

#[test]
fn a_crash_of_half_costs_only_what_was_in_flight() {
    let mut crash = scenario(60.0, Load::Constant { rate: 2_000.0 });
    crash.blows.push(Blow { at: 20.0, class: 0, kind: BlowKind::Crash(0.5) });
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let got = play(&crash, controller);
        assert!(got.lost > 0 && got.given_up == 0, "{controller}");
        let late = got.late_percent * got.offered as f64 / 100.0;
        assert!((late - got.lost as f64).abs() < 0.5, "{controller}: {late} late, {} lost", got.lost);
        assert!(got.t90_ms.is_some_and(|t90| t90 <= 200.0), "{controller}: {:?}", got.t90_ms);
    }
}

#[test]
fn i7_one_liar_is_worth_no_more_than_two_cells() {
    let honest = scenario(120.0, Load::Constant { rate: 2_000.0 });
    let mut lying = honest.clone();
    lying.blows.push(Blow { at: 0.0, class: 0, kind: BlowKind::Liars(1) });
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let (without, with) = (play(&honest, controller), play(&lying, controller));
        let more = (with.cell_seconds - without.cell_seconds) / 120.0;
        assert!(more <= 2.0 && with.late_percent == 0.0, "{controller}: {more} cells");
    }
}

#[test]
fn a_constant_load_is_calm() {
    let calm = scenario(120.0, Load::Constant { rate: 2_000.0 });
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let births = play(&calm, controller).births_per_cell_minute;
        assert!(births <= 2.0, "{controller}: {births} births a cell and minute");
    }
}

#[test]
fn i16_full_cores_are_not_answered_with_cells() {
    let mut bound = scenario(120.0, Load::Step { base: 4.0, peak: 44.0, from: 20.0, to: 120.0 });
    let class = &mut bound.classes[0];
    class.spec = ClassSpec { slots: 1, min: 0, max: 96, ..class.spec };
    (class.service_ms, class.cpu_ms) = (0.0, 50.0);
    let best = play(&bound, Controller::Static(2));
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let got = play(&bound, controller);
        assert!(got.cells_most <= 2 + 2, "{controller}: {} cells on two cores", got.cells_most);
        assert!(got.response_p99_ms <= 1.1 * best.response_p99_ms, "{controller}: {}", got.response_p99_ms);
    }
    assert!(play(&bound, Controller::OnDemand).cells_most > 50, "the test would notice");
}

#[test]
fn i17_two_classes_divide_a_host_by_their_weights() {
    let class = |name: &str, weight| ClassPlan {
        name: name.to_owned(),
        spec: ClassSpec { slots: 1, min: 1, max: 96, weight, ..ClassSpec::default() },
        load: Load::Constant { rate: 1_500.0 },
        ..ClassPlan::default()
    };
    let mut both = Scenario { seconds: 30.0, ..Scenario::default() };
    both.host.places = 60;
    both.classes = vec![class("api", 2_000), class("web", 1_000)];
    for controller in [Controller::Hybrid, Controller::Hormone] {
        let outcome = run(&both, controller, 1).expect("a scenario in range");
        let cells: Vec<u32> =
            outcome.classes.iter().map(|class| class.points.last().unwrap().cells).collect();
        let ratio = f64::from(cells[0]) / f64::from(cells[1]);
        assert!((1.7..=2.3).contains(&ratio), "{controller}: {cells:?}");
        assert!(cells.iter().sum::<u32>() >= 56, "{controller}: {cells:?}");
    }
}

#[test]
fn i12_a_simulation_replays() {
    let bursty = Load::Bursty { base: 200.0, sources: 20, each: 100.0, on: 1.0, off: 4.0, shape: 1.4 };
    let bursty = scenario(20.0, bursty);
    let one = run(&bursty, Controller::Hybrid, 9).unwrap();
    assert_eq!(one, run(&bursty, Controller::Hybrid, 9).unwrap());
    assert_ne!(one.classes, run(&bursty, Controller::Hybrid, 10).unwrap().classes);
}

/// The law in place of the law: as good as the hybrid that a host runs without a neuron.
#[test]
fn the_calculus_as_a_neuron_does_no_worse() {
    let step = scenario(120.0, Load::Step { base: 400.0, peak: 4_000.0, from: 20.0, to: 80.0 });
    let (law, neuron) = (play(&step, Controller::Hybrid), play(&step, Controller::NeuronCalculus));
    assert!(neuron.late_percent <= 0.05, "{} late", neuron.late_percent);
    assert!(neuron.cell_seconds <= 1.1 * law.cell_seconds, "{} {}", neuron.cell_seconds, law.cell_seconds);
    let kpa = play(&step, Controller::NeuronKpa);
    assert!(kpa.cell_seconds > 1.3 * law.cell_seconds, "a register changes what the law does");
}
