//! The invariants of the hormone law (I1-I17), each under its number: random trees, valid and
//! absurd constants, hostile values, crashes at any step.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod bounds;
mod cost;
mod delay;
mod equality;
mod flight;
mod memory;
mod sharing;
mod signal;
mod targets;
mod world;
