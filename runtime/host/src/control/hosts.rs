//! Questions about the hosts of one process, and what may be done to them.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::Value;

use super::HostView;
use super::query::unescape;
use super::reply::{Body, answered, failed, object};
use crate::codes::Code;
use crate::error::CliError;

/// The hosts of one process, as they are shown and moved.
pub trait HostsView: Send + Sync + 'static {
    /// All of them: which live, what each sees of the others, what they say.
    fn hosts(&self) -> Value;

    /// Does one of `kill`, `freeze`, `thaw`, `slow`, `part`, `heal`.
    ///
    /// # Errors
    /// [`Code::Usage`] for a deed or a host that there is not; nothing was done then.
    fn act(&self, deed: &str, what: &str) -> Result<Value, CliError>;
}

/// An answer to `GET /v1/hosts`.
pub(super) fn list(view: &dyn HostView) -> Response<Body> {
    match view.village() {
        Some(village) => object(&village.hosts()),
        None => failed(StatusCode::NOT_FOUND, &alone()),
    }
}

/// An answer to `POST /v1/hosts/DEED/WHAT`.
pub(super) async fn act(view: &Arc<dyn HostView>, deed: &str, what: &str, uid: u32) -> Response<Body> {
    let Some(village) = view.village() else { return failed(StatusCode::NOT_FOUND, &alone()) };
    let (deed, what) = (unescape(deed), unescape(what));
    tracing::debug!(uid, %deed, %what, "asked of the hosts of this process");
    answered(village.act(&deed, &what), StatusCode::BAD_REQUEST)
}

fn alone() -> CliError {
    CliError::new(Code::Unknown, "cannot show hosts", "this process runs one host alone")
        .help("cyte dev --hosts 3 runs several")
}
