//! What the front counted: every refusal and every limit that was hit, since the start.
//!
//! Plain relaxed atomics: a reader may see one counter a moment before another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::refusal::Refusal;

/// Counts one thing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of one gateway.
#[derive(Debug, Default)]
pub(crate) struct GatewayCounters {
    pub(crate) accepted: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) connection_cap_waits: Counter,
    pub(crate) closed: Counter,
    pub(crate) requests: Counter,
    pub(crate) answered: Counter,
    pub(crate) cut_off: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) first_request_late: Counter,
    pub(crate) head_late: Counter,
    pub(crate) head_too_large: Counter,
    pub(crate) malformed: Counter,
    pub(crate) idle_closed: Counter,
    pub(crate) body_stalled: Counter,
    pub(crate) write_stalled: Counter,
    pub(crate) dropped_at_drain: Counter,
    refusals: [Counter; Refusal::ALL.len()],
}

impl GatewayCounters {
    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(counter) = self.refusals.get(refusal.index()) {
            counter.one();
        }
    }

    /// The counters now.
    #[must_use]
    pub(crate) fn snapshot(&self) -> CountersSnapshot {
        let refusals = Refusal::ALL.iter().zip(&self.refusals);
        CountersSnapshot {
            accepted: self.accepted.get(),
            open: self.accepted.get().saturating_sub(self.closed.get()),
            accept_errors: self.accept_errors.get(),
            connection_cap_waits: self.connection_cap_waits.get(),
            requests: self.requests.get(),
            answered: self.answered.get(),
            cut_off: self.cut_off.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            first_request_late: self.first_request_late.get(),
            head_late: self.head_late.get(),
            head_too_large: self.head_too_large.get(),
            malformed: self.malformed.get(),
            idle_closed: self.idle_closed.get(),
            body_stalled: self.body_stalled.get(),
            write_stalled: self.write_stalled.get(),
            dropped_at_drain: self.dropped_at_drain.get(),
            refusals: refusals.map(|(refusal, count)| (refusal.code(), count.get())).collect(),
        }
    }
}

/// The counters at one moment. All count from the start of the process except `open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountersSnapshot {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Errors of accept that were not the client's (for example no descriptors left).
    pub accept_errors: u64,
    /// Times that the listener had to wait because the cap of connections was reached.
    pub connection_cap_waits: u64,
    /// Requests whose head was read, refused ones included.
    pub requests: u64,
    /// Responses of genes sent to their end.
    pub answered: u64,
    /// Responses of genes that ended early: the client went away, or the body failed.
    pub cut_off: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// Connections closed because no request came in time.
    pub first_request_late: u64,
    /// Connections closed because a later request head did not end in time.
    pub head_late: u64,
    /// Request heads larger than the limit (answered 431 or 414).
    pub head_too_large: u64,
    /// Connections closed because of bytes that are not HTTP (mostly answered 400).
    pub malformed: u64,
    /// Connections closed because they were idle.
    pub idle_closed: u64,
    /// Request bodies that stopped arriving.
    pub body_stalled: u64,
    /// Connections or streams dropped because the client stopped reading.
    pub write_stalled: u64,
    /// Connections dropped because they did not end within the drain.
    pub dropped_at_drain: u64,
    /// Refusals by their stable code.
    pub refusals: BTreeMap<&'static str, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_under_its_code() {
        let counters = GatewayCounters::default();
        counters.refused(Refusal::NoRoute);
        counters.refused(Refusal::Saturated { retry_after_s: 9 });
        counters.refused(Refusal::Saturated { retry_after_s: 1 });
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.refusals["no-route"], 1);
        assert_eq!(snapshot.refusals["saturated"], 2);
        assert_eq!(snapshot.refusals.values().sum::<u64>(), 3);
        assert_eq!(snapshot.refusals.len(), Refusal::ALL.len());
    }
}
