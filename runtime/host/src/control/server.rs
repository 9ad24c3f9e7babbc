//! The answering side of the control socket.
//!
//! It reads from [`HostView`] and writes nothing but secrets and wishes. A peer that is not this user or
//! root gets no answer at all. Followers get one JSON object a line until they go away.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::limits as bounds;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::{HostView, cells, flight, hormones, hosts, limits, observed, wishes};
use crate::codes::Code;
use crate::error::CliError;
use crate::ring::Ring;
use crate::state::secrets::VALUE_MAX;

/// How many connections the socket serves at once.
const CONNECTIONS: usize = bounds::CONTROL_CONNECTIONS;
/// How long a peer may take to send a request's head.
const HEAD: Duration = Duration::from_secs(10);
/// How many entries one answer holds.
const PAGE: usize = bounds::CONTROL_PAGE;
/// How many words one search has.
const WORDS: usize = 64;

pub(super) type Body = BoxBody<Bytes, Infallible>;

/// Binds the socket at `path` with mode 0600. The folder must be private already.
///
/// # Errors
/// What the system says.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop` turns true. Connections end with it.
pub async fn serve(listener: UnixListener, view: Arc<dyn HostView>, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // The permit comes first: an accepted connection always has one.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) if is_allowed(&stream) => {
                let view = Arc::clone(&view);
                connections.spawn(async move {
                    connection(stream, view).await;
                    drop(permit);
                });
            }
            Ok(_) => {}
            // Out of descriptors, most likely; trying again at once would only spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Only this user and root may ask.
fn is_allowed(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw())
}

async fn connection(stream: UnixStream, view: Arc<dyn HostView>) {
    let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
    let service = hyper::service::service_fn(move |request| {
        let view = Arc::clone(&view);
        async move { Ok::<_, Infallible>(answer(request, &view, uid).await) }
    });
    // A peer that breaks the protocol or goes away ends its own connection, nothing else.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, view: &Arc<dyn HostView>, uid: u32) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    match (&parts.method, steps.as_slice()) {
        (&Method::GET, ["v1", "events"]) if query.since.is_some() => {
            observed::events(view.recorder(), &query).await
        }
        (&Method::GET, ["v1", "flight"]) => flight::flight(view.as_ref()).await,
        (&Method::GET, ["v1", "phenotype"]) => observed::view(view.recorder()).await,
        (&Method::GET, ["v1", "wishes"]) if query.follow => wishes::follow(&query, Arc::clone(view)).await,
        (&Method::GET, ["v1", "wishes", rest @ ..]) => wishes::read(rest, &query, view.as_ref()),
        (&Method::GET, ["v1", "why", cell]) if unescape(cell).contains('#') => {
            hormones::felt(&unescape(cell), view.as_ref()).await
        }
        (&Method::GET, ["v1", "why", rest @ ..]) if rest.len() < 2 => wishes::why(rest, view.as_ref()),
        (&Method::POST, ["v1", "cells", name, "divide"]) => {
            cells::order("divide", unescape(name), false, Arc::clone(view), uid).await
        }
        (&Method::POST, ["v1", "cells", name, "kill"]) => {
            cells::order("kill", unescape(name), query.now, Arc::clone(view), uid).await
        }
        (&Method::POST, ["v1", "hormones"]) => hormones::release(body, Arc::clone(view), uid).await,
        (&Method::GET, ["v1", "hosts"]) => hosts::list(view.as_ref()),
        (&Method::POST, ["v1", "hosts", deed, what]) => hosts::act(view, deed, what, uid).await,
        (method @ (&Method::POST | &Method::DELETE), ["v1", "limits", rest @ ..]) => {
            limits::write(method, rest, body, Arc::clone(view), uid).await
        }
        (method, ["v1", "wishes", rest @ ..]) => {
            wishes::write(method, rest, query, body, Arc::clone(view), uid).await
        }
        (&Method::GET, ["v1", rest @ ..]) => read(rest, &query, view.as_ref()),
        (&Method::POST, ["v1", "secrets", name]) => set_secret(name, body, view.as_ref(), uid).await,
        (&Method::DELETE, ["v1", "secrets", name]) => {
            let name = unescape(name);
            match view.remove_secret(uid, &name) {
                Ok(existed) => object(&json!({"v": 1, "name": name, "existed": existed})),
                Err(error) => failed(StatusCode::BAD_REQUEST, &error),
            }
        }
        _ => unknown(&path),
    }
}

fn read(steps: &[&str], query: &Query, view: &dyn HostView) -> Response<Body> {
    match steps {
        ["status"] => object(&view.status()),
        ["ps"] => object(&view.ps()),
        ["limits"] => object(&view.limits()),
        ["hormones"] => object(&view.hormones()),
        ["secrets"] => object(&json!({"v": 1, "secrets": view.secrets()})),
        ["cells", id] => found(view.cell(&unescape(id)), id),
        ["genes", name] => found(view.gene(&unescape(name)), name),
        ["events"] => {
            let log = Arc::clone(view.events());
            entries("events", log, |log| log.ring(), |_| true, query)
        }
        ["logs"] => {
            let gene = query.gene.clone();
            let log = Arc::clone(view.logs());
            let keep =
                move |record: &crate::log::LogRecord| gene.as_ref().is_none_or(|gene| *gene == record.gene);
            entries("logs", log, |log| log.ring(), keep, query)
        }
        _ => unknown(&steps.join("/")),
    }
}

async fn set_secret(name: &str, body: Incoming, view: &dyn HostView, uid: u32) -> Response<Body> {
    let Ok(body) = Limited::new(body, VALUE_MAX + 1).collect().await else {
        let why = format!("the value is longer than {VALUE_MAX} bytes");
        let error = CliError::new(Code::Secret, "cannot set a secret", why);
        return failed(StatusCode::PAYLOAD_TOO_LARGE, &error);
    };
    let name = unescape(name);
    match view.set_secret(uid, &name, body.to_bytes().to_vec()) {
        Ok(()) => object(&json!({"v": 1, "name": name})),
        Err(error) => failed(StatusCode::BAD_REQUEST, &error),
    }
}

/// What a reader asks of a list.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) follow: bool,
    pub(super) after: Option<u64>,
    /// Of events: what was kept since then, in milliseconds since 1970.
    pub(super) since: Option<u64>,
    tail: Option<usize>,
    pub(super) gene: Option<String>,
    /// Of wishes: how they came to be.
    pub(super) history: bool,
    /// Of wishes: what is searched for.
    pub(super) words: Vec<String>,
    /// Of wishes: the name of the file that they come from.
    pub(super) file: Option<String>,
    /// Of a cell's end: with what it holds.
    now: bool,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "follow" => query.follow = value != "0" && value != "false",
                "now" => query.now = value != "0" && value != "false",
                "since" => query.since = value.parse().ok(),
                "after" => query.after = value.parse().ok(),
                "tail" => query.tail = value.parse().ok(),
                "gene" => query.gene = Some(unescape(value)),
                "history" => query.history = value != "0" && value != "false",
                "word" if query.words.len() < WORDS => query.words.push(unescape(value)),
                "file" => query.file = Some(unescape(value)),
                _ => {}
            }
        }
        query
    }
}

/// One page of a ring, or every entry a line for as long as the peer listens.
fn entries<L, T>(
    name: &'static str,
    log: Arc<L>,
    ring: fn(&L) -> &Ring<T>,
    keep: impl Fn(&T) -> bool + Send + Sync + 'static,
    query: &Query,
) -> Response<Body>
where
    L: Send + Sync + 'static,
    T: Clone + Serialize + Send + Sync + 'static,
{
    let start = match (query.after, query.tail) {
        (Some(after), _) => after,
        // A filtered tail must look at everything and cut afterwards.
        (None, Some(tail)) if query.gene.is_none() => ring(&log).before_last(tail),
        _ => 0,
    };
    if !query.follow {
        let page = ring(&log).after(start, usize::MAX);
        let mut all: Vec<_> =
            page.entries.into_iter().map(|(_, entry)| entry).filter(|entry| keep(entry)).collect();
        let surplus = all.len().saturating_sub(query.tail.unwrap_or(PAGE).min(PAGE));
        all.drain(..surplus);
        return object(&json!({"v": 1, name: all, "missed": page.missed, "last": page.last}));
    }
    let following = Following { follower: ring(&log).follow(), log, ring, keep, seen: start };
    lines_of(stream::unfold(following, |mut following| async move {
        let chunk = following.next().await?;
        Some((chunk, following))
    }))
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

/// One reader that stays.
struct Following<L, T, K> {
    log: Arc<L>,
    ring: fn(&L) -> &Ring<T>,
    keep: K,
    follower: watch::Receiver<u64>,
    seen: u64,
}

impl<L, T: Clone + Serialize, K: Fn(&T) -> bool> Following<L, T, K> {
    /// The next entries as lines; waits while there are none.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.follower.mark_unchanged();
            let page = (self.ring)(&self.log).after(self.seen, PAGE);
            self.seen = page.last;
            let text = lines(&page.entries, page.missed, &self.keep);
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
            if page.entries.is_empty() {
                self.follower.changed().await.ok()?;
            }
        }
    }
}

fn lines<T: Serialize>(entries: &[(u64, T)], missed: u64, keep: impl Fn(&T) -> bool) -> Vec<u8> {
    let mut text = Vec::new();
    if missed > 0 {
        text.extend(json!({"v": 1, "missed": missed}).to_string().bytes());
        text.push(b'\n');
    }
    for entry in entries.iter().map(|(_, entry)| entry).filter(|entry| keep(entry)) {
        if serde_json::to_writer(&mut text, entry).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

fn found(value: Option<Value>, id: &str) -> Response<Body> {
    match value {
        Some(value) => object(&value),
        None => {
            let what = format!("cannot find `{}`", unescape(id));
            let error = CliError::new(Code::Unknown, what, "this host has no cell or gene of that name")
                .help("cyte ps");
            failed(StatusCode::NOT_FOUND, &error)
        }
    }
}

fn unknown(path: &str) -> Response<Body> {
    let error = CliError::new(Code::Control, format!("cannot answer `{path}`"), "there is no such question");
    failed(StatusCode::NOT_FOUND, &error)
}

/// The object, or the error with status `otherwise`.
pub(super) fn answered(answer: Result<Value, CliError>, otherwise: StatusCode) -> Response<Body> {
    match answer {
        Ok(value) => object(&value),
        Err(error) => failed(otherwise, &error),
    }
}

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

/// `%23` and its like back into text; what is no escape stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_strange_ones_ignored() {
        let query = Query::parse("follow&after=7&gene=a%2db&tail=x&what=ever");
        let gene = Some("a-b".into());
        let expected = Query { follow: true, after: Some(7), gene, ..Query::default() };
        assert_eq!(query, expected);
        assert_eq!(Query::parse(""), Query::default());
        assert!(!Query::parse("follow=0").follow);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(unescape("front%231"), "front#1");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%zz%4"), "%zz%4");
    }
}
