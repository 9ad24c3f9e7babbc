//! `cyte limits`: the one table of limits, what a running host makes of it, and changing what can be
//! changed while it serves.

use std::collections::BTreeMap;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::table::{bytes, field, number, table};
use super::{Context, Done, Exit, Which, ask};
use crate::codes::Code;
use crate::control::client::escape;
use crate::counts::Counts;
use crate::error::CliError;
use crate::view::limits_value;

/// Show every limit, its default, who may change it and how often it was hit; change some of them
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  cyte limits\n  cyte limits -v\n  cyte limits --output json\n  cyte limits set cells-per-host=200 front.wait=50ms"
)]
pub(super) struct Limits {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum What {
    Set(Set),
    Unset(Unset),
}

/// Set limits of a running host, inside the bounds of machine and DNA: all of them or none
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte limits set cells-per-host=200\n  cyte limits set front.cells=2..64 front.wait=50ms front.waiters=200\n  cyte limits set memory-of-all-cells=1GiB polled-calls=6\n\nIn force when it returns, with no request lost; kept across restarts; audited."
)]
struct Set {
    /// What: NAME is cells-per-host, memory-of-all-cells, polled-calls, GENE.cells, GENE.wait or GENE.waiters
    #[arg(required = true, value_name = "NAME=VALUE")]
    limits: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Forget what was set: what the DNA or the default says holds again
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte limits unset front.wait")]
struct Unset {
    /// The limit
    name: String,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Limits, context: &Context) -> Done {
    match &verb.what {
        None => show(verb, context),
        Some(What::Set(verb)) => set(verb, context),
        Some(What::Unset(Unset { name, which })) => {
            let path = format!("/v1/limits/{}", escape(name));
            let answer = ask::host(which, context)?.call(Method::DELETE, &path, Bytes::new())?;
            changed(&answer, &[name], context)
        }
    }
}

fn set(verb: &Set, context: &Context) -> Done {
    let mut wanted = BTreeMap::new();
    for limit in &verb.limits {
        let usage = |why: &str| {
            CliError::new(Code::Usage, format!("cannot set `{}`", limit.escape_debug()), why)
                .help("cyte limits set NAME=VALUE")
        };
        let (name, value) = limit.split_once('=').ok_or_else(|| usage("there is no `=`"))?;
        if wanted.insert(name, value).is_some() {
            return Err(usage("it is there twice"));
        }
    }
    let names: Vec<&str> = wanted.keys().copied().collect();
    let body = Bytes::from(json!({"set": wanted}).to_string());
    let answer = ask::host(&verb.which, context)?.call(Method::POST, "/v1/limits", body)?;
    changed(&answer, &names, context)
}

/// Says what is in force of these.
fn changed(answer: &Value, names: &[impl AsRef<str>], context: &Context) -> Done {
    if context.is_json() {
        context.object(answer)?;
        return Ok(Exit::OK);
    }
    for limit in live(answer).filter(|limit| names.iter().any(|name| name.as_ref() == field(limit, "name"))) {
        let [name, value, by] = ["name", "in_force", "by"].map(|key| field(limit, key));
        context.note(&format!("in force   {name} {value} (by {by})"));
    }
    Ok(Exit::OK)
}

fn live(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("live").and_then(Value::as_array).into_iter().flatten()
}

fn show(verb: &Limits, context: &Context) -> Done {
    let value = match ask::host(&verb.which, context) {
        Ok(client) => client.get("/v1/limits")?,
        // Without a host the table still holds; only a host that was named must be there.
        Err(error) if error.code == Code::NoHost && verb.which.state.is_none() => {
            context.note("no host runs: these are the defaults");
            json!({"v": 1, "limits": limits_value(&Counts::new())})
        }
        Err(error) => return Err(error),
    };
    context.answer(&value, "limits", |value| text(value, context.verbose > 0))?;
    Ok(Exit::OK)
}

fn text(value: &Value, with_reasons: bool) -> String {
    // Only a running host counts.
    let with_counts = value.get("plan").is_some();
    let rows: Vec<Vec<String>> = value
        .get("limits")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|limit| {
            let mut row = vec![field(limit, "name"), field(limit, "default"), field(limit, "changed_by")];
            if with_counts {
                row.push(field(limit, "count"));
            }
            if with_reasons {
                row.push(field(limit, "reason"));
            }
            row
        })
        .collect();
    let mut heading = vec!["LIMIT", "DEFAULT", "CHANGED BY"];
    if with_counts {
        heading.push("HIT");
    }
    if with_reasons {
        heading.push("WHY");
    }
    let mut text = table(&heading, &rows);
    if value.get("plan").is_some() {
        let usage = value.get("usage").unwrap_or(&Value::Null);
        text.push_str(&format!(
            "\nthis host: {} of {} cells alive, {} of {} of memory\n",
            number(usage, "cells"),
            number(usage, "cells_max"),
            bytes(number(usage, "memory_bytes")),
            bytes(number(usage, "memory_max_bytes")),
        ));
        text.push('\n');
        text.push_str(&live_text(value));
    }
    text
}

/// What can be changed while the host serves.
fn live_text(value: &Value) -> String {
    let columns = ["name", "in_force", "by", "default", "dna", "operator"];
    let rows: Vec<Vec<String>> = live(value)
        .map(|limit| {
            let bounds = match (field(limit, "least"), field(limit, "most")) {
                (least, most) if least == most => most,
                (least, most) => format!("{least} to {most}"),
            };
            columns.iter().map(|key| field(limit, key)).chain([bounds]).collect()
        })
        .collect();
    table(&["LIVE", "IN FORCE", "BY", "DEFAULT", "DNA", "OPERATOR", "BOUNDS"], &rows)
}
