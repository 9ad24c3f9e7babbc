//! What the governor sees of a tissue and does about it, off the request path.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
};

use cyte_organism::{
    Nanos, Phase, Reading,
    fast::Bounds,
    law::Demand,
    lineage::{Birth, Niche},
};
use tokio::sync::oneshot;

use super::{Place, Queue, SignalNow, Tenant, Tissue};
use crate::{
    call,
    capability::control::Refused,
    crowd,
    driver::Driver,
    vitals::{Effort, Vitals},
};

/// Successors of one-use cells that are made before a request comes: the next one should not pay
/// for its cell's making, and a cell that is ready holds memory.
const SPARES_MAX: u32 = 4;

/// What is counted of a tissue's messages, only ever upwards.
#[derive(Debug, Default)]
pub(super) struct Work {
    served: AtomicU64,
    held: AtomicU64,
    computed: AtomicU64,
    activation: AtomicU64,
    grown_old: AtomicU64,
}

impl Work {
    /// A message held its slot for so long.
    pub(super) fn note(&self, held: Nanos, effort: Effort) {
        self.served.fetch_add(1, Relaxed);
        // On free cores it would not have waited for one.
        self.held.fetch_add(held.since(effort.stalled).0, Relaxed);
        self.computed.fetch_add(effort.computed.0, Relaxed);
    }

    /// A cell retires because its memory passed the mark.
    pub(super) fn has_grown_old(&self) {
        self.grown_old.fetch_add(1, Relaxed);
    }

    /// How many did.
    pub(super) fn grown_old(&self) -> u64 {
        self.grown_old.load(Relaxed)
    }

    /// A cell was made in so long: an average over the last eight or so.
    pub(super) fn activate(&self, took: Nanos) {
        let before = self.activation.load(Relaxed);
        let now = if before == 0 { took.0 } else { before - before / 8 + took.0 / 8 };
        self.activation.store(now, Relaxed);
    }
}

/// What is known of a tissue at one moment, beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that wait, and those that a cell in the making carries.
    pub queued: u32,
    /// When the longest-waiting of them came.
    pub head: Option<Nanos>,
    /// Requests that arrived since the start.
    pub arrived: u64,
    /// Requests that were refused for want of a cell since the start: at once, or after a wait.
    pub refused: u64,
    /// Messages that were served since the start.
    pub served: u64,
    /// How long those held their slots in all, as it would have been on free cores.
    pub held: Nanos,
    /// The part of it that was CPU time.
    pub computed: Nanos,
    /// Cells that stay and whose guest computes and waits for a core right now.
    pub stalled: u32,
    /// How long it takes to make a cell.
    pub activation: Nanos,
    /// Cells that ended by use, age or memory and left no successor.
    pub worn: u64,
    /// Cells born since the start.
    pub born: u64,
    /// Most slots in use and requests waiting at once since the last look.
    pub peak: u32,
    /// Messages that one cell holds at once.
    pub slots: u32,
    /// Cells that are wanted at least.
    pub least: u32,
    /// Cells that there may be at most.
    pub most: u32,
    /// Cells that stay: alive or being made, and not about to end.
    pub staying: u32,
    /// How long a request may wait until it counts as late.
    pub target: Nanos,
    /// Its strength against other genes, as the DNA says; 0 counts as 1.
    pub weight: u32,
    /// Memory of its cells, in bytes.
    pub memory_bytes: u64,
    /// The part of it whose cells hold no message, in bytes.
    pub resting_bytes: u64,
    /// Cells that died since the start.
    pub died: u64,
    /// What the gene's own signal says, where a report counts.
    pub signal: Option<SignalNow>,
}

impl Tissue {
    /// What there is now: every niche into `cells`, ascending, and the rest as sums. Starts a new
    /// window for the peak.
    ///
    /// A niche that waits for its successor counts as a cell that rests: one is there as soon as it
    /// is asked for.
    pub fn look(&self, cells: &mut Vec<Reading>) -> Tally {
        cells.clear();
        let (mut carried, mut stalled, mut eldest) = (0, 0, None::<Birth>);
        let (mut memory_bytes, mut resting_bytes) = (0, 0);
        for entry in &self.alive {
            let vitals = entry.value();
            let reading = self.reading(vitals);
            if reading.phase == Phase::Pending {
                carried += reading.inflight;
            }
            if eldest.is_none_or(|eldest| vitals.birth.niche < eldest.niche) {
                eldest = Some(vitals.birth);
            }
            stalled += u32::from(reading.phase == Phase::Ready && vitals.waits_for_core());
            memory_bytes += vitals.memory();
            if reading.inflight == 0 {
                resting_bytes += vitals.memory();
            }
            cells.push(reading);
        }
        let tally = Tally { stalled, memory_bytes, resting_bytes, ..self.tally(cells, carried, eldest) };
        cells.sort_unstable_by_key(|reading| reading.niche);
        tally
    }

    fn reading(&self, vitals: &Vitals) -> Reading {
        let Birth { id, niche, mother_niche, .. } = vitals.birth;
        let phase = match vitals.since() {
            None => Phase::Pending,
            Some(_) if self.takes_nothing(id.0) || vitals.is_dying() => Phase::Draining,
            Some(_) => Phase::Ready,
        };
        let since = vitals.since().unwrap_or_default();
        Reading { niche, mother: mother_niche, phase, inflight: vitals.inflight(), since }
    }

    fn tally(&self, cells: &mut Vec<Reading>, carried: u32, eldest: Option<Birth>) -> Tally {
        let mut queue = self.lock();
        queue.skip(oneshot::Sender::is_closed);
        queue.descend_from(eldest);
        let rests = |gone: &Birth| Reading {
            niche: gone.niche,
            mother: gone.mother_niche,
            phase: Phase::Ready,
            inflight: 0,
            since: Nanos(0),
        };
        cells.extend(queue.vacant().iter().map(rests));
        let (counts, bounds) = (queue.sample(), queue.bounds());
        let (waiting, head) = (u32::try_from(queue.waiting()).unwrap_or(u32::MAX), queue.head());
        let (born, staying) = (queue.born(), queue.staying());
        drop(queue);
        Tally {
            queued: waiting.saturating_add(carried),
            head,
            arrived: counts.offered,
            refused: counts.saturated.saturating_add(counts.shed).saturating_add(counts.expired),
            served: self.work.served.load(Relaxed),
            held: Nanos(self.work.held.load(Relaxed)),
            computed: Nanos(self.work.computed.load(Relaxed)),
            stalled: 0,
            memory_bytes: 0,
            resting_bytes: 0,
            died: counts.died,
            activation: Nanos(self.work.activation.load(Relaxed)),
            worn: counts.worn,
            born,
            peak: counts.peak,
            slots: bounds.slots,
            least: self.least.load(Relaxed),
            most: bounds.cells_max,
            staying,
            target: bounds.target,
            weight: self.gene().weight,
            signal: self.signal(),
        }
    }

    /// When the longest-waiting request came.
    pub fn head(&self) -> Option<Nanos> {
        self.lock().head()
    }

    /// What requests may do on their own from now on.
    pub fn publish(&self, demand: Demand) {
        self.lock().publish(demand);
    }

    /// Makes one more cell, as a daughter of who holds `mother`; from a stem, or from nothing. Says
    /// whether there was one.
    pub fn beget(self: &Arc<Self>, mother: Option<Niche>, from_stem: bool) -> bool {
        let mother = mother.and_then(|niche| self.holder(niche));
        self.bear(from_stem, |queue| queue.conceive_under(mother.as_ref())).is_ok()
    }

    /// Makes a cell that nobody waits for, from a stem or from nothing, of the birth that is conceived.
    ///
    /// # Errors
    ///
    /// [`Refused::NoRoom`] without a stem or place, [`Refused::Most`] without a birth; nothing was taken
    /// then.
    pub(super) fn bear(
        self: &Arc<Self>,
        from_stem: bool,
        conceive: impl FnOnce(&mut Queue) -> Option<Birth>,
    ) -> Result<Birth, Refused> {
        let places = &self.host.places;
        if !(if from_stem { places.take_stem() } else { places.occupy() }) {
            return Err(Refused::NoRoom);
        }
        let conceived = conceive(&mut self.lock());
        let Some(birth) = conceived else {
            if from_stem {
                places.return_stem()
            } else {
                places.vacate()
            }
            return Err(Refused::Most);
        };
        self.raise(Place::taken(self, birth));
        Ok(birth)
    }

    /// Who holds a niche. Where nobody took it over yet, who opened it.
    fn holder(&self, niche: Niche) -> Option<Birth> {
        let founder = self.alive.get(&niche.0).map(|vitals| vitals.birth);
        founder
            .filter(|birth| birth.niche == niche)
            .or_else(|| self.alive.iter().map(|entry| entry.value().birth).find(|birth| birth.niche == niche))
    }

    /// Ends who holds `niche`: at once when it rests, else when it finished what it has. A niche that
    /// waits for a successor gets none.
    pub fn end(&self, niche: Niche) {
        if self.lock().abandon(niche) {
            return;
        }
        if let Some(Birth { id, .. }) = self.holder(niche) {
            self.let_go(id.0);
        }
    }

    /// Ends a cell: at once when it rests, else when it finished what it has. Says whether it rested.
    pub(super) fn let_go(&self, cell: u64) -> bool {
        // A shared cell that rests ends with its last slot, as one that works.
        let pick = || self.lock().pick(|tenant| tenant.cell() == cell);
        let resting = if self.is_shared() { None } else { pick() };
        let rested = resting.is_some();
        match resting {
            Some(tenant) => tenant.retire(),
            None => {
                self.dismiss([cell]);
            }
        }
        rested
    }

    /// Makes successors of one-use cells ready before they are asked for.
    pub fn renew(self: &Arc<Self>) {
        if !self.is_one_use() {
            return;
        }
        let queue = self.lock();
        let ready = u32::try_from(queue.ready().len()).unwrap_or(u32::MAX);
        let vacant = u32::try_from(queue.vacant().len()).unwrap_or(u32::MAX);
        drop(queue);
        let coming = self.coming.load(Relaxed);
        self.prepare(SPARES_MAX.saturating_sub(ready).saturating_sub(coming).min(vacant));
    }

    /// Makes up to `count` cells ready, off the request path.
    pub fn prepare(self: &Arc<Self>, count: u32) {
        for _ in 0..count {
            let Some(birth) = self.lock().conceive_ahead() else { return };
            let Some(place) = Place::take(self, birth) else { return };
            self.raise(place);
        }
    }

    /// Makes the cell of a place, for nobody yet.
    pub(super) fn raise(self: &Arc<Self>, place: Place) {
        if self.is_shared() {
            let slots = crowd::settle(self, place, self.pre.slots());
            return slots.into_iter().for_each(|slot| self.lend_again(slot));
        }
        let vitals = place.vitals().clone();
        vitals.begin(0, self.limits().cpu);
        let call = call::differentiate(self.pre.clone(), self.host.memory.clone(), place);
        let driver = Driver::new(self.clone(), vitals, call);
        let coming = Coming::new(self);
        self.host.cytoplasm.spawn(async move {
            driver.finish_alone().await;
            drop(coming);
        });
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

    /// Gives up the coldest cell that rests at once; says how many that were.
    pub(super) fn give_up(&self) -> usize {
        if self.is_shared() {
            return self.retire(1);
        }
        let surplus = self.lock().surplus(1);
        let cells = surplus.len();
        surplus.into_iter().for_each(Tenant::give_way);
        cells
    }

    /// Changes how many cells there may be: at least `min` stay, and never more than `max` (`None` =
    /// as many as the host has). Whoever waits gets a cell where there is room now. Surplus cells
    /// that rest end at once, those that work when they have finished.
    pub fn set_range(&self, min: u32, max: Option<u32>) {
        let most = max.unwrap_or(u32::MAX).min(self.host.places.max());
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

    /// Changes how long requests wait for a cell, and how many at once. Who waits already keeps the wait
    /// that it came with.
    pub fn set_patience(&self, wait: Nanos, waiters_max: u32) {
        let mut queue = self.lock();
        let bounds = queue.bounds();
        queue.set_bounds(Bounds { wait, waiters_max, target: Self::harmless(wait), ..bounds });
    }

    /// Whether somebody has waited here longer than the law needs to feel it.
    pub fn suffers(&self) -> bool {
        let mut queue = self.lock();
        queue.skip(oneshot::Sender::is_closed);
        queue.suffers(|| self.host.clock.now())
    }

    /// The cells that are alive or being made, by number.
    pub fn births(&self) -> Vec<Birth> {
        let mut births: Vec<Birth> = self.alive.iter().map(|entry| entry.value().birth).collect();
        births.sort_unstable_by_key(|birth| birth.id);
        births
    }

    /// Cells alive or being made, without those that are about to end.
    pub fn staying(&self) -> u32 {
        self.lock().staying()
    }

    /// Lets cells end: each takes nothing new and finishes what it holds. Says how many.
    pub(super) fn dismiss(&self, cells: impl IntoIterator<Item = u64>) -> usize {
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

    /// Shared cells that were not dismissed: those that rest before those that work, the youngest
    /// first. Says of each whether it works.
    fn lasting(&self) -> Vec<(bool, u64)> {
        let cells = self.alive.iter().map(|entry| (entry.value().inflight() > 0, *entry.key()));
        let mut cells: Vec<_> = cells.filter(|(_, cell)| !self.leaving.contains(cell)).collect();
        cells.sort_unstable_by_key(|(is_busy, cell)| (*is_busy, std::cmp::Reverse(*cell)));
        cells
    }
}

/// A cell of a tissue that is being made and that no request carries.
struct Coming(Arc<Tissue>);

impl Coming {
    fn new(tissue: &Arc<Tissue>) -> Self {
        tissue.coming.fetch_add(1, Relaxed);
        Self(tissue.clone())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Relaxed);
    }
}
