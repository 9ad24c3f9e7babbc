//! What went wrong in a gene, and what the client is told of it.

use std::fmt;

use http::StatusCode;

use crate::message::Response;

/// The cause inside an [`Error`]: any standard error.
type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a handler or a task failed.
///
/// Any standard error becomes one through `?`. It is written to the gene's log with its causes, and
/// the client gets status 500 and the text `internal error`, never the error's text. What the
/// client shall know is said with [`Error::refusal`] instead.
///
/// ```
/// use cyte_sdk::prelude::*;
///
/// fn number(text: &str) -> Result<u32, Error> {
///     Ok(text.parse::<u32>()?)
/// }
/// assert_eq!(number("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Error(Kind);

/// The two faults there are: ours and the client's.
enum Kind {
    /// The gene's own fault; nobody outside learns more.
    Internal(Cause),
    /// The client is told: status and text.
    Refusal(StatusCode, String),
}

impl Error {
    /// An error with a text of its own, for the log only.
    #[must_use]
    pub fn msg(text: impl Into<String>) -> Self {
        Self(Kind::Internal(text.into().into()))
    }

    /// Stops here and answers the client with this status and this text.
    ///
    /// For what is the client's to know or to mend: a missing record, a malformed body. The text
    /// goes out as it is; it is not logged as an error.
    #[must_use]
    pub fn refusal(status: StatusCode, text: impl Into<String>) -> Self {
        Self(Kind::Refusal(status, text.into()))
    }

    /// The status that the client gets: 500, or the one given to [`Error::refusal`].
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.0 {
            Kind::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Refusal(status, _) => *status,
        }
    }

    /// The error and its causes in one line, or none where the client is told everything.
    pub(crate) fn for_log(&self) -> Option<String> {
        match &self.0 {
            Kind::Internal(cause) => Some(chain(cause.as_ref())),
            Kind::Refusal(..) => None,
        }
    }

    /// Status and text for the client.
    pub(crate) fn public(&self) -> (StatusCode, &str) {
        match &self.0 {
            Kind::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
            Kind::Refusal(status, text) => (*status, text),
        }
    }

    /// What the client gets. Writes the rest to the log.
    pub(crate) fn into_response<B: From<String>>(self) -> Response<B> {
        if let Some(line) = self.for_log() {
            crate::sys::error_line(&line);
        }
        let (status, text) = self.public();
        Response::text(text.to_owned()).with_status(status)
    }
}

/// An error followed by its causes, `a: b: c`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Kind::Internal(Box::new(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Internal(cause) => f.write_str(&chain(cause.as_ref())),
            Kind::Refusal(status, text) => write!(f, "{status}: {text}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("reading the count")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_log_gets_the_causes_and_the_client_does_not() {
        let cause = "x".parse::<u32>().unwrap_err();
        let error = Error::from(Outer(cause));
        assert_eq!(error.to_string(), "reading the count: invalid digit found in string");
        let mut response: crate::Response = error.into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.body_mut().read_text().unwrap(), "internal error");
    }

    #[test]
    fn a_refusal_is_told_and_not_logged() {
        let error = Error::refusal(StatusCode::NOT_FOUND, "no such item");
        assert!(error.for_log().is_none());
        let mut response: crate::Response = error.into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.body_mut().read_text().unwrap(), "no such item");
    }
}
