//! Memory after a burst: cells that grew in it go, and what they held goes with them.

use std::time::{Duration, Instant};

use cyte_organism::sim::Load;

use super::machine::memory;
use super::report::{CaseReport, GateReport, Row};
use super::server::Server;
use super::stats::Spread;
use super::systems::Bench;
use super::volley::End;
use super::{BenchError, Progress, volley};

/// Requests a second in the burst, each of four mebibytes, and how long it lasts in seconds.
const BURST: (f64, f64) = (300.0, 5.0);
/// How long the host may take to give memory back.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a host keeps warm beside what it had.
const WARM_MIB: f64 = 32.0;
const MIB: f64 = 1_048_576.0;

/// Resident memory in MiB.
struct Round {
    idle: f64,
    most: f64,
    after: f64,
}

/// All rounds, each on a host of its own.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let (mut rounds, mut notes) = (Vec::new(), Vec::new());
    for number in 0..bench.args.rounds {
        match bench.args.go_on().and_then(|()| one(bench, number)) {
            Ok(round) => {
                let Round { idle, most, after } = &round;
                progress(&format!(
                    "ebb {number}: {idle:.0} MiB, {most:.0} in the burst, {after:.0} after it"
                ));
                rounds.push(round);
            }
            Err(error) => notes.push(error.to_string()),
        }
    }
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let above = Spread::of(&column(|round| round.after - round.idle));
    CaseReport {
        name: "ebb".to_owned(),
        about: "memory after a burst of cells, against memory before it".to_owned(),
        how: format!(
            "{} rounds, {} requests/s of 4 MiB for {} s, resident memory {} s later",
            bench.args.rounds,
            BURST.0,
            BURST.1,
            PATIENCE.as_secs()
        ),
        rows: vec![
            Row::new("resident MiB")
                .with("before", &column(|round| round.idle))
                .with("most", &column(|round| round.most))
                .with("after", &column(|round| round.after)),
        ],
        control: None,
        gates: vec![GateReport::judge("after - before <= 32 MiB".to_owned(), false, WARM_MIB, None, above)],
        notes,
    }
}

fn one(bench: &Bench<'_>, number: usize) -> Result<Round, BenchError> {
    let name = format!("ebb-{number}");
    let lines = "reuse = 1000000\nconcurrency = 1\nlimits = { memory = \"64MiB\" }\n";
    let project = bench.project(&name, &[("ballast", "/...", lines)])?;
    let launch = bench.cyte(name.clone(), &project, &bench.path(&format!("state-{name}")));
    let server = Server::start(&launch, None, bench.args.stop)?;
    let resident = || memory(server.pid()).rss as f64 / MIB;
    let idle = resident();
    let due = volley::due(&Load::Constant { rate: BURST.0 }, BURST.1);
    let fired = std::thread::scope(|scope| {
        let burst = scope.spawn(|| volley::fire(server.address(), &due, Instant::now(), bench.args.stop));
        let mut most = idle;
        while !burst.is_finished() {
            most = most.max(resident());
            std::thread::sleep(Duration::from_millis(20));
        }
        burst.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(|shots| (shots, most))
    });
    let (shots, most) = fired.map_err(|reason| server.failed(reason))?;
    if !shots.iter().any(|shot| shot.end == End::Answered) {
        return Err(server.failed("answered nobody".to_owned()));
    }
    std::thread::sleep(PATIENCE);
    Ok(Round { idle, most, after: resident() })
}
