//! Between the types of WASI and those of the `http` crate.

use http::{HeaderMap, Method, Uri};

use super::fields::{headers_from, uri_from};
use super::streams::Incoming;
use super::wasi::types::{self, IncomingRequest};
use crate::Body;
use crate::head::Source;

impl Source for IncomingRequest {
    fn method(&self) -> Method {
        method_from(IncomingRequest::method(self))
    }

    fn target(&self) -> String {
        self.path_with_query().filter(|target| !target.is_empty()).unwrap_or_else(|| "/".to_owned())
    }

    fn uri(&self, target: &str) -> Uri {
        let https = matches!(self.scheme(), Some(types::Scheme::Https));
        uri_from(https, self.authority(), target)
    }

    fn headers(&self) -> HeaderMap {
        headers_from(IncomingRequest::headers(self).entries())
    }
}

/// The body of a request; empty where the host gives none.
pub(crate) fn open(request: &IncomingRequest) -> Body {
    request.consume().map(Incoming::open).unwrap_or_default()
}

/// The conversions that WASI 0.2 and 0.3 need alike, for the module `types` of either: their types
/// have the same names and are not the same.
macro_rules! conversions {
    () => {
        pub(crate) fn method_from(method: types::Method) -> http::Method {
            match method {
                types::Method::Get => http::Method::GET,
                types::Method::Head => http::Method::HEAD,
                types::Method::Post => http::Method::POST,
                types::Method::Put => http::Method::PUT,
                types::Method::Delete => http::Method::DELETE,
                types::Method::Connect => http::Method::CONNECT,
                types::Method::Options => http::Method::OPTIONS,
                types::Method::Trace => http::Method::TRACE,
                types::Method::Patch => http::Method::PATCH,
                // Not a method at all: one that no handler takes for its own.
                types::Method::Other(name) => name.parse().unwrap_or(http::Method::TRACE),
            }
        }

        pub(crate) fn method_to(method: &http::Method) -> types::Method {
            match *method {
                http::Method::GET => types::Method::Get,
                http::Method::HEAD => types::Method::Head,
                http::Method::POST => types::Method::Post,
                http::Method::PUT => types::Method::Put,
                http::Method::DELETE => types::Method::Delete,
                http::Method::CONNECT => types::Method::Connect,
                http::Method::OPTIONS => types::Method::Options,
                http::Method::TRACE => types::Method::Trace,
                http::Method::PATCH => types::Method::Patch,
                _ => types::Method::Other(method.as_str().to_owned()),
            }
        }

        /// The scheme of a target, which an outgoing request must have.
        pub(crate) fn scheme_to(uri: &http::Uri) -> Result<types::Scheme, crate::FetchError> {
            match uri.scheme_str() {
                Some("http") => Ok(types::Scheme::Http),
                Some("https") => Ok(types::Scheme::Https),
                Some(other) => Ok(types::Scheme::Other(other.to_owned())),
                None => Err(crate::FetchError::Invalid("its target names no scheme".to_owned())),
            }
        }

        /// A failed exchange in the words of this library.
        pub(crate) fn fetch_error(code: types::ErrorCode) -> crate::FetchError {
            use types::ErrorCode as E;
            let why = format!("{code:?}");
            match code {
                E::HttpRequestDenied | E::DestinationIpProhibited => crate::FetchError::Denied(why),
                E::DnsTimeout
                | E::DnsError(_)
                | E::DestinationNotFound
                | E::DestinationUnavailable
                | E::DestinationIpUnroutable
                | E::ConnectionRefused
                | E::TlsCertificateError => crate::FetchError::Unreachable(why),
                E::ConnectionTimeout
                | E::ConnectionReadTimeout
                | E::ConnectionWriteTimeout
                | E::HttpResponseTimeout => crate::FetchError::TimedOut(why),
                E::HttpRequestLengthRequired
                | E::HttpRequestBodySize(_)
                | E::HttpRequestMethodInvalid
                | E::HttpRequestUriInvalid
                | E::HttpRequestUriTooLong
                | E::HttpRequestHeaderSectionSize(_)
                | E::HttpRequestHeaderSize(_)
                | E::HttpRequestTrailerSectionSize(_)
                | E::HttpRequestTrailerSize(_) => crate::FetchError::Invalid(why),
                _ => crate::FetchError::Broken(why),
            }
        }

        /// The waits that were asked for; none where all are the host's.
        pub(crate) fn options_to(options: &crate::FetchOptions) -> Option<types::RequestOptions> {
            let crate::FetchOptions { connect, first_byte, between_bytes } = options;
            if connect.is_none() && first_byte.is_none() && between_bytes.is_none() {
                return None;
            }
            let nanos = |wait: &Option<std::time::Duration>| {
                wait.map(|wait| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
            };
            let out = types::RequestOptions::new();
            // A host that does not know one of them has limits of its own.
            let _ = out.set_connect_timeout(nanos(connect));
            let _ = out.set_first_byte_timeout(nanos(first_byte));
            let _ = out.set_between_bytes_timeout(nanos(between_bytes));
            Some(out)
        }
    };
}

conversions!();
#[cfg(feature = "p3")]
pub(crate) use conversions;
