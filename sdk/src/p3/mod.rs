//! Drones on WASI 0.3: asynchronous handlers, several requests at once in one cell.
//!
//! ```
//! use cyte_sdk::p3::prelude::*;
//!
//! struct Front;
//!
//! impl Drone for Front {
//!     async fn handle(mut request: Request) -> Result<Response, Error> {
//!         let name = request.text().await?;
//!         Ok(Response::text(format!("hello {name}")))
//!     }
//! }
//!
//! cyte_sdk::drone_p3!(Front);
//! ```
//!
//! With `concurrency` above 1 in `dna.toml`, requests overlap within a cell wherever a handler
//! awaits, never anywhere else: there is one thread. A static must not be left half-changed across
//! an `.await`.

mod body;
#[cfg_attr(target_family = "wasm", path = "wasi.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod sys;

use std::time::Duration;

pub use body::{Body, BodyWriter};
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use sys::{DroneGuest, DroneRequest, DroneResponse, ErrorCode, serve};

#[cfg(target_family = "wasm")]
pub(crate) use sys::DroneRequest as Source;
#[cfg(not(target_family = "wasm"))]
pub(crate) use sys::Source;
pub(crate) use sys::open;

use crate::{Error, FetchError, FetchOptions, message};

/// A request with a body of WASI 0.3.
pub type Request = message::Request<Body>;

/// A response with a body of WASI 0.3.
pub type Response = message::Response<Body>;

/// What nearly every gene on WASI 0.3 uses.
pub mod prelude {
    pub use super::{Body, BodyWriter, Drone, Request, Response, fetch, sleep};
    pub use crate::{Error, config, log};
    pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
}

/// Answers HTTP requests, asynchronously; as [`crate::Drone`] otherwise.
pub trait Drone {
    /// Answers one request. Calls may overlap where they await.
    ///
    /// # Errors
    ///
    /// As [`crate::Drone::handle`].
    #[allow(async_fn_in_trait, reason = "a gene has one thread: no bound is missed")]
    async fn handle(request: Request) -> Result<Response, Error>;
}

/// Sends a request and waits for the head of the response; as [`crate::fetch`].
///
/// The body is sent while the response is awaited, so both may stream at once.
///
/// # Errors
///
/// As [`crate::fetch`].
pub async fn fetch(request: impl Into<Request>) -> Result<Response, FetchError> {
    sys::fetch(request.into(), &FetchOptions::default()).await
}

/// As [`fetch`], with limits of its own on waiting. The host's hold in any case.
///
/// # Errors
///
/// As [`crate::fetch`].
pub async fn fetch_with(request: impl Into<Request>, options: &FetchOptions) -> Result<Response, FetchError> {
    sys::fetch(request.into(), options).await
}

/// Waits this long; other requests of the cell go on meanwhile. A native test does not wait.
pub async fn sleep(time: Duration) {
    sys::sleep(time).await;
}

/// Makes the crate a drone on WASI 0.3: exports `wasi:http/handler`.
///
/// As [`drone!`](crate::drone) otherwise.
#[macro_export]
macro_rules! drone_p3 {
    ($drone:ty) => {
        $crate::drone_p3!($drone, reuse = 128);
    };
    ($drone:ty, reuse = $reuse:literal) => {
        $crate::__reuse!($reuse);
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::p3::DroneGuest for Export {
                async fn handle(
                    request: $crate::p3::DroneRequest,
                ) -> ::core::result::Result<$crate::p3::DroneResponse, $crate::p3::ErrorCode> {
                    $crate::p3::serve::<$drone>(request).await
                }
            }

            $crate::bindings::drone_p3::__export_drone_p3!(
                Export with_types_in $crate::bindings::drone_p3
            );
        };
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn is_drone<T: $crate::p3::Drone>() {}
            is_drone::<$drone>();
        };
    };
}
