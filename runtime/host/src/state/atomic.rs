//! Whole files or nothing: write beside, sync, rename, sync the folder.

use std::io::{self, Read as _, Write as _};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};

/// Replaces file `name` in `dir` by `bytes` with `mode`, so that a crash leaves the old content or
/// the new one and never a part. `name` is a plain file name.
///
/// # Errors
/// What the file system says; then the old content is still there.
pub fn write_atomic(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = format!(".{name}.{}.tmp", std::process::id());
    let written = write_new(dir, &temporary, bytes, mode).and_then(|()| {
        dir.rename(&temporary, dir, name)?;
        sync_dir(dir)
    });
    if written.is_err() {
        // The error that matters is the first one; the leftover is removed if it can be.
        let _ = dir.remove_file(&temporary);
    }
    written
}

fn write_new(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = dir.open_with(name, &options)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename in `dir` durable.
///
/// # Errors
/// What the file system says.
pub fn sync_dir(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}

/// The content of file `name` in `dir`, or `None` when it is not there.
///
/// # Errors
/// What the file system says, and `InvalidData` when the file is larger than `cap` bytes.
pub fn read_capped(dir: &Dir, name: &str, cap: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match dir.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{name}` is larger than {cap} bytes"),
        ));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let (_path, dir) = scratch("atomic");
        write_atomic(&dir, "a", b"one", 0o600).unwrap();
        write_atomic(&dir, "a", b"two", 0o600).unwrap();
        assert_eq!(read_capped(&dir, "a", 10).unwrap().unwrap(), b"two");
        assert_eq!(dir.entries().unwrap().count(), 1);
    }

    #[test]
    fn reading_is_capped_and_absence_is_no_error() {
        let (_path, dir) = scratch("capped");
        write_atomic(&dir, "a", b"12345", 0o600).unwrap();
        assert!(read_capped(&dir, "a", 5).unwrap().is_some());
        assert_eq!(read_capped(&dir, "a", 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read_capped(&dir, "b", 4).unwrap().is_none());
    }
}
