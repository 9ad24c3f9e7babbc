//! What a cell may hold, summed over the whole store: memory, tables, instances.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use cyte_dna::limits;
use wasmtime::ResourceLimiter;

use crate::{error::Breach, vitals::Vitals};

/// Tables a cell may hold.
const TABLES_MAX: usize = 32;

/// The memory of all cells of a host. Growth is taken from it and given back when a cell goes.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: AtomicU64,
    max: AtomicU64,
    refused: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `max` bytes.
    pub(crate) fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max: AtomicU64::new(max), refused: AtomicU64::new(0) }
    }

    /// Bytes that cells hold now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Bytes that cells may hold together.
    pub(crate) fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    /// How often a cell could not grow because of it.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.used.fetch_add(bytes, Relaxed);
        let fits = before.saturating_add(bytes) <= self.max.load(Relaxed);
        if !fits {
            self.used.fetch_sub(bytes, Relaxed);
            self.refused.fetch_add(1, Relaxed);
        }
        fits
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// Counts one cell's growth against its own cap and the host's budget.
#[derive(Debug)]
pub(crate) struct Limiter {
    vitals: Arc<Vitals>,
    host: Arc<MemoryBudget>,
    memory: u64,
    memory_max: u64,
    table_elements: usize,
}

impl Limiter {
    pub(crate) fn new(vitals: Arc<Vitals>, host: Arc<MemoryBudget>, memory_max: u64) -> Self {
        Self { vitals, host, memory: 0, memory_max, table_elements: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let total = self.memory.saturating_add(growth);
        let fits = total <= self.memory_max && maximum.is_none_or(|maximum| desired <= maximum);
        if !fits || !self.host.take(growth) {
            self.vitals.breach(Breach::Memory);
            return Ok(false);
        }
        self.memory = total;
        self.vitals.set_memory(total);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > limits::CELL_TABLE_ELEMENTS {
            self.vitals.breach(Breach::Structure);
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::CELL_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        limits::CELL_INSTANCES
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.host.give_back(self.memory);
    }
}
