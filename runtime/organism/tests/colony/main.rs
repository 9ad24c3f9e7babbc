//! Colonies of hosts on virtual time, over the seeded network of `cyte_medium`.
//!
//! `chatter_is_bounded_as_hosts_grow` prints the table of docs/figures.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is the report"
)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod cases;
mod world;
