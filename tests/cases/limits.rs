//! Limits that change while a host serves: in force within a second, under load, without a lost request,
//! kept through a kill, and never beyond what the machine and the DNA allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Connection, Host, project, until};

const SHOP: &str = r#"
[organism]
name = "shop"
[gene.front]
source = "{p3-concurrency}"
route = "/..."
express = { max = 12 }
limits = { wait = "20s", wall = "60s", cpu = "60s" }
[gene.held]
source = "{grow}"
route = "/hold"
reuse = 1000
limits = { memory = "16MiB", wait = "20s", wall = "60s", cpu = "60s" }
[gene.spin]
source = "{spin}"
route = "/spin"
limits = { wait = "20s", wall = "60s", cpu = "60s" }
"#;

/// Clients that ask on and on, and count what is not a 200.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(host: &Host, clients: usize, path: &'static str) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let address = host.address();
        let client = || {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).deadline(Duration::from_secs(60));
                let mut wrong = Vec::new();
                while !stop.load(Relaxed) {
                    match connection.try_request("GET", path, &[("host", "x")], b"") {
                        Ok(answer) if answer.status == 200 => _ = answered.fetch_add(1, Relaxed),
                        other => {
                            wrong.push(format!("{other:?}"));
                            connection = Connection::open(address).deadline(Duration::from_secs(60));
                        }
                    }
                }
                wrong
            })
        };
        let clients = (0..clients).map(|_| client()).collect();
        Self { stop, answered, clients }
    }

    /// So many more requests are answered.
    #[track_caller]
    fn goes_on(&self, more: u64) {
        let seen = self.answered.load(Relaxed);
        until("the load goes on", || (self.answered.load(Relaxed) >= seen + more).then_some(()));
    }

    #[track_caller]
    fn end(self) {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            let wrong = client.join().unwrap();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

#[track_caller]
fn set(host: &Host, limits: &[&str]) -> Value {
    let args: Vec<&str> = ["limits", "set"].into_iter().chain(limits.iter().copied()).collect();
    host.json(args)
}

/// One limit as `cyte limits` shows it.
#[track_caller]
fn live(host: &Host, name: &str) -> Value {
    let all = host.json(["limits"])["live"].as_array().unwrap().clone();
    all.into_iter().find(|limit| limit["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn usage(host: &Host, key: &str) -> u64 {
    host.json(["limits"])["usage"][key].as_u64().unwrap()
}

/// Whether it came true within a second of `since`, on a machine that has other work too.
#[track_caller]
fn soon(since: Instant, what: &str, is: impl Fn() -> bool) {
    until(what, || is().then_some(()));
    assert!(since.elapsed() < Duration::from_secs(10), "{what} took {:?}", since.elapsed());
}

#[test]
fn cells_memory_and_a_genes_range_change_under_load_without_a_lost_request() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let load = Load::on(&host, 8, "/?ms=5");
    load.goes_on(50);

    set(&host, &["cells-per-host=3"]);
    let since = Instant::now();
    soon(since, "three cells at most", || usage(&host, "cells") + usage(&host, "stems") <= 3);
    assert_eq!(usage(&host, "cells_max"), 3);
    load.goes_on(50);
    assert!(usage(&host, "cells") <= 3);
    host.cyte(["limits", "unset", "cells-per-host"]).ok();
    assert!(usage(&host, "cells_max") > 3);

    set(&host, &["front.cells=6..8"]);
    let front = || {
        let ps = host.json(["ps"]);
        ps["cells"].as_array().unwrap().iter().filter(|cell| cell["gene"] == "front").count()
    };
    soon(Instant::now(), "six cells at least", || front() >= 6);
    load.goes_on(50);
    set(&host, &["front.cells=1..2"]);
    soon(Instant::now(), "two cells at most", || front() <= 2);
    assert_eq!(live(&host, "front.cells")["by"], "operator");
    host.cyte(["limits", "unset", "front.cells"]).ok();
    let range = live(&host, "front.cells");
    assert_eq!((&range["by"], &range["in_force"]), (&"dna".into(), &"0..12".into()));

    assert_eq!(host.get("/hold?mib=9").status, 200);
    let held = usage(&host, "memory_bytes");
    assert!(held > 9 << 20, "{held}");
    set(&host, &["memory-of-all-cells=64MiB", "front.wait=15s"]);
    assert_eq!(usage(&host, "memory_max_bytes"), 64 << 20);
    load.goes_on(20);
    assert!(usage(&host, "memory_bytes") <= 64 << 20);
    host.cyte(["limits", "unset", "memory-of-all-cells"]).ok();
    assert!(usage(&host, "memory_max_bytes") > 64 << 20);
    load.end();
}

#[test]
fn calls_polled_at_once_change_while_guests_compute() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let polled = live(&host, "polled-calls");
    let (least, most) = (polled["least"].as_str().unwrap(), polled["most"].as_str().unwrap());
    let load = Load::on(&host, 4, "/?ms=1");
    for value in [least, most, least] {
        set(&host, &[&format!("polled-calls={value}")]);
        assert_eq!(live(&host, "polled-calls")["in_force"], value);
        load.goes_on(20);
    }
    let beyond = most.parse::<u64>().unwrap() + 1;
    let beyond = format!("polled-calls={beyond}");
    let said = host.cyte(["limits", "set", &beyond]).run().refused(1, "E410");
    assert!(said.contains("of this machine") && said.contains("cyte limits"), "{said}");
    load.end();
}

#[test]
fn a_genes_wait_and_waiters_change_while_a_queue_waits() {
    let folder = project(&SHOP.replace("max = 12", "max = 1"));
    let host = Host::start(folder.path());
    let begin = |ms: u32| {
        let mut connection = host.connect().deadline(Duration::from_secs(30));
        connection.send(format!("GET /?ms={ms} HTTP/1.1\r\nhost: x\r\n\r\n"));
        connection
    };
    let waiting = |count: u64| {
        until("they wait", || {
            let seen = host.json(["inspect", "front"]);
            (seen["tissue"]["waiting"] == count && seen["tissue"]["busy"] == 1).then_some(())
        });
    };
    let mut slow = begin(4_000);
    waiting(0);
    let mut patient = begin(1);
    waiting(1);
    set(&host, &["front.wait=300ms", "front.waiters=2"]);
    assert_eq!(live(&host, "front.wait")["in_force"], "300ms");
    assert_eq!(host.json(["inspect", "front"])["tissue"]["bounds"]["waiters_max"], 2);
    let started = Instant::now();
    let refused = host.get("/?ms=1");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Who waited before keeps the wait that it came with.
    assert_eq!(slow.response().unwrap().status, 200);
    assert_eq!(patient.response().unwrap().status, 200);
}

/// `Prefer: wait=N`: a client may wait for less than the gene allows, and never for more.
#[test]
fn a_client_says_how_long_it_waits_and_only_ever_less() {
    let folder = project(&SHOP.replace("max = 12", "max = 1").replace("20s", "1500ms"));
    let host = Host::start(folder.path());
    let mut slow = host.connect().deadline(Duration::from_secs(30));
    slow.send("GET /?ms=5000 HTTP/1.1\r\nhost: x\r\n\r\n");
    until("it works", || (host.json(["inspect", "front"])["tissue"]["busy"] == 1).then_some(()));
    let ask = |prefer: &str| {
        let started = Instant::now();
        let answer = host.connect().request("GET", "/?ms=1", &[("host", "x"), ("prefer", prefer)], b"");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some());
        started.elapsed()
    };
    let hasty = ask("wait=0.2");
    assert!((200..1_200).contains(&hasty.as_millis()), "{hasty:?}");
    assert!(ask("wait=0") < Duration::from_millis(900));
    let bold = ask("wait=60");
    assert!((1_400..4_000).contains(&bold.as_millis()), "never more than its DNA allows: {bold:?}");
    let counts = host.json(["inspect", "front"])["tissue"]["counts"].clone();
    assert_eq!(counts["expired"], 3, "{counts:#}");
    assert_eq!(slow.response().unwrap().status, 200);
}

#[test]
fn what_is_set_survives_a_kill_and_what_a_new_dna_forbids_is_dropped_and_told() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    let start = || Host::of(folder.path()).state(&state).start();
    let host = start();
    let load = Load::on(&host, 4, "/?ms=1");
    load.goes_on(10);
    set(&host, &["cells-per-host=7", "front.wait=9s", "front.waiters=55", "front.cells=1..5"]);
    load.end();
    host.event("operator", |event| {
        event["verb"] == "limits.set" && event["subject"].as_str().unwrap().contains("front.wait=9s")
    });
    host.kill();
    let host = start();
    for (name, value) in
        [("cells-per-host", "7"), ("front.wait", "9s"), ("front.waiters", "55"), ("front.cells", "1..5")]
    {
        let limit = live(&host, name);
        assert_eq!((&limit["in_force"], &limit["by"]), (&value.into(), &"operator".into()), "{limit:#}");
    }
    assert_eq!(host.json(["inspect", "front"])["tissue"]["bounds"]["waiters_max"], 55);
    assert_eq!(usage(&host, "cells_max"), 7);
    host.stop();
    crate::support::project::write(folder.path(), &SHOP.replace("wait = \"20s\"", "wait = \"3s\""));
    let host = start();
    let gone = host.event("limit-dropped", |event| event["limit"] == "front.wait");
    assert_eq!(gone["asked"], "9s");
    let wait = live(&host, "front.wait");
    assert_eq!((&wait["in_force"], &wait["by"]), (&"3s".into(), &"dna".into()));
    assert_eq!(live(&host, "front.waiters")["by"], "operator", "what is still allowed stays");
}

#[test]
fn what_cannot_be_set_is_refused_with_bounds_and_nothing_of_it_is_taken() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let refused = |limits: &[&str], exit, code| {
        let args: Vec<&str> = ["limits", "set"].into_iter().chain(limits.iter().copied()).collect();
        host.cyte(args).run().refused(exit, code)
    };
    let said = refused(&["front.waiters=9", "front.wait=21s"], 1, "E410");
    assert!(said.contains("21s is outside the bounds of its DNA, 0ms to 20s"), "{said}");
    assert!(refused(&["front.wait=21"], 1, "E410").contains("is not a duration"));
    assert!(refused(&["kept-warm=1MiB"], 1, "E410").contains("changed by: nobody"));
    assert!(refused(&["what=1"], 1, "E410").contains("GENE.waiters"));
    assert!(refused(&["nobody.wait=1s"], 1, "E410").contains("no gene `nobody`"));
    assert!(refused(&["front.waiters=9", "front.cells=2..99"], 4, "E407").contains("0..12"));
    refused(&["front.wait"], 2, "E001");
    refused(&["front.wait=1s", "front.wait=2s"], 2, "E001");
    host.cyte(["limits", "unset", "nothing"]).run().refused(1, "E410");
    assert_eq!(live(&host, "front.waiters")["by"], "default", "nothing of it was taken");
    let text = host.cyte(["limits"]).ok().stdout;
    assert!(text.contains("cells-per-host") && text.contains("IN FORCE"), "{text}");
    let said = host.cyte(["limits", "set", "front.wait=40ms"]).ok().stderr;
    assert!(said.contains("in force") && said.contains("front.wait 40ms (by operator)"), "{said}");
}

/// A cell whose memory passed the mark retires when it has finished what it holds, and is counted.
#[test]
fn a_cell_whose_memory_passed_the_mark_retires() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let old = |host: &Host| host.json(["inspect", "held"])["tissue"]["grown_old"].as_u64().unwrap();
    assert_eq!(host.json(["inspect", "held"])["tissue"]["memory_mark_bytes"], (16 << 20) / 100 * 75);
    assert_eq!(host.get("/hold?mib=2").text(), "holding 2 MiB\n");
    assert_eq!(host.get("/hold?mib=2").text(), "holding 4 MiB\n", "the same cell");
    assert_eq!(old(&host), 0);
    assert_eq!(host.get("/hold?mib=9").text(), "holding 13 MiB\n", "it finishes what it holds");
    until("it retires", || (old(&host) == 1).then_some(()));
    assert_eq!(host.get("/hold?mib=1").text(), "holding 1 MiB\n", "another one");
    let limits = host.json(["limits"])["limits"].as_array().unwrap().clone();
    let row = limits.iter().find(|row| row["name"] == "memory-mark").unwrap();
    assert_eq!(row["count"], 1);
}

/// No file of the state folder may grow: what an operator writes is refused and not in force, requests are
/// answered, and once there is room again all goes on without a restart.
#[test]
fn a_disk_without_room_refuses_writes_serves_on_and_recovers_without_a_restart() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let folder = project(SHOP);
    let state = folder.path().join("s");
    let host = Host::of(folder.path()).state(&state).start();
    let room = |bytes: Option<u64>| {
        let pid = Pid::from_raw(i32::try_from(host.id()).unwrap());
        let before = rustix::process::getrlimit(Resource::Fsize);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: before.maximum }).unwrap();
    };
    set(&host, &["front.wait=2s"]);
    let load = Load::on(&host, 4, "/?ms=1");
    load.goes_on(20);
    room(Some(0));
    for _ in 0..3 {
        host.cyte(["limits", "set", "front.wait=1s"]).run().refused(1, "E303");
        host.cyte(["apply", "-"]).stdin("[gene.front]\ncount = 2\n").run().refused(1, "E303");
        load.goes_on(20);
    }
    assert_eq!(live(&host, "front.wait")["in_force"], "2s", "what is not kept is not in force");
    assert_eq!(live(&host, "front.cells")["by"], "dna");
    room(None);
    until("it is taken again", || {
        host.cyte(["limits", "set", "front.wait=1s"]).run().status.success().then_some(())
    });
    assert_eq!(live(&host, "front.wait")["in_force"], "1s");
    host.cyte(["apply", "-"]).stdin("[gene.front]\ncount = 2\n").ok();
    load.goes_on(20);
    load.end();
    host.kill();
    let host = Host::of(folder.path()).state(&state).start();
    assert_eq!(live(&host, "front.wait")["in_force"], "1s");
    assert_eq!(host.json(["get", "front"])["count"], 2);
}
