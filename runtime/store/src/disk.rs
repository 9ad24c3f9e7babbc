//! One `redb` file, opened as late and as lightly as possible, and opened anew after the disk failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableDefinition, TableError};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// One file. Only one process may write it.
pub(crate) struct Disk {
    path: PathBuf,
    /// Pages kept in memory, in bytes; the database's own default is a gigabyte.
    cache: usize,
    file: Mutex<File>,
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<crate::faults::Faults>,
}

/// How the file is open. Opening for writing syncs the disk, which would be most of the time that a
/// host takes to start, so the file is opened so only when something is to be written.
enum File {
    Reading(ReadOnlyDatabase),
    Writing(Database),
    /// Not opened yet, between the two, or after the disk failed: a database that met an error of
    /// the disk refuses everything until it is opened anew.
    Closed,
}

impl Disk {
    pub(crate) fn new(path: &Path, cache: usize) -> Self {
        Self {
            path: path.to_owned(),
            cache,
            file: Mutex::new(File::Closed),
            #[cfg(test)]
            faults: std::sync::Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on one state of the file, which must be there.
    pub(crate) fn reading<R>(
        &self,
        work: impl FnOnce(ReadTransaction) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let mut file = self.lock();
        if let File::Closed = *file {
            *file = unpanicked(|| self.open_to_read())?;
        }
        let done = match &*file {
            File::Reading(db) => unpanicked(|| work(db.begin_read()?)),
            File::Writing(db) => unpanicked(|| work(db.begin_read()?)),
            File::Closed => Err(StoreError::Io("the file is closed".into())),
        };
        close_if_broken(&mut file, done)
    }

    /// Runs `work` with the file open for writing; makes it where it is not there.
    pub(crate) fn writing<R>(
        &self,
        work: impl FnOnce(&Database) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let mut file = self.lock();
        if !matches!(*file, File::Writing(_)) {
            // The reader's lock must be gone before the writer's is asked for.
            *file = File::Closed;
            *file = File::Writing(unpanicked(|| self.open_to_write())?);
        }
        let done = match &*file {
            File::Writing(db) => unpanicked(|| work(db)),
            File::Reading(_) | File::Closed => Err(StoreError::Io("the file is closed".into())),
        };
        close_if_broken(&mut file, done)
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that was not closed (a host that was killed) is repaired, which takes writing.
    fn open_to_read(&self) -> Result<File, StoreError> {
        let read_only = Database::builder().set_cache_size(self.cache).open_read_only(&self.path);
        match read_only {
            Ok(db) => Ok(File::Reading(db)),
            Err(redb::DatabaseError::RepairAborted) => self.open_to_write().map(File::Writing),
            Err(error) => Err(error.into()),
        }
    }

    /// A file that is not there is made beside its place and moved there when it is whole: making one
    /// takes several writes, and half a file could never be opened again.
    fn open_to_write(&self) -> Result<Database, StoreError> {
        if self.path.exists() {
            return self.database(&self.path);
        }
        let beside = self.path.with_extension("redb.new");
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let db = self.database(&beside)?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(db)
    }

    fn database(&self, path: &Path) -> Result<Database, StoreError> {
        let backend = FileBackend::new(options().open(path)?)?;
        #[cfg(test)]
        let backend = crate::faults::Faulty::new(backend, &self.faults);
        Ok(Database::builder().set_cache_size(self.cache).create_with_backend(backend)?)
    }
}

fn close_if_broken<R>(file: &mut File, done: Result<R, StoreError>) -> Result<R, StoreError> {
    if done.as_ref().is_err_and(StoreError::is_of_the_disk) {
        let broken = std::mem::replace(file, File::Closed);
        // Closing may find the damage once more; what counts is the first error.
        let _ = unpanicked(|| {
            drop(broken);
            Ok(())
        });
    }
    done
}

/// The database panics on some kinds of damage (it says that they "cannot occur in normal
/// operation"). A damaged file must not end a host, so that a panic becomes an error here; the database
/// is closed then, and nothing of it is used again.
fn unpanicked<R>(work: impl FnOnce() -> Result<R, StoreError>) -> Result<R, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Unreadable("the database does not expect such damage".into())))
}

/// The user's alone, whatever the umask says.
fn options() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// A table that an earlier build may not have made: then it is empty.
pub(crate) fn open_if_there<K: redb::Key + 'static, V: redb::Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, StoreError> {
    match read.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn encode<T: Serialize>(table: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|_| StoreError::Row { table })
}

pub(crate) fn decode<T: for<'a> Deserialize<'a>>(table: &'static str, row: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(row).map_err(|_| StoreError::Row { table })
}

/// Encodes a row behind the number of its format, so that a later build can tell.
pub(crate) fn encode_as<T: Serialize>(
    format: u8,
    table: &'static str,
    value: &T,
) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, vec![format]).map_err(|_| StoreError::Row { table })
}

/// Decodes a row of this format, to its last byte.
pub(crate) fn decode_as<T: for<'a> Deserialize<'a>>(
    format: u8,
    table: &'static str,
    row: &[u8],
) -> Result<T, StoreError> {
    let body = row.split_first().filter(|(first, _)| **first == format).map(|(_, body)| body);
    match body.map(postcard::take_from_bytes::<T>) {
        Some(Ok((value, []))) => Ok(value),
        _ => Err(StoreError::Row { table }),
    }
}

pub(crate) fn cap(what: &'static str, actual: usize, cap: usize) -> Result<(), StoreError> {
    if actual > cap {
        return Err(StoreError::TooLarge { what, actual, cap });
    }
    Ok(())
}
