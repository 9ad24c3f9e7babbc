//! What is: events of this host's cells and of other hosts, and the picture they add up to
//! (seed 000, "Phenotype Monitor": "an event sourced data store with rolling data expiry to allow
//! every cell to keep a 'good enough' picture of the platform").
//!
//! A [`Record`] is one event with who, where and when; a [`View`] is a fold over records. The laws:
//!
//! - replaying the same records gives the same view, also from a snapshot taken in between, so that
//!   old records can expire and the living cells stay right;
//! - a record seen twice has no second effect;
//! - records of several hosts may arrive in any order, late by up to [`WINDOW`] records of
//!   their host, and give the same view.
//!
//! This works because a host numbers its own records: what a view says of a cell is what the highest
//! number said, and numbers are counted once. "Again, this is just data, it performs no actions."
//!
//! Never here: a clock, storage, a decision.

mod event;
mod seen;
mod tissue;
mod view;

pub use event::{
    Cause, Census, Decided, Epoch, Event, EventError, Hormone, HostId, NOTE_BYTES, Part, Record, Requests,
};
pub use seen::WINDOW;
pub use tissue::{CELLS_MAX, Cell, Counts, Death, Latest, State, Tissue, Totals};
pub use view::{Host, STALE_MS, View};

#[cfg(test)]
mod tests;
