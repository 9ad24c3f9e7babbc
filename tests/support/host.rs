//! A host that runs, and ends with its test.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::command::{Captured, Ran, Running};
use super::wait::{LONG, SOON, until};
use super::{Connection, Cyte, Response, Temp, warm};

/// How a host is started.
#[derive(Debug)]
pub struct Start {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    state: Option<PathBuf>,
}

impl Start {
    /// With one argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// With this variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// On a state folder of the caller's, which stays when the host goes and begins cold. Without
    /// one the host gets an own folder with the code that earlier tests compiled.
    #[must_use]
    pub fn state(mut self, folder: impl AsRef<Path>) -> Self {
        self.state = Some(folder.as_ref().to_owned());
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Host {
        match self.try_start() {
            Ok(host) => host,
            Err(ran) => {
                panic!("`{}` does not listen ({})\n{}{}", ran.shown, ran.status, ran.stdout, ran.stderr)
            }
        }
    }

    /// Starts it; how it ended if it never listened.
    ///
    /// # Errors
    /// The ended process.
    #[track_caller]
    pub fn try_start(self) -> Result<Host, Ran> {
        let temp = Temp::new();
        let runtime = temp.join("run");
        std::fs::create_dir(&runtime).unwrap();
        let is_warm = self.state.is_none();
        let state = self.state.unwrap_or_else(|| warm::folder(&temp));
        let mut cyte = Cyte::new(["run"])
            .arg(&self.path)
            .args(["--listen", "127.0.0.1:0", "--output", "json", "--state"])
            .arg(&state)
            .args(&self.args)
            .env("XDG_RUNTIME_DIR", &runtime)
            .within(temp.path());
        for (name, value) in &self.env {
            cyte = cyte.env(name, value);
        }
        let process = cyte.spawn();
        let first = process.out.wait(LONG, |text| text.split_once('\n').map(|(line, _)| line.to_owned()));
        let Some(line) = first else { return Err(process.wait(SOON)) };
        if is_warm {
            warm::keep(&state);
        }
        let listening: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let url = listening["url"].as_str().unwrap_or_else(|| panic!("no url: {line}")).to_owned();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Ok(Host { process: Some(process), listening, url, address, state, runtime, _temp: temp })
    }
}

/// A host that listens.
#[derive(Debug)]
pub struct Host {
    process: Option<Running>,
    listening: Value,
    url: String,
    address: SocketAddr,
    state: PathBuf,
    runtime: PathBuf,
    _temp: Temp,
}

/// A host that ended because it was asked to.
pub type Stopped = Ran;

impl Host {
    /// A host of `path`: a project, a crate, a bundle or a component. Not started yet.
    pub fn of(path: impl AsRef<Path>) -> Start {
        Start { path: path.as_ref().to_owned(), args: Vec::new(), env: Vec::new(), state: None }
    }

    /// A running host of `path`.
    #[track_caller]
    pub fn start(path: impl AsRef<Path>) -> Self {
        Self::of(path).start()
    }

    /// A running host of the one guest `tests/guests/NAME`.
    #[track_caller]
    pub fn guest(name: &str) -> Self {
        Self::start(super::guest(name))
    }

    /// The first line that it printed.
    pub fn listening(&self) -> &Value {
        &self.listening
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Its folder for sockets: the value of `XDG_RUNTIME_DIR`.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// `GET path` on a connection of its own, sent and not waited for.
    #[track_caller]
    pub fn begin(&self, path: &str) -> Connection {
        let mut connection = self.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        connection
    }

    /// The answer to `GET path` on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.connect().request("GET", path, &[], b"")
    }

    /// The answer to `POST path` on a connection of its own.
    #[track_caller]
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.connect().request("POST", path, &[], body.as_ref())
    }

    /// Expects status 200 and this text from `GET path`.
    #[track_caller]
    pub fn says(&self, path: &str, text: &str) {
        let answer = self.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}: {answer:?}");
    }

    /// `cyte ARGS --state STATE`, for this host.
    pub fn cyte<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Cyte {
        Cyte::new(args).arg("--state").arg(&self.state).env("XDG_RUNTIME_DIR", &self.runtime)
    }

    /// What `cyte ARGS --output json` says of this host.
    #[track_caller]
    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        self.cyte(args).json()
    }

    /// Its events so far, oldest first.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.json(["events", "--tail", "4096"])["events"].as_array().unwrap().clone()
    }

    /// Waits for an event of kind `kind` for which `is` holds.
    #[track_caller]
    pub fn event(&self, kind: &str, is: impl Fn(&Value) -> bool) -> Value {
        until(&format!("an event `{kind}`"), || {
            self.events().into_iter().find(|event| event["event"] == kind && is(event))
        })
    }

    /// What its guests and it said on standard error so far.
    pub fn err(&self) -> &Captured {
        &self.process().err
    }

    /// What it printed so far.
    pub fn out(&self) -> &Captured {
        &self.process().out
    }

    /// Waits until standard error contains `text`.
    #[track_caller]
    pub fn hears(&self, text: &str) {
        let heard = self.err().wait(SOON, |err| err.contains(text).then_some(()));
        assert!(heard.is_some(), "never said `{text}`:\n{}", self.err().text());
    }

    /// The resident memory of its process, in bytes.
    pub fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Asks it to end, and waits until it did.
    #[track_caller]
    pub fn stop(mut self) -> Stopped {
        let process = self.process.take().unwrap();
        process.signal(Signal::TERM);
        process.wait(LONG)
    }

    /// Waits until it ended by itself, or because of a signal sent before.
    #[track_caller]
    pub fn ended(mut self, deadline: Duration) -> Stopped {
        self.process.take().unwrap().wait(deadline)
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        let process = self.process.take().unwrap();
        process.signal(Signal::KILL);
        process.wait(SOON);
    }

    fn process(&self) -> &Running {
        self.process.as_ref().expect("a stopped host is not asked")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        if std::thread::panicking() {
            eprintln!("--- stderr of `{}`\n{}", process.shown(), process.err.text());
        }
    }
}
