//! Guests that panic, trap, leave, say nothing, or say something else than they announced.

use std::time::Duration;

use super::zoo::{self, Zoo, refused, timed};
use crate::support::Connection;
use crate::support::http::{Broken, Why};
use crate::support::until;

/// The text of the host's log lines about one request.
fn log_of(host: &Zoo, gene: &str, id: &str) -> String {
    let logs = host.logs(gene);
    let lines = logs.iter().filter(|line| line["request"] == id);
    lines.map(|line| format!("{}\n", line["text"].as_str().unwrap())).collect()
}

fn broken(mut connection: Connection) -> Broken {
    connection.response().expect_err("half an answer must not look whole")
}

#[test]
fn a_panic_ends_its_cell_and_the_log_says_where() {
    let host = zoo::host(&[("panic", ""), ("spin", "")]);
    assert_eq!(host.ask("panic", "/").text(), "healthy\n");
    let before = host.cells("panic");
    assert_eq!(before.len(), 1);
    let answer = host.ask("panic", "/panic?the-reason");
    let id = refused(&answer, 502, "cell-trapped");
    assert!(!answer.text().contains("the-reason"), "nothing of the inside goes to the client");
    let log = log_of(&host, "panic", &id);
    assert!(log.contains("the-reason"), "what the guest said: {log}");
    assert!(log.contains("deep_inside"), "the guest's function: {log}");
    until("the cell is gone", || (!host.cells("panic").contains(&before[0])).then_some(()));
    assert_eq!(host.ask("panic", "/").text(), "healthy\n");
    let after = host.cells("panic");
    assert!(after.len() == 1 && after != before, "a new cell serves the next request: {before:?} {after:?}");
    host.event("cell-died", |event| event["gene"] == "panic" && event["cell"] == before[0]);
    assert_eq!(host.ask("spin", "/").text(), "healthy\n");
}

#[test]
fn panics_one_after_another_never_stop_the_gene() {
    let host = zoo::host(&[("panic", "express = { max = 2 }"), ("p3-spin", "express = { max = 2 }")]);
    for name in ["panic", "p3-spin"] {
        let mut connection = host.connect();
        for _ in 0..50 {
            refused(&zoo::ask(&mut connection, name, "/panic"), 502, "cell-trapped");
            assert_eq!(zoo::ask(&mut connection, name, "/").text(), "healthy\n");
        }
        let counts = host.json(["inspect", name])["tissue"]["counts"].clone();
        assert_eq!(counts["died"], 50, "{name}: {counts}");
    }
}

#[test]
fn an_error_that_a_guest_returns_is_its_own_answer() {
    let host = zoo::host(&[("panic", "")]);
    let answer = host.ask("panic", "/error");
    assert_eq!((answer.status, answer.text().as_str()), (500, "internal error"));
    assert_eq!(host.cells("panic").len(), 1, "its cell lives on");
    let logs = host.logs("panic");
    assert!(logs.iter().any(|line| line["text"].as_str().unwrap().contains("only for the log")), "{logs:?}");
}

#[test]
fn a_trap_in_the_middle_cuts_the_answer_off() {
    let host = zoo::host(&[("trap-mid", "")]);
    for path in ["/trap", "/trap/length"] {
        let broken = broken(host.begin("trap-mid", path));
        assert_eq!(broken.why, Why::Closed, "{path}");
        assert_eq!(broken.partial.unwrap().text(), "some of it\n", "{path}");
        assert_eq!(host.ask("trap-mid", "/").text(), "healthy\n", "{path}");
    }
    let logs = host.logs("trap-mid");
    let traps = logs.iter().filter(|line| line["text"].as_str().unwrap().contains("trap_in_the_middle"));
    assert_eq!(traps.count(), 2, "{logs:?}");
}

#[test]
fn a_guest_that_leaves_its_answer_unfinished() {
    let host = zoo::host(&[("trap-mid", "")]);
    // Before anything of it left, the client can be told; on a loaded machine the head may be out.
    match host.begin("trap-mid", "/leave").response() {
        Ok(answer) => {
            let id = refused(&answer, 502, "cell-answer");
            assert!(!log_of(&host, "trap-mid", &id).is_empty(), "the id leads to the log");
        }
        Err(broken) => assert_eq!(broken.why, Why::Closed, "{broken:?}"),
    }
    assert_eq!(host.ask("trap-mid", "/").text(), "healthy\n");
}

#[test]
fn a_body_that_is_not_as_long_as_announced() {
    let host = zoo::host(&[("short-body", ""), ("long-body", "")]);
    // The SDK tells its guest when a whole body is not as long as its head says.
    for gene in ["short-body", "long-body"] {
        let answer = host.ask(gene, "/whole");
        assert_eq!((answer.status, answer.text().as_str()), (500, "internal error"), "{gene}");
        let logs = host.logs(gene);
        assert!(!logs.is_empty(), "{gene}: the log says why");
    }
    match host.begin("short-body", "/").response() {
        Ok(answer) => {
            let id = refused(&answer, 502, "cell-answer");
            assert!(!log_of(&host, "short-body", &id).is_empty(), "the id leads to the log");
        }
        Err(broken) => assert_eq!(broken.why, Why::Closed, "{broken:?}"),
    }
    // What was announced is all there; whether the rest is cut off or told, it is never more.
    let mut connection = host.begin("long-body", "/");
    match connection.response() {
        Ok(answer) if answer.status == 200 => assert_eq!(answer.text(), "xxxxxxxxxx"),
        Ok(answer) => assert_eq!(answer.status, 502),
        Err(broken) => assert_eq!(broken.why, Why::Closed),
    }
}

#[test]
fn a_guest_that_returns_without_an_answer() {
    let host = zoo::host(&[("no-answer", ""), ("no-answer as kept", "reuse = 100")]);
    for gene in ["no-answer", "kept"] {
        for path in ["/drop", "/keep"] {
            let id = refused(&host.ask(gene, path), 502, "cell-silent");
            assert!(!log_of(&host, gene, &id).is_empty(), "{gene}{path}: the id leads to the log");
        }
    }
}

#[test]
fn a_guest_that_never_answers_ends_at_its_wall_clock() {
    let more = "limits = { wall = \"300ms\" }\n";
    let host = zoo::host(&[
        ("never", more),
        ("never as once", &format!("{more}reuse = 1")),
        ("p3-spin", more),
        ("spin", ""),
    ]);
    for gene in ["never", "once", "p3-spin"] {
        let (answer, taken) = timed(|| host.ask(gene, "/never"));
        let id = refused(&answer, 504, "wall-clock");
        assert!(taken >= Duration::from_millis(290) && taken < Duration::from_secs(4), "{gene}: {taken:?}");
        assert!(log_of(&host, gene, &id).contains("in time"), "{gene}");
        until("its cell is gone", || (host.gene(gene)["busy"] == 0).then_some(()));
        assert_eq!(host.ask(gene, "/").text(), "healthy\n", "{gene}");
    }
}

#[test]
fn waiting_costs_neither_cpu_nor_others() {
    let host = zoo::host(&[("never", "limits = { wall = \"3s\", wait = \"3s\" }"), ("spin", "")]);
    let mut waiting: Vec<_> = (0..50).map(|_| host.begin("never", "/never")).collect();
    until("all wait", || (host.gene("never")["busy"] == 50).then_some(()));
    let before = host.cpu();
    let (answer, taken) = timed(|| host.ask("spin", "/"));
    assert_eq!(answer.text(), "healthy\n");
    assert!(taken < Duration::from_secs(1), "{taken:?}");
    for connection in &mut waiting {
        refused(&connection.response().unwrap(), 504, "wall-clock");
    }
    let used = host.cpu() - before;
    assert!(used < Duration::from_secs(1), "{used:?} of CPU for 50 guests that wait");
}

#[test]
fn exit_ends_the_cell_not_the_host() {
    let host = zoo::host(&[("exit", "")]);
    for path in ["/0", "/1", "/code"] {
        let answer = host.ask("exit", path);
        assert_eq!(answer.status, 502, "{path}: {answer:?}");
        assert_eq!(host.ask("exit", "/").text(), "healthy\n", "{path}");
    }
    let mut connection = host.begin("exit", "/body");
    match connection.response() {
        Ok(answer) => assert_eq!(answer.status, 502),
        Err(broken) => assert_eq!(broken.why, Why::Closed),
    }
    assert_eq!(host.ask("exit", "/").text(), "healthy\n");
}
