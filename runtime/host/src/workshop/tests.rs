//! The workshop with real tools: cargo, rustc and the user's cache, which makes every run after
//! the first quick.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use super::cache::Temp;
use super::{Built, Env, Kind, LineNotes, Made, Mode, Project, Silent, WorkshopError, new, standard};

fn env() -> Env {
    Env::from_process(false).unwrap()
}

fn build(project: &Path, mode: Mode) -> Result<Vec<Built>, WorkshopError> {
    Project::open(project)?.build(&env(), mode, &Silent)
}

/// A folder that keeps its path from run to run, so that build results are found again. One
/// process uses it at a time.
fn place(name: &str) -> (PathBuf, super::cache::Lock) {
    let all = Path::new(env!("OUT_DIR")).join("workshop-tests");
    let lock = super::cache::Lock::take(&all.join(format!("{name}.lock")), &Silent).unwrap();
    let folder = all.join(name);
    let _ = fs::remove_dir_all(&folder);
    (folder, lock)
}

/// Every file below a folder with its time of change.
fn files(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        found.insert(entry.path(), metadata.modified().unwrap());
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

#[test]
fn every_template_makes_a_project_that_builds() {
    let names: Vec<&str> = new::templates().iter().map(|t| t.name).collect();
    assert_eq!(names, ["http", "http-p3", "static-site", "task"]);
    for template in names {
        let (folder, _lock) = place(&format!("my-{template}"));
        let made = new::create(&folder, template).unwrap();
        assert_eq!(made.name, format!("my-{template}"));
        assert!(made.files.contains(&"dna.toml".to_owned()), "{made:?}");
        let text: String =
            made.files.iter().map(|file| fs::read_to_string(folder.join(file)).unwrap()).collect();
        for left in ["{{name}}", "{{sdk}}", "{{crate}}", "{{version}}"] {
            assert!(!text.contains(left), "{template}: {left}");
        }
        let before = files(&folder);
        let checked = build(&folder, Mode::Check).unwrap_or_else(|e| panic!("{template}: {e}\n{}", e.output));
        assert_eq!(before, files(&folder), "{template}: a check changed the project");
        let [gene] = checked.as_slice() else { panic!("{template}: one gene") };
        assert!(is_component(&gene.component));
        assert_eq!(gene.site.is_some(), template == "static-site");
        assert_eq!(gene.made == Made::Crate, template != "static-site");
        let built = build(&folder, Mode::Build).unwrap();
        assert!(built[0].component == gene.component, "{template}: the same sources, other bytes");
        if let Some(path) = &built[0].path {
            assert_eq!(fs::read(path).unwrap(), gene.component);
        }
    }
}

#[test]
fn a_project_without_its_sdk_gets_it_back() {
    let (folder, _lock) = place("my-task");
    new::create(&folder, "task").unwrap();
    fs::remove_dir_all(folder.join(".cyte")).unwrap();
    let error = build(&folder, Mode::Check).unwrap_err();
    assert!(error.help.clone().unwrap().contains("cyte build"), "{error}");
    build(&folder, Mode::Build).unwrap();
    build(&folder, Mode::Check).unwrap();
    // One of another version cannot be made.
    let manifest = folder.join("genes/work/Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap().replace(&new::sdk_folder(), "sdk-0.0.1");
    fs::write(&manifest, text).unwrap();
    let error = build(&folder, Mode::Build).unwrap_err();
    assert!(error.help.clone().unwrap().contains(&new::sdk_folder()), "{error}");
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let temp = Temp::beside(&std::env::temp_dir().join("cyte-new-test")).unwrap();
    let folder = temp.path().join("shop");
    fs::create_dir(&folder).unwrap();
    // An empty folder is as good as none, and keeps being the same folder.
    let id = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&folder).unwrap());
    new::create(&folder, "static-site").unwrap();
    assert_eq!(id, std::os::unix::fs::MetadataExt::ino(&fs::metadata(&folder).unwrap()));
    let before = files(&folder);
    let inside = |path: &PathBuf| path.strip_prefix(&folder).unwrap().to_string_lossy().contains(".tmp");
    assert!(!before.keys().any(inside), "{before:?}");
    let error = new::create(&folder, "http").unwrap_err();
    assert_eq!(error.kind, Kind::New);
    assert_eq!(before, files(&folder));
    fs::write(temp.path().join("file"), "").unwrap();
    assert_eq!(new::create(&temp.path().join("file"), "http").unwrap_err().kind, Kind::New);
    assert_eq!(new::create(&temp.path().join("x"), "htp").unwrap_err().kind, Kind::Usage);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
}

#[test]
fn two_at_once_make_the_same_standard_gene() {
    let from = std::env::temp_dir();
    let std = super::wasm_std::find(&env(), &from, &Silent).unwrap();
    let one = || standard::build(&env(), &std, standard::STATIC_SITE, &from, &Silent).unwrap();
    let (a, b) = std::thread::scope(|scope| {
        let other = scope.spawn(one);
        (one(), other.join().unwrap())
    });
    assert!(is_component(&a));
    assert!(a == b);
    let names = ["neuron-calculus", "neuron-kpa", "neuron-on-demand", standard::STATIC_SITE];
    assert_eq!(standard::names(), names);
    assert!(standard::build(&env(), &std, "x/../y", &from, &Silent).is_err());
}

#[test]
fn a_compilers_words_come_through() {
    let (folder, _lock) = place("broken");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[package]\nname = \"broken\"\nedition = \"2024\"\n[workspace]\n");
    write("src/main.rs", "fn main() { let x: u8 = \"no\"; }\n");
    let mut out = Vec::new();
    let error =
        Project::open(&folder).unwrap().build(&env(), Mode::Build, &LineNotes::new(&mut out)).unwrap_err();
    assert_eq!(error.kind, Kind::Build);
    assert!(error.why.contains("could not compile `broken`"), "{error}");
    assert!(error.output.contains("mismatched types"), "{}", error.output);
    assert!(String::from_utf8(out).unwrap().contains("mismatched types"));
    // A crate alone, without dna.toml, is a project; a check wants its lock file as it must be.
    write("src/main.rs", "fn main() {}\n");
    let built = build(&folder, Mode::Build).unwrap();
    assert_eq!(built[0].name.as_str(), "broken");
    fs::remove_file(folder.join("Cargo.lock")).unwrap();
    let error = build(&folder, Mode::Check).unwrap_err();
    assert!(error.help.unwrap().contains("cyte build"));
    assert!(!folder.join("Cargo.lock").exists());
}

#[test]
fn a_source_that_is_not_there_is_shown_with_its_line() {
    let temp = Temp::beside(&std::env::temp_dir().join("cyte-source-test")).unwrap();
    let toml = |gene: &str| {
        fs::write(temp.path().join("dna.toml"), format!("[organism]\nname = \"x\"\n[gene.a]\n{gene}\n"))
            .unwrap();
        build(temp.path(), Mode::Build)
    };
    let error = toml("source = \"genes/frnt\"").unwrap_err();
    assert_eq!(error.kind, Kind::Manifest);
    assert!(error.why.contains("dna.toml:4:10") && error.why.contains("^^^"), "{error}");
    fs::write(temp.path().join("a.wasm"), "x").unwrap();
    let error = toml("source = \"a.wasm\"\nfiles = [{ from = \"none\", to = \"/n\" }]").unwrap_err();
    assert!(error.why.contains("dna.toml:5:"), "{error}");
    // A folder that the host keeps is not looked for.
    let files = "files = [{ from = \"none\", to = \"/n\", write = true }]";
    let built = toml(&format!("source = \"a.wasm\"\n{files}")).unwrap();
    assert_eq!((&built[0].made, built[0].component.as_slice()), (&Made::File, &b"x"[..]));
}

#[test]
fn a_build_command_runs_when_building_only() {
    let temp = Temp::beside(&std::env::temp_dir().join("cyte-command-test")).unwrap();
    let toml = |command: &str| {
        let text = format!(
            "[organism]\nname = \"x\"\n[gene.a]\nsource = \"out/a.wasm\"\nbuild = {{ command = \"{command}\" }}\n"
        );
        fs::write(temp.path().join("dna.toml"), text).unwrap();
    };
    toml("mkdir -p out; echo made; echo x$CARGO_ENCODED_RUSTFLAGS > out/a.wasm");
    assert!(build(temp.path(), Mode::Check).unwrap_err().why.contains("cyte build"));
    assert_eq!(build(temp.path(), Mode::Build).unwrap()[0].component, b"x\n");
    assert_eq!(build(temp.path(), Mode::Check).unwrap()[0].component, b"x\n");
    toml("echo bad >&2; exit 7");
    let error = build(temp.path(), Mode::Build).unwrap_err();
    assert!(error.why.contains("status 7"), "{error}");
    assert_eq!(error.output, "bad");
}

#[test]
fn a_folder_of_files_is_packed_and_served_by_the_standard_gene() {
    let temp = Temp::beside(&std::env::temp_dir().join("cyte-site-test")).unwrap();
    fs::write(temp.path().join("index.html"), "hi").unwrap();
    fs::write(temp.path().join(".env"), "secret").unwrap();
    let out = Mutex::new(Vec::new());
    let notes = LineNotes::new(Shared(&out));
    let built = Project::open(temp.path()).unwrap().build(&env(), Mode::Check, &notes).unwrap();
    assert_eq!(built[0].made, Made::Standard(standard::STATIC_SITE));
    let site = built[0].site.as_ref().unwrap();
    assert_eq!(site.files().map(|(name, _)| name).collect::<Vec<_>>(), ["index.html"]);
    let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
    assert!(text.contains(".env"), "{text}");
}

struct Shared<'a>(&'a Mutex<Vec<u8>>);

impl std::io::Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
