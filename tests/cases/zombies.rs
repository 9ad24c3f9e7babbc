//! Zombies: cells that hold a message and are stuck, and those that only look like it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Host, Temp, project, until};

fn host(guest: &str, limits: &str) -> (Host, Temp) {
    let folder = project(&format!(
        "[organism]\nname = \"o\"\n[gene.front]\nsource = \"{{{guest}}}\"\nroute = \"/...\"\nreuse = 1000\nlimits = {{ {limits} }}\n"
    ));
    (Host::start(folder.path()), folder)
}

fn zombies(host: &Host) -> Vec<Value> {
    host.events().into_iter().filter(|event| event["event"] == "zombie").collect()
}

/// In both worlds: found within two intervals, told with what it did last, ended, and succeeded.
#[test]
fn a_cell_that_awaits_what_never_comes_is_found_and_ended() {
    for (guest, limits) in [
        // Nobody will ever finish it.
        ("p3-never", "wall = \"60s\", pong = \"300ms\""),
        // A timer that rings a year after the call's own time.
        ("never", "wall = \"60s\", pong = \"300ms\""),
    ] {
        let (host, _folder) = host(guest, limits);
        assert_eq!(host.get("/").status, 200);
        let since = Instant::now();
        let answer = host.begin("/never").response().unwrap();
        let took = since.elapsed();
        assert_eq!(answer.status, 504, "{guest}");
        assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(10), "{guest}: {took:?}");
        let zombie = host.event("zombie", |event| event["gene"] == "front");
        let silent = zombie["silent_ms"].as_u64().unwrap();
        // Two intervals, and as much again for a machine that is busy.
        assert!((290..1_200).contains(&silent), "{guest}: {zombie}");
        assert!(zombie["last"].as_str().unwrap().contains("before its answer"), "{zombie}");
        let died = host.event("cell-died", |event| event["cell"] == zombie["cell"]);
        assert!(died["reason"].as_str().unwrap().contains("made no progress"), "{died}");
        assert_eq!(host.get("/").status, 200, "a successor answers");
        let limits = host.json(["limits"]);
        let pong = limits["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == "pong").unwrap();
        assert_eq!(pong["count"], 1, "{pong}");
    }
}

/// Who waits for a timer inside its own time, or for its client, is alive.
#[test]
fn who_waits_for_what_can_come_is_no_zombie() {
    for guest in ["p3-never", "glands"] {
        let more = if guest == "glands" { "\nmay = [\"release\", \"divide\", \"retire\"]\n" } else { "" };
        let folder = project(&format!(
            "[organism]\nname = \"o\"\n[gene.front]\nsource = \"{{{guest}}}\"\nroute = \"/...\"{more}\nlimits = {{ wall = \"20s\", pong = \"100ms\" }}\n"
        ));
        let host = Host::start(folder.path());
        let path = if guest == "glands" { "/hold?ms=1500" } else { "/sleep?ms=1500" };
        assert_eq!(host.get(path).status, 200, "{guest}");
        assert_eq!(zombies(&host), Vec::<Value>::new(), "{guest}");
    }
    let (host, _folder) = host("p3-never", "wall = \"20s\", pong = \"100ms\"");
    let mut connection = host.connect();
    connection.send("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    let serving = || (host.json(["ps"])["cells"][0]["state"] == "serving").then_some(());
    until("it reads", serving);
    std::thread::sleep(Duration::from_millis(800));
    connection.send("cd");
    assert_eq!(connection.response().unwrap().text(), "abcd");
    assert_eq!(zombies(&host), Vec::<Value>::new());
}
