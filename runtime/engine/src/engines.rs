//! The two engines and their geometry.
//!
//! `plain` runs WASI 0.2 genes and has the machinery for concurrent calls switched off, which
//! makes every call cheaper (measured: 6 to 12 of 25 microseconds). `concurrent` runs WASI 0.3
//! genes and is built when the first one loads. A gene belongs to one of them for life.
//!
//! Geometry comes from the machine, never from the DNA: a pool costs two memory maps a slot when it
//! is built, and running out of maps ends in an abort, so it is sized well below the kernel's limit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use cyte_dna::limits::CELL_INSTANCES;

/// Which engine a gene belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// WASI 0.2, one call at a time.
    Plain,
    /// WASI 0.3.
    Concurrent,
}

impl Kind {
    /// The name, as the code cache and the compiler child use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Concurrent => "concurrent",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::Concurrent].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Memory of one slot that stays in place for its next cell, so that a fresh cell takes no page
/// faults for it.
const KEEP_RESIDENT_BYTES: usize = 1_280 << 10;

/// The same for a slot's tables.
const TABLE_KEEP_RESIDENT_BYTES: usize = 32 << 10;

/// Stack of a guest, and of the fiber around it; host functions get the difference.
const WASM_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 1 << 20;

/// Largest table of one module.
const TABLE_ELEMENTS: usize = 32_768;

/// Tables a slot: a Rust component has two.
const TABLES_PER_SLOT: u32 = 4;

/// Frames that a backtrace shows.
const BACKTRACE_FRAMES: usize = 24;

/// How many cells an engine's pool can hold and how much of them it keeps warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Slots of the pool.
    pub slots: u32,
    /// Memory that unused slots may keep, in bytes.
    pub warm_bytes: usize,
}

/// What shapes compiled code; the same in the host and in the compiler child.
fn tuned(kind: Kind) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(FIBER_STACK_BYTES);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    if kind == Kind::Plain {
        config.wasm_component_model_async(false);
        config.concurrency_support(false);
    }
    config
}

/// An engine that compiles and runs nothing; it reserves no address space.
pub(crate) fn compiler(kind: Kind) -> wasmtime::Result<Engine> {
    Engine::new(&tuned(kind))
}

/// An engine that runs cells from a pool; where the address space is too small for one, from the
/// ordinary allocator.
pub(crate) fn pooled(kind: Kind, geometry: Geometry) -> wasmtime::Result<Engine> {
    let mut config = tuned(kind);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(geometry)));
    Engine::new(&config).or_else(|error| {
        tracing::warn!("no pool of {} slots ({error:#}): cells are made one by one, slower", geometry.slots);
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config)
    })
}

fn pool(geometry: Geometry) -> PoolingAllocationConfig {
    let slots = geometry.slots;
    let instances = u32::try_from(CELL_INSTANCES).unwrap_or(u32::MAX);
    let warm = u32::try_from(geometry.warm_bytes / KEEP_RESIDENT_BYTES).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(instances))
        .max_core_instances_per_component(instances)
        .total_memories(slots)
        .total_tables(slots.saturating_mul(TABLES_PER_SLOT))
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(slots)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_unused_warm_slots(warm.max(1))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Names the code that an engine of this kind can run: kind, version and every setting that shapes
/// code. Needs no pool, so that code can be read while the pool is still being made.
pub(crate) fn fingerprint(kind: Kind) -> wasmtime::Result<String> {
    let mut hasher = DefaultHasher::new();
    compiler(kind)?.precompile_compatibility_hash().hash(&mut hasher);
    Ok(format!("{}-{:016x}", kind.as_str(), hasher.finish()))
}
