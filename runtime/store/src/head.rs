//! The durable head: one small `redb` file.

use std::path::Path;

use cyte_dna::Known;
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::disk::{Disk, cap, decode, encode};

/// How many audit entries are remembered; the oldest are forgotten first.
pub const AUDIT_KEPT: u64 = cyte_dna::limits::AUDIT_KEPT;
/// The largest sealed secret, in bytes.
pub const SEALED_MAX: usize = cyte_dna::limits::SECRET_BYTES + 64;

/// Pages kept in memory, in bytes. The head is a few kilobytes; the default cache is a gigabyte.
const CACHE_BYTES: usize = 512 * 1024;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const KNOWN: TableDefinition<u8, &[u8]> = TableDefinition::new("known");
const SECRETS: TableDefinition<&str, &[u8]> = TableDefinition::new("secrets");
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");

/// The key of the one row of [`KNOWN`]: the version of its encoding.
const KNOWN_FORMAT: u8 = 1;
const AUDIT_NEXT: &str = "audit_next";

/// One write by an operator, kept so that it can be explained later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in seconds since 1970 as the host then believed.
    pub at_s: u64,
    /// The user id of the process that asked.
    pub uid: u32,
    /// The verb, for example `secret.set`.
    pub verb: String,
    /// What it was done to; never a secret value.
    pub subject: String,
}

/// A value that only the host key opens. The store never looks inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// The durable head of one state folder. Only one process may write it.
pub struct Head {
    pub(crate) disk: Disk,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").finish_non_exhaustive()
    }
}

impl Head {
    /// Opens the head at `path`, making it when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process writes it, otherwise what the file system or the
    /// database says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fresh = !path.exists();
        let head = Self { disk: Disk::new(path, CACHE_BYTES) };
        if fresh {
            head.writing(Self::make_tables)?;
        } else {
            head.reading(|_| Ok(()))?;
        }
        Ok(head)
    }

    /// Runs `work` on one state of the file.
    pub(crate) fn reading<R>(
        &self,
        work: impl FnOnce(ReadTransaction) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.disk.reading(work)
    }

    /// Runs `work` with the file open for writing.
    pub(crate) fn writing<R>(
        &self,
        work: impl FnOnce(&Database) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.disk.writing(work)
    }

    /// Makes every table once, so that readers never meet a missing one.
    fn make_tables(db: &Database) -> Result<(), StoreError> {
        let write = db.begin_write()?;
        write.open_table(META)?;
        write.open_table(KNOWN)?;
        write.open_table(SECRETS)?;
        write.open_table(AUDIT)?;
        write.commit()?;
        Ok(())
    }

    /// What this host knows of its organism: germline, versions and digests that it accepted, time
    /// floor. `None` before the first trust.
    ///
    /// # Errors
    /// Fails when the file cannot be read, or the row does not decode.
    pub fn known(&self) -> Result<Option<Known>, StoreError> {
        self.reading(|read| {
            let table = read.open_table(KNOWN)?;
            let Some(row) = table.get(KNOWN_FORMAT)? else {
                return Ok(None);
            };
            decode("known", row.value()).map(Some)
        })
    }

    /// Keeps what this host knows now, durably, in place of what it knew.
    ///
    /// # Errors
    /// Fails when the write does; then the host knows what it knew.
    pub fn set_known(&self, known: &Known) -> Result<(), StoreError> {
        let row = encode("known", known)?;
        self.writing(|db| {
            let write = db.begin_write()?;
            write.open_table(KNOWN)?.insert(KNOWN_FORMAT, row.as_slice())?;
            write.commit()?;
            Ok(())
        })
    }

    /// Keeps the sealed value of secret `name` and notes who did it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`SEALED_MAX`]; otherwise what the write says.
    pub fn put_secret(&self, name: &str, sealed: &Sealed, audit: &AuditEntry) -> Result<(), StoreError> {
        cap("a sealed secret", sealed.0.len(), SEALED_MAX)?;
        self.writing(|db| {
            let write = db.begin_write()?;
            write.open_table(SECRETS)?.insert(name, sealed.0.as_slice())?;
            append_audit(&write, audit)?;
            write.commit()?;
            Ok(())
        })
    }

    /// Forgets secret `name` and notes who did it. Says whether there was one; when there was
    /// none nothing is written.
    ///
    /// # Errors
    /// Fails when the write does; then the secret is still there.
    pub fn remove_secret(&self, name: &str, audit: &AuditEntry) -> Result<bool, StoreError> {
        self.writing(|db| {
            let write = db.begin_write()?;
            let existed = write.open_table(SECRETS)?.remove(name)?.is_some();
            if !existed {
                write.abort()?;
                return Ok(false);
            }
            append_audit(&write, audit)?;
            write.commit()?;
            Ok(true)
        })
    }

    /// Every secret's name and sealed value, by name.
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub fn secrets(&self) -> Result<Vec<(String, Sealed)>, StoreError> {
        self.reading(|read| {
            let table = read.open_table(SECRETS)?;
            let mut all = Vec::new();
            for row in table.iter()? {
                let (name, value) = row?;
                all.push((name.value().to_owned(), Sealed(value.value().to_vec())));
            }
            Ok(all)
        })
    }

    /// Appends one entry to the audit trail.
    ///
    /// # Errors
    /// Fails when the write does.
    pub fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.writing(|db| {
            let write = db.begin_write()?;
            append_audit(&write, entry)?;
            write.commit()?;
            Ok(())
        })
    }

    /// The newest `limit` audit entries with their numbers, oldest of them first.
    ///
    /// # Errors
    /// Fails when the file cannot be read or a row does not decode.
    pub fn audit_trail(&self, limit: usize) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        self.reading(|read| {
            let table = read.open_table(AUDIT)?;
            let mut newest = Vec::new();
            for row in table.iter()?.rev().take(limit) {
                let (number, value) = row?;
                newest.push((number.value(), decode("audit", value.value())?));
            }
            newest.reverse();
            Ok(newest)
        })
    }
}

/// Appends to the audit trail inside `write` and forgets what is beyond [`AUDIT_KEPT`].
pub(crate) fn append_audit(write: &redb::WriteTransaction, entry: &AuditEntry) -> Result<(), StoreError> {
    let row = encode("audit", entry)?;
    let mut meta = write.open_table(META)?;
    let number = meta.get(AUDIT_NEXT)?.map_or(0, |v| v.value());
    meta.insert(AUDIT_NEXT, number.saturating_add(1))?;
    let mut table = write.open_table(AUDIT)?;
    table.insert(number, row.as_slice())?;
    if let Some(gone) = number.checked_sub(AUDIT_KEPT) {
        table.remove(gone)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with its test; a failed test leaves it, so that one can look.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn join(&self, name: &str) -> std::path::PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    fn folder(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cyte-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn known() -> Known {
        let key = cyte_dna::SigningKey::generate(std::array::from_fn(|i| i as u8)).unwrap();
        Known::first(cyte_dna::Germline::single("shop".parse().unwrap(), key.public()))
    }

    fn entry(subject: &str) -> AuditEntry {
        AuditEntry { at_s: 7, uid: 0, verb: "secret.set".into(), subject: subject.into() }
    }

    #[test]
    fn what_is_known_survives_reopening_and_is_replaced_whole() {
        let folder = folder("reopen");
        let path = folder.join("head.redb");
        let first = known();
        {
            let head = Head::open(&path).unwrap();
            assert_eq!(head.known().unwrap(), None);
            head.set_known(&first).unwrap();
        }
        let head = Head::open(&path).unwrap();
        assert_eq!(head.known().unwrap(), Some(first.clone()));
        let later = Known { time_floor: 500, floor: 3, ..first };
        head.set_known(&later).unwrap();
        assert_eq!(head.known().unwrap(), Some(later));
    }

    #[test]
    fn the_audit_trail_is_bounded() {
        let folder = folder("trail");
        let head = Head::open(&folder.join("head.redb")).unwrap();
        head.writing(|db| {
            let write = db.begin_write()?;
            for _ in 0..AUDIT_KEPT + 5 {
                append_audit(&write, &entry("x"))?;
            }
            Ok(write.commit()?)
        })
        .unwrap();
        let trail = head.audit_trail(usize::MAX).unwrap();
        assert_eq!(trail.len() as u64, AUDIT_KEPT);
        assert_eq!(trail.first().map(|(number, _)| *number), Some(5));
    }

    #[test]
    fn secrets_are_kept_listed_removed_and_audited() {
        let folder = folder("secrets");
        let head = Head::open(&folder.join("head.redb")).unwrap();
        head.put_secret("b", &Sealed(vec![2]), &entry("b")).unwrap();
        head.put_secret("a", &Sealed(vec![1]), &entry("a")).unwrap();
        let names: Vec<_> = head.secrets().unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(head.remove_secret("a", &entry("a")).unwrap());
        assert!(!head.remove_secret("a", &entry("a")).unwrap());
        let trail: Vec<_> = head.audit_trail(10).unwrap().into_iter().map(|(n, e)| (n, e.subject)).collect();
        assert_eq!(trail, [(0, "b".into()), (1, "a".into()), (2, "a".into())]);
    }

    #[test]
    fn a_secret_over_the_cap_is_refused() {
        let folder = folder("cap");
        let head = Head::open(&folder.join("head.redb")).unwrap();
        let big = Sealed(vec![0; SEALED_MAX + 1]);
        let refused = head.put_secret("x", &big, &entry("x"));
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
        assert!(head.secrets().unwrap().is_empty());
    }

    #[test]
    fn a_second_opener_of_a_head_that_is_written_is_told_that_it_is_busy() {
        let folder = folder("busy");
        let path = folder.join("head.redb");
        let first = Head::open(&path).unwrap();
        first.audit(&entry("x")).unwrap();
        assert!(matches!(Head::open(&path), Err(StoreError::Busy)));
        drop(first);
        let readers = (Head::open(&path).unwrap(), Head::open(&path).unwrap());
        assert!(matches!(readers.0.audit(&entry("y")), Err(StoreError::Busy)));
        drop(readers.1);
        readers.0.audit(&entry("y")).unwrap();
        assert_eq!(readers.0.audit_trail(9).unwrap().len(), 2);
    }

    #[test]
    fn bytes_that_are_no_head_are_unreadable() {
        let folder = folder("garbage");
        let path = folder.join("head.redb");
        std::fs::write(&path, vec![7_u8; 8192]).unwrap();
        assert!(matches!(Head::open(&path), Err(StoreError::Unreadable(_))));
    }
}
