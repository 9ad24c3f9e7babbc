//! The standard genes, built on first use from the sources inside the binary.
//!
//! A finished gene stays in the user's cache under the digest of all sources it could depend on
//! and the key of the standard library, so that neither a new cyte nor a new compiler serves an
//! old one.

use std::fs;
use std::path::Path;

use super::cache::{self, Lock};
use super::cargo::{self, CrateBuild, LockFile};
use super::wasm_std::WasmStd;
use super::{Env, Kind, Notes, WorkshopError, hex, short_key, sources};
use sha2::{Digest as _, Sha256};

/// The standard gene that serves a folder of static files.
pub const STATIC_SITE: &str = "static-site";

/// What stands before the name of a standard gene that `source` asks for.
pub const SCHEME: &str = "cyte:";

/// The names of the standard genes inside this binary. What they share lies a folder deeper.
pub fn names() -> Vec<&'static str> {
    let crates = sources::under(sources::GENES).filter_map(|(path, _)| path.strip_suffix("/Cargo.toml"));
    crates.filter(|name| !name.contains('/')).collect()
}

/// All that can change what becomes of the standard gene `name`.
fn sources_for(name: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let manifest = format!("{name}/Cargo.toml");
    let uses_law = sources::under(sources::GENES)
        .filter(|(path, _)| *path == manifest)
        .any(|(_, text)| String::from_utf8_lossy(text).contains("cyte-organism"));
    sources::sdk().chain(sources::under(sources::GENES)).chain(sources::law().filter(move |_| uses_law))
}

/// The component of the standard gene `name`. `from` is the folder whose Rust toolchain and cargo
/// configuration are used; nothing is written there.
///
/// # Errors
/// Kind `Usage` when there is no such gene, else as [`super::build_crate`].
pub fn build(
    env: &Env,
    std: &WasmStd,
    name: &str,
    from: &Path,
    notes: &dyn Notes,
) -> Result<Vec<u8>, WorkshopError> {
    if !names().contains(&name) {
        let why = format!("the standard genes are: {}", names().join(", "));
        return Err(WorkshopError::new(Kind::Usage, format!("no standard gene `{name}`"), why));
    }
    let digest = sources::digest(sources_for(name));
    let folder = env.cache()?.join("genes");
    let done = folder.join(format!("{name}-{}.wasm", short_key(&[&digest, std.key()])));
    if let Some(component) = kept(&done) {
        return Ok(component);
    }
    let _lock = Lock::take(&folder.join("lock"), notes)?;
    if let Some(component) = kept(&done) {
        return Ok(component);
    }
    notes.note("building", &format!("the standard gene {name}: once"));
    let place = sources_of(&folder)?;
    let lock_file = match place.join(sources::GENES).join("Cargo.lock").exists() {
        true => LockFile::Fixed,
        false => LockFile::MayChange,
    };
    let component = cargo::build(
        env,
        std,
        &CrateBuild {
            krate: &place.join(sources::GENES).join(name),
            from,
            target: &folder.join(format!("target-{}", std.key())),
            lock_file,
        },
        notes,
    )?;
    cache::write_whole(&sum_file(&done), sum(&component).as_bytes())?;
    cache::write_whole(&done, &component)?;
    Ok(component)
}

/// A gene finished earlier, if it is still what was written.
fn kept(path: &Path) -> Option<Vec<u8>> {
    let component = cargo::read_component(path).ok()?;
    let expected = fs::read_to_string(sum_file(path)).ok()?;
    (expected == sum(&component)).then_some(component)
}

fn sum(component: &[u8]) -> String {
    hex(&Sha256::digest(component))
}

fn sum_file(path: &Path) -> std::path::PathBuf {
    path.with_extension("sha256")
}

/// SDK, genes and law side by side, as in the repository, so that their path dependencies hold.
/// Older ones go; the caller holds the lock.
fn sources_of(folder: &Path) -> Result<std::path::PathBuf, WorkshopError> {
    let all = sources::sdk().chain(sources::under(sources::GENES)).chain(sources::law());
    let name = format!("src-{}", short_key(&[&sources::digest(all)]));
    let place = folder.join(&name);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let other = other.to_string_lossy();
        if (other.starts_with("src-") || other.starts_with(".src-")) && *other != name {
            // What cannot be deleted costs only space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    if !place.exists() {
        let temp = cache::Temp::beside(&place)?;
        sources::extract(sources::sdk(), &temp.path().join(sources::SDK))?;
        sources::extract(sources::under(sources::GENES), &temp.path().join(sources::GENES))?;
        sources::extract(sources::law(), temp.path())?;
        cache::replace(temp.path(), &place)?;
    }
    Ok(place)
}
