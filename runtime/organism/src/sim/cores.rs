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
    /// Whether it was interrupted, and so computes for longer than a turn.
    is_interrupted: bool,
}

/// The cores of a host.
#[derive(Debug)]
pub(super) struct Cores<T> {
    all: u32,
    free: u32,
    waiting: VecDeque<Job<T>>,
    delay: u128,
    turns: u64,
    /// Core time used up to `counted`, since it was last asked for at `asked`.
    used: u128,
    counted: Nanos,
    asked: Nanos,
}

impl<T: Copy> Cores<T> {
    pub(super) fn new(cores: u32) -> Self {
        Self {
            all: cores,
            free: cores,
            waiting: VecDeque::new(),
            delay: 0,
            turns: 0,
            used: 0,
            counted: Nanos(0),
            asked: Nanos(0),
        }
    }

    /// Somebody woke with work to do.
    pub(super) fn wake(&mut self, now: Nanos, owner: T, left: Nanos) {
        self.waiting.push_back(Job { owner, left, since: now, is_interrupted: false });
    }

    /// Gives a free core to the one who waited longest; the turn ends at the instant returned.
    pub(super) fn turn(&mut self, now: Nanos) -> Option<(Nanos, Job<T>)> {
        if self.free == 0 {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.count(now);
        self.free -= 1;
        self.delay += u128::from(now.since(job.since).0);
        self.turns += 1;
        let span = job.left.min(SLICE);
        Some((now + span, Job { left: job.left - span, ..job }))
    }

    /// A turn ended; what is left of the work waits for the next one.
    pub(super) fn yielded(&mut self, now: Nanos, job: Job<T>) {
        self.count(now);
        self.free += 1;
        if job.left > Nanos(0) {
            self.waiting.push_back(Job { since: now, is_interrupted: true, ..job });
        }
    }

    /// Work of such owners that was interrupted and waits for its next turn.
    pub(super) fn stalled(&self, is_its: impl Fn(&T) -> bool) -> u32 {
        let of = self.waiting.iter().filter(|job| job.is_interrupted && is_its(&job.owner));
        u32::try_from(of.count()).unwrap_or(u32::MAX)
    }

    /// Mean delay from woken to polled since it was last asked.
    pub(super) fn run_delay(&mut self) -> Nanos {
        let mean = self.delay.checked_div(u128::from(self.turns)).unwrap_or(0);
        (self.delay, self.turns) = (0, 0);
        Nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// Share of the cores' time in use since it was last asked, in thousandths.
    pub(super) fn busy_permille(&mut self, now: Nanos) -> u32 {
        self.count(now);
        let span = u128::from(now.since(self.asked).0) * u128::from(self.all);
        let share = (self.used * 1_000).checked_div(span).unwrap_or(0);
        (self.used, self.asked) = (0, now);
        u32::try_from(share).unwrap_or(1_000)
    }

    fn count(&mut self, now: Nanos) {
        self.used += u128::from(now.since(self.counted).0) * u128::from(self.all - self.free);
        self.counted = now;
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
        assert_eq!(cores.busy_permille(Nanos::from_millis(6)), 500);
    }
}
