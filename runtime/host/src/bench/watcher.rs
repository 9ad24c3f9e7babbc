//! How many cells a host has, over time, as it says itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cyte_organism::Nanos;
use serde_json::Value;

use crate::control::client::Client;
use crate::control::find::{Asked, find};

/// One look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge {
    pub(super) at: Nanos,
    /// Ready, on their way and draining.
    pub(super) cells: u32,
    /// Those that serve.
    pub(super) ready: u32,
    /// Born so far.
    pub(super) born: u64,
    /// Stems that wait, and how many should.
    pub(super) stems: u32,
    pub(super) stems_goal: u32,
    /// The mean deficit that the cells feel.
    pub(super) hormone: Option<f64>,
}

/// Asks the host on `state` as often as said until `ended`; times count from `began`, what was before
/// is left out.
fn watch(state: &Path, every: Duration, began: Instant, ended: &AtomicBool) -> Result<Vec<Gauge>, String> {
    let client = client(state)?;
    let mut gauges = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let at = Instant::now();
        let levels = client.get("/v1/hormones").map_err(|error| error.why)?;
        if let (Some(since), Some(class)) = (at.checked_duration_since(began), of(&levels)) {
            let at = since.into();
            gauges.push(gauge(at, levels.get("host").unwrap_or(&Value::Null), class));
        }
        std::thread::sleep(every.saturating_sub(at.elapsed()));
    }
    Ok(gauges)
}

/// Does `work` while the host on `state` is watched, as [`watch`] does.
pub(super) fn beside<T>(
    state: &Path,
    every: Duration,
    began: Instant,
    work: impl FnOnce() -> T,
) -> (T, Result<Vec<Gauge>, String>) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(state, every, began, &ended));
        let done = work();
        ended.store(true, Ordering::Relaxed);
        (done, watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Cells of the host on `state` that serve now.
pub(super) fn ready(state: &Path) -> Result<u32, String> {
    let levels = client(state)?.get("/v1/hormones").map_err(|error| error.why)?;
    Ok(of(&levels).map_or(0, |class| count(class, "ready")))
}

/// What the host on `state` says of a gene.
pub(super) fn inspect(state: &Path, gene: &str) -> Result<Value, String> {
    client(state)?.get(&format!("/v1/genes/{gene}")).map_err(|error| error.why)
}

fn client(state: &Path) -> Result<Client, String> {
    let asked = Asked { state: Some(state.to_owned()), ..Asked::default() };
    let (running, _) = find(&asked).map_err(|error| error.why)?;
    Client::new(&running.socket).map_err(|error| error.why)
}

/// The one class that is watched.
fn of(levels: &Value) -> Option<&Value> {
    levels.get("classes")?.as_array()?.first()
}

fn gauge(at: Nanos, host: &Value, class: &Value) -> Gauge {
    let ready = count(class, "ready");
    Gauge {
        at,
        cells: ready.saturating_add(count(class, "pending")).saturating_add(count(class, "draining")),
        ready,
        born: class.get("born").and_then(Value::as_u64).unwrap_or_default(),
        stems: count(host, "stems"),
        stems_goal: count(host, "stems_goal"),
        hormone: class.get("felt_fast").and_then(Value::as_f64),
    }
}

fn count(value: &Value, key: &str) -> u32 {
    value.get(key).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}
