//! Requests that a gene sends.

use std::fmt;
use std::time::Duration;

use crate::{Request, Response, sys};

/// Sends a request and waits for the head of the response; its body streams.
///
/// Where to is granted in `dna.toml`: `outbound = ["https://api.example.test"]`; everything else is
/// [`FetchError::Denied`]. A secret is put into a header by its name, `{{secret:token}}`: the host
/// writes the value when the request leaves, the gene never sees it.
///
/// A streamed request body is sent to its end before the response is looked at.
///
/// ```no_run
/// use cyte_sdk::prelude::*;
/// use cyte_sdk::http;
///
/// fn items() -> Result<Response, Error> {
///     let request = http::Request::get("https://api.example.test/items")
///         .header("authorization", "Bearer {{secret:token}}")
///         .body(())?;
///     Ok(fetch(request)?)
/// }
/// ```
///
/// # Errors
///
/// See [`FetchError`]. A response with a status of 400 or above is not an error.
pub fn fetch(request: impl Into<Request>) -> Result<Response, FetchError> {
    sys::fetch(request.into(), &FetchOptions::default())
}

/// As [`fetch`], with limits of its own on waiting. The host's hold in any case.
///
/// # Errors
///
/// As [`fetch`].
pub fn fetch_with(request: impl Into<Request>, options: &FetchOptions) -> Result<Response, FetchError> {
    sys::fetch(request.into(), options)
}

/// How long to wait for another server; what is not set is the host's own limit.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// Until the response begins.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response.
    pub between_bytes: Option<Duration>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The gene may not go there: its DNA does not grant it, or the address is a private one.
    /// Nothing was sent; asking again is no use.
    Denied(String),
    /// Nobody answers there: the name is unknown, or no connection came about. Nothing was sent.
    Unreachable(String),
    /// It took too long. The other side may have acted on the request.
    TimedOut(String),
    /// The request is not one that can be sent. Nothing was sent.
    Invalid(String),
    /// The exchange broke. The other side may have acted on the request.
    Broken(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "outgoing request denied: {why}"),
            Self::Unreachable(why) => write!(f, "outgoing request found nobody: {why}"),
            Self::TimedOut(why) => write!(f, "outgoing request took too long: {why}"),
            Self::Invalid(why) => write!(f, "outgoing request is not valid: {why}"),
            Self::Broken(why) => write!(f, "outgoing request broke: {why}"),
        }
    }
}

impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_test_stands_in_for_the_upstream() {
        testing::on_fetch(|request| match request.path() {
            "/a" => Ok(Response::text("A")),
            _ => Err(FetchError::Denied("no".into())),
        });
        let get = |uri: &str| fetch(http::Request::get(uri).body(()).unwrap());
        assert_eq!(get("http://x/a").unwrap().body_mut().read_text().unwrap(), "A");
        assert_eq!(get("http://x/b").unwrap_err(), FetchError::Denied("no".into()));
    }
}
