//! `cyte inspect`: a cell, a gene, or a component that was never run.

use std::path::Path;

use clap::Args;
use cyte_dna::Grants;
use serde_json::{Value, json};

use super::table::{bytes, field, gets, labels, role, span, table};
use super::{Context, Done, Exit, Which, ask, files, why};
use crate::codes::Code;
use crate::control::client::escape;
use crate::error::CliError;

/// Show one cell, one gene, or what a component exports and asks for
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte inspect front#1\n  cyte inspect front --output json\n  cyte inspect hello.wasm"
)]
pub(super) struct Inspect {
    /// A cell (front#1), a gene (front), or a file (hello.wasm)
    #[arg(value_name = "CELL|GENE|X.wasm")]
    what: String,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Inspect, context: &Context) -> Done {
    let path = Path::new(&verb.what);
    if path.is_file() || path.extension().is_some_and(|extension| extension == "wasm") {
        return component(path, context);
    }
    let client = ask::host(&verb.which, context)?;
    if verb.what.contains('#') {
        let cell = client.get(&format!("/v1/cells/{}", escape(&verb.what)))?;
        context.answer(&cell, "", cell_text)?;
    } else {
        let gene = client.get(&format!("/v1/genes/{}", escape(&verb.what)))?;
        context.answer(&gene, "", gene_text)?;
    }
    Ok(Exit::OK)
}

fn component(path: &Path, context: &Context) -> Done {
    let name = path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "dna") {
        let error =
            CliError::new(Code::Usage, format!("cannot inspect `{name}`"), "it is a bundle, not a component");
        return Err(error.help(format!("cyte dna inspect {name}")));
    }
    let wasm = files::read(path, cyte_dna::limits::BLOB_BYTES)?;
    let found = cyte_engine::inspect(&wasm)
        .map_err(|why| CliError::new(Code::Component, format!("cannot run `{name}`"), why))?;
    let asks: Vec<Value> = found
        .asks(&Grants::default())
        .iter()
        .map(|ask| json!({"import": ask.import, "answer": ask.answer}))
        .collect();
    let value = json!({
        "v": 1,
        "file": name,
        "sha256": cyte_dna::Digest::of(&wasm).to_string(),
        "role": found.shape.role().as_str(),
        "world": found.shape.world(),
        "engine": found.shape.engine().as_str(),
        "component": found,
        "asks": asks,
    });
    context.answer(&value, "", component_text)?;
    Ok(Exit::OK)
}

fn component_text(value: &Value) -> String {
    let inner = value.get("component").unwrap_or(&Value::Null);
    let size = inner.get("size").and_then(Value::as_u64).unwrap_or(0);
    let mut text = facts(&[
        ("file", field(value, "file")),
        ("sha256", field(value, "sha256")),
        ("role", field(value, "role")),
        ("world", field(value, "world")),
        ("size", bytes(size)),
        ("reuse", field(inner, "reuse")),
    ]);
    text.push_str(&asks_text(value));
    text
}

/// A core cell that is the host's own code.
fn core_text(cell: &Value) -> String {
    let rows = ["cell", "role", "state", "seat", "gene", "mother"].map(|key| (key, field(cell, key)));
    let age = span(cell.get("age_ms").and_then(Value::as_u64).unwrap_or(0));
    let did = cell.get("did").and_then(Value::as_object).cloned().unwrap_or_default();
    let did = did.iter().map(|(what, count)| format!("{what:<11} {count}\n"));
    facts(&rows) + &facts(&[("age", age)]) + &did.collect::<String>()
}

fn cell_text(cell: &Value) -> String {
    if cell.get("kind").is_some_and(|kind| kind == "core") {
        return core_text(cell);
    }
    let number = |key: &str| cell.get(key).and_then(Value::as_u64).unwrap_or(0);
    facts(&[
        ("cell", field(cell, "cell")),
        ("gene", field(cell, "gene")),
        ("role", field(cell, "role")),
        ("state", field(cell, "state")),
        ("dna", field(cell, "digest")),
        ("age", span(number("age_ms"))),
        ("mother", field(cell, "mother")),
        ("generation", field(cell, "generation")),
        ("niche", field(cell, "niche")),
        ("uses", format!("{} ({} left)", number("uses"), number("uses_left"))),
        ("memory", bytes(number("memory_bytes"))),
        ("cpu", format!("{} us", number("cpu_us"))),
    ])
}

fn gene_text(gene: &Value) -> String {
    let number = |key: &str| gene.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut text = facts(&[
        ("gene", field(gene, "gene")),
        ("version", field(gene, "version")),
        ("labels", labels(gene)),
        ("role", role(gene)),
        ("world", field(gene, "world")),
        ("size", bytes(number("size"))),
        ("routes", field(gene, "routes")),
        ("reuse", field(gene, "reuse")),
        ("weight", field(gene, "weight")),
        ("cells", format!("{} ready, {} busy, {} born", number("ready"), number("busy"), number("born"))),
        ("waiting", format!("{}, {} refused at once", field(gene, "waiting"), number("shed"))),
        ("latency", format!("p50 {} us, p99 {} us", number("p50_us"), number("p99_us"))),
    ]);
    if let Some(calls) = gene.get("calls") {
        text.push_str(&facts(&[("calls", why::policy_calls(calls))]));
    }
    text.push_str(&background_text(gene));
    text.push_str(&asks_text(gene));
    text
}

/// What became of its background work, where its DNA names some.
fn background_text(gene: &Value) -> String {
    let Some(background) = gene.get("background").filter(|found| found.is_object()) else {
        return String::new();
    };
    let number = |key: &str| background.get(key).and_then(Value::as_u64).unwrap_or(0);
    let counts = background.get("counts").unwrap_or(&Value::Null);
    let count = |key: &str| counts.get(key).and_then(Value::as_u64).unwrap_or(0);
    facts(&[
        ("clients", format!("{} admitted", number("clients"))),
        (
            "background",
            format!(
                "{} admitted at once, {} held back ({} now), {} of them until their time was over, {} refused",
                count("passed"),
                count("held"),
                number("waiting"),
                count("overdue"),
                count("refused")
            ),
        ),
    ])
}

/// What it asks for, and what it gets.
fn asks_text(value: &Value) -> String {
    let asks = value.get("asks").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = asks.iter().map(|ask| vec![field(ask, "import"), gets(ask)]).collect();
    if rows.is_empty() {
        "\nasks for nothing\n".to_owned()
    } else {
        format!("\n{}", table(&["ASKS FOR", "GETS"], &rows))
    }
}

fn facts(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(name, value)| format!("{name:<11} {value}\n")).collect()
}
