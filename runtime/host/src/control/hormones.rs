//! Questions about hormones, what a cell felt, and the one write: release.

use std::sync::Arc;

use cyte_organism::ReleaseError;
use cyte_organism::law::Trace;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::reply::{Body, answered, failed, object};
use super::{HostView, governed};
use crate::codes::Code;
use crate::error::CliError;
use crate::hormones::Hormone;

/// The longest body of a release, in bytes.
const RELEASE_MAX: usize = 1_024;

/// What cannot be done where the governor says nothing.
const SILENT: &str = "cannot ask the governor";

/// What a cell felt, as soon as the governor says so.
pub type Felt = oneshot::Receiver<Option<Trace>>;
/// What became of a release, as soon as the governor says so.
pub type Released = oneshot::Receiver<Result<(), ReleaseError>>;

/// What a host shows of its hormones.
pub trait HormoneView: Send + Sync + 'static {
    /// How hormones and populations stand.
    fn hormones(&self) -> Value;

    /// Asks what a cell felt at the law's last look, by the cell's name.
    ///
    /// # Errors
    /// `Code::Unknown` for a cell that does not live, `Code::Control` when the governor is too busy.
    fn felt(&self, cell: &str) -> Result<Felt, CliError>;

    /// Releases a hormone on behalf of user `uid`; audited.
    ///
    /// # Errors
    /// `Code::Unknown` for a gene that the DNA does not have, `Code::State` when the audit cannot be
    /// kept, `Code::Control` when the governor is too busy.
    fn release(&self, uid: u32, hormone: &Hormone, strength: f64) -> Result<Released, CliError>;
}

/// What is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    hormone: String,
    strength: f64,
}

/// An answer to `GET /v1/why/GENE#CELL`.
pub(super) async fn felt(cell: &str, view: &dyn HostView) -> Response<Body> {
    let felt = match view.felt(cell) {
        Ok(felt) => felt,
        Err(error) => return failed(StatusCode::NOT_FOUND, &error),
    };
    match governed::answer(felt, SILENT).await {
        Ok(felt) => {
            let felt = felt.map(|trace| json!({"why": trace.to_string(), "trace": trace}));
            object(&json!({"v": 1, "cell": cell, "felt": felt}))
        }
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

/// An answer to `POST /v1/hormones`.
pub(super) async fn release(body: Incoming, view: Arc<dyn HostView>, uid: u32) -> Response<Body> {
    let refused = |why: String| CliError::new(Code::Usage, "cannot release a hormone", why);
    let asked = match Limited::new(body, RELEASE_MAX).collect().await {
        Ok(body) => {
            serde_json::from_slice::<Release>(&body.to_bytes()).map_err(|error| refused(error.to_string()))
        }
        Err(_) => Err(refused(format!("what was sent is longer than {RELEASE_MAX} bytes, or ended early"))),
    };
    let hormone = asked.and_then(|asked| {
        let hormone = asked.hormone.parse::<Hormone>().map_err(|unknown| refused(unknown.to_string()))?;
        Ok((hormone, asked.strength))
    });
    let (hormone, strength) = match hormone {
        Ok(hormone) => hormone,
        Err(error) => return failed(StatusCode::BAD_REQUEST, &error),
    };
    // The audit waits for the disk.
    let told = hormone.clone();
    let work = move || view.release(uid, &told, strength);
    let stopping = |_| Err(CliError::new(Code::Control, "cannot release a hormone", "the host stops"));
    let released = match tokio::task::spawn_blocking(work).await.unwrap_or_else(stopping) {
        Ok(released) => released,
        Err(error) => return failed(StatusCode::BAD_REQUEST, &error),
    };
    let answer = match governed::answer(released, SILENT).await {
        Ok(Ok(())) => Ok(json!({"v": 1, "hormone": hormone.to_string(), "strength": strength})),
        // The law knows a gene from the organism's first look on.
        Ok(Err(ReleaseError::NoCell)) => {
            Err(refused("nobody hears it: the organism is an egg until its first request".to_owned()))
        }
        Ok(Err(why)) => Err(refused(why.to_string())),
        Err(silent) => Err(silent),
    };
    answered(answer, StatusCode::BAD_REQUEST)
}
