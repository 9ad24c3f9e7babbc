//! What happened: kept across restarts and kills, asked for by time, followed; and a disk that takes
//! nothing.

mod kill;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Cyte, Host, Temp, project, until};

/// A gene whose cells are kept, with one ready ahead.
const SHOP: &str = r#"
[organism]
name = "shop"
[gene.front]
source = "{state}"
route = "/..."
reuse = 1000
express = { min = 1, max = 8 }
"#;

/// The answer of a host's control socket to `GET path`.
#[track_caller]
fn ask(host: &Host, path: &str) -> Value {
    let folder = std::fs::read_dir(host.runtime().join("cyte")).unwrap();
    let mut files = folder.map(|entry| entry.unwrap().path());
    let socket = files.find(|path| path.extension().is_some_and(|kind| kind == "sock")).unwrap();
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: cyte\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}"))
}

/// How the recorder of a host does.
fn kept(host: &Host) -> Value {
    ask(host, "/v1/status")["phenotype"].clone()
}

/// Waits until all that happened is in the file.
#[track_caller]
fn is_written(host: &Host) {
    until("a commit of all that waits", || {
        let kept = kept(host);
        (kept["commits"].as_u64() > Some(0) && kept["waiting"] == 0).then_some(())
    });
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// What is kept, as `cyte events --since 1h` says it: one object a line in either form of JSON.
#[track_caller]
fn since(state: &Path, form: &str) -> Vec<Value> {
    let asked = Cyte::new(["events", "--since", "1h", "--output", form, "--state"]).arg(state);
    objects(&asked.ok().stdout)
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event"] == kind).count()
}

#[test]
fn what_happened_is_kept_across_a_kill_and_a_stop() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    let start = || Host::of(folder.path()).state(&state).start();
    let host = start();
    for _ in 0..5 {
        assert_eq!(host.get("/").status, 200);
    }
    host.cyte(["apply", "-"]).stdin("[gene.front]\ncount = \"2..4\"\n").ok();
    until("the requests are recorded", || {
        let view = ask(&host, "/v1/phenotype");
        let tissues = view["hosts"][0]["tissues"].as_array()?.clone();
        let front = tissues.into_iter().find(|tissue| tissue["gene"] == "front")?;
        (front["totals"]["served"] == 5 && front["alive"] == 2).then_some(())
    });
    is_written(&host);
    host.kill();
    let first = since(&state, "json");
    assert_eq!(first[0]["event"], "host-up");
    assert_eq!(first[0]["labels"]["os"], std::env::consts::OS);
    for kind in ["note", "expressed", "born", "requests"] {
        assert!(count(&first, kind) > 0, "{kind}: {first:#?}");
    }
    let served: u64 = first.iter().filter_map(|event| event["served"].as_u64()).sum();
    assert_eq!(served, 5);
    let numbers: Vec<u64> = first.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let host = start();
    host.stop();
    let both = since(&state, "jsonl");
    assert_eq!(both[..first.len()], first, "what was kept stays as it was");
    let second = &both[first.len()..];
    assert_eq!((&second[0]["event"], &second[0]["number"]), (&"host-up".into(), &1.into()));
    assert!(second[0]["epoch"].as_u64() > first[0]["epoch"].as_u64());
    assert_eq!(second[0]["host"], first[0]["host"], "the same key");
    assert_eq!(count(second, "host-down"), 1, "a clean stop writes all of it: {second:#?}");
    // A span that begins later has less.
    let at = second[0]["at_ms"].as_u64().unwrap();
    let text = Cyte::new(["events", "--since", "1h", "--state"]).arg(&state).ok().stdout;
    let line = text.lines().find(|line| line.contains("host-up")).unwrap();
    assert!(line.starts_with("20") && line.contains("Z  host-up         labels="), "{line}");
    let stamp = text.lines().filter(|line| line.contains("host-up")).nth(1).unwrap();
    let stamp = stamp.split_whitespace().next().unwrap();
    let later = Cyte::new(["events", "--since", stamp, "--output", "json", "--state"]).arg(&state).ok();
    let later = objects(&later.stdout);
    assert_eq!((later.len(), later[0]["at_ms"].as_u64()), (second.len(), Some(at)));
}

#[test]
fn what_is_kept_is_followed_and_nonsense_is_told() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let follower = host.cyte(["events", "--since", "1h", "-f", "--output", "json"]).spawn();
    let sees = |part: &str| {
        let seen = follower.out.wait(Duration::from_secs(30), |text| text.contains(part).then_some(()));
        assert!(seen.is_some(), "{part}: {}", follower.out.text());
    };
    sees("\"event\":\"host-up\"");
    assert_eq!(host.get("/").status, 200);
    sees("\"served\":1");
    host.cyte(["apply", "-"]).stdin("[gene.front]\ncount = 3\n").ok();
    sees("operator wants 3, revision 2");
    for (text, why) in [
        ("yesterday", "write a span (10m, 2h, 1d) or a time"),
        ("10", "write a span"),
        ("2024-02-30", "write a span"),
        ("2999-01-01T00:00:00Z", "it is still to come"),
        ("", "write a span"),
    ] {
        let said = host.cyte(["events", "--since", text]).run().refused(2, "E001");
        for words in [&format!("cannot tell when `{text}` was"), why, "cyte events --since 10m"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    host.cyte(["events", "--since", "1h", "--tail", "3"]).run().expect(2);
    host.stop();
    let told = follower.wait(Duration::from_secs(30)).expect(0);
    let numbers: Vec<u64> =
        objects(&told.stdout).iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once, in order");
    let nowhere = Temp::new();
    let said = Cyte::new(["events", "--since", "1h", "--state"]).arg(nowhere.path()).run().refused(1, "E305");
    assert!(said.contains("none ran there before"), "{said}");
}

/// How often the recorder's thread was scheduled.
fn wakings(host: &Host) -> u64 {
    // A thread gives itself its name, a moment after it began.
    let status = until("the recorder's thread", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", host.id())).unwrap();
        let mut threads =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
        threads.find(|status| status.starts_with("Name:\tphenotype\n"))
    });
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_idle_host_writes_nothing_and_its_recorder_sleeps() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let rests = || {
        let mut before = 0;
        until("the recorder rests", || {
            let now = wakings(&host);
            std::thread::sleep(Duration::from_millis(2_200));
            (std::mem::replace(&mut before, now) == now && wakings(&host) == now).then_some(now)
        })
    };
    rests();
    let commits = kept(&host)["commits"].clone();
    let changed = || std::fs::metadata(host.state().join("phenotype.redb")).unwrap().modified().unwrap();
    let (before, woken) = (changed(), wakings(&host));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((changed(), wakings(&host)), (before, woken));
    assert_eq!(kept(&host)["commits"], commits);
    // A cell that waits serves; the sum of that is kept all the same.
    assert_eq!(host.get("/").status, 200);
    until("it is kept", || {
        let sums = since(host.state(), "json");
        sums.iter().any(|event| event["event"] == "requests" && event["served"] == 1).then_some(())
    });
    is_written(&host);
    assert!(kept(&host)["commits"].as_u64() > commits.as_u64());
    rests();
}

#[test]
fn a_disk_that_takes_nothing_stops_nobody() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    Host::of(folder.path()).state(&state).start().kill();
    // Whatever is in the way: the file cannot be opened.
    let file = state.join("phenotype.redb");
    let _ = std::fs::remove_file(&file);
    std::fs::create_dir(&file).unwrap();
    let host = Host::of(folder.path()).state(&state).start();
    host.hears("what happens cannot be kept: ");
    for _ in 0..5 {
        assert_eq!(host.get("/").status, 200);
    }
    assert!(
        kept(&host)["failing"].is_string() && kept(&host)["waiting"].as_u64() > Some(0),
        "{}",
        kept(&host)
    );
    host.event("warned", |event| event["text"].as_str().unwrap().contains("cannot be kept"));
    let said = host.cyte(["events", "--since", "1h"]).run().refused(1, "E303");
    assert!(said.contains("cannot read what was observed"), "{said}");
    assert!(host.cyte(["events"]).ok().stdout.contains("listening"));
    std::fs::remove_dir(&file).unwrap();
    host.hears("what happens is kept again; events lost so far: 0");
    is_written(&host);
    assert_eq!(host.get("/").status, 200);
    host.stop();
    let all = since(&state, "json");
    assert_eq!((&all[0]["event"], count(&all, "host-down")), (&"host-up".into(), 1));
    assert_eq!(all.iter().filter_map(|event| event["served"].as_u64()).sum::<u64>(), 6);
}

#[test]
fn a_damaged_file_is_set_aside_and_told() {
    let folder = project(SHOP);
    let state = folder.path().join("s");
    Host::of(folder.path()).state(&state).start().stop();
    std::fs::write(state.join("phenotype.redb"), b"not a database, whatever its name says").unwrap();
    let host = Host::of(folder.path()).state(&state).start();
    host.hears("is damaged and was set aside");
    assert_eq!(host.get("/").status, 200);
    host.stop();
    assert!(state.join("phenotype.redb.damaged").is_file());
    assert_eq!(since(&state, "json")[0]["event"], "host-up");
}

#[test]
fn what_is_wanted_is_followed_without_a_gap() {
    let folder = project(SHOP);
    let host = Host::start(folder.path());
    let follow = |more: &[&str]| host.cyte(["get", "-f", "--output", "json"]).args(more).spawn();
    let all = follow(&[]);
    let first =
        all.out.wait(Duration::from_secs(30), |text| text.split_once('\n').map(|(line, _)| objects(line)));
    let first = first.expect("all that is wanted");
    assert_eq!((&first[0]["revision"], &first[0]["definitions"][0]["gene"]), (&1.into(), &"front".into()));
    for count in 1..=6 {
        host.cyte(["apply", "-"]).stdin(format!("[gene.front]\ncount = {count}\n")).ok();
    }
    host.cyte(["delete", "front"]).ok();
    let done = |text: &str| text.contains("\"wish\":null").then(|| text.to_owned());
    let told = all.out.wait(Duration::from_secs(30), done).expect("the last change");
    let told = objects(&told);
    let revisions: Vec<&Value> = told.iter().map(|change| &change["revision"]).collect();
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6, 7, 8]);
    let counts: Vec<&Value> = told[1..7].iter().map(|change| &change["wish"]["count"]).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6]);
    let later = follow(&["front", "--after", "2"]);
    let told = objects(&later.out.wait(Duration::from_secs(30), done).expect("the last change"));
    assert_eq!(told.iter().map(|change| &change["revision"]).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    // A revision of another store: all of it anew.
    let lost = follow(&["--after", "99999"]);
    let resync = lost.out.wait(Duration::from_secs(30), |text| text.contains("definitions").then_some(()));
    assert!(resync.is_some(), "{}", lost.out.text());
    let text = host.cyte(["get", "-f", "--after", "1"]).spawn();
    let row = text.out.wait(Duration::from_secs(30), |text| text.contains("operator  deleted").then_some(()));
    assert!(row.is_some(), "{}", text.out.text());
    host.cyte(["get", "-f", "nobody"]).run().refused(1, "E308");
    host.cyte(["get", "--after", "1"]).run().expect(2);
    let state = host.state().to_owned();
    let kept = Temp::new();
    std::fs::rename(&state, kept.path().join("s")).ok();
    host.stop();
    let said = Cyte::new(["get", "-f", "--state"]).arg(kept.path().join("s")).run().refused(1, "E305");
    assert!(said.contains("cannot follow what is wanted"), "{said}");
}
