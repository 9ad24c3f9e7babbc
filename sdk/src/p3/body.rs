//! Bodies on WASI 0.3.

use std::fmt;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use http::HeaderMap;

use super::sys;
use crate::{Error, message};

/// What a streamed body ends with.
pub(crate) type Written = Result<BodyWriter, Error>;

/// How a streamed body is made, once the head is on its way.
pub(crate) type Producer = Box<dyn FnOnce(BodyWriter) -> Pin<Box<dyn Future<Output = Written>>>>;

/// The body of a request or of a response, read asynchronously; as [`crate::Body`] otherwise.
#[derive(Default)]
pub struct Body {
    pub(crate) inner: Inner,
    /// Sent after the body, or received after it.
    pub(crate) trailers: Option<HeaderMap>,
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
    Incoming(Box<sys::Incoming>),
    /// Written by a closure when the time comes.
    Producer(Producer),
}

impl Body {
    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that `write` produces while it is sent; as [`crate::Body::stream`].
    #[must_use]
    pub fn stream<F>(write: F) -> Self
    where
        F: AsyncFnOnce(&mut BodyWriter) -> Result<(), Error> + 'static,
    {
        let producer: Producer = Box::new(|mut writer| {
            Box::pin(async move {
                write(&mut writer).await?;
                Ok(writer)
            })
        });
        Inner::Producer(producer).into()
    }

    /// The next piece, at most [`crate::Body::CHUNK`] long and never empty; none at the end.
    ///
    /// # Errors
    ///
    /// When the sender breaks off before its end, or a limit on bodies is reached.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.piece(crate::Body::CHUNK).await
    }

    /// All of it, at most [`crate::Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`]; [`io::ErrorKind::FileTooLarge`] if there is more.
    pub async fn read_bytes(&mut self) -> io::Result<Bytes> {
        self.read_bytes_up_to(crate::Body::WHOLE).await
    }

    /// All of it, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`]; [`io::ErrorKind::FileTooLarge`] if there is more.
    pub async fn read_bytes_up_to(&mut self, limit: usize) -> io::Result<Bytes> {
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if first.len() + all.len() + piece.len() > limit {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "body is larger than its limit"));
            }
            // Most bodies are one piece: no copy for them.
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
        Ok(if all.is_empty() { first } else { all.into() })
    }

    /// All of it as UTF-8 text, at most [`crate::Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::read_bytes`]; [`io::ErrorKind::InvalidData`] if it is not UTF-8.
    pub async fn read_text(&mut self) -> io::Result<String> {
        crate::body::utf8(self.read_bytes().await?)
    }

    /// All of it as a value of JSON, at most [`crate::Body::WHOLE`] bytes.
    ///
    /// # Errors
    ///
    /// As [`Body::read_bytes`]; and a refusal with status 400 that says where the JSON is wrong.
    #[cfg(feature = "json")]
    pub async fn read_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        crate::body::json(&self.read_bytes().await?)
    }

    /// The trailers, once the body was read to its end; what is left of it is skipped.
    ///
    /// # Errors
    ///
    /// As [`Body::chunk`].
    pub async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        while self.chunk().await?.is_some() {}
        Ok(self.trailers.take())
    }

    /// Sends these trailers after the body; as [`crate::Body::with_trailers`].
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The number of bytes, where it is known without reading.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        match &self.inner {
            Inner::Empty => Some(0),
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
    async fn piece(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        self.collect().await?;
        match &mut self.inner {
            Inner::Empty | Inner::Producer(_) => Ok(None),
            Inner::Full(bytes) => {
                let piece = bytes.split_to(bytes.len().min(most));
                if bytes.is_empty() {
                    self.inner = Inner::Empty;
                }
                Ok((!piece.is_empty()).then_some(piece))
            }
            Inner::Incoming(incoming) => {
                let piece = incoming.read(most).await?;
                if piece.is_none() {
                    self.trailers = incoming.trailers().await?.or(self.trailers.take());
                    self.inner = Inner::Empty;
                }
                Ok(piece)
            }
        }
    }

    /// Runs the closure of a streamed body that is read here instead of being sent.
    async fn collect(&mut self) -> io::Result<()> {
        if !matches!(self.inner, Inner::Producer(_)) {
            return Ok(());
        }
        if let Inner::Producer(write) = std::mem::take(&mut self.inner) {
            let writer = BodyWriter { out: sys::Outgoing::kept(), trailers: None };
            let writer = write(writer).await.map_err(|error| io::Error::other(error.to_string()))?;
            self.inner = Inner::Full(writer.out.into_kept());
            self.trailers = writer.trailers.or(self.trailers.take());
        }
        Ok(())
    }
}

impl message::Request<Body> {
    /// The whole body as a value of JSON; see [`Body::read_json`].
    ///
    /// # Errors
    ///
    /// As [`Body::read_json`].
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.body_mut().read_json().await
    }

    /// The whole body as text; see [`Body::read_text`].
    ///
    /// # Errors
    ///
    /// As [`Body::read_text`].
    pub async fn text(&mut self) -> Result<String, Error> {
        Ok(self.body_mut().read_text().await?)
    }
}

impl message::Response<Body> {
    /// A response whose body `write` produces while it is sent; see [`Body::stream`].
    #[must_use]
    pub fn stream<F>(write: F) -> Self
    where
        F: AsyncFnOnce(&mut BodyWriter) -> Result<(), Error> + 'static,
    {
        Self::new(Body::stream(write))
    }
}

/// Sends a body while it is made; given to the closure of a streamed response.
#[derive(Debug)]
pub struct BodyWriter {
    pub(crate) out: sys::Outgoing,
    pub(crate) trailers: Option<HeaderMap>,
}

impl BodyWriter {
    /// Sends one piece, and waits until the receiver took it.
    ///
    /// # Errors
    ///
    /// When the receiver went away. There is then no use in going on: give the error back with `?`.
    pub async fn send(&mut self, piece: impl Into<Vec<u8>>) -> io::Result<()> {
        self.out.write_all(piece.into()).await
    }

    /// Sends these trailers after the body; as [`crate::BodyWriter::trailers`].
    pub fn trailers(&mut self, trailers: HeaderMap) {
        self.trailers = Some(trailers);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Empty => f.write_str("Body(empty)"),
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

#[cfg(test)]
mod tests {
    use crate::p3::prelude::*;
    use crate::testing;

    struct Front;

    impl Drone for Front {
        async fn handle(mut request: Request) -> Result<Response, Error> {
            match request.path() {
                "/stream" => Ok(Response::stream(async |out| {
                    out.send("a").await?;
                    sleep(std::time::Duration::from_secs(1)).await;
                    out.send("b").await?;
                    Ok(())
                })),
                "/fetch" => Ok(fetch(http::Request::get("http://up/x").body(())?).await?),
                _ => Ok(Response::text(request.text().await?)),
            }
        }
    }

    crate::drone_p3!(Front);

    fn text(path: &str, body: &'static str) -> String {
        testing::block_on(async {
            let request = testing::p3_request(Method::POST, path, body);
            let mut response = testing::serve_p3::<Front>(request).await;
            response.body_mut().read_text().await.unwrap()
        })
    }

    #[test]
    fn handlers_are_tested_natively() {
        assert_eq!(text("/", "echo"), "echo");
        assert_eq!(text("/stream", ""), "ab");
        testing::on_fetch(|_| Ok(crate::Response::text("from above")));
        assert_eq!(text("/fetch", ""), "from above");
    }

    #[test]
    fn a_limit_holds_to_the_byte() {
        testing::block_on(async {
            assert_eq!(Body::from("12345678").read_bytes_up_to(8).await.unwrap(), "12345678");
            assert!(Body::from("12345678").read_bytes_up_to(7).await.is_err());
        });
    }
}
