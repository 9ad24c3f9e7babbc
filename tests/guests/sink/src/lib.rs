//! Takes lines and counts, and says on its own log what it took: `line front#1 info hello`, `dropped 3`,
//! `counts front served 2 cells 1`. A line that says `poison` ends it.

use cyte_sdk::policy::{Counts, Line, LogSink, Metrics};
use cyte_sdk::prelude::*;

struct Sink;

impl LogSink for Sink {
    fn take(lines: &[Line], dropped: u64) {
        if dropped > 0 {
            log::info!("dropped {dropped}");
        }
        for line in lines {
            if line.text.contains("poison") {
                std::process::abort();
            }
            let Line { gene, cell, origin, text, .. } = line;
            log::info!("line {gene}#{cell} {origin} {text}");
        }
    }
}

impl Metrics for Sink {
    fn take(_at_ms: u64, genes: &[Counts]) {
        for Counts { gene, served, cells, .. } in genes {
            log::info!("counts {gene} served {served} cells {cells}");
        }
    }
}

cyte_sdk::log_sink!(Sink);
cyte_sdk::metrics!(Sink);
