//! Cells that hear of the turns of their own lives.

use serde_json::Value;

use crate::support::{Cyte, Host, Temp, project, until};

/// Nobody dies of old age or for want of work while a test looks.
fn turns(more: &str) -> Temp {
    project(&format!(
        r#"
[organism]
name = "turns"
[gene.front]
source = "{{turns}}"
route = "/..."
{more}
limits = {{ wait = "30s", wall = "60s" }}
[hormones]
min_age_ms = 3600000
"#
    ))
}

fn host(more: &str) -> (Host, Temp) {
    let folder = turns(more);
    (Host::start(folder.path()), folder)
}

fn text(host: &Host, path: &str) -> String {
    host.get(path).text()
}

fn lines(host: &Host) -> Vec<Value> {
    host.json(["logs"])["logs"].as_array().cloned().unwrap_or_default()
}

fn logged(host: &Host, text: &str) -> Value {
    let has = |line: &Value| line["text"].as_str().is_some_and(|line| line.contains(text));
    until(text, || lines(host).into_iter().find(has))
}

fn failures(host: &Host) -> u64 {
    host.json(["limits"])["usage"]["counters"]["lifecycle_failures"].as_u64().unwrap()
}

/// Once, before the first message, whether the cell was made for it or ahead of it.
#[test]
fn a_cell_is_told_once_that_it_differentiated() {
    for more in ["reuse = 1000", "reuse = 1000\nexpress = { min = 1, max = 1 }"] {
        let (host, _folder) = host(more);
        assert_eq!(text(&host, "/"), "1 0 0");
        assert_eq!(text(&host, "/"), "1 0 0", "not for each message");
    }
}

/// A mother hears of a daughter, at the latest before her next message.
#[test]
fn a_mother_is_told_of_her_daughters() {
    let (host, _folder) = host("reuse = 1000\nexpress = { min = 1, max = 3 }");
    until("the first", || (text(&host, "/") == "1 0 0").then_some(()));
    host.cyte(["divide", "front#1"]).ok();
    host.cyte(["divide", "front#1"]).ok();
    // Any of three cells may answer: two of them are no mothers.
    let told = until("the mother", || {
        let said = text(&host, "/");
        said.ends_with(" 2").then_some(said)
    });
    // At once or one after the other.
    assert!(["1 1 2", "1 2 2"].contains(&told.as_str()), "{told}");
    assert_eq!(failures(&host), 0);
}

/// By use, by an operator's word: the cell hears why, and whoever asks next has another.
#[test]
fn a_cell_that_ends_in_peace_is_told_why() {
    let (host, _folder) = host("reuse = 2");
    assert_eq!(text(&host, "/"), "1 0 0");
    assert_eq!(text(&host, "/"), "1 0 0");
    assert_eq!(logged(&host, "dying: Worn")["cell"], 1);
    assert_eq!(text(&host, "/"), "1 0 0", "a successor");
    let cell = until("it lives", || {
        host.json(["ps"])["cells"].as_array()?.first()?["cell"].as_str().map(str::to_owned)
    });
    host.cyte(["kill", &cell]).ok();
    logged(&host, "dying: Surplus");
    let lives =
        || host.json(["ps"])["cells"].as_array().is_some_and(|all| all.iter().any(|it| it["cell"] == cell));
    until("and is gone", || (!lives()).then_some(()));
    assert_eq!(failures(&host), 0);
}

/// It has a bounded time to end, and ends as it would have: no death is told.
#[test]
fn who_does_not_end_when_it_is_dying_ends_anyway() {
    for path in ["/spin?turn=dying", "/fail?turn=dying"] {
        let (host, _folder) = host("reuse = 1");
        assert_eq!(host.get(path).status, 200);
        let said = logged(&host, "was told that it is dying and failed at that");
        assert_eq!((&said["cell"], &said["stream"]), (&1.into(), &"host".into()), "{said}");
        let ended =
            || host.json(["ps"])["cells"].as_array().map(|cells| cells.iter().all(|cell| cell["id"] != 1));
        until("its place is free", || ended().filter(|ended| *ended));
        assert_eq!(host.get("/").status, 200);
        assert!(!host.events().iter().any(|event| event["event"] == "cell-died"), "{path}");
        assert_eq!(failures(&host), 1, "{path}");
    }
}

/// A cell that does not survive what it is told ends alone: whoever asks is answered by another.
#[test]
fn a_cell_that_fails_at_what_it_is_told_ends_alone() {
    for (path, cause) in [("/fail?turn=dividing", "trap"), ("/spin?turn=dividing", "breach")] {
        let (host, _folder) = host("reuse = 1000\nexpress = { min = 1, max = 3 }");
        assert_eq!(host.get(path).status, 200);
        host.cyte(["divide", "front#1"]).ok();
        let died = until("it ended", || {
            assert_eq!(host.get("/").status, 200, "whatever becomes of the mother");
            host.events().into_iter().find(|event| event["event"] == "cell-died")
        });
        assert_eq!((&died["cell"], &died["cause"]), (&1.into(), &cause.into()), "{died}");
        assert_eq!(failures(&host), 1);
    }
    let (host, _folder) = host("config = { fail = \"yes\" }");
    assert_eq!(host.get("/").status, 502, "a cell that traps as it differentiates was not made");
    let died = host.event("cell-died", |event| event["gene"] == "front");
    assert_eq!(died["cause"], "start-failed", "{died}");
}

/// One that is ended with what it holds, or traps, is not asked.
#[test]
fn who_is_ended_with_what_it_holds_is_not_asked() {
    let (host, _folder) = host("reuse = 1000");
    let mut held = host.begin("/hold?ms=30000");
    until("it holds it", || (host.json(["ps"])["cells"][0]["state"] == "serving").then_some(()));
    host.cyte(["kill", "front#1", "--now"]).ok();
    assert_eq!(held.response().unwrap().status, 502);
    host.event("cell-died", |event| event["cell"] == 1);
    assert!(!lines(&host).iter().any(|line| line["text"].as_str().unwrap().contains("dying")));
}

/// A shared cell has no moment between its messages: that is said when the gene is loaded.
#[test]
fn a_lifecycle_needs_a_cell_of_its_own() {
    let folder = turns("concurrency = 4");
    let said = Cyte::new(["run"]).arg(folder.path()).run().refused(1, "E104");
    assert!(said.contains("concurrency"), "{said}");
}
