//! The simulator: a host on virtual time, to try a law before it runs anywhere.
//!
//! A [`Scenario`] says what arrives, what serving it costs and what a cell's birth takes; a
//! [`Controller`] decides about cells: the hormone law exactly as a host runs it, or one of its
//! rivals. [`run`] plays one against the other and returns an [`Outcome`] with figures and a
//! timeline; [`picture::draw`] makes an SVG of several. Discrete events, seeded, no clock and no
//! I/O: the same scenario, controller and seed give the same outcome to the last bit.
//!
//! What it models: open arrivals, one first-come-first-served queue a class, dispatch to the less
//! loaded of two random cells, slots, stems, birth delays, clients' patience, cores shared in turns.
//! What it does not: networks, memory, the cost of the law itself.

mod arrivals;
mod cells;
mod control;
mod cores;
mod figures;
mod neuron;
pub mod picture;
mod plant;
mod rivals;
mod scenario;
mod tissue;

use crate::neuron::Watch;
pub use arrivals::Arrivals;
pub use control::Controller;
pub use figures::{ClassOutcome, Meter, Outcome, Point};
pub use scenario::{Blow, BlowKind, ClassPlan, HostPlan, Load, Scenario, ScenarioError};

/// Plays `scenario` under `controller`; every draw comes from `seed`.
///
/// # Errors
/// [`ScenarioError`] for a value out of range, by name.
pub fn run(scenario: &Scenario, controller: Controller, seed: u64) -> Result<Outcome, ScenarioError> {
    scenario.check()?;
    Ok(plant::Plant::new(scenario, controller, seed, None)?.play())
}

/// Plays `scenario` under the law with a neuron beside it, which is asked every 20 ms of virtual
/// time, as a host asks one that may `replace`.
///
/// # Errors
/// As [`run`].
pub fn run_neuron(scenario: &Scenario, watch: Box<dyn Watch>, seed: u64) -> Result<Outcome, ScenarioError> {
    scenario.check()?;
    Ok(plant::Plant::new(scenario, Controller::Neuron, seed, Some(watch))?.play())
}
