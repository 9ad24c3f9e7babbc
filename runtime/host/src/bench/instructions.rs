//! Instructions a request, counted by callgrind: a guard where time cannot be one.
//!
//! The server runs under `valgrind --tool=callgrind` twice, with N and with 2N requests after the
//! same warm-up; the difference over N is what one more request costs. Start, compilation and end
//! cancel out. Given an earlier report as baseline, more than it by the tolerance is short.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::cases::{Ask, COUNTED, Contender, System};
use super::client::Client;
use super::load::Load;
use super::report::{CaseReport, GateReport, Report, Row, note};
use super::server::{Launch, Server};
use super::stats::Spread;
use super::systems::{Bench, asked, finish};
use super::{BenchError, Progress};

/// Requests of the shorter run.
const REQUESTS: u64 = 1000;
/// Requests before those that count, in both runs.
const WARM: u64 = 200;
/// A count may exceed its baseline by this factor.
const TOLERANCE: f64 = 1.05;
/// Cells of a host under valgrind.
const CELLS: u32 = 16;
/// Limits of a gene there, where a request takes as long as a thousand elsewhere.
const PATIENT: &str = "limits = { cpu = \"60s\", wall = \"60s\" }\n";
/// CPU for compiling the gene there; it takes fifty times as long as usual.
const COMPILE_CPU: &str = "10m";
/// How long a server under valgrind may take to end and write its sum.
const END: Duration = Duration::from_secs(60);
/// The column's name, also where a baseline is looked up.
const COLUMN: &str = "instructions/request";

/// Count for all pairs of system and request.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let mut report = CaseReport {
        name: "instructions".to_owned(),
        about: "instructions a request by callgrind".to_owned(),
        how: format!("one connection; ({} requests - {REQUESTS}) / {REQUESTS}", 2 * REQUESTS),
        rows: Vec::new(),
        control: None,
        gates: Vec::new(),
        notes: Vec::new(),
    };
    if let Err(error) = finish(&PathBuf::from("valgrind"), &["--version".into()]) {
        report.notes.push(format!("valgrind is needed on PATH: {error}\nhelp: apt-get install valgrind"));
        return report;
    }
    let baseline = baseline(bench, &mut report.notes);
    for (contender, ask) in COUNTED {
        if bench.args.go_on().is_err() {
            break;
        }
        progress(&format!("instructions: {}", contender.label));
        let counted = count(bench, contender, *ask);
        let value = counted.as_ref().ok().copied();
        report.rows.push(Row::new(contender.label).with(COLUMN, &value.into_iter().collect::<Vec<f64>>()));
        if let Err(error) = counted {
            report.notes.push(note(contender.label, &error.to_string()));
        }
        if let Some(before) = baseline.as_ref().and_then(|report| counted_in(report, contender.label)) {
            let at_most = before * TOLERANCE;
            let what = format!("{} <= {before:.0} + 5 %", contender.label);
            let measured = value.and_then(|value| Spread::of(&[value]));
            report.gates.push(GateReport::judge(what, true, at_most, None, measured));
        }
    }
    report
}

/// An earlier report; one that cannot be read is said.
fn baseline(bench: &Bench<'_>, notes: &mut Vec<String>) -> Option<Report> {
    let path = bench.args.baseline.as_ref()?;
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed = read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    parsed.map_err(|error| notes.push(format!("baseline {}: {error}", path.display()))).ok()
}

/// What an earlier report counted for a label.
fn counted_in(report: &Report, label: &str) -> Option<f64> {
    let cases = report.cases.iter().filter(|case| case.name == "instructions");
    let mut rows = cases.flat_map(|case| &case.rows).filter(|row| row.label == label);
    let cell = rows.next()?.cells.iter().find(|cell| cell.what == COLUMN)?;
    Some(cell.value.median)
}

fn count(bench: &Bench<'_>, contender: &Contender, ask: Ask) -> Result<f64, BenchError> {
    let launch = under_valgrind(bench.launch_with(contender, PATIENT)?, contender.system);
    let (request, expect) = asked(ask, contender.system, true);
    let load = Load { connections: 1, request, expect, keep: true };
    // The first run compiles for the processor that valgrind shows, later ones find it compiled.
    instructions(bench, &launch, &load, 0)?;
    let once = instructions(bench, &launch, &load, REQUESTS)?;
    let twice = instructions(bench, &launch, &load, 2 * REQUESTS)?;
    let more = twice.checked_sub(once).filter(|more| *more > 0);
    more.map(|more| more as f64 / REQUESTS as f64).ok_or(BenchError::Empty)
}

/// The same, run by callgrind. Children too: a host's compiler must make code for the processor
/// that valgrind shows, not for the real one.
fn under_valgrind(launch: Launch, system: System) -> Launch {
    let mut arguments: Vec<OsString> =
        ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--trace-children=yes"]
            .map(OsString::from)
            .into();
    arguments.push(launch.program.into_os_string());
    arguments.extend(launch.arguments);
    if matches!(system, System::Cyte { .. }) {
        // A pool of the usual size needs more address space than valgrind has.
        arguments.extend(["--cells".into(), CELLS.to_string().into()]);
        arguments.extend(["--compile-cpu", COMPILE_CPU].map(OsString::from));
    }
    Launch { program: "valgrind".into(), arguments, ..launch }
}

/// Instructions of a whole run with so many requests.
fn instructions(bench: &Bench<'_>, launch: &Launch, load: &Load, requests: u64) -> Result<u64, BenchError> {
    let mut server = Server::start(launch, bench.server_core(), bench.args.stop)?;
    let mut client = Client::connect(server.address()).map_err(|reason| server.failed(reason))?;
    for _ in 0..WARM + requests {
        bench.args.go_on()?;
        client.expect(load).map_err(|reason| server.failed(reason))?;
    }
    drop(client);
    let pid = server.pid();
    server.stop(END);
    collected(&server.printed(), pid).ok_or_else(|| server.failed("callgrind printed no sum".to_owned()))
}

/// The number in callgrind's line `==PID== Collected : NUMBER`.
fn collected(printed: &str, pid: u32) -> Option<u64> {
    let mark = format!("=={pid}== Collected :");
    printed.lines().find_map(|line| line.trim().strip_prefix(&mark)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_right_process() {
        let printed = "\n    ==7== Collected : 12\n    ==42== Events    : Ir\n    ==42== Collected : 34567";
        assert_eq!(collected(printed, 42), Some(34567));
        assert_eq!(collected(printed, 8), None);
    }
}
