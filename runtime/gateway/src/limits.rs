//! The limits of the front. Values come from the one table of the host; this struct carries
//! them to the places that use them, so that a test can hit each limit in milliseconds.

use std::time::Duration;

/// What the front allows a client. All of it holds for every connection, trusted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontLimits {
    /// Connections at once over all listeners. At the cap further ones wait in the kernel's
    /// backlog.
    pub connections: usize,
    /// From accept to the first complete request head, protocol detection included.
    pub first_request: Duration,
    /// From the first byte of a later head to its end.
    pub head: Duration,
    /// Without a request on a connection that is kept alive.
    pub idle: Duration,
    /// Without a byte of a request body that the gene waits for.
    pub body_stall: Duration,
    /// Without a byte taken by the client while there is something to send.
    pub write_stall: Duration,
    /// Request line and header fields of one request, bytes.
    pub head_bytes: usize,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// How long open requests may take to end when the host stops.
    pub drain: Duration,
}

impl Default for FrontLimits {
    fn default() -> Self {
        FrontLimits {
            connections: 8_192,
            first_request: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_stall: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            head_bytes: cyte_dna::limits::REQUEST_HEAD_BYTES,
            streams: 128,
            drain: Duration::from_secs(10),
        }
    }
}

impl FrontLimits {
    /// The same limits with no more connections than half of the file descriptors that the
    /// process may open (the other half is for files, outbound connections and the runtime),
    /// but at least 16.
    #[must_use]
    pub fn within_descriptors(mut self, descriptors: u64) -> Self {
        let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
        self.connections = self.connections.min(half).max(16);
        self
    }
}

/// HTTP/2: streams reset by the client that hyper may still hold, before it says GOAWAY
/// (rapid reset).
pub(crate) const PENDING_RESET_STREAMS: usize = 20;
/// HTTP/2: resets that a client provokes by faulty frames before GOAWAY (MadeYouReset).
pub(crate) const LOCAL_ERROR_RESETS: usize = 64;
/// HTTP/2: bytes of one request body that may arrive before the gene reads them.
pub(crate) const STREAM_WINDOW: u32 = 256 << 10;
/// HTTP/2: the same for all streams of a connection.
pub(crate) const CONNECTION_WINDOW: u32 = 1 << 20;
/// HTTP/2: bytes of one response that wait for the client's window.
pub(crate) const STREAM_SEND_BUFFER: usize = 64 << 10;
/// HTTP/2: a silent connection is asked for a sign of life this often ...
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);
/// ... and closed after this long without one.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a refused upload that are read and thrown away, so that the client gets to read the
/// refusal instead of a connection reset ...
pub(crate) const LINGER_BYTES: usize = 1 << 20;
/// ... and for how long.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
/// Body bytes of an answer to HEAD that are thrown away while the gene comes to its end ...
pub(crate) const UNSEEN_BODY_BYTES: u64 = 1 << 20;
/// ... and for how long; after that the call is cut off.
pub(crate) const UNSEEN_BODY_TIME: Duration = Duration::from_secs(1);
/// First and longest pause of the accept loop after an error that is not the client's.
pub(crate) const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        let limits = FrontLimits::default();
        assert_eq!(limits.clone().within_descriptors(1_024).connections, 512);
        assert_eq!(limits.clone().within_descriptors(4).connections, 16);
        assert_eq!(limits.clone().within_descriptors(u64::MAX).connections, limits.connections);
    }
}
