//! State folders that begin with compiled code, so that a guest is compiled once and not once a
//! test.
//!
//! Compiled code is only taken by the host whose key authenticates it; so these folders share one
//! host key, and nothing else: each has its own versions, trust and secrets.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Cyte, Temp, paths};

/// A state folder in `temp` with the shared key and all code that was kept.
///
/// It has the name of a project's own folder: only such a one may hold something before its first
/// host.
pub fn folder(temp: &Temp) -> PathBuf {
    let kept = kept();
    let state = temp.join(".cyte");
    fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    fs::copy(kept.join("host.key"), state.join("host.key")).unwrap();
    copy(&kept.join("code"), &state.join("code"));
    state
}

/// Keeps the code that the host on `state` compiled.
pub fn keep(state: &Path) {
    copy(&state.join("code"), &kept().join("code"));
}

/// The folder that keeps them, made by the binary under test itself.
fn kept() -> &'static Path {
    static KEPT: OnceLock<PathBuf> = OnceLock::new();
    KEPT.get_or_init(|| {
        let folder = paths::kept().join("warm");
        Cyte::new(["secret", "list", "--state"]).arg(&folder).ok();
        folder
    })
}

/// Copies what is not there yet; each file appears whole or not at all.
fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else if !target.exists() && !entry.file_name().to_string_lossy().starts_with('.') {
            let thread = std::thread::current().id();
            let partly = to.join(format!(".{}-{thread:?}", std::process::id()));
            // The host may be replacing it right now; then it is kept another time.
            if fs::copy(&source, &partly).is_ok() {
                fs::rename(&partly, &target).unwrap();
            }
        }
    }
}
