//! What a cell can reach of the world: one file a capability. Each is granted by the DNA or denies.
//!
//! The deeds behind them that need sockets, files or a terminal are done by whoever runs the host
//! and handed in as [`Hands`].

use std::{path::PathBuf, sync::Arc};

pub(crate) mod clocks;
pub mod control;
pub(crate) mod files;
pub mod http;
pub(crate) mod identity;
pub mod log;

/// What the host does on behalf of cells.
#[derive(Clone)]
pub struct Hands {
    /// Sends outbound HTTP requests that the DNA grants.
    pub outbound: Arc<dyn http::Outbound>,
    /// Takes log lines.
    pub log: Arc<dyn log::LogSink>,
    /// Makes and ends cells that the DNA lets cells make and end.
    pub control: Arc<dyn control::Control>,
}

/// A folder of the host that a gene may see, already resolved by the host from the DNA's grant.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is on the host. The guest never learns this.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: String,
    /// Whether the guest may change it.
    pub write: bool,
}
