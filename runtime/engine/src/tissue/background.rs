//! Background work in front of the tissue's queue: held back while clients suffer.
//!
//! Who is held, for how long and in which order is [`cyte_organism::admission`]'s. A held request waits
//! in its connection's own task; the one that is first looks every few milliseconds whether clients
//! still wait, the others sleep. Clients never come here.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use cyte_dna::Gene;
use cyte_organism::{
    Nanos,
    admission::{Arrival, Background, Bounds, Counts, Ticket, Turn},
};
use serde::Serialize;
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use super::Tissue;
use crate::error::CallError;

type Held = Background<Arc<Notify>>;

/// The background work of one tissue.
pub(super) struct Backstage {
    held: Mutex<Held>,
    /// Those that went on and look for a cell now: they may be in the queue.
    seeking: AtomicU32,
}

/// The background work of a gene as people see it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BackgroundSnapshot {
    /// How much may be held back.
    pub bounds: Bounds,
    /// Requests that are held back now.
    pub waiting: u32,
    /// What became of those that came.
    pub counts: Counts,
    /// Requests of clients that asked for a cell.
    pub clients: u64,
}

impl Backstage {
    /// As the gene's DNA bounds it.
    pub(super) fn of(gene: &Gene) -> Self {
        let held_max = gene.limits.background_or_default();
        let hold = Nanos::from_millis(gene.limits.background_wait_ms_or_default());
        Self { held: Mutex::new(Held::new(Bounds { held_max, hold })), seeking: AtomicU32::new(0) }
    }

    /// One that went on looks for a cell, until this is dropped.
    pub(super) fn seek(&self) -> Seeking<'_> {
        self.seeking.fetch_add(1, Relaxed);
        Seeking(&self.seeking)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Backstage::seek`].
pub(super) struct Seeking<'a>(&'a AtomicU32);

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A place among those that are held, given up when its request goes away.
struct Seat<'a> {
    backstage: &'a Backstage,
    ticket: Ticket,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // One that goes on has no place any more.
        if let Some(next) = self.backstage.lock().leave(self.ticket) {
            next.notify_one();
        }
    }
}

impl Tissue {
    /// Background work waits here while clients suffer, for as long as its DNA or an operator allows at
    /// most, or `most` if that is less.
    ///
    /// # Errors
    ///
    /// [`CallError::BackgroundFull`] when clients suffer and no more can be held back.
    pub async fn make_room(&self, most: Option<Nanos>) -> Result<(), CallError> {
        let bell = Arc::new(Notify::new());
        let mut woken = Vec::new();
        let suffer = self.do_clients_suffer();
        let now = self.host.clock.now();
        let arrival = self.backstage.lock().arrive(now, most, suffer, || bell.clone(), &mut woken);
        wake(woken);
        let ticket = match arrival {
            Arrival::Pass => return Ok(()),
            Arrival::Full => return Err(CallError::BackgroundFull),
            Arrival::Hold(ticket) => ticket,
        };
        let _seat = Seat { backstage: &self.backstage, ticket };
        loop {
            let turn = self.backstage.lock().turn(ticket);
            let Turn::Wait(until) = turn else { return Ok(()) };
            let rest = Duration::from_nanos(until.since(self.host.clock.now()).0);
            if timeout(rest, bell.notified()).await.is_err() {
                self.let_go_on();
            }
        }
    }

    /// Lets go on whose time is over, and some where no client suffers any more.
    fn let_go_on(&self) {
        let mut woken = Vec::new();
        let suffer = self.do_clients_suffer();
        self.backstage.lock().look(self.host.clock.now(), suffer, &mut woken);
        wake(woken);
    }

    /// Whether a client waits behind one who waited for longer than the law needs to feel it.
    fn do_clients_suffer(&self) -> bool {
        let mut queue = self.lock();
        queue.skip(oneshot::Sender::is_closed);
        let is_clients = queue.waiting() > self.backstage.seeking.load(Relaxed) as usize;
        is_clients && queue.suffers(|| self.host.clock.now())
    }

    /// Changes how much background work is held back at once, and how long each. Who is held already
    /// keeps its place and its time.
    pub fn set_background(&self, held_max: u32, hold: Nanos) {
        self.backstage.lock().set_bounds(Bounds { held_max, hold });
    }

    /// Its background work, where the DNA names some.
    pub fn background(&self) -> Option<BackgroundSnapshot> {
        if self.gene().background.is_empty() {
            return None;
        }
        let held = self.backstage.lock();
        let (bounds, counts) = (held.bounds(), held.counts());
        let waiting = u32::try_from(held.len()).unwrap_or(u32::MAX);
        drop(held);
        let went_on = counts.passed + counts.calmed + counts.overdue;
        let clients = self.counts().offered.saturating_sub(went_on);
        Some(BackgroundSnapshot { bounds, waiting, counts, clients })
    }
}

fn wake(woken: Vec<Arc<Notify>>) {
    woken.iter().for_each(|bell| bell.notify_one());
}
