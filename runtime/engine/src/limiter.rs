//! What a cell may hold, summed over the whole store: memory, tables, instances.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use cyte_dna::limits;
use wasmtime::ResourceLimiter;

use crate::{error::Breach, state::CellLimits, vitals::Vitals};

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

    /// Cells may hold so much together from now on. What they hold stays theirs.
    pub(crate) fn set_max(&self, max: u64) {
        self.max.store(max, Relaxed);
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
    table_elements_max: usize,
}

impl Limiter {
    pub(crate) fn new(vitals: Arc<Vitals>, host: Arc<MemoryBudget>, limits: &CellLimits) -> Self {
        Self {
            vitals,
            host,
            memory: 0,
            memory_max: limits.memory_bytes,
            table_elements: 0,
            table_elements_max: usize::try_from(limits.tables).unwrap_or(usize::MAX),
        }
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
        if total > self.table_elements_max {
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

#[cfg(test)]
mod tests {
    use cyte_organism::{Nanos, lineage::Lineage};

    use super::*;
    use crate::vitals::Clock;

    fn limiter(host: &Arc<MemoryBudget>, memory_bytes: u64) -> Limiter {
        let birth = Lineage::default().add(None);
        let limits = CellLimits {
            memory_bytes,
            cpu: Nanos(0),
            wall: Nanos(0),
            stall: Nanos(0),
            pong: Nanos(0),
            wait: Nanos(0),
            waiters: 0,
            tables: 10,
            handles: 0,
            host_call: 0,
            headers: 0,
            random: 0,
            outbound: 0,
            files: 0,
            file_count: 0,
        };
        Limiter::new(Arc::new(Vitals::new(Clock::start(), birth)), host.clone(), &limits)
    }

    #[test]
    fn the_memory_of_all_cells_is_bounded_and_comes_back() {
        let host = Arc::new(MemoryBudget::new(100));
        let (mut first, mut second) = (limiter(&host, 80), limiter(&host, 80));
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!second.memory_growing(0, 41, None).unwrap(), "the host has 40 left");
        assert_eq!((host.used(), host.refused()), (60, 1));
        assert_eq!(second.vitals.breached(), Some(Breach::Memory));
        assert!(second.memory_growing(0, 40, None).unwrap());
        assert!(!first.memory_growing(60, 81, None).unwrap(), "its own limit is 80");
        assert_eq!(host.refused(), 1, "which is not the host's doing");
        drop(first);
        assert_eq!(host.used(), 40);
        assert!(second.memory_growing(40, 80, None).unwrap());
    }

    #[test]
    fn all_tables_of_a_cell_count_together() {
        let mut limiter = limiter(&Arc::new(MemoryBudget::new(0)), 0);
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 5, None).unwrap());
        assert_eq!(limiter.vitals.breached(), Some(Breach::Structure));
        assert!(limiter.table_growing(0, 4, None).unwrap());
    }
}
