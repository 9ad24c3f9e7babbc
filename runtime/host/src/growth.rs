//! From verified DNA to genes that can answer: folders unpacked, code compiled or loaded, linked.
//!
//! Genes are prepared side by side, as many at once as there are processors. Nothing of a gene
//! runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cyte_dna::{Blob, Digest, FileGrant, FileSource, Folder as Packed, Gene, GeneName, Role};
use cyte_engine::capability::control::{Control, Refused};
use cyte_engine::capability::http::{BoxFuture, Outbound};
use cyte_engine::capability::log::{Death, Level, LogLine, LogSink, Source};
use cyte_engine::capability::{Folder, Hands};
use cyte_engine::{CellPre, Genome, HormoneLevels, Inspection, PrepareError, Tissue, Zombie};
use cyte_organism::law::Demand;
use cyte_organism::lineage::Niche;
use cyte_organism::{Nanos, Reading};
use tokio::sync::oneshot;

use crate::codes::Code;
use crate::error::CliError;
use crate::event::Happening;
use crate::governor::{Ear, Event, Order, Population, Tally, Voice};
use crate::log::{GuestLog, Said, Stream};
use crate::state::StateFolder;
use crate::state::trust::Admitted;
use crate::wishes::Wishes;

/// Where the packed folders of the DNA in force are unpacked, inside the state folder.
const FOLDERS: &str = "folders";

/// A gene that can live.
#[derive(Clone)]
pub struct Grown {
    /// What it is made from.
    pub pre: Arc<CellPre>,
    /// What the DNA says about it.
    pub gene: Gene,
    /// Its tissue; a task has none.
    pub tissue: Option<Arc<Tissue>>,
    /// How long making it ready took.
    pub took: Duration,
}

impl std::fmt::Debug for Grown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grown").field("gene", &self.gene.name).finish_non_exhaustive()
    }
}

impl Grown {
    /// Makes the wish in force the bounds of its tissue.
    pub fn follow(&self, wishes: &Wishes) {
        if let Some(tissue) = &self.tissue {
            follow(tissue, wishes);
        }
    }

    /// This growth as an event.
    pub fn happening(&self) -> Happening {
        Happening::GeneReady {
            gene: self.gene.name.to_string(),
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            cached: self.pre.was_cached(),
        }
    }
}

/// Makes the wish in force the bounds of a tissue.
pub fn follow(tissue: &Tissue, wishes: &Wishes) {
    let (min, max) = wishes.range(&tissue.gene().name);
    tissue.set_range(min, max);
}

/// Looks into every gene's component, `at_once` of them side by side; in the genes' order.
///
/// # Errors
/// The first gene that is no component that a host could run, by name.
pub fn inspect(admitted: &Admitted, at_once: usize) -> Result<Vec<Inspection>, CliError> {
    let one = |gene: &Gene| {
        let unfit = |reason| prepare_error(&PrepareError::Unfit { gene: gene.name.to_string(), reason });
        cyte_engine::inspect(blob(admitted, gene, &gene.component)?).map_err(unfit)
    };
    side_by_side(&admitted.dna.manifest().genes, at_once, one)
}

/// How many of the two engines these genes need.
pub fn engines(inspections: &[Inspection]) -> u32 {
    let kinds: BTreeSet<_> = inspections.iter().map(|found| found.shape.engine().as_str()).collect();
    u32::try_from(kinds.len()).unwrap_or(2).max(1)
}

/// Makes every gene of `admitted` ready, `at_once` of them side by side.
///
/// # Errors
/// The first gene that cannot live, by name; the others are let go.
pub fn grow(
    genome: &Genome,
    state: &StateFolder,
    admitted: &Admitted,
    inspections: Vec<Inspection>,
    hands: &Hands,
    at_once: usize,
    tell: &(dyn Fn(&Grown) + Sync),
) -> Result<Vec<Grown>, CliError> {
    let genes = &admitted.dna.manifest().genes;
    forget_folders(state, genes);
    let inspected: Vec<(&Gene, Inspection)> = genes.iter().zip(inspections).collect();
    let one = |(gene, inspection): &(&Gene, Inspection)| {
        let grown = grow_one(genome, state, admitted, inspection.clone(), hands, gene)?;
        tell(&grown);
        Ok(grown)
    };
    side_by_side(&inspected, at_once, one)
}

/// `work` on every item, at most `at_once` at a time; results in the items' order. After the first
/// failure nothing new is begun. One item alone is no reason for a thread.
fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> Result<R, CliError> + Sync,
) -> Result<Vec<R>, CliError> {
    if let [only] = items {
        return work(only).map(|result| vec![result]);
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Result<R, CliError>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    let failed = result.is_err();
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                    if failed {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn grow_one(
    genome: &Genome,
    state: &StateFolder,
    admitted: &Admitted,
    inspection: Inspection,
    hands: &Hands,
    gene: &Gene,
) -> Result<Grown, CliError> {
    let started = Instant::now();
    let folders = gene
        .grants
        .files
        .iter()
        .map(|grant| folder(state, admitted, gene, grant))
        .collect::<Result<Vec<_>, _>>()?;
    let wasm = blob(admitted, gene, &gene.component)?;
    let organism = admitted.dna.manifest().organism.as_str();
    let pre = genome
        .prepare(gene, organism, wasm, inspection, hands.clone(), folders)
        .map_err(|error| prepare_error(&error))?;
    let tissue = (gene.role == Role::Drone).then(|| genome.tissue(pre.clone()));
    Ok(Grown { pre, gene: gene.clone(), tissue, took: started.elapsed() })
}

fn blob<'a>(admitted: &'a Admitted, gene: &Gene, blob: &Blob) -> Result<&'a [u8], CliError> {
    admitted.blobs.get(&blob.sha256).map(Vec::as_slice).ok_or_else(|| {
        let what = format!("cannot grow gene `{}`", gene.name);
        CliError::new(Code::Bundle, what, format!("the bundle lacks blob {}", blob.sha256))
    })
}

fn prepare_error(error: &PrepareError) -> CliError {
    let (code, gene, why) = match error {
        PrepareError::Unfit { gene, reason } => (Code::Component, gene, reason.clone()),
        PrepareError::Import { gene, import, reason, .. } => {
            (Code::Component, gene, format!("it asks for `{import}`, which {reason}"))
        }
        PrepareError::NotKept { gene } => {
            let why =
                "this host keeps no code of it for this engine, and the loader `cached` compiles nothing";
            (Code::Prepare, gene, why.to_owned())
        }
        PrepareError::Slow { gene, reason }
        | PrepareError::Compile { gene, reason }
        | PrepareError::Host { gene, reason } => (Code::Prepare, gene, reason.clone()),
    };
    let mut made = CliError::new(code, format!("cannot run gene `{gene}`"), why);
    made.help = error.remedy();
    made
}

/// The host's folder behind a grant.
fn folder(
    state: &StateFolder,
    admitted: &Admitted,
    gene: &Gene,
    grant: &FileGrant,
) -> Result<Folder, CliError> {
    let host = match &grant.source {
        FileSource::Local(from) => state.files_path(gene.name.as_str(), from)?,
        FileSource::Packed(packed) => unpack(state, packed, blob(admitted, gene, packed)?)?,
    };
    // A packed folder is shared by every host that has its digest; nobody may write to it.
    let write = grant.write && matches!(grant.source, FileSource::Local(_));
    Ok(Folder { host, guest: grant.to.clone(), write })
}

/// Unpacks a folder below its digest, whole or not at all. One that is there is used again.
fn unpack(state: &StateFolder, packed: &Blob, bytes: &[u8]) -> Result<PathBuf, CliError> {
    let failed = |why: String| {
        CliError::new(Code::State, format!("cannot unpack folder {}", packed.sha256.short()), why)
    };
    let parent = state.path().join(FOLDERS);
    let place = parent.join(packed.sha256.to_string());
    if place.is_dir() {
        return Ok(place);
    }
    let folder = Packed::parse(bytes.to_vec()).map_err(|error| failed(error.to_string()))?;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = parent.join(format!(".{}-{number}.tmp", std::process::id()));
    let written = write_files(&temporary, &folder).and_then(|()| std::fs::rename(&temporary, &place));
    match written {
        Ok(()) => Ok(place),
        // Another gene with the same folder was quicker; its files are the same.
        Err(_) if place.is_dir() => {
            let _ = std::fs::remove_dir_all(&temporary);
            Ok(place)
        }
        Err(error) => {
            let _ = std::fs::remove_dir_all(&temporary);
            Err(failed(error.to_string()))
        }
    }
}

/// The paths inside a packed folder are plain and relative: `Packed::parse` saw to that.
fn write_files(to: &Path, folder: &Packed) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for (path, content) in folder.files() {
        let path = to.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)?;
    }
    Ok(())
}

/// Deletes unpacked folders that no gene names any more. Failing to costs only space.
fn forget_folders(state: &StateFolder, genes: &[Gene]) {
    let wanted: std::collections::BTreeSet<String> = genes
        .iter()
        .flat_map(|gene| gene.blobs())
        .map(|blob: &Blob| -> Digest { blob.sha256 })
        .map(|digest| digest.to_string())
        .collect();
    let Ok(entries) = std::fs::read_dir(state.path().join(FOLDERS)) else { return };
    for entry in entries.flatten() {
        if !wanted.contains(entry.file_name().to_string_lossy().as_ref()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// What the host does on behalf of cells, under a hormone law that looks at every `tick`.
pub fn hands(log: &Arc<GuestLog>, outbound: Arc<dyn Outbound>, ear: &Ear, tick: Nanos) -> Hands {
    Hands {
        outbound,
        log: Arc::new(Sink { log: log.clone(), ear: ear.clone() }),
        control: Arc::new(Door { ear: ear.clone(), tick }),
    }
}

/// How long a cell waits for the governor.
const DOOR_PATIENCE: Duration = Duration::from_secs(1);

/// The way from cells to the governor.
struct Door {
    ear: Ear,
    tick: Nanos,
}

impl Door {
    fn ask(&self, gene: &GeneName, order: Order) -> BoxFuture<Result<u64, Refused>> {
        let (answer, told) = oneshot::channel();
        let event = Event::Order { gene: gene.clone(), order, voice: Voice::Cell, answer };
        let is_heard = self.ear.tell(event);
        Box::pin(async move {
            if !is_heard {
                return Err(Refused::Busy);
            }
            let told = tokio::time::timeout(DOOR_PATIENCE, told).await;
            told.ok().and_then(Result::ok).unwrap_or(Err(Refused::Busy))
        })
    }
}

impl Control for Door {
    fn tick(&self) -> Nanos {
        self.tick
    }

    fn divide(&self, gene: &GeneName, mother: u64) -> BoxFuture<Result<u64, Refused>> {
        self.ask(gene, Order::Divide { mother: Some(mother) })
    }

    fn retire(&self, gene: &GeneName, cell: u64) -> BoxFuture<Result<(), Refused>> {
        let ended = self.ask(gene, Order::End { cell, at_once: false });
        Box::pin(async move { ended.await.map(|_| ()) })
    }
}

/// Guests' lines on their way to the log; what the host says about a cell's end is an event too.
struct Sink {
    log: Arc<GuestLog>,
    ear: Ear,
}

impl LogSink for Sink {
    fn line(&self, line: LogLine) {
        let stream = match line.source {
            Source::Stdout => Stream::Stdout,
            Source::Stderr => Stream::Stderr,
            Source::Log => Stream::Log,
            Source::Host => Stream::Host,
        };
        self.log.say(&Said {
            gene: line.gene.as_str(),
            cell: line.cell,
            request: line.request,
            stream,
            level: Some(level(line.level)),
            text: &line.text,
        });
    }

    fn died(&self, death: &Death<'_>) {
        self.ear.tell(Event::CellDied {
            gene: death.gene.clone(),
            cell: death.cell,
            born: death.born,
            served: death.served,
            cause: death.cause,
            reason: death.words.lines().next().unwrap_or_default().to_owned(),
        });
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Critical => "critical",
    }
}

/// A tissue as the governor moves it.
pub struct Governed(pub Arc<Tissue>);

impl Population for Governed {
    fn gene(&self) -> &cyte_dna::GeneName {
        &self.0.gene().name
    }

    fn look(&self, cells: &mut Vec<Reading>) -> Tally {
        self.0.look(cells)
    }

    fn signal(&self) -> Option<&cyte_dna::Signal> {
        self.0.gene().grants.signal.as_ref()
    }

    fn head(&self) -> Option<Nanos> {
        self.0.head()
    }

    fn staying(&self) -> u32 {
        self.0.staying()
    }

    fn publish(&self, demand: Demand) {
        self.0.publish(demand);
    }

    fn beget(&self, mother: Option<Niche>, from_stem: bool) -> bool {
        self.0.beget(mother, from_stem)
    }

    fn end(&self, niche: Niche) {
        self.0.end(niche);
    }

    fn renew(&self) {
        self.0.renew();
    }

    fn has_settled(&self, age: Nanos) -> bool {
        let cells = self.0.snapshot().cells;
        cells
            .iter()
            .any(|cell| cell.age_ms >= age.as_millis() || cell.uses > u64::from(cell.state == "serving"))
    }

    fn prepare(&self, count: u32) {
        self.0.prepare(count);
    }

    fn retire(&self, count: u32) {
        self.0.retire(count);
    }

    fn divide(&self, mother: Option<u64>) -> Result<u64, Refused> {
        self.0.divide(mother)
    }

    fn end_cell(&self, cell: u64, at_once: bool) -> Result<(), Refused> {
        self.0.retire_cell(cell, at_once)
    }

    fn take_released(&self, into: &mut Vec<(Niche, f64)>) {
        self.0.take_released(into);
    }

    fn ping(&self, now: Nanos) -> Vec<Zombie> {
        self.0.ping(now)
    }

    fn bury(&self, cell: u64) {
        self.0.bury(cell);
    }

    fn tell(&self, levels: HormoneLevels) -> bool {
        let has_more = self.0.tell(levels);
        self.0.announce() || has_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn work_is_done_in_order_and_stops_at_the_first_failure() {
        let items: Vec<u32> = (0..50).collect();
        let doubled = side_by_side(&items, 4, |n| Ok(n * 2)).unwrap();
        assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
        let begun = AtomicUsize::new(0);
        let failed: Result<Vec<u32>, _> = side_by_side(&items, 1, |n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 3 { Err(CliError::new(Code::Prepare, "x", "y")) } else { Ok(*n) }
        });
        assert_eq!(failed.unwrap_err().code, Code::Prepare);
        assert_eq!(begun.load(Ordering::Relaxed), 4);
        let none: Vec<u32> = side_by_side(&[], 4, |n: &u32| Ok(*n)).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_packed_folder_is_unpacked_once_and_forgotten_when_nobody_names_it() {
        let (path, _) = scratch("unpack");
        let state = StateFolder::open(&path).unwrap();
        let packed = Packed::pack([("a/b.txt".to_owned(), b"hi".as_slice())]).unwrap();
        let place = unpack(&state, &packed.blob(), packed.as_bytes()).unwrap();
        assert_eq!(std::fs::read(place.join("a/b.txt")).unwrap(), b"hi");
        assert_eq!(unpack(&state, &packed.blob(), b"not looked at").unwrap(), place);
        let mut gene = Gene::new("front".parse().unwrap(), Role::Drone, Blob::of(b"x"));
        let source = FileSource::Packed(packed.blob());
        gene.grants.files.push(FileGrant { to: "/site".into(), write: false, source });
        forget_folders(&state, std::slice::from_ref(&gene));
        assert!(place.is_dir());
        gene.grants.files.clear();
        forget_folders(&state, &[gene]);
        assert!(!place.exists());
    }
}
