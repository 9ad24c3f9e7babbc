//! What a guest has without a grant: nothing. What a grant gives: that, and no more.

use std::path::Path;

use super::zoo::{self, Zoo};
use crate::support::{Temp, project};

fn lines(host: &Zoo, gene: &str, path: &str) -> Vec<String> {
    let answer = host.ask(gene, path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(str::to_owned).collect()
}

fn with<'a>(lines: &'a [String], kind: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(kind)).collect()
}

#[test]
fn without_grants_there_is_nothing() {
    let project = project(&zoo::toml(&[("env-probe", "")]));
    // What the host itself has must not be seen either.
    let host = zoo::start(&project).env("SECRET_OF_THE_HOST", "visible").start();
    let found: Vec<String> = host.get("/").text().lines().map(str::to_owned).collect();
    for kind in ["env ", "arg ", "config ", "preopen "] {
        assert_eq!(with(&found, kind), Vec::<&str>::new(), "{kind}");
    }
    assert_eq!(with(&found, "socket "), ["refused"]);
}

#[test]
fn grants_give_what_they_say() {
    let more = "config = { greeting = \"hello\", empty = \"\" }\n\
                environment = { LANG = \"C\", NAME = \"a=b\" }\n\
                files = [{ from = \"data\", to = \"/data\" }, { from = \"out\", to = \"/out\", write = true }]";
    let project = project(&zoo::toml(&[("env-probe", more), ("env-probe as other", "")]));
    project.write("data/file.txt", "x");
    let host = zoo::of(project);
    let found = lines(&host, "env-probe", "/");
    assert_eq!(with(&found, "config "), ["empty=", "greeting=hello"]);
    let mut environment = with(&found, "env ");
    environment.sort_unstable();
    assert_eq!(environment, ["LANG=C", "NAME=a=b"]);
    assert_eq!(with(&found, "preopen "), ["/data", "/out"]);
    assert_eq!(with(&found, "socket "), ["refused"], "there is no grant for sockets");
    let other = lines(&host, "other", "/");
    for kind in ["env ", "config ", "preopen "] {
        assert_eq!(with(&other, kind), Vec::<&str>::new(), "another gene has none of it: {kind}");
    }
}

fn folders() -> Temp {
    let more = "files = [{ from = \"data\", to = \"/ro\" }, { from = \"out\", to = \"/rw\", write = true }]";
    let project = project(&zoo::toml(&[("readonly-escape", more)]));
    project.write("data/file.txt", "as it was");
    project.write("data/sub/deep.txt", "deep");
    project
}

#[test]
fn a_folder_that_is_read_only_cannot_be_changed_or_left() {
    let host = zoo::of(folders());
    assert_eq!(host.get("/read").text(), "as it was");
    let before = contents(&host.state().join("folders"));
    assert!(before.iter().any(|(name, _)| name.ends_with("file.txt")), "{before:?}");
    let report = lines(&host, "readonly-escape", "/");
    let came_through: Vec<_> = report.iter().filter(|line| !line.ends_with(" refused")).collect();
    assert!(report.len() >= 30 && came_through.is_empty(), "{came_through:?}");
    assert_eq!(contents(&host.state().join("folders")), before, "not a byte changed");
    assert_eq!(contents(&host.project().join("data")).len(), 2);
    assert_eq!(host.get("/read").text(), "as it was");
}

/// Every file below a folder with what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn what_a_guest_writes_goes_to_its_own_folder_and_stays() {
    let project = folders();
    let state = project.join(".cyte");
    let host = zoo::start(&project).start();
    assert_eq!(host.get("/write").text(), "made by the guest\n");
    let made = state.join("files/readonly-escape/out/made.txt");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "made by the guest\n");
    host.stop().expect(0);
    assert!(!project.join("out").exists(), "the project itself is never written to");
    let host = zoo::start(&project).start();
    assert_eq!(host.get("/write").status, 200);
    assert_eq!(std::fs::read_to_string(made).unwrap(), "made by the guest\n");
}

#[test]
fn a_link_that_a_host_put_there_leads_a_guest_nowhere() {
    let project = folders();
    let out = project.join(".cyte/files/readonly-escape/out");
    let host = zoo::of(project);
    assert_eq!(host.get("/write").status, 200);
    // Not a guest's doing: it cannot make links that lead out. The worst case is that they exist.
    std::fs::remove_file(out.join("made.txt")).unwrap();
    let target = host.project().write("outside.txt", "outside");
    std::os::unix::fs::symlink(&target, out.join("made.txt")).unwrap();
    let answer = host.get("/write");
    assert_ne!(answer.status, 200, "{answer:?}");
    assert_eq!(std::fs::read_to_string(target).unwrap(), "outside");
}
