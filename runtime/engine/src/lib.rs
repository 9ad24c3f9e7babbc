//! What is alive on a cyte host: cells, their tissues and what they may reach, over wasmtime.
//!
//! The only crate that names wasmtime. Its main path, for one request:
//! [`Tissue::serve`] takes a ready cell, makes one, or waits; `call::call` carries the request into
//! Wasm as one boxed future; `driver::Driver` polls it in the connection's own task, with CPU
//! budget, deadline and memory cap; [`CellBody`] is the answer and owns the driver.
//!
//! Never here: listeners, routes, decisions about growth, the medium between hosts.

#![deny(unsafe_code)]

mod between;
mod body;
mod cache;
mod call;
pub mod capability;
mod cell;
pub mod compile;
mod crowd;
mod driver;
mod engines;
mod error;
mod gate;
mod genome;
mod host;
mod inspect;
mod latency;
mod lifecycle;
mod limiter;
mod load;
mod neuron;
mod obituary;
mod places;
mod policy;
mod receptor;
mod run_delay;
mod side;
mod snapshot;
mod state;
mod task;
mod ticker;
mod tissue;
mod vitals;

pub use body::CellBody;
pub use engines::{Geometry, Kind};
pub use error::{BodyError, Breach, CallError, PrepareError};
pub use genome::{CellPre, Genome, GenomeConfig, Usage};
pub use host::{Alarm, CountersSnapshot, Lanes, Ring};
pub use inspect::{Answer, Ask, Inspection, Shape, inspect};
pub use neuron::{Asked, Neuron, NeuronSnapshot};
pub use policy::{GeneCounts, NoAnswer, Policy, PolicySnapshot, SinkLine, Stuck, Verdict};
pub use receptor::HormoneLevels;
pub use side::Incubator;
pub use snapshot::{CellSnapshot, TissueSnapshot};
pub use state::CellLimits;
pub use task::{TaskArguments, TaskEnd};
pub use tissue::{
    BackgroundSnapshot, BoxError, CallFacts, RequestId, Room, SignalNow, Tally, Tissue, Unserved, Wait,
    WayOut, Zombie, preferred_wait,
};
pub use vitals::Clock;
