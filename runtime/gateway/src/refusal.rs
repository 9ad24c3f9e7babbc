//! The one place that says what a client hears when a request is not answered by a gene:
//! status, stable code and public text.
//!
//! A refusal never carries anything of the inside (no backtrace, no gene name, no path): the
//! request id in it leads to the log line that has all that. There is no bare 500: what a gene
//! does wrong is 502 or 504, what the host lacks is 503 with `Retry-After`.

use bytes::Bytes;
use cyte_engine::{Breach, CallError, RequestId};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// The header that every refusal carries; the value is the id of the request in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request was not answered by a gene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// HTTP/1.1 without a Host field. The client's fault.
    HostMissing,
    /// More than one Host field, or one that contradicts `:authority`. The client's fault.
    HostConflict,
    /// A Host that is neither a name nor an address. The client's fault.
    HostMalformed,
    /// A request target that is no path and no http URL. The client's fault.
    TargetMalformed,
    /// CONNECT or TRACE: never served to anybody.
    MethodNotSupported,
    /// No gene is mounted there.
    NoRoute,
    /// More body than the gene takes.
    BodyTooLarge,
    /// The body stopped arriving while the gene waited for it.
    BodyStalled,
    /// Every cell is busy and so many wait that waiting is hopeless. Retry.
    Saturated {
        /// Seconds for `Retry-After`.
        retry_after_s: u64,
    },
    /// Waited for a cell as long as is allowed. Retry.
    WaitedTooLong {
        /// Seconds for `Retry-After`.
        retry_after_s: u64,
    },
    /// Background work that finds as much of it held back as may be, while clients suffer. Retry.
    BackgroundFull {
        /// Seconds for `Retry-After`.
        retry_after_s: u64,
    },
    /// The host is stopping. Retry, perhaps elsewhere.
    ShuttingDown,
    /// The host could not make a cell. Retry.
    CellNotMade,
    /// The cell trapped or panicked; it is gone, the next request gets another one.
    CellTrapped,
    /// The cell ended without an answer.
    CellSilent,
    /// The cell asked for more memory, tables, instances or handles than its limits.
    CellLimit,
    /// The gene itself answered with an error instead of a response.
    CellError,
    /// The gene's answer is not one that HTTP allows as a final response.
    CellAnswer,
    /// The cell used up its CPU budget before it answered.
    CpuBudget,
    /// The cell did not answer within its time.
    WallClock,
    /// Another host had taken the request, and nothing came back of it. Whether it was run is not known.
    HostLost,
}

/// One line of the table.
struct Row {
    status: StatusCode,
    code: &'static str,
    text: &'static str,
}

const fn row(status: StatusCode, code: &'static str, text: &'static str) -> Row {
    Row { status, code, text }
}

impl Refusal {
    /// Every refusal once, for counters and documents; retry times are zero here.
    pub const ALL: [Refusal; 21] = [
        Refusal::HostMissing,
        Refusal::HostConflict,
        Refusal::HostMalformed,
        Refusal::TargetMalformed,
        Refusal::MethodNotSupported,
        Refusal::NoRoute,
        Refusal::BodyTooLarge,
        Refusal::BodyStalled,
        Refusal::Saturated { retry_after_s: 0 },
        Refusal::WaitedTooLong { retry_after_s: 0 },
        Refusal::BackgroundFull { retry_after_s: 0 },
        Refusal::ShuttingDown,
        Refusal::CellNotMade,
        Refusal::CellTrapped,
        Refusal::CellSilent,
        Refusal::CellLimit,
        Refusal::CellError,
        Refusal::CellAnswer,
        Refusal::CpuBudget,
        Refusal::WallClock,
        Refusal::HostLost,
    ];

    /// The table.
    const fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Refusal::HostMissing => row(S::BAD_REQUEST, "host-missing", "the request has no Host field"),
            Refusal::HostConflict => {
                row(S::BAD_REQUEST, "host-conflict", "the request names more than one host")
            }
            Refusal::HostMalformed => row(
                S::BAD_REQUEST,
                "host-malformed",
                "the host of the request is neither a name nor an address",
            ),
            Refusal::TargetMalformed => {
                row(S::BAD_REQUEST, "target-malformed", "the request target is malformed")
            }
            Refusal::MethodNotSupported => {
                row(S::NOT_IMPLEMENTED, "method-not-supported", "this method is not supported here")
            }
            Refusal::NoRoute => row(S::NOT_FOUND, "no-route", "nothing is mounted here"),
            Refusal::BodyTooLarge => row(
                S::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "the request body is larger than this service takes",
            ),
            Refusal::BodyStalled => {
                row(S::REQUEST_TIMEOUT, "body-stalled", "the request body stopped arriving")
            }
            Refusal::Saturated { .. } => {
                row(S::SERVICE_UNAVAILABLE, "saturated", "the service is at its limit, try again later")
            }
            Refusal::WaitedTooLong { .. } => row(
                S::SERVICE_UNAVAILABLE,
                "waited-too-long",
                "no capacity became free in time, try again later",
            ),
            Refusal::BackgroundFull { .. } => row(
                S::SERVICE_UNAVAILABLE,
                "background-full",
                "too much background work waits already, try again later",
            ),
            Refusal::ShuttingDown => {
                row(S::SERVICE_UNAVAILABLE, "shutting-down", "the host is stopping, try again later")
            }
            Refusal::CellNotMade => row(
                S::SERVICE_UNAVAILABLE,
                "cell-not-made",
                "the service could not be started, try again later",
            ),
            Refusal::CellTrapped => {
                row(S::BAD_GATEWAY, "cell-trapped", "the service failed while it handled the request")
            }
            Refusal::CellSilent => row(S::BAD_GATEWAY, "cell-silent", "the service ended without an answer"),
            Refusal::CellLimit => {
                row(S::BAD_GATEWAY, "cell-limit", "the service needed more memory or handles than it may use")
            }
            Refusal::CellError => row(S::BAD_GATEWAY, "cell-error", "the service gave up on the request"),
            Refusal::CellAnswer => {
                row(S::BAD_GATEWAY, "cell-answer", "the service gave an answer that cannot be sent")
            }
            Refusal::CpuBudget => {
                row(S::GATEWAY_TIMEOUT, "cpu-budget", "the service used up its CPU time for one request")
            }
            Refusal::WallClock => row(S::GATEWAY_TIMEOUT, "wall-clock", "the service did not answer in time"),
            Refusal::HostLost => {
                row(S::GATEWAY_TIMEOUT, "host-lost", "the host that took the request did not answer")
            }
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// The stable code: programs may depend on it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// What a person reads.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.row().text
    }

    /// The refusal of this code, as another host names it; retry times are zero then.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Refusal::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// Its place in [`Refusal::ALL`].
    pub(crate) fn index(self) -> usize {
        let code = self.code();
        Refusal::ALL.iter().position(|one| one.code() == code).unwrap_or_default()
    }

    /// Seconds after which a retry makes sense, where it does.
    #[must_use]
    pub const fn retry_after_s(self) -> Option<u64> {
        match self {
            Refusal::Saturated { retry_after_s }
            | Refusal::WaitedTooLong { retry_after_s }
            | Refusal::BackgroundFull { retry_after_s } => {
                // Zero would ask clients to come back at once, all together.
                Some(if retry_after_s == 0 { 1 } else { retry_after_s })
            }
            Refusal::ShuttingDown | Refusal::CellNotMade => Some(1),
            _ => None,
        }
    }

    /// The response: text unless the client asked for JSON.
    #[must_use]
    pub fn response(self, id: RequestId, form: Form) -> Response<Bytes> {
        let id = id.to_string();
        let (body, kind) = match form {
            Form::Text => (self.as_text(&id), "text/plain; charset=utf-8"),
            Form::Json => (self.as_json(&id), "application/json"),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, value);
        }
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn as_text(self, id: &str) -> String {
        let (code, text) = (self.code(), self.text());
        format!("{text} ({code}, request {id})\n")
    }

    fn as_json(self, id: &str) -> String {
        let error = serde_json::json!({
            "v": 1,
            "error": { "code": self.code(), "message": self.text(), "request_id": id },
        });
        format!("{error}\n")
    }
}

impl From<&CallError> for Refusal {
    fn from(error: &CallError) -> Self {
        let retry_after_s = error.retry_after_s().unwrap_or_default();
        match error {
            CallError::Saturated => Refusal::Saturated { retry_after_s },
            CallError::WaitedTooLong => Refusal::WaitedTooLong { retry_after_s },
            CallError::BackgroundFull => Refusal::BackgroundFull { retry_after_s },
            CallError::ShuttingDown => Refusal::ShuttingDown,
            CallError::NotMade(_) => Refusal::CellNotMade,
            CallError::BadRequest => Refusal::HostMalformed,
            CallError::Trapped(_) => Refusal::CellTrapped,
            CallError::Breached(Breach::Cpu) => Refusal::CpuBudget,
            CallError::Breached(Breach::Wall | Breach::Stuck) => Refusal::WallClock,
            CallError::Breached(Breach::Ended) => Refusal::CellTrapped,
            CallError::Breached(Breach::Memory | Breach::Structure) => Refusal::CellLimit,
            CallError::NoResponse => Refusal::CellSilent,
            CallError::BrokenOff(_) => Refusal::CellAnswer,
            CallError::Guest(_) => Refusal::CellError,
        }
    }
}

/// How a client wants to read a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One line.
    Text,
    /// `{"v":1,"error":{"code","message","request_id"}}`
    Json,
}

impl Form {
    /// JSON for those whose Accept names it before any text type; one line for everybody else,
    /// browsers and `*/*` included.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(accept) = headers.get(header::ACCEPT).filter(|value| *value != "*/*") else {
            return Form::Text;
        };
        let accept = accept.to_str().unwrap_or_default();
        for range in accept.split(',') {
            let kind = range.split(';').next().unwrap_or_default().trim();
            if kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json") {
                return Form::Json;
            }
            if kind.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/")) {
                return Form::Text;
            }
        }
        Form::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_form_follows_the_accept_field() {
        assert_eq!(Form::of(&HeaderMap::new()), Form::Text);
        assert_eq!(Form::of(&accepting("*/*")), Form::Text);
        assert_eq!(Form::of(&accepting("application/json")), Form::Json);
        assert_eq!(Form::of(&accepting("Application/JSON;q=0.9, */*")), Form::Json);
        assert_eq!(Form::of(&accepting("application/problem+json")), Form::Json);
        assert_eq!(Form::of(&accepting("text/html, application/json")), Form::Text);
        assert_eq!(Form::of(&accepting("text")), Form::Text);
    }

    #[test]
    fn codes_are_distinct_and_none_is_a_bare_500() {
        for (at, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(refusal.index(), at, "{}", refusal.code());
            assert_ne!(refusal.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(refusal.status().is_client_error() || refusal.status().is_server_error());
            let retries = refusal.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(refusal.retry_after_s().is_some(), retries, "{}", refusal.code());
        }
    }

    #[test]
    fn a_response_carries_the_request_id_twice_and_nothing_internal() {
        let id = RequestId(0xabc);
        let trap = CallError::Trapped("secret/path.rs".into());
        let response = Refusal::from(&trap).response(id, Form::Json);
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()[REQUEST_ID], "0000000000000abc");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["v"], 1);
        assert_eq!(body["error"]["code"], "cell-trapped");
        assert_eq!(body["error"]["request_id"], "0000000000000abc");
        assert!(!String::from_utf8_lossy(response.body()).contains("secret"));

        let busy = Refusal::Saturated { retry_after_s: 3 }.response(id, Form::Text);
        assert_eq!(busy.headers()[header::RETRY_AFTER], "3");
        assert!(busy.body().ends_with(b"(saturated, request 0000000000000abc)\n"));
    }
}
