//! A population on a real host under a changing load: the hormone law as cyte ships it, beside
//! Knative's rule and on-demand waking as neurons that replace it.
//!
//! One gene that waits 50 ms before it answers, eight requests a cell, and requests that come when
//! they come, whatever became of those before ([`sender`]). A watcher asks the host how many cells
//! there are ([`watcher`]). What that comes to is counted by the simulator's own meter, so that a
//! figure means the same here and there.
//!
//! The load is open: latency counts from the moment at which a request should have been sent.

mod sender;
mod watcher;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use cyte_dna::Policy;
use cyte_organism::Nanos;
use cyte_organism::constants::Constants;
use cyte_organism::sim::{Arrivals, ClassOutcome, Controller, Load, Meter, Outcome, picture};

use super::report::{CaseReport, GateReport, Row};
use super::server::Server;
use super::stats::{Spread, order, ratios};
use super::systems::Bench;
use super::{BenchError, Progress};
use sender::Shot;
use watcher::Gauge;

/// How long a request is inside a cell.
const SERVICE: Nanos = Nanos::from_millis(50);
/// Requests that one cell holds at once.
const SLOTS: u32 = 8;
/// Most cells.
const CELLS_MAX: u32 = 96;
/// Who waits longer for a slot is late: what a wait of 125 ms comes to.
const TARGET: Nanos = Nanos::from_millis(25);
/// Between two points of the timeline, in seconds.
const EVERY: f64 = 0.1;
/// The same requests for everybody.
const SEED: u64 = 1;

/// A load with its length.
struct Workload {
    name: &'static str,
    seconds: f64,
    load: fn() -> Load,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "step",
        seconds: 90.0,
        load: || Load::Step { base: 200.0, peak: 2_000.0, from: 10.0, to: 40.0 },
    },
    Workload {
        name: "flash",
        seconds: 60.0,
        load: || Load::Flash { base: 150.0, height: 14.0, at: vec![10.0, 35.0], rise: 0.5, decay: 5.0 },
    },
    Workload {
        name: "sine",
        seconds: 60.0,
        load: || Load::Sine { mean: 800.0, amplitude: 700.0, period: 30.0 },
    },
];

/// Who decides.
struct Ruler {
    controller: Controller,
    /// The gene of a neuron that replaces the law.
    neuron: Option<&'static str>,
}

const RULERS: &[Ruler] = &[
    Ruler { controller: Controller::Hybrid, neuron: None },
    Ruler { controller: Controller::Kpa, neuron: Some("cyte:neuron-kpa") },
    Ruler { controller: Controller::OnDemand, neuron: Some("cyte:neuron-on-demand") },
];

/// One life of a host under one load.
struct Life {
    outcome: ClassOutcome,
    failed: u64,
}

/// What became of one workload, a life a ruler and round.
type Lives = Vec<Vec<Option<Life>>>;

/// All workloads.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let mut report = CaseReport {
        name: "tide".to_owned(),
        about: "a population under a changing load: the hormone law, Knative's rule, on demand".to_owned(),
        how: format!(
            "{} rounds, open loop, {} ms a request, {SLOTS} at once in a cell, late above {} ms of waiting",
            bench.args.rounds,
            SERVICE.as_millis(),
            TARGET.as_millis(),
        ),
        rows: Vec::new(),
        control: None,
        gates: Vec::new(),
        notes: Vec::new(),
    };
    for workload in WORKLOADS {
        let lives = live(bench, workload, progress, &mut report.notes);
        report.rows.extend(rows(workload, &lives));
        report.gates.extend(gates(workload, &lives));
        draw(bench, workload, &lives, &mut report.notes);
    }
    report
}

fn live(bench: &Bench<'_>, workload: &Workload, progress: Progress<'_>, notes: &mut Vec<String>) -> Lives {
    let mut lives: Lives = RULERS.iter().map(|_| Vec::new()).collect();
    for round in 0..bench.args.rounds {
        for at in order(RULERS.len(), round) {
            let (Some(ruler), Some(of)) = (RULERS.get(at), lives.get_mut(at)) else { continue };
            let name = format!("tide {} {} {round}", workload.name, ruler.controller);
            let life = if bench.args.go_on().is_ok() { one(bench, workload, ruler, &name) } else { break };
            match &life {
                Ok(life) => progress(&format!("{name}: {}", told(life))),
                Err(error) => notes.push(format!("{name}: {error}")),
            }
            of.push(life.ok());
        }
    }
    lives
}

fn told(life: &Life) -> String {
    let ClassOutcome { late_percent, cell_seconds, births, wait_p99_ms, .. } = &life.outcome;
    let mut told = format!(
        "{late_percent:.3} % late, {} failed, {cell_seconds:.0} cell-seconds, {births} births, p99 wait {wait_p99_ms:.1} ms",
        life.failed
    );
    if let (Some(t90), Some(over)) = (life.outcome.t90_ms, life.outcome.overshoot_percent) {
        told.push_str(&format!(", t90 {t90:.0} ms, {over:.0} % over"));
    }
    told
}

fn one(bench: &Bench<'_>, workload: &Workload, ruler: &Ruler, name: &str) -> Result<Life, BenchError> {
    let name = name.replace(' ', "-");
    let project = project(bench, &name, ruler)?;
    let state = bench.path(&format!("state-{name}"));
    let server = Server::start(&bench.cyte(name.clone(), &project, &state), None, bench.args.stop)?;
    let failed = |reason: String| server.failed(reason);
    let load = (workload.load)();
    let due = due(&load, workload.seconds);
    // Cells for what comes at first are there when it comes, as in a simulation.
    let began = Instant::now() + Duration::from_millis(500);
    let ended = AtomicBool::new(false);
    let (shots, gauges) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watcher::watch(&state, began, &ended));
        let shots = sender::send(server.address(), &due, began, bench.args.stop);
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        let gauges = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (shots, gauges)
    });
    let (shots, gauges) = (shots.map_err(failed)?, gauges.map_err(failed)?);
    Ok(measure(workload, &load, &shots, &gauges))
}

/// The gene that waits, and the neuron if the ruler is one.
fn project(bench: &Bench<'_>, name: &str, ruler: &Ruler) -> Result<PathBuf, BenchError> {
    let lines = format!(
        "reuse = 1000000\nconcurrency = {SLOTS}\nexpress = {{ max = {CELLS_MAX} }}\nlimits = {{ wait = \"125ms\", waiters = 4096 }}\n"
    );
    let folder = bench.project(name, &[("sleep_p3", "/...", &lines)])?;
    if let Some(neuron) = ruler.neuron {
        let io = |source| BenchError::Io { doing: "writing a project", source };
        let path = folder.join("dna.toml");
        let text = std::fs::read_to_string(&path).map_err(io)?;
        let text = format!("{text}\n[gene.mind]\nsource = \"{neuron}\"\nneuron = \"replace\"\n");
        std::fs::write(path, text).map_err(io)?;
    }
    Ok(folder)
}

/// When requests are to be sent.
fn due(load: &Load, seconds: f64) -> Vec<Nanos> {
    let mut arrivals = Arrivals::new(load.clone(), SEED);
    let (mut due, mut t) = (Vec::new(), 0.0);
    while let Some(next) = arrivals.next(t).filter(|next| *next < seconds) {
        t = next;
        if arrivals.is_real(t) {
            due.push(Nanos((t * 1e9) as u64));
        }
    }
    due
}

/// Everything in the order in which it happened, through the simulator's meter.
fn measure(workload: &Workload, load: &Load, shots: &[Shot], gauges: &[Gauge]) -> Life {
    let end = Nanos((workload.seconds * 1e9) as u64);
    let mut meter = Meter::new(workload.name, TARGET, workload.seconds);
    let arrivals = Arrivals::new(load.clone(), SEED);
    if let Some((from, to)) = arrivals.jump() {
        meter.watch(Nanos((from * 1e9) as u64), Some(Nanos((to * 1e9) as u64)));
    }
    let need = need(&arrivals);
    let mut shots = shots.iter().peekable();
    let mut gauges = gauges.iter().peekable();
    let (mut at, mut failed, mut born) = (EVERY, 0, None);
    while at <= workload.seconds {
        let until = Nanos((at * 1e9) as u64);
        while let Some(shot) = shots.next_if(|shot| shot.due <= until) {
            failed += u64::from(!tell(&mut meter, shot));
        }
        let mut hormone = None;
        while let Some(gauge) = gauges.next_if(|gauge| gauge.at <= until) {
            hormone = gauge.hormone;
            let (needed, before) = (need(gauge.at.0 as f64 / 1e9), *born.get_or_insert(gauge.born));
            (before..gauge.born).for_each(|_| meter.born());
            born = Some(gauge.born);
            meter.population(gauge.at, gauge.cells, gauge.ready, needed);
        }
        meter.point(until, EVERY, need(at), hormone);
        at += EVERY;
    }
    Life { outcome: meter.finish(end), failed }
}

/// Tells the meter of one request; whether it was answered.
fn tell(meter: &mut Meter, shot: &Shot) -> bool {
    meter.offered(shot.due);
    match shot.took {
        Some(took) => {
            let answered = shot.due + took;
            meter.started(shot.due, Nanos(answered.0.saturating_sub(SERVICE.0)).max(shot.due));
            meter.served(shot.due, answered);
        }
        None => meter.refused(shot.due),
    }
    shot.took.is_some()
}

/// Cells that the load needs at an instant, by the law's own utilisation.
fn need(arrivals: &Arrivals) -> impl Fn(f64) -> f64 {
    let policy = Policy::default();
    let constants = Constants::new(&policy.hormones, &policy.pool).ok();
    let service = SERVICE.0 as f64 / 1e9;
    move |t| constants.map_or(0.0, |constants| constants.wanted(arrivals.rate(t) * service, SLOTS))
}

fn rows(workload: &Workload, lives: &Lives) -> Vec<Row> {
    let row = |(ruler, of): (&Ruler, &Vec<Option<Life>>)| {
        let column = |value: &dyn Fn(&Life) -> Option<f64>| -> Vec<f64> {
            of.iter().flatten().filter_map(value).collect()
        };
        Row::new(format!("{} {}", workload.name, ruler.controller))
            .with("late %", &column(&|life| Some(life.outcome.late_percent)))
            .with("failed", &column(&|life| Some(life.failed as f64)))
            .with("cell-s", &column(&|life| Some(life.outcome.cell_seconds)))
            .with("births", &column(&|life| Some(life.outcome.births as f64)))
            .with("p99 wait ms", &column(&|life| Some(life.outcome.wait_p99_ms)))
            .with("t90 ms", &column(&|life| life.outcome.t90_ms))
            .with("over %", &column(&|life| life.outcome.overshoot_percent))
    };
    RULERS.iter().zip(lives).map(row).collect()
}

fn gates(workload: &Workload, lives: &Lives) -> Vec<GateReport> {
    let [hybrid, kpa, on_demand] = lives.as_slice() else { return Vec::new() };
    let all = |value: &dyn Fn(&Life) -> Option<f64>| {
        Spread::of(&hybrid.iter().flatten().filter_map(value).collect::<Vec<_>>())
    };
    let against = |base: &[Option<Life>], value: &dyn Fn(&Life) -> f64| {
        let column = |of: &[Option<Life>]| -> Vec<Option<f64>> {
            of.iter().map(|life| life.as_ref().map(value)).collect()
        };
        Spread::of(&ratios(&column(hybrid), &column(base)))
    };
    let judge = |what: &str, at_most: f64, measured: Option<Spread>| {
        GateReport::judge(format!("{}: {what}", workload.name), true, at_most, None, measured)
    };
    let mut gates = vec![
        judge("late <= 0.05 %", 0.05, all(&|life| Some(life.outcome.late_percent))),
        judge("failed <= 0", 0.0, all(&|life| Some(life.failed as f64))),
    ];
    if workload.name == "step" {
        let cells = |life: &Life| life.outcome.cell_seconds;
        gates.extend([
            judge("t90 <= 120 ms", 120.0, all(&|life| life.outcome.t90_ms)),
            judge("overshoot <= 25 %", 25.0, all(&|life| life.outcome.overshoot_percent)),
            judge("cell-seconds / KPA's <= 0.55", 0.55, against(kpa, &cells)),
            judge("cell-seconds / on demand's <= 1.10", 1.1, against(on_demand, &cells)),
            judge(
                "births / on demand's <= 1.00",
                1.0,
                against(on_demand, &|life| life.outcome.births as f64),
            ),
        ]);
    }
    gates
}

/// The first round as a picture, where one is wanted.
fn draw(bench: &Bench<'_>, workload: &Workload, lives: &Lives, notes: &mut Vec<String>) {
    let Some(folder) = &bench.args.pictures else { return };
    let outcome = |(ruler, of): (&Ruler, &Vec<Option<Life>>)| {
        let class = of.first()?.as_ref()?.outcome.clone();
        let scenario = format!("{} on a real host", workload.name);
        Some(Outcome { scenario, controller: ruler.controller, seed: SEED, classes: vec![class] })
    };
    let outcomes: Vec<Outcome> = RULERS.iter().zip(lives).filter_map(outcome).collect();
    let path = folder.join(format!("tide-{}.svg", workload.name));
    let written =
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, picture::draw(&outcomes, 0)));
    if let Err(error) = written {
        notes.push(format!("cannot write {}: {error}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_comes_to_the_same_figures_as_a_simulation_would() {
        let workload = &WORKLOADS[0];
        let load = (workload.load)();
        let due = due(&load, workload.seconds);
        assert!((60_000..90_000).contains(&due.len()), "{}", due.len());
        let ms = Nanos::from_millis;
        let shot = |(at, due): (usize, &Nanos)| Shot {
            due: *due,
            took: match at % 1_000 {
                0 => Some(ms(90)),
                1 => None,
                _ => Some(ms(51)),
            },
        };
        let shots: Vec<Shot> = due.iter().enumerate().map(shot).collect();
        let cells = |at: u64| if (10_100..40_000).contains(&at) { 14 } else { 2 };
        let gauge = |step: u64| {
            let at = step * 20;
            Gauge {
                at: ms(at),
                cells: cells(at),
                ready: cells(at),
                born: u64::from(cells(at)),
                hormone: None,
            }
        };
        let gauges: Vec<Gauge> = (0..4_500).map(gauge).collect();
        let life = measure(workload, &load, &shots, &gauges);
        let outcome = &life.outcome;
        assert_eq!(outcome.offered, due.len() as u64);
        assert!((outcome.late_percent - 0.2).abs() < 0.01, "{}", outcome.late_percent);
        assert!(life.failed >= 60 && outcome.births == 12, "{} {}", life.failed, outcome.births);
        assert_eq!(outcome.t90_ms, Some(100.0));
        assert!((outcome.cell_seconds - (29.9 * 14.0 + 60.1 * 2.0)).abs() < 1.0, "{}", outcome.cell_seconds);
        let lives: Lives = vec![vec![Some(life)], Vec::new(), Vec::new()];
        let gates = gates(workload, &lives);
        assert_eq!(gates.len(), 7);
        assert!(gates.iter().any(|gate| gate.outcome == super::super::Outcome::Short));
        assert!(gates.iter().any(|gate| gate.outcome == super::super::Outcome::Open), "no rival lived");
        assert_eq!(rows(workload, &lives).len(), 3);
    }
}
