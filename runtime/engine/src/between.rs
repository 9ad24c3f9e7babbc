//! Between messages: a cell is told something while it holds none, within a small budget of its own.
//!
//! One that breaks the budget or traps ends, which is told as a death at rest.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use cyte_organism::Nanos;
use tokio::time::timeout;

use crate::{cell::Cell, driver::Metered, error::Breach, host::Counter, tissue::Tissue, vitals::Vitals};

/// Cells that rest and are told at once, at most.
pub(crate) const AT_ONCE: usize = 16;
/// Cells that a request may lose to what they are told before it is given one that was not told.
pub(crate) const ATTEMPTS: u32 = 3;

/// A cell that is being told; it comes back when it heard.
pub(crate) type Telling = Pin<Box<dyn Future<Output = wasmtime::Result<Box<Cell>>> + Send>>;

/// How much a cell may use to hear something, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) cpu: u64,
    pub(crate) wall: u64,
}

impl Tissue {
    /// Lets a cell hear; `None`, counted in `failures`, if it ended by that.
    pub(crate) async fn tell_one(
        &self,
        vitals: &Arc<Vitals>,
        span: Span,
        telling: Telling,
        failures: &Counter,
    ) -> Option<Box<Cell>> {
        match self.bounded(vitals, span, telling).await {
            Ok(cell) => Some(cell),
            Err(error) => {
                failures.add();
                drop(self.obituary_at_rest(vitals, &error));
                None
            }
        }
    }

    /// Lets a cell hear, for no longer than it may.
    pub(crate) async fn bounded(
        &self,
        vitals: &Arc<Vitals>,
        span: Span,
        telling: Telling,
    ) -> wasmtime::Result<Box<Cell>> {
        vitals.begin(0, Nanos::from_millis(span.cpu));
        let metered = Metered { call: telling, vitals: vitals.clone(), ticker: self.host().ticker.clone() };
        let told = timeout(Duration::from_millis(span.wall), metered).await;
        vitals.end();
        told.unwrap_or_else(|_| Err(Breach::Wall.into()))
    }
}
