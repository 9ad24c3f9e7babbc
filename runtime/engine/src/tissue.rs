//! A tissue: all cells of one gene on this host, their queue and their limits.
//!
//! The decisions are [`cyte_organism::fast`]'s, taken under one lock that is never held across an
//! await. What is added here is what those plain structs cannot have: cells, wakers, timers. What the
//! governor sees and does is in [`population`], how a request gets a cell in [`seek`] and how the cell comes
//! back in [`lending`], how a cell's place is held and left in [`place`].

mod background;
mod control;
mod lending;
mod ping;
mod place;
mod population;
mod prefer;
mod room;
mod seek;
mod signal;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use cyte_dna::{Gene, limits};
use cyte_organism::{
    Nanos,
    fast::{Bounds, Counts, Tissue as Fast},
};
use dashmap::{DashMap, DashSet};
use http::{Method, Request, Response, header, uri::Scheme};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime_wasi_http::Error as WasiError;

pub use background::BackgroundSnapshot;
use background::Backstage;
use lending::Loan;
pub use ping::Zombie;
pub(crate) use place::Place;
pub use population::Tally;
use population::Work;
pub(crate) use prefer::Patience;
pub use prefer::{Wait, WayOut, preferred_wait};
pub use room::{Room, Unserved};
pub use signal::SignalNow;

use crate::{
    body::{Arriving, CellBody},
    call,
    capability::log::{Level, LogLine, Source},
    cell::{Cell, Vessel},
    crowd::Slot,
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
    /// for a cell as its gene, its client and `wait` allow.
    ///
    /// # Errors
    ///
    /// Says why there is no response; nothing was sent, and at most one cell is gone. The request comes
    /// back where no cell had anything of it.
    pub async fn serve<B>(
        self: &Arc<Self>,
        request: Request<B>,
        facts: CallFacts,
        wait: Wait<'_>,
    ) -> Result<Response<CellBody>, Unserved<B>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if !names_a_host(&request) {
            return Err(Unserved::seen(CallError::BadRequest));
        }
        let seeking = facts.is_background.then(|| self.backstage.seek());
        let found = self.vessel_for(Patience::new(request.headers(), wait)).await;
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

/// Guests are told the host that was asked for, so there must be one that is text.
fn names_a_host<B>(request: &Request<B>) -> bool {
    request.uri().authority().is_some()
        || request.headers().get(header::HOST).is_some_and(|host| host.to_str().is_ok())
}

fn request_error(error: BoxError) -> WasiError {
    tracing::debug!("the request's body broke off: {error}");
    WasiError::HttpProtocolError
}
