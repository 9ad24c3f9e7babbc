//! One process a state folder: `lock`, held with `flock`, says who.
//!
//! The lock is the kernel's, so it ends with the process however that ends. What is written inside
//! (pid, control socket) is for people and for finding the host; it is never believed to be a lock.

use std::io::{self, Read as _, Seek as _, Write as _};

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "lock";
/// More than any holder writes; a file beyond it was not written by us.
const CAP: u64 = 8 * 1024;

/// Who holds a state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Where its control socket is, once it listens.
    pub socket: Option<String>,
}

/// The held lock; released by drop.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; who, where that could be read.
    Held(Option<Holder>),
    /// The file system refused.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock of `dir` without waiting, and writes this process inside.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn take(dir: &Dir) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = dir.open_with(NAME, &options).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(read(&file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let mut lock = Self { file };
        lock.write(&Holder { pid: std::process::id(), socket: None }).map_err(LockError::Io)?;
        Ok(lock)
    }

    /// Writes where this process can be asked.
    ///
    /// # Errors
    /// What the file system says; the lock is still held then.
    pub fn announce(&mut self, socket: &str) -> io::Result<()> {
        self.write(&Holder { pid: std::process::id(), socket: Some(socket.to_owned()) })
    }

    fn write(&mut self, holder: &Holder) -> io::Result<()> {
        let mut text = serde_json::to_vec(holder)?;
        text.push(b'\n');
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says "nobody" to readers that come between this and the next holder.
        let _ = self.file.set_len(0);
    }
}

/// Who holds the folder now; `None` when nobody does. Takes nothing.
///
/// # Errors
/// What the file system says; a folder that is not there has no holder.
pub fn holder(dir: &Dir) -> io::Result<Option<Holder>> {
    let file = match dir.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        // Nobody had it; the shared lock taken for the question ends with the file.
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(read(&file)),
        Err(error) => Err(error.into()),
    }
}

fn read(file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    let mut file = file.try_clone().ok()?;
    file.rewind().ok()?;
    file.take(CAP).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn a_second_taker_is_told_who_holds_it_and_may_take_it_afterwards() {
        let (_path, dir) = scratch("lock");
        let mut first = Lock::take(&dir).unwrap();
        first.announce("/run/x.sock").unwrap();
        let mine = Holder { pid: std::process::id(), socket: Some("/run/x.sock".into()) };
        match Lock::take(&dir) {
            Err(LockError::Held(Some(holder))) => assert_eq!(holder, mine),
            other => panic!("{other:?}"),
        }
        assert_eq!(holder(&dir).unwrap(), Some(mine));
        drop(first);
        assert_eq!(holder(&dir).unwrap(), None);
        Lock::take(&dir).unwrap();
    }

    #[test]
    fn no_lock_file_means_nobody() {
        let (_path, dir) = scratch("nolock");
        assert_eq!(holder(&dir).unwrap(), None);
    }
}
