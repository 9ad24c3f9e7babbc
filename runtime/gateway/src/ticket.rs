//! One request's account: opened when its head is read, settled when it is dropped, however it
//! ends.

use std::sync::Arc;

use cyte_engine::RequestId;
use http::{Method, Request, StatusCode};
use tokio::time::Instant;

use crate::access::AccessLine;
use crate::connection::Link;
use crate::pulse::OpenRequest;
use crate::refusal::{Form, Refusal};

/// The account. Dropping it counts the request.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) link: Arc<Link>,
    pub(crate) id: RequestId,
    pub(crate) form: Form,
    pub(crate) is_head: bool,
    status: Option<StatusCode>,
    refusal: Option<Refusal>,
    sent: u64,
    complete: bool,
    draft: Option<Box<Draft>>,
    _open: OpenRequest,
}

/// What only an access log needs.
#[derive(Debug)]
struct Draft {
    started: Instant,
    method: Method,
    path: Box<str>,
}

impl Ticket {
    /// Opens the account of a request that has just been read.
    pub(crate) fn open<B>(link: &Arc<Link>, id: RequestId, request: &Request<B>) -> Self {
        link.gateway.counters().requests.one();
        let draft = link.gateway.access().map(|_| {
            Box::new(Draft {
                started: Instant::now(),
                method: request.method().clone(),
                path: request.uri().path().into(),
            })
        });
        Ticket {
            id,
            form: Form::of(request.headers()),
            is_head: request.method() == Method::HEAD,
            status: None,
            refusal: None,
            sent: 0,
            complete: false,
            draft,
            _open: link.pulse.begin(),
            link: Arc::clone(link),
        }
    }

    /// The head of the response is decided.
    pub(crate) fn answered(&mut self, status: StatusCode, refusal: Option<Refusal>) {
        self.status = Some(status);
        self.refusal = refusal;
    }

    /// Bytes of the body were handed to the connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Everything was handed to the connection.
    pub(crate) fn completed(&mut self) {
        self.complete = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let counters = self.link.gateway.counters();
        counters.bytes_out.add(self.sent);
        match self.refusal {
            Some(refusal) => counters.refused(refusal),
            None if self.complete => counters.answered.one(),
            None => counters.cut_off.one(),
        }
        if let (Some(draft), Some(log)) = (&self.draft, self.link.gateway.access()) {
            log.record(&AccessLine {
                id: self.id,
                peer: self.link.peer,
                method: draft.method.as_str(),
                path: &draft.path,
                status: self.status.map(|status| status.as_u16()),
                refusal: self.refusal.map(Refusal::code),
                bytes_out: self.sent,
                elapsed: draft.started.elapsed(),
                complete: self.complete,
            });
        }
    }
}
