//! The envelope: what the DNA allows to be wished for (design: "A wish").
//!
//! A wish is taken whole or not at all. It is never clipped in silence: whoever asks for nine and
//! would get four must hear it.

use std::collections::BTreeMap;

use cyte_dna::{Gene, GeneName, Manifest, Scope};
use serde::Serialize;

use super::{
    CONSTRAINTS_MAX, Constraint, Count, Definition, Kind, Labels, Origin, PRIORITY_DEFAULT, PRIORITY_MAX,
    Wish,
};

/// What may be wished of one gene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Which gene.
    pub gene: GeneName,
    /// Its version in the DNA; `None` where the DNA gives it none, then nothing can be pinned.
    pub version: Option<String>,
    /// The range every wish must stay in; also the default wish.
    pub count: Count,
    /// `Network` leaves the choice; the others are the only one.
    pub scope: Scope,
    /// Labels that every wish for it carries and none may change.
    pub labels: Labels,
    /// Constraints that always hold; a wish may add some.
    pub constraints: Vec<Constraint>,
    /// The priority of the default wish.
    pub priority: u16,
    /// The highest priority that may be wished.
    pub priority_max: u16,
    /// Companions that always come; a wish may add genes of the DNA.
    pub companions: Vec<GeneName>,
    /// `population` leaves the choice; another kind is the only one.
    pub expressor: Kind,
}

impl Envelope {
    /// What the DNA says about `gene`.
    #[must_use]
    pub fn of(gene: &Gene) -> Self {
        let envelope = Envelope {
            gene: gene.name.clone(),
            version: (!gene.version.is_empty()).then(|| gene.version.clone()),
            count: Count { min: gene.express.min, max: gene.express.max },
            scope: gene.express.scope,
            labels: Labels::new(),
            constraints: Vec::new(),
            priority: PRIORITY_DEFAULT,
            priority_max: PRIORITY_MAX,
            companions: Vec::new(),
            expressor: Kind::population(),
        };
        if gene.express.every_host { envelope.marked_for_cells() } else { envelope }
    }

    /// Marks the gene for cell expression: one cell on every host, always.
    #[must_use]
    pub fn marked_for_cells(mut self) -> Self {
        self.expressor = Kind::cell();
        self.count = Count::exact(1);
        self.scope = Scope::Local;
        self.constraints.clear();
        self
    }

    /// The wish that holds while nobody wishes otherwise.
    #[must_use]
    pub fn default_wish(&self) -> Wish {
        Wish {
            gene: self.gene.clone(),
            version: self.version.clone(),
            count: self.count,
            scope: self.scope,
            labels: self.labels.clone(),
            constraints: self.constraints.clone(),
            priority: self.priority,
            companions: self.companions.clone(),
            expressor: self.expressor.clone(),
        }
    }
}

/// A wish that asks for more than the DNA allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", refusal(.gene, .field, .asked, .allowed))]
pub struct OutOfEnvelope {
    /// Whose wish.
    pub gene: GeneName,
    /// The field, as it is written.
    pub field: &'static str,
    /// What was asked.
    pub asked: String,
    /// What the DNA allows, in words.
    pub allowed: String,
}

/// What was asked and what is allowed, as a clause. A gene that is not there is asked for by its name.
fn refusal(gene: &GeneName, field: &str, asked: &str, allowed: &str) -> String {
    if field == "gene" {
        return format!("the DNA in force has no gene `{gene}`");
    }
    format!("the DNA does not allow {field} `{asked}` for gene `{gene}`: it allows {allowed}")
}

/// An operator's entry that a new DNA no longer allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The entry as it was.
    pub definition: Definition,
    /// What is no longer allowed about it.
    pub why: OutOfEnvelope,
}

/// What a new DNA leaves of the operators' entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readmission {
    /// Entries that still hold, untouched.
    pub kept: Vec<Definition>,
    /// Entries that are to be deleted, and why; the host says so.
    pub dropped: Vec<Dropped>,
}

/// The wishes in force, one a gene, ascending by gene.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// What is wanted.
    pub wishes: Vec<Wish>,
    /// Operators' entries that were passed over; the DNA's default holds instead.
    pub passed_over: Vec<OutOfEnvelope>,
}

/// The envelopes of all genes of a DNA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelopes(BTreeMap<GeneName, Envelope>);

impl FromIterator<Envelope> for Envelopes {
    fn from_iter<I: IntoIterator<Item = Envelope>>(all: I) -> Self {
        Envelopes(all.into_iter().map(|envelope| (envelope.gene.clone(), envelope)).collect())
    }
}

impl Envelopes {
    /// What `manifest` allows.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        manifest.genes.iter().map(Envelope::of).collect()
    }

    /// The envelope of one gene.
    #[must_use]
    pub fn get(&self, gene: &GeneName) -> Option<&Envelope> {
        self.0.get(gene)
    }

    /// The default wishes of this DNA, ascending by gene: what loading it writes.
    pub fn default_wishes(&self) -> impl Iterator<Item = Wish> {
        self.0.values().map(Envelope::default_wish)
    }

    /// The wish that holds when somebody wishes `wish`: their choice where the DNA leaves one, the
    /// DNA's word where it does not.
    ///
    /// # Errors
    /// The first field that asks for more than is allowed.
    pub fn narrow(&self, wish: &Wish) -> Result<Wish, OutOfEnvelope> {
        let refuse = |field, asked: String, allowed: String| {
            Err(OutOfEnvelope { gene: wish.gene.clone(), field, asked, allowed })
        };
        let Some(envelope) = self.0.get(&wish.gene) else {
            return refuse("gene", wish.gene.to_string(), "only genes of the DNA in force".into());
        };
        if let Some(pin) = &wish.version
            && Some(pin) != envelope.version.as_ref()
        {
            let allowed = envelope.version.clone().unwrap_or_else(|| "no version, it names none".into());
            return refuse("version", pin.clone(), allowed);
        }
        let expressor = narrow_kind(envelope, wish)?;
        let count = Count { min: wish.count.min, max: wish.count.max.or(envelope.count.max) };
        if !envelope.count.holds(&count) || count.min > count.most() {
            return refuse("count", wish.count.to_string(), envelope.count.to_string());
        }
        if envelope.scope != Scope::Network && wish.scope != envelope.scope {
            return refuse("scope", wish.scope.to_string(), envelope.scope.to_string());
        }
        if wish.priority > envelope.priority_max {
            return refuse(
                "priority",
                wish.priority.to_string(),
                format!("at most {}", envelope.priority_max),
            );
        }
        Ok(Wish {
            gene: wish.gene.clone(),
            version: envelope.version.clone(),
            count,
            scope: wish.scope,
            labels: narrow_labels(envelope, wish)?,
            constraints: narrow_constraints(envelope, wish)?,
            priority: wish.priority,
            companions: self.narrow_companions(envelope, wish)?,
            expressor,
        })
    }

    /// A companion must be a gene of the DNA, because everything that runs must be.
    fn narrow_companions(&self, envelope: &Envelope, wish: &Wish) -> Result<Vec<GeneName>, OutOfEnvelope> {
        let mut all = envelope.companions.clone();
        for gene in &wish.companions {
            if !self.0.contains_key(gene) {
                return Err(OutOfEnvelope {
                    gene: wish.gene.clone(),
                    field: "companions",
                    asked: gene.to_string(),
                    allowed: "only genes of the DNA in force".into(),
                });
            }
            if !all.contains(gene) {
                all.push(gene.clone());
            }
        }
        Ok(all)
    }

    /// What this DNA, newly in force, leaves of the operators' entries among `definitions`.
    #[must_use]
    pub fn readmit(&self, definitions: impl IntoIterator<Item = Definition>) -> Readmission {
        let mut left = Readmission::default();
        for definition in definitions {
            if definition.origin != Origin::Operator {
                continue;
            }
            match self.narrow(&definition.wish) {
                Ok(_) => left.kept.push(definition),
                Err(why) => left.dropped.push(Dropped { definition, why }),
            }
        }
        left
    }

    /// The wishes in force: the operator's entry where there is one that fits, else the DNA's
    /// default. Definitions of genes that this DNA does not have wish nothing.
    pub fn effective<'a>(&self, definitions: impl IntoIterator<Item = &'a Definition>) -> Effective {
        let mut operators: BTreeMap<&GeneName, &Wish> = BTreeMap::new();
        for definition in definitions {
            if definition.origin == Origin::Operator {
                operators.insert(&definition.wish.gene, &definition.wish);
            }
        }
        let mut effective = Effective::default();
        for (gene, envelope) in &self.0 {
            let chosen = operators.get(gene).map(|wish| self.narrow(wish));
            effective.wishes.push(match chosen {
                Some(Ok(wish)) => wish,
                Some(Err(why)) => {
                    effective.passed_over.push(why);
                    envelope.default_wish()
                }
                None => envelope.default_wish(),
            });
        }
        effective
    }
}

fn narrow_kind(envelope: &Envelope, wish: &Wish) -> Result<Kind, OutOfEnvelope> {
    let refuse = |allowed: String| {
        Err(OutOfEnvelope {
            gene: wish.gene.clone(),
            field: "expressor",
            asked: wish.expressor.to_string(),
            allowed,
        })
    };
    if envelope.expressor != Kind::population() && wish.expressor != envelope.expressor {
        return refuse(envelope.expressor.to_string());
    }
    // "On every host" and "only on hosts that" cannot both hold.
    if wish.expressor == Kind::cell() && !envelope.constraints.is_empty() {
        return refuse("only some hosts, by its constraints".into());
    }
    Ok(wish.expressor.clone())
}

fn narrow_labels(envelope: &Envelope, wish: &Wish) -> Result<Labels, OutOfEnvelope> {
    let mut labels = wish.labels.clone();
    for (key, value) in &envelope.labels {
        if let Some(other) = wish.labels.get(key)
            && other != value
        {
            return Err(OutOfEnvelope {
                gene: wish.gene.clone(),
                field: "labels",
                asked: format!("{key}={other}"),
                allowed: format!("{key}={value}"),
            });
        }
        labels.insert(key.clone(), value.clone());
    }
    Ok(labels)
}

fn narrow_constraints(envelope: &Envelope, wish: &Wish) -> Result<Vec<Constraint>, OutOfEnvelope> {
    let mut all = envelope.constraints.clone();
    all.extend(wish.constraints.iter().filter(|c| !envelope.constraints.contains(c)).cloned());
    if all.len() > 2 * CONSTRAINTS_MAX {
        return Err(OutOfEnvelope {
            gene: wish.gene.clone(),
            field: "constraints",
            asked: format!("{} of them", wish.constraints.len()),
            allowed: format!("{} in all", 2 * CONSTRAINTS_MAX),
        });
    }
    Ok(all)
}
