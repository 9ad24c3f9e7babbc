//! Asking a running host: `ps`, `inspect`, `logs`, `events`, `limits`, as text and as JSON.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::support::wait::SOON;
use crate::support::{Cyte, Host, Temp, project, until};

/// A host of three guests that have had a few requests.
fn host() -> (Host, Temp) {
    let folder = project(
        r#"
[organism]
name = "seen"
version = "1.2.3"
[gene.state]
source = "{state}"
labels = { team = "web", tier = "front" }
route = "/state"
express = { max = 1 }
limits = { wait = "20s" }
[gene.panic]
source = "{panic}"
route = "/panic/..."
[gene.rest]
source = "{echo}"
route = "/rest"
"#,
    );
    let host = Host::start(folder.path());
    host.says("/state", "1\n");
    host.says("/state", "2\n");
    (host, folder)
}

#[test]
fn ps_shows_cells_and_genes_that_rest() {
    let (host, _folder) = host();
    let ps = host.json(["ps"]);
    assert_eq!(ps["organism"], "seen");
    let cells = ps["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 1, "{ps:#}");
    let cell = &cells[0];
    assert_eq!((&cell["gene"], &cell["role"], &cell["uses"]), (&"state".into(), &"drone".into(), &2.into()));
    assert!(cell["memory_bytes"].as_u64().unwrap() > 0, "{cell:#}");
    let text = host.cyte(["ps"]).ok().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("CELL"), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("state#")), "{text}");
    assert_eq!(lines.iter().filter(|line| line.contains("resting")).count(), 2, "{text}");
    let each = host.cyte(["ps", "--output", "jsonl"]).ok().stdout;
    assert_eq!(each.lines().count(), 1);
    serde_json::from_str::<Value>(each.trim()).unwrap();
}

#[test]
fn inspect_shows_a_cell_and_a_gene() {
    let (host, _folder) = host();
    let name = host.json(["ps"])["cells"][0]["cell"].as_str().unwrap().to_owned();
    let cell = host.json(["inspect", &name]);
    // Which DNA it carries: the one in force, as `cyte dna inspect` names it.
    let bundle = std::fs::read_to_string(host.state().join("current")).unwrap();
    let bundle = host.state().join("dna").join(bundle.trim().rsplit('/').next().unwrap());
    let dna = Cyte::new(["dna", "inspect"]).arg(bundle).json();
    assert_eq!(cell["digest"], dna["digest"], "{dna:#}");
    assert_eq!(cell["digest"].as_str().unwrap().len(), 64);
    assert_eq!(host.json(["ps"])["cells"][0]["digest"], cell["digest"]);
    for key in
        ["cell", "gene", "role", "state", "age_ms", "mother", "generation", "niche", "uses", "uses_left"]
    {
        assert!(cell.get(key).is_some(), "{key} is not in {cell:#}");
    }
    assert_eq!(cell["uses"], 2);
    let gene = host.json(["inspect", "state"]);
    assert_eq!((&gene["gene"], &gene["routes"][0]), (&"state".into(), &"/state".into()));
    for key in ["dna", "component", "asks", "limits", "tissue", "sha256"] {
        assert!(gene.get(key).is_some() || key == "sha256", "{key} is not in {gene:#}");
    }
    let text = host.cyte(["inspect", &name]).ok().stdout;
    assert!(text.contains("generation") && text.contains("niche"), "{text}");
    assert!(text.contains(cell["digest"].as_str().unwrap()), "{text}");
    let text = host.cyte(["inspect", "state"]).ok().stdout;
    assert!(text.contains("/state") && text.contains("ASKS FOR"), "{text}");
    for nobody in ["nobody", "state#999999", "../state", "state#x", ""] {
        host.cyte(["inspect", nobody]).run().refused(1, "E308");
    }
}

#[test]
fn genes_are_found_by_their_labels() {
    let (host, _folder) = host();
    let names = |args: &[&str]| -> Vec<String> {
        let ps = host.json([&["ps"], args].concat());
        ps["genes"].as_array().unwrap().iter().map(|gene| gene["gene"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["panic", "rest", "state"]);
    assert_eq!(names(&["--label", "team=web", "--label", "tier"]), ["state"]);
    assert_eq!(names(&["--label", "team=data"]), Vec::<String>::new());
    let text = host.cyte(["ps", "--label", "team"]).ok().stdout;
    assert!(text.lines().next().unwrap().ends_with("LABELS"), "{text}");
    assert!(text.contains("team=web tier=front") && !text.contains("panic"), "{text}");
    assert_eq!(host.json(["inspect", "state"])["labels"]["tier"], "front");
    assert!(host.cyte(["inspect", "state"]).ok().stdout.contains("team=web tier=front"));
}

#[test]
fn a_tree_shows_what_is_mounted_where_and_who_lives_there() {
    let (host, _folder) = host();
    host.event("differentiated", |event| event["cell"] == "egg#2");
    let text = host.cyte(["ps", "--tree"]).ok().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("seen  version 1, DNA "), "{text}");
    assert!(lines[1].starts_with("└─ egg#1  neuron") && lines[1].contains("the hormone law"), "{text}");
    assert!(lines[2].starts_with("   ├─ egg#2  messenger") && lines[2].contains("2 requests"), "{text}");
    assert_eq!(lines[3], "   ├─ panic  drone  /panic/...  resting", "{text}");
    assert_eq!(lines[4], "   ├─ rest  drone  /rest  resting", "{text}");
    assert_eq!(lines[5], "   └─ state  drone  /state  team=web tier=front", "{text}");
    assert!(lines[6].starts_with("      └─ state#") && lines[6].contains("2 uses"), "{text}");
    assert_eq!(lines.len(), 7, "{text}");
    let chosen = host.cyte(["ps", "--tree", "--label", "team"]).ok().stdout;
    assert!(chosen.contains("└─ state") && !chosen.contains("egg#"), "{chosen}");
}

/// Development is one process, however many services there are.
#[test]
fn all_services_live_in_one_process() {
    let (host, _folder) = host();
    assert_eq!(host.get("/rest").status, 200);
    assert_eq!(host.json(["ps"])["cells"].as_array().unwrap().len(), 2, "cells of two genes");
    let children: String = std::fs::read_dir(format!("/proc/{}/task", host.id()))
        .unwrap()
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default())
        .collect();
    assert_eq!(children.trim(), "", "no process beside it");
    assert_eq!(host.listening()["pid"], host.id());
}

#[test]
fn nothing_listens_beyond_loopback_unless_told() {
    let help = Cyte::new(["run", "--help"]).ok().stdout;
    assert!(help.contains("127.0.0.1:8080"), "{help}");
    let (host, folder) = host();
    assert_eq!(listeners(host.id()), [host.address().to_string()]);
    drop(host);
    // Told.
    let told = Host::of(folder.path()).arg("--listen").arg("0.0.0.0:0").try_start();
    if let Ok(host) = told {
        assert!(listeners(host.id()).iter().all(|address| address.starts_with("0.0.0.0:")));
    }
}

/// The TCP addresses on which a process listens.
fn listeners(pid: u32) -> Vec<String> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // State 0A is LISTEN.
            if fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]) {
                let (address, port) = fields[1].split_once(':').unwrap();
                let port = u16::from_str_radix(port, 16).unwrap();
                let address = match u32::from_str_radix(address, 16) {
                    Ok(v4) => std::net::Ipv4Addr::from(v4.swap_bytes()).to_string(),
                    Err(_) => format!("[{address}]"),
                };
                found.push(format!("{address}:{port}"));
            }
        }
    }
    found
}

#[test]
fn what_guests_say_is_kept_with_their_cell_and_request() {
    let (host, _folder) = host();
    assert_eq!(host.get("/panic").status, 502);
    let record = until("the panic's line", || {
        let page = host.json(["logs", "panic"]);
        page["logs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["text"].as_str().unwrap().contains("panicked"))
            .cloned()
    });
    assert_eq!(record["gene"], "panic");
    assert_eq!(record["stream"], "stderr");
    assert_eq!(record["request"].as_str().unwrap().len(), 16);
    assert!(record["cell"].as_u64().is_some() && record["at_ms"].as_u64().is_some());
    let text = host.cyte(["logs", "panic"]).ok().stdout;
    assert!(text.contains("panicked") && text.contains("panic#"), "{text}");
    assert_eq!(host.cyte(["logs", "state"]).ok().stdout, "", "another gene's lines are not its");
    assert_eq!(host.cyte(["logs", "panic", "--tail", "1"]).ok().stdout.lines().count(), 1);
    // The same lines are on disk, and on the host's standard error.
    host.hears("panicked");
    until("the file has it", || {
        std::fs::read_to_string(host.state().join("logs/guests.jsonl"))
            .ok()
            .filter(|t| t.contains("panicked"))
    });
}

#[test]
fn logs_are_followed_as_they_come() {
    let (host, _folder) = host();
    let follower = host.cyte(["logs", "-f", "--output", "jsonl"]).spawn();
    // It says nothing until there is something; so one line after another is provoked until the
    // first arrives, and then one more.
    let count = || follower.out.text().lines().count();
    until("the follower hears something", || {
        host.get("/panic");
        (count() > 0).then_some(())
    });
    let before = count();
    host.get("/panic");
    until("and more", || (count() > before).then_some(()));
    let text = follower.out.text();
    for line in text.lines().take(before) {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["v"], &record["gene"]), (&1.into(), &"panic".into()));
    }
    // It ends with its host.
    host.stop().expect(0);
    follower.wait(SOON);
}

#[test]
fn events_tell_what_happened_in_order() {
    let (host, _folder) = host();
    host.get("/panic");
    let died = host.event("cell-died", |event| event["gene"] == "panic");
    assert!(died["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{died}");
    let events = host.events();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["started", "security", "dna-accepted", "loader"]);
    assert_eq!(kinds.iter().filter(|kind| **kind == "gene-ready").count(), 3);
    assert!(kinds.contains(&"listening"), "{kinds:?}");
    for (event, seq) in events.iter().zip(1_u64..) {
        assert_eq!((&event["v"], &event["seq"]), (&1.into(), &seq.into()));
    }
    let text = host.cyte(["events", "--tail", "1"]).ok().stdout;
    assert_eq!(text.lines().count(), 1);
    let follower = host.cyte(["events", "-f"]).spawn();
    follower
        .out
        .wait(SOON, |text| text.contains("listening").then_some(()))
        .expect("it begins with the past");
    host.stop().expect(0);
    let ran = follower.wait(SOON);
    assert!(ran.stdout.contains("draining"), "{}", ran.stdout);
}

#[test]
fn limits_are_one_table_with_and_without_a_host() {
    let host = Host::guest("echo");
    let here = host.json(["limits"]);
    let alone = Cyte::new(["limits", "--output", "json"]).within("/").ok();
    let rows = |value: &Value| value["limits"].as_array().unwrap().clone();
    assert!(rows(&here).len() > 50);
    // A host of somebody else's may run on this machine, and then it is the one that is asked.
    if alone.stderr.contains("no host runs") {
        let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
        assert_eq!(rows(&here).len(), rows(&alone).len());
    }
    for row in rows(&here) {
        for key in ["name", "default", "unit", "changed_by", "reason"] {
            assert!(row[key].is_string(), "{key} is not in {row:#}");
        }
    }
    assert!(here["plan"]["cells_max"].as_u64().unwrap() > 0, "{:#}", here["plan"]);
    let text = host.cyte(["limits"]).ok().stdout;
    for said in ["cpu-per-call", "cell-memory", "request-body", "this host:"] {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
}

#[test]
fn every_code_is_explained() {
    let all = Cyte::new(["explain"]).json();
    let codes = all["codes"].as_array().unwrap();
    assert!(codes.len() > 20);
    for code in codes {
        let id = code["code"].as_str().unwrap();
        let text = Cyte::new(["explain", id]).ok().stdout;
        assert!(text.starts_with(&format!("{id} (exit status {})", code["exit"])), "{text}");
        assert!(text.lines().count() >= 3, "{text}");
    }
    Cyte::new(["explain", "e301"]).ok();
    Cyte::new(["explain", "E999"]).run().refused(2, "E001");
}

#[test]
fn the_host_that_is_meant_is_found() {
    let temp = Temp::new();
    let run = temp.join("run");
    std::fs::create_dir(&run).unwrap();
    let folder = project(crate::cases::run::ONE_ECHO);
    let deep = folder.join("genes/deep");
    std::fs::create_dir_all(&deep).unwrap();
    let ps = |cyte: Cyte| cyte.env("XDG_RUNTIME_DIR", &run);
    ps(Cyte::new(["ps", "--state"]).arg(temp.join("none"))).run().refused(1, "E305");
    ps(Cyte::new(["ps"]).within(&deep)).run();

    // In the nearest project, from anywhere inside it.
    let host = Host::of(folder.path()).state(folder.join(".cyte")).env("XDG_RUNTIME_DIR", &run).start();
    assert_eq!(ps(Cyte::new(["ps"]).within(&deep)).json()["organism"], "one");
    assert_eq!(ps(Cyte::new(["-C"]).arg(&deep).arg("ps")).json()["organism"], "one");
    // By the variable, by the flag.
    let state = folder.join(".cyte");
    assert_eq!(ps(Cyte::new(["ps"]).env("CYTE_STATE", &state)).json()["organism"], "one");
    assert_eq!(ps(Cyte::new(["ps", "--state"]).arg(&state)).json()["organism"], "one");
    host.stop().expect(0);
    ps(Cyte::new(["ps", "--state"]).arg(&state)).run().refused(1, "E305");
}

#[test]
fn the_control_socket_serves_what_it_knows_and_nothing_else() {
    let host = Host::guest("echo");
    let lock: Value = serde_json::from_slice(&std::fs::read(host.state().join("lock")).unwrap()).unwrap();
    let socket = lock["socket"].as_str().unwrap().to_owned();
    let ask = |request: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let get = |method: &str, path: &str| {
        ask(format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    };
    let status = get("GET", "/v1/status");
    assert!(status.starts_with("HTTP/1.1 200") && status.contains("\"v\":1"), "{status}");
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v2/status"),
        ("GET", "/v1/secrets/token"),
        ("POST", "/v1/ps"),
        ("DELETE", "/v1/genes/echo"),
        ("GET", "/v1/../status"),
    ] {
        let answer = get(method, path);
        assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path}: {answer}");
    }
    // Nonsense ends its own connection and nothing else.
    ask(b"\x16\x03\x01nonsense\r\n\r\n");
    ask(&vec![b'a'; 200_000]);
    drop(UnixStream::connect(&socket).unwrap());
    assert!(get("GET", "/v1/ps").starts_with("HTTP/1.1 200"));
    host.says("/", "");
}

#[test]
fn output_that_nobody_reads_ends_quietly() {
    let host = Host::guest("echo");
    let mut command = host.cyte(["limits"]).command();
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(err, "");
}

#[test]
fn errors_are_json_where_data_is() {
    let ran = Cyte::new(["run", "/nonexistent", "--output", "json"]).run().expect(1);
    assert_eq!(ran.stdout, "");
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["v"], 1);
    for key in ["code", "what", "why", "exit"] {
        assert!(error["error"].get(key).is_some(), "{error}");
    }
    // And colour only where it was asked for.
    let plain = Cyte::new(["run", "/nonexistent"]).run().stderr;
    assert!(!plain.contains('\u{1b}'));
    let coloured = Cyte::new(["run", "/nonexistent", "--color", "always"]).run().stderr;
    assert!(coloured.contains("\u{1b}[1;31m"));
    assert_eq!(Cyte::new(["run", "/nonexistent", "--color", "never"]).run().stderr, plain);
}
