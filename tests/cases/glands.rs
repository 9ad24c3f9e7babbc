//! Cells that speak to their class and hear of it, and cells that are made and ended by a word: an
//! operator's or a cell's own.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Cyte, Host, Temp, project, until};

/// Nobody dies of old age while a test looks.
fn glands(may: &str, more: &str) -> Temp {
    project(&format!(
        r#"
[organism]
name = "glands"
[gene.front]
source = "{{glands}}"
route = "/..."
reuse = 100000
{may}
{more}
limits = {{ wait = "10s", wall = "60s" }}
[hormones]
min_age_ms = 60000
"#
    ))
}

const ALL: &str = r#"may = ["release", "divide", "retire"]"#;

fn host(more: &str) -> (Host, Temp) {
    let folder = glands(ALL, more);
    (Host::start(folder.path()), folder)
}

fn class(host: &Host) -> Value {
    host.json(["hormones"])["classes"][0].clone()
}

fn cells(host: &Host) -> Vec<u64> {
    let answer = host.json(["ps"]);
    let cells = answer["cells"].as_array().cloned().unwrap_or_default();
    cells.iter().filter_map(|cell| cell["id"].as_u64()).collect()
}

fn text(host: &Host, path: &str) -> String {
    host.get(path).text()
}

/// What is not granted is an error before anything runs, which names the line to add.
#[test]
fn an_ability_of_ours_without_its_grant_is_a_load_error() {
    let folder = glands("", "");
    for verb in ["check", "run"] {
        let said = Cyte::new([verb]).arg(folder.path()).run().refused(1, "E104");
        assert!(said.contains("front") && said.contains("cyte:cell/division@0.1.0"), "{said}");
        assert!(said.contains("add may = [\"divide\"] to [gene.front] in dna.toml"), "{said}");
    }
    let folder = glands("may = [\"relase\"]", "");
    let said = Cyte::new(["check"]).arg(folder.path()).run().refused(1, "E101");
    assert!(said.contains("write one of: release, divide, retire"), "{said}");
}

#[test]
fn a_strength_out_of_range_and_a_second_release_in_one_tick_are_refused() {
    let (host, _folder) = host("");
    assert_eq!(text(&host, "/release?strength=1"), "released");
    for nonsense in ["NaN", "-0.1", "1.01", "inf"] {
        let said = text(&host, &format!("/release?strength={nonsense}"));
        assert!(said.contains("no number from 0 to 1"), "{nonsense}: {said}");
    }
    // As often as it tries, no more than one a tick of 20 ms is taken.
    let taken: u64 = text(&host, "/lie?ms=1000").parse().unwrap();
    assert!((10..=51).contains(&taken), "{taken}");
}

/// One packet alone changes nothing, and one cell that lies for ever is worth two cells at most.
#[test]
fn one_release_changes_nothing_and_a_liar_is_worth_two_cells() {
    let (host, _folder) = host("express = { max = 60 }");
    let held: Vec<_> = (0..5).map(|_| host.begin("/hold?ms=12000")).collect();
    let placed =
        || class(&host)["ready"].as_u64().unwrap_or(0) + class(&host)["pending"].as_u64().unwrap_or(0);
    // The law settles at what five messages want.
    let settled = until("a settled population", || {
        let before = placed();
        std::thread::sleep(Duration::from_millis(400));
        (before >= 5 && placed() == before).then_some(before)
    });
    assert_eq!(text(&host, "/release?strength=1"), "released");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(placed(), settled, "one packet alone");
    let mut liar = host.begin("/lie?ms=4000");
    let end = Instant::now() + Duration::from_millis(3_800);
    let mut worst = (0, 0.0);
    while Instant::now() < end {
        let class = class(&host);
        let there = class["ready"].as_u64().unwrap() + class["pending"].as_u64().unwrap();
        let wanted = class["wanted"].as_f64().unwrap();
        // What was there before the liar spoke is not its doing.
        let most = (wanted.ceil() as u64 + 2).max(settled + 1);
        assert!(there <= most, "{there} cells, {wanted} wanted, {settled} before");
        worst = if there > worst.0 { (there, wanted) } else { worst };
        std::thread::sleep(Duration::from_millis(20));
    }
    let taken: u64 = liar.response().unwrap().text().parse().unwrap();
    assert!(taken > 50, "it lied all the time: {taken}, {worst:?}");
    for mut connection in held {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}

/// What a class feels is told to its cells, in both worlds, and never more often than every 100 ms.
#[test]
fn cells_with_a_receptor_are_told_how_their_class_stands() {
    let (host, _folder) = host("express = { max = 2 }");
    assert_eq!(text(&host, "/felt"), "0 0 0", "nothing was felt before the first request");
    let held: Vec<_> = (0..8).map(|_| host.begin("/hold?ms=300")).collect();
    for mut connection in held {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    let felt = until("it was told", || {
        let felt = text(&host, "/felt");
        let told: u32 = felt.split(' ').next().unwrap().parse().unwrap();
        (told >= 2).then_some(felt)
    });
    let closest: u32 = felt.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(closest >= 95, "{felt}");

    let folder = project(
        "[organism]\nname = \"feel\"\n[gene.front]\nsource = \"{p3-feel}\"\nroute = \"/...\"\nreuse = 100000\n",
    );
    let host = Host::start(folder.path());
    let told = || host.get("/?ms=50").text().parse::<u32>().is_ok_and(|told| told > 0).then_some(());
    until("a cell on 0.3 was told", told);
}

/// A shared cell has no moment between its messages: that is said when the gene is loaded.
#[test]
fn a_receptor_needs_a_cell_of_its_own() {
    let folder = project(
        "[organism]\nname = \"feel\"\n[gene.front]\nsource = \"{p3-feel}\"\nroute = \"/...\"\nconcurrency = 4\n",
    );
    let said = Cyte::new(["run"]).arg(folder.path()).run().refused(1, "E104");
    assert!(said.contains("cyte:cell/receptor") && said.contains("concurrency"), "{said}");
}

/// A cell that does not survive what it is told ends alone: whoever asks next is answered by another.
#[test]
fn a_receptor_that_fails_ends_its_cell_only() {
    for (path, cause) in [("/poison", "trap"), ("/spin", "breach")] {
        let (host, _folder) = host("");
        assert_eq!(host.get(path).status, 200);
        let died = |event: &Value| event["gene"] == "front" && event["cause"] == cause;
        // Load makes news; each request is answered, whatever becomes of the cell.
        let seen = until("it ended", || {
            assert_eq!(host.get("/hold?ms=30").status, 200);
            let events = host.json(["events"]);
            let events = events["events"].as_array().cloned().unwrap_or_default();
            events.into_iter().find(|event| event["event"] == "cell-died" && died(event))
        });
        assert_eq!(seen["cell"], 1, "{seen}");
        assert_eq!(host.get("/").status, 200);
    }
}

/// One more and one less by an operator's word: audited, and inside the bounds.
#[test]
fn operators_make_and_end_cells() {
    let (host, _folder) = host("express = { min = 1, max = 3 }");
    until("the first", || (cells(&host) == [1]).then_some(()));
    let said = host.cyte(["divide", "front#1"]).ok().stdout;
    assert_eq!(said, "made       front#2\n");
    let mother = host.json(["inspect", "front#2"])["mother"].clone();
    assert_eq!(mother, 1);
    let answer = host.json(["divide", "front"]);
    assert_eq!(answer["cell"], "front#3");
    let said = host.cyte(["divide", "front"]).run().refused(1, "E310");
    assert!(
        said.contains("as many cells of the gene as there may be") && said.contains("cyte get front"),
        "{said}"
    );
    host.cyte(["kill", "front#2"]).ok();
    until("it is gone", || (!cells(&host).contains(&2)).then_some(()));
    let verbs = |verb: &str| host.event("operator", |event| event["verb"] == verb)["subject"].clone();
    assert_eq!((verbs("cell.divide"), verbs("cell.kill")), ("front#1".into(), "front#2".into()));
    for name in ["front#2", "front#x", "nobody", "nobody#1", "governor", "neuron"] {
        host.cyte(["divide", name]).run().refused(1, "E308");
        host.cyte(["kill", name]).run().refused(1, "E308");
    }
    host.cyte(["kill", "front"]).run().refused(1, "E308");
}

#[test]
fn a_busy_cell_is_let_finish_or_ended_with_what_it_holds() {
    let (host, _folder) = host("");
    let mut held = host.begin("/hold?ms=1500");
    until("it holds it", || (host.json(["ps"])["cells"][0]["state"] == "serving").then_some(()));
    host.cyte(["kill", "front#1"]).ok();
    assert_eq!(held.response().unwrap().status, 200, "it finished");
    until("and then it ended", || (!cells(&host).contains(&1)).then_some(()));
    let mut held = host.begin("/hold?ms=30000");
    let busy = until("another holds one", || {
        let cells = host.json(["ps"])["cells"].as_array().cloned().unwrap_or_default();
        cells
            .iter()
            .find(|cell| cell["state"] == "serving")
            .and_then(|cell| cell["cell"].as_str().map(str::to_owned))
    });
    let since = Instant::now();
    host.cyte(["kill", &busy, "--now"]).ok();
    assert_eq!(held.response().unwrap().status, 502);
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(host.get("/").status, 200, "a successor");
}

/// A mother rests for 50 ms between two divisions.
#[test]
fn a_mother_rests_between_divisions() {
    let (host, _folder) = host("express = { max = 3 }");
    let said = until("twice in a row", || {
        let said = text(&host, "/divide-twice");
        let (took, second) = said.split_once(' ').unwrap();
        // On a busy machine the first may have taken as long as the rest.
        (took.parse::<u64>().unwrap() < 50).then(|| second.to_owned())
    });
    assert_eq!(said, "refused: this cell divided just now");
}

/// A cell divides into its own class and ends cells of its own class, inside the gene's range.
#[test]
fn cells_divide_and_retire_by_their_own_word() {
    let (host, _folder) = host("express = { min = 1, max = 3 }");
    // On a busy machine the law itself may make some of them.
    let mut made = Vec::new();
    let refused = until("the bound", || {
        let said = text(&host, "/divide");
        made.extend(said.parse::<u64>());
        said.contains("as many cells of the gene as there may be").then_some(said)
    });
    assert!(refused.starts_with("refused") && !made.is_empty(), "{refused}, {made:?}");
    assert!(made.iter().all(|cell| cells(&host).contains(cell)), "{made:?}");
    assert_eq!(text(&host, &format!("/retire?cell={}", made[0])), "retired");
    until("it is gone", || (!cells(&host).contains(&made[0])).then_some(()));
    assert!(text(&host, "/retire?cell=999").contains("no such cell"));
    let only = glands("may = [\"release\", \"divide\"]", "");
    let host = Host::start(only.path());
    assert!(text(&host, "/retire?cell=1").contains("the DNA does not grant it"));
}
