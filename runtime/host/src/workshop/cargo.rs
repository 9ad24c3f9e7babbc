//! Cargo inside cargo: a gene's crate becomes a component.
//!
//! The inner cargo gets none of the outer one's flags and a target folder of its own. Its messages
//! go to the [`Notes`] as they come. Never called from a build script.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde::Deserialize;

use super::cache::{self, Lock};
use super::process::{self, Streamed};
use super::wasm_std::{TARGET, WasmStd};
use super::{Env, Kind, MAX_COMPONENT, Notes, WorkshopError};

/// What happens to the crate's `Cargo.lock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFile {
    /// Written or brought up to date, as cargo does by itself: pins stay, new dependencies enter.
    MayChange,
    /// Never touched; a missing or stale one is an error.
    Fixed,
}

/// One crate to build.
#[derive(Debug, Clone, Copy)]
pub struct CrateBuild<'a> {
    /// The crate's folder.
    pub krate: &'a Path,
    /// The folder in which cargo runs: it decides the Rust toolchain and cargo's configuration.
    /// Usually `krate`.
    pub from: &'a Path,
    /// The folder of build results; may be shared by crates built with the same [`WasmStd`].
    pub target: &'a Path,
    /// What happens to `Cargo.lock`.
    pub lock_file: LockFile,
}

/// Build a crate and read its component. Two processes on one target folder wait for each other.
///
/// # Errors
/// Kind `Build`: cargo failed (its last lines are in [`WorkshopError::output`]), or the crate is
/// not one component; `Toolchain`: cargo cannot be started; `Write`: the target folder cannot be
/// written.
pub fn build(
    env: &Env,
    std: &WasmStd,
    build: &CrateBuild<'_>,
    notes: &dyn Notes,
) -> Result<Vec<u8>, WorkshopError> {
    let CrateBuild { krate, from, target, lock_file } = *build;
    let manifest = krate.join("Cargo.toml");
    let manifest = fs::canonicalize(&manifest).map_err(|e| WorkshopError::read(&manifest, e))?;
    fs::create_dir_all(target).map_err(|e| WorkshopError::write(target, e))?;
    // Cargo has a lock too, but frees it before the result is read.
    let _lock = Lock::take(&target.join("cyte.lock"), notes)?;
    let mut cargo = std.cargo(env, from);
    cargo.env("CARGO_TARGET_DIR", target).args(["build", "--release", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(&manifest);
    if lock_file == LockFile::Fixed {
        cargo.arg("--locked");
    }
    if env.colour() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    let mut made = Vec::new();
    let done = process::stream(&mut cargo, &WithoutFinished(notes), |line| {
        made.extend(artefact(line, &manifest));
    })?;
    if !done.status.success() {
        return Err(failed(krate, done));
    }
    let path = choose(krate, made)?;
    read_component(&path)
}

/// Run a gene's own build command in its folder, with the environment an inner cargo would get.
///
/// # Errors
/// Kind `Build` when it ends with another status than 0.
pub(super) fn custom(
    env: &Env,
    command: &str,
    folder: &Path,
    notes: &dyn Notes,
) -> Result<(), WorkshopError> {
    let mut sh = process::command("sh", env.for_cargo());
    // Many tools tell their errors on standard output, so both are kept, in their order.
    sh.current_dir(folder).args(["-c", &format!("exec 1>&2; {command}")]);
    let done = process::stream(&mut sh, notes, |_| {})?;
    if done.status.success() {
        return Ok(());
    }
    let why = format!("`{command}` {}", ended(done.status));
    Err(WorkshopError::new(Kind::Build, format!("cannot build `{}`", folder.display()), why)
        .output(done.tail))
}

/// Read a component's bytes, at most [`MAX_COMPONENT`].
///
/// # Errors
/// Kind `Missing`: not there, not a regular file or not readable; `Build`: too long.
pub(super) fn read_component(path: &Path) -> Result<Vec<u8>, WorkshopError> {
    let bytes = cache::read_bounded(path, MAX_COMPONENT).map_err(|e| WorkshopError::read(path, e))?;
    bytes.ok_or_else(|| {
        let why = format!("a component has at most {} MiB", MAX_COMPONENT >> 20);
        WorkshopError::new(Kind::Build, format!("`{}` is too large", path.display()), why)
    })
}

/// Cargo's last line says nothing that a person needs before a server starts.
struct WithoutFinished<'a>(&'a dyn Notes);

impl Notes for WithoutFinished<'_> {
    fn note(&self, what: &str, text: &str) {
        self.0.note(what, text);
    }

    fn tool(&self, line: &str) {
        // "    Finished `release` profile [optimized] target(s) in 0.02s", perhaps in colour.
        if !(line.contains("Finished") && line.contains(" target(s) in ")) {
            self.0.tool(line);
        }
    }
}

/// One line of cargo's messages, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A component that cargo made.
struct Artefact {
    name: String,
    library: bool,
    path: PathBuf,
}

/// The component that a message of cargo announces, if it is one of this very crate.
fn artefact(line: &str, manifest: &Path) -> Option<Artefact> {
    let message: Message = serde_json::from_str(line).ok()?;
    let target = message.target.filter(|_| message.reason == "compiler-artifact")?;
    if fs::canonicalize(message.manifest_path?).ok()? != manifest {
        return None;
    }
    let path = message.filenames.into_iter().find(|p| p.extension().is_some_and(|e| e == "wasm"))?;
    let library = target.kind.iter().any(|k| k == "cdylib");
    Some(Artefact { name: target.name, library, path })
}

/// The one component of a crate: its library, or its only program.
fn choose(krate: &Path, made: Vec<Artefact>) -> Result<PathBuf, WorkshopError> {
    let wrong = |why: String, help: &str| {
        WorkshopError::new(Kind::Build, format!("`{}` is not one component", krate.display()), why).help(help)
    };
    let names: Vec<String> = made.iter().map(|a| format!("`{}`", a.name)).collect();
    let (mut libraries, programs): (Vec<_>, Vec<_>) = made.into_iter().partition(|a| a.library);
    if let Some(library) = libraries.pop() {
        return Ok(library.path);
    }
    let mut programs = programs.into_iter();
    match (programs.next(), programs.next()) {
        (Some(program), None) => Ok(program.path),
        (None, _) => Err(wrong(
            "the crate has neither a program nor a library of type `cdylib`".into(),
            "add `[lib] crate-type = [\"cdylib\"]` to its Cargo.toml",
        )),
        (Some(_), Some(_)) => Err(wrong(
            format!("the crate has the programs {}", names.join(", ")),
            "give each gene a crate of its own, or name the `.wasm` file as its source",
        )),
    }
}

fn failed(krate: &Path, done: Streamed) -> WorkshopError {
    let why = done
        .tail
        .lines()
        .rev()
        .map(plain)
        .find(|l| l.trim_start().starts_with("error"))
        .unwrap_or_else(|| format!("cargo {}", ended(done.status)));
    let error = WorkshopError::new(Kind::Build, format!("cannot build `{}`", krate.display()), why);
    let error = match done.tail.contains("--locked") {
        true => error.help("`cyte build`, which brings Cargo.lock up to date"),
        false => error,
    };
    error.output(done.tail)
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".into(),
    }
}

/// A line without its colour codes.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                chars.by_ref().find(|c| c.is_ascii_alphabetic());
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(list: &[(&str, bool)]) -> Vec<Artefact> {
        let artefact = |(name, library): &(&str, bool)| Artefact {
            name: (*name).into(),
            library: *library,
            path: (*name).into(),
        };
        list.iter().map(artefact).collect()
    }

    #[test]
    fn a_crate_is_one_component() {
        let choose = |list: &[(&str, bool)]| choose(Path::new("k"), made(list));
        assert_eq!(choose(&[("a", true), ("b", false)]).unwrap(), Path::new("a"));
        assert_eq!(choose(&[("b", false)]).unwrap(), Path::new("b"));
        assert!(choose(&[]).unwrap_err().help.unwrap().contains("cdylib"));
        let two = choose(&[("b", false), ("c", false)]).unwrap_err();
        assert!(two.why.contains("`b`, `c`"), "{two}");
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(plain("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: x"), "error: x");
    }
}
