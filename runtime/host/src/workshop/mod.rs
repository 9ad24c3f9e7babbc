//! The workshop: gene sources become components.
//!
//! It finds or makes the WebAssembly standard library ([`wasm_std`]), runs the inner cargo
//! ([`cargo`]), carries the sources of the SDK and of the standard genes ([`sources`]), makes new
//! projects ([`new`]) and turns a project folder into the components and packed folders that a DNA
//! is assembled from ([`Project`]).
//!
//! It runs the build tools of the person who called it, with that person's rights, as `cargo build`
//! would. It never looks inside WebAssembly, never signs, never talks to a running host, and reads
//! nothing of its process but what the [`Env`] holds.

mod cache;
mod cargo;
mod defaults;
mod env;
mod error;
mod folder;
mod genes;
pub mod new;
mod notes;
mod process;
mod project;
pub mod sources;
pub mod standard;
#[cfg(test)]
mod tests;
pub mod wasm_std;

pub use cargo::{CrateBuild, LockFile, build as build_crate};
pub use env::{Env, WasmStdChoice};
pub use error::{Kind, WorkshopError};
pub use genes::Mode;
pub use notes::{LineNotes, Notes, Silent};
pub use project::{Built, DNA_TOML, Made, Project};

use sha2::{Digest as _, Sha256};

/// Longest component that is read, in bytes: the DNA's cap for one gene.
pub const MAX_COMPONENT: u64 = cyte_dna::limits::BLOB_BYTES;

/// 16 hex digits that name a combination of facts; parts cannot run into each other.
fn short_key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = hex(&hash.finalize());
    key.truncate(16);
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
