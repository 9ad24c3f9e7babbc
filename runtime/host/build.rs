//! Embeds the sources of the SDK, its templates and the standard genes into the binary, and of the
//! law what the standard neurons are built from.
//!
//! Only files are read and one table is written; nothing is compiled here, so that no cargo ever
//! runs inside a build script.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folders that travel, relative to the repository's root.
const FOLDERS: &[&str] = &["sdk", "genes", "runtime/organism/src/law", "runtime/organism/src/neuron"];
/// The files beside them: `cyte-organism` without its feature `host`. `Cargo.toml` is the workspace
/// whose versions it inherits.
const FILES: &[&str] = &[
    "Cargo.toml",
    "runtime/organism/Cargo.toml",
    "runtime/organism/src/constants.rs",
    "runtime/organism/src/dice.rs",
    "runtime/organism/src/endocrine.rs",
    "runtime/organism/src/family.rs",
    "runtime/organism/src/lib.rs",
    "runtime/organism/src/lineage.rs",
    "runtime/organism/src/neuron.rs",
    "runtime/organism/src/share.rs",
    "runtime/organism/src/time.rs",
];
/// More than this is a mistake, such as a build result among the sources.
const MAX_FILE: u64 = 2 << 20;
/// The sum of all embedded files; every byte of it is in the binary.
const MAX_TOTAL: u64 = 6 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here.join("../..").canonicalize()?;
    let mut files = Vec::new();
    for folder in FOLDERS {
        walk(&root.join(folder), folder, &mut files)?;
    }
    // What is compiled for tests alone stays behind.
    files.retain(|(name, _)| !(name.starts_with("runtime/") && name.ends_with("/tests.rs")));
    for name in FILES {
        let path = root.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        files.push(((*name).to_owned(), path));
    }
    files.sort();
    let mut table = String::from("&[\n");
    let mut total = 0;
    for (name, path) in &files {
        let length = fs::metadata(path)?.len();
        total += length;
        if length > MAX_FILE || total > MAX_TOTAL {
            return Err(format!("{name}: {length} bytes, {total} in all: too much to embed").into());
        }
        let path = path.to_str().ok_or("a path that is not UTF-8")?;
        writeln!(table, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sources.rs"), table)?;
    Ok(())
}

/// Collect the files below `folder`; build results and hidden folders stay behind.
///
/// Cargo is told about whole folders, so that a new file is noticed, except where it may put a
/// `target` itself: it would look into that too. A test compares the table with the folders.
fn walk(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), Box<dyn Error>> {
    if !folder.is_dir() {
        println!("cargo::rerun-if-changed={}", folder.display());
        return Ok(());
    }
    if !folder.join("Cargo.toml").exists() {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    for entry in entries {
        let file = entry.file_name();
        let file = file.to_str().ok_or("a file name that is not UTF-8")?;
        let (path, name) = (entry.path(), format!("{name}/{file}"));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if file != "target" && !file.starts_with('.') {
                walk(&path, &name, files)?;
            }
        } else if kind.is_file() && !file.ends_with(".orig") && !file.ends_with('~') {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push((name, path));
        } else if kind.is_symlink() {
            return Err(format!("{name}: a symbolic link cannot travel inside the binary").into());
        }
    }
    Ok(())
}
