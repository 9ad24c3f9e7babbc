//! The first five minutes: `cyte new` and everything that a person tries next, for each template.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::support::command::clean;
use crate::support::wait::LONG;
use crate::support::{Cyte, Host, Temp, paths};

/// A new project of a template, called after it.
fn new(template: &str) -> PathBuf {
    named(&format!("my-{template}"), template)
}

/// A new project. Its place is the same in every run, so that its dependencies are built once; its
/// content is made anew. Each name belongs to one test: they run at the same time.
fn named(name: &str, template: &str) -> PathBuf {
    let folder = paths::kept().join("new").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let made = Cyte::new(["new"])
        .arg(&folder)
        .args(["--template", template])
        .env("CARGO_NET_OFFLINE", "true")
        .json();
    assert_eq!((&made["template"], &made["name"]), (&template.into(), &name.into()));
    for file in made["files"].as_array().unwrap() {
        assert!(folder.join(file.as_str().unwrap()).is_file(), "{file} was not made");
    }
    folder
}

/// Runs the project's native tests, as its README says.
fn native(folder: &Path) {
    // One folder of native builds for all, and one at a time: they share their dependencies.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--locked"]).current_dir(folder);
    clean(&mut cargo);
    let out = cargo.env("CARGO_TARGET_DIR", paths::kept().join("native")).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("test result: ok") && !text.contains(" 0 passed; 0 failed; 0 ignored\n"), "{text}");
}

/// `check` looks and changes nothing; `build` makes the genes, a second time without a network.
fn check_and_build(folder: &Path, gene: &str, role: &str) {
    let built = Cyte::new(["build"]).arg(folder).json();
    let found = &built["genes"][0];
    assert_eq!((&found["gene"], &found["role"]), (&gene.into(), &role.into()));
    assert!(found["size"].as_u64().unwrap() > 1_000);
    let before = everything(folder);
    let checked = Cyte::new(["check"]).arg(folder).env("CARGO_NET_OFFLINE", "true").json();
    assert_eq!(checked["genes"][0]["sha256"], found["sha256"], "the same sources are the same component");
    assert_eq!(everything(folder), before, "a check changes nothing");
    let text = Cyte::new(["build"]).arg(folder).env("CARGO_NET_OFFLINE", "true").ok().stdout;
    assert!(text.contains(gene) && text.contains(role), "{text}");
}

/// Every path below a folder.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// `cyte run .` in the project, as a person would: state in the project, found without a flag.
fn run(folder: &Path) -> Host {
    Host::of(folder).state(folder.join(".cyte")).start()
}

#[test]
fn the_templates_are_listed() {
    let list = Cyte::new(["new", "--list"]).json();
    let names: Vec<&str> = list["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|template| template["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["http", "http-p3", "static-site", "task"]);
    let text = Cyte::new(["new", "--list"]).ok().stdout;
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn an_http_project_from_nothing_to_its_logs() {
    let folder = new("http");
    native(&folder);
    check_and_build(&folder, "front", "drone");
    let host = run(&folder);
    host.says("/", "hello from my-http\n");
    assert_eq!(host.get("/greet?name=Ada").text().trim(), "{\"text\":\"hello, Ada\"}");
    // Every verb works in the project's folder without a flag.
    let here = |args: &[&str]| Cyte::new(args).within(&folder).env("XDG_RUNTIME_DIR", host.runtime());
    let ps = here(&["ps"]).ok().stdout;
    assert!(ps.contains("front#"), "{ps}");
    here(&["inspect", "front"]).ok();
    here(&["limits"]).ok();
    here(&["logs"]).ok();
    let events = here(&["events"]).ok().stdout;
    assert!(events.contains("gene-ready") && events.contains("listening"), "{events}");
    host.signal(Signal::INT);
    host.ended(LONG).expect(0);
}

#[test]
fn a_wasi_0_3_project() {
    let folder = new("http-p3");
    native(&folder);
    check_and_build(&folder, "front", "drone");
    let host = run(&folder);
    host.says("/", "hello from my-http-p3\n");
    host.says("/count", "1\n2\n3\n");
}

#[test]
fn a_task_project() {
    let folder = new("task");
    native(&folder);
    check_and_build(&folder, "work", "task");
    let run = |args: &[&str]| {
        Cyte::new(["run", ".", "--task"]).args(args).within(&folder).stdin("Ada\nGrace\n").ok().stdout
    };
    assert_eq!(run(&[]), "hello, Ada\nhello, Grace\n");
    assert_eq!(run(&["--", "good day"]), "good day, Ada\ngood day, Grace\n");
}

#[test]
fn a_static_site_project() {
    let folder = new("static-site");
    let host = run(&folder);
    let page = host.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("my-static-site"), "{}", page.text());
    assert_eq!(host.get("/style.css").header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(host.get("/none").status, 404);
}

#[test]
fn nothing_is_overwritten_and_names_are_checked() {
    let temp = Temp::new();
    let new = |args: &[&str]| Cyte::new(["new"]).args(args).within(temp.path()).run();
    temp.write("taken/notes.txt", "mine");
    let text = new(&["taken"]).refused(1, "E106");
    assert!(text.contains("nothing is ever overwritten"), "{text}");
    std::fs::create_dir(temp.join("empty")).unwrap();
    new(&["empty"]).expect(0);
    assert!(temp.join("empty/dna.toml").is_file());
    for bad in ["../Up", "with space", "x/../..", "fn", "cyte", ""] {
        let ran = new(&[bad]);
        assert!([1, 2].contains(&ran.code()) && ran.stderr.contains("error"), "{bad}: {}", ran.stderr);
    }
    new(&["other", "--template", "none"]).refused(2, "E001");
    new(&[]).expect(2);
    let mut left: Vec<String> = std::fs::read_dir(temp.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["empty", "taken"], "nothing half-made is left");
}

#[test]
fn a_gene_that_does_not_build_is_shown_by_its_compiler() {
    let broken = named("broken", "http");
    let source = broken.join("genes/front/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, format!("{text}\nfn broken() -> u32 {{ \"seven\" }}\n")).unwrap();
    // The compiler's own errors stand beside ours.
    let said = Cyte::new(["build"]).arg(&broken).run().expect(1).stderr;
    assert!(
        said.contains("error[E102]") && said.contains("mismatched types") && said.contains("lib.rs"),
        "{said}"
    );
    let ran = Cyte::new(["run"]).arg(&broken).args(["--listen", "127.0.0.1:0"]).run();
    assert!(ran.expect(1).stderr.contains("error[E102]"));
    assert!(!broken.join(".cyte/current").exists(), "nothing of it is kept");
}
