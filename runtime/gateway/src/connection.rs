//! One connection: hyper under deadlines.
//!
//! hyper parses; everything here is about time. From accept to the first request, from the
//! first byte of a later head to its end, idle, and (in [`crate::wire`] and [`crate::stream`])
//! a client that stops reading. The protocol is found out here and not by hyper-util, whose
//! detection has no deadline: a silent client would be held for ever.
//!
//! A connection's task runs on the runtime that polls guests; dropping it drops the guests'
//! futures inside, which is how a client that goes away cancels its requests.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::drain::Stage;
use crate::gateway::{Gateway, handle};
use crate::limits;
use crate::pulse::Pulse;
use crate::stream::{Streams, noting};
use crate::wire::{Protocol, Wire};

/// What all requests of a connection share. Freed, with the permit, by the last of them.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) peer: SocketAddr,
    /// The address that the client connected to.
    pub(crate) local: Option<SocketAddr>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.gateway.drain_state().leave(self.number);
        self.gateway.counters().closed.one();
    }
}

/// An accepted connection that is not served yet.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    link: Arc<Link>,
    first_request: Instant,
}

impl Connection {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let first_request = Instant::now() + gateway.limits().first_request;
        let pulse = Arc::<Pulse>::default();
        let number = gateway.drain_state().join(&pulse);
        let local = stream.local_addr().ok();
        let link = Link { gateway, pulse, peer, local, number, _permit: permit };
        Connection { stream, link: Arc::new(link), first_request }
    }

    /// Serves the connection to its end, whatever that is. Never fails outwards: what went
    /// wrong is counted.
    pub(crate) async fn serve(self) {
        let Connection { stream, link, first_request } = self;
        let stall = link.gateway.limits().write_stall;
        let mut wire = Wire::new(stream, Arc::clone(&link.pulse), stall);
        let detected = tokio::time::timeout_at(first_request, wire.detect());
        let end = match link.gateway.drain_state().unless_draining(&link.pulse, detected).await {
            None | Some(Ok(Err(_))) => End::Finished,
            Some(Err(_)) => End::Late(Deadline::FirstRequest),
            Some(Ok(Ok(Protocol::Http1))) => serve_http1(&link, wire, first_request).await,
            Some(Ok(Ok(Protocol::Http2))) => serve_http2(&link, wire, first_request).await,
        };
        end.count(&link);
    }
}

async fn serve_http1(link: &Arc<Link>, wire: Wire<TcpStream>, first_request: Instant) -> End {
    let limits = link.gateway.limits();
    let shared = Arc::clone(link);
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // hyper starts this one when it begins to wait for a head, so for all but the first it
        // is the idle deadline; the head's own deadline starts with its first byte, see `Watch`.
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head_bytes)
        // Short responses are cheaper copied into one buffer than gathered (measured).
        .writev(false);
    // 100 header fields is hyper's default; naming it would move its table to the heap.
    let served = builder.serve_connection(TokioIo::new(wire), service);
    let watch = Watch::new(link, Protocol::Http1, first_request);
    Guarded { served, finish: |served| served.graceful_shutdown(), watch, finishing: false }.await
}

async fn serve_http2(link: &Arc<Link>, wire: Wire<TcpStream>, first_request: Instant) -> End {
    let limits = link.gateway.limits();
    let shared = Arc::clone(link);
    let service = service_fn(move |request| noting(handle(Arc::clone(&shared), request)));
    let head_bytes = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(Streams { gateway: Arc::clone(&link.gateway) });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(head_bytes)
        .max_pending_accept_reset_streams(limits::PENDING_RESET_STREAMS)
        .max_local_error_reset_streams(limits::LOCAL_ERROR_RESETS)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_send_buf_size(limits::STREAM_SEND_BUFFER)
        .keep_alive_interval(limits::PING_EVERY)
        .keep_alive_timeout(limits::PING_TIMEOUT);
    let served = builder.serve_connection(TokioIo::new(wire), service);
    let watch = Watch::new(link, Protocol::Http2, first_request);
    Guarded { served, finish: |served| served.graceful_shutdown(), watch, finishing: false }.await
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// By agreement, or the client left.
    Finished,
    /// A deadline passed.
    Late(Deadline),
    /// hyper gave up on it.
    Failed(hyper::Error),
    /// The host stops and does not wait any longer.
    Dropped,
}

impl End {
    fn count(self, link: &Link) {
        let counters = link.gateway.counters();
        if link.pulse.has_stalled() {
            return counters.write_stalled.one();
        }
        match self {
            End::Finished => {}
            End::Dropped => counters.dropped_at_drain.one(),
            End::Late(Deadline::FirstRequest) => counters.first_request_late.one(),
            End::Late(Deadline::Head) => counters.head_late.one(),
            End::Late(Deadline::Idle) => counters.idle_closed.one(),
            End::Failed(error) if error.is_timeout() => counters.idle_closed.one(),
            End::Failed(error) if error.is_parse_too_large() => counters.head_too_large.one(),
            End::Failed(error) if error.is_parse() => counters.malformed.one(),
            // The client went away in the middle, or a body failed: counted with its request.
            End::Failed(error) => tracing::debug!(peer = %link.peer, %error, "connection ended"),
        }
    }
}

/// A deadline of the whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    FirstRequest,
    Head,
    Idle,
}

/// The deadlines of one connection: at most one alarm, and none while a request is open.
struct Watch<'l> {
    link: &'l Link,
    protocol: Protocol,
    first_request: Instant,
    armed: Option<Deadline>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// What the client had done when the idle alarm was armed.
    progress: u64,
}

impl<'l> Watch<'l> {
    fn new(link: &'l Link, protocol: Protocol, first_request: Instant) -> Self {
        Watch { link, protocol, first_request, armed: None, alarm: None, progress: 0 }
    }

    /// Which deadline runs now. The usual case (a request is open, or an HTTP/1 connection is
    /// between two) costs three relaxed loads and no clock.
    fn wanted(&self) -> Option<Deadline> {
        let pulse = &self.link.pulse;
        match self.protocol {
            _ if !pulse.has_served() => Some(Deadline::FirstRequest),
            _ if pulse.is_busy() => None,
            Protocol::Http1 if pulse.is_in_head() => Some(Deadline::Head),
            // hyper's own timer, see `serve_http1`.
            Protocol::Http1 => None,
            Protocol::Http2 => Some(Deadline::Idle),
        }
    }

    fn due(&self, deadline: Deadline) -> Instant {
        let limits = self.link.gateway.limits();
        let from_now = |time: Duration| Instant::now() + time;
        match deadline {
            Deadline::FirstRequest => self.first_request,
            Deadline::Head => from_now(limits.head),
            Deadline::Idle => from_now(limits.idle),
        }
    }

    fn arm(&mut self, deadline: Deadline) {
        let due = self.due(deadline);
        self.armed = Some(deadline);
        self.progress = self.link.pulse.progress();
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(due),
            None => self.alarm = Some(Box::pin(tokio::time::sleep_until(due))),
        }
    }

    /// Ready when a deadline passed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Deadline> {
        let Some(deadline) = self.wanted() else {
            self.armed = None;
            return Poll::Pending;
        };
        if self.armed != Some(deadline) {
            self.arm(deadline);
        }
        while let Some(alarm) = &mut self.alarm {
            std::task::ready!(alarm.as_mut().poll(cx));
            // Without an open request bytes may still flow: the rest of buffered responses.
            if deadline != Deadline::Idle || self.link.pulse.progress() == self.progress {
                return Poll::Ready(deadline);
            }
            self.arm(deadline);
        }
        Poll::Pending
    }
}

pin_project! {
    /// hyper's connection, the deadlines and the drain, as one future.
    struct Guarded<'l, C> {
        #[pin]
        served: C,
        finish: fn(Pin<&mut C>),
        watch: Watch<'l>,
        finishing: bool,
    }
}

impl<C: Future<Output = hyper::Result<()>>> Future for Guarded<'_, C> {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let mut me = self.project();
        let link = me.watch.link;
        match link.gateway.drain_state().watch(&link.pulse, cx) {
            Stage::Open => {}
            Stage::Draining if *me.finishing => {}
            Stage::Draining => {
                *me.finishing = true;
                (me.finish)(me.served.as_mut());
            }
            Stage::Dropping => return Poll::Ready(End::Dropped),
        }
        if let Poll::Ready(outcome) = me.served.as_mut().poll(cx) {
            return Poll::Ready(outcome.map_or_else(End::Failed, |()| End::Finished));
        }
        me.watch.poll(cx).map(End::Late)
    }
}
