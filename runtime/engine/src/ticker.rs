//! The pulse: one thread that advances the engines' epoch every millisecond while a guest is in
//! Wasm, and parks after 100 ms without one, so that an idle host does not wake.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::EngineWeak;

/// How often a guest in Wasm is looked at.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a guest after which the thread parks.
const IDLE_TICKS: u32 = 100;

/// Counts guests in Wasm and owns the ticking thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    entered: AtomicU64,
    left: AtomicU64,
    is_parked: AtomicBool,
    thread: OnceLock<Thread>,
}

/// While this lives, a guest may be in Wasm and the epoch advances.
pub(crate) struct InWasm<'a>(&'a Ticker);

impl Drop for InWasm<'_> {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, SeqCst);
    }
}

impl Ticker {
    /// Starts the thread. It ends when the returned value is dropped; it never keeps an engine alive.
    pub(crate) fn start(engines: EngineList) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            is_parked: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let weak = Arc::downgrade(&ticker);
        let handle = thread::Builder::new().name("cyte-pulse".into()).spawn(move || run(&weak, &engines))?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    /// A guest is about to be polled.
    pub(crate) fn enter(&self) -> InWasm<'_> {
        // Sequentially consistent on purpose: either the parking thread sees this guest, or this
        // guest sees that the thread parks. With less, both could miss and a loop would never end.
        self.entered.fetch_add(1, SeqCst);
        if self.is_parked.load(SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
        InWasm(self)
    }

    fn is_quiet(&self) -> bool {
        self.left.load(SeqCst) == self.entered.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The engines that are ticked; the second one is added when the first 0.3 gene loads.
pub(crate) type EngineList = Arc<[OnceLock<EngineWeak>; 2]>;

fn run(ticker: &Weak<Ticker>, engines: &EngineList) {
    let (mut seen, mut idle) = (0, 0);
    loop {
        thread::sleep(TICK);
        let Some(ticker) = ticker.upgrade() else { return };
        for engine in engines.iter().filter_map(OnceLock::get).filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
        }
        let entered = ticker.entered.load(SeqCst);
        idle = if entered == seen && ticker.is_quiet() { idle + 1 } else { 0 };
        seen = entered;
        if idle >= IDLE_TICKS {
            idle = 0;
            ticker.is_parked.store(true, SeqCst);
            let quiet = ticker.is_quiet();
            let parked = Arc::downgrade(&ticker);
            drop(ticker);
            if quiet {
                thread::park();
            }
            let Some(ticker) = parked.upgrade() else { return };
            ticker.is_parked.store(false, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until(mut is_true: impl FnMut() -> bool) {
        for _ in 0..500 {
            if is_true() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("did not come true in 5 s");
    }

    #[test]
    fn the_pulse_parks_when_idle_and_wakes_for_a_guest() {
        let ticker = Ticker::start(Arc::new([OnceLock::new(), OnceLock::new()])).expect("a thread");
        wait_until(|| ticker.is_parked.load(SeqCst));
        let inside = ticker.enter();
        wait_until(|| !ticker.is_parked.load(SeqCst));
        thread::sleep(Duration::from_millis(300));
        assert!(!ticker.is_parked.load(SeqCst), "a guest in Wasm keeps the pulse going");
        drop(inside);
        wait_until(|| ticker.is_parked.load(SeqCst));
    }
}
