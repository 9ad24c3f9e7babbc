//! Requests: the one being answered, and those that a gene sends.

use std::borrow::Cow;
use std::fmt;

use http::header::AsHeaderName;
use http::{HeaderMap, Method, Uri};

use crate::head::{Head, Opens};
use crate::{Body, Error};

/// An HTTP request.
///
/// Its parts have the types of the `http` crate. They are fetched from the host when they are
/// asked for, so that a handler pays only for what it looks at.
///
/// To build one, for [`fetch`](crate::fetch) or for a test, use the builder of the `http` crate:
///
/// ```
/// use cyte_sdk::{Request, http};
///
/// # fn main() -> Result<(), cyte_sdk::Error> {
/// let request = Request::from(http::Request::get("https://api.example.test/items?of=me").body(())?);
/// assert_eq!(request.path(), "/items");
/// assert_eq!(request.query_value("of").as_deref(), Some("me"));
/// # Ok(())
/// # }
/// ```
pub struct Request<B: Opens> {
    head: Head<B::Source>,
    /// None until it is asked for: opening it is a call to the host.
    body: Option<B>,
}

impl Request<Body> {
    /// The whole body as a value of JSON; see [`Body::read_json`].
    ///
    /// # Errors
    ///
    /// As [`Body::read_json`].
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.body_mut().read_json()
    }

    /// The whole body as text; see [`Body::read_text`].
    ///
    /// # Errors
    ///
    /// As [`Body::read_text`].
    pub fn text(&mut self) -> Result<String, Error> {
        Ok(self.body_mut().read_text()?)
    }
}

impl<B: Opens> Request<B> {
    /// A request that the host holds.
    #[cfg(target_family = "wasm")]
    pub(crate) fn arriving(head: Head<B::Source>) -> Self {
        Self { head, body: None }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// The path, still percent-encoded, starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        let target = self.head.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// What follows the first `?`, still percent-encoded; none without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.head.target().split_once('?').map(|(_, query)| query)
    }

    /// The first value of `name` in the query, decoded (`+` and `%20` are spaces; bytes that are
    /// not UTF-8 become U+FFFD).
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query()?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| decode(key) == name)
            .map(|(_, value)| decode(value).into_owned())
    }

    /// Scheme, authority, path and query.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.head.uri()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.head.headers_mut()
    }

    /// The first value of a header as text; none if it is missing or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut B {
        let Self { head, body } = self;
        body.get_or_insert_with(|| B::open(head, true))
    }

    /// The body; the head is given up.
    #[must_use]
    pub fn into_body(mut self) -> B {
        self.body.unwrap_or_else(|| B::open(&mut self.head, false))
    }

    /// This request as the `http` crate has it.
    #[must_use]
    pub fn into_http(mut self) -> http::Request<B> {
        let body = std::mem::take(self.body_mut());
        let (method, uri, headers) = self.head.into_parts();
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

impl<T, B: Opens + From<T>> From<http::Request<T>> for Request<B> {
    fn from(request: http::Request<T>) -> Self {
        let (parts, body) = request.into_parts();
        let head = Head::given(parts.method, parts.uri, parts.headers);
        Self { head, body: Some(body.into()) }
    }
}

impl<B: Opens + fmt::Debug> fmt::Debug for Request<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.head.method(), self.head.target())?;
        self.body.as_ref().map_or(Ok(()), |body| write!(f, " {body:?}"))
    }
}

/// Decodes one part of a query.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                // A percent sign that starts no code stands for itself.
                let mut ahead = bytes.clone();
                let code = ahead.next().and_then(hex).zip(ahead.next().and_then(hex));
                match code {
                    Some((high, low)) => {
                        out.push(high << 4 | low);
                        bytes = ahead;
                    }
                    None => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The value of one hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> crate::Request {
        http::Request::get(uri).body(()).unwrap().into()
    }

    #[test]
    fn the_target_splits_at_the_first_question_mark() {
        let request = get("/a/b?c=d?e");
        assert_eq!((request.path(), request.query()), ("/a/b", Some("c=d?e")));
        let request = get("http://host/");
        assert_eq!((request.path(), request.query()), ("/", None));
        assert_eq!(get("/?").query(), Some(""));
    }

    #[test]
    fn query_values_are_decoded_and_the_first_wins() {
        let request = get("/?a=1&name=J%C3%BCrgen+M%2B&name=2&flag&bad=%4&%6Eew=x");
        assert_eq!(request.query_value("name").unwrap(), "Jürgen M+");
        assert_eq!(request.query_value("flag").unwrap(), "");
        assert_eq!(request.query_value("bad").unwrap(), "%4");
        assert_eq!(request.query_value("new").unwrap(), "x");
        assert_eq!(request.query_value("missing"), None);
    }

    #[test]
    fn it_goes_to_the_http_crate_and_back() {
        let request = http::Request::put("http://h/p?q").header("a", "b").body("x").unwrap();
        let request = crate::Request::from(request).into_http();
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(request.uri(), "http://h/p?q");
        assert_eq!(request.headers()["a"], "b");
    }
}
