//! A disk that fails when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering::SeqCst};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// What fails, and when.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Operations that still succeed; negative = all do.
    left: AtomicI64,
    /// What fails then: 0 writing as on a full disk, 1 syncing.
    kind: AtomicU8,
    /// Failures so far.
    pub(crate) hits: AtomicI64,
}

impl Default for Faults {
    fn default() -> Self {
        Self { left: AtomicI64::new(-1), kind: AtomicU8::new(0), hits: AtomicI64::new(0) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Full,
    Sync,
}

impl Faults {
    /// The disk fails after `left` more operations of this kind, until [`Faults::heal`].
    pub(crate) fn after(&self, left: i64, kind: Kind) {
        self.kind.store(kind as u8, SeqCst);
        self.left.store(left, SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.left.store(-1, SeqCst);
    }

    fn check(&self, kind: Kind) -> std::io::Result<()> {
        if self.kind.load(SeqCst) != kind as u8 || self.left.load(SeqCst) < 0 {
            return Ok(());
        }
        let spent = self.left.fetch_update(SeqCst, SeqCst, |left| (left > 0).then(|| left - 1));
        if spent.is_ok() {
            return Ok(());
        }
        self.hits.fetch_add(1, SeqCst);
        Err(match kind {
            Kind::Full => std::io::Error::from(std::io::ErrorKind::StorageFull),
            Kind::Sync => std::io::Error::other("sync failed"),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    file: FileBackend,
    faults: Arc<Faults>,
}

impl Faulty {
    pub(crate) fn new(file: FileBackend, faults: &Arc<Faults>) -> Self {
        Self { file, faults: Arc::clone(faults) }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.faults.check(Kind::Full)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.faults.check(Kind::Sync)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.faults.check(Kind::Full)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> std::io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, redb::BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<(), redb::BackendError> {
        self.file.unlock_range(start, end)
    }
}
