//! Answers: one object, bytes, an error, or one object a line for as long as the peer listens.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;

use crate::error::CliError;

/// What every answer of the control API carries.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// The object, or the error with status `otherwise`.
pub(super) fn answered(answer: Result<Value, CliError>, otherwise: StatusCode) -> Response<Body> {
    match answer {
        Ok(value) => object(&value),
        Err(error) => failed(otherwise, &error),
    }
}

/// One object.
pub(super) fn object(value: &Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string().into_bytes()));
    content_type(&mut response, "application/json");
    response
}

/// Bytes as they are.
pub(super) fn binary(bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    content_type(&mut response, "application/octet-stream");
    response
}

/// An error with this status.
pub(super) fn failed(status: StatusCode, error: &CliError) -> Response<Body> {
    let mut response = object(&error.json());
    *response.status_mut() = status;
    response
}

fn content_type(response: &mut Response<Body>, kind: &'static str) {
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(Bytes::from(bytes)).boxed()
}

/// One who goes on reading.
pub(super) trait Follower: Send + Sync + 'static {
    /// The next lines; waits for them. `None` where there is no more to come.
    ///
    /// # Errors
    /// Why it cannot go on; the last line that is sent.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, CliError>> + Send + Sync;
}

/// An answer of what a follower reads, as long as the peer listens.
pub(super) fn followed(follower: impl Follower) -> Response<Body> {
    lines_of(stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(Some(chunk)) => Some((chunk, Some(follower))),
            Ok(None) => None,
            Err(error) => Some((line(&error.json()), None)),
        }
    }))
}

/// An answer of one object a line, as long as the peer listens.
pub(super) fn lines_of(chunks: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Response<Body> {
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    content_type(&mut response, "application/x-ndjson");
    response
}

/// One object as a line.
pub(super) fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
