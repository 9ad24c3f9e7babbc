//! The sources that travel inside the binary: the SDK, its templates, the standard genes, and the
//! law for those of them that are neurons.
//!
//! With them a new project builds, and a folder of static files is served, without a checkout of
//! cyte. They are plain files in one table, made by the build script.

use std::fs;
use std::path::{Component, Path};

use sha2::{Digest as _, Sha256};

use super::{Kind, WorkshopError, hex};

/// Path relative to the repository's root (`sdk/src/lib.rs`) and content, sorted by path.
static TABLE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// The version of cyte, its SDK and its standard genes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folder of the SDK.
pub const SDK: &str = "sdk";
/// The folder of the standard genes' workspace.
pub const GENES: &str = "genes";
/// The folder of the templates for new projects.
pub const TEMPLATES: &str = "sdk/templates";

/// The law and its crate, as the standard neurons need it: whole paths from the repository's root.
pub fn law() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let is_ours = |path: &str| path == "Cargo.toml" || path.starts_with("runtime/");
    TABLE.iter().copied().filter(move |(path, _)| is_ours(path))
}

/// Every embedded file below `folder`: its path relative to `folder`, and its content.
pub fn under(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    TABLE
        .iter()
        .filter_map(move |(path, bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *bytes)))
}

/// The SDK as a crate needs it: without templates, tests and what only its makers run.
pub fn sdk() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    under(SDK).filter(|(path, _)| {
        !["templates/", "tests/", "examples/", "bindings.sh"].iter().any(|p| path.starts_with(p))
    })
}

/// 64 hex digits over paths and contents of `files`, in their order.
pub(super) fn digest(files: impl Iterator<Item = (&'static str, &'static [u8])>) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize())
}

/// Write files below `folder`.
///
/// # Errors
/// Kind `Write`, naming the file.
pub(super) fn extract<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
    folder: &Path,
) -> Result<(), WorkshopError> {
    for (name, bytes) in files {
        // The table is our own, but a path that leads out of the folder must not exist anywhere.
        if Path::new(name).components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(WorkshopError::new(
                Kind::Write,
                format!("cannot write `{name}`"),
                "not a plain path",
            ));
        }
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|e| WorkshopError::write(&path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A file that the build script did not see would be missing for everybody else.
    #[test]
    fn the_table_is_what_the_folders_hold() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut on_disk = BTreeSet::new();
        let mut folders = vec![SDK.to_owned(), GENES.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap();
                let path = format!("{folder}/{name}");
                match entry.file_type().unwrap().is_dir() {
                    true if name == "target" || name.starts_with('.') => {}
                    true => folders.push(path),
                    false if name.ends_with(".orig") || name.ends_with('~') => {}
                    false => {
                        on_disk.insert(path);
                    }
                }
            }
        }
        let is_folder = |path: &&str| [SDK, GENES].iter().any(|folder| path.starts_with(folder));
        let embedded = TABLE.iter().map(|(path, _)| *path).filter(is_folder);
        let embedded: BTreeSet<String> = embedded.map(str::to_owned).collect();
        assert_eq!(embedded, on_disk, "help: touch runtime/host/build.rs");
    }

    /// Each module that the law's crate has without its feature `host` is there, so that a neuron
    /// builds from what travels.
    #[test]
    fn the_law_travels_whole() {
        let text = |name: &str| {
            let found = law().find(|(path, _)| *path == format!("runtime/organism/src/{name}"));
            found.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap())
        };
        let mut seen = 0;
        for (file, folder) in [("lib.rs", ""), ("neuron.rs", "neuron/"), ("law/mod.rs", "law/")] {
            let mut is_left_out = false;
            for line in text(file).unwrap().lines() {
                if line.starts_with("#[cfg(") {
                    is_left_out = true;
                    continue;
                }
                let module = line.trim_start_matches("pub ").strip_prefix("mod ");
                if let Some(module) = module.and_then(|rest| rest.strip_suffix(';')).filter(|_| !is_left_out)
                {
                    let forms = [format!("{folder}{module}.rs"), format!("{folder}{module}/mod.rs")];
                    assert!(forms.iter().any(|form| text(form).is_some()), "{file}: {module}");
                    seen += 1;
                }
                is_left_out = false;
            }
        }
        assert!(seen >= 15, "{seen}");
    }

    #[test]
    fn a_path_out_of_the_folder_is_not_written() {
        for bad in ["../x", "/x", "a/../../x"] {
            let error = extract([(bad, &b""[..])].into_iter(), Path::new("/nonexistent")).unwrap_err();
            assert_eq!(error.why, "not a plain path");
        }
    }

    #[test]
    fn digests_tell_paths_from_contents() {
        let one = digest([("a", &b"bc"[..])].into_iter());
        let two = digest([("ab", &b"c"[..])].into_iter());
        assert_ne!(one, two);
        assert_eq!(one.len(), 64);
    }
}
