//! A listening socket.
//!
//! [`Listener::accept`] has no error to give: an accept loop that can fail ends the server on
//! "too many open files", and one that retries at once burns a core. A permit comes first, so
//! that at the cap connections wait in the kernel's backlog and cost nothing here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cyte_dna::limits;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::Connection;
use crate::gateway::Gateway;
/// First and longest pause after an error that is not a client's.
const PAUSE: (Duration, Duration) =
    (Duration::from_millis(limits::ACCEPT_PAUSE_MS.0), Duration::from_millis(limits::ACCEPT_PAUSE_MS.1));

/// One listening socket of a gateway. Lives on the runtime that it was bound on (`membrane`);
/// the connections live on the one whose handle it was given (`cytoplasm`).
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    gateway: Arc<Gateway>,
    cytoplasm: Handle,
    pause: Duration,
}

/// What accept gives: detached from the runtime that accepted it.
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one. Must run inside the `membrane` runtime.
    ///
    /// # Errors
    /// What the kernel says: the address is taken, not ours, or not allowed.
    pub fn bind(address: SocketAddr, gateway: Arc<Gateway>, cytoplasm: Handle) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the old connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(limits::BACKLOG)?;
        Ok(Listener { socket, gateway, cytoplasm, pause: PAUSE.0 })
    }

    /// Takes over a socket that listens already, for example from an older process. Must run
    /// inside the `membrane` runtime.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking or registered.
    pub fn adopt(
        socket: std::net::TcpListener,
        gateway: Arc<Gateway>,
        cytoplasm: Handle,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        Ok(Listener { socket, gateway, cytoplasm, pause: PAUSE.0 })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the gateway drains, then closes the socket.
    pub async fn run(mut self) {
        let gateway = Arc::clone(&self.gateway);
        let mut begun = std::pin::pin!(gateway.drain_state().begun());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut begun => return,
                accepted = self.accept() => accepted,
            };
            self.hand_over(accepted);
        }
    }

    /// The next connection. Waits for a permit first, then for a client, and through every
    /// error: the client's own are ignored, for others it pauses, longer each time.
    async fn accept(&mut self) -> Accepted {
        let permit = self.permit().await;
        loop {
            match self.socket.accept().await.and_then(detach) {
                Ok((stream, peer)) => {
                    self.pause = PAUSE.0;
                    self.gateway.counters().accepted.one();
                    return Accepted { stream, peer, permit };
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => self.rest(&error).await,
            }
        }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = self.gateway.permits();
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return permit;
        }
        self.gateway.counters().connection_cap_waits.one();
        match Arc::clone(permits).acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed; if it were, nothing more is to be accepted.
            Err(_) => std::future::pending().await,
        }
    }

    async fn rest(&mut self, error: &io::Error) {
        self.gateway.counters().accept_errors.one();
        tracing::warn!(%error, pause = ?self.pause, "cannot accept connections");
        tokio::time::sleep(self.pause).await;
        self.pause = self.pause.saturating_mul(2).min(PAUSE.1);
    }

    fn hand_over(&self, accepted: Accepted) {
        let gateway = Arc::clone(&self.gateway);
        self.cytoplasm.spawn(async move {
            let Accepted { stream, peer, permit } = accepted;
            // Registered here, so that its readiness is polled where it is served.
            match TcpStream::from_std(stream) {
                Ok(stream) => Connection::new(gateway, stream, peer, permit).serve().await,
                Err(_) => gateway.counters().closed.one(),
            }
        });
    }
}

fn detach((stream, peer): (TcpStream, SocketAddr)) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    // Responses go out in as few writes as possible already; Nagle's algorithm would only hold
    // back the last part of each until the client acknowledges the one before. A socket that
    // refuses the option is closed and will say so when it is read.
    let _ = stream.set_nodelay(true);
    Ok((stream.into_std()?, peer))
}

/// Errors that concern one client only; the next accept may succeed at once.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}
