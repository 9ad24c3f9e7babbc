//! Full cores: a gene that only computes is asked for a tenth more than the cores can do.
//!
//! No cell more than the cores can drive would help anybody, so the law is held against populations
//! that somebody chose beforehand. Requests that must be refused are to be refused at once.

use std::time::{Duration, Instant};

use cyte_organism::Nanos;
use cyte_organism::sim::Load;

use super::report::{CaseReport, GateReport, Row};
use super::stats::{Spread, order, ratios};
use super::systems::Bench;
use super::volley::{End, Shot};
use super::{BenchError, Progress, volley, watcher};

/// How long capacity is measured, and how long the load lasts, in seconds.
const PROBE: f64 = 4.0;
const LASTS: f64 = 20.0;
/// What is asked for, beside what can be done.
const OFFERED: f64 = 1.1;
/// How often the host is asked.
const LOOK: Duration = Duration::from_millis(20);
/// Cells that fill the cores; so many above it are allowed.
const SPARE: f64 = 2.0;

/// Who decides how many cells there are.
const RULERS: &[(&str, &str)] = &[
    ("hormone law", "express = { max = 96 }\n"),
    ("2 cells", "express = { min = 2, max = 2 }\n"),
    ("3 cells", "express = { min = 3, max = 3 }\n"),
    ("4 cells", "express = { min = 4, max = 4 }\n"),
];

/// What one ruler came to in a round.
#[derive(Clone)]
struct Life {
    cells: f64,
    p99_ms: f64,
    refused_percent: f64,
    refusal_p99_ms: f64,
    failed: f64,
}

/// All rounds, each ruler on a host of its own.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let (mut lives, mut notes) = (vec![Vec::new(); RULERS.len()], Vec::new());
    let capacity = capacity(bench).inspect_err(|error| notes.push(error.to_string())).ok();
    for round in 0..capacity.map_or(0, |_| bench.args.rounds) {
        for at in order(RULERS.len(), round) {
            let (Some((name, lines)), Some(of)) = (RULERS.get(at), lives.get_mut(at)) else { continue };
            let rate = capacity.unwrap_or_default() * OFFERED;
            let life =
                bench.args.go_on().and_then(|()| one(bench, &format!("full-{round}-{at}"), lines, rate));
            match &life {
                Ok(life) => progress(&format!(
                    "full {round}, {name}: {} cells, p99 {:.0} ms, {:.1} % refused within {:.1} ms",
                    life.cells, life.p99_ms, life.refused_percent, life.refusal_p99_ms
                )),
                Err(error) => notes.push(format!("{name}: {error}")),
            }
            of.push(life.ok());
        }
    }
    CaseReport {
        name: "full".to_owned(),
        about: "a gene that only computes at 110 % of what the cores can do: the law, fixed populations"
            .to_owned(),
        how: format!(
            "{} rounds, open loop for {LASTS} s, capacity {:.0} requests/s",
            bench.args.rounds,
            capacity.unwrap_or_default()
        ),
        rows: rows(&lives),
        control: None,
        gates: gates(&lives),
        notes,
    }
}

/// Requests a second that the cores can do.
fn capacity(bench: &Bench<'_>) -> Result<f64, BenchError> {
    let lines = "reuse = 1000000\nexpress = { min = 2, max = 2 }\n";
    // Far more than can be done; what cannot is refused.
    bench.on_a_host("full-probe", ("burn", lines), |server, _| {
        let due = volley::due(&Load::Constant { rate: 2_000.0 }, PROBE);
        let shots = volley::fire(server.address(), &due, Instant::now(), bench.args.stop)?;
        Ok(shots.iter().filter(|shot| shot.end == End::Answered).count() as f64 / PROBE)
    })
}

fn one(bench: &Bench<'_>, name: &str, lines: &str, rate: f64) -> Result<Life, BenchError> {
    bench.on_a_host(name, ("burn", &format!("reuse = 1000000\n{lines}")), |server, state| {
        let began = Instant::now();
        let due = volley::due(&Load::Constant { rate }, LASTS);
        let fire = || volley::fire(server.address(), &due, began, bench.args.stop);
        let (shots, gauges) = watcher::beside(state, LOOK, began, fire);
        let cells = gauges?.iter().map(|gauge| gauge.cells).max().unwrap_or_default();
        Ok(life(&shots?, cells))
    })
}

fn life(shots: &[Shot], cells: u32) -> Life {
    let of = |end: End| -> Vec<Nanos> {
        shots.iter().filter(|shot| shot.end == end).map(|shot| shot.took).collect()
    };
    let (answered, refused) = (of(End::Answered), of(End::Refused));
    let all = shots.len().max(1) as f64;
    Life {
        cells: f64::from(cells),
        refused_percent: refused.len() as f64 * 100.0 / all,
        failed: (shots.len() - answered.len() - refused.len()) as f64,
        p99_ms: p99_ms(answered),
        refusal_p99_ms: p99_ms(refused),
    }
}

/// 99 of 100 took no longer, in milliseconds; 0 of none.
fn p99_ms(mut took: Vec<Nanos>) -> f64 {
    took.sort_unstable();
    let at = took.len() * 99 / 100;
    took.get(at).map_or(0.0, |took| took.0 as f64 / 1e6)
}

fn column(of: &[Option<Life>], value: impl Fn(&Life) -> f64) -> Vec<f64> {
    of.iter().flatten().map(value).collect()
}

fn rows(lives: &[Vec<Option<Life>>]) -> Vec<Row> {
    let row = |((name, _), of): (&(&str, &str), &Vec<Option<Life>>)| {
        Row::new(*name)
            .with("cells", &column(of, |life| life.cells))
            .with("p99 ms", &column(of, |life| life.p99_ms))
            .with("refused %", &column(of, |life| life.refused_percent))
            .with("refusal p99 ms", &column(of, |life| life.refusal_p99_ms))
            .with("failed", &column(of, |life| life.failed))
    };
    RULERS.iter().zip(lives).map(row).collect()
}

fn gates(lives: &[Vec<Option<Life>>]) -> Vec<GateReport> {
    let Some((law, fixed)) = lives.split_first() else { return Vec::new() };
    let p99 = |of: &[Option<Life>]| -> Vec<Option<f64>> {
        of.iter().map(|life| life.as_ref().map(|life| life.p99_ms)).collect()
    };
    let least = |best: &&Vec<Option<Life>>, of: &&Vec<Option<Life>>| {
        let median =
            |of: &[Option<Life>]| Spread::of(&column(of, |life| life.p99_ms)).map(|spread| spread.median);
        median(best).unwrap_or(f64::MAX).total_cmp(&median(of).unwrap_or(f64::MAX))
    };
    let best = fixed.iter().min_by(least);
    let judge = |what: &str, at_most, measured: &[f64]| {
        GateReport::judge(what.to_owned(), false, at_most, None, Spread::of(measured))
    };
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    vec![
        judge(&format!("cells <= {}", cores + SPARE), cores + SPARE, &column(law, |life| life.cells)),
        judge(
            "p99 / the best fixed population's <= 1.10",
            1.1,
            &best.map_or_else(Vec::new, |best| ratios(&p99(law), &p99(best))),
        ),
        judge("99 of 100 refusals <= 5 ms", 5.0, &column(law, |life| life.refusal_p99_ms)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_counted_by_what_became_of_its_requests() {
        let shot = |ms, end| Shot { due: Nanos(0), took: Nanos::from_millis(ms), end };
        let mut shots: Vec<Shot> = (1..=100).map(|ms| shot(ms, End::Answered)).collect();
        shots.extend([shot(1, End::Refused), shot(3, End::Refused), shot(9, End::Failed)]);
        let life = life(&shots, 4);
        assert_eq!((life.cells, life.p99_ms, life.failed), (4.0, 100.0, 1.0));
        assert!((life.refused_percent - 1.94).abs() < 0.01 && life.refusal_p99_ms == 3.0);
        let lives = vec![vec![Some(life.clone())], vec![Some(life.clone())], vec![None], vec![None]];
        assert!(gates(&lives).iter().all(|gate| gate.outcome == super::super::Outcome::Pass));
        assert_eq!(rows(&lives).len(), RULERS.len());
    }
}
