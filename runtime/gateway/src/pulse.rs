//! What one connection is doing, seen from outside of hyper: shared by the I/O wrapper, the
//! service and the watch over deadlines, which all live in one task.
//!
//! Only relaxed atomics, written by that task (with HTTP/2 also by the tasks of its streams):
//! on the fast path each is an uncontended add.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use futures_util::task::AtomicWaker;

/// The facts. See the methods.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    requests: AtomicU64,
    open: AtomicU32,
    head_begun: AtomicBool,
    linger: AtomicBool,
    stalled: AtomicBool,
    taken: AtomicU64,
    waker: AtomicWaker,
}

impl Pulse {
    /// Bytes came in. Outside of a request they are the beginning of a head.
    pub(crate) fn read(&self) {
        if self.open.load(Relaxed) == 0 {
            self.head_begun.store(true, Relaxed);
        }
    }

    /// The client took bytes.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Relaxed);
    }

    /// A head is complete; the request is open until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> OpenRequest {
        self.head_begun.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenRequest { pulse: Arc::clone(self) }
    }

    /// Whether any request came yet.
    pub(crate) fn has_served(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Whether a request is open.
    pub(crate) fn is_busy(&self) -> bool {
        self.open.load(Relaxed) > 0
    }

    /// Whether a head began that is not complete.
    pub(crate) fn is_in_head(&self) -> bool {
        self.head_begun.load(Relaxed)
    }

    /// Requests so far, and bytes that the client took so far.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.taken.load(Relaxed))
    }

    /// A request was refused with its body unread: closing must wait a little for the client
    /// to read the refusal.
    pub(crate) fn ask_to_linger(&self) {
        self.linger.store(true, Relaxed);
    }

    /// Whether closing must wait.
    pub(crate) fn must_linger(&self) -> bool {
        self.linger.load(Relaxed)
    }

    /// The client took nothing for too long.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// Whether that is how the connection ended.
    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// The connection's task, for [`crate::drain::Drain`].
    pub(crate) fn waker(&self) -> &AtomicWaker {
        &self.waker
    }
}

/// An open request; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pulse: Arc<Pulse>,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.pulse.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_begins_with_bytes_outside_of_a_request_and_ends_with_the_request() {
        let pulse = Arc::new(Pulse::default());
        assert!(!pulse.is_in_head() && !pulse.has_served());
        pulse.read();
        assert!(pulse.is_in_head());
        let open = pulse.begin();
        assert!(pulse.is_busy() && pulse.has_served() && !pulse.is_in_head());
        pulse.read();
        assert!(!pulse.is_in_head(), "these bytes are its body");
        drop(open);
        assert!(!pulse.is_busy());
    }
}
