//! How the organism as a whole is to live: pool, hormones, inspection, votes.
//!
//! Numbers only, in whole units (thousandths where a fraction is meant), so that equal DNA has
//! equal bytes and the same law on every machine. A value out of its range is refused when DNA
//! is loaded. New fields come with a new format number of the bundle.

use serde::{Deserialize, Serialize};

use crate::manifest::ManifestError;

/// The policy of an organism.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether it grows its stems before the first request; else it starts as an egg.
    pub awake: bool,
    /// Stem cells.
    pub pool: PoolPolicy,
    /// Growth and death.
    pub hormones: HormonePolicy,
    /// What B cells see.
    pub immunity: ImmunePolicy,
    /// How cells judge each other.
    pub votes: VotePolicy,
}

/// Stem cells kept waiting on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPolicy {
    /// At least so many stems.
    pub stems_min: u32,
    /// At most so many stems.
    pub stems_max: u32,
    /// Stems for each living cell, in thousandths, between the two bounds.
    pub stems_per_cell_permille: u32,
    /// At most so many new stems a tick.
    pub refill_per_tick: u32,
}

impl Default for PoolPolicy {
    fn default() -> Self {
        PoolPolicy { stems_min: 16, stems_max: 48, stems_per_cell_permille: 1_000, refill_per_tick: 16 }
    }
}

/// Constants of the hormone law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HormonePolicy {
    /// Time between two runs of the law, in milliseconds.
    pub tick_ms: u32,
    /// Least time between two runs that a waiting request caused, in milliseconds.
    pub reflex_gap_ms: u32,
    /// What is left of a hormone after one edge of the family tree, in thousandths.
    pub attenuation_permille: u32,
    /// The strongest hormone one cell can report above 1, in thousandths.
    pub report_max_permille: u32,
    /// Share of the felt deficit that is made up for in one tick, in thousandths.
    pub gain_permille: u32,
    /// No growth below this felt deficit, in thousandths.
    pub grow_above_permille: u32,
    /// No voluntary death below this felt surplus, in thousandths.
    pub die_above_permille: u32,
    /// `beta` of the wanted utilisation 1 / (1 + beta / sqrt(slots)), in thousandths: room that a small class keeps free.
    pub headroom_permille: u32,
    /// Highest wanted utilisation, in thousandths.
    pub utilisation_max_permille: u32,
    /// Half-life of the average by which load is felt for growth, in milliseconds.
    pub feel_fast_ms: u32,
    /// Half-life of the average by which load is felt for death, in milliseconds.
    pub feel_slow_ms: u32,
    /// Time constant of voluntary death, in milliseconds.
    pub death_ms: u32,
    /// No voluntary death of a cell younger than this, in milliseconds.
    pub min_age_ms: u32,
    /// Voluntary deaths a tick at most, in thousandths of a class.
    pub deaths_per_tick_permille: u32,
    /// Births a tick at most.
    pub births_per_tick: u32,
    /// Births for each cell that retires, in thousandths, counted over 100 events.
    pub renewal_permille: u32,
}

impl Default for HormonePolicy {
    fn default() -> Self {
        HormonePolicy {
            tick_ms: 20,
            reflex_gap_ms: 2,
            attenuation_permille: 900,
            report_max_permille: 1_000,
            gain_permille: 1_000,
            grow_above_permille: 100,
            die_above_permille: 100,
            headroom_permille: 500,
            utilisation_max_permille: 970,
            feel_fast_ms: 100,
            feel_slow_ms: 3_000,
            death_ms: 3_000,
            min_age_ms: 1_000,
            deaths_per_tick_permille: 100,
            births_per_tick: 64,
            renewal_permille: 1_000,
        }
    }
}

/// How much of a request B cells see before a drone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImmunePolicy {
    /// Bytes of body waited for at most.
    pub peek_bytes: u32,
    /// Time waited for them at most, in milliseconds.
    pub peek_ms: u32,
    /// Forms and JSON above this are refused, in bytes, where a B cell inspects them.
    pub oversize_bytes: u64,
}

impl Default for ImmunePolicy {
    fn default() -> Self {
        ImmunePolicy { peek_bytes: 16 * 1024, peek_ms: 5, oversize_bytes: 1024 * 1024 }
    }
}

/// How cells of a class judge one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VotePolicy {
    /// Cells drawn to judge; odd, so that there is a majority.
    pub electorate: u32,
    /// A draw stays for this long, in seconds.
    pub epoch_s: u32,
    /// A vote later than this counts as "keep", in milliseconds.
    pub late_ms: u32,
    /// Cells of a class that votes may end within ten seconds, in thousandths.
    pub kills_permille: u32,
}

impl Default for VotePolicy {
    fn default() -> Self {
        VotePolicy { electorate: 5, epoch_s: 60, late_ms: 2_000, kills_permille: 100 }
    }
}

/// A number of the policy with its allowed range.
type Row = (&'static str, u64, u64, u64);

impl Policy {
    /// Every value within its range.
    ///
    /// # Errors
    /// [`ManifestError::OutOfRange`] for the first that is not.
    pub fn check(&self) -> Result<(), ManifestError> {
        let rows = self.pool.rows().into_iter().chain(self.hormones.rows());
        let rows = rows.chain(self.immunity.rows()).chain(self.votes.rows());
        for (what, found, min, max) in rows {
            if !(min..=max).contains(&found) {
                return Err(ManifestError::OutOfRange { what, gene: None, found, min, max });
            }
        }
        if self.votes.electorate.is_multiple_of(2) {
            return Err(ManifestError::Invalid {
                what: "policy votes.electorate",
                gene: None,
                reason: "it must be odd, so that there is a majority",
            });
        }
        Ok(())
    }
}

impl PoolPolicy {
    /// Their names, as `dna.toml` writes them.
    pub(crate) const NAMES: [&'static str; 4] =
        ["stems_min", "stems_max", "stems_per_cell_permille", "refill_per_tick"];

    /// The number of this name.
    pub(crate) fn number_mut(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "stems_min" => &mut self.stems_min,
            "stems_max" => &mut self.stems_max,
            "stems_per_cell_permille" => &mut self.stems_per_cell_permille,
            "refill_per_tick" => &mut self.refill_per_tick,
            _ => return None,
        })
    }

    fn rows(&self) -> [Row; 4] {
        [
            ("policy pool.stems_min", self.stems_min.into(), 0, self.stems_max.into()),
            ("policy pool.stems_max", self.stems_max.into(), 0, 1_000_000),
            ("policy pool.stems_per_cell_permille", self.stems_per_cell_permille.into(), 0, 10_000),
            ("policy pool.refill_per_tick", self.refill_per_tick.into(), 1, 100_000),
        ]
    }
}

impl HormonePolicy {
    /// Their names, as `dna.toml` writes them.
    pub(crate) const NAMES: [&'static str; 16] = [
        "tick_ms",
        "reflex_gap_ms",
        "attenuation_permille",
        "report_max_permille",
        "gain_permille",
        "grow_above_permille",
        "die_above_permille",
        "headroom_permille",
        "utilisation_max_permille",
        "feel_fast_ms",
        "feel_slow_ms",
        "death_ms",
        "min_age_ms",
        "deaths_per_tick_permille",
        "births_per_tick",
        "renewal_permille",
    ];

    /// The number of this name.
    pub(crate) fn number_mut(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "tick_ms" => &mut self.tick_ms,
            "reflex_gap_ms" => &mut self.reflex_gap_ms,
            "attenuation_permille" => &mut self.attenuation_permille,
            "report_max_permille" => &mut self.report_max_permille,
            "gain_permille" => &mut self.gain_permille,
            "grow_above_permille" => &mut self.grow_above_permille,
            "die_above_permille" => &mut self.die_above_permille,
            "headroom_permille" => &mut self.headroom_permille,
            "utilisation_max_permille" => &mut self.utilisation_max_permille,
            "feel_fast_ms" => &mut self.feel_fast_ms,
            "feel_slow_ms" => &mut self.feel_slow_ms,
            "death_ms" => &mut self.death_ms,
            "min_age_ms" => &mut self.min_age_ms,
            "deaths_per_tick_permille" => &mut self.deaths_per_tick_permille,
            "births_per_tick" => &mut self.births_per_tick,
            "renewal_permille" => &mut self.renewal_permille,
            _ => return None,
        })
    }

    fn rows(&self) -> [Row; 16] {
        [
            ("policy hormones.tick_ms", self.tick_ms.into(), 5, 500),
            ("policy hormones.reflex_gap_ms", self.reflex_gap_ms.into(), 1, 500),
            ("policy hormones.attenuation_permille", self.attenuation_permille.into(), 500, 1_000),
            ("policy hormones.report_max_permille", self.report_max_permille.into(), 500, 4_000),
            ("policy hormones.gain_permille", self.gain_permille.into(), 250, 1_000),
            ("policy hormones.grow_above_permille", self.grow_above_permille.into(), 0, 1_000),
            ("policy hormones.die_above_permille", self.die_above_permille.into(), 0, 1_000),
            ("policy hormones.headroom_permille", self.headroom_permille.into(), 0, 3_000),
            ("policy hormones.utilisation_max_permille", self.utilisation_max_permille.into(), 100, 1_000),
            ("policy hormones.feel_fast_ms", self.feel_fast_ms.into(), 5, 60_000),
            ("policy hormones.feel_slow_ms", self.feel_slow_ms.into(), self.feel_fast_ms.into(), 3_600_000),
            ("policy hormones.death_ms", self.death_ms.into(), 100, 3_600_000),
            ("policy hormones.min_age_ms", self.min_age_ms.into(), 0, 3_600_000),
            ("policy hormones.deaths_per_tick_permille", self.deaths_per_tick_permille.into(), 1, 1_000),
            ("policy hormones.births_per_tick", self.births_per_tick.into(), 1, 100_000),
            ("policy hormones.renewal_permille", self.renewal_permille.into(), 500, 2_000),
        ]
    }
}

impl ImmunePolicy {
    fn rows(&self) -> [Row; 3] {
        [
            ("policy immunity.peek_bytes", self.peek_bytes.into(), 0, 16 * 1024),
            ("policy immunity.peek_ms", self.peek_ms.into(), 0, 1_000),
            ("policy immunity.oversize_bytes", self.oversize_bytes, 0, 1 << 40),
        ]
    }
}

impl VotePolicy {
    fn rows(&self) -> [Row; 4] {
        [
            ("policy votes.electorate", self.electorate.into(), 3, 31),
            ("policy votes.epoch_s", self.epoch_s.into(), 1, 3_600),
            ("policy votes.late_ms", self.late_ms.into(), 1, 60_000),
            ("policy votes.kills_permille", self.kills_permille.into(), 1, 1_000),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range() {
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn values_out_of_range_and_min_above_max_are_refused() {
        let mut policy = Policy::default();
        policy.pool.stems_min = 49;
        assert!(policy.check().unwrap_err().to_string().contains("pool.stems_min"));
        let mut policy = Policy::default();
        policy.hormones.tick_ms = 4;
        assert!(policy.check().unwrap_err().to_string().contains("hormones.tick_ms"));
        let mut policy = Policy::default();
        policy.votes.electorate = 4;
        assert!(policy.check().unwrap_err().to_string().contains("odd"));
    }
}
