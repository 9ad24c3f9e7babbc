//! What genes may put into the folders that the host keeps for them: so many bytes, so many files.
//!
//! The WASI library has no hook for this and bounds nothing, so the functions of its
//! `wasi:filesystem` 0.2 that make something grow are linked a second time, over the first: each
//! asks the gene's [`Quota`] and then does what it did. `wasi:filesystem` 0.3 streams file bodies
//! past every such function; through it a writable folder is read-only, and guests write through
//! 0.2, as Rust's standard library does in 0.3 guests too.
//!
//! A quota never under-counts: it adds what each write may make a file grow (by its length, holes
//! included), subtracts nothing, and walks the folders to learn the truth when the sum gets tight.
//! The walk is bounded by the quota's own number of files, and by [`Ledger::walk_in`] in time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use cyte_organism::Nanos;
use wasmtime::{
    StoreContextMut,
    component::{Linker, LinkerInstance, Resource},
};
use wasmtime_wasi::{
    FsPerms, OpenMode,
    filesystem::{Descriptor, WasiFilesystemView},
    p2::{
        DynOutputStream, FsResult, OutputStream, Pollable, StreamError, StreamResult,
        bindings::filesystem::types::{
            DescriptorFlags, ErrorCode, Host, HostDescriptor, OpenFlags, PathFlags,
        },
    },
    p3::bindings::filesystem::preopens::Host as _,
};

use crate::{state::CellState, vitals::Clock};

/// What folders hold, or are about to hold in addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Lengths of all files, bytes.
    pub(crate) bytes: u64,
    /// Files, folders and links.
    pub(crate) files: u64,
}

impl Holding {
    const ONE_FILE: Self = Self { bytes: 0, files: 1 };

    fn bytes(bytes: u64) -> Self {
        Self { bytes, files: 0 }
    }

    fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), files: self.files.saturating_add(other.files) }
    }

    fn fits(self, max: Self) -> bool {
        self.bytes <= max.bytes && self.files <= max.files
    }
}

/// Folders are not walked more often than this, unless much was written meanwhile.
const WALK_EVERY: Nanos = Nanos::from_millis(1_000);
/// After something was removed, not more often than this.
const WALK_AFTER_FREED: Nanos = Nanos::from_millis(50);
/// Much: this part of the quota.
const MUCH: u64 = 16;

/// The sums of one gene's folders.
#[derive(Debug)]
struct Ledger {
    max: Holding,
    /// Never less than what is there.
    held: Holding,
    /// Taken since the last walk began.
    since: Holding,
    /// Whether something was removed or cut short since then.
    freed: bool,
    walked: Option<Nanos>,
}

impl Ledger {
    /// Whether so much more fits; it is taken then.
    fn take(&mut self, growth: Holding) -> bool {
        let held = self.held.plus(growth);
        let fits = self.walked.is_some() && held.fits(self.max);
        if fits {
            self.held = held;
            self.since = self.since.plus(growth);
        }
        fits
    }

    /// In how long a walk may find room that the sums do not show; `None` = it would find none.
    fn walk_in(&self, now: Nanos) -> Option<Nanos> {
        let Some(walked) = self.walked else { return Some(Nanos(0)) };
        let much = self.since.bytes > self.max.bytes / MUCH || self.since.files > self.max.files / MUCH;
        if much || now.since(walked) >= WALK_EVERY {
            return Some(Nanos(0));
        }
        self.freed.then(|| (walked + WALK_AFTER_FREED).since(now))
    }

    fn walk_begins(&mut self, now: Nanos) {
        self.walked = Some(now);
        self.since = Holding::default();
        self.freed = false;
    }

    /// What was taken meanwhile may be counted twice, never not at all.
    fn walk_ended(&mut self, found: Holding) {
        self.held = found.plus(self.since);
    }
}

/// The bound on all writable folders of one gene together.
#[derive(Debug)]
pub(crate) struct Quota {
    folders: Arc<[PathBuf]>,
    ledger: Mutex<Ledger>,
    refused: AtomicU64,
    clock: Clock,
}

impl Quota {
    pub(crate) fn new(folders: impl Iterator<Item = PathBuf>, max: Holding) -> Self {
        let ledger =
            Ledger { max, held: Holding::default(), since: Holding::default(), freed: false, walked: None };
        Self {
            folders: folders.collect(),
            ledger: Mutex::new(ledger),
            refused: AtomicU64::new(0),
            clock: Clock::start(),
        }
    }

    /// How often something did not fit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Takes room by the sums alone.
    fn take(&self, growth: Holding) -> bool {
        let fits = self.lock(|ledger| ledger.take(growth));
        if !fits {
            self.refused.fetch_add(1, Relaxed);
        }
        fits
    }

    /// Takes room, after a look at the folders where the sums show none.
    async fn admit(&self, growth: Holding) -> Result<(), ErrorCode> {
        if !self.lock(|ledger| ledger.take(growth)) {
            self.walk_if_due().await;
            if !self.take(growth) {
                return Err(ErrorCode::Quota);
            }
        }
        Ok(())
    }

    /// Before a stream, whose writes cannot wait for a walk: one now, if more than half is taken.
    async fn prepare(&self) {
        let is_tight = self.lock(|ledger| {
            let twice = ledger.held.plus(ledger.held);
            ledger.walked.is_none() || !twice.fits(ledger.max)
        });
        if is_tight {
            self.walk_if_due().await;
        }
    }

    /// Something was removed or cut short.
    fn freed(&self) {
        self.lock(|ledger| ledger.freed = true);
    }

    async fn walk_if_due(&self) {
        let Some(wait) = self.lock(|ledger| ledger.walk_in(self.clock.now())) else { return };
        if wait > Nanos(0) {
            tokio::time::sleep(Duration::from_nanos(wait.0)).await;
        }
        let now = self.clock.now();
        // Another cell of the gene may have walked meanwhile.
        let max = self.lock(|ledger| {
            let is_due = ledger.walk_in(now) == Some(Nanos(0));
            is_due.then(|| ledger.walk_begins(now)).map(|()| ledger.max)
        });
        let Some(max) = max else { return };
        let folders = self.folders.clone();
        let found = tokio::task::spawn_blocking(move || walk(&folders, max.files)).await;
        // A walk that broke off found no room.
        self.lock(|ledger| ledger.walk_ended(found.unwrap_or(max)));
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is in these folders; stops once there are more than `files_max` files. Links are counted
/// and not followed, and what cannot be read holds nothing more.
fn walk(folders: &[PathBuf], files_max: u64) -> Holding {
    let mut found = Holding::default();
    let mut open: Vec<PathBuf> = folders.to_vec();
    while let Some(folder) = open.pop() {
        for entry in entries(&folder) {
            let Ok(metadata) = entry.metadata() else { continue };
            let bytes = if metadata.is_file() { metadata.len() } else { 0 };
            found = found.plus(Holding { bytes, files: 1 });
            if found.files > files_max {
                return found;
            }
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// What a function of `wasi:filesystem` gives back.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

fn answer<T>(state: &mut CellState, result: FsResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(state.filesystem().convert_error_code(error)?),)),
    }
}

/// The file of a descriptor that may be written.
fn file(state: &mut CellState, fd: &Resource<Descriptor>) -> Option<Arc<fs::File>> {
    match state.filesystem().table.get(fd) {
        Ok(Descriptor::File(file)) if file.perms == FsPerms::ReadWrite => Some(file.file.clone()),
        _ => None,
    }
}

/// How much longer a file gets by `length` bytes at `at`.
fn growth(file: &fs::File, at: u64, length: u64) -> Holding {
    let now = file.metadata().map_or(0, |metadata| metadata.len());
    Holding::bytes(at.saturating_add(length).saturating_sub(now))
}

/// Asks the quota of the cell's gene; without writable folders there is none, and nothing to ask.
async fn admit(state: &mut CellState, growth: Holding) -> Result<(), ErrorCode> {
    match state.gene.quota.clone() {
        Some(quota) => quota.admit(growth).await,
        None => Ok(()),
    }
}

/// Tells the quota of the cell's gene that there may be more room.
fn freed(state: &CellState) {
    if let Some(quota) = &state.gene.quota {
        quota.freed();
    }
}

type Call<'a> = StoreContextMut<'a, CellState>;
type Fd = Resource<Descriptor>;

/// Links the functions that make something grow over those of the library.
pub(crate) fn add_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    types.func_wrap_async(
        "[method]descriptor.write",
        |store: Call<'_>, (fd, bytes, at): (Fd, Vec<u8>, u64)| Box::new(write(store, fd, bytes, at)),
    )?;
    types.func_wrap_async("[method]descriptor.set-size", |store: Call<'_>, (fd, size): (Fd, u64)| {
        Box::new(set_size(store, fd, size))
    })?;
    types
        .func_wrap_async("[method]descriptor.write-via-stream", |store: Call<'_>, (fd, at): (Fd, u64)| {
            Box::new(stream(store, fd, Some(at)))
        })?;
    types.func_wrap_async("[method]descriptor.append-via-stream", |store: Call<'_>, (fd,): (Fd,)| {
        Box::new(stream(store, fd, None))
    })?;
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |store: Call<'_>, asked: (Fd, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::new(open(store, asked))
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.create-directory-at",
        |mut store: Call<'_>, (fd, path): (Fd, String)| {
            Box::new(async move {
                if let Err(full) = admit(store.data_mut(), Holding::ONE_FILE).await {
                    return Ok((Err(full),));
                }
                let made = store.data_mut().filesystem().create_directory_at(fd, path).await;
                answer(store.data_mut(), made)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.symlink-at",
        |mut store: Call<'_>, (fd, from, to): (Fd, String, String)| {
            Box::new(async move {
                if let Err(full) = admit(store.data_mut(), Holding::ONE_FILE).await {
                    return Ok((Err(full),));
                }
                let made = store.data_mut().filesystem().symlink_at(fd, from, to).await;
                answer(store.data_mut(), made)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.link-at",
        |mut store: Call<'_>, (fd, flags, from, other, to): (Fd, PathFlags, String, Fd, String)| {
            Box::new(async move {
                if let Err(full) = admit(store.data_mut(), Holding::ONE_FILE).await {
                    return Ok((Err(full),));
                }
                let made = store.data_mut().filesystem().link_at(fd, flags, from, other, to).await;
                answer(store.data_mut(), made)
            })
        },
    )?;
    add_removals(&mut types)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The functions that make room.
fn add_removals(types: &mut LinkerInstance<'_, CellState>) -> wasmtime::Result<()> {
    types.func_wrap_async(
        "[method]descriptor.unlink-file-at",
        |mut store: Call<'_>, (fd, path): (Fd, String)| {
            Box::new(async move {
                let done = store.data_mut().filesystem().unlink_file_at(fd, path).await;
                freed(store.data());
                answer(store.data_mut(), done)
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.remove-directory-at",
        |mut store: Call<'_>, (fd, path): (Fd, String)| {
            Box::new(async move {
                let done = store.data_mut().filesystem().remove_directory_at(fd, path).await;
                freed(store.data());
                answer(store.data_mut(), done)
            })
        },
    )?;
    // What had the new name is gone.
    types.func_wrap_async(
        "[method]descriptor.rename-at",
        |mut store: Call<'_>, (fd, from, other, to): (Fd, String, Fd, String)| {
            Box::new(async move {
                let done = store.data_mut().filesystem().rename_at(fd, from, other, to).await;
                freed(store.data());
                answer(store.data_mut(), done)
            })
        },
    )
}

/// Links the list of folders of `wasi:filesystem` 0.3 over the library's: all of them read-only.
pub(crate) fn add_read_only_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.3.0")?;
    preopens.func_wrap("get-directories", |mut store: Call<'_>, (): ()| {
        let mut view = store.data_mut().filesystem();
        let folders = view.get_directories()?;
        for (fd, _) in &folders {
            if let Descriptor::Dir(folder) = view.table.get_mut(fd)? {
                folder.perms = FsPerms::ReadOnly;
                folder.open_mode = OpenMode::READ;
            }
        }
        Ok((folders,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

async fn write(mut store: Call<'_>, fd: Fd, bytes: Vec<u8>, at: u64) -> Answer<u64> {
    let state = store.data_mut();
    if let Some(file) = file(state, &fd)
        && let Err(full) = admit(state, growth(&file, at, bytes.len() as u64)).await
    {
        return Ok((Err(full),));
    }
    let written = state.filesystem().write(fd, bytes, at).await;
    answer(state, written)
}

async fn set_size(mut store: Call<'_>, fd: Fd, size: u64) -> Answer<()> {
    let state = store.data_mut();
    if let Some(file) = file(state, &fd)
        && let Err(full) = admit(state, growth(&file, size, 0)).await
    {
        return Ok((Err(full),));
    }
    let set = state.filesystem().set_size(fd, size).await;
    freed(state);
    answer(state, set)
}

async fn open(
    mut store: Call<'_>,
    (fd, flags, path, how, rights): (Fd, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let state = store.data_mut();
    if how.contains(OpenFlags::CREATE)
        && let Err(full) = admit(state, Holding::ONE_FILE).await
    {
        return Ok((Err(full),));
    }
    let opened = state.filesystem().open_at(fd, flags, path, how, rights).await;
    if how.contains(OpenFlags::TRUNCATE) {
        freed(state);
    }
    answer(state, opened)
}

/// A stream of writes from `at`, or at the end of the file.
async fn stream(mut store: Call<'_>, fd: Fd, at: Option<u64>) -> Answer<Resource<DynOutputStream>> {
    let state = store.data_mut();
    let metered = file(state, &fd).zip(state.gene.quota.clone());
    if let Some((_, quota)) = &metered {
        quota.prepare().await;
    }
    let mut view = state.filesystem();
    let made = match at {
        Some(at) => view.write_via_stream(fd, at),
        None => view.append_via_stream(fd),
    };
    if let (Ok(stream), Some((file, quota))) = (&made, metered) {
        let place = view.table.get_mut(stream)?;
        let inner = std::mem::replace(place, Box::new(Closed));
        *place = Box::new(Metered { inner, quota, file, at });
    }
    answer(state, made)
}

/// A stream into a file that asks before each write.
struct Metered {
    inner: DynOutputStream,
    quota: Arc<Quota>,
    file: Arc<fs::File>,
    /// Where the next write goes; `None` = to the end.
    at: Option<u64>,
}

impl OutputStream for Metered {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len() as u64;
        let growth = self.at.map_or(Holding::bytes(length), |at| growth(&self.file, at, length));
        if !self.quota.take(growth) {
            // The library passes on the reason of a system's error only.
            let full = io::Error::from_raw_os_error(ENOSPC);
            return Err(StreamError::LastOperationFailed(full.into()));
        }
        self.at = self.at.map(|at| at.saturating_add(length));
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }
}

/// "No space left on device", the same number on every Linux.
const ENOSPC: i32 = 28;

#[wasmtime_wasi::async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

/// Stands where a stream was for the instant in which it is wrapped.
struct Closed;

impl OutputStream for Closed {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Err(StreamError::Closed)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Closed {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Holding = Holding { bytes: 1_000, files: 10 };

    fn ledger() -> Ledger {
        Ledger { max: MAX, held: Holding::default(), since: Holding::default(), freed: false, walked: None }
    }

    #[test]
    fn nothing_is_taken_before_the_first_walk_nor_beyond_the_bound() {
        let mut ledger = ledger();
        assert!(!ledger.take(Holding::bytes(1)));
        assert_eq!(ledger.walk_in(Nanos(0)), Some(Nanos(0)));
        ledger.walk_begins(Nanos(0));
        ledger.walk_ended(Holding { bytes: 400, files: 9 });
        assert!(ledger.take(Holding::bytes(600)));
        assert!(!ledger.take(Holding::bytes(1)));
        assert!(ledger.take(Holding::ONE_FILE) && !ledger.take(Holding::ONE_FILE));
        assert!(!ledger.take(Holding::bytes(u64::MAX)));
    }

    #[test]
    fn walks_are_rare_unless_much_was_written() {
        let mut ledger = ledger();
        ledger.walk_begins(Nanos(0));
        ledger.walk_ended(Holding { bytes: 990, files: 0 });
        assert_eq!(ledger.walk_in(Nanos::from_millis(999)), None);
        assert_eq!(ledger.walk_in(Nanos::from_millis(1_000)), Some(Nanos(0)));
        ledger.freed = true;
        assert_eq!(ledger.walk_in(Nanos::from_millis(20)), Some(Nanos::from_millis(30)));
        assert_eq!(ledger.walk_in(Nanos::from_millis(60)), Some(Nanos(0)));
        ledger.walk_begins(Nanos(0));
        assert!(ledger.take(Holding::bytes(5)));
        ledger.walk_ended(Holding { bytes: 500, files: 0 });
        assert_eq!(ledger.held.bytes, 505, "what was taken during a walk is never forgotten");
        assert_eq!(ledger.walk_in(Nanos(1)), None);
        assert!(ledger.take(Holding::bytes(100)));
        assert_eq!(
            ledger.walk_in(Nanos(1)),
            Some(Nanos(0)),
            "much was written, perhaps over and over the same"
        );
    }

    #[test]
    fn a_walk_counts_everything_once_and_follows_nothing() {
        let folder = std::env::temp_dir().join(format!("cyte-quota-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("one"), [0; 10]).unwrap();
        fs::write(folder.join("a/b/two"), [0; 20]).unwrap();
        std::os::unix::fs::symlink("/", folder.join("a/link")).unwrap();
        let found = walk(std::slice::from_ref(&folder), 100);
        assert_eq!(found, Holding { bytes: 30, files: 5 });
        assert_eq!(walk(std::slice::from_ref(&folder), 2).files, 3, "it stops when there are too many");
        assert_eq!(walk(&[folder.join("none")], 2), Holding::default());
        fs::remove_dir_all(folder).unwrap();
    }
}
