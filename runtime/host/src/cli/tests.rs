//! What can be typed, and what help says of it.

use super::*;
use clap::CommandFactory as _;

#[test]
fn the_tree_of_verbs_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_shell_gets_a_script_that_knows_the_verbs() {
    use clap::ValueEnum as _;
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "cyte", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["inspect", "completions", "germline"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn what_holds_everywhere_may_stand_before_or_after_the_verb() {
    for line in ["cyte -C /tmp ps --output json", "cyte ps -C /tmp --output=json"] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.globals.folder, Some("/tmp".into()));
        assert_eq!(cli.globals.output, Output::Json);
    }
}

#[test]
fn a_task_gets_what_follows_two_dashes_and_nothing_else_does() {
    let cli = parse("cyte run x.wasm --task --timeout 5s -- --count 3").unwrap();
    let Verb::Run(run) = cli.verb else { panic!() };
    assert!(format!("{run:?}").contains(r#"args: ["--count", "3"]"#), "{run:?}");
    assert!(parse("cyte run x.wasm -- a").is_err());
    assert!(parse("cyte run x.wasm --timeout 5s").is_err());
    assert!(parse("cyte run x.wasm --cells 0").is_err());
}

#[test]
fn usage_errors_have_exit_status_two() {
    for line in ["cyte", "cyte nonsense", "cyte run", "cyte run . --listen nowhere", "cyte dna sign x.dna"] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(parse("cyte --help").unwrap_err().exit_code(), 0);
}

#[test]
fn every_verb_has_an_example() {
    fn walk(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Examples:\n  cyte "), "{} has no example", command.get_name());
        command.get_subcommands().for_each(walk);
    }
    walk(&Cli::command());
}

/// Every verb's help as it is rendered, against the files in `tests/snapshots`. With
/// `CYTE_BLESS=1` the files are written instead.
#[test]
fn help_reads_as_it_did() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut all = Vec::new();
    collect(&command, "cyte", &mut all);
    for (name, help) in all {
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("CYTE_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &help).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(help, kept, "{} differs; CYTE_BLESS=1 cargo test writes it", path.display());
    }
}

fn collect(command: &clap::Command, name: &str, all: &mut Vec<(String, String)>) {
    all.push((name.replace(' ', "-"), command.clone().render_long_help().to_string()));
    for verb in command.get_subcommands() {
        collect(verb, &format!("{name} {}", verb.get_name()), all);
    }
}
