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

use cyte_dna::limits as bounds;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::pages::entries;
use super::query::{Query, unescape};
use super::reply::{Body, failed, object};
use super::{HostView, cells, flight, hormones, hosts, limits, observed, wishes};
use crate::codes::Code;
use crate::error::CliError;
use crate::state::secrets::VALUE_MAX;

/// How many connections the socket serves at once.
const CONNECTIONS: usize = bounds::CONTROL_CONNECTIONS;
/// How long a peer may take to send a request's head.
const HEAD: Duration = Duration::from_secs(10);

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
