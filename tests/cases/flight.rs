//! The flight recorder through the real binary: record, replay, incidents that record themselves,
//! damaged files, and a recorded run beside what the simulator expects of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::guests::of_crate;
use crate::support::{Cyte, Host, Temp, project, repository};

/// A gene whose cells die when they are asked to.
const FRAIL: &str = r#"
[organism]
name = "frail"
[gene.front]
source = "{panic}"
route = "/..."
reuse = 1000
"#;

/// The gene that sleeps for 50 ms, one call a cell.
fn sleeper() -> Temp {
    let gene = of_crate(&repository().join("tests/bench-genes/sleep-p3"));
    let toml = format!(
        "[organism]\nname = \"tide\"\n[gene.front]\nsource = {gene:?}\nroute = \"/...\"\nreuse = 100000\n\
         concurrency = 1\nlimits = {{ wait = \"5s\" }}\n"
    );
    let folder = Temp::new();
    folder.write("dna.toml", toml);
    folder
}

/// Requests at `rate` a second for `span`, each at its time whatever became of the others: `lanes`
/// connections take turns, so that each has its answer before its next turn.
fn drive(host: &Host, rate: u32, span: Duration) -> usize {
    let lanes = (rate / 4).max(1);
    let start = Instant::now();
    let gap = Duration::from_secs_f64(f64::from(lanes) / f64::from(rate));
    let lane = |lane: u32| {
        let mut connection = host.connect();
        let (mut served, mut turn) = (0, 0_u32);
        loop {
            let due = Duration::from_secs_f64(f64::from(lane) / f64::from(rate)) + gap * turn;
            if due >= span {
                return served;
            }
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            served += usize::from(connection.get("/").status == 200);
            turn += 1;
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    })
}

fn replayed(file: impl AsRef<std::ffi::OsStr>) -> Value {
    Cyte::new(["replay"]).arg(file).json()
}

/// Whoever has the file, on whatever machine: no host, no state folder.
#[test]
fn a_recording_of_a_host_replays_equal_without_it() {
    let folder = project(FRAIL);
    let host = Host::start(folder.path());
    let file = folder.join("egg.flight");
    let said = host.cyte(["record"]).arg("--out").arg(&file).json();
    assert_eq!((said["looks"].as_u64(), said["decisions"].as_u64()), (Some(0), Some(0)), "an egg: {said}");
    for _ in 0..30 {
        assert_eq!(host.get("/").status, 200);
        std::thread::sleep(Duration::from_millis(20));
    }
    host.cyte(["hormone", "release", "growth.front", "1"]).ok();
    assert_eq!(host.get("/").status, 200);
    let file = folder.join("slow.flight");
    let said = host.cyte(["record"]).arg("--out").arg(&file).json();
    assert!(said["looks"].as_u64() > Some(10) && said["decisions"].as_u64() > Some(0), "{said}");
    assert_eq!(said["bytes"].as_u64(), Some(std::fs::metadata(&file).unwrap().len()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    host.stop();
    let text = Cyte::new(["replay"]).arg(&file).ok().stdout;
    let verdict = format!("{} looks, {} decisions", said["looks"], said["decisions"]);
    assert!(text.contains(&verdict) && text.contains(": equal"), "{text}");
    assert!(text.contains("front: ") && text.contains("WANTED") && text.contains("stems made"), "{text}");
    let value = replayed(&file);
    assert_eq!((&value["equal"], &value["reason"]), (&true.into(), &"asked".into()));
    assert_eq!(value["looks"], said["looks"]);
    let plot = folder.join("slow.svg");
    Cyte::new(["replay"]).arg(&file).arg("--plot").arg(&plot).ok();
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("frail: front") && svg.contains("Population"),
        "{svg:.300}"
    );
}

#[test]
fn without_a_name_a_recording_is_called_by_its_time() {
    let folder = project(FRAIL);
    let host = Host::start(folder.path());
    let said = host.cyte(["record"]).within(folder.path()).json();
    let name = said["file"].as_str().unwrap();
    assert!(name.starts_with("20") && name.ends_with("Z.flight"), "{name}");
    assert_eq!(replayed(folder.join(name))["equal"], true);
}

/// Cells that die again and again are an incident: a file is there, and an event names it.
#[test]
fn a_crash_loop_records_itself() {
    let folder = project(FRAIL);
    let host = Host::start(folder.path());
    assert_eq!(host.get("/").status, 200);
    for _ in 0..8 {
        assert_eq!(host.get("/panic").status, 502);
    }
    let told = host.event("incident", |event| event["kind"] == "crash-loop");
    assert_eq!(told["gene"], "front");
    assert!(told["why"].as_str().unwrap().starts_with("5 cells died within"), "{told}");
    let file = host.state().join(told["file"].as_str().unwrap());
    let value = replayed(&file);
    assert_eq!(value["equal"], true, "{value}");
    assert!(value["reason"].as_str().unwrap().starts_with("crash-loop of front"), "{value}");
    // What goes on is no second incident.
    for _ in 0..8 {
        assert_eq!(host.get("/panic").status, 502);
    }
    let incidents = host.events().iter().filter(|event| event["event"] == "incident").count();
    assert_eq!(incidents, 1);
    assert_eq!(std::fs::read_dir(host.state().join("incidents")).unwrap().count(), 1);
}

/// More than its cells can serve, for seconds: refused requests are an incident.
#[test]
fn refusing_for_seconds_records_itself() {
    let folder = project(
        r#"
[organism]
name = "small"
[gene.front]
source = "{p3-concurrency}"
route = "/..."
express = { max = 1 }
limits = { wait = "20ms", wall = "30s" }
"#,
    );
    let host = Host::start(folder.path());
    let _held = host.begin("/?ms=8000");
    // Longer than an incident takes, so that a moment in which this test gets no turn does not matter.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        assert!([200, 503].contains(&host.get("/?ms=1").status));
    }
    let told = host.event("incident", |_| true);
    assert_eq!(told["kind"], "saturation", "{told}");
    let value = replayed(host.state().join(told["file"].as_str().unwrap()));
    assert_eq!(value["equal"], true, "{value}");
}

#[test]
fn what_is_no_recording_is_refused_with_its_reason() {
    let folder = project(FRAIL);
    let host = Host::start(folder.path());
    assert_eq!(host.get("/").status, 200);
    let file = folder.join("good.flight");
    host.cyte(["record"]).arg("--out").arg(&file).ok();
    let good = std::fs::read(&file).unwrap();
    let refused = |name: &str, bytes: &[u8], word: &str| {
        let file = folder.write(name, bytes);
        let said = Cyte::new(["replay"]).arg(&file).run().refused(1, "E409");
        assert!(said.contains(name) && said.contains(word) && said.contains("help"), "{said}");
    };
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    refused("changed.flight", &changed, "digest");
    refused("cut.flight", &good[..good.len() / 2], "bytes");
    refused("long.flight", &[&good[..], b"more"].concat(), "bytes");
    let mut newer = good.clone();
    newer[8] = 9;
    refused("newer.flight", &newer, "format is 9");
    refused("foreign.flight", b"PK\x03\x04 something else", "not a recording");
    refused("empty.flight", b"", "not a recording");
    let said = Cyte::new(["replay"]).arg(folder.join("none.flight")).run().refused(1, "E002");
    assert!(said.contains("cyte record"), "{said}");
    host.stop();
    let said = Cyte::new(["record"]).within(folder.path()).run().refused(1, "E305");
    assert!(said.contains("cyte run"), "{said}");
    let unwritable = folder.join("no/such/folder/x.flight");
    let host = Host::start(folder.path());
    host.cyte(["record"]).arg("--out").arg(unwritable).run().refused(1, "E003");
}

/// A real run with a step of load, beside the simulator with the same constants and the arrivals
/// that were recorded: in each steady phase both keep as many cells, within a third and a cell.
#[test]
fn a_recorded_run_is_what_the_simulator_expects() {
    let folder = sleeper();
    let host = Host::start(folder.path());
    let (low, high) = (Duration::from_secs(4), Duration::from_secs(5));
    let served = drive(&host, 80, low) + drive(&host, 320, high);
    assert!(served > 1_700, "nearly all of 1,920 are answered: {served}");
    let file = folder.join("tide.flight");
    host.cyte(["record"]).arg("--out").arg(&file).ok();
    host.stop();
    let value = Cyte::new(["replay", "--simulate"]).arg(&file).json();
    assert_eq!(value["equal"], true, "{value}");
    let class = &value["classes"][0];
    let rows = class["rows"].as_array().unwrap();
    let simulated = class["simulated_cells"].as_array().unwrap();
    // Means over the parts of the table that lie within a phase, past its first second and a half.
    let phase = |from: f64, to: f64| {
        let inside = |row: &&(&Value, &Value)| {
            let (start, length) = (row.0["from_s"].as_f64().unwrap(), row.0["for_s"].as_f64().unwrap());
            start >= from && start + length <= to
        };
        let pairs: Vec<_> = rows.iter().zip(simulated).collect();
        let inside: Vec<_> = pairs.iter().filter(inside).collect();
        let mean = |of: &dyn Fn(&(&Value, &Value)) -> f64| {
            inside.iter().map(|pair| of(pair)).sum::<f64>() / inside.len() as f64
        };
        assert!(inside.len() >= 3, "{class:#}");
        (mean(&|pair| pair.0["cells"].as_f64().unwrap()), mean(&|pair| pair.1.as_f64().unwrap()))
    };
    let (calm, busy) = (phase(1.5, 3.8), phase(5.5, 8.8));
    for (real, expected) in [calm, busy] {
        let off = (real - expected).abs();
        assert!(off <= 0.33 * expected + 1.0, "{real:.1} cells, {expected:.1} expected: {class:#}");
    }
    // And neither says the same of everything.
    assert!(busy.0 > 1.8 * calm.0 && busy.1 > 1.8 * calm.1, "{calm:?} {busy:?}");
}
