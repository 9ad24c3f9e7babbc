//! Background work of a gene makes room while its clients suffer, and never for longer than its time.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::wait::{LONG, within};
use crate::support::{Connection, Host, Temp, project};

/// One cell, for which requests wait up to 30 s; they suffer from 1.2 s on.
fn host(limits: &str) -> (Host, Temp) {
    let folder = project(&format!(
        r#"
[organism]
name = "front"
[gene.front]
source = "{{p3-concurrency}}"
route = "/..."
background = ["/reports/...", "/sync"]
reuse = 100000
express = {{ max = 1 }}
limits = {{ wait = "30s", wall = "120s", pong = "100s", {limits} }}
"#
    ));
    (Host::start(folder.path()), folder)
}

fn begin(host: &Host, path: &str) -> Connection {
    host.begin(path).deadline(LONG)
}

fn seen(host: &Host) -> Value {
    host.json(["inspect", "front"])
}

fn count(host: &Host, name: &str) -> u64 {
    seen(host)["background"]["counts"][name].as_u64().unwrap()
}

fn waits(host: &Host, clients: u64, background: u64) {
    within(LONG, &format!("{clients} wait for a cell and {background} before that"), || {
        let seen = seen(host);
        (seen["waiting"] == clients && seen["background"]["waiting"] == background).then_some(())
    });
}

/// The one cell is busy for as long as the test wants, and a client waits and suffers.
fn busy(host: &Host) -> [Connection; 2] {
    let slow = begin(host, "/?ms=100000");
    within(LONG, "the cell works", || (seen(host)["busy"] == 1).then_some(()));
    let client = begin(host, "/?ms=1");
    waits(host, 1, 0);
    std::thread::sleep(Duration::from_millis(1_300));
    [slow, client]
}

/// The cell ends with what it holds; another takes its place.
fn relieve(host: &Host) {
    let cells = host.json(["ps"])["cells"].as_array().unwrap().clone();
    let busy = cells.iter().find(|cell| cell["state"] == "serving").unwrap();
    host.cyte(["kill", busy["cell"].as_str().unwrap(), "--now"]).ok();
}

/// Who is answered says how many messages its cell had so far: that is the order.
fn order(connection: &mut Connection) -> String {
    let answer = connection.response().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn clients_that_come_later_are_served_before_background_work() {
    let (host, _folder) = host("background-wait = \"60s\"");
    assert_eq!(host.get("/reports/1?ms=1").status, 200, "nobody suffers: it passes at once");
    let [_slow, mut first] = busy(&host);
    let mut report = begin(&host, "/reports/daily?ms=1");
    waits(&host, 1, 1);
    let mut sync = begin(&host, "/sync?ms=1");
    waits(&host, 1, 2);
    let mut second = begin(&host, "/?ms=1");
    let mut third = begin(&host, "/sync/deeper?ms=1");
    waits(&host, 3, 2);
    relieve(&host);
    // Which of two clients sent first is not known here.
    assert_eq!(order(&mut first), "1");
    let mut clients = [order(&mut second), order(&mut third)];
    clients.sort();
    assert_eq!(clients, ["2", "3"]);
    let mut background = [order(&mut report), order(&mut sync)];
    background.sort();
    assert_eq!(background, ["4", "5"]);
    let now = &seen(&host)["background"];
    let counts = &now["counts"];
    assert_eq!((&counts["passed"], &counts["held"], &counts["calmed"]), (&1.into(), &2.into(), &2.into()));
    assert_eq!((&counts["overdue"], &counts["refused"], &now["clients"]), (&0.into(), &0.into(), &4.into()));
}

#[test]
fn it_is_answered_at_the_latest_after_its_time() {
    let (host, _folder) = host("background-wait = \"700ms\"");
    let [_slow, mut client] = busy(&host);
    let since = Instant::now();
    let mut report = begin(&host, "/reports/daily?ms=1");
    within(LONG, "its time is over", || (count(&host, "overdue") == 1).then_some(()));
    assert!(since.elapsed() >= Duration::from_millis(690), "{:?}", since.elapsed());
    // Clients suffer as before; it stands in the one queue behind who came before it.
    waits(&host, 2, 0);
    relieve(&host);
    assert_eq!((order(&mut client), order(&mut report)), ("1".into(), "2".into()));
    assert_eq!((count(&host, "held"), count(&host, "calmed")), (1, 0));
}

/// What is held is held no longer than it asked for itself, nor than an operator says from now on.
#[test]
fn its_time_is_the_least_of_what_dna_operator_and_client_say() {
    let (host, _folder) = host("background = 9, background-wait = \"60s\"");
    let [_slow, client] = busy(&host);
    let patient = begin(&host, "/reports/1?ms=1");
    waits(&host, 1, 1);
    let prefer = "GET /reports/2?ms=1 HTTP/1.1\r\nhost: x\r\nprefer: wait=0.3\r\n\r\n";
    let mut hurried = Connection::open(host.address()).deadline(LONG);
    hurried.send(prefer);
    within(LONG, "its own time is over", || (count(&host, "overdue") == 1).then_some(()));
    // What it asked for is for all of its waiting.
    assert_eq!(hurried.response().unwrap().status, 503);
    waits(&host, 1, 1);
    let set = |args: &[&str]| host.cyte(["limits", "set"].iter().chain(args)).run();
    let said = set(&["front.background-wait=400ms", "front.background=2"]);
    assert_eq!(said.code(), 0, "{}", said.stderr);
    let _second = begin(&host, "/reports/3?ms=1");
    within(LONG, "the operator's time is over", || (count(&host, "overdue") == 2).then_some(()));
    waits(&host, 2, 1);
    let said = set(&["front.background=10"]).refused(1, "E410");
    assert!(said.contains("0 to 9"), "{said}");
    let limits = host.json(["limits"]);
    let row =
        limits["live"].as_array().unwrap().iter().find(|row| row["name"] == "front.background").unwrap();
    assert_eq!((&row["in_force"], &row["by"]), (&"2".into(), &"operator".into()), "{row}");
    drop((patient, client));
}

#[test]
fn a_full_buffer_refuses_and_the_counters_add_up() {
    let (host, _folder) = host("background = 1, background-wait = \"60s\"");
    let [_slow, mut client] = busy(&host);
    let gone = begin(&host, "/reports/1?ms=1");
    waits(&host, 1, 1);
    drop(gone);
    waits(&host, 1, 0);
    let mut held = begin(&host, "/reports/2?ms=1");
    waits(&host, 1, 1);
    for _ in 0..2 {
        let refused = host.get("/reports/3");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert!(refused.text().contains("(background-full, request "), "{refused:?}");
    }
    relieve(&host);
    assert_eq!((order(&mut client), order(&mut held)), ("1".into(), "2".into()));
    assert_eq!(host.get("/reports/4?ms=1").status, 200);
    let now = &seen(&host)["background"];
    let counts = |name: &str| now["counts"][name].as_u64().unwrap();
    assert_eq!((counts("held"), counts("left"), counts("calmed"), counts("refused")), (2, 1, 1, 2));
    // Two clients, and whatever of the background went on.
    assert_eq!((counts("passed"), now["clients"].as_u64()), (1, Some(2)));
    let limits = host.json(["limits"])["limits"].as_array().unwrap().clone();
    let row = limits.iter().find(|row| row["name"] == "background").unwrap();
    assert_eq!(row["count"], 2, "{row}");
    let shown = host.cyte(["inspect", "front"]).ok().stdout;
    assert!(
        shown.contains("1 admitted at once, 2 held back (0 now)") && shown.contains("2 refused"),
        "{shown}"
    );
}
