//! `cyte explain`: what an error code means.

use clap::Args;
use serde_json::json;

use super::{Context, Done, Exit};
use crate::codes::Code;
use crate::error::CliError;

/// Say what an error code means and what helps
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte explain E202\n  cyte explain --output json")]
pub(super) struct Explain {
    /// The code, as errors show it; without one, all of them
    code: Option<String>,
}

pub(super) fn run(verb: &Explain, context: &Context) -> Done {
    let wanted = match &verb.code {
        None => None,
        Some(text) => Some(Code::parse(text).ok_or_else(|| {
            CliError::new(Code::Usage, format!("cannot explain `{text}`"), "there is no such code")
                .help("cyte explain lists them")
        })?),
    };
    let all: Vec<_> = Code::all()
        .filter(|(code, _)| wanted.is_none_or(|wanted| wanted == *code))
        .map(|(code, text)| json!({"code": code.id(), "exit": code.exit(), "text": text}))
        .collect();
    let value = json!({"v": 1, "codes": all});
    context.answer(&value, "codes", |_| match wanted {
        Some(code) => format!("{} (exit status {})\n\n{}\n", code.id(), code.exit(), code.explanation()),
        None => Code::all()
            .map(|(code, text)| format!("{}  {}\n", code.id(), text.lines().next().unwrap_or_default()))
            .collect(),
    })?;
    Ok(Exit::OK)
}
