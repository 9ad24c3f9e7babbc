//! What can be wrong with DNA. Every variant has a stable code, and either *refuses* what was
//! offered (exit status 4) or says that it is malformed (exit status 1).
//!
//! None of them has an effect: nothing was stored, compiled or run when one is returned.

use std::fmt;

use crate::manifest::ManifestError;
use crate::{Digest, GeneName, KeyId, OrganismName, TextError};

/// Why bytes did not become [`crate::Dna`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnaError {
    /// Reading failed.
    #[error("reading the bundle failed: {0}")]
    Read(String),
    /// The first bytes are others.
    #[error("this is not a DNA bundle: it does not begin with the bytes of one")]
    NotDna,
    /// Written by a newer or unknown program.
    #[error("the bundle has format {found}; this program knows format {known}")]
    UnknownFormat {
        /// The format in the file.
        found: u16,
        /// The format of this program.
        known: u16,
    },
    /// The bytes end too early.
    #[error("the bundle ends in the middle of its {part}")]
    Truncated {
        /// Where.
        part: &'static str,
    },
    /// Bytes after the end.
    #[error("bytes follow the end of the bundle")]
    TrailingBytes,
    /// A declared size or number above its cap; nothing was allocated for it.
    #[error("{what} declared as {found}, more than the {cap} that are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The declared number.
        found: u64,
        /// The cap.
        cap: u64,
    },
    /// A manifest that does not decode.
    #[error("the manifest does not decode: {0}")]
    Undecodable(String),
    /// A manifest that decodes but is not the one encoding of what it says.
    #[error("the manifest is not in its canonical encoding")]
    NotCanonical,
    /// A manifest that breaks a rule of its own.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Blobs in another order than ascending, or twice.
    #[error("the blobs of the bundle are not in ascending order, each once")]
    BlobOrder,
    /// A blob that the manifest does not name, or with another length.
    #[error("the bundle holds a blob that its manifest does not name: {0}")]
    UnexpectedBlob(Digest),
    /// A blob that the manifest names and that is neither in the bundle nor at hand.
    #[error("the bundle lacks blob {blob} of gene `{gene}`")]
    MissingBlob {
        /// The blob.
        blob: Digest,
        /// A gene that needs it.
        gene: GeneName,
    },
    /// A key that is not a point of the curve or of small order.
    #[error("a key is weak or not a key at all")]
    WeakKey,
    /// Text of a key, a germline or a name.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A germline that breaks a rule.
    #[error("the germline is not usable: {0}")]
    BadGermline(&'static str),
    /// A folder that cannot be packed, or bytes that are not a packed folder.
    #[error("the packed folder is not usable: {reason}{}", At(.path))]
    BadFolder {
        /// Why, as a clause.
        reason: &'static str,
        /// The file at fault, where it is one.
        path: Option<String>,
    },

    // From here on: refusals.
    /// Blob bytes that are not those that were signed.
    #[error("blob {expected} does not have its digest: it was changed after signing")]
    BlobChanged {
        /// What the manifest names.
        expected: Digest,
    },
    /// Signatures in another order than ascending by key id, or one key twice.
    #[error("the signatures are not in ascending order of key id, each key once")]
    SignatureOrder,
    /// A signature that is not one of this manifest.
    #[error("the signature by key {key} does not fit the manifest")]
    BadSignature {
        /// Whose it claims to be.
        key: KeyId,
    },
    /// Too few keys of a germline have signed.
    #[error("signed by {have} of the {need} keys that the germline of `{organism}` demands")]
    UnderThreshold {
        /// Distinct keys of the germline, not revoked, that have signed.
        have: usize,
        /// Its threshold.
        need: usize,
        /// The germline's organism.
        organism: OrganismName,
    },
    /// DNA of another organism.
    #[error("this is DNA of organism `{found}`, and this host lives for `{expected}`")]
    OtherOrganism {
        /// In the manifest.
        found: OrganismName,
        /// In the germline of this host.
        expected: OrganismName,
    },
    /// An older version than one that this host has seen.
    #[error("version {offered} is older than version {highest}, which this host has seen")]
    Rollback {
        /// In the manifest.
        offered: u64,
        /// The highest seen.
        highest: u64,
    },
    /// The same version with other content.
    #[error("another DNA of version {version} was accepted here before this one")]
    SameVersion {
        /// The version.
        version: u64,
    },
    /// Not a descendant of what this host has.
    #[error("version {version} does not descend from the DNA that this host has: {reason}")]
    LineageBreak {
        /// The version offered.
        version: u64,
        /// Which link is broken.
        reason: &'static str,
    },
    /// Too late.
    #[error("it expired at {expires} (unix seconds) and the time is at least {now}")]
    Expired {
        /// In the manifest.
        expires: u64,
        /// The host's time or time floor.
        now: u64,
    },
    /// Too early.
    #[error("it is not valid before {not_before} (unix seconds) and the time is {now}")]
    NotYetValid {
        /// In the manifest.
        not_before: u64,
        /// The host's time.
        now: u64,
    },
    /// A return to a manifest that was never accepted here.
    #[error("version {version} was never accepted by this host, so it cannot return to it")]
    NeverAccepted {
        /// The version offered.
        version: u64,
    },
    /// A return below the floor of the newest manifest.
    #[error("version {version} is below {floor}, the lowest to which the newest DNA lets a host return")]
    BelowFloor {
        /// The version offered.
        version: u64,
        /// The floor.
        floor: u64,
    },
    /// A gene whose component was revoked.
    #[error("gene `{gene}` is revoked")]
    RevokedGene {
        /// The gene.
        gene: GeneName,
    },
}

struct At<'a>(&'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => write!(f, ": `{}`", path.escape_debug()),
            None => Ok(()),
        }
    }
}

impl DnaError {
    /// A stable name for programs, e.g. `dna-rollback`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            DnaError::Read(_) => "dna-read",
            DnaError::NotDna => "dna-not-dna",
            DnaError::UnknownFormat { .. } => "dna-unknown-format",
            DnaError::Truncated { .. } => "dna-truncated",
            DnaError::TrailingBytes => "dna-trailing-bytes",
            DnaError::TooLarge { .. } => "dna-too-large",
            DnaError::Undecodable(_) => "dna-undecodable",
            DnaError::NotCanonical => "dna-not-canonical",
            DnaError::Manifest(error) => error.code(),
            DnaError::BlobOrder => "dna-blob-order",
            DnaError::UnexpectedBlob(_) => "dna-unexpected-blob",
            DnaError::MissingBlob { .. } => "dna-missing-blob",
            DnaError::WeakKey => "dna-weak-key",
            DnaError::Text(_) => "dna-bad-text",
            DnaError::BadGermline(_) => "dna-bad-germline",
            DnaError::BadFolder { .. } => "dna-bad-folder",
            DnaError::BlobChanged { .. } => "dna-blob-changed",
            DnaError::SignatureOrder => "dna-signature-order",
            DnaError::BadSignature { .. } => "dna-bad-signature",
            DnaError::UnderThreshold { .. } => "dna-under-threshold",
            DnaError::OtherOrganism { .. } => "dna-other-organism",
            DnaError::Rollback { .. } => "dna-rollback",
            DnaError::SameVersion { .. } => "dna-same-version",
            DnaError::LineageBreak { .. } => "dna-lineage-break",
            DnaError::Expired { .. } => "dna-expired",
            DnaError::NotYetValid { .. } => "dna-not-yet-valid",
            DnaError::NeverAccepted { .. } => "dna-never-accepted",
            DnaError::BelowFloor { .. } => "dna-below-floor",
            DnaError::RevokedGene { .. } => "dna-revoked-gene",
        }
    }

    /// Whether well-formed DNA was refused by signature or policy (exit status 4). `false`:
    /// the bytes are malformed or could not be read (exit status 1).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use DnaError as E;
        matches!(
            self,
            E::WeakKey
                | E::BlobChanged { .. }
                | E::SignatureOrder
                | E::BadSignature { .. }
                | E::UnderThreshold { .. }
                | E::OtherOrganism { .. }
                | E::Rollback { .. }
                | E::SameVersion { .. }
                | E::LineageBreak { .. }
                | E::Expired { .. }
                | E::NotYetValid { .. }
                | E::NeverAccepted { .. }
                | E::BelowFloor { .. }
                | E::RevokedGene { .. }
        )
    }

    /// What to do about it, where that is known: one command or one sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            DnaError::NotDna => "cyte dna pack DIR --out X.dna makes a bundle",
            DnaError::UnknownFormat { .. } => "pack it with the version of cyte that runs here",
            DnaError::Truncated { .. } | DnaError::TrailingBytes | DnaError::BlobChanged { .. } => {
                "copy the file again, or pack and sign it again"
            }
            DnaError::MissingBlob { .. } => "use the whole bundle as `cyte dna pack` wrote it",
            DnaError::UnderThreshold { .. } => "cyte dna sign X.dna --key KEY, with the keys of the germline",
            DnaError::OtherOrganism { .. } => "use another state folder: --state DIR",
            DnaError::Rollback { .. } | DnaError::SameVersion { .. } | DnaError::LineageBreak { .. } => {
                "cyte dna pack DIR --after NEWEST.dna --out X.dna, then sign it"
            }
            DnaError::Expired { .. } => "cyte dna pack DIR --after X.dna with a later expiry, then sign it",
            DnaError::NotYetValid { .. } => "check the clock of this host: timedatectl",
            DnaError::RevokedGene { .. } => {
                "build the gene again and pack it: cyte dna pack DIR --after X.dna"
            }
            DnaError::WeakKey => "cyte dna keygen --out K makes a good key",
            _ => return None,
        })
    }
}
