//! The limits of the front. Values come from the one table, [`cyte_dna::limits`]; this struct
//! carries them to the places that use them, so that a test can hit each limit in milliseconds.

use std::time::Duration;

use cyte_dna::limits;

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
            connections: limits::CONNECTIONS,
            first_request: Duration::from_millis(limits::FIRST_REQUEST_MS),
            head: Duration::from_millis(limits::REQUEST_HEAD_MS),
            idle: Duration::from_millis(limits::CONNECTION_IDLE_MS),
            body_stall: Duration::from_millis(limits::BODY_STALL_MS),
            write_stall: Duration::from_millis(limits::WRITE_STALL_MS),
            head_bytes: limits::REQUEST_HEAD_BYTES,
            streams: limits::STREAMS_PER_CONNECTION,
            drain: Duration::from_millis(limits::DRAIN_MS),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        let within = |descriptors| FrontLimits::default().within_descriptors(descriptors).connections;
        assert_eq!((within(1_024), within(4), within(u64::MAX)), (512, 16, limits::CONNECTIONS));
    }
}
