//! `cyte:cell/identity` and `wasi:logging`: who a cell is, and what it says.

use wasmtime::component::{HasSelf, Linker};

use super::log::{Level, Source};
use crate::state::CellState;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world hands {
                import cyte:cell/identity@0.1.0;
                import wasi:logging/logging@0.1.0-draft;
            }
        ",
        world: "cyte:host/hands",
    });
}

use generated::{cyte::cell::identity, wasi::logging::logging};

pub(crate) fn add_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    identity::add_to_linker::<_, HasSelf<CellState>>(linker, |state| state)?;
    logging::add_to_linker::<_, HasSelf<CellState>>(linker, |state| state)
}

impl identity::Host for CellState {
    fn me(&mut self) -> identity::Cell {
        let birth = self.vitals.birth;
        identity::Cell {
            id: birth.id.0,
            mother: birth.mother.map(|mother| mother.0),
            generation: birth.generation,
            gene: self.gene.gene.name.to_string(),
            gene_version: self.gene.gene.version.clone(),
            organism: self.gene.organism.clone(),
        }
    }
}

impl logging::Host for CellState {
    fn log(&mut self, level: logging::Level, context: String, message: String) {
        let level = match level {
            logging::Level::Trace => Level::Trace,
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error => Level::Error,
            logging::Level::Critical => Level::Critical,
        };
        let text = if context.is_empty() { message } else { format!("{context}: {message}") };
        for line in text.lines() {
            for piece in cut(line) {
                self.log_stream(Source::Log).emit(level, Source::Log, piece.to_owned());
            }
        }
    }
}

/// Cuts a line into pieces of at most [`cyte_dna::limits::LOG_LINE_BYTES`] bytes, at character borders.
fn cut(mut line: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if line.is_empty() {
            return None;
        }
        let end = line.floor_char_boundary(cyte_dna::limits::LOG_LINE_BYTES);
        let (piece, rest) = line.split_at(end);
        line = rest;
        Some(piece)
    })
}
