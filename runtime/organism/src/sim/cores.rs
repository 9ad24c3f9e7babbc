//! Cores that requests take turns on: a first-in-first-out run queue and a time slice.

use std::collections::VecDeque;

use crate::Nanos;

/// A turn on a core lasts no longer: the pulse at which a guest that computes is interrupted.
const SLICE: Nanos = Nanos::from_millis(1);

/// Work that wants a core: whose it is, and how much is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<T> {
    pub(super) owner: T,
    pub(super) left: Nanos,
    since: Nanos,
}

/// The cores of a host.
#[derive(Debug)]
pub(super) struct Cores<T> {
    free: u32,
    waiting: VecDeque<Job<T>>,
    delay: u128,
    turns: u64,
}

impl<T: Copy> Cores<T> {
    pub(super) fn new(cores: u32) -> Self {
        Self { free: cores, waiting: VecDeque::new(), delay: 0, turns: 0 }
    }

    /// Somebody woke with work to do.
    pub(super) fn wake(&mut self, now: Nanos, owner: T, left: Nanos) {
        self.waiting.push_back(Job { owner, left, since: now });
    }

    /// Gives a free core to the one who waited longest; the turn ends at the instant returned.
    pub(super) fn turn(&mut self, now: Nanos) -> Option<(Nanos, Job<T>)> {
        if self.free == 0 {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.free -= 1;
        self.delay += u128::from(now.since(job.since).0);
        self.turns += 1;
        let span = job.left.min(SLICE);
        Some((now + span, Job { left: job.left - span, ..job }))
    }

    /// A turn ended; what is left of the work waits for the next one.
    pub(super) fn yielded(&mut self, now: Nanos, job: Job<T>) {
        self.free += 1;
        if job.left > Nanos(0) {
            self.waiting.push_back(Job { since: now, ..job });
        }
    }

    /// Mean delay from woken to polled since it was last asked.
    pub(super) fn run_delay(&mut self) -> Nanos {
        let mean = self.delay.checked_div(u128::from(self.turns)).unwrap_or(0);
        (self.delay, self.turns) = (0, 0);
        Nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_turns_and_the_wait_is_measured() {
        let mut cores = Cores::new(1);
        cores.wake(Nanos(0), 'a', Nanos::from_millis(2));
        cores.wake(Nanos(0), 'b', Nanos::from_millis(1));
        let mut order = Vec::new();
        let mut now = Nanos(0);
        while let Some((end, job)) = cores.turn(now) {
            order.push(job.owner);
            now = end;
            assert!(cores.turn(now).is_none(), "the only core is taken");
            cores.yielded(now, job);
        }
        assert_eq!((order, now), (vec!['a', 'b', 'a'], Nanos::from_millis(3)));
        assert_eq!(cores.run_delay(), Nanos(2_000_000 / 3));
        assert_eq!(cores.run_delay(), Nanos(0));
    }
}
