//! Guests and clients that mean harm, or have gone wrong.

mod capacity;
mod compile;
mod cpu;
mod crowd;
mod failing;
mod files;
mod grants;
mod limits;
mod logs;
mod memory;
mod outbound;
mod state;

pub use super::http::zoo;
