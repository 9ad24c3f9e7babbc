//! Hosts of the guests in `tests/guests`.
//!
//! Every host gets a state folder of its own, but all have the same key and one folder of compiled
//! code, so that each guest is compiled once and not for every test.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::Start;
use crate::support::http::Response;
use crate::support::{Connection, Host, Temp, paths, project};

/// The key of these hosts. Nothing but tests ever trusts it.
const KEY: &str = "cyte-host-key-v1 a1a0f1cfc3bb25e8e1ced1968519868757a9cfe2c44784e170684bd5942d8da0\n";

/// One cell: a request waits for it where, on a loaded machine, it is still about to be given back.
pub const ONE: &str = "express = { max = 1 }\nlimits = { wait = \"20s\" }";

/// A host with what it was made from.
#[derive(Debug)]
pub struct Zoo {
    host: Host,
    project: Temp,
}

impl std::ops::Deref for Zoo {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

/// A host of these guests: NAME, or `NAME as GENE`, each with more lines of its gene. Gene NAME
/// answers under `NAME.test`, and the first one under every other name too.
#[track_caller]
pub fn host(genes: &[(&str, &str)]) -> Zoo {
    of(project(&toml(genes)))
}

/// The `dna.toml` of [`host`].
pub fn toml(genes: &[(&str, &str)]) -> String {
    let mut text = String::from("[organism]\nname = \"zoo\"\nversion = \"0.1.0\"\n");
    for (at, (name, more)) in genes.iter().enumerate() {
        let (guest, gene) = name.split_once(" as ").unwrap_or((name, name));
        let everything = if at == 0 { ", \"/...\"" } else { "" };
        let source = format!("\"{{{guest}}}\"");
        text.push_str(&format!(
            "\n[gene.{gene}]\nsource = {source}\nroute = [\"{gene}.test/...\"{everything}]\n{more}\n"
        ));
    }
    text
}

/// A host of this project.
#[track_caller]
pub fn of(project: Temp) -> Zoo {
    with(project, &[])
}

/// A host of this project, started with these arguments.
#[track_caller]
pub fn with(project: Temp, arguments: &[&str]) -> Zoo {
    let host = arguments.iter().fold(start(&project), |start, argument| start.arg(argument)).start();
    Zoo { host, project }
}

/// The start of a host of this project, whose state folder is in the project.
pub fn start(project: &Temp) -> Start {
    let state = project.join(".cyte");
    prepare(&state);
    Host::of(project.path()).state(state)
}

/// The folder becomes a state folder when a host first opens it; the key and the code are there.
fn prepare(state: &Path) {
    let code = paths::kept().join("code");
    std::fs::create_dir_all(&code).unwrap();
    if !state.exists() {
        std::fs::create_dir(state).unwrap();
        std::fs::write(state.join("host.key"), KEY).unwrap();
        std::os::unix::fs::symlink(code, state.join("code")).unwrap();
    }
}

impl Zoo {
    /// The project's folder.
    pub fn project(&self) -> &Temp {
        &self.project
    }

    /// The answer of a gene to `GET path`, on a connection of its own.
    #[track_caller]
    pub fn ask(&self, gene: &str, path: &str) -> Response {
        ask(&mut self.host.connect(), gene, path)
    }

    /// Sends `GET path` for a gene and does not wait for the answer.
    #[track_caller]
    pub fn begin(&self, gene: &str, path: &str) -> Connection {
        let mut connection = self.host.connect();
        connection.send(get(gene, path));
        connection
    }

    /// What the host says about a gene.
    #[track_caller]
    pub fn gene(&self, gene: &str) -> Value {
        let genes = self.json(["ps"])["genes"].as_array().unwrap().clone();
        genes.into_iter().find(|one| one["gene"] == gene).unwrap_or_else(|| panic!("no gene {gene}"))
    }

    /// The cells of a gene that are alive, by their numbers.
    #[track_caller]
    pub fn cells(&self, gene: &str) -> Vec<u64> {
        let cells = self.json(["ps"])["cells"].as_array().unwrap().clone();
        cells.iter().filter(|cell| cell["gene"] == gene).map(|cell| cell["id"].as_u64().unwrap()).collect()
    }

    /// The kept lines of a gene's log.
    #[track_caller]
    pub fn logs(&self, gene: &str) -> Vec<Value> {
        self.json(["logs", gene, "--tail", "1000"])["logs"].as_array().unwrap().clone()
    }

    /// CPU time of the process so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name of the program is in parentheses and may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // The kernel shows ticks of 10 ms to programs, whatever its own are.
        Duration::from_millis(ticks * 10)
    }
}

/// The bytes of `GET path` for a gene.
pub fn get(gene: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {gene}.test\r\n\r\n")
}

/// The answer of a gene to `GET path`.
#[track_caller]
pub fn ask(connection: &mut Connection, gene: &str, path: &str) -> Response {
    connection.request("GET", path, &[("host", &format!("{gene}.test"))], b"")
}

/// What `work` gave and how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let made = work();
    (made, started.elapsed())
}

/// Expects a refusal: this status, this code, and an id in the head and the text.
#[track_caller]
pub fn refused(answer: &Response, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let id = answer.header("x-request-id").expect("a refusal has an id").to_owned();
    assert!(answer.text().ends_with(&format!("({code}, request {id})\n")), "{}", answer.text());
    id
}
