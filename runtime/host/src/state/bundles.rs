//! The bundles that a host keeps: the last five it accepted, and which of them is in force.
//!
//! A bundle is named by its version and manifest digest, `dna/VERSION-DIGEST.dna`; `current` holds
//! that name. Both are replaced whole, the bundle first, so that `current` never names a part.

use std::io;
use std::path::PathBuf;

use cyte_dna::Digest;

use super::{StateFolder, atomic, broken};
use crate::error::CliError;

/// How many bundles are kept.
const BUNDLES_KEPT: usize = cyte_dna::limits::BUNDLES_KEPT;

const CURRENT_CAP: u64 = 256;

/// The file name of a bundle. The version is padded so that names sort like versions.
pub fn file_name(version: u64, digest: &Digest) -> String {
    format!("{version:020}-{}.dna", digest.short())
}

/// Keeps `bytes` as the bundle of this version and puts it in force; older ones beyond the last
/// five go. A bundle that is already in force costs no write.
///
/// # Errors
/// `Code::State` when a file cannot be written; the bundle in force is then the one before.
pub fn keep(state: &StateFolder, version: u64, digest: &Digest, bytes: &[u8]) -> Result<(), CliError> {
    keep_io(state, &file_name(version, digest), bytes).map_err(|error| broken(state.path(), &error))
}

fn keep_io(state: &StateFolder, name: &str, bytes: &[u8]) -> io::Result<()> {
    let dna = state.dir().open_dir("dna")?;
    let same_length = dna.metadata(name).is_ok_and(|meta| meta.len() == bytes.len() as u64);
    if current_name(state)?.as_deref() == Some(name) && same_length {
        return Ok(());
    }
    atomic::write_atomic(&dna, name, bytes, 0o600)?;
    atomic::write_atomic(state.dir(), "current", format!("{name}\n").as_bytes(), 0o600)?;
    forget_old(&dna, name)
}

/// The path of the bundle in force, if there is one.
///
/// # Errors
/// `Code::State` when `current` cannot be read.
pub fn current(state: &StateFolder) -> Result<Option<PathBuf>, CliError> {
    let name = current_name(state).map_err(|error| broken(state.path(), &error))?;
    Ok(name.map(|name| state.path().join("dna").join(name)))
}

fn current_name(state: &StateFolder) -> io::Result<Option<String>> {
    let bytes = atomic::read_capped(state.dir(), "current", CURRENT_CAP)?;
    let name = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    // A name that leads elsewhere was not written by us.
    Ok(name.filter(|name| name.ends_with(".dna") && !name.contains('/')))
}

fn forget_old(dna: &cap_std::fs::Dir, in_force: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in dna.entries()? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.ends_with(".dna")
        {
            names.push(name);
        }
    }
    names.sort();
    let extra = names.len().saturating_sub(BUNDLES_KEPT);
    for old in names.iter().take(extra).filter(|name| *name != in_force) {
        dna.remove_file(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn the_last_five_are_kept_and_the_newest_is_in_force() {
        let (path, _) = scratch("bundles");
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(current(&state).unwrap(), None);
        for version in 1..=12_u64 {
            let bytes = version.to_le_bytes();
            keep(&state, version, &Digest::of(&bytes), &bytes).unwrap();
        }
        let kept = std::fs::read_dir(path.join("dna")).unwrap().count();
        assert_eq!(kept, BUNDLES_KEPT);
        let in_force = current(&state).unwrap().unwrap();
        assert_eq!(std::fs::read(in_force).unwrap(), 12_u64.to_le_bytes());
    }

    #[test]
    fn current_cannot_lead_elsewhere() {
        let (path, _) = scratch("elsewhere");
        let state = StateFolder::open(&path).unwrap();
        std::fs::write(path.join("current"), "../../etc/x.dna\n").unwrap();
        assert_eq!(current(&state).unwrap(), None);
    }
}
