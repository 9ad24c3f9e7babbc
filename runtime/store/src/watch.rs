//! Following the gene store: everything in order, or the whole anew, and never a gap.

use std::sync::Arc;
use std::time::Duration;

use cyte_organism::wish::Definition;

use crate::StoreError;
use crate::genes::{Change, GeneStore};

/// Changes handed out at once.
pub const WATCH_PAGE: usize = 256;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The next changes, oldest first, without a gap; at most [`WATCH_PAGE`].
    Changes(Vec<Change>),
    /// It was too slow, some changes are forgotten: all that is wanted now.
    Resync {
        /// The revision that this is.
        revision: u64,
        /// All definitions, by gene.
        all: Vec<Definition>,
    },
    /// Nothing changed.
    Nothing,
}

/// Follows a gene store. It holds a number and nothing else, however slow it is: what it has not seen
/// yet is read from the store's history.
#[derive(Debug)]
pub struct Watcher {
    store: Arc<GeneStore>,
    seen: u64,
}

impl Watcher {
    pub(crate) fn new(store: Arc<GeneStore>, after: u64) -> Self {
        Self { store, seen: after }
    }

    /// The last revision that was handed out.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What is new, at once.
    ///
    /// # Errors
    /// Fails when the history cannot be read; nothing is skipped by that.
    pub fn poll(&mut self) -> Result<News, StoreError> {
        if self.store.revision() == self.seen {
            return Ok(News::Nothing);
        }
        match self.store.changes(self.seen, WATCH_PAGE)? {
            Some(changes) => {
                let Some(last) = changes.last() else { return Ok(News::Nothing) };
                self.seen = last.revision;
                Ok(News::Changes(changes))
            }
            None => {
                let book = self.store.book();
                self.seen = book.revision;
                Ok(News::Resync { revision: book.revision, all: book.iter().cloned().collect() })
            }
        }
    }

    /// What is new, waiting for it at most `patience`. Blocks the thread; a task takes
    /// [`GeneStore::listen`] and [`Watcher::poll`].
    ///
    /// # Errors
    /// As [`Watcher::poll`].
    pub fn wait(&mut self, patience: Duration) -> Result<News, StoreError> {
        match self.poll()? {
            News::Nothing => {
                self.store.bell().wait(self.seen, patience);
                self.poll()
            }
            news => Ok(news),
        }
    }
}
