//! What the machine allows, and what follows from it for cells.
//!
//! A pool of cells costs the kernel memory maps; running out of them ends the process in an abort,
//! so the number of cells is worked out beforehand and held by one counter.

use std::path::{Path, PathBuf};

use cyte_dna::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Slots that an engine's pool starts with.
pub const SLOTS: u32 = 1_024;
/// The part of what stays warm that cells may hold at rest, in bytes; more of it and a surplus dies sooner.
/// The rest are pages of cells that ended.
pub const RESTING_BYTES: u64 = limits::KEPT_WARM_BYTES / 4;
/// Memory maps that the process needs beside its cells.
const MAPS_BASE: u64 = 1_500;
/// Memory maps of one gene's code.
const MAPS_PER_GENE: u64 = 4;
/// Memory maps of one slot of a pool, and of one live cell.
const MAPS_PER_SLOT: u64 = 2;
const MAPS_PER_CELL: u64 = 4;
/// Memory of one cell that counts against half of the machine's, in bytes.
const CELL_BYTES: u64 = 128 * 1024;
/// The kernel's default of `vm.max_map_count`, where it cannot be read.
const MAPS_DEFAULT: u64 = 65_530;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory that this process may use, in bytes: its control group's limit or the machine's.
    pub memory_bytes: u64,
    /// Memory maps that one process may have.
    pub maps: u64,
    /// File descriptors that this process may have.
    pub descriptors: u64,
}

/// How many cells may live, and what they may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// Slots of each engine's pool.
    pub slots: u32,
    /// Cells alive at once over all genes.
    pub cells_max: u32,
    /// Memory of all cells, in bytes.
    pub memory_max: u64,
    /// Memory that one engine may keep warm, in bytes.
    pub warm_bytes: u64,
}

impl Machine {
    /// Looks at the machine, and raises this process's own bound on file descriptors as far as it
    /// may.
    pub fn look() -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory(&read),
            maps: read(Path::new("/proc/sys/vm/max_map_count"))
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(MAPS_DEFAULT),
            descriptors: raise_descriptors(),
        }
    }

    /// What one of `hosts` that share this machine may use. The maps are not shared out: how many
    /// cells each may have is said to it.
    #[must_use]
    pub fn share(self, hosts: u32) -> Self {
        let hosts = u64::from(hosts.max(1));
        let (memory_bytes, descriptors) = (self.memory_bytes / hosts, self.descriptors / hosts);
        Self { memory_bytes, descriptors, ..self }
    }

    /// The plan for `genes` genes on `engines` engines; `cells` is what an operator asked for.
    pub fn plan(&self, genes: usize, engines: u32, cells: Option<u32>) -> Plan {
        let engines = u64::from(engines.clamp(1, 2));
        let maps = self.maps.saturating_sub(MAPS_BASE + MAPS_PER_GENE * genes as u64) / 10 * 9;
        let memory_max = self.memory_bytes / 2;
        let wanted = u64::from(cells.unwrap_or(SLOTS));
        let by_memory = memory_max / CELL_BYTES;
        // Slots and live cells of the same number, in every engine.
        let by_maps = maps / (MAPS_PER_SLOT * engines + MAPS_PER_CELL);
        let cells_max = wanted.min(by_memory).min(by_maps).max(1);
        let cells_max = u32::try_from(cells_max).unwrap_or(u32::MAX);
        let warm_bytes = (limits::KEPT_WARM_BYTES - RESTING_BYTES) / engines;
        Plan { slots: cells_max, cells_max, memory_max, warm_bytes }
    }
}

/// The smallest limit of the control groups that we are in, or the machine's memory.
fn memory(read: &dyn Fn(&Path) -> Option<String>) -> u64 {
    let total = read(Path::new("/proc/meminfo")).and_then(|text| mem_total(&text));
    let group = read(Path::new("/proc/self/cgroup")).and_then(|text| {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
        group_limit(&path, read)
    });
    let old = read(Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .and_then(|text| text.trim().parse::<u64>().ok());
    [total, group, old].into_iter().flatten().min().unwrap_or(limits::GIB)
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

fn group_limit(path: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let full = root.join(path.trim_start_matches('/'));
    full.ancestors()
        .take_while(|folder| folder.starts_with(&root))
        .filter_map(|folder| read(&folder.join("memory.max"))?.trim().parse().ok())
        .min()
}

/// Raises the soft bound to the hard one; says how many descriptors there may be.
fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if current != maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine =
        Machine { cores: 2, memory_bytes: 24 << 30, maps: MAPS_DEFAULT, descriptors: 1_024 };

    #[test]
    fn a_default_kernel_has_room_for_the_default_and_bounds_what_is_asked() {
        assert_eq!(MACHINE.plan(1, 1, None).cells_max, SLOTS);
        assert_eq!(MACHINE.plan(1, 1, Some(1_000_000)).cells_max, 9_603);
        assert_eq!(MACHINE.plan(1, 2, Some(1_000_000)).cells_max, 7_202);
        assert_eq!(MACHINE.plan(100_000, 2, None).cells_max, 1, "never none at all");
    }

    #[test]
    fn what_stays_warm_is_one_budget_for_all_engines() {
        let warm = |engines: u32| MACHINE.plan(1, engines, None).warm_bytes * u64::from(engines);
        assert_eq!(warm(1) + RESTING_BYTES, limits::KEPT_WARM_BYTES);
        assert_eq!(warm(2), warm(1));
    }

    #[test]
    fn small_memory_means_few_cells() {
        let small = Machine { memory_bytes: 64 << 20, ..MACHINE };
        let plan = small.plan(1, 1, None);
        assert_eq!((plan.cells_max, plan.memory_max), (256, 32 << 20));
    }

    #[test]
    fn the_smallest_limit_of_the_groups_counts() {
        let read = |path: &Path| match path.to_str()? {
            "/proc/meminfo" => Some("MemTotal:       2048 kB\n".to_owned()),
            "/proc/self/cgroup" => Some("0::/a/b\n".to_owned()),
            "/sys/fs/cgroup/a/b/memory.max" => Some("max\n".to_owned()),
            "/sys/fs/cgroup/a/memory.max" => Some("1048576\n".to_owned()),
            _ => None,
        };
        assert_eq!(memory(&read), 1 << 20);
        assert_eq!(memory(&|_| None), limits::GIB);
        assert_eq!(mem_total("MemTotal:       2048 kB\n"), Some(2 << 20));
    }
}
