//! Bodies of outbound exchanges: the request's on its way out, the response's on its way back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cyte_engine::capability::http::{OutboundBody, OutboundError};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::pool::Lease;

/// Counts what the connection took, so that a slow upload is not mistaken for a silent server.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A request body that counts.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) body: OutboundBody,
    pub(super) progress: Progress,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.progress.0.fetch_add(1, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body under the idle deadline. At its end the connection goes back to the pool;
/// dropped earlier, it takes the connection along.
pub(super) struct Receiving {
    body: Incoming,
    idle: Duration,
    /// Made where the runtime is known; a guest may be polled where it is not.
    alarm: Pin<Box<Sleep>>,
    waiting: bool,
    lease: Option<Lease>,
}

impl Receiving {
    /// Must run inside the runtime.
    pub(super) fn new(body: Incoming, idle: Duration, lease: Lease) -> Self {
        let alarm = Box::pin(tokio::time::sleep(idle));
        let mut receiving = Receiving { body, idle, alarm, waiting: false, lease: Some(lease) };
        receiving.settle();
        receiving
    }

    /// Gives the connection back once nothing more is to come.
    fn settle(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }

    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<OutboundError> {
        if !std::mem::replace(&mut self.waiting, true) {
            let due = Instant::now() + self.idle;
            self.alarm.as_mut().reset(due);
        }
        self.alarm.as_mut().poll(cx).map(|()| {
            if let Some(lease) = self.lease.take() {
                lease.pool.counts.idle();
            }
            OutboundError::IdleTimeout
        })
    }
}

impl Body for Receiving {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.waiting = false;
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.settle();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(OutboundError::Protocol(error.to_string()))))
            }
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
                Poll::Ready(None)
            }
            Poll::Pending => self.waits(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
