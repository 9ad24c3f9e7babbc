//! Labels, and conditions over them, with one short text form each.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use cyte_dna::GeneName;

use super::{LABELS_MAX, shown};

/// Free words on a wish or a host. Keys `[a-z0-9._/-]{1,63}`, values `[A-Za-z0-9._/:+-]{0,63}`.
pub type Labels = BTreeMap<String, String>;

/// The longest key or value of a label, in bytes.
const LABEL_BYTES: usize = 63;
/// The most values one selector may list.
const VALUES_MAX: usize = 16;

/// A label or a condition that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {reason}")]
pub struct LabelError {
    text: String,
    reason: &'static str,
}

impl LabelError {
    fn new(text: &str, reason: &'static str) -> Self {
        LabelError { text: shown(text), reason }
    }
}

/// Every bound on labels: how many, and what keys and values are made of.
///
/// # Errors
/// The first label that breaks a rule.
pub fn check_labels(labels: &Labels) -> Result<(), LabelError> {
    if labels.len() > LABELS_MAX {
        return Err(LabelError::new(&labels.len().to_string(), "there are more than 32 labels"));
    }
    for (key, value) in labels {
        check_key(key)?;
        check_value(value)?;
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), LabelError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._/-".contains(&b);
    if key.is_empty() || key.len() > LABEL_BYTES || !key.bytes().all(allowed) {
        return Err(LabelError::new(key, "a label's key has 1 to 63 of a-z 0-9 . _ / -"));
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), LabelError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/:+-".contains(&b);
    if value.len() > LABEL_BYTES || !value.bytes().all(allowed) {
        return Err(LabelError::new(value, "a label's value has at most 63 of A-Z a-z 0-9 . _ / : + -"));
    }
    Ok(())
}

/// A condition on labels. As text: `key`, `!key`, `key=a|b`, `key!=a|b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The label is there, whatever its value.
    Has(String),
    /// The label is not there.
    Lacks(String),
    /// The label has one of these values.
    OneOf(String, Vec<String>),
    /// The label is not there or has none of these values.
    NoneOf(String, Vec<String>),
}

impl Selector {
    /// Whether these labels meet the condition.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Selector::Has(key) => labels.contains_key(key),
            Selector::Lacks(key) => !labels.contains_key(key),
            Selector::OneOf(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Selector::NoneOf(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Has(key) => write!(f, "{key}"),
            Selector::Lacks(key) => write!(f, "!{key}"),
            Selector::OneOf(key, values) => write!(f, "{key}={}", values.join("|")),
            Selector::NoneOf(key, values) => write!(f, "{key}!={}", values.join("|")),
        }
    }
}

impl FromStr for Selector {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let key = |key: &str| check_key(key).map(|()| key.to_owned());
        match text.split_once('=') {
            Some((left, right)) => {
                let values: Vec<String> = right.split('|').take(VALUES_MAX + 1).map(str::to_owned).collect();
                if values.len() > VALUES_MAX {
                    return Err(LabelError::new(text, "a selector lists at most 16 values"));
                }
                values.iter().try_for_each(|value| check_value(value))?;
                match left.strip_suffix('!') {
                    Some(left) => Ok(Selector::NoneOf(key(left)?, values)),
                    None => Ok(Selector::OneOf(key(left)?, values)),
                }
            }
            None => match text.strip_prefix('!') {
                Some(rest) => Ok(Selector::Lacks(key(rest)?)),
                None => Ok(Selector::Has(key(text)?)),
            },
        }
    }
}

/// What a host must meet before it may hold a cell. As text: a [`Selector`] over the host's
/// labels, or `not-with:GENE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constraint {
    /// The host's labels meet this.
    Host(Selector),
    /// No cell of that gene lives on the host; with its own name: at most one cell a host.
    NotWith(GeneName),
}

impl Constraint {
    /// Whether a host with these labels may hold no cell, whatever lives on it.
    #[must_use]
    pub fn excludes(&self, host: &Labels) -> bool {
        matches!(self, Constraint::Host(selector) if !selector.matches(host))
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::Host(selector) => write!(f, "{selector}"),
            Constraint::NotWith(gene) => write!(f, "not-with:{gene}"),
        }
    }
}

impl FromStr for Constraint {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.strip_prefix("not-with:") {
            Some(gene) => match GeneName::new(gene) {
                Ok(gene) => Ok(Constraint::NotWith(gene)),
                Err(_) => Err(LabelError::new(text, "after `not-with:` stands a gene's name")),
            },
            None => text.parse().map(Constraint::Host),
        }
    }
}

/// Serde through `Display` and `FromStr`: what decodes has been parsed.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;

serde_as_text!(Selector);
serde_as_text!(Constraint);
