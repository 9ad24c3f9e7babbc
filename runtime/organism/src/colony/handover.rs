//! What a host answers for and cannot start is handed on.
//!
//! A piece whose start needs what this host will not have (its gene is in a crash loop, a constraint
//! is not met) is given up at once, one for which there is only no room when that has lasted
//! [`PATIENCE`]; and never where nobody else could take it. Whoever gives a piece up does not claim it
//! again for [`RESTS`], so that it does not go to and fro.

use std::collections::BTreeMap;

use cyte_dna::GeneName;

use super::{CLAIMS_MAX, Colony, Health, Output, Word};
use crate::Nanos;
use crate::claim::Piece;

/// How long there must have been no room.
pub const PATIENCE: Nanos = Nanos::from_millis(1_500);
/// For so long a host does not claim what it gave up.
pub const RESTS: Nanos = Nanos::from_millis(30_000);
/// Pieces given up that are remembered for whoever asks why.
const GIVEN_MAX: usize = 1_024;

/// What stands in the way of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No room; that may pass.
    Room,
    /// Something that others need not have, and that does not pass by itself.
    Lasting,
}

/// Cells that this host answers for and cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Of which gene.
    pub gene: GeneName,
    /// How many.
    pub cells: u32,
    /// What stands in their way.
    pub obstacle: Obstacle,
    /// The same in words.
    pub reason: String,
}

/// A piece that this host gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Which.
    pub piece: Piece,
    /// Why, in words.
    pub reason: String,
    /// It is not claimed here before.
    pub until: Nanos,
}

/// What is known of what could not be started.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// Since when each gene is stuck.
    since: BTreeMap<GeneName, Nanos>,
    given: Vec<GivenUp>,
}

impl Colony {
    /// All that this host answers for and cannot start now. What lasts and others could take is given
    /// up.
    pub fn stuck(&mut self, now: Nanos, stuck: &[Stuck], out: &mut Vec<Output>) {
        self.handover.given.retain(|given| given.until > now);
        self.handover.since.retain(|gene, _| stuck.iter().any(|stuck| stuck.gene == *gene));
        for stuck in stuck {
            let since = *self.handover.since.entry(stuck.gene.clone()).or_insert(now);
            let is_lasting = stuck.obstacle == Obstacle::Lasting || now.since(since) >= PATIENCE;
            if !is_lasting || !self.others_could_take(stuck.obstacle) {
                continue;
            }
            let mine: Vec<Piece> =
                self.claims.mine().filter(|piece| piece.gene == stuck.gene).cloned().collect();
            // The last ones, as who wants fewer wants the first.
            let count = usize::try_from(stuck.cells).unwrap_or(usize::MAX);
            let pieces: Vec<Piece> = mine.into_iter().rev().take(count).collect();
            if !pieces.is_empty() {
                self.give_up(now, stuck, pieces, out);
            }
        }
    }

    /// What this host gave up and does not claim yet, and why.
    #[must_use]
    pub fn given_up(&self) -> &[GivenUp] {
        &self.handover.given
    }

    fn others_could_take(&self, obstacle: Obstacle) -> bool {
        self.members
            .living()
            .filter(|(_, member)| member.health == Health::Alive)
            .any(|(_, member)| obstacle == Obstacle::Lasting || member.beat.free_permille > 0)
    }

    fn give_up(&mut self, now: Nanos, stuck: &Stuck, pieces: Vec<Piece>, out: &mut Vec<Output>) {
        let until = now + RESTS;
        for piece in &pieces {
            self.claims.give_up(piece, until);
            if self.handover.given.len() < GIVEN_MAX {
                let (piece, reason) = (piece.clone(), stuck.reason.clone());
                self.handover.given.push(GivenUp { piece, reason, until });
            }
        }
        self.handover.since.remove(&stuck.gene);
        self.hold();
        for some in pieces.chunks(CLAIMS_MAX) {
            self.tell_all(&Word::GivesUp(some.to_vec()), out);
        }
        out.push(Output::GaveUp { pieces, reason: stuck.reason.clone() });
    }
}
