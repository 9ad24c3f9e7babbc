//! One cyte host: the wiring, the governor's loop, the control socket and the command line.
//!
//! Nothing here is a mechanism: DNA is judged in `cyte-dna`, decided upon in `cyte-organism`,
//! lived in `cyte-engine`, fronted by `cyte-gateway` and kept by `cyte-store`. This crate puts
//! them together, gives them their clocks, folders and randomness, and talks to people.

#![forbid(unsafe_code)]

pub mod access;
pub mod bench;
mod calendar;
pub mod cli;
pub mod codes;
pub mod colony;
pub mod control;
pub mod counts;
pub mod egg;
pub mod error;
pub mod event;
pub mod flight;
pub mod governor;
pub mod growth;
mod hormones;
pub mod live;
pub mod loading;
pub mod log;
pub mod machine;
pub mod outbound;
pub mod policies;
pub mod record;
pub mod ring;
pub mod state;
pub mod supervise;
pub mod view;
pub mod voice;
pub mod wishes;
pub mod workshop;

use std::process::ExitCode;

/// The whole program: the command line of this process, or a compiler child of another one.
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|first| first == loading::COMPILE_CHILD) {
        let rest: Vec<String> = args.iter().skip(2).map(|arg| arg.to_string_lossy().into_owned()).collect();
        return cyte_engine::compile::child(&rest);
    }
    cli::main(args)
}
