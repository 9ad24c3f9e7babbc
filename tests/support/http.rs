//! Raw HTTP/1.1: bytes out, bytes in, nothing corrected on the way.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::wait::SOON;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Read and not used yet.
    ahead: Vec<u8>,
    deadline: Duration,
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// `HTTP/1.1`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// What follows the status code.
    pub reason: String,
    /// The header fields in their order; names as they came.
    pub headers: Vec<(String, String)>,
    /// The body so far.
    pub body: Vec<u8>,
    /// The fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// The statuses of the answers before the last one, for example 100.
    pub interim: Vec<u16>,
}

/// An answer that did not come, or not as a whole.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub why: Why,
    /// What did come, if at least a head did.
    pub partial: Option<Response>,
}

/// Why an answer is not whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    /// The peer closed or reset the connection.
    Closed,
    /// Nothing more came in time.
    TimedOut,
    /// What came is not HTTP/1.1.
    Nonsense(String),
}

impl Response {
    /// The first header field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Connection {
    /// A new connection.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let stream =
            TcpStream::connect_timeout(&address, SOON).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new(), deadline: SOON }
    }

    /// The same with another deadline for each answer.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The socket, for those who need more.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The peer no longer takes them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.deadline))?;
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends a request with `host` and, for a body, `content-length`, and reads the answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|broken| panic!("{method} {path}: {broken:?}"))
    }

    /// As [`Connection::request`].
    ///
    /// # Errors
    /// No whole answer came.
    pub fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Broken> {
        // A peer may answer before it took everything; what counts is the answer.
        let _ = self.try_send(request(method, path, headers, body));
        self.answer(method == "HEAD")
    }

    /// Sends `GET path` and reads the answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// Says that no more bytes will be sent.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads the next answer to anything but HEAD.
    ///
    /// # Errors
    /// No whole answer came.
    pub fn response(&mut self) -> Result<Response, Broken> {
        self.answer(false)
    }

    /// Reads the next answer; one to HEAD has no body.
    ///
    /// # Errors
    /// No whole answer came.
    pub fn answer(&mut self, to_head: bool) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        loop {
            let mut head = self.head()?;
            if (100..200).contains(&head.status) && head.status != 101 {
                interim.push(head.status);
                continue;
            }
            head.interim = interim;
            if to_head || head.status == 204 || head.status == 304 {
                return Ok(head);
            }
            return self.body_of(head);
        }
    }

    /// Reads one head, also an interim one; the body is not touched.
    ///
    /// # Errors
    /// None came.
    pub fn head(&mut self) -> Result<Response, Broken> {
        let end = Instant::now() + self.deadline;
        let head = loop {
            if let Some(at) = find(&self.ahead, b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..at + 4).collect();
                break head;
            }
            self.more(end).map_err(|why| Broken { why, partial: None })?;
        };
        parse_head(&head).map_err(|text| Broken { why: Why::Nonsense(text), partial: None })
    }

    /// Reads the body that belongs to `head`.
    ///
    /// # Errors
    /// It did not come as a whole.
    pub fn body_of(&mut self, mut head: Response) -> Result<Response, Broken> {
        let end = Instant::now() + self.deadline;
        let chunked =
            head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = head.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let done = match (chunked, length) {
            (true, _) => self.chunks(&mut head, end),
            (false, Some(length)) => self.exactly(&mut head.body, length, end),
            (false, None) => self.to_the_end(&mut head.body, end),
        };
        match done {
            Ok(()) => Ok(head),
            Err(why) => Err(Broken { why, partial: Some(head) }),
        }
    }

    /// The bytes that come next, at least one; empty at the end.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn piece(&mut self) -> Result<Vec<u8>, Why> {
        let end = Instant::now() + self.deadline;
        if self.ahead.is_empty() {
            match self.more(end) {
                Ok(()) => {}
                Err(Why::Closed) => return Ok(Vec::new()),
                Err(why) => return Err(why),
            }
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Reads until `text` came; what was read up to its end.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> Vec<u8> {
        let end = Instant::now() + self.deadline;
        loop {
            if let Some(at) = find(&self.ahead, text.as_bytes()) {
                return self.ahead.drain(..at + text.len()).collect();
            }
            if let Err(why) = self.more(end) {
                panic!("{why:?} before `{text}`: {}", String::from_utf8_lossy(&self.ahead));
            }
        }
    }

    /// Everything up to the end of the connection.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn rest(&mut self) -> Result<Vec<u8>, Why> {
        let end = Instant::now() + self.deadline;
        let mut all = Vec::new();
        self.to_the_end(&mut all, end).map(|()| all)
    }

    /// Whether the peer closes the connection in time without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.ahead.is_empty() && matches!(self.more(Instant::now() + self.deadline), Err(Why::Closed))
    }

    fn more(&mut self, end: Instant) -> Result<(), Why> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Why::TimedOut);
        }
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut piece = [0_u8; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(Why::Closed),
            Ok(read) => {
                self.ahead.extend_from_slice(&piece[..read]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(Why::TimedOut)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Why::Closed),
        }
    }

    fn exactly(&mut self, body: &mut Vec<u8>, length: usize, end: Instant) -> Result<(), Why> {
        let goal = body.len() + length;
        loop {
            let take = (goal - body.len()).min(self.ahead.len());
            body.extend(self.ahead.drain(..take));
            if body.len() == goal {
                return Ok(());
            }
            self.more(end)?;
        }
    }

    fn to_the_end(&mut self, body: &mut Vec<u8>, end: Instant) -> Result<(), Why> {
        loop {
            body.append(&mut self.ahead);
            match self.more(end) {
                Ok(()) => {}
                Err(Why::Closed) => return Ok(()),
                Err(why) => return Err(why),
            }
        }
    }

    fn chunks(&mut self, response: &mut Response, end: Instant) -> Result<(), Why> {
        loop {
            let line = self.line(end)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16)
                .map_err(|_| Why::Nonsense(format!("the chunk length `{line}`")))?;
            if length == 0 {
                break;
            }
            self.exactly(&mut response.body, length, end)?;
            let after = self.line(end)?;
            if !after.is_empty() {
                return Err(Why::Nonsense(format!("`{after}` after a chunk")));
            }
        }
        loop {
            let line = self.line(end)?;
            if line.is_empty() {
                return Ok(());
            }
            response.trailers.push(field(&line).map_err(Why::Nonsense)?);
        }
    }

    fn line(&mut self, end: Instant) -> Result<String, Why> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more(end)?;
        }
    }
}

/// A request as bytes, with `host` and, for a body, `content-length` unless `headers` has them or
/// `transfer-encoding`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !has("host") {
        text.push_str("host: localhost\r\n");
    }
    if !(has("content-length") || has("transfer-encoding") || body.is_empty()) {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn parse_head(head: &[u8]) -> Result<Response, String> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut parts = first.splitn(3, ' ');
    let version = parts.next().unwrap_or_default().to_owned();
    let status = parts.next().and_then(|status| status.parse().ok());
    let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else {
        return Err(format!("`{first}` is no status line"));
    };
    let reason = parts.next().unwrap_or_default().to_owned();
    let headers = lines.filter(|line| !line.is_empty()).map(field).collect::<Result<_, _>>()?;
    Ok(Response { version, status, reason, headers, ..Response::default() })
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is no header field"))?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
