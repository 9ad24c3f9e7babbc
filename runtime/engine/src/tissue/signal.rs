//! The gene's own signal: what its cells report of their load.

use cyte_dna::limits;
use cyte_organism::Nanos;
use serde::Serialize;

use super::Tissue;

/// What a gene's signal says now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignalNow {
    /// As it was reported, without its fraction.
    pub amount: u64,
    /// The same in thousandths of one cell's load.
    pub millicells: u64,
}

impl Tissue {
    /// The newest report of a cell that lives, where it is young enough to count: one number for the
    /// whole gene. None where no report counts, or the DNA names no signal.
    pub fn signal(&self) -> Option<SignalNow> {
        let signal = self.gene().grants.signal.as_ref()?;
        let newest = self.alive.iter().filter_map(|entry| entry.value().reported()).max_by_key(|(_, at)| *at);
        let is_young = |at: Nanos| self.host.clock.now().since(at) < Nanos::from_millis(limits::SIGNAL_MS);
        let (amount, _) = newest.filter(|(_, at)| is_young(*at))?;
        // Both are bounded: the report by its host call, the weight by the manifest's check.
        let millicells = amount * 1e3 / f64::from(signal.per_cell.max(1));
        Some(SignalNow { amount: amount as u64, millicells: millicells as u64 })
    }
}
