//! One exchange: prepare the head, find or make a connection, send, wait for the head.

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::{GeneName, OutboundGrant, OutboundHost};
use cyte_engine::capability::http::{OutboundBody, OutboundError, OutboundRequest, Timeouts};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::body::{Progress, Receiving, Sending};
use super::headers::{prepare, strip};
use super::pool::{Lease, Place, Sender};
use super::secret;

/// What sending on one connection came to.
enum Sent {
    /// A response.
    Answered(Response<Incoming>, Sender),
    /// The connection had ended before it took anything of the request.
    Stale(Box<Request<Sending>>),
}

impl Shared {
    /// Sends a request; resolves with the head of the response.
    pub(super) async fn exchange(
        self: Arc<Self>,
        request: OutboundRequest,
    ) -> Result<Response<OutboundBody>, OutboundError> {
        let OutboundRequest { request, gene, grant, secrets, timeouts } = request;
        let place = place_of(&request, gene, &grant)?;
        let (mut head, body) = request.into_parts();
        prepare(&mut head, body.size_hint().exact())?;
        let lookup = |name: &str| (self.secrets)(&place.gene, name);
        secret::fill(&mut head.headers, &secrets, &lookup)?;
        let progress = Progress::default();
        let request = Request::from_parts(head, Sending { body, progress: progress.clone() });

        let waits = self.deadlines(timeouts);
        let delivered = self.deliver(request, &place, grant.host(), &waits, &progress).await;
        let (response, sender) = delivered.inspect_err(|error| self.counts.undelivered(error))?;
        let lease = Lease { pool: Arc::clone(&self.pool), place, sender };
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        let body = Receiving::new(body, waits.idle, lease).boxed_unsync();
        Ok(Response::from_parts(head, body))
    }

    /// The shorter of what the host allows and what the guest asked for.
    fn deadlines(&self, asked: Timeouts) -> Waits {
        let shorter = |own: Duration, asked: Option<Duration>| asked.map_or(own, |asked| asked.min(own));
        Waits {
            connect: shorter(self.config.connect, asked.connect),
            head: shorter(self.config.head, asked.head),
            idle: shorter(self.config.idle, asked.between_bytes),
        }
    }

    /// On a connection that waits, else on a new one. Another try is made only while it is
    /// certain that nothing of the request left.
    async fn deliver(
        &self,
        mut request: Request<Sending>,
        place: &Place,
        granted: &OutboundHost,
        waits: &Waits,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Sender), OutboundError> {
        let deadline = Instant::now() + waits.connect;
        while let Some(sender) = self.pool.take(place) {
            match send(sender, request, waits.head, progress).await? {
                Sent::Answered(response, sender) => return Ok((response, sender)),
                Sent::Stale(unsent) => request = *unsent,
            }
        }
        let sender = self.connector.connect(granted, place, deadline).await?;
        match send(sender, request, waits.head, progress).await? {
            Sent::Answered(response, sender) => Ok((response, sender)),
            Sent::Stale(_) => Err(OutboundError::Protocol("the connection was closed at once".into())),
        }
    }
}

/// The deadlines of one exchange.
struct Waits {
    connect: Duration,
    head: Duration,
    idle: Duration,
}

fn place_of(
    request: &Request<OutboundBody>,
    gene: GeneName,
    grant: &OutboundGrant,
) -> Result<Place, OutboundError> {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or_else(|| grant.scheme().default_port());
    // The engine has matched the grant. Checked again where the connection is made: a request
    // that goes elsewhere than its grant says must be impossible, not only unlikely.
    if uri.scheme_str() != Some(grant.scheme().as_str()) || !grant.matches(grant.scheme(), host, port) {
        return Err(OutboundError::Denied(format!("{uri} is not what {grant} grants")));
    }
    let host = host.to_ascii_lowercase().into_boxed_str();
    Ok(Place { gene, scheme: grant.scheme(), host, port })
}

async fn send(
    mut sender: Sender,
    request: Request<Sending>,
    head: Duration,
    progress: &Progress,
) -> Result<Sent, OutboundError> {
    if sender.ready().await.is_err() {
        return Ok(Sent::Stale(Box::new(request)));
    }
    let mut answering = std::pin::pin!(sender.try_send_request(request));
    loop {
        let before = progress.get();
        let outcome = match timeout(head, answering.as_mut()).await {
            Ok(outcome) => outcome,
            // The request is still being taken: the other side need not have answered yet.
            Err(_) if progress.get() != before => continue,
            Err(_) => return Err(OutboundError::HeadTimeout),
        };
        break match outcome {
            Ok(response) => Ok(response),
            Err(mut failed) => match failed.take_message() {
                Some(unsent) => return Ok(Sent::Stale(Box::new(unsent))),
                None => Err(OutboundError::Protocol(failed.into_error().to_string())),
            },
        };
    }
    .map(|response| Sent::Answered(response, sender))
}
