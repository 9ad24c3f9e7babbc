//! The hormone law on a real host: an egg that wakes, a population that follows its load and comes
//! to rest again, hormones that operators release, and why there are as many cells as there are.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::wait::within;
use crate::support::{Connection, Cyte, Host, Temp, project, until};

/// A gene that waits, with one message a cell.
const TIDE: &str = r#"
[organism]
name = "tide"
[gene.front]
source = "{p3-concurrency}"
route = "/..."
reuse = 100000
limits = { wait = "10s" }
"#;

fn host() -> (Host, Temp) {
    let folder = project(TIDE);
    (Host::start(folder.path()), folder)
}

fn class(host: &Host) -> Value {
    host.json(["hormones"])["classes"][0].clone()
}

fn cells(host: &Host) -> usize {
    host.json(["ps"])["cells"].as_array().map_or(0, Vec::len)
}

/// `count` requests at once, each of which keeps a cell for `ms`.
fn at_once(host: &Host, count: usize, ms: u64) -> Vec<Connection> {
    (0..count).map(|_| host.begin(&format!("/?ms={ms}"))).collect()
}

#[test]
fn an_egg_has_neither_stems_nor_cells_and_wakes_with_the_first_request() {
    let (host, _folder) = host();
    let before = host.json(["hormones"]);
    assert_eq!((&before["host"]["stems"], before["classes"].as_array().unwrap().len()), (&0.into(), 0));
    assert_eq!(cells(&host), 0);
    let said = host.cyte(["hormone", "release", "growth", "0.5"]).run();
    assert!(said.code() != 0 && said.stderr.contains("an egg until its first request"), "{}", said.stderr);
    assert_eq!(host.get("/?ms=1").status, 200);
    let stems = || host.json(["hormones"])["host"]["stems"].as_u64().filter(|stems| *stems >= 16);
    assert_eq!(until("the pool is full", stems), 16);
    assert_eq!(class(&host)["gene"], "front");
}

/// Forty requests that all wait need forty cells; nobody is refused, the pool fills up again, and
/// when they are gone the cells go too, but for the last.
#[test]
fn a_population_follows_its_load_and_comes_to_rest_again() {
    let (host, _folder) = host();
    let asked = at_once(&host, 40, 1_500);
    until("forty cells", || (cells(&host) >= 40).then_some(()));
    for mut connection in asked {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    until("stems for forty", || {
        let levels = host.json(["hormones"]);
        (levels["host"]["stems"] == levels["host"]["stems_goal"]).then_some(())
    });
    within(Duration::from_secs(60), "one cell is left", || (cells(&host) == 1).then_some(()));
    let ended = host.event("regulated", |event| event["cause"] == "surplus");
    assert!(ended["why"].as_str().unwrap().contains("wanted"), "{ended}");
    let answer = host.json(["why", "front"]);
    let decisions = answer["genes"][0]["decisions"].as_array().unwrap();
    assert!(
        decisions.iter().any(|decision| decision["act"] == "die" && decision["cause"] == "surplus"),
        "{answer}"
    );
    let last = host.json(["events"])["events"].as_array().unwrap().len();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(host.json(["events"])["events"].as_array().unwrap().len(), last, "then nothing happens");
}

#[test]
fn operators_release_hormones_by_command_and_by_signal() {
    let (host, _folder) = host();
    let held = at_once(&host, 2, 20_000);
    until("two cells", || (cells(&host) == 2).then_some(()));
    host.cyte(["hormone", "release", "growth.front", "1"]).ok();
    until("more of them", || (cells(&host) > 2).then_some(()));
    let told = host.event("operator", |event| event["verb"] == "hormone.release");
    assert_eq!(told["subject"], "growth.front 1");
    let before = cells(&host);
    host.signal(Signal::USR1);
    until("more again", || (cells(&host) > before).then_some(()));
    host.signal(Signal::USR2);
    host.event("operator", |event| event["subject"] == "anti-growth 1");
    assert!(host.out().text().contains("listening"), "and it still serves");
    drop(held);
    for (args, exit, code) in [
        (&["hormone", "release", "joy", "1"][..], 2, "E001"),
        (&["hormone", "release", "growth", "7"][..], 2, "E001"),
        (&["hormone", "release", "growth.nobody", "1"][..], 1, "E308"),
        (&["why", "front#999"][..], 1, "E308"),
    ] {
        let said = host.cyte(args.iter().copied()).run().refused(exit, code);
        assert!(said.contains("help"), "{said}");
    }
}

#[test]
fn a_cell_says_what_it_felt() {
    let (host, _folder) = host();
    let held = at_once(&host, 3, 20_000);
    until("three cells", || (cells(&host) == 3).then_some(()));
    let felt = until("the law has seen it", || {
        let said = host.cyte(["why", "front#1"]).ok().stdout;
        said.contains("felt").then_some(said)
    });
    assert!(felt.starts_with("front#1: ") && felt.contains("wanted"), "{felt}");
    drop(held);
}

/// Without a running host the verbs say so, and what to type.
#[test]
fn without_a_host_there_are_no_hormones() {
    let folder = Temp::new();
    let said = Cyte::new(["hormones"]).within(folder.path()).run().refused(1, "E305");
    assert!(said.contains("cyte run"), "{said}");
}

/// `dormant = false` and the numbers of the pool are the DNA's, signed with the rest.
#[test]
fn an_organism_that_is_not_dormant_has_its_stems_before_the_first_request() {
    let folder = project(
        r#"
[organism]
name = "awake"
dormant = false
[pool]
stems_min = 5
[gene.front]
source = "{echo}"
route = "/..."
"#,
    );
    let host = Host::start(folder.path());
    let stems = || (host.json(["hormones"])["host"]["stems"] == 5).then_some(());
    until("five stems", stems);
    assert_eq!(cells(&host), 1, "the drone that three core cells need");
}

/// Knative's rule instead of the law, as the DNA signs it: asked while requests come, and obeyed.
#[test]
fn a_neuron_is_asked_and_obeyed() {
    let neuron = "[gene.mind]\nsource = \"cyte:neuron-kpa\"\nneuron = \"replace\"\n";
    let folder = project(&format!("{TIDE}{neuron}"));
    let host = Host::start(folder.path());
    let held = at_once(&host, 6, 8_000);
    let looks = || host.json(["hormones"])["neuron"]["looks"].as_u64().filter(|looks| *looks > 20);
    until("it was asked", looks);
    let said = host.cyte(["hormones"]).ok().stdout;
    assert!(said.contains("neuron mind may replace") && said.contains("0 failed"), "{said}");
    for mut connection in held {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

/// What a neuron is shown beside the law's numbers: the memory of cells and of the host, and who died.
#[test]
fn a_neuron_sees_memory_and_deaths() {
    const HEIR: &str = r#"
[organism]
name = "heirs"
[gene.heir]
source = "{panic}"
route = "/..."
reuse = 100000
[gene.mind]
source = "{odd-neuron}"
neuron = "replace"
"#;
    let folder = project(HEIR);
    let host = Host::start(folder.path());
    for _ in 0..3 {
        assert_eq!(host.get("/panic").status, 502);
    }
    until("one for each that died, and one", || {
        assert_eq!(host.get("/").status, 200);
        (cells(&host) == 4).then_some(())
    });
}
