//! On WASI 0.3: serving a request, sending one, and bodies as streams.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter, spawn_local};

use super::body::Inner;
use super::{Body, BodyWriter, Drone, Request, Response};
pub use crate::bindings::drone_p3::exports::wasi::http0_3_0::handler::{
    ErrorCode, Guest as DroneGuest, Request as DroneRequest, Response as DroneResponse,
};
use crate::bindings::drone_p3::wasi::clocks0_3_0::monotonic_clock;
use crate::bindings::drone_p3::wasi::http0_3_0::{client, types};
use crate::bindings::drone_p3::{wit_future, wit_stream};
use crate::head::{Head, Source};
use crate::sys::error_line;
use crate::sys::fields::{announce, headers_from, headers_to, uri_from};
use crate::{Error, FetchError, FetchOptions, message};

crate::sys::bridge::conversions!();

/// What follows a body: trailers, or that it broke.
type Ending = Result<Option<types::Trailers>, ErrorCode>;

/// Serves one request; called by what `drone_p3!` makes.
///
/// # Errors
///
/// When the host refuses the head of the response.
pub async fn serve<D: Drone>(request: DroneRequest) -> Result<DroneResponse, ErrorCode> {
    let request = Request::arriving(Head::arriving(request));
    let response = D::handle(request).await.unwrap_or_else(Error::into_response);
    respond(response).map_err(|error| {
        error_line(&error.to_string());
        ErrorCode::InternalError(None)
    })
}

/// Makes the response; its body follows after the handler returned.
fn respond(response: Response) -> Result<DroneResponse, Error> {
    let (status, mut headers, body) = response.into_parts();
    let length = length_of(&mut headers, &body);
    let fields = headers_to(&headers, length, types::Fields::from_list)
        .map_err(|error| Error::msg(format!("headers of the response: {error:?}")))?;
    let (contents, ending) = deliver(body)?;
    let (message, _sent) = types::Response::new(fields, contents, ending);
    if status != StatusCode::OK && message.set_status_code(status.as_u16()).is_err() {
        return Err(Error::msg(format!("the host refuses status {status}")));
    }
    Ok(message)
}

/// The length that the head is to name; none for no bytes, which need no mention.
fn length_of(headers: &mut HeaderMap, body: &Body) -> Option<u64> {
    let fits = announce(headers, body.trailers.as_ref());
    body.len().filter(|length| fits && *length > 0)
}

/// The two ends of a body that the host reads; whatever is still to be written is written by a
/// task of its own.
fn deliver(body: Body) -> Result<(Option<StreamReader<u8>>, FutureReader<Ending>), Error> {
    let Body { inner, trailers } = body;
    let own = trailers.is_some();
    let trailers = trailers.as_ref().map(trailers_to).transpose()?;
    Ok(match inner {
        Inner::Empty => (None, ended(trailers)),
        Inner::Full(bytes) => {
            let (mut stream, contents) = wit_stream::new();
            // What is not taken, nobody wants.
            spawn_local(async move { drop(stream.write_all(bytes.into()).await) });
            (Some(contents), ended(trailers))
        }
        Inner::Incoming(incoming) => {
            let (contents, ending) = incoming.into_ends();
            (contents, if own { ended(trailers) } else { ending })
        }
        Inner::Producer(write) => {
            let (stream, contents) = wit_stream::new();
            let (ending, end) = wit_future::new(unfinished);
            let writer =
                BodyWriter { out: Outgoing { stream: Some(stream), kept: Vec::new() }, trailers: None };
            spawn_local(async move {
                match write(writer).await {
                    Ok(writer) => finish(writer, trailers, ending).await,
                    Err(error) => error_line(&error.to_string()),
                }
            });
            (Some(contents), end)
        }
    })
}

/// What the receiver sees of a body that was left before its end.
fn unfinished() -> Ending {
    Err(ErrorCode::InternalError(Some("the body was not finished".to_owned())))
}

/// The ending of a body that needs no waiting for.
fn ended(trailers: Option<types::Trailers>) -> FutureReader<Ending> {
    // Dropped without a value, it sends the one given here.
    let (writer, reader) = wit_future::new(|| Ok(None));
    if trailers.is_some() {
        spawn_local(async move { drop(writer.write(Ok(trailers)).await) });
    }
    reader
}

/// Ends a streamed body well.
async fn finish(writer: BodyWriter, given: Option<types::Trailers>, ending: FutureWriter<Ending>) {
    let BodyWriter { out, trailers } = writer;
    drop(out);
    match trailers.as_ref().map(trailers_to).transpose() {
        Ok(written) => drop(ending.write(Ok(written.or(given))).await),
        Err(error) => error_line(&error.to_string()),
    }
}

fn trailers_to(trailers: &HeaderMap) -> Result<types::Trailers, Error> {
    headers_to(trailers, None, types::Fields::from_list)
        .map_err(|error| Error::msg(format!("trailers: {error:?}")))
}

impl Source for types::Request {
    fn method(&self) -> Method {
        method_from(self.get_method())
    }

    fn target(&self) -> String {
        self.get_path_with_query().filter(|target| !target.is_empty()).unwrap_or_else(|| "/".to_owned())
    }

    fn uri(&self, target: &str) -> Uri {
        let https = matches!(self.get_scheme(), Some(types::Scheme::Https));
        uri_from(https, self.get_authority(), target)
    }

    fn headers(&self) -> HeaderMap {
        headers_from(self.get_headers().copy_all())
    }
}

/// The body of a request, which ends there.
pub(crate) fn open(request: types::Request) -> Body {
    let (handled, result) = wit_future::new(|| Ok(()));
    let (stream, ending) = types::Request::consume_body(request, result);
    Incoming::open(stream, ending, handled)
}

/// A body that arrives.
pub(crate) struct Incoming {
    /// None once it ended.
    stream: Option<StreamReader<u8>>,
    /// None once it was waited for.
    ending: Option<FutureReader<Ending>>,
    /// Tells the host that nothing went wrong here, when it is dropped.
    _handled: FutureWriter<Result<(), ErrorCode>>,
}

impl Incoming {
    fn open(
        stream: StreamReader<u8>,
        ending: FutureReader<Ending>,
        handled: FutureWriter<Result<(), ErrorCode>>,
    ) -> Body {
        let incoming = Self { stream: Some(stream), ending: Some(ending), _handled: handled };
        Inner::Incoming(Box::new(incoming)).into()
    }

    /// Waits for the next piece, of at most `most` bytes; none at the end.
    pub(crate) async fn read(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        while let Some(stream) = &mut self.stream {
            let (result, piece) = stream.read(Vec::with_capacity(most)).await;
            if matches!(result, StreamResult::Dropped) {
                self.stream = None;
            }
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }

    /// Waits for what follows the body. Ends the body.
    pub(crate) async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        self.stream = None;
        let Some(ending) = self.ending.take() else {
            return Ok(None);
        };
        let trailers = ending.await.map_err(|code| io::Error::other(format!("{code:?}")))?;
        Ok(trailers.map(|fields| headers_from(fields.copy_all())).filter(|fields| !fields.is_empty()))
    }

    /// What is left of it, to be passed on within the host.
    fn into_ends(self) -> (Option<StreamReader<u8>>, FutureReader<Ending>) {
        (self.stream, self.ending.unwrap_or_else(|| ended(None)))
    }
}

/// The open end of a body that leaves.
pub(crate) struct Outgoing {
    stream: Option<StreamWriter<u8>>,
    /// What was written, where it is only kept.
    kept: Vec<u8>,
}

impl Outgoing {
    /// Keeps what is written.
    pub(crate) fn kept() -> Self {
        Self { stream: None, kept: Vec::new() }
    }

    pub(crate) fn into_kept(self) -> Bytes {
        self.kept.into()
    }

    /// Writes all of it, and waits until it was taken.
    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            self.kept.extend_from_slice(&bytes);
            return Ok(());
        };
        let left = stream.write_all(bytes).await;
        if left.is_empty() { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

/// Sends a request and waits for the head of its response; the body is sent meanwhile.
pub(crate) async fn fetch(request: Request, options: &FetchOptions) -> Result<Response, FetchError> {
    let request = outgoing(request, options)?;
    let response = client::send(request).await.map_err(fetch_error)?;
    let status = StatusCode::from_u16(response.get_status_code()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = headers_from(response.get_headers().copy_all());
    let (handled, result) = wit_future::new(|| Ok(()));
    let (stream, ending) = types::Response::consume_body(response, result);
    Ok(message::Response::from_parts(status, headers, Incoming::open(stream, ending, handled)))
}

fn outgoing(request: Request, options: &FetchOptions) -> Result<types::Request, FetchError> {
    let invalid = |what: &str| FetchError::Invalid(format!("the host refuses its {what}"));
    let (mut parts, body) = request.into_http().into_parts();
    // Where it goes is in the target; hosts refuse the header.
    parts.headers.remove(http::header::HOST);
    let length = body.len().filter(|length| *length > 0);
    let fields =
        headers_to(&parts.headers, length, types::Fields::from_list).map_err(|_| invalid("headers"))?;
    let scheme = scheme_to(&parts.uri)?;
    let (contents, ending) = deliver(body).map_err(|error| FetchError::Invalid(error.to_string()))?;
    let (message, _sent) = types::Request::new(fields, contents, ending, options_to(options));
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let target = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    message.set_method(&method_to(&parts.method)).map_err(|()| invalid("method"))?;
    message.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
    message.set_authority(authority).map_err(|()| invalid("authority"))?;
    message.set_path_with_query(target).map_err(|()| invalid("path"))?;
    Ok(message)
}

pub(crate) async fn sleep(time: Duration) {
    monotonic_clock::wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
}
