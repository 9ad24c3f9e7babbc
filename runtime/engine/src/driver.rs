//! Drives one call from its first poll to its last, in the task of the connection that wants the
//! answer: no task of its own, no hop, and a client that goes away cancels by dropping.
//!
//! A guest that is still in Wasm at its second tick moves, as its boxed future, to the slow lane:
//! threads of lower priority, so that it holds up nobody else.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use cyte_organism::Nanos;
use http::{Response, StatusCode};
use tokio::{
    sync::oneshot,
    task::{
        JoinHandle,
        coop::{has_budget_remaining, unconstrained},
    },
    time::{Sleep, sleep},
};
use wasmtime_wasi_http::WasiBody;

use crate::{
    body::CellBody,
    call::{CallEnd, CallFuture, Head},
    capability::log::Level,
    error::{BodyError, Breach, CallError},
    ticker::Ticker,
    tissue::Tissue,
    vitals::Vitals,
};

/// CPU that a kept cell gets to finish a message whose client went away.
const CURB: Nanos = Nanos::from_millis(50);

/// Polls a guest with its CPU counted and the pulse going.
pub(crate) struct Metered<T> {
    pub(crate) call: Pin<Box<dyn Future<Output = T> + Send>>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) ticker: Arc<Ticker>,
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _inside = this.ticker.enter();
        this.vitals.enter();
        let polled = this.call.as_mut().poll(context);
        this.vitals.leave();
        polled
    }
}

/// Whether a channel that is "not yet ready" is empty. A task that read much in one turn gets this word
/// from every channel until its next turn, and would take what is all there for a fragment.
pub(crate) fn is_our_turn() -> bool {
    has_budget_remaining()
}

/// Where the guest is.
enum Guest {
    /// Polled here.
    Inline(Metered<CallEnd>),
    /// Polled in the slow lane; aborted when this is dropped.
    Slow(Abort),
    /// It ended. Holds what it ended with if that was bad.
    Ended(Option<CallError>),
}

struct Abort(JoinHandle<CallEnd>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One call under way.
pub(crate) struct Driver {
    guest: Guest,
    vitals: Arc<Vitals>,
    tissue: Arc<Tissue>,
    started: Nanos,
    progress: Nanos,
    is_head_out: bool,
    is_answered: bool,
    is_body_seen: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    is_alone: bool,
}

impl Driver {
    pub(crate) fn new(tissue: Arc<Tissue>, vitals: Arc<Vitals>, call: CallFuture) -> Self {
        let started = tissue.host().clock.now();
        let metered = Metered { call, vitals: vitals.clone(), ticker: tissue.host().ticker.clone() };
        Self {
            guest: Guest::Inline(metered),
            vitals,
            tissue,
            started,
            progress: started,
            is_head_out: false,
            is_alone: false,
            is_answered: false,
            is_body_seen: true,
            deadline: None,
        }
    }

    /// The guest's response: its head and a body that owns this driver. To HEAD (`is_head`), as with
    /// 204 and 304, nobody sees the body.
    pub(crate) async fn answer(
        mut self,
        mut head: oneshot::Receiver<Result<Head, String>>,
        is_head: bool,
    ) -> Result<Response<CellBody>, CallError> {
        let Head { response, reading } = poll_fn(|context| self.poll_head(context, &mut head)).await?;
        self.is_head_out = true;
        // Until somebody comes for the body: a client may read when it likes.
        self.is_wanted(false);
        self.vitals.head_is_out();
        self.progress();
        let (parts, body) = response.into_parts();
        let (tissue, started) = (self.tissue.clone(), self.started);
        let bare = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        self.is_body_seen = !is_head && !bare.contains(&parts.status);
        let body = self.begin_body(body, reading).await?;
        tissue.answered(started);
        Ok(Response::from_parts(parts, body))
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut oneshot::Receiver<Result<Head, String>>,
    ) -> Poll<Result<Head, CallError>> {
        let ended = self.poll_guest(context).is_ready();
        let arrived = self.poll_arrival(context, head);
        // Nothing has been sent yet, so a guest that failed after its head gets no half response.
        if let Some(failure) = self.failure() {
            return Poll::Ready(Err(failure));
        }
        match arrived {
            Some(Ok(head)) => return Poll::Ready(Ok(head)),
            Some(Err(code)) => return Poll::Ready(Err(self.complaint(CallError::Guest(code)))),
            None if ended && is_our_turn() => {
                return Poll::Ready(Err(self.complaint(CallError::NoResponse)));
            }
            None => {}
        }
        let breach = ready!(self.poll_deadline(context));
        Poll::Ready(Err(self.stop(breach)))
    }

    /// The head, if it is there. A guest polled here has just had its say; one that runs in another
    /// task (in the slow lane, or because its cell is shared) wakes this one with it.
    fn poll_arrival(
        &self,
        context: &mut Context<'_>,
        head: &mut oneshot::Receiver<Result<Head, String>>,
    ) -> Option<Result<Head, String>> {
        let is_here = matches!(self.guest, Guest::Inline(_) | Guest::Ended(_)) && !self.tissue.is_shared();
        if is_here {
            return head.try_recv().ok();
        }
        // A guest may give the place for its answer back and go on; that cannot be asked twice.
        if head.is_terminated() {
            return None;
        }
        match Pin::new(head).poll(context) {
            Poll::Ready(arrived) => arrived.ok(),
            Poll::Pending => None,
        }
    }

    /// Whole if the guest has nothing more to say, else a stream that drives the guest.
    ///
    /// A body that broke off before a byte of it left is no response at all: the client can still
    /// be told. One that nobody sees may be shorter than announced.
    async fn begin_body(
        mut self,
        body: WasiBody,
        reading: Option<oneshot::Sender<()>>,
    ) -> Result<CellBody, CallError> {
        let mut body = CellBody::new(body, reading);
        poll_fn(|context| {
            body.gather(context, &mut self);
            Poll::Ready(())
        })
        .await;
        match body.broken().filter(|_| self.is_body_seen) {
            Some(error) => Err(self.failure().unwrap_or_else(|| CallError::BrokenOff(error.to_string()))),
            None => Ok(body.keep(self)),
        }
    }

    /// Drives the guest. Ready once it ended.
    pub(crate) fn poll_guest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let end = match &mut self.guest {
            Guest::Ended(_) => return Poll::Ready(()),
            Guest::Inline(metered) => match Pin::new(metered).poll(context) {
                Poll::Ready(end) => end,
                Poll::Pending if self.vitals.moves_to_slow_lane() => return self.change_lane(context),
                Poll::Pending => return Poll::Pending,
            },
            Guest::Slow(Abort(task)) => match ready!(Pin::new(task).poll(context)) {
                Ok(end) => end,
                Err(error) => CallEnd::Dead(wasmtime::format_err!("the slow lane lost the call: {error}")),
            },
        };
        self.finish(end);
        Poll::Ready(())
    }

    fn change_lane(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Guest::Inline(metered) = std::mem::replace(&mut self.guest, Guest::Ended(None)) {
            self.tissue.host().counters.slow_lane.add();
            let turn = self.tissue.host().gate.pass(metered);
            self.guest = Guest::Slow(Abort(self.tissue.host().slow_lane.spawn(turn)));
        }
        self.poll_guest(context)
    }

    fn finish(&mut self, end: CallEnd) {
        let effort = self.vitals.end();
        let failure = match end {
            CallEnd::Done(cell) => {
                if cell.vitals.uses() > 0 {
                    self.tissue.served(effort.left.since(self.started), effort);
                }
                self.tissue.give_back(cell);
                None
            }
            CallEnd::Dead(error) => Some(self.tissue.obituary(&self.vitals, &error)),
            // Counted where its cell is driven: most clients have their answer before the guest is through.
            CallEnd::Left => None,
            CallEnd::Lost(error) => Some(self.complaint(error)),
        };
        self.guest = Guest::Ended(failure);
    }

    /// How the guest failed, if it ended and did.
    fn failure(&mut self) -> Option<CallError> {
        match &mut self.guest {
            Guest::Ended(failure) => failure.take(),
            Guest::Inline(_) | Guest::Slow(_) => None,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.vitals.has_failed() || matches!(self.guest, Guest::Ended(Some(_)))
    }

    /// Looks once more whether the guest failed. A shared cell ends in another task: its messages
    /// are dropped before its store, so after the body's channel closed this look is final.
    pub(crate) fn failed_elsewhere(&mut self, context: &mut Context<'_>) -> bool {
        if self.tissue.is_shared() {
            let look = unconstrained(poll_fn(|context| self.poll_guest(context)));
            let _ = pin!(look).poll(context);
        }
        self.has_failed()
    }

    /// Tells the gene's log what its guest did wrong, so that the request's id leads there.
    fn complaint<E: std::fmt::Display>(&self, error: E) -> E {
        self.tissue.complain(&self.vitals, Level::Warn, error.to_string());
        error
    }

    /// The body ends before its end. One that nobody sees may: then nothing is said.
    pub(crate) fn broken_off(&self, reason: String) -> BodyError {
        let error = BodyError::Broken(reason);
        if self.is_body_seen { self.complaint(error) } else { error }
    }

    /// The response is complete; what the guest still does is its own affair.
    pub(crate) fn answered(&mut self, context: &mut Context<'_>) {
        self.is_answered = true;
        let _ = self.poll_guest(context);
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.guest, Guest::Ended(_))
    }

    /// Whether somebody waits for what the guest does next.
    pub(crate) fn is_wanted(&self, is_wanted: bool) {
        self.vitals.is_wanted(is_wanted);
    }

    /// Bytes moved: deadlines and budget count anew.
    pub(crate) fn progress(&mut self) {
        if !self.has_ended() {
            self.progress = self.tissue.host().clock.now();
            self.vitals.refill();
        }
    }

    /// Ready once the guest has had its time, or is to end for another reason. The timer is made only
    /// for a guest that waits.
    pub(crate) fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Breach> {
        if let Some(breach) = self.vitals.sentenced(context) {
            return Poll::Ready(breach);
        }
        let limits = self.tissue.limits();
        let span = if self.is_head_out { limits.stall } else { limits.wall };
        loop {
            let rest = (self.progress + span).since(self.tissue.host().clock.now());
            if rest == Nanos(0) {
                return Poll::Ready(Breach::Wall);
            }
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(Duration::from_nanos(rest.0))));
            ready!(deadline.as_mut().poll(context));
            self.deadline = None;
        }
    }

    /// Ends the guest and its cell, now.
    pub(crate) fn stop(&mut self, breach: Breach) -> CallError {
        self.vitals.breach(breach);
        self.vitals.mark_failed();
        self.guest = Guest::Ended(None);
        if self.tissue.is_shared() {
            // Never end a cell with others inside for one of them.
            return self.complaint(CallError::Breached(breach));
        }
        self.tissue.obituary(&self.vitals, &breach.into())
    }

    /// The answer is out or nobody wants it any more, and the guest still works.
    fn let_finish(&mut self) {
        // One that runs alone already has nobody to hand it to: dropped, it ends (the host shuts
        // down). A shared cell is driven by its own task.
        if self.has_ended() || self.is_alone || self.tissue.is_shared() {
            return;
        }
        if self.tissue.is_one_use() && !self.is_answered {
            self.tissue.cancelled(&self.vitals);
            return;
        }
        let guest = std::mem::replace(&mut self.guest, Guest::Ended(None));
        let rest = Driver {
            guest,
            vitals: self.vitals.clone(),
            tissue: self.tissue.clone(),
            started: self.started,
            progress: self.tissue.host().clock.now(),
            is_head_out: self.is_head_out,
            is_answered: self.is_answered,
            is_body_seen: self.is_body_seen,
            is_alone: true,
            deadline: None,
        };
        rest.vitals.curb(CURB);
        self.tissue.host().cytoplasm.clone().spawn(rest.finish_alone());
    }

    /// Runs the guest to its end with nobody waiting.
    pub(crate) async fn finish_alone(mut self) {
        self.is_alone = true;
        self.is_wanted(true);
        poll_fn(|context| {
            if self.poll_guest(context).is_pending() {
                let breach = ready!(self.poll_deadline(context));
                self.stop(breach);
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.let_finish();
    }
}
