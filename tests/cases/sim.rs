//! `cyte sim`: populations on virtual time.

use serde_json::Value;

use crate::support::{Cyte, Temp, paths::repository};

/// A minute of the step, so that the test is short.
fn step(temp: &Temp) -> std::path::PathBuf {
    let text = std::fs::read_to_string(repository().join("examples/scenarios/step.toml")).unwrap();
    let short =
        text.replace("seconds = 600", "seconds = 60").replace("from = 60, to = 180", "from = 10, to = 40");
    assert!(short.contains("seconds = 60\n") && short.contains("to = 40"), "the scenario looks different");
    temp.write("step.toml", short)
}

fn played(file: &std::path::Path, more: &[&str]) -> Value {
    let ran = Cyte::new(["--output", "json", "sim"]).arg(file).args(more).run();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let temp = Temp::new();
    let file = step(&temp);
    let one = played(&file, &["--under", "hybrid", "--seed", "7"]);
    assert_eq!(one, played(&file, &["--under", "hybrid", "--seed", "7"]));
    assert_ne!(one, played(&file, &["--under", "hybrid", "--seed", "8"]));
}

#[test]
fn a_step_is_followed_and_drawn() {
    let temp = Temp::new();
    let (file, picture) = (step(&temp), temp.join("step.svg"));
    let ran = Cyte::new(["sim"]).arg(&file).args(["--under", "hybrid,kpa", "--out"]).arg(&picture).run();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    let row = |name: &str| -> Vec<f64> {
        let line = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {}", ran.stdout));
        line.split_whitespace().skip(1).take(3).map(|cell| cell.parse().unwrap()).collect()
    };
    let (hybrid, kpa) = (row("hybrid"), row("kpa"));
    assert!(hybrid[0] <= 0.05 && kpa[0] > hybrid[0], "late: {hybrid:?} {kpa:?}");
    assert!(hybrid[2] < kpa[2], "cell-seconds: {hybrid:?} {kpa:?}");
    let svg = std::fs::read_to_string(picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for word in ["Load", "Population", "Hormone", "Late requests", "hybrid", "kpa"] {
        assert!(svg.contains(word), "{word}");
    }
}

#[test]
fn a_scenario_that_cannot_be_played_is_shown_with_its_line() {
    let temp = Temp::new();
    let good = std::fs::read_to_string(step(&temp)).unwrap();
    for (name, text, says) in [
        ("an unknown key", format!("foo = 1\n{good}"), "unknown field `foo`"),
        ("a word for a number", good.replace("seconds = 60", "seconds = \"x\""), "invalid type"),
        ("a range upside down", good.replace("min = 3", "min = 97"), "min"),
        ("nobody to decide", good.replace("\"hormone\", ", "\"magic\", "), "magic"),
    ] {
        let file = temp.write("bad.toml", &text);
        let ran = Cyte::new(["sim"]).arg(file).run();
        assert_eq!(ran.code(), 1, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("error[E408]"), "{name}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{name}");
    }
}

#[test]
fn every_scenario_of_the_examples_is_played() {
    for entry in std::fs::read_dir(repository().join("examples/scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let ran = Cyte::new(["sim"]).arg(&path).args(["--under", "hybrid"]).run();
        assert_eq!(ran.code(), 0, "{}: {}", path.display(), ran.stderr);
        assert!(ran.stdout.lines().any(|line| line.starts_with("hybrid ")), "{}", ran.stdout);
    }
}
