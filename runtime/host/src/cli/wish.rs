//! `cyte apply`, `get`, `delete`, `search`: what is wanted of the genes.
//!
//! A running host is asked; without one the state folder itself, under the DNA that it ran last.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use cyte_dna::Draft;
use cyte_store::AuditEntry;
use http::Method;
use serde_json::{Value, json};

use super::table::{field, labels, table};
use super::{Context, Done, Exit, Which, ask, files};
use crate::calendar::clock;
use crate::codes::Code;
use crate::control::client::{Client, escape};
use crate::control::find::Running;
use crate::error::CliError;
use crate::state::{StateFolder, bundles, clock};
use crate::wishes::{FILE_MAX, WishFile, Wishes, subject};

/// Want what a file says: how many cells of which genes, inside what the DNA allows
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte apply wishes.toml\n  cyte apply wishes.toml --plan\n  printf '[gene.front]\\ncount = \"2..8\"\\n' | cyte apply -\n\nA file has one table a gene; all of it is taken or nothing:\n  [gene.front]\n  count = \"2..8\"                   # 3, \"2..8\" or \"2..\"\n  priority = 700                   # 0 to 1000; higher is started first\n  labels = { team = \"web\" }\n  constraints = [\"os=linux\"]       # what a host must be; or not-with:GENE\n  companions = [\"cache\"]           # one cell of it comes with each cell"
)]
pub(super) struct Apply {
    /// The file of wishes; `-` is standard input
    file: PathBuf,
    /// Only show what it would come to; nothing changes
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    which: Which,
}

/// Show what is wanted of each gene, and what the DNA allows
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte get\n  cyte get front\n  cyte get front --history\n  cyte get -f --output jsonl"
)]
pub(super) struct Get {
    /// One gene only
    gene: Option<String>,
    /// How it came to be, newest first
    #[arg(long)]
    history: bool,
    /// Go on with every change; begins with all that is wanted
    #[arg(short, long, conflicts_with = "history")]
    follow: bool,
    /// Follow from this revision on
    #[arg(long, value_name = "REVISION", requires = "follow")]
    after: Option<u64>,
    #[command(flatten)]
    which: Which,
}

/// Forget what was applied for a gene: what the DNA says holds again
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte delete front")]
pub(super) struct Delete {
    /// The gene
    gene: String,
    #[command(flatten)]
    which: Which,
}

/// Search what the DNA and operators want, by any field and label
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte search front\n  cyte search origin=operator priority=700\n  cyte search label:team=web role=drone route=/api\n\nA word is a part of a gene's name, or FIELD=VALUE with a FIELD of gene, version, origin, scope,\nexpressor, priority (at least), count (allows it), companion, role, route (a part), after (a\nrevision), or label:KEY, label:!KEY, label:KEY=A|B, label:KEY!=A. All words must hold."
)]
pub(super) struct Search {
    /// What must hold
    #[arg(required = true, value_name = "QUERY")]
    words: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Who is asked.
enum Asked {
    /// The host that runs.
    Host(Client),
    /// The state folder of a host that does not.
    Rest(Box<StateFolder>, Wishes),
}

/// The running host that is meant, else its state folder at rest.
///
/// # Errors
/// As [`crate::control::find::find`]; [`Code::NoHost`] for a folder on which nothing ran yet.
fn asked(which: &Which) -> Result<Asked, CliError> {
    let asked = ask::asked(which);
    match crate::control::find::find(&asked) {
        Ok((Running { socket, .. }, _)) => return Ok(Asked::Host(Client::new(&socket)?)),
        Err(error) if error.code != Code::NoHost => return Err(error),
        Err(_) => {}
    }
    const WHAT: &str = "cannot tell what is wanted";
    let state = ask::at_rest(asked, WHAT)?;
    let bundle = bundles::current(&state)?.ok_or_else(|| ask::nothing_ran(state.path(), WHAT))?;
    let bytes = files::read(&bundle, files::BUNDLE_MAX)?;
    let draft = Draft::from_bytes(&bytes)
        .map_err(|error| crate::state::trust::dna_error(&bundle.display().to_string(), &error))?;
    let wishes = Wishes::open(state.head(), &draft.manifest().genes)?;
    Ok(Asked::Rest(Box::new(state), wishes))
}

pub(super) fn apply(verb: &Apply, context: &Context) -> Done {
    let name = verb.file.display().to_string();
    let text = text(&verb.file)?;
    let answer = match asked(&verb.which)? {
        Asked::Host(client) => {
            let plan = if verb.plan { "&plan" } else { "" };
            let path = format!("/v1/wishes?file={}{plan}", escape(&name));
            client.call(Method::POST, &path, Bytes::from(text))?
        }
        Asked::Rest(_state, wishes) if verb.plan => wishes.plan(&WishFile::parse(&name, &text)?, |_| None)?,
        Asked::Rest(_state, wishes) => {
            let file = WishFile::parse(&name, &text)?;
            let audit = audit("wish.apply", &subject(file.wishes()));
            let changes = wishes.apply(&file, clock::wall_ms(), &audit)?;
            json!({"v": 1, "revision": wishes.in_force().revision, "changes": changes})
        }
    };
    if verb.plan {
        context.answer(&answer, "plan", plan_text)?;
        return Ok(Exit::OK);
    }
    changed(&answer, context)
}

/// What a file of wishes would come to.
fn plan_text(answer: &Value) -> String {
    let keys = ["gene", "now", "then", "cells", "starts", "ends"];
    let rows: Vec<_> =
        items(answer, "plan").iter().map(|row| keys.map(|key| field(row, key)).to_vec()).collect();
    table(&["GENE", "NOW", "THEN", "CELLS", "STARTS", "ENDS"], &rows)
}

pub(super) fn delete(verb: &Delete, context: &Context) -> Done {
    let answer = match asked(&verb.which)? {
        Asked::Host(client) => {
            let path = format!("/v1/wishes/{}", escape(&verb.gene));
            client.call(Method::DELETE, &path, Bytes::new())?
        }
        Asked::Rest(_state, wishes) => {
            let audit = audit("wish.delete", &verb.gene);
            let changes = wishes.delete(&verb.gene, clock::wall_ms(), &audit)?;
            json!({"v": 1, "revision": wishes.in_force().revision, "changes": changes})
        }
    };
    changed(&answer, context)
}

/// Says what changed.
fn changed(answer: &Value, context: &Context) -> Done {
    if context.is_json() {
        context.object(answer)?;
        return Ok(Exit::OK);
    }
    let changes = answer.get("changes").and_then(Value::as_array).cloned().unwrap_or_default();
    for change in &changes {
        let gene = field(change, "gene");
        match change.get("wish").filter(|wish| !wish.is_null()) {
            Some(wish) => context.note(&format!("wanted     {gene:<7} {}", field(wish, "count"))),
            None => context.note(&format!("deleted    {gene:<7} what the DNA says holds again")),
        }
    }
    if changes.is_empty() {
        context.note("unchanged  all of it is wanted already");
    }
    Ok(Exit::OK)
}

pub(super) fn get(verb: &Get, context: &Context) -> Done {
    let asked = asked(&verb.which)?;
    if verb.follow {
        return follow(verb, &asked, context);
    }
    if verb.history {
        let answer = match (&asked, &verb.gene) {
            (Asked::Host(client), Some(gene)) => {
                client.get(&format!("/v1/wishes?history=1&gene={}", escape(gene)))?
            }
            (Asked::Host(client), None) => client.get("/v1/wishes?history=1")?,
            (Asked::Rest(_, wishes), gene) => wishes.history(gene.as_deref())?,
        };
        context.answer(&answer, "changes", history_text)?;
    } else if let Some(gene) = &verb.gene {
        let answer = match &asked {
            Asked::Host(client) => client.get(&format!("/v1/wishes/{}", escape(gene)))?,
            Asked::Rest(_, wishes) => wishes.get(gene)?,
        };
        context.answer(&answer, "", wish_text)?;
    } else {
        let answer = match &asked {
            Asked::Host(client) => client.get("/v1/wishes")?,
            Asked::Rest(_, wishes) => wishes.all(),
        };
        context.answer(&answer, "wishes", all_text)?;
    }
    Ok(Exit::OK)
}

/// Every change from now, or from a revision, until the host ends.
fn follow(verb: &Get, asked: &Asked, context: &Context) -> Done {
    let Asked::Host(client) = asked else {
        let why = "no host runs there, and without one only `apply` and `delete` change anything";
        return Err(
            CliError::new(Code::NoHost, "cannot follow what is wanted", why).help("cyte run PATH starts one")
        );
    };
    let after = verb.after.map(|after| format!("&after={after}")).unwrap_or_default();
    let gene = verb.gene.as_deref().map(|gene| format!("&gene={}", escape(gene))).unwrap_or_default();
    ask::follow(client, &format!("/v1/wishes?follow=1{after}{gene}"), context, followed_text)
}

/// One change as a line; all that is wanted as one line each.
fn followed_text(value: &Value) -> String {
    if value.get("definitions").is_none() {
        return change_row(value, value.get("wish").filter(|wish| !wish.is_null()));
    }
    let all = items(value, "definitions");
    let rows: Vec<String> = all.iter().map(|wish| change_row(wish, Some(wish))).collect();
    format!("all that is wanted at revision {}:\n{}", field(value, "revision"), rows.join("\n"))
}

fn change_row(change: &Value, wish: Option<&Value>) -> String {
    let count = wish.map_or_else(|| "deleted".to_owned(), |wish| field(wish, "count"));
    let at = clock(change.get("at_ms").and_then(Value::as_u64).unwrap_or(0));
    let [revision, gene, origin] = ["revision", "gene", "origin"].map(|key| field(change, key));
    format!("{revision:<9} {at}  {gene:<14} {origin:<9} {count}")
}

pub(super) fn search(verb: &Search, context: &Context) -> Done {
    let answer = match asked(&verb.which)? {
        Asked::Host(client) => {
            let words: Vec<String> = verb.words.iter().map(|word| format!("word={}", escape(word))).collect();
            client.get(&format!("/v1/wishes?{}", words.join("&")))?
        }
        Asked::Rest(_state, wishes) => wishes.search(&verb.words)?,
    };
    context.answer(&answer, "definitions", |answer| {
        let heading = ["GENE", "COUNT", "BY", "REVISION", "PRIORITY", "LABELS"];
        table(&heading, &items(answer, "definitions").iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Exit::OK)
}

fn items(answer: &Value, key: &str) -> Vec<Value> {
    answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What every list of wishes shows of one.
fn row(wish: &Value) -> Vec<String> {
    let shown = ["gene", "count", "origin", "revision", "priority"].map(|key| field(wish, key));
    shown.into_iter().chain([labels(wish)]).collect()
}

fn all_text(answer: &Value) -> String {
    let rows: Vec<_> = items(answer, "wishes")
        .iter()
        .map(|wish| {
            let mut row = row(wish);
            row.insert(2, wish.get("allowed").map_or_else(String::new, |allowed| field(allowed, "count")));
            row
        })
        .collect();
    table(&["GENE", "COUNT", "ALLOWED", "BY", "REVISION", "PRIORITY", "LABELS"], &rows)
}

fn wish_text(wish: &Value) -> String {
    let allowed = wish.get("allowed").unwrap_or(&Value::Null);
    let facts = [
        ("gene", field(wish, "gene")),
        ("count", format!("{} (the DNA allows {})", field(wish, "count"), field(allowed, "count"))),
        ("by", format!("{}, revision {}", field(wish, "origin"), field(wish, "revision"))),
        ("version", field(wish, "version")),
        ("scope", field(wish, "scope")),
        ("priority", format!("{} (at most {})", field(wish, "priority"), field(allowed, "priority_max"))),
        ("labels", labels(wish)),
        ("constraints", list(wish, "constraints")),
        ("companions", list(wish, "companions")),
        ("expressor", field(wish, "expressor")),
    ];
    facts.iter().map(|(name, value)| format!("{name:<11} {value}\n")).collect()
}

fn list(wish: &Value, key: &str) -> String {
    let text = field(wish, key);
    if text.is_empty() { "-".to_owned() } else { text }
}

fn history_text(answer: &Value) -> String {
    let rows: Vec<_> = items(answer, "changes")
        .iter()
        .map(|change| {
            let wish = change.get("wish").filter(|wish| !wish.is_null());
            let count = wish.map_or_else(|| "deleted".to_owned(), |wish| field(wish, "count"));
            let at = change.get("at_ms").and_then(Value::as_u64).unwrap_or(0);
            vec![field(change, "revision"), clock(at), field(change, "gene"), field(change, "origin"), count]
        })
        .collect();
    table(&["REVISION", "AT (UTC)", "GENE", "BY", "COUNT"], &rows)
}

fn audit(verb: &str, subject: &str) -> AuditEntry {
    let uid = rustix::process::getuid().as_raw();
    AuditEntry { at_s: clock::wall_s(), uid, verb: verb.to_owned(), subject: subject.to_owned() }
}

/// The text of a file, or of standard input for `-`.
fn text(path: &Path) -> Result<String, CliError> {
    let failed = |why: String| CliError::new(Code::Missing, format!("cannot read `{}`", path.display()), why);
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(FILE_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(error.to_string()))?;
        bytes
    } else {
        files::read(path, FILE_MAX as u64)?
    };
    String::from_utf8(bytes).map_err(|_| failed("it is not text".to_owned()))
}
