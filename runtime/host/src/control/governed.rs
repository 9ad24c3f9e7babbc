//! What only the governor knows, for whoever asked: waited for, but not for long.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::codes::Code;
use crate::error::CliError;

/// How long the governor may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The governor's answer; `what` is what cannot be done without one.
///
/// # Errors
/// `Code::Control` where it does not answer in time, or is gone.
pub(super) async fn answer<T>(asked: oneshot::Receiver<T>, what: &str) -> Result<T, CliError> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(CliError::new(Code::Control, what, "the governor did not answer within a second")),
    }
}
