//! Files that appear whole or not at all, and the locks of the user's cache.
//!
//! Two processes may build the same thing: a lock file (`flock`, gone with its process) makes one
//! of them wait, and what is finished is moved into place by a rename.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Notes, WorkshopError};

/// An exclusive lock, held until dropped or until the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Take the lock named by `path`, waiting for whoever holds it; makes its folder.
    pub(super) fn take(path: &Path, notes: &dyn Notes) -> Result<Self, WorkshopError> {
        let failed = |e: std::io::Error| WorkshopError::write(path, e);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                notes.note("waiting", "another cyte builds the same");
                file.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        Ok(Self { _file: file })
    }
}

/// A folder that is deleted when dropped.
#[derive(Debug)]
pub(super) struct Temp {
    path: PathBuf,
}

impl Temp {
    /// A new folder beside `target`, on the same file system, so that a rename is possible.
    pub(super) fn beside(target: &Path) -> Result<Self, WorkshopError> {
        let path = sibling(target);
        fs::create_dir_all(&path).map_err(|e| WorkshopError::write(&path, e))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // Left over it is only space in a cache.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A name beside `target` that nobody else in this process or another living one uses.
fn sibling(target: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or(target.as_os_str()));
    name.push(format!(".{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    target.with_file_name(name)
}

/// Delete what processes that were killed left beside `target`. Only while holding its lock.
pub(super) fn sweep(target: &Path) {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else { return };
    let begin = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&begin) && name.ends_with(".tmp") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Move a finished file or folder into place; a folder that is in the way goes first.
pub(super) fn replace(from: &Path, to: &Path) -> Result<(), WorkshopError> {
    let failed = |e| WorkshopError::write(to, e);
    if to.is_dir() {
        let old = sibling(to);
        fs::rename(to, &old).map_err(failed)?;
        let _ = fs::remove_dir_all(old);
    }
    fs::rename(from, to).map_err(failed)
}

/// Write a whole file under its name only when all of it is on disk.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WorkshopError> {
    let failed = |e| WorkshopError::write(path, e);
    let part = sibling(path);
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&part, path)) {
        let _ = fs::remove_file(&part);
        return Err(failed(error));
    }
    Ok(())
}

/// Read a file of at most `limit` bytes; `None` when it is longer.
pub(super) fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    // A pipe or device has no length to trust and may never end.
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let short = u64::try_from(bytes.len()).is_ok_and(|len| len <= limit);
    Ok(short.then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::Silent;

    #[test]
    fn a_file_appears_whole_and_leaves_nothing_beside_it() {
        let temp = Temp::beside(&std::env::temp_dir().join("cyte-cache-test")).unwrap();
        let path = temp.path().join("a.wasm");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap().unwrap(), b"two");
        assert_eq!(read_bounded(&path, 2).unwrap(), None);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        assert!(read_bounded(temp.path(), 2).is_err());
        let gone = temp.path().to_owned();
        drop(temp);
        assert!(!gone.exists());
    }

    #[test]
    fn one_waits_for_the_other() {
        let temp = Temp::beside(&std::env::temp_dir().join("cyte-lock-test")).unwrap();
        let path = temp.path().join("deep/lock");
        let first = Lock::take(&path, &Silent).unwrap();
        let order = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _lock = Lock::take(&path, &Silent).unwrap();
                order.lock().unwrap().push("second");
            });
            order.lock().unwrap().push("first");
            drop(first);
            second.join().unwrap();
        });
        assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    }
}
