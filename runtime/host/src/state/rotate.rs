//! A log file that never grows beyond its bound: full files are renamed `.1`, `.2`, ... and the
//! oldest is deleted.

use std::io::{self, Write as _};

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use cyte_dna::limits;

/// How many full files are kept beside the one being written.
const FILES_KEPT: u32 = limits::LOG_FILES_KEPT;

/// An append-only file with a bound. Not durable: a power cut may lose the last lines.
#[derive(Debug)]
pub struct RotatedFile {
    dir: Dir,
    name: String,
    file: File,
    written: u64,
    max: u64,
}

impl RotatedFile {
    /// Opens `name` in `dir` for appending, with the usual bounds.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(dir: Dir, name: &str) -> io::Result<Self> {
        Self::open_bounded(dir, name, limits::LOG_FILE_BYTES)
    }

    fn open_bounded(dir: Dir, name: &str, max: u64) -> io::Result<Self> {
        let file = append(&dir, name)?;
        let written = file.metadata()?.len();
        Ok(Self { dir, name: name.to_owned(), file, written, max })
    }

    /// Appends `bytes`, rotating first when they would not fit.
    ///
    /// # Errors
    /// What the file system says; part of `bytes` may have been written then.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written.saturating_add(bytes.len() as u64) > self.max {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.written = self.written.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES_KEPT).rev() {
            self.rename(&format!("{}.{number}", self.name), number + 1)?;
        }
        self.rename(&self.name.clone(), 1)?;
        self.file = append(&self.dir, &self.name)?;
        self.written = 0;
        Ok(())
    }

    fn rename(&self, from: &str, number: u32) -> io::Result<()> {
        match self.dir.rename(from, &self.dir, format!("{}.{number}", self.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn append(dir: &Dir, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    dir.open_with(name, &options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let (path, dir) = scratch("rotate");
        let mut file = RotatedFile::open_bounded(dir, "x.log", 10).unwrap();
        for _ in 0..20 {
            file.append(b"12345678\n").unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2", "x.log.3", "x.log.4"]);
        for name in names {
            assert!(std::fs::metadata(path.join(name)).unwrap().len() <= 10);
        }
    }

    #[test]
    fn an_existing_file_is_continued() {
        let (path, dir) = scratch("continue");
        for _ in 0..2 {
            RotatedFile::open(dir.try_clone().unwrap(), "x.log").unwrap().append(b"a").unwrap();
        }
        assert_eq!(std::fs::read_to_string(path.join("x.log")).unwrap(), "aa");
    }
}
