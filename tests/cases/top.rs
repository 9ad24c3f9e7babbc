//! The screen of a running host: one as text, and a live one on a terminal that is given back.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{BINARY, Connection, Host, project, until};

const SHOP: &str = r#"
[organism]
name = "shop"
[gene.front]
source = "{state}"
route = "/front"
reuse = 100000
express = { min = 2, max = 8 }
[gene.back]
source = "{echo}"
route = "/back"
"#;

fn host() -> (Host, crate::support::Temp) {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    until("two cells", || (host.json(["ps"])["cells"].as_array()?.len() == 2).then_some(()));
    (host, folder)
}

#[test]
fn one_screen_is_readable_in_eighty_columns() {
    let (host, _folder) = host();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let (text, value) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::open(host.address());
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(connection.get("/front").status, 200);
            }
        });
        let text = host.cyte(["top", "--once"]).ok().stdout;
        let value = host.json(["top", "--once"]);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        (text, value)
    });
    assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.contains('\u{1b}')), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("cyte  shop version 1  up ") && lines[0].contains(host.url()), "{text}");
    for (at, word) in [(1, "requests"), (2, "memory"), (3, "cells"), (4, "stems")] {
        assert!(lines[at].starts_with(word), "{text}");
    }
    let heading = "GENE           ROLE  READY BUSY WAIT   REQ/S    P50    P99  DELAY  WANT GROWTH";
    assert_eq!(lines[6], heading);
    let row =
        |gene: &str| lines.iter().find(|line| line.starts_with(gene)).unwrap_or_else(|| panic!("{text}"));
    let front: Vec<&str> = row("front").split_whitespace().collect();
    assert_eq!(front[1], "drone");
    assert!(front[2].parse::<u32>().unwrap() + front[3].parse::<u32>().unwrap() >= 2, "{text}");
    assert!(front[5].parse::<f64>().unwrap() > 1.0 && front[6].ends_with('s'), "{text}");
    assert_eq!(row("back").split_whitespace().nth(5), Some("0.0"), "{text}");
    assert!(value["requests_per_s"].as_f64().unwrap() > 1.0, "{value:#}");
    assert_eq!(
        (&value["genes"][1]["gene"], &value["roles"]["drone"]["waiting"]),
        (&"front".into(), &0.into())
    );
}

#[test]
fn without_a_terminal_or_a_host_it_says_so() {
    let (host, _folder) = host();
    let said = host.cyte(["top"]).run().refused(2, "E001");
    assert!(said.contains("it needs a terminal") && said.contains("cyte top --once"), "{said}");
    let nowhere = crate::support::Temp::new();
    crate::support::Cyte::new(["top", "--once", "--state"]).arg(nowhere.path()).run().refused(1, "E305");
}

/// `cyte top` on a terminal of 80 columns and 24 lines, whose settings are printed afterwards.
struct Terminal {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn of(host: &Host) -> Self {
        let (state, run) = (host.state().display(), host.runtime().display());
        let line = format!(
            "stty cols 80 rows 24; XDG_RUNTIME_DIR={run} {BINARY} top --every 100ms --state {state}; echo ended=$?; stty -a"
        );
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("`script`, of util-linux, gives tests a terminal");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut out, all) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(read @ 1..) = out.read(&mut piece) {
                all.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { child, shown }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, part: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.text().contains(part) {
            assert!(Instant::now() < end, "never {part:?}: {:?}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// It ended so, and the terminal is as it was: the other screen left, lines and echo on.
    #[track_caller]
    fn ended(mut self, status: &str) {
        self.shows(&format!("ended={status}"));
        self.shows("icanon");
        let text = self.text();
        let (screen, after) = text.split_once("ended=").unwrap();
        assert!(screen.contains("\u{1b}[?1049h"), "{text:?}");
        assert!(screen.rfind("\u{1b}[?1049l") > screen.rfind("\u{1b}[?1049h"), "{text:?}");
        assert!(screen.rfind("\u{1b}[?25h") > screen.rfind("\u{1b}[?25l"), "the cursor is shown: {text:?}");
        let settings: Vec<&str> = after.split([' ', ';', '\r', '\n']).collect();
        assert!(settings.contains(&"icanon") && settings.contains(&"echo"), "{after}");
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of `cyte top` for this host.
fn process(host: &Host) -> rustix::process::Pid {
    until("the process", || {
        let mut all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
        let is_it = |path: &Path| {
            let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            words.starts_with(&format!("{BINARY}\0top\0"))
                && words.contains(&host.state().display().to_string())
        };
        let found = all.find(|entry| is_it(&entry.path()))?;
        rustix::process::Pid::from_raw(found.file_name().to_str()?.parse().ok()?)
    })
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let (host, _folder) = host();
    let start = || {
        let terminal = Terminal::of(&host);
        for part in ["shop version 1", "GROWTH", "front", "q ends it"] {
            terminal.shows(part);
        }
        terminal
    };
    for keys in [b"q".as_slice(), b"\x03", b"\x1b[Bq"] {
        let mut terminal = start();
        terminal.press(keys);
        terminal.ended("0");
    }
    let terminal = start();
    rustix::process::kill_process(process(&host), Signal::TERM).unwrap();
    terminal.ended("0");
    let terminal = start();
    host.stop();
    terminal.ended("1");
}
