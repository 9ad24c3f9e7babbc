//! A blocking client, and the open loop made of several of them.
//!
//! The open loop sends at times set beforehand, whether or not earlier answers came; latency
//! counts from the time at which a request should have gone out, so that a stalled server cannot
//! hide by slowing the load. It sleeps on the kernel's clock to shortly before that time and
//! spins the rest: a runtime's timer of one millisecond would be the larger part of what it shows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::load::{Load, check};
use super::{machine, wire};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before its time a request stops sleeping and spins.
const SPIN: Duration = Duration::from_micros(100);
/// Answers kept of one run of the open loop, for each connection.
const SAMPLES: usize = 200_000;

/// One connection that asks and waits.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connect.
    ///
    /// # Errors
    /// In words, if the server does not take the connection.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let connected = TcpStream::connect_timeout(&address, PATIENCE);
        let stream = connected.map_err(|error| format!("refused a connection: {error}"))?;
        let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        set.map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(4 << 10) })
    }

    /// Send `request` and wait for the answer: its status and body.
    ///
    /// # Errors
    /// In words, if the connection breaks or no whole answer comes in 30 s.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), String> {
        self.exchange(request, |reply| Ok((reply.status, reply.body.to_vec())))
    }

    /// Send the load's request and check the answer.
    ///
    /// # Errors
    /// In words, as for [`Client::ask`], or if the answer is not the expected one.
    pub(crate) fn expect(&mut self, load: &Load) -> Result<(), String> {
        self.exchange(&load.request, |reply| check(reply, &load.expect))
    }

    fn exchange<T>(
        &mut self,
        request: &[u8],
        take: impl FnOnce(&wire::Reply<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        self.buffer.clear();
        self.stream.write_all(request).map_err(|error| format!("broke off: {error}"))?;
        let mut piece = [0; 4 << 10];
        loop {
            if let Some(reply) = wire::parse(&self.buffer).map_err(|error| error.to_string())? {
                return take(&reply);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("closed a connection without an answer".to_owned()),
                Ok(length) => self.buffer.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) => return Err(format!("broke off: {error}")),
            }
        }
    }
}

/// One answer of the open loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// When the request should have gone out.
    pub(crate) intended: Instant,
    /// From then to its answer.
    pub(crate) took: Duration,
}

/// Send the load's request `per_second` times a second over its connections while `go` says so.
///
/// # Errors
/// In words, on the first connection that breaks or answers wrongly.
pub(crate) fn open_loop(
    address: SocketAddr,
    load: &Load,
    per_second: u32,
    go: &(dyn Fn() -> bool + Sync),
    core: Option<usize>,
) -> Result<Vec<Sample>, String> {
    let count = u32::try_from(load.connections).unwrap_or(u32::MAX).max(1);
    let gap = Duration::from_secs(1) / per_second.max(1);
    let begin = Instant::now() + Duration::from_millis(5);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                scope.spawn(move || paced(address, load, begin + gap * index, gap * count, go, core))
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

/// One connection of the open loop.
fn paced(
    address: SocketAddr,
    load: &Load,
    first: Instant,
    gap: Duration,
    go: &(dyn Fn() -> bool + Sync),
    core: Option<usize>,
) -> Result<Vec<Sample>, String> {
    core.map_or(Ok(()), machine::pin).map_err(|error| error.to_string())?;
    let mut client = Client::connect(address)?;
    let (mut samples, mut intended) = (Vec::new(), first);
    while go() && samples.len() < SAMPLES {
        wait_until(intended);
        client.expect(load)?;
        samples.push(Sample { intended, took: intended.elapsed() });
        intended += gap;
    }
    Ok(samples)
}

/// Sleep to shortly before `moment`, spin the rest. A moment that is past returns at once.
fn wait_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if let Some(sleep) = left.checked_sub(SPIN) {
        std::thread::sleep(sleep);
    }
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use super::*;

    fn server(answer: &'static [u8], pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut piece = [0; 1024];
                    while stream.read(&mut piece).is_ok_and(|length| length > 0) {
                        std::thread::sleep(pause);
                        if stream.write_all(answer).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn load(connections: usize) -> Load {
        let request = Arc::from(wire::request("/", None, true));
        Load { connections, request, expect: Arc::from(&b"ok"[..]), keep: true }
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    #[test]
    fn asks_and_checks() {
        let mut client = Client::connect(server(OK, Duration::ZERO)).unwrap();
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\n\r\n"), Ok((200, b"ok".to_vec())));
        assert_eq!(client.expect(&load(1)), Ok(()));
    }

    #[test]
    fn a_wrong_answer_is_told() {
        let wrong = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";
        let mut client = Client::connect(server(wrong, Duration::ZERO)).unwrap();
        assert_eq!(client.expect(&load(1)), Err("answered 503 with \"busy\"".to_owned()));
    }

    #[test]
    fn latency_counts_from_the_intended_time() {
        // One connection, an answer takes 20 ms, one request is due every 5 ms: the wait grows.
        let address = server(OK, Duration::from_millis(20));
        let end = Instant::now() + Duration::from_millis(300);
        let samples = open_loop(address, &load(1), 200, &|| Instant::now() < end, None).unwrap();
        let last = samples.last().unwrap();
        assert!(last.took > Duration::from_millis(100), "{last:?} of {}", samples.len());
    }

    #[test]
    fn connections_share_the_rate() {
        let address = server(OK, Duration::ZERO);
        let end = Instant::now() + Duration::from_millis(500);
        let samples = open_loop(address, &load(4), 400, &|| Instant::now() < end, None).unwrap();
        assert!((150..=204).contains(&samples.len()), "{}", samples.len());
    }
}
