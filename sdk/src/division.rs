//! Cells that divide and end of their own accord.

use std::fmt;

use crate::sys;

/// Why it was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The DNA does not grant it.
    NotGranted,
    /// There are as many cells of the gene as there may be.
    Most,
    /// There are as few cells of the gene as there may be.
    Least,
    /// The host has no room for one more cell.
    NoRoom,
    /// The cores are full: one more cell would serve nobody sooner.
    CoresFull,
    /// This cell divided less than 50 ms ago.
    TooSoon,
    /// No such cell of this gene lives here.
    NoCell,
    /// The host is too busy to answer.
    Busy,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotGranted => "the DNA does not grant it",
            Refusal::Most => "there are as many cells of the gene as there may be",
            Refusal::Least => "there are as few cells of the gene as there may be",
            Refusal::NoRoom => "the host has no room for one more cell",
            Refusal::CoresFull => "the cores are full",
            Refusal::TooSoon => "this cell divided just now",
            Refusal::NoCell => "no such cell of this gene lives here",
            Refusal::Busy => "the host is too busy to answer",
        })
    }
}

impl std::error::Error for Refusal {}

/// Makes a daughter of this cell, of its own class, and says its number.
///
/// Needs `may = ["divide"]` in `dna.toml`.
///
/// # Errors
///
/// Says which bound stands against it.
pub fn divide() -> Result<u64, Refusal> {
    sys::divide()
}

/// Ends a cell of this cell's own class, itself included, when it finished what it has.
///
/// Needs `may = ["retire"]` in `dna.toml`.
///
/// # Errors
///
/// Says what stands against it.
pub fn retire(cell: u64) -> Result<(), Refusal> {
    sys::retire(cell)
}
