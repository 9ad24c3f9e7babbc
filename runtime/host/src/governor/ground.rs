//! What all tissues of a host share, as the governor sees and moves it: stems, room, cores.

use std::sync::Arc;

use cyte_engine::Genome;
use cyte_organism::Nanos;
use cyte_organism::law::HostSample;
use rustix::time::{ClockId, clock_gettime};

use crate::machine::RESTING_BYTES;

/// What the tissues of a host stand on.
pub trait Ground: Send {
    /// What there is now, and what was used since the last look.
    fn look(&mut self, now: Nanos) -> HostSample;
    /// Memory of all cells, and what of it they may use, in bytes.
    fn memory(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Makes up to `count` stems.
    fn make_stems(&self, count: u32);
    /// Gives up to `count` stems back.
    fn dissolve_stems(&self, count: u32);
}

/// A host's own.
pub struct Soil {
    genome: Arc<Genome>,
    cores: u32,
    looked: Nanos,
    used: Nanos,
}

impl std::fmt::Debug for Soil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Soil").field("cores", &self.cores).finish_non_exhaustive()
    }
}

impl Soil {
    /// The ground of `genome`'s tissues, on so many cores.
    pub fn new(genome: Arc<Genome>, cores: usize) -> Self {
        let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
        Self { genome, cores, looked: Nanos(0), used: process_cpu() }
    }

    /// The share of the cores' time that this process used since the last look, in thousandths.
    fn busy_permille(&mut self, now: Nanos) -> u32 {
        let used = process_cpu();
        let spent = used.since(self.used).0;
        let had = now.since(self.looked).0.saturating_mul(self.cores.into());
        (self.looked, self.used) = (now, used);
        let share = u128::from(spent) * 1_000 / u128::from(had.max(1));
        u32::try_from(share).unwrap_or(1_000).min(1_000)
    }
}

impl Ground for Soil {
    fn look(&mut self, now: Nanos) -> HostSample {
        HostSample {
            stems: self.genome.stems(),
            room: self.genome.room(),
            run_delay: self.genome.run_delay(),
            busy_permille: self.busy_permille(now),
            cores: self.cores,
            warm_mib: (RESTING_BYTES >> 20) as u32,
        }
    }

    fn memory(&self) -> (u64, u64) {
        let usage = self.genome.usage();
        (usage.memory_bytes, usage.memory_max_bytes)
    }

    fn make_stems(&self, count: u32) {
        self.genome.make_stems(count);
    }

    fn dissolve_stems(&self, count: u32) {
        self.genome.dissolve_stems(count);
    }
}

/// CPU that this process has used: what the gateway does for cells counts as theirs.
fn process_cpu() -> Nanos {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u64::try_from(spent.tv_nsec));
    Nanos(seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0)))
}
