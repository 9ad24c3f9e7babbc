//! Tells that a number rose: a condition variable for threads, callbacks for everybody else.
//!
//! Whoever listens is told the number only and reads the rest where it is kept. So a slow listener
//! holds up nobody and costs no memory: it finds all that it missed in one go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::StoreError;

/// Callbacks at once.
pub const LISTENERS_MAX: usize = 256;

/// Called with the new number, outside every lock, by the thread that raised it. It must be short;
/// waking a task is what it is for.
pub type Listener = Arc<dyn Fn(u64) + Send + Sync>;

/// The bell of one store.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rang: Condvar,
}

#[derive(Default)]
struct State {
    number: u64,
    next: u64,
    listeners: BTreeMap<u64, Listener>,
}

/// A callback that is called until this is dropped.
#[must_use = "dropping it ends the callback"]
pub struct Listening {
    bell: Weak<Bell>,
    id: u64,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(bell) = self.bell.upgrade() {
            bell.lock().listeners.remove(&self.id);
        }
    }
}

impl Bell {
    /// Raises the number to `number`; does nothing where it is there already.
    pub(crate) fn ring(&self, number: u64) {
        let mut state = self.lock();
        if number <= state.number {
            return;
        }
        state.number = number;
        let listeners: Vec<Listener> = state.listeners.values().cloned().collect();
        drop(state);
        self.rang.notify_all();
        for listener in listeners {
            listener(number);
        }
    }

    /// Waits until the number is above `after`, for `patience` at most. The number as it is then.
    pub(crate) fn wait(&self, after: u64, patience: Duration) -> u64 {
        let waited = self.rang.wait_timeout_while(self.lock(), patience, |state| state.number <= after);
        waited.unwrap_or_else(PoisonError::into_inner).0.number
    }

    pub(crate) fn listen(self: &Arc<Self>, listener: Listener) -> Result<Listening, StoreError> {
        let mut state = self.lock();
        if state.listeners.len() >= LISTENERS_MAX {
            return Err(StoreError::TooMany { what: "listeners", cap: LISTENERS_MAX });
        }
        state.next += 1;
        let id = state.next;
        state.listeners.insert(id, listener);
        Ok(Listening { bell: Arc::downgrade(self), id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
