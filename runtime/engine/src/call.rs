//! One message into a cell: the two futures that carry a request through Wasm.
//!
//! Each owns its cell from the first poll to the last. Dropping one drops the cell's store, which
//! is the only way to cancel a guest and takes everything inside with it.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use wasmtime::{AsContextMut, Store, component::Accessor};
use wasmtime_wasi_http::{
    Error as WasiError, WasiBody, WasiHttpView,
    p2::bindings::http::types::Scheme,
    p3::{self, bindings::Service},
};

use crate::{
    cell::{Cell, Door, Vessel},
    crowd,
    error::CallError,
    genome::CellPre,
    limiter::MemoryBudget,
    state::CellState,
    tissue::Place,
};

/// How a call ended.
pub(crate) enum CallEnd {
    /// The guest returned; its cell may take another message.
    Done(Box<Cell>),
    /// The guest trapped or broke a limit, or its cell could not be made. The cell is gone.
    Dead(wasmtime::Error),
    /// A shared cell is through with the message and goes on.
    Left,
    /// A shared cell ended with this message inside; its own task says why.
    Lost(CallError),
}

/// A call under way.
pub(crate) type CallFuture = Pin<Box<dyn Future<Output = CallEnd> + Send>>;

/// The head of a guest's response and its body's beginning.
pub(crate) struct Head {
    pub(crate) response: Response<WasiBody>,
    /// To be dropped once the body was read or is not wanted any more; a 0.3 guest's event loop
    /// lives until then.
    pub(crate) reading: Option<oneshot::Sender<()>>,
}

/// Where the head arrives: once, or never if the guest fails first.
pub(crate) type HeadSender = oneshot::Sender<Result<Head, String>>;

/// Starts a call. Nothing runs before the first poll.
pub(crate) fn call<B>(
    pre: Arc<CellPre>,
    memory: Arc<MemoryBudget>,
    vessel: Vessel,
    request: Request<B>,
    is_tls: bool,
    head: HeadSender,
) -> CallFuture
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    if let Vessel::Slot(slot) = vessel {
        return crowd::call(slot, request, head);
    }
    Box::pin(async move {
        let vitals = vessel.vitals();
        let result = match vessel.embody(&pre, &memory).await {
            Ok(mut cell) => match exchange(&mut cell, request, is_tls, head).await {
                Ok(()) => Ok(cell),
                Err(error) => {
                    // Before the store goes, and with it the body's channel: a body that ends now
                    // is a fragment.
                    vitals.mark_failed();
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        match result {
            Ok(cell) => CallEnd::Done(cell),
            Err(error) => CallEnd::Dead(error),
        }
    })
}

/// Makes a cell ready without a message.
pub(crate) fn differentiate(pre: Arc<CellPre>, memory: Arc<MemoryBudget>, place: Place) -> CallFuture {
    Box::pin(async move {
        match Vessel::Stem(place).embody(&pre, &memory).await {
            Ok(cell) => CallEnd::Done(cell),
            Err(error) => CallEnd::Dead(error),
        }
    })
}

async fn exchange<B>(
    cell: &mut Cell,
    request: Request<B>,
    is_tls: bool,
    head: HeadSender,
) -> wasmtime::Result<()>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    cell.uses_left = cell.uses_left.saturating_sub(1);
    cell.vitals.count_use();
    cell.store.set_epoch_deadline(1);
    match &cell.door {
        Door::Http02(proxy) => {
            let mut http = cell.store.data_mut().http();
            let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
            let request = http.new_incoming_request(scheme, request)?;
            let out = http.new_response_outparam_from_callback(move |answer| {
                // Nobody listens any more when the client went away; the guest need not know.
                let _ = head.send(match answer {
                    Ok(response) => Ok(Head { response, reading: None }),
                    Err(code) => Err(code.to_string()),
                });
            })?;
            proxy.wasi_http_incoming_handler().call_handle(&mut cell.store, request, out).await
        }
        Door::Http03(service) => exchange_03(&mut cell.store, service, request, head).await,
    }
}

async fn exchange_03<B>(
    store: &mut Store<CellState>,
    service: &Service,
    request: Request<B>,
    head: HeadSender,
) -> wasmtime::Result<()>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    store.run_concurrent(async |accessor| answer_03(accessor, service, request, head).await).await?
}

/// One message through a 0.3 instance, until its response's body was read or is not wanted.
pub(crate) async fn answer_03<B>(
    accessor: &Accessor<CellState>,
    service: &Service,
    request: Request<B>,
    head: HeadSender,
) -> wasmtime::Result<()>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let (request, io) = accessor.with(|mut store| {
        let (request, io) = p3::Request::from_http(store.data_mut().http().hooks, request);
        // Boxed here: the future would otherwise capture the borrow of the hooks.
        (request, Box::pin(io) as Pin<Box<dyn Future<Output = Result<(), WasiError>> + Send>>)
    });
    let response = match service.handle(accessor, request).await? {
        Ok(response) => response,
        Err(code) => {
            let _ = head.send(Err(code.to_string()));
            return Ok(());
        }
    };
    let response = accessor.with(|mut store| response.into_http(store.as_context_mut(), io))?;
    let (reading, read) = oneshot::channel();
    if head.send(Ok(Head { response, reading: Some(reading) })).is_ok() {
        let _ = read.await;
    }
    Ok(())
}
