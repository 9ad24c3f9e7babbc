//! One host: everything wired together, from verified DNA to a listening gateway, and down again.
//!
//! [`Body::grow`] prepares the genes and starts the [`threads`].
//! [`Host::serve`] puts the gateway in front and comes back once the first request would be
//! answered; [`Host::stop`] drains. No decision is made here.

mod body;
mod threads;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cyte_dna::Manifest;
use cyte_engine::Tissue;
use cyte_gateway::{AccessLog, FrontLimits, Gateway, Listener, Mount, RouteConflict, Routes};
use cyte_organism::constants::Constants;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

pub use body::{Body, CodeHome, GrowConfig, HeadStart};
use threads::Threads;

use crate::codes::Code;
use crate::colony::{Around, Colonist, Overflow, Seat};
use crate::control::find::Place;
use crate::control::{HostView, HostsView, server};
use crate::egg::Egg;
use crate::error::CliError;
use crate::event::{EventLog, Happening};
use crate::flight::Flight;
use crate::governor::{Charge, Ear, Event, Governor, Population, Pressure, Soil};
use crate::growth::Governed;
use crate::hormones::Hormone;
use crate::machine::Machine;
use crate::policies::{Desk, Policies};
use crate::record::{Diary, Observed, Recorder};
use crate::state::StateFolder;
use crate::view::View;
use crate::wishes::Wishes;

/// How long what happened waits to be kept: a host that is killed loses that much at most.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Records of this host that may wait for its part in the colony; more are not told to others.
const RECORDS_COPIED: usize = 4_096;

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

fn machine_error(what: &str, error: &io::Error) -> CliError {
    CliError::new(Code::Machine, what, error.to_string())
}
