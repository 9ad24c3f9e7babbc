//! What is said of a cell that died before its time: to the log, to the counters, to the caller.

use std::fmt::Write as _;

use cyte_organism::phenotype::Cause;
use wasmtime::WasmBacktrace;

use crate::{
    capability::log::{Death, Level, LogLine, Source},
    error::{Breach, CallError},
    host::CellHost,
    state::GeneContext,
    vitals::Vitals,
};

/// Says what killed a cell that served `served` messages, and gives it as the caller hears it.
pub(crate) fn obituary(
    host: &CellHost,
    gene: &GeneContext,
    vitals: &Vitals,
    served: u64,
    error: &wasmtime::Error,
) -> CallError {
    let breach = error.downcast_ref::<Breach>().copied().or(vitals.breached());
    let failure = count(host, breach, error);
    let cause = match (&failure, breach) {
        (_, Some(_)) => Cause::Breach,
        (CallError::NotMade(_), _) => Cause::StartFailed,
        _ if vitals.uses() == 0 => Cause::StartFailed,
        _ => Cause::Trap,
    };
    let words = last_words(breach, error);
    gene.hands.log.died(&Death {
        gene: &gene.gene.name,
        cell: vitals.birth.id.0,
        born: vitals.born,
        served,
        cause,
        words: &words,
    });
    gene.hands.log.line(LogLine {
        gene: gene.gene.name.clone(),
        cell: vitals.birth.id.0,
        request: vitals.request(),
        level: Level::Error,
        source: Source::Host,
        text: words,
    });
    failure
}

fn count(host: &CellHost, breach: Option<Breach>, error: &wasmtime::Error) -> CallError {
    let counters = &host.counters;
    match breach {
        Some(breach) => {
            match breach {
                Breach::Cpu => counters.cpu_breaches.add(),
                Breach::Wall => counters.wall_breaches.add(),
                Breach::Memory => counters.memory_breaches.add(),
                Breach::Structure => counters.structure_breaches.add(),
                Breach::Stuck => counters.stuck.add(),
                Breach::Ended => {}
            }
            CallError::Breached(breach)
        }
        None if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
            counters.no_place.add();
            CallError::NotMade("the engine has no slot left".into())
        }
        None => {
            counters.traps.add();
            CallError::Trapped(error.root_cause().to_string())
        }
    }
}

/// The cause of a cell's death and where its guest was, with the guest's function names.
fn last_words(breach: Option<Breach>, error: &wasmtime::Error) -> String {
    let mut text = match breach {
        Some(breach) => format!("cell ended: {breach}"),
        None => format!("cell ended: {}", error.root_cause()),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let _ = write!(text, "\n{backtrace}");
    }
    text
}
