//! The phenotype store: what is, as events in time buckets with rolling expiry (seed 000, "Phenotype
//! Monitor").
//!
//! An event is folded into the view and kept in memory at once, and written with the others when the
//! caller says so, once a second: one durable commit. A bucket is a stretch of time; with its first
//! commit the whole view is written beside it, so that older buckets can go and the living cells
//! stay known. What is kept is bounded by age and by bytes.
//!
//! This is observed state. A host that is killed loses the last second of it; a file that is damaged
//! is set aside and begun anew; while the disk is full events wait in memory, the oldest are dropped
//! and counted. Nothing of that stops a host.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cyte_dna::Digest;
use cyte_organism::phenotype::{EventError, Record, View};
use redb::{Database, ReadTransaction, ReadableTable, TableDefinition};

use crate::StoreError;
use crate::bell::{Bell, Listener, Listening};
use crate::bucket::{Bucket, Buckets};
use crate::disk::{Disk, decode_as, encode_as, open_if_there};

/// Events that one read hands out at most.
pub const EVENTS_PAGE: usize = 4_096;
/// Events in one stored chunk at most.
const CHUNK_EVENTS: usize = 1_024;
/// Pages kept in memory, in bytes.
const CACHE_BYTES: usize = 1 << 20;

/// Events of one commit, behind the number of the first.
const CHUNKS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
/// Stretches of time, by the number of their first event.
const BUCKETS: TableDefinition<u64, &[u8]> = TableDefinition::new("buckets");
/// One row: the view before the event of that number.
const SNAPSHOT: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshot");
/// The format of all rows.
const FORMAT: u8 = 1;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Buckets whose last event is older than this are dropped, in milliseconds.
    pub age_ms: u64,
    /// The length of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// Bytes of events; above them the oldest bucket goes.
    pub bytes: u64,
    /// Events that wait in memory for a commit; above them the oldest are dropped and counted.
    pub waiting: usize,
}

impl Default for Retention {
    /// An hour in minutes, 32 MiB, 16,384 events waiting.
    fn default() -> Self {
        Retention { age_ms: 3_600_000, bucket_ms: 60_000, bytes: 32 << 20, waiting: 16_384 }
    }
}

/// Where reading events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// After the event of this number; 0 = the oldest there is.
    After(u64),
    /// At this time, in milliseconds since 1970.
    Since(u64),
    /// So many of the newest.
    Newest(usize),
}

/// A store that was opened, and what there is to say about it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<PhenotypeStore>,
    /// What was wrong with the file, and where it is now; a host says so.
    pub set_aside: Option<SetAside>,
}

/// A damaged file that was moved out of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub to: PathBuf,
    /// What was wrong.
    pub why: String,
}

/// The phenotype store of one host.
pub struct PhenotypeStore {
    pub(crate) disk: Disk,
    retention: Retention,
    live: Mutex<Live>,
    /// Held by whoever commits: its shape of what is on the disk.
    written: Mutex<Written>,
    bell: Arc<Bell>,
}

/// What is in memory. Locked for moments only.
struct Live {
    view: View,
    /// Events that are not on the disk yet, by rising number.
    waiting: VecDeque<(u64, Record)>,
    /// The number of the next event.
    next: u64,
    /// Events dropped because the disk took none.
    dropped: u64,
    /// Whether some were dropped since the last commit: then only a snapshot says what they did.
    has_gap: bool,
}

/// What is on the disk, as far as commits were acknowledged.
struct Written {
    buckets: Buckets,
    /// The number after the last event that is surely there.
    next: u64,
    /// Whether more than that may be there: a commit failed.
    is_doubtful: bool,
}

impl std::fmt::Debug for PhenotypeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhenotypeStore").field("path", &self.disk.path()).finish_non_exhaustive()
    }
}

impl PhenotypeStore {
    /// Opens the file at `path` and replays it. A file that is not there is made by the first commit,
    /// so that a start costs no write. A damaged one is set aside beside it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process holds it; otherwise what the file system says.
    pub fn open(path: &Path, retention: Retention) -> Result<Opened, StoreError> {
        let mut disk = Disk::new(path, CACHE_BYTES);
        if !path.exists() {
            return Ok(Opened { store: Self::with(disk, Replay::default(), retention), set_aside: None });
        }
        let (replay, set_aside) = match disk.reading(|read| replay(&read)) {
            Ok(replay) => (replay, None),
            Err(error @ (StoreError::Unreadable(_) | StoreError::Row { .. })) => {
                // Closed before it is moved.
                drop(disk);
                let to = set_aside(path)?;
                disk = Disk::new(path, CACHE_BYTES);
                (Replay::default(), Some(SetAside { to, why: error.to_string() }))
            }
            Err(error) => return Err(error),
        };
        Ok(Opened { store: Self::with(disk, replay, retention), set_aside })
    }

    fn with(disk: Disk, replay: Replay, retention: Retention) -> Arc<Self> {
        let Replay { view, next, buckets } = replay;
        let next = next.max(1);
        let bell = Arc::new(Bell::default());
        bell.ring(next - 1);
        let live = Live { view, waiting: VecDeque::new(), next, dropped: 0, has_gap: false };
        let written = Written { buckets, next, is_doubtful: false };
        Arc::new(Self { disk, retention, live: Mutex::new(live), written: Mutex::new(written), bell })
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds an event into the view and keeps it for the next commit. Its number in this store, or
    /// `None` where it changed nothing: it was here before, is of a life of its host that is over,
    /// or a bound of the view was reached.
    ///
    /// # Errors
    /// An event that breaks a bound of its own; nothing was done.
    pub fn append(&self, record: Record) -> Result<Option<u64>, EventError> {
        record.check()?;
        let mut live = self.live();
        if !live.view.fold(&record) {
            return Ok(None);
        }
        let number = live.next;
        live.next = live.next.saturating_add(1);
        live.waiting.push_back((number, record));
        while live.waiting.len() > self.retention.waiting.max(1) {
            live.waiting.pop_front();
            live.dropped = live.dropped.saturating_add(1);
            live.has_gap = true;
        }
        drop(live);
        self.bell.ring(number);
        Ok(Some(number))
    }

    /// Looks at the view. `look` must be short: events wait for it.
    pub fn view<R>(&self, look: impl FnOnce(&View) -> R) -> R {
        look(&self.live().view)
    }

    /// The number of the newest event, and the digest of the view that all events up to it add up to.
    /// Two stores that were told the same have the same; so has a replay.
    ///
    /// # Errors
    /// [`StoreError::Row`] for a view that cannot be encoded, which no bounded one is.
    pub fn fingerprint(&self) -> Result<(u64, Digest), StoreError> {
        let (newest, view) = {
            let live = self.live();
            (live.next.saturating_sub(1), live.view.clone())
        };
        Ok((newest, fingerprint(&view)?))
    }

    /// Events that wait for a commit, and events dropped because none succeeded.
    #[must_use]
    pub fn backlog(&self) -> (usize, u64) {
        let live = self.live();
        (live.waiting.len(), live.dropped)
    }

    /// The number of the newest event.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.live().next.saturating_sub(1)
    }

    /// Writes what waits, in one durable transaction, and drops what has expired at `now_ms`. Does
    /// not touch the disk where there is nothing to do. Blocks while the disk does; appending goes
    /// on meanwhile. Answers how many events were written.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`], [`StoreError::Busy`]: the events still wait, the
    /// next commit takes them. [`StoreError::Unreadable`]: the same, and the damaged file was set
    /// aside; the next commit begins another one with all that is known.
    pub fn commit(&self, now_ms: u64) -> Result<usize, StoreError> {
        let mut written = self.written();
        let mut batch = self.batch(&written, now_ms)?;
        if batch.is_empty() {
            return Ok(0);
        }
        let (next, is_doubtful) = (written.next, written.is_doubtful);
        written.is_doubtful = true;
        let done = self.disk.writing(|db| batch.write(db, next, is_doubtful));
        if let Err(StoreError::Unreadable(_)) = &done {
            set_aside(self.disk.path())?;
            written.buckets = Buckets::default();
        }
        done?;
        *written = Written { next: batch.end, buckets: batch.buckets, is_doubtful: false };
        let mut live = self.live();
        live.has_gap &= live.dropped != batch.dropped;
        let before = live.waiting.len();
        while live.waiting.front().is_some_and(|(number, _)| *number < batch.end) {
            live.waiting.pop_front();
        }
        Ok(before - live.waiting.len())
    }

    /// All that the next commit writes.
    fn batch(&self, written: &Written, now_ms: u64) -> Result<Batch, StoreError> {
        let live = self.live();
        let mut batch = Batch { end: written.next, buckets: written.buckets.clone(), ..Batch::default() };
        let (front, back) = live.waiting.as_slices();
        for slice in [front, back] {
            for chunk in slice.chunks(CHUNK_EVENTS) {
                let Some((first, _)) = chunk.first() else { continue };
                batch.chunks.push((*first, encode_as(FORMAT, "events", &chunk)?));
            }
        }
        let is_broken = written.is_doubtful || live.has_gap;
        if let Some((first, _)) = live.waiting.front() {
            batch.end = live.next;
            batch.dropped = live.dropped;
            let bytes = batch.chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            batch.buckets.grow(*first, now_ms, bytes);
            let is_full = batch.buckets.is_full(now_ms, &self.retention);
            if is_full {
                batch.buckets.begin(batch.end, now_ms);
            }
            // The bucket that begins here starts with all that is known by now. So does whatever
            // follows a commit that failed, because what that one left may be anything.
            let view = (is_full || is_broken).then(|| live.view.clone());
            drop(live);
            let snapshot = view.map(|view| encode_as(FORMAT, "snapshot", &view)).transpose()?;
            batch.snapshot = snapshot.map(|bytes| (batch.end, bytes));
        }
        if !is_broken || batch.snapshot.is_some() {
            batch.expired = batch.buckets.expire(now_ms, &self.retention);
        }
        Ok(batch)
    }

    /// Events with their numbers, oldest first, at most [`EVENTS_PAGE`]; those that wait included.
    ///
    /// # Errors
    /// Fails when the file cannot be read or a row does not decode.
    pub fn events(&self, from: Begin) -> Result<Vec<(u64, Record)>, StoreError> {
        let written = self.written();
        let (after, since, most) = match from {
            Begin::After(number) => (number, 0, EVENTS_PAGE),
            Begin::Since(at_ms) => (written.buckets.before(at_ms), at_ms, EVENTS_PAGE),
            Begin::Newest(n) => {
                let most = n.min(EVENTS_PAGE);
                (self.newest().saturating_sub(most as u64), 0, most)
            }
        };
        let wanted = |number: u64, record: &Record| number > after && record.at_ms >= since;
        let mut found = Vec::new();
        if written.next > after.saturating_add(1) && self.disk.path().exists() {
            self.disk.reading(|read| {
                each_event(&read, after, written.next, |number, record| {
                    if found.len() < most && wanted(number, &record) {
                        found.push((number, record));
                    }
                    found.len() < most
                })
            })?;
        }
        let live = self.live();
        let waiting = live.waiting.iter().filter(|(n, record)| *n >= written.next && wanted(*n, record));
        found.extend(waiting.take(most - found.len()).cloned());
        Ok(found)
    }

    /// Calls `listener` with the number of the newest event after every one, until the answer is
    /// dropped.
    ///
    /// # Errors
    /// [`StoreError::TooMany`].
    pub fn listen(&self, listener: Listener) -> Result<Listening, StoreError> {
        self.bell.listen(listener)
    }
}

/// The digest of a view as it is stored.
///
/// # Errors
/// As [`PhenotypeStore::fingerprint`].
pub fn fingerprint(view: &View) -> Result<Digest, StoreError> {
    Ok(Digest::of(&encode_as(FORMAT, "snapshot", view)?))
}

/// Moves a damaged file out of the way, in place of one that was moved before.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let to = path.with_extension("redb.damaged");
    std::fs::rename(path, &to)?;
    Ok(to)
}

/// What one commit writes.
#[derive(Default)]
struct Batch {
    chunks: Vec<(u64, Vec<u8>)>,
    /// The number after the last event.
    end: u64,
    /// Events that had been dropped by then.
    dropped: u64,
    /// As they are after the commit.
    buckets: Buckets,
    snapshot: Option<(u64, Vec<u8>)>,
    /// Whether buckets went.
    expired: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && !self.expired
    }

    fn write(&mut self, db: &Database, next: u64, is_doubtful: bool) -> Result<(), StoreError> {
        let write = db.begin_write()?;
        {
            let mut chunks = write.open_table(CHUNKS)?;
            let mut buckets = write.open_table(BUCKETS)?;
            let mut snapshot = write.open_table(SNAPSHOT)?;
            if is_doubtful {
                // What a commit that counts as failed may have left.
                chunks.retain_in(next.., |_, _| false)?;
                snapshot.retain_in(next.saturating_add(1).., |_, _| false)?;
                buckets.retain(|first, _| self.buckets.iter().any(|bucket| bucket.first == first))?;
            }
            for (first, bytes) in &self.chunks {
                chunks.insert(first, bytes.as_slice())?;
            }
            let oldest = self.buckets.iter().next().map_or(0, |bucket| bucket.first);
            chunks.retain_in(..oldest, |_, _| false)?;
            buckets.retain_in(..oldest, |_, _| false)?;
            // Only the last two can have changed.
            for bucket in self.buckets.iter().rev().take(2) {
                buckets.insert(bucket.first, encode_as(FORMAT, "buckets", bucket)?.as_slice())?;
            }
            if let Some((before, bytes)) = &self.snapshot {
                snapshot.retain(|_, _| false)?;
                snapshot.insert(before, bytes.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }
}

/// What a file adds up to.
#[derive(Default)]
struct Replay {
    view: View,
    next: u64,
    buckets: Buckets,
}

fn replay(read: &ReadTransaction) -> Result<Replay, StoreError> {
    let mut found = Replay::default();
    if let Some(table) = open_if_there(read, BUCKETS)? {
        for row in table.iter()? {
            let bucket: Bucket = decode_as(FORMAT, "buckets", row?.1.value())?;
            found.buckets.push(bucket);
        }
    }
    let mut after = 0;
    if let Some(table) = open_if_there(read, SNAPSHOT)?
        && let Some((before, bytes)) = table.last()?
    {
        found.view = decode_as(FORMAT, "snapshot", bytes.value())?;
        found.next = before.value();
        after = before.value().saturating_sub(1);
    }
    each_event(read, after, u64::MAX, |number, record| {
        if number > after {
            found.view.fold(&record);
            found.next = found.next.max(number.saturating_add(1));
        }
        true
    })?;
    Ok(found)
}

/// Calls `take` with the stored events of the chunk that holds the one after `after`, and of all later
/// chunks below `end`, until it says no.
fn each_event(
    read: &ReadTransaction,
    after: u64,
    end: u64,
    mut take: impl FnMut(u64, Record) -> bool,
) -> Result<(), StoreError> {
    let Some(table) = open_if_there(read, CHUNKS)? else { return Ok(()) };
    let wanted = after.saturating_add(1);
    let chunk = table.range(..=wanted)?.next_back().transpose()?.map_or(0, |(first, _)| first.value());
    for row in table.range(chunk..end)? {
        for (number, record) in read_chunk(row?.1.value())? {
            if !take(number, record) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The events of one stored chunk.
pub(crate) fn read_chunk(row: &[u8]) -> Result<Vec<(u64, Record)>, StoreError> {
    decode_as(FORMAT, "events", row)
}

#[cfg(test)]
mod tests;
