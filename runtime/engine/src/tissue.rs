//! A tissue: all cells of one gene on this host, their queue and their limits.
//!
//! The decisions are [`cyte_organism::fast`]'s, taken under one lock that is never held across an
//! await. What is added here is what those plain structs cannot have: cells, wakers, timers.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use cyte_dna::{Gene, limits};
use cyte_organism::{
    Nanos,
    fast::{Bounds, Counts, GivenBack, Offer, Tissue as Fast},
    homeostasis::Sample,
    lineage::Birth,
    phenotype::Cause,
};
use dashmap::{DashMap, DashSet};
use http::{Method, Request, Response, header, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{sync::oneshot, time::timeout};
use wasmtime::WasmBacktrace;
use wasmtime_wasi_http::Error as WasiError;

use crate::{
    body::CellBody,
    call,
    capability::log::{Death, Level, LogLine, Source},
    cell::{Cell, Vessel},
    crowd::{self, Slot},
    driver::Driver,
    error::{Breach, CallError},
    genome::CellPre,
    host::CellHost,
    latency::Latency,
    snapshot::{CellSnapshot, TissueSnapshot},
    state::CellLimits,
    vitals::Vitals,
};

/// A request's number on this host, printed as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An error of a request's body, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the gateway knows of a request beside the request itself.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// Its number.
    pub id: RequestId,
    /// `http` or `https`, as the client used it.
    pub scheme: Scheme,
}

/// What a tissue keeps ready.
enum Tenant {
    Cell(Box<Cell>),
    Slot(Slot),
}

impl Tenant {
    /// Ends it, if it is a cell: its uses are not spent, it is only one too many.
    fn retire(self) {
        if let Tenant::Cell(mut cell) = self {
            cell.place.is_retired = true;
        }
    }
}

impl From<Tenant> for Vessel {
    fn from(tenant: Tenant) -> Self {
        match tenant {
            Tenant::Cell(cell) => Self::Ready(cell),
            Tenant::Slot(slot) => Self::Slot(slot),
        }
    }
}

type Queue = Fast<Tenant, oneshot::Sender<Loan>>;

/// A vessel on its way to a request that waits for it. If the request goes away in the same
/// moment, the vessel goes to the next one.
struct Loan {
    vessel: Option<Vessel>,
    tissue: Arc<Tissue>,
}

impl Loan {
    fn new(vessel: Vessel, tissue: &Arc<Tissue>) -> Self {
        Self { vessel: Some(vessel), tissue: tissue.clone() }
    }

    fn take(mut self) -> Option<Vessel> {
        self.vessel.take()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        match self.vessel.take() {
            Some(Vessel::Ready(cell)) => self.tissue.lend(Tenant::Cell(cell)),
            Some(Vessel::Slot(slot)) => self.tissue.lend_again(slot),
            // Dropping a place passes it on.
            Some(Vessel::Stem(_)) | None => {}
        }
    }
}

/// All cells of one gene on this host.
pub struct Tissue {
    pre: Arc<CellPre>,
    host: Arc<CellHost>,
    queue: Mutex<Queue>,
    /// Who lives, for people to look at. A one-use cell comes and goes within a request, so
    /// this map is sharded.
    alive: DashMap<u64, Arc<Vitals>>,
    latency: Latency,
    offered_before: AtomicU64,
    /// Shared cells that take nothing new, by number. Looked at only while `is_leaving` says so.
    leaving: DashSet<u64>,
    /// Whether some may be leaving.
    is_leaving: AtomicBool,
    /// Cells that are wanted at least.
    least: AtomicU32,
}

/// A place of a tissue that a cell holds from its conception to its end.
pub(crate) struct Place {
    tissue: Arc<Tissue>,
    vitals: Arc<Vitals>,
    is_retired: bool,
}

impl Place {
    /// The place for a birth, if the host has room for one more cell.
    fn take(tissue: &Arc<Tissue>, birth: Birth) -> Option<Self> {
        let is_taken = tissue.host.places.occupy();
        Self::or_none(tissue, birth, is_taken)
    }

    /// The same for a request, for which a cell of another gene that rests gives way.
    fn claim(tissue: &Arc<Tissue>, birth: Birth) -> Option<Self> {
        let places = &tissue.host.places;
        let is_taken = places.occupy() || places.make_room(tissue);
        Self::or_none(tissue, birth, is_taken)
    }

    fn or_none(tissue: &Arc<Tissue>, birth: Birth, is_taken: bool) -> Option<Self> {
        if is_taken {
            return Some(Self::taken(tissue, birth));
        }
        tissue.host.counters.no_place.add();
        tissue.lock().miscarry(birth);
        None
    }

    /// A place that was taken for this birth.
    fn taken(tissue: &Arc<Tissue>, birth: Birth) -> Self {
        let vitals = Arc::new(Vitals::new(tissue.host.clock, birth));
        tissue.alive.insert(birth.id.0, vitals.clone());
        Self { tissue: tissue.clone(), vitals, is_retired: false }
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Says whether the cell ended by use, age or surplus; otherwise it counts as a death.
    pub(crate) fn set_retired(&mut self, is_retired: bool) {
        self.is_retired = is_retired;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (tissue, places) = (&self.tissue, &self.tissue.host.places);
        tissue.alive.remove(&self.vitals.birth.id.0);
        tissue.has_left(self.vitals.birth.id.0);
        let heir = {
            let mut queue = tissue.lock();
            queue.skip(oneshot::Sender::is_closed);
            queue.leave(self.vitals.birth, self.is_retired);
            // Otherwise the place goes round among all who wait for one.
            if places.is_short() { None } else { queue.heir(|| tissue.host.clock.now()) }
        };
        match heir {
            Some(heir) => tissue.pass_to(heir),
            None => {
                places.vacate();
                places.pass_on();
            }
        }
    }
}

impl Tissue {
    /// A tissue without cells.
    pub(crate) fn new(pre: Arc<CellPre>, host: Arc<CellHost>) -> Arc<Self> {
        let gene = &pre.context.gene;
        let bounds = Bounds {
            cells_max: gene.express.max.unwrap_or(u32::MAX).min(host.places.count().1),
            slots: pre.slots(),
            waiters_max: pre.context.limits.waiters,
            wait: pre.context.limits.wait,
            target: Nanos(pre.context.limits.wait.0 / limits::WAIT_FELT_SHARE),
            stands_after: Nanos::from_millis(limits::QUEUE_STANDS_MS),
        };
        let tissue = Arc::new(Self {
            queue: Mutex::new(Fast::new(bounds)),
            alive: DashMap::new(),
            latency: Latency::default(),
            offered_before: AtomicU64::new(0),
            leaving: DashSet::new(),
            is_leaving: AtomicBool::new(false),
            least: AtomicU32::new(gene.express.min),
            pre,
            host,
        });
        tissue.host.places.join(&tissue);
        tissue
    }

    /// The gene whose cells these are.
    pub fn gene(&self) -> &Gene {
        &self.pre.context.gene
    }

    /// The limits of each cell.
    pub fn limits(&self) -> &CellLimits {
        &self.pre.context.limits
    }

    /// Serves one request. The response's body owns the guest: dropping it cancels.
    ///
    /// # Errors
    ///
    /// Says why there is no response; nothing was sent, and at most one cell is gone.
    pub async fn serve<B>(
        self: &Arc<Self>,
        request: Request<B>,
        facts: CallFacts,
    ) -> Result<Response<CellBody>, CallError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if !names_a_host(&request) {
            return Err(CallError::BadRequest);
        }
        let offered = self.offer();
        // After the tissue's lock was held: see `Alarm::set`.
        self.host.alarm.ring();
        let vessel = match offered {
            Ok(vessel) => vessel,
            Err(waiting) => self.wait(waiting?).await?,
        };
        let vitals = vessel.vitals();
        vitals.begin(facts.id.0, self.limits().cpu);
        let request = request.map(|body| body.map_err(|error| request_error(error.into())));
        let (head, arriving) = oneshot::channel();
        let is_tls = facts.scheme == Scheme::HTTPS;
        let is_head = request.method() == Method::HEAD;
        let call = call::call(self.pre.clone(), self.host.memory.clone(), vessel, request, is_tls, head);
        Driver::new(self.clone(), vitals, call).answer(arriving, is_head).await
    }

    /// A cell, a place for one, or a ticket to wait for either.
    fn offer(self: &Arc<Self>) -> Result<Vessel, Result<Ticket, CallError>> {
        let birth = {
            let mut queue = self.lock();
            if queue.is_full() {
                // Those whose client went away are in nobody's way.
                queue.forget(oneshot::Sender::is_closed);
            }
            match queue.offer() {
                Offer::Sent(tenant) => return Ok(tenant.into()),
                Offer::NeedsCell(birth) => birth,
                Offer::MustWait => return Err(self.queue_up(&mut queue)),
                Offer::Saturated => return Err(Err(CallError::Saturated)),
            }
        };
        match Place::claim(self, birth) {
            Some(place) => Ok(self.vessel(place)),
            None => Err(self.wait_for_place()),
        }
    }

    /// To the end of the queue, unless it stands.
    fn queue_up(&self, queue: &mut Queue) -> Result<Ticket, CallError> {
        let now = self.host.clock.now();
        queue.skip(oneshot::Sender::is_closed);
        if queue.turns_away(now) {
            return Err(CallError::Saturated);
        }
        Ok(Self::enqueue(queue, now))
    }

    /// Room among the cells of this gene, but none on the host.
    fn wait_for_place(&self) -> Result<Ticket, CallError> {
        let mut queue = self.lock();
        if queue.is_full() {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, self.host.clock.now());
        drop(queue);
        self.host.places.is_wanted();
        Ok(ticket)
    }

    /// A place that is taken goes, as a new birth, to a waiting request.
    fn pass_to(self: &Arc<Self>, (waiter, birth): (oneshot::Sender<Loan>, Birth)) {
        let place = Place::taken(self, birth);
        // A waiter that goes away just now drops the loan, and so passes it on to the next.
        drop(waiter.send(Loan::new(self.vessel(place), self)));
    }

    /// Takes over a place of the host, which is taken already, for the longest-waiting request;
    /// whether there was one.
    pub(crate) fn welcome(self: &Arc<Self>) -> bool {
        let heir = {
            let mut queue = self.lock();
            queue.skip(oneshot::Sender::is_closed);
            queue.heir(|| self.host.clock.now())
        };
        heir.map(|heir| self.pass_to(heir)).is_some()
    }

    /// Whether somebody waits here for a place of the host.
    pub(crate) fn wants_place(&self) -> bool {
        let mut queue = self.lock();
        queue.skip(oneshot::Sender::is_closed);
        queue.wants_place()
    }

    /// Cells that rest and that nobody asks for.
    pub(crate) fn resting(&self) -> u32 {
        let queue = self.lock();
        let busy = queue.busy().div_ceil(self.pre.slots());
        let asked = self.least.load(Relaxed).saturating_sub(busy);
        queue.alive().saturating_sub(busy).saturating_sub(asked)
    }

    /// Gives up the coldest cell that rests, if there is one.
    pub(crate) fn give_way(&self) -> bool {
        self.resting() > 0 && self.retire(1) > 0
    }

    fn enqueue(queue: &mut Queue, now: Nanos) -> Ticket {
        let (waker, waiting) = oneshot::channel();
        let until = queue.enqueue(now, waker);
        Ticket { waiting, patience: until.since(now) }
    }

    async fn wait(&self, ticket: Ticket) -> Result<Vessel, CallError> {
        match timeout(Duration::from_nanos(ticket.patience.0), ticket.waiting).await {
            Ok(Ok(loan)) => loan.take().ok_or(CallError::WaitedTooLong),
            Ok(Err(_)) => Err(CallError::WaitedTooLong),
            Err(_) => {
                let now = self.host.clock.now();
                self.lock().expire(now).for_each(drop);
                Err(CallError::WaitedTooLong)
            }
        }
    }

    /// A place becomes a vessel for one message. A shared cell starts at once, and its other slots
    /// are ready.
    fn vessel(self: &Arc<Self>, place: Place) -> Vessel {
        if !self.is_shared() {
            return Vessel::Stem(place);
        }
        let mut slots = crowd::settle(self, place, self.pre.slots());
        let Some(slot) = slots.pop() else { unreachable!("a cell has a slot") };
        for slot in slots {
            self.lend_again(slot);
        }
        Vessel::Slot(slot)
    }

    /// A slot of a shared cell is free.
    pub(crate) fn lend_again(self: &Arc<Self>, slot: Slot) {
        let cell = slot.cell();
        if slot.is_closed() || self.takes_nothing(cell) {
            return;
        }
        self.lend(Tenant::Slot(slot));
        // It may have been dismissed in between.
        if self.takes_nothing(cell) {
            self.evict(cell);
        }
    }

    /// A shared cell takes nothing new: its slots are not lent again.
    pub(crate) fn evict(&self, cell: u64) {
        let evicted = self.lock().evict(|tenant| matches!(tenant, Tenant::Slot(slot) if slot.cell() == cell));
        // Outside the lock: the last slot of a cell ends it.
        drop(evicted);
    }

    /// Whether a shared cell was dismissed.
    fn takes_nothing(&self, cell: u64) -> bool {
        self.is_leaving.load(SeqCst) && self.leaving.contains(&cell)
    }

    /// Lets shared cells end: each takes nothing new and finishes what it holds.
    fn dismiss(&self, cells: impl IntoIterator<Item = u64>) -> usize {
        let mut count = 0;
        for cell in cells {
            self.leaving.insert(cell);
            self.is_leaving.store(true, SeqCst);
            {
                // A cell leaves the map first and the queue's sum, under this lock, after that.
                let mut queue = self.lock();
                if !self.alive.contains_key(&cell) {
                    drop(queue);
                    self.has_left(cell);
                    continue;
                }
                queue.dismiss();
            }
            self.evict(cell);
            count += 1;
        }
        count
    }

    /// A cell is gone.
    fn has_left(&self, cell: u64) {
        if self.is_leaving.load(SeqCst) {
            self.leaving.remove(&cell);
            // Cleared before it is looked at again: who dismisses inserts before setting.
            self.is_leaving.store(false, SeqCst);
            if !self.leaving.is_empty() {
                self.is_leaving.store(true, SeqCst);
            }
        }
    }

    /// Shared cells that were not dismissed: those that rest before those that work, the youngest
    /// first. Says of each whether it works.
    fn lasting(&self) -> Vec<(bool, u64)> {
        let cells = self.alive.iter().map(|entry| (entry.value().is_busy(), *entry.key()));
        let mut cells: Vec<_> = cells.filter(|(_, cell)| !self.leaving.contains(cell)).collect();
        cells.sort_unstable_by_key(|(is_busy, cell)| (*is_busy, std::cmp::Reverse(*cell)));
        cells
    }

    /// A cell finished its message, or was made ahead of need: next use, or the end of its life.
    pub(crate) fn give_back(self: &Arc<Self>, mut cell: Box<Cell>) {
        if cell.uses_left == 0 || self.is_senescent(&cell.vitals) {
            cell.place.is_retired = true;
            return;
        }
        self.lend(Tenant::Cell(cell));
    }

    /// To the longest-waiting request that is still there, else onto the stack.
    fn lend(self: &Arc<Self>, tenant: Tenant) {
        let mut next = Some(tenant);
        while let Some(tenant) = next.take() {
            let given = self.lock().give_back(tenant, || self.host.clock.now());
            let (waiter, tenant) = match given {
                GivenBack::Passed(waiter, tenant) => (waiter, tenant),
                GivenBack::Kept => return self.host.places.relieve(self),
                GivenBack::Surplus(tenant) => return tenant.retire(),
            };
            let refused = waiter.send(Loan::new(tenant.into(), self)).err();
            next = match refused.and_then(Loan::take) {
                Some(Vessel::Ready(cell)) => Some(Tenant::Cell(cell)),
                Some(Vessel::Slot(slot)) => Some(Tenant::Slot(slot)),
                Some(Vessel::Stem(_)) | None => None,
            };
        }
    }

    /// A cell near its memory cap retires before it would have to be stopped.
    fn is_senescent(&self, vitals: &Vitals) -> bool {
        vitals.memory() > self.limits().memory_bytes / 4 * 3
    }

    /// A response began.
    pub(crate) fn answered(&self, started: Nanos) {
        self.latency.record(self.host.clock.now().since(started));
    }

    /// A one-use cell goes with its client.
    pub(crate) fn cancelled(&self, vitals: &Vitals) {
        vitals.end();
        self.host.counters.cancelled.add();
    }

    /// Makes up to `count` cells ready, off the request path.
    pub fn prepare(self: &Arc<Self>, count: u32) {
        for _ in 0..count {
            let Some(birth) = self.lock().conceive_ahead() else { return };
            let Some(place) = Place::take(self, birth) else { return };
            if self.is_shared() {
                crowd::settle(self, place, self.pre.slots())
                    .into_iter()
                    .for_each(|slot| self.lend_again(slot));
                continue;
            }
            let vitals = place.vitals().clone();
            vitals.begin(0, self.limits().cpu);
            let call = call::differentiate(self.pre.clone(), self.host.memory.clone(), place);
            self.host.cytoplasm.spawn(Driver::new(self.clone(), vitals, call).finish_alone());
        }
    }

    /// Retires up to `count` cells that rest, the coldest first; says how many.
    pub fn retire(&self, count: u32) -> usize {
        if self.is_shared() {
            let resting = self.lasting().into_iter().filter(|(is_busy, _)| !is_busy);
            return self.dismiss(resting.take(count as usize).map(|(_, cell)| cell));
        }
        let surplus = self.lock().surplus(count as usize);
        let cells = surplus.len();
        surplus.into_iter().for_each(Tenant::retire);
        cells
    }

    /// Changes how many cells there may be: at least `min` stay, and never more than `max` (`None` =
    /// as many as the host has). Whoever waits gets a cell where there is room now. Surplus cells
    /// that rest end at once, those that work when they have finished.
    pub fn set_range(&self, min: u32, max: Option<u32>) {
        let most = max.unwrap_or(u32::MAX).min(self.host.places.count().1);
        self.least.store(min.min(most), Relaxed);
        let mut queue = self.lock();
        let bounds = queue.bounds();
        queue.set_bounds(Bounds { cells_max: most, ..bounds });
        let (over, wants_place) = (queue.over(), queue.wants_place());
        drop(queue);
        if over > 0 && self.is_shared() {
            self.dismiss(self.lasting().into_iter().take(over as usize).map(|(_, cell)| cell));
        } else if over > 0 {
            self.retire(over);
        }
        if wants_place {
            self.host.places.is_wanted();
        }
    }

    /// Cells alive or being made, without those that are about to end.
    pub fn staying(&self) -> u32 {
        self.lock().staying()
    }

    /// Messages that one cell holds at once.
    pub fn slots(&self) -> u32 {
        self.pre.slots()
    }

    /// What the governor looks at, and starts a new window for the peak.
    ///
    /// Counted in messages that its cells can hold, which for most genes are cells.
    pub fn sample(&self) -> Sample {
        let mut queue = self.lock();
        let counts = queue.sample();
        let (ready, busy) = (queue.ready().len() as u32, queue.busy());
        let bounds = queue.bounds();
        drop(queue);
        Sample {
            ready,
            busy,
            busy_peak: counts.busy_peak,
            min: self.least.load(Relaxed).saturating_mul(bounds.slots),
            max: bounds.cells_max.saturating_mul(bounds.slots),
            one_use: self.is_one_use(),
            active: self.offered_before.swap(counts.offered, Relaxed) != counts.offered,
        }
    }

    /// What people see of this tissue.
    pub fn snapshot(&self) -> TissueSnapshot {
        let mut queue = self.lock();
        queue.forget(oneshot::Sender::is_closed);
        let (ready, busy, waiting) = (queue.ready().len(), queue.busy(), queue.waiting());
        let (counts, born, bounds) = (queue.counts(), queue.born(), queue.bounds());
        drop(queue);
        let now = self.host.clock.now();
        let mut cells: Vec<CellSnapshot> =
            self.alive.iter().map(|entry| CellSnapshot::of(self, entry.value(), now)).collect();
        cells.sort_by_key(|cell| cell.id);
        TissueSnapshot {
            gene: self.gene().name.to_string(),
            role: self.gene().role.as_str(),
            reuse: self.pre.reuse,
            ready: ready as u32,
            busy,
            waiting: waiting as u32,
            born,
            bounds,
            counts,
            p50_us: self.latency.quantile_us(0.5),
            p99_us: self.latency.quantile_us(0.99),
            cells,
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// How often something did not fit into its writable folders.
    pub fn files_refused(&self) -> u64 {
        self.pre.context.quota.as_ref().map_or(0, |quota| quota.refused())
    }

    /// How many cells were born so far.
    pub fn born(&self) -> u64 {
        self.lock().born()
    }

    /// Says what killed a cell: to the log, to the counters and to the client.
    pub(crate) fn obituary(&self, vitals: &Vitals, error: &wasmtime::Error) -> CallError {
        vitals.end();
        let counters = &self.host.counters;
        let breach = error.downcast_ref::<Breach>().copied().or(vitals.breached());
        let failure = match breach {
            Some(breach) => {
                match breach {
                    Breach::Cpu => counters.cpu_breaches.add(),
                    Breach::Wall => counters.wall_breaches.add(),
                    Breach::Memory => counters.memory_breaches.add(),
                    Breach::Structure => counters.structure_breaches.add(),
                }
                CallError::Breached(breach)
            }
            None if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                counters.no_place.add();
                CallError::NotMade("the engine has no slot left".into())
            }
            None => {
                counters.traps.add();
                CallError::Trapped(error.root_cause().to_string())
            }
        };
        let cause = match breach {
            Some(_) => Cause::Breach,
            None if vitals.uses() == 0 => Cause::StartFailed,
            None => Cause::Trap,
        };
        let text = last_words(breach, error);
        self.pre.context.hands.log.died(&Death {
            gene: &self.gene().name,
            cell: vitals.birth.id.0,
            born: vitals.born,
            // The message at which it died does not count.
            served: vitals.uses().saturating_sub(1),
            cause,
            words: &text,
        });
        self.complain(vitals, Level::Error, text);
        failure
    }

    /// Tells the gene's log what went wrong with the message that this cell holds.
    pub(crate) fn complain(&self, vitals: &Vitals, level: Level, text: String) {
        self.pre.context.hands.log.line(LogLine {
            gene: self.gene().name.clone(),
            cell: vitals.birth.id.0,
            request: vitals.request(),
            level,
            source: Source::Host,
            text,
        });
    }

    /// Whether each cell serves one request only.
    pub fn is_one_use(&self) -> bool {
        self.pre.reuse == 1
    }

    /// Whether a cell takes several messages at once.
    pub(crate) fn is_shared(&self) -> bool {
        self.pre.slots() > 1
    }

    pub(crate) fn pre(&self) -> &CellPre {
        &self.pre
    }

    pub(crate) fn host(&self) -> &Arc<CellHost> {
        &self.host
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place in the queue.
struct Ticket {
    waiting: oneshot::Receiver<Loan>,
    patience: Nanos,
}

/// Guests are told the host that was asked for, so there must be one that is text.
fn names_a_host<B>(request: &Request<B>) -> bool {
    request.uri().authority().is_some()
        || request.headers().get(header::HOST).is_some_and(|host| host.to_str().is_ok())
}

fn request_error(error: BoxError) -> WasiError {
    tracing::debug!("the request's body broke off: {error}");
    WasiError::HttpProtocolError
}

/// The cause of a cell's death and where its guest was, with the guest's function names.
fn last_words(breach: Option<Breach>, error: &wasmtime::Error) -> String {
    let mut text = match breach {
        Some(breach) => format!("cell ended: {breach}"),
        None => format!("cell ended: {}", error.root_cause()),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let _ = write!(text, "\n{backtrace}");
    }
    text
}
