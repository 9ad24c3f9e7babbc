//! The bytes of a connection on their way to hyper.
//!
//! This is the seam at which the immune system's `Sentry` (byte rates, strict framing, byte
//! budgets) will stand: everything that hyper reads and writes goes through [`Wire`]. Today it
//! passes bytes through, finds out the protocol, ends a client that stopped reading, and lets a
//! refused client read its refusal before the connection closes.
//!
//! On the fast path (something to read, room to write) it costs two relaxed atomics and no
//! timer: timers are armed only when the socket says "not now".

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use cyte_dna::limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::pulse::Pulse;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or 1.1, or something that its parser will refuse.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// The HTTP/2 connection preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long what a client still sends is read and thrown away.
const LINGER_TIME: Duration = Duration::from_millis(limits::LINGER_MS);

/// A connection's stream; hyper's only way to it.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    pulse: Arc<Pulse>,
    /// What detection read; hyper gets it first.
    replay: Bytes,
    write_stall: Duration,
    /// Armed while `blocked`; kept afterwards, because a slow client blocks often.
    alarm: Option<Pin<Box<Sleep>>>,
    blocked: bool,
    lingered: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, pulse: Arc<Pulse>, write_stall: Duration) -> Self {
        let replay = Bytes::new();
        Wire { stream, pulse, replay, write_stall, alarm: None, blocked: false, lingered: 0 }
    }

    /// Reads until it is clear which protocol this is. Has no deadline of its own.
    ///
    /// # Errors
    /// What the socket says, and `UnexpectedEof` when the client goes away first.
    pub(crate) async fn detect(&mut self) -> io::Result<Protocol> {
        let mut start = Vec::with_capacity(limits::FIRST_READ_BYTES);
        let protocol = loop {
            if self.stream.read_buf(&mut start).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if start.starts_with(PREFACE) {
                break Protocol::Http2;
            }
            if !PREFACE.starts_with(&start) {
                break Protocol::Http1;
            }
        };
        self.pulse.read();
        self.replay = start.into();
        Ok(protocol)
    }

    /// The socket takes nothing: an error once that lasted for the whole stall time.
    fn stalled(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let armed = std::mem::replace(&mut self.blocked, true);
        if self.alarm_after(self.write_stall, armed, cx).is_ready() {
            self.pulse.stall();
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading"));
        }
        Ok(())
    }

    fn alarm_after(&mut self, time: Duration, armed: bool, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = match &mut self.alarm {
            Some(alarm) => {
                if !armed {
                    alarm.as_mut().reset(Instant::now() + time);
                }
                alarm
            }
            none => none.insert(Box::pin(tokio::time::sleep(time))),
        };
        alarm.as_mut().poll(cx)
    }

    fn written(&mut self, outcome: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(bytes)) => {
                self.blocked = false;
                self.pulse.wrote(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => match self.stalled(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// Reads and forgets what a refused client still sends, within its bounds: a close with
    /// unread bytes would reset the connection, and the refusal would be lost.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = vec![0; 16 << 10];
        while self.lingered < limits::LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.lingered = self.lingered.saturating_add(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let armed = std::mem::replace(&mut self.blocked, true);
                    return self.alarm_after(LINGER_TIME, armed, cx);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.has_remaining() {
            let bytes = self.replay.len().min(buffer.remaining());
            buffer.put_slice(&self.replay.split_to(bytes));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if outcome.is_ready() && buffer.filled().len() > before {
            self.pulse.read();
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if self.pulse.must_linger() {
            std::task::ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn wire(buffer: usize) -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(buffer);
        (Wire::new(near, Arc::default(), Duration::from_millis(150)), far)
    }

    #[tokio::test]
    async fn the_preface_is_found_however_it_is_cut_and_replayed() {
        for cut in 1..PREFACE.len() {
            let (mut wire, mut far) = wire(4096);
            let task = tokio::spawn(async move {
                let protocol = wire.detect().await.unwrap();
                let mut seen = vec![0; PREFACE.len()];
                wire.read_exact(&mut seen).await.unwrap();
                (protocol, seen)
            });
            far.write_all(&PREFACE[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            far.write_all(&PREFACE[cut..]).await.unwrap();
            assert_eq!(task.await.unwrap(), (Protocol::Http2, PREFACE.to_vec()));
        }
    }

    #[tokio::test]
    async fn everything_else_is_http1_at_the_first_byte_that_differs() {
        for start in ["GET / HTTP/1.1\r\n", "P", "POST", "PRI * HTTP/2.0\r\n\r\nXX", "\0"] {
            let (mut wire, mut far) = wire(4096);
            far.write_all(start.as_bytes()).await.unwrap();
            if start == "P" {
                far.write_all(b"U").await.unwrap();
            }
            assert_eq!(wire.detect().await.unwrap(), Protocol::Http1, "{start:?}");
        }
        let (mut wire, far) = wire(16);
        drop(far);
        assert_eq!(wire.detect().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off_and_one_that_reads_slowly_is_not() {
        let (mut wire, mut far) = wire(16);
        let started = Instant::now();
        let slow = tokio::spawn(async move {
            let mut seen = [0; 16];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                far.read_exact(&mut seen).await.unwrap();
            }
            far
        });
        wire.write_all(&[0; 64]).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(290));
        let _far = slow.await.unwrap();
        wire.write_all(&[0; 16]).await.unwrap();
        let started = Instant::now();
        let error = wire.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn closing_lingers_only_when_asked_and_only_for_so_long() {
        let (mut wire, _far) = wire(16);
        let started = Instant::now();
        wire.shutdown().await.unwrap();
        assert!(started.elapsed() < LINGER_TIME / 2);
        wire.pulse.ask_to_linger();
        wire.shutdown().await.unwrap();
        assert!(started.elapsed() >= LINGER_TIME);
    }
}
