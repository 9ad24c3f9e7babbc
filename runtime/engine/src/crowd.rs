//! A cell that takes several messages at once: a 0.3 gene whose DNA says `concurrency` above 1.
//!
//! Such a cell is driven by a task of its own, because nobody's request owns it. It has as many
//! *slots* as messages it may hold; a slot is what its tissue keeps ready and lends to a request. A
//! trap ends the cell and every message inside; a client that goes away never does, its answer is
//! thrown away.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{Error as WasiError, p3::bindings::Service};

use crate::{
    call::{self, CallEnd, CallFuture, HeadSender},
    cell::{Cell, Door, Vessel},
    driver::Metered,
    error::CallError,
    state::CellState,
    tissue::{Place, Tissue},
    vitals::Vitals,
};

/// One message on its way into a shared cell.
struct Message {
    request: Request<UnsyncBoxBody<Bytes, WasiError>>,
    head: HeadSender,
    /// Told, or dropped, when the message is through.
    done: oneshot::Sender<()>,
    slot: Slot,
}

/// The right to hold one message in a shared cell.
pub(crate) struct Slot {
    messages: mpsc::UnboundedSender<Message>,
    vitals: Arc<Vitals>,
}

impl Slot {
    /// Whether this slot's cell is the one with these vital signs.
    pub(crate) fn is_of(&self, vitals: &Arc<Vitals>) -> bool {
        Arc::ptr_eq(&self.vitals, vitals)
    }

    /// Vital signs of one message inside.
    pub(crate) fn visitor(&self) -> Vitals {
        Vitals::new(self.vitals.clock(), self.vitals.birth)
    }

    /// Whether its cell takes no more messages.
    pub(crate) fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }
}

/// Starts a shared cell in this place and returns its slots.
pub(crate) fn settle(tissue: &Arc<Tissue>, place: Place, slots: u32) -> Vec<Slot> {
    let (messages, inbox) = mpsc::unbounded_channel();
    let vitals = place.vitals().clone();
    tissue.host().cytoplasm.spawn(live(tissue.clone(), place, inbox));
    (0..slots).map(|_| Slot { messages: messages.clone(), vitals: vitals.clone() }).collect()
}

/// Puts a message into a shared cell. The returned future ends when the message is through.
pub(crate) fn call<B>(slot: Slot, request: Request<B>, head: HeadSender) -> CallFuture
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
    Box::pin(async move {
        let (done, finished) = oneshot::channel();
        let messages = slot.messages.clone();
        let lost = || CallEnd::Lost(CallError::Trapped("its cell ended with all requests inside".into()));
        if messages.send(Message { request, head, done, slot }).is_err() {
            return lost();
        }
        match finished.await {
            Ok(()) => CallEnd::Left,
            Err(_) => lost(),
        }
    })
}

/// The whole life of a shared cell.
async fn live(tissue: Arc<Tissue>, place: Place, inbox: mpsc::UnboundedReceiver<Message>) {
    let vitals = place.vitals().clone();
    let life = Metered {
        call: Box::pin(inhabit(tissue.clone(), place, inbox)),
        vitals: vitals.clone(),
        ticker: tissue.host().ticker.clone(),
    };
    vitals.begin(0, tissue.limits().cpu);
    // A guest that computes on and on moves, as any other, to the threads of lower priority.
    let mut life = Some(life);
    let yielded = poll_fn(|context| {
        let Some(inline) = life.as_mut() else { return Poll::Ready(None) };
        match Pin::new(inline).poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending if vitals.moves_to_slow_lane() => Poll::Ready(life.take()),
            Poll::Pending => Poll::Pending,
        }
    });
    if let Some(rest) = yielded.await {
        let _ = tissue.host().slow_lane.spawn(rest).await;
    }
}

async fn inhabit(tissue: Arc<Tissue>, place: Place, inbox: mpsc::UnboundedReceiver<Message>) {
    let vitals = place.vitals().clone();
    let result = match Vessel::Stem(place).embody(tissue.pre(), &tissue.host().memory).await {
        Ok(mut cell) => {
            let lived = take_messages(&tissue, &mut cell, inbox).await;
            // In this order: nobody is lent a slot of a cell that is no more, and then its place
            // is free.
            tissue.evict(&vitals);
            cell.place.set_retired(lived.is_ok());
            lived
        }
        Err(error) => {
            tissue.evict(&vitals);
            Err(error)
        }
    };
    if let Err(error) = result {
        drop(tissue.obituary(&vitals, &error));
    }
}

async fn take_messages(
    tissue: &Arc<Tissue>,
    cell: &mut Cell,
    mut inbox: mpsc::UnboundedReceiver<Message>,
) -> wasmtime::Result<()> {
    let Cell { store, door: Door::Http03(service), vitals, uses_left, .. } = cell else {
        wasmtime::bail!("only a 0.3 gene takes several messages at once");
    };
    let (service, vitals) = (&*service, &*vitals);
    store
        .run_concurrent(async |accessor| -> wasmtime::Result<()> {
            let mut under_way = FuturesUnordered::new();
            loop {
                tokio::select! {
                    message = inbox.recv(), if *uses_left > 0 => match message {
                        Some(message) => {
                            *uses_left -= 1;
                            vitals.count_use();
                            vitals.refill();
                            under_way.push(answer(accessor, service, tissue, message));
                            if *uses_left == 0 {
                                inbox.close();
                            }
                        }
                        None => return Ok(()),
                    },
                    Some(ended) = under_way.next() => {
                        vitals.refill();
                        ended?;
                    }
                    else => return Ok(()),
                }
            }
        })
        .await?
}

async fn answer(
    accessor: &Accessor<CellState>,
    service: &Service,
    tissue: &Arc<Tissue>,
    message: Message,
) -> wasmtime::Result<()> {
    call::answer_03(accessor, service, message.request, message.head).await?;
    let _ = message.done.send(());
    tissue.lend_again(message.slot);
    Ok(())
}
