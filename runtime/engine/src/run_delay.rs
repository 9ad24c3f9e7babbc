//! How long what is ready to run waits for a thread: the sign that the cores are full.
//!
//! One task at a time is sent through the queue of the threads that poll guests and says when it was
//! polled. What counts is the least of the last few: one long wait is a scheduler's whim, a delay
//! that stands is a full machine.

use std::sync::{Arc, Mutex, PoisonError};

use cyte_organism::Nanos;
use tokio::runtime::Handle;

use crate::vitals::Clock;

/// So many probes in a row must have waited.
const PROBES: usize = 4;
/// Or one so long.
const LATE: Nanos = Nanos::from_millis(60);

#[derive(Debug, Default)]
struct Probes {
    /// When the one under way was sent.
    sent: Option<Nanos>,
    waits: [Nanos; PROBES],
    next: usize,
}

impl Probes {
    fn arrived(&mut self, wait: Nanos) {
        let at = self.next % PROBES;
        if let Some(place) = self.waits.get_mut(at) {
            *place = wait;
        }
        self.next = at + 1;
        self.sent = None;
    }
}

/// Measures the delay from woken to polled.
#[derive(Debug, Default)]
pub(crate) struct RunDelay {
    probes: Arc<Mutex<Probes>>,
}

impl RunDelay {
    /// The delay that stands now; sends the next probe where none is under way.
    pub(crate) fn look(&self, clock: Clock, threads: &Handle) -> Nanos {
        let now = clock.now();
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let least = probes.waits.iter().copied().min().unwrap_or_default();
        if let Some(sent) = probes.sent {
            // One that is late by itself says as much as all before it.
            let late = now.since(sent);
            return if late >= LATE { late } else { least };
        }
        probes.sent = Some(now);
        let shared = self.probes.clone();
        threads.spawn(async move {
            let wait = clock.now().since(now);
            shared.lock().unwrap_or_else(PoisonError::into_inner).arrived(wait);
        });
        least
    }
}
