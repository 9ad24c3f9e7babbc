//! `cyte run`: a project, a bundle or a component, in the foreground until a signal.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use cyte_dna::{Introduction, Purpose, Role};
use cyte_engine::{Breach, TaskArguments, TaskEnd};
use cyte_gateway::AccessLog;
use cyte_organism::expressor::Switch;
use cyte_store::AuditEntry;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::develop::Development;
use super::{Context, Done, Exit, ask, files, project, span};
use crate::access::AccessToStderr;
use crate::codes::Code;
use crate::error::CliError;
use crate::growth::Grown;
use crate::hormones::Hormone;
use crate::loading::Loader;
use crate::log::Show;
use crate::state::trust::{self, Admitted, FirstTrust};
use crate::state::{IN_PROJECT, StateFolder, clock, head_error};
use crate::supervise::{Body, Front, GrowConfig, HeadStart, Host};
use crate::wishes::drop_text;
use crate::workshop::{Mode, Project};

/// How long genes may take before a person is told what is going on.
const PATIENCE: Duration = Duration::from_secs(1);
/// The largest file of root certificates.
const ROOTS_MAX: u64 = 16 * 1024 * 1024;

/// Run a project, a bundle or a component in the foreground, until Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte run .\n  cyte run hello.wasm --listen 127.0.0.1:0\n  cyte run shop.dna --germline shop.germline --state /var/lib/cyte\n  cyte run tool.wasm --task -- --count 3\n  cyte run shop-1.dna --return --state /var/lib/cyte"
)]
pub(super) struct Run {
    /// A project folder, a bundle (X.dna) or a component (X.wasm)
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "CYTE_LISTEN", hide_env = true, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The state folder [default: .cyte in the project, else here]
    #[arg(long, value_name = "DIR", env = "CYTE_STATE", hide_env = true)]
    state: Option<PathBuf>,
    /// Whom an empty state folder is to trust
    #[arg(long, value_name = "FILE")]
    germline: Option<PathBuf>,
    /// Trust the germline that the bundle carries, if the state folder trusts nobody yet
    #[arg(long)]
    yes: bool,
    /// Go back to this bundle, which the state folder accepted before
    #[arg(long = "return", conflicts_with_all = ["germline", "yes"])]
    go_back: bool,
    /// How many cells may be alive at once [default: what the machine allows, 1024 at most]
    #[arg(long, value_name = "N", env = "CYTE_CELLS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..))]
    cells: Option<u32>,
    /// How many calls of guests may be polled at once; one that waits does not count [default: 2 x cores]
    #[arg(long, value_name = "N", env = "CYTE_POLLED_CALLS", hide_env = true, value_parser = clap::value_parser!(u32).range(2..=1024))]
    polled_calls: Option<u32>,
    /// Start nothing ahead of a request, whatever is wanted
    #[arg(long)]
    no_expression: bool,
    /// CPU that compiling one gene may take, for slow machines [default: 5s, and 1.5s a MiB]
    #[arg(long, value_name = "SPAN", env = "CYTE_COMPILE_CPU", hide_env = true, value_parser = span::parse)]
    compile_cpu: Option<Duration>,
    /// What makes code of genes: with `cached` nothing is compiled, only what this host kept runs
    #[arg(long, value_name = "NAME", env = "CYTE_LOADER", hide_env = true, value_enum, default_value_t)]
    loader: Loader,
    /// Run a task gene once with this terminal; with several, name it: --task=GENE
    #[arg(long, value_name = "GENE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    task: Option<String>,
    /// End the task after this long (5s, 500ms, 2m): exit status 124
    #[arg(long, value_name = "SPAN", requires = "task", value_parser = span::parse)]
    timeout: Option<Duration>,
    /// What the task gets as its arguments
    #[arg(last = true, value_name = "ARGS", requires = "task")]
    args: Vec<String>,
}

pub(super) fn run(verb: Run, context: &Context) -> Done {
    let begun = HeadStart::take(verb.cells);
    let source = Source::open(&verb.path)?;
    let state = StateFolder::open(&verb.state.clone().unwrap_or_else(|| source.default_state()))?;
    let admitted = admit(&verb, source, &state, context)?;
    let show = if context.quiet { Show::Nowhere } else { Show::Stderr };
    let body = grow(state, admitted, begun, &verb, show, context)?;
    for dropped in &body.dropped {
        context.note(&format!("dropped    {}", drop_text(dropped)));
    }
    match &verb.task {
        Some(name) => task(&body, name, &verb),
        None => serve(body, &verb, context),
    }
}

/// What a path turned out to be.
enum Source {
    Bundle(PathBuf),
    Project(Box<Project>, PathBuf),
}

impl Source {
    fn open(path: &Path) -> Result<Self, CliError> {
        if path.extension().is_some_and(|extension| extension == "dna") {
            if !path.is_file() {
                let error = CliError::new(
                    Code::Missing,
                    format!("cannot run `{}`", path.display()),
                    "there is no such file",
                );
                return Err(error.help("cyte dna pack DIR --out X.dna makes a bundle"));
            }
            return Ok(Self::Bundle(path.to_owned()));
        }
        Ok(Self::Project(Box::new(project::open(path)?), path.to_owned()))
    }

    /// A bundle has no project, so here.
    fn default_state(&self) -> PathBuf {
        match self {
            Self::Project(project, path) => project::state_of(project, path),
            Self::Bundle(_) => PathBuf::from(IN_PROJECT),
        }
    }
}

fn admit(verb: &Run, source: Source, state: &StateFolder, context: &Context) -> Result<Admitted, CliError> {
    match source {
        Source::Bundle(path) => {
            let bytes = files::read(&path, files::BUNDLE_MAX)?;
            let ask = |introduction: &Introduction| ask_person(introduction);
            let trust = match (&verb.germline, verb.yes) {
                (Some(file), _) => FirstTrust::Germline(files::germline(file)?),
                (None, true) => FirstTrust::Yes,
                (None, false) if context.can_ask() => FirstTrust::Ask(&ask),
                (None, false) => FirstTrust::Nobody,
            };
            let name = path.display().to_string();
            if !verb.go_back {
                return trust::admit(state, &name, &bytes, &trust, Purpose::Deploy);
            }
            let admitted = trust::admit(state, &name, &bytes, &trust, Purpose::Return)?;
            audit_return(state, &admitted)?;
            Ok(admitted)
        }
        Source::Project(_, path) if verb.go_back => {
            let what = format!("cannot go back to `{}`", path.display());
            let why = "a project is built anew, only a bundle can be one that was accepted before";
            Err(CliError::new(Code::Usage, what, why).help("the state folder keeps the last five in `dna`"))
        }
        Source::Project(project, path) => {
            // First of all, so that nobody waits for a build that could not be run.
            let development = Development::begin(state, &project)?;
            let made = project::make(*project, Mode::Build, context)?;
            made.check_imports()?;
            let bytes = development.bundle(state, made)?;
            let name = path.display().to_string();
            trust::admit(state, &name, &bytes, &FirstTrust::Nobody, Purpose::Deploy)
        }
    }
}

/// Notes who went back to what, durably.
fn audit_return(state: &StateFolder, admitted: &Admitted) -> Result<(), CliError> {
    let manifest = admitted.dna.manifest();
    let entry = AuditEntry {
        at_s: clock::wall_s(),
        uid: rustix::process::getuid().as_raw(),
        verb: "run.return".to_owned(),
        subject: format!("{} version {} ({})", manifest.organism, manifest.version, admitted.dna.digest()),
    };
    state.head().audit(&entry).map_err(|error| head_error(state.path(), &error))
}

/// Shows who a bundle says it is, and asks.
fn ask_person(introduction: &Introduction) -> bool {
    let text = format!(
        "This state folder trusts nobody yet.\n{}\nCompare the key ids with what the owner tells you. Trust them from now on? [y/N] ",
        trust::describe(introduction)
    );
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn grow(
    state: StateFolder,
    admitted: Admitted,
    begun: HeadStart,
    verb: &Run,
    show: Show,
    context: &Context,
) -> Result<Body, CliError> {
    let names: Vec<String> = admitted.dna.manifest().genes.iter().map(|gene| gene.name.to_string()).collect();
    let patience = Patience::start(names, context.clone());
    let is_task = verb.task.is_some();
    let tell = |grown: &Grown| {
        patience.ready(grown.gene.name.as_str());
        // A task's terminal is the task's.
        if !is_task || context.verbose > 0 {
            context.note(&project::grown_line(&grown.gene, grown.pre.inspection(), grown.took));
        }
    };
    let config = GrowConfig {
        cells: verb.cells,
        polled: verb.polled_calls,
        compile_cpu: verb.compile_cpu,
        loader: verb.loader,
        switch: if verb.no_expression { Switch::Off } else { Switch::On },
        show,
        extra_roots: extra_roots(&admitted)?,
        code: None,
    };
    Body::grow(state, admitted, config, begun, &tell)
}

/// What SSL_CERT_FILE names, read only where a gene may send requests at all.
pub(super) fn extra_roots(admitted: &Admitted) -> Result<Vec<u8>, CliError> {
    let mut genes = admitted.dna.manifest().genes.iter();
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(Vec::new());
    };
    if genes.all(|gene| gene.grants.outbound.is_empty()) {
        return Ok(Vec::new());
    }
    files::read(Path::new(&path), ROOTS_MAX)
        .map_err(|error| error.help("unset SSL_CERT_FILE, or name a PEM file"))
}

/// Says what takes so long, once, if it does.
struct Patience(Option<Sender<String>>);

impl Patience {
    fn start(mut waiting: Vec<String>, context: Context) -> Self {
        let (sender, receiver) = channel::<String>();
        let watch = move || {
            let until = std::time::Instant::now() + PATIENCE;
            loop {
                let left = until.saturating_duration_since(std::time::Instant::now());
                match receiver.recv_timeout(left) {
                    Ok(ready) => waiting.retain(|name| *name != ready),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let names = waiting.join(", ");
                        return context.note(&format!("compiling  {names}: once, the code is kept"));
                    }
                }
            }
        };
        let started = std::thread::Builder::new().name("patience".into()).spawn(watch);
        Self(started.ok().map(|_| sender))
    }

    fn ready(&self, name: &str) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(name.to_owned());
        }
    }
}

fn serve(body: Body, verb: &Run, context: &Context) -> Done {
    for task in body.grown.iter().filter(|grown| grown.gene.role == Role::Task) {
        context
            .note(&format!("task       {:<7} not started: cyte run PATH --task={0} runs it", task.gene.name));
    }
    let mut signals = Signals::listen(body.membrane())?;
    let access = if context.verbose > 0 { AccessToStderr::start() } else { None };
    let access = access.map(|log| -> Arc<dyn AccessLog> { log });
    let front =
        Front { listen: verb.listen, runtime: ask::runtime_folder(), access, seat: None, village: None };
    let host = Host::serve(body, front)?;
    if context.is_json() {
        let line = serde_json::to_string(&host.view().listening());
        let line = line.map_err(|error| {
            CliError::new(Code::Machine, "cannot say where it listens", error.to_string())
        })?;
        context.print(&(line + "\n"))?;
    } else {
        context.print(&format!("listening  http://{}\n", host.address()))?;
    }
    let reason = host.block_on(async {
        loop {
            match signals.next().await {
                Heard::Stop(reason) => break reason,
                Heard::Hormone(hormone) => host.hears(&hormone),
            }
        }
    });
    context.note(&format!("draining   {reason}: open requests may end, a second signal ends them"));
    let cut = host.block_on(async {
        tokio::select! {
            cut = host.drain(reason) => Some(cut),
            () = signals.stop() => None,
        }
    });
    host.stop();
    match cut {
        None => Err(interrupted()),
        Some(0) => Ok(Exit::OK),
        Some(cut) => {
            context.note(&format!("cut        {cut} connections that did not end in time"));
            Ok(Exit::OK)
        }
    }
}

pub(super) fn interrupted() -> CliError {
    CliError::new(Code::Interrupted, "the drain was cut short", "a second signal came")
}

/// What a signal asks for.
pub(super) enum Heard {
    /// To end; the signal's name.
    Stop(&'static str),
    /// To grow, or to shrink.
    Hormone(Hormone),
}

/// The two signals that end a run, and the two that are hormones.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    grow: Signal,
    shrink: Signal,
    /// A file that may not grow any more is a write that failed, for whoever wrote; heard, it does not
    /// end the process.
    _too_large: Signal,
}

impl Signals {
    /// Listens on the threads of `on`.
    ///
    /// # Errors
    /// [`Code::Machine`].
    pub(super) fn listen(on: &Handle) -> Result<Self, CliError> {
        let _inside = on.enter();
        let listen = |kind| {
            signal(kind)
                .map_err(|error| CliError::new(Code::Machine, "cannot listen for signals", error.to_string()))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            grow: listen(SignalKind::user_defined1())?,
            shrink: listen(SignalKind::user_defined2())?,
            _too_large: listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Stop("SIGINT"),
            _ = self.terminate.recv() => Heard::Stop("SIGTERM"),
            _ = self.grow.recv() => Heard::Hormone(Hormone { is_growth: true, gene: None }),
            _ = self.shrink.recv() => Heard::Hormone(Hormone { is_growth: false, gene: None }),
        }
    }

    /// The next signal that ends a run; the others mean nothing any more.
    pub(super) async fn stop(&mut self) {
        while let Heard::Hormone(_) = self.next().await {}
    }
}

fn task(body: &Body, name: &str, verb: &Run) -> Done {
    let grown = task_gene(body, name)?;
    let mut arguments = vec![grown.gene.name.to_string()];
    arguments.extend(verb.args.iter().cloned());
    let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
    let task = TaskArguments {
        arguments,
        timeout: verb.timeout.or(millis(grown.gene.limits.wall_ms)),
        cpu: millis(grown.gene.limits.cpu_ms),
    };
    let mut signals = Signals::listen(body.membrane())?;
    let end = body.membrane().block_on(async {
        tokio::select! {
            end = body.run_task(grown, task) => Some(end),
            () = signals.stop() => None,
        }
    });
    let what = format!("task `{}` did not end well", grown.gene.name);
    match end {
        Some(TaskEnd::Exited(status)) => Ok(Exit(u8::try_from(status & 0xff).unwrap_or(1))),
        Some(TaskEnd::Breached(breach @ (Breach::Wall | Breach::Cpu))) => {
            Err(CliError::new(Code::TimeLimit, what, breach.to_string())
                .help("--timeout SPAN gives it longer"))
        }
        Some(TaskEnd::Breached(breach)) => Err(CliError::new(Code::Task, what, breach.to_string())),
        Some(TaskEnd::Failed(why)) => Err(CliError::new(Code::Task, what, why)),
        None => Err(CliError::new(Code::Interrupted, what, "a signal came")),
    }
}

fn task_gene<'a>(body: &'a Body, name: &str) -> Result<&'a Grown, CliError> {
    let tasks: Vec<&Grown> = body
        .grown
        .iter()
        .filter(|grown| grown.gene.role == Role::Task)
        .filter(|grown| name.is_empty() || grown.gene.name.as_str() == name)
        .collect();
    match tasks.as_slice() {
        [one] => Ok(one),
        [] => {
            let why = if name.is_empty() {
                "no gene here is a task".to_owned()
            } else {
                format!("no task gene is called `{name}`")
            };
            Err(CliError::new(Code::Task, "cannot run a task", why).help("a task exports wasi:cli/run"))
        }
        many => {
            let names: Vec<_> = many.iter().map(|grown| grown.gene.name.as_str()).collect();
            Err(CliError::new(
                Code::Usage,
                "cannot tell which task is meant",
                format!("there are {}", names.join(", ")),
            )
            .help(format!("cyte run PATH --task={}", names.first().unwrap_or(&"GENE"))))
        }
    }
}
