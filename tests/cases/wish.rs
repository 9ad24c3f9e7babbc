//! What is wanted: applied, kept, in force at once, and never more than the DNA allows.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Cyte, Host, Temp, project, until};

/// Two genes, of which `front` may have up to eight cells.
const SHOP: &str = r#"
[organism]
name = "shop"
[gene.front]
source = "{state}"
route = "/front"
labels = { tier = "web" }
express = { max = 8 }
[gene.back]
source = "{echo}"
route = "/back"
express = { max = 4 }
"#;

fn host() -> (Host, Temp) {
    let folder = project(SHOP);
    (Host::start(folder.path()), folder)
}

/// Applies `text`.
#[track_caller]
fn apply(host: &Host, text: &str) -> Value {
    host.cyte(["apply", "-"]).stdin(text).json()
}

/// How many cells of `gene` live.
fn cells(host: &Host, gene: &str) -> usize {
    let ps = host.json(["ps"]);
    ps["cells"].as_array().unwrap().iter().filter(|cell| cell["gene"] == gene).count()
}

#[track_caller]
fn has(host: &Host, gene: &str, count: usize) {
    until(&format!("{count} cells of {gene}"), || (cells(host, gene) == count).then_some(()));
}

#[test]
fn a_wish_raises_and_lowers_the_population_without_a_request() {
    let (host, _folder) = host();
    assert_eq!(cells(&host, "front"), 0);
    let before = Instant::now();
    let answer = apply(&host, "[gene.front]\ncount = \"3..6\"\n");
    assert_eq!(answer["changes"][0]["gene"], "front");
    has(&host, "front", 3);
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    let wish = host.json(["get", "front"]);
    assert_eq!((&wish["count"], &wish["origin"]), (&"3..6".into(), &"operator".into()));
    assert_eq!(wish["allowed"]["count"], "0..8");
    apply(&host, "[gene.front]\ncount = 1\n");
    has(&host, "front", 1);
    host.cyte(["delete", "front"]).ok();
    assert_eq!(host.json(["get", "front"])["origin"], "dna");
    host.cyte(["delete", "front"]).run().refused(1, "E406");
    let applied = host.event("operator", |event| event["verb"] == "wish.apply");
    assert_eq!(applied["subject"], "front 3..6");
    host.event("wished", |event| event["count"] == "3..6" && event["origin"] == "operator");
}

/// Under load, up and down, and every request is answered by a cell.
#[test]
fn bounds_change_under_load_without_a_failed_request() {
    let folder = project(
        r#"
[organism]
name = "load"
[gene.echo]
source = "{echo}"
route = "/..."
reuse = 1000
limits = { wait = "20s" }
"#,
    );
    let host = Host::start(folder.path());
    let end = std::sync::atomic::AtomicBool::new(false);
    let (address, served) = (host.address(), std::sync::atomic::AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = crate::support::Connection::open(address);
                while !end.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = connection.request("GET", "/", &[], b"");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        for count in ["4", "1", "\"2..8\"", "1", "\"0..\""] {
            apply(&host, &format!("[gene.echo]\ncount = {count}\n"));
            let before = served.load(std::sync::atomic::Ordering::Relaxed);
            until("a hundred more answers", || {
                (served.load(std::sync::atomic::Ordering::Relaxed) > before + 100).then_some(())
            });
            let most = if count == "1" { 1 } else { 8 };
            until("the bound is kept", || (cells(&host, "echo") <= most).then_some(()));
        }
        end.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// A busy cell is not cut: it finishes and then ends, because it is one too many.
#[test]
fn a_lowered_bound_lets_requests_in_flight_finish() {
    let folder = project(
        r#"
[organism]
name = "slow"
[gene.echo]
source = "{echo}"
route = "/..."
reuse = 1000
express = { max = 4 }
"#,
    );
    let host = Host::start(folder.path());
    apply(&host, "[gene.echo]\ncount = \"3..4\"\n");
    has(&host, "echo", 3);
    let mut slow = host.connect();
    slow.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc");
    until("a busy cell", || {
        let ps = host.json(["ps"]);
        ps["cells"].as_array().unwrap().iter().any(|cell| cell["state"] == "serving").then_some(())
    });
    apply(&host, "[gene.echo]\ncount = \"0..0\"\n");
    has(&host, "echo", 1);
    slow.send(b"def");
    let answer = slow.response().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcdef"), "{answer:?}");
    has(&host, "echo", 0);
}

/// A plan says what would start and end, by the same rules, and changes nothing.
#[test]
fn a_plan_is_shown_before_anything_is_done() {
    let (host, folder) = host();
    apply(&host, "[gene.front]\ncount = 3\n");
    has(&host, "front", 3);
    let file = folder.path().join("wishes.toml");
    std::fs::write(&file, "[gene.front]\ncount = \"0..1\"\n[gene.back]\ncount = \"2..3\"\n").unwrap();
    let plan = |host: &Host| host.cyte(["apply", "--plan"]).arg(&file).json()["plan"].clone();
    let expected = serde_json::json!([
        {"gene": "back", "now": "0..4", "then": "2..3", "cells": 0, "starts": 2, "ends": 0},
        {"gene": "front", "now": 3, "then": "0..1", "cells": 3, "starts": 0, "ends": 2},
    ]);
    assert_eq!(plan(&host), expected);
    let text = host.cyte(["apply", "--plan"]).arg(&file).ok().stdout;
    assert!(text.starts_with("GENE") && text.contains("STARTS") && text.lines().count() == 3, "{text}");
    assert_eq!((host.json(["get", "front"])["count"].clone(), cells(&host, "front")), (3.into(), 3));
    host.cyte(["apply", "-", "--plan"]).stdin("[gene.back]\ncount = 9\n").run().refused(4, "E407");
    apply(&host, &std::fs::read_to_string(&file).unwrap());
    has(&host, "front", 1);
    has(&host, "back", 2);
}

#[test]
fn what_the_dna_does_not_allow_is_refused_with_the_bound() {
    let (host, folder) = host();
    let file = folder.path().join("wishes.toml");
    std::fs::write(&file, "[gene.front]\ncount = 2\n\n[gene.back]\ncount = \"2..5\"\n").unwrap();
    let said = host.cyte(["apply"]).arg(&file).run().refused(4, "E407");
    for words in ["wishes.toml:5:", "count `2..5`", "gene `back`", "it allows 0..4", "cyte get back"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(host.json(["get", "front"])["origin"], "dna", "all or nothing");
    assert_eq!(cells(&host, "front"), 0);
    std::fs::write(&file, "[gene.front]\ncount = 2\n\n[gene.back]\ncount = 1\n").unwrap();
    host.cyte(["apply"]).arg(&file).ok();
    has(&host, "front", 2);
    has(&host, "back", 1);
    for (text, code, status) in [
        ("[gene.nobody]\ncount = 1\n", "E407", 4),
        ("[gene.front]\nscope = \"remote\"\n", "E407", 4),
        ("[gene.front]\nversion = \"9\"\n", "E407", 4),
        ("[gene.front]\ncount = 3..4\n", "E406", 1),
        ("[gene.front]\ncolour = 1\n", "E406", 1),
        ("", "E406", 1),
    ] {
        let said = host.cyte(["apply", "-"]).stdin(text).run().refused(status, code);
        assert!(said.contains("-:"), "{text}: {said}");
    }
    host.cyte(["get", "nobody"]).run().refused(1, "E308");
    host.cyte(["apply", "/nonexistent"]).run().refused(1, "E002");
}

#[test]
fn wishes_are_listed_searched_and_remembered() {
    let (host, _folder) = host();
    apply(&host, "[gene.front]\ncount = 1\npriority = 700\nlabels = { team = \"a\" }\n");
    apply(&host, "[gene.front]\ncount = 2\n[gene.back]\ncount = \"1..2\"\nlabels = { team = \"b\" }\n");
    let found = |words: &[&str]| -> Vec<String> {
        let found = host.json([&["search"], words].concat());
        let all = found["definitions"].as_array().unwrap().iter();
        all.map(|one| format!("{} {}", one["gene"].as_str().unwrap(), one["origin"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(found(&["origin=operator"]), ["back operator", "front operator"]);
    assert_eq!(found(&["label:team=b"]), ["back operator"]);
    assert_eq!(found(&["label:tier", "count=2"]), ["front dna", "front operator"]);
    assert_eq!(found(&["role=drone", "route=/ba"]), ["back dna", "back operator"]);
    host.cyte(["search", "colour=red"]).run().refused(2, "E001");
    let history = host.json(["get", "front", "--history"]);
    let counts: Vec<&Value> =
        history["changes"].as_array().unwrap().iter().map(|change| &change["wish"]["count"]).collect();
    assert_eq!(counts, [&Value::from(2), &Value::from(1), &Value::from("0..8")]);
    let text = host.cyte(["get"]).ok().stdout;
    assert!(text.starts_with("GENE ") && text.contains("0..4") && text.contains("operator"), "{text}");
    let text = host.cyte(["get", "back"]).ok().stdout;
    assert!(text.contains("1..2 (the DNA allows 0..4)"), "{text}");
    assert!(host.cyte(["get", "--history"]).ok().stdout.contains("REVISION"));
    assert!(host.cyte(["search", "front"]).ok().stdout.lines().count() == 3);
}

#[test]
fn a_wish_survives_a_restart_and_a_kill() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    let start = || Host::of(folder.path()).state(&state).start();
    let host = start();
    apply(&host, "[gene.front]\ncount = 2\n");
    host.kill();
    let host = start();
    has(&host, "front", 2);
    host.stop();
    // At rest the same verbs work on the state folder itself.
    let rest = |args: &[&str]| Cyte::new(args).arg("--state").arg(&state);
    assert_eq!(rest(&["get", "front"]).json()["count"], 2);
    rest(&["apply", "-"]).stdin("[gene.front]\ncount = 99\n").run().refused(4, "E407");
    rest(&["apply", "-"]).stdin("[gene.front]\ncount = 3\n").ok();
    assert_eq!(rest(&["search", "origin=operator"]).json()["definitions"][0]["count"], 3);
    let host = start();
    has(&host, "front", 3);
    host.kill();
    rest(&["delete", "front"]).ok();
    assert_eq!(rest(&["get", "front"]).json()["origin"], "dna");
    let nowhere = folder.path().join("nowhere");
    Cyte::new(["get", "--state"]).arg(&nowhere).run().refused(1, "E305");
    assert!(!nowhere.exists(), "asking makes nothing");
}

#[test]
fn a_new_dna_that_allows_less_drops_the_wish_and_says_so() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    let host = Host::of(folder.path()).state(&state).start();
    apply(&host, "[gene.front]\ncount = 6\n[gene.back]\ncount = 1\n");
    host.stop();
    crate::support::project::write(folder.path(), &SHOP.replace("max = 8", "max = 5"));
    let host = Host::of(folder.path()).state(&state).start();
    host.hears("the wish for `front` is gone: the DNA does not allow count `6` for gene `front`");
    let dropped = host.event("wish-dropped", |event| event["gene"] == "front");
    assert_eq!((&dropped["asked"], &dropped["allowed"]), (&"6".into(), &"0..5".into()));
    assert_eq!(host.json(["get", "front"])["origin"], "dna");
    assert_eq!(host.json(["get", "back"])["origin"], "operator", "what is still allowed stays");
    has(&host, "back", 1);
}

#[test]
fn with_expression_off_nothing_starts_ahead_of_a_request() {
    let folder = project(&SHOP.replace("max = 8", "min = 2, max = 8"));
    let host = Host::of(folder.path()).arg("--no-expression").start();
    apply(&host, "[gene.front]\ncount = 3\n[gene.back]\ncount = 1\n");
    let missing = until("the reason", || {
        let why = host.json(["why", "front"]);
        let missing = why["genes"][0]["missing"].clone();
        (missing["cells"] == 3).then_some(missing)
    });
    assert_eq!(missing["reason"], "expression is switched off");
    assert_eq!((cells(&host, "front"), cells(&host, "back")), (0, 0));
    host.says("/front", "1\n");
    assert_eq!((cells(&host, "front"), cells(&host, "back")), (1, 0));
    // The bounds hold all the same.
    assert_eq!(host.json(["inspect", "front"])["tissue"]["bounds"]["cells_max"], 3);
}

/// Each cell dies while it is made.
#[test]
fn a_crash_loop_is_explained_with_its_next_attempt() {
    let folder = Temp::new();
    let alive = include_str!("../support/tiny_drone.wat");
    let dead = alive.replace("(core module $m ", "(core module $m (func $die unreachable) (start $die) ");
    assert_ne!(alive, dead);
    std::fs::write(folder.path().join("dead.wasm"), crate::support::wat(&dead)).unwrap();
    std::fs::write(
        folder.path().join("dna.toml"),
        "[organism]\nname = \"loop\"\n[gene.dead]\nsource = \"dead.wasm\"\nroute = \"/...\"\nexpress = { min = 1 }\n",
    )
    .unwrap();
    let host = Host::start(folder.path());
    let missing = until("a crash loop", || {
        let missing = host.json(["why", "dead"])["genes"][0]["missing"].clone();
        missing["reason"].as_str()?.contains("crash loop").then_some(missing)
    });
    assert_eq!(missing["cells"], 1);
    assert!((1..=75_000).contains(&missing["again_ms"].as_u64().unwrap()), "{missing:#}");
    let text = host.cyte(["why"]).ok().stdout;
    assert!(text.starts_with("dead: 1.. wanted by dna") && text.contains("tried again in"), "{text}");
    let told = host.event("not-expressed", |event| event["reason"].as_str().unwrap().contains("crash loop"));
    assert!(told["again_ms"].as_u64().unwrap() > 1_000, "{told:#}");
    let attempts = host.events().iter().filter(|event| event["event"] == "expressed").count();
    assert_eq!(attempts, 5, "five starts, then a minute's pause");
    host.cyte(["why", "nobody"]).run().refused(1, "E308");
}

#[test]
fn a_dead_cell_is_replaced_and_companions_come_along() {
    let (host, _folder) = host();
    apply(&host, "[gene.front]\ncount = 2\ncompanions = [\"back\"]\n");
    has(&host, "front", 2);
    has(&host, "back", 2);
    until("nothing is missing", || {
        let why = host.json(["why"]);
        why["genes"].as_array().unwrap().iter().all(|gene| gene["missing"].is_null()).then_some(())
    });
    apply(&host, "[gene.front]\ncount = 1\n");
    has(&host, "front", 1);
    let folder = project(
        "[organism]\nname = \"frail\"\n[gene.panic]\nsource = \"{panic}\"\nroute = \"/...\"\nreuse = 9\nexpress = { min = 2 }\n",
    );
    let host = Host::start(folder.path());
    has(&host, "panic", 2);
    let first = host.json(["ps"])["cells"][0]["cell"].clone();
    while host.json(["ps"])["cells"].as_array().unwrap().iter().any(|cell| cell["cell"] == first) {
        host.get("/panic");
    }
    host.get("/");
    has(&host, "panic", 2);
}

#[test]
fn a_file_of_wishes_has_a_bound() {
    let (host, _folder) = host();
    let long = format!("[gene.front]\ncount = 1\n{}", "#".repeat(1 << 20));
    let said = host.cyte(["apply", "-"]).stdin(long).run().refused(1, "E406");
    assert!(said.contains("1048576"), "{said}");
    assert_eq!(host.json(["get", "front"])["origin"], "dna");
}

/// A cell that was made ahead is no sign of load: the least that is wanted is what there is.
#[test]
fn the_least_of_a_one_use_gene_is_exact_and_kept_up() {
    let folder = project(
        r#"
[organism]
name = "once"
[gene.echo]
source = "{echo}"
route = "/..."
reuse = 1
express = { min = 2, max = 8 }
[gene.many]
source = "{p3-concurrency}"
route = "/many"
concurrency = 4
express = { min = 2, max = 3 }
"#,
    );
    let host = Host::start(folder.path());
    has(&host, "echo", 2);
    has(&host, "many", 2);
    for _ in 0..30 {
        assert_eq!((cells(&host, "echo"), cells(&host, "many")), (2, 2), "neither more nor fewer by and by");
    }
    assert_eq!(host.get("/").status, 200);
    until("they are made good", || (cells(&host, "echo") >= 2).then_some(()));
    host.cyte(["apply", "-"]).stdin("[gene.many]\ncount = 1\n").run().refused(4, "E407");
    apply(&host, "[gene.many]\ncount = 3\n");
    has(&host, "many", 3);
    // Shared cells are dismissed while they hold requests, which they answer.
    let mut calls: Vec<_> = (0..12)
        .map(|_| {
            let mut call = host.connect();
            call.send(b"GET /many?ms=1000 HTTP/1.1\r\nhost: x\r\n\r\n");
            call
        })
        .collect();
    until("all work", || {
        let ps = host.json(["ps"]);
        let busy = |cell: &Value| cell["gene"] == "many" && cell["state"] == "serving";
        (ps["cells"].as_array().unwrap().iter().filter(|cell| busy(cell)).count() == 3).then_some(())
    });
    apply(&host, "[gene.many]\ncount = 2\n");
    for call in &mut calls {
        assert_eq!(call.response().unwrap().status, 200);
    }
    has(&host, "many", 2);
}

/// The simplest expressor, part of every host: one cell of what is marked for it, always.
#[test]
fn a_gene_marked_for_cells_has_one_on_this_host_always() {
    let folder = project(
        "[organism]\nname = \"cells\"\n[gene.panic]\nsource = \"{panic}\"\nroute = \"/...\"\nreuse = 9\n",
    );
    let host = Host::start(folder.path());
    apply(&host, "[gene.panic]\ncount = 1\nexpressor = \"cell\"\n");
    has(&host, "panic", 1);
    let first = host.json(["ps"])["cells"][0]["cell"].clone();
    host.get("/panic");
    until("another one", || {
        let ps = host.json(["ps"]);
        let cells = ps["cells"].as_array().unwrap();
        (cells.len() == 1 && cells[0]["cell"] != first).then_some(())
    });
    let said = host.cyte(["apply", "-"]).stdin("[gene.panic]\ncount = 2\nexpressor = \"cell\"\n").run();
    assert!(said.refused(1, "E406").contains("exactly 1"));
}

/// The DNA marks it, and then no operator wishes it otherwise.
#[test]
fn a_gene_that_the_dna_marks_has_one_cell_on_every_host() {
    let folder = project(
        "[organism]\nname = \"cells\"\n[gene.panic]\nsource = \"{panic}\"\nroute = \"/...\"\nreuse = 9\nexpress = { every-host = true }\n",
    );
    let host = Host::start(folder.path());
    has(&host, "panic", 1);
    let said = host.cyte(["apply", "-"]).stdin("[gene.panic]\ncount = 2\n").run();
    assert!(said.refused(4, "E407").contains("does not allow expressor `population`"));
    has(&host, "panic", 1);
}
