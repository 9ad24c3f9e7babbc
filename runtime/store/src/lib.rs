//! What a cyte host keeps across restarts: the durable head of its state folder, what is wanted, and
//! what was observed.
//!
//! - [`Head`] wraps one `redb` file (`head.redb`). It remembers whom the host trusts and which DNA
//!   it accepted (`cyte_dna::Known`), sealed secrets, and an audit trail of what operators wrote.
//! - [`GeneStore`] keeps the definitions of what is wanted in the same file, with revisions and
//!   history; a [`Watcher`] follows it and misses nothing.
//! - [`PhenotypeStore`] keeps events of what is in a file of its own (`phenotype.redb`), in time
//!   buckets that expire, and the view that they add up to.
//!
//! Every write of the first two is one durable transaction: when a call returns, the fact survives a
//! power cut. The third commits once a second. After a full disk or a failed sync all of them go on
//! without a restart.
//!
//! The stores are passive. They never decide whether a DNA may run or a wish is allowed, start
//! nothing, never look at a clock, never open a seal. Whoever calls them decides, and passes the time
//! in.

#![forbid(unsafe_code)]

mod bell;
mod bucket;
mod disk;
mod error;
#[cfg(test)]
mod faults;
mod genes;
mod head;
mod knobs;
mod phenotype;
mod watch;

pub use bell::{LISTENERS_MAX, Listener, Listening};
pub use error::StoreError;
pub use genes::{Ask, Book, Change, DEFINITION_BYTES, DEFINITIONS_MAX, Expect, GeneStore, HISTORY_KEPT};
pub use head::{AUDIT_KEPT, AuditEntry, Head, SEALED_MAX, Sealed};
pub use knobs::{KNOBS_MAX, SetKnob};
pub use phenotype::{Begin, EVENTS_PAGE, Opened, PhenotypeStore, Retention, SetAside, fingerprint};
pub use watch::{News, WATCH_PAGE, Watcher};
