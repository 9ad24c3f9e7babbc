//! `dna.toml`, as authors write it: parsed with positions, so that every fault shows its line.
//!
//! Deny by default: a key that is not known is a fault, with the nearest known one as advice.
//! Text in, data out; nothing here looks whether a folder or file that is named exists.

mod assemble;
mod duty;
mod fault;
mod gene;
mod policy;
mod read;
#[cfg(test)]
mod tests;
mod units;

pub use assemble::{Descent, GeneParts};
pub use fault::{SourceError, SourceErrors};
pub use gene::{FileEntry, GeneSource};
pub use policy::PolicySource;
pub use units::{parse_bytes, parse_ms};

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use crate::limits::{DNA_TOML_BYTES, GENES, LABEL_MAX_BYTES};
use crate::{OrganismName, Role, Route};
use read::{Reader, Table};

/// A whole `dna.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnaToml {
    /// `[organism] name`.
    pub organism: OrganismName,
    /// `[organism] version`: a label for people. Empty where left out.
    pub label: String,
    /// `dormant`, `[pool]` and `[hormones]`.
    pub policy: PolicySource,
    /// `[gene.NAME]`, ascending by name.
    pub genes: Vec<GeneSource>,
}

impl DnaToml {
    /// Parse and check a `dna.toml`.
    ///
    /// # Errors
    /// Every fault that was found, in the order of the text, at most 20.
    pub fn parse(text: &str) -> Result<Self, SourceErrors> {
        if text.len() > DNA_TOML_BYTES {
            let message =
                format!("the file has {} bytes, more than the {DNA_TOML_BYTES} that are allowed", text.len());
            return Err(SourceError::new(0..0, message, "split the organism").into());
        }
        let document = DeTable::parse(text).map_err(|error| syntax(&error, text.len()))?;
        let mut reader = Reader::default();
        let parsed = reader.organism(document.get_ref());
        match parsed {
            Some(parsed) if reader.faults.is_empty() => Ok(parsed),
            _ => Err(SourceErrors::new(reader.faults)),
        }
    }

    /// The gene of this name.
    #[must_use]
    pub fn gene(&self, name: &str) -> Option<&GeneSource> {
        self.genes.iter().find(|gene| gene.name.as_str() == name)
    }
}

fn syntax(error: &toml::de::Error, length: usize) -> SourceErrors {
    let span = error.span().unwrap_or(length..length);
    SourceError::new(span, error.message().to_string(), "the file must be TOML: https://toml.io").into()
}

impl Reader {
    fn organism(&mut self, document: &DeTable<'_>) -> Option<DnaToml> {
        let root = Table { entries: document, span: 0..0, name: "dna.toml".into() };
        self.known_keys(&root, &["organism", "gene", "hormones", "pool"]);
        let head = self.head(&root);
        let policy = self.policy(&root, head.as_ref().and_then(|(_, _, dormant)| *dormant));
        let genes = self.genes(&root);
        self.route_conflicts(&genes);
        self.foreign_background(&genes);
        self.rival_neurons(&genes);
        self.rival_policies(&genes);
        let (organism, label, _) = head?;
        Some(DnaToml { organism, label, policy, genes })
    }

    fn head(&mut self, root: &Table<'_, '_>) -> Option<(OrganismName, String, Option<bool>)> {
        let Some(organism) = self.table(root, "organism") else {
            if root.entries.get("organism").is_none() {
                self.fault(0..0, "there is no [organism]", "add [organism] with name = \"shop\"");
            }
            return None;
        };
        self.known_keys(&organism, &["name", "version", "dormant"]);
        let label = self.label(&organism);
        let dormant = self.boolean(&organism, "dormant");
        let name = self.parsed(&organism, "name");
        if organism.entries.get("name").is_none() {
            self.fault(organism.span, "[organism] has no name", "add name = \"shop\"");
        }
        Some((name?, label, dormant))
    }

    /// `version`, of the organism or of a gene.
    fn label(&mut self, table: &Table<'_, '_>) -> String {
        let Some((text, span)) = self.string(table, "version") else {
            return String::new();
        };
        if text.len() > LABEL_MAX_BYTES || text.chars().any(char::is_control) {
            let message = "a version is at most 64 bytes without control characters";
            self.fault(span, message, "write version = \"0.1.0\"");
        }
        text
    }

    fn genes(&mut self, root: &Table<'_, '_>) -> Vec<GeneSource> {
        let Some(tables) = self.table(root, "gene") else {
            if root.entries.get("gene").is_none() {
                let end = root.entries.get("organism").map_or(0..0, |organism| organism.span());
                self.fault(end, "there is no gene", "add [gene.front] with source = \"genes/front\"");
            }
            return Vec::new();
        };
        if tables.entries.len() > GENES {
            self.fault(
                tables.span.clone(),
                format!("there are more than {GENES} genes"),
                "split the organism",
            );
            return Vec::new();
        }
        let mut genes = Vec::new();
        for (key, value) in tables.entries {
            genes.extend(self.gene(key, value));
        }
        genes.sort_unstable_by(|a: &GeneSource, b| a.name.cmp(&b.name));
        genes
    }

    /// Two genes on one route: neither could win, so both are named.
    fn route_conflicts(&mut self, genes: &[GeneSource]) {
        let mut owners: BTreeMap<&Route, &GeneSource> = BTreeMap::new();
        for gene in genes {
            for (route, span) in gene.routes_with_spans() {
                let Some(first) = owners.insert(route, gene) else { continue };
                if first.name == gene.name {
                    self.fault(span, format!("the route `{route}` is there twice"), "remove one of them");
                } else {
                    let message =
                        format!("genes `{}` and `{}` both have the route `{route}`", first.name, gene.name);
                    self.fault(span, message, "give one of them another path or a host name");
                }
            }
        }
    }

    /// What a gene calls background work must be its own. Where a gene leaves `route` out, whether it
    /// takes every request is known only when all are built.
    fn foreign_background(&mut self, genes: &[GeneSource]) {
        if genes.iter().any(|gene| gene.routes.is_none() && !gene.background.is_empty()) {
            return;
        }
        let claims =
            || genes.iter().flat_map(|gene| gene.routes_with_spans().map(move |(route, _)| (route, gene)));
        for gene in genes {
            for (part, span) in gene.background_with_spans() {
                if part.owner(claims()).is_none_or(|owner: &GeneSource| owner.name != gene.name) {
                    let message = format!("`{part}` is no part of the routes of gene `{}`", gene.name);
                    self.fault(span, message, "name one of its routes, or a deeper part of one");
                }
            }
        }
    }

    /// Two neurons would write the same registers in turn.
    fn rival_neurons(&mut self, genes: &[GeneSource]) {
        let mut neurons =
            genes.iter().filter(|gene| gene.neuron.is_some() || gene.role == Some(Role::Neuron));
        let Some(first) = neurons.next() else { return };
        for second in neurons {
            let message = format!("genes `{}` and `{}` are both neurons", first.name, second.name);
            self.fault(second.span.clone(), message, "keep one: it is asked about every class of its host");
        }
    }

    fn fault(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(SourceError::new(span, message.into(), help));
    }
}
