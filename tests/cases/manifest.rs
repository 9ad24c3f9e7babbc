//! Faults in `dna.toml`: each with its line, a caret and the remedy.

use std::fmt::Write as _;

use crate::support::{Cyte, Temp, guests, snapshot};

/// What is wrong with each of these is in the snapshot.
const FAULTS: &[(&str, &str)] = &[
    ("no toml", "[organism\nname = \"shop\"\n"),
    ("nothing", ""),
    ("a misspelt table", "[organisms]\nname = \"shop\"\n"),
    ("a misspelt key", "[organism]\nname = \"shop\"\n\n[gene.front]\nsource = \"x.wasm\"\nrout = \"/...\"\n"),
    (
        "a label that is none",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nlabels = { Team = \"web\" }\n",
    ),
    ("no source", "[organism]\nname = \"shop\"\n\n[gene.front]\nroute = \"/...\"\n"),
    ("a source that is not there", "[organism]\nname = \"shop\"\n\n[gene.front]\nsource = \"none\"\n"),
    ("a bad name", "[organism]\nname = \"shop\"\n\n[gene.\"../up\"]\nsource = \"x.wasm\"\n"),
    (
        "a gene twice",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\n\n[gene.a]\nsource = \"x.wasm\"\n",
    ),
    (
        "a bad route",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nroute = [\"/a/../b\", \"/.../x\", \"\"]\n",
    ),
    (
        "two genes on one route",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nroute = \"/x/...\"\n\n[gene.b]\nsource = \"x.wasm\"\nroute = \"/x/...\"\n",
    ),
    (
        "units and bounds",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nreuse = 0\nlimits = { memory = \"64MB\", cpu = \"1 hour\", wall = -1 }\n",
    ),
    (
        "a grant that is no grant",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\noutbound = [\"*\", \"ftp://example.test\", \"https://*\"]\n",
    ),
    (
        "folders that lead out",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nfiles = [{ from = \"../../etc\", to = \"/etc\", write = true }, { from = \"here\", to = \"etc\" }]\n",
    ),
    (
        "a role that nobody has",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nrole = \"king\"\n",
    ),
    (
        "a value of the wrong kind",
        "[organism]\nname = 7\n\n[gene.a]\nsource = [\"x.wasm\"]\nconfig = \"x\"\n",
    ),
    (
        "a secret's bad name",
        "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nsecrets = [\"a/b\"]\n",
    ),
];

#[test]
fn each_fault_is_shown_with_line_caret_and_remedy() {
    let temp = Temp::new();
    temp.write("x.wasm", guests::tiny_drone());
    let mut seen = String::new();
    for (what, toml) in FAULTS {
        temp.write("dna.toml", toml);
        let said = Cyte::new(["check"]).within(temp.path()).run();
        assert!(said.stdout.is_empty(), "{what}: {}", said.stdout);
        let said = said.refused(1, "E101");
        if *what != "nothing" {
            assert!(said.contains('^') && said.contains("dna.toml:"), "{what}: {said}");
        }
        let _ = write!(seen, "## {what}\n\n{said}\n");
    }
    let place = temp.path().display().to_string();
    snapshot::same("dna-toml-faults.txt", &seen.replace(&place, "HERE"));
}

/// A fault that only the whole manifest shows: the table must not stand above it as if all were well.
#[test]
fn a_check_that_refuses_shows_no_table() {
    let temp = Temp::new();
    temp.write("x.wasm", guests::tiny_drone());
    let toml = "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\nroute = \"/...\"\n";
    temp.write("dna.toml", toml);
    assert!(Cyte::new(["check"]).within(temp.path()).ok().stdout.starts_with("GENE"));
    // A task may have no route; that this is one is known from its exports alone.
    let task = format!("source = {:?}", crate::support::guest("wc"));
    temp.write("dna.toml", toml.replace("source = \"x.wasm\"", &task));
    for form in ["text", "json"] {
        let said = Cyte::new(["check", "--output", form]).within(temp.path()).run();
        assert_eq!(said.stdout, "", "{}", said.stderr);
        let said = said.refused(1, "E101");
        assert!(said.contains("only a drone has them"), "{said}");
    }
}

#[test]
fn a_check_changes_nothing() {
    let temp = Temp::new();
    temp.write("x.wasm", guests::tiny_drone());
    temp.write("dna.toml", "[organism]\nname = \"shop\"\n\n[gene.a]\nsource = \"x.wasm\"\n");
    let checked = Cyte::new(["check"]).within(temp.path()).json();
    assert_eq!(checked["genes"][0]["role"], "drone");
    let mut names: Vec<_> = std::fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["dna.toml", "x.wasm"]);
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused() {
    let temp = Temp::new();
    temp.write("dna.toml", vec![b'#'; (1 << 20) + 1]);
    Cyte::new(["check"]).within(temp.path()).run().refused(1, "E101");
    temp.write("dna.toml", b"[organism]\nname = \"\xff\"\n");
    Cyte::new(["check"]).within(temp.path()).run().refused(1, "E101");
}
