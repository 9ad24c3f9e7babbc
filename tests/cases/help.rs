//! What `--help` says, kept as it is: a changed help is reviewed like a changed API.

use crate::support::{Cyte, snapshot};

/// The names of the verbs below `args`, as their help lists them.
fn verbs(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    list.lines()
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn look(args: &[String], seen: &mut Vec<String>) {
    let ran = Cyte::new(args).arg("--help").env("COLUMNS", "100").ok();
    assert_eq!(ran.stderr, "");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 100, "too long: {line}");
        assert!(!line.contains('\u{1b}'), "coloured without a terminal: {line}");
    }
    assert!(ran.stdout.contains("Examples:"), "`cyte {}` shows no example", args.join(" "));
    let name = if args.is_empty() { "cyte".to_owned() } else { args.join("-") };
    snapshot::same(&format!("help/{name}.txt"), &ran.stdout);
    seen.push(name);
    for verb in verbs(&ran.stdout) {
        let deeper: Vec<String> = args.iter().cloned().chain([verb]).collect();
        look(&deeper, seen);
    }
}

#[test]
fn every_verb_has_help_with_an_example() {
    let mut seen = Vec::new();
    look(&[], &mut seen);
    for verb in [
        "new",
        "build",
        "check",
        "run",
        "dna-pack",
        "dna-keygen",
        "ps",
        "inspect",
        "logs",
        "events",
        "limits",
        "secret-set",
        "explain",
    ] {
        assert!(seen.iter().any(|name| name == verb), "`{verb}` is not listed: {seen:?}");
    }
    // A verb that is gone leaves no snapshot behind.
    let folder = crate::support::repository().join("tests/snapshots/help");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(seen.iter().any(|seen| format!("{seen}.txt") == name), "{name} is nobody's help");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let version = Cyte::new(["--version"]).ok().stdout;
    assert!(version.starts_with("cyte ") && version.lines().count() == 1, "{version}");
    let usage = Cyte::new(["no-such-verb"]).run().expect(2);
    assert!(usage.stdout.is_empty() && !usage.stderr.is_empty());
}
