//! Hormones: what a cell asks of its class, and what it feels of it.

use std::fmt;

use crate::sys;

/// What a cell may ask of its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hormone {
    /// More cells.
    Growth,
    /// Fewer of them.
    AntiGrowth,
}

/// Why a hormone was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The strength is no number from 0 to 1.
    Strength,
    /// This cell released one in this tick of the host.
    TooOften,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Strength => "the strength is no number from 0 to 1",
            Refusal::TooOften => "this cell released a hormone in this tick of the host already",
        })
    }
}

impl std::error::Error for Refusal {}

/// Releases a hormone to the cells of this cell's own class.
///
/// `strength` is from 0 to 1. It is one voice among all, worth a quarter of what the host counts
/// itself: alone it changes nothing. Needs `may = ["release"]` in `dna.toml`; a component that calls
/// this imports `cyte:cell/endocrine`, and therefore runs under cyte only.
///
/// # Errors
///
/// Says why nothing was released.
pub fn release(kind: Hormone, strength: f64) -> Result<(), Refusal> {
    sys::release(kind, strength)
}

/// How the class of a cell stood when its host looked last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Levels {
    /// What its cells felt just now, as a mean: the deficit in cells for each cell. Above 0.1 the
    /// class grows; below -0.1 it may shrink.
    pub felt_fast: f64,
    /// The same over seconds.
    pub felt_slow: f64,
    /// Cells that are missing.
    pub growth: f64,
    /// Cells that are too many.
    pub anti_growth: f64,
    /// Whether the cores are full, so that more cells would serve nobody sooner.
    pub cores_full: bool,
}

/// Feels how its class stands.
///
/// Implement it beside [`Drone`](crate::Drone) and name the type in
/// [`receptor!`](crate::receptor!). What is felt stays with the cell where a static keeps it.
///
/// ```
/// use std::cell::Cell;
///
/// use cyte_sdk::hormone::Levels;
/// use cyte_sdk::prelude::*;
///
/// struct Front;
///
/// thread_local! {
///     static IS_SHORT: Cell<bool> = const { Cell::new(false) };
/// }
///
/// impl Receptor for Front {
///     fn feel(levels: Levels) {
///         IS_SHORT.set(levels.growth > 1.0);
///     }
/// }
///
/// impl Drone for Front {
///     fn handle(_request: Request) -> Result<Response, Error> {
///         Ok(Response::text(if IS_SHORT.get() { "in short" } else { "at length" }))
///     }
/// }
///
/// cyte_sdk::drone!(Front);
/// cyte_sdk::receptor!(Front);
/// ```
pub trait Receptor {
    /// Takes the newest levels, between requests, at most once in 100 ms.
    ///
    /// It must be quick: a cell that uses more than 5 ms of CPU for it, or panics, ends.
    fn feel(levels: Levels);
}
