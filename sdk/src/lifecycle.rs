//! The turns of a cell's life, as its host tells them.

/// Why a cell ends in peace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its uses are spent.
    Worn,
    /// Its memory passed the mark at which a cell is replaced.
    Memory,
    /// It is one too many: by the host's law, by a bound that was lowered, or by somebody's word.
    Surplus,
}

/// Hears of the turns of its cell's life.
///
/// Implement it beside [`Drone`](crate::Drone) and name the type in
/// [`lifecycle!`](crate::lifecycle!). A cell that panics, breaks a limit or is ended with what it holds
/// hears nothing more, so nothing that must not be lost may wait for `dying`.
///
/// ```
/// use std::cell::RefCell;
///
/// use cyte_sdk::lifecycle::Cause;
/// use cyte_sdk::prelude::*;
///
/// struct Front;
///
/// thread_local! {
///     static GREETING: RefCell<String> = const { RefCell::new(String::new()) };
/// }
///
/// impl Lifecycle for Front {
///     fn differentiated() {
///         GREETING.set(config::get_or("greeting", "hello").unwrap_or_default());
///     }
///
///     fn dying(cause: Cause) {
///         log::info!("served its time: {cause:?}");
///     }
/// }
///
/// impl Drone for Front {
///     fn handle(_request: Request) -> Result<Response, Error> {
///         Ok(Response::text(GREETING.with_borrow(String::clone)))
///     }
/// }
///
/// cyte_sdk::drone!(Front);
/// cyte_sdk::lifecycle!(Front);
/// ```
pub trait Lifecycle {
    /// The cell is what it will be until it ends: once, before its first request. A part of making the
    /// cell, within the CPU and the time of one call.
    fn differentiated() {}

    /// So many daughters were made of this cell since it was told last, at least one. Between requests,
    /// within 5 ms of CPU and 20 ms.
    fn dividing(daughters: u32) {
        let _ = daughters;
    }

    /// The cell takes no more requests, and ends when this returns, or after 100 ms or 20 ms of CPU.
    fn dying(cause: Cause) {
        let _ = cause;
    }
}
