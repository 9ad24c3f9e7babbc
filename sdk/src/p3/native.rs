//! Outside Wasm: the same stand-ins as for WASI 0.2, without waiting.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::body::Inner;
use super::{Body, Request, Response};
use crate::{FetchError, FetchOptions, message};

pub(crate) use crate::sys::Source;

pub(crate) fn open(source: Source) -> Body {
    match source {}
}

/// A body of WASI 0.2 that a test gave.
pub(crate) struct Incoming(crate::Body);

impl Incoming {
    pub(crate) async fn read(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        debug_assert!(most >= crate::Body::CHUNK, "pieces of a test are not cut further");
        self.0.chunk()
    }

    pub(crate) async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        self.0.trailers()
    }
}

/// Keeps what is written.
#[derive(Debug)]
pub(crate) struct Outgoing(Vec<u8>);

impl Outgoing {
    pub(crate) fn kept() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn into_kept(self) -> Bytes {
        self.0.into()
    }

    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

pub(crate) async fn sleep(_time: Duration) {}

/// Asks the upstream of the test, which speaks of bodies as WASI 0.2 has them.
pub(crate) async fn fetch(request: Request, options: &FetchOptions) -> Result<Response, FetchError> {
    let (parts, mut body) = request.into_http().into_parts();
    let bytes = body.read_bytes().await.map_err(|error| FetchError::Broken(error.to_string()))?;
    let request = http::Request::from_parts(parts, crate::Body::from(bytes));
    let (status, headers, body) = crate::sys::fetch(request.into(), options)?.into_parts();
    Ok(message::Response::from_parts(status, headers, body.into()))
}

impl From<crate::Body> for Body {
    fn from(body: crate::Body) -> Self {
        Inner::Incoming(Box::new(Incoming(body))).into()
    }
}
