//! What cells write: stdout, stderr and wasi:logging become lines for the host's log.
//!
//! A line is cut at 8 KiB. How many of them are kept is the sink's business; writing never blocks.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use cyte_dna::{GeneName, limits::LOG_LINE_BYTES};
use cyte_organism::{Nanos, phenotype::Cause};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{state::GeneContext, vitals::Vitals};

/// How important a line is, as wasi:logging has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// For the record; stdout is logged so.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed; stderr is logged so.
    Error,
    /// The gene cannot go on.
    Critical,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error.
    Stderr,
    /// wasi:logging.
    Log,
    /// The host, about this gene.
    Host,
}

/// One line about or from a gene.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The gene.
    pub gene: GeneName,
    /// The cell's number, 0 where no cell is meant.
    pub cell: u64,
    /// The request the cell was serving, 0 for none.
    pub request: u64,
    /// How important it is.
    pub level: Level,
    /// Where it comes from.
    pub source: Source,
    /// The text, without a line end; may hold control characters of the guest.
    pub text: String,
}

impl LogLine {
    /// A line of the host about a gene.
    pub fn host(gene: &GeneName, level: Level, text: String) -> Self {
        Self { gene: gene.clone(), cell: 0, request: 0, level, source: Source::Host, text }
    }
}

/// How a cell died before its uses were spent.
#[derive(Clone, Copy, Debug)]
pub struct Death<'d> {
    /// Its gene.
    pub gene: &'d GeneName,
    /// Its number.
    pub cell: u64,
    /// When it was born, by the host's clock.
    pub born: Nanos,
    /// Messages that it answered.
    pub served: u64,
    /// What kind of death.
    pub cause: Cause,
    /// What is said of it, the reason on the first line.
    pub words: &'d str,
}

/// Takes lines. Must not block: guests write while others wait for the same thread.
pub trait LogSink: Send + Sync {
    /// Takes one line, or drops and counts it.
    fn line(&self, line: LogLine);

    /// A cell died; a line says so as well. Must not block either.
    fn died(&self, death: &Death<'_>) {
        let _ = death;
    }
}

/// One of a cell's two standard streams.
#[derive(Clone)]
pub(crate) struct CellLog {
    pub(crate) gene: Arc<GeneContext>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) source: Source,
}

impl CellLog {
    pub(crate) fn emit(&self, level: Level, source: Source, text: String) {
        self.gene.hands.log.line(LogLine {
            gene: self.gene.gene.name.clone(),
            cell: self.vitals.birth.id.0,
            request: self.vitals.request(),
            level,
            source,
            text,
        });
    }
}

impl IsTerminal for CellLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for CellLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter { log: self.clone(), line: Vec::new() })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LineWriter { log: self.clone(), line: Vec::new() })
    }
}

/// Splits what a guest writes into lines.
struct LineWriter {
    log: CellLog,
    line: Vec<u8>,
}

impl LineWriter {
    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.append(text);
            if ends {
                self.flush_line();
            }
        }
    }

    fn append(&mut self, mut text: &[u8]) {
        while self.line.len() + text.len() > LOG_LINE_BYTES {
            let (fits, rest) = text.split_at(LOG_LINE_BYTES - self.line.len());
            self.line.extend_from_slice(fits);
            self.flush_line();
            text = rest;
        }
        self.line.extend_from_slice(text);
    }

    fn flush_line(&mut self) {
        let level = if self.log.source == Source::Stderr { Level::Error } else { Level::Info };
        let text = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        self.log.emit(level, self.log.source, text);
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.flush_line();
        }
    }
}

impl OutputStream for LineWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LineWriter {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LineWriter {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
