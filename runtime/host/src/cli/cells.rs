//! `cyte divide` and `cyte kill`: one cell more, one cell less.

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::table::field;
use super::{Context, Done, Exit, Which, ask};
use crate::control::client::escape;

/// Make one more cell of a gene on a running host
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte divide front\n  cyte divide front#7")]
pub(super) struct Divide {
    /// The mother, as `cyte ps` names it; a gene stands for its eldest cell
    #[arg(value_name = "CELL|GENE")]
    name: String,
    #[command(flatten)]
    which: Which,
}

/// End a cell of a running host, when it finished what it holds
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte kill front#7\n  cyte kill front#7 --now")]
pub(super) struct Kill {
    /// The cell, as `cyte ps` names it
    #[arg(value_name = "CELL")]
    name: String,
    /// With what it holds: its requests fail
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn divide(verb: &Divide, context: &Context) -> Done {
    let path = format!("/v1/cells/{}/divide", escape(&verb.name));
    let answer = ask::host(&verb.which, context)?.call(Method::POST, &path, Bytes::new())?;
    told(&answer, "made", context)
}

pub(super) fn kill(verb: &Kill, context: &Context) -> Done {
    let now = if verb.now { "?now=1" } else { "" };
    let path = format!("/v1/cells/{}/kill{now}", escape(&verb.name));
    let answer = ask::host(&verb.which, context)?.call(Method::POST, &path, Bytes::new())?;
    told(&answer, "ends", context)
}

fn told(answer: &Value, word: &str, context: &Context) -> Done {
    context.answer(answer, "cell", |answer| format!("{word:<10} {}\n", field(answer, "cell")))?;
    Ok(Exit::OK)
}
