//! What a host's part is made from, is told and answers.

use cyte_dna::GeneName;

use crate::Nanos;
use crate::claim::Piece;
use crate::dice::Key;
use crate::law::ClassId;
use crate::phenotype::{Epoch, HostId, Record};

/// What a host's part is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// This host.
    pub me: HostId,
    /// This life of it.
    pub epoch: Epoch,
    /// The organism's key for draws that all hosts agree on.
    pub key: Key,
    /// All hosts that may be there, this one or not.
    pub roster: Vec<HostId>,
    /// The longest that a message may take.
    pub delay: Nanos,
    /// The seed of this host's own draws.
    pub seed: u64,
}

/// How this host stands, as its governor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// Its free capacity, in thousandths; see [`super::free_permille`].
    pub free_permille: u16,
    /// Cells that it could take over for others now.
    pub room: u32,
    /// Messages of others that it could take at once.
    pub spare: u32,
    /// Its living cells by gene.
    pub cells: Vec<(GeneName, u32)>,
}

/// What a host is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send these bytes to a host.
    Send(HostId, Vec<u8>),
    /// This host answers for one more copy: start it.
    Start(Piece),
    /// It no longer does: another host has it too, and is stronger.
    Retire(Piece),
    /// Grow so many cells of a class for others.
    Grow(ClassId, u32),
    /// This host cannot start some copies and no longer answers for them.
    GaveUp {
        /// Which, all of one gene.
        pieces: Vec<Piece>,
        /// Why, in words.
        reason: String,
    },
    /// A host is there, for the first time or again.
    Came(HostId),
    /// A host is believed dead.
    Died(HostId, Epoch),
    /// Something happened on another host.
    Learned(Record),
}

/// What this host said and heard, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Said {
    /// Pulses sent.
    pub pulses: u64,
    /// News sent.
    pub news: u64,
    /// Claims, haves and pieces given up, sent.
    pub claims: u64,
    /// Quotas and receipts sent.
    pub quotas: u64,
    /// Words that were refused.
    pub refused: u64,
}
