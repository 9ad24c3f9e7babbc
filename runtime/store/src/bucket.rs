//! Stretches of time of the phenotype store: when one is full, when one has expired.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::phenotype::Retention;

/// A bucket is full at this share of all bytes, whatever its age: so that there are always old ones
/// to drop.
const SHARES: u64 = 16;

/// One stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// The number of its first event.
    pub(crate) first: u64,
    /// When it began, in milliseconds since 1970.
    pub(crate) from_ms: u64,
    /// When its last commit was.
    pub(crate) to_ms: u64,
    /// Bytes of its events.
    pub(crate) bytes: u64,
}

/// All of them, oldest first; the last one is being filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Buckets(VecDeque<Bucket>);

impl Buckets {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Bucket> {
        self.0.iter()
    }

    pub(crate) fn push(&mut self, bucket: Bucket) {
        self.0.push_back(bucket);
    }

    /// Adds events, the first of them `first`, to the bucket that is being filled.
    pub(crate) fn grow(&mut self, first: u64, now_ms: u64, bytes: u64) {
        if self.0.is_empty() {
            self.begin(first, now_ms);
        }
        if let Some(last) = self.0.back_mut() {
            // The clock may have been set back; a bucket never ends before it began.
            last.to_ms = last.to_ms.max(now_ms);
            last.bytes = last.bytes.saturating_add(bytes);
        }
    }

    pub(crate) fn begin(&mut self, first: u64, now_ms: u64) {
        self.0.push_back(Bucket { first, from_ms: now_ms, to_ms: now_ms, bytes: 0 });
    }

    pub(crate) fn is_full(&self, now_ms: u64, retention: &Retention) -> bool {
        self.0.back().is_some_and(|last| {
            now_ms.saturating_sub(last.from_ms) >= retention.bucket_ms
                || last.bytes >= retention.bytes / SHARES
        })
    }

    /// Drops the buckets that are too old or too many; never the one that is being filled. Says
    /// whether any went.
    pub(crate) fn expire(&mut self, now_ms: u64, retention: &Retention) -> bool {
        let before = self.0.len();
        let mut bytes: u64 = self.0.iter().fold(0, |sum, bucket| sum.saturating_add(bucket.bytes));
        while self.0.len() > 1
            && let Some(first) = self.0.front()
            && (bytes > retention.bytes || now_ms.saturating_sub(first.to_ms) > retention.age_ms)
        {
            bytes = bytes.saturating_sub(first.bytes);
            self.0.pop_front();
        }
        self.0.len() < before
    }

    /// The number before the first event that can be of `at_ms` or later. An event is committed
    /// after it happened, so that a bucket which ended before holds none.
    pub(crate) fn before(&self, at_ms: u64) -> u64 {
        let first = self.0.iter().find(|bucket| bucket.to_ms >= at_ms).map_or(u64::MAX, |b| b.first);
        // Without one, only what waits can be.
        let last = self.0.back().map_or(1, |bucket| bucket.first);
        first.min(last).saturating_sub(1)
    }
}
