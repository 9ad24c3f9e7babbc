//! What a cyte organism decides.
//!
//! This crate is the pure half of the host: it is given the time, the seed and what was observed,
//! and answers with what should be done. It never asks for the time, never draws its own random
//! numbers, holds no lock and does no I/O, so that a whole organism can be simulated from a seed
//! and a recorded incident replays bit for bit.
//!
//! - [`lineage`]: who is whose mother, generations, niches.
//! - [`fast`]: the few decisions a request needs, called inline under a tissue's lock.
//! - [`admission`]: background requests that make room while clients suffer.
//! - [`law`]: the hormone law: growth, sharing, death and the stem pool of one host, by the
//!   [`constants`] of its DNA, decided off the request path by the host's governor.
//! - [`colony`]: several hosts: who lives, who holds what, what happened there; with [`quota`] and
//!   [`claim`] for growth and expression between them. [`ballot`]: votes on a cell.
//! - [`dice`]: seeded draws and keyed hashes. [`sim`]: a host on virtual time to try a law on.
//! - [`wish`]: what is wanted, and what the DNA allows to be wanted.
//! - [`phenotype`]: what is, as a fold over events.
//! - [`expressor`]: what is wanted minus what is.
//! - [`flight`]: what the law was told and what it decided, kept for a minute and run again.
//! - [`knob`]: limits that an operator changes while a host serves.
//! - [`hot`]: which part of a class or host stays over its mark.
//! - [`neuron`]: what a neuron sees and says, and the rules of the standard ones.
//!
//! Without its feature `host`, which is on by default, only the law and the rules of the standard
//! neurons are built: what becomes Wasm has no use for keys and manifests.

#[cfg(feature = "host")]
pub mod admission;
#[cfg(feature = "host")]
pub mod ballot;
#[cfg(feature = "host")]
pub mod claim;
#[cfg(feature = "host")]
pub mod colony;
pub mod constants;
pub mod dice;
mod endocrine;
#[cfg(feature = "host")]
pub mod expressor;
mod family;
#[cfg(feature = "host")]
pub mod fast;
#[cfg(feature = "host")]
pub mod flight;
#[cfg(feature = "host")]
pub mod hot;
#[cfg(feature = "host")]
pub mod knob;
pub mod law;
pub mod lineage;
pub mod neuron;
#[cfg(feature = "host")]
pub mod phenotype;
#[cfg(feature = "host")]
pub mod quota;
mod share;
#[cfg(feature = "host")]
pub mod sim;
mod time;
#[cfg(feature = "host")]
pub mod wish;

pub use endocrine::{Felt, ReleaseError};
pub use family::{Census, Phase, Reading};
pub use time::Nanos;
