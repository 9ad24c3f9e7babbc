//! A request body on its way to a gene: counted, capped, and given up when it stops arriving.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::connection::Link;
use crate::refusal::Refusal;

/// Why a gene does not get the rest of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// More than the gene takes. The client's fault; nothing of the excess was passed on.
    #[error("the request body is larger than {cap} bytes")]
    TooLarge {
        /// The gene's cap, bytes.
        cap: u64,
    },
    /// The gene waited for the body, and nothing came for the stall time. The client's fault.
    #[error("the request body stopped arriving")]
    Stalled,
    /// The connection ended, or the framing is broken. The client's fault.
    #[error("the request body was cut off")]
    CutOff,
}

/// What became of a body, for the side that answers: the reason why a body failed is nearer to
/// the truth than what the gene made of the failure.
#[derive(Debug, Default)]
pub(crate) struct Verdict(AtomicU8);

impl Verdict {
    fn set(&self, refusal: Refusal) {
        self.0.store(if refusal == Refusal::BodyTooLarge { 1 } else { 2 }, Relaxed);
    }

    /// The refusal that the client should hear, if the body was refused.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.0.load(Relaxed) {
            0 => None,
            1 => Some(Refusal::BodyTooLarge),
            _ => Some(Refusal::BodyStalled),
        }
    }
}

/// The body.
#[derive(Debug)]
pub(crate) struct Upload<B = Incoming> {
    body: B,
    link: Arc<Link>,
    cap: u64,
    passed: u64,
    /// Only for a body that is not empty.
    verdict: Option<Arc<Verdict>>,
    alarm: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    ended: bool,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Wraps a body that nobody has read yet. Nothing is let through before [`Upload::cap_at`].
    pub(crate) fn new(body: B, link: Arc<Link>) -> Self {
        let ended = body.is_end_stream();
        let verdict = (!ended).then(Arc::<Verdict>::default);
        Upload { body, link, cap: 0, passed: 0, verdict, alarm: None, waiting: false, ended }
    }

    /// Allows so many bytes.
    ///
    /// # Errors
    /// When the client has announced more already.
    pub(crate) fn cap_at(mut self, cap: u64) -> Result<Self, Refusal> {
        self.cap = cap;
        if self.body.size_hint().lower() > cap {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(self)
    }

    /// Where to read, later, what became of it. `None` for a body that is empty.
    pub(crate) fn verdict(&self) -> Option<Arc<Verdict>> {
        self.verdict.clone()
    }

    fn fail(
        &mut self,
        refusal: Refusal,
        error: UploadError,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Some(verdict) = &self.verdict {
            verdict.set(refusal);
        }
        self.cap = 0;
        // What the client still sends is not read; see `Pulse::ask_to_linger`.
        self.link.pulse.ask_to_linger();
        self.ended = true;
        Poll::Ready(Some(Err(error)))
    }

    fn passed(&mut self, frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.waiting = false;
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        self.passed = self.passed.saturating_add(bytes);
        if self.passed > self.cap {
            let cap = self.cap;
            return self.fail(Refusal::BodyTooLarge, UploadError::TooLarge { cap });
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// Nothing there: the client has the stall time from now on.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let stall = self.link.gateway.limits().body_stall;
        let waited = std::mem::replace(&mut self.waiting, true);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        if !waited {
            alarm.as_mut().reset(Instant::now() + stall);
        }
        std::task::ready!(alarm.as_mut().poll(cx));
        self.link.gateway.counters().body_stalled.one();
        self.fail(Refusal::BodyStalled, UploadError::Stalled)
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => self.passed(frame),
            Poll::Ready(Some(Err(_))) => {
                self.ended = true;
                Poll::Ready(Some(Err(UploadError::CutOff)))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => self.waits(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        self.link.gateway.counters().bytes_in.add(self.passed);
        if self.verdict.is_some() && !self.ended {
            self.link.pulse.ask_to_linger();
        }
    }
}
