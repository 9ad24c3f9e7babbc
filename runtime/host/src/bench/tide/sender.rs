//! Requests that come when they come: each is sent at its time over a connection that is free, or a
//! new one, and never waits for those before it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cyte_organism::Nanos;
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

/// One request: when it should have been sent, and how long its answer took from then; `None` where
/// there was none, or another than 200.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot {
    pub(super) due: Nanos,
    pub(super) took: Option<Nanos>,
}

type Free = Arc<Mutex<VecDeque<SendRequest<Empty<Bytes>>>>>;

/// Sends a request at each of these times after `began`; what became of them, in the order of time.
pub(super) fn send(
    address: SocketAddr,
    due: &[Nanos],
    began: Instant,
    stop: &AtomicBool,
) -> Result<Vec<Shot>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
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
                shots.push(Shot { due: *due, took: None });
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
    })
}

async fn shoot(address: SocketAddr, free: Free, due: Nanos, at: Instant) -> Shot {
    let answered =
        timeout(PATIENCE, ask(address, &free)).await.is_ok_and(|answered| answered.unwrap_or(false));
    let took = Nanos(u64::try_from(at.elapsed().as_nanos()).unwrap_or(u64::MAX));
    Shot { due, took: answered.then_some(took) }
}

/// One request; whether the answer was 200 and whole.
async fn ask(address: SocketAddr, free: &Free) -> Option<bool> {
    let known = free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut connection = match known.filter(SendRequest::is_ready) {
        Some(connection) => connection,
        None => connect(address).await?,
    };
    let request = Request::get("/").header("host", "bench").body(Empty::new()).ok()?;
    let response = connection.send_request(request).await.ok()?;
    let is_well = response.status() == StatusCode::OK;
    response.into_body().collect().await.ok()?;
    free.lock().unwrap_or_else(PoisonError::into_inner).push_front(connection);
    Some(is_well)
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(driver);
    Some(connection)
}
