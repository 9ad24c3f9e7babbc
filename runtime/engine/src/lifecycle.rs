//! The turns of a cell's life, told to the cell.
//!
//! A gene that exports `cyte:cell/lifecycle` hears that a cell of it differentiated, as the last step of
//! making it; that daughters were made of it, before its next message or while it rests; and that it is
//! dying, before it retires in peace. The last is told in a task of its own and in a bounded time, during
//! which the cell keeps its place; whatever comes of it, the cell ends as it would have. A cell that fails
//! while it hears of daughters ends, and the request it was to take goes to another.
//!
//! Not told: a cell that traps, breaks a limit or is condemned; one whose place another gene needs at
//! once; all, when the host stops. What it costs a gene without this export: a look at a flag.

use std::sync::Arc;

use cyte_dna::limits;
use cyte_organism::lineage::Birth;
use wasmtime::{Store, component::Instance};

use crate::{
    between::{AT_ONCE, ATTEMPTS, Span},
    capability::log::Level,
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
            world turns {
                export cyte:cell/lifecycle@0.1.0;
            }
        ",
        world: "cyte:host/turns",
        exports: { default: async },
    });
}

use generated::{Turns, exports::cyte::cell::lifecycle as wit};

/// What a cell may use to hear of its daughters, and to hear of its end.
const DIVIDING: Span = Span { cpu: limits::LIFECYCLE_CPU_MS, wall: limits::LIFECYCLE_WALL_MS };
const DYING: Span = Span { cpu: limits::DYING_CPU_MS, wall: limits::DYING_WALL_MS };

/// Why a cell ends in peace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peace {
    /// Its uses are spent.
    Worn,
    /// Its memory passed the mark.
    Memory,
    /// It is one too many.
    Surplus,
}

impl From<Peace> for wit::Cause {
    fn from(why: Peace) -> Self {
        match why {
            Peace::Worn => Self::Worn,
            Peace::Memory => Self::Memory,
            Peace::Surplus => Self::Surplus,
        }
    }
}

/// The way to tell one cell.
pub(crate) struct Lifecycle {
    door: Turns,
    /// Daughters that it heard of.
    told: u32,
}

impl Lifecycle {
    /// Finds the export and tells the cell that it differentiated. Runs guest code.
    pub(crate) async fn begin(store: &mut Store<CellState>, instance: &Instance) -> wasmtime::Result<Self> {
        let door = Turns::new(&mut *store, instance)?;
        door.cyte_cell_lifecycle().call_differentiated(&mut *store).await?;
        Ok(Self { door, told: 0 })
    }
}

impl Cell {
    /// Whether it was not told yet of all its daughters.
    fn has_news_of_daughters(&self) -> bool {
        self.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.told != self.vitals.daughters())
    }

    async fn hear_of_daughters(&mut self) -> wasmtime::Result<()> {
        let Some(lifecycle) = &mut self.lifecycle else { return Ok(()) };
        let daughters = self.vitals.daughters();
        let news = daughters.wrapping_sub(lifecycle.told);
        lifecycle.told = daughters;
        if news == 0 {
            return Ok(());
        }
        self.store.set_epoch_deadline(1);
        lifecycle.door.cyte_cell_lifecycle().call_dividing(&mut self.store, news).await
    }

    async fn hear_of_its_end(&mut self, why: Peace) -> wasmtime::Result<()> {
        let Some(lifecycle) = &mut self.lifecycle else { return Ok(()) };
        self.store.set_epoch_deadline(1);
        lifecycle.door.cyte_cell_lifecycle().call_dying(&mut self.store, why.into()).await
    }

    /// It ends in peace; where its gene wants to hear of that it is told first, by a task of its own.
    pub(crate) fn retire(mut self: Box<Self>, why: Peace) {
        match why {
            Peace::Worn | Peace::Memory => self.place.has_worn(),
            Peace::Surplus => self.place.is_surplus(),
        }
        if self.lifecycle.is_none() {
            return;
        }
        let tissue = self.place.tissue().clone();
        self.vitals.begins_dying();
        tissue.host().cytoplasm.clone().spawn(async move { tissue.bid_farewell(self, why).await });
    }
}

impl Tissue {
    /// A cell was conceived: its mother is to hear of it, where it opens a niche of its own.
    pub(crate) fn has_daughter(&self, birth: &Birth) {
        if !self.pre().has_lifecycle() || birth.generation > 0 {
            return;
        }
        if let Some(mother) = birth.mother {
            self.vitals_of(mother.0).into_iter().for_each(|vitals| vitals.has_daughter());
        }
    }

    /// Tells some of the cells that rest of their daughters; says whether others still have to be told.
    /// Never waits.
    pub fn announce(self: &Arc<Self>) -> bool {
        if !self.pre().has_lifecycle() {
            return false;
        }
        let (told, others) =
            self.borrow_resting(AT_ONCE, Cell::has_news_of_daughters, Cell::has_news_of_daughters);
        if !told.is_empty() {
            let tissue = self.clone();
            self.host().cytoplasm.spawn(async move {
                for cell in told {
                    if let Some(cell) = tissue.tell_of_daughters(cell).await {
                        tissue.rest_again(cell);
                    }
                }
            });
        }
        others
    }

    /// This vessel once its cell heard of its daughters; another one where it did not survive that.
    pub(crate) async fn prepare_for_message(
        self: &Arc<Self>,
        mut vessel: Vessel,
        patience: Patience<'_>,
    ) -> Result<Vessel, CallError> {
        for _ in 0..ATTEMPTS {
            match vessel {
                Vessel::Ready(cell) if cell.has_news_of_daughters() => {
                    if let Some(cell) = self.tell_of_daughters(cell).await {
                        return Ok(Vessel::Ready(cell));
                    }
                    vessel = self.find_vessel(patience).await?;
                }
                other => return Ok(other),
            }
        }
        Ok(vessel)
    }

    /// Tells a cell of its daughters; `None` if it ended by that.
    async fn tell_of_daughters(self: &Arc<Self>, mut cell: Box<Cell>) -> Option<Box<Cell>> {
        let vitals = cell.vitals.clone();
        let call = Box::pin(async move { cell.hear_of_daughters().await.map(|()| cell) });
        self.tell_one(&vitals, DIVIDING, call, &self.host().counters.lifecycle_failures).await
    }

    /// Tells a cell that it ends. Its place is free when this is over.
    async fn bid_farewell(self: Arc<Self>, mut cell: Box<Cell>, why: Peace) {
        let vitals = cell.vitals.clone();
        // The place is dropped after the store, in the order of the cell's fields, also where it fails.
        let call = Box::pin(async move {
            cell.hear_of_daughters().await?;
            cell.hear_of_its_end(why).await?;
            Ok(cell)
        });
        if let Err(error) = self.bounded(&vitals, DYING, call).await {
            self.host().counters.lifecycle_failures.add();
            let text =
                format!("the cell was told that it is dying and failed at that: {}", error.root_cause());
            self.complain(&vitals, Level::Error, text);
        }
    }
}
