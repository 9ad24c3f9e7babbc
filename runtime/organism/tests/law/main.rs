//! The invariants of the hormone law (I1-I17), each under its number: random trees, valid and
//! absurd constants, hostile values, crashes at any step.

mod bounds;
mod cost;
mod delay;
mod equality;
mod sharing;
mod targets;
mod world;
