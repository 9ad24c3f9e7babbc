//! CPU a request: rounds in which every contender is started, loaded and ended in turn.
//!
//! One server runs at a time. Ratios are formed inside a round only, because from minute to
//! minute the machine itself changes by more than what is looked for.

use std::time::Duration;

use super::cases::{CONTROL_LABEL, Case, Held, System};
use super::load::{self, Measured, Window};
use super::report::{CaseReport, GateReport, Row, note, number};
use super::server::Server;
use super::stats::{Spread, differences, order, ratios};
use super::systems::{Bench, load_of};
use super::{BenchError, Progress};

/// Before the counting begins.
const WARM: Duration = Duration::from_millis(500);
/// How long a server may take to end between rounds.
const END: Duration = Duration::from_secs(3);
/// Above this share of the machine in other hands, figures are no more than smoke.
const BUSY: f64 = 0.05;

/// All rounds of one case. A contender that fails is left out from then on, and said.
pub(crate) fn run(bench: &Bench<'_>, case: &Case, progress: Progress<'_>) -> CaseReport {
    let mut measured: Vec<Vec<Option<Measured>>> = vec![Vec::new(); case.contenders.len()];
    let mut failed: Vec<Option<String>> = vec![None; case.contenders.len()];
    for round in 0..bench.args.rounds {
        for index in order(case.contenders.len(), round) {
            if bench.args.go_on().is_err() {
                break;
            }
            let (Some(contender), Some(failure), Some(results)) =
                (case.contenders.get(index), failed.get_mut(index), measured.get_mut(index))
            else {
                continue;
            };
            let result = if failure.is_some() { None } else { Some(one(bench, case, index)) };
            if let Some(Ok(result)) = &result {
                let (cpu, rate) = (number(result.cpu_us), number(result.rate));
                progress(&format!("{} {round}: {} {cpu} us, {rate}/s", case.name, contender.label));
            }
            if let Some(Err(error)) = &result {
                progress(&format!("{} {round}: {} failed: {error}", case.name, contender.label));
                *failure = Some(error.to_string());
            }
            results.push(result.and_then(Result::ok));
        }
    }
    report(bench, case, &measured, failed)
}

/// One contender in one round.
fn one(bench: &Bench<'_>, case: &Case, index: usize) -> Result<Measured, BenchError> {
    let contender = case.contenders.get(index).ok_or(BenchError::Empty)?;
    let launch = bench.launch(contender)?;
    let mut server = Server::start(&launch, bench.server_core(), bench.args.stop)?;
    let window = Window { warm: WARM, count: bench.args.window };
    let measured = load::measure(&server, &load_of(case, contender.system), window, bench);
    server.stop(END);
    measured
}

type Results = [Vec<Option<Measured>>];

fn column(results: &Results, index: Option<usize>, of: fn(&Measured) -> f64) -> Vec<Option<f64>> {
    let rounds = index.and_then(|index| results.get(index)).into_iter().flatten();
    rounds.map(|round| round.as_ref().map(of)).collect()
}

fn report(bench: &Bench<'_>, case: &Case, results: &Results, failed: Vec<Option<String>>) -> CaseReport {
    let position = |label: &str| case.contenders.iter().position(|contender| contender.label == label);
    let cpu = |label: &str| column(results, position(label), |round| round.cpu_us);
    let base = column(results, Some(0), |round| round.cpu_us);
    let rows = case.contenders.iter().enumerate().map(|(index, contender)| {
        let known = |of| column(results, Some(index), of).into_iter().flatten().collect::<Vec<f64>>();
        Row::new(contender.label)
            .with("CPU us/request", &known(|round| round.cpu_us))
            .with("x hyper", &ratios(&column(results, Some(index), |round| round.cpu_us), &base))
            .with("requests/s", &known(|round| round.rate))
            .with("p50 us", &known(|round| round.p50_us))
    });
    let control = Spread::of(&ratios(&cpu(CONTROL_LABEL), &base));
    let gates = case.gates.iter().map(|gate| {
        let (subject, base) = (cpu(gate.subject), cpu(gate.base));
        let most = number(gate.at_most);
        let judge = |what, values: Vec<f64>| {
            GateReport::judge(what, gate.must, gate.at_most, gate.stretch, Spread::of(&values))
        };
        match gate.held {
            Held::Times => {
                let what = format!("{} <= {most} x {}", gate.subject, gate.base);
                judge(what, ratios(&subject, &base)).against(control)
            }
            Held::Above => {
                let what = format!("{} <= {} + {most} us", gate.subject, gate.base);
                judge(what, differences(&subject, &base))
            }
        }
    });
    let mut notes: Vec<String> = case.contenders.iter().zip(failed).filter_map(failure).collect();
    let foreign: Vec<f64> = results.iter().flatten().flatten().map(|round| round.foreign).collect();
    notes.extend(Spread::of(&foreign).filter(|share| share.max > BUSY).map(busy));
    CaseReport {
        name: case.name.to_owned(),
        about: case.about.to_owned(),
        how: how(bench, case),
        rows: rows.collect(),
        control,
        gates: gates.collect(),
        notes,
    }
}

fn failure((contender, failed): (&super::cases::Contender, Option<String>)) -> Option<String> {
    // The control is the reference once more: its failure is said already.
    let control = contender.label == CONTROL_LABEL && contender.system == System::Reference;
    failed.filter(|_| !control).map(|reason| note(contender.label, &reason))
}

fn busy(share: Spread) -> String {
    format!(
        "other programs used {:.0} % of the machine ({:.0} % at most): take these figures as smoke",
        share.median * 100.0,
        share.max * 100.0
    )
}

fn how(bench: &Bench<'_>, case: &Case) -> String {
    let connections = if case.keep { "kept connections" } else { "clients with a new connection each time" };
    let pinned = if bench.placement.is_some() { "server and load on a core each" } else { "one core" };
    format!(
        "{} {connections}, {} rounds of {} s, {pinned}; median (min-max)",
        case.connections,
        bench.args.rounds,
        number(bench.args.window.as_secs_f64())
    )
}
