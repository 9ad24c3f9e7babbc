//! Outbound HTTP: a cell asks, its grants decide, the host sends.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use cyte_dna::{GeneName, OutboundGrant, Scheme};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{
    Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::log::{Level, LogLine};
use crate::{state::GeneContext, vitals::Vitals};

/// A body on its way out or back.
pub type OutboundBody = UnsyncBoxBody<Bytes, OutboundError>;

/// A request that the host sends for a cell. The grants were checked against its authority; the
/// address that the name resolves to is for the sender to check.
#[derive(Debug)]
pub struct OutboundRequest {
    /// What to send. The URI is absolute.
    pub request: ::http::Request<OutboundBody>,
    /// The gene that asks, for secrets and logs.
    pub gene: GeneName,
    /// The grant that allows this request.
    pub grant: OutboundGrant,
    /// The names of the secrets that the gene may refer to in header values.
    pub secrets: Arc<[String]>,
    /// The guest's own, shorter deadlines.
    pub timeouts: Timeouts,
}

/// Deadlines that a guest asked for; the sender takes the shorter of these and its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Until connected.
    pub connect: Option<Duration>,
    /// Until the response's head.
    pub head: Option<Duration>,
    /// Between two pieces of the response's body.
    pub between_bytes: Option<Duration>,
}

/// Why an outbound request failed; the guest sees the matching code of wasi:http.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The gene's DNA does not grant this, or the name leads to an address that is not for genes.
    #[error("denied: {0}")]
    Denied(String),
    /// The name does not resolve.
    #[error("the name does not resolve")]
    Dns,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// No response head in time.
    #[error("no response in time")]
    HeadTimeout,
    /// No progress in time.
    #[error("no progress in time")]
    IdleTimeout,
    /// The TLS handshake failed.
    #[error("tls: {0}")]
    Tls(String),
    /// The other side broke the protocol or went away.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The request itself is malformed.
    #[error("bad request: {0}")]
    BadRequest(String),
}

impl From<OutboundError> for WasiError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Denied(_) => Self::HttpRequestDenied,
            OutboundError::Dns => Self::DnsError { rcode: None, info_code: None },
            OutboundError::Refused => Self::ConnectionRefused,
            OutboundError::ConnectTimeout => Self::ConnectionTimeout,
            OutboundError::HeadTimeout => Self::HttpResponseTimeout,
            OutboundError::IdleTimeout => Self::ConnectionReadTimeout,
            OutboundError::Tls(_) => Self::TlsProtocolError,
            OutboundError::Protocol(_) => Self::HttpProtocolError,
            OutboundError::BadRequest(_) => Self::HttpRequestUriInvalid,
        }
    }
}

/// A boxed future, as trait objects need.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What became of a request that was not handed to the sender at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The gene's DNA does not grant it: it is denied.
    NotGranted,
    /// Its cell has as many under way as it may: it waits for one of them.
    TooMany,
}

/// Sends what cells ask for. Implemented by the host over a pooled client.
pub trait Outbound: Send + Sync {
    /// Hears of a request that is not sent, or not yet, for its counters.
    fn withheld(&self, _gene: &GeneName, _why: Withheld) {}

    /// Sends one request and resolves with the response's head; its body streams.
    fn send(
        &self,
        request: OutboundRequest,
    ) -> BoxFuture<Result<::http::Response<OutboundBody>, OutboundError>>;
}

/// The hooks of one cell: its grants and how many of its requests may be under way.
pub(crate) struct Hooks {
    gene: Arc<GeneContext>,
    vitals: Arc<Vitals>,
    in_flight: Option<Arc<Semaphore>>,
}

/// A request under way, for which its cell may wait. Its deadlines are the sender's.
struct Wait(Arc<Vitals>);

impl Wait {
    fn begin(vitals: Arc<Vitals>) -> Self {
        vitals.waits_for_others(true);
        Self(vitals)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.waits_for_others(false);
    }
}

/// A guest's write to an outgoing body, at most.
const CHUNK_BYTES: usize = 64 << 10;

impl Hooks {
    pub(crate) fn new(gene: Arc<GeneContext>, vitals: Arc<Vitals>) -> Self {
        Self { gene, vitals, in_flight: None }
    }

    fn deny(&self, authority: &str) {
        self.gene.hands.log.line(LogLine::host(
            &self.gene.gene.name,
            Level::Warn,
            format!(
                "asked for {authority}, which its DNA does not grant: add it to `outbound` of [gene.{}]",
                self.gene.gene.name
            ),
        ));
    }

    /// The grant for this URI, if there is one.
    fn grant(&self, uri: &::http::Uri) -> Option<OutboundGrant> {
        let scheme = if uri.scheme()? == &::http::uri::Scheme::HTTPS { Scheme::Https } else { Scheme::Http };
        let host = uri.host()?;
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        self.gene.gene.grants.outbound.iter().find(|grant| grant.matches(scheme, host, port)).cloned()
    }

    fn permits(&mut self) -> Arc<Semaphore> {
        self.in_flight.get_or_insert_with(|| Arc::new(Semaphore::new(self.gene.limits.outbound))).clone()
    }
}

type Io = Box<dyn Future<Output = Result<(), WasiError>> + Send>;
type Sent = Result<(::http::Response<WasiBody>, Io), WasiError>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &::http::HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        self.gene.forbidden.clone()
    }

    fn send_request(
        &mut self,
        request: ::http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _io: Box<dyn Future<Output = Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(grant) = self.grant(request.uri()) else {
            self.deny(&request.uri().to_string());
            self.gene.hands.outbound.withheld(&self.gene.gene.name, Withheld::NotGranted);
            return Box::new(std::future::ready(Err(WasiError::HttpRequestDenied)));
        };
        let permits = self.permits();
        let gene = self.gene.clone();
        if permits.available_permits() == 0 {
            gene.hands.outbound.withheld(&gene.gene.name, Withheld::TooMany);
        }
        let wait = Wait::begin(self.vitals.clone());
        Box::new(async move {
            let permit = permits.acquire_owned().await.map_err(|_| WasiError::ConnectionLimitReached)?;
            let outbound = OutboundRequest {
                request: request.map(|body| {
                    body.map_err(|error| OutboundError::Protocol(format!("{error:?}"))).boxed_unsync()
                }),
                gene: gene.gene.name.clone(),
                grant,
                secrets: gene.secrets.clone(),
                timeouts: timeouts(options),
            };
            let response = gene.hands.outbound.send(outbound).await?;
            let response = response.map(|body| {
                body.map_err(WasiError::from)
                    // The permit is held until the body is read or dropped.
                    .map_frame(move |frame| {
                        let _held = (&permit, &wait);
                        frame
                    })
                    .boxed_unsync()
            });
            let io: Io = Box::new(std::future::ready(Ok(())));
            Ok((response, io))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

fn timeouts(options: Option<RequestOptions>) -> Timeouts {
    options.map_or_else(Timeouts::default, |options| Timeouts {
        connect: options.connect_timeout,
        head: options.first_byte_timeout,
        between_bytes: options.between_bytes_timeout,
    })
}

/// Headers that belong to one connection, never to a guest.
pub(crate) fn is_forbidden(name: &::http::HeaderName) -> bool {
    wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS.contains(name)
}
