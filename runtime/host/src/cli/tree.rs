//! What lives on a host as a tree: the organism, the egg or what became of it, its genes, their cells,
//! each below its mother, or below whoever adopted it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::table::{field, labels, span};

/// How deep daughters are drawn below their mothers. Beyond it they are listed one below the other
/// with their mothers' names: a tissue that grew cell by cell is one long line.
const DEPTH: usize = 6;

struct Node {
    text: String,
    below: Vec<Node>,
}

/// The answer of `ps`, drawn.
pub(super) fn text(answer: &Value) -> String {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let dna: String = field(answer, "digest").chars().take(12).collect();
    let top = format!("{}  version {}, DNA {dna}", field(answer, "organism"), field(answer, "version"));
    let (genes, cells) = (list("genes"), list("cells"));
    let below = egg(&list("core"), &cells, genes.iter().map(|gene| gene_node(gene, &cells)).collect());
    let mut out = format!("{top}\n");
    draw(&Node { text: top, below }, "", &mut out);
    out
}

/// The genes below the cell that all others descend from, and its messenger beside them.
fn egg(core: &[Value], cells: &[Value], genes: Vec<Node>) -> Vec<Node> {
    let is_shown = |one: &&Value| cells.iter().any(|cell| cell.get("cell") == one.get("cell"));
    let mut own = core.iter().filter(|one| !is_shown(one));
    let Some(mother) = own.next() else { return genes };
    let daughters = own.map(|cell| Node { text: core_text(cell), below: Vec::new() });
    vec![Node { text: core_text(mother), below: daughters.chain(genes).collect() }]
}

fn core_text(cell: &Value) -> String {
    let age = cell.get("age_ms").and_then(Value::as_u64).map_or_else(|| "-".into(), span);
    let did = cell.get("did").and_then(Value::as_object).cloned().unwrap_or_default();
    let did: String = did.iter().map(|(what, count)| format!(", {count} {what}")).collect();
    let (name, role, state) = (field(cell, "cell"), field(cell, "role"), field(cell, "state"));
    format!("{name}  {role}, {state}, {age} old, holds {}{did}", field(cell, "seat"))
}

fn gene_node(gene: &Value, all: &[Value]) -> Node {
    let name = field(gene, "gene");
    let cells: Vec<&Value> = all.iter().filter(|cell| field(cell, "gene") == name).collect();
    let mut text = format!("{name}  {}", field(gene, "role"));
    for more in [field(gene, "routes"), labels(gene)] {
        if !matches!(more.as_str(), "" | "-") {
            text.push_str(&format!("  {more}"));
        }
    }
    if cells.is_empty() {
        text.push_str("  resting");
    }
    Node { text, below: family(&cells) }
}

/// Cells of one gene, each below its mother where she is alive.
fn family(cells: &[&Value]) -> Vec<Node> {
    let number = |cell: &Value, key: &str| cell.get(key).and_then(Value::as_u64);
    let alive: BTreeSet<u64> = cells.iter().filter_map(|cell| number(cell, "id")).collect();
    let mut daughters: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    let mut first = Vec::new();
    for cell in cells {
        // A mother is older than her daughters, so that nobody is below herself.
        let is_older = |mother: &u64| number(cell, "id").is_some_and(|id| *mother < id);
        let mother = number(cell, "adopted_by").or_else(|| number(cell, "mother"));
        match mother.filter(|mother| is_older(mother) && alive.contains(mother)) {
            Some(mother) => daughters.entry(mother).or_default().push(cell),
            None => first.push(*cell),
        }
    }
    let of = |cell: &Value| number(cell, "id").and_then(|id| daughters.get(&id)).cloned().unwrap_or_default();
    let mut nodes = Vec::new();
    first.into_iter().for_each(|cell| descend(cell, 1, &of, &mut nodes));
    nodes
}

fn descend<'v>(cell: &'v Value, depth: usize, of: &dyn Fn(&Value) -> Vec<&'v Value>, into: &mut Vec<Node>) {
    let mut node = Node { text: cell_text(cell), below: Vec::new() };
    if depth < DEPTH {
        of(cell).into_iter().for_each(|daughter| descend(daughter, depth + 1, of, &mut node.below));
        return into.push(node);
    }
    into.push(node);
    let mut further = of(cell);
    further.reverse();
    while let Some(cell) = further.pop() {
        into.push(Node { text: cell_text(cell), below: Vec::new() });
        further.extend(of(cell).into_iter().rev());
    }
}

fn cell_text(cell: &Value) -> String {
    let age = cell.get("age_ms").and_then(Value::as_u64).map_or_else(|| "-".into(), span);
    let mother = match cell.get("mother").and_then(Value::as_u64) {
        Some(mother) => format!(", daughter of #{mother}"),
        None => String::new(),
    };
    let adopted = match cell.get("adopted_by").and_then(Value::as_u64) {
        Some(by) => format!(", adopted by #{by}"),
        None => String::new(),
    };
    let generation = field(cell, "generation");
    format!(
        "{}  {}, {age} old, {} uses, generation {generation}{mother}{adopted}",
        field(cell, "cell"),
        field(cell, "state"),
        field(cell, "uses")
    )
}

/// Everything below `node`, each line behind `before`.
fn draw(node: &Node, before: &str, out: &mut String) {
    let last = node.below.len().saturating_sub(1);
    for (at, child) in node.below.iter().enumerate() {
        let (branch, further) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        out.push_str(&format!("{before}{branch}{}\n", child.text));
        draw(child, &format!("{before}{further}"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cell(id: u64, mother: Option<u64>) -> Value {
        json!({"cell": format!("front#{id}"), "gene": "front", "id": id, "mother": mother, "state": "ready",
               "age_ms": 2_000, "uses": id, "generation": 0})
    }

    #[test]
    fn daughters_stand_below_their_mothers() {
        let answer = json!({
            "organism": "shop", "version": 3, "digest": "0123456789abcdef",
            "genes": [{"gene": "front", "role": "drone", "routes": ["/..."], "labels": {"team": "web"}},
                      {"gene": "clean", "role": "task", "routes": []}],
            "cells": [cell(2, Some(1)), cell(3, Some(2)), cell(4, Some(2)), cell(5, None)],
        });
        assert_eq!(
            text(&answer),
            "shop  version 3, DNA 0123456789ab\n\
             ├─ front  drone  /...  team=web\n\
             │  ├─ front#2  ready, 2s old, 2 uses, generation 0, daughter of #1\n\
             │  │  ├─ front#3  ready, 2s old, 3 uses, generation 0, daughter of #2\n\
             │  │  └─ front#4  ready, 2s old, 4 uses, generation 0, daughter of #2\n\
             │  └─ front#5  ready, 2s old, 5 uses, generation 0\n\
             └─ clean  task  resting\n"
        );
    }

    #[test]
    fn all_descend_from_the_egg_and_orphans_stand_below_whoever_adopted_them() {
        let mut orphan = cell(4, Some(2));
        orphan["adopted_by"] = 1.into();
        let core = |name: &str, role: &str| json!({"cell": name, "role": role, "state": "serving", "age_ms": 3_000, "seat": "the law", "did": {"looks": 9}});
        let answer = json!({
            "organism": "shop", "version": 3, "digest": "0123456789abcdef",
            "genes": [{"gene": "front", "role": "drone", "routes": [], "labels": {}}],
            "core": [core("egg#1", "neuron"), core("egg#2", "messenger"), core("front#1", "drone")],
            "cells": [cell(1, None), orphan],
        });
        assert_eq!(
            text(&answer),
            "shop  version 3, DNA 0123456789ab\n\
             └─ egg#1  neuron, serving, 3s old, holds the law, 9 looks\n   \
             ├─ egg#2  messenger, serving, 3s old, holds the law, 9 looks\n   \
             └─ front  drone\n      \
             └─ front#1  ready, 2s old, 1 uses, generation 0\n         \
             └─ front#4  ready, 2s old, 4 uses, generation 0, daughter of #2, adopted by #1\n"
        );
    }

    #[test]
    fn a_long_line_of_daughters_stays_readable_and_nobody_is_left_out() {
        let cells: Vec<Value> = (1..=500).map(|id| cell(id, (id > 1).then_some(id - 1))).collect();
        let cells: Vec<&Value> = cells.iter().collect();
        let mut out = String::new();
        draw(&Node { text: String::new(), below: family(&cells) }, "", &mut out);
        assert_eq!(out.lines().count(), 500);
        assert!(out.lines().all(|line| line.chars().count() < 100), "{out}");
        // Nonsense from elsewhere ends too.
        let odd = [cell(1, Some(1)), cell(2, Some(3)), cell(3, Some(2))];
        let odd: Vec<&Value> = odd.iter().collect();
        assert!(!family(&odd).is_empty());
    }
}
