//! A request that found no room gets back to who sent it; and room that is held for one that is not here
//! yet.

use std::sync::Arc;

use bytes::Bytes;
use cyte_organism::Nanos;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use super::{BoxError, CallFacts, Loan, Patience, Tissue, Wait, names_a_host};
use crate::{body::CellBody, error::CallError};

/// A request that got no response.
#[derive(Debug)]
pub struct Unserved<B> {
    /// Why.
    pub error: CallError,
    /// The request, where no cell had anything of it: it can still go elsewhere.
    pub request: Option<Box<Request<B>>>,
}

impl<B> Unserved<B> {
    /// A cell may have seen it.
    pub fn seen(error: CallError) -> Self {
        Self { error, request: None }
    }

    /// No cell did.
    pub fn whole(error: CallError, request: Request<B>) -> Self {
        Self { error, request: Some(Box::new(request)) }
    }
}

/// A cell, or a place for one, that is held for one request. Dropped unused it goes to whoever waits.
pub struct Room {
    loan: Loan,
    tissue: Arc<Tissue>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("gene", &self.tissue.gene().name).finish_non_exhaustive()
    }
}

impl Tissue {
    /// Holds room for one request, as soon as there is any; it waits like a request, at most `most`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn hold(self: &Arc<Self>, most: Nanos) -> Result<Room, CallError> {
        let vessel = self
            .vessel_for(Patience::new(&HeaderMap::new(), Wait { most: Some(most), way_out: None }))
            .await?;
        Ok(Room { loan: Loan::new(vessel, self), tissue: self.clone() })
    }

    /// Messages that its cells could take at once, without another cell.
    pub fn idle(&self) -> u32 {
        u32::try_from(self.lock().ready().len()).unwrap_or(u32::MAX)
    }

    /// How long a request waits for room, as it is now.
    pub fn patience(&self) -> Nanos {
        self.lock().bounds().wait
    }
}

impl Room {
    /// Serves the request that it was held for, as [`Tissue::serve`] does.
    ///
    /// # Errors
    ///
    /// Says why there is no response; nothing was sent, and at most one cell is gone.
    pub async fn serve<B>(
        self,
        request: Request<B>,
        facts: CallFacts,
    ) -> Result<Response<CellBody>, CallError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if !names_a_host(&request) {
            return Err(CallError::BadRequest);
        }
        let Some(vessel) = self.loan.take() else { return Err(CallError::WaitedTooLong) };
        self.tissue.carry(vessel, request, facts).await
    }
}
