//! What is wanted: one definition a gene and origin (seed 000, "Gene Store").
//!
//! DNA is the envelope (code, grants, upper bounds, default wishes); an operator's entry may only
//! choose or narrow inside it ([`Envelopes::narrow`]). A wish is plain data with a bound on every
//! part; it starts nothing by itself, that is the expressor's work ([`crate::expressor`]).
//!
//! Never here: a clock, storage, or what runs at the moment.

mod envelope;
mod label;
mod query;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use cyte_dna::{GeneName, Scope, limits};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use envelope::{Dropped, Effective, Envelope, Envelopes, OutOfEnvelope, Readmission};
pub use label::{Constraint, LabelError, Labels, Selector, check_labels};
pub use query::Query;

/// Labels one wish or host may have; each is looked at by every query.
pub const LABELS_MAX: usize = 32;
/// Conditions a host must meet that one wish may name.
pub const CONSTRAINTS_MAX: usize = 16;
/// Genes that one wish may bring with each of its cells.
pub const COMPANIONS_MAX: usize = 8;
/// The highest priority; the lowest is 0.
pub const PRIORITY_MAX: u16 = 1_000;
/// The priority of a wish that names none.
pub const PRIORITY_DEFAULT: u16 = 500;

/// What somebody wants of one gene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Which gene.
    pub gene: GeneName,
    /// Only this version (the gene's label in the DNA, at most 64 bytes); `None` = the DNA's.
    #[serde(default)]
    pub version: Option<String>,
    /// How many cells.
    #[serde(default)]
    pub count: Count,
    /// Where they are counted and may live.
    #[serde(default)]
    pub scope: Scope,
    /// Free words for searching, at most [`LABELS_MAX`].
    #[serde(default)]
    pub labels: Labels,
    /// What a host must meet, at most [`CONSTRAINTS_MAX`]; all of them hold at once.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Higher is expressed first, 0 to [`PRIORITY_MAX`].
    #[serde(default = "default_priority")]
    pub priority: u16,
    /// Genes of which one cell comes with each cell of this one, on the same host; at most
    /// [`COMPANIONS_MAX`].
    #[serde(default)]
    pub companions: Vec<GeneName>,
    /// Which expressor acts on it.
    #[serde(default)]
    pub expressor: Kind,
}

const fn default_priority() -> u16 {
    PRIORITY_DEFAULT
}

/// Who wrote a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Loading the DNA: the default wish.
    Dna,
    /// A person or a tool at the control socket; overrides the DNA's inside its bounds.
    Operator,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Dna => "dna",
            Origin::Operator => "operator",
        })
    }
}

/// A wish as the gene store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What is wanted.
    pub wish: Wish,
    /// Who wrote it.
    pub origin: Origin,
    /// The store's revision that wrote it; rises with every change of the store.
    pub revision: u64,
    /// When it was written, in milliseconds since 1970 as the host then believed.
    pub at_ms: u64,
}

/// A wish that breaks a rule of its own, whatever the DNA says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the wish for gene `{gene}` has a bad {field}: {reason}")]
pub struct WishError {
    /// Whose wish.
    pub gene: GeneName,
    /// The field, as it is written.
    pub field: &'static str,
    /// Why, as a clause.
    pub reason: String,
}

impl Wish {
    /// A wish for nothing but the gene's presence: any count, local, no constraints.
    #[must_use]
    pub fn new(gene: GeneName) -> Self {
        Wish {
            gene,
            version: None,
            count: Count::default(),
            scope: Scope::default(),
            labels: Labels::new(),
            constraints: Vec::new(),
            priority: PRIORITY_DEFAULT,
            companions: Vec::new(),
            expressor: Kind::default(),
        }
    }

    /// Whether it asks for at most one cell a host.
    #[must_use]
    pub fn is_one_a_host(&self) -> bool {
        self.constraints.contains(&Constraint::NotWith(self.gene.clone()))
    }

    /// Every bound and every rule that needs nothing but the wish.
    ///
    /// # Errors
    /// The first field that breaks one, with the reason.
    pub fn check(&self) -> Result<(), WishError> {
        let bad = |field, reason: String| Err(WishError { gene: self.gene.clone(), field, reason });
        if self.version.as_ref().is_some_and(|v| v.is_empty() || v.len() > limits::LABEL_MAX_BYTES) {
            return bad("version", "it must have 1 to 64 bytes".into());
        }
        if let Err(reason) = self.count.check() {
            return bad("count", reason);
        }
        if let Err(error) = check_labels(&self.labels) {
            return bad("labels", error.to_string());
        }
        if self.constraints.len() > CONSTRAINTS_MAX {
            return bad("constraints", format!("there are more than {CONSTRAINTS_MAX}"));
        }
        if self.priority > PRIORITY_MAX {
            return bad("priority", format!("it is above {PRIORITY_MAX}"));
        }
        if let Err(reason) = self.check_companions() {
            return bad("companions", reason);
        }
        self.check_cell_kind().or_else(|(field, reason)| bad(field, reason.into()))
    }

    fn check_companions(&self) -> Result<(), String> {
        if self.companions.len() > COMPANIONS_MAX {
            return Err(format!("there are more than {COMPANIONS_MAX}"));
        }
        let mut sorted: Vec<_> = self.companions.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err("a gene stands there twice".into());
        }
        if self.companions.contains(&self.gene) {
            return Err("a gene cannot come with itself".into());
        }
        Ok(())
    }

    /// "A single instance of any gene marked" on every host, always: nothing else may be asked.
    fn check_cell_kind(&self) -> Result<(), (&'static str, &'static str)> {
        if self.expressor != Kind::cell() {
            return Ok(());
        }
        if self.count != Count::exact(1) {
            return Err(("count", "expressor `cell` means exactly 1 on every host"));
        }
        if self.scope != Scope::Local {
            return Err(("scope", "expressor `cell` means every host for itself, scope `local`"));
        }
        if !self.constraints.is_empty() {
            return Err(("constraints", "expressor `cell` means every host, whatever it is"));
        }
        Ok(())
    }
}

/// How many cells: exactly `n`, or at least `min` and at most `max`.
///
/// As text `3`, `2..8` (both ends count) or `2..` (as many as the DNA and the host allow).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Count {
    /// Cells that are always there.
    pub min: u32,
    /// Cells at most; `None` = what the envelope and the host allow.
    pub max: Option<u32>,
}

impl Count {
    /// Exactly `n`.
    #[must_use]
    pub const fn exact(n: u32) -> Self {
        Count { min: n, max: Some(n) }
    }

    /// From `min` to `max`, both included.
    #[must_use]
    pub const fn range(min: u32, max: u32) -> Self {
        Count { min, max: Some(max) }
    }

    /// The upper end as a number.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.max.unwrap_or(limits::CELLS_PER_GENE_MAX)
    }

    /// Whether every number of `inner` is one of these.
    #[must_use]
    pub fn holds(&self, inner: &Count) -> bool {
        inner.min >= self.min && inner.most() <= self.most()
    }

    fn check(self) -> Result<(), String> {
        if self.max.is_some_and(|max| self.min > max) {
            return Err(format!("{self} is empty, its lower end is above its upper end"));
        }
        if self.min.max(self.max.unwrap_or(0)) > limits::CELLS_PER_GENE_MAX {
            return Err(format!("{self} is above {}", limits::CELLS_PER_GENE_MAX));
        }
        Ok(())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) if max == self.min => write!(f, "{max}"),
            Some(max) => write!(f, "{}..{max}", self.min),
            None => write!(f, "{}..", self.min),
        }
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.parse::<u32>().map_err(|_| format!("`{}` is not a count: write 3, 2..8 or 2..", shown(text)))
        };
        match text.split_once("..") {
            None => number(text).map(Count::exact),
            Some((min, "")) => Ok(Count { min: number(min)?, max: None }),
            Some((min, max)) => Ok(Count::range(number(min)?, number(max)?)),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match (to.is_human_readable(), self.max) {
            (false, max) => (self.min, max).serialize(to),
            (true, Some(max)) if max == self.min => to.serialize_u32(max),
            (true, _) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Human;
        impl de::Visitor<'_> for Human {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count: 3, \"2..8\" or \"2..\"")
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Count, E> {
                u32::try_from(n).map(Count::exact).map_err(|_| E::custom("the count is too large"))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Count, E> {
                u32::try_from(n).map(Count::exact).map_err(|_| E::custom("the count is out of range"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
                text.parse().map_err(E::custom)
            }
        }
        if from.is_human_readable() {
            return from.deserialize_any(Human);
        }
        <(u32, Option<u32>)>::deserialize(from).map(|(min, max)| Count { min, max })
    }
}

/// Which expressor acts on a wish. Open, because expressors are plugged in by kind (seed 000,
/// "This responsibility will probably be spread"); written like a gene's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// A number of cells inside a range: what a wish gets that names no kind.
    #[must_use]
    pub const fn population() -> Self {
        Kind(Cow::Borrowed("population"))
    }

    /// One cell on every host, always: the cell gene expressor.
    #[must_use]
    pub const fn cell() -> Self {
        Kind(Cow::Borrowed("cell"))
    }

    /// The kind as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Kind {
    fn default() -> Self {
        Kind::population()
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match GeneName::new(text) {
            Ok(name) => Ok(Kind(Cow::Owned(name.as_str().to_owned()))),
            Err(error) => Err(format!("`{}` is not a kind of expressor: {}", shown(text), error.reason())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

label::serde_as_text!(Kind);

/// Foreign text for an error: shortened, control characters escaped.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
pub(crate) mod tests;
