//! Requests that come when they come: each is sent at its time over a connection that is free, or a
//! new one, and never waits for those before it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cyte_organism::Nanos;
use cyte_organism::sim::{Arrivals, Load};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at once at most; who finds none free fails.
const CONNECTIONS: usize = 2_048;
/// The same requests for everybody.
pub(super) const SEED: u64 = 1;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Status 200, and whole.
    Answered,
    /// Its cell died with it.
    Lost,
    /// The host has no capacity for it and says so.
    Refused,
    /// Anything else, and silence.
    Failed,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot {
    /// When it should have been sent.
    pub(super) due: Nanos,
    /// How long it took from then.
    pub(super) took: Nanos,
    pub(super) end: End,
}

type Free = Arc<Mutex<VecDeque<SendRequest<Empty<Bytes>>>>>;

/// When the requests of a load are to be sent.
pub(super) fn due(load: &Load, seconds: f64) -> Vec<Nanos> {
    let mut arrivals = Arrivals::new(load.clone(), SEED);
    let (mut due, mut t) = (Vec::new(), 0.0);
    while let Some(next) = arrivals.next(t).filter(|next| *next < seconds) {
        t = next;
        if arrivals.is_real(t) {
            due.push(Nanos((t * 1e9) as u64));
        }
    }
    due
}

/// Sends a request at each of these times after `began`; what became of them, in the order of time.
pub(super) fn fire(
    address: SocketAddr,
    due: &[Nanos],
    began: Instant,
    stop: &AtomicBool,
) -> Result<Vec<Shot>, String> {
    alone(async {
        let free = Free::default();
        let (mut under_way, mut shots) = (JoinSet::new(), Vec::with_capacity(due.len()));
        for due in due {
            let at = began + Duration::from_nanos(due.0);
            if Instant::now() < at {
                sleep_until(at.into()).await;
            }
            if stop.load(Ordering::Relaxed) {
                return Err("cut short".to_owned());
            }
            let is_room = under_way.len() < CONNECTIONS;
            if is_room {
                under_way.spawn(shoot(address, free.clone(), *due, at));
            } else {
                shots.push(Shot { due: *due, took: Nanos(0), end: End::Failed });
            }
            while let Some(ended) = under_way.try_join_next() {
                shots.push(ended.map_err(|error| error.to_string())?);
            }
        }
        while let Some(ended) = under_way.join_next().await {
            shots.push(ended.map_err(|error| error.to_string())?);
        }
        shots.sort_unstable_by_key(|shot| shot.due);
        Ok(shots)
    })?
}

/// Sends `count` requests for `path` one after the other; how many of them were lost.
pub(super) fn one_by_one(address: SocketAddr, path: &'static str, count: u32) -> Result<u32, String> {
    alone(async {
        let free = Free::default();
        let mut lost = 0;
        for _ in 0..count {
            let end = timeout(PATIENCE, ask(address, &free, path)).await;
            lost += u32::from(matches!(end, Ok(Some(End::Lost))));
        }
        lost
    })
}

fn alone<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| error.to_string())?.block_on(work))
}

async fn shoot(address: SocketAddr, free: Free, due: Nanos, at: Instant) -> Shot {
    let end = timeout(PATIENCE, ask(address, &free, "/")).await;
    let took = at.elapsed().into();
    Shot { due, took, end: end.ok().flatten().unwrap_or(End::Failed) }
}

/// One request.
async fn ask(address: SocketAddr, free: &Free, path: &'static str) -> Option<End> {
    let known = free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut connection = match known.filter(SendRequest::is_ready) {
        Some(connection) => connection,
        None => connect(address).await?,
    };
    let request = Request::get(path).header("host", "bench").body(Empty::new()).ok()?;
    let response = connection.send_request(request).await.ok()?;
    let end = match response.status() {
        StatusCode::OK => End::Answered,
        StatusCode::BAD_GATEWAY => End::Lost,
        StatusCode::SERVICE_UNAVAILABLE => End::Refused,
        _ => End::Failed,
    };
    response.into_body().collect().await.ok()?;
    free.lock().unwrap_or_else(PoisonError::into_inner).push_front(connection);
    Some(end)
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(driver);
    Some(connection)
}
