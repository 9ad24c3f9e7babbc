//! A population on a real host under a changing load: the hormone law as cyte ships it, beside
//! Knative's rule and on-demand waking as neurons that replace it.
//!
//! One gene that waits 50 ms before it answers, eight requests a cell or one, and requests that come
//! when they come, whatever became of those before ([`super::volley`]). A watcher asks the host how
//! many cells there are ([`super::watcher`]). What that comes to is counted by the simulator's own
//! meter, so that a figure means the same here and there.
//!
//! The load is open: latency counts from the moment at which a request should have been sent. Need is
//! drawn for the time that a request truly held its slot, as the simulator draws it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cyte_dna::Policy;
use cyte_organism::Nanos;
use cyte_organism::constants::Constants;
use cyte_organism::sim::{Arrivals, ClassOutcome, Controller, Load, Meter, Outcome, picture};

use super::machine::Stolen;
use super::report::{CaseReport, GateReport, Row};
use super::server::Server;
use super::stats::{Spread, order, ratios};
use super::systems::Bench;
use super::volley::{self, End, SEED, Shot};
use super::watcher::{self, Gauge};
use super::{BenchError, Progress};

/// How long a request is inside a cell.
const SERVICE: Nanos = Nanos::from_millis(50);
/// Slots of all cells at most.
const SLOTS_MAX: u32 = 768;
/// How often the host is asked.
const LOOK: Duration = Duration::from_millis(20);
/// Who waits longer for a slot is late: what a wait of 125 ms comes to.
const TARGET: Nanos = Nanos::from_millis(25);
/// Between two points of the timeline, in seconds.
const EVERY: f64 = 0.1;
/// A load with its length.
pub(crate) struct Workload {
    /// The case's name.
    pub(crate) name: &'static str,
    /// What comes, in words.
    pub(crate) about: &'static str,
    seconds: f64,
    /// Requests that one cell holds at once.
    slots: u32,
    load: fn() -> Load,
    /// When half of all cells die at once, in seconds.
    crash: Option<f64>,
}

/// The workloads, each a case.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "tide-step",
        about: "ten times as many requests for 30 s: the hormone law, Knative's rule, on demand",
        seconds: 90.0,
        slots: 8,
        load: step,
        crash: None,
    },
    Workload {
        name: "tide-single",
        about: "the same with one request a cell",
        seconds: 90.0,
        slots: 1,
        load: step,
        crash: None,
    },
    Workload {
        name: "tide-flash",
        about: "fifteen times as many requests within half a second, twice",
        seconds: 60.0,
        slots: 8,
        load: || Load::Flash { base: 150.0, height: 14.0, at: vec![10.0, 35.0], rise: 0.5, decay: 5.0 },
        crash: None,
    },
    Workload {
        name: "tide-sine",
        about: "a slow wave of requests",
        seconds: 60.0,
        slots: 8,
        load: || Load::Sine { mean: 800.0, amplitude: 700.0, period: 30.0 },
        crash: None,
    },
    Workload {
        name: "tide-crash",
        about: "half of all cells die at once under load",
        seconds: 30.0,
        slots: 8,
        load: || Load::Constant { rate: 1_600.0 },
        crash: Some(15.0),
    },
];

fn step() -> Load {
    Load::Step { base: 200.0, peak: 2_000.0, from: 10.0, to: 40.0 }
}

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
    /// Requests that were refused or not answered, beside those that died with their cells.
    failed: u64,
    /// Percent of the machine's time that others had on its cores: what a noisy round is known by.
    stolen: f64,
}

/// What became of one workload, a life a ruler and round.
type Lives = Vec<Vec<Option<Life>>>;

/// One workload, all rulers.
pub(crate) fn run(bench: &Bench<'_>, workload: &Workload, progress: Progress<'_>) -> CaseReport {
    let mut notes = Vec::new();
    let lives = live(bench, workload, progress, &mut notes);
    draw(bench, workload, &lives, &mut notes);
    CaseReport {
        name: workload.name.to_owned(),
        about: workload.about.to_owned(),
        how: format!(
            "{} rounds, open loop, {} ms a request, {} at once in a cell, late above {} ms of waiting",
            bench.args.rounds,
            SERVICE.as_millis(),
            workload.slots,
            TARGET.as_millis(),
        ),
        rows: rows(&lives),
        control: None,
        gates: gates(workload, &lives),
        notes,
    }
}

fn live(bench: &Bench<'_>, workload: &Workload, progress: Progress<'_>, notes: &mut Vec<String>) -> Lives {
    let mut lives: Lives = RULERS.iter().map(|_| Vec::new()).collect();
    for round in 0..bench.args.rounds {
        for at in order(RULERS.len(), round) {
            let (Some(ruler), Some(of)) = (RULERS.get(at), lives.get_mut(at)) else { continue };
            let name = format!("{} {} {round}", workload.name, ruler.controller);
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
    told.push_str(&format!("; {:.0} % of the machine's time stolen", life.stolen));
    told
}

fn one(bench: &Bench<'_>, workload: &Workload, ruler: &Ruler, name: &str) -> Result<Life, BenchError> {
    let name = name.replace(' ', "-");
    let project = project(bench, &name, workload.slots, ruler)?;
    let state = bench.path(&format!("state-{name}"));
    let server = Server::start(&bench.cyte(name.clone(), &project, &state), None, bench.args.stop)?;
    let failed = |reason: String| server.failed(reason);
    let load = (workload.load)();
    let due = volley::due(&load, workload.seconds);
    // Cells for what comes at first are there when it comes, as in a simulation.
    let began = Instant::now() + Duration::from_millis(500);
    let fire = || {
        std::thread::scope(|scope| {
            let crashing = workload.crash.map(|at| {
                let at = began + Duration::from_secs_f64(at);
                let (state, address) = (&state, server.address());
                scope.spawn(move || crash(state, address, at))
            });
            let shots = volley::fire(server.address(), &due, began, bench.args.stop);
            (shots, crashing.map_or(Ok(Nanos(0)), joined))
        })
    };
    let before = Stolen::read();
    let ((shots, crash), gauges) = watcher::beside(&state, LOOK, began, fire);
    let stolen = before.percent_until(Stolen::read());
    let (shots, gauges) = (shots.map_err(failed)?, gauges.map_err(failed)?);
    let crashed = crash.map_err(failed)?;
    let (outcome, failed) = measure(workload, &load, &shots, &gauges, crashed);
    Ok(Life { outcome, failed, stolen })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Ends half of all cells with all that is in them, as fast as one after the other dies; says how long
/// that took.
fn crash(state: &Path, address: SocketAddr, at: Instant) -> Result<Nanos, String> {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
    let half = watcher::ready(state)?.div_ceil(2);
    let dead = volley::one_by_one(address, "/trap", half)?;
    if dead < half {
        return Err(format!("only {dead} of {half} cells died as they were told to"));
    }
    Ok(at.elapsed().into())
}

/// The gene that waits, and the neuron if the ruler is one.
fn project(bench: &Bench<'_>, name: &str, slots: u32, ruler: &Ruler) -> Result<PathBuf, BenchError> {
    let most = SLOTS_MAX / slots;
    let lines = format!(
        "reuse = 1000000\nconcurrency = {slots}\nexpress = {{ max = {most} }}\nlimits = {{ wait = \"125ms\", waiters = 4096 }}\n"
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

/// Everything in the order in which it happened, through the simulator's meter. Where half of the cells
/// died, `crashed` is how long that took.
fn measure(
    workload: &Workload,
    load: &Load,
    shots: &[Shot],
    gauges: &[Gauge],
    crashed: Nanos,
) -> (ClassOutcome, u64) {
    let end = Nanos((workload.seconds * 1e9) as u64);
    let mut meter = Meter::new(workload.name, TARGET, workload.seconds);
    let arrivals = Arrivals::new(load.clone(), SEED);
    let nanos = |at: f64| Nanos((at * 1e9) as u64);
    let blow = workload.crash.map(nanos);
    let jump = arrivals.jump().map(|(from, to)| (nanos(from), Some(nanos(to))));
    if let Some((from, to)) = jump.or(blow.map(|at| (at + crashed, None))) {
        meter.watch(from, to);
    }
    let need = need(&arrivals, workload.slots, service(shots));
    let mut shots = shots.iter().peekable();
    let mut gauges = gauges.iter().peekable();
    let (mut at, mut failed, mut born) = (EVERY, 0, None);
    while at <= workload.seconds {
        let until = Nanos((at * 1e9) as u64);
        while let Some(shot) = shots.next_if(|shot| shot.due <= until) {
            tell(&mut meter, shot);
            failed += u64::from(matches!(shot.end, End::Refused | End::Failed));
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
    let mut outcome = meter.finish(end);
    if blow.is_some() {
        // From the first that died and not from the last.
        outcome.t90_ms = outcome.t90_ms.map(|t90| t90 + crashed.0 as f64 / 1e6);
    }
    (outcome, failed)
}

/// Tells the meter of one request.
fn tell(meter: &mut Meter, shot: &Shot) {
    meter.offered(shot.due);
    match shot.end {
        End::Answered => {
            let answered = shot.due + shot.took;
            meter.started(shot.due, Nanos(answered.0.saturating_sub(SERVICE.0)).max(shot.due));
            meter.served(shot.due, answered);
        }
        End::Lost => meter.lost(1, shot.due),
        End::Refused | End::Failed => meter.refused(shot.due),
    }
}

/// How long a request held its slot: half of those answered took no longer, and hardly any of them
/// waited.
fn service(shots: &[Shot]) -> Nanos {
    let mut took: Vec<Nanos> =
        shots.iter().filter(|shot| shot.end == End::Answered).map(|shot| shot.took).collect();
    let half = took.len() / 2;
    if took.is_empty() { SERVICE } else { *took.select_nth_unstable(half).1 }
}

/// Cells that the load needs at an instant, by the law's own utilisation.
fn need(arrivals: &Arrivals, slots: u32, service: Nanos) -> impl Fn(f64) -> f64 {
    let policy = Policy::default();
    let constants = Constants::new(&policy.hormones, &policy.pool).ok();
    let service = service.0 as f64 / 1e9;
    move |t| constants.map_or(0.0, |constants| constants.wanted(arrivals.rate(t) * service, slots))
}

fn rows(lives: &Lives) -> Vec<Row> {
    let row = |(ruler, of): (&Ruler, &Vec<Option<Life>>)| {
        let column = |value: &dyn Fn(&Life) -> Option<f64>| -> Vec<f64> {
            of.iter().flatten().filter_map(value).collect()
        };
        Row::new(ruler.controller.to_string())
            .with("late %", &column(&|life| Some(life.outcome.late_percent)))
            .with("failed", &column(&|life| Some(life.failed as f64)))
            .with("lost", &column(&|life| Some(life.outcome.lost as f64)))
            .with("cell-s", &column(&|life| Some(life.outcome.cell_seconds)))
            .with("births", &column(&|life| Some(life.outcome.births as f64)))
            .with("p99 wait ms", &column(&|life| Some(life.outcome.wait_p99_ms)))
            .with("t90 ms", &column(&|life| life.outcome.t90_ms))
            .with("over %", &column(&|life| life.outcome.overshoot_percent))
            .with("stolen %", &column(&|life| Some(life.stolen)))
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
        GateReport::judge(what.to_owned(), true, at_most, None, measured)
    };
    let late = || all(&|life| Some(life.outcome.late_percent));
    let late = || judge("late <= 0.05 %", 0.05, late());
    let failed = judge("failed <= 0", 0.0, all(&|life| Some(life.failed as f64)));
    let t90 = |most: f64| judge(&format!("t90 <= {most} ms"), most, all(&|life| life.outcome.t90_ms));
    let cells = |life: &Life| life.outcome.cell_seconds;
    match workload.name {
        "tide-crash" => vec![failed, t90(200.0)],
        "tide-step" | "tide-single" => vec![
            late(),
            failed,
            t90(120.0),
            judge("overshoot <= 25 %", 25.0, all(&|life| life.outcome.overshoot_percent)),
            judge("cell-seconds / KPA's <= 0.55", 0.55, against(kpa, &cells)),
            judge("cell-seconds / on demand's <= 1.10", 1.1, against(on_demand, &cells)),
            judge(
                "births / on demand's <= 1.00",
                1.0,
                against(on_demand, &|life| life.outcome.births as f64),
            ),
        ],
        _ => vec![late(), failed],
    }
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
    let path = folder.join(format!("{}.svg", workload.name));
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
        let due = volley::due(&load, workload.seconds);
        assert!((60_000..90_000).contains(&due.len()), "{}", due.len());
        let ms = Nanos::from_millis;
        let shot = |(at, due): (usize, &Nanos)| {
            let (took, end) = match at % 1_000 {
                0 => (90, End::Answered),
                1 => (1, End::Refused),
                _ => (50, End::Answered),
            };
            Shot { due: *due, took: ms(took), end }
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
                stems: 16,
                stems_goal: 16,
                hormone: None,
            }
        };
        let gauges: Vec<Gauge> = (0..4_500).map(gauge).collect();
        let (outcome, failed) = measure(workload, &load, &shots, &gauges, Nanos(0));
        let life = Life { outcome, failed, stolen: 0.0 };
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
        assert_eq!(rows(&lives).len(), 3);
    }
}
