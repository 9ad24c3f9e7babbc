//! `cyte ps`: what lives on a running host.

use clap::Args;
use serde_json::Value;

use super::table::{bytes, field, labels, span, table};
use super::{Context, Done, Exit, Which, ask, tree};

/// Show the genes and cells of a running host
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte ps\n  cyte ps --tree\n  cyte ps --label team=web --output json\n  cyte ps --state /var/lib/cyte"
)]
pub(super) struct Ps {
    /// Only genes with this label, and their cells; given several times, all must be there
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    labels: Vec<String>,
    /// As a tree: the organism, its genes, their cells, each below its mother
    #[arg(long)]
    tree: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Ps, context: &Context) -> Done {
    let mut answer = ask::host(&verb.which, context)?.get("/v1/ps")?;
    choose(&mut answer, &verb.labels);
    context.answer(&answer, "cells", if verb.tree { tree::text } else { text })?;
    Ok(Exit::OK)
}

/// Leaves only the genes that have all of these labels, and their cells.
fn choose(answer: &mut Value, wanted: &[String]) {
    let has = |gene: &Value, wanted: &String| {
        let (key, value) =
            wanted.split_once('=').map_or((wanted.as_str(), None), |(key, value)| (key, Some(value)));
        let found = gene.get("labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        found.is_some_and(|found| value.is_none_or(|value| value == found))
    };
    let mut chosen = Vec::new();
    if let Some(genes) = answer.get_mut("genes").and_then(Value::as_array_mut) {
        genes.retain(|gene| wanted.iter().all(|wanted| has(gene, wanted)));
        chosen.extend(genes.iter().map(|gene| field(gene, "gene")));
    }
    if let Some(cells) = answer.get_mut("cells").and_then(Value::as_array_mut) {
        cells.retain(|cell| chosen.contains(&field(cell, "gene")));
    }
    // Neuron and messenger serve all genes; they are nobody's with a label.
    if let Some(core) = answer.get_mut("core").and_then(Value::as_array_mut).filter(|_| !wanted.is_empty()) {
        core.retain(|cell| chosen.contains(&field(cell, "gene")));
    }
}

/// One row a cell; a gene without a cell has a row of its own, so that nothing looks absent that
/// only rests.
fn text(answer: &Value) -> String {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let cells = list("cells");
    let genes = list("genes");
    // The third core cell is one of the others.
    let core =
        list("core").into_iter().filter(|one| cells.iter().all(|cell| cell.get("cell") != one.get("cell")));
    let mut rows: Vec<Vec<String>> = core.map(|cell| core_row(&cell)).collect();
    rows.extend(cells.iter().map(|cell| row(cell, &genes)));
    let has_labels = genes.iter().any(|gene| labels(gene) != "-");
    for gene in genes {
        let name = field(&gene, "gene");
        if !cells.iter().any(|cell| field(cell, "gene") == name) {
            let dash = || "-".to_owned();
            rows.push(vec![
                dash(),
                name,
                field(&gene, "role"),
                "resting".into(),
                dash(),
                dash(),
                p99(&gene),
                dash(),
                labels(&gene),
            ]);
        }
    }
    // A column of dashes would say nothing.
    let columns =
        if has_labels { COLUMNS } else { COLUMNS.split_last().map_or(COLUMNS, |(_, others)| others) };
    table(columns, &rows)
}

const COLUMNS: &[&str] = &["CELL", "GENE", "ROLE", "STATE", "AGE", "USES", "P99", "MEM", "LABELS"];

/// The 99th percentile of a gene's answers, where there were any.
fn p99(gene: &Value) -> String {
    match gene.get("p99_us").and_then(Value::as_u64).unwrap_or(0) {
        0 => "-".to_owned(),
        us => format!("{}.{}ms", us / 1_000, us % 1_000 / 100),
    }
}

/// A cell that is the host's own code: no uses, no memory of its own.
fn core_row(cell: &Value) -> Vec<String> {
    let age = cell.get("age_ms").and_then(Value::as_u64).map_or_else(|| "-".into(), span);
    let mut row =
        vec![field(cell, "cell"), field(cell, "gene"), field(cell, "role"), field(cell, "state"), age];
    row.resize(COLUMNS.len(), "-".to_owned());
    row
}

fn row(cell: &Value, genes: &[Value]) -> Vec<String> {
    let gene = genes.iter().find(|gene| field(gene, "gene") == field(cell, "gene"));
    let number = |key: &str| cell.get(key).and_then(Value::as_u64);
    vec![
        field(cell, "cell"),
        field(cell, "gene"),
        field(cell, "role"),
        field(cell, "state"),
        number("age_ms").map_or_else(|| "-".into(), span),
        field(cell, "uses"),
        gene.map_or_else(|| "-".into(), p99),
        number("memory_bytes").map_or_else(|| "-".into(), bytes),
        gene.map_or_else(|| "-".into(), labels),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_have_rows_and_a_gene_without_cells_rests() {
        let answer = json!({
            "v": 1,
            "genes": [{"gene": "front", "role": "drone", "p99_us": 450}, {"gene": "back", "role": "drone"}],
            "core": [{"cell": "egg#1", "role": "neuron", "state": "serving", "age_ms": 12_400, "gene": null},
                     {"cell": "front#2", "role": "drone", "gene": "front"}],
            "cells": [{"cell": "front#2", "gene": "front", "role": "drone", "state": "serving",
                       "age_ms": 12_300, "uses": 3, "memory_bytes": 1_153_434}],
        });
        assert_eq!(
            text(&answer),
            "CELL     GENE   ROLE    STATE    AGE  USES  P99    MEM\n\
             egg#1    -      neuron  serving  12s  -     -      -\n\
             front#2  front  drone   serving  12s  3     0.4ms  1.1MiB\n\
             -        back   drone   resting  -    -     -      -\n"
        );
    }

    #[test]
    fn labels_are_a_column_and_choose() {
        let mut answer = json!({
            "genes": [{"gene": "front", "role": "drone", "labels": {"team": "web", "tier": "1"}},
                      {"gene": "back", "role": "drone", "labels": {"team": "data"}},
                      {"gene": "bare", "role": "drone", "labels": {}}],
            "cells": [{"cell": "back#1", "gene": "back"}, {"cell": "front#1", "gene": "front"}],
        });
        let shown = text(&answer);
        assert!(shown.lines().next().unwrap().ends_with("MEM  LABELS"), "{shown}");
        assert!(
            shown.lines().any(|line| line.starts_with("front#1") && line.ends_with("team=web tier=1")),
            "{shown}"
        );
        assert!(shown.lines().any(|line| line.contains("bare") && line.ends_with("-    -")), "{shown}");
        let left = |wanted: &[&str]| {
            let mut answer = answer.clone();
            choose(&mut answer, &wanted.iter().map(|wanted| (*wanted).to_owned()).collect::<Vec<_>>());
            let names = |key: &str, field: &str| -> Vec<String> {
                answer[key]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one[field].as_str().unwrap().to_owned())
                    .collect()
            };
            (names("genes", "gene"), names("cells", "cell"))
        };
        assert_eq!(left(&["team=web"]), (vec!["front".into()], vec!["front#1".into()]));
        assert_eq!(left(&["team"]).0, ["front", "back"]);
        assert_eq!(left(&["team=web", "tier=2"]), (vec![], vec![]));
        assert_eq!(left(&["team="]).0, Vec::<String>::new());
        choose(&mut answer, &[]);
        assert_eq!(answer["genes"].as_array().unwrap().len(), 3);
    }
}
