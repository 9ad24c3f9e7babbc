//! What rots unseen: documents that name functions, files and tests that are gone, files that
//! nobody compiles, guests that nobody runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::repository;

fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` that `is` wanted, relative to the repository; without build results
/// and hidden folders.
fn files(folder: &str, is: impl Fn(&str) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if repository().join(&path).is_dir() {
            found.extend(files(&path, is));
        } else if is(&name) {
            found.push(PathBuf::from(path));
        }
    }
    found.sort();
    found
}

fn is_rust(name: &str) -> bool {
    name.ends_with(".rs")
}

/// The names of the test functions in a source text.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = name_of_fn(line) {
            if is_test {
                found.insert(name);
            }
            is_test = false;
        }
    }
    found
}

/// The name in a line that begins a function.
fn name_of_fn(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_begin = before.split_whitespace().all(|word| {
        ["pub", "async", "const", "extern", "\"C\""].contains(&word)
            || word.starts_with("pub(")
            || word.ends_with(')')
    });
    let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    is_begin.then(|| &after[..end])
}

fn has_fn(text: &str, name: &str) -> bool {
    text.lines().any(|line| name_of_fn(line.trim()) == Some(name))
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The Markdown files of the project.
fn documents() -> Vec<PathBuf> {
    files("", |name| name.ends_with(".md"))
}

#[test]
fn the_functions_of_the_path_tables_exist() {
    let mut seen = 0;
    for line in read("ARCHITECTURE.md").lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(file), Some(function)) = (cells.get(2), cells.get(3)) else { continue };
        let Some(file) = quoted(file).next().filter(|file| file.ends_with(".rs")) else { continue };
        let text = read(file);
        for path in quoted(function) {
            let (owner, name) = path.rsplit_once("::").unwrap_or(("", path));
            assert!(has_fn(&text, name), "ARCHITECTURE.md: {file} has no function `{name}`");
            let owner = owner.rsplit("::").next().unwrap_or_default();
            let has_owner = text.lines().any(|line| line.contains("impl") && line.contains(owner));
            assert!(
                owner.is_empty() || has_owner,
                "ARCHITECTURE.md: {file} implements nothing for `{owner}`"
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} functions are named in path tables");
}

#[test]
fn the_functions_of_the_dna_path_exist() {
    // Named in a sentence, so by name alone.
    let text = read("ARCHITECTURE.md");
    let (_, rest) = text.split_once("## DNA, from bytes to running").expect("the section is there");
    let (path, _) = rest.split_once("Only verification makes").expect("the sentence after the path");
    let sources: Vec<String> = files("runtime", is_rust).iter().map(read).collect();
    for call in quoted(path).filter(|call| call.contains("::")) {
        let name = call.rsplit("::").next().unwrap();
        assert!(
            sources.iter().any(|source| has_fn(source, name)),
            "ARCHITECTURE.md names `{call}`, which is gone"
        );
    }
}

#[test]
fn the_files_that_documents_name_exist() {
    let roots = ["runtime/", "sdk/", "genes/", "examples/", "tests/", "wit/", "docs/"];
    for document in documents() {
        let text = read(&document);
        for word in quoted(&text).filter(|word| roots.iter().any(|root| word.starts_with(root))) {
            let path = word.split("::").next().unwrap();
            let is_plain = !path.contains(['*', '<', '{', ' ', '$'])
                && !path.chars().any(|c| c.is_ascii_uppercase() && path.ends_with(c));
            if is_plain && !path.contains("/.cyte/") {
                assert!(
                    repository().join(path).exists(),
                    "{} names `{path}`, which is gone",
                    document.display()
                );
            }
        }
    }
}

#[test]
fn the_links_of_documents_lead_somewhere() {
    let is_ours = |path: &Path| !path.starts_with("sdk/templates");
    for document in documents().into_iter().filter(|path| is_ours(path)) {
        let text = read(&document);
        let folder = document.parent().unwrap();
        for target in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") || path.contains(char::is_whitespace) {
                continue;
            }
            let path = repository().join(folder).join(path);
            assert!(path.exists(), "{} links to {target}, which is not there", document.display());
        }
    }
}

#[test]
fn the_tests_of_the_mechanisms_exist() {
    let text = read("docs/mechanisms.md");
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        for named in line.split("test: ").skip(1) {
            let named = named.split([';', '|']).next().unwrap().trim();
            let (file, name) =
                named.split_once("::").unwrap_or_else(|| panic!("docs/mechanisms.md: `{named}`"));
            let source = repository().join(file);
            assert!(source.is_file(), "docs/mechanisms.md names {file}, which is gone");
            assert!(tests_in(&read(file)).contains(name), "docs/mechanisms.md: {file} has no test `{name}`");
            seen += 1;
        }
        let state = line.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        if state == "shown" {
            assert!(line.contains("test: ") || line.contains("run: "), "nothing shows this: {line}");
        }
    }
    assert!(seen > 30, "only {seen} tests are named");
}

/// Whoever reads an answer of the host finds each of its words explained.
#[test]
fn the_words_of_the_model_are_explained() {
    let text = read("ARCHITECTURE.md");
    let (_, rest) = text.split_once("\n## Words\n").expect("the section is there");
    let words: String = rest.split("\n## ").next().unwrap().to_lowercase();
    let rows: Vec<&str> = words.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let snapshot = read("runtime/engine/src/snapshot.rs") + &read("runtime/organism/src/fast.rs");
    for word in ["gene", "role", "cell", "niche", "ready", "mother", "generation", "retire"] {
        assert!(snapshot.to_lowercase().contains(word), "the host no longer says `{word}`");
        assert!(rows.iter().any(|row| row.contains(word)), "ARCHITECTURE.md does not explain `{word}`");
    }
    for word in ["organism", "dna", "germline", "tissue", "stem", "gateway", "governor"] {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| {word}"))), "no row for `{word}`");
    }
    let readme = read("README.md");
    for word in ["cell", "gene", "message at a time"] {
        assert!(readme.contains(word), "README.md does not say `{word}`");
    }
}

/// Where the sources of a crate are, by the crate's name.
fn sources_of(krate: &str) -> &'static str {
    match krate {
        "cyte_dna" => "runtime/dna/src",
        "cyte_organism" => "runtime/organism/src",
        "cyte_store" => "runtime/store/src",
        "cyte_engine" => "runtime/engine/src",
        "cyte_gateway" => "runtime/gateway/src",
        "cyte" => "runtime/host/src",
        "all" => "tests",
        other => panic!("limits: no crate `{other}`"),
    }
}

#[test]
fn the_tests_of_the_limits_exist() {
    let table = read("runtime/dna/src/limits/table.rs");
    let (_, rows) = table.split_once("\ntable! {").expect("the table");
    let named: BTreeSet<&str> = rows
        .split("Some(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name)
        .filter(|name| name.contains("::"))
        .collect();
    assert!(named.len() > 10, "only {} tests are named", named.len());
    for path in named {
        let parts: Vec<&str> = path.split("::").collect();
        let (krate, name) = (parts[0], parts[parts.len() - 1]);
        // A module is a file of its name, or stands inside one; the longest that there is counts.
        let modules = &parts[1..parts.len() - 1];
        let candidates = (0..=modules.len()).rev().flat_map(|depth| {
            let place = format!("{}/{}", sources_of(krate), modules[..depth].join("/"));
            [
                format!("{place}.rs"),
                format!("{place}/mod.rs"),
                format!("{place}_tests.rs"),
                format!("{place}/lib.rs"),
            ]
        });
        let found = candidates
            .filter(|file| repository().join(file).is_file())
            .any(|file| tests_in(&read(file)).contains(name));
        assert!(found, "limits: there is no test `{path}`");
    }
}

#[test]
fn every_source_file_is_compiled() {
    for root in ["runtime", "tests/cases", "tests/support", "sdk/src", "genes"] {
        for file in files(root, is_rust) {
            let text = file.to_string_lossy();
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let folder = file.parent().unwrap();
            // What cargo finds by itself.
            let is_root = ["tests", "fuzz_targets", "benches"].iter().any(|place| folder.ends_with(place))
                && repository().join(folder).join("../Cargo.toml").is_file();
            if ["main", "lib", "build"].contains(&stem) || is_root {
                continue;
            }
            // Its parent is a file beside it, or the one that names its folder.
            let name = if stem == "mod" { folder.file_name().unwrap().to_str().unwrap() } else { stem };
            let parents = if stem == "mod" { folder.parent().unwrap() } else { folder };
            let is_named =
                [parents.to_path_buf(), parents.parent().unwrap().to_path_buf()].iter().any(|place| {
                    std::fs::read_dir(repository().join(place)).unwrap().flatten().any(|entry| {
                        let path = entry.path();
                        path.extension().is_some_and(|extension| extension == "rs")
                            && std::fs::read_to_string(&path).is_ok_and(|source| {
                                source.contains(&format!("mod {name};"))
                                    || source.contains(&format!("{name}.rs\""))
                            })
                    })
                });
            assert!(is_named, "{text} belongs to no module");
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for root in ["runtime", "tests/cases", "tests/support", "sdk/src"] {
        for file in files(root, is_rust) {
            let text = read(&file);
            let name = file.to_string_lossy();
            let is_exempt = name.contains("/tests") && !name.starts_with("tests/")
                || name.ends_with("_tests.rs")
                || name.contains("bindings/");
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            assert!(is_exempt || first.starts_with("//!"), "{name} does not begin with what it is");
        }
    }
}

#[test]
fn every_guest_is_run_by_a_test() {
    let cases: String = files("tests/cases", is_rust).iter().map(read).collect();
    for entry in std::fs::read_dir(repository().join("tests/guests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_guest = path.join("Cargo.toml").is_file() || name.ends_with(".wat");
        if is_guest {
            let forms = [
                format!("\"{name}\""),
                format!("\"{name} as "),
                format!("{{{name}}}"),
                format!("guests/{name}"),
            ];
            assert!(forms.iter().any(|form| cases.contains(form)), "no test runs tests/guests/{name}");
        }
    }
}

#[test]
fn every_template_is_tried() {
    let source = read("tests/cases/first_minutes.rs");
    for entry in std::fs::read_dir(repository().join("sdk/templates")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(
                source.contains(&format!("new(\"{name}\")")),
                "no test makes a project of template {name}"
            );
        }
    }
}

#[test]
fn every_error_code_is_given_somewhere() {
    let codes = read("runtime/host/src/codes.rs");
    let all: BTreeSet<&str> = codes
        .split("\"E")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(id, _)| id)
        .filter(|id| id.len() == 3)
        .collect();
    assert!(all.len() > 20);
    let sources: String = files("tests/cases", is_rust)
        .iter()
        .chain(&files("runtime/host/src", is_rust))
        .filter(|path| !path.ends_with("codes.rs"))
        .map(read)
        .collect();
    let variants = codes
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Code::"))
        .filter_map(|v| v.strip_suffix(','));
    for (id, variant) in all.iter().zip(variants) {
        let is_made = sources.contains(&format!("Code::{variant}"));
        assert!(is_made, "E{id} ({variant}) is never given");
    }
}
