//! The question for a recording: the file's bytes, as `cyte record` writes them.

use std::time::Duration;

use cyte_organism::flight::Recording;
use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::HostView;
use super::server::{Body, binary, failed};
use crate::codes::Code;
use crate::error::CliError;

/// How long the governor may take to hand out what it holds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A recording, as soon as the governor hands it out.
pub type Recorded = oneshot::Receiver<Recording>;

/// An answer to `GET /v1/flight`.
pub(super) async fn flight(view: &dyn HostView) -> Response<Body> {
    let recorded = match view.record() {
        Ok(recorded) => recorded,
        Err(error) => return failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    };
    let silent = |why: &str| {
        let error = CliError::new(Code::Control, "cannot record", why).help("ask again: cyte record");
        failed(StatusCode::SERVICE_UNAVAILABLE, &error)
    };
    let Ok(Ok(recording)) = timeout(PATIENCE, recorded).await else {
        return silent("the governor did not answer within a second");
    };
    // Some megabytes are hashed.
    match tokio::task::spawn_blocking(move || recording.to_bytes()).await {
        Ok(bytes) if !bytes.is_empty() => binary(bytes),
        _ => silent("the host stops"),
    }
}
