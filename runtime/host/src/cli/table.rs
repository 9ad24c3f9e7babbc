//! Columns for people.

use serde_json::Value;

/// Rows under a heading, columns two spaces apart, no trailing blanks. Ends with a line feed.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let pad = width.saturating_sub(cell.chars().count()) + 2;
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', pad));
    }
    let mut text = text.trim_end().to_owned();
    text.push('\n');
    text
}

/// The whole number that `key` of `value` holds; 0 where there is none.
pub(super) fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// Field `key` of `value` as a person reads it; `-` when it is not there.
pub(super) fn field(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}

/// The role of a gene, of a neuron how much its word counts, of a policy what it does:
/// `neuron (advise)`, `policy (zombies, log)`.
pub(super) fn role(gene: &Value) -> String {
    let duties = gene.get("policy").and_then(Value::as_array).into_iter().flatten();
    let duties: Vec<&str> = duties.filter_map(Value::as_str).collect();
    role_text(&field(gene, "role"), gene.get("neuron").and_then(Value::as_str), &duties)
}

/// The same from its parts.
pub(super) fn role_text(role: &str, word: Option<&str>, duties: &[&str]) -> String {
    match word {
        Some(word) => format!("{role} ({word})"),
        None if !duties.is_empty() => format!("{role} ({})", duties.join(", ")),
        None => role.to_owned(),
    }
}

/// The labels of a gene as a person reads them: `team=web tier=front`; `-` when there are none.
pub(super) fn labels(gene: &Value) -> String {
    let pairs = gene.get("labels").and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))).collect();
    if pairs.is_empty() { "-".to_owned() } else { pairs.join(" ") }
}

/// What an import gets, from the `answer` of one of a gene's asks.
pub(super) fn gets(ask: &Value) -> String {
    match field(ask, "answer").as_str() {
        "free" => "always there".to_owned(),
        "empty" => "not granted: there, and empty".to_owned(),
        "denied" => "not granted: each call is denied".to_owned(),
        "missing" => "not granted: the gene is not loaded".to_owned(),
        "unknown" => "nothing provides it".to_owned(),
        other => other.to_owned(),
    }
}

/// A number of bytes as a person reads it, for example `1.1MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1_024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 || tenths >= 1_000 || tenths % 10 == 0 {
        format!("{}{name}", (tenths + 5) / 10)
    } else {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    }
}

/// A span of milliseconds as a person reads it, for example `12s` or `3h`.
pub(super) fn span(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0 => format!("{ms}ms"),
        1..=119 => format!("{s}s"),
        120..=7_199 => format!("{}m", s / 60),
        7_200..=172_799 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_blanks() {
        let rows = vec![vec!["front#1".into(), "x".into()], vec!["é".into(), "-".into()]];
        assert_eq!(table(&["CELL", "GENE"], &rows), "CELL     GENE\nfront#1  x\né        -\n");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(1023), "1023B");
        assert_eq!(bytes(64 << 20), "64MiB");
        assert_eq!(bytes(1_153_434), "1.1MiB");
        assert_eq!(bytes(93_000), "90.8KiB");
        assert_eq!(span(999), "999ms");
        assert_eq!(span(12_400), "12s");
        assert_eq!(span(7_200_000), "2h");
    }
}
