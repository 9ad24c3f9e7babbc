//! `cyte logs`: what guests said.

use clap::Args;
use serde_json::Value;

use super::{Context, Done, Exit, Which, ask};
use crate::control::client::escape;
use crate::log::{LogRecord, display};

/// Show what guests wrote
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte logs --tail 20\n  cyte logs -f front\n  cyte logs --output jsonl")]
pub(super) struct Logs {
    /// Only this gene
    gene: Option<String>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// At most this many of the newest lines
    #[arg(long, value_name = "N", default_value_t = 200)]
    tail: usize,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Logs, context: &Context) -> Done {
    let client = ask::host(&verb.which, context)?;
    let gene = verb.gene.as_deref().map(|gene| format!("&gene={}", escape(gene))).unwrap_or_default();
    let page = client.get(&format!("/v1/logs?tail={}{gene}", verb.tail))?;
    if !verb.follow {
        context.answer(&page, "logs", |page| lines(page, "logs", line))?;
        return Ok(Exit::OK);
    }
    for record in page.get("logs").and_then(Value::as_array).into_iter().flatten() {
        if context.is_json() {
            context.line(record)?;
        } else {
            context.print(&format!("{}\n", line(record)))?;
        }
    }
    let last = page.get("last").and_then(Value::as_u64).unwrap_or(0);
    ask::follow(&client, &format!("/v1/logs?follow=1&after={last}{gene}"), context, line)
}

/// Every entry of list `key`, one a line.
pub(super) fn lines(page: &Value, key: &str, line: impl Fn(&Value) -> String) -> String {
    let list = page.get(key).and_then(Value::as_array);
    list.into_iter().flatten().map(|entry| line(entry) + "\n").collect()
}

fn line(record: &Value) -> String {
    match serde_json::from_value::<LogRecord>(record.clone()) {
        Ok(record) => display(&record),
        Err(_) => missed(record),
    }
}

/// An entry that is no record: how many were missed, or something newer than this program.
pub(super) fn missed(entry: &Value) -> String {
    match entry.get("missed").and_then(Value::as_u64) {
        Some(missed) => format!("({missed} entries were forgotten before they were read)"),
        None => entry.to_string(),
    }
}
