//! A folder on disk becomes a packed [`Folder`] of the DNA.

use std::fs;
use std::path::{Path, PathBuf};

use cyte_dna::{Folder, limits};

use super::{Kind, Notes, WorkshopError, cache};

/// A packed folder and what was left out of it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) folder: Folder,
    pub(super) left_out: Vec<String>,
}

/// Pack all files below `root`. What begins with a dot stays out (`.git`, `.env`, editors' files),
/// but for `.well-known`; a symbolic link is an error, as it could lead anywhere.
///
/// # Errors
/// Kind `Missing`: not a readable folder; `Build`: a link, a special file, or more than the DNA's
/// caps allow (64 MiB, 65,536 files).
pub(super) fn pack(root: &Path) -> Result<Packed, WorkshopError> {
    let mut walk = Walk { files: Vec::new(), left_out: Vec::new(), bytes: 0 };
    walk.folder(root, "")?;
    let Walk { mut files, mut left_out, .. } = walk;
    files.sort();
    left_out.sort();
    let mut contents = Vec::with_capacity(files.len());
    for (name, path) in files {
        let bytes =
            cache::read_bounded(&path, limits::BLOB_BYTES).map_err(|e| WorkshopError::read(&path, e))?;
        contents.push((name, bytes.ok_or_else(|| too_large(root))?));
    }
    let folder = Folder::pack(contents).map_err(|e| WorkshopError::new(Kind::Build, cannot_pack(root), e))?;
    Ok(Packed { folder, left_out })
}

/// Tell what was left out, so that nobody looks for it.
pub(super) fn note_left_out(packed: &Packed, name: &str, notes: &dyn Notes) {
    const SHOWN: usize = 3;
    if packed.left_out.is_empty() {
        return;
    }
    let shown = packed.left_out.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match packed.left_out.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    notes.note("left out", &format!("of {name}: {shown}{more}"));
}

struct Walk {
    files: Vec<(String, PathBuf)>,
    left_out: Vec<String>,
    bytes: u64,
}

impl Walk {
    /// Collect the files of one folder; `below` is its path relative to the root, with a slash.
    fn folder(&mut self, folder: &Path, below: &str) -> Result<(), WorkshopError> {
        let failed = |e: std::io::Error| WorkshopError::read(folder, e);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let wrong = |why: &str| {
                Err(WorkshopError::new(Kind::Build, format!("cannot pack `{}`", path.display()), why))
            };
            let Ok(file) = entry.file_name().into_string() else { return wrong("its name is not UTF-8") };
            let name = format!("{below}{file}");
            // Bounds the depth too.
            if name.len() > limits::FOLDER_PATH_BYTES {
                return wrong("its path is too long");
            }
            if file.starts_with('.') && file != ".well-known" {
                self.left_out.push(name);
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.folder(&path, &format!("{name}/"))?;
            } else if kind.is_file() {
                self.bytes = self.bytes.saturating_add(entry.metadata().map_err(failed)?.len());
                self.files.push((name, path));
            } else if kind.is_symlink() {
                return wrong("a symbolic link could lead anywhere; copy the file instead");
            } else {
                return wrong("it is neither a file nor a folder");
            }
            if self.bytes > limits::BLOB_BYTES || self.files.len() > limits::FOLDER_FILES {
                return Err(too_large(folder));
            }
        }
        Ok(())
    }
}

fn cannot_pack(root: &Path) -> String {
    format!("cannot pack the folder `{}`", root.display())
}

fn too_large(root: &Path) -> WorkshopError {
    let why = format!(
        "a folder in a DNA has at most {} files and {} MiB",
        limits::FOLDER_FILES,
        limits::BLOB_BYTES >> 20
    );
    WorkshopError::new(Kind::Build, cannot_pack(root), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp() -> cache::Temp {
        cache::Temp::beside(&std::env::temp_dir().join("cyte-folder-test")).unwrap()
    }

    #[test]
    fn hidden_files_stay_out_and_paths_are_relative() {
        let temp = temp();
        for name in ["index.html", "css/a.css", ".env", ".git/config", ".well-known/x"] {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let packed = pack(temp.path()).unwrap();
        let names: Vec<&str> = packed.folder.files().map(|(name, _)| name).collect();
        assert_eq!(names, [".well-known/x", "css/a.css", "index.html"]);
        assert_eq!(packed.left_out, [".env", ".git"]);
        assert_eq!(packed.folder.get("css/a.css").unwrap(), b"css/a.css");
    }

    #[test]
    fn links_and_absent_folders_are_refused() {
        let temp = temp();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("p")).unwrap();
        let error = pack(temp.path()).unwrap_err();
        assert!(error.why.contains("symbolic link"), "{error}");
        assert_eq!(pack(&temp.path().join("none")).unwrap_err().kind, Kind::Missing);
    }

    #[test]
    fn a_folder_above_the_cap_is_refused_before_it_is_read() {
        let temp = temp();
        // Sparse: no disk is used.
        fs::File::create(temp.path().join("big")).unwrap().set_len(limits::BLOB_BYTES + 1).unwrap();
        assert!(pack(temp.path()).unwrap_err().why.contains("64 MiB"));
    }
}
