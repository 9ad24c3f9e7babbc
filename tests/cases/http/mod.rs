//! HTTP as clients see it.

mod descriptors;
mod http2;
mod leaving;
mod plain;
mod refusals;
mod routes;
mod site;
mod stream;
pub mod zoo;
