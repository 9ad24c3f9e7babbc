//! `cyte events`: what happened on a host.

use clap::Args;
use cyte_organism::phenotype::HostId;
use cyte_store::{Begin, PhenotypeStore, Retention};
use serde_json::Value;

use super::table::field;
use super::{Context, Done, Exit, Which, ask, logs, when};
use crate::calendar::{clock, stamp};
use crate::codes::Code;
use crate::control::client::Client;
use crate::control::find::find;
use crate::error::CliError;
use crate::record;
use crate::state::clock::wall_ms;

/// Show what happened on a running host, or what is kept of it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte events --tail 20\n  cyte events -f\n  cyte events --since 10m\n  cyte events --since 2026-11-21T17:58:24Z --output jsonl\n\nWithout --since it is what this run of the host remembers. With it, it is what the state folder\nkeeps: a day of records of all cells, across restarts, and without a running host too."
)]
pub(super) struct Events {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// At most this many of the newest events
    #[arg(long, value_name = "N", default_value_t = 200)]
    tail: usize,
    /// All that is kept since then: a span (10m, 2h) or a time (2026-11-21T17:58:24Z)
    #[arg(long, value_name = "WHEN", conflicts_with = "tail")]
    since: Option<String>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Events, context: &Context) -> Done {
    if let Some(since) = &verb.since {
        let since = when::parse(since, wall_ms()).map_err(|why| {
            let what = format!("cannot tell when `{}` was", since.escape_debug());
            CliError::new(Code::Usage, what, why).help("cyte events --since 10m")
        })?;
        return kept(verb, since, context);
    }
    let client = ask::host(&verb.which, context)?;
    if verb.follow {
        return ask::follow(&client, &format!("/v1/events?follow=1&tail={}", verb.tail), context, line);
    }
    let page = client.get(&format!("/v1/events?tail={}", verb.tail))?;
    context.answer(&page, "events", |page| logs::lines(page, "events", line))?;
    Ok(Exit::OK)
}

/// What is kept since `since`: the host's word where one runs, else its file's.
fn kept(verb: &Events, since: u64, context: &Context) -> Done {
    let asked = ask::asked(&verb.which);
    match find(&asked) {
        Ok((running, _)) => {
            let follow = if verb.follow { "&follow=1" } else { "" };
            let client = Client::new(&running.socket)?;
            let status = client.get("/v1/status")?;
            let me = field(&status, "host");
            let path = format!("/v1/events?since={since}{follow}");
            return ask::follow(&client, &path, context, |event| kept_line(event, &me));
        }
        Err(error) if error.code != Code::NoHost || verb.follow => return Err(error),
        Err(_) => {}
    }
    const WHAT: &str = "cannot tell what happened";
    let state = ask::at_rest(asked, WHAT)?;
    let failed = |why: String| CliError::new(Code::State, WHAT, why).help("cyte run PATH begins anew");
    let opened = PhenotypeStore::open(&state.phenotype_path(), Retention::default());
    let opened = opened.map_err(|error| failed(error.to_string()))?;
    if let Some(aside) = opened.set_aside {
        return Err(failed(format!("{}; the file is now `{}`", aside.why, aside.to.display())));
    }
    let me = HostId::from(state.host_key().id()).to_string();
    let mut begin = Begin::Since(since);
    loop {
        let page = opened.store.events(begin).map_err(|error| failed(error.to_string()))?;
        let Some((last, _)) = page.last() else { return Ok(Exit::OK) };
        begin = Begin::After(*last);
        for (number, event) in &page {
            ask::shown(&record::value(*number, event), context, |event| kept_line(event, &me))?;
        }
    }
}

/// `2026-11-21T17:58:24.123Z  dead            cause=trap cell=3 gene=front uses=2`; with the host where
/// it is another than `me`.
fn kept_line(event: &Value, me: &str) -> String {
    let hidden: &[&str] = match event.get("host").and_then(Value::as_str) {
        Some(host) if host != me => &["epoch", "number"],
        _ => &["host", "epoch", "number"],
    };
    one_line(event, stamp, hidden)
}

/// `12:03:04.567  cell-died  gene=front cell=3 reason=trap`, in UTC.
fn line(event: &Value) -> String {
    one_line(event, clock, &[])
}

fn one_line(event: &Value, time: impl Fn(u64) -> String, hidden: &[&str]) -> String {
    let (Some(fields), Some(name)) = (event.as_object(), event.get("event").and_then(Value::as_str)) else {
        return logs::missed(event);
    };
    let at_ms = event.get("at_ms").and_then(Value::as_u64).unwrap_or(0);
    let rest: Vec<String> = fields
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "v" | "seq" | "at_ms" | "event"))
        .filter(|(key, value)| !hidden.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        })
        .collect();
    format!("{}  {name:<14}  {}", time(at_ms), rest.join(" ")).trim_end().to_owned()
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
        let kept = json!({"v": 1, "seq": 9, "at_ms": 43_384_567, "host": "a", "epoch": 1, "number": 2,
                          "event": "dead", "cell": 3, "mother": null});
        assert_eq!(kept_line(&kept, "a"), "1970-01-01T12:03:04.567Z  dead            cell=3");
        assert_eq!(kept_line(&kept, "b"), "1970-01-01T12:03:04.567Z  dead            cell=3 host=a");
        assert_eq!(line(&json!({"v": 1, "missed": 4})), "(4 entries were forgotten before they were read)");
    }
}
