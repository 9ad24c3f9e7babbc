//! `cyte why`: why there are as many cells of a gene as there are, and what one cell feels.

use clap::Args;
use serde_json::Value;

use super::table::{field, span};
use super::{Context, Done, Exit, Which, ask};
use crate::control::client::escape;

/// Say what is wanted of a gene, what there is, what is missing and why, or what one cell feels
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte why front\n  cyte why front#3\n  cyte why")]
pub(super) struct Why {
    /// The gene, or a cell as `cyte ps` names it; without one, all genes
    #[arg(value_name = "GENE|CELL")]
    gene: Option<String>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Why, context: &Context) -> Done {
    let client = ask::host(&verb.which, context)?;
    if let Some(cell) = verb.gene.as_ref().filter(|name| name.contains('#')) {
        let answer = client.get(&format!("/v1/why/{}", escape(cell)))?;
        context.answer(&answer, "felt", felt)?;
        return Ok(Exit::OK);
    }
    let answer = match &verb.gene {
        Some(gene) => client.get(&format!("/v1/why/{}", escape(gene)))?,
        None => client.get("/v1/why")?,
    };
    context.answer(&answer, "genes", |answer| {
        let genes = answer.get("genes").and_then(Value::as_array).cloned().unwrap_or_default();
        genes.iter().map(sentence).collect()
    })?;
    Ok(Exit::OK)
}

/// `front: 2..8 wanted by operator (revision 7); 1 there; 1 missing: ...; tried again in 12s`.
fn sentence(gene: &Value) -> String {
    let mut text = format!(
        "{}: {} wanted by {} (revision {}); ",
        field(gene, "gene"),
        field(gene, "wanted"),
        field(gene, "by"),
        field(gene, "revision")
    );
    match gene.get("cells").and_then(Value::as_u64) {
        None => text.push_str(&without_tissue(gene)),
        Some(cells) => text.push_str(&format!("{cells} there")),
    }
    if gene.get("most").and_then(Value::as_u64) == Some(0) {
        text.push_str("; none may be here");
    }
    match gene.get("missing").filter(|missing| !missing.is_null()) {
        None => text.push_str("; nothing is missing"),
        Some(missing) => {
            text.push_str(&format!("; {} missing: {}", field(missing, "cells"), field(missing, "reason")));
            if let Some(ms) = missing.get("again_ms").and_then(Value::as_u64) {
                text.push_str(&format!("; tried again in {}", span(ms)));
            }
        }
    }
    let given_up = gene.get("given_up").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let Some(last) = given_up.last() {
        let rests = last.get("again_ms").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), span);
        let (count, reason) = (given_up.len(), field(last, "reason"));
        text.push_str(&format!("; {count} handed on to other hosts: {reason}; not taken again for {rests}"));
    }
    text.push('\n');
    for decision in gene.get("decisions").and_then(Value::as_array).into_iter().flatten() {
        let ago = decision.get("ago_ms").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), span);
        let (act, cause, why) = (field(decision, "act"), field(decision, "cause"), field(decision, "why"));
        text.push_str(&format!("  {ago} ago  {act} for {cause}: {why}\n"));
    }
    text
}

/// What to say of a gene that answers no requests.
fn without_tissue(gene: &Value) -> String {
    let Some(policy) = gene.get("policy").filter(|policy| !policy.is_null()) else {
        return match gene.get("role").and_then(Value::as_str) {
            Some("neuron") => "a neuron, one cell that the host asks (cyte hormones)".to_owned(),
            _ => "a task, which lives when it is run".to_owned(),
        };
    };
    let duties = policy.get("duties").and_then(Value::as_array).into_iter().flatten();
    let duties: Vec<&str> = duties.filter_map(Value::as_str).collect();
    format!("a policy, one cell that the host asks about {}: {}", duties.join(", "), policy_calls(policy))
}

/// `12 calls, 1 failed, 3 not made; now: it trapped`.
pub(super) fn policy_calls(policy: &Value) -> String {
    let trouble = policy.get("trouble").and_then(Value::as_str);
    format!(
        "{} calls, {} failed, {} not made{}",
        field(policy, "calls"),
        field(policy, "failures"),
        field(policy, "skipped"),
        trouble.map_or_else(String::new, |why| format!("; at last: {why}"))
    )
}

/// `front#3: 4 cells, 3.2 wanted, felt -0.20 now and +0.01 lately; reports weighed 2.7`.
fn felt(answer: &Value) -> String {
    let cell = field(answer, "cell");
    let Some(felt) = answer.get("felt").filter(|felt| !felt.is_null()) else {
        return format!("{cell}: the hormone law has not looked at it yet\n");
    };
    let number = |key: &str| {
        felt.get("trace").and_then(|trace| trace.get(key)).and_then(Value::as_f64).unwrap_or_default()
    };
    format!(
        "{cell}: {}; its own load {:.2} slots, the reports that it heard weighed {:.2}\n",
        field(felt, "why"),
        number("own"),
        number("weight")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gene_is_one_sentence() {
        let missing = json!({"cells": 1, "reason": "because", "again_ms": 12_000});
        let gene = json!({"gene": "front", "wanted": "2..8", "by": "operator", "revision": 7, "cells": 1,
                          "missing": missing});
        assert_eq!(
            sentence(&gene),
            "front: 2..8 wanted by operator (revision 7); 1 there; 1 missing: because; tried again in 12s\n"
        );
        let given_up = json!([{"copy": 1, "reason": "because", "again_ms": 25_000}]);
        let gene = json!({"gene": "front", "wanted": "2", "by": "dna", "revision": 1, "cells": 1,
                          "given_up": given_up});
        assert!(
            sentence(&gene)
                .ends_with("missing; 1 handed on to other hosts: because; not taken again for 25s\n")
        );
        let gene = json!({"gene": "tool", "wanted": "0..", "by": "dna", "revision": 1, "cells": null});
        assert!(sentence(&gene).ends_with("a task, which lives when it is run; nothing is missing\n"));
    }
}
