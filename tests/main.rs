//! End-to-end tests: everything here drives the real binary `cyte` from outside, as a person, a
//! client or an attacker would, and never links the library.
//!
//! One test binary for all of it, so that nothing that contains the engine is linked twice.
//! `support` has the harness, `cases` one folder or file for each part of what is promised.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is the report"
)]
#![allow(
    clippy::result_large_err,
    clippy::wrong_self_convention,
    reason = "a test's error is looked at once, and its helpers read as sentences"
)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod cases;
mod support;
