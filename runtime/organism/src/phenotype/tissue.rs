//! What one host's records say about one gene, or about its stems.

use std::collections::BTreeMap;

use cyte_dna::Role;
use serde::{Deserialize, Serialize};

use super::event::{Cause, Census, Decided, Event, Hormone, Part, Record, Requests};
use crate::lineage::{CellId, Niche};

/// Cells of one tissue that a view remembers; more are counted as not seen.
pub const CELLS_MAX: usize = 65_536;
/// Deaths remembered with their cause, the newest.
const DEATHS_KEPT: usize = 8;
/// Parts, and hormones, remembered.
const NAMES_MAX: usize = 32;

/// A value with the record that said it. The highest number holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest<T> {
    /// The record's number.
    pub number: u64,
    /// The record's time, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it said.
    pub value: T,
}

impl<T> Latest<T> {
    pub(crate) fn of(record: &Record, value: T) -> Self {
        Latest { number: record.number, at_ms: record.at_ms, value }
    }

    pub(crate) fn renew(slot: &mut Option<Self>, record: &Record, value: T) {
        if slot.as_ref().is_none_or(|old| old.number < record.number) {
            *slot = Some(Latest::of(record, value));
        }
    }
}

/// Where a cell is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It lives.
    Alive,
    /// It takes nothing new.
    Dying(Cause),
    /// It is gone; remembered only while an older record about it may still come.
    Gone,
}

/// The state of a cell of which nothing was said yet but that it is there. Any record about it is
/// newer.
const ASSUMED: Latest<State> = Latest { number: 0, at_ms: 0, value: State::Alive };

/// One cell of the view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Where it is in its life.
    pub state: Latest<State>,
    /// Its mother, as far as is known.
    pub mother: Option<Latest<CellId>>,
    /// Niche and generation, as far as is known.
    pub niche: Option<(Niche, u64)>,
}

impl Cell {
    /// The newest record that said anything about it.
    fn newest(&self) -> u64 {
        self.state.number.max(self.mother.as_ref().map_or(0, |mother| mother.number))
    }
}

/// A death that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Whose.
    pub cell: Option<CellId>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why.
    pub cause: Cause,
}

/// Sums over one life of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Cells born, stems included where the tissue is the stems.
    pub born: u64,
    /// Stems that became cells of it.
    pub differentiated: u64,
    /// Cells that divided.
    pub divided: u64,
    /// Niches taken over by successors.
    pub renewed: u64,
    /// Deaths by cause.
    pub dead: BTreeMap<Cause, u64>,
    /// Missing cells started by an expressor.
    pub expressed: u64,
    /// Requests answered.
    pub served: u64,
    /// Of those, with a fault.
    pub failed: u64,
    /// Requests refused by the host.
    pub refused: u64,
    /// Requests that waited longer than the target.
    pub late: u64,
}

/// How many cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Alive and taking messages.
    pub alive: u32,
    /// Ending.
    pub dying: u32,
}

/// What one host's records say about one gene.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tissue {
    pub(crate) cells: BTreeMap<CellId, Cell>,
    /// What its cells are; `None` for stems and while nothing said it.
    pub role: Option<Latest<Role>>,
    /// Sums.
    pub totals: Totals,
    /// The last second with requests.
    pub requests: Option<Latest<Requests>>,
    /// The last decision.
    pub decision: Option<Latest<Decided>>,
    /// Why a wanted piece was last not started.
    pub refused: Option<Latest<String>>,
    /// The gene store's revision that was last expressed.
    pub expressed: Option<Latest<u64>>,
    /// The newest level of each hormone, in thousandths.
    pub levels: BTreeMap<Hormone, Latest<i32>>,
    /// The newest measurement and mark of each part that was hot.
    pub hot: BTreeMap<Part, Latest<(u64, u64)>>,
    /// The newest deaths, ascending by the record's number.
    pub deaths: BTreeMap<u64, Death>,
    census: Option<Latest<Census>>,
    /// Cells not taken up because there were [`CELLS_MAX`].
    pub unseen: u64,
}

impl Tissue {
    /// Cells by number, the dying included.
    pub fn cells(&self) -> impl Iterator<Item = (CellId, &Cell)> {
        let here = self.cells.iter().filter(|(_, cell)| cell.state.value != State::Gone);
        here.map(|(id, cell)| (*id, cell))
    }

    /// How many cells there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, cell) in self.cells() {
            match cell.state.value {
                State::Alive => counts.alive = counts.alive.saturating_add(1),
                State::Dying(_) => counts.dying = counts.dying.saturating_add(1),
                State::Gone => {}
            }
        }
        counts
    }

    /// Folds one record that was not folded before. Says whether a cell is gone by it.
    pub(crate) fn fold(&mut self, record: &Record) -> bool {
        match &record.event {
            Event::Born { role, mother, generation, niche } => {
                add(&mut self.totals.born, 1);
                if let Some(role) = role {
                    Latest::renew(&mut self.role, record, *role);
                }
                if let Some(cell) = self.set(record, State::Alive) {
                    cell.niche = Some((*niche, *generation));
                    if let Some(mother) = mother {
                        Latest::renew(&mut cell.mother, record, *mother);
                    }
                }
            }
            Event::Differentiated { role, .. } => {
                add(&mut self.totals.differentiated, 1);
                Latest::renew(&mut self.role, record, *role);
                self.set(record, State::Alive);
            }
            Event::Divided { .. } => add(&mut self.totals.divided, 1),
            Event::Adopted { mother } => {
                // An adoption says nothing about the cell's own state.
                if let Some(id) = record.cell
                    && let Some(cell) = self.put(record.number, id, ASSUMED)
                {
                    Latest::renew(&mut cell.mother, record, *mother);
                }
            }
            Event::Dying { cause } => {
                self.set(record, State::Dying(*cause));
            }
            Event::Dead { cause, .. } => return self.bury(record, *cause),
            Event::Census(census) => self.count(record, census),
            other => self.fold_sums(record, other),
        }
        false
    }

    fn fold_sums(&mut self, record: &Record, event: &Event) {
        match event {
            Event::Hot { part, number, mark } => {
                keep(&mut self.hot, part, record, (*number, *mark));
            }
            Event::Level { hormone, milli } => keep(&mut self.levels, hormone, record, *milli),
            Event::Decision(decided) => Latest::renew(&mut self.decision, record, decided.clone()),
            Event::Requests(second) => {
                add(&mut self.totals.served, second.served.into());
                add(&mut self.totals.failed, second.failed.into());
                add(&mut self.totals.refused, second.refused.into());
                add(&mut self.totals.late, second.late.into());
                Latest::renew(&mut self.requests, record, *second);
            }
            Event::Renewed { cells } => add(&mut self.totals.renewed, (*cells).into()),
            Event::Expressed { revision, cells } => {
                add(&mut self.totals.expressed, (*cells).into());
                Latest::renew(&mut self.expressed, record, *revision);
            }
            Event::Refused { reason, .. } => Latest::renew(&mut self.refused, record, reason.clone()),
            _ => {}
        }
    }

    fn bury(&mut self, record: &Record, cause: Cause) -> bool {
        add(self.totals.dead.entry(cause).or_default(), 1);
        self.deaths.insert(record.number, Death { cell: record.cell, at_ms: record.at_ms, cause });
        while self.deaths.len() > DEATHS_KEPT {
            self.deaths.pop_first();
        }
        self.set(record, State::Gone);
        true
    }

    /// The record's cell, in this state if no newer record said otherwise. `None` where the record
    /// names no cell, a newer census knows that it is gone, or there are too many.
    fn set(&mut self, record: &Record, state: State) -> Option<&mut Cell> {
        self.put(record.number, record.cell?, Latest::of(record, state))
    }

    /// The same for any cell, by what record `number` said.
    pub(crate) fn put(&mut self, number: u64, id: CellId, state: Latest<State>) -> Option<&mut Cell> {
        let counted = self.census.as_ref().filter(|census| census.number > number);
        if counted.is_some_and(|census| census.value.says(id) == Some(false)) {
            return None;
        }
        if !self.cells.contains_key(&id) && self.cells.len() >= CELLS_MAX {
            add(&mut self.unseen, 1);
            return None;
        }
        let cell =
            self.cells.entry(id).or_insert_with(|| Cell { state: state.clone(), mother: None, niche: None });
        if cell.state.number < state.number {
            cell.state = state;
        }
        Some(cell)
    }

    /// Forgets a cell that is gone, once nothing older about it can come.
    pub(crate) fn forget(&mut self, id: CellId) {
        if self.cells.get(&id).is_some_and(|cell| cell.state.value == State::Gone) {
            self.cells.remove(&id);
        }
    }

    fn count(&mut self, record: &Record, census: &Census) {
        if self.census.as_ref().is_some_and(|old| old.number > record.number) {
            return;
        }
        self.cells.retain(|id, cell| cell.newest() > record.number || census.says(*id) != Some(false));
        for id in census.cells().take(CELLS_MAX) {
            if !self.cells.contains_key(&id) {
                self.put(record.number, id, ASSUMED);
            }
        }
        self.census = Some(Latest::of(record, census.clone()));
    }
}

fn keep<K: Ord + Clone, T>(all: &mut BTreeMap<K, Latest<T>>, key: &K, record: &Record, value: T) {
    if let Some(old) = all.get_mut(key) {
        if old.number < record.number {
            *old = Latest::of(record, value);
        }
    } else if all.len() < NAMES_MAX {
        all.insert(key.clone(), Latest::of(record, value));
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
