//! How many cells of a gene one host may have where their number is bounded for all hosts together.
//!
//! Every host has what it answers for, and an even part of what there may be beyond the least. All
//! come to the same parts from who lives, without a word about it, and the parts add up to the bound.
//! Hosts that do not see each other bound what each side has: nothing waits for the whole network.

use cyte_dna::GeneName;

use super::Colony;
use crate::Nanos;
use crate::phenotype::HostId;
use crate::wish::Count;

impl Colony {
    /// The most cells of `gene` that this host may have, where `count` holds for all hosts together;
    /// `None` where that has no upper end. Before a host has had time to hear of the others, all that
    /// it knows by name count as alive.
    #[must_use]
    pub fn ceiling(&self, now: Nanos, gene: &GeneName, count: Count) -> Option<u32> {
        let beyond = count.max?.saturating_sub(count.min);
        let is_early = now < self.settled_at();
        let living = self.members.living().map(|(host, _)| host);
        let mut others: Vec<HostId> = living.collect();
        if is_early {
            others.extend(&self.roster);
            others.sort_unstable();
            others.dedup();
        }
        let rank = others.iter().filter(|host| **host < self.me).count();
        // Not always the same hosts have the odd cells.
        let turn = gene.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_add(byte.into()));
        let part = part(beyond, rank.wrapping_add(turn), others.len() + 1);
        Some(self.share(gene).saturating_add(part))
    }
}

/// The part of the host at `place` of `all`, split evenly over `hosts`; places count round.
fn part(all: u32, place: usize, hosts: usize) -> u32 {
    let hosts = hosts.max(1);
    let (even, odd) = (all as usize / hosts, all as usize % hosts);
    u32::try_from(even + usize::from(place % hosts < odd)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_even_and_add_up(all in 0u32..10_000, turn in 0usize..1_000, hosts in 1usize..60) {
            let parts: Vec<u32> = (0..hosts).map(|rank| part(all, rank + turn, hosts)).collect();
            prop_assert_eq!(parts.iter().sum::<u32>(), all);
            prop_assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
