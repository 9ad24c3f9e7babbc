//! `cyte:cell/endocrine`, `cyte:cell/load` and `cyte:cell/division`: what cells ask for their own class.
//!
//! A released hormone, and a reported load, waits in the cell's vital signs until the governor looks;
//! nothing is called and nothing waits. To divide and to end cells goes through the host's one way to do so, as [`Control`],
//! which whoever runs the host hands in: here nothing is decided but what no host would allow.
//! There is no name by which a cell could reach another class, or the governor.

use cyte_dna::{Deed, GeneName, limits};
use cyte_organism::{Nanos, constants::REFRACTORY};
use wasmtime::component::{HasSelf, Linker};

use super::http::BoxFuture;
use crate::state::CellState;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world glands {
                import cyte:cell/endocrine@0.1.0;
                import cyte:cell/load@0.1.0;
                import cyte:cell/division@0.1.0;
            }
        ",
        world: "cyte:host/glands",
        imports: {
            "cyte:cell/division.divide": async,
            "cyte:cell/division.retire": async,
        },
    });
}

use generated::cyte::cell::{division, endocrine, load};

/// Why cells were not made or ended. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The gene's DNA does not grant it.
    #[error("the DNA does not grant it")]
    NotGranted,
    /// The upper bound of the gene's range.
    #[error("there are as many cells of the gene as there may be")]
    Most,
    /// The lower bound of the gene's range.
    #[error("there are as few cells of the gene as there may be")]
    Least,
    /// No place and no stem is left.
    #[error("the host has no room for one more cell")]
    NoRoom,
    /// Growth is held back.
    #[error("the cores are full: one more cell would serve nobody sooner")]
    CoresFull,
    /// A mother rests between divisions.
    #[error("this cell divided just now")]
    TooSoon,
    /// No cell of that number lives in this class.
    #[error("no such cell lives here")]
    NoCell,
    /// The governor has too much to do.
    #[error("the host is too busy to answer")]
    Busy,
}

impl From<Refused> for division::Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotGranted => Self::NotGranted,
            Refused::Most => Self::Most,
            Refused::Least => Self::Least,
            Refused::NoRoom => Self::NoRoom,
            Refused::CoresFull => Self::CoresFull,
            Refused::TooSoon => Self::TooSoon,
            Refused::NoCell => Self::NoCell,
            Refused::Busy => Self::Busy,
        }
    }
}

/// The host's one way to make and end cells, as far as cells may use it. What comes back is bounded in
/// time.
pub trait Control: Send + Sync {
    /// How often the hormone law looks: a cell releases one hormone in that time.
    fn tick(&self) -> Nanos;

    /// Makes a daughter of a cell of `gene` and says its number.
    fn divide(&self, gene: &GeneName, mother: u64) -> BoxFuture<Result<u64, Refused>>;

    /// Ends a cell of `gene` when it finished what it has.
    fn retire(&self, gene: &GeneName, cell: u64) -> BoxFuture<Result<(), Refused>>;
}

/// A host on which cells neither divide nor end by their own word: for genes that are only looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoControl;

impl Control for NoControl {
    fn tick(&self) -> Nanos {
        Nanos(0)
    }

    fn divide(&self, _: &GeneName, _: u64) -> BoxFuture<Result<u64, Refused>> {
        Box::pin(std::future::ready(Err(Refused::Busy)))
    }

    fn retire(&self, _: &GeneName, _: u64) -> BoxFuture<Result<(), Refused>> {
        Box::pin(std::future::ready(Err(Refused::Busy)))
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    endocrine::add_to_linker::<_, HasSelf<CellState>>(linker, |state| state)?;
    load::add_to_linker::<_, HasSelf<CellState>>(linker, |state| state)?;
    division::add_to_linker::<_, HasSelf<CellState>>(linker, |state| state)
}

impl endocrine::Host for CellState {
    fn release(&mut self, kind: endocrine::Hormone, strength: f64) -> Result<(), endocrine::Refusal> {
        // A comparison with what is not a number is false.
        if !(0.0..=1.0).contains(&strength) {
            return Err(endocrine::Refusal::Strength);
        }
        let signed = match kind {
            endocrine::Hormone::Growth => strength,
            endocrine::Hormone::AntiGrowth => -strength,
        };
        let every = self.gene.hands.control.tick();
        if self.vitals.release(signed, every) { Ok(()) } else { Err(endocrine::Refusal::TooOften) }
    }
}

impl load::Host for CellState {
    fn report(&mut self, amount: f64) -> Result<(), load::Refusal> {
        // A comparison with what is not a number is false.
        if !(0.0..=limits::SIGNAL_MAX).contains(&amount) {
            return Err(load::Refusal::Value);
        }
        self.vitals.report(amount);
        Ok(())
    }
}

impl CellState {
    fn is_granted(&self, deed: Deed) -> Result<(), Refused> {
        if self.gene.gene.grants.allows(deed) { Ok(()) } else { Err(Refused::NotGranted) }
    }

    async fn split(&mut self) -> Result<u64, Refused> {
        self.is_granted(Deed::Divide)?;
        if !self.vitals.may_divide(REFRACTORY) {
            return Err(Refused::TooSoon);
        }
        self.gene.hands.control.divide(&self.gene.gene.name, self.vitals.birth.id.0).await
    }
}

impl division::Host for CellState {
    async fn divide(&mut self) -> Result<u64, division::Refusal> {
        Ok(self.split().await?)
    }

    async fn retire(&mut self, cell: u64) -> Result<(), division::Refusal> {
        self.is_granted(Deed::Retire)?;
        Ok(self.gene.hands.control.retire(&self.gene.gene.name, cell).await?)
    }
}
