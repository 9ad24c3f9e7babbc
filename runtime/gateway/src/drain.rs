//! How a gateway stops: listeners end, connections finish what is open, and after a bound the
//! rest is dropped.
//!
//! A connection asks for the stage with one relaxed load a poll; a watch channel polled by each
//! connection would lock at every wake-up. So each registers its waker here instead, once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::watch;

use crate::pulse::Pulse;

/// Where the gateway stands. It only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Serving.
    Open,
    /// No new connection or request; open ones may end.
    Draining,
    /// Whatever is still there is dropped.
    Dropping,
}

/// The stage, and whom to wake when it changes.
#[derive(Debug)]
pub(crate) struct Drain {
    stage: AtomicU8,
    next: AtomicU64,
    pulses: Mutex<HashMap<u64, Arc<Pulse>>>,
    listeners: watch::Sender<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            stage: AtomicU8::new(Stage::Open as u8),
            next: AtomicU64::new(0),
            pulses: Mutex::default(),
            listeners: watch::Sender::new(false),
        }
    }
}

impl Drain {
    /// The stage now.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(SeqCst) {
            0 => Stage::Open,
            1 => Stage::Draining,
            _ => Stage::Dropping,
        }
    }

    /// The stage now; the connection's task is woken when it changes.
    pub(crate) fn watch(&self, pulse: &Pulse, cx: &Context<'_>) -> Stage {
        pulse.waker().register(cx.waker());
        self.stage()
    }

    /// Waits until draining begins.
    pub(crate) async fn begun(&self) {
        // The sender lives in `self`, so that this can only end by the value.
        let _ = self.listeners.subscribe().wait_for(|begun| *begun).await;
    }

    /// Moves on to a stage and wakes everybody.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, SeqCst);
        self.listeners.send_replace(true);
        for pulse in self.pulses().values() {
            pulse.waker().wake();
        }
    }

    /// A connection opens; its number is for [`Drain::leave`].
    pub(crate) fn join(&self, pulse: &Arc<Pulse>) -> u64 {
        let number = self.next.fetch_add(1, Relaxed);
        self.pulses().insert(number, Arc::clone(pulse));
        number
    }

    /// A connection is gone.
    pub(crate) fn leave(&self, number: u64) {
        self.pulses().remove(&number);
    }

    /// Connections open now.
    pub(crate) fn len(&self) -> usize {
        self.pulses().len()
    }

    /// Runs `future` until draining begins; `None` then.
    pub(crate) async fn unless_draining<F: Future>(&self, pulse: &Pulse, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if self.watch(pulse, cx) != Stage::Open {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn pulses(&self) -> MutexGuard<'_, HashMap<u64, Arc<Pulse>>> {
        // No code that can panic runs under this lock.
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_interrupts_what_waits_and_never_goes_back() {
        let drain = Arc::new(Drain::default());
        let pulse = Arc::new(Pulse::default());
        let number = drain.join(&pulse);
        assert_eq!(drain.unless_draining(&pulse, async { 7 }).await, Some(7));

        let waiting = tokio::spawn({
            let (drain, pulse) = (Arc::clone(&drain), Arc::clone(&pulse));
            async move { drain.unless_draining(&pulse, std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        drain.advance(Stage::Dropping);
        assert_eq!(waiting.await.unwrap(), None);
        drain.advance(Stage::Draining);
        assert_eq!(drain.stage(), Stage::Dropping);
        drain.begun().await;
        drain.leave(number);
        assert_eq!(drain.len(), 0);
    }
}
