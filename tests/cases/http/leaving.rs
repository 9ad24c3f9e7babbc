//! Clients that go away, and clients that keep the host waiting.

use std::thread;
use std::time::{Duration, Instant};

use super::plain::{head, patient};
use super::zoo::{self, Zoo, get, refused};
use crate::support::http::Why;
use crate::support::until;
use crate::support::wait::within;

/// Calls in these genes could go on for a minute, so what ends sooner ended because of the client.
const LONG: &str = "limits = { cpu = \"60s\", wall = \"60s\" }\n";

#[test]
fn a_kept_cell_survives_a_client_that_goes_away() {
    let host = zoo::host(&[("p3-concurrency", "express = { max = 1 }")]);
    let connection = host.begin("p3-concurrency", "/?ms=1000");
    until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
    drop(connection);
    until("the cell is ready again", || (host.gene("p3-concurrency")["ready"] == 1).then_some(()));
    assert_eq!(host.ask("p3-concurrency", "/?ms=1").text(), "1 2\n", "the same cell, its second call");
    assert_eq!(host.gene("p3-concurrency")["born"], 1);
}

#[test]
fn a_guest_that_computes_for_nobody_is_stopped() {
    for (name, more) in [("spin", ""), ("spin", "reuse = 1"), ("p3-spin", ""), ("p3-spin", "reuse = 1")] {
        let host = zoo::host(&[(name, &format!("{LONG}{more}"))]);
        let connection = host.begin(name, "/spin");
        until("it computes", || (host.cpu() > Duration::from_millis(300)).then_some(()));
        drop(connection);
        idles(&host, name);
        assert_eq!(host.get("/").text(), "healthy\n", "{name} {more}");
    }
}

#[test]
fn a_guest_that_waits_for_nobody_is_let_go() {
    let host = zoo::host(&[("never", &format!("{LONG}reuse = 1"))]);
    let waiting: Vec<_> = (0..5).map(|_| host.begin("never", "/never")).collect();
    until("they wait", || (host.gene("never")["busy"] == 5).then_some(()));
    drop(waiting);
    until("they are gone", || (host.gene("never")["busy"] == 0).then_some(()));
    assert_eq!(host.get("/").text(), "healthy\n");
}

#[test]
fn a_guest_that_writes_for_nobody_is_stopped() {
    for more in ["", "reuse = 1"] {
        let host = zoo::host(&[("echo", more)]);
        let mut connection = host.connect();
        connection.send(get("echo", "/zeros?n=1000000000"));
        let answer = connection.head().unwrap();
        assert_eq!(answer.status, 200);
        drop(connection);
        until("the cell is free", || (host.gene("echo")["busy"] == 0).then_some(()));
        idles(&host, "echo");
        assert_eq!(host.get("/").status, 200);
    }
}

#[test]
fn a_client_that_goes_away_while_it_sends_leaves_nothing_behind() {
    let host = zoo::host(&[("echo", LONG), ("p3-echo", LONG)]);
    for name in ["echo", "p3-echo"] {
        for path in ["/", "/copy", "/whole"] {
            for sent in ["", "5\r\nhe", "5\r\nhello\r\n"] {
                let mut connection = host.connect();
                connection.send(head("POST", name, path, "transfer-encoding: chunked\r\n"));
                connection.send(sent);
                until("the gene has it", || (host.gene(name)["busy"] == 1).then_some(()));
                drop(connection);
                until("its cell is free", || (host.gene(name)["busy"] == 0).then_some(()));
            }
        }
        assert_eq!(host.ask(name, "/").status, 200, "{name}");
    }
    until("no connection is left", || (host.json(["limits"])["front"]["open"] == 0).then_some(()));
}

/// Waits until the process uses next to no CPU.
fn idles(host: &Zoo, name: &str) {
    within(Duration::from_secs(10), &format!("{name} stops"), || {
        let before = host.cpu();
        thread::sleep(Duration::from_millis(200));
        (host.cpu() - before <= Duration::from_millis(20)).then_some(())
    });
}

/// All deadlines that cannot be shortened from outside, at the same time. An idle connection has
/// 75 s, which is too long for here: the gateway's own tests shorten it.
#[test]
fn who_keeps_the_host_waiting_is_let_go_at_the_deadline() {
    let host = zoo::host(&[("echo", LONG), ("never", LONG)]);
    thread::scope(|scope| {
        let all = [
            scope.spawn(|| silent(&host)),
            scope.spawn(|| slow_head(&host)),
            scope.spawn(|| slow_second_head(&host)),
            scope.spawn(|| half_a_preface(&host)),
            scope.spawn(|| half_a_body(&host)),
            scope.spawn(|| half_an_answer(&host)),
            scope.spawn(|| reads_nothing(&host)),
        ];
        for one in all {
            one.join().unwrap();
        }
    });
    let front = host.json(["limits"])["front"].clone();
    for (counter, count) in
        [("first_request_late", 3), ("head_late", 1), ("body_stalled", 1), ("write_stalled", 1)]
    {
        assert_eq!(front[counter], count, "{counter}: {front}");
    }
    until("all connections are closed", || (host.json(["limits"])["front"]["open"] == 0).then_some(()));
    assert_eq!(host.gene("never")["busy"], 0);
    assert_eq!(host.gene("echo")["busy"], 0);
}

/// The deadlines, as the gateway has them.
const HEAD: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(30);

#[track_caller]
fn about(taken: Duration, deadline: Duration) {
    let late = deadline + Duration::from_secs(4);
    assert!(
        taken > deadline - Duration::from_millis(500) && taken < late,
        "{taken:?} instead of {deadline:?}"
    );
}

fn silent(host: &Zoo) {
    let mut connection = patient(host);
    let (closed, taken) = zoo::timed(|| connection.is_closed());
    assert!(closed);
    about(taken, HEAD);
}

fn slow_head(host: &Zoo) {
    about(drip(host, "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "), HEAD);
}

fn half_a_preface(host: &Zoo) {
    let mut connection = patient(host);
    connection.send("PRI * HTTP/2.0\r\n\r\nSM");
    let (closed, taken) = zoo::timed(|| connection.is_closed());
    assert!(closed);
    about(taken, HEAD);
}

/// Sends `text` and then a byte a second, and says how long that was taken.
fn drip(host: &Zoo, text: &str) -> Duration {
    let mut connection = patient(host).deadline(Duration::from_secs(1));
    connection.send(text);
    let started = Instant::now();
    while connection.piece() == Err(Why::TimedOut) {
        assert!(started.elapsed() < STALL, "a head may take for ever");
        let _ = connection.try_send("x");
    }
    started.elapsed()
}

fn slow_second_head(host: &Zoo) {
    let mut connection = patient(host).deadline(Duration::from_secs(1));
    assert_eq!(zoo::ask(&mut connection, "echo", "/").status, 200);
    connection.send("GET / HTTP/1.1\r\n");
    let started = Instant::now();
    while connection.piece() == Err(Why::TimedOut) {
        assert!(started.elapsed() < STALL, "a head may take for ever");
        let _ = connection.try_send("x");
    }
    about(started.elapsed(), HEAD);
}

fn half_a_body(host: &Zoo) {
    let mut connection = patient(host);
    connection.send(head("POST", "echo", "/whole", "content-length: 10\r\n"));
    connection.send("half");
    let (answer, taken) = zoo::timed(|| connection.response().unwrap());
    refused(&answer, 408, "body-stalled");
    about(taken, STALL);
}

fn half_an_answer(host: &Zoo) {
    let mut connection = patient(host);
    connection.send(get("never", "/never/body"));
    let answer = connection.head().unwrap();
    let (broken, taken) = zoo::timed(|| connection.body_of(answer).expect_err("it never ends"));
    assert_eq!(broken.why, Why::Closed);
    assert_eq!(broken.partial.unwrap().text(), "before\n");
    about(taken, STALL);
}

fn reads_nothing(host: &Zoo) {
    let mut connection = patient(host);
    connection.send(get("echo", "/zeros?n=1000000000"));
    assert_eq!(connection.head().unwrap().status, 200);
    let started = Instant::now();
    within(STALL * 2, "the host gives up", || {
        thread::sleep(Duration::from_millis(200));
        (host.json(["limits"])["front"]["write_stalled"] == 1).then_some(())
    });
    about(started.elapsed(), STALL);
}
