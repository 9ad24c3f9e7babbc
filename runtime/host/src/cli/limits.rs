//! `cyte limits`: the one table of limits, and what a running host makes of it.

use clap::Args;
use serde_json::{Value, json};

use super::table::{bytes, field, number, table};
use super::{Context, Done, Exit, Which, ask};
use crate::codes::Code;
use crate::counts::Counts;
use crate::view::limits_value;

/// Show every limit, its default, who may change it and how often it was hit
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte limits\n  cyte limits -v\n  cyte limits --output json")]
pub(super) struct Limits {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Limits, context: &Context) -> Done {
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
    if let Some(plan) = value.get("plan") {
        let usage = value.get("usage").unwrap_or(&Value::Null);
        text.push_str(&format!(
            "\nthis host: {} of {} cells alive, {} of {} of memory\n",
            number(usage, "cells"),
            number(plan, "cells_max"),
            bytes(number(usage, "memory_bytes")),
            bytes(number(plan, "memory_max")),
        ));
    }
    text
}
