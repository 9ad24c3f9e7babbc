//! What all listeners and connections of a host share, and the path of one request through it.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use cyte_dna::Route;
use cyte_engine::{CallFacts, Wait, WayOut, preferred_wait};
use cyte_organism::Nanos;
use http::uri::Scheme;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::access::AccessLog;
use crate::admission::{Admission, tidy};
use crate::cell::Tissue;
use crate::connection::Link;
use crate::counters::{CountersSnapshot, GatewayCounters};
use crate::drain::{Drain, Stage};
use crate::elsewhere::{Elsewhere, Trip};
use crate::limits::FrontLimits;
use crate::refusal::Refusal;
use crate::respond::{Answer, Outgoing, respond};
use crate::routes::{Claim, Routes};
use crate::ticket::Ticket;
use crate::upload::Upload;

/// What stands behind a route.
#[derive(Clone)]
pub struct Mount {
    tissue: Arc<Tissue>,
    /// Bytes of a request body.
    body_cap: u64,
    /// Where its requests may go when there is no room.
    elsewhere: Option<Arc<dyn Elsewhere>>,
    /// Whether it makes room while clients of the gene suffer.
    is_background: bool,
}

impl Mount {
    /// The claims of a tissue's gene on the routes that its DNA names: those of its clients, and those
    /// that are background work, so that a request's class costs no more than its route. `elsewhere` is
    /// its way to other hosts, where there are any.
    #[must_use]
    pub fn claims(tissue: &Arc<Tissue>, elsewhere: Option<&Arc<dyn Elsewhere>>) -> [Claim<Mount>; 2] {
        let gene = tissue.gene();
        let body_cap = gene.limits.body_or_default();
        let claim = |routes, is_background| {
            let (tissue, elsewhere) = (Arc::clone(tissue), elsewhere.cloned());
            Claim {
                gene: gene.name.clone(),
                routes,
                mount: Mount { tissue, body_cap, elsewhere, is_background },
            }
        };
        let is_clients = |route: &&Route| !gene.background.contains(route);
        let clients = gene.routes.iter().filter(is_clients).cloned().collect();
        [claim(clients, false), claim(gene.background.clone(), true)]
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("gene", &self.tissue.gene().name).finish_non_exhaustive()
    }
}

/// The front of a host: routes, limits, counters. Shared by its listeners.
pub struct Gateway {
    routes: ArcSwap<Routes<Mount>>,
    limits: FrontLimits,
    counters: GatewayCounters,
    admission: Admission,
    access: Option<Arc<dyn AccessLog>>,
    permits: Arc<Semaphore>,
    drain: Drain,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway without routes. `seed` is random for each process; it goes into request ids.
    #[must_use]
    pub fn new(limits: FrontLimits, seed: u64, access: Option<Arc<dyn AccessLog>>) -> Arc<Self> {
        let connections = limits.connections.min(Semaphore::MAX_PERMITS);
        Arc::new(Gateway {
            routes: ArcSwap::default(),
            counters: GatewayCounters::default(),
            admission: Admission::new(seed),
            access,
            permits: Arc::new(Semaphore::new(connections)),
            drain: Drain::default(),
            limits: FrontLimits { connections, ..limits },
        })
    }

    /// Replaces all routes at once. Requests that were routed before keep what they got.
    pub fn mount(&self, routes: Routes<Mount>) {
        self.routes.store(Arc::new(routes));
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }

    /// Stops: listeners close, connections finish their open requests and get
    /// [`FrontLimits::drain`] for that; what is left is dropped. Gives how many that were.
    pub async fn drain(&self) -> usize {
        self.drain.advance(Stage::Draining);
        let everything = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let all_gone = self.permits.acquire_many(everything);
        if tokio::time::timeout(self.limits.drain, all_gone).await.is_ok() {
            return 0;
        }
        let left = self.drain.len();
        self.drain.advance(Stage::Dropping);
        left
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> &FrontLimits {
        &self.limits
    }

    pub(crate) fn counters(&self) -> &GatewayCounters {
        &self.counters
    }

    pub(crate) fn access(&self) -> Option<&dyn AccessLog> {
        self.access.as_deref()
    }

    pub(crate) fn permits(&self) -> &Arc<Semaphore> {
        &self.permits
    }

    pub(crate) fn drain_state(&self) -> &Drain {
        &self.drain
    }
}

/// One request, from hyper and back to it.
pub(crate) async fn handle(
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let ticket = Ticket::open(&link, link.gateway.admission.next_id(), &request);
    let outcome = forward(&link, &ticket, request).await;
    Ok(respond(ticket, outcome).await)
}

/// Background work makes room while clients suffer; what is left of the wait that it asked for.
async fn make_room(mount: &Mount, headers: &HeaderMap) -> Result<Option<Nanos>, Refusal> {
    let (came, asked) = (Instant::now(), preferred_wait(headers));
    mount.tissue.make_room(asked).await.map_err(|error| Refusal::from(&error))?;
    Ok(asked.map(|asked| asked.since(Nanos::from(came.elapsed()))))
}

/// Admits, routes and serves.
async fn forward(link: &Arc<Link>, ticket: &Ticket, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (mut head, body) = request.into_parts();
    let body = Upload::new(body, Arc::clone(link));
    let (mount, is_nameless) = {
        let place = Admission::admit(&head)?;
        let routes = link.gateway.routes.load();
        let mount = routes.resolve(place.host.as_deref(), place.path).ok_or(Refusal::NoRoute)?;
        (mount.clone(), place.host.is_none())
    };
    let body = body.cap_at(mount.body_cap)?;
    let upload = body.verdict();
    tidy(&mut head, is_nameless.then_some(link.local).flatten());
    let is_background = mount.is_background;
    let left = if is_background { make_room(&mount, &head.headers).await? } else { None };
    let call = || CallFacts { id: ticket.id, scheme: Scheme::HTTP, is_background };
    let trip = Trip::plan(mount.elsewhere.as_deref(), &head.headers, &body);
    let is_open = || trip.as_ref().is_some_and(Trip::is_open);
    let way_out = trip.as_ref().map(|trip| WayOut { after: Nanos::from(trip.here()), is_open: &is_open });
    let wait = Wait { most: left, way_out };
    let answer = match mount.tissue.serve(Request::from_parts(head, body), call(), wait).await {
        Ok(response) => Ok(response),
        Err(unserved) => match trip {
            None => Err(Refusal::from(&unserved.error)),
            // In a box: the usual request has no use for what this needs.
            Some(trip) => Box::pin(trip.go(unserved, call())).await,
        },
    };
    if let Some(refusal) = upload.as_ref().and_then(|verdict| verdict.refusal()) {
        return Err(refusal);
    }
    answer.map(|response| Answer { response, upload })
}
