//! Generated from `wit/` by `bindings.sh`; not written by hand, not part of the public interface.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    clippy::all,
    clippy::restriction,
    reason = "generated"
)]

pub mod abilities;
pub mod drone;
#[cfg(feature = "p3")]
pub mod drone_p3;
pub mod task;
