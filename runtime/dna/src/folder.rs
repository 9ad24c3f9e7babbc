//! A folder of files as one blob: the same files give the same bytes on every machine.
//!
//! No times, owners or modes: only paths and contents. Paths are relative, sorted, and cannot
//! lead out of the folder, so that a host may unpack them below a directory of its own.
//! Layout: `cyteFLD1`, number of files (u32), then for each its path length (u16), path,
//! length (u64) and bytes; numbers are big-endian.

use std::ops::Range;

use crate::limits::{BLOB_BYTES, FOLDER_FILES, FOLDER_NAME_BYTES, FOLDER_PATH_BYTES};
use crate::{Blob, DnaError};

const MAGIC: &[u8; 8] = b"cyteFLD1";

/// A packed folder: its archive and where each file lies in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Folder {
    bytes: Vec<u8>,
    files: Vec<(Box<str>, Range<usize>)>,
}

impl Folder {
    /// Pack files, in any order.
    ///
    /// # Errors
    /// [`DnaError::BadFolder`] names the file: a path that is empty, absolute, too long, holds
    /// `.`, `..`, `//`, a backslash or a control character, is there twice, or is a file and a
    /// folder at once; also too many files, or more than 64 MiB in all.
    pub fn pack<I, B>(files: I) -> Result<Self, DnaError>
    where
        I: IntoIterator<Item = (String, B)>,
        B: AsRef<[u8]>,
    {
        let mut sorted: Vec<(String, B)> = Vec::new();
        let mut size = (MAGIC.len() + 4) as u64;
        for (path, content) in files {
            check_path(&path).map_err(|reason| bad(reason, Some(&path)))?;
            size += (2 + path.len() + 8) as u64 + content.as_ref().len() as u64;
            if size > BLOB_BYTES {
                return Err(bad("it is larger than 64 MiB", Some(&path)));
            }
            if sorted.len() == FOLDER_FILES {
                return Err(bad("it has more than 65536 files", Some(&path)));
            }
            sorted.push((path, content));
        }
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(sorted.len() as u32).to_be_bytes());
        for (path, content) in &sorted {
            let content = content.as_ref();
            bytes.extend_from_slice(&(path.len() as u16).to_be_bytes());
            bytes.extend_from_slice(path.as_bytes());
            bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
            bytes.extend_from_slice(content);
        }
        Self::parse(bytes)
    }

    /// Read an archive.
    ///
    /// # Errors
    /// [`DnaError::BadFolder`] where it is not exactly what [`Folder::pack`] writes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DnaError> {
        if bytes.len() as u64 > BLOB_BYTES {
            return Err(bad("it is larger than 64 MiB", None));
        }
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        if cursor.take(MAGIC.len())? != MAGIC {
            return Err(bad("it does not begin with the bytes of one", None));
        }
        let count = u32::from_be_bytes(cursor.array()?) as usize;
        if count > FOLDER_FILES {
            return Err(bad("it has more than 65536 files", None));
        }
        let mut files: Vec<(Box<str>, Range<usize>)> = Vec::new();
        for _ in 0..count {
            files.push(cursor.file()?);
        }
        if cursor.at != bytes.len() {
            return Err(bad("bytes follow its end", None));
        }
        check_order(&files)?;
        Ok(Folder { bytes, files })
    }

    /// The archive.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The archive.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What names the archive.
    #[must_use]
    pub fn blob(&self) -> Blob {
        Blob::of(&self.bytes)
    }

    /// The files in ascending order of path.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, range)| (&**path, self.content(range)))
    }

    /// The content of one file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        let at = self.files.binary_search_by(|(name, _)| (**name).cmp(path)).ok()?;
        self.files.get(at).map(|(_, range)| self.content(range))
    }

    /// How many files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn content(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or(&[])
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Folder({} files, {} bytes)", self.files.len(), self.bytes.len())
    }
}

fn bad(reason: &'static str, path: Option<&str>) -> DnaError {
    DnaError::BadFolder { reason, path: path.map(|path| path.chars().take(200).collect()) }
}

/// Whether a path is relative and stays below where it starts, on every file system.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("a path is empty");
    }
    if path.len() > FOLDER_PATH_BYTES {
        return Err("a path is longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return Err("a path is absolute");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("a path holds a backslash or a control character");
    }
    for segment in path.split('/') {
        match segment {
            "" => return Err("a path holds // or ends in /"),
            "." | ".." => return Err("a path holds . or .."),
            long if long.len() > FOLDER_NAME_BYTES => {
                return Err("a part of a path is longer than 255 bytes");
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_order(files: &[(Box<str>, Range<usize>)]) -> Result<(), DnaError> {
    for pair in files.windows(2) {
        let [(first, _), (second, _)] = pair else { continue };
        if first >= second {
            return Err(bad("a file is there twice or out of order", Some(second)));
        }
    }
    let is_file = |path: &str| files.binary_search_by(|(name, _)| (**name).cmp(path)).is_ok();
    for (path, _) in files {
        let mut parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        if parents.any(is_file) {
            return Err(bad("a file is in a folder that is itself a file", Some(path)));
        }
    }
    Ok(())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DnaError> {
        let end = self.at.checked_add(length);
        let piece = end.and_then(|end| self.bytes.get(self.at..end));
        let piece = piece.ok_or_else(|| bad("it ends too early", None))?;
        self.at += length;
        Ok(piece)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DnaError> {
        self.take(N)?.try_into().map_err(|_| bad("it ends too early", None))
    }

    fn file(&mut self) -> Result<(Box<str>, Range<usize>), DnaError> {
        let path_length = usize::from(u16::from_be_bytes(self.array()?));
        let path =
            std::str::from_utf8(self.take(path_length)?).map_err(|_| bad("a path is not UTF-8", None))?;
        check_path(path).map_err(|reason| bad(reason, Some(path)))?;
        let length = u64::from_be_bytes(self.array()?);
        let length = usize::try_from(length).map_err(|_| bad("it ends too early", Some(path)))?;
        let start = self.at;
        self.take(length)?;
        Ok((path.into(), start..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(paths: &[&str]) -> Result<Folder, DnaError> {
        Folder::pack(paths.iter().map(|path| (path.to_string(), path.as_bytes().to_vec())))
    }

    #[test]
    fn order_of_files_does_not_matter() {
        let folder = pack(&["b", "a/x", "a-y", "a/b/c"]).unwrap();
        assert_eq!(folder, pack(&["a/b/c", "a-y", "b", "a/x"]).unwrap());
        let paths: Vec<_> = folder.files().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a-y", "a/b/c", "a/x", "b"]);
        assert_eq!(folder.get("a/x"), Some(&b"a/x"[..]));
        assert_eq!(folder.get("a"), None);
        assert_eq!(pack(&[]).unwrap().len(), 0);
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["", "/a", "..", "../a", "a/../b", "a/./b", "a//b", "a/", "a\0b", "a\\b", "a\nb", "./a"] {
            assert!(pack(&[bad]).is_err(), "{bad:?}");
        }
        assert!(pack(&["a", "a"]).is_err());
        assert!(pack(&["a", "a-b", "a/b"]).is_err());
        assert!(pack(&["a/b", "a/b/c/d"]).is_err());
        assert!(pack(&["a/b", "ab", "...", "a/c"]).is_ok());
    }

    #[test]
    fn caps_of_a_folder() {
        let deep = vec!["d".repeat(200); 5].join("/");
        assert!(pack(&[&format!("{deep}/{}", "e".repeat(19))]).is_ok());
        assert!(pack(&[&format!("{deep}/{}", "e".repeat(20))]).is_err());
        assert!(pack(&[&"f".repeat(256)]).is_err());
        let many = |n: usize| Folder::pack((0..n).map(|i| (format!("{i:05x}"), [])));
        assert_eq!(many(FOLDER_FILES).unwrap().len(), FOLDER_FILES);
        assert!(many(FOLDER_FILES + 1).is_err());
        let half = vec![0; BLOB_BYTES as usize / 2];
        assert!(Folder::pack([("a".into(), &half), ("b".into(), &half)]).is_err());
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let bytes = pack(&["a", "b/c"]).unwrap().into_bytes();
        for length in 0..bytes.len() {
            assert!(Folder::parse(bytes[..length].to_vec()).is_err(), "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Folder::parse(longer).is_err());
        let mut huge = bytes;
        huge[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Folder::parse(huge).is_err());
    }

    proptest! {
        #[test]
        fn what_parses_is_what_pack_writes(
            files in prop::collection::btree_map("[a-c]{1,2}(/[a-c]{1,2}){0,2}", prop::collection::vec(any::<u8>(), 0..8), 0..6),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let Ok(folder) = Folder::pack(files.clone()) else { return Ok(()) };
            let back: Vec<_> = folder.files().map(|(path, content)| (path.to_string(), content.to_vec())).collect();
            prop_assert_eq!(&back, &files.into_iter().collect::<Vec<_>>());
            let mut bytes = folder.into_bytes();
            prop_assert!(Folder::parse(bytes.clone()).is_ok());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(other) = Folder::parse(bytes.clone()) {
                let again = Folder::pack(other.files().map(|(path, content)| (path.to_string(), content.to_vec())));
                prop_assert_eq!(again.unwrap().into_bytes(), bytes);
            }
        }
    }
}
