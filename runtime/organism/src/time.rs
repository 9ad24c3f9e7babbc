//! Time as a number that is handed in.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since the host started. Monotonic; the caller reads the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// This span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The span from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// The part of a difference that an average with `half_life` makes up in `elapsed`.
pub(crate) fn part(elapsed: Nanos, half_life: Nanos) -> f64 {
    1.0 - libm::exp2(-(elapsed.0 as f64) / half_life.0.max(1) as f64)
}

impl From<Duration> for Nanos {
    /// The same span; more than there is time for becomes all of it.
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Add for Nanos {
    type Output = Self;

    /// Adds two spans; stays at the end of time instead of wrapping.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    /// Same as [`Nanos::since`].
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}
