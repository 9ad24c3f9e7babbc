//! Connections that wait for their next request.
//!
//! Kept by gene and authority, newest used first, bounded for each place and in all, and closed
//! when unused for a while. A connection is in the pool or leased, never both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cyte_dna::{GeneName, Scheme};
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::body::Sending;
use super::counts::Counts;

/// Whose connection to where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) gene: GeneName,
    pub(super) scheme: Scheme,
    /// Lower case.
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

/// A connection's sending half.
pub(super) type Sender = SendRequest<Sending>;

#[derive(Debug)]
struct Unused {
    sender: Sender,
    until: Instant,
}

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    keep: Duration,
    per_place: usize,
    in_all: usize,
    pub(super) counts: Arc<Counts>,
    own: Weak<Pool>,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<Place, Vec<Unused>>,
    count: usize,
    /// Whether a task is under way that closes what is unused for too long.
    sweeping: bool,
}

impl Pool {
    pub(super) fn new(keep: Duration, per_place: usize, in_all: usize, counts: Arc<Counts>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new_cyclic(|own| Pool { state, keep, per_place, in_all, counts, own: own.clone() })
    }

    /// The most recently used connection that still stands.
    pub(super) fn take(&self, place: &Place) -> Option<Sender> {
        let mut state = self.state();
        let State { places, count, .. } = &mut *state;
        let unused = places.get_mut(place)?;
        let mut found = None;
        while found.is_none() {
            let Some(Unused { sender, .. }) = unused.pop() else { break };
            *count = count.saturating_sub(1);
            // Not ready although its last response was read: its request is still being sent, or
            // the other side is closing. Neither is worth waiting for.
            found = Some(sender).filter(Sender::is_ready);
        }
        if unused.is_empty() {
            places.remove(place);
        }
        found
    }

    /// Keeps a connection for later, if there is room. Must run inside a runtime or is dropped.
    fn put(&self, place: Place, sender: Sender) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if sender.is_closed() {
            return;
        }
        let mut state = self.state();
        let State { places, count, sweeping } = &mut *state;
        let unused = places.entry(place).or_default();
        if *count >= self.in_all || unused.len() >= self.per_place {
            self.counts.not_kept();
            // The newest is the likeliest to stand, so another one of this place goes; without
            // one, the place stays as it is.
            if unused.is_empty() {
                return;
            }
            unused.remove(0);
            *count = count.saturating_sub(1);
        }
        unused.push(Unused { sender, until: Instant::now() + self.keep });
        *count = count.saturating_add(1);
        if !std::mem::replace(sweeping, true) {
            runtime.spawn(sweep(self.own.clone(), self.keep));
        }
    }

    /// Closes what is unused for too long; whether anything is left.
    fn expire(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.places.retain(|_, unused| {
            unused.retain(|one| one.until > now && !one.sender.is_closed());
            !unused.is_empty()
        });
        state.count = state.places.values().map(Vec::len).sum();
        state.sweeping = state.count > 0;
        state.sweeping
    }

    /// How many connections wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while connections wait, and ends with the last of them or with the pool.
async fn sweep(pool: Weak<Pool>, keep: Duration) {
    loop {
        tokio::time::sleep(keep / 2).await;
        match pool.upgrade() {
            Some(pool) if pool.expire(Instant::now()) => {}
            _ => return,
        }
    }
}

/// A connection that carries a response; given back when that was read.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) place: Place,
    pub(super) sender: Sender,
}

impl Lease {
    /// Back into the pool.
    pub(super) fn give_back(self) {
        let Lease { pool, place, sender } = self;
        pool.put(place, sender);
    }
}
