//! How fast a stem becomes a cell that takes messages, and how fast the pool is back at its goal.
//!
//! A gene whose cells retire after 64 messages lets cells be made all the time; the host itself
//! counts how long each took. Bursts on a gene of one message a cell then take stems out of the pool,
//! and a watcher sees when it is full again.

use std::time::{Duration, Instant};

use cyte_organism::Nanos;
use cyte_organism::sim::Load;
use serde_json::Value;

use super::report::{CaseReport, GateReport, Row};
use super::stats::Spread;
use super::systems::Bench;
use super::watcher::Gauge;
use super::{BenchError, Progress, volley, watcher};

/// Requests a second on the gene whose cells retire, and for how long.
const LOAD: (f64, f64) = (1_000.0, 20.0);
/// Bursts, so many requests more each time, and the time between two.
const BURSTS: u64 = 8;
const BURST: u64 = 8;
const BETWEEN: Nanos = Nanos::from_millis(250);
/// How often the pool is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What one round showed.
struct Round {
    p50_us: f64,
    p99_us: f64,
    cells: f64,
    /// From each burst until the pool was at its goal, in milliseconds.
    refills: Vec<f64>,
}

/// All rounds, each on a host of its own.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let (mut rounds, mut notes) = (Vec::new(), Vec::new());
    for number in 0..bench.args.rounds {
        match bench.args.go_on().and_then(|()| one(bench, number)) {
            Ok(round) => {
                progress(&format!("wake {number}: p50 {} us, p99 {} us", round.p50_us, round.p99_us));
                rounds.push(round);
            }
            Err(error) => notes.push(error.to_string()),
        }
    }
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let (p50, p99) = (column(|round| round.p50_us), column(|round| round.p99_us));
    let refills: Vec<f64> = rounds.iter().flat_map(|round| round.refills.iter().copied()).collect();
    let slowest = Spread::of(&refills).and_then(|refills| Spread::of(&[refills.max]));
    let judge =
        |what: &str, at_most, measured| GateReport::judge(what.to_owned(), true, at_most, None, measured);
    CaseReport {
        name: "wake".to_owned(),
        about: "from a stem to the first message it takes, and the pool back at its goal".to_owned(),
        how: format!(
            "{} rounds, {} requests/s for {} s at 64 uses a cell, then {BURSTS} bursts",
            bench.args.rounds, LOAD.0, LOAD.1
        ),
        rows: vec![
            Row::new("stem to first message")
                .with("p50 us", &p50)
                .with("p99 us", &p99)
                .with("cells", &column(|round| round.cells)),
            Row::new("pool at its goal").with("after ms", &refills),
        ],
        control: None,
        gates: vec![
            judge("p50 <= 100 us", 100.0, Spread::of(&p50)),
            judge("p99 <= 1000 us", 1_000.0, Spread::of(&p99)),
            judge("slowest refill <= 50 ms", 50.0, slowest),
        ],
        notes,
    }
}

fn one(bench: &Bench<'_>, number: usize) -> Result<Round, BenchError> {
    let worn = bench.on_a_host(
        &format!("wake-{number}"),
        ("sleep_p3", "reuse = 64\nconcurrency = 8\n"),
        |server, state| {
            let due = volley::due(&Load::Constant { rate: LOAD.0 }, LOAD.1);
            volley::fire(server.address(), &due, Instant::now(), bench.args.stop)?;
            watcher::inspect(state, "sleep-p3")
        },
    )?;
    let counted = |key: &str| {
        let found = worn.get("tissue").and_then(|tissue| tissue.get(key)).and_then(Value::as_f64);
        found.ok_or_else(|| BenchError::Missing(format!("the host says no `{key}` of its tissue")))
    };
    let lines = "reuse = 1000000\nconcurrency = 1\nexpress = { max = 256 }\n";
    let gauges = bench.on_a_host(&format!("pool-{number}"), ("sleep_p3", lines), |server, state| {
        let began = Instant::now() + Duration::from_millis(500);
        let fire = || volley::fire(server.address(), &bursts(), began, bench.args.stop);
        let (shots, gauges) = watcher::beside(state, LOOK, began, fire);
        shots.and(gauges)
    })?;
    Ok(Round {
        p50_us: counted("wake_p50_us")?,
        p99_us: counted("wake_p99_us")?,
        cells: counted("born")?,
        refills: refills(&gauges),
    })
}

/// When requests are sent: in each burst eight more than in the one before.
fn bursts() -> Vec<Nanos> {
    let at = |burst: u64| Nanos(BETWEEN.0 * (burst + 1));
    (0..BURSTS).flat_map(|burst| (0..BURST * (burst + 1)).map(move |_| at(burst))).collect()
}

/// From the start of each burst that took stems until the pool was at its goal, in milliseconds.
fn refills(gauges: &[Gauge]) -> Vec<f64> {
    let mut refills = Vec::new();
    let mut short = false;
    for gauge in gauges {
        let is_short = gauge.stems < gauge.stems_goal;
        if short && !is_short {
            refills.push((gauge.at.0 % BETWEEN.0) as f64 / 1e6);
        }
        short = is_short;
    }
    refills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refill_lasts_from_the_burst_until_the_goal_is_met() {
        let gauge = |ms, stems| Gauge {
            at: Nanos::from_millis(ms),
            cells: 1,
            ready: 1,
            born: 1,
            stems,
            stems_goal: 16,
            hormone: None,
        };
        let gauges = [(240, 16), (252, 9), (260, 12), (271, 16), (502, 15), (504, 16)];
        let gauges: Vec<Gauge> = gauges.map(|(ms, stems)| gauge(ms, stems)).to_vec();
        assert_eq!(refills(&gauges), [21.0, 4.0]);
        assert_eq!(bursts().len(), 288);
    }
}
