//! HTTP/2 streams, each a task of its own, and the client that opens one and stops reading.
//!
//! With HTTP/1 a client that stops reading blocks the socket, and [`crate::wire`] sees it. With
//! HTTP/2 the socket stays free while a stream's window is empty: hyper then does not even poll
//! the response body, so nothing inside the body could ever notice. Therefore the task of each
//! stream is watched from outside: when a poll ends "not now" and neither the gene was waited
//! for nor anything moved, it is the client's window, and a timer starts.
//!
//! Never counts the time that a gene takes; the engine has limits for that.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use crate::gateway::Gateway;

/// What the code inside a stream's task said during the poll that runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The gene was not asked: whatever blocks is the client.
    Nothing,
    /// The gene was asked and is not ready.
    WaitsForCell,
    /// The gene gave something.
    Moves,
}

thread_local! {
    // One poll of one task runs on a thread at a time, and it begins by resetting this.
    static SEEN: Cell<Seen> = const { Cell::new(Seen::Nothing) };
}

/// Called by what runs inside a stream's task. Harmless elsewhere.
pub(crate) fn note(seen: Seen) {
    SEEN.set(seen);
}

/// Runs `future`, noting when it waits.
pub(crate) async fn noting<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        let outcome = future.as_mut().poll(cx);
        note(if outcome.is_ready() { Seen::Moves } else { Seen::WaitsForCell });
        outcome
    })
    .await
}

/// Spawns the tasks that hyper asks for, each under the watch.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    pub(crate) gateway: Arc<Gateway>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let gateway = Arc::clone(&self.gateway);
        let watched = Watched::new(future, gateway.limits().write_stall);
        tokio::spawn(async move {
            if watched.await.is_none() {
                gateway.counters().write_stalled.one();
            }
        });
    }
}

pin_project! {
    /// Gives `None`, and drops the future with the return, when the client blocks it too long.
    struct Watched<F> {
        #[pin]
        future: F,
        stall: Duration,
        alarm: Option<Pin<Box<Sleep>>>,
        blocked: bool,
    }
}

impl<F> Watched<F> {
    fn new(future: F, stall: Duration) -> Self {
        Watched { future, stall, alarm: None, blocked: false }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        note(Seen::Nothing);
        if let Poll::Ready(output) = me.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        let seen = SEEN.get();
        if seen == Seen::WaitsForCell {
            *me.blocked = false;
            return Poll::Pending;
        }
        let was_blocked = std::mem::replace(me.blocked, true) && seen == Seen::Nothing;
        let alarm = me.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(*me.stall)));
        if !was_blocked {
            alarm.as_mut().reset(Instant::now() + *me.stall);
        }
        alarm.as_mut().poll(cx).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_millis(150);

    #[tokio::test]
    async fn a_stream_that_the_client_blocks_ends_and_one_that_waits_for_its_gene_does_not() {
        let started = Instant::now();
        assert_eq!(Watched::new(std::future::pending::<()>(), STALL).await, None);
        assert!(started.elapsed() >= STALL);

        let slow = noting(tokio::time::sleep(Duration::from_millis(400)));
        assert_eq!(Watched::new(slow, STALL).await, Some(()));
    }

    #[tokio::test]
    async fn every_byte_that_moves_gives_the_client_the_full_time_again() {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut left = 5;
        let client = std::future::poll_fn(move |cx| {
            while ticks.poll_tick(cx).is_ready() {
                note(Seen::Moves);
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        });
        assert_eq!(Watched::new(client, STALL).await, Some(()));
    }
}
