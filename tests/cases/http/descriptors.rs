//! A host that runs out of file descriptors goes on serving those whom it has, and everybody once
//! there are some again.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::zoo::{self, ask};
use crate::support::http::Connection;

#[test]
fn a_host_without_descriptors_serves_on() {
    let host = zoo::host(&[("spin", "")]);
    let mut kept = host.connect();
    assert_eq!(ask(&mut kept, "spin", "/").status, 200);
    // One descriptor more than it has now: the next client gets in, those after it do not.
    let pid = Pid::from_raw(i32::try_from(host.id()).unwrap()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", host.id())).unwrap().count() as u64;
    let most = most(&host);
    let old = prlimit(Some(pid), Resource::Nofile, limit(open + 1, most)).unwrap();
    let mut waiting: Vec<Connection> = (0..8).map(|_| host.begin("spin", "/")).collect();
    let (before, started) = (host.cpu(), Instant::now());
    while started.elapsed() < Duration::from_millis(500) {
        assert_eq!(ask(&mut kept, "spin", "/").status, 200, "a client that is in is served");
        std::thread::sleep(Duration::from_millis(10));
    }
    let used = host.cpu() - before;
    assert!(used < Duration::from_millis(250), "{used:?} of CPU in half a second: it does not pause");
    prlimit(Some(pid), Resource::Nofile, old).unwrap();
    for connection in &mut waiting {
        assert_eq!(connection.response().unwrap().text(), "healthy\n", "those who waited are served");
    }
    let front = host.json(["limits"])["front"].clone();
    assert!(front["accept_errors"].as_u64().unwrap() > 0, "{front}");
    assert_eq!(host.get("/").status, 200);
}

fn limit(count: u64, most: Option<u64>) -> Rlimit {
    Rlimit { current: Some(count), maximum: most }
}

/// The most descriptors that the process may ever have, which only root can raise.
fn most(host: &zoo::Zoo) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().parse().ok()
}
