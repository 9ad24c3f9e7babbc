//! The question for a recording: the file's bytes, as `cyte record` writes them.

use cyte_organism::flight::Recording;
use http::{Response, StatusCode};
use tokio::sync::oneshot;

use super::reply::{Body, binary, failed};
use super::{HostView, governed};
use crate::codes::Code;
use crate::error::CliError;

/// What cannot be done where nobody answers.
const WHAT: &str = "cannot record";

/// A recording, as soon as the governor hands it out.
pub type Recorded = oneshot::Receiver<Recording>;

/// An answer to `GET /v1/flight`.
pub(super) async fn flight(view: &dyn HostView) -> Response<Body> {
    let recorded = match view.record() {
        Ok(recorded) => recorded,
        Err(error) => return failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    };
    let silent =
        |error: CliError| failed(StatusCode::SERVICE_UNAVAILABLE, &error.help("ask again: cyte record"));
    let recording = match governed::answer(recorded, WHAT).await {
        Ok(recording) => recording,
        Err(error) => return silent(error),
    };
    // Some megabytes are hashed.
    match tokio::task::spawn_blocking(move || recording.to_bytes()).await {
        Ok(bytes) if !bytes.is_empty() => binary(bytes),
        _ => silent(CliError::new(Code::Control, WHAT, "the host stops")),
    }
}
