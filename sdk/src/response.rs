//! Responses: the one given, and those that come back from elsewhere.

use std::fmt;

use http::header::{self, AsHeaderName};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Body, BodyWriter, Error};

/// An HTTP response.
///
/// A body that is here as a whole leaves with its length, in one piece with the head; a streamed
/// one leaves as it is made.
///
/// ```
/// use cyte_sdk::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// let response = Response::text("gone").with_status(StatusCode::GONE).with_header("x-since", "2026")?;
/// assert_eq!(response.status(), 410);
/// assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
/// # Ok(())
/// # }
/// ```
pub struct Response<B> {
    status: StatusCode,
    headers: HeaderMap,
    body: B,
}

impl Response<Body> {
    /// A response whose body `write` produces while it is sent; see [`Body::stream`].
    #[must_use]
    pub fn stream(write: impl FnOnce(&mut BodyWriter) -> Result<(), Error> + 'static) -> Self {
        Self::new(Body::stream(write))
    }

    /// The whole body as a value of JSON; see [`Body::read_json`].
    ///
    /// # Errors
    ///
    /// As [`Body::read_json`].
    #[cfg(feature = "json")]
    pub fn read_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.body.read_json()
    }
}

impl<B> Response<B> {
    /// Status 200 with this body, and no headers.
    #[must_use]
    pub fn new(body: impl Into<B>) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() }
    }

    /// A plain text in UTF-8.
    #[must_use]
    pub fn text(text: impl Into<B>) -> Self {
        Self::typed(text.into(), "text/plain; charset=utf-8")
    }

    /// A page of HTML in UTF-8.
    #[must_use]
    pub fn html(html: impl Into<B>) -> Self {
        Self::typed(html.into(), "text/html; charset=utf-8")
    }

    /// A value as JSON.
    ///
    /// # Errors
    ///
    /// When the value cannot be written as JSON: a map whose keys are not texts, or an error of
    /// its own `Serialize`.
    #[cfg(feature = "json")]
    pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Self, Error>
    where
        B: From<Vec<u8>>,
    {
        Ok(Self::typed(serde_json::to_vec(value)?.into(), "application/json"))
    }

    /// This status, and no body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self
    where
        B: From<()>,
    {
        Self::new(()).with_status(status)
    }

    fn typed(body: B, content_type: &'static str) -> Self {
        let mut response = Self::new(body);
        response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one header set, in place of any of that name.
    ///
    /// # Errors
    ///
    /// When name or value are not what HTTP allows.
    pub fn with_header<N, V>(mut self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName>,
        N::Error: Into<http::Error>,
        V: TryInto<HeaderValue>,
        V::Error: Into<http::Error>,
    {
        let name = name.try_into().map_err(|error| Error::from(error.into()))?;
        let value = value.try_into().map_err(|error| Error::from(error.into()))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The first value of a header as text; none if it is missing or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// The body; the head is given up.
    #[must_use]
    pub fn into_body(self) -> B {
        self.body
    }

    /// Status, headers and body.
    #[must_use]
    pub fn into_parts(self) -> (StatusCode, HeaderMap, B) {
        (self.status, self.headers, self.body)
    }

    /// A response of these parts.
    #[must_use]
    pub fn from_parts(status: StatusCode, headers: HeaderMap, body: B) -> Self {
        Self { status, headers, body }
    }
}

impl<T, B: From<T>> From<http::Response<T>> for Response<B> {
    fn from(response: http::Response<T>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body: body.into() }
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(response: Response<B>) -> Self {
        let mut out = http::Response::new(response.body);
        *out.status_mut() = response.status;
        *out.headers_mut() = response.headers;
        out
    }
}

impl<B: fmt::Debug> fmt::Debug for Response<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status, self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_its_type() {
        let mut response = crate::Response::json(&[1, 2]).unwrap();
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.body_mut().read_text().unwrap(), "[1,2]");
    }

    #[test]
    fn a_bad_header_is_an_error() {
        assert!(crate::Response::text("x").with_header("a b", "c").is_err());
        assert!(crate::Response::text("x").with_header("a", "b\nc").is_err());
    }

    #[test]
    fn it_goes_to_the_http_crate_and_back() {
        let response = http::Response::builder().status(404).header("a", "b").body("x").unwrap();
        let response: crate::Response = response.into();
        assert_eq!(response.header("a"), Some("b"));
        let response: http::Response<Body> = response.into();
        assert_eq!(response.status(), 404);
    }
}
