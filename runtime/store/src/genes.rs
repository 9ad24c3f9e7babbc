//! The gene store: what is wanted, durable and watched (seed 000: "a simple data service, it has no
//! active processes of its own").
//!
//! It lives in `head.redb`, beside what the host trusts. A write is committed to the disk first and
//! told to watchers then. Reading never touches the disk: the definitions are kept in memory, a few
//! hundred bytes each.
//!
//! Whether a wish is allowed is not asked here; see `cyte_organism::wish::Envelopes`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cyte_dna::{Gene, GeneName, limits};
use cyte_organism::wish::{Definition, Origin, Query, Wish};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::bell::{Bell, Listener, Listening};
use crate::disk::{cap, decode_as, encode_as, open_if_there};
use crate::head::append_audit;
use crate::watch::Watcher;
use crate::{AuditEntry, Head, StoreError};

/// Definitions, both origins together.
pub const DEFINITIONS_MAX: usize = 2 * limits::GENES;
/// One definition as it is stored, in bytes.
pub const DEFINITION_BYTES: usize = limits::WISH_BYTES;
/// Changes remembered; the oldest are forgotten first. A watcher that is further behind resyncs.
pub const HISTORY_KEPT: u64 = limits::WISH_HISTORY;

const GENES: TableDefinition<(&str, u8), &[u8]> = TableDefinition::new("genes");
const HISTORY: TableDefinition<u64, &[u8]> = TableDefinition::new("genes_history");
/// One row: the newest revision. A table of its own, so that an old one is not read for it.
const REVISION: TableDefinition<u8, u64> = TableDefinition::new("genes_revision");
/// The format of rows of [`GENES`] and [`HISTORY`].
const FORMAT: u8 = 1;

/// What a writer knows of the definition it writes: the write is refused where it is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing; whatever is there is replaced.
    Anything,
    /// That there is none.
    Absent,
    /// That it is of this revision.
    Revision(u64),
}

/// One thing to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Want this.
    Put {
        /// What.
        wish: Wish,
        /// In whose name.
        origin: Origin,
        /// What the writer knows.
        expect: Expect,
    },
    /// Want it no longer.
    Delete {
        /// Which gene.
        gene: GeneName,
        /// In whose name.
        origin: Origin,
        /// What the writer knows.
        expect: Expect,
    },
}

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Rises by one with every change.
    pub revision: u64,
    /// When, in milliseconds since 1970 as the host then believed.
    pub at_ms: u64,
    /// Whose definition.
    pub gene: GeneName,
    /// Which of its two.
    pub origin: Origin,
    /// What is wanted since; `None` = it was deleted.
    pub wish: Option<Wish>,
}

/// All definitions at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// The newest change that is in it.
    pub revision: u64,
    definitions: BTreeMap<(GeneName, Origin), Definition>,
    /// Rows that do not decode, by gene; written by a later build, or damaged.
    pub unreadable: Vec<String>,
}

impl Book {
    /// All definitions, by gene, the DNA's before the operator's.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values()
    }

    /// One definition.
    #[must_use]
    pub fn get(&self, gene: &GeneName, origin: Origin) -> Option<&Definition> {
        self.definitions.get(&(gene.clone(), origin))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.definitions.len()
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }

    fn take(&mut self, change: &Change) {
        let key = (change.gene.clone(), change.origin);
        self.revision = change.revision;
        match &change.wish {
            None => {
                self.definitions.remove(&key);
            }
            Some(wish) => {
                let (revision, at_ms) = (change.revision, change.at_ms);
                let definition = Definition { wish: wish.clone(), origin: change.origin, revision, at_ms };
                self.definitions.insert(key, definition);
            }
        }
    }
}

/// The gene store of one host.
pub struct GeneStore {
    head: Arc<Head>,
    book: RwLock<Arc<Book>>,
    /// Whether the file may hold something else than the book: a write failed and may yet be there.
    /// Held by whoever writes.
    is_doubtful: Mutex<bool>,
    bell: Arc<Bell>,
}

impl std::fmt::Debug for GeneStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneStore").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl GeneStore {
    /// Reads the definitions of `head`. Writes nothing. Rows that do not decode are left where they
    /// are and named in [`Book::unreadable`].
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub fn open(head: Arc<Head>) -> Result<Arc<Self>, StoreError> {
        let book = head.reading(|read| read_book(&read))?;
        let bell = Arc::new(Bell::default());
        bell.ring(book.revision);
        Ok(Arc::new(Self { head, book: RwLock::new(Arc::new(book)), is_doubtful: Mutex::new(false), bell }))
    }

    /// All definitions as they are now; later changes do not touch it.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.book().revision
    }

    /// One definition.
    #[must_use]
    pub fn get(&self, gene: &GeneName, origin: Origin) -> Option<Definition> {
        self.book().get(gene, origin).cloned()
    }

    /// The definitions that `query` means, by gene. `genes` says what the DNA in force knows about
    /// a gene, for queries by role, route or version.
    pub fn search<'a>(
        &self,
        query: &Query,
        genes: impl Fn(&GeneName) -> Option<&'a Gene>,
    ) -> Vec<Definition> {
        let book = self.book();
        let found = book.iter().filter(|definition| query.matches(definition, genes(&definition.wish.gene)));
        found.cloned().collect()
    }

    /// Wants this; says what was changed, `None` where it was wanted just so already.
    ///
    /// # Errors
    /// As [`GeneStore::write`].
    pub fn put(
        &self,
        wish: Wish,
        origin: Origin,
        expect: Expect,
        at_ms: u64,
        audit: Option<&AuditEntry>,
    ) -> Result<Option<Change>, StoreError> {
        self.write(&[Ask::Put { wish, origin, expect }], at_ms, audit).map(|mut made| made.pop())
    }

    /// Wants it no longer; says what was changed, `None` where it was not wanted.
    ///
    /// # Errors
    /// As [`GeneStore::write`].
    pub fn delete(
        &self,
        gene: &GeneName,
        origin: Origin,
        expect: Expect,
        at_ms: u64,
        audit: Option<&AuditEntry>,
    ) -> Result<Option<Change>, StoreError> {
        let ask = Ask::Delete { gene: gene.clone(), origin, expect };
        self.write(&[ask], at_ms, audit).map(|mut made| made.pop())
    }

    /// Writes the default wishes of a DNA that is now in force: replaces those of the DNA before, and
    /// deletes the operators' entries in `dropped`, all or nothing. Writes nothing where all is so
    /// already, so that a start costs no write.
    ///
    /// # Errors
    /// As [`GeneStore::write`].
    pub fn load_dna(
        &self,
        wishes: impl IntoIterator<Item = Wish>,
        dropped: impl IntoIterator<Item = GeneName>,
        at_ms: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let expect = Expect::Anything;
        let mut gone: Vec<GeneName> = Vec::new();
        let mut asks: Vec<Ask> = Vec::new();
        let wishes: BTreeMap<GeneName, Wish> = wishes.into_iter().map(|w| (w.gene.clone(), w)).collect();
        for definition in self.book().iter().filter(|definition| definition.origin == Origin::Dna) {
            if !wishes.contains_key(&definition.wish.gene) {
                gone.push(definition.wish.gene.clone());
            }
        }
        asks.extend(gone.into_iter().map(|gene| Ask::Delete { gene, origin: Origin::Dna, expect }));
        asks.extend(dropped.into_iter().map(|gene| Ask::Delete { gene, origin: Origin::Operator, expect }));
        asks.extend(wishes.into_values().map(|wish| Ask::Put { wish, origin: Origin::Dna, expect }));
        self.write(&asks, at_ms, None)
    }

    /// Makes all changes or none, durably, then tells the watchers. What is so already is not
    /// changed; where nothing is to be changed nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Wish`], [`StoreError::TooLarge`], [`StoreError::TooMany`] and
    /// [`StoreError::Conflict`]: nothing was written. [`StoreError::Full`] and [`StoreError::Io`]:
    /// the change counts as not made; should it be on the disk after all, the store finds it there as
    /// soon as it can read again, and tells.
    pub fn write(
        &self,
        asks: &[Ask],
        at_ms: u64,
        audit: Option<&AuditEntry>,
    ) -> Result<Vec<Change>, StoreError> {
        let mut is_doubtful = self.is_doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        self.resolve(&mut is_doubtful)?;
        let mut book = Book::clone(&self.book());
        let mut changes = Vec::new();
        for ask in asks {
            changes.extend(judge(&mut book, ask, at_ms)?);
        }
        if changes.is_empty() {
            return Ok(changes);
        }
        cap_count(book.len())?;
        let rows = changes.iter().map(Rows::of).collect::<Result<Vec<_>, _>>()?;
        if let Err(error) = self.head.writing(|db| commit(db.begin_write()?, &rows, book.revision, audit)) {
            *is_doubtful = true;
            // Often the file can be read at once; else the next write tries.
            let _ = self.resolve(&mut is_doubtful);
            return Err(error);
        }
        self.publish(book);
        Ok(changes)
    }

    /// After a write that failed: reads again what the file holds.
    fn resolve(&self, is_doubtful: &mut MutexGuard<'_, bool>) -> Result<(), StoreError> {
        if **is_doubtful {
            let book = self.head.reading(|read| read_book(&read))?;
            **is_doubtful = false;
            self.publish(book);
        }
        Ok(())
    }

    fn publish(&self, book: Book) {
        let revision = book.revision;
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        self.bell.ring(revision);
    }

    /// The newest `limit` changes, of one gene or of all, newest first.
    ///
    /// # Errors
    /// Fails when the file cannot be read or a row does not decode.
    pub fn history(&self, gene: Option<&GeneName>, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.head.reading(|read| {
            let Some(table) = open_if_there(&read, HISTORY)? else { return Ok(Vec::new()) };
            let mut found = Vec::new();
            for row in table.iter()?.rev() {
                if found.len() >= limit {
                    break;
                }
                let change: Change = decode_as(FORMAT, "genes_history", row?.1.value())?;
                if gene.is_none_or(|gene| *gene == change.gene) {
                    found.push(change);
                }
            }
            Ok(found)
        })
    }

    /// The changes after revision `after`, oldest first, at most `limit`. `None` where some of them
    /// are forgotten, or where `after` is of another store: then the whole book is to be read.
    ///
    /// # Errors
    /// Fails when the file cannot be read or a row does not decode.
    pub fn changes(&self, after: u64, limit: usize) -> Result<Option<Vec<Change>>, StoreError> {
        if after == self.revision() {
            return Ok(Some(Vec::new()));
        }
        self.head.reading(|read| {
            let Some(table) = open_if_there(&read, HISTORY)? else { return Ok(None) };
            let first = table.first()?.map(|(revision, _)| revision.value());
            let last = table.last()?.map(|(revision, _)| revision.value());
            if first.is_none_or(|first| first > after.saturating_add(1)) || last < Some(after) {
                return Ok(None);
            }
            let mut found = Vec::new();
            for row in table.range(after.saturating_add(1)..)?.take(limit) {
                found.push(decode_as(FORMAT, "genes_history", row?.1.value())?);
            }
            Ok(Some(found))
        })
    }

    /// Follows the store from revision `after` on; 0 from the beginning.
    #[must_use]
    pub fn watch(self: &Arc<Self>, after: u64) -> Watcher {
        Watcher::new(Arc::clone(self), after)
    }

    /// Calls `listener` with the newest revision after every change, until the answer is dropped.
    /// A task wakes itself so, and then asks a [`Watcher`].
    ///
    /// # Errors
    /// [`StoreError::TooMany`].
    pub fn listen(&self, listener: Listener) -> Result<Listening, StoreError> {
        self.bell.listen(listener)
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

fn cap_count(definitions: usize) -> Result<(), StoreError> {
    if definitions > DEFINITIONS_MAX {
        return Err(StoreError::TooMany { what: "definitions", cap: DEFINITIONS_MAX });
    }
    Ok(())
}

/// Applies one ask to `book`; `None` where all is so already.
fn judge(book: &mut Book, ask: &Ask, at_ms: u64) -> Result<Option<Change>, StoreError> {
    let (gene, origin, expect, wish) = match ask {
        Ask::Put { wish, origin, expect } => {
            wish.check()?;
            (&wish.gene, *origin, *expect, Some(wish))
        }
        Ask::Delete { gene, origin, expect } => (gene, *origin, *expect, None),
    };
    let there = book.get(gene, origin);
    let found = there.map_or(0, |definition| definition.revision);
    let expected = match expect {
        Expect::Anything => found,
        Expect::Absent => 0,
        Expect::Revision(revision) => revision,
    };
    if expected != found {
        return Err(StoreError::Conflict { gene: gene.clone(), origin, expected, found });
    }
    if there.map(|definition| &definition.wish) == wish {
        return Ok(None);
    }
    let revision = book.revision.saturating_add(1);
    let change = Change { revision, at_ms, gene: gene.clone(), origin, wish: wish.cloned() };
    book.take(&change);
    Ok(Some(change))
}

/// What one change writes.
struct Rows<'a> {
    change: &'a Change,
    definition: Option<Vec<u8>>,
    history: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn of(change: &'a Change) -> Result<Self, StoreError> {
        let history = encode_as(FORMAT, "genes_history", change)?;
        cap("a definition", history.len(), DEFINITION_BYTES)?;
        let stored = change.wish.as_ref().map(|wish| (wish, change.revision, change.at_ms));
        let definition = stored.map(|stored| encode_as(FORMAT, "genes", &stored)).transpose()?;
        Ok(Self { change, definition, history })
    }
}

fn commit(
    write: WriteTransaction,
    rows: &[Rows<'_>],
    revision: u64,
    audit: Option<&AuditEntry>,
) -> Result<(), StoreError> {
    {
        let mut genes = write.open_table(GENES)?;
        let mut history = write.open_table(HISTORY)?;
        for row in rows {
            let key = (row.change.gene.as_str(), code(row.change.origin));
            match &row.definition {
                Some(bytes) => genes.insert(key, bytes.as_slice())?,
                None => genes.remove(key)?,
            };
            history.insert(row.change.revision, row.history.as_slice())?;
        }
        let forgotten = revision.saturating_sub(HISTORY_KEPT);
        history.retain_in(..=forgotten, |_, _| false)?;
        write.open_table(REVISION)?.insert(0, revision)?;
    }
    if let Some(audit) = audit {
        append_audit(&write, audit)?;
    }
    write.commit()?;
    Ok(())
}

/// The origin as it is stored.
fn code(origin: Origin) -> u8 {
    match origin {
        Origin::Dna => 0,
        Origin::Operator => 1,
    }
}

fn read_book(read: &ReadTransaction) -> Result<Book, StoreError> {
    let mut book = Book::default();
    if let Some(table) = open_if_there(read, REVISION)? {
        book.revision = table.get(0)?.map_or(0, |revision| revision.value());
    }
    let Some(table) = open_if_there(read, GENES)? else { return Ok(book) };
    for row in table.iter()? {
        let (key, value) = row?;
        let (gene, origin) = key.value();
        match read_definition(gene, origin, value.value()) {
            Some(definition) => {
                let key = (definition.wish.gene.clone(), definition.origin);
                book.definitions.insert(key, definition);
            }
            None => book.unreadable.push(gene.to_owned()),
        }
    }
    Ok(book)
}

/// One stored definition; `None` for bytes that are none, or that say something else than their key.
pub(crate) fn read_definition(gene: &str, origin: u8, row: &[u8]) -> Option<Definition> {
    let (wish, revision, at_ms): (Wish, u64, u64) = decode_as(FORMAT, "genes", row).ok()?;
    let origin = [Origin::Dna, Origin::Operator].into_iter().find(|known| code(*known) == origin)?;
    let is_sound = wish.gene.as_str() == gene && wish.check().is_ok();
    is_sound.then_some(Definition { wish, origin, revision, at_ms })
}

#[cfg(test)]
mod tests;
