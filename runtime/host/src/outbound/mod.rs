//! Outbound HTTP for cells: one pooled client behind the engine's [`Outbound`] trait.
//!
//! The engine has checked the grants before a request arrives here. What is checked here is what
//! only the sender can know: the addresses that a name leads to (private ones are refused after
//! resolving, and the connection goes to exactly the address that was checked), the secrets that
//! a header may carry, and deadlines for connecting, for the head and between two pieces of a
//! body.
//!
//! Never follows a redirect, never retries a request of which a byte may have been sent, never
//! shares a connection between two genes (a gene that confuses the other side must not be able
//! to confuse it for others), never shows a guest a secret or an address.
//!
//! Everything runs as tasks of the runtime that was handed in; dropping what `send` gave aborts
//! the exchange, so a cell that dies takes its requests along.

mod address;
mod body;
mod connect;
mod counts;
mod exchange;
mod headers;
mod pool;
mod resolve;
mod secret;

use std::sync::Arc;
use std::time::Duration;

use cyte_dna::{GeneName, limits};
use cyte_engine::capability::http::{
    BoxFuture, Outbound, OutboundBody, OutboundError, OutboundRequest, Withheld,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use connect::Connector;
use counts::Counts;
use pool::Pool;
use resolve::{Resolve, SystemResolver};

pub use address::{Reach, reach};
pub use counts::OutboundCounts;

/// The deadlines and bounds of outbound requests.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// Resolving, connecting and the TLS handshake together.
    pub connect: Duration,
    /// Without progress of the request body, until the head of the response.
    pub head: Duration,
    /// Between two pieces of the response body.
    pub idle: Duration,
    /// How long an unused connection is kept.
    pub keep: Duration,
    /// Unused connections kept for one gene and one authority.
    pub keep_per_place: usize,
    /// Unused connections kept in all.
    pub keep_in_all: usize,
    /// Names being resolved at once, each on a thread of its own.
    pub lookups: usize,
    /// PEM certificates to trust beside the built-in roots (what `SSL_CERT_FILE` names).
    pub extra_roots: Vec<u8>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        OutboundConfig {
            connect: Duration::from_millis(limits::OUTBOUND_CONNECT_MS),
            head: Duration::from_millis(limits::OUTBOUND_HEAD_MS),
            idle: Duration::from_millis(limits::OUTBOUND_IDLE_MS),
            keep: Duration::from_millis(limits::OUTBOUND_KEEP_MS),
            keep_per_place: limits::OUTBOUND_KEPT_PER_PLACE,
            keep_in_all: limits::OUTBOUND_KEPT,
            lookups: limits::OUTBOUND_LOOKUPS,
            extra_roots: Vec::new(),
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What should be trusted beside the built-in roots is not PEM certificates.
    #[error(
        "the extra root certificates cannot be read: {0}\nhelp: unset SSL_CERT_FILE, or point it at a PEM file"
    )]
    Roots(String),
    /// The TLS library refuses its own configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Gives the value of a gene's secret; `None` where the host has none under that name.
pub type SecretLookup = Arc<dyn Fn(&GeneName, &str) -> Option<Vec<u8>> + Send + Sync>;

/// The client of one host.
pub struct Client {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What all exchanges share.
struct Shared {
    config: OutboundConfig,
    connector: Connector,
    pool: Arc<Pool>,
    secrets: SecretLookup,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Client {
    /// A client whose tasks run on `runtime`.
    ///
    /// # Errors
    /// [`SetupError`] when the extra roots are no certificates.
    pub fn new(config: OutboundConfig, secrets: SecretLookup, runtime: Handle) -> Result<Self, SetupError> {
        let resolver = SystemResolver::new(config.lookups);
        Self::with_resolver(config, secrets, runtime, Arc::new(resolver))
    }

    fn with_resolver(
        config: OutboundConfig,
        secrets: SecretLookup,
        runtime: Handle,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, SetupError> {
        let connector = Connector::new(&config.extra_roots, resolver)?;
        let counts = Arc::<Counts>::default();
        let pool = Pool::new(config.keep, config.keep_per_place, config.keep_in_all, counts.clone());
        let shared = Arc::new(Shared { config, connector, pool, secrets, counts });
        Ok(Client { shared, runtime })
    }

    /// What requests ran into so far.
    pub fn counts(&self) -> OutboundCounts {
        self.shared.counts.snapshot()
    }
}

impl Outbound for Client {
    fn withheld(&self, _gene: &GeneName, why: Withheld) {
        self.shared.counts.withheld(why);
    }

    fn send(
        &self,
        request: OutboundRequest,
    ) -> BoxFuture<Result<http::Response<OutboundBody>, OutboundError>> {
        let shared = Arc::clone(&self.shared);
        // A task of its own: a guest may be polled on threads that have no reactor, and what the
        // exchange costs is not the guest's CPU time.
        let mut task = AbortOnDrop(self.runtime.spawn(async move { shared.exchange(request).await }));
        Box::pin(async move {
            let gone = |_| Err(OutboundError::Protocol("the host is stopping".into()));
            (&mut task.0).await.unwrap_or_else(gone)
        })
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
