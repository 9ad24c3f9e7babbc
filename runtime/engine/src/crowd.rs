//! A cell that takes several messages at once: a 0.3 gene whose DNA says `concurrency` above 1.
//!
//! Such a cell is driven by a task of its own, because nobody's request owns it. It has as many
//! *slots* as messages it may hold; a slot is what its tissue keeps ready and lends to a request. A
//! slot is lent again while the cell has uses left; a cell whose last slot is gone ends.
//!
//! A trap ends the cell and every message inside; a client that goes away never does, its answer is
//! thrown away. A message that goes on long after its client went cannot be ended alone: its cell
//! takes nothing new from then on, and ends with those who are inside.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use cyte_organism::Nanos;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{Error as WasiError, p3::bindings::Service};

use crate::{
    call::{self, CallEnd, CallFuture, HeadSender},
    cell::{Cell, Door, Vessel},
    driver::Metered,
    error::{Breach, CallError},
    state::CellState,
    tissue::{Place, Tissue},
    vitals::{Effort, Vitals},
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
    /// The number of its cell.
    pub(crate) fn cell(&self) -> u64 {
        self.vitals.birth.id.0
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
        slot.vitals.take_in();
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
        let _ = tissue.host().slow_lane.spawn(tissue.host().gate.pass(rest)).await;
    }
}

async fn inhabit(tissue: Arc<Tissue>, place: Place, inbox: mpsc::UnboundedReceiver<Message>) {
    let vitals = place.vitals().clone();
    let result = match Vessel::Stem(place).embody(tissue.pre(), &tissue.host().memory).await {
        Ok(mut cell) => {
            let lived = take_messages(&tissue, &mut cell, inbox).await;
            // In this order: nobody is lent a slot of a cell that is no more, and then its place
            // is free.
            tissue.evict(vitals.birth.id.0);
            if lived.is_ok() {
                cell.place.has_worn();
            }
            lived
        }
        Err(error) => {
            tissue.evict(vitals.birth.id.0);
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
    let (service, mut uses) = (&*service, Uses::new(tissue, vitals, *uses_left));
    store
        .run_concurrent(async |accessor| -> wasmtime::Result<()> {
            let mut under_way = FuturesUnordered::new();
            loop {
                tokio::select! {
                    message = inbox.recv() => match message {
                        Some(message) => {
                            uses.begin();
                            under_way.push(answer(accessor, service, tissue, message));
                        }
                        // Every slot is gone, and with them every message that somebody waits for.
                        None => return uses.end(),
                    },
                    Some(ended) = under_way.next() => {
                        uses.finish(ended?);
                    }
                    breach = sentence(vitals) => return Err(breach.into()),
                }
            }
        })
        .await?
}

/// Ready when the cell is to end now, with all that it holds.
async fn sentence(vitals: &Vitals) -> Breach {
    poll_fn(|context| vitals.sentenced(context).map_or(Poll::Pending, Poll::Ready)).await
}

/// The uses of one shared cell.
struct Uses<'c> {
    tissue: &'c Arc<Tissue>,
    vitals: &'c Arc<Vitals>,
    /// Uses that no slot stands for yet.
    left: u32,
    /// CPU of the cell that its tissue knows of.
    accounted: Nanos,
    is_overstayed: bool,
    is_old: bool,
}

impl<'c> Uses<'c> {
    fn new(tissue: &'c Arc<Tissue>, vitals: &'c Arc<Vitals>, uses: u32) -> Self {
        let left = uses.saturating_sub(tissue.pre().slots());
        Self { tissue, vitals, left, accounted: vitals.cpu_total(), is_overstayed: false, is_old: false }
    }

    fn begin(&mut self) {
        self.vitals.count_use();
        self.vitals.refill();
    }

    fn finish(&mut self, end: End) {
        self.vitals.refill();
        self.vitals.let_out();
        match end {
            End::Answered(slot, held) => {
                self.note(held);
                if self.left > 0 && !self.is_overstayed && !self.grows_old() {
                    self.left -= 1;
                    self.tissue.lend_again(slot);
                }
            }
            End::Overstayed => {
                self.is_overstayed = true;
                self.tissue.evict(self.vitals.birth.id.0);
            }
        }
    }

    /// Whether its memory passed the mark; then it takes nothing new, and ends with its last slot.
    fn grows_old(&mut self) -> bool {
        if !self.is_old && self.tissue.is_senescent(self.vitals) {
            self.is_old = true;
            self.tissue.has_grown_old();
            self.tissue.evict(self.vitals.birth.id.0);
        }
        self.is_old
    }

    /// One message held its slot for so long. What the cell computed since the one before is taken
    /// for its share: over many it is.
    fn note(&mut self, held: Nanos) {
        let computed = self.vitals.cpu_total();
        let effort = Effort { computed: computed.since(self.accounted), ..Effort::default() };
        self.accounted = computed;
        self.tissue.served(held, effort);
    }

    /// How a cell without slots ends.
    fn end(&self) -> wasmtime::Result<()> {
        if self.is_overstayed { Err(Breach::Wall.into()) } else { Ok(()) }
    }
}

/// How a message ended.
enum End {
    /// The guest is through with it, after so long.
    Answered(Slot, Nanos),
    /// Its client is long gone and the guest still works on it. Its slot is gone.
    Overstayed,
}

async fn answer(
    accessor: &Accessor<CellState>,
    service: &Service,
    tissue: &Arc<Tissue>,
    message: Message,
) -> wasmtime::Result<End> {
    let Message { request, head, mut done, slot } = message;
    let (clock, started) = (tissue.host().clock, tissue.host().clock.now());
    let wall = Duration::from_nanos(tissue.limits().wall.0);
    tokio::select! {
        told = call::answer_03(accessor, service, request, head) => told?,
        () = overstay(&mut done, wall) => return Ok(End::Overstayed),
    }
    let _ = done.send(());
    Ok(End::Answered(slot, clock.now().since(started)))
}

/// Ready when nobody has wanted the answer for so long.
async fn overstay(done: &mut oneshot::Sender<()>, wall: Duration) {
    done.closed().await;
    sleep(wall).await;
}
