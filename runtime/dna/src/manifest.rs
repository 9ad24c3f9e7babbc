//! The manifest: all of an organism's DNA except the bytes of its blobs. This is what is signed.
//!
//! Encoded with postcard in exactly one way: decoding and encoding again must give the same
//! bytes, lists are sorted and hold nothing twice. Its meaning never depends on the time, the
//! machine or the order in which something was written.

mod check;
mod diff;
#[cfg(test)]
mod tests;

pub use check::ManifestError;
pub use diff::{Change, ChangeKind};

use serde::{Deserialize, Serialize};

use crate::limits::MANIFEST_BYTES;
use crate::{
    Blob, Digest, DnaError, Gene, GeneName, Germline, HostName, KeyId, OrganismName, Policy, PublicKey,
};

/// An organism's DNA without its blobs. Plain data until [`crate::DnaBytes::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose DNA it is.
    pub organism: OrganismName,
    /// Rises strictly with every DNA of this organism; the first is 1.
    pub version: u64,
    /// A version for people, at most 64 bytes; nothing compares it.
    pub label: String,
    /// Not accepted before, unix seconds; 0 = no bound. Also raises a host's time floor.
    pub not_before: u64,
    /// Not accepted from then on, unix seconds; `None` = no bound. Never stops what runs.
    pub expires: Option<u64>,
    /// What it descends from.
    pub lineage: Lineage,
    /// The germline in force once it is accepted. Another than `lineage.germline` is a rotation,
    /// which the keys of both must have signed.
    pub germline: Germline,
    /// Ascending by name.
    pub genes: Vec<Gene>,
    /// How the organism lives.
    pub policy: Policy,
    /// Hosts that belong to it. Ascending by key.
    pub roster: Vec<RosterEntry>,
    /// What it takes back.
    pub revoked: Revoked,
    /// A host may return to accepted versions from this one on, without a signature.
    pub floor: u64,
}

/// What a manifest descends from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Digest of the manifest before; `None` for an organism's first.
    pub parent: Option<Digest>,
    /// Digest of the germline under which it is signed.
    pub germline: Digest,
}

/// A host that belongs to an organism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// Its name, for people.
    pub name: HostName,
    /// Its key.
    pub key: PublicKey,
}

/// Keys and genes that no longer count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Ids of keys whose signatures no longer count. Ascending.
    pub keys: Vec<KeyId>,
    /// Digests of components that are refused. Ascending.
    pub genes: Vec<Digest>,
}

impl Manifest {
    /// The one encoding of this manifest.
    ///
    /// # Errors
    /// Where it breaks a rule ([`Manifest::check`]) or is larger than 4 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, DnaError> {
        self.check()?;
        let bytes = self.raw_encoding()?;
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Read a manifest: size, encoding, canonical form, rules, in this order.
    ///
    /// # Errors
    /// [`DnaError::TooLarge`], [`DnaError::Undecodable`], [`DnaError::NotCanonical`] or
    /// [`DnaError::Manifest`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DnaError> {
        check_size(bytes)?;
        let (manifest, rest): (Manifest, _) =
            postcard::take_from_bytes(bytes).map_err(|error| DnaError::Undecodable(describe(error)))?;
        // The decoder takes overlong numbers; there must not be two encodings of one DNA.
        if !rest.is_empty() || manifest.raw_encoding()? != bytes {
            return Err(DnaError::NotCanonical);
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The gene of this name.
    #[must_use]
    pub fn gene(&self, name: &str) -> Option<&Gene> {
        let at = self.genes.binary_search_by(|gene| gene.name.as_str().cmp(name)).ok()?;
        self.genes.get(at)
    }

    /// Every blob that its genes need, ascending by digest, each once.
    #[must_use]
    pub fn blobs(&self) -> Vec<Blob> {
        let mut blobs: Vec<Blob> = self.genes.iter().flat_map(Gene::blobs).copied().collect();
        blobs.sort_unstable();
        blobs.dedup();
        blobs
    }

    /// The first gene that needs this blob.
    #[must_use]
    pub fn gene_of_blob(&self, digest: &Digest) -> Option<&GeneName> {
        let needs = |gene: &&Gene| gene.blobs().any(|blob| blob.sha256 == *digest);
        self.genes.iter().find(needs).map(|gene| &gene.name)
    }

    fn raw_encoding(&self) -> Result<Vec<u8>, DnaError> {
        postcard::to_allocvec(self).map_err(|error| DnaError::Undecodable(describe(error)))
    }
}

/// The codec drops what a value had to say about itself, so that only the kind is known.
fn describe(error: postcard::Error) -> String {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "it ends too early".into(),
        postcard::Error::SerdeDeCustom => {
            "a name, route, grant, key or germline in it breaks its rules".into()
        }
        other => other.to_string(),
    }
}

fn check_size(bytes: &[u8]) -> Result<(), DnaError> {
    if bytes.len() <= MANIFEST_BYTES {
        return Ok(());
    }
    Err(DnaError::TooLarge {
        what: "the manifest's bytes are",
        found: bytes.len() as u64,
        cap: MANIFEST_BYTES as u64,
    })
}
