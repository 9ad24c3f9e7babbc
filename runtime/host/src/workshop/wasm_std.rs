//! The standard library for `wasm32-wasip2`: found in the Rust toolchain, or made once from
//! Debian's packages.
//!
//! The order: the toolchain has it; one bounded try of `rustup target add`; a sysroot made earlier;
//! a sysroot made now; else an error that names both remedies. A machine without a download must
//! still work, so nothing here depends on the network where Debian's packages are installed. The
//! toolchain file of a project names only the channel: with a target in it every cargo call on
//! such a machine would end before any code of ours runs.
//!
//! Never changes a toolchain except through `rustup target add`, never writes outside the user's
//! cache. Costs two questions to `rustc` (about 40 ms) when it is there.

mod sysroot;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cache::Lock;
use super::process::{self, Captured};
use super::{Env, Kind, Notes, WasmStdChoice, WorkshopError, short_key};

/// The target every gene is built for.
pub const TARGET: &str = "wasm32-wasip2";

/// What the person types where a toolchain can be downloaded.
const REMEDY_RUSTUP: &str = "rustup target add wasm32-wasip2";
/// What the person types on Debian.
const REMEDY_DEBIAN: &str =
    "apt-get install --no-install-recommends rustc-web rust-web-src rust-web-llvm lld-22 wasi-libc";

/// A question to rustc; long because rustup may fetch the folder's toolchain first.
const ASK: Duration = Duration::from_secs(600);
/// The one try of `rustup target add`.
const ADD: Duration = Duration::from_secs(60);

/// Where the standard library comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The Rust toolchain has the target.
    Toolchain,
    /// A sysroot made from Debian's packages.
    Debian {
        /// Debian's compiler; it must be the one that uses the sysroot.
        rustc: PathBuf,
        /// The sysroot, in the user's cache.
        sysroot: PathBuf,
    },
}

/// A standard library that is there, and how cargo is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmStd {
    origin: Origin,
    toolchain: Option<OsString>,
    key: String,
}

impl WasmStd {
    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// 16 hex digits that change with compiler and library. Part of every target folder's name,
    /// because cargo does not notice a changed sysroot.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A `cargo` that compiles with this library, run in `at`: the caller adds the rest.
    pub(super) fn cargo(&self, env: &Env, at: &Path) -> Command {
        let mut cargo = process::command("cargo", env.for_cargo());
        cargo.current_dir(at);
        if let Some(toolchain) = &self.toolchain {
            cargo.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        if let Origin::Debian { rustc, sysroot } = &self.origin {
            // As a configuration value, not as RUSTFLAGS: a path may hold spaces.
            cargo
                .env("RUSTC", rustc)
                .arg("--config")
                .arg(rustflags(&["--sysroot", &sysroot.to_string_lossy()]));
        }
        cargo
    }
}

/// Find or make the standard library for genes whose folder is `at`.
///
/// # Errors
/// Kind `Toolchain`: no Rust, or no way to the library (the text says what was tried and names the
/// remedies); kind `Write`: the cache cannot be written.
pub fn find(env: &Env, at: &Path, notes: &dyn Notes) -> Result<WasmStd, WorkshopError> {
    let toolchain = Toolchain::of(env, at)?;
    let mut tried = Vec::new();
    let choice = env.wasm_std();
    let refused = choice != WasmStdChoice::Debian && toolchain.marker(env)?.exists();
    if choice != WasmStdChoice::Debian {
        if let Some(std) = toolchain.installed(env, at)? {
            notes.note("wasm std", "found in the Rust toolchain");
            return Ok(std);
        }
        tried.push(format!("the Rust toolchain ({}) does not have it", toolchain.release()));
        if !refused && let Some(std) = toolchain.add(env, at, notes, &mut tried)? {
            return Ok(std);
        }
    }
    if choice != WasmStdChoice::Rustup
        && let Some(std) = debian(env, &toolchain, notes, &mut tried)?
    {
        return Ok(std);
    }
    // The last resort: a try that failed once may work by now.
    if choice != WasmStdChoice::Debian
        && refused
        && let Some(std) = toolchain.add(env, at, notes, &mut tried)?
    {
        return Ok(std);
    }
    Err(missing(choice, &tried))
}

fn missing(choice: WasmStdChoice, tried: &[String]) -> WorkshopError {
    let help = match choice {
        WasmStdChoice::Any => format!("`{REMEDY_RUSTUP}`, or on Debian `{REMEDY_DEBIAN}`"),
        WasmStdChoice::Rustup => format!("`{REMEDY_RUSTUP}`"),
        WasmStdChoice::Debian => format!("`{REMEDY_DEBIAN}`"),
    };
    WorkshopError::new(Kind::Toolchain, format!("no standard library for {TARGET}"), tried.join("\n"))
        .help(help)
}

fn debian(
    env: &Env,
    toolchain: &Toolchain,
    notes: &dyn Notes,
    tried: &mut Vec<String>,
) -> Result<Option<WasmStd>, WorkshopError> {
    let packages = match sysroot::Packages::find(env)? {
        Ok(packages) => packages,
        Err(why) => {
            tried.push(why);
            return Ok(None);
        }
    };
    let sysroot = packages.sysroot(env, toolchain.name.as_ref(), notes)?;
    let key = short_key(&["debian", packages.key(), &toolchain.version]);
    let origin = Origin::Debian { rustc: packages.rustc, sysroot };
    Ok(Some(WasmStd { origin, toolchain: toolchain.name.clone(), key }))
}

/// The Rust toolchain that a folder chooses.
struct Toolchain {
    /// Set where only the caller's choice works, not the folder's own.
    name: Option<OsString>,
    /// All that `rustc -vV` says.
    version: String,
}

impl Toolchain {
    /// The folder's own choice; where there is none (no default toolchain), the caller's.
    fn of(env: &Env, at: &Path) -> Result<Self, WorkshopError> {
        let mut asked = ask(env, at, None, "rustc", &["-vV"])?;
        let mut name = None;
        if !asked.ok
            && let Some(own) = env.var("RUSTUP_TOOLCHAIN")
        {
            name = Some(own.to_owned());
            asked = ask(env, at, name.as_ref(), "rustc", &["-vV"])?;
        }
        if asked.ok {
            return Ok(Self { name, version: asked.stdout });
        }
        Err(WorkshopError::new(Kind::Toolchain, "no Rust toolchain", asked.stderr.trim())
            .help("install Rust from https://rustup.rs, or choose a toolchain with `rustup default stable`"))
    }

    fn release(&self) -> &str {
        self.version.lines().next().unwrap_or("rustc")
    }

    fn key(&self) -> String {
        short_key(&["toolchain", &self.version])
    }

    fn installed(&self, env: &Env, at: &Path) -> Result<Option<WasmStd>, WorkshopError> {
        let asked =
            ask(env, at, self.name.as_ref(), "rustc", &["--print", "target-libdir", "--target", TARGET])?;
        let there = asked.ok && has_std(Path::new(asked.stdout.trim()));
        Ok(there.then(|| WasmStd {
            origin: Origin::Toolchain,
            toolchain: self.name.clone(),
            key: self.key(),
        }))
    }

    /// One try of `rustup target add`; a failure is remembered, so that a machine without a
    /// download does not wait for it before every build.
    fn add(
        &self,
        env: &Env,
        at: &Path,
        notes: &dyn Notes,
        tried: &mut Vec<String>,
    ) -> Result<Option<WasmStd>, WorkshopError> {
        let marker = self.marker(env)?;
        let _lock = Lock::take(&marker.with_extension("lock"), notes)?;
        notes.note("wasm std", &format!("asking for it with `{REMEDY_RUSTUP}`"));
        let mut rustup = process::command("rustup", env.for_rustup());
        rustup.current_dir(at).args(["target", "add", TARGET]);
        if let Some(name) = &self.name {
            rustup.env("RUSTUP_TOOLCHAIN", name);
        }
        let why = match process::capture(&mut rustup, ADD) {
            Ok(Some(done)) if done.ok => match self.installed(env, at)? {
                Some(std) => {
                    notes.note("wasm std", "added to the Rust toolchain");
                    // Not there in the usual case.
                    let _ = std::fs::remove_file(&marker);
                    return Ok(Some(std));
                }
                None => "it is still not there afterwards".to_owned(),
            },
            Ok(Some(done)) => last_line(&done.stderr),
            Ok(None) => format!("no answer within {} s", ADD.as_secs()),
            Err(error) => error.why,
        };
        tried.push(format!("`{REMEDY_RUSTUP}` failed: {why}"));
        std::fs::write(&marker, &why).map_err(|e| WorkshopError::write(&marker, e))?;
        Ok(None)
    }

    /// Where a failed try is remembered.
    fn marker(&self, env: &Env) -> Result<PathBuf, WorkshopError> {
        let folder = env.cache()?.join("wasm-std");
        std::fs::create_dir_all(&folder).map_err(|e| WorkshopError::write(&folder, e))?;
        Ok(folder.join(format!("rustup-failed-{}", self.key())))
    }
}

/// Ask a tool of the toolchain something.
fn ask(
    env: &Env,
    at: &Path,
    toolchain: Option<&OsString>,
    tool: &str,
    args: &[&str],
) -> Result<Captured, WorkshopError> {
    let mut command = process::command(tool, env.for_rustup());
    command.current_dir(at).args(args);
    if let Some(toolchain) = toolchain {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    process::capture(&mut command, ASK)?.ok_or_else(|| {
        WorkshopError::new(
            Kind::Toolchain,
            format!("`{tool}` does not answer"),
            "it was ended after 10 minutes",
        )
    })
}

/// Whether a target's library folder really holds a standard library.
fn has_std(libdir: &Path) -> bool {
    std::fs::read_dir(libdir).is_ok_and(|entries| {
        entries.flatten().any(|e| {
            let name = e.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

/// A cargo `--config` value that gives the wasm target these compiler flags.
fn rustflags(flags: &[&str]) -> String {
    let flags: Vec<String> = flags.iter().map(|f| toml::Value::from(*f).to_string()).collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(","))
}

/// The last thing a tool said, cut where it becomes a report.
fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it gave no reason").trim();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.char_indices().nth(200) {
        Some((cut, _)) => format!("{}...", line.get(..cut).unwrap_or(line)),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LineNotes, cache::Temp};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A machine whose tools are shell scripts.
    struct Machine {
        temp: Temp,
    }

    impl Machine {
        fn new(tools: &[(&str, &str)]) -> Self {
            let temp = Temp::beside(&std::env::temp_dir().join("cyte-machine")).unwrap();
            for (name, script) in tools {
                let path = temp.path().join(name);
                std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", temp.path().display()))
                    .unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            }
            Self { temp }
        }

        fn find(&self, choice: &str) -> Result<(WasmStd, String), WorkshopError> {
            let path = format!("{}:/usr/bin:/bin", self.temp.path().display());
            let home = self.temp.path().display().to_string();
            let vars = [("PATH", path.as_str()), ("HOME", &home), ("CYTE_WASM_STD", choice)];
            let env = Env::from_vars(vars.map(|(k, v)| (k.into(), v.into())), false)?;
            let mut out = Vec::new();
            let std = find(&env, self.temp.path(), &LineNotes::new(&mut out))?;
            Ok((std, String::from_utf8(out).unwrap()))
        }

        fn calls(&self) -> usize {
            std::fs::read_to_string(self.temp.path().join("calls")).unwrap_or_default().lines().count()
        }
    }

    /// A compiler that finds the library once the folder `lib` is there.
    const RUSTC: &str = "case $1 in -vV) echo rustc 1.0; echo host: x;; *) echo $PWD/lib;; esac";
    const NO_DPKG: (&str, &str) = ("dpkg", "exit 1");

    #[test]
    fn the_toolchains_own_comes_first() {
        let machine = Machine::new(&[("rustc", RUSTC), NO_DPKG, ("rustup", "echo >> calls; exit 1")]);
        std::fs::create_dir(machine.temp.path().join("lib")).unwrap();
        // An empty folder is no library.
        assert!(machine.find("").is_err());
        std::fs::write(machine.temp.path().join("lib/libstd-1.rlib"), "").unwrap();
        let before = machine.calls();
        let (std, notes) = machine.find("").unwrap();
        assert_eq!(*std.origin(), Origin::Toolchain);
        assert_eq!(std.key().len(), 16);
        assert_eq!(notes, "wasm std   found in the Rust toolchain\n");
        assert_eq!(machine.calls(), before);
    }

    #[test]
    fn rustup_may_add_it() {
        let rustup = "mkdir -p lib; echo > lib/libstd-1.rlib";
        let machine = Machine::new(&[("rustc", RUSTC), NO_DPKG, ("rustup", rustup)]);
        let (std, notes) = machine.find("rustup").unwrap();
        assert_eq!(*std.origin(), Origin::Toolchain);
        assert!(notes.ends_with("added to the Rust toolchain\n"), "{notes}");
    }

    #[test]
    fn without_any_way_both_remedies_are_named() {
        let rustup = "echo >> calls; echo 'error: no network' >&2; exit 1";
        let machine = Machine::new(&[("rustc", RUSTC), NO_DPKG, ("rustup", rustup)]);
        for tries in 1..3 {
            let error = machine.find("").unwrap_err();
            assert_eq!(error.kind, Kind::Toolchain);
            assert!(error.why.contains("failed: no network"), "{error}");
            assert!(error.why.contains("rustc-web is not installed"), "{error}");
            let help = error.help.unwrap();
            assert!(help.contains(REMEDY_RUSTUP) && help.contains(REMEDY_DEBIAN), "{help}");
            // Once a run, also when an earlier run failed.
            assert_eq!(machine.calls(), tries);
        }
        let error = machine.find("debian").unwrap_err();
        assert!(!error.help.unwrap().contains(REMEDY_RUSTUP));
        assert_eq!(machine.calls(), 2);
    }

    #[test]
    fn no_rust_at_all_is_said() {
        let machine = Machine::new(&[("rustc", "echo 'error: no default toolchain' >&2; exit 1")]);
        let error = machine.find("").unwrap_err();
        assert!(error.why.contains("no default toolchain"), "{error}");
        assert!(error.help.unwrap().contains("rustup"));
    }

    #[test]
    fn a_path_with_spaces_and_quotes_is_one_flag() {
        let flags = rustflags(&["--sysroot", "/a b/\"c"]);
        let parsed: toml::Table = flags.parse().unwrap();
        let list = parsed["target"][TARGET]["rustflags"].as_array().unwrap();
        assert_eq!(list[1].as_str(), Some("/a b/\"c"));
    }

    #[test]
    fn a_report_is_cut_to_a_line() {
        assert_eq!(last_line("a\nerror: b\n\n"), "b");
        assert_eq!(last_line(&"ä".repeat(300)).chars().count(), 203);
        assert_eq!(last_line(""), "it gave no reason");
    }
}
