//! Receptors: what cells are told of their class, between messages.
//!
//! A gene that exports `cyte:cell/receptor` hears the newest levels and never older ones: the governor
//! [tells](Tissue::tell) the tissue, which keeps them where they differ from the last by more than the
//! dead band. A cell hears them before its next message, or while it rests, at most once in
//! [`limits::RECEPTOR_EVERY_MS`], within a small budget of its own. One that breaks that budget or traps
//! ends, and the request it was to take goes to another.
//!
//! What it costs a gene without this export: one look at an option that is empty.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release},
};

use cyte_dna::limits;
use cyte_organism::Nanos;
use wasmtime::{Store, component::Instance};

use crate::{
    between::{AT_ONCE, ATTEMPTS, Span},
    cell::{Cell, Vessel},
    error::CallError,
    state::CellState,
    tissue::{Patience, Tissue},
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world senses {
                export cyte:cell/receptor@0.1.0;
            }
        ",
        world: "cyte:host/senses",
        exports: { default: async },
    });
}

use generated::{Senses, exports::cyte::cell::receptor as wit};

/// A change of what cells feel that is worth telling, in cells for each cell.
const BAND_FELT: f64 = 0.1;
/// A change of hormone that is worth telling, in cells.
const BAND_CELLS: f64 = 0.5;
/// What a cell may use to hear.
const FEELING: Span = Span { cpu: limits::RECEPTOR_CPU_MS, wall: limits::RECEPTOR_WALL_MS };

/// How a class stood when the hormone law looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HormoneLevels {
    /// Mean of what its cells felt: the deficit in cells for each cell.
    pub felt_fast: f64,
    /// The same over a longer time.
    pub felt_slow: f64,
    /// Cells that are missing.
    pub growth: f64,
    /// Cells that are too many.
    pub anti_growth: f64,
    /// Whether growth is held back because the cores are full.
    pub cores_full: bool,
}

impl HormoneLevels {
    fn differs(&self, other: &Self) -> bool {
        let apart = |a: f64, b: f64, band: f64| (a - b).abs() >= band;
        self.cores_full != other.cores_full
            || apart(self.felt_fast, other.felt_fast, BAND_FELT)
            || apart(self.felt_slow, other.felt_slow, BAND_FELT)
            || apart(self.growth, other.growth, BAND_CELLS)
            || apart(self.anti_growth, other.anti_growth, BAND_CELLS)
    }
}

/// What the cells of one tissue are to hear.
#[derive(Debug, Default)]
pub(crate) struct News {
    newest: Mutex<HormoneLevels>,
    /// Rises with each that is worth telling; 0 = none yet.
    revision: AtomicU64,
    /// Whether cells that rest are being told.
    is_telling: AtomicBool,
}

impl News {
    /// Keeps what is worth telling; says whether it was.
    fn publish(&self, levels: HormoneLevels) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = newest.differs(&levels);
        if is_news {
            *newest = levels;
            self.revision.fetch_add(1, Release);
        }
        is_news
    }

    fn read(&self) -> (u64, HormoneLevels) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        (self.revision.load(Acquire), *newest)
    }
}

/// The receptor of one cell.
pub(crate) struct Receptor {
    door: Senses,
    /// The revision that it heard last.
    heard: u64,
    /// When it heard it.
    told: Option<Nanos>,
}

impl Receptor {
    pub(crate) fn new(store: &mut Store<CellState>, instance: &Instance) -> wasmtime::Result<Self> {
        Ok(Self { door: Senses::new(store, instance)?, heard: 0, told: None })
    }

    fn may_hear(&self, now: Nanos) -> bool {
        let every = Nanos::from_millis(limits::RECEPTOR_EVERY_MS);
        self.told.is_none_or(|told| now.since(told) >= every)
    }
}

impl Cell {
    fn lags(&self, revision: u64) -> bool {
        self.receptor.as_ref().is_some_and(|receptor| receptor.heard != revision)
    }

    fn may_hear(&self, revision: u64, now: Nanos) -> bool {
        self.lags(revision) && self.receptor.as_ref().is_some_and(|receptor| receptor.may_hear(now))
    }

    async fn hear(&mut self, revision: u64, levels: HormoneLevels, now: Nanos) -> wasmtime::Result<()> {
        let Some(receptor) = &mut self.receptor else { return Ok(()) };
        (receptor.heard, receptor.told) = (revision, Some(now));
        self.store.set_epoch_deadline(1);
        let HormoneLevels { felt_fast, felt_slow, growth, anti_growth, cores_full } = levels;
        let levels = wit::Levels { felt_fast, felt_slow, growth, anti_growth, cores_full };
        receptor.door.cyte_cell_receptor().call_feel(&mut self.store, levels).await
    }
}

impl Tissue {
    /// The newest levels of this class, for genes that export a receptor. Tells some of those who rest;
    /// says whether others still have to be told. Never waits.
    pub fn tell(self: &Arc<Self>, levels: HormoneLevels) -> bool {
        let Some(news) = &self.news else { return false };
        news.publish(levels);
        let (revision, levels) = news.read();
        if revision == 0 {
            return false;
        }
        if news.is_telling.swap(true, Acquire) {
            return true;
        }
        let now = self.host().clock.now();
        let (told, others) =
            self.borrow_resting(AT_ONCE, |cell| cell.may_hear(revision, now), |cell| cell.lags(revision));
        let turn = Turn(self.clone());
        if !told.is_empty() {
            self.host().cytoplasm.spawn(async move {
                for cell in told {
                    if let Some(cell) = turn.0.feel(cell, revision, levels).await {
                        turn.0.rest_again(cell);
                    }
                }
            });
        }
        others
    }

    /// This vessel once its cell heard the newest levels; another one where it did not survive that.
    pub(crate) async fn attune(
        self: &Arc<Self>,
        mut vessel: Vessel,
        patience: Patience<'_>,
    ) -> Result<Vessel, CallError> {
        let Some(news) = &self.news else { return Ok(vessel) };
        for _ in 0..ATTEMPTS {
            let revision = news.revision.load(Relaxed);
            match vessel {
                Vessel::Ready(cell) if cell.may_hear(revision, self.host().clock.now()) => {
                    let (revision, levels) = news.read();
                    if let Some(cell) = self.feel(cell, revision, levels).await {
                        return Ok(Vessel::Ready(cell));
                    }
                    vessel = self.find_vessel(patience).await?;
                }
                other => return Ok(other),
            }
        }
        Ok(vessel)
    }

    /// Lets a cell hear; `None` if it ended by that.
    async fn feel(
        self: &Arc<Self>,
        mut cell: Box<Cell>,
        revision: u64,
        levels: HormoneLevels,
    ) -> Option<Box<Cell>> {
        let vitals = cell.vitals.clone();
        let now = self.host().clock.now();
        let call = Box::pin(async move {
            let heard = cell.hear(revision, levels, now).await;
            heard.map(|()| cell)
        });
        self.tell_one(&vitals, FEELING, call, &self.host().counters.receptor_failures).await
    }
}

/// The cells of a tissue that are being told; over when this is dropped.
struct Turn(Arc<Tissue>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(news) = &self.0.news {
            news.is_telling.store(false, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_by_more_than_the_dead_band_is_told() {
        let news = News::default();
        let level = |felt_fast, growth| HormoneLevels { felt_fast, growth, ..HormoneLevels::default() };
        assert!(!news.publish(level(0.05, 0.4)));
        assert!(news.publish(level(0.1, 0.4)));
        assert!(!news.publish(level(0.19, 0.8)), "measured from what was told");
        assert!(news.publish(level(0.1, 0.9)));
        assert!(news.publish(HormoneLevels { cores_full: true, ..level(0.1, 0.9) }));
        assert_eq!(news.read().0, 3);
        assert!(!news.publish(HormoneLevels { cores_full: true, ..level(f64::NAN, 0.9) }));
    }
}
