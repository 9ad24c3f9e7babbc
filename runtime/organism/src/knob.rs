//! Limits that an operator changes while a host serves: their names, how their values are written, and
//! between which bounds they lie.
//!
//! A knob is a name and a number, nothing more. The machine and the DNA give the bounds ([`Span`]), whoever
//! turns it keeps the number and hands it to the part that obeys. How many cells a gene may have is a wish
//! ([`crate::wish`]) and no knob: there is one way to say that.

use std::fmt;

use cyte_dna::limits::{human_bytes, human_ms};
use cyte_dna::{Gene, GeneName, limits, parse_bytes, parse_ms};
use serde::Serialize;

/// One limit that can be changed live.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// Cells alive on the host, stems included.
    HostCells,
    /// Memory of all cells of the host, in bytes.
    HostMemory,
    /// Guest calls that are polled at once.
    PolledCalls,
    /// How long a request of this gene waits for a cell, in milliseconds.
    Wait(GeneName),
    /// How many requests of this gene wait at once.
    Waiters(GeneName),
    /// How many background requests of this gene are held back at once.
    Background(GeneName),
    /// How long each of them at most, in milliseconds.
    BackgroundWait(GeneName),
}

/// What a knob's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

impl Measure {
    /// The number that `text` means: `7`, `64MiB` or `250ms`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(self, text: &str) -> Result<u64, &'static str> {
        match self {
            Self::Count => text.parse().map_err(|_| "is not a whole number"),
            Self::Bytes => parse_bytes(text),
            Self::Milliseconds => parse_ms(text),
        }
    }

    /// The number as people write it.
    #[must_use]
    pub fn show(self, number: u64) -> String {
        match self {
            Self::Count => number.to_string(),
            Self::Bytes => human_bytes(number).replace(' ', ""),
            Self::Milliseconds => human_ms(number).replace(' ', ""),
        }
    }
}

impl Knob {
    /// The knob of this name: `cells-per-host`, `memory-of-all-cells`, `polled-calls`, `GENE.wait`,
    /// `GENE.waiters`, `GENE.background` or `GENE.background-wait`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cells-per-host" => Self::HostCells,
            "memory-of-all-cells" => Self::HostMemory,
            "polled-calls" => Self::PolledCalls,
            _ => {
                let (gene, what) = name.split_once('.')?;
                let gene = GeneName::new(gene).ok()?;
                match what {
                    "wait" => Self::Wait(gene),
                    "waiters" => Self::Waiters(gene),
                    "background" => Self::Background(gene),
                    "background-wait" => Self::BackgroundWait(gene),
                    _ => return None,
                }
            }
        })
    }

    /// What its number counts.
    #[must_use]
    pub fn measure(&self) -> Measure {
        match self {
            Self::HostCells | Self::PolledCalls | Self::Waiters(_) | Self::Background(_) => Measure::Count,
            Self::HostMemory => Measure::Bytes,
            Self::Wait(_) | Self::BackgroundWait(_) => Measure::Milliseconds,
        }
    }

    /// The gene whose limit it is; `None` where it is the host's.
    #[must_use]
    pub fn gene(&self) -> Option<&GeneName> {
        match self {
            Self::Wait(gene) | Self::Waiters(gene) | Self::Background(gene) | Self::BackgroundWait(gene) => {
                Some(gene)
            }
            Self::HostCells | Self::HostMemory | Self::PolledCalls => None,
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostCells => f.write_str("cells-per-host"),
            Self::HostMemory => f.write_str("memory-of-all-cells"),
            Self::PolledCalls => f.write_str("polled-calls"),
            Self::Wait(gene) => write!(f, "{gene}.wait"),
            Self::Waiters(gene) => write!(f, "{gene}.waiters"),
            Self::Background(gene) => write!(f, "{gene}.background"),
            Self::BackgroundWait(gene) => write!(f, "{gene}.background-wait"),
        }
    }
}

/// Between what a knob may be turned, and where it stands when nobody turns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// Where nobody says otherwise.
    pub default: u64,
    /// What the DNA says, where it says anything.
    pub dna: Option<u64>,
}

/// A value outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfSpan(pub Span);

impl Span {
    /// Of a limit of a gene. What its DNA says is the most: an operator chooses inside it. Where it says
    /// nothing, the ceiling of the table of limits holds.
    fn of_gene(dna: Option<u64>, ceiling: u64, default: u64) -> Self {
        Self { least: 0, most: dna.unwrap_or(ceiling), default, dna }
    }

    /// The bounds of [`Knob::Wait`] of `gene`.
    #[must_use]
    pub fn of_wait(gene: &Gene) -> Self {
        let (dna, default) = (gene.limits.wait_ms, gene.limits.wait_ms_or_default());
        Self::of_gene(dna, limits::WAIT_FOR_CAPACITY_MAX_MS, default)
    }

    /// The bounds of [`Knob::Waiters`] of `gene`.
    #[must_use]
    pub fn of_waiters(gene: &Gene) -> Self {
        let (dna, default) = (gene.limits.waiters, gene.limits.waiters_or_default());
        Self::of_gene(dna.map(u64::from), limits::WAITERS_PER_GENE_MAX.into(), default.into())
    }

    /// The bounds of [`Knob::Background`] of `gene`.
    #[must_use]
    pub fn of_background(gene: &Gene) -> Self {
        let (dna, default) = (gene.limits.background, gene.limits.background_or_default());
        Self::of_gene(dna.map(u64::from), limits::BACKGROUND_PER_GENE_MAX.into(), default.into())
    }

    /// The bounds of [`Knob::BackgroundWait`] of `gene`.
    #[must_use]
    pub fn of_background_wait(gene: &Gene) -> Self {
        let (dna, default) = (gene.limits.background_wait_ms, gene.limits.background_wait_ms_or_default());
        Self::of_gene(dna, limits::BACKGROUND_WAIT_MAX_MS, default)
    }

    /// `value`, if it lies inside.
    ///
    /// # Errors
    /// These bounds.
    pub fn judge(&self, value: u64) -> Result<u64, OutOfSpan> {
        if (self.least..=self.most).contains(&value) { Ok(value) } else { Err(OutOfSpan(*self)) }
    }

    /// The nearest value inside.
    #[must_use]
    pub fn nearest(&self, value: u64) -> u64 {
        value.min(self.most).max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use cyte_dna::{Blob, Role};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["cells-per-host", "memory-of-all-cells", "polled-calls"] {
            assert_eq!(Knob::parse(name).unwrap().to_string(), name);
        }
        for name in ["front.wait", "a-b.waiters", "front.background", "front.background-wait"] {
            assert_eq!(Knob::parse(name).unwrap().to_string(), name);
        }
        for bad in ["", "cells", "front.", ".wait", "Front.wait", "front.wait.x", "kept-warm", "front.cells"]
        {
            assert_eq!(Knob::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_are_written_as_in_dna() {
        assert_eq!(Measure::Bytes.parse("64MiB"), Ok(64 << 20));
        assert_eq!(Measure::Milliseconds.parse("2s"), Ok(2_000));
        assert_eq!(Measure::Count.parse("7"), Ok(7));
        for (measure, bad) in [
            (Measure::Bytes, "64"),
            (Measure::Milliseconds, "1"),
            (Measure::Count, "-1"),
            (Measure::Count, ""),
        ] {
            assert!(measure.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_dna_says_is_the_most_and_what_it_does_not_say_has_the_tables_ceiling() {
        let mut gene = Gene::new("front".parse().unwrap(), Role::Drone, Blob::of(b"x"));
        assert_eq!(Span::of_wait(&gene).most, limits::WAIT_FOR_CAPACITY_MAX_MS);
        assert_eq!(Span::of_wait(&gene).default, limits::WAIT_FOR_CAPACITY_MS);
        gene.limits.wait_ms = Some(250);
        gene.limits.waiters = Some(9);
        assert_eq!(Span::of_wait(&gene), Span { least: 0, most: 250, default: 250, dna: Some(250) });
        assert_eq!(Span::of_waiters(&gene).judge(9), Ok(9));
        assert_eq!(Span::of_waiters(&gene).judge(10), Err(OutOfSpan(Span::of_waiters(&gene))));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_and_the_nearest_is_inside(value in any::<u32>(), least in 0u64..99, more in 0u64..9_999) {
            for measure in [Measure::Count, Measure::Bytes, Measure::Milliseconds] {
                prop_assert_eq!(measure.parse(&measure.show(value.into())), Ok(value.into()));
            }
            let span = Span { least, most: least + more, default: least, dna: None };
            prop_assert_eq!(span.judge(span.nearest(value.into())), Ok(span.nearest(value.into())));
            prop_assert_eq!(span.judge(value.into()).is_ok(), span.nearest(value.into()) == u64::from(value));
        }
    }
}
