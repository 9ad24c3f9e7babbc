//! Guests that compute for ever.

use std::thread;
use std::time::Duration;

use super::zoo::{self, ask, get, refused, timed};
use crate::support::http::Why;
use crate::support::until;

/// One guest that spins for each version of wasi:http.
const SPINNERS: [&str; 2] = ["spin", "p3-spin"];
/// What a loaded machine may add to any deadline.
const MARGIN: Duration = Duration::from_secs(3);

#[test]
fn a_guest_that_spins_ends_at_its_budget() {
    for (more, budget) in [("", 500), ("limits = { cpu = \"100ms\" }", 100), ("reuse = 1", 500)] {
        let host = zoo::host(&SPINNERS.map(|name| (name, more)));
        for name in SPINNERS {
            let (answer, taken) = timed(|| host.ask(name, "/spin"));
            let id = refused(&answer, 504, "cpu-budget");
            let budget = Duration::from_millis(budget);
            assert!(taken >= budget / 2 && taken < budget + MARGIN, "{name} {more}: {taken:?}");
            let logs = host.logs(name);
            let line = logs.iter().find(|line| line["request"] == *id).expect("the id leads to the log");
            assert!(line["text"].as_str().unwrap().contains("CPU budget"), "{line}");
            assert_eq!(host.ask(name, "/").text(), "healthy\n", "{name}: the next request has a new cell");
        }
        let usage = host.json(["limits"])["usage"].clone();
        assert_eq!(usage["counters"]["cpu_breaches"], 2, "{usage}");
    }
}

#[test]
fn a_guest_that_spins_after_its_head_is_cut_off() {
    let host = zoo::host(&SPINNERS.map(|name| (name, "")));
    for name in SPINNERS {
        let mut connection = host.begin(name, "/spin/body");
        let (broken, taken) = timed(|| connection.response().expect_err("there is no end of it"));
        assert_eq!(broken.why, Why::Closed, "{name}");
        assert_eq!(broken.partial.unwrap().text(), "before\n", "{name}");
        assert!(taken < Duration::from_millis(500) + MARGIN, "{name}: {taken:?}");
        assert_eq!(host.ask(name, "/").text(), "healthy\n", "{name}");
    }
}

#[test]
fn healthy_requests_are_answered_while_every_processor_spins() {
    let budget = "limits = { cpu = \"2s\" }";
    let host = zoo::host(&[
        ("state", &format!("reuse = 1000000\n{}", zoo::ONE)),
        ("spin", budget),
        ("p3-spin", budget),
    ]);
    host.says("/", "1\n");
    let spinning: Vec<_> = SPINNERS.iter().map(|name| (name, host.begin(name, "/spin"))).collect();
    until("both spin", || SPINNERS.iter().all(|name| host.gene(name)["busy"] == 1).then_some(()));
    let mut healthy = host.connect();
    let mut taken: Vec<Duration> = (0..100)
        .map(|n| {
            let (answer, taken) = timed(|| ask(&mut healthy, "state", "/"));
            assert_eq!(answer.text(), format!("{}\n", n + 2));
            taken
        })
        .collect();
    let new_connection = timed(|| host.get("/").status);
    for name in SPINNERS {
        assert_eq!(host.gene(name)["busy"], 1, "they still spin, so this was measured beside them");
    }
    taken.sort_unstable();
    assert!(taken[50] < Duration::from_millis(50), "median {:?}", taken[50]);
    assert!(taken[99] < Duration::from_secs(1), "slowest {:?}", taken[99]);
    assert!(new_connection.1 < Duration::from_secs(1), "a new connection took {:?}", new_connection.1);
    for (name, mut connection) in spinning {
        refused(&connection.response().unwrap(), 504, "cpu-budget");
        assert_eq!(host.ask(name, "/").text(), "healthy\n");
    }
}

#[test]
fn more_spinners_than_processors_all_end() {
    // While the cores are full some wait for a cell, by default no longer than 100 ms.
    let budget = "limits = { cpu = \"200ms\", wait = \"20s\" }";
    let host = zoo::host(&[("spin", budget), ("p3-spin", budget)]);
    let mut all: Vec<_> = (0..12).map(|n| host.begin(SPINNERS[n % 2], "/spin")).collect();
    let (answer, taken) = timed(|| host.get("/"));
    assert_eq!(answer.text(), "healthy\n");
    assert!(taken < Duration::from_secs(2), "{taken:?}");
    for connection in &mut all {
        refused(&connection.response().unwrap(), 504, "cpu-budget");
    }
    for name in SPINNERS {
        until("nothing is left of them", || (host.gene(name)["busy"] == 0).then_some(()));
    }
}

#[test]
fn an_operator_says_how_many_calls_are_polled_at_once() {
    for polled in [2, 5] {
        let project = crate::support::project(&zoo::toml(&[("spin", "")]));
        let host = zoo::with(project, &["--polled-calls", &polled.to_string()]);
        assert_eq!(host.get("/").text(), "healthy\n");
        let live = host.json(["limits"])["live"].clone();
        let named = |knob: &&serde_json::Value| knob["name"] == "polled-calls";
        let found = live.as_array().unwrap().iter().find(named).cloned().unwrap_or_default();
        assert_eq!(found["in_force"], polled.to_string(), "{live}");
    }
}

#[test]
fn spinners_on_one_connection_spare_the_other_streams() {
    let host = zoo::host(&[("state", "reuse = 1000000"), ("spin", "")]);
    let h2 = crate::support::h2::H2::open(host.address());
    let to = |gene: &str, path: &str| {
        http::Request::get(format!("http://{gene}.test{path}")).body(http_body_util::Full::default()).unwrap()
    };
    thread::scope(|scope| {
        let spinning = scope.spawn(|| h2.all(vec![to("spin", "/spin"), to("spin", "/spin")]));
        until("both spin", || (host.gene("spin")["busy"] == 2).then_some(()));
        let (answer, taken) = timed(|| h2.all(vec![to("state", "/")]).remove(0).unwrap());
        assert_eq!(answer.status, 200);
        assert!(taken < Duration::from_millis(400), "{taken:?}");
        for answer in spinning.join().unwrap() {
            assert_eq!(answer.unwrap().status, 504);
        }
    });
}

#[test]
fn a_pipelined_request_behind_a_spinner_is_answered_after_it() {
    let host = zoo::host(&[("spin", "")]);
    let mut connection = host.connect();
    connection.send(get("spin", "/spin") + &get("spin", "/"));
    refused(&connection.response().unwrap(), 504, "cpu-budget");
    assert_eq!(connection.response().unwrap().text(), "healthy\n");
}
