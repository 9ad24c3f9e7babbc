//! Waiting until something is true.

use std::time::{Duration, Instant};

/// How long anything may take on a busy machine with two cores before the test gives up.
pub const LONG: Duration = Duration::from_secs(120);
/// How long an answer may take from a host that runs.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks `look` until it gives something; panics with `what` when that takes longer than [`SOON`].
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// As [`until`], with a deadline of its own.
#[track_caller]
pub fn within<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
