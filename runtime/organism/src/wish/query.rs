//! Searching wishes by any field and label (seed 000: "richer searching, slicing and dicing of the
//! injected information, and so support discovery").

use cyte_dna::{Gene, GeneName, Role, Scope};
use serde::{Deserialize, Serialize};

use super::{Definition, Kind, Labels, Origin, Selector};

/// What to look for. Every part that is given must hold; an empty query finds everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// This gene only.
    pub gene: Option<GeneName>,
    /// Genes whose name holds this text.
    pub name_holds: Option<String>,
    /// The wish's pinned version, or the gene's where nothing is pinned.
    pub version: Option<String>,
    /// Who wrote it.
    pub origin: Option<Origin>,
    /// Where its cells are counted.
    pub scope: Option<Scope>,
    /// Which expressor acts on it.
    pub expressor: Option<Kind>,
    /// Wishes of at least this priority.
    pub priority_from: Option<u16>,
    /// Wishes whose range allows this many cells.
    pub count: Option<u32>,
    /// Wishes that bring this gene with them.
    pub companion: Option<GeneName>,
    /// Conditions on the labels of the wish and of its gene; all must hold. Where both have a label,
    /// the wish's counts.
    pub labels: Vec<Selector>,
    /// What the gene is; unknown genes are not found.
    pub role: Option<Role>,
    /// A gene with a route whose text holds this; unknown genes are not found.
    pub route_holds: Option<String>,
    /// Written after this revision.
    pub after_revision: Option<u64>,
    /// Written at or after this, in milliseconds since 1970.
    pub since_ms: Option<u64>,
}

impl Query {
    /// Whether `definition` is meant. `gene` is what the DNA in force says about its gene.
    #[must_use]
    pub fn matches(&self, definition: &Definition, gene: Option<&Gene>) -> bool {
        self.matches_wish(definition)
            && self.matches_record(definition)
            && self.matches_gene(definition, gene)
    }

    fn matches_wish(&self, definition: &Definition) -> bool {
        let wish = &definition.wish;
        is(&self.gene, &wish.gene)
            && self.name_holds.as_ref().is_none_or(|part| wish.gene.as_str().contains(part.as_str()))
            && is(&self.scope, &wish.scope)
            && is(&self.expressor, &wish.expressor)
            && self.priority_from.is_none_or(|from| wish.priority >= from)
            && self.count.is_none_or(|n| (wish.count.min..=wish.count.most()).contains(&n))
            && self.companion.as_ref().is_none_or(|gene| wish.companions.contains(gene))
    }

    fn matches_record(&self, definition: &Definition) -> bool {
        is(&self.origin, &definition.origin)
            && self.after_revision.is_none_or(|revision| definition.revision > revision)
            && self.since_ms.is_none_or(|since| definition.at_ms >= since)
    }

    fn matches_gene(&self, definition: &Definition, gene: Option<&Gene>) -> bool {
        let pinned = definition.wish.version.as_deref();
        let version = pinned.or(gene.map(|gene| gene.version.as_str()));
        self.version.as_deref().is_none_or(|asked| version == Some(asked))
            && self.matches_labels(definition, gene)
            && self.role.is_none_or(|role| gene.is_some_and(|gene| gene.role == role))
            && self.route_holds.as_ref().is_none_or(|part| {
                gene.is_some_and(|gene| gene.routes.iter().any(|r| r.to_string().contains(part.as_str())))
            })
    }
}

impl Query {
    fn matches_labels(&self, definition: &Definition, gene: Option<&Gene>) -> bool {
        if self.labels.is_empty() {
            return true;
        }
        let mut labels: Labels = gene.map(|gene| gene.labels.iter().cloned().collect()).unwrap_or_default();
        labels.extend(definition.wish.labels.clone());
        self.labels.iter().all(|selector| selector.matches(&labels))
    }
}

fn is<T: PartialEq>(asked: &Option<T>, found: &T) -> bool {
    asked.as_ref().is_none_or(|asked| asked == found)
}
