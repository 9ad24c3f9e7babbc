//! The closed loop: so many connections, each with one request under way, as fast as it goes.
//!
//! One thread on its own core drives all connections, so that the generator is cheap and the
//! server sees requests arrive in bursts as under real load. Every answer is checked; the first
//! wrong one ends the run. It uses no timer at all.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::machine::{self, CpuTime};
use super::server::Server;
use super::stats::quantile;
use super::systems::Bench;
use super::{BenchError, wire};

/// Latencies kept of one window; later ones only count.
const SAMPLES: usize = 2_000_000;
/// No answer at all for so long ends a run.
const STALL: Duration = Duration::from_secs(10);

/// What is asked, by how many, and what must come back.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// One request, byte for byte.
    pub(crate) request: Arc<[u8]>,
    /// The body of every answer.
    pub(crate) expect: Arc<[u8]>,
    /// Whether a connection is used again.
    pub(crate) keep: bool,
}

/// How long a run warms up and how long it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm: Duration,
    pub(crate) count: Duration,
}

/// What one window showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// CPU of the server's process tree for each request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Requests answered a second.
    pub(crate) rate: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// Share of the machine (0 to 1) that neither the server nor the load used.
    pub(crate) foreign: f64,
}

/// What the generator and the one who measures both see.
#[derive(Default)]
struct Shared {
    answered: AtomicU64,
    recording: AtomicBool,
    samples: Mutex<Vec<u32>>,
    wrong: Mutex<Option<String>>,
    stop: Notify,
}

/// The counters at one edge of the window.
struct Edge {
    at: Instant,
    answered: u64,
    server: CpuTime,
    own: CpuTime,
    busy: Option<u64>,
}

impl Edge {
    fn read(server: u32, shared: &Shared) -> Self {
        Self {
            at: Instant::now(),
            answered: shared.answered.load(Ordering::Relaxed),
            server: CpuTime::of_tree(server),
            own: CpuTime::own(),
            busy: machine::busy_ticks(),
        }
    }
}

/// Put `server` under `load` and count over the window.
///
/// # Errors
/// If an answer is wrong, nothing is answered for ten seconds, the core cannot be had, or the run
/// was told to end.
pub(crate) fn measure(
    server: &Server,
    load: &Load,
    window: Window,
    bench: &Bench<'_>,
) -> Result<Measured, BenchError> {
    let core = bench.load_core();
    let shared = Arc::new(Shared::default());
    let generator = {
        let (shared, load, address) = (Arc::clone(&shared), load.clone(), server.address());
        std::thread::spawn(move || generate(address, &load, &shared, core))
    };
    let edges = watch(server, &shared, window, bench);
    shared.stop.notify_one();
    let generated = generator.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    generated.map_err(|source| BenchError::Io { doing: "starting the load", source })?;
    let (first, last) = edges?;
    summarise(&first, &last, &shared)
}

/// Wait through the window, looking that answers keep coming.
fn watch(
    server: &Server,
    shared: &Shared,
    window: Window,
    bench: &Bench<'_>,
) -> Result<(Edge, Edge), BenchError> {
    pass(server, shared, window.warm, bench)?;
    let first = Edge::read(server.pid(), shared);
    shared.recording.store(true, Ordering::Relaxed);
    pass(server, shared, window.count, bench)?;
    shared.recording.store(false, Ordering::Relaxed);
    Ok((first, Edge::read(server.pid(), shared)))
}

fn pass(server: &Server, shared: &Shared, duration: Duration, bench: &Bench<'_>) -> Result<(), BenchError> {
    let end = Instant::now() + duration;
    let (mut seen, mut moved) = (shared.answered.load(Ordering::Relaxed), Instant::now());
    loop {
        let left = end.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(Duration::from_millis(100)));
        bench.args.go_on()?;
        let wrong = shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answered = shared.answered.load(Ordering::Relaxed);
        if answered != seen {
            (seen, moved) = (answered, Instant::now());
        }
        let stalled = || format!("answered nothing for {} s", STALL.as_secs());
        if let Some(reason) = wrong.or_else(|| (moved.elapsed() > STALL).then(stalled)) {
            return Err(server.failed(reason));
        }
        // At least one answer is waited for, however slow the machine.
        if Instant::now() >= end && answered > 0 {
            return Ok(());
        }
    }
}

fn summarise(first: &Edge, last: &Edge, shared: &Shared) -> Result<Measured, BenchError> {
    let requests = last.answered.saturating_sub(first.answered);
    if requests == 0 {
        return Err(BenchError::Empty);
    }
    let ticks = machine::ticks_a_second();
    let used = last.server.since(&first.server, ticks);
    let own = last.own.since(&first.own, ticks);
    let elapsed = last.at.duration_since(first.at).as_secs_f64();
    let machine_time = elapsed * std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let busy = last.busy.zip(first.busy).map_or(0, |(last, first)| last.saturating_sub(first));
    let foreign = busy as f64 / ticks as f64 - used.as_secs_f64() - own.as_secs_f64();
    let mut samples = shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Measured {
        cpu_us: used.as_secs_f64() * 1e6 / requests as f64,
        rate: requests as f64 / elapsed,
        p50_us: quantile(&mut samples, 0.5).map_or(f64::NAN, |nanoseconds| f64::from(nanoseconds) / 1e3),
        foreign: (foreign / machine_time).max(0.0),
    })
}

/// The generator's thread: all connections on one runtime until told to stop.
fn generate(
    address: SocketAddr,
    load: &Load,
    shared: &Arc<Shared>,
    core: Option<usize>,
) -> std::io::Result<()> {
    core.map_or(Ok(()), machine::pin)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        for _ in 0..load.connections {
            let (shared, load) = (Arc::clone(shared), load.clone());
            tokio::spawn(async move {
                if let Err(reason) = converse(address, &load, &shared).await {
                    shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
                }
            });
        }
        shared.stop.notified().await;
    });
    Ok(())
}

/// One client: connect, ask and check for ever. Ends only with a reason.
async fn converse(address: SocketAddr, load: &Load, shared: &Shared) -> Result<(), String> {
    let mut buffer = Vec::with_capacity(4 << 10);
    loop {
        let opened = Instant::now();
        let connected = TcpStream::connect(address).await;
        let mut stream = connected.map_err(|error| format!("refused a connection: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        buffer.clear();
        // A new connection for each request counts from before it was made.
        let mut begun = opened;
        while ask(&mut stream, &mut buffer, load).await? {
            record(begun, shared);
            begun = Instant::now();
        }
        record(begun, shared);
    }
}

/// One request and its answer; whether the connection can be used again.
async fn ask(stream: &mut TcpStream, buffer: &mut Vec<u8>, load: &Load) -> Result<bool, String> {
    stream.write_all(&load.request).await.map_err(|error| format!("broke off: {error}"))?;
    loop {
        let read = stream.read_buf(buffer).await.map_err(|error| format!("broke off: {error}"))?;
        if read == 0 {
            return Err("closed a connection without an answer".to_owned());
        }
        if let Some(reply) = wire::parse(buffer).map_err(|error| error.to_string())? {
            check(&reply, &load.expect)?;
            let (length, close) = (reply.length, reply.close);
            buffer.drain(..length);
            return Ok(load.keep && !close);
        }
    }
}

/// What is wrong with an answer, if anything is.
pub(crate) fn check(reply: &wire::Reply<'_>, expect: &[u8]) -> Result<(), String> {
    if reply.status == 200 && *reply.body == *expect {
        return Ok(());
    }
    let body = String::from_utf8_lossy(reply.body.get(..200).unwrap_or(&reply.body)).into_owned();
    Err(format!("answered {} with {body:?}", reply.status))
}

fn record(begun: Instant, shared: &Shared) {
    shared.answered.fetch_add(1, Ordering::Relaxed);
    if shared.recording.load(Ordering::Relaxed) {
        let nanoseconds = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
        let mut samples = shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < SAMPLES {
            samples.push(nanoseconds);
        }
    }
}
