//! How many cells a host has, over time, as it says itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cyte_organism::Nanos;
use serde_json::Value;

use crate::control::client::Client;
use crate::control::find::{Asked, find};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(20);

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
    /// The mean deficit that they feel.
    pub(super) hormone: Option<f64>,
}

/// Asks the host on `state` until `ended`; times count from `began`, what was before is left out.
pub(super) fn watch(state: &Path, began: Instant, ended: &AtomicBool) -> Result<Vec<Gauge>, String> {
    let asked = Asked { state: Some(state.to_owned()), ..Asked::default() };
    let (running, _) = find(&asked).map_err(|error| error.why)?;
    let client = Client::new(&running.socket).map_err(|error| error.why)?;
    let mut gauges = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let at = Instant::now();
        let levels = client.get("/v1/hormones").map_err(|error| error.why)?;
        if let (Some(since), Some(class)) = (at.checked_duration_since(began), of(&levels)) {
            gauges.push(gauge(Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)), class));
        }
        std::thread::sleep(EVERY.saturating_sub(at.elapsed()));
    }
    Ok(gauges)
}

/// The one class that is watched.
fn of(levels: &Value) -> Option<&Value> {
    levels.get("classes")?.as_array()?.first()
}

fn gauge(at: Nanos, class: &Value) -> Gauge {
    let count = |key: &str| class.get(key).and_then(Value::as_u64).unwrap_or_default();
    let cells = |key: &str| u32::try_from(count(key)).unwrap_or(u32::MAX);
    let ready = cells("ready");
    Gauge {
        at,
        cells: ready.saturating_add(cells("pending")).saturating_add(cells("draining")),
        ready,
        born: count("born"),
        hormone: class.get("felt_fast").and_then(Value::as_f64),
    }
}
