//! `cyte hosts` and `cyte host`: the hosts of one process, seen and harmed on purpose.

use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::table::{field, number, table};
use super::{Context, Done, Exit, Which, ask};

/// Show the hosts of a running `cyte dev`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte hosts\n  cyte hosts --output json")]
pub(super) struct Hosts {
    #[command(flatten)]
    which: Which,
}

/// Do to a host of a running `cyte dev` what happens to hosts
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte host kill 2\n  cyte host freeze 1\n  cyte host thaw 1\n  cyte host slow 3 250\n  cyte host part 1,2/3\n  cyte host heal"
)]
pub(super) struct HostVerb {
    #[command(subcommand)]
    deed: Deed,
    /// The state folder of the host that is asked
    #[arg(long, value_name = "DIR", env = "CYTE_STATE", hide_env = true, global = true)]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// End it without a word, as a power cut would
    #[command(after_help = "Examples:\n  cyte host kill 2")]
    Kill {
        /// Its number
        number: u32,
    },
    /// Hold back all that it says and is told
    #[command(after_help = "Examples:\n  cyte host freeze 2")]
    Freeze {
        /// Its number
        number: u32,
    },
    /// Let a frozen one go on
    #[command(after_help = "Examples:\n  cyte host thaw 2")]
    Thaw {
        /// Its number
        number: u32,
    },
    /// Make all that it says and is told take longer
    #[command(after_help = "Examples:\n  cyte host slow 2 250\n  cyte host slow 2 0")]
    Slow {
        /// Its number
        number: u32,
        /// By how many milliseconds, 0 to 5000
        millis: u32,
    },
    /// Part the network: hosts hear only their own side
    #[command(after_help = "Examples:\n  cyte host part 1,2/3,4")]
    Part {
        /// The sides, as numbers: 1,2/3,4
        sides: String,
    },
    /// End the partition
    #[command(after_help = "Examples:\n  cyte host heal")]
    Heal,
}

pub(super) fn run(verb: &Hosts, context: &Context) -> Done {
    let answer = ask::host(&verb.which, context)?.get("/v1/hosts")?;
    context.answer(&answer, "hosts", text)?;
    Ok(Exit::OK)
}

pub(super) fn act(verb: &HostVerb, context: &Context) -> Done {
    let (deed, what) = match &verb.deed {
        Deed::Kill { number } => ("kill", number.to_string()),
        Deed::Freeze { number } => ("freeze", number.to_string()),
        Deed::Thaw { number } => ("thaw", number.to_string()),
        Deed::Slow { number, millis } => ("slow", format!("{number},{millis}")),
        // A slash would be another step of the path.
        Deed::Part { sides } => ("part", sides.replace('%', "").replace('/', "%2f")),
        Deed::Heal => ("heal", "all".to_owned()),
    };
    let client = ask::host(&Which { state: verb.state.clone() }, context)?;
    let answer = client.call(Method::POST, &format!("/v1/hosts/{deed}/{what}"), Bytes::new())?;
    if context.is_json() {
        context.object(&answer)?;
    } else {
        let whom = answer.get("host").and_then(Value::as_str).unwrap_or("the network");
        context.note(&format!("{deed:<9}  {whom}"));
    }
    Ok(Exit::OK)
}

fn text(answer: &Value) -> String {
    let head = ["HOST", "STATE", "SEES", "CELLS", "ANSWERS FOR", "OVERFLOW", "SAYS", "URL"];
    let row = |host: &Value| {
        let float = |key: &str| host.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        vec![
            field(host, "name"),
            field(host, "state"),
            sees(host),
            number(host, "cells").to_string(),
            number(host, "copies").to_string(),
            overflow(host),
            format!("{:.0}/s {:.1} kB/s", float("messages_s"), float("bytes_s") / 1_000.0),
            field(host, "url"),
        ]
    };
    let hosts = answer.get("hosts").and_then(Value::as_array).cloned().unwrap_or_default();
    table(&head, &hosts.iter().map(row).collect::<Vec<_>>())
}

/// Requests that went to other hosts and that came from them, and those that nobody took.
fn overflow(host: &Value) -> String {
    let overflow = host.get("overflow").cloned().unwrap_or_default();
    let count = |key| number(&overflow, key);
    let (sent, received, refused) = (count("sent"), count("received"), count("refused"));
    let mut text = format!("{sent} out, {received} in");
    if refused > 0 {
        text.push_str(&format!(", {refused} refused"));
    }
    text
}

/// How many other hosts it sees alive, and which it does not.
fn sees(host: &Value) -> String {
    let members = host.get("sees").and_then(Value::as_array).cloned().unwrap_or_default();
    let is = |member: &Value, health: &str| member.get("health").and_then(Value::as_str) == Some(health);
    let alive = members.iter().filter(|member| is(member, "alive")).count();
    let lost: Vec<String> = members
        .iter()
        .filter(|member| !is(member, "alive"))
        .map(|member| format!("{} {}", field(member, "name"), field(member, "health")))
        .collect();
    if lost.is_empty() { format!("{alive}") } else { format!("{alive}, {}", lost.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_host_is_one_line_with_whom_it_misses() {
        let answer = json!({"hosts": [{
            "name": "host-1", "state": "running", "cells": 3, "copies": 2, "url": "http://127.0.0.1:1",
            "overflow": {"sent": 7, "received": 2, "refused": 1}, "messages_s": 15.2, "bytes_s": 900.0,
            "sees": [{"name": "host-2", "health": "alive"}, {"name": "host-3", "health": "dead"}],
        }]});
        let text = text(&answer);
        let line = text.lines().nth(1).unwrap();
        assert!(line.contains("7 out, 2 in, 1 refused"), "{line}");
        assert!(line.contains("1, host-3 dead") && line.contains("15/s 0.9 kB/s"), "{line}");
    }
}
