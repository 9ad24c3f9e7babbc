//! `cyte secret`: values that genes name and never see.

use std::io::{IsTerminal as _, Read as _};

use bytes::Bytes;
use clap::{Args, Subcommand};
use cyte_store::AuditEntry;
use http::Method;
use serde_json::{Value, json};

use super::{Context, Done, Exit, Which, ask};
use crate::codes::Code;
use crate::control::client::{Client, escape};
use crate::error::CliError;
use crate::state::StateFolder;
use crate::state::clock;
use crate::state::secrets::{Secrets, VALUE_MAX};

/// Keep the values of secrets that genes name
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte secret set token < token.txt\n  cyte secret list\n  cyte secret rm token"
)]
pub(super) struct Secret {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Set a secret; its value is read from standard input, without its last line feed
    #[command(
        after_help = "Examples:\n  cyte secret set token < token.txt\n  printf %s \"$TOKEN\" | cyte secret set token"
    )]
    Set {
        /// The name, as `dna.toml` names it
        name: String,
        #[command(flatten)]
        which: Which,
    },
    /// List the names of the secrets that are set
    #[command(after_help = "Examples:\n  cyte secret list")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Forget a secret
    #[command(after_help = "Examples:\n  cyte secret rm token")]
    Rm {
        /// The name
        name: String,
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn run(verb: Secret, context: &Context) -> Done {
    match verb.verb {
        Verb::Set { name, which } => set(&name, &which, context),
        Verb::List { which } => list(&which, context),
        Verb::Rm { name, which } => remove(&name, &which, context),
    }
}

fn set(name: &str, which: &Which, context: &Context) -> Done {
    let value = value(name, context)?;
    match ask::held(which)? {
        ask::Held::By(host) => {
            let path = format!("/v1/secrets/{}", escape(name));
            Client::new(&host.socket)?.call(Method::POST, &path, Bytes::from(value))?;
        }
        ask::Held::Free(state) => {
            let secrets = Secrets::load(state.head(), state.host_key())?;
            secrets.set(state.head(), name, value, &audit("secret.set", name))?;
        }
    }
    said(context, &json!({"v": 1, "name": name, "set": true}), &format!("set {name}"))
}

fn list(which: &Which, context: &Context) -> Done {
    let names: Vec<String> = match ask::held(which)? {
        ask::Held::By(host) => {
            let answer = Client::new(&host.socket)?.get("/v1/secrets")?;
            let list = answer.get("secrets").and_then(Value::as_array).cloned().unwrap_or_default();
            list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        ask::Held::Free(state) => sealed_names(&state)?,
    };
    let value = json!({"v": 1, "secrets": names});
    context.answer(&value, "secrets", |_| names.iter().map(|name| format!("{name}\n")).collect())?;
    Ok(Exit::OK)
}

fn remove(name: &str, which: &Which, context: &Context) -> Done {
    let existed = match ask::held(which)? {
        ask::Held::By(host) => {
            let path = format!("/v1/secrets/{}", escape(name));
            let answer = Client::new(&host.socket)?.call(Method::DELETE, &path, Bytes::new())?;
            answer.get("existed").and_then(Value::as_bool).unwrap_or(false)
        }
        ask::Held::Free(state) => {
            let secrets = Secrets::load(state.head(), state.host_key())?;
            secrets.remove(state.head(), name, &audit("secret.rm", name))?
        }
    };
    if !existed {
        let why = "no secret of that name is set";
        return Err(
            CliError::new(Code::Secret, format!("cannot forget `{name}`"), why).help("cyte secret list")
        );
    }
    said(context, &json!({"v": 1, "name": name, "removed": true}), &format!("forgot {name}"))
}

fn said(context: &Context, value: &Value, text: &str) -> Done {
    if context.is_json() {
        context.object(value)?;
    } else {
        context.note(text);
    }
    Ok(Exit::OK)
}

fn sealed_names(state: &StateFolder) -> Result<Vec<String>, CliError> {
    Secrets::load(state.head(), state.host_key()).map(|secrets| secrets.names())
}

fn audit(verb: &str, subject: &str) -> AuditEntry {
    let uid = rustix::process::getuid().as_raw();
    AuditEntry { at_s: clock::wall_s(), uid, verb: verb.to_owned(), subject: subject.to_owned() }
}

/// The value from standard input; a person who types it ends it with Ctrl-D.
fn value(name: &str, context: &Context) -> Result<Vec<u8>, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.note(&format!("type the value of {name}, then Enter and Ctrl-D (it will be visible)"));
    }
    let mut value = Vec::new();
    stdin
        .lock()
        .take(VALUE_MAX as u64 + 2)
        .read_to_end(&mut value)
        .map_err(|error| CliError::new(Code::Missing, "cannot read standard input", error.to_string()))?;
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    Ok(value)
}
