//! The body of a cell's response. It owns the call's driver, so reading it runs the guest and
//! dropping it cancels the guest.
//!
//! A short body that is finished when the head is out leaves whole, with its length known: that
//! saves a chunked frame, a wake-up and a write.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error as WasiError, WasiBody};

use crate::{
    driver::{Driver, is_our_turn},
    error::BodyError,
    vitals::Vitals,
};

/// A finished body up to this size leaves whole; gathering stops beyond it.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// A request's body on its way to a guest; notes whether the guest waits for its client.
pub(crate) struct Arriving<B> {
    body: B,
    vitals: Arc<Vitals>,
}

impl<B> Arriving<B> {
    pub(crate) fn new(body: B, vitals: Arc<Vitals>) -> Self {
        Self { body, vitals }
    }
}

impl<B: Body + Unpin> Body for Arriving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.vitals.waits_for_client(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body of a guest. Short ones are whole, others stream with back-pressure.
pub struct CellBody {
    first: Option<Frame<Bytes>>,
    more: VecDeque<Frame<Bytes>>,
    gathered: u64,
    source: Source,
}

enum Source {
    /// Frames still come.
    Open { body: WasiBody, reading: Option<oneshot::Sender<()>>, driver: Option<Box<Driver>> },
    /// All frames are gathered.
    Whole,
    /// The last frames are gathered; after them comes this.
    Broken(Option<BodyError>),
}

impl CellBody {
    pub(crate) fn new(body: WasiBody, reading: Option<oneshot::Sender<()>>) -> Self {
        let source = Source::Open { body, reading, driver: None };
        Self { first: None, more: VecDeque::new(), gathered: 0, source }
    }

    /// A body that another host's cell made: whole, with what follows it.
    #[must_use]
    pub fn whole(bytes: Bytes, trailers: Option<HeaderMap>) -> Self {
        let gathered = bytes.len() as u64;
        let data = (!bytes.is_empty()).then(|| Frame::data(bytes));
        let mut frames = data.into_iter().chain(trailers.map(Frame::trailers));
        Self { first: frames.next(), more: frames.collect(), gathered, source: Source::Whole }
    }

    /// Takes what is there already, without waiting. Polls the guest where it may have more.
    pub(crate) fn gather(&mut self, context: &mut Context<'_>, driver: &mut Driver) {
        while self.gathered <= WHOLE_BYTES_MAX {
            let Source::Open { body, reading, .. } = &mut self.source else { return };
            match poll_both(body, reading, driver, context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.gathered += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if self.first.is_none() { self.first = Some(frame) } else { self.more.push_back(frame) }
                }
                Poll::Ready(Some(Err(error))) => self.source = Source::Broken(Some(error)),
                Poll::Ready(None) => self.source = Source::Whole,
                Poll::Pending => return,
            }
        }
    }

    /// Why this body is only a fragment, if that is known already.
    pub(crate) fn broken(&self) -> Option<&BodyError> {
        match &self.source {
            Source::Broken(error) => error.as_ref(),
            Source::Open { .. } | Source::Whole => None,
        }
    }

    /// Keeps the driver for as long as frames may come.
    pub(crate) fn keep(mut self, call: Driver) -> Self {
        if let Source::Open { driver, .. } = &mut self.source {
            *driver = Some(Box::new(call));
        }
        self
    }
}

impl Body for CellBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(frame) = this.first.take().or_else(|| this.more.pop_front()) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = match &mut this.source {
            Source::Whole => return Poll::Ready(None),
            Source::Broken(error) => return Poll::Ready(error.take().map(Err)),
            Source::Open { driver: None, .. } => return Poll::Ready(None),
            Source::Open { body, reading, driver: Some(driver) } => {
                let polled = poll_both(body, reading, driver, context);
                // Whoever has a piece of it and does not come back reads slowly.
                driver.is_wanted(polled.is_pending());
                let deadline =
                    if polled.is_pending() { driver.poll_deadline(context) } else { Poll::Pending };
                if let Poll::Ready(breach) = deadline {
                    driver.stop(breach);
                    Poll::Ready(Some(Err(BodyError::Stalled)))
                } else {
                    if polled.is_ready() {
                        driver.progress();
                    }
                    polled
                }
            }
        };
        match &polled {
            Poll::Ready(None) => this.source = Source::Whole,
            Poll::Ready(Some(Err(_))) => this.source = Source::Broken(None),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Whole) && self.first.is_none() && self.more.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let frames = || self.first.iter().chain(&self.more);
        // A known length would make HTTP/1 drop the trailers.
        if !matches!(self.source, Source::Whole) || frames().any(Frame::is_trailers) {
            return SizeHint::default();
        }
        SizeHint::with_exact(frames().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
    }
}

/// The next frame: from the channel if one is there, else from the guest, who is polled once.
fn poll_both(
    body: &mut WasiBody,
    reading: &mut Option<oneshot::Sender<()>>,
    driver: &mut Driver,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let mut polled = Pin::new(&mut *body).poll_frame(context);
    if polled.is_pending() && !driver.has_ended() {
        let _ = driver.poll_guest(context);
        polled = Pin::new(body).poll_frame(context);
    }
    match polled {
        Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
        Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(blame(driver, &error)))),
        // The channel also closes when a guest that failed is dropped: then this is a fragment.
        Poll::Ready(None) if driver.failed_elsewhere(context) => Poll::Ready(Some(Err(BodyError::Guest))),
        Poll::Ready(None) => {
            drop(reading.take());
            driver.answered(context);
            Poll::Ready(None)
        }
        Poll::Pending if driver.has_failed() => Poll::Ready(Some(Err(BodyError::Guest))),
        // Only a running guest could still write.
        Poll::Pending if driver.has_ended() && is_our_turn() => {
            let reason = "it returned before it finished its body".into();
            Poll::Ready(Some(Err(driver.broken_off(reason))))
        }
        Poll::Pending => Poll::Pending,
    }
}

fn blame(driver: &Driver, error: &WasiError) -> BodyError {
    if driver.has_failed() { BodyError::Guest } else { driver.broken_off(error.to_string()) }
}
