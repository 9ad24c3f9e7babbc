//! Who an organism is: its signed DNA, the genes in it, what each may do, and the keys that
//! may change it.
//!
//! Everything here is a pure function of its parameters. Bytes become a [`Dna`] in one way
//! only, by verification; what a host knew before and what time it is are handed in.
//!
//! Never in this crate: files, sockets, clocks, randomness, Wasm.
#![forbid(unsafe_code)]

mod bundle;
mod digest;
mod duty;
mod error;
#[cfg(test)]
mod fixture;
mod folder;
mod gene;
mod germline;
mod keys;
pub mod limits;
mod manifest;
mod name;
mod outbound;
mod policy;
mod route;
mod text;
mod toml_source;

pub use bundle::{
    Accepted, Blobs, CheckedBlob, Clock, Dna, DnaBytes, Draft, FORMAT, Introduction, Known, Purpose,
    Standing, open,
};
pub use digest::{Digest, Digester};
pub use duty::Duty;
pub use error::DnaError;
pub use folder::Folder;
pub use gene::{
    Blob, Deed, Expression, FileGrant, FileSource, Gene, GeneLimits, Grants, Mandate, Role, Scope, Signal,
};
pub use germline::Germline;
pub use keys::{DerivedKey, HostKey, KeyId, PublicKey, SigningKey, SubKey};
pub use manifest::{Change, ChangeKind, Lineage, Manifest, ManifestError, Revoked, RosterEntry};
pub use name::{GeneName, HostName, OrganismName};
pub use outbound::{OutboundGrant, OutboundHost, Scheme};
pub use policy::{HormonePolicy, ImmunePolicy, Policy, PoolPolicy, VotePolicy};
pub use route::{Precedence, Route, normal_host};
pub use text::TextError;
pub use toml_source::{
    Descent, DnaToml, FileEntry, GeneParts, GeneSource, PolicySource, SourceError, SourceErrors, parse_bytes,
    parse_ms,
};
