//! What is wanted on this host: the gene store, the envelopes of the DNA in force, and the wishes
//! that follow from both.
//!
//! The store is passive, and so is this: a wish that is taken is kept, audited and told; the bounds of
//! tissues follow it through whoever listens ([`Wishes::range`]), cells are started by the governor.

mod file;
mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cyte_dna::{Gene, GeneName, Scope};
use cyte_organism::wish::{Count, Definition, Dropped, Effective, Envelope, Envelopes, Labels, Origin, Wish};
use cyte_store::{
    Ask, AuditEntry, Book, Change, Expect, GeneStore, Head, Listener, Listening, StoreError, Watcher,
};
use serde_json::{Value, json};

use crate::codes::Code;
use crate::error::CliError;
pub use file::{FILE_MAX, WishFile};

/// Genes that the note of an audit names one by one.
const NAMED: usize = 8;
/// Changes that one question about history is answered with.
const HISTORY_SHOWN: usize = cyte_dna::limits::CONTROL_PAGE;

/// What is wanted on one host.
#[derive(Debug)]
pub struct Wishes {
    store: Arc<GeneStore>,
    envelopes: Envelopes,
    genes: BTreeMap<GeneName, Gene>,
    /// What constraints can ask of this host.
    labels: Labels,
    in_force: RwLock<Arc<InForce>>,
    /// Of genes that are counted over several hosts: what this one may have.
    ceilings: RwLock<BTreeMap<GeneName, u32>>,
    /// Held by whoever writes, so that what is in force never goes back.
    writing: Mutex<()>,
}

/// The wishes in force at one revision of the store.
#[derive(Debug, Default)]
pub struct InForce {
    /// The revision.
    pub revision: u64,
    /// One wish a gene of the DNA, ascending.
    pub wishes: Vec<Wish>,
    /// All that was wished, whether it is in force or not.
    pub book: Arc<Book>,
}

impl InForce {
    /// The wish for `gene`.
    #[must_use]
    pub fn get(&self, gene: &GeneName) -> Option<&Wish> {
        let at = self.wishes.binary_search_by(|wish| wish.gene.cmp(gene)).ok()?;
        self.wishes.get(at)
    }

    /// Who wishes it: an operator, where one does and the DNA allows it, else the DNA.
    #[must_use]
    pub fn origin(&self, gene: &GeneName) -> Origin {
        match self.book.get(gene, Origin::Operator) {
            Some(_) => Origin::Operator,
            None => Origin::Dna,
        }
    }
}

impl Wishes {
    /// The wishes on the head of a host that a DNA was just put in force on: its default wishes are
    /// written, and what operators asked for and it no longer allows is dropped and handed back.
    /// Writes nothing where all is so already.
    ///
    /// # Errors
    /// [`Code::State`] when the store cannot be read or written.
    pub fn load(head: &Arc<Head>, genes: &[Gene], at_ms: u64) -> Result<(Self, Vec<Dropped>), CliError> {
        let wishes = Self::open(head, genes)?;
        let operators = wishes.store.book().iter().cloned().collect::<Vec<_>>();
        let left = wishes.envelopes.readmit(operators);
        let gone = left.dropped.iter().map(|dropped| dropped.definition.wish.gene.clone());
        let loaded = wishes.store.load_dna(wishes.envelopes.default_wishes(), gone, at_ms);
        loaded.map_err(|error| store_error(&error))?;
        wishes.renew();
        Ok((wishes, left.dropped))
    }

    /// The wishes on the head of a host that does not run, under the DNA that it ran last. Writes
    /// nothing.
    ///
    /// # Errors
    /// As [`Wishes::load`].
    pub fn open(head: &Arc<Head>, genes: &[Gene]) -> Result<Self, CliError> {
        let store = GeneStore::open(head.clone()).map_err(|error| store_error(&error))?;
        let wishes = Self {
            store,
            envelopes: genes.iter().map(Envelope::of).collect(),
            genes: genes.iter().map(|gene| (gene.name.clone(), gene.clone())).collect(),
            labels: host_labels(),
            in_force: RwLock::default(),
            ceilings: RwLock::default(),
            writing: Mutex::default(),
        };
        wishes.renew();
        Ok(wishes)
    }

    /// What is in force now; later wishes do not touch it.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What constraints can ask of this host: `os` and `arch`.
    #[must_use]
    pub fn host_labels(&self) -> &Labels {
        &self.labels
    }

    /// How many cells of `gene` this host is to have at least and may have at most (`None` = as many
    /// as it holds), by the wish in force. None where a constraint of it excludes this host.
    #[must_use]
    pub fn range(&self, gene: &GeneName) -> (u32, Option<u32>) {
        let in_force = self.in_force();
        let Some(wish) = in_force.get(gene) else { return (0, None) };
        if wish.constraints.iter().any(|constraint| constraint.excludes(&self.labels)) {
            return (0, Some(0));
        }
        if wish.is_one_a_host() {
            return (wish.count.min.min(1), Some(wish.count.most().min(1)));
        }
        let ceilings = self.ceilings.read().unwrap_or_else(PoisonError::into_inner);
        match ceilings.get(gene).filter(|_| wish.scope == Scope::Network) {
            Some(ceiling) => (wish.count.min.min(*ceiling), Some(*ceiling)),
            None => (wish.count.min, wish.count.max),
        }
    }

    /// This host's parts of what all hosts together may have; tissues follow when they are told to.
    pub fn set_ceilings(&self, ceilings: BTreeMap<GeneName, u32>) {
        *self.ceilings.write().unwrap_or_else(PoisonError::into_inner) = ceilings;
    }

    /// What all wishes of a file would come to: of each gene what is wanted now and then, and how many
    /// of its cells, which `cells` tells where a host runs, would start and end. Changes nothing.
    ///
    /// # Errors
    /// As [`Wishes::apply`].
    pub fn plan(
        &self,
        file: &WishFile<'_>,
        cells: impl Fn(&GeneName) -> Option<u32>,
    ) -> Result<Value, CliError> {
        let in_force = self.in_force();
        let mut planned = Vec::new();
        for wish in file.wishes() {
            let then = self.envelopes.narrow(wish).map_err(|error| file.outside(&error))?;
            // Which part of what several hosts want is this one's is not for it alone to say.
            let here = cells(&wish.gene).filter(|_| then.scope != Scope::Network);
            planned.push(json!({
                "gene": wish.gene.as_str(),
                "now": in_force.get(&wish.gene).map(|wish| wish.count),
                "then": then.count,
                "cells": here,
                "starts": here.map(|cells| then.count.min.saturating_sub(cells)),
                "ends": here.map(|cells| cells.saturating_sub(then.count.most())),
            }));
        }
        Ok(json!({"v": 1, "revision": in_force.revision, "plan": planned}))
    }

    /// Takes all wishes of a file in an operator's name, or none; says what changed.
    ///
    /// # Errors
    /// [`Code::Envelope`] for the first one that the DNA does not allow, with its line;
    /// [`Code::State`] when they cannot be kept. Nothing has changed then.
    pub fn apply(
        &self,
        file: &WishFile<'_>,
        at_ms: u64,
        audit: &AuditEntry,
    ) -> Result<Vec<Change>, CliError> {
        let mut asks = Vec::new();
        for wish in file.wishes() {
            self.envelopes.narrow(wish).map_err(|error| file.outside(&error))?;
            let (origin, expect) = (Origin::Operator, Expect::Anything);
            asks.push(Ask::Put { wish: wish.clone(), origin, expect });
        }
        self.write(&asks, at_ms, audit)
    }

    /// Forgets what operators wish for `gene`, so that the DNA's default holds again.
    ///
    /// # Errors
    /// [`Code::Wish`] when nobody wishes anything; [`Code::State`] when it cannot be kept.
    pub fn delete(&self, gene: &str, at_ms: u64, audit: &AuditEntry) -> Result<Vec<Change>, CliError> {
        let what = format!("cannot delete the wish for `{}`", gene.escape_debug());
        let name = GeneName::new(gene)
            .map_err(|error| CliError::new(Code::Wish, what.clone(), error.to_string()).help("cyte get"))?;
        let ask = Ask::Delete { gene: name, origin: Origin::Operator, expect: Expect::Anything };
        let changes = self.write(&[ask], at_ms, audit)?;
        if changes.is_empty() {
            let why = "no operator wishes anything for it; what the DNA wishes stays with the DNA";
            return Err(CliError::new(Code::Wish, what, why).help("cyte search origin=operator"));
        }
        Ok(changes)
    }

    /// The wishes that differ from those in force in their counts alone: as `counts` say, or as the DNA
    /// says where they say nothing.
    ///
    /// # Errors
    /// [`Code::Unknown`] for a gene that the DNA does not have, [`Code::Envelope`] for a count that it
    /// does not allow.
    pub fn plan_counts<'c>(
        &self,
        counts: impl Iterator<Item = (&'c GeneName, Option<Count>)>,
    ) -> Result<Vec<Wish>, CliError> {
        let in_force = self.in_force();
        let mut wishes = Vec::new();
        for (gene, count) in counts {
            let (Some(wish), Some(envelope)) = (in_force.get(gene), self.envelopes.get(gene)) else {
                return Err(unknown(gene.as_str()));
            };
            let wish = Wish { count: count.unwrap_or(envelope.count), ..wish.clone() };
            self.envelopes.narrow(&wish).map_err(|error| {
                let what = format!("cannot set `{gene}.cells`");
                CliError::new(Code::Envelope, what, error.to_string()).help(format!("cyte get {gene}"))
            })?;
            wishes.push(wish);
        }
        Ok(wishes)
    }

    /// Wants these, in an operator's name; what is as the DNA says is an operator's wish no longer.
    ///
    /// # Errors
    /// [`Code::State`] when they cannot be kept. Nothing has changed then.
    pub fn set_counts(
        &self,
        wishes: &[Wish],
        at_ms: u64,
        audit: &AuditEntry,
    ) -> Result<Vec<Change>, CliError> {
        let (origin, expect) = (Origin::Operator, Expect::Anything);
        let ask = |wish: &Wish| {
            let default = self.envelopes.get(&wish.gene).map(Envelope::default_wish);
            if default.as_ref() == Some(wish) {
                return Ask::Delete { gene: wish.gene.clone(), origin, expect };
            }
            Ask::Put { wish: wish.clone(), origin, expect }
        };
        self.write(&wishes.iter().map(ask).collect::<Vec<_>>(), at_ms, audit)
    }

    fn write(&self, asks: &[Ask], at_ms: u64, audit: &AuditEntry) -> Result<Vec<Change>, CliError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.store.write(asks, at_ms, Some(audit)).map_err(|error| store_error(&error));
        // After a failure too: the store may have found out what the file holds.
        self.renew();
        written
    }

    fn renew(&self) {
        let book = self.store.book();
        let Effective { wishes, .. } = self.envelopes.effective(book.iter());
        let in_force = InForce { revision: book.revision, wishes, book };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
    }

    /// What the words of `cyte search` find among all definitions, the DNA's and the operators'.
    ///
    /// # Errors
    /// [`Code::Usage`] for a word that means nothing.
    pub fn search(&self, words: &[String]) -> Result<Value, CliError> {
        let query = words::query(words)?;
        let found = self.store.search(&query, |gene| self.genes.get(gene));
        let found: Vec<Value> = found.iter().map(definition_value).collect();
        Ok(json!({"v": 1, "revision": self.store.revision(), "definitions": found}))
    }

    /// The newest changes, of one gene or of all, newest first.
    ///
    /// # Errors
    /// [`Code::State`] when the history cannot be read; [`Code::Unknown`] for what is no gene's name.
    pub fn history(&self, gene: Option<&str>) -> Result<Value, CliError> {
        let gene = gene.map(|gene| GeneName::new(gene).map_err(|_| unknown(gene))).transpose()?;
        let found = self.store.history(gene.as_ref(), HISTORY_SHOWN).map_err(|error| store_error(&error))?;
        Ok(json!({"v": 1, "revision": self.store.revision(), "changes": found}))
    }

    /// The name of a gene of the DNA in force.
    ///
    /// # Errors
    /// [`Code::Unknown`] where it has no such gene.
    pub fn known(&self, gene: &str) -> Result<GeneName, CliError> {
        let name = GeneName::new(gene).ok().filter(|name| self.genes.contains_key(name));
        name.ok_or_else(|| unknown(gene))
    }

    /// All definitions, the DNA's and the operators', and the revision that they are.
    #[must_use]
    pub fn definitions(&self) -> (u64, Vec<Definition>) {
        let book = self.store.book();
        (book.revision, book.iter().cloned().collect())
    }

    /// Follows what is wanted from revision `after` on.
    #[must_use]
    pub fn watch(&self, after: u64) -> Watcher {
        self.store.watch(after)
    }

    /// Calls `listener` with the newest revision after every change, until the answer is dropped.
    ///
    /// # Errors
    /// [`Code::Wish`] when too many listen already.
    pub fn listen(&self, listener: Listener) -> Result<Listening, CliError> {
        self.store.listen(listener).map_err(|error| store_error(&error))
    }

    /// What is in force, for every gene of the DNA.
    #[must_use]
    pub fn all(&self) -> Value {
        let in_force = self.in_force();
        let wishes: Vec<Value> = in_force.wishes.iter().map(|wish| self.value(&in_force, wish)).collect();
        json!({"v": 1, "revision": in_force.revision, "wishes": wishes})
    }

    /// What is in force for one gene.
    ///
    /// # Errors
    /// [`Code::Unknown`] where the DNA has no such gene.
    pub fn get(&self, gene: &str) -> Result<Value, CliError> {
        let in_force = self.in_force();
        let wish = GeneName::new(gene).ok().and_then(|gene| in_force.get(&gene).cloned());
        let wish = wish.ok_or_else(|| unknown(gene))?;
        let mut value = self.value(&in_force, &wish);
        if let Some(object) = value.as_object_mut() {
            object.insert("v".into(), 1.into());
        }
        Ok(value)
    }

    fn value(&self, in_force: &InForce, wish: &Wish) -> Value {
        let mut value = json!(wish);
        let origin = in_force.origin(&wish.gene);
        let written = in_force.book.get(&wish.gene, origin);
        if let Some(object) = value.as_object_mut() {
            object.insert("origin".into(), json!(origin));
            object.insert("revision".into(), json!(written.map(|definition| definition.revision)));
            object.insert("at_ms".into(), json!(written.map(|definition| definition.at_ms)));
            if let Some(envelope) = self.envelopes.get(&wish.gene) {
                let allowed = json!({
                    "version": envelope.version,
                    "count": envelope.count,
                    "scope": envelope.scope,
                    "priority_max": envelope.priority_max,
                    "expressor": envelope.expressor,
                });
                object.insert("allowed".into(), allowed);
            }
        }
        value
    }
}

/// What this host can be asked for by constraints.
fn host_labels() -> Labels {
    [("os", std::env::consts::OS), ("arch", std::env::consts::ARCH)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// One definition as JSON.
#[must_use]
pub fn definition_value(definition: &Definition) -> Value {
    let mut value = json!(definition.wish);
    if let Some(object) = value.as_object_mut() {
        object.insert("origin".into(), json!(definition.origin));
        object.insert("revision".into(), definition.revision.into());
        object.insert("at_ms".into(), definition.at_ms.into());
    }
    value
}

/// What an audit says of these changes: the first few genes by name.
#[must_use]
pub fn subject<'w>(wishes: impl Iterator<Item = &'w Wish>) -> String {
    let all: Vec<String> = wishes.map(|wish| format!("{} {}", wish.gene, wish.count)).collect();
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What a drop says to people.
#[must_use]
pub fn drop_text(dropped: &Dropped) -> String {
    format!("the wish for `{}` is gone: {}", dropped.why.gene, dropped.why)
}

fn unknown(gene: &str) -> CliError {
    let what = format!("cannot find `{}`", gene.escape_debug());
    CliError::new(Code::Unknown, what, "the DNA in force has no gene of that name").help("cyte get")
}

fn store_error(error: &StoreError) -> CliError {
    let code = match error {
        StoreError::Wish(_) | StoreError::TooLarge { .. } | StoreError::TooMany { .. } => Code::Wish,
        _ => Code::State,
    };
    CliError::new(code, "cannot keep or read what is wanted", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateFolder;
    use crate::state::tests::scratch;
    use cyte_dna::{Blob, Expression, Role, Scope};

    fn genes(max: u32) -> [Gene; 2] {
        ["back", "front"].map(|name| {
            let mut gene = Gene::new(name.parse().unwrap(), Role::Drone, Blob::of(name.as_bytes()));
            gene.express = Expression { min: 0, max: Some(max), scope: Scope::Local, every_host: false };
            gene
        })
    }

    fn audit() -> AuditEntry {
        AuditEntry { at_s: 1, uid: 0, verb: "wish.apply".into(), subject: "x".into() }
    }

    fn apply(wishes: &Wishes, text: &str) -> Result<Vec<Change>, CliError> {
        wishes.apply(&WishFile::parse("w.toml", text)?, 7, &audit())
    }

    fn front() -> GeneName {
        "front".parse().unwrap()
    }

    #[test]
    fn a_start_where_nothing_changed_writes_nothing() {
        let (path, _) = scratch("wishes-idle");
        let state = StateFolder::open(&path).unwrap();
        let (wishes, _) = Wishes::load(state.head(), &genes(8), 1).unwrap();
        let revision = wishes.in_force().revision;
        drop(wishes);
        let before = std::fs::metadata(path.join("head.redb")).unwrap().modified().unwrap();
        let (wishes, dropped) = Wishes::load(state.head(), &genes(8), 2).unwrap();
        assert_eq!((wishes.in_force().revision, dropped.len()), (revision, 0));
        let after = std::fs::metadata(path.join("head.redb")).unwrap().modified().unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        let (path, _) = scratch("wishes-whole");
        let state = StateFolder::open(&path).unwrap();
        let (wishes, _) = Wishes::load(state.head(), &genes(8), 1).unwrap();
        let error = apply(&wishes, "[gene.back]\ncount = 2\n[gene.front]\ncount = 9\n").unwrap_err();
        assert_eq!((error.code, error.exit), (Code::Envelope, 4));
        assert!(error.why.contains("w.toml:4:") && error.why.contains("allows 0..8"), "{}", error.why);
        assert_eq!(wishes.range(&"back".parse().unwrap()), (0, Some(8)));
        let changes = apply(&wishes, "[gene.back]\ncount = 2\n[gene.front]\ncount = 3\n").unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(wishes.range(&front()), (3, Some(3)));
        assert_eq!(apply(&wishes, "[gene.front]\ncount = 3\n").unwrap(), [], "it is so already");
        assert_eq!(wishes.delete("front", 8, &audit()).unwrap().len(), 1);
        assert_eq!(wishes.range(&front()), (0, Some(8)));
        assert_eq!(wishes.delete("front", 9, &audit()).unwrap_err().code, Code::Wish);
        assert_eq!(state.head().audit_trail(9).unwrap().len(), 2);
    }

    #[test]
    fn a_dna_that_allows_less_drops_the_wish_and_says_why() {
        let (path, _) = scratch("wishes-drop");
        let state = StateFolder::open(&path).unwrap();
        let (wishes, _) = Wishes::load(state.head(), &genes(8), 1).unwrap();
        apply(&wishes, "[gene.back]\ncount = 2\n[gene.front]\ncount = 6\n").unwrap();
        drop(wishes);
        let (wishes, dropped) = Wishes::load(state.head(), &genes(4), 2).unwrap();
        assert_eq!(dropped.len(), 1);
        assert!(drop_text(&dropped[0]).contains("count `6` for gene `front`: it allows 0..4"));
        assert_eq!(wishes.range(&front()), (0, Some(4)));
        assert_eq!(wishes.range(&"back".parse().unwrap()), (2, Some(2)));
        drop(wishes);
        let (_, dropped) = Wishes::load(state.head(), &genes(8), 3).unwrap();
        assert!(dropped.is_empty(), "what is gone does not come back");
    }

    #[test]
    fn constraints_that_this_host_does_not_meet_leave_it_without_cells() {
        let (path, _) = scratch("wishes-where");
        let state = StateFolder::open(&path).unwrap();
        let (wishes, _) = Wishes::load(state.head(), &genes(8), 1).unwrap();
        apply(&wishes, "[gene.front]\ncount = \"1..8\"\nconstraints = [\"zone=nowhere\"]\n").unwrap();
        assert_eq!(wishes.range(&front()), (0, Some(0)));
        apply(&wishes, "[gene.front]\ncount = \"2..8\"\nconstraints = [\"not-with:front\"]\n").unwrap();
        assert_eq!(wishes.range(&front()), (1, Some(1)));
        let os = std::env::consts::OS;
        let text = format!("[gene.front]\ncount = \"2..8\"\nconstraints = [\"os={os}\"]\n");
        apply(&wishes, &text).unwrap();
        assert_eq!(wishes.range(&front()), (2, Some(8)));
    }

    #[test]
    fn searching_looks_at_every_field() {
        let (path, _) = scratch("wishes-search");
        let state = StateFolder::open(&path).unwrap();
        let mut genes = genes(8);
        genes[1].labels = vec![("tier".into(), "web".into())];
        let (wishes, _) = Wishes::load(state.head(), &genes, 1).unwrap();
        apply(&wishes, "[gene.front]\ncount = 3\nlabels = { team = \"a\" }\npriority = 900\n").unwrap();
        let found = |words: &str| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            wishes.search(&words).unwrap()["definitions"].as_array().unwrap().len()
        };
        assert_eq!((found(""), found("front"), found("origin=operator")), (3, 2, 1));
        assert_eq!((found("label:team=a"), found("label:tier=web"), found("priority=900")), (1, 2, 1));
        assert_eq!((found("count=5"), found("role=task"), found("front origin=dna")), (2, 0, 1));
        let history = wishes.history(Some("front")).unwrap();
        assert_eq!(history["changes"].as_array().unwrap().len(), 2);
    }
}
