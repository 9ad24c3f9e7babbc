//! What a process alone cannot test: being killed, and a disk that is really full. Each test starts
//! itself again as the child to which it happens.

#![allow(clippy::unwrap_used, reason = "these are tests; helpers outside a test function count as none")]

mod full;
mod kill;
