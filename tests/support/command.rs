//! The binary under test as a process with an environment of its own.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::paths;
use super::wait::LONG;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_cyte");

/// One call of the binary, before it is made.
#[derive(Debug, Clone)]
pub struct Cyte {
    args: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    deadline: Duration,
}

impl Cyte {
    /// `cyte ARGS`, in the temporary folder of the machine, with nothing on standard input.
    pub fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self {
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            folder: std::env::temp_dir(),
            env: Vec::new(),
            stdin: Vec::new(),
            deadline: LONG,
        }
    }

    /// With one argument more.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// With arguments more.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// In this folder.
    #[must_use]
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// With this variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With this on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// The same as a [`Command`], for those who need more.
    pub fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.args(&self.args).current_dir(&self.folder);
        clean(&mut command);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it; its output is collected in the background.
    pub fn spawn(&self) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {BINARY}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let bytes = self.stdin.clone();
        // A program that does not read its input closes it; that is not the test's business.
        std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let out = Captured::of(child.stdout.take().unwrap());
        let err = Captured::of(child.stderr.take().unwrap());
        Running { child, out, err, shown: format!("cyte {}", show(&self.args)) }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Ran {
        self.spawn().wait(self.deadline)
    }

    /// Runs it and expects status 0.
    #[track_caller]
    pub fn ok(&self) -> Ran {
        self.run().expect(0)
    }

    /// Runs it with `--output json`, expects status 0, and reads the object that it prints. Every
    /// such object says which version of its form it has.
    #[track_caller]
    pub fn json(&self) -> Value {
        let ran = self.clone().args(["--output", "json"]).ok();
        let value: Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}):\n{}", ran.shown, ran.stdout));
        assert_eq!(value["v"], 1, "{} prints no version", ran.shown);
        value
    }
}

/// Nothing of the person's own settings, and nothing of the cargo that runs the tests, reaches
/// the program.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = text.starts_with("CYTE_") && text != "CYTE_WASM_STD";
        let is_cargos = text.starts_with("CARGO")
            && !["CARGO_HOME", "CARGO_NET_", "CARGO_REGISTR", "CARGO_HTTP_"]
                .iter()
                .any(|kept| text.starts_with(kept));
        let is_form =
            ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "SSL_CERT_FILE", "COLUMNS"].contains(&text.as_ref());
        if is_ours || is_cargos || is_form || text == "RUST_BACKTRACE" || text == "RUSTUP_TOOLCHAIN" {
            command.env_remove(&name);
        }
    }
    command.env("XDG_CACHE_HOME", paths::cache()).env("LC_ALL", "C.UTF-8");
    // A command that needs a folder of its own for sockets sets it; the default is nobody's.
    command.env("XDG_RUNTIME_DIR", paths::kept().join("no-runtime"));
}

fn show(args: &[OsString]) -> String {
    args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// What a process wrote, while it still writes.
#[derive(Debug, Clone)]
pub struct Captured {
    shared: Arc<(Mutex<Buffer>, Condvar)>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Buffer::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let _: JoinHandle<()> = std::thread::spawn(move || {
            let mut piece = [0_u8; 16 * 1024];
            loop {
                let read = from.read(&mut piece).unwrap_or(0);
                let mut buffer = theirs.0.lock().unwrap();
                buffer.bytes.extend_from_slice(&piece[..read]);
                buffer.ended = read == 0;
                theirs.1.notify_all();
                if buffer.ended {
                    return;
                }
            }
        });
        Self { shared }
    }

    /// All so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shared.0.lock().unwrap().bytes).into_owned()
    }

    /// Waits until `look` finds something in the text so far. `None` when the writer ended or the
    /// deadline passed first.
    pub fn wait<T>(&self, deadline: Duration, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut buffer = self.shared.0.lock().unwrap();
        loop {
            if let Some(found) = look(&String::from_utf8_lossy(&buffer.bytes)) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if buffer.ended || left.is_zero() {
                return None;
            }
            buffer = self.shared.1.wait_timeout(buffer, left).unwrap().0;
        }
    }

    /// Everything, once the writer ended.
    fn whole(&self) -> String {
        let end = Instant::now() + Duration::from_secs(10);
        let mut buffer = self.shared.0.lock().unwrap();
        // A grandchild may hold the pipe open; it is not waited for.
        while !buffer.ended && Instant::now() < end {
            buffer = self.shared.1.wait_timeout(buffer, Duration::from_millis(100)).unwrap().0;
        }
        String::from_utf8_lossy(&buffer.bytes).into_owned()
    }
}

/// A process that runs; ended by force when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its standard output so far.
    pub out: Captured,
    /// Its standard error so far.
    pub err: Captured,
    shown: String,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it was called.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        // It may have ended already; then there is nobody to tell.
        let _ = rustix::process::kill_process(id, signal);
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self, deadline: Duration) -> Ran {
        match self.wait_or_none(deadline) {
            Some(ran) => ran,
            None => panic!(
                "`{}` did not end within {deadline:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.shown,
                self.out.text(),
                self.err.text()
            ),
        }
    }

    fn wait_or_none(&mut self, deadline: Duration) -> Option<Ran> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let (stdout, stderr) = (self.out.whole(), self.err.whole());
                return Some(Ran { status, stdout, stderr, shown: self.shown.clone() });
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(rustix::process::Signal::TERM);
        if self.wait_or_none(Duration::from_secs(10)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A process that ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    /// How it was called.
    pub shown: String,
}

impl Ran {
    /// Its exit status; -1 when a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// The same, if it ended with this status.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            code,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Expects an error with exit status `code` and the stable code `id`, told once, as text or as
    /// JSON, and gives back standard error.
    #[track_caller]
    pub fn refused(self, code: i32, id: &str) -> String {
        let ran = self.expect(code);
        let text = ran.stderr;
        let told = text.matches("error[").count() + text.matches("{\"error\":{").count();
        assert_eq!(told, 1, "`{}` tells one error:\n{text}", ran.shown);
        let is_said = text.contains(&format!("error[{id}]")) || text.contains(&format!("\"code\":\"{id}\""));
        assert!(is_said, "`{}` does not say {id}:\n{text}", ran.shown);
        assert!(!text.contains("panicked"), "`{}`:\n{text}", ran.shown);
        text
    }
}
