//! Compiled code, kept on disk by digest and engine.
//!
//! Running a compiled artefact is running native code, so nothing is loaded that this host did not
//! write itself: each file ends with a MAC under a key that only this host has, over the engine,
//! the gene's digest and the code. A file that fails the check is deleted and compiled anew.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cyte_dna::Digest;
use hmac::{Hmac, KeyInit, Mac, digest::Key};
use sha2::Sha256;

const MAC_BYTES: usize = 32;

/// The host-private folder of compiled code.
#[derive(Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    key: [u8; 32],
}

impl CodeCache {
    pub(crate) fn new(folder: PathBuf, key: [u8; 32]) -> Self {
        Self { folder, key }
    }

    /// The code of this gene for this engine, if it is here and authentic.
    pub(crate) fn load(&self, engine: &str, gene: &Digest) -> Option<Vec<u8>> {
        let path = self.path(engine, gene);
        let mut code = fs::read(&path).ok()?;
        let Some(end) = code.len().checked_sub(MAC_BYTES) else { return self.reject(&path) };
        // The MAC comes last, so that taking it off moves none of the code.
        let mac = code.split_off(end);
        match self.mac(engine, gene, &code).verify_slice(&mac) {
            Ok(()) => Some(code),
            Err(_) => self.reject(&path),
        }
    }

    /// Keeps code: whole or not at all.
    pub(crate) fn store(&self, engine: &str, gene: &Digest, code: &[u8]) -> io::Result<()> {
        let path = self.path(engine, gene);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = Vec::with_capacity(MAC_BYTES + code.len());
        file.extend_from_slice(code);
        file.extend_from_slice(&self.mac(engine, gene, code).finalize().into_bytes());
        fs::write(&temporary, &file)?;
        fs::rename(&temporary, &path)
    }

    /// Where the code of a gene lives.
    fn path(&self, engine: &str, gene: &Digest) -> PathBuf {
        self.folder.join(engine).join(gene.to_string())
    }

    fn mac(&self, engine: &str, gene: &Digest, code: &[u8]) -> Hmac<Sha256> {
        // Engine names have no NUL and digests are of one length, so the parts cannot be mistaken.
        // HMAC pads a short key to its block with zeros; done here, it cannot fail.
        let mut key = Key::<Hmac<Sha256>>::default();
        key.iter_mut().zip(self.key).for_each(|(padded, byte)| *padded = byte);
        let mut mac = Hmac::<Sha256>::new(&key);
        mac.update(b"cyte code v2\0");
        mac.update(engine.as_bytes());
        mac.update(b"\0");
        mac.update(gene.to_string().as_bytes());
        mac.update(code);
        mac
    }

    fn reject(&self, path: &Path) -> Option<Vec<u8>> {
        tracing::warn!("compiled code {} is not what this host wrote: it is gone", path.display());
        let _ = fs::remove_file(path);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_untouched_code_of_this_host_engine_and_gene_loads() {
        let folder = std::env::temp_dir().join(format!("cyte-cache-{}", std::process::id()));
        let cache = CodeCache::new(folder.clone(), [7; 32]);
        let gene = Digest::of(b"gene");
        let keep = || cache.store("plain-1", &gene, b"code").expect("stored");
        keep();
        assert_eq!(cache.load("plain-1", &gene).as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.load("plain-2", &gene), None);
        assert_eq!(
            CodeCache::new(folder.clone(), [8; 32]).load("plain-1", &gene),
            None,
            "another host's key"
        );
        let path = cache.path("plain-1", &gene);
        keep();
        let size = fs::metadata(&path).expect("there").len();
        for at in 0..size {
            keep();
            let mut file = fs::read(&path).expect("read");
            file[at as usize] ^= 1;
            fs::write(&path, file).expect("written");
            assert_eq!(cache.load("plain-1", &gene), None, "byte {at}");
        }
        keep();
        let other = cache.path("plain-1", &Digest::of(b"other"));
        fs::rename(&path, &other).expect("renamed");
        assert_eq!(cache.load("plain-1", &Digest::of(b"other")), None, "swapped");
        fs::remove_dir_all(folder).expect("removed");
    }
}
