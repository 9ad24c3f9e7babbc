//! A bounded, numbered memory of the newest entries that many readers can follow.
//!
//! Writers never wait: when the ring is full the oldest entry goes. A reader says which number it
//! has seen last and gets what came after, together with how many it missed.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::watch;

/// The newest entries, numbered from 1 without gaps.
#[derive(Debug)]
pub struct Ring<T> {
    entries: Mutex<VecDeque<T>>,
    capacity: usize,
    newest: watch::Sender<u64>,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries with their numbers, oldest first.
    pub entries: Vec<(u64, T)>,
    /// How many entries between the reader's last one and the first of these are gone.
    pub missed: u64,
    /// The number to ask after next.
    pub last: u64,
}

impl<T: Clone> Ring<T> {
    /// A ring of at most `capacity` entries, and at least one.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        // The entries come when they come; an idle host pays for none.
        Self { entries: Mutex::new(VecDeque::new()), capacity, newest: watch::Sender::new(0) }
    }

    /// Adds what `make` gives for the next number, and tells followers. Returns the number.
    pub fn push_with(&self, make: impl FnOnce(u64) -> T) -> u64 {
        let mut entries = self.lock();
        let number = self.newest.borrow().saturating_add(1);
        if entries.len() >= self.capacity {
            entries.pop_front();
        }
        entries.push_back(make(number));
        // Inside the lock, so that numbers and entries never disagree.
        self.newest.send_replace(number);
        number
    }

    /// Adds `entry`, and tells followers. Returns its number.
    pub fn push(&self, entry: T) -> u64 {
        self.push_with(|_| entry)
    }

    /// At most `limit` entries after number `seen`, oldest first.
    pub fn after(&self, seen: u64, limit: usize) -> Page<T> {
        let entries = self.lock();
        let newest = *self.newest.borrow();
        let oldest = newest.saturating_sub(entries.len() as u64).saturating_add(1);
        let first = seen.saturating_add(1).max(oldest);
        let skip = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let found: Vec<_> = (first..).zip(entries.iter().skip(skip).take(limit).cloned()).collect();
        let last = found.last().map_or(seen.min(newest), |(number, _)| *number);
        let missed = if found.is_empty() { 0 } else { first - seen.saturating_add(1).min(first) };
        Page { entries: found, missed, last }
    }

    /// The number before the newest `tail` entries: what to give [`Ring::after`] to get them.
    pub fn before_last(&self, tail: usize) -> u64 {
        self.newest.borrow().saturating_sub(tail as u64)
    }

    /// A receiver that changes with every entry; its value is the newest number.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        // Nothing inside can panic half-way, so a poisoned lock is still good.
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_each_entry_once_in_order() {
        let ring = Ring::new(10);
        for n in 1..=4 {
            assert_eq!(ring.push(n * 10), n);
        }
        let page = ring.after(0, 3);
        assert_eq!(page, Page { entries: vec![(1, 10), (2, 20), (3, 30)], missed: 0, last: 3 });
        assert_eq!(ring.after(page.last, 3).entries, [(4, 40)]);
        let none = ring.after(4, 3);
        assert_eq!((none.entries.len(), none.missed, none.last), (0, 0, 4));
    }

    #[test]
    fn what_fell_out_is_counted() {
        let ring = Ring::new(3);
        for n in 1..=10_u64 {
            ring.push(n);
        }
        let page = ring.after(2, 100);
        assert_eq!(page.entries.first(), Some(&(8, 8)));
        assert_eq!(page.missed, 5, "3 to 7 are gone");
        assert_eq!(page.last, 10);
    }

    #[test]
    fn a_reader_ahead_of_the_ring_starts_over_from_the_newest() {
        let ring = Ring::new(3);
        ring.push(1);
        let page = ring.after(99, 10);
        assert_eq!((page.entries.len(), page.missed, page.last), (0, 0, 1));
    }

    #[test]
    fn a_tail_is_the_newest_entries() {
        let ring = Ring::new(10);
        for n in 1..=5_u64 {
            ring.push(n);
        }
        let page = ring.after(ring.before_last(2), 10);
        assert_eq!(page.entries, [(4, 4), (5, 5)]);
        assert_eq!(ring.before_last(99), 0);
    }

    #[tokio::test]
    async fn a_follower_wakes() {
        let ring = Ring::new(2);
        let mut follower = ring.follow();
        follower.mark_unchanged();
        ring.push(1);
        follower.changed().await.unwrap();
        assert_eq!(*follower.borrow(), 1);
    }
}
