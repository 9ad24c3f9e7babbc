//! What a cyte host keeps across restarts: the durable head of its state folder.
//!
//! [`Head`] wraps one `redb` file (`head.redb`). It remembers whom the host trusts and which DNA
//! it accepted (`cyte_dna::Known`), sealed secrets, and an audit trail of what operators wrote.
//! Every write is one durable transaction: when a call returns, the fact survives a power cut.
//!
//! The store is passive. It never decides whether a DNA may run, never looks at a clock, never
//! opens a seal. Whoever calls it decides, and passes the time in.

#![forbid(unsafe_code)]

mod error;
mod head;

pub use error::StoreError;
pub use head::{AUDIT_KEPT, AuditEntry, Head, SEALED_MAX, Sealed};
