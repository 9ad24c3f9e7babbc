//! Cells that take several calls at once.

use std::time::Duration;

use super::zoo::{self, ask, refused, timed};
use crate::support::until;

#[test]
fn one_cell_serves_several_calls_at_once() {
    let host = zoo::host(&[("p3-concurrency", "concurrency = 4\nexpress = { max = 1 }")]);
    let (first, taken) = timed(|| host.get("/?ms=1"));
    assert_eq!(first.text(), "1 1\n");
    assert!(taken < Duration::from_secs(2), "an answer waits for nothing but the guest: {taken:?}");
    let mut all: Vec<_> = (0..4).map(|_| host.begin("p3-concurrency", "/?ms=500")).collect();
    let (answers, taken) = timed(|| -> Vec<String> {
        all.iter_mut().map(|connection| connection.response().unwrap().text()).collect()
    });
    assert!(taken < Duration::from_millis(1_900), "four calls of 500 ms one after the other: {taken:?}");
    for answer in answers {
        assert_eq!(answer, "4 5\n", "four at once, of five in all");
    }
    assert_eq!(host.gene("p3-concurrency")["born"], 1);
    // A fifth waits for one of the four.
    let mut all: Vec<_> = (0..4).map(|_| host.begin("p3-concurrency", "/?ms=50")).collect();
    until("all are in", || {
        (host.json(["inspect", "p3-concurrency"])["tissue"]["counts"]["offered"] == 9).then_some(())
    });
    assert_eq!(host.get("/?ms=1").status, 200);
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

#[test]
fn a_panic_ends_all_calls_in_its_cell_and_only_those() {
    let more = "concurrency = 3\nexpress = { max = 2 }\nlimits = { wall = \"20s\" }";
    let host = zoo::host(&[("p3-spin", more), ("p3-concurrency", "concurrency = 4")]);
    // One after the other, so that the first three are in the first cell.
    let mut calls = Vec::new();
    for n in 1..=5 {
        calls.push(host.begin("p3-spin", "/never"));
        until("the call is in", || {
            (host.json(["inspect", "p3-spin"])["tissue"]["counts"]["offered"] == n).then_some(())
        });
    }
    let cells = host.cells("p3-spin");
    assert_eq!(cells.len(), 2);
    let mut other = host.begin("p3-concurrency", "/?ms=1000");
    refused(&host.ask("p3-spin", "/panic"), 502, "cell-trapped");
    for connection in &mut calls[3..] {
        refused(&connection.response().unwrap(), 502, "cell-trapped");
    }
    assert_eq!(host.ask("p3-spin", "/").text(), "healthy\n");
    for connection in &mut calls[..3] {
        let quiet = connection.stream().try_clone().unwrap();
        quiet.set_nonblocking(true).unwrap();
        assert!(quiet.peek(&mut [0]).is_err(), "a call in the other cell ended too");
        quiet.set_nonblocking(false).unwrap();
    }
    let now = host.cells("p3-spin");
    assert!(now.contains(&cells[0]) && !now.contains(&cells[1]), "{cells:?} {now:?}");
    assert_eq!(other.response().unwrap().text(), "1 1\n", "another gene notices nothing");
}

#[test]
fn a_guest_that_spins_takes_its_cell_along() {
    let more = "concurrency = 2\nexpress = { max = 1 }\nlimits = { cpu = \"200ms\", wall = \"20s\" }";
    let host = zoo::host(&[("p3-spin", more), ("spin", "")]);
    let mut beside = host.begin("p3-spin", "/never");
    until("the call is in", || (host.gene("p3-spin")["busy"] == 1).then_some(()));
    let answer = host.ask("p3-spin", "/spin");
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    let answer = beside.response().unwrap();
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    assert_eq!(host.ask("p3-spin", "/").text(), "healthy\n");
    assert_eq!(host.ask("spin", "/").text(), "healthy\n");
}

#[test]
fn a_call_that_never_ends_does_not_keep_its_place_for_ever() {
    let more = "concurrency = 2\nexpress = { max = 1 }\nlimits = { wall = \"300ms\", wait = \"10s\" }";
    let host = zoo::host(&[("p3-spin", more)]);
    let mut connection = host.connect();
    // Each leaves a call behind that would sit in the cell for a year.
    for _ in 0..6 {
        refused(&ask(&mut connection, "p3-spin", "/never"), 504, "wall-clock");
    }
    until("the gene answers again", || (host.ask("p3-spin", "/").status == 200).then_some(()));
    // The same for clients that do not wait for it.
    for _ in 0..6 {
        let waiting = host.begin("p3-spin", "/never");
        until("the call is in", || (host.gene("p3-spin")["busy"].as_u64().unwrap() > 0).then_some(()));
        drop(waiting);
    }
    until("the gene answers again", || (host.ask("p3-spin", "/").status == 200).then_some(()));
}

#[test]
fn a_cell_that_is_used_up_refuses_nobody() {
    let host = zoo::host(&[("p3-concurrency", "concurrency = 4\nreuse = 10\nlimits = { wait = \"10s\" }")]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut connection = host.connect();
                for _ in 0..60 {
                    let answer = connection.get("/?ms=1");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let text = answer.text();
                    let uses: u32 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
                    assert!(uses <= 10, "a cell was used {uses} times");
                }
            });
        }
    });
    let counts = host.json(["inspect", "p3-concurrency"])["tissue"]["counts"].clone();
    assert_eq!(counts["died"], 0, "{counts}");
    assert!(counts["retired"].as_u64().unwrap() >= 30, "360 calls, ten a cell: {counts}");
}

#[test]
fn clients_that_come_and_go_lose_no_place() {
    let more = "concurrency = 3\nexpress = { max = 1 }\nlimits = { wait = \"5s\" }\nreuse = 1000000";
    let host = zoo::host(&[("p3-concurrency", more)]);
    for round in 0..40 {
        let mut all: Vec<_> = (0..12).map(|_| host.begin("p3-concurrency", "/?ms=5")).collect();
        // Some leave while they wait, some in the moment in which they are served.
        all.truncate(12 - round % 7);
        for connection in all.iter_mut().step_by(2) {
            assert_eq!(connection.response().unwrap().status, 200);
        }
    }
    until("all is quiet", || (host.gene("p3-concurrency")["busy"] == 0).then_some(()));
    let mut all: Vec<_> = (0..3).map(|_| host.begin("p3-concurrency", "/?ms=500")).collect();
    for connection in &mut all {
        assert!(connection.response().unwrap().text().starts_with("3 "), "all three places are there");
    }
    assert_eq!(host.gene("p3-concurrency")["born"], 1);
}
