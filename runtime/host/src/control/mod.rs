//! Asking a running host: HTTP/1.1 over a Unix socket, `/v1/...`, JSON.
//!
//! The socket is the user's alone: its folder is 0700, it is 0600, and every connection's peer
//! must be the same user or root. What the host knows comes through [`HostView`], so that nothing
//! here knows cells or genes. `server` finds who answers, `client` asks, `find` tells which host is meant.

mod cells;
pub mod client;
pub mod find;
mod flight;
mod governed;
mod hormones;
mod hosts;
mod limits;
mod observed;
mod pages;
mod query;
mod reply;
pub mod server;
mod wishes;

use std::sync::Arc;

use serde_json::Value;

use crate::error::CliError;
use crate::event::EventLog;
use crate::log::GuestLog;
use crate::record::Recorder;

pub use cells::{CellView, Ordered};
pub use flight::Recorded;
pub use hormones::{Felt, HormoneView, Released};
pub use hosts::HostsView;
pub use limits::LimitView;
pub use wishes::WishView;

/// What the control API shows of a host, and the few things that it may write.
///
/// Every answer is one JSON object with `"v": 1`, the same that `--output json` prints.
pub trait HostView: WishView + HormoneView + CellView + LimitView {
    /// The host itself: pid, version, state folder, organism, addresses, counters.
    fn status(&self) -> Value;
    /// Genes and cells.
    fn ps(&self) -> Value;
    /// One cell by its name (`front#1`); `None` when there is none.
    fn cell(&self, id: &str) -> Option<Value>;
    /// One gene by its name; `None` when there is none.
    fn gene(&self, name: &str) -> Option<Value>;
    /// The limits table with the values in force.
    fn limits(&self) -> Value;
    /// What happened.
    fn events(&self) -> &Arc<EventLog>;
    /// What keeps it across restarts.
    fn recorder(&self) -> &Arc<Recorder>;
    /// What guests said.
    fn logs(&self) -> &Arc<GuestLog>;
    /// Asks for a recording of what the law was told and decided lately.
    ///
    /// # Errors
    /// `Code::Control` when the governor is too busy.
    fn record(&self) -> Result<Recorded, CliError>;
    /// The hosts of this process, where it runs several.
    fn village(&self) -> Option<Arc<dyn HostsView>> {
        None
    }
    /// The names of the secrets that are set.
    fn secrets(&self) -> Vec<String>;
    /// Sets a secret on behalf of user `uid`; durable and audited when it returns.
    ///
    /// # Errors
    /// `Code::Secret` for a name or value outside its bounds, `Code::State` when it cannot be kept.
    fn set_secret(&self, uid: u32, name: &str, value: Vec<u8>) -> Result<(), CliError>;
    /// Forgets a secret on behalf of user `uid`; says whether there was one.
    ///
    /// # Errors
    /// `Code::State` when the change cannot be kept.
    fn remove_secret(&self, uid: u32, name: &str) -> Result<bool, CliError>;
}
