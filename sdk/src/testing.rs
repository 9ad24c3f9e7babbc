//! Testing a handler natively, without Wasm.
//!
//! ```
//! use cyte_sdk::prelude::*;
//! use cyte_sdk::testing;
//!
//! struct Front;
//!
//! impl Drone for Front {
//!     fn handle(request: Request) -> Result<Response, Error> {
//!         let greeting = config::get_or("greeting", "hello")?;
//!         Ok(Response::text(format!("{greeting} {}", request.path())))
//!     }
//! }
//!
//! testing::set_config("greeting", "hi");
//! let mut response = testing::serve::<Front>(testing::get("/you"));
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.body_mut().read_text().unwrap(), "hi /you");
//! ```
//!
//! What is set here holds for the thread that sets it. Rust runs each test in a thread of its own,
//! so tests do not disturb each other.

use bytes::Bytes;

use crate::body::Inner;
use crate::hormone::Hormone;
use crate::identity::Identity;
use crate::log::Level;
use crate::neuron::{Look, Neuron, Order};
use crate::sys::{Incoming, WORLD};
use crate::{Body, Drone, FetchError, Request, Response};

/// What a cell asked of its own population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To divide.
    Divide,
    /// To end this cell.
    Retire(u64),
}

/// Calls the handler as the runtime does: an error becomes the response that the client would get,
/// and goes to [`take_errors`].
pub fn serve<D: Drone>(request: impl Into<Request>) -> Response {
    D::handle(request.into()).unwrap_or_else(crate::Error::into_response)
}

/// One cell of a neuron, called as the runtime does: what it remembers stays from look to look, and
/// errors go to [`take_errors`].
#[derive(Debug)]
pub struct Watched<N>(Option<N>);

impl<N> Default for Watched<N> {
    /// A fresh cell.
    fn default() -> Self {
        Self(None)
    }
}

impl<N: Neuron> Watched<N> {
    /// One look.
    pub fn watch(&mut self, look: &Look) -> Vec<Order> {
        crate::neuron::look(&mut self.0, look)
    }
}

/// A GET request.
///
/// # Panics
///
/// If `uri` is none.
#[must_use]
pub fn get(uri: &str) -> Request {
    request(http::Method::GET, uri, ())
}

/// A POST request with a body.
///
/// # Panics
///
/// If `uri` is none.
#[must_use]
pub fn post(uri: &str, body: impl Into<Body>) -> Request {
    request(http::Method::POST, uri, body)
}

/// Any request.
///
/// # Panics
///
/// If `uri` is none.
#[allow(clippy::expect_used, reason = "a test wants to hear of it")]
pub fn request(method: http::Method, uri: &str, body: impl Into<Body>) -> Request {
    let request = http::Request::builder().method(method).uri(uri).body(body.into());
    request.expect("a URI").into()
}

/// As [`serve`], for a drone on WASI 0.3.
#[cfg(feature = "p3")]
pub async fn serve_p3<D: crate::p3::Drone>(request: impl Into<crate::p3::Request>) -> crate::p3::Response {
    D::handle(request.into()).await.unwrap_or_else(crate::Error::into_response)
}

/// Any request, for a drone on WASI 0.3. Bodies of [`arriving`] fit too.
///
/// # Panics
///
/// If `uri` is none.
#[cfg(feature = "p3")]
#[allow(clippy::expect_used, reason = "a test wants to hear of it")]
pub fn p3_request(method: http::Method, uri: &str, body: impl Into<crate::p3::Body>) -> crate::p3::Request {
    let request = http::Request::builder().method(method).uri(uri).body(body.into());
    request.expect("a URI").into()
}

/// Runs a future to its end. Natively nothing of this library waits, so neither does this.
///
/// # Panics
///
/// If the future waits for something else.
#[cfg(feature = "p3")]
#[allow(clippy::panic, reason = "a test wants to hear of it")]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the future waits for something that no test gives"),
    }
}

/// A body that arrives in these pieces.
pub fn arriving<T: Into<Bytes>>(pieces: impl IntoIterator<Item = T>) -> Body {
    incoming(pieces, false)
}

/// A body that breaks off after these pieces.
pub fn arriving_then_broken<T: Into<Bytes>>(pieces: impl IntoIterator<Item = T>) -> Body {
    incoming(pieces, true)
}

fn incoming<T: Into<Bytes>>(pieces: impl IntoIterator<Item = T>, broken: bool) -> Body {
    let pieces = pieces.into_iter().map(Into::into).collect();
    Inner::Incoming(Box::new(Incoming { pieces, trailers: None, broken })).into()
}

/// Sets one value of the configuration.
pub fn set_config(key: &str, value: &str) {
    WORLD.with_borrow_mut(|world| world.config.insert(key.to_owned(), value.to_owned()));
}

/// Answers every [`fetch`](crate::fetch) from now on. Without it each is denied.
pub fn on_fetch(upstream: impl FnMut(Request) -> Result<Response, FetchError> + 'static) {
    WORLD.with_borrow_mut(|world| world.upstream = Some(Box::new(upstream)));
}

/// Sets who the cell is; `test#1` without it.
pub fn set_identity(id: u64, gene: &str, organism: &str) {
    let me = Identity::new((id, None, 0), (gene.into(), "0.0.0".into(), organism.into()));
    WORLD.with_borrow_mut(|world| world.me = Some(me));
}

/// The lines logged since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.log))
}

/// The errors that handlers gave since the last call, as the log would show them.
pub fn take_errors() -> Vec<String> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.errors))
}

/// The hormones that were released since the last call.
pub fn take_released() -> Vec<(Hormone, f64)> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.released))
}

/// The loads that were reported since the last call.
pub fn take_reported() -> Vec<f64> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.reported))
}

/// What was asked of the population since the last call.
pub fn take_asked() -> Vec<Asked> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    struct Front;

    impl Drone for Front {
        fn handle(mut request: Request) -> Result<Response, Error> {
            if request.path() == "/fail" {
                return Err("x".parse::<u8>().unwrap_err().into());
            }
            Ok(Response::text(request.text()?))
        }
    }

    crate::drone!(Front);

    #[test]
    fn a_handler_is_served_as_by_the_runtime() {
        let mut response = serve::<Front>(post("/", "echo"));
        assert_eq!(response.body_mut().read_text().unwrap(), "echo");
        let mut response = serve::<Front>(get("/fail"));
        assert_eq!(response.status(), 500);
        assert_eq!(response.body_mut().read_text().unwrap(), "internal error");
        assert_eq!(take_errors(), ["invalid digit found in string"]);
    }

    #[test]
    fn what_a_cell_asks_of_its_class_is_kept_for_the_test() {
        use crate::hormone::{Refusal, release};
        assert_eq!(release(Hormone::Growth, 0.5), Ok(()));
        assert_eq!(release(Hormone::AntiGrowth, f64::NAN), Err(Refusal::Strength));
        assert_eq!(take_released(), [(Hormone::Growth, 0.5)]);
        assert_eq!(crate::load::report(40.0), Ok(()));
        assert_eq!(crate::load::report(f64::NAN), Err(crate::load::Refusal::Value));
        assert_eq!(take_reported(), [40.0]);
        assert_eq!(crate::division::divide(), Ok(2));
        assert_eq!(crate::division::retire(2), Ok(()));
        assert_eq!(take_asked(), [Asked::Divide, Asked::Retire(2)]);
    }
}
