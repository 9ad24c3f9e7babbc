//! Which numbers of a host were seen, in bounded memory.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How many records of its host a record may come late. What is later counts as lost.
pub const WINDOW: u64 = 1_024;

/// Numbers seen: all up to a mark, and single ones above it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Everything up to here was seen or counts as lost.
    settled: u64,
    /// What was seen above; at most [`WINDOW`].
    above: BTreeSet<u64>,
}

impl Seen {
    /// Notes `number`. False when it has been seen or counts as lost: then it must have no effect.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if number <= self.settled || !self.above.insert(number) {
            return false;
        }
        let newest = self.above.last().copied().unwrap_or(number);
        self.settled = self.settled.max(newest.saturating_sub(WINDOW));
        if self.above.first().is_some_and(|first| *first <= self.settled) {
            self.above = self.above.split_off(&(self.settled.saturating_add(1)));
        }
        while self.settled.checked_add(1).is_some_and(|next| self.above.remove(&next)) {
            self.settled += 1;
        }
        true
    }

    /// Nothing up to this number can come any more.
    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }
}
