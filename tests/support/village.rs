//! Several hosts in one process, which end with their test.

use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use super::wait::{LONG, SOON, until};
use super::{Connection, Cyte, Temp, project, warm};

/// A running `cyte dev --hosts N`.
#[derive(Debug)]
pub struct Village {
    process: crate::support::command::Running,
    hosts: Vec<Value>,
    pub runtime: PathBuf,
    pub state: PathBuf,
    _folder: Temp,
    _temp: Temp,
}

impl Village {
    /// So many hosts of a project, once all listen and say how they stand.
    #[track_caller]
    pub fn start(toml: &str, hosts: usize, args: &[&str]) -> Self {
        let (folder, temp) = (project(toml), Temp::new());
        let runtime = temp.join("run");
        std::fs::create_dir(&runtime).unwrap();
        let state = warm::folder(&temp);
        let process = Cyte::new(["dev"])
            .arg(folder.path())
            .args(["--hosts", &hosts.to_string(), "--output", "json", "--state"])
            .arg(&state)
            .args(args)
            .env("XDG_RUNTIME_DIR", &runtime)
            .spawn();
        let lines = process.out.wait(LONG, |text| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines.len() >= hosts).then_some(lines)
        });
        let lines = lines.unwrap_or_else(|| panic!("not all listen: {}", process.err.text()));
        warm::keep(&state);
        let hosts = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        process.err.wait(SOON, |text| text.contains("cyte hosts shows them").then_some(()));
        let village = Self { process, hosts, runtime, state, _folder: folder, _temp: temp };
        until("every host says how it stands", || {
            let all = village.ask(&["hosts"]);
            all["hosts"].as_array()?.iter().all(|row| row["cells"].is_u64()).then_some(())
        });
        village
    }

    /// What `cyte ARGS` says in the project.
    pub fn ask(&self, args: &[&str]) -> Value {
        let cyte = Cyte::new(args).arg("--state").arg(&self.state);
        cyte.env("XDG_RUNTIME_DIR", &self.runtime).json()
    }

    /// What `cyte ARGS` says of one host.
    pub fn ask_host(&self, number: usize, args: &[&str]) -> Value {
        let state = self.state.join("hosts").join(number.to_string());
        let cyte = Cyte::new(args).arg("--state").arg(state);
        cyte.env("XDG_RUNTIME_DIR", &self.runtime).json()
    }

    /// What a host was told and has kept, its own and others' records, one object a line.
    pub fn records(&self, number: usize) -> Vec<Value> {
        let state = self.state.join("hosts").join(number.to_string());
        let cyte = Cyte::new(["events", "--since", "10m"]).arg("--state").arg(state);
        let ran = cyte.args(["--output", "jsonl"]).env("XDG_RUNTIME_DIR", &self.runtime).ok();
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// One line of `cyte hosts`.
    pub fn row(&self, number: usize) -> Value {
        let all = self.ask(&["hosts"]);
        let rows = all["hosts"].as_array().unwrap();
        rows.iter().find(|row| row["number"] == number as u64).unwrap().clone()
    }

    /// Copies that the running hosts answer for.
    fn copies(&self) -> u64 {
        let all = self.ask(&["hosts"]);
        let rows = all["hosts"].as_array().unwrap();
        rows.iter()
            .filter(|row| row["state"] == "running")
            .map(|row| row["copies"].as_u64().unwrap_or(0))
            .sum()
    }

    /// Waits until the running hosts answer for so many copies.
    #[track_caller]
    pub fn has_copies(&self, count: u64) {
        until(&format!("{count} copies"), || (self.copies() == count).then_some(()));
    }

    /// Waits until every host sees every other.
    #[track_caller]
    pub fn all_see_each_other(&self) {
        until("all see each other", || {
            let sees = |number| self.row(number)["sees"].as_array().map_or(0, Vec::len);
            (1..=self.hosts.len()).all(|number| sees(number) == self.hosts.len() - 1).then_some(())
        });
    }

    /// A host's events of one kind.
    pub fn events(&self, number: usize, kind: &str) -> Vec<Value> {
        let all = self.ask_host(number, &["events", "--tail", "4096"]);
        all["events"].as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// Where a host listens.
    pub fn address(&self, number: usize) -> SocketAddr {
        let url = self.hosts[number - 1]["url"].as_str().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The status of `GET path` at a host.
    pub fn get(&self, number: usize, path: &str) -> u16 {
        Connection::open(self.address(number)).request("GET", path, &[], b"").status
    }

    /// Ends all of them.
    pub fn stop(self) {
        self.process.signal(Signal::INT);
        self.process.wait(LONG).expect(0);
    }
}
