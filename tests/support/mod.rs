//! The harness: the binary as a process, hosts that end with their test, raw HTTP, guests built
//! once, temporary folders.
//!
//! Every wait is for something to be true, with a deadline; nothing sleeps and hopes.

#![allow(dead_code, unused_imports, reason = "a harness offers more than today's cases take")]

pub mod command;
pub mod guests;
pub mod h2;
pub mod host;
pub mod http;
pub mod paths;
pub mod project;
pub mod snapshot;
pub mod temp;
pub mod village;
pub mod wait;
pub mod warm;

pub use command::{BINARY, Cyte, Ran};
pub use guests::{guest, wat};
pub use host::{Host, Stopped};
pub use http::{Broken, Connection, Response};
pub use paths::{example, repository};
pub use project::project;
pub use temp::Temp;
pub use village::Village;
pub use wait::until;
