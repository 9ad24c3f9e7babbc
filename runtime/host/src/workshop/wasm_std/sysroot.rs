//! A sysroot made from Debian's Rust sources and wasi-libc, kept in the user's cache.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::cache::{self, Lock};
use super::super::process;
use super::super::{Env, Kind, Notes, WorkshopError, short_key};
use super::{TARGET, has_std, last_line, rustflags};

/// Rises with every change of how a sysroot is made, so that an older one is not used.
const RECIPE: &str = "1";
/// A question to dpkg or to Debian's compiler.
const ASK: Duration = Duration::from_secs(60);

/// Debian's packages, as far as the sysroot needs them.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) rustc: PathBuf,
    libc: PathBuf,
    host: String,
    /// The compiler's own sysroot.
    base: PathBuf,
    key: String,
}

impl Packages {
    /// What is installed, or in words what is not.
    pub(super) fn find(env: &Env) -> Result<Result<Self, String>, WorkshopError> {
        let Some(rustc) = installed(env, "rustc-web", "bin/rustc") else {
            return Ok(Err("Debian's rustc-web is not installed".into()));
        };
        let Some(libc) = installed(env, "wasi-libc", "wasm32-wasi/libc.a") else {
            return Ok(Err("Debian's wasi-libc is not installed".into()));
        };
        let Some(version) = answer(env, rustc.as_os_str(), &["-vV"]) else {
            return Ok(Err(format!("{} does not run", rustc.display())));
        };
        let Some(base) = answer(env, rustc.as_os_str(), &["--print", "sysroot"]) else {
            return Ok(Err(format!("{} names no sysroot", rustc.display())));
        };
        let base = PathBuf::from(base.trim());
        let host = version.lines().find_map(|l| l.strip_prefix("host: ")).unwrap_or_default().to_owned();
        if !base.join("lib/rustlib/src/rust/library/std/Cargo.toml").exists() {
            return Ok(Err("Debian's rust-web-src is not installed".into()));
        }
        if !base.join("lib/rustlib").join(&host).join("bin/wasm-component-ld").exists() {
            return Ok(Err("Debian's rust-web-llvm is not installed".into()));
        }
        let length = fs::metadata(&libc).map(|m| m.len()).unwrap_or_default();
        let key = short_key(&["sysroot", RECIPE, &version, &length.to_string()]);
        let libc = libc.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Ok(Self { rustc, libc, host, base, key }))
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The sysroot in the cache; made now where it is not there.
    pub(super) fn sysroot(
        &self,
        env: &Env,
        toolchain: Option<&OsString>,
        notes: &dyn Notes,
    ) -> Result<PathBuf, WorkshopError> {
        let folder = env.cache()?.join("wasm-std");
        let done = folder.join(&self.key);
        if self.usable(&done) {
            notes.note("wasm std", "made earlier from Debian's packages");
            return Ok(done);
        }
        let _lock = Lock::take(&folder.join("lock"), notes)?;
        if self.usable(&done) {
            notes.note("wasm std", "made by another process from Debian's packages");
            return Ok(done);
        }
        notes.note("wasm std", "making it from Debian's packages: once, about a minute");
        cache::sweep(&done);
        let work = cache::Temp::beside(&done)?;
        let rlibs = self.compile(env, toolchain, notes, work.path())?;
        let made = work.path().join("sysroot");
        self.lay_out(&rlibs, &made).map_err(|e| WorkshopError::write(&made, e))?;
        cache::replace(&made, &done)?;
        notes.note("wasm std", "made from Debian's packages");
        Ok(done)
    }

    fn usable(&self, sysroot: &Path) -> bool {
        let rustlib = sysroot.join("lib/rustlib");
        has_std(&rustlib.join(TARGET).join("lib")) && rustlib.join(&self.host).exists()
    }

    /// Let cargo build the standard library for an empty crate; the folder of its rlibs.
    fn compile(
        &self,
        env: &Env,
        toolchain: Option<&OsString>,
        notes: &dyn Notes,
        work: &Path,
    ) -> Result<PathBuf, WorkshopError> {
        let krate = work.join("empty");
        write(&krate.join("Cargo.toml"), EMPTY)?;
        write(&krate.join("src/lib.rs"), "#![no_std]\n")?;
        let target = work.join("target");
        let mut cargo = process::command("cargo", env.for_cargo());
        if let Some(toolchain) = toolchain {
            cargo.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        cargo
            .current_dir(&krate)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &target)
            // Without the bitcode every gene with link-time optimisation would fail.
            .arg("--config")
            .arg(rustflags(&["-C", "embed-bitcode=yes"]))
            .args(["build", "--release", "--quiet", "-Zbuild-std=std,panic_abort"])
            .args(["-Zbuild-std-features=", "--target", TARGET]);
        let done = process::stream(&mut cargo, notes, |_| {})?;
        if done.status.success() {
            return Ok(target.join(TARGET).join("release/deps"));
        }
        Err(WorkshopError::new(
            Kind::Toolchain,
            format!("cannot make the standard library for {TARGET} from Debian's packages"),
            last_line(&done.tail),
        )
        .help("install all of rustc-web rust-web-src rust-web-llvm lld-22 wasi-libc, of one version"))
    }

    /// `lib/rustlib/TARGET/lib` with rlibs and libc, and a link to the compiler's own host part:
    /// the linker's wrapper lives there.
    fn lay_out(&self, rlibs: &Path, sysroot: &Path) -> std::io::Result<()> {
        let rustlib = sysroot.join("lib/rustlib");
        let lib = rustlib.join(TARGET).join("lib");
        let contained = lib.join("self-contained");
        fs::create_dir_all(&contained)?;
        for entry in fs::read_dir(rlibs)? {
            let entry = entry?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if text.ends_with(".rlib") && !text.starts_with("libempty-") {
                fs::copy(entry.path(), lib.join(&name))?;
            }
        }
        for file in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
            fs::copy(self.libc.join(file), contained.join(file))?;
        }
        let host = self.base.join("lib/rustlib").join(&self.host);
        std::os::unix::fs::symlink(host, rustlib.join(&self.host))
    }
}

const EMPTY: &str = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";

fn write(path: &Path, text: &str) -> Result<(), WorkshopError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).map_err(|e| WorkshopError::write(path, e))
}

/// The file of an installed package whose path ends in `end`.
fn installed(env: &Env, package: &str, end: &str) -> Option<PathBuf> {
    let listing = answer(env, OsStr::new("dpkg"), &["-L", package])?;
    let path = listing.lines().find(|l| l.strip_suffix(end).is_some_and(|l| l.ends_with('/')))?;
    let path = PathBuf::from(path);
    path.exists().then_some(path)
}

/// What a tool answers, if it is there and content.
fn answer(env: &Env, program: &OsStr, args: &[&str]) -> Option<String> {
    let mut command = process::command(program, env.for_rustup());
    command.args(args);
    let done = process::capture(&mut command, ASK).ok()??;
    done.ok.then_some(done.stdout)
}
