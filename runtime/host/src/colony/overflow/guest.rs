//! Requests of other hosts on this one: a place is held, the request comes, its answer goes back.
//!
//! One task a request, on the threads that poll guests; to end it is to drop it, as with any request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::GeneName;
use cyte_engine::{Room, Tissue};
use cyte_gateway::Refusal;
use cyte_organism::Nanos;
use cyte_organism::colony::errand::{self, ANSWER_BODY_MAX, Answered, Brought, Errand, Part, Parts};
use cyte_organism::phenotype::HostId;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::{Overflow, answer_within, form};

/// Requests of others that are here, or for which a place is held, at once.
pub(super) const GUESTS_MAX: usize = 128;
/// The longest that a place is held for a request that does not come.
const HELD_MAX: Duration = Duration::from_secs(5);
/// The least: a message may take its time where nothing is slow.
const HELD_LEAST: Duration = Duration::from_millis(100);

/// Which request: whose, and its number there.
type Name = (HostId, u64);

struct Guest {
    /// Where the request goes when all of it is here; once.
    brings: Option<oneshot::Sender<Vec<u8>>>,
    parts: Parts,
    /// What runs it; nothing for the moment in which it starts.
    task: Option<AbortHandle>,
}

/// All that are here.
#[derive(Default)]
pub(super) struct Guests(Mutex<State>);

#[derive(Default)]
struct State {
    here: BTreeMap<Name, Guest>,
    /// Genes whose requests are taken in.
    welcome: BTreeSet<GeneName>,
}

impl Guests {
    /// Only requests of these genes are taken in from now on.
    pub(super) fn welcome(&self, genes: &BTreeSet<GeneName>) {
        let mut state = self.lock();
        if state.welcome != *genes {
            state.welcome.clone_from(genes);
        }
    }

    /// A part of a request came. One for which no place is held is dropped: it was cancelled, came too
    /// late, or came before.
    pub(super) fn brought(&self, from: HostId, number: u64, part: Part) {
        let mut state = self.lock();
        let Some(guest) = state.here.get_mut(&(from, number)) else { return };
        if guest.brings.is_some()
            && let Some(whole) = guest.parts.take(part)
            && let Some(brings) = guest.brings.take()
        {
            // Whoever held the place may just have given it up; then nothing is begun.
            let _ = brings.send(whole);
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&self, from: HostId, number: u64) {
        let guest = self.lock().here.remove(&(from, number));
        if let Some(task) = guest.and_then(|guest| guest.task) {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a guest when its task ends.
struct Leaving {
    overflow: Arc<Overflow>,
    name: Name,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.overflow.guests.lock().here.remove(&self.name);
    }
}

impl Overflow {
    /// Another host asks for room.
    pub(super) fn take_in(self: &Arc<Self>, from: HostId, number: u64, gene: &GeneName, wait: Duration) {
        let name = (from, number);
        let mut guests = self.guests.lock();
        if guests.here.contains_key(&name) {
            // Said twice.
            return;
        }
        let is_welcome = guests.here.len() < GUESTS_MAX && guests.welcome.contains(gene);
        let Some(way) = self.ways.get(gene).filter(|_| is_welcome) else {
            drop(guests);
            return self.turn_away(from, number);
        };
        let (brings, brought) = oneshot::channel();
        guests.here.insert(name, Guest { brings: Some(brings), parts: Parts::default(), task: None });
        drop(guests);
        let leaving = Leaving { overflow: self.clone(), name };
        let task = self.cytoplasm.spawn(receive(leaving, way.tissue.clone(), wait, brought)).abort_handle();
        match self.guests.lock().here.get_mut(&name) {
            Some(guest) => guest.task = Some(task),
            // It was cancelled at once, or has ended already.
            None => task.abort(),
        }
    }

    fn turn_away(&self, from: HostId, number: u64) {
        self.counts.turned_away.fetch_add(1, Relaxed);
        self.say(from, &Errand::NoRoom(number));
    }
}

/// One request of another host, from the question for room to the answer.
async fn receive(leaving: Leaving, tissue: Arc<Tissue>, wait: Duration, brought: oneshot::Receiver<Vec<u8>>) {
    let (overflow, (from, number)) = (leaving.overflow.clone(), leaving.name);
    // The other half is for the way there and back.
    let Ok(room) = tissue.hold(Nanos::from(wait / 2)).await else {
        return overflow.turn_away(from, number);
    };
    overflow.say(from, &Errand::Room(number));
    let held = wait.clamp(HELD_LEAST, HELD_MAX);
    let Ok(Ok(bytes)) = tokio::time::timeout(held, brought).await else {
        // Nothing is begun any more; whoever brings it now is to know.
        overflow.say(from, &Errand::NoRoom(number));
        return;
    };
    overflow.counts.received.fetch_add(1, Relaxed);
    let run = tokio::time::timeout(answer_within(&tissue), run(room, &bytes));
    let answer = run.await.unwrap_or(Err(Refusal::WallClock));
    let parts = answer.and_then(|answer| errand::parts(&answer).ok_or(Refusal::CellAnswer));
    match parts {
        Ok(parts) => parts.into_iter().for_each(|part| {
            overflow.say(from, &Errand::Answer(number, part));
        }),
        Err(refusal) => {
            overflow.say(from, &Errand::Failed(number, refusal.code().to_owned()));
        }
    }
}

/// Runs the request; all of its answer, where that is short enough.
async fn run(room: Room, bytes: &[u8]) -> Result<Answered, Refusal> {
    let brought = Brought::read(bytes).ok().and_then(form::request);
    let (request, facts) = brought.ok_or(Refusal::HostMalformed)?;
    let response = room.serve(request, facts).await.map_err(|error| Refusal::from(&error))?;
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, ANSWER_BODY_MAX).collect().await.map_err(|_| Refusal::CellAnswer)?;
    let trailers = collected.trailers().cloned();
    let body: Bytes = collected.to_bytes();
    Ok(form::answered(&head, &body, trailers.as_ref()))
}
