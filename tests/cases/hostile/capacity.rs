//! More requests than a gene may have cells: waiting, order, bounds, and memory that comes back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::zoo::{self, Zoo, refused, timed};
use crate::support::h2::H2;
use crate::support::until;
use crate::support::wait::{LONG, within};

/// So that on a loaded machine nobody meets a budget that the test is not about.
const PATIENT: &str = "limits = { cpu = \"60s\", wall = \"60s\", wait = \"60s\" }";

fn waiting(host: &Zoo, gene: &str, count: u64) {
    within(LONG, &format!("{count} wait"), || (host.gene(gene)["waiting"] == count).then_some(()));
}

#[test]
fn who_waits_too_long_is_told_to_come_back() {
    let more = "express = { max = 1 }\nlimits = { wait = \"200ms\", wall = \"20s\" }";
    let host = zoo::host(&[("p3-concurrency", more), ("spin", "")]);
    let mut slow = host.begin("p3-concurrency", "/?ms=3000");
    until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
    let (answer, taken) = timed(|| host.ask("p3-concurrency", "/"));
    refused(&answer, 503, "waited-too-long");
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert!(taken >= Duration::from_millis(190) && taken < Duration::from_secs(2), "{taken:?}");
    assert_eq!(host.ask("spin", "/").text(), "healthy\n", "another gene does not wait");
    assert_eq!(slow.response().unwrap().text(), "1 1\n");
    assert_eq!(host.ask("p3-concurrency", "/?ms=1").text(), "1 2\n");
    assert_eq!(host.gene("p3-concurrency")["waiting"], 0);
}

#[test]
fn who_comes_first_is_served_first() {
    for more in ["", "reuse = 1"] {
        let more = format!("express = {{ max = 1 }}\nlimits = {{ wait = \"30s\" }}\n{more}");
        let host = zoo::host(&[("p3-concurrency", &more)]);
        let mut slow = host.begin("p3-concurrency", "/?ms=2000");
        until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
        let mut all = Vec::new();
        for n in 1..=6 {
            all.push(host.begin("p3-concurrency", "/?ms=20"));
            waiting(&host, "p3-concurrency", n);
        }
        assert_eq!(slow.response().unwrap().status, 200);
        let mut order = Vec::new();
        // Each answer arrives before the next call begins, so the order of arrival is seen by
        // who has one when.
        within(LONG, "all are answered", || {
            for (n, connection) in all.iter().enumerate() {
                let stream = connection.stream();
                stream.set_nonblocking(true).unwrap();
                let has = stream.peek(&mut [0]).is_ok();
                stream.set_nonblocking(false).unwrap();
                if has && !order.contains(&n) {
                    order.push(n);
                }
            }
            (order.len() == all.len()).then_some(())
        });
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    }
}

/// With a wait of 5 s a fifth of it is no harm; 100 ms later who comes is not kept waiting.
#[test]
fn newcomers_are_refused_at_once_when_the_queue_stands() {
    let more = "express = { max = 1 }\nlimits = { wait = \"5s\", wall = \"20s\" }";
    let host = zoo::host(&[("p3-concurrency", more), ("spin", "")]);
    let mut slow = host.begin("p3-concurrency", "/?ms=3500");
    until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
    let mut patient = host.begin("p3-concurrency", "/?ms=1");
    waiting(&host, "p3-concurrency", 1);
    let started = Instant::now();
    let answer = within(LONG, "a newcomer is refused", || {
        let mut newcomer = host.begin("p3-concurrency", "/?ms=1").deadline(Duration::from_millis(200));
        newcomer.response().ok()
    });
    let taken = started.elapsed();
    refused(&answer, 503, "saturated");
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert!(taken >= Duration::from_millis(1_000), "not before the queue stood: {taken:?}");
    let seen = host.json(["inspect", "p3-concurrency"]);
    assert!(seen["tissue"]["counts"]["shed"].as_u64().unwrap() >= 1, "{seen:#}");
    assert_eq!(seen["shed"], seen["tissue"]["counts"]["shed"]);
    let limits = host.json(["limits"])["limits"].as_array().unwrap().clone();
    let row = limits.iter().find(|row| row["name"] == "standing-queue").unwrap();
    assert_eq!(row["count"], seen["shed"]);
    assert_eq!(host.ask("spin", "/").text(), "healthy\n", "another gene has a queue of its own");
    // Who waits already is served, and then there is room again.
    assert_eq!(slow.response().unwrap().status, 200);
    assert_eq!(patient.response().unwrap().status, 200);
    assert_eq!(host.ask("p3-concurrency", "/?ms=1").status, 200);
}

#[test]
fn the_queue_is_bounded_and_those_who_left_do_not_count() {
    let more = "express = { max = 1 }\nlimits = { wait = \"60s\", wall = \"60s\" }";
    let host = zoo::host(&[("p3-concurrency", more), ("spin", "")]);
    let slow = host.begin("p3-concurrency", "/?ms=50000");
    until("it works", || (host.gene("p3-concurrency")["busy"] == 1).then_some(()));
    // 1,024 may wait. With HTTP/2 that takes eight connections.
    let crowd: Vec<Crowd> = (0..8).map(|_| Crowd::of(&host, 128)).collect();
    waiting(&host, "p3-concurrency", 1_024);
    let (answer, taken) = timed(|| host.ask("p3-concurrency", "/"));
    refused(&answer, 503, "saturated");
    assert!(answer.header("retry-after").is_some());
    assert!(taken < Duration::from_secs(1), "nobody waits to hear that waiting is hopeless: {taken:?}");
    assert_eq!(host.ask("spin", "/").text(), "healthy\n", "another gene has a queue of its own");
    drop(crowd);
    within(LONG, "there is room again", || {
        let mut one = host.begin("p3-concurrency", "/").deadline(Duration::from_millis(300));
        one.response().is_err().then_some(())
    });
    drop(slow);
}

/// Requests that wait on one connection until this is dropped.
struct Crowd {
    _h2: H2,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Crowd {
    fn of(host: &Zoo, count: usize) -> Self {
        let h2 = H2::open(host.address());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = host.address();
        runtime.spawn(async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            let calls = (0..count).map(|_| {
                let mut sender = sender.clone();
                async move {
                    let request =
                        Request::get("http://p3-concurrency.test/?ms=1").body(Full::<Bytes>::default());
                    sender.send_request(request.unwrap()).await.map(drop)
                }
            });
            futures_util::future::join_all(calls).await;
        });
        Self { _h2: h2, runtime: Some(runtime) }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn a_gene_has_never_more_cells_than_it_may() {
    let more = "express = { max = 3 }\nlimits = { wait = \"30s\" }";
    let host = zoo::host(&[("p3-concurrency", more)]);
    let mut all: Vec<_> = (0..30).map(|_| host.begin("p3-concurrency", "/?ms=20")).collect();
    let mut most = 0;
    while host.json(["inspect", "p3-concurrency"])["tissue"]["counts"]["offered"] != 30
        || host.gene("p3-concurrency")["busy"] != 0
    {
        most = most.max(host.cells("p3-concurrency").len());
    }
    assert!(most <= 3, "{most}");
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    assert_eq!(host.gene("p3-concurrency")["born"], 3);
}

#[test]
fn a_host_has_never_more_cells_than_it_may() {
    let more = "limits = { wait = \"300ms\", wall = \"20s\" }";
    let project =
        crate::support::project(&zoo::toml(&[("never", more), ("spin", "limits = { wait = \"100ms\" }")]));
    let host = zoo::start(&project).arg("--cells").arg("4").start();
    let mut all: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = host.connect();
            connection.send(zoo::get("never", "/never"));
            connection
        })
        .collect();
    let busy = || host.json(["ps"])["cells"].as_array().unwrap().len();
    until("four cells work", || (busy() == 4).then_some(()));
    let mut connection = host.connect();
    for gene in ["never", "spin"] {
        let answer = zoo::ask(&mut connection, gene, "/");
        assert_eq!(answer.status, 503, "{gene}: {answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(busy(), 4);
    all.pop();
    until("a place is free", || (zoo::ask(&mut connection, "spin", "/").status == 200).then_some(()));
}

#[test]
fn after_a_burst_surplus_cells_retire() {
    let host = zoo::host(&[("grow", PATIENT), ("grow as spare", "express = { min = 2 }")]);
    let quiet = host.resident();
    let mut all: Vec<_> = (0..20).map(|_| host.begin("grow", "/hold?mib=16")).collect();
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    let burst = host.resident();
    let many = host.cells("grow").len();
    assert!(many >= 2, "{many} cells for twenty requests at once");
    // Of one at least; others may have been made for requests that another cell served first.
    assert!(burst > quiet + (16 << 20), "they hold memory: {quiet} {burst}, {many} cells");
    within(Duration::from_secs(60), "surplus cells retire", || host.cells("grow").is_empty().then_some(()));
    assert!(host.resident() < quiet + (40 << 20), "their memory is given back: {quiet} {}", host.resident());
    assert_eq!(host.cells("spare").len(), 2, "the least that the DNA asks for is there");
    assert_eq!(host.ask("grow", "/").text(), "healthy\n");
}

/// Cells that rest give way to another gene's request, and a place that comes free goes round.
#[test]
fn cells_that_rest_leave_no_other_gene_without_one() {
    let project = crate::support::project(&zoo::toml(&[
        ("p3-concurrency", "limits = { wait = \"20s\" }"),
        ("spin", "limits = { wait = \"20s\" }"),
        ("state as kept", "express = { min = 1 }\nreuse = 1000000"),
    ]));
    let host = zoo::with(project, &["--cells", "4"]);
    until("the least that the DNA asks for is there", || (host.cells("kept").len() == 1).then_some(()));
    // Three cells, which rest afterwards and fill the host.
    let mut all: Vec<_> = (0..3).map(|_| host.begin("p3-concurrency", "/?ms=300")).collect();
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    let resting = host.cells("p3-concurrency").len();
    assert!(resting >= 2, "{resting}");
    let (answer, taken) = timed(|| host.ask("spin", "/"));
    assert_eq!(answer.text(), "healthy\n");
    assert!(taken < Duration::from_secs(5), "a cell that rests gives way: {taken:?}");
    assert_eq!(host.cells("kept").len(), 1, "nobody goes below the least of the DNA");

    // Now all of them work, and the other gene waits for the first place that comes free.
    let mut all: Vec<_> = (0..30).map(|_| host.begin("p3-concurrency", "/?ms=200")).collect();
    until("they wait", || (host.gene("p3-concurrency")["waiting"].as_u64().unwrap() > 20).then_some(()));
    let (answer, taken) = timed(|| host.ask("kept", "/"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "1\n"), "{taken:?}");
    for connection in &mut all {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

/// One gene's queue does not keep another gene from ever having a cell.
#[test]
fn a_place_that_comes_free_goes_round() {
    for (more, path) in [("", "/?ms=100"), ("reuse = 1", "/?ms=300")] {
        let wait = "limits = { wait = \"30s\" }";
        let project = crate::support::project(&zoo::toml(&[
            ("p3-concurrency", &format!("{wait}\n{more}")),
            ("p3-concurrency as other", &format!("{wait}\n{more}")),
        ]));
        let host = zoo::with(project, &["--cells", "2"]);
        let mut crowd: Vec<_> = (0..40).map(|_| host.begin("p3-concurrency", path)).collect();
        until("they wait", || (host.gene("p3-concurrency")["waiting"].as_u64().unwrap() > 20).then_some(()));
        let (answer, taken) = timed(|| host.ask("other", "/?ms=1"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let still = host.gene("p3-concurrency")["waiting"].as_u64().unwrap();
        // 40 calls of 300 ms in two cells take six seconds; kept cells serve their own queue first.
        assert!(more.is_empty() || still > 0, "it was served last, after {taken:?}");
        for connection in &mut crowd {
            assert_eq!(connection.response().unwrap().status, 200);
        }
    }
}
