//! A tissue and its cells as people see them, at one moment.

use cyte_organism::{
    Nanos,
    fast::{Bounds, Counts},
};
use serde::Serialize;

use crate::{
    tissue::{BackgroundSnapshot, Tissue},
    vitals::Vitals,
};

/// One tissue as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct TissueSnapshot {
    /// The gene's name.
    pub gene: String,
    /// Its role.
    pub role: &'static str,
    /// Uses of one cell.
    pub reuse: u32,
    /// Cells ready.
    pub ready: u32,
    /// Cells that work or are being made.
    pub busy: u32,
    /// Requests waiting.
    pub waiting: u32,
    /// Cells born so far.
    pub born: u64,
    /// The bounds in force.
    pub bounds: Bounds,
    /// What was counted.
    pub counts: Counts,
    /// Median time from request to the end of the call, microseconds; none yet: 0.
    pub p50_us: u64,
    /// 99th percentile of the same.
    pub p99_us: u64,
    /// The memory above which a cell retires when it has finished what it holds, bytes.
    pub memory_mark_bytes: u64,
    /// Cells that retired because of that.
    pub grown_old: u64,
    /// Its background work, where the DNA names some.
    pub background: Option<BackgroundSnapshot>,
    /// Median time in which a cell was made, from its place to its first message, microseconds.
    pub wake_p50_us: u64,
    /// 99th percentile of the same.
    pub wake_p99_us: u64,
    /// The cells alive, by number.
    pub cells: Vec<CellSnapshot>,
}

/// One cell as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct CellSnapshot {
    /// Its number within the gene.
    pub id: u64,
    /// Its gene.
    pub gene: String,
    /// Its gene's role.
    pub role: &'static str,
    /// `pending` while it is being made, `ready`, `serving`, or `draining` when it ends with what it
    /// holds.
    pub state: &'static str,
    /// Its mother's number.
    pub mother: Option<u64>,
    /// Predecessors in its niche.
    pub generation: u64,
    /// Its niche.
    pub niche: u64,
    /// Milliseconds since its birth.
    pub age_ms: u64,
    /// Messages it took.
    pub uses: u64,
    /// Messages it may still take.
    pub uses_left: u64,
    /// Wasm memory it holds, bytes.
    pub memory_bytes: u64,
    /// CPU it used, microseconds.
    pub cpu_us: u64,
}

impl CellSnapshot {
    pub(crate) fn of(tissue: &Tissue, vitals: &Vitals, is_draining: bool, now: Nanos) -> Self {
        let birth = vitals.birth;
        Self {
            id: birth.id.0,
            gene: tissue.gene().name.to_string(),
            role: tissue.gene().role.as_str(),
            state: match (vitals.since(), vitals.inflight()) {
                (None, _) => "pending",
                _ if is_draining => "draining",
                (Some(_), 0) => "ready",
                (Some(_), _) => "serving",
            },
            mother: birth.mother.map(|mother| mother.0),
            generation: birth.generation,
            niche: birth.niche.0,
            age_ms: now.since(vitals.born).as_millis(),
            uses: vitals.uses(),
            uses_left: u64::from(tissue.pre().reuse).saturating_sub(vitals.uses()),
            memory_bytes: vitals.memory(),
            cpu_us: vitals.cpu_total().0 / 1_000,
        }
    }
}
