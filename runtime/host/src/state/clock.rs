//! What time it is, and whether that may be believed when DNA is judged.
//!
//! Edge hosts lose their clocks. Whether the kernel holds the clock for synchronised (`adjtimex`)
//! cannot be read without unsafe code, so the mark that systemd's time service leaves stands for
//! it. Where another service keeps the time the clock counts as unsynchronised: a `not_before` in
//! its future is then not held against DNA, and it does not raise the host's time floor.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cyte_dna::Clock;

/// Left by systemd-timesyncd once the clock is synchronised; gone after a reboot.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// The wall clock as it stands, believed or not, in seconds since 1970. For logs and records.
pub fn wall_s() -> u64 {
    wall().as_secs()
}

/// The wall clock as it stands, believed or not, in milliseconds since 1970. For logs.
pub fn wall_ms() -> u64 {
    u64::try_from(wall().as_millis()).unwrap_or(u64::MAX)
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time by which DNA is judged.
pub fn judging() -> Clock {
    judging_by(Path::new(SYNCHRONISED), wall_s())
}

fn judging_by(mark: &Path, unix_s: u64) -> Clock {
    Clock { unix_s, synchronised: mark.exists() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mark_makes_a_clock_synchronised() {
        let lost = judging_by(Path::new("/nonexistent/mark"), 9);
        assert_eq!(lost, Clock { unix_s: 9, synchronised: false });
        assert!(judging_by(Path::new("/"), 9).synchronised);
    }
}
