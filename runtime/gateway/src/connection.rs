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

use cyte_dna::limits;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::drain::Stage;
use crate::gateway::{Gateway, handle};
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
        // `Watch` has the deadlines of heads and of idle connections: hyper's would make, arm and
        // free a timer for every request (700 instructions), and knows one deadline for both.
        .header_read_timeout(None)
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
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::STREAM_SEND_BUFFER_BYTES)
        .keep_alive_interval(Duration::from_millis(limits::PING_EVERY_MS))
        .keep_alive_timeout(Duration::from_millis(limits::PING_TIMEOUT_MS));
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

/// The deadlines of one connection, with one alarm.
struct Watch<'l> {
    link: &'l Link,
    protocol: Protocol,
    first_request: Instant,
    armed: Option<Deadline>,
    alarm: Pin<Box<Sleep>>,
    /// Requests and bytes taken at the last look.
    before: (u64, u64),
    /// Looks in a row that saw nothing happen.
    quiet: u32,
}

impl<'l> Watch<'l> {
    fn new(link: &'l Link, protocol: Protocol, first_request: Instant) -> Self {
        let alarm = Box::pin(tokio::time::sleep_until(first_request));
        Watch { link, protocol, first_request, armed: None, alarm, before: (0, 0), quiet: 0 }
    }

    /// Which deadline runs now.
    fn wanted(&self) -> Deadline {
        let pulse = &self.link.pulse;
        if !pulse.has_served() {
            Deadline::FirstRequest
        } else if self.protocol == Protocol::Http1 && pulse.is_in_head() {
            // With HTTP/2 bytes between requests are frames of many kinds; its heads are bounded
            // by hyper, and what they may wait by the idle deadline.
            Deadline::Head
        } else {
            Deadline::Idle
        }
    }

    fn arm(&mut self, deadline: Deadline) {
        let limits = self.link.gateway.limits();
        let due = match deadline {
            Deadline::FirstRequest => self.first_request,
            Deadline::Head => Instant::now() + limits.head,
            Deadline::Idle => Instant::now() + limits.idle / limits::CONNECTION_IDLE_LOOKS,
        };
        self.armed = Some(deadline);
        self.alarm.as_mut().reset(due);
    }

    /// Whether anything happened since the last look.
    fn has_moved(&mut self) -> bool {
        let pulse = &self.link.pulse;
        let now = pulse.progress();
        let before = std::mem::replace(&mut self.before, now);
        pulse.is_busy() || now.0 != before.0 || now.1.wrapping_sub(before.1) > limits::CONNECTION_IDLE_BYTES
    }

    /// Ready when a deadline passed. The usual case costs four relaxed loads and no clock.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Deadline> {
        let wanted = self.wanted();
        if self.armed == Some(wanted) && !self.alarm.is_elapsed() {
            // The alarm knows this task since it was armed.
            return Poll::Pending;
        }
        if self.armed != Some(wanted) {
            self.quiet = 0;
            self.arm(wanted);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            self.quiet = if self.has_moved() { 0 } else { self.quiet.saturating_add(1) };
            if wanted != Deadline::Idle || self.quiet >= limits::CONNECTION_IDLE_LOOKS {
                return Poll::Ready(wanted);
            }
            self.arm(wanted);
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
