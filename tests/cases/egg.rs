//! From the egg to three core cells, the order of loading, loaders, and who adopts whom.

use std::time::Duration;

use serde_json::Value;

use crate::cases::dna::Desk;
use crate::support::wait::within;
use crate::support::{Cyte, Host, Temp, guest, project, until};

/// A gene that waits, with one message a cell, and another that nobody asks.
const TWO: &str = r#"
[organism]
name = "young"
[gene.front]
source = "{p3-concurrency}"
route = "/..."
reuse = 100000
limits = { wait = "10s" }
[gene.other]
source = "{echo}"
route = "/other"
"#;

fn core(host: &Host) -> Vec<Value> {
    host.json(["ps"])["core"].as_array().unwrap().clone()
}

fn roles(host: &Host) -> Vec<String> {
    core(host).iter().map(|cell| cell["role"].as_str().unwrap().to_owned()).collect()
}

fn cells(host: &Host) -> Vec<Value> {
    host.json(["ps"])["cells"].as_array().unwrap().clone()
}

/// Waits until there are three core cells; gives the third.
#[track_caller]
fn three(host: &Host) -> Value {
    until("three core cells", || {
        let core = core(host);
        (core.len() == 3).then(|| core[2].clone())
    })
}

/// The events of the egg as words: what happened to whom.
fn story(host: &Host) -> Vec<String> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or("-").to_owned();
    let of = |event: Value| match event["event"].as_str().unwrap() {
        "born" => {
            let (cell, role, mother) = (text(&event, "cell"), text(&event, "role"), text(&event, "mother"));
            Some(format!("born {cell} {role} of {mother}"))
        }
        "divided" => Some(format!(
            "divided {} {}: {}",
            text(&event, "mother"),
            text(&event, "daughter"),
            text(&event, "cause")
        )),
        "differentiated" => Some(format!("differentiated {} {}", text(&event, "cell"), text(&event, "role"))),
        "stems-raised" => Some(format!("stems {} {}", text(&event, "mother"), event["stems"])),
        "listening" => Some("listening".to_owned()),
        _ => None,
    };
    host.events().into_iter().filter_map(of).collect()
}

#[test]
fn an_egg_divides_with_the_first_request_and_the_events_tell_it_in_order() {
    let folder = project(TWO);
    let host = Host::start(folder.path());
    assert_eq!((roles(&host), cells(&host).len()), (vec!["egg".to_owned()], 0), "nobody asked yet");
    let egg = &core(&host)[0];
    assert_eq!((&egg["cell"], &egg["state"]), (&"egg#1".into(), &"dormant".into()), "{egg:#}");
    let before = host.cyte(["ps"]).ok().stdout;
    assert!(before.lines().nth(1).unwrap().starts_with("egg#1"), "{before}");
    assert_eq!(story(&host), ["born egg#1 egg of -", "listening"]);

    assert_eq!(host.get("/?ms=1").status, 200);
    host.event("stems-raised", |_| true);
    assert_eq!(
        story(&host),
        [
            "born egg#1 egg of -",
            "listening",
            "divided egg#1 egg#2: request",
            "differentiated egg#1 neuron",
            "differentiated egg#2 messenger",
            "born front#1 drone of egg#1",
            "stems egg#1 16",
        ]
    );
    let drone = three(&host);
    assert_eq!(roles(&host), ["neuron", "messenger", "drone"]);
    assert_eq!((&drone["cell"], &drone["mother"]), (&"front#1".into(), &"egg#1".into()), "{drone:#}");
    assert_eq!(drone["did"]["messages"], 1);
    let [neuron, messenger] = [0, 1].map(|at| core(&host)[at].clone());
    assert!(neuron["did"]["looks"].as_u64().unwrap() > 0, "{neuron:#}");
    assert_eq!(messenger["did"]["requests"], 1, "{messenger:#}");

    let tree = host.cyte(["ps", "--tree"]).ok().stdout;
    let at = |text: &str| {
        let found = tree.lines().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("`{text}` is not in\n{tree}"))
    };
    assert!(at("egg#1  neuron") < at("egg#2  messenger") && at("egg#2") < at("front  drone"), "{tree}");
    assert!(at("front  drone") < at("front#1  "), "{tree}");
    let said = host.cyte(["inspect", "egg#2"]).ok().stdout;
    assert!(said.contains("messenger") && said.contains("the gateway"), "{said}");
    for (verb, name) in [("kill", "egg#1"), ("divide", "egg#2")] {
        let said = host.cyte([verb, name]).run().refused(1, "E310");
        assert!(said.contains("core cell") && said.contains("cyte ps"), "{said}");
    }
}

/// What happened is told after a restart too, and the new life begins with an egg.
#[test]
fn the_story_is_kept_and_begins_anew_with_the_next_life() {
    let folder = project(TWO);
    let state = Temp::new();
    for lives in 1..3 {
        let host = Host::of(folder.path()).state(state.path()).start();
        assert_eq!(roles(&host), ["egg"]);
        assert_eq!(host.get("/?ms=1").status, 200);
        host.event("stems-raised", |_| true);
        host.stop().expect(0);
        let kept = Cyte::new(["events", "--since", "1h", "--state"]).arg(state.path()).ok().stdout;
        let divided = kept.lines().filter(|line| line.contains("egg#1 divided into egg#2: request")).count();
        assert_eq!(divided, lives, "{kept}");
    }
}

#[test]
fn an_organism_that_is_not_dormant_has_three_core_cells_before_the_first_request() {
    let folder = project(&TWO.replace("name = \"young\"", "name = \"young\"\ndormant = false"));
    let host = Host::start(folder.path());
    let drone = three(&host);
    assert_eq!((&drone["cell"], &drone["did"]["messages"]), (&"front#1".into(), &0.into()), "{drone:#}");
    host.event("stems-raised", |_| true);
    let story = story(&host);
    assert!(story.contains(&"divided egg#1 egg#2: dna".to_owned()), "{story:?}");
    assert!(story.contains(&"born front#1 drone of egg#1".to_owned()), "{story:?}");
    assert_eq!(core(&host)[1]["did"]["requests"], 0);
}

/// Cells that are wanted wake an egg as well.
#[test]
fn what_is_wanted_ahead_of_a_request_divides_the_egg() {
    let folder = project(&TWO.replace("route = \"/other\"", "route = \"/other\"\nexpress = { min = 1 }"));
    let host = Host::start(folder.path());
    let drone = three(&host);
    assert_eq!(drone["gene"], "other");
    assert_eq!(host.event("divided", |_| true)["cause"], "wish");
}

/// After a load all cells go but the last drone; where that one ends too, another is born.
#[test]
fn three_core_cells_are_the_least_that_an_organism_rests_at() {
    let folder = project(TWO);
    let host = Host::start(folder.path());
    let held: Vec<_> = (0..8).map(|_| host.begin("/?ms=1500")).collect();
    until("eight cells", || (cells(&host).len() >= 8).then_some(()));
    for mut connection in held {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    within(Duration::from_secs(60), "one drone is left", || (cells(&host).len() == 1).then_some(()));
    let before = three(&host);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(three(&host)["cell"], before["cell"], "and it stays");
    let name = before["cell"].as_str().unwrap();
    host.cyte(["kill", name]).ok();
    let after = until("another in its place", || {
        core(&host).get(2).filter(|cell| cell["cell"] != before["cell"]).cloned()
    });
    assert_eq!(after["gene"], "front", "{after:#}");
    assert_eq!(roles(&host), ["neuron", "messenger", "drone"]);
}

/// The place of a cell that serves one request only is filled before somebody asks for it.
#[test]
fn a_gene_of_one_use_rests_at_one_cell_too() {
    let folder = project(
        "[organism]\nname = \"once\"\n[gene.front]\nsource = \"{state}\"\nroute = \"/...\"\nreuse = 1\n",
    );
    let host = Host::start(folder.path());
    host.says("/", "1\n");
    let drone = three(&host);
    assert_eq!((&drone["gene"], &drone["did"]["messages"]), (&"front".into(), &0.into()), "{drone:#}");
    assert!(story(&host).contains(&"born front#1 drone of egg#1".to_owned()), "{:?}", story(&host));
}

#[test]
fn security_comes_first_then_the_loader_then_the_genes() {
    let folder = project(TWO);
    let host = Host::of(folder.path()).arg("-v").start();
    let events = host.events();
    let at = |kind: &str| {
        let found: Vec<usize> =
            events.iter().enumerate().filter(|(_, event)| event["event"] == kind).map(|(at, _)| at).collect();
        assert!(!found.is_empty(), "no `{kind}` in {events:#?}");
        (found[0], found[found.len() - 1])
    };
    assert!(at("started").1 < at("security").0 && at("security").1 < at("dna-accepted").0);
    assert!(at("dna-accepted").1 < at("loader").0 && at("loader").1 < at("gene-ready").0);
    assert!(at("gene-ready").1 < at("born").0 && at("born").0 < at("listening").0);
    let security = &events[at("security").0];
    assert_eq!(
        (&security["provider"], &security["threshold"]),
        (&"germline".into(), &1.into()),
        "{security:#}"
    );
    assert_eq!(security["keys"].as_array().unwrap().len(), 1);
    assert_eq!(events[at("loader").0]["name"], "built-in");
    host.hears("loader: built-in");
    let said = host.err().text();
    let said_at = |text: &str| said.find(text).unwrap_or_else(|| panic!("`{text}` is not in\n{said}"));
    assert!(said_at("security: germline") < said_at("loader: built-in"), "{said}");
}

/// What nobody vouches for is never looked at by a loader, and leaves no code.
#[test]
fn nothing_is_compiled_of_what_is_refused() {
    let desk = Desk::new();
    std::fs::copy(guest("state"), desk.path("shop/front.wasm")).unwrap();
    for name in ["owner", "stranger"] {
        desk.key(name);
        desk.germline(name, &[name], 1);
    }
    desk.pack("x.dna", &["--key", "owner.key"]);
    let run = ["run", "x.dna", "--listen", "127.0.0.1:0", "--state", "host", "-v"];
    let said = Cyte::new(run).args(["--germline", "stranger.germline"]).within(desk.0.path()).run();
    let said = said.refused(4, "E201");
    assert!(!said.contains("loader"), "{said}");
    let code: Vec<_> = std::fs::read_dir(desk.path("host/code")).into_iter().flatten().collect();
    assert!(code.is_empty(), "not a byte of a gene was compiled: {code:?}");
    let events = std::fs::read_to_string(desk.path("host/logs/events.jsonl")).unwrap_or_default();
    assert!(!events.contains("\"loader\""), "{events}");
}

#[test]
fn the_cached_loader_runs_what_was_compiled_here_and_nothing_else() {
    let folder = project(TWO);
    let state = Temp::new();
    let cached = || Host::of(folder.path()).state(state.path()).arg("--loader").arg("cached");
    let refused = || cached().try_start().expect_err("it has no code").refused(1, "E309");
    let said = refused();
    assert!(said.contains("cannot run gene `front`") || said.contains("cannot run gene `other`"), "{said}");
    assert!(said.contains("--loader built-in"), "{said}");

    Host::of(folder.path()).state(state.path()).start().stop().expect(0);
    let host = cached().start();
    assert_eq!(host.get("/?ms=1").status, 200);
    assert_eq!(host.event("loader", |_| true)["name"], "cached");
    let ready: Vec<Value> =
        host.events().into_iter().filter(|event| event["event"] == "gene-ready").collect();
    assert!(ready.len() == 2 && ready.iter().all(|event| event["cached"] == true), "{ready:?}");
    host.stop().expect(0);

    // Code that this host did not write does not count, and there is none to take its place.
    for engine in std::fs::read_dir(state.join("code")).unwrap() {
        for code in std::fs::read_dir(engine.unwrap().path()).unwrap() {
            let path = code.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[100] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    refused();
}

#[test]
fn a_loader_that_is_unknown_is_refused_with_those_that_are_not() {
    let said = Cyte::new(["run", ".", "--loader", "magic"]).run().expect(2).stderr;
    assert!(said.contains("magic") && said.contains("built-in") && said.contains("cached"), "{said}");
}

/// A mother's daughters go to the grandmother; when the first of all goes, to the eldest daughter's line.
#[test]
fn daughters_of_the_dead_are_adopted_and_the_tree_shows_it() {
    let folder = project(
        r#"
[organism]
name = "family"
[gene.front]
source = "{glands}"
route = "/..."
reuse = 100000
may = ["release", "divide", "retire"]
[hormones]
min_age_ms = 60000
"#,
    );
    let host = Host::start(folder.path());
    assert_eq!(host.get("/").status, 200);
    let divide = |mother: u64| -> u64 {
        let made = host.json(["divide", &format!("front#{mother}")])["cell"].as_str().unwrap().to_owned();
        made.split_once('#').unwrap().1.parse().unwrap()
    };
    let mother = divide(1);
    let daughters = [divide(mother), divide(mother)];
    let by = |id: u64| {
        let cell = cells(&host).into_iter().find(|cell| cell["id"] == id);
        cell.and_then(|cell| cell["adopted_by"].as_u64())
    };
    let tree = || host.cyte(["ps", "--tree"]).ok().stdout;
    let depth = |tree: &str, id: u64| {
        let line = tree.lines().find(|line| line.contains(&format!("front#{id}  "))).unwrap().to_owned();
        line.chars().position(|c| c == 'f').unwrap()
    };
    host.cyte(["kill", &format!("front#{mother}")]).ok();
    until("the grandmother adopts both", || daughters.iter().all(|id| by(*id) == Some(1)).then_some(()));
    let shown = tree();
    let said = format!("daughter of #{mother}, adopted by #1");
    assert_eq!(shown.matches(&said).count(), 2, "{shown}");
    assert!(depth(&shown, daughters[0]) > depth(&shown, 1), "{shown}");

    host.cyte(["kill", "front#1"]).ok();
    let youngest = daughters[1];
    // The eldest; on a busy machine the law itself may have made one before these.
    let eldest = until("the eldest daughter's line adopts her", || {
        let eldest = cells(&host).iter().filter_map(|cell| cell["id"].as_u64()).min()?;
        (eldest != 1 && by(youngest) == Some(eldest)).then_some(eldest)
    });
    let shown = tree();
    assert!(shown.contains(&format!("daughter of #{mother}, adopted by #{eldest}")), "{shown}");
    assert!(depth(&shown, youngest) > depth(&shown, eldest), "{shown}");
    assert_eq!(by(eldest), None, "she took her mother's place");
}
