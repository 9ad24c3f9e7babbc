//! Sending a body piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use http::HeaderMap;

use crate::body::Producer;
use crate::{Error, sys};

/// Sends a body while it is made; given to the closure of [`Response::stream`](crate::Response::stream).
///
/// [`BodyWriter::send`] sends a piece at once. As [`Write`], it gathers up to 8 KiB first, so that
/// `write!` with many small parts stays cheap; [`Write::flush`] sends what is there. At the end the
/// rest goes by itself. Each waits while the receiver does not take more.
#[derive(Debug)]
pub struct BodyWriter {
    out: sys::Outgoing,
    buffer: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// How many bytes small writes gather before they leave.
const GATHER: usize = 8 << 10;

impl BodyWriter {
    pub(crate) fn new(out: sys::Outgoing) -> Self {
        Self { out, buffer: Vec::new(), trailers: None }
    }

    /// Sends one piece now, after what was written before.
    ///
    /// # Errors
    ///
    /// When the receiver went away, or its connection broke. There is then no use in going on:
    /// give the error back with `?`.
    pub fn send(&mut self, piece: impl AsRef<[u8]>) -> io::Result<()> {
        self.drain()?;
        self.out.write_all(piece.as_ref())
    }

    /// Sends these trailers after the body, in place of any set before.
    ///
    /// Over HTTP/1.1 a client gets only those that the response's header `trailer` names.
    pub fn trailers(&mut self, trailers: HeaderMap) {
        self.trailers = Some(trailers);
    }

    /// Hands over what was gathered.
    fn drain(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Runs `write` to its end and gives back the open end of the body and its trailers.
    pub(crate) fn run(
        out: sys::Outgoing,
        write: Producer,
    ) -> Result<(sys::Outgoing, Option<HeaderMap>), Error> {
        let mut writer = Self::new(out);
        write(&mut writer)?;
        writer.drain()?;
        Ok((writer.out, writer.trailers))
    }

    /// Runs `write` and keeps what it wrote.
    pub(crate) fn collect(write: Producer) -> Result<(Bytes, Option<HeaderMap>), Error> {
        let (out, trailers) = Self::run(sys::Outgoing::kept(), write)?;
        Ok((out.into_kept(), trailers))
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > GATHER {
            self.drain()?;
        }
        if bytes.len() >= GATHER {
            self.out.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.out.flush()
    }
}
