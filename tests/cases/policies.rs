//! Policies: genes that judge stuck cells, and that take the host's lines and counts.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Cyte, Host, Temp, project, until};

/// A drone, and a policy with time for a busy machine.
fn organism(front: &str, policy: &str) -> Temp {
    project(&format!(
        r#"
[organism]
name = "o"
[gene.front]
source = "{{{front}}}"
route = "/..."
reuse = 1000
limits = {{ wall = "60s", pong = "300ms" }}
{policy}
"#
    ))
}

fn judged(verdict: &str, wall: &str) -> (Host, Temp) {
    let folder = organism(
        "never",
        &format!(
            "[gene.judge]\nsource = \"{{judge}}\"\npolicy = \"zombies\"\nconfig = {{ verdict = \"{verdict}\" }}\nlimits = {{ wall = \"{wall}\" }}"
        ),
    );
    (Host::start(folder.path()), folder)
}

fn events(host: &Host, kind: &str) -> Vec<Value> {
    host.events().into_iter().filter(|event| event["event"] == kind).collect()
}

/// What the sink said that it took.
fn took(host: &Host, text: &str) -> Option<String> {
    let lines = host.json(["logs"])["logs"].as_array().cloned().unwrap_or_default();
    let own = lines.into_iter().filter(|line| line["gene"] == "sink" && line["stream"] == "log");
    let mut texts = own.filter_map(|line| line["text"].as_str().map(str::to_owned));
    texts.find(|line| line.contains(text))
}

#[test]
fn a_judge_spares_a_stuck_cell_or_lets_it_end() {
    let (host, _folder) = judged("once", "10s");
    let since = Instant::now();
    let mut stuck = host.begin("/never");
    let spared = host.event("zombie-spared", |event| event["gene"] == "front");
    assert!(spared["silent_ms"].as_u64().unwrap() >= 290, "{spared}");
    // Asked again while it is stuck, and then it says something else.
    assert_eq!(stuck.response().unwrap().status, 504);
    assert!(since.elapsed() >= Duration::from_millis(590), "two intervals at least");
    assert_eq!(events(&host, "zombie").len(), 1);
    assert_eq!(events(&host, "zombie-spared").len(), 1);
    assert_eq!(events(&host, "policy-failed"), Vec::<Value>::new());

    let (host, _folder) = judged("spare", "10s");
    let _stuck = host.begin("/never");
    until("it is asked again and again", || (events(&host, "zombie-spared").len() >= 3).then_some(()));
    assert_eq!(events(&host, "zombie"), Vec::<Value>::new());
    assert_eq!(host.get("/").status, 200);
    let (inspected, why) = (host.cyte(["inspect", "judge"]).ok(), host.cyte(["why", "judge"]).ok());
    assert!(inspected.stdout.contains("policy (zombies)"), "{}", inspected.stdout);
    assert!(why.stdout.contains("a policy, one cell that the host asks about zombies: "), "{}", why.stdout);
    let calls = host.json(["inspect", "judge"])["calls"].clone();
    assert!(calls["calls"].as_u64().unwrap() >= 3 && calls["failures"] == 0, "{calls}");
}

/// A judge that traps or is late changes nothing: the cell ends as if nobody had been named, and it is
/// said why.
#[test]
fn where_a_judge_fails_the_default_acts() {
    for (verdict, wall) in [("trap", "10s"), ("spin", "50ms")] {
        let (host, _folder) = judged(verdict, wall);
        assert_eq!(host.begin("/never").response().unwrap().status, 504, "{verdict}");
        let failed = host.event("policy-failed", |event| event["gene"] == "judge");
        assert_eq!(failed["duty"], "zombies", "{failed}");
        host.event("zombie", |event| event["gene"] == "front");
        host.event("cell-died", |event| event["gene"] == "judge");
        assert_eq!(host.get("/").status, 200, "{verdict}");
        let why = host.json(["why", "judge"]);
        assert!(why["genes"][0]["policy"]["trouble"].is_string(), "{why}");
    }
}

#[test]
fn a_sink_takes_the_lines_and_the_counts_of_genes() {
    let folder = organism(
        "log-flood",
        "[gene.sink]\nsource = \"{sink}\"\npolicy = [\"metrics\", \"log\"]\nlimits = { wall = \"10s\" }",
    );
    let host = Host::start(folder.path());
    assert_eq!(host.get("/").status, 200);
    until("a line", || took(&host, "line front#1 "));
    until("a count", || took(&host, "counts front served 1 cells 1"));
    // What it says itself does not come back to it.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(took(&host, "line sink"), None);
    assert_eq!(events(&host, "policy-failed"), Vec::<Value>::new());
    let dna = host.json(["inspect", "sink"])["policy"].clone();
    assert_eq!(dna, serde_json::json!(["log", "metrics"]));
}

/// Lines that it did not survive are counted, told to the next cell, and kept by the host.
#[test]
fn lines_that_a_sink_does_not_survive_are_counted() {
    let folder =
        organism("say", "[gene.sink]\nsource = \"{sink}\"\npolicy = \"log\"\nlimits = { wall = \"10s\" }");
    let host = Host::start(folder.path());
    assert_eq!(host.get("/poison").status, 200);
    let failed = host.event("policy-failed", |event| event["gene"] == "sink");
    assert_eq!(failed["duty"], "log", "{failed}");
    until("the next cell is told", || {
        assert_eq!(host.get("/well").status, 200);
        took(&host, "dropped ")
    });
    until("and goes on", || took(&host, " well"));
    let kept = host.json(["logs"])["logs"].as_array().cloned().unwrap_or_default();
    assert!(kept.iter().any(|line| line["gene"] == "front" && line["text"] == "poison"), "{kept:?}");
}

/// What does not fit is said before anything runs, with its line and what to write.
#[test]
fn a_policy_that_does_not_fit_is_refused_with_its_line() {
    let judge = "[gene.judge]\nsource = \"{judge}\"\n";
    for (policy, says, helps) in [
        (
            format!("{judge}policy = \"zombis\""),
            "`zombis` is not a value of `policy`",
            "zombies, log, metrics",
        ),
        (
            format!("{judge}policy = [\"zombies\", \"log\"]"),
            "does not export `cyte:cell/log-sink`",
            "log_sink!",
        ),
        (format!("{judge}policy = \"zombies\"\nroute = \"/judge\""), "a policy has no `route`", "remove it"),
        (format!("{judge}policy = \"zombies\"\nweight = 2"), "a policy has no `weight`", "remove it"),
        (judge.to_owned(), "is a policy and does not say what it does", "add policy = [\"zombies\"]"),
        (
            format!(
                "{judge}policy = \"zombies\"\n[gene.other]\nsource = \"{{judge}}\"\npolicy = \"zombies\""
            ),
            "genes `judge` and `other` both do `zombies`",
            "one of them",
        ),
        (
            "[gene.other]\nsource = \"{echo}\"\nroute = \"/other\"\npolicy = \"log\"".to_owned(),
            "a policy has no `route`",
            "remove it",
        ),
        (
            "[gene.other]\nsource = \"{echo}\"\npolicy = \"log\"".to_owned(),
            "its exports make it a drone",
            "policy",
        ),
    ] {
        let folder = organism("echo", &policy);
        for verb in ["check", "run"] {
            let said = Cyte::new([verb]).arg(folder.path()).run().refused(1, "E101");
            assert!(said.contains(says) && said.contains(helps), "{verb}: {said}");
            assert!(said.contains("dna.toml:"), "{verb} names the line: {said}");
        }
    }
    let folder = organism("echo", &format!("{judge}policy = \"zombies\""));
    let said = Cyte::new(["check"]).arg(folder.path()).ok().stdout;
    assert!(said.contains("policy (zombies)"), "{said}");
}
