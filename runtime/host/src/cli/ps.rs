//! `cyte ps`: what lives on a running host.

use clap::Args;
use serde_json::Value;

use super::table::{bytes, field, span, table};
use super::{Context, Done, Exit, Which, ask};

/// Show the genes and cells of a running host
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte ps\n  cyte ps --output json\n  cyte ps --state /var/lib/cyte")]
pub(super) struct Ps {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Ps, context: &Context) -> Done {
    let answer = ask::host(&verb.which, context)?.get("/v1/ps")?;
    context.answer(&answer, "cells", text)?;
    Ok(Exit::OK)
}

/// One row a cell; a gene without a cell has a row of its own, so that nothing looks absent that
/// only rests.
fn text(answer: &Value) -> String {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let cells = list("cells");
    let genes = list("genes");
    let mut rows: Vec<Vec<String>> = cells.iter().map(|cell| row(cell, &genes)).collect();
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
            ]);
        }
    }
    table(&["CELL", "GENE", "ROLE", "STATE", "AGE", "USES", "P99", "MEM"], &rows)
}

/// The 99th percentile of a gene's answers, where there were any.
fn p99(gene: &Value) -> String {
    match gene.get("p99_us").and_then(Value::as_u64).unwrap_or(0) {
        0 => "-".to_owned(),
        us => format!("{}.{}ms", us / 1_000, us % 1_000 / 100),
    }
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
            "cells": [{"cell": "front#2", "gene": "front", "role": "drone", "state": "serving",
                       "age_ms": 12_300, "uses": 3, "memory_bytes": 1_153_434}],
        });
        assert_eq!(
            text(&answer),
            "CELL     GENE   ROLE   STATE    AGE  USES  P99    MEM\n\
             front#2  front  drone  serving  12s  3     0.4ms  1.1MiB\n\
             -        back   drone  resting  -    -     -      -\n"
        );
    }
}
