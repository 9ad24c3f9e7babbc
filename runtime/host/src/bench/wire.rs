//! The client's half of HTTP/1.1, as little of it as a fair load needs.
//!
//! Requests are bytes made once; replies are parsed from the start of a buffer, with
//! `content-length` or chunked framing. Pure: sockets are elsewhere. It never guesses: a reply
//! without a length, or longer than [`MOST`], is an error.

use std::borrow::Cow;

/// Bytes of head and body that one reply may have.
pub(crate) const MOST: usize = 1 << 20;

/// Why bytes are not a reply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The first line is not `HTTP/1.1 NNN`.
    #[error("the answer has no HTTP/1.1 status line")]
    Status,
    /// Neither a length nor chunks.
    #[error("the answer says neither content-length nor chunked")]
    Length,
    /// A chunk's size is not one.
    #[error("the answer has a malformed chunk")]
    Chunk,
    /// Longer than a reply may be.
    #[error("the answer is longer than {MOST} bytes")]
    Long,
}

/// One whole reply at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body, chunks joined.
    pub(crate) body: Cow<'a, [u8]>,
    /// Bytes of the buffer that it took.
    pub(crate) length: usize,
    /// The server ends the connection after it.
    pub(crate) close: bool,
}

/// How the body's end is known.
enum Framing {
    Length(usize),
    Chunked,
}

/// The bytes of a request. With a body it is a POST of JSON, without one a GET.
#[must_use]
pub(crate) fn request(path: &str, body: Option<&[u8]>, keep: bool) -> Vec<u8> {
    let connection = if keep { "" } else { "connection: close\r\n" };
    match body {
        None => format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{connection}\r\n").into_bytes(),
        Some(body) => {
            let length = body.len();
            let mut bytes = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n{connection}\r\n"
            )
            .into_bytes();
            bytes.extend_from_slice(body);
            bytes
        }
    }
}

/// The reply at the start of `buffer`; `None` while it is not whole.
///
/// # Errors
/// If the bytes cannot become a reply, or only one that is too long.
pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Reply<'_>>, WireError> {
    let Some((head, rest)) = split_at(buffer, b"\r\n\r\n") else {
        return if buffer.len() > MOST { Err(WireError::Long) } else { Ok(None) };
    };
    let status = status(head)?;
    let (framing, close) = fields(head)?;
    let head_length = buffer.len() - rest.len();
    let body = match framing {
        Framing::Length(length) if length > MOST => return Err(WireError::Long),
        Framing::Length(length) => rest.get(..length).map(|body| (Cow::Borrowed(body), length)),
        Framing::Chunked => chunks(rest)?.map(|(body, length)| (Cow::Owned(body), length)),
    };
    Ok(body.map(|(body, length)| Reply { status, body, length: head_length + length, close }))
}

/// Before and after the first `mark`.
fn split_at<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((bytes.get(..at)?, bytes.get(at + mark.len()..)?))
}

fn status(head: &[u8]) -> Result<u16, WireError> {
    let digits = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or(WireError::Status)?;
    let text = std::str::from_utf8(digits).map_err(|_| WireError::Status)?;
    text.parse().map_err(|_| WireError::Status)
}

fn fields(head: &[u8]) -> Result<(Framing, bool), WireError> {
    let (mut framing, mut close) = (None, false);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some((name, value)) = split_at(line, b":") else { continue };
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            framing = Some(Framing::Length(length.ok_or(WireError::Length)?));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            framing = Some(Framing::Chunked);
        } else if name.eq_ignore_ascii_case(b"connection") {
            close = value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok((framing.ok_or(WireError::Length)?, close))
}

/// All chunks joined and the bytes they took, trailers included; `None` while not whole.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, WireError> {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let Some((line, after)) = split_at(rest, b"\r\n") else { return Ok(None) };
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let text = std::str::from_utf8(digits.trim_ascii()).map_err(|_| WireError::Chunk)?;
        let length = usize::from_str_radix(text, 16).map_err(|_| WireError::Chunk)?;
        if length > MOST || body.len() + length > MOST {
            return Err(WireError::Long);
        }
        if length == 0 {
            return Ok(trailers(after).map(|left| (body, bytes.len() - left.len())));
        }
        let (Some(chunk), Some(next)) = (after.get(..length), after.get(length + 2..)) else {
            return Ok(None);
        };
        if after.get(length..length + 2) != Some(b"\r\n") {
            return Err(WireError::Chunk);
        }
        body.extend_from_slice(chunk);
        rest = next;
    }
}

/// What follows the last chunk's trailers and their empty line; `None` while not whole.
fn trailers(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (line, after) = split_at(bytes, b"\r\n")?;
        if line.is_empty() {
            return Some(after);
        }
        bytes = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ndate: x\r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 502 Bad\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nt: 1\r\n\r\n";

    #[test]
    fn whole_replies() {
        let plain = parse(PLAIN).unwrap().unwrap();
        assert_eq!(
            (plain.status, &*plain.body, plain.length, plain.close),
            (200, &b"hello"[..], PLAIN.len(), false)
        );
        let chunked = parse(CHUNKED).unwrap().unwrap();
        assert_eq!(
            (chunked.status, &*chunked.body, chunked.length, chunked.close),
            (502, &b"hello"[..], CHUNKED.len(), true)
        );
    }

    #[test]
    fn every_truncation_asks_for_more() {
        for whole in [PLAIN, CHUNKED] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
            }
        }
    }

    #[test]
    fn what_follows_is_left_alone() {
        let two = [PLAIN, PLAIN].concat();
        assert_eq!(parse(&two).unwrap().unwrap().length, PLAIN.len());
    }

    #[test]
    fn refusals() {
        assert_eq!(parse(b"SSH-2.0 x\r\n\r\n"), Err(WireError::Status));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n"), Err(WireError::Length));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n"), Err(WireError::Long));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            Err(WireError::Chunk)
        );
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc"),
            Err(WireError::Chunk)
        );
    }

    #[test]
    fn requests() {
        assert_eq!(request("/", None, true), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let post = request("/digest", Some(b"[]"), false);
        assert!(post.ends_with(b"content-length: 2\r\nconnection: close\r\n\r\n[]"));
    }
}
