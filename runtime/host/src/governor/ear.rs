//! What can happen to a governor, and how it is told: one closed enum through one inbox.

use std::sync::Arc;

use cyte_dna::GeneName;
use cyte_engine::capability::control::Refused;
use cyte_engine::{Alarm, Ring, Verdict, Zombie};
use cyte_organism::flight::Recording;
use cyte_organism::law::{ClassId, Trace};
use cyte_organism::lineage::Niche;
use cyte_organism::phenotype::Cause;
use cyte_organism::{Nanos, ReleaseError};
use tokio::sync::{mpsc, oneshot};

use super::{Order, Voice};

/// How many events may wait; more are dropped and counted by the sender.
pub(super) const INBOX: usize = 1_024;

/// What can happen to a governor. Closed: whatever is not here does not happen.
#[derive(Debug)]
pub enum Event {
    /// It is time to look at the tissues.
    Tick,
    /// Requests wait where none waited before.
    Queued,
    /// A cell died before its uses were spent.
    CellDied {
        /// Its gene.
        gene: GeneName,
        /// Its number.
        cell: u64,
        /// When it was born.
        born: Nanos,
        /// Messages that it answered.
        served: u64,
        /// What kind of death.
        cause: Cause,
        /// Why, in words.
        reason: String,
    },
    /// What is wanted changed.
    Wished,
    /// What this host does for the organism of several changed.
    Shared,
    /// Another host lacks cells, and this one took some over.
    Grow {
        /// Of the gene at this place.
        class: ClassId,
        /// How many.
        cells: u32,
    },
    /// An operator wrote something.
    Operator {
        /// Who, as a user id.
        uid: u32,
        /// The verb.
        verb: String,
        /// What it was done to.
        subject: String,
    },
    /// An operator releases a hormone.
    Release {
        /// To the cells of this gene; to all where there is none.
        gene: Option<GeneName>,
        /// From -1 to the most that a cell may report; positive asks for growth.
        strength: f64,
        /// Told what became of it, where somebody wants to know.
        answer: Option<oneshot::Sender<Result<(), ReleaseError>>>,
    },
    /// A cell is to be made or to end by somebody's word.
    Order {
        /// Of this gene.
        gene: GeneName,
        /// What is to be done.
        order: Order,
        /// Whose word it is.
        voice: Voice,
        /// Told what became of it.
        answer: oneshot::Sender<Result<u64, Refused>>,
    },
    /// The judge of stuck cells said what becomes of one, or nothing.
    Judged {
        /// Its gene.
        gene: GeneName,
        /// The cell, as it was found.
        found: Zombie,
        /// What was said.
        verdict: Option<Verdict>,
    },
    /// Somebody asks what a cell felt at the last look.
    Ask {
        /// Its gene.
        gene: GeneName,
        /// Its niche.
        niche: Niche,
        /// Told what it felt; nothing where the law did not see it.
        answer: oneshot::Sender<Option<Trace>>,
    },
    /// Somebody wants to know what the law was told and decided lately.
    Record {
        /// Told it.
        answer: oneshot::Sender<Recording>,
    },
    /// The host stops; the loop ends.
    Shutdown,
}

/// The way to tell the governor something. Never waits.
#[derive(Debug, Clone)]
pub struct Ear(mpsc::Sender<Event>);

impl Ear {
    /// Tells the governor `event`; says whether there was room for it.
    pub fn tell(&self, event: Event) -> bool {
        self.0.try_send(event).is_ok()
    }

    /// An alarm that makes the governor look at the tissues, as long as somebody else can tell it
    /// something too.
    pub fn alarm(&self) -> Arc<Alarm> {
        let ear = self.0.downgrade();
        Alarm::new(move |ring| {
            if let Some(ear) = ear.upgrade() {
                // A full inbox wakes the governor as well.
                let _ = ear.try_send(match ring {
                    Ring::Request => Event::Tick,
                    Ring::Queue => Event::Queued,
                });
            }
        })
    }
}

/// A governor's inbox, made before the governor so that its senders can be handed out.
pub fn inbox() -> (Ear, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(INBOX);
    (Ear(sender), receiver)
}
