//! A part that stays over its mark is told with its number, once, and once when it has cooled.

use std::time::Duration;

use crate::support::wait::{LONG, within};
use crate::support::{Connection, Host, project};

fn begin(host: &Host) -> Connection {
    host.begin("/?ms=100000").deadline(LONG)
}

#[test]
fn a_queue_that_stays_late_is_hot_and_cools() {
    let folder = project(
        "[organism]\nname = \"o\"\n[gene.front]\nsource = \"{p3-concurrency}\"\nroute = \"/...\"\nreuse = 100000\nexpress = { max = 1 }\nlimits = { wait = \"30s\", wall = \"200s\", pong = \"100s\" }\n",
    );
    let host = Host::start(folder.path());
    let slow = begin(&host);
    within(LONG, "it works", || (host.json(["inspect", "front"])["busy"] == 1).then_some(()));
    let waiting = begin(&host);
    let is_queue = |event: &serde_json::Value| event["part"] == "queue";
    // A fifth of the wait is no harm; it must be over that for a second.
    let hot = within(LONG, "it is hot", || {
        host.events().into_iter().find(|event| event["event"] == "hot" && is_queue(event))
    });
    assert_eq!(
        (&hot["gene"], &hot["mark"], &hot["unit"]),
        (&"front".into(), &6_000_000.into(), &"us".into())
    );
    assert!(hot["number"].as_u64().unwrap() > 6_000_000, "{hot}");
    drop((waiting, slow));
    let cooled = host.event("cooled", is_queue);
    assert!(cooled["number"].as_u64().unwrap() <= 4_500_000, "{cooled}");
    std::thread::sleep(Duration::from_millis(500));
    let events = host.events();
    let told = |name: &str| events.iter().filter(|event| event["event"] == name && is_queue(event)).count();
    assert_eq!((told("hot"), told("cooled")), (1, 1));
    let shown = host.cyte(["events"]).ok().stdout;
    assert!(
        shown.contains("hot ") && shown.contains("mark=6000000") && shown.contains("part=queue"),
        "{shown}"
    );
}
