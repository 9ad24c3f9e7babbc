//! A tissue: all cells of one gene on this host, their queue and their limits.
//!
//! The decisions are [`cyte_organism::fast`]'s, taken under one lock that is never held across an
//! await. What is added here is what those plain structs cannot have: cells, wakers, timers. What the
//! governor sees and does is in [`population`], how a cell's place is held and left in [`place`].

mod background;
mod control;
mod ping;
mod place;
mod population;
mod prefer;
mod room;
mod signal;

use std::{
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
    fast::{Bounds, Counts, GivenBack, Offer, Stock, Tissue as Fast},
    lineage::Birth,
};
use dashmap::{DashMap, DashSet};
use http::{Method, Request, Response, header, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{sync::oneshot, time::timeout};
use wasmtime_wasi_http::Error as WasiError;

pub use background::BackgroundSnapshot;
use background::Backstage;
pub use ping::Zombie;
pub(crate) use place::Place;
pub use population::Tally;
use population::Work;
pub(crate) use prefer::Patience;
pub use prefer::preferred_wait;
pub use room::{Room, Unserved};
pub use signal::SignalNow;

use crate::{
    body::{Arriving, CellBody},
    call,
    capability::log::{Level, LogLine, Source},
    cell::{Cell, Vessel},
    crowd::{self, Slot},
    driver::Driver,
    error::CallError,
    genome::CellPre,
    host::CellHost,
    latency::Latency,
    lifecycle::Peace,
    obituary::obituary,
    receptor::News,
    snapshot::{CellSnapshot, TissueSnapshot},
    state::CellLimits,
    vitals::{Effort, Vitals},
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
    /// Whether it is background work, for which [`Tissue::make_room`] was asked.
    pub is_background: bool,
}

/// What a tissue keeps ready.
enum Tenant {
    Cell(Box<Cell>),
    Slot(Slot),
}

impl Tenant {
    /// Ends it, if it is a cell: its uses are not spent, it is only one too many.
    fn retire(self) {
        if let Tenant::Cell(cell) = self {
            cell.retire(Peace::Surplus);
        }
    }

    /// The same at once and without a word: somebody else needs its place now.
    fn give_way(self) {
        if let Tenant::Cell(mut cell) = self {
            cell.place.is_surplus();
        }
    }

    /// The number of its cell.
    fn cell(&self) -> u64 {
        match self {
            Tenant::Cell(cell) => cell.vitals.birth.id.0,
            Tenant::Slot(slot) => slot.cell(),
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
    /// How long cells take from their place to their first message.
    wakes: Latency,
    work: Work,
    /// Cells that are being made and that no request carries.
    coming: AtomicU32,
    /// Cells that take nothing new, by number. Looked at only while `is_leaving` says so.
    leaving: DashSet<u64>,
    /// Whether some may be leaving.
    is_leaving: AtomicBool,
    /// Cells that are wanted at least.
    least: AtomicU32,
    /// When they were pinged last.
    pinged: AtomicU64,
    /// Background work, on its way to the queue and in it.
    backstage: Backstage,
    /// What its cells are to hear, where they have a receptor.
    pub(crate) news: Option<News>,
}

impl Tissue {
    /// A tissue without cells.
    pub(crate) fn new(pre: Arc<CellPre>, host: Arc<CellHost>) -> Arc<Self> {
        let gene = &pre.context.gene;
        let bounds = Bounds {
            cells_max: gene.express.max.unwrap_or(u32::MAX).min(host.places.max()),
            slots: pre.slots(),
            waiters_max: pre.context.limits.waiters,
            wait: pre.context.limits.wait,
            target: Self::harmless(pre.context.limits.wait),
            stands_after: Nanos::from_millis(limits::QUEUE_STANDS_MS),
        };
        let tissue = Arc::new(Self {
            queue: Mutex::new(Fast::new(bounds)),
            alive: DashMap::new(),
            latency: Latency::default(),
            wakes: Latency::default(),
            work: Work::default(),
            coming: AtomicU32::new(0),
            leaving: DashSet::new(),
            is_leaving: AtomicBool::new(false),
            least: AtomicU32::new(gene.express.min),
            pinged: AtomicU64::new(0),
            backstage: Backstage::of(gene),
            news: pre.has_receptor().then(News::default),
            pre,
            host,
        });
        tissue.host.places.join(&tissue);
        tissue
    }

    /// The part of a wait that does no harm.
    fn harmless(wait: Nanos) -> Nanos {
        Nanos(wait.0 / limits::WAIT_FELT_SHARE)
    }

    /// The gene whose cells these are.
    pub fn gene(&self) -> &Gene {
        &self.pre.context.gene
    }

    /// The limits of each cell.
    pub fn limits(&self) -> &CellLimits {
        &self.pre.context.limits
    }

    /// Serves one request. The response's body owns the guest: dropping it cancels. The request waits
    /// for a cell no longer than `most`, where that is less than the gene allows.
    ///
    /// # Errors
    ///
    /// Says why there is no response; nothing was sent, and at most one cell is gone. The request comes
    /// back where no cell had anything of it.
    pub async fn serve<B>(
        self: &Arc<Self>,
        request: Request<B>,
        facts: CallFacts,
        most: Option<Nanos>,
    ) -> Result<Response<CellBody>, Unserved<B>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if !names_a_host(&request) {
            return Err(Unserved::seen(CallError::BadRequest));
        }
        let seeking = facts.is_background.then(|| self.backstage.seek());
        let found = self.vessel_for(Patience::new(request.headers(), most)).await;
        drop(seeking);
        match found {
            Ok(vessel) => self.carry(vessel, request, facts).await.map_err(Unserved::seen),
            Err(error) => Err(Unserved::whole(error, request)),
        }
    }

    /// A cell that heard what it is to hear before a message, or a place for one.
    async fn vessel_for(self: &Arc<Self>, patience: Patience<'_>) -> Result<Vessel, CallError> {
        let mut vessel = self.find_vessel(patience).await?;
        if self.news.is_some() {
            vessel = self.attune(vessel, patience).await?;
        }
        if self.pre.has_lifecycle() {
            vessel = self.prepare_for_message(vessel, patience).await?;
        }
        Ok(vessel)
    }

    /// Carries a request through a cell.
    async fn carry<B>(
        self: &Arc<Self>,
        vessel: Vessel,
        request: Request<B>,
        facts: CallFacts,
    ) -> Result<Response<CellBody>, CallError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let vitals = vessel.vitals();
        vitals.begin(facts.id.0, self.limits().cpu);
        vitals.take_in();
        let watched = vitals.clone();
        let request =
            request.map(|body| Arriving::new(body.map_err(|error| request_error(error.into())), watched));
        let (head, arriving) = oneshot::channel();
        let is_tls = facts.scheme == Scheme::HTTPS;
        let is_head = request.method() == Method::HEAD;
        let call = call::call(self.pre.clone(), self.host.memory.clone(), vessel, request, is_tls, head);
        Driver::new(self.clone(), vitals, call).answer(arriving, is_head).await
    }

    /// A cell or a place for one, as soon as there is either.
    pub(crate) async fn find_vessel(self: &Arc<Self>, patience: Patience<'_>) -> Result<Vessel, CallError> {
        let offered = self.offer(patience);
        // After the tissue's lock was held: see `Alarm::set`.
        self.host.alarm.ring();
        match offered {
            Ok(vessel) => Ok(vessel),
            Err(waiting) => self.wait(waiting?).await,
        }
    }

    /// Takes up to `most` cells that rest and are `fit` out of those that are ready, never more than a
    /// quarter of them but one; whether others are left that lag. Each is to be given back.
    #[expect(clippy::vec_box, reason = "cells lie in boxes wherever they rest; unpacking would copy them")]
    pub(crate) fn borrow_resting(
        &self,
        most: usize,
        fit: impl Fn(&Cell) -> bool,
        lags: impl Fn(&Cell) -> bool,
    ) -> (Vec<Box<Cell>>, bool) {
        let mut queue = self.lock();
        let most = most.min((queue.ready().len() / 4).max(1));
        let is_fit = |tenant: &Tenant| matches!(tenant, Tenant::Cell(cell) if fit(cell));
        let borrowed = queue.borrow(most, is_fit);
        let others = queue.ready().iter().any(|tenant| matches!(tenant, Tenant::Cell(cell) if lags(cell)));
        drop(queue);
        let cells = borrowed.into_iter().filter_map(|tenant| match tenant {
            Tenant::Cell(cell) => Some(cell),
            Tenant::Slot(_) => None,
        });
        (cells.collect(), others)
    }

    /// A borrowed cell rests again, as cold as it was, unless somebody waits or it was dismissed.
    pub(crate) fn rest_again(self: &Arc<Self>, cell: Box<Cell>) {
        if self.takes_nothing(cell.vitals.birth.id.0) {
            return cell.retire(Peace::Surplus);
        }
        let unwanted = self.lock().put_back(Tenant::Cell(cell));
        if let Some(tenant) = unwanted {
            self.lend(tenant);
        }
    }

    /// A cell, a place for one, or a ticket to wait for either.
    fn offer(self: &Arc<Self>, patience: Patience<'_>) -> Result<Vessel, Result<Ticket, CallError>> {
        let birth = {
            let mut queue = self.lock();
            if queue.is_full() {
                // Those whose client went away are in nobody's way.
                queue.forget(oneshot::Sender::is_closed);
            }
            match queue.offer(|| self.stock()) {
                Offer::Sent(tenant) => return Ok(tenant.into()),
                Offer::NeedsCell(birth) => birth,
                Offer::MustWait => return Err(self.queue_up(queue, patience.read())),
                Offer::Saturated => return Err(Err(CallError::Saturated)),
            }
        };
        match Place::claim(self, birth) {
            Some(place) => Ok(self.vessel(place)),
            None => Err(self.wait_for_place(patience.read())),
        }
    }

    /// What there is for the next births.
    fn stock(&self) -> Stock {
        Stock { stems: self.host.places.stems_at_hand(), coming: self.coming.load(Relaxed) }
    }

    /// To the end of the queue, unless it stands.
    fn queue_up(
        self: &Arc<Self>,
        mut queue: MutexGuard<'_, Queue>,
        patience: Option<Nanos>,
    ) -> Result<Ticket, CallError> {
        let now = self.host.clock.now();
        queue.skip(oneshot::Sender::is_closed);
        if queue.turns_away(now) {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, now, patience);
        let is_first = queue.waiting() == 1;
        drop(queue);
        if is_first {
            self.host.alarm.cry();
        } else {
            // Those before it may have waited for nothing but more company.
            self.recruit();
        }
        Ok(ticket)
    }

    /// Waiting requests call for cells, as far as the law allows and there are stems.
    pub(crate) fn recruit(self: &Arc<Self>) {
        let calls = || self.lock().calls(self.stock());
        while calls() && self.host.places.take_stem() {
            if !self.welcome() {
                return self.host.places.return_stem();
            }
        }
    }

    /// Room among the cells of this gene, but none on the host.
    fn wait_for_place(&self, patience: Option<Nanos>) -> Result<Ticket, CallError> {
        let mut queue = self.lock();
        if queue.is_full() {
            return Err(CallError::Saturated);
        }
        let ticket = Self::enqueue(&mut queue, self.host.clock.now(), patience);
        drop(queue);
        self.host.alarm.cry();
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

    /// The cells that it would have with one more, for its weight; whole and comparable.
    pub(crate) fn share(&self) -> u64 {
        let cells = u64::from(self.lock().alive()) + 1;
        cells * u64::from(limits::WEIGHT_MAX) / u64::from(self.gene().weight.max(1))
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
        self.resting() > 0 && self.give_up() > 0
    }

    /// `patience` is how long the client says that it waits; it only ever shortens.
    fn enqueue(queue: &mut Queue, now: Nanos, patience: Option<Nanos>) -> Ticket {
        let (waker, waiting) = oneshot::channel();
        let allowed = queue.enqueue(now, waker).since(now);
        let patience = patience.map_or(allowed, |patience| patience.min(allowed));
        Ticket { waiting, patience, is_hasty: patience < allowed }
    }

    async fn wait(&self, ticket: Ticket) -> Result<Vessel, CallError> {
        let Ticket { waiting, patience, is_hasty } = ticket;
        match timeout(Duration::from_nanos(patience.0), waiting).await {
            Ok(Ok(loan)) => loan.take().ok_or(CallError::WaitedTooLong),
            Ok(Err(_)) => Err(CallError::WaitedTooLong),
            Err(_) => {
                let now = self.host.clock.now();
                let mut queue = self.lock();
                if is_hasty {
                    // Somewhere in the middle, and its receiver is gone with the timeout.
                    queue.lapse(oneshot::Sender::is_closed);
                } else {
                    queue.expire(now).for_each(drop);
                }
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

    /// Whether a cell was dismissed.
    fn takes_nothing(&self, cell: u64) -> bool {
        self.is_leaving.load(SeqCst) && self.leaving.contains(&cell)
    }

    /// A cell is gone; says whether it was dismissed before.
    fn has_left(&self, cell: u64) -> bool {
        if !self.is_leaving.load(SeqCst) {
            return false;
        }
        let was_leaving = self.leaving.remove(&cell).is_some();
        // Cleared before it is looked at again: who dismisses inserts before setting.
        self.is_leaving.store(false, SeqCst);
        if !self.leaving.is_empty() {
            self.is_leaving.store(true, SeqCst);
        }
        was_leaving
    }

    /// A cell finished its message, or was made ahead of need: next use, or the end of its life.
    pub(crate) fn give_back(self: &Arc<Self>, cell: Box<Cell>) {
        if cell.uses_left == 0 {
            return cell.retire(Peace::Worn);
        }
        if self.takes_nothing(cell.vitals.birth.id.0) {
            return cell.retire(Peace::Surplus);
        }
        if self.is_senescent(&cell.vitals) {
            self.has_grown_old();
            return cell.retire(Peace::Memory);
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
    pub(crate) fn is_senescent(&self, vitals: &Vitals) -> bool {
        vitals.memory() > self.memory_mark()
    }

    /// The memory above which a cell takes nothing new and ends when it has finished what it holds, in
    /// bytes.
    pub(crate) fn memory_mark(&self) -> u64 {
        self.limits().memory_bytes / 100 * limits::MEMORY_MARK_PERCENT
    }

    /// A cell retires because its memory passed the mark.
    pub(crate) fn has_grown_old(&self) {
        self.work.has_grown_old();
    }

    /// A message was served that held its slot for so long.
    pub(crate) fn served(&self, held: Nanos, effort: Effort) {
        self.work.note(held, effort);
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

    /// What people see of this tissue.
    pub fn snapshot(&self) -> TissueSnapshot {
        let mut queue = self.lock();
        queue.forget(oneshot::Sender::is_closed);
        let (ready, busy, waiting) = (queue.ready().len(), queue.busy(), queue.waiting());
        let (counts, born, bounds) = (queue.counts(), queue.born(), queue.bounds());
        drop(queue);
        let now = self.host.clock.now();
        let of = |vitals: &Vitals| CellSnapshot::of(self, vitals, self.takes_nothing(vitals.birth.id.0), now);
        let mut cells: Vec<CellSnapshot> = self.alive.iter().map(|entry| of(entry.value())).collect();
        cells.sort_by_key(|cell| cell.id);
        let (p50_us, p99_us) = self.latency_us();
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
            p50_us,
            p99_us,
            memory_mark_bytes: self.memory_mark(),
            grown_old: self.grown_old(),
            background: self.background(),
            wake_p50_us: self.wakes.quantile_us(0.5),
            wake_p99_us: self.wakes.quantile_us(0.99),
            cells,
        }
    }

    /// How long calls take, in microseconds: half of them at most the first, 99 of 100 the second.
    pub fn latency_us(&self) -> (u64, u64) {
        (self.latency.quantile_us(0.5), self.latency.quantile_us(0.99))
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// Cells that retired because their memory passed the mark.
    pub fn grown_old(&self) -> u64 {
        self.work.grown_old()
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
        // The message at which it died does not count.
        obituary(&self.host, &self.pre.context, vitals, vitals.uses().saturating_sub(1), error)
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

    /// The same of a cell that held no message.
    pub(crate) fn obituary_at_rest(&self, vitals: &Vitals, error: &wasmtime::Error) -> CallError {
        obituary(&self.host, &self.pre.context, vitals, vitals.uses(), error)
    }

    /// The vital signs of a cell that lives.
    pub(crate) fn vitals_of(&self, cell: u64) -> Option<Arc<Vitals>> {
        self.alive.get(&cell).map(|vitals| vitals.clone())
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
    /// Whether the client waits for less than the gene allows.
    is_hasty: bool,
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
