//! `cyte events`: what happened on a host.

use clap::Args;
use serde_json::Value;

use super::{Context, Done, Exit, Which, ask, logs};

/// Show what happened on a running host
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte events --tail 20\n  cyte events -f\n  cyte events --output jsonl")]
pub(super) struct Events {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// At most this many of the newest events
    #[arg(long, value_name = "N", default_value_t = 200)]
    tail: usize,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Events, context: &Context) -> Done {
    let client = ask::host(&verb.which, context)?;
    if verb.follow {
        return ask::follow(&client, &format!("/v1/events?follow=1&tail={}", verb.tail), context, line);
    }
    let page = client.get(&format!("/v1/events?tail={}", verb.tail))?;
    context.answer(&page, "events", |page| logs::lines(page, "events", line))?;
    Ok(Exit::OK)
}

/// `12:03:04.567  cell-died  gene=front cell=3 reason=trap`, in UTC.
fn line(event: &Value) -> String {
    let (Some(fields), Some(name)) = (event.as_object(), event.get("event").and_then(Value::as_str)) else {
        return logs::missed(event);
    };
    let at_ms = event.get("at_ms").and_then(Value::as_u64).unwrap_or(0);
    let rest: Vec<String> = fields
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "v" | "seq" | "at_ms" | "event"))
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        })
        .collect();
    format!("{}  {name:<14}  {}", clock(at_ms), rest.join(" ")).trim_end().to_owned()
}

/// The time of day in UTC.
pub(super) fn clock(at_ms: u64) -> String {
    let (s, ms) = (at_ms / 1_000 % 86_400, at_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"v": 1, "seq": 9, "at_ms": 43_384_567, "event": "cell-died",
                           "cell": 3, "gene": "front", "reason": "trap"});
        assert_eq!(line(&event), "12:03:04.567  cell-died       cell=3 gene=front reason=trap");
        assert_eq!(line(&json!({"v": 1, "missed": 4})), "(4 entries were forgotten before they were read)");
    }
}
