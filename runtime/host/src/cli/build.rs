//! `cyte build`: genes become components.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::table::{bytes, field, gets, role, table};
use super::{Context, Done, Exit, project};
use crate::workshop::Mode;

/// Build the genes of a project and say what each is and asks for
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte build\n  cyte build examples/hello --output json")]
pub(super) struct Build {
    /// The project: a folder, a dna.toml, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(verb: &Build, context: &Context) -> Done {
    let made = project::make(project::open(&verb.path)?, Mode::Build, context)?;
    made.check_imports()?;
    show(&facts(&made), context)
}

/// What there is to say about the genes.
pub(super) fn facts(made: &project::Made) -> Value {
    let organism = made.project.toml().organism.as_str();
    json!({"v": 1, "organism": organism, "genes": made.values()})
}

/// The genes as a table, with what each asks for below.
pub(super) fn show(facts: &Value, context: &Context) -> Done {
    context.answer(facts, "genes", text)?;
    Ok(Exit::OK)
}

fn text(value: &Value) -> String {
    let genes = value.get("genes").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = genes
        .iter()
        .map(|gene| {
            let size = gene.get("size").and_then(Value::as_u64).unwrap_or(0);
            vec![field(gene, "gene"), role(gene), bytes(size), field(gene, "world"), field(gene, "path")]
        })
        .collect();
    let mut text = table(&["GENE", "ROLE", "SIZE", "WORLD", "FILE"], &rows);
    for gene in &genes {
        text.push_str(&format!("\n{} imports\n", field(gene, "gene")));
        let asks = gene.get("asks").and_then(Value::as_array).cloned().unwrap_or_default();
        for ask in &asks {
            text.push_str(&format!("  {:<44} {}\n", field(ask, "import"), gets(ask)));
        }
    }
    text
}
