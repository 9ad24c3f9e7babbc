//! How many calls of the slow lane are polled at once, changeable while they run.
//!
//! Threads are made once; a call that moved to the slow lane asks here before each poll, which lasts a
//! tick of a millisecond or so. First come, first served: whoever leaves hands its turn to the one that
//! waits longest, so that nobody is overtaken. Calls that stay inline never come here.

use std::{
    collections::{BTreeSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

#[derive(Debug, Default)]
struct Turns {
    most: u32,
    /// Turns that are taken, those that were handed over and not begun yet included.
    taken: u32,
    waiting: VecDeque<(u64, Waker)>,
    handed: BTreeSet<u64>,
    next: u64,
}

/// The gate.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<Turns>);

impl Gate {
    /// Lets `most` through at once, at least one.
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Turns { most: most.max(1), ..Turns::default() })))
    }

    /// Lets `most` through at once from now on, at least one.
    pub(crate) fn set(&self, most: u32) {
        let mut turns = self.lock();
        turns.most = most.max(1);
        let woken: Vec<Waker> = std::iter::from_fn(|| turns.hand_over()).collect();
        drop(turns);
        woken.into_iter().for_each(Waker::wake);
    }

    /// How many are let through at once.
    pub(crate) fn most(&self) -> u32 {
        self.lock().most
    }

    /// `work`, polled only in its turn.
    pub(crate) fn pass<F: Future + Unpin>(self: &Arc<Self>, work: F) -> Passing<F> {
        let mut turns = self.lock();
        turns.next += 1;
        let id = turns.next;
        drop(turns);
        Passing { gate: self.clone(), id, work }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn ends.
    fn leave(&self) {
        let mut turns = self.lock();
        turns.taken = turns.taken.saturating_sub(1);
        let woken = turns.hand_over();
        drop(turns);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Turns {
    /// Hands a free turn to whoever waits longest; its waker.
    fn hand_over(&mut self) -> Option<Waker> {
        if self.taken >= self.most {
            return None;
        }
        let (id, waker) = self.waiting.pop_front()?;
        self.handed.insert(id);
        self.taken += 1;
        Some(waker)
    }

    /// Whether `id` may be polled now; if not it waits.
    fn ask(&mut self, id: u64, waker: &Waker) -> bool {
        if self.handed.remove(&id) {
            return true;
        }
        if let Some((_, kept)) = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) {
            kept.clone_from(waker);
            return false;
        }
        if self.waiting.is_empty() && self.taken < self.most {
            self.taken += 1;
            return true;
        }
        self.waiting.push_back((id, waker.clone()));
        false
    }
}

/// Work behind a gate.
pub(crate) struct Passing<F> {
    gate: Arc<Gate>,
    id: u64,
    work: F,
}

/// Leaves also when a poll unwinds.
struct Turn<'g>(&'g Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<F: Future + Unpin> Future for Passing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if !this.gate.lock().ask(this.id, context.waker()) {
            return Poll::Pending;
        }
        let _turn = Turn(&this.gate);
        Pin::new(&mut this.work).poll(context)
    }
}

impl<F> Drop for Passing<F> {
    fn drop(&mut self) {
        let mut turns = self.gate.lock();
        turns.waiting.retain(|(id, _)| *id != self.id);
        let held_a_turn = turns.handed.remove(&self.id);
        drop(turns);
        if held_a_turn {
            self.gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    /// Yields so often, and notes how many are polled at once.
    struct Slices<'n> {
        left: u32,
        now: &'n AtomicU32,
        most: &'n AtomicU32,
    }

    impl Future for Slices<'_> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let now = self.now.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(now, SeqCst);
            std::thread::sleep(std::time::Duration::from_micros(200));
            self.now.fetch_sub(1, SeqCst);
            if self.left == 0 {
                return Poll::Ready(());
            }
            self.left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn never_more_than_allowed_all_come_through_and_a_change_holds_at_once() {
        static NOW: AtomicU32 = AtomicU32::new(0);
        static MOST: AtomicU32 = AtomicU32::new(0);
        let gate = Gate::new(1);
        for allowed in [1, 3, 2] {
            gate.set(allowed);
            MOST.store(0, SeqCst);
            let work = || gate.pass(Slices { left: 20, now: &NOW, most: &MOST });
            let mut all: Vec<_> = (0..12).map(|_| tokio::spawn(work())).collect();
            // Some leave while they wait or hold a turn.
            all.drain(..4).for_each(|task| task.abort());
            for task in all {
                task.await.unwrap();
            }
            assert!(MOST.load(SeqCst) <= allowed, "{} of {allowed}", MOST.load(SeqCst));
        }
        tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while gate.lock().taken > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(gate.lock().waiting.is_empty() && gate.lock().handed.is_empty());
    }
}
