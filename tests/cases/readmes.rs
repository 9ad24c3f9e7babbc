//! The commands in README.md and in every example's README are run, and print what stands there.
//!
//! A block marked `console` is a transcript: a line `$ COMMAND` and below it what the command prints
//! on standard output. A block marked `sh` has what is typed before it. What is changed on the way:
//! `cargo run ... --` is the binary under test, and the address is one that is free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::support::command::{BINARY, clean};
use crate::support::{Host, paths, repository, until};

const ADDRESS: &str = "http://127.0.0.1:8080";
/// The two forms in which a README calls the binary.
const CALLS: [&str; 2] = ["cargo run -q --release -- ", "cargo run --release -- "];

/// A copy of what READMEs work on, so that nothing is written into the checkout. It stays between
/// runs: what did not change is not built again.
fn copy() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let root = paths::kept().join("readme");
        std::fs::create_dir_all(root.join("target")).unwrap();
        for folder in ["examples", "sdk", "genes"] {
            mirror(&repository().join(folder), &root.join(folder));
        }
        root
    })
}

/// Makes `to` the same as `from`, but for what is built there; unchanged files keep their time.
fn mirror(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, source) = (entry.file_name(), entry.path());
        if name == "target" || name == ".cyte" {
            continue;
        }
        let target = to.join(&name);
        there.insert(name);
        if source.is_dir() {
            mirror(&source, &target);
        } else {
            let bytes = std::fs::read(&source).unwrap();
            if !std::fs::read(&target).is_ok_and(|kept| kept == bytes) {
                std::fs::write(&target, bytes).unwrap();
            }
        }
    }
    for entry in std::fs::read_dir(to).unwrap() {
        let entry = entry.unwrap();
        let is_built = ["target", ".cyte"].iter().any(|built| entry.file_name() == *built);
        if !is_built && !there.contains(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// One block of a README.
#[derive(Debug)]
struct Block {
    kind: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some(Block { kind: kind.trim().to_owned(), lines: Vec::new() }),
            (Some(_), Some(_)) => all.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    all
}

/// What one README has started.
struct Stage {
    host: Option<Host>,
    servers: Vec<Child>,
    /// Free ports, by the one that stands in the text.
    ports: Vec<(String, String)>,
    ran: usize,
    /// Two READMEs may show the same example; they take turns.
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// For a README that shows this example, which nobody has run before.
    fn new(example: &str) -> Self {
        static TURNS: Mutex<BTreeMap<String, &'static Mutex<()>>> = Mutex::new(BTreeMap::new());
        let mutex: &'static Mutex<()> = {
            let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(example.to_owned()).or_insert_with(|| Box::leak(Box::default()))
        };
        let turn = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::fs::remove_dir_all(copy().join("examples").join(example).join(".cyte"));
        Self { host: None, servers: Vec::new(), ports: Vec::new(), ran: 0, _turn: turn }
    }

    /// What is typed before a transcript: it starts hosts and servers, or runs to its end.
    fn prepare(&mut self, line: &str) {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() {
            return;
        }
        let called = CALLS.iter().find_map(|call| line.strip_prefix(call));
        if let Some(path) =
            called.and_then(|rest| rest.strip_prefix("run ")).filter(|rest| !rest.contains(' '))
        {
            let project = copy().join(path);
            self.host = Some(Host::of(&project).state(project.join(".cyte")).start());
        } else if line.starts_with("python3 -m http.server") {
            self.serve(line);
        } else {
            let ran = self.shell(line);
            assert!(ran.status.success(), "`{line}`\n{}", String::from_utf8_lossy(&ran.stderr));
        }
        self.ran += 1;
    }

    /// Starts a file server on a free port, which stands for the one in the text from then on.
    fn serve(&mut self, line: &str) {
        let asked = line.split_whitespace().nth(3).expect("a port").to_owned();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        self.ports.push((asked, free.clone()));
        let line = self.fit(line);
        let mut command = shell(&format!("exec {line}"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.servers.push(child);
        until("the server listens", || std::net::TcpStream::connect(format!("127.0.0.1:{free}")).ok());
        // The grant names the port too.
        for entry in std::fs::read_dir(copy().join("examples")).unwrap() {
            let toml = entry.unwrap().path().join("dna.toml");
            let text = std::fs::read_to_string(&toml).unwrap_or_default();
            let fitted = self.ports.iter().fold(text.clone(), |text, (asked, free)| {
                text.replace(&format!("127.0.0.1:{asked}"), &format!("127.0.0.1:{free}"))
            });
            if fitted != text {
                std::fs::write(toml, fitted).unwrap();
            }
        }
    }

    /// The line for this machine.
    fn fit(&self, line: &str) -> String {
        let mut line =
            CALLS.iter().fold(line.to_owned(), |line, call| line.replace(call, &format!("{BINARY} ")));
        if let Some(host) = &self.host {
            line = line.replace(ADDRESS, host.url());
        }
        for (asked, free) in &self.ports {
            line = line.replace(&format!("http.server {asked} "), &format!("http.server {free} "));
        }
        line
    }

    fn shell(&self, line: &str) -> std::process::Output {
        let mut command = shell(&self.fit(line));
        if let Some(host) = &self.host {
            command.env("XDG_RUNTIME_DIR", host.runtime());
        }
        command.output().unwrap()
    }

    /// Runs each command of a transcript and compares.
    fn transcript(&mut self, lines: &[String], name: &str) {
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let command =
                line.strip_prefix("$ ").unwrap_or_else(|| panic!("{name}: `{line}` belongs to no command"));
            let expected: Vec<&String> =
                lines[at + 1..].iter().take_while(|line| !line.starts_with("$ ")).collect();
            at += 1 + expected.len();
            let out = self.shell(command);
            let mut said = String::from_utf8_lossy(&out.stdout).into_owned();
            if let Some(host) = &self.host {
                said = said.replace(host.url(), ADDRESS);
            }
            let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
            // A body without a line end at its end reads the same in a README.
            assert_eq!(
                said.trim_end_matches('\n'),
                expected.trim_end_matches('\n'),
                "{name}: $ {command}\n{}{}",
                String::from_utf8_lossy(&out.stderr),
                self.host.as_ref().map_or_else(String::new, |host| host.err().text())
            );
            self.ran += 1;
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// `line` in a shell at the root of the copy.
fn shell(line: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(copy());
    clean(&mut command);
    command.env("CARGO_TARGET_DIR", paths::kept().join("native")).stdin(Stdio::null());
    command
}

#[track_caller]
fn example(name: &str) {
    let text = std::fs::read_to_string(repository().join("examples").join(name).join("README.md")).unwrap();
    let mut stage = Stage::new(name);
    for block in blocks(&text) {
        match block.kind.as_str() {
            "sh" => block.lines.iter().for_each(|line| stage.prepare(line)),
            "console" => stage.transcript(&block.lines, name),
            _ => {}
        }
    }
    assert!(stage.ran > 0, "the README of {name} shows no command");
}

#[test]
fn readme() {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let mut stage = Stage::new("hello");
    for block in blocks(&text) {
        match block.kind.as_str() {
            // The other blocks are a tour: each verb of it has tests of its own.
            "sh" if stage.host.is_none() => block.lines.iter().for_each(|line| stage.prepare(line)),
            "console" => stage.transcript(&block.lines, "README.md"),
            _ => {}
        }
    }
    assert!(stage.ran > 3, "the README shows a transcript");
}

#[test]
fn hello() {
    example("hello");
}

#[test]
fn hello_p3() {
    example("hello-p3");
}

#[test]
fn routes_json() {
    example("routes-json");
}

#[test]
fn streaming() {
    example("streaming");
}

#[test]
fn static_site() {
    example("static-site");
}

#[test]
fn outbound_call() {
    example("outbound-call");
}

#[test]
fn tide() {
    example("tide");
    let ran = shell("sh examples/tide/breathe 8").env("CYTE", BINARY).output().unwrap();
    let (shown, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.is_empty(), "{shown}{said}");
    let count = |line: &str| line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let rows: Vec<Vec<usize>> = shown.lines().skip(1).map(count).collect();
    assert_eq!(rows.len(), 8, "{shown}");
    // Second, clients, cells.
    let (early, late) = (rows[0][2], rows[6][2]);
    assert!((1..=4).contains(&early) && late >= 8, "more cells for more clients\n{shown}");
}

#[test]
fn task_wc() {
    example("task-wc");
}

#[test]
fn no_example_is_forgotten() {
    let source = include_str!("readmes.rs");
    for entry in std::fs::read_dir(repository().join("examples")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("dna.toml").is_file() {
            let name = entry.file_name().into_string().unwrap();
            assert!(
                source.contains(&format!("    example(\"{name}\");")),
                "examples/{name} has no test here"
            );
        }
    }
}
