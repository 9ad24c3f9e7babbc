//! Write genes for cyte: HTTP handlers, tasks and neurons as WebAssembly components.
//!
//! A gene is a small `cdylib` crate. This one is complete:
//!
//! ```
//! use cyte_sdk::prelude::*;
//!
//! struct Front;
//!
//! impl Drone for Front {
//!     fn handle(_request: Request) -> Result<Response, Error> {
//!         Ok(Response::text("hello"))
//!     }
//! }
//!
//! cyte_sdk::drone!(Front);
//! ```
//!
//! # What there is
//!
//! - [`Drone`] answers HTTP requests on WASI 0.2; [`Task`] runs once; [`Neuron`] says how many cells
//!   each class of its host should have; `p3::Drone` (feature `p3`) is
//!   the asynchronous drone of WASI 0.3.
//! - [`Request`] and [`Response`] use the types of the `http` crate; [`Body`] streams in both
//!   directions, JSON goes in and out (feature `json`, on by default).
//! - [`fetch`] sends requests, [`config`] reads the gene's configuration, [`mod@log`] writes to its log,
//!   [`identity`] says which cell this is.
//! - [`Receptor`] feels how the cell's class stands, [`hormone::release`] asks for more or fewer cells
//!   of it, [`division`] makes and ends them; where `dna.toml` grants it.
//! - [`Lifecycle`] hears when the cell begins, divides and ends; [`policy`] is for genes that judge
//!   stuck cells or take the host's log lines and counts.
//! - [`testing`] runs a handler natively, without Wasm: `cargo test` in the gene's folder.
//!
//! # What stays between requests
//!
//! A cell answers one request at a time and is then kept for the next, up to the gene's `reuse`
//! (the SDK asks for 128 uses). Statics keep their values meanwhile, which makes them a good place
//! for what is costly to build and the same for everybody (a parsed template, a compiled table),
//! and a bad one for anything else: the next request goes to any cell, and a cell may die at any
//! moment. Where each request must find a fresh cell, write `reuse = 1` in `dna.toml`.
//!
//! # What a gene runs under
//!
//! A component made with this crate imports only what its code uses. As long as that is WASI, it
//! runs under any WASI host; [`identity`], [`hormone`] and [`division`] are the runtime's own.
//!
//! Panics end the cell and the request in it. Errors do not: see [`Error`].

#![warn(missing_docs)]

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod body;
pub mod config;
pub mod division;
mod error;
mod fetch;
mod head;
pub mod hormone;
pub mod identity;
pub mod lifecycle;
pub mod load;
pub mod log;
mod macros;
pub mod neuron;
#[cfg(feature = "p3")]
pub mod p3;
pub mod policy;
pub mod prelude;
mod request;
mod response;
#[doc(hidden)]
pub mod sys;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod writer;

pub use body::{Body, Chunks};
pub use error::Error;
pub use fetch::{FetchError, FetchOptions, fetch, fetch_with};
pub use hormone::Receptor;
pub use lifecycle::Lifecycle;
pub use neuron::Neuron;
pub use task::{Task, exit};
pub use writer::BodyWriter;

pub use {bytes, http};
#[cfg(feature = "json")]
pub use {serde, serde_json};

/// The messages, over any kind of body.
///
/// Handlers use [`Request`] and [`Response`], or those of `p3`.
pub mod message {
    pub use crate::head::Opens;
    pub use crate::request::Request;
    pub use crate::response::Response;
}

/// A request with a body of WASI 0.2.
pub type Request = message::Request<Body>;

/// A response with a body of WASI 0.2.
pub type Response = message::Response<Body>;

/// Answers HTTP requests.
///
/// Implement it on a type of your own, usually an empty struct, and name that type in
/// [`drone!`](crate::drone).
pub trait Drone {
    /// Answers one request.
    ///
    /// Calls do not overlap within a cell.
    ///
    /// # Errors
    ///
    /// An error is logged and answered with status 500 and the text `internal error`, or with what
    /// [`Error::refusal`] says. Its own text never reaches the client.
    fn handle(request: Request) -> Result<Response, Error>;
}
