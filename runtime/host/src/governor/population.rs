//! One tissue as the governor sees and moves it.

use cyte_dna::{GeneName, Signal};
use cyte_engine::capability::control::Refused;
use cyte_engine::{HormoneLevels, Tally, Zombie};
use cyte_organism::law::Demand;
use cyte_organism::lineage::Niche;
use cyte_organism::{Nanos, Reading};

/// One tissue as the governor sees and moves it.
pub trait Population: Send + Sync {
    /// Whose cells these are.
    fn gene(&self) -> &GeneName;
    /// Every niche into `cells`, ascending, and the rest as sums; starts a new window for the peak.
    fn look(&self, cells: &mut Vec<Reading>) -> Tally;
    /// The number that its cells may report as their load.
    fn signal(&self) -> Option<&Signal> {
        None
    }
    /// When the longest-waiting request came.
    fn head(&self) -> Option<Nanos>;
    /// Cells alive or being made, without those that are about to end.
    fn staying(&self) -> u32;
    /// Whether a living cell has answered a message or is at least this old.
    fn has_settled(&self, age: Nanos) -> bool;
    /// What requests may do on their own from now on.
    fn publish(&self, demand: Demand);
    /// Makes one more cell as a daughter of who holds `mother`, from a stem or from nothing; says
    /// whether there was one.
    fn beget(&self, mother: Option<Niche>, from_stem: bool) -> bool;
    /// Ends who holds a niche, when it finished what it has.
    fn end(&self, niche: Niche);
    /// Makes successors of one-use cells ready, a few.
    fn renew(&self);
    /// Makes up to `count` cells ready, off the request path.
    fn prepare(&self, count: u32);
    /// Retires up to `count` of the coldest cells that rest.
    fn retire(&self, count: u32);
    /// Makes one more cell, as a daughter of cell `mother` or of the eldest; says its number.
    ///
    /// # Errors
    /// Why there is none more.
    fn divide(&self, mother: Option<u64>) -> Result<u64, Refused>;
    /// Ends a cell when it finished what it has, or with it.
    ///
    /// # Errors
    /// [`Refused::NoCell`] where it does not live.
    fn end_cell(&self, cell: u64, at_once: bool) -> Result<(), Refused>;
    /// What guests released since this was asked last, appended with their niches.
    fn take_released(&self, into: &mut Vec<(Niche, f64)>);
    /// Pings cells that hold a message, where it is time to; those that are stuck.
    fn ping(&self, now: Nanos) -> Vec<Zombie>;
    /// Ends a cell that is stuck.
    fn bury(&self, cell: u64);
    /// Tells the cells how their class stands, where they have a receptor; says whether some still have
    /// to be told.
    fn tell(&self, levels: HormoneLevels) -> bool;
}
