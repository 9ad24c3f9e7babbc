//! The bundle: one file that holds an organism's DNA, and the only way from its bytes to [`Dna`].
//!
//! Layout, numbers big-endian:
//!
//! ```text
//! magic           8   "cyteDNA\0"
//! format          2
//! length          4   of the manifest, at most 4 MiB
//! manifest            postcard, see crate::Manifest
//! signatures      1   how many, at most 16; ascending by key id, each key once
//!   public key   32
//!   signature    64   over "cyte dna manifest\0", format, manifest
//! blobs           4   how many; ascending by digest, each once
//!   digest       32
//!   length        8   must be what the manifest says
//!   bytes
//! ```
//!
//! The order of checks is fixed: envelope caps, signatures, decoding, canonical form, then
//! what the host stored ([`Known`]), then blob digests while they stream. A declared length is
//! compared with its cap before anything is allocated for it.
//!
//! A signature carries its whole key, so that every signature in a file can be checked; whether
//! a key counts is decided by the germline alone.

mod draft;
mod known;
#[cfg(test)]
mod tests;

pub use draft::Draft;
pub use known::{Accepted, Clock, Known, Purpose, Standing};

use std::collections::BTreeMap;
use std::io::Read;

use crate::limits::{MANIFEST_BYTES, SIGNATURES};
use crate::{Blob, Digest, DnaError, Germline, KeyId, Manifest, OrganismName, PublicKey};

const MAGIC: &[u8; 8] = b"cyteDNA\0";
const DOMAIN: &[u8] = b"cyte dna manifest\0";

/// The format that this program writes, and the only one that it reads.
pub const FORMAT: u16 = 1;

/// A signature over a manifest, with the key that made it.
#[derive(Clone, PartialEq, Eq)]
struct Signature {
    key: PublicKey,
    bytes: [u8; 64],
}

/// What is signed: the format is part of it, so that bytes cannot be given another meaning.
fn signed_message(manifest: &[u8]) -> Vec<u8> {
    [DOMAIN, &FORMAT.to_be_bytes(), manifest].concat()
}

/// Everything in front of the blobs, as read: within its caps, nothing else known about it.
#[derive(Clone)]
struct Envelope {
    manifest: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Envelope {
    fn read(source: &mut impl Read) -> Result<Self, DnaError> {
        let magic: [u8; 8] = read_array(source, "head")?;
        if &magic != MAGIC {
            return Err(DnaError::NotDna);
        }
        let found = u16::from_be_bytes(read_array(source, "head")?);
        if found != FORMAT {
            return Err(DnaError::UnknownFormat { found, known: FORMAT });
        }
        let length = u32::from_be_bytes(read_array(source, "head")?);
        if length as usize > MANIFEST_BYTES {
            let (found, cap) = (length.into(), MANIFEST_BYTES as u64);
            return Err(DnaError::TooLarge { what: "the manifest's bytes are", found, cap });
        }
        let manifest = read_vec(source, length.into(), "manifest")?;
        let signatures = read_signatures(source)?;
        Ok(Envelope { manifest, signatures })
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.manifest.len() + 64 + self.signatures.len() * 96);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&(self.manifest.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.manifest);
        out.push(self.signatures.len() as u8);
        for signature in &self.signatures {
            out.extend_from_slice(signature.key.as_bytes());
            out.extend_from_slice(&signature.bytes);
        }
        out
    }

    fn signers(&self) -> Vec<PublicKey> {
        self.signatures.iter().map(|signature| signature.key).collect()
    }

    /// Every signature is one by its key over this manifest.
    fn check_signatures(&self) -> Result<(), DnaError> {
        let message = signed_message(&self.manifest);
        for Signature { key, bytes } in &self.signatures {
            if !key.verifies(&message, bytes) {
                return Err(DnaError::BadSignature { key: key.id() });
            }
        }
        Ok(())
    }
}

fn read_signatures(source: &mut impl Read) -> Result<Vec<Signature>, DnaError> {
    let [count] = read_array(source, "signatures")?;
    if usize::from(count) > SIGNATURES {
        let (found, cap) = (count.into(), SIGNATURES as u64);
        return Err(DnaError::TooLarge { what: "the number of signatures is", found, cap });
    }
    let mut signatures: Vec<Signature> = Vec::with_capacity(count.into());
    for _ in 0..count {
        let key = PublicKey::from_bytes(read_array(source, "signatures")?)?;
        let bytes = read_array(source, "signatures")?;
        if signatures.last().is_some_and(|last| last.key.id() >= key.id()) {
            return Err(DnaError::SignatureOrder);
        }
        signatures.push(Signature { key, bytes });
    }
    Ok(signatures)
}

/// A bundle whose envelope was read and nothing more. `R` is where its blobs still come from.
pub struct DnaBytes<R> {
    envelope: Envelope,
    source: R,
}

/// What a bundle says about itself, for a person to decide whether to trust its germline.
///
/// Its signatures fit and satisfy the germline that it carries; that proves nothing but that
/// the holders of these keys made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The organism.
    pub organism: OrganismName,
    /// Its version.
    pub version: u64,
    /// Its version for people.
    pub label: String,
    /// The germline to trust or not.
    pub germline: Germline,
    /// The keys that signed.
    pub signers: Vec<KeyId>,
}

impl<R: Read> DnaBytes<R> {
    /// Read the envelope: head, manifest bytes, signatures; all within their caps.
    ///
    /// # Errors
    /// Where it is not the beginning of a bundle, or ends early.
    pub fn read(mut source: R) -> Result<Self, DnaError> {
        let envelope = Envelope::read(&mut source)?;
        Ok(DnaBytes { envelope, source })
    }

    /// The digest of the manifest, which names this DNA.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.envelope.manifest)
    }

    /// The ids of the keys that claim to have signed, ascending.
    #[must_use]
    pub fn claimed_signers(&self) -> Vec<KeyId> {
        self.envelope.signers().iter().map(PublicKey::id).collect()
    }

    /// Who this bundle says it is, for first trust. Grants nothing.
    ///
    /// # Errors
    /// As [`DnaBytes::verify`], except that nothing is compared with what a host knows.
    pub fn introduce(&self) -> Result<Introduction, DnaError> {
        self.envelope.check_signatures()?;
        let manifest = Manifest::decode(&self.envelope.manifest)?;
        manifest.germline.demand(&self.envelope.signers(), &manifest.revoked.keys)?;
        Ok(Introduction {
            organism: manifest.organism,
            version: manifest.version,
            label: manifest.label,
            germline: manifest.germline,
            signers: self.claimed_signers(),
        })
    }

    /// Verify everything in front of the blobs. The blobs are checked while they are read from
    /// what comes back; nothing may be compiled before that.
    ///
    /// # Errors
    /// The first check that fails, in the fixed order of the module's description.
    pub fn verify(self, known: &Known, clock: Clock, purpose: Purpose) -> Result<(Dna, Blobs<R>), DnaError> {
        let DnaBytes { envelope, source } = self;
        let digest = Digest::of(&envelope.manifest);
        let signers = envelope.signers();
        envelope.check_signatures()?;
        known.demand(&digest, &signers)?;
        let manifest = Manifest::decode(&envelope.manifest)?;
        manifest.germline.demand(&signers, &known.revoked_with(&manifest))?;
        let standing = known.judge(&manifest, &digest, clock, purpose)?;
        let blobs = Blobs::new(source, &manifest);
        let dna = Dna { manifest, digest, standing, envelope };
        Ok((dna, blobs))
    }
}

impl<R> std::fmt::Debug for DnaBytes<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DnaBytes({})", Digest::of(&self.envelope.manifest).short())
    }
}

/// Verified DNA. Only [`DnaBytes::verify`] makes one.
#[derive(Clone)]
pub struct Dna {
    manifest: Manifest,
    digest: Digest,
    standing: Standing,
    envelope: Envelope,
}

impl Dna {
    /// What it says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Why it was accepted.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The ids of all keys that signed it, ascending; not all of them need be in the germline.
    #[must_use]
    pub fn signers(&self) -> Vec<KeyId> {
        self.envelope.signers().iter().map(PublicKey::id).collect()
    }

    /// A bundle of it without any blob, e.g. to keep it where blobs are kept by digest.
    #[must_use]
    pub fn to_thin_bundle(&self) -> Vec<u8> {
        let mut out = self.envelope.write();
        out.extend_from_slice(&0u32.to_be_bytes());
        out
    }
}

impl std::fmt::Debug for Dna {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Manifest { organism, version, .. } = &self.manifest;
        write!(f, "Dna({organism} {version} {}, {:?})", self.digest.short(), self.standing)
    }
}

/// Bytes that are what verified DNA names. Only [`Blobs`] makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedBlob {
    blob: Blob,
    bytes: Vec<u8>,
}

impl CheckedBlob {
    /// Their name.
    #[must_use]
    pub fn blob(&self) -> Blob {
        self.blob
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::fmt::Debug for CheckedBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedBlob({}, {} bytes)", self.blob.sha256.short(), self.blob.length)
    }
}

/// The blobs of a bundle, one after the other. Each is checked before it is given out.
///
/// A bundle may lack blobs that the host has already; [`Blobs::missing`] names them once all
/// are read.
pub struct Blobs<R> {
    source: R,
    /// Blobs of the manifest that are still to come, by digest.
    wanted: BTreeMap<Digest, u64>,
    last: Option<Digest>,
    state: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Start,
    Left(u32),
    Done,
}

impl<R: Read> Blobs<R> {
    fn new(source: R, manifest: &Manifest) -> Self {
        let wanted = manifest.blobs().into_iter().map(|blob| (blob.sha256, blob.length)).collect();
        Blobs { source, wanted, last: None, state: Progress::Start }
    }

    /// The next blob; `None` after the last, when the file has been seen to end there.
    ///
    /// # Errors
    /// A blob that the manifest does not name, that is out of order, cut or changed; bytes
    /// after the last one. After an error nothing further may be used of this bundle.
    #[allow(clippy::should_implement_trait, reason = "an iterator's errors are too easily skipped")]
    pub fn next(&mut self) -> Result<Option<CheckedBlob>, DnaError> {
        let left = match self.state {
            Progress::Done => return Ok(None),
            Progress::Start => self.count()?,
            Progress::Left(left) => left,
        };
        let Some(left) = left.checked_sub(1) else {
            self.state = Progress::Done;
            return expect_end(&mut self.source).map(|()| None);
        };
        self.state = Progress::Left(left);
        self.blob().map(Some)
    }

    /// Read all that is left into memory, at most 512 MiB.
    ///
    /// # Errors
    /// As [`Blobs::next`].
    pub fn read_all(&mut self) -> Result<BTreeMap<Digest, Vec<u8>>, DnaError> {
        let mut all = BTreeMap::new();
        while let Some(blob) = self.next()? {
            all.insert(blob.blob.sha256, blob.bytes);
        }
        Ok(all)
    }

    /// Blobs of the manifest that have not come, ascending by digest.
    #[must_use]
    pub fn missing(&self) -> Vec<Blob> {
        self.wanted.iter().map(|(sha256, length)| Blob { sha256: *sha256, length: *length }).collect()
    }

    /// After the last blob: everything is there, or at hand by `have`.
    ///
    /// # Errors
    /// [`DnaError::MissingBlob`] with a gene that needs it.
    pub fn demand_all(&self, dna: &Dna, have: impl Fn(&Digest) -> bool) -> Result<(), DnaError> {
        let Some(blob) = self.wanted.keys().find(|digest| !have(digest)) else {
            return Ok(());
        };
        match dna.manifest.gene_of_blob(blob) {
            Some(gene) => Err(DnaError::MissingBlob { blob: *blob, gene: gene.clone() }),
            None => Err(DnaError::UnexpectedBlob(*blob)),
        }
    }

    fn count(&mut self) -> Result<u32, DnaError> {
        let count = u32::from_be_bytes(read_array(&mut self.source, "blobs")?);
        if count as usize > self.wanted.len() {
            let (found, cap) = (count.into(), self.wanted.len() as u64);
            return Err(DnaError::TooLarge { what: "the number of blobs is", found, cap });
        }
        Ok(count)
    }

    fn blob(&mut self) -> Result<CheckedBlob, DnaError> {
        let digest = Digest::from_bytes(read_array(&mut self.source, "blobs")?);
        let length = u64::from_be_bytes(read_array(&mut self.source, "blobs")?);
        if self.last.is_some_and(|last| last >= digest) {
            return Err(DnaError::BlobOrder);
        }
        self.last = Some(digest);
        if self.wanted.get(&digest) != Some(&length) {
            return Err(DnaError::UnexpectedBlob(digest));
        }
        let bytes = read_vec(&mut self.source, length, "blobs")?;
        if Digest::of(&bytes) != digest {
            return Err(DnaError::BlobChanged { expected: digest });
        }
        self.wanted.remove(&digest);
        Ok(CheckedBlob { blob: Blob { sha256: digest, length }, bytes })
    }
}

impl<R> std::fmt::Debug for Blobs<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blobs({} wanted)", self.wanted.len())
    }
}

/// Verify a whole bundle in memory or from a reader: envelope, blobs, nothing missing.
///
/// # Errors
/// As [`DnaBytes::verify`], [`Blobs::next`] and [`Blobs::demand_all`].
pub fn open(
    source: impl Read,
    known: &Known,
    clock: Clock,
    purpose: Purpose,
) -> Result<(Dna, BTreeMap<Digest, Vec<u8>>), DnaError> {
    let (dna, mut blobs) = DnaBytes::read(source)?.verify(known, clock, purpose)?;
    let all = blobs.read_all()?;
    blobs.demand_all(&dna, |_| false)?;
    Ok((dna, all))
}

fn read_failed(error: &std::io::Error) -> DnaError {
    DnaError::Read(error.to_string())
}

fn read_array<const N: usize>(source: &mut impl Read, part: &'static str) -> Result<[u8; N], DnaError> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => DnaError::Truncated { part },
        _ => read_failed(&error),
    })?;
    Ok(bytes)
}

/// Exactly `length` bytes. The buffer grows with what comes, not with what was announced.
fn read_vec(source: &mut impl Read, length: u64, part: &'static str) -> Result<Vec<u8>, DnaError> {
    let mut bytes = Vec::new();
    source.by_ref().take(length).read_to_end(&mut bytes).map_err(|error| read_failed(&error))?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    Err(DnaError::Truncated { part })
}

fn expect_end(source: &mut impl Read) -> Result<(), DnaError> {
    let mut byte = Vec::new();
    let read = source.by_ref().take(1).read_to_end(&mut byte).map_err(|error| read_failed(&error))?;
    if read == 0 { Ok(()) } else { Err(DnaError::TrailingBytes) }
}
