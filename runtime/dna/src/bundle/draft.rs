//! A bundle in its author's hands: packed, not or partly signed. Nothing in it is trusted, and
//! there is no way from here to [`super::Dna`] but through its bytes.

use std::collections::BTreeMap;

use super::{Blobs, DnaBytes, Envelope, Signature, signed_message};
use crate::limits::SIGNATURES;
use crate::{Digest, DnaError, KeyId, Manifest, PublicKey, SigningKey};

/// A manifest with its blobs and the signatures made so far.
#[derive(Clone)]
pub struct Draft {
    manifest: Manifest,
    envelope: Envelope,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Draft {
    /// A manifest and the blobs that its genes need; further ones are left out.
    ///
    /// # Errors
    /// Where the manifest breaks a rule, or [`DnaError::MissingBlob`].
    pub fn new(manifest: Manifest, mut blobs: BTreeMap<Digest, Vec<u8>>) -> Result<Self, DnaError> {
        let bytes = manifest.encode()?;
        let wanted: Vec<Digest> = manifest.blobs().iter().map(|blob| blob.sha256).collect();
        blobs.retain(|digest, _| wanted.binary_search(digest).is_ok());
        for (digest, bytes) in &blobs {
            if Digest::of(bytes) != *digest {
                return Err(DnaError::BlobChanged { expected: *digest });
            }
        }
        for digest in &wanted {
            if !blobs.contains_key(digest)
                && let Some(gene) = manifest.gene_of_blob(digest)
            {
                return Err(DnaError::MissingBlob { blob: *digest, gene: gene.clone() });
            }
        }
        let envelope = Envelope { manifest: bytes, signatures: Vec::new() };
        Ok(Draft { manifest, envelope, blobs })
    }

    /// Read a bundle to inspect it or to sign it further. Its form, signatures and digests are
    /// checked; whether its keys are to be trusted, and whether any blob is missing, is not.
    ///
    /// # Errors
    /// Where it is malformed, or a signature or blob in it does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DnaError> {
        let DnaBytes { envelope, source } = DnaBytes::read(bytes)?;
        envelope.check_signatures()?;
        let manifest = Manifest::decode(&envelope.manifest)?;
        let blobs = Blobs::new(source, &manifest).read_all()?;
        Ok(Draft { manifest, envelope, blobs })
    }

    /// What it says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.envelope.manifest)
    }

    /// The ids of the keys that signed it, ascending.
    #[must_use]
    pub fn signers(&self) -> Vec<KeyId> {
        self.envelope.signers().iter().map(PublicKey::id).collect()
    }

    /// The bytes of a blob, where the bundle holds it.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&[u8]> {
        self.blobs.get(digest).map(Vec::as_slice)
    }

    /// Whether the germline that it carries is satisfied by the signatures so far.
    ///
    /// # Errors
    /// [`DnaError::UnderThreshold`] with how many there are and how many are needed.
    pub fn demand_signed(&self) -> Result<(), DnaError> {
        self.manifest.germline.demand(&self.envelope.signers(), &self.manifest.revoked.keys)
    }

    /// Add a signature. Signing twice with one key leaves one signature.
    ///
    /// # Errors
    /// [`DnaError::TooLarge`] where there are 16 already.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), DnaError> {
        let signatures = &mut self.envelope.signatures;
        let public = key.public();
        let Err(at) = signatures.binary_search_by_key(&public.id(), |signature| signature.key.id()) else {
            return Ok(());
        };
        if signatures.len() >= SIGNATURES {
            let (found, cap) = (signatures.len() as u64 + 1, SIGNATURES as u64);
            return Err(DnaError::TooLarge { what: "the number of signatures is", found, cap });
        }
        let bytes = key.sign(&signed_message(&self.envelope.manifest));
        signatures.insert(at, Signature { key: public, bytes });
        Ok(())
    }

    /// Sign with these keys and give the bundle.
    ///
    /// # Errors
    /// As [`Draft::sign`].
    pub fn sign_all<'a>(
        mut self,
        keys: impl IntoIterator<Item = &'a SigningKey>,
    ) -> Result<Vec<u8>, DnaError> {
        keys.into_iter().try_for_each(|key| self.sign(key))?;
        Ok(self.to_bytes())
    }

    /// The bundle.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.envelope.write();
        out.extend_from_slice(&(self.blobs.len() as u32).to_be_bytes());
        for (digest, bytes) in &self.blobs {
            out.extend_from_slice(digest.as_bytes());
            out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        out
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Manifest { organism, version, .. } = &self.manifest;
        write!(f, "Draft({organism} {version}, {} signatures)", self.envelope.signatures.len())
    }
}
