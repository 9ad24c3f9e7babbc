//! One host: everything wired together, from verified DNA to a listening gateway, and down again.
//!
//! [`Body::grow`] prepares the genes and starts the threads (`membrane` for accepting, governing
//! and control, `cytoplasm` for connections and guests, a slow lane of lower priority).
//! [`Host::serve`] puts the gateway in front and comes back once the first request would be
//! answered; [`Host::stop`] drains. No decision is made here.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cyte_dna::limits::{POLLED_CALLS_PER_CORE, POLLED_CALLS_PER_CORE_MAX};
use cyte_dna::{Digest, Manifest, SubKey};
use cyte_engine::compile::Compiler;
use cyte_engine::{
    Alarm, Clock, Genome, GenomeConfig, Geometry, Incubator, Lanes, TaskArguments, TaskEnd, Tissue,
};
use cyte_gateway::{AccessLog, Claim, FrontLimits, Gateway, Listener, Mount, RouteConflict, Routes};
use cyte_organism::Nanos;
use cyte_organism::constants::Constants;
use cyte_organism::expressor::Switch;
use cyte_organism::wish::Dropped;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};

use crate::codes::Code;
use crate::colony::{Around, Colonist, Overflow, Seat};
use crate::control::find::Place;
use crate::control::{HostView, HostsView, server};
use crate::egg::Egg;
use crate::error::CliError;
use crate::event::{EventLog, Happening};
use crate::flight::Flight;
use crate::governor::{self, Charge, Ear, Event, Governor, Population, Pressure, Soil};
use crate::growth::{self, Governed, Grown};
use crate::hormones::Hormone;
use crate::live::{Live, Polled};
use crate::loading::{self, Loader};
use crate::log::{GuestLog, Show};
use crate::machine::{Machine, Plan};
use crate::outbound::{self, OutboundConfig};
use crate::policies::{Desk, Policies};
use crate::record::{Diary, Observed, Recorder};
use crate::state::StateFolder;
use crate::state::clock::wall_ms;
use crate::state::rotate::RotatedFile;
use crate::state::secrets::Secrets;
use crate::state::trust::Admitted;
use crate::view::View;
use crate::voice;
use crate::wishes::Wishes;

/// How long threads get to end after everything was drained.
const LAST_MOMENTS: Duration = Duration::from_millis(200);
/// How long what happened waits to be kept: a host that is killed loses that much at most.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How much nicer to others the slow lane's threads are.
const SLOW_NICENESS: i32 = 10;
/// Records of this host that may wait for its part in the colony; more are not told to others.
const RECORDS_COPIED: usize = 4_096;
/// Threads for what blocks in the kernel, files mostly.
const BLOCKING_THREADS: usize = 16;

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
    started_ms: u64,
    clock: Clock,
    alarm: Arc<Alarm>,
    ear: Ear,
    inbox: mpsc::Receiver<Event>,
    threads: Threads,
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

/// What is in front of a body.
pub struct Front {
    /// Where the gateway listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// XDG_RUNTIME_DIR, where it is set: the control socket goes there.
    pub runtime: Option<PathBuf>,
    /// Who hears of every request.
    pub access: Option<Arc<dyn AccessLog>>,
    /// Its place among other hosts, where there are several.
    pub seat: Option<Seat>,
    /// The hosts of this process, where it runs several.
    pub village: Option<Arc<dyn HostsView>>,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// A host that serves.
pub struct Host {
    gateway: Arc<Gateway>,
    view: Arc<View>,
    ear: Ear,
    stop: watch::Sender<bool>,
    address: SocketAddr,
    threads: Threads,
    place: Place,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Host {
    /// Puts a gateway in front of `body` and the control socket beside it. The first request is
    /// answered when this comes back.
    ///
    /// # Errors
    /// [`Code::Listen`] for the address, [`Code::Machine`] for the control socket.
    pub fn serve(body: Body, front: Front) -> Result<Self, CliError> {
        let Body { mut state, events, recorder, threads, genome, grown, alarm, ear, inbox, clock, .. } = body;
        let tissues: Vec<Arc<Tissue>> = grown.iter().filter_map(|gene| gene.tissue.clone()).collect();
        let egg = Egg::lay(clock.now(), events.clone());
        let overflow =
            front.seat.as_ref().map(|seat| Overflow::of(seat, clock, threads.cytoplasm(), &tissues));
        let gateway = gateway(&body.machine, &tissues, front.access, overflow.as_deref())?;
        let listener = bind(&threads, front.listen, &gateway)?;
        let address = listener.local_addr().map_err(|error| listen_error(front.listen, &error))?;
        let (place, control) = open_control(&threads, &mut state, front.runtime)?;
        let neuron = grown.iter().find_map(|gene| genome.neuron(gene.pre.clone()));
        let (copies, records) = mpsc::channel(RECORDS_COPIED);
        if front.seat.is_some() {
            recorder.copy_to(copies);
        }
        let desk = Desk { on: threads.cytoplasm(), logs: &body.logs, recorder: &recorder, events: &events };
        let policies = Policies::start(&genome, &grown, &desk);
        start_recorder(&recorder, &state, &body.wishes, body.started_ms, &tissues)?;
        let flight = Arc::new(flight(&state, &body.manifest, &tissues, &events)?);
        let view = Arc::new(View {
            state,
            manifest: body.manifest,
            digest: body.digest,
            machine: body.machine,
            plan: body.plan,
            genome,
            grown,
            gateway: gateway.clone(),
            events: events.clone(),
            recorder: recorder.clone(),
            logs: body.logs,
            secrets: body.secrets,
            client: body.client,
            wishes: body.wishes,
            egg,
            live: body.live,
            switch: body.switch,
            outlook: Arc::default(),
            levels: Arc::default(),
            neuron,
            policies,
            flight,
            ear: ear.clone(),
            clock,
            address,
            started_ms: body.started_ms,
            commons: Arc::default(),
            village: front.village,
        });
        if let Some((seat, overflow)) = front.seat.zip(overflow) {
            threads.membrane().spawn(Colonist::run(seat, around(&view, &tissues, overflow), records));
        }
        let populations =
            tissues.into_iter().map(|tissue| -> Arc<dyn Population> { Arc::new(Governed(tissue)) }).collect();
        let governor =
            Governor::new(populations, events.clone(), alarm, inbox, charge(&view, threads.cytoplasm())?);
        // The governor asks for the time when something woke it: at the first request after a rest too.
        let now = move || {
            recorder.nudge();
            clock.now()
        };
        threads.membrane().spawn(governor.run(now));
        let (stop, stopped) = watch::channel(false);
        let shown: Arc<dyn HostView> = view.clone();
        threads.membrane().spawn(server::serve(control, shown, stopped));
        threads.membrane().spawn(listener.run());
        events.record(Happening::Listening { url: format!("http://{address}") });
        Ok(Self { gateway, view, ear, stop, address, threads, place })
    }

    /// Where the gateway listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the control API shows.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The same for whoever answers for several hosts.
    pub fn shown(&self) -> Arc<dyn HostView> {
        self.view.clone()
    }

    /// Waits for `future` on the host's own threads.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.threads.membrane().block_on(future)
    }

    /// A signal released this hormone, as strong as one may be.
    pub fn hears(&self, hormone: &Hormone) {
        const STRENGTH: f64 = 1.0;
        let strength = hormone.signed(STRENGTH);
        let (verb, subject) = ("hormone.release".to_owned(), format!("{hormone} {STRENGTH}"));
        self.ear.tell(Event::Operator { uid: rustix::process::getuid().as_raw(), verb, subject });
        self.ear.tell(Event::Release { gene: hormone.gene.clone(), strength, answer: None });
    }

    /// Takes nothing new, lets open requests end within the gateway's bound, then stops. Says how
    /// many connections had to be cut.
    pub async fn drain(&self, reason: &str) -> usize {
        self.view.events.record(Happening::Draining { reason: reason.to_owned() });
        self.gateway.drain().await
    }

    /// Ends the host as a power cut would, as far as others can tell: nothing is drained, and it
    /// says no word of farewell.
    pub fn kill(self) {
        self.stop.send_replace(true);
        self.ear.tell(Event::Shutdown);
        self.view.recorder.finish();
        drop(self.place);
        self.threads.stop();
    }

    /// Ends the host: control socket, governor, what is to be kept, threads, lock, in this order.
    pub fn stop(self) {
        self.view.events.record(Happening::Stopped);
        self.stop.send_replace(true);
        self.ear.tell(Event::Shutdown);
        self.view.recorder.finish();
        drop(self.place);
        self.threads.stop();
    }
}

/// The threads of a host.
struct Threads {
    membrane: Runtime,
    cytoplasm: Runtime,
    slow: Runtime,
    polled: Polled,
}

impl Threads {
    /// `polled` guests may be polled at once, one at least in each lane. The slow lane has threads to
    /// spare, which sleep until that is raised.
    fn start(cores: usize, polled: Option<u32>) -> Result<Self, CliError> {
        let polled = polled.map_or(cores * POLLED_CALLS_PER_CORE, |polled| polled as usize);
        let inline = cores.min(polled.saturating_sub(1)).max(1);
        let beside = polled.saturating_sub(inline).max(1);
        let most = polled.max(cores * POLLED_CALLS_PER_CORE_MAX).max(inline + beside);
        let spare = most - inline;
        let build = |builder: &mut Builder| {
            builder
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
                .map_err(|error| machine_error("cannot start threads", &error))
        };
        let membrane = build(Builder::new_multi_thread().worker_threads(1).thread_name("membrane"))?;
        let cytoplasm = build(Builder::new_multi_thread().worker_threads(inline).thread_name("cytoplasm"))?;
        let slow = build(
            Builder::new_multi_thread().worker_threads(spare).thread_name("slow-lane").on_thread_start(
                || {
                    // On Linux this is one thread's own; without it the lane is only less fair.
                    let _ = rustix::process::nice(SLOW_NICENESS);
                },
            ),
        )?;
        let count = |threads: usize| u32::try_from(threads).unwrap_or(u32::MAX);
        let polled = Polled { inline: count(inline), default: count(inline + beside), most: count(most) };
        Ok(Self { membrane, cytoplasm, slow, polled })
    }

    fn membrane(&self) -> &Handle {
        self.membrane.handle()
    }

    fn cytoplasm(&self) -> &Handle {
        self.cytoplasm.handle()
    }

    /// Ends what holds the state folder first, then the guests. One that still computes is waited
    /// for a moment and then left to the end of the process: nobody waits for its answer any more.
    fn stop(self) {
        for threads in [self.membrane, self.cytoplasm, self.slow] {
            threads.shutdown_timeout(LAST_MOMENTS);
        }
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
            slow: threads.slow.handle().clone(),
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

fn conflict(error: &RouteConflict) -> CliError {
    let what = format!("cannot mount genes `{}` and `{}`", error.first, error.second);
    CliError::new(Code::Routes, what, format!("both want the route `{}`", error.route))
        .help("give one of them another `route` in dna.toml")
}

fn gateway(
    machine: &Machine,
    tissues: &[Arc<Tissue>],
    access: Option<Arc<dyn AccessLog>>,
    overflow: Option<&Overflow>,
) -> Result<Arc<Gateway>, CliError> {
    let limits = FrontLimits::default().within_descriptors(machine.descriptors);
    let gateway = Gateway::new(limits, seed()?, access);
    let claims = |tissue: &Arc<Tissue>| {
        let elsewhere = overflow.and_then(|overflow| overflow.way(&tissue.gene().name));
        Mount::claims(tissue, elsewhere.as_ref())
    };
    let claims = tissues.iter().flat_map(claims).collect();
    gateway.mount(Routes::build(claims).map_err(|error| conflict(&error))?);
    Ok(gateway)
}

fn bind(threads: &Threads, address: SocketAddr, gateway: &Arc<Gateway>) -> Result<Listener, CliError> {
    let cytoplasm = threads.cytoplasm().clone();
    threads
        .membrane()
        .block_on(async { Listener::bind(address, gateway.clone(), cytoplasm) })
        .map_err(|error| listen_error(address, &error))
}

fn listen_error(address: SocketAddr, error: &io::Error) -> CliError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not listen there".to_owned(),
        _ => error.to_string(),
    };
    let made = CliError::new(Code::Listen, format!("cannot listen on {address}"), why);
    match address.port() {
        0 => made.help("--listen 127.0.0.1:0 takes a free port of this machine alone"),
        _ => made.help(format!("--listen {}:0 takes a free port", address.ip())),
    }
}

fn open_control(
    threads: &Threads,
    state: &mut StateFolder,
    runtime: Option<PathBuf>,
) -> Result<(Place, tokio::net::UnixListener), CliError> {
    let place = Place::make(state.path(), runtime.as_deref())?;
    let failed = |error: io::Error| machine_error("cannot make the control socket", &error);
    let bound = threads.membrane().block_on(async { server::bind(place.socket()) }).map_err(failed)?;
    state.announce(place.path())?;
    place.register(state.path()).map_err(failed)?;
    Ok((place, bound))
}

/// Keeps what happens, and what these tissues count, in the state folder.
fn start_recorder(
    recorder: &Arc<Recorder>,
    state: &StateFolder,
    wishes: &Wishes,
    started_ms: u64,
    tissues: &[Arc<Tissue>],
) -> Result<(), CliError> {
    let diary = Diary {
        path: state.phenotype_path(),
        host: state.host_key().id().into(),
        labels: wishes.host_labels().clone(),
        started_ms,
        every: COMMIT_EVERY,
    };
    let tissues = tissues.iter().map(|tissue| Arc::clone(tissue) as Arc<dyn Observed>).collect();
    recorder
        .start(diary, tissues)
        .map_err(|error| machine_error("cannot start a thread to keep what happens", &error))
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

/// What the host's part in the colony is made from.
fn around(view: &Arc<View>, tissues: &[Arc<Tissue>], overflow: Arc<Overflow>) -> Around {
    Around {
        genome: view.genome.clone(),
        tissues: tissues.to_vec(),
        cells_max: view.plan.cells_max,
        wishes: view.wishes.clone(),
        levels: view.levels.clone(),
        outlook: view.outlook.clone(),
        commons: view.commons.clone(),
        overflow,
        ear: view.ear.clone(),
        events: view.events.clone(),
        recorder: view.recorder.clone(),
        clock: view.clock,
        me: view.id(),
        started_ms: view.started_ms,
    }
}

/// What the governor rules by, and where it says how things stand.
fn charge(view: &Arc<View>, cytoplasm: &Handle) -> Result<Charge, CliError> {
    let policy = &view.manifest.policy;
    let constants = Constants::new(&policy.hormones, &policy.pool).map_err(|error| {
        CliError::new(Code::Bundle, "the policy of this DNA cannot be lived by", error.to_string())
    })?;
    let genome = view.genome.clone();
    let pressure = Pressure {
        wishes: view.wishes.clone(),
        switch: view.switch,
        outlook: view.outlook.clone(),
        room: Box::new(move || genome.room().saturating_add(genome.stems())),
        seed: seed()?,
        commons: view.village.is_some().then(|| view.commons.clone()),
    };
    let ground = Box::new(Soil::new(view.genome.clone(), view.machine.cores));
    let (levels, neuron, flight) = (view.levels.clone(), view.neuron.clone(), view.flight.clone());
    let egg = view.egg.clone();
    let judge = view.policies.judge(view.ear.clone(), cytoplasm.clone(), view.events.clone());
    Ok(Charge { constants, ground, awake: policy.awake, egg, levels, neuron, judge, flight, pressure })
}

/// What makes recordings of these tissues, in their order.
fn flight(
    state: &StateFolder,
    manifest: &Manifest,
    tissues: &[Arc<Tissue>],
    events: &Arc<EventLog>,
) -> Result<Flight, CliError> {
    let folder = state.dir().try_clone();
    let folder = folder.map_err(|error| machine_error("cannot open the state folder once more", &error))?;
    let genes = tissues.iter().map(|tissue| tissue.gene().name.to_string()).collect();
    Ok(Flight::new(manifest.organism.to_string(), genes, folder, events.clone()))
}

/// Random bits for what must differ from host to host.
///
/// # Errors
/// [`Code::Machine`] when the system has none.
pub fn seed() -> Result<u64, CliError> {
    let mut seed = [0_u8; 8];
    getrandom::fill(&mut seed)
        .map_err(|error| CliError::new(Code::Machine, "cannot draw random bytes", error.to_string()))?;
    Ok(u64::from_le_bytes(seed))
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

fn machine_error(what: &str, error: &io::Error) -> CliError {
    CliError::new(Code::Machine, what, error.to_string())
}
