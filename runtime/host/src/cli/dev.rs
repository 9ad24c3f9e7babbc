//! `cyte dev`: a project on several hosts of one process, to see what an organism does when they come
//! and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use cyte_dna::{Germline, Purpose};
use cyte_medium::{Mem, Peer, Weather};
use cyte_organism::dice::{Dice, Key};
use cyte_organism::expressor::Switch;
use cyte_organism::phenotype::HostId;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::develop::Development;
use super::run::{Heard, Signals, extra_roots, interrupted};
use super::{Context, Done, Exit, ask, project, span};
use crate::codes::Code;
use crate::colony::{Seat, Village};
use crate::control::find::Place;
use crate::control::server;
use crate::error::CliError;
use crate::loading::Loader;
use crate::log::Show;
use crate::state::StateFolder;
use crate::state::trust::{self, FirstTrust};
use crate::supervise::{Body, CodeHome, Front, GrowConfig, HeadStart, Host, seed};
use crate::workshop::Mode;

/// How a message travels between the hosts of one process: about as between machines of one room.
const WEATHER: Weather =
    Weather { least: Duration::from_micros(500), most: Duration::from_millis(3), loss: 0.0, twice: 0.0 };
/// Cells of all hosts together, where no number was asked for; each gets its part.
const CELLS_SHARED: u32 = 1_024;
/// The least of it that a host gets.
const CELLS_LEAST: u32 = 32;
/// From so many hosts on each polls no more than two guests at once.
const CROWD: u32 = 5;
/// How long the answer to whoever ended a host may take to leave.
const LAST_ANSWER: Duration = Duration::from_millis(100);

/// Run a project on several hosts in one process, until Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte dev . --hosts 3\n  cyte dev . --hosts 3 --listen 127.0.0.1:8080\n  cyte hosts\n  cyte host kill 2\n\nEach host has a state folder of its own, .cyte/hosts/N, which other verbs take with --state."
)]
pub(super) struct Dev {
    /// A project folder or a component (X.wasm)
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    hosts: u32,
    /// Where the first host listens, the others on the ports after it; port 0 takes free ones
    #[arg(long, value_name = "ADDR", env = "CYTE_LISTEN", hide_env = true, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The state folder [default: .cyte in the project]
    #[arg(long, value_name = "DIR", env = "CYTE_STATE", hide_env = true)]
    state: Option<PathBuf>,
    /// How many cells may be alive at once on each host [default: 1024 shared by all]
    #[arg(long, value_name = "N", env = "CYTE_CELLS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..))]
    cells: Option<u32>,
    /// CPU that compiling one gene may take, for slow machines [default: 5s, and 1.5s a MiB]
    #[arg(long, value_name = "SPAN", env = "CYTE_COMPILE_CPU", hide_env = true, value_parser = span::parse)]
    compile_cpu: Option<Duration>,
}

pub(super) fn run(verb: &Dev, context: &Context) -> Done {
    let project = project::open(&verb.path)?;
    let state_path = verb.state.clone().unwrap_or_else(|| project::state_of(&project, &verb.path));
    let mut state = StateFolder::open(&state_path)?;
    let development = Development::begin(&state, &project)?;
    let made = project::make(project, Mode::Build, context)?;
    made.check_imports()?;
    let bytes = development.bundle(&state, made)?;
    let name = verb.path.display().to_string();
    trust::admit(&state, &name, &bytes, &FirstTrust::Nobody, Purpose::Deploy)?;
    let organism = Organism { name, bytes, germline: development.germline(), code: CodeHome::of(&state) };

    let threads = Builder::new_multi_thread().worker_threads(1).thread_name("village").enable_all().build();
    let threads = threads.map_err(|error| machine("cannot start threads", &error))?;
    let mem = Mem::new(WEATHER, seed()?, Instant::now());
    threads.spawn(Arc::clone(&mem).run(Instant::now));
    let village = Village::new(Arc::clone(&mem), std::time::Instant::now());
    let mut signals = Signals::listen(threads.handle())?;
    settle(verb, &state, &organism, &mem, &village, context)?;
    let place = open_door(&threads, &mut state, &village)?;
    context
        .note(&format!("dev        {} hosts: cyte hosts shows them, cyte host --help ends them", verb.hosts));
    let reason = threads.block_on(async {
        loop {
            if let Heard::Stop(reason) = signals.next().await {
                break reason;
            }
        }
    });
    context.note(&format!("draining   {reason}: open requests may end, a second signal ends them"));
    let hosts = village.leave();
    let drained = threads.block_on(async {
        tokio::select! {
            () = async { for host in &hosts { host.drain(reason).await; } } => true,
            () = signals.stop() => false,
        }
    });
    hosts.into_iter().for_each(Host::stop);
    drop(place);
    threads.shutdown_background();
    if drained { Ok(Exit::OK) } else { Err(interrupted()) }
}

/// What all hosts have in common.
struct Organism {
    name: String,
    bytes: Vec<u8>,
    germline: Germline,
    code: CodeHome,
}

/// Opens every host's folder, so that all are known, then grows one after the other.
fn settle(
    verb: &Dev,
    state: &StateFolder,
    organism: &Organism,
    mem: &Arc<Mem>,
    village: &Arc<Village>,
    context: &Context,
) -> Result<(), CliError> {
    let mut folders = Vec::new();
    for number in 1..=verb.hosts {
        let folder = StateFolder::open(&state.path().join("hosts").join(number.to_string()))?;
        let me: HostId = folder.host_key().id().into();
        folders.push((number, format!("host-{number}"), me, folder));
    }
    let roster: BTreeMap<HostId, String> =
        folders.iter().map(|(_, name, me, _)| (*me, name.clone())).collect();
    let seats: Vec<_> = folders.iter().map(|(_, _, me, _)| mem.join(Peer(me.0))).collect();
    let key = Key::new([seed()?, seed()?]);
    let mut dice = Dice::new(seed()?);
    for ((number, name, _, folder), (station, inbox)) in folders.into_iter().zip(seats) {
        let told = context.clone();
        let seat = Seat {
            name: name.clone(),
            station,
            inbox,
            roster: roster.clone(),
            key,
            seed: dice.bits(),
            tell: Arc::new(move |line| told.note(line)),
        };
        let host = one(verb, folder, organism, seat, number, village, context)?;
        if context.is_json() {
            let mut line = json!(host.view().listening());
            if let Some(line) = line.as_object_mut() {
                line.insert("host".into(), name.as_str().into());
            }
            context.line(&line)?;
        } else {
            context.print(&format!("{name:<9}  listening  http://{}\n", host.address()))?;
        }
        village.settle(number, name, host);
    }
    Ok(())
}

fn one(
    verb: &Dev,
    folder: StateFolder,
    organism: &Organism,
    seat: Seat,
    number: u32,
    village: &Arc<Village>,
    context: &Context,
) -> Result<Host, CliError> {
    let cells = verb.cells.unwrap_or((CELLS_SHARED / verb.hosts).max(CELLS_LEAST));
    let begun = HeadStart::share(verb.hosts, Some(cells));
    let trust = FirstTrust::Germline(organism.germline.clone());
    let admitted = trust::admit(&folder, &organism.name, &organism.bytes, &trust, Purpose::Deploy)?;
    let config = GrowConfig {
        cells: Some(cells),
        polled: (verb.hosts >= CROWD).then_some(2),
        compile_cpu: verb.compile_cpu,
        loader: Loader::BuiltIn,
        switch: Switch::On,
        show: if context.quiet { Show::Nowhere } else { Show::Named(seat.name.as_str().into()) },
        extra_roots: extra_roots(&admitted)?,
        code: Some(organism.code.clone()),
    };
    let body = Body::grow(folder, admitted, config, begun, &|grown| {
        if number == 1 {
            context.note(&project::grown_line(&grown.gene, grown.pre.inspection(), grown.took));
        }
    })?;
    let front = Front {
        listen: port_of(verb.listen, number)?,
        runtime: ask::runtime_folder(),
        access: None,
        seat: Some(seat),
        village: Some(village.clone()),
    };
    Host::serve(body, front)
}

/// The address of a host: the ports follow each other, unless they are to be free ones.
fn port_of(first: SocketAddr, number: u32) -> Result<SocketAddr, CliError> {
    let mut address = first;
    if first.port() != 0 {
        let port = u32::from(first.port()).saturating_add(number.saturating_sub(1));
        let port = u16::try_from(port).map_err(|_| {
            CliError::new(Code::Usage, "cannot give every host a port", "they go beyond 65535")
                .help("--listen 127.0.0.1:0 takes free ones")
        })?;
        address.set_port(port);
    }
    Ok(address)
}

/// Answers for the project's own state folder what its first living host would: a person in the
/// project need not choose one.
fn open_door(threads: &Runtime, state: &mut StateFolder, village: &Arc<Village>) -> Result<Place, CliError> {
    let place = Place::make(state.path(), ask::runtime_folder().as_deref())?;
    let failed = |error: std::io::Error| machine("cannot make the control socket", &error);
    let first = threads.block_on(async { server::bind(place.socket()) }).map_err(failed)?;
    state.announce(place.path())?;
    place.register(state.path()).map_err(failed)?;
    let (path, village) = (place.path().to_owned(), village.clone());
    threads.spawn(async move {
        let mut listener = Some(first);
        while let (Some(open), Some(view)) = (listener.take(), village.first()) {
            let (stop, stopped) = watch::channel(false);
            let serving = tokio::spawn(server::serve(open, view, stopped));
            village.changed().await;
            // Nobody finds the door shut: the new one takes the old one's name.
            let beside = path.with_extension("next");
            let bound = server::bind(&beside);
            listener = bound.and_then(|bound| std::fs::rename(&beside, &path).map(|()| bound)).ok();
            tokio::spawn(async move {
                tokio::time::sleep(LAST_ANSWER).await;
                stop.send_replace(true);
                let _ = serving.await;
            });
        }
    });
    Ok(place)
}

fn machine(what: &str, error: &std::io::Error) -> CliError {
    CliError::new(Code::Machine, what, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_each_other_or_are_free_ones() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(port_of(at("127.0.0.1:8080"), 3).unwrap(), at("127.0.0.1:8082"));
        assert_eq!(port_of(at("127.0.0.1:0"), 3).unwrap(), at("127.0.0.1:0"));
        assert_eq!(port_of(at("127.0.0.1:65535"), 2).unwrap_err().code, Code::Usage);
    }
}
