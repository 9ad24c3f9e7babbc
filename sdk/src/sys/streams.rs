//! Bodies on WASI 0.2: blocking reads and writes, and every handle given back.
//!
//! Children go before their parents (a stream before its body, a pollable before its stream), else
//! the host traps.

use std::fmt;
use std::io;

use bytes::Bytes;
use http::HeaderMap;

use super::fields::{headers_from, headers_to};
use super::wasi::streams::{InputStream, OutputStream, StreamError};
use super::wasi::types::{self, FutureTrailers, IncomingBody, OutgoingBody, Trailers};
use crate::body::{Arriving, Inner};
use crate::{Body, Error};

/// A body that arrives. The stream stands first: it is dropped first.
pub(crate) struct Incoming {
    stream: Option<InputStream>,
    body: Option<IncomingBody>,
}

impl Incoming {
    /// Empty where the host says that the body was taken before.
    pub(crate) fn open(body: IncomingBody) -> Body {
        match body.stream() {
            Ok(stream) => Inner::Incoming(Box::new(Self { stream: Some(stream), body: Some(body) })).into(),
            Err(()) => Body::empty(),
        }
    }
}

impl Arriving for Incoming {
    fn read(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        let Some(stream) = &self.stream else {
            return Ok(None);
        };
        loop {
            match stream.blocking_read(most as u64) {
                // Nothing yet, in spite of the wait: hosts may do that.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Ok(Some(piece.into())),
                Err(StreamError::Closed) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        self.stream = None;
        let Some(body) = self.body.take() else {
            return Ok(None);
        };
        let coming = IncomingBody::finish(body);
        let fields = wait(&coming)?;
        Ok(fields.map(|fields| headers_from(fields.entries())).filter(|trailers| !trailers.is_empty()))
    }

    /// Within the host: the bytes are not copied into the gene.
    fn pass_on(&mut self, out: &mut Outgoing) -> io::Result<Option<HeaderMap>> {
        if let (Some(from), Some(to)) = (&self.stream, out.stream()) {
            loop {
                match to.blocking_splice(from, SPLICE) {
                    Ok(_) => {}
                    // The end of either: only the source's is a good one.
                    Err(StreamError::Closed) => match from.read(0) {
                        Err(StreamError::Closed) => break,
                        _ => return Err(io::ErrorKind::BrokenPipe.into()),
                    },
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        self.trailers()
    }
}

/// How many bytes are passed on at once.
const SPLICE: u64 = 64 << 10;

/// Waits for trailers.
fn wait(coming: &FutureTrailers) -> io::Result<Option<Trailers>> {
    loop {
        match coming.get() {
            None => coming.subscribe().block(),
            Some(Ok(Ok(trailers))) => return Ok(trailers),
            Some(Ok(Err(code))) => return Err(io::Error::other(format!("{code:?}"))),
            // Asked for once only; a host that says otherwise has none for us.
            Some(Err(())) => return Ok(None),
        }
    }
}

/// The open end of a body that leaves. The stream stands first: it is dropped first.
pub(crate) struct Outgoing {
    stream: Option<OutputStream>,
    body: Option<OutgoingBody>,
    /// What was written, where it is only kept.
    kept: Vec<u8>,
}

impl Outgoing {
    /// Keeps what is written.
    pub(crate) fn kept() -> Self {
        Self { stream: None, body: None, kept: Vec::new() }
    }

    pub(crate) fn into_kept(self) -> Bytes {
        self.kept.into()
    }

    /// None where the host says that the body was taken before.
    pub(crate) fn new(body: OutgoingBody) -> Option<Self> {
        let stream = body.write().ok()?;
        Some(Self { stream: Some(stream), body: Some(body), kept: Vec::new() })
    }

    fn stream(&self) -> Option<&OutputStream> {
        self.stream.as_ref()
    }

    /// Writes all of it if the host has room for it now; says whether it had.
    pub(crate) fn write_at_once(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(stream) = &self.stream else {
            return Ok(false);
        };
        if stream.check_write().map_err(failed)? < bytes.len() as u64 {
            return Ok(false);
        }
        stream.write(bytes).map_err(failed)?;
        Ok(true)
    }

    /// Writes all of it, and waits while the host does not take more.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &self.stream else {
            self.kept.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            let room = stream.check_write().map_err(failed)?;
            if room == 0 {
                stream.subscribe().block();
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            stream.write(now).map_err(failed)?;
            bytes = later;
        }
        Ok(())
    }

    /// Asks the host to send what it has.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &self.stream {
            Some(stream) => stream.blocking_flush().map_err(failed),
            None => Ok(()),
        }
    }

    /// Ends the body well. Without this call the receiver sees that it is unfinished.
    pub(crate) fn finish(mut self, trailers: Option<&HeaderMap>) -> Result<(), Error> {
        self.stream = None;
        let Some(body) = self.body.take() else {
            return Ok(());
        };
        let trailers = trailers
            .map(|trailers| headers_to(trailers, None, Trailers::from_list))
            .transpose()
            .map_err(|error| Error::msg(format!("trailers: {error:?}")))?;
        OutgoingBody::finish(body, trailers).map_err(|code| Error::msg(format!("ending the body: {code:?}")))
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

/// A broken stream as an error of the standard library.
fn failed(error: StreamError) -> io::Error {
    match error {
        StreamError::Closed => io::ErrorKind::BrokenPipe.into(),
        StreamError::LastOperationFailed(error) => match types::http_error_code(&error) {
            Some(code) => io::Error::other(format!("{code:?}")),
            None => io::Error::other(error.to_debug_string()),
        },
    }
}
