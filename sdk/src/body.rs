//! Bodies: what arrives and what leaves, whole or in pieces.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use http::HeaderMap;

use crate::writer::BodyWriter;
use crate::{Error, sys};

/// How a streamed body is made, once the head is on its way.
pub(crate) type Producer = Box<dyn FnOnce(&mut BodyWriter) -> Result<(), Error>>;

/// The body of a request or of a response.
///
/// It is read once, either piece by piece ([`Read`], [`Body::chunk`], [`Body::chunks`]) or whole
/// ([`Body::read_bytes`], [`Body::read_text`], `Body::read_json`). Reading waits until something is there, and what
/// is not read stays with the sender: the back-pressure reaches the client.
///
/// A body that came in can go out again unread, as the body of a response or of a request; the
/// bytes then pass without a copy in the gene.
#[derive(Default)]
pub struct Body {
    pub(crate) inner: Inner,
    /// Sent after the body, or received after it.
    pub(crate) trailers: Option<HeaderMap>,
}

/// A body that arrives piece by piece.
///
/// Behind a pointer so that a gene which never looks at a body holds no code for it, and imports
/// nothing for it either.
pub(crate) trait Arriving {
    /// Waits for the next piece, of at most `most` bytes and never empty; none at the end.
    fn read(&mut self, most: usize) -> io::Result<Option<Bytes>>;

    /// Waits for what follows the body. Ends the body.
    fn trailers(&mut self) -> io::Result<Option<HeaderMap>>;

    /// Sends everything on to `out`, and gives the trailers.
    #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "nothing is sent in tests"))]
    fn pass_on(&mut self, out: &mut sys::Outgoing) -> io::Result<Option<HeaderMap>>;
}

/// Where the bytes are.
#[derive(Default)]
pub(crate) enum Inner {
    /// Nothing (left).
    #[default]
    Empty,
    /// All here.
    Full(Bytes),
    /// Still arriving.
    Incoming(Box<dyn Arriving>),
    /// Arrived to its end; what may follow it was not asked for yet.
    Ended(Box<dyn Arriving>),
    /// Written by a closure when the time comes.
    Producer(Producer),
}

impl Body {
    /// The most that [`Body::read_bytes`], [`Body::read_text`] and `Body::read_json` read, in bytes: 16 MiB.
    pub const WHOLE: usize = 16 << 20;

    /// The most that [`Body::chunk`] gives at once, in bytes: 64 KiB.
    pub const CHUNK: usize = 64 << 10;

    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that `write` produces while it is sent.
    ///
    /// The head leaves first. `write` is held back while the receiver does not take more. An error
    /// ends the message unfinished, which the receiver sees, and goes to the log.
    #[must_use]
    pub fn stream(write: impl FnOnce(&mut BodyWriter) -> Result<(), Error> + 'static) -> Self {
        Inner::Producer(Box::new(write)).into()
    }

    /// The next piece, at most [`Body::CHUNK`] long and never empty; none at the end.
    ///
    /// # Errors
    ///
    /// When the sender breaks off before its end, or a limit on bodies is reached.
    pub fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.piece(Self::CHUNK)
    }

    /// The pieces, one after the other, until the end or the first error.
    pub fn chunks(&mut self) -> Chunks<'_> {
        Chunks { body: Some(self) }
    }

    /// All of it, at most [`Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`]; [`io::ErrorKind::FileTooLarge`] if there is more.
    pub fn read_bytes(&mut self) -> io::Result<Bytes> {
        self.read_bytes_up_to(Self::WHOLE)
    }

    /// All of it, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`]; [`io::ErrorKind::FileTooLarge`] if there is more.
    pub fn read_bytes_up_to(&mut self, limit: usize) -> io::Result<Bytes> {
        let Some(first) = self.chunk_within(limit)? else {
            return Ok(Bytes::new());
        };
        // Most bodies are one piece: no copy for them.
        let Some(second) = self.chunk_within(limit - first.len())? else {
            return Ok(first);
        };
        let mut all = Vec::with_capacity(first.len() + second.len());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.chunk_within(limit - all.len())? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    /// All of it as UTF-8 text, at most [`Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::read_bytes`]; [`io::ErrorKind::InvalidData`] if it is not UTF-8.
    pub fn read_text(&mut self) -> io::Result<String> {
        utf8(self.read_bytes()?)
    }

    /// All of it as a value of JSON, at most [`Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::read_bytes`]; and a refusal with status 400 that says where the JSON is wrong.
    #[cfg(feature = "json")]
    pub fn read_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        json(&self.read_bytes()?)
    }

    /// The trailers, once the body was read to its end; what is left of it is skipped.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`].
    pub fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        while self.chunk()?.is_some() {}
        if let Inner::Ended(mut incoming) = std::mem::take(&mut self.inner) {
            self.trailers = incoming.trailers()?.or(self.trailers.take());
        }
        Ok(self.trailers.take())
    }

    /// Sends these trailers after the body, and names them in the head. For trailers that are known
    /// only at the end, see [`BodyWriter::trailers`].
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The number of bytes, where it is known without reading.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        match &self.inner {
            Inner::Empty | Inner::Ended(_) => Some(0),
            Inner::Full(bytes) => Some(bytes.len() as u64),
            Inner::Incoming(_) | Inner::Producer(_) => None,
        }
    }

    /// Whether it is known, without reading, that there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next piece, of at most `most` bytes.
    fn piece(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        self.collect()?;
        match &mut self.inner {
            Inner::Empty | Inner::Ended(_) | Inner::Producer(_) => Ok(None),
            Inner::Full(bytes) => {
                let piece = bytes.split_to(bytes.len().min(most));
                if bytes.is_empty() {
                    self.inner = Inner::Empty;
                }
                Ok((!piece.is_empty()).then_some(piece))
            }
            Inner::Incoming(incoming) => {
                let piece = incoming.read(most)?;
                if piece.is_none()
                    && let Inner::Incoming(incoming) = std::mem::take(&mut self.inner)
                {
                    self.inner = Inner::Ended(incoming);
                }
                Ok(piece)
            }
        }
    }

    /// The next piece, or an error if it is longer than what is left of a limit.
    fn chunk_within(&mut self, left: usize) -> io::Result<Option<Bytes>> {
        // One byte more than is wanted shows that there is more.
        match self.piece(left.saturating_add(1).min(Self::CHUNK.max(Self::WHOLE)))? {
            Some(piece) if piece.len() > left => {
                Err(io::Error::new(io::ErrorKind::FileTooLarge, "body is larger than its limit"))
            }
            piece => Ok(piece),
        }
    }

    /// Runs the closure of a streamed body that is read here instead of being sent.
    fn collect(&mut self) -> io::Result<()> {
        if let Inner::Producer(write) = &mut self.inner {
            let write = std::mem::replace(write, Box::new(|_| Ok(())));
            let (bytes, trailers) =
                BodyWriter::collect(write).map_err(|error| io::Error::other(error.to_string()))?;
            self.inner = Inner::Full(bytes);
            self.trailers = trailers.or(self.trailers.take());
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let piece = self.piece(buf.len())?.unwrap_or_default();
        let (head, _) = buf.split_at_mut(piece.len().min(buf.len()));
        head.copy_from_slice(&piece);
        Ok(head.len())
    }
}

/// Bytes as text.
pub(crate) fn utf8(bytes: Bytes) -> io::Result<String> {
    String::from_utf8(bytes.into())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "body is not UTF-8"))
}

/// Bytes as a value of JSON; the client's fault where they are none.
#[cfg(feature = "json")]
pub(crate) fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::refusal(http::StatusCode::BAD_REQUEST, format!("bad JSON: {error}")))
}

/// The pieces of a [`Body`]; see [`Body::chunks`].
#[derive(Debug)]
pub struct Chunks<'a> {
    /// None once the end or an error was given.
    body: Option<&'a mut Body>,
}

impl Iterator for Chunks<'_> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.body.as_mut()?.chunk().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
        }
        next
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Empty | Inner::Ended(_) => f.write_str("Body(empty)"),
            Inner::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Incoming(_) => f.write_str("Body(arriving)"),
            Inner::Producer(_) => f.write_str("Body(streamed)"),
        }
    }
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Self {
        Self { inner, trailers: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Inner::Full(bytes).into() }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn arriving_pieces_read_as_one_and_give_their_trailers() {
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", "abc".parse().unwrap());
        let mut body = testing::arriving(["he", "l", "lo"]).with_trailers(trailers.clone());
        assert_eq!(body.read_bytes().unwrap(), "hello");
        assert_eq!(body.chunk().unwrap(), None);
        assert_eq!(body.trailers().unwrap(), Some(trailers));
    }

    #[test]
    fn a_limit_holds_to_the_byte() {
        for pieces in [vec!["12345678"], vec!["1234", "5678"], vec!["1", "2345", "678"]] {
            assert_eq!(testing::arriving(pieces.clone()).read_bytes_up_to(8).unwrap(), "12345678");
            let error = testing::arriving(pieces).read_bytes_up_to(7).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        assert_eq!(Body::from("12345678").read_bytes_up_to(8).unwrap(), "12345678");
        assert!(Body::from("12345678").read_bytes_up_to(7).is_err());
        assert_eq!(Body::empty().read_bytes_up_to(0).unwrap(), "");
    }

    #[test]
    fn read_takes_any_buffer() {
        let mut body = testing::arriving(["hello", " ", "there"]);
        let mut all = Vec::new();
        let mut buf = [0; 3];
        loop {
            let n = body.read(&mut buf).unwrap();
            if n == 0 {
                break;
            }
            all.extend_from_slice(&buf[..n]);
        }
        assert_eq!(all, b"hello there");
    }

    #[test]
    fn a_streamed_body_can_be_read_and_its_error_is_seen() {
        let mut body = Body::stream(|out| {
            for word in ["a", "b"] {
                out.send(word)?;
            }
            Ok(())
        });
        assert_eq!(body.read_text().unwrap(), "ab");
        let mut body = Body::stream(|_| Err(Error::msg("broke")));
        assert_eq!(body.read_bytes().unwrap_err().to_string(), "broke");
    }

    #[test]
    fn chunks_end_after_an_error() {
        let mut body = testing::arriving_then_broken(["ab"]);
        let pieces: Vec<_> = body.chunks().collect();
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0].as_ref().unwrap(), "ab");
        assert!(pieces[1].is_err());
    }
}
