//! Guests that take more memory, stack, randomness or header fields than they may.

use super::zoo::{self, refused};
use crate::support::until;

/// So that on a loaded machine none of these meets its CPU budget first, and that who computes beside more of
/// its kind than there are cores waits for one.
const PATIENT: &str = "limits = { cpu = \"60s\", wall = \"60s\", wait = \"60s\" }";
const SMALL: &str = "limits = { memory = \"8MiB\", cpu = \"60s\", wall = \"60s\" }";

#[test]
fn a_guest_that_grows_gets_its_limit_and_no_more() {
    let host = zoo::host(&[("grow", PATIENT), ("grow as small", SMALL), ("spin", "")]);
    let got = |gene: &str| {
        let text = host.ask(gene, "/grow").text();
        let mib = text.strip_prefix("refused after ").and_then(|rest| rest.strip_suffix(" MiB\n"));
        mib.unwrap_or_else(|| panic!("{text}")).parse::<u32>().unwrap()
    };
    let quiet = host.resident();
    assert!((56..64).contains(&got("grow")), "64 MiB less what the guest itself needs");
    assert!((2..8).contains(&got("small")));
    until("the memory is given back", || (host.resident() < quiet + (24 << 20)).then_some(()));
    assert_eq!(host.ask("spin", "/").text(), "healthy\n");
}

#[test]
fn a_guest_that_does_not_notice_the_limit_ends() {
    let host = zoo::host(&[("grow", SMALL)]);
    let before = host.ask("grow", "/").status;
    assert_eq!(before, 200);
    let id = refused(&host.ask("grow", "/abort"), 502, "cell-limit");
    let logs = host.logs("grow");
    let line = logs.iter().find(|line| line["request"] == *id && line["stream"] == "host").expect("a line");
    assert!(line["text"].as_str().unwrap().contains("memory"), "{line}");
    assert_eq!(host.ask("grow", "/").text(), "healthy\n");
}

#[test]
fn a_cell_that_holds_most_of_its_limit_is_not_used_again() {
    let one = "express = { max = 1 }\nlimits = { cpu = \"60s\", wall = \"60s\", wait = \"20s\" }";
    let host = zoo::host(&[("grow", one)]);
    assert_eq!(host.ask("grow", "/hold?mib=20").text(), "holding 20 MiB\n");
    assert_eq!(host.ask("grow", "/hold?mib=35").text(), "holding 55 MiB\n");
    assert_eq!(host.ask("grow", "/hold?mib=1").text(), "holding 1 MiB\n", "a new cell");
    let counts = host.json(["inspect", "grow"])["tissue"]["counts"].clone();
    assert_eq!((&counts["retired"], &counts["died"]), (&1.into(), &0.into()), "{counts}");
}

#[test]
fn many_guests_that_grow_at_once_leave_the_host_whole() {
    let host = zoo::host(&[("grow", &format!("reuse = 1\n{PATIENT}")), ("spin", "")]);
    let quiet = host.resident();
    let mut all: Vec<_> = (0..8).map(|_| host.begin("grow", "/grow")).collect();
    assert_eq!(host.ask("spin", "/").text(), "healthy\n");
    for connection in &mut all {
        let answer = connection.response().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    until("the memory is given back", || (host.resident() < quiet + (48 << 20)).then_some(()));
}

#[test]
fn a_guest_that_recurses_ends_with_its_stack() {
    let host = zoo::host(&[("recurse", PATIENT)]);
    let id = refused(&host.ask("recurse", "/recurse"), 502, "cell-trapped");
    let logs = host.logs("recurse");
    let lines: Vec<_> = logs.iter().filter(|line| line["request"] == *id).collect();
    let text: String = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(text.contains("stack") && text.contains("deeper"), "{text}");
    assert!(lines.len() < 50, "a deep stack is shown in part: {} lines", lines.len());
    assert_eq!(host.ask("recurse", "/").text(), "healthy\n");
}

#[test]
fn random_bytes_are_limited_a_call() {
    let host = zoo::host(&[("big-random", PATIENT)]);
    refused(&host.ask("big-random", "/big"), 502, "cell-trapped");
    assert_eq!(host.ask("big-random", "/many").text(), "10485760 bytes\n");
    assert_eq!(host.ask("big-random", "/").text(), "16 bytes\n");
}

#[test]
fn header_fields_are_limited() {
    let host = zoo::host(&[("header-flood", PATIENT)]);
    let quiet = host.resident();
    for path in ["/many", "/large", "/trailers"] {
        for _ in 0..5 {
            let answer = host.ask("header-flood", path);
            assert_eq!(answer.status, 502, "{path}: {} header fields", answer.headers.len());
        }
        let answer = host.ask("header-flood", "/");
        assert_eq!(answer.text(), "healthy\n", "{path}");
        assert_eq!(answer.header("x-flood-19"), Some("19"), "{path}");
    }
    let held = host.resident().saturating_sub(quiet);
    assert!(held < 16 << 20, "{held} bytes for header fields that were refused");
}
