//! Zombies: cells that hold a message, make no progress, and wait for nothing that could come.
//!
//! A message cannot enter a busy cell, so its pong is what its driver sees anyway: whether it was
//! polled since the last ping. One that was not is alive while it waits for something that was granted
//! and that comes within the message's own time: a request that it sent, a timer, bytes of its
//! client's body, or a client that reads. Told apart by counters that those waits keep themselves; a
//! ping costs a few loads a busy cell, once in the gene's interval, and a request nothing.
//!
//! Cells that take several messages at once are left to the wall clock of each message.

use std::sync::atomic::Ordering::Relaxed;

use cyte_organism::Nanos;

use super::Tissue;
use crate::error::Breach;

/// A cell that is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zombie {
    /// Its number.
    pub cell: u64,
    /// For how long nothing happened in it.
    pub silent: Nanos,
    /// What it did last, in words.
    pub last: String,
}

impl Tissue {
    /// Pings every cell that holds a message, once in the gene's interval; those that did not answer
    /// since the last ping, and wait for nothing.
    pub fn ping(&self, now: Nanos) -> Vec<Zombie> {
        let interval = self.limits().pong;
        if self.is_shared() || now.since(Nanos(self.pinged.load(Relaxed))) < interval {
            return Vec::new();
        }
        self.pinged.store(now.0, Relaxed);
        let until_head = self.limits().wall;
        let stuck = self.alive.iter().filter_map(|entry| {
            let vitals = entry.value();
            let silent = vitals.ping(now, interval, until_head)?;
            Some(Zombie { cell: vitals.birth.id.0, silent, last: vitals.last_deed() })
        });
        stuck.collect()
    }

    /// Ends a cell that is stuck, if it still lives.
    pub fn bury(&self, cell: u64) {
        let vitals = self.alive.get(&cell).map(|vitals| vitals.clone());
        if let Some(vitals) = vitals {
            vitals.condemn(Breach::Stuck);
        }
    }
}
