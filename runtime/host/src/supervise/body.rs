//! What grows on a state folder before anything can reach it: genes, stores, threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cyte_dna::{Digest, Manifest, SubKey};
use cyte_engine::compile::Compiler;
use cyte_engine::{Alarm, Clock, Genome, GenomeConfig, Geometry, Incubator, Lanes, TaskArguments, TaskEnd};
use cyte_gateway::{Claim, Routes};
use cyte_organism::Nanos;
use cyte_organism::expressor::Switch;
use cyte_organism::wish::Dropped;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::threads::Threads;
use super::{conflict, machine_error};
use crate::codes::Code;
use crate::error::CliError;
use crate::event::{EventLog, Happening};
use crate::governor::{self, Ear, Event};
use crate::growth::{self, Grown};
use crate::live::Live;
use crate::loading::{self, Loader};
use crate::log::{GuestLog, Show};
use crate::machine::{Machine, Plan};
use crate::outbound::{self, OutboundConfig};
use crate::record::Recorder;
use crate::state::StateFolder;
use crate::state::clock::wall_ms;
use crate::state::rotate::RotatedFile;
use crate::state::secrets::Secrets;
use crate::state::trust::Admitted;
use crate::voice;
use crate::wishes::Wishes;

/// What an operator decides about growth.
#[derive(Debug)]
pub struct GrowConfig {
    /// Cells alive at once, where a number was asked for.
    pub cells: Option<u32>,
    /// Calls of guests polled at once, at least 2, where a number was asked for.
    pub polled: Option<u32>,
    /// CPU that compiling one gene may take, where it is not the usual.
    pub compile_cpu: Option<Duration>,
    /// What makes code of genes.
    pub loader: Loader,
    /// Where guests' lines are shown.
    pub show: Show,
    /// Whether anything is started ahead of a request.
    pub switch: Switch,
    /// PEM certificates that outbound requests trust beside the built-in roots.
    pub extra_roots: Vec<u8>,
    /// Where compiled code is kept, where it is not the state folder's own: several hosts of one
    /// process compile once.
    pub code: Option<CodeHome>,
}

/// Where compiled code is kept, and the key that it is kept under.
#[derive(Clone)]
pub struct CodeHome {
    folder: PathBuf,
    key: [u8; 32],
}

impl std::fmt::Debug for CodeHome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeHome").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl CodeHome {
    /// The one of a state folder.
    pub fn of(state: &StateFolder) -> Self {
        Self { folder: state.code_path(), key: *state.host_key().derive(SubKey::CodeCache).as_bytes() }
    }
}

/// What can be begun before anything is known about the DNA: the machine looked at, and the longest
/// step of a start, the plain engine's pool, on a thread of its own.
#[derive(Debug)]
pub struct HeadStart {
    machine: Machine,
    incubator: Option<Incubator>,
}

impl HeadStart {
    /// Begins; `cells` as in [`GrowConfig`]. The DNA may turn out to need another plan, then this
    /// was in vain.
    pub fn take(cells: Option<u32>) -> Self {
        let machine = Machine::look();
        Self::on(machine, cells)
    }

    /// Begins as one of `hosts` that share the machine's memory and descriptors.
    pub fn share(hosts: u32, cells: Option<u32>) -> Self {
        Self::on(Machine::look().share(hosts), cells)
    }

    fn on(machine: Machine, cells: Option<u32>) -> Self {
        // Without a thread to spare the engine is made later.
        let incubator = Incubator::start(geometry(machine.plan(1, 1, cells))).ok();
        Self { machine, incubator }
    }
}

fn geometry(plan: Plan) -> Geometry {
    Geometry { slots: plan.slots, warm_bytes: usize::try_from(plan.warm_bytes).unwrap_or(usize::MAX) }
}

/// What grows on a state folder, before anything can reach it.
pub struct Body {
    /// Where it lives.
    pub state: StateFolder,
    /// What it was grown from.
    pub manifest: Manifest,
    /// The manifest's digest.
    pub digest: Digest,
    /// The genes, by name.
    pub grown: Vec<Grown>,
    /// What the machine allows.
    pub machine: Machine,
    /// What follows from it.
    pub plan: Plan,
    /// The living part.
    pub genome: Arc<Genome>,
    /// What happened.
    pub events: Arc<EventLog>,
    /// What keeps it across restarts, once the host serves.
    pub recorder: Arc<Recorder>,
    /// What guests said.
    pub logs: Arc<GuestLog>,
    /// What guests name and never see.
    pub secrets: Arc<Secrets>,
    /// What sends their outbound requests.
    pub client: Arc<outbound::Client>,
    /// What is wanted of the genes.
    pub wishes: Arc<Wishes>,
    /// What operators turned.
    pub live: Arc<Live>,
    /// Whether anything is started ahead of a request.
    pub switch: Switch,
    /// What operators wished and the DNA no longer allows.
    pub dropped: Vec<Dropped>,
    pub(super) started_ms: u64,
    pub(super) clock: Clock,
    pub(super) alarm: Arc<Alarm>,
    pub(super) ear: Ear,
    pub(super) inbox: mpsc::Receiver<Event>,
    pub(super) threads: Threads,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("grown", &self.grown).finish_non_exhaustive()
    }
}

impl Body {
    /// Grows `admitted` on `state`. `tell` hears of each gene as it becomes ready.
    ///
    /// # Errors
    /// [`Code::Routes`] for two genes on one route, [`Code::Component`] and [`Code::Prepare`] for
    /// genes, [`Code::Machine`] for threads, [`Code::State`] for files.
    pub fn grow(
        state: StateFolder,
        admitted: Admitted,
        config: GrowConfig,
        begun: HeadStart,
        tell: &(dyn Fn(&Grown) + Sync),
    ) -> Result<Self, CliError> {
        let HeadStart { machine, incubator } = begun;
        let manifest = admitted.dna.manifest().clone();
        check_routes(&manifest)?;
        let events = EventLog::new(Some(open_log(&state, "events.jsonl")?));
        let (recorder, started_ms) = (Recorder::new(), wall_ms());
        events.tell(recorder.clone());
        voice::record_in(&events);
        record_start(&events, &admitted, config.loader);
        let inspections = growth::inspect(&admitted, machine.cores)?;
        let (wishes, dropped) = Wishes::load(state.head(), &manifest.genes, wall_ms())?;
        record_dropped(&events, &dropped);
        let logs = GuestLog::new(Some(open_log(&state, "guests.jsonl")?), config.show);
        let secrets = Arc::new(Secrets::load(state.head(), state.host_key())?);
        let (ear, inbox) = governor::inbox();
        let threads = Threads::start(machine.cores, config.polled)?;
        let clock = Clock::start();
        let plan = machine.plan(manifest.genes.len(), growth::engines(&inspections), config.cells);
        let alarm = ear.alarm();
        let code = config.code.unwrap_or_else(|| CodeHome::of(&state));
        let compiler = config.loader.compiler(loading::compiler(config.compile_cpu)?);
        let genome = genome(code, plan, incubator, compiler, &threads, clock, alarm.clone())?;
        let client = client(&secrets, config.extra_roots, threads.cytoplasm())?;
        let tick = Nanos::from_millis(manifest.policy.hormones.tick_ms.into());
        let hands = growth::hands(&logs, client.clone(), &ear, tick);
        let grown = growth::grow(&genome, &state, &admitted, inspections, &hands, machine.cores, tell)?;
        for gene in &grown {
            events.record(gene.happening());
        }
        let (live, gone) = Live::load(state.head(), &genome, &machine, plan, threads.polled, &grown)?;
        for limit in gone {
            events.record(limit.happening());
        }
        live.follow(&wishes);
        let digest = admitted.dna.digest();
        Ok(Self {
            state,
            manifest,
            digest,
            grown,
            machine,
            plan,
            genome,
            events,
            recorder,
            logs,
            secrets,
            client,
            wishes: Arc::new(wishes),
            live: Arc::new(live),
            switch: config.switch,
            dropped,
            started_ms,
            clock,
            alarm,
            ear,
            inbox,
            threads,
        })
    }

    /// Runs one task gene to its end with this process's standard streams.
    pub async fn run_task(&self, gene: &Grown, arguments: TaskArguments) -> TaskEnd {
        let (genome, pre) = (self.genome.clone(), gene.pre.clone());
        let task = self.threads.cytoplasm().spawn(async move { genome.run_task(&pre, arguments).await });
        match task.await {
            Ok(end) => end,
            Err(error) => TaskEnd::Failed(error.to_string()),
        }
    }

    /// The threads that accept, govern and answer the control socket.
    pub fn membrane(&self) -> &Handle {
        self.threads.membrane()
    }
}

fn genome(
    code: CodeHome,
    plan: Plan,
    incubator: Option<Incubator>,
    compiler: Option<Compiler>,
    threads: &Threads,
    clock: Clock,
    alarm: Arc<Alarm>,
) -> Result<Arc<Genome>, CliError> {
    let config = GenomeConfig {
        geometry: geometry(plan),
        memory_max: plan.memory_max,
        cells_max: plan.cells_max,
        code_folder: code.folder,
        code_key: code.key,
        compiler,
        lanes: Lanes {
            cytoplasm: threads.cytoplasm().clone(),
            slow: threads.slow().clone(),
            slow_at_once: threads.polled.default - threads.polled.inline,
        },
        clock,
        alarm,
    };
    Genome::new(config, incubator).map_err(|error| machine_error("cannot start the pulse", &error))
}

/// Sends what genes may send; fills in secrets from this host's own.
fn client(
    secrets: &Arc<Secrets>,
    extra_roots: Vec<u8>,
    on: &Handle,
) -> Result<Arc<outbound::Client>, CliError> {
    let secrets = secrets.clone();
    let config = OutboundConfig { extra_roots, ..OutboundConfig::default() };
    let client = outbound::Client::new(config, Arc::new(move |_gene, name| secrets.get(name)), on.clone());
    let client = client
        .map_err(|error| CliError::new(Code::Machine, "cannot make outbound requests", error.to_string()))?;
    Ok(Arc::new(client))
}

/// Two genes on one route are told apart before anything is compiled.
fn check_routes(manifest: &Manifest) -> Result<(), CliError> {
    let claim =
        |gene: &cyte_dna::Gene| Claim { gene: gene.name.clone(), routes: gene.routes.clone(), mount: () };
    Routes::build(manifest.genes.iter().map(claim).collect()).map(drop).map_err(|error| conflict(&error))
}

fn open_log(state: &StateFolder, name: &str) -> Result<RotatedFile, CliError> {
    RotatedFile::open(state.logs()?, name)
        .map_err(|error| CliError::new(Code::State, format!("cannot write `{name}`"), error.to_string()))
}

fn record_start(events: &EventLog, admitted: &Admitted, loader: Loader) {
    events.record(Happening::Started { version: env!("CARGO_PKG_VERSION").into(), pid: std::process::id() });
    loading::record_security(events, admitted);
    loading::record_loader(events, loader);
}

fn record_dropped(events: &EventLog, dropped: &[Dropped]) {
    for Dropped { why, .. } in dropped {
        events.record(Happening::WishDropped {
            gene: why.gene.to_string(),
            field: why.field.to_owned(),
            asked: why.asked.clone(),
            allowed: why.allowed.clone(),
        });
    }
}
