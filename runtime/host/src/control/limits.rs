//! The two writes to limits: set and unset. Reading them is a question like any other.
//!
//! They wait for the disk, so that they are done on a thread that may.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::HostView;
use super::query::unescape;
use super::reply::{Body, answered, failed};
use crate::codes::Code;
use crate::error::CliError;

/// What is posted, in bytes.
const TURNS_BYTES: usize = 64 << 10;

/// Who may change a host's limits, and how.
pub trait LimitView: Send + Sync + 'static {
    /// Sets limits, or unsets those without a value, on behalf of user `uid`: all of them or none;
    /// durable, audited and in force when it returns.
    ///
    /// # Errors
    /// `Code::Limit` for a name or value that makes no sense or lies outside its bounds,
    /// `Code::Envelope` for a count that the DNA does not allow, `Code::State` when it cannot be kept.
    fn turn_limits(&self, uid: u32, turns: &[(String, Option<String>)]) -> Result<Value, CliError>;
}

/// What is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turns {
    set: BTreeMap<String, String>,
}

/// An answer to `POST /v1/limits` and `DELETE /v1/limits/NAME`.
pub(super) async fn write(
    method: &Method,
    steps: &[&str],
    body: Incoming,
    view: Arc<dyn HostView>,
    uid: u32,
) -> Response<Body> {
    let turns = match (method, steps) {
        (&Method::POST, []) => posted(body).await,
        (&Method::DELETE, [name]) => Ok(vec![(unescape(name), None)]),
        _ => Err(CliError::new(Code::Control, "cannot change limits so", "there is no such question")),
    };
    let turns = match turns {
        Ok(turns) => turns,
        Err(error) => return failed(StatusCode::BAD_REQUEST, &error),
    };
    let stopping = |_| Err(CliError::new(Code::Control, "cannot keep the limit", "the host stops"));
    let work = tokio::task::spawn_blocking(move || view.turn_limits(uid, &turns));
    answered(work.await.unwrap_or_else(stopping), StatusCode::BAD_REQUEST)
}

async fn posted(body: Incoming) -> Result<Vec<(String, Option<String>)>, CliError> {
    let refused = |why: String| CliError::new(Code::Limit, "cannot set limits", why);
    let body = Limited::new(body, TURNS_BYTES).collect().await;
    let body = body.map_err(|_| refused(format!("longer than {TURNS_BYTES} bytes, or ended early")))?;
    let turns: Turns =
        serde_json::from_slice(&body.to_bytes()).map_err(|error| refused(error.to_string()))?;
    Ok(turns.set.into_iter().map(|(name, value)| (name, Some(value))).collect())
}
