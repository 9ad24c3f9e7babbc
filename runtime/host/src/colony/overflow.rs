//! Requests that one host has no room for, carried to another and back.
//!
//! Who is asked is `cyte_organism::colony::overflow`'s choice, what hosts say to each other is
//! `cyte_organism::colony::errand`'s. Here the two meet requests, cells and time: [`Way`] is what the
//! gateway holds of it, one a gene; [`guest`] is the other side, on the host that takes a request in.
//!
//! - Everything goes over the medium: what it loses, delays or parts, this hears of like anything else.
//! - A host that takes a request in holds a place first; the request is brought only then, and never
//!   leaves that host again: it does not pass the gateway there.
//! - Nothing that was brought is sent a second time. What becomes of it without an answer is told as
//!   `host-lost`, never as "try again".
//! - Bounded: [`OUT_MAX`] requests away at once, [`guest::GUESTS_MAX`] of others here; bytes by
//!   [`cyte_organism::colony::errand`].

mod form;
mod guest;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::GeneName;
use cyte_engine::{CallFacts, Clock, Tissue};
use cyte_gateway::{Elsewhere, Going, NotElsewhere, Refusal, Whole};
use cyte_medium::{Medium as _, Peer, Station};
use cyte_organism::Nanos;
use cyte_organism::colony::errand::{self, Errand, Parts, REQUEST_BODY_MAX};
use cyte_organism::colony::overflow::Offers;
use cyte_organism::phenotype::HostId;
use http::{Request, Response};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use super::Seat;
use guest::Guests;

/// Requests of this host that are asked for, or are, on others at once.
const OUT_MAX: usize = 128;
/// Requests of this host that others are to take, those for which nobody has room yet included; more are
/// refused at once.
const WAITING_MAX: usize = 256;
/// What is heard about one request and not yet taken: room, answer, end.
const HEARD: usize = 4;
/// Beyond what the gene may take to its answer's head: for its body, and the way there and back.
const BEYOND_HEAD: Duration = Duration::from_secs(10);

/// What was carried since the host started.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    received: AtomicU64,
    turned_away: AtomicU64,
}

/// The same for whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Requests that another host took.
    pub sent: u64,
    /// ... and answered.
    pub answered: u64,
    /// Requests that were to go and that nobody took: they were refused here.
    pub refused: u64,
    /// Requests that another host took and never answered.
    pub lost: u64,
    /// Requests of others that this host took.
    pub received: u64,
    /// ... and for which it had no room.
    pub turned_away: u64,
}

/// What is said about one request that is elsewhere.
enum Heard {
    Room,
    NoRoom,
    Answer(Vec<u8>),
    Failed(String),
    /// The host that has it is gone.
    Gone,
}

/// One request that is elsewhere, as it waits for what is said about it.
struct Away {
    host: HostId,
    hears: mpsc::Sender<Heard>,
    answer: Parts,
}

struct State {
    offers: Offers,
    number: u64,
    away: BTreeMap<u64, Away>,
}

/// Overflow of one host.
pub struct Overflow {
    station: Station,
    clock: Clock,
    cytoplasm: Handle,
    ways: BTreeMap<GeneName, Arc<Way>>,
    state: Mutex<State>,
    /// Somebody may have room again.
    changed: Notify,
    /// One for each request that may wait for that.
    seats: Semaphore,
    guests: Guests,
    counts: Counts,
}

impl std::fmt::Debug for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overflow").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// The way of one gene's requests to other hosts.
pub struct Way {
    overflow: std::sync::Weak<Overflow>,
    tissue: Arc<Tissue>,
    /// How long a request waits in all, in nanoseconds, where it may leave; else 0.
    wait: AtomicU64,
    /// Whether it may, and others have room.
    is_open: AtomicBool,
}

impl Overflow {
    /// Of a host with this seat and these tissues; `cytoplasm` runs what it takes in.
    #[must_use]
    pub fn of(seat: &Seat, clock: Clock, cytoplasm: &Handle, tissues: &[Arc<Tissue>]) -> Arc<Self> {
        // The colony draws from the same seed.
        let offers = Offers::new(seat.seed.rotate_left(32));
        Arc::new_cyclic(|me| {
            let way = |tissue: &Arc<Tissue>| {
                let way = Way {
                    overflow: me.clone(),
                    tissue: tissue.clone(),
                    wait: AtomicU64::new(0),
                    is_open: AtomicBool::new(false),
                };
                (tissue.gene().name.clone(), Arc::new(way))
            };
            Self {
                station: seat.station.clone(),
                clock,
                cytoplasm: cytoplasm.clone(),
                ways: tissues.iter().map(way).collect(),
                state: Mutex::new(State { offers, number: 0, away: BTreeMap::new() }),
                changed: Notify::new(),
                seats: Semaphore::new(WAITING_MAX),
                guests: Guests::default(),
                counts: Counts::default(),
            }
        })
    }

    /// The way of a gene's requests; `None` for one that has no tissue here.
    #[must_use]
    pub fn way(&self, gene: &GeneName) -> Option<Arc<dyn Elsewhere>> {
        let way: Arc<Way> = self.ways.get(gene).cloned()?;
        Some(way)
    }

    /// What this host knows now: who is well, with how much room at which beat, and whose requests may
    /// leave. Those of any other gene never do.
    pub fn told(&self, well: impl IntoIterator<Item = (HostId, u32, u32)>, leaving: &BTreeSet<GeneName>) {
        let now = self.clock.now();
        let has_room = {
            let mut state = self.lock();
            state.offers.told(now, well);
            state.offers.has_room(now)
        };
        for (gene, way) in &self.ways {
            let may_leave = leaving.contains(gene);
            way.wait.store(if may_leave { way.tissue.patience().0 } else { 0 }, Relaxed);
            way.is_open.store(may_leave && has_room, Relaxed);
        }
        self.changed.notify_waiters();
        self.guests.welcome(leaving);
    }

    /// A host is believed dead: what it took of this one has no answer.
    pub fn gone(&self, host: HostId) {
        for away in self.lock().away.values().filter(|away| away.host == host) {
            let _ = away.hears.try_send(Heard::Gone);
        }
    }

    /// What was carried so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        let Counts { sent, answered, refused, lost, received, turned_away } = &self.counts;
        Carried {
            sent: sent.load(Relaxed),
            answered: answered.load(Relaxed),
            refused: refused.load(Relaxed),
            lost: lost.load(Relaxed),
            received: received.load(Relaxed),
            turned_away: turned_away.load(Relaxed),
        }
    }

    /// An errand of another host came.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn hear(
        self: &Arc<Self>,
        from: HostId,
        bytes: &[u8],
    ) -> Result<(), cyte_organism::colony::WordError> {
        match Errand::decode(bytes)? {
            Errand::Ask { number, gene, wait_ms } => {
                self.take_in(from, number, &gene, Duration::from_millis(wait_ms.into()));
            }
            Errand::Bring(number, part) => self.guests.brought(from, number, part),
            Errand::Cancel(number) => self.guests.cancel(from, number),
            Errand::Room(number) => {
                if !self.hears(from, number, Heard::Room) {
                    // Nobody waits for it any more: the place is not held in vain.
                    self.say(from, &Errand::Cancel(number));
                }
            }
            Errand::NoRoom(number) => {
                self.hears(from, number, Heard::NoRoom);
            }
            Errand::Failed(number, code) => {
                self.hears(from, number, Heard::Failed(code));
            }
            Errand::Answer(number, part) => {
                let whole = {
                    let mut state = self.lock();
                    let away = state.away.get_mut(&number).filter(|away| away.host == from);
                    away.and_then(|away| away.answer.take(part))
                };
                if let Some(whole) = whole {
                    self.hears(from, number, Heard::Answer(whole));
                }
            }
        }
        Ok(())
    }

    /// Tells the request of this number; whether it still waits for anything of that host.
    fn hears(&self, from: HostId, number: u64, heard: Heard) -> bool {
        let state = self.lock();
        let away = state.away.get(&number).filter(|away| away.host == from);
        // Whoever waits for one thing at a time has room for what can be said about it.
        away.map(|away| away.hears.try_send(heard)).is_some()
    }

    /// Sends; whether the medium took it, which says nothing of its arrival.
    fn say(&self, to: HostId, errand: &Errand) -> bool {
        let bytes = errand.encode().ok().map(Bytes::from);
        bytes.is_some_and(|bytes| self.station.tell(Peer(to.0), bytes).is_ok())
    }

    /// Asks a host for room, if one may have some.
    fn ask(self: &Arc<Self>, gene: &GeneName, left: Duration) -> Option<Asking> {
        let (hears, heard) = mpsc::channel(HEARD);
        let now = self.clock.now();
        let (host, number) = {
            let mut state = self.lock();
            if state.away.len() >= OUT_MAX {
                return None;
            }
            let host = state.offers.choose(now, gene)?;
            state.number = state.number.wrapping_add(1);
            let number = state.number;
            state.away.insert(number, Away { host, hears, answer: Parts::default() });
            (host, number)
        };
        let asking = Asking { overflow: self.clone(), host, number, heard, is_over: false };
        let wait_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        self.say(host, &Errand::Ask { number, gene: gene.clone(), wait_ms });
        Some(asking)
    }

    /// The same as soon as one may have some.
    async fn ask_soon(self: &Arc<Self>, gene: &GeneName, until: Instant) -> Option<Asking> {
        loop {
            // Before it is looked at, so that nothing that changes meanwhile is missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Some(asking) = self.ask(gene, left) {
                return Some(asking);
            }
            tokio::time::timeout_at(until, changed).await.ok()?;
        }
    }

    /// Finds a host that takes it; one after the other, as long as there is time. Who is silent had all
    /// of it.
    async fn find(self: &Arc<Self>, gene: &GeneName, until: Instant) -> Option<Asking> {
        loop {
            let mut asking = self.ask_soon(gene, until).await?;
            let begun = Instant::now();
            let heard = tokio::time::timeout_at(until, asking.heard.recv()).await;
            let (now, took) = (self.clock.now(), Nanos::from(begun.elapsed()));
            let mut state = self.lock();
            match heard {
                Ok(Some(Heard::Room)) => {
                    state.offers.took(asking.host, took);
                    drop(state);
                    return Some(asking);
                }
                Ok(Some(Heard::NoRoom)) => {
                    state.offers.took(asking.host, took);
                    state.offers.refused(now, asking.host, gene);
                    asking.is_over = true;
                }
                Ok(_) => state.offers.refused(now, asking.host, gene),
                Err(_) => state.offers.silent(now, asking.host, took),
            }
            // Before `asking` goes, which locks it too.
            drop(state);
        }
    }

    /// Carries one request.
    async fn carry(
        self: Arc<Self>,
        way: &Way,
        request: Request<Bytes>,
        facts: CallFacts,
        left: Duration,
    ) -> Result<Response<Whole>, NotElsewhere> {
        let nobody = || {
            self.counts.refused.fetch_add(1, Relaxed);
            NotElsewhere::NobodyTookIt
        };
        let until = Instant::now() + left;
        let Ok(_seat) = self.seats.try_acquire() else { return Err(nobody()) };
        let parts = form::brought(&request, &facts).and_then(|brought| errand::parts(&brought));
        let Some(parts) = parts else { return Err(nobody()) };
        let gene = &way.tissue.gene().name;
        let Some(mut asking) = self.find(gene, until).await else { return Err(nobody()) };
        self.counts.sent.fetch_add(1, Relaxed);
        for part in parts {
            self.say(asking.host, &Errand::Bring(asking.number, part));
        }
        let patience = answer_within(&way.tissue);
        let heard = tokio::time::timeout(patience, asking.answer()).await;
        let answer = match heard {
            Ok(Some(Heard::Answer(bytes))) => form::answer(&bytes).ok_or(Refusal::CellAnswer),
            Ok(Some(Heard::Failed(code))) => Err(Refusal::of_code(&code).unwrap_or(Refusal::CellError)),
            Ok(Some(Heard::NoRoom)) => {
                // It came too late for the place that was held, and was not begun.
                asking.is_over = true;
                return Err(nobody());
            }
            _ => {
                self.counts.lost.fetch_add(1, Relaxed);
                return Err(NotElsewhere::Refused(Refusal::HostLost));
            }
        };
        asking.is_over = true;
        self.counts.answered.fetch_add(1, Relaxed);
        answer.map_err(NotElsewhere::Refused)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a request that was brought may take to its whole answer.
fn answer_within(tissue: &Tissue) -> Duration {
    Duration::from_nanos(tissue.limits().wall.0).saturating_add(BEYOND_HEAD)
}

/// One request that was asked for, or is, elsewhere. Dropped before its end it is cancelled there: a
/// client that goes away takes it along.
struct Asking {
    overflow: Arc<Overflow>,
    host: HostId,
    number: u64,
    heard: mpsc::Receiver<Heard>,
    is_over: bool,
}

impl Asking {
    /// What comes of it; said twice that there is room is no news.
    async fn answer(&mut self) -> Option<Heard> {
        loop {
            match self.heard.recv().await {
                Some(Heard::Room) => {}
                heard => return heard,
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.overflow.lock();
        state.away.remove(&self.number);
        state.offers.done(self.host);
        drop(state);
        self.overflow.changed.notify_one();
        if !self.is_over {
            self.overflow.say(self.host, &Errand::Cancel(self.number));
        }
    }
}

impl Elsewhere for Way {
    fn wait(&self) -> Option<Duration> {
        let wait = self.wait.load(Relaxed);
        (wait > 0).then(|| Duration::from_nanos(wait))
    }

    fn has_room(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    fn body_max(&self) -> usize {
        REQUEST_BODY_MAX
    }

    fn go(&self, request: Request<Bytes>, facts: CallFacts, left: Duration) -> Going<'_> {
        Box::pin(async move {
            match self.overflow.upgrade() {
                // What is wanted may have changed while the request waited.
                Some(overflow) if self.wait.load(Relaxed) > 0 => {
                    overflow.carry(self, request, facts, left).await
                }
                _ => Err(NotElsewhere::NobodyTookIt),
            }
        })
    }
}
