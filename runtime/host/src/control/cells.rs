//! Cells by an operator's word: one more, one less.

use std::sync::Arc;

use cyte_engine::capability::control::Refused;
use http::{Response, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;

use super::reply::{Body, answered, failed};
use super::{HostView, governed};
use crate::codes::Code;
use crate::error::CliError;

/// What became of an order, as soon as the governor says so: the cell that was made, or told to end.
pub type Ordered = oneshot::Receiver<Result<u64, Refused>>;

/// What an operator may do to cells.
pub trait CellView: Send + Sync + 'static {
    /// One more cell on behalf of user `uid`: a daughter of the cell of this name, or of the eldest of
    /// the gene of this name. Audited.
    ///
    /// # Errors
    /// `Code::Unknown` for a name that is nobody's, `Code::State` when the audit cannot be kept,
    /// `Code::Control` when the governor is too busy.
    fn divide(&self, uid: u32, name: &str) -> Result<Ordered, CliError>;

    /// Ends the cell of this name on behalf of user `uid`, when it finished what it holds or with it
    /// (`at_once`). Audited.
    ///
    /// # Errors
    /// As [`Self::divide`].
    fn kill(&self, uid: u32, name: &str, at_once: bool) -> Result<Ordered, CliError>;
}

/// An answer to `POST /v1/cells/NAME/divide` and `POST /v1/cells/NAME/kill`.
pub(super) async fn order(
    verb: &'static str,
    name: String,
    at_once: bool,
    view: Arc<dyn HostView>,
    uid: u32,
) -> Response<Body> {
    let what = format!("cannot {verb} `{name}`");
    let told = name.clone();
    // The audit waits for the disk.
    let work = move || match verb {
        "divide" => view.divide(uid, &told),
        _ => view.kill(uid, &told, at_once),
    };
    let stopping = |_| Err(CliError::new(Code::Control, what.clone(), "the host stops"));
    let ordered = match tokio::task::spawn_blocking(work).await.unwrap_or_else(stopping) {
        Ok(ordered) => ordered,
        Err(error) => return failed(StatusCode::BAD_REQUEST, &error),
    };
    let gene = name.split('#').next().unwrap_or_default();
    let answer = match governed::answer(ordered, &what).await {
        Ok(Ok(cell)) => Ok(json!({"v": 1, "verb": verb, "asked": name, "cell": format!("{gene}#{cell}")})),
        Ok(Err(why)) => Err(refused(what, gene, why)),
        Err(silent) => Err(silent),
    };
    answered(answer, StatusCode::CONFLICT)
}

/// Why, and what to type next.
fn refused(what: String, gene: &str, why: Refused) -> CliError {
    let (code, help) = match why {
        Refused::NoCell => (Code::Unknown, "cyte ps shows all cells".to_owned()),
        Refused::Most | Refused::Least => (Code::Bounds, format!("cyte get {gene} shows its range")),
        Refused::NoRoom | Refused::CoresFull => {
            (Code::Bounds, "cyte limits shows what there may be".to_owned())
        }
        Refused::NotGranted | Refused::TooSoon | Refused::Busy => (Code::Control, format!("cyte why {gene}")),
    };
    CliError::new(code, what, why.to_string()).help(help)
}
