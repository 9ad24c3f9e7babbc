//! What can go wrong with the durable head.

/// A failure of the durable head. Nothing of the failed write is visible afterwards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the file open.
    #[error("the head is open in another process")]
    Busy,
    /// The file is damaged or of a format this build does not know.
    #[error("the head cannot be read: {0}")]
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
    /// The file system or the database refused.
    #[error("the head cannot be written: {0}")]
    Io(String),
}

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::Busy,
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<redb::StorageError> for StoreError {
    fn from(error: redb::StorageError) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        Self::Io(error.to_string())
    }
}
