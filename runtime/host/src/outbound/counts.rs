//! What outbound requests ran into, since the host started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cyte_engine::capability::http::{OutboundError, Withheld};

/// The counters of one client.
#[derive(Debug, Default)]
pub(super) struct Counts {
    denied: AtomicU64,
    private_denied: AtomicU64,
    concurrency: AtomicU64,
    connect_late: AtomicU64,
    head_late: AtomicU64,
    idle_late: AtomicU64,
    kept_dropped: AtomicU64,
}

/// The counters at one moment; each only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundCounts {
    /// Requests that the DNA of their gene does not grant.
    pub denied: u64,
    /// Requests whose name led to addresses that are not for genes.
    pub private_denied: u64,
    /// Requests that waited for others of their cell.
    pub concurrency: u64,
    /// Requests without a connection in time.
    pub connect_late: u64,
    /// Requests without a response head in time.
    pub head_late: u64,
    /// Response bodies that stopped.
    pub idle_late: u64,
    /// Unused connections that were not kept because there were enough.
    pub kept_dropped: u64,
}

impl Counts {
    pub(super) fn withheld(&self, why: Withheld) {
        let counter = match why {
            Withheld::NotGranted => &self.denied,
            Withheld::TooMany => &self.concurrency,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// A request that was not delivered.
    pub(super) fn undelivered(&self, error: &OutboundError) {
        let counter = match error {
            OutboundError::Denied(_) => &self.private_denied,
            OutboundError::ConnectTimeout => &self.connect_late,
            OutboundError::HeadTimeout => &self.head_late,
            _ => return,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn idle(&self) {
        self.idle_late.fetch_add(1, Relaxed);
    }

    pub(super) fn not_kept(&self) {
        self.kept_dropped.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> OutboundCounts {
        OutboundCounts {
            denied: self.denied.load(Relaxed),
            private_denied: self.private_denied.load(Relaxed),
            concurrency: self.concurrency.load(Relaxed),
            connect_late: self.connect_late.load(Relaxed),
            head_late: self.head_late.load(Relaxed),
            idle_late: self.idle_late.load(Relaxed),
            kept_dropped: self.kept_dropped.load(Relaxed),
        }
    }
}
