//! The front of a cyte host: from a socket to a gene and back.
//!
//! The path of a request, in the order of the code: `Listener::accept` (a permit first, never
//! an error), `Connection::serve` (hyper under deadlines), `Admission::admit` (strictness and an
//! id), `Routes::resolve` (host and path to a mount), then the engine's `Tissue::serve`, then
//! `gateway::respond`. What is not answered by a gene is a [`Refusal`], mapped to
//! status, code and text in one table.
//!
//! Never decides about growth, never sees a guest's types, never waits for the governor. All
//! that it holds is bounded, and every bound that is hit is counted.

#![forbid(unsafe_code)]

mod access;
mod admission;
mod cell;
mod connection;
mod counters;
mod drain;
mod elsewhere;
mod gateway;
mod limits;
mod listener;
mod pulse;
mod refusal;
mod respond;
mod routes;
mod stream;
mod ticket;
mod upload;
mod wire;

pub use access::{AccessLine, AccessLog};
pub use counters::CountersSnapshot;
pub use elsewhere::{Elsewhere, Going, NotElsewhere, Whole};
pub use gateway::{Gateway, Mount};
pub use limits::FrontLimits;
pub use listener::Listener;
pub use refusal::{Form, REQUEST_ID, Refusal};
pub use routes::{Claim, RouteConflict, Routes};
pub use upload::UploadError;

#[cfg(test)]
mod socket_tests;
