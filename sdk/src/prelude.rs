//! What nearly every gene uses: `use cyte_sdk::prelude::*;`.

pub use crate::{
    Body, BodyWriter, Drone, Error, Lifecycle, Neuron, Receptor, Request, Response, Task, config, fetch, log,
};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
