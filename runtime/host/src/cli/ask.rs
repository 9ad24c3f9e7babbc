//! What every verb that asks a running host shares.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Context, Done, Exit, Which};
use crate::codes::Code;
use crate::control::client::{Client, hosts_error};
use crate::control::find::{Asked, Running, find};
use crate::error::CliError;
use crate::state::StateFolder;

/// What says which host is meant, from the flag, the environment and the folder we are in.
pub(super) fn asked(which: &Which) -> Asked {
    Asked {
        state: which.state.clone(),
        from: std::env::current_dir().unwrap_or_default(),
        runtime: runtime_folder(),
    }
}

/// XDG_RUNTIME_DIR, where it is set.
pub(super) fn runtime_folder() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(Into::into)
}

/// A client of the host that is meant; says so when it was guessed.
///
/// # Errors
/// As [`find`].
pub(super) fn host(which: &Which, context: &Context) -> Result<Client, CliError> {
    let (running, guessed) = find(&asked(which))?;
    if guessed {
        context.note(&format!("asking the host on {}, the only one that runs", running.state.display()));
    }
    Client::new(&running.socket)
}

/// The state folder to work on when no host holds it, or the host that does.
pub(super) enum Held {
    /// Nobody held the folder; now we do.
    Free(Box<StateFolder>),
    /// A running host holds it.
    By(Running),
}

/// The state folder that is meant for a write: through its host when one runs.
///
/// # Errors
/// As [`find`] and [`StateFolder::open`].
pub(super) fn held(which: &Which) -> Result<Held, CliError> {
    let asked = asked(which);
    if let Ok((running, _)) = find(&asked) {
        return Ok(Held::By(running));
    }
    Ok(Held::Free(Box::new(StateFolder::open(&folder(asked))?)))
}

/// The state folder that is meant, whether it is there or not.
fn folder(asked: Asked) -> PathBuf {
    asked
        .state
        .or_else(|| crate::control::find::nearest_project(&asked.from))
        .unwrap_or_else(|| asked.from.join(crate::state::IN_PROJECT))
}

/// The state folder that is meant, while no host runs on it.
///
/// # Errors
/// [`Code::NoHost`] for a folder on which nothing ran yet; `what` is what cannot be done then. As
/// [`StateFolder::open`].
pub(super) fn at_rest(asked: Asked, what: &str) -> Result<StateFolder, CliError> {
    let folder = folder(asked);
    if !folder.join("format").is_file() {
        return Err(nothing_ran(&folder, what));
    }
    StateFolder::open(&folder)
}

/// No host runs there, and none did.
pub(super) fn nothing_ran(folder: &Path, what: &str) -> CliError {
    let why = format!("no host runs on state folder `{}`, and none ran there before", folder.display());
    CliError::new(Code::NoHost, what, why).help("cyte run PATH starts one")
}

/// Prints every object that `GET path` sends, as one line each.
///
/// # Errors
/// As [`Client::follow`], what the host says in place of an object, and when standard output cannot be
/// written.
pub(super) fn follow(
    client: &Client,
    path: &str,
    context: &Context,
    text: impl Fn(&Value) -> String,
) -> Done {
    let mut failed = None;
    client.follow(path, |value| {
        failed = match hosts_error(&value) {
            // It went well until here.
            Some(error) => Some(error),
            None => shown(&value, context, &text).err(),
        };
        failed.is_none()
    })?;
    failed.map_or(Ok(Exit::OK), Err)
}

/// Prints one object as one line.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn shown(
    value: &Value,
    context: &Context,
    text: impl Fn(&Value) -> String,
) -> Result<(), CliError> {
    if context.is_json() { context.line(value) } else { context.print(&format!("{}\n", text(value))) }
}
