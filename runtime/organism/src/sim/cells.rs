//! The cells of one simulated class: slots, dispatch, and the readings a host would take.

use super::arrivals::Nature;
use crate::Nanos;
use crate::family::{Phase, Reading};
use crate::lineage::Niche;

/// Names a cell; stays what it was when another takes its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CellRef {
    at: u32,
    pub(super) niche: Niche,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    reading: Reading,
    /// Its place among the open ones, where it has a free slot and serves.
    open_at: Option<u32>,
    lies: bool,
    is_alive: bool,
}

/// What a finished request leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freed {
    /// The cell was gone already.
    Stale,
    /// A slot.
    Slot,
    /// Nothing: the cell was draining, and this was its last request or one of several.
    Nothing,
}

/// All cells of a class.
#[derive(Debug)]
pub(super) struct Cells {
    slots: u32,
    slab: Vec<Cell>,
    vacant: Vec<u32>,
    /// Everybody, ascending by niche, with the dead still in until the next look.
    order: Vec<CellRef>,
    open: Vec<u32>,
    readings: Vec<Reading>,
    born: u64,
    pub(super) ready: u32,
    pub(super) pending: u32,
    pub(super) draining: u32,
    pub(super) inflight: u32,
}

impl Cells {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots,
            slab: Vec::new(),
            vacant: Vec::new(),
            order: Vec::new(),
            open: Vec::new(),
            readings: Vec::new(),
            born: 0,
            ready: 0,
            pending: 0,
            draining: 0,
            inflight: 0,
        }
    }

    pub(super) fn living(&self) -> u32 {
        self.ready + self.pending
    }

    pub(super) fn placed(&self) -> u32 {
        self.living() + self.draining
    }

    /// A cell is committed.
    pub(super) fn conceive(&mut self, now: Nanos, mother: Option<Niche>) -> CellRef {
        self.born += 1;
        let niche = Niche(self.born);
        let reading = Reading { niche, mother, phase: Phase::Pending, inflight: 0, since: now };
        let cell = Cell { reading, open_at: None, lies: false, is_alive: true };
        let at = match self.vacant.pop() {
            Some(at) => {
                if let Some(place) = self.slab.get_mut(at as usize) {
                    *place = cell;
                }
                at
            }
            None => {
                self.slab.push(cell);
                self.slab.len() as u32 - 1
            }
        };
        let made = CellRef { at, niche };
        self.order.push(made);
        self.pending += 1;
        made
    }

    /// A committed cell serves from now on.
    pub(super) fn wake(&mut self, made: CellRef, now: Nanos) {
        let Some(cell) = self.get_mut(made) else { return };
        if cell.reading.phase != Phase::Pending {
            return;
        }
        (cell.reading.phase, cell.reading.since) = (Phase::Ready, now);
        self.pending -= 1;
        self.ready += 1;
        self.set_open(made.at);
    }

    /// The less loaded of two random cells with a free slot takes a request.
    pub(super) fn take(&mut self, nature: &mut Nature) -> Option<CellRef> {
        if self.open.is_empty() {
            return None;
        }
        let mut draw = || self.open.get(nature.pick(self.open.len())).copied();
        let (one, two) = (draw()?, draw()?);
        let load = |at: u32| self.slab.get(at as usize).map_or(u32::MAX, |cell| cell.reading.inflight);
        let at = if load(two) < load(one) { two } else { one };
        let slots = self.slots;
        let cell = self.slab.get_mut(at as usize)?;
        cell.reading.inflight += 1;
        let (is_full, taken) = (cell.reading.inflight >= slots, CellRef { at, niche: cell.reading.niche });
        self.inflight += 1;
        if is_full {
            self.set_closed(at);
        }
        Some(taken)
    }

    /// A request is finished.
    pub(super) fn give_back(&mut self, cell: CellRef) -> Freed {
        let Some(found) = self.get_mut(cell) else { return Freed::Stale };
        found.reading.inflight -= 1;
        let (phase, inflight) = (found.reading.phase, found.reading.inflight);
        self.inflight -= 1;
        if phase == Phase::Draining {
            if inflight == 0 {
                self.draining -= 1;
                self.remove(cell.at);
            }
            return Freed::Nothing;
        }
        self.set_open(cell.at);
        Freed::Slot
    }

    /// A cell takes nothing new; at once gone if it is idle. Whether it was there to be drained.
    pub(super) fn drain(&mut self, niche: Niche) -> bool {
        let Some(cell) = self.find(niche) else { return false };
        let Some(found) = self.get_mut(cell) else { return false };
        if found.reading.phase != Phase::Ready || found.lies {
            return false;
        }
        found.reading.phase = Phase::Draining;
        let is_idle = found.reading.inflight == 0;
        self.ready -= 1;
        self.draining += 1;
        self.set_closed(cell.at);
        if is_idle {
            self.draining -= 1;
            self.remove(cell.at);
        }
        true
    }

    /// Drains up to `count` serving cells, the least busy first and of equals the youngest.
    pub(super) fn drain_idlest(&mut self, count: u32) {
        let mut all: Vec<(u32, Niche)> = self
            .readings()
            .iter()
            .filter(|reading| reading.phase == Phase::Ready)
            .map(|reading| (reading.inflight, reading.niche))
            .collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        for (_, niche) in all.into_iter().take(count as usize) {
            self.drain(niche);
        }
    }

    /// This share of all cells dies at once; returns how many requests die with them.
    pub(super) fn crash(&mut self, share: f64, nature: &mut Nature) -> u32 {
        self.readings();
        let mut lost = 0;
        let mut left = libm::round(share * self.order.len() as f64) as usize;
        while left > 0 && !self.order.is_empty() {
            let cell = self.order.remove(nature.pick(self.order.len()));
            let Some(found) = self.get_mut(cell).copied() else { continue };
            lost += found.reading.inflight;
            self.inflight -= found.reading.inflight;
            match found.reading.phase {
                Phase::Pending => self.pending -= 1,
                Phase::Ready => self.ready -= 1,
                Phase::Draining => self.draining -= 1,
            }
            self.set_closed(cell.at);
            self.remove(cell.at);
            left -= 1;
        }
        lost
    }

    /// So many serving cells report the highest load from now on and cannot be drained.
    pub(super) fn corrupt(&mut self, count: u32) {
        let honest = self.slab.iter_mut();
        let honest = honest.filter(|cell| cell.is_alive && !cell.lies && cell.reading.phase == Phase::Ready);
        for cell in honest.take(count as usize) {
            cell.lies = true;
        }
    }

    /// What a host reads of its cells, ascending by niche.
    pub(super) fn readings(&mut self) -> &[Reading] {
        self.readings.clear();
        let (slab, readings) = (&self.slab, &mut self.readings);
        self.order.retain(|known| {
            let cell = slab.get(known.at as usize);
            let cell = cell.filter(|cell| cell.is_alive && cell.reading.niche == known.niche);
            if let Some(cell) = cell {
                let inflight = if cell.lies { u32::MAX } else { cell.reading.inflight };
                readings.push(Reading { inflight, ..cell.reading });
            }
            cell.is_some()
        });
        &self.readings
    }

    /// What [`Cells::readings`] last read.
    pub(super) fn last_readings(&self) -> &[Reading] {
        &self.readings
    }

    fn find(&self, niche: Niche) -> Option<CellRef> {
        let at = self.order.binary_search_by_key(&niche, |cell| cell.niche).ok()?;
        self.order.get(at).copied()
    }

    fn get_mut(&mut self, cell: CellRef) -> Option<&mut Cell> {
        let found = self.slab.get_mut(cell.at as usize)?;
        (found.is_alive && found.reading.niche == cell.niche).then_some(found)
    }

    fn remove(&mut self, at: u32) {
        if let Some(cell) = self.slab.get_mut(at as usize) {
            cell.is_alive = false;
            self.vacant.push(at);
        }
    }

    fn set_open(&mut self, at: u32) {
        let place = self.open.len() as u32;
        if let Some(cell) = self.slab.get_mut(at as usize)
            && cell.open_at.is_none()
        {
            cell.open_at = Some(place);
            self.open.push(at);
        }
    }

    fn set_closed(&mut self, at: u32) {
        let place = self.slab.get_mut(at as usize).and_then(|cell| cell.open_at.take());
        let Some(place) = place else { return };
        self.open.swap_remove(place as usize);
        let moved = self.open.get(place as usize).copied();
        if let Some(cell) = moved.and_then(|at| self.slab.get_mut(at as usize)) {
            cell.open_at = Some(place);
        }
    }
}
