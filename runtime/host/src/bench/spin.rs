//! Two guests that compute for ever, one for each core, and a healthy gene beside them.
//!
//! The healthy gene's latency is taken by the open loop, so that a stall cannot hide; only
//! requests that were due while both spinners ran count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cases::{Ask, System};
use super::client::{Client, Sample, open_loop};
use super::load::Load;
use super::report::{CaseReport, GateReport, Row};
use super::server::Server;
use super::stats::Spread;
use super::systems::{Bench, asked};
use super::{BenchError, Progress, wire};

/// Requests to the healthy gene a second, over four connections.
const RATE: u32 = 400;
/// The gene that spins: component, route, further lines.
pub(crate) const SPINNER: (&str, &str, &str) =
    ("spin", "/spin", "limits = { cpu = \"500ms\", wall = \"10s\" }\n");
/// The CPU budget of a call, as the spinner's lines say it.
const BUDGET_MS: f64 = 500.0;
/// A spinner may end so much after its budget.
const GRACE_MS: f64 = 50.0;
/// A healthy request may take so much longer beside the spinners.
const SLOWER_MS: f64 = 1.0;
/// A quiet host slower than this has no room: beside it nothing could look slower.
const QUIET_MS: f64 = 5.0;
/// The spinners are surely running so long after they were sent.
const SETTLE: Duration = Duration::from_millis(10);

/// What one round showed, in milliseconds.
struct Round {
    quiet: f64,
    beside: f64,
    /// When each spinner's answer came, from when it was sent.
    ends: [f64; 2],
}

/// All rounds on one host.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let mut rounds = Vec::new();
    let failed = all(bench, progress, &mut rounds).err();
    let column = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<f64>>();
    let ends: Vec<f64> = rounds.iter().flat_map(|round| round.ends).collect();
    let slower = Spread::of(&column(|round| round.beside - round.quiet));
    // Every spinner must end in time, so the latest is judged.
    let latest = Spread::of(&ends).and_then(|ends| Spread::of(&[ends.max]));
    CaseReport {
        name: "spin".to_owned(),
        about: "two requests that compute for ever; a healthy gene of the same host beside them".to_owned(),
        how: format!(
            "{} rounds, open loop of {RATE} requests/s, CPU budget {BUDGET_MS} ms",
            bench.args.rounds
        ),
        rows: vec![
            Row::new("quiet").with("p50 ms", &column(|round| round.quiet)),
            Row::new("beside spinners").with("p50 ms", &column(|round| round.beside)),
            Row::new("spinner ends").with("after ms", &ends),
        ],
        control: None,
        gates: vec![
            GateReport::judge("p50 beside - quiet <= 1.00 ms".to_owned(), false, SLOWER_MS, None, slower),
            GateReport::judge(
                "latest spinner <= 550 ms".to_owned(),
                false,
                BUDGET_MS + GRACE_MS,
                None,
                latest,
            ),
        ],
        notes: failed.map(|error| error.to_string()).into_iter().collect(),
    }
}

fn all(bench: &Bench<'_>, progress: Progress<'_>, rounds: &mut Vec<Round>) -> Result<(), BenchError> {
    let project = bench.project("spin", &[("hello", "/...", "reuse = 1000000\n"), SPINNER])?;
    let launch = bench.cyte("cyte".to_owned(), &project, &bench.path("spin-state"));
    let server = Server::start(&launch, None, bench.args.stop)?;
    for number in 0..bench.args.rounds {
        bench.args.go_on()?;
        let round = one(&server).map_err(|reason| server.failed(reason))?;
        progress(&format!("spin {number}: p50 {:.3} ms quiet, {:.3} ms beside", round.quiet, round.beside));
        rounds.push(round);
    }
    Ok(())
}

fn one(server: &Server) -> Result<Round, String> {
    let (request, expect) = asked(Ask::Hello, System::Cyte { gene: "hello", reuse: 1 }, true);
    let load = Load { connections: 4, request, expect, keep: true };
    let end = Instant::now() + Duration::from_millis(600);
    let quiet = open_loop(server.address(), &load, RATE, &|| Instant::now() < end, None)?;
    let quiet = median(&quiet)?;
    if quiet > QUIET_MS {
        return Err(format!("took {quiet:.1} ms a request when quiet: {RATE} requests/s are too many here"));
    }
    let (samples, sent, ended) = beside(server, &load)?;
    let first = ended.iter().min().copied().unwrap_or(sent);
    let during = |sample: &&Sample| sample.intended > sent + SETTLE && sample.intended < first;
    let beside: Vec<Sample> = samples.iter().filter(during).copied().collect();
    let millis = |moment: Instant| moment.duration_since(sent).as_secs_f64() * 1e3;
    Ok(Round { quiet, beside: median(&beside)?, ends: ended.map(millis) })
}

/// The open loop while two spinners run: its samples, when they were sent, when each ended.
fn beside(server: &Server, load: &Load) -> Result<(Vec<Sample>, Instant, [Instant; 2]), String> {
    let running = AtomicBool::new(true);
    let sent = Instant::now();
    std::thread::scope(|scope| {
        let spinner = || {
            let spun = spin(server);
            running.store(false, Ordering::Relaxed);
            spun
        };
        let spinners = [scope.spawn(spinner), scope.spawn(spinner)];
        let go = || running.load(Ordering::Relaxed);
        let samples = open_loop(server.address(), load, RATE, &go, None);
        let [one, other] =
            spinners.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok((samples?, sent, [one?, other?]))
    })
}

/// One request that never finishes by itself; when the host's answer came.
fn spin(server: &Server) -> Result<Instant, String> {
    let (status, _) = Client::connect(server.address())?.ask(&wire::request("/spin", None, true))?;
    if (500..600).contains(&status) {
        Ok(Instant::now())
    } else {
        Err(format!("a spinner was answered {status}"))
    }
}

fn median(samples: &[Sample]) -> Result<f64, String> {
    let all: Vec<f64> = samples.iter().map(|sample| sample.took.as_secs_f64() * 1e3).collect();
    Spread::of(&all)
        .map(|spread| spread.median)
        .ok_or_else(|| "no request was due while both spun".to_owned())
}
