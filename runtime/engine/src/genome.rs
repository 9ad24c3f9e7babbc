//! The genome: genes made ready to live. A component becomes code (from the cache, or compiled in
//! a child), the code is linked with what the gene may reach, and the result can be instantiated
//! in microseconds.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use cyte_dna::{Gene, Role, limits};
use cyte_organism::Nanos;
use serde::Serialize;
use wasmtime::{Engine, component::InstancePre};
use wasmtime_wasi_http::{p2::bindings::ProxyPre, p3::bindings::ServicePre};

use crate::{
    cache::CodeCache,
    capability::{Folder, Hands},
    compile::{self, CompileError, Compiler},
    engines::{self, Geometry, Kind},
    error::PrepareError,
    host::{Alarm, CellHost, CountersSnapshot, Lanes},
    inspect::{Inspection, Shape},
    load,
    neuron::NeuronPre,
    side::{Incubator, Side},
    state::{CellState, GeneContext},
    ticker::{EngineList, Ticker},
    tissue::Tissue,
    vitals::Clock,
};

/// How a host's living part is set up. Everything comes from the machine and the state folder.
#[derive(Clone, Debug)]
pub struct GenomeConfig {
    /// Slots of each engine's pool and what it keeps warm.
    pub geometry: Geometry,
    /// Memory of all cells together, bytes.
    pub memory_max: u64,
    /// Cells alive at once, over all genes.
    pub cells_max: u32,
    /// Where compiled code is kept; private to this host.
    pub code_folder: PathBuf,
    /// The key that authenticates it.
    pub code_key: [u8; 32],
    /// What compiles genes of which no code is kept; `None`: nothing, those are refused.
    pub compiler: Option<Compiler>,
    /// The threads that guests run on.
    pub lanes: Lanes,
    /// The host's clock.
    pub clock: Clock,
    /// Rings at a request, for a governor that sleeps.
    pub alarm: Arc<Alarm>,
}

/// The living part of one host: its engines, its compiled code, its budgets.
pub struct Genome {
    plain: OnceLock<Side>,
    concurrent: OnceLock<Side>,
    /// What makes the plain engine, until it is asked for.
    incubator: Mutex<Option<Incubator>>,
    geometry: Geometry,
    engines: EngineList,
    cache: CodeCache,
    compiler: Option<Compiler>,
    host: Arc<CellHost>,
}

/// A gene that can be instantiated: linked, not yet alive.
pub struct CellPre {
    pub(crate) context: Arc<GeneContext>,
    pub(crate) engine: Engine,
    pub(crate) door: DoorPre,
    pub(crate) reuse: u32,
    has_receptor: bool,
    has_lifecycle: bool,
    inspection: Inspection,
    was_cached: bool,
}

pub(crate) enum DoorPre {
    Http02(ProxyPre<CellState>),
    Http03(ServicePre<CellState>),
    Task02(wasmtime_wasi::p2::bindings::CommandPre<CellState>),
    Task03(wasmtime_wasi::p3::bindings::CommandPre<CellState>),
    Neuron(NeuronPre<CellState>),
    Policy(InstancePre<CellState>),
}

impl CellPre {
    /// What was found in the component.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Uses of one cell, as the DNA, the gene or the default for its world says.
    pub fn reuse(&self) -> u32 {
        self.reuse
    }

    /// Messages that one cell takes at once, never more than it takes in all. Only 0.3 genes can
    /// take more than one.
    pub(crate) fn slots(&self) -> u32 {
        match self.door {
            DoorPre::Http03(_) => self.context.gene.concurrency.min(self.reuse).max(1),
            DoorPre::Http02(_)
            | DoorPre::Task02(_)
            | DoorPre::Task03(_)
            | DoorPre::Neuron(_)
            | DoorPre::Policy(_) => 1,
        }
    }

    /// Whether its cells are told how their class stands.
    pub(crate) fn has_receptor(&self) -> bool {
        self.has_receptor
    }

    /// Whether its cells are told the turns of their lives.
    pub(crate) fn has_lifecycle(&self) -> bool {
        self.has_lifecycle
    }

    /// Whether its cells are told anything.
    pub(crate) fn listens(&self) -> bool {
        self.has_receptor || self.has_lifecycle
    }

    /// Whether its code was compiled earlier.
    pub fn was_cached(&self) -> bool {
        self.was_cached
    }
}

/// Places and memory in use and the most there may be.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Usage {
    /// Cells alive.
    pub cells: u32,
    /// Cells that may be alive.
    pub cells_max: u32,
    /// Places kept for cells to come, of any gene.
    pub stems: u32,
    /// Memory of all cells, bytes.
    pub memory_bytes: u64,
    /// Memory they may have, bytes.
    pub memory_max_bytes: u64,
    /// How often a cell could not grow because of that.
    pub memory_refused: u64,
    /// What was counted.
    pub counters: CountersSnapshot,
}

impl Genome {
    /// A host without genes. `incubator` makes the `plain` engine; the other one waits for the
    /// first 0.3 gene.
    ///
    /// # Errors
    ///
    /// If the pulse's thread cannot be made.
    pub fn new(config: GenomeConfig, incubator: Option<Incubator>) -> std::io::Result<Arc<Self>> {
        let engines: EngineList = Arc::new([OnceLock::new(), OnceLock::new()]);
        let ticker = Ticker::start(engines.clone())?;
        let host = CellHost::new(
            config.clock,
            ticker,
            config.memory_max,
            config.cells_max,
            config.lanes,
            config.alarm,
        );
        Ok(Arc::new(Self {
            plain: OnceLock::new(),
            concurrent: OnceLock::new(),
            incubator: Mutex::new(incubator),
            geometry: config.geometry,
            engines,
            cache: CodeCache::new(config.code_folder, config.code_key),
            compiler: config.compiler,
            host: Arc::new(host),
        }))
    }

    /// Makes a gene ready to live: compiled or loaded, linked. `inspection` is what [`crate::inspect`]
    /// found in `wasm`. Blocks, possibly for seconds; nothing of the gene runs.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the gene, its imports or the host.
    pub fn prepare(
        &self,
        gene: &Gene,
        organism: &str,
        wasm: &[u8],
        inspection: Inspection,
        hands: Hands,
        folders: Vec<Folder>,
    ) -> Result<Arc<CellPre>, PrepareError> {
        check(gene, &inspection)?;
        let kind = inspection.shape.engine();
        // The code first: the engine may still be in the making.
        let (code, was_cached) = self.code(gene, wasm, kind)?;
        let host_failed = |error| PrepareError::host(&gene.name, error);
        let side = self.side(kind).map_err(host_failed)?;
        let component = load::component(&side.engine, &code).map_err(host_failed)?;
        let instance = side.linker.instantiate_pre(&component).map_err(|error| PrepareError::Unfit {
            gene: gene.name.to_string(),
            reason: format!("it does not fit what it imports: {error:#}"),
        })?;
        let context = GeneContext::new(gene.clone(), organism.to_owned(), hands, folders);
        Ok(Arc::new(CellPre {
            context: Arc::new(context),
            engine: side.engine.clone(),
            door: door(inspection.shape, instance).map_err(|error| PrepareError::Unfit {
                gene: gene.name.to_string(),
                reason: format!("it does not fit its world: {error:#}"),
            })?,
            reuse: gene.reuse.or(inspection.reuse).unwrap_or(default_reuse(inspection.shape)),
            has_receptor: inspection.has_receptor(),
            has_lifecycle: inspection.has_lifecycle(),
            inspection,
            was_cached,
        }))
    }

    /// A tissue for a drone gene; no cell is made yet.
    pub fn tissue(&self, pre: Arc<CellPre>) -> Arc<Tissue> {
        Tissue::new(pre, self.host.clone())
    }

    /// What is in use on this host.
    pub fn usage(&self) -> Usage {
        let (cells, cells_max) = self.host.places.count();
        Usage {
            cells,
            cells_max,
            stems: self.host.places.stems(),
            memory_bytes: self.host.memory.used(),
            memory_max_bytes: self.host.memory.max(),
            memory_refused: self.host.memory.refused(),
            counters: self.host.counters.snapshot(),
        }
    }

    /// Stems that wait.
    pub fn stems(&self) -> u32 {
        self.host.places.stems()
    }

    /// Places that neither cells nor stems hold.
    pub fn room(&self) -> u32 {
        self.host.places.room()
    }

    /// Makes up to `count` stems, as long as there is room; waiting requests may call for them.
    pub fn make_stems(&self, count: u32) {
        self.host.places.make_stems(count);
    }

    /// Gives up to `count` stems back.
    pub fn dissolve_stems(&self, count: u32) {
        self.host.places.dissolve_stems(count);
    }

    /// Changes how many cells and stems may be alive, never above the pools' slots. Who is too many ends:
    /// stems first, then cells that rest, then those that work when they have finished. The bounds of
    /// tissues are for [`Tissue::set_range`].
    pub fn set_cells_max(&self, most: u32) {
        self.host.places.set_max(most.clamp(1, self.geometry.slots));
    }

    /// Changes how much memory all cells may hold, in bytes. While they hold more, cells that rest end;
    /// one that works keeps what it has.
    pub fn set_memory_max(&self, most: u64) {
        self.host.memory.set_max(most);
        while self.host.memory.used() > most && self.host.places.shed() {}
    }

    /// Changes how many calls of the slow lane are polled at once, at least 1; never more than it has
    /// threads.
    pub fn set_slow_at_once(&self, most: u32) {
        self.host.gate.set(most);
    }

    /// How many calls of the slow lane are polled at once.
    pub fn slow_at_once(&self) -> u32 {
        self.host.gate.most()
    }

    /// How long what is ready to run waits for a thread that polls guests, as far as it is known
    /// from the last few looks.
    pub fn run_delay(&self) -> Nanos {
        self.host.run_delay.look(self.host.clock, &self.host.cytoplasm)
    }

    pub(crate) fn host(&self) -> &Arc<CellHost> {
        &self.host
    }

    fn side(&self, kind: Kind) -> wasmtime::Result<&Side> {
        let [plain, concurrent] = &*self.engines;
        let (place, listed) = match kind {
            Kind::Plain => (&self.plain, plain),
            Kind::Concurrent => (&self.concurrent, concurrent),
        };
        // Held while an engine is made, so that two genes that need it do not make two.
        let mut incubator = self.incubator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(side) = place.get() {
            return Ok(side);
        }
        let made = match incubator.take_if(|_| kind == Kind::Plain) {
            Some(incubator) => incubator.hatch(self.geometry)?,
            None => Side::make(kind, self.geometry)?,
        };
        let _ = listed.set(made.engine.weak());
        Ok(place.get_or_init(|| made))
    }

    /// Code for an engine of this kind, and whether it was compiled earlier.
    fn code(&self, gene: &Gene, wasm: &[u8], kind: Kind) -> Result<(Vec<u8>, bool), PrepareError> {
        let digest = &gene.component.sha256;
        let engine = engines::fingerprint(kind).map_err(|error| PrepareError::host(&gene.name, error))?;
        if let Some(code) = self.cache.load(&engine, digest) {
            return Ok((code, true));
        }
        let not_kept = || PrepareError::NotKept { gene: gene.name.to_string() };
        let compiler = self.compiler.as_ref().ok_or_else(not_kept)?;
        let code = compile::in_child(compiler, kind, wasm).map_err(|error| match error {
            CompileError::Unfit(reason) => PrepareError::Unfit { gene: gene.name.to_string(), reason },
            CompileError::Slow(reason) => PrepareError::Slow { gene: gene.name.to_string(), reason },
            CompileError::Cap(reason) => PrepareError::Compile { gene: gene.name.to_string(), reason },
            CompileError::Io(error) => PrepareError::host(&gene.name, error),
        })?;
        if let Err(error) = self.cache.store(&engine, digest, &code) {
            tracing::warn!("the code of gene {} cannot be kept: {error}", gene.name);
        }
        Ok((code, false))
    }
}

/// Whether what was found in a gene is what its DNA says, and asks for nothing that is not there.
fn check(gene: &Gene, inspection: &Inspection) -> Result<(), PrepareError> {
    let unfit = |reason| PrepareError::Unfit { gene: gene.name.to_string(), reason };
    if inspection.shape.role() != gene.role {
        let world = inspection.shape.world();
        return Err(unfit(format!("its DNA says {}, but it is built for {world}", gene.role)));
    }
    if gene.concurrency > 1 && inspection.shape != Shape::Http03 {
        let world = inspection.shape.world();
        return Err(unfit(format!(
            "`concurrency = {}` needs a 0.3 gene, and this is built for {world}",
            gene.concurrency
        )));
    }
    let ears = [("receptor", inspection.has_receptor()), ("lifecycle", inspection.has_lifecycle())];
    for (ear, _) in ears.into_iter().filter(|(_, is_there)| *is_there) {
        if gene.role != Role::Drone {
            return Err(unfit(format!("it exports cyte:cell/{ear}, and a {} has no population", gene.role)));
        }
        if gene.concurrency > 1 {
            return Err(unfit(format!(
                "it exports cyte:cell/{ear}, which a gene with `concurrency` above 1 cannot have"
            )));
        }
    }
    if let Some(duty) = gene.policy.iter().find(|duty| !inspection.does(**duty)) {
        return Err(unfit(format!(
            "its DNA says policy = \"{duty}\", and it does not export {}",
            duty.interface()
        )));
    }
    for ask in inspection.asks(&gene.grants) {
        if let Some((reason, remedy)) = ask.refusal(gene.name.as_str()) {
            return Err(PrepareError::Import {
                gene: gene.name.to_string(),
                import: ask.import,
                reason: reason.into(),
                remedy,
            });
        }
    }
    Ok(())
}

fn door(shape: Shape, instance: InstancePre<CellState>) -> wasmtime::Result<DoorPre> {
    Ok(match shape {
        Shape::Http02 => DoorPre::Http02(ProxyPre::new(instance)?),
        Shape::Http03 => DoorPre::Http03(ServicePre::new(instance)?),
        Shape::Task02 | Shape::Command01 => {
            DoorPre::Task02(wasmtime_wasi::p2::bindings::CommandPre::new(instance)?)
        }
        Shape::Task03 => DoorPre::Task03(wasmtime_wasi::p3::bindings::CommandPre::new(instance)?),
        Shape::Neuron => DoorPre::Neuron(NeuronPre::new(instance)?),
        Shape::Policy => DoorPre::Policy(instance),
    })
}

fn default_reuse(shape: Shape) -> u32 {
    match shape {
        Shape::Http03 => limits::REUSE_HTTP_03,
        // What it remembers is what it is for.
        Shape::Neuron | Shape::Policy => limits::REUSE_MAX,
        Shape::Http02 | Shape::Task02 | Shape::Task03 | Shape::Command01 => limits::REUSE_HTTP_02,
    }
}
