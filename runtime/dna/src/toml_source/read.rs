//! Typed reading of TOML values. Each function notes a fault at its place and gives `None`, so
//! that one pass finds every fault.

use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SourceError;
use super::units::Measure;
use crate::TextError;

/// Collects faults while reading.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<SourceError>,
}

/// A table with its place and its name in messages.
pub(super) struct Table<'t, 'i> {
    pub(super) entries: &'t DeTable<'i>,
    pub(super) span: Range<usize>,
    pub(super) name: String,
}

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A value with its place.
pub(super) type Placed<T> = (T, Range<usize>);

impl Reader {
    /// A fault for every key that is not one of these.
    pub(super) fn known_keys(&mut self, table: &Table<'_, '_>, known: &[&str]) {
        for key in table.entries.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("`{name}` is not a key of {}", table.name);
            self.faults.push(SourceError::new(key.span(), message, help));
        }
    }

    fn wrong(&mut self, value: &Value<'_>, name: &str, wanted: &str, example: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{name}` is {found} and must be {wanted}");
        self.faults.push(SourceError::new(value.span(), message, format!("write {name} = {example}")));
    }

    pub(super) fn table<'t, 'i>(&mut self, table: &Table<'t, 'i>, key: &str) -> Option<Table<'t, 'i>> {
        let value = table.entries.get(key)?;
        match value.get_ref().as_table() {
            Some(entries) => Some(Table { entries, span: value.span(), name: format!("`{key}`") }),
            None => {
                self.wrong(value, key, "a table", "{ ... }");
                None
            }
        }
    }

    pub(super) fn string(&mut self, table: &Table<'_, '_>, key: &str) -> Option<Placed<String>> {
        let value = table.entries.get(key)?;
        self.text(value, key)
    }

    pub(super) fn text(&mut self, value: &Value<'_>, name: &str) -> Option<Placed<String>> {
        match value.get_ref().as_str() {
            Some(text) => Some((text.to_string(), value.span())),
            None => {
                self.wrong(value, name, "a string", "\"...\"");
                None
            }
        }
    }

    /// A string that says what it is itself.
    pub(super) fn parsed<T: FromStr<Err = TextError>>(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
    ) -> Option<T> {
        let (text, span) = self.string(table, key)?;
        self.parse(&text, span)
    }

    fn parse<T: FromStr<Err = TextError>>(&mut self, text: &str, span: Range<usize>) -> Option<T> {
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.faults.push(SourceError::new(span, error.to_string(), error.help()));
                None
            }
        }
    }

    /// An array of strings; where `or_one`, also a single string.
    pub(super) fn strings(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        or_one: bool,
    ) -> Option<Vec<Placed<String>>> {
        let value = table.entries.get(key)?;
        if or_one && let Some(text) = value.get_ref().as_str() {
            return Some(vec![(text.to_string(), value.span())]);
        }
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(value, key, "an array of strings", "[\"...\"]");
            return None;
        };
        Some(array.iter().filter_map(|item| self.text(item, key)).collect())
    }

    pub(super) fn parsed_list<T: FromStr<Err = TextError>>(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        or_one: bool,
    ) -> Option<Vec<Placed<T>>> {
        let texts = self.strings(table, key, or_one)?;
        let parse =
            |(text, span): Placed<String>| self.parse(&text, span.clone()).map(|parsed| (parsed, span));
        Some(texts.into_iter().filter_map(parse).collect())
    }

    /// A table of strings, ascending by key.
    pub(super) fn pairs(&mut self, table: &Table<'_, '_>, key: &str) -> Vec<(String, String)> {
        let Some(inner) = self.table(table, key) else {
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in inner.entries {
            if let Some((text, _)) = self.text(value, name.get_ref()) {
                pairs.push((name.get_ref().to_string(), text));
            }
        }
        pairs.sort_unstable();
        pairs
    }

    pub(super) fn boolean(&mut self, table: &Table<'_, '_>, key: &str) -> Option<bool> {
        let value = table.entries.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, key, "true or false", "false");
        }
        found
    }

    /// An integer from `min` to `max`.
    pub(super) fn number(&mut self, table: &Table<'_, '_>, key: &str, min: u32, max: u32) -> Option<u32> {
        let value = table.entries.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong(value, key, "an integer", &min.to_string());
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Some(number),
            None => {
                let message = format!("`{key}` is not from {min} to {max}");
                self.faults.push(SourceError::new(
                    value.span(),
                    message,
                    format!("write {key} = {min} or more"),
                ));
                None
            }
        }
    }

    /// An amount with its unit, from `min` to `max`.
    pub(super) fn amount(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        measure: Measure,
        min: u64,
        max: u64,
    ) -> Option<u64> {
        let value = table.entries.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(value, key, "a string with a unit", measure.example());
            return None;
        };
        let fault = match measure.parse(text) {
            Ok(amount) if (min..=max).contains(&amount) => return Some(amount),
            Ok(_) => format!("is not from {} to {}", measure.show(min), measure.show(max)),
            Err(fault) => fault.to_string(),
        };
        let message = format!("`{key}`: `{text}` {fault}");
        self.faults.push(SourceError::new(
            value.span(),
            message,
            format!("write {key} = {}", measure.example()),
        ));
        None
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let (text, span) = self.string(table, key)?;
        if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*found);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{text}` is not a value of `{key}`");
        self.faults.push(SourceError::new(span, message, format!("write one of: {}", known.join(", "))));
        None
    }
}

/// The known name with the fewest changes of one letter, where these are few.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let close = |near: &&str| distance(name, near) <= (near.len() / 3).max(1);
    known.iter().copied().filter(close).min_by_key(|near| distance(name, near))
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = cost.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("route", "routes"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("rout", &["route", "role", "source"]), Some("route"));
        assert_eq!(nearest("colour", &["route", "role", "source"]), None);
    }
}
