//! The limits that a gene's DNA may set: each is hit, counted, and hits nobody else.

use std::time::Duration;

use serde_json::Value;

use super::zoo::{self, Zoo, refused, timed};
use crate::support::until;

/// The row of a limit in `cyte limits`.
#[track_caller]
fn row(host: &Zoo, name: &str) -> Value {
    let rows = host.json(["limits"])["limits"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no limit {name}"))
}

/// What a running host counted for a limit.
#[track_caller]
fn count(host: &Zoo, name: &str) -> u64 {
    row(host, name)["count"].as_u64().unwrap_or_else(|| panic!("{name} is not counted"))
}

#[test]
fn a_response_that_no_longer_moves_is_cut_off() {
    let host = zoo::host(&[("never", "limits = { idle = \"300ms\" }"), ("spin", "")]);
    let (answer, taken) = timed(|| host.begin("never", "/never/body").response());
    assert!(answer.is_err(), "half an answer is never whole: {answer:?}");
    assert!(taken >= Duration::from_millis(290) && taken < Duration::from_secs(10), "{taken:?}");
    until("its cell is gone", || (host.gene("never")["busy"] == 0).then_some(()));
    assert!(count(&host, "idle-after-head") >= 1);
    assert_eq!(host.ask("never", "/").text(), "healthy\n");
}

#[test]
fn a_gene_says_how_many_may_wait() {
    let more = "express = { max = 1 }\nlimits = { wait = \"60s\", wall = \"60s\", waiters = 2 }";
    let host = zoo::host(&[("p3-concurrency", more)]);
    let mut all = vec![host.begin("p3-concurrency", "/?ms=1500")];
    until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
    for waiting in 1..=2 {
        all.push(host.begin("p3-concurrency", "/?ms=1"));
        until("it waits", || (host.gene("p3-concurrency")["waiting"] == waiting).then_some(()));
    }
    refused(&host.ask("p3-concurrency", "/?ms=1"), 503, "saturated");
    assert_eq!(count(&host, "waiters-per-gene"), 1);
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

#[test]
fn a_gene_says_how_much_its_cells_hold_beside_memory() {
    let host = zoo::host(&[
        ("echo", ""),
        ("echo as tables", "limits = { tables = 1 }"),
        ("echo as handles", "limits = { handles = 1 }"),
        ("env-probe as calls", "limits = { host-call = \"64B\" }"),
        ("header-flood as heads", "limits = { headers = \"128B\" }"),
        ("big-random as dice", "limits = { random = \"16MiB\", cpu = \"60s\", wall = \"60s\" }"),
    ]);
    let post = |gene: &str| {
        let host_name = format!("{gene}.test");
        host.connect().request("POST", "/", &[("host", &host_name)], &[b'x'; 32 << 10])
    };
    assert_eq!(post("echo").body.len(), 32 << 10);
    for (gene, limit, code) in
        [("tables", "cell-table-elements", "cell-limit"), ("handles", "cell-handles", "cell-trapped")]
    {
        let before = count(&host, limit);
        refused(&post(gene), 502, code);
        assert_eq!(count(&host, limit), before + 1, "{limit}");
    }
    // It dies as it writes its answer, whose head may have left.
    let before = count(&host, "host-call-bytes");
    let answer = host.begin("calls", "/").response();
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 502), "{answer:?}");
    assert_eq!(count(&host, "host-call-bytes"), before + 1);
    let answer = host.ask("heads", "/");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(host.ask("dice", "/big").text(), "10485760 bytes\n");
    assert_eq!(post("echo").body.len(), 32 << 10, "another gene has limits of its own");
    for limit in
        ["cell-table-elements", "cell-handles", "host-call-bytes", "header-fields", "random-per-call"]
    {
        assert_eq!(row(&host, limit)["changed_by"], "DNA");
    }
    let seen = host.json(["inspect", "tables"]);
    assert_eq!(
        (&seen["limits"]["tables"], &seen["limits"]["handles"]),
        (&1.into(), &4096.into()),
        "{seen:#}"
    );
}
