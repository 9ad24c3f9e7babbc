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

#[rustfmt::skip]
pub mod abilities;
#[rustfmt::skip]
pub mod drone;
#[cfg(feature = "p3")]
#[rustfmt::skip]
pub mod drone_p3;
#[rustfmt::skip]
pub mod lifecycle;
#[rustfmt::skip]
pub mod log_sink;
#[rustfmt::skip]
pub mod metrics;
#[rustfmt::skip]
pub mod neuron;
#[rustfmt::skip]
pub mod receptor;
#[rustfmt::skip]
pub mod task;
#[rustfmt::skip]
pub mod zombies;
