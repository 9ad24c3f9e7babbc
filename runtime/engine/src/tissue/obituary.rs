//! What is said of a cell that died: to the log, to the counters, to the governor and to the client.

use std::fmt::Write as _;

use cyte_organism::phenotype::Cause;
use wasmtime::WasmBacktrace;

use super::Tissue;
use crate::{
    capability::log::{Death, Level, LogLine, Source},
    error::{Breach, CallError},
    vitals::Vitals,
};

impl Tissue {
    /// Says what killed a cell: to the log, to the counters and to the client.
    pub(crate) fn obituary(&self, vitals: &Vitals, error: &wasmtime::Error) -> CallError {
        vitals.end();
        let counters = &self.host.counters;
        let breach = error.downcast_ref::<Breach>().copied().or(vitals.breached());
        let failure = match breach {
            Some(breach) => {
                match breach {
                    Breach::Cpu => counters.cpu_breaches.add(),
                    Breach::Wall => counters.wall_breaches.add(),
                    Breach::Memory => counters.memory_breaches.add(),
                    Breach::Structure => counters.structure_breaches.add(),
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
        };
        let cause = match breach {
            Some(_) => Cause::Breach,
            None if vitals.uses() == 0 => Cause::StartFailed,
            None => Cause::Trap,
        };
        let text = last_words(breach, error);
        self.pre.context.hands.log.died(&Death {
            gene: &self.gene().name,
            cell: vitals.birth.id.0,
            born: vitals.born,
            // The message at which it died does not count.
            served: vitals.uses().saturating_sub(1),
            cause,
            words: &text,
        });
        self.complain(vitals, Level::Error, text);
        failure
    }

    /// Tells the gene's log what went wrong with the message that this cell holds.
    pub(crate) fn complain(&self, vitals: &Vitals, level: Level, text: String) {
        self.pre.context.hands.log.line(LogLine {
            gene: self.gene().name.clone(),
            cell: vitals.birth.id.0,
            request: vitals.request(),
            level,
            source: Source::Host,
            text,
        });
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
