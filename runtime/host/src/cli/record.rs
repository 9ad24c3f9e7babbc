//! `cyte record`: the last minute of a running host's law, as a file that replays anywhere.

use std::path::PathBuf;

use clap::Args;
use cyte_organism::flight::Recording;
use serde_json::{Value, json};

use super::table::{bytes, field};
use super::{Context, Done, Exit, Which, ask, files};
use crate::calendar::file_stamp;
use crate::error::CliError;
use crate::flight::EXTENSION;

/// Record what the law of a running host was told and decided in the last minute
///
/// The file holds counts and the names of genes: no request and nothing of anybody's. `cyte replay`
/// runs it again on any machine. After an incident a host makes such a file by itself: `cyte events`
/// names it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte record\n  cyte record --out slow.flight && cyte replay slow.flight"
)]
pub(super) struct Record {
    /// The file to write [default: TIME.flight in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Record, context: &Context) -> Done {
    let file = ask::host(&verb.which, context)?.bytes("/v1/flight")?;
    let recording = Recording::from_bytes(&file)
        .map_err(|error| super::replay::unusable("what the host sent", &error))?;
    let usual = || format!("{}.{EXTENSION}", file_stamp(recording.about.made_ms)).into();
    let out = verb.out.clone().unwrap_or_else(usual);
    files::write(&out, &file, 0o600).map_err(|error| CliError {
        help: Some("cyte record --out FILE names another place".into()),
        ..error
    })?;
    let (looks, decisions) = recording.counts();
    let answer = json!({
        "v": 1,
        "file": out,
        "bytes": file.len(),
        "seconds": recording.span().0 as f64 / 1e9,
        "looks": looks,
        "decisions": decisions,
    });
    context.answer(&answer, "file", |answer| {
        let seconds = answer.get("seconds").and_then(Value::as_f64).unwrap_or_default();
        format!(
            "recorded   {}: {seconds:.1} s, {looks} looks, {decisions} decisions, {}\nnext       cyte replay {0}\n",
            field(answer, "file"),
            bytes(file.len() as u64),
        )
    })?;
    Ok(Exit::OK)
}
