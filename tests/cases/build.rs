//! `cyte build`: from sources to components, and what stands in the way.

use crate::support::{Cyte, Temp, guest, guests};

const CUSTOM: &str = r#"
[organism]
name = "own"
[gene.front]
source = "made/front.wasm"
route = "/..."
build = { command = "mkdir -p made && cp given.wasm made/front.wasm && echo built by hand" }
"#;

#[test]
fn a_gene_may_have_a_build_command_of_its_own() {
    let temp = Temp::new();
    temp.write("given.wasm", guests::tiny_drone());
    temp.write("dna.toml", CUSTOM);
    // A check runs nothing, so what the command makes is not there yet.
    let text = Cyte::new(["check"]).within(temp.path()).run().refused(1, "E101");
    assert!(text.contains("`cyte build` runs build.command"), "{text}");
    let ran = Cyte::new(["build", "--output", "json"]).within(temp.path()).ok();
    assert!(ran.stderr.contains("built by hand"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("built by hand"), "standard output is for data");
    Cyte::new(["check"]).within(temp.path()).ok();
    temp.write("dna.toml", CUSTOM.replace("echo built by hand", "exit 7"));
    let text = Cyte::new(["build"]).within(temp.path()).run().refused(1, "E102");
    assert!(text.contains("status 7"), "{text}");
}

/// What the tool said is the reason, and with `--quiet` nobody has seen it yet.
#[test]
fn a_quiet_build_that_fails_says_what_the_tool_said() {
    let temp = Temp::new();
    temp.write(
        "dna.toml",
        CUSTOM.replace("echo built by hand", "echo out of luck; echo out of ink >&2; exit 7"),
    );
    temp.write("given.wasm", guests::tiny_drone());
    let lines = |text: &str| {
        let said = |line: &str| text.lines().filter(|found| found.trim() == line).count();
        (said("out of luck"), said("out of ink"))
    };
    for quiet in [&[][..], &["--quiet"]] {
        let said = Cyte::new(["build"]).args(quiet).within(temp.path()).run().refused(1, "E102");
        assert_eq!(lines(&said), (1, 1), "{quiet:?}: each line once\n{said}");
    }
    let said = Cyte::new(["build", "--quiet", "--output", "json"]).within(temp.path()).run();
    let said: serde_json::Value = serde_json::from_str(&said.refused(1, "E102")).unwrap();
    assert_eq!(lines(said["error"]["why"].as_str().unwrap()), (1, 1), "{said:#}");
    temp.write("dna.toml", "[organism]\nname = \"x\"\n[gene.x]\nsource = \"gene\"\n");
    temp.write(
        "gene/Cargo.toml",
        "[package]\nname = \"gene\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    );
    temp.write("gene/lib.rs", "pub fn wrong() -> u32 { \"text\" }\n");
    let said = Cyte::new(["build", "--quiet"]).within(temp.path()).run().expect(1).stderr;
    assert!(said.starts_with("error[E102]") && said.contains("expected `u32`"), "{said}");
    assert!(said.contains("lib.rs:1"), "{said}");
    temp.write("dna.toml", CUSTOM);
    let said = Cyte::new(["build", "--quiet"]).within(temp.path()).ok().stderr;
    assert!(said.is_empty(), "{said}");
}

#[test]
fn what_a_gene_asks_for_is_told_with_what_it_gets() {
    let temp = Temp::new();
    let toml = |more: &str| {
        format!(
            "[organism]\nname = \"asks\"\n[gene.front]\nsource = {:?}\nroute = \"/...\"\n{more}",
            guest("fetch")
        )
    };
    let answer = |more: &str| {
        temp.write("dna.toml", toml(more));
        let built = Cyte::new(["build"]).within(temp.path()).json();
        let asks = built["genes"][0]["asks"].as_array().unwrap().clone();
        let ask =
            asks.iter().find(|ask| ask["import"].as_str().unwrap().starts_with("wasi:http/outgoing-handler"));
        ask.expect("it asks for requests")["answer"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer(""), "denied");
    assert_eq!(answer("outbound = [\"https://api.example.test\"]\n"), "granted");
    let text = Cyte::new(["build"]).within(temp.path()).ok().stdout;
    assert!(text.contains("front imports") && text.contains("granted"), "{text}");
}

#[test]
fn a_crate_that_is_no_gene_says_what_is_missing() {
    let temp = Temp::new();
    temp.write("Cargo.toml", "[workspace]\nmembers = [\"gene\"]\n");
    temp.write(
        "gene/Cargo.toml",
        "[package]\nname = \"gene\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n",
    );
    temp.write("gene/lib.rs", "pub fn nothing() {}\n");
    let with = |source: &str| {
        temp.write("dna.toml", format!("[organism]\nname = \"x\"\n[gene.x]\nsource = \"{source}\"\n"));
        Cyte::new(["build"]).within(temp.path()).run()
    };
    let text = with("gene").refused(1, "E102");
    assert!(text.contains("cdylib"), "{text}");
    let text = with(".").refused(1, "E101");
    assert!(text.contains("a workspace, not a crate"), "{text}");
    temp.write("gene/Cargo.toml", "[package]\nname = ");
    let ran = with("gene").expect(1);
    assert_eq!(ran.stderr.matches("error[E").count(), 1, "{}", ran.stderr);
}

#[test]
fn without_rust_the_message_says_how_to_get_it() {
    let temp = Temp::new();
    temp.write("Cargo.toml", "[package]\nname = \"gene\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n");
    temp.write("lib.rs", "pub fn nothing() {}\n");
    std::fs::create_dir(temp.join("empty")).unwrap();
    let build = |cyte: Cyte| {
        cyte.arg(temp.path()).env("PATH", temp.join("empty")).env("HOME", temp.join("empty")).run()
    };
    let text = build(Cyte::new(["build"])).refused(1, "E103");
    assert!(text.contains("`rustc`") && text.contains("install Rust"), "{text}");
    let text = build(Cyte::new(["build"]).env("CYTE_WASM_STD", "arch")).refused(2, "E001");
    assert!(text.contains("arch") && text.contains("debian") && text.contains("rustup"), "{text}");
    // What is finished needs no Rust.
    temp.write("done/x.wasm", guests::tiny_drone());
    Cyte::new(["build"]).arg(temp.join("done/x.wasm")).env("PATH", temp.join("empty")).ok();
}
