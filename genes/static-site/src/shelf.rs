//! Files: found without following links, hashed once, small ones kept.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use cyte_sdk::bytes::Bytes;
use cyte_sdk::prelude::*;

use crate::kinds;
use crate::names::Name;

/// The largest file that is kept, in bytes.
const KEPT_FILE: u64 = 256 << 10;
/// The most bytes of files that are kept.
const KEPT_BYTES: u64 = 8 << 20;
/// The most files whose tags are remembered.
const KEPT_NAMES: usize = 4_096;
/// How much of a file is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// What a name stands for.
pub(crate) enum Found {
    File(Item),
    /// A folder that was named without the slash at its end.
    Folder,
    Nothing,
}

/// One file as it is served.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    path: PathBuf,
    kind: &'static str,
    /// In bytes.
    pub(crate) length: u64,
    changed: Option<SystemTime>,
    /// The strong ETag, with its quotes.
    pub(crate) tag: String,
    /// None for a file that is too large to be kept.
    content: Option<Bytes>,
}

/// The folder, and what is known of its files.
pub(crate) struct Shelf {
    root: PathBuf,
    watch: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    items: BTreeMap<Name, Item>,
    /// Bytes of content in `items`.
    bytes: u64,
}

impl Shelf {
    pub(crate) fn new(root: PathBuf, watch: bool) -> Self {
        Self { root, watch, known: Mutex::default() }
    }

    /// Finds the file of a name, or the page of a folder.
    pub(crate) fn find(&self, name: &Name) -> io::Result<Found> {
        let name = if name.is_folder() { name.index() } else { name.clone() };
        if !self.watch
            && let Some(item) = self.lock().items.get(&name)
        {
            return Ok(Found::File(item.clone()));
        }
        if name.as_str().is_empty() {
            return Ok(Found::Folder);
        }
        let Some((path, meta)) = self.walk(&name)? else {
            return Ok(Found::Nothing);
        };
        if meta.is_dir() {
            return Ok(Found::Folder);
        }
        if let Some(item) = self.lock().items.get(&name)
            && item.length == meta.len()
            && item.changed == meta.modified().ok()
        {
            return Ok(Found::File(item.clone()));
        }
        let item = Item::read(path, &name, &meta)?;
        self.keep(name, &item);
        Ok(Found::File(item))
    }

    /// Goes down part by part, so that no link is followed on the way.
    fn walk(&self, name: &Name) -> io::Result<Option<(PathBuf, Metadata)>> {
        let mut path = self.root.clone();
        let mut meta = None;
        for part in name.parts() {
            path.push(part);
            meta = match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() || meta.is_file() => Some(meta),
                Ok(_) => return Ok(None),
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(meta.map(|meta| (path, meta)))
    }

    fn keep(&self, name: Name, item: &Item) {
        let mut known = self.lock();
        if let Some(old) = known.items.remove(&name) {
            known.bytes -= old.kept();
        }
        if known.items.len() >= KEPT_NAMES || known.bytes + item.kept() > KEPT_BYTES {
            return;
        }
        known.bytes += item.kept();
        known.items.insert(name, item.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says that there is no such file, in one way or another.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
    )
}

impl Item {
    fn read(path: PathBuf, name: &Name, meta: &Metadata) -> io::Result<Self> {
        let keep = meta.len() <= KEPT_FILE;
        let (tag, content) = read_through(&path, keep)?;
        let length = content.as_ref().map_or(meta.len(), |content| content.len() as u64);
        let kind = kinds::of(name.as_str());
        Ok(Self { path, kind, length, changed: meta.modified().ok(), tag, content })
    }

    /// How many bytes of content it holds.
    fn kept(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| content.len() as u64)
    }

    /// A response with this part of it, or with its length alone for HEAD.
    pub(crate) fn response(&self, request: &Request, part: Range<u64>) -> io::Result<Response> {
        let length = part.end - part.start;
        let body = if *request.method() == Method::HEAD { Body::empty() } else { self.body(part)? };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }

    fn body(&self, part: Range<u64>) -> io::Result<Body> {
        if let Some(content) = &self.content {
            let (start, end) = (bounded(part.start), bounded(part.end));
            return Ok(content.get(start..end).map(|_| content.slice(start..end)).unwrap_or_default().into());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(part.start))?;
        let mut rest = file.take(part.end - part.start);
        Ok(Body::stream(move |out| {
            let mut piece = vec![0; PIECE];
            loop {
                let read = rest.read(&mut piece)?;
                match piece.get(..read) {
                    Some([]) | None => return Ok(()),
                    Some(piece) => out.send(piece)?,
                }
            }
        }))
    }
}

/// Small contents fit; anything else is cut by the `get` that follows.
fn bounded(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Reads a file once: its tag, and its content if that is wanted.
fn read_through(path: &Path, keep: bool) -> io::Result<(String, Option<Bytes>)> {
    let mut file = File::open(path)?;
    if keep {
        let mut content = Vec::new();
        // One more than is kept, should it have grown meanwhile.
        file.take(KEPT_FILE + 1).read_to_end(&mut content)?;
        let mut print = Print::default();
        print.add(&content);
        return Ok((print.tag(), Some(content.into())));
    }
    let mut print = Print::default();
    let mut piece = vec![0; PIECE];
    loop {
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                read => filled += read,
            }
        }
        // Full pieces until the last, so that the pieces do not show in the print.
        match piece.get(..filled) {
            Some([]) | None => return Ok((print.tag(), None)),
            Some(piece) => print.add(piece),
        }
    }
}

/// A fingerprint of 128 bits over a content, quick in Wasm. It tells versions of a file apart; it
/// is not made to withstand somebody who makes two files of one print.
struct Print {
    lanes: [u64; 2],
    length: u64,
}

impl Default for Print {
    fn default() -> Self {
        Self { lanes: [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f], length: 0 }
    }
}

impl Print {
    /// Adds bytes; all but the last call with a multiple of eight.
    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(rest) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
        self.length += bytes.len() as u64;
    }

    fn mix(&mut self, word: u64) {
        let [a, b] = self.lanes;
        self.lanes = [
            (a ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29),
            (b.rotate_left(23) ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25) ^ (b >> 31),
        ];
    }

    fn tag(mut self) -> String {
        self.mix(self.length);
        let [a, b] = self.lanes.map(|lane| {
            let lane = (lane ^ (lane >> 32)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            lane ^ (lane >> 29)
        });
        format!("\"{a:016x}{b:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(bytes: &[u8]) -> String {
        let mut print = Print::default();
        print.add(bytes);
        print.tag()
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..64 {
            assert!(seen.insert(tag(&vec![0; length])));
        }
        let content = vec![7; 1000];
        for place in 0..1000 {
            for bit in 0..8 {
                let mut other = content.clone();
                other[place] ^= 1 << bit;
                assert!(seen.insert(tag(&other)), "{place} {bit}");
            }
        }
    }

    #[test]
    fn pieces_do_not_show() {
        let content: Vec<u8> = (0..PIECE + 13).map(|n| (n % 251) as u8).collect();
        let mut print = Print::default();
        print.add(&content[..PIECE]);
        print.add(&content[PIECE..]);
        assert_eq!(print.tag(), tag(&content));
    }
}
