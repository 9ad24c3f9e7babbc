//! A server under test: a child process that says where it listens, and ends when dropped.
//!
//! Whatever happens, the child and all that it started are ended by their ids; what it printed
//! last is kept, bounded, for the message when it fails. It never looks for processes by name.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::BenchError;
use super::machine;

/// How long a server may take until it says where it listens: the first start compiles.
const START: Duration = Duration::from_secs(120);
/// How often a wait looks whether it is to go on.
const LOOK: Duration = Duration::from_millis(200);
/// How long a server may take to end when asked, before it is ended.
const END: Duration = Duration::from_secs(3);
/// How long the last words of an ended server may take through their pipe.
const DRAIN: Duration = Duration::from_millis(500);
/// Lines kept of what a server printed.
const KEPT: usize = 30;
/// Bytes of one such line.
const LINE: u64 = 4 << 10;

/// Where a server says that it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// In a line on stdout.
    Out,
    /// In a line on stderr.
    Err,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// Its name in messages and tables.
    pub(crate) label: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) says: Says,
}

/// What a server printed last.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running server. Dropping it ends it and everything that it started.
#[derive(Debug)]
pub(crate) struct Server {
    label: String,
    child: Child,
    address: SocketAddr,
    started: Instant,
    tail: Tail,
    readers: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Server {
    /// Start it on `core` (anywhere when `None`) and wait until it says where it listens.
    ///
    /// # Errors
    /// If it cannot be started, ends at once or stays silent, or the run was told to end. Nothing is
    /// left running.
    pub(crate) fn start(launch: &Launch, core: Option<usize>, stop: &AtomicBool) -> Result<Self, BenchError> {
        let (sender, addresses) = sync_channel(1);
        let started = Instant::now();
        let mut child = spawn(launch, core)?;
        let tail = Tail::default();
        let (says_out, says_err) = match launch.says {
            Says::Out => (Some(sender), None),
            Says::Err => (None, Some(sender)),
        };
        let out = listen(child.stdout.take(), &tail, says_out);
        let readers = out.into_iter().chain(listen(child.stderr.take(), &tail, says_err)).collect();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let label = launch.label.clone();
        let mut server = Self { label, child, address: nowhere, started, tail, readers, ended: false };
        server.address = server.wait_for(&addresses, stop)?;
        Ok(server)
    }

    fn wait_for(
        &mut self,
        addresses: &Receiver<SocketAddr>,
        stop: &AtomicBool,
    ) -> Result<SocketAddr, BenchError> {
        let reason = loop {
            match addresses.recv_timeout(LOOK) {
                Ok(address) => return Ok(address),
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                    return Err(BenchError::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) if self.started.elapsed() < START => {}
                Err(RecvTimeoutError::Timeout) => {
                    break format!("said no address within {} s", START.as_secs());
                }
                Err(RecvTimeoutError::Disconnected) => match self.exited_within(END) {
                    Some(status) => break format!("ended before it listened ({status})"),
                    None => break "closed its output before it listened".to_owned(),
                },
            }
        };
        Err(self.failed(reason))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The moment just before its process was made.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What it printed last, one line each; all of it, if it has ended.
    pub(crate) fn printed(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().map(|line| format!("\n    {line}")).collect()
    }

    /// The error that says what it did, with what it printed last.
    pub(crate) fn failed(&self, reason: String) -> BenchError {
        BenchError::Server { label: self.label.clone(), reason, printed: self.printed() }
    }

    /// Ask it to end, wait up to `patience`, then end it with all that it started.
    ///
    /// The status is `None` when it did not end by itself.
    pub(crate) fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        if self.ended {
            return None;
        }
        self.ended = true;
        let family = machine::tree(self.pid());
        if let Ok(id) = i32::try_from(self.pid())
            && let Some(pid) = Pid::from_raw(id)
        {
            // It may have ended already; then there is nothing to ask.
            let _ = kill_process(pid, Signal::TERM);
        }
        let status = self.exited_within(patience);
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for process in family.into_iter().skip(1).filter(|process| process.lives()) {
            if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        status
    }

    /// Wait shortly until all that an ended server printed is read. One that it started may
    /// still hold its output open; that one is not waited for.
    fn drain(&self) {
        let end = Instant::now() + DRAIN;
        while Instant::now() < end && !self.readers.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn exited_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.drain();
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(END);
    }
}

/// Make the process from a thread that already is on `core`: a child inherits the affinity of
/// the thread that made it, and with it all threads that it makes itself.
fn spawn(launch: &Launch, core: Option<usize>) -> Result<Child, BenchError> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What a shell happens to have set must not change what is measured.
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    let made = match core {
        None => command.spawn(),
        Some(core) => std::thread::scope(|scope| {
            let thread = scope.spawn(|| machine::pin(core).and_then(|()| command.spawn()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
    };
    made.map_err(|source| BenchError::Start {
        label: launch.label.clone(),
        program: launch.program.clone(),
        source,
    })
}

/// Read a stream to its end, keep its last lines, and send on the first address in it.
fn listen(
    stream: Option<impl Read + Send + 'static>,
    tail: &Tail,
    says: Option<SyncSender<SocketAddr>>,
) -> Option<JoinHandle<()>> {
    let stream = stream?;
    let tail = Arc::clone(tail);
    Some(std::thread::spawn(move || {
        let mut says = says;
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut stream).take(LINE).read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if let (Some(sender), Some(address)) = (&says, address_in(&text)) {
                // The one who waits may have given up.
                let _ = sender.try_send(address);
                says = None;
            }
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == KEPT {
                tail.pop_front();
            }
            tail.push_back(text);
        }
    }))
}

/// The address after the first `http://` in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|sign: char| !sign.is_ascii_digit() && !".:".contains(sign)).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn shell(script: &str) -> Launch {
        Launch {
            label: "a shell".to_owned(),
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            says: Says::Out,
        }
    }

    #[test]
    fn addresses_of_all_three_kinds() {
        let expected = Some(SocketAddr::from(([127, 0, 0, 1], 4242)));
        assert_eq!(address_in("listening http://127.0.0.1:4242"), expected);
        assert_eq!(address_in("Serving HTTP on http://127.0.0.1:4242/"), expected);
        assert_eq!(address_in(r#"{"v":1,"event":"listening","url":"http://127.0.0.1:4242"}"#), expected);
        assert_eq!(address_in("see http://example.test/"), None);
    }

    #[test]
    fn dropped_means_ended_with_its_children() {
        let launch = shell("sleep 60 & echo listening http://127.0.0.1:9; trap '' TERM; wait; wait");
        let mut server =
            Server::start(&launch, machine::placement().map(|place| place.server), &GO_ON).unwrap();
        assert_eq!(server.address().port(), 9);
        let family = machine::tree(server.pid());
        assert_eq!(family.len(), 2, "{family:?}");
        server.stop(Duration::from_millis(100));
        std::thread::sleep(Duration::from_millis(100));
        assert!(family.into_iter().all(|process| !process.lives()));
    }

    #[test]
    fn one_that_ends_says_what_it_printed() {
        let failed =
            Server::start(&shell("echo out of luck >&2; exit 3"), None, &GO_ON).unwrap_err().to_string();
        assert!(failed.contains("ended before it listened"), "{failed}");
        assert!(failed.contains("out of luck"), "{failed}");
    }

    #[test]
    fn one_that_does_not_exist() {
        let mut launch = shell("");
        launch.program = PathBuf::from("/does/not/exist");
        assert!(matches!(Server::start(&launch, Some(0), &GO_ON), Err(BenchError::Start { .. })));
    }
}
