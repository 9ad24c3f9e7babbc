//! A new connection: resolve, check, connect to what was checked, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cyte_dna::{OutboundHost, Scheme, limits};
use cyte_engine::capability::http::OutboundError;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::SetupError;
use super::pool::{Place, Sender};
use super::resolve::{Resolve, permitted};

/// Makes connections.
pub(super) struct Connector {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
}

impl Connector {
    pub(super) fn new(extra_roots: &[u8], resolver: Arc<dyn Resolve>) -> Result<Self, SetupError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in CertificateDer::pem_slice_iter(extra_roots) {
            let certificate = certificate.map_err(|error| SetupError::Roots(error.to_string()))?;
            roots.add(certificate).map_err(|error| SetupError::Roots(error.to_string()))?;
        }
        // Named, not taken from the process: this client must work whoever installed what.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SetupError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Connector { tls: TlsConnector::from(Arc::new(config)), resolver })
    }

    /// A connection that is ready for a request, before `deadline`.
    ///
    /// # Errors
    /// Why there is none. Nothing of a request was sent.
    pub(super) async fn connect(
        &self,
        granted: &OutboundHost,
        place: &Place,
        deadline: Instant,
    ) -> Result<Sender, OutboundError> {
        let late = |_| OutboundError::ConnectTimeout;
        let reaching = self.reach(granted, place, deadline);
        timeout_at(deadline, reaching).await.map_err(late)?
    }

    async fn reach(
        &self,
        granted: &OutboundHost,
        place: &Place,
        deadline: Instant,
    ) -> Result<Sender, OutboundError> {
        let addresses = permitted(granted, &place.host, self.resolver.as_ref()).await?;
        let stream = dial(&addresses, place.port, deadline).await?;
        match place.scheme {
            Scheme::Http => handshake(stream).await,
            Scheme::Https => handshake(self.secure(stream, &place.host).await?).await,
        }
    }

    async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, OutboundError> {
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let name =
            ServerName::try_from(bare.to_owned()).map_err(|error| OutboundError::Tls(error.to_string()))?;
        let connected = self.tls.connect(name, stream).await;
        connected.map_err(|error| OutboundError::Tls(error.to_string()))
    }
}

/// Connects to the first address that answers; each gets its share of the time that is left.
async fn dial(addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<TcpStream, OutboundError> {
    let mut failure = OutboundError::Dns;
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        match tokio::time::timeout(share, connecting).await {
            Ok(Ok(stream)) => {
                // A request leaves in few writes; waiting for acknowledgements only delays it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = connect_error(&error),
            Err(_) => failure = OutboundError::ConnectTimeout,
        }
    }
    Err(failure)
}

fn connect_error(error: &io::Error) -> OutboundError {
    match error.kind() {
        io::ErrorKind::TimedOut => OutboundError::ConnectTimeout,
        // Unreachable networks too: nobody answers there.
        _ => OutboundError::Refused,
    }
}

async fn handshake<S>(stream: S) -> Result<Sender, OutboundError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits::OUTBOUND_READ_BUFFER_BYTES);
    let made = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| OutboundError::Protocol(error.to_string()))?;
    // Ends with its last user: when the sender is dropped, or when the other side closes. What
    // goes wrong reaches whoever waits for a response.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
