//! What can go wrong with what a host keeps.

use cyte_dna::GeneName;
use cyte_organism::wish::{Origin, WishError};

/// A failure of a store. The store stays usable: what a failed write left is found out by reading the
/// file again, and the next call opens it anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the file open.
    #[error("the file is open in another process")]
    Busy,
    /// The file is damaged or of a format this build does not know.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// A stored row does not decode. The file was written by something else or is damaged.
    #[error("a row of table `{table}` does not decode")]
    Row {
        /// The table that holds the row.
        table: &'static str,
    },
    /// A value is larger than its cap; nothing was written.
    #[error("{what} is {actual} bytes, the cap is {cap}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size in bytes.
        actual: usize,
        /// The cap in bytes.
        cap: usize,
    },
    /// There are as many as there may be; nothing was written.
    #[error("there are {cap} {what} already, which is the cap")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        cap: usize,
    },
    /// The definition is not what the caller saw; nothing was written. Read it and ask again.
    #[error("the {origin} definition of gene `{gene}` is at revision {found}, not at {expected}")]
    Conflict {
        /// Whose definition.
        gene: GeneName,
        /// Which of its two.
        origin: Origin,
        /// What the caller saw; 0 = none.
        expected: u64,
        /// What is there; 0 = none.
        found: u64,
    },
    /// The wish breaks a rule of its own; nothing was written.
    #[error(transparent)]
    Wish(#[from] WishError),
    /// No space, quota or file size is left. Reading goes on; writing does once there is space again,
    /// without a restart.
    #[error("the disk is full: {0}; free some space, the next write will be taken")]
    Full(String),
    /// The file system or the database refused. Whether the write is there is known after the next
    /// read.
    #[error("the file cannot be written: {0}")]
    Io(String),
}

impl StoreError {
    /// Whether the open file may no longer be trusted and has to be opened anew.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, StoreError::Full(_) | StoreError::Io(_) | StoreError::Unreadable(_))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full(error.to_string()),
            InvalidData | UnexpectedEof => Self::Unreadable(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            redb::StorageError::Io(error) => error.into(),
            redb::StorageError::Corrupted(_) => Self::Unreadable(error.to_string()),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::Busy,
            redb::DatabaseError::Storage(error) => error.into(),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            other => Self::Io(other.to_string()),
        }
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            other => Self::Io(other.to_string()),
        }
    }
}
