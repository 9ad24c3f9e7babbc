//! Memory that rests above what may stay warm.
//!
//! A surplus is kept for a while because the next wave may want it, and what it costs is memory. Where that is
//! much, it is kept for less: what a burst filled comes back in seconds.

use super::{ClassSample, HostSample};
use crate::constants::HASTE_MAX;

/// What rests on a host, against what may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Glut {
    /// How many times more than may rest there is, above 1.
    excess: f64,
    resting_mib: u32,
}

impl Glut {
    pub(super) fn of(host: HostSample, samples: &[ClassSample<'_>]) -> Self {
        let resting_mib = samples.iter().fold(0u32, |sum, sample| sum.saturating_add(sample.resting_mib));
        let warm = f64::from(host.warm_mib);
        let excess =
            if warm > 0.0 { (f64::from(resting_mib) / warm - 1.0).clamp(0.0, HASTE_MAX) } else { 0.0 };
        Self { excess, resting_mib }
    }

    /// The part of the excess that is this class's: nothing where it holds nothing.
    pub(super) fn part(self, sample: &ClassSample<'_>) -> f64 {
        self.excess * f64::from(sample.resting_mib) / f64::from(self.resting_mib.max(1))
    }
}
