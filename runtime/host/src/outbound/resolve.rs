//! Names to addresses, and which of them may be used.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::Arc;

use cyte_dna::{OutboundHost, limits};
use cyte_engine::capability::http::{BoxFuture, OutboundError};
use tokio::sync::Semaphore;

use super::address::{Reach, reach};

/// Resolves names; what it gives is not checked yet.
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name, best first.
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>>;
}

/// The system's resolver, which knows the machine's own rules (`/etc/hosts`, search domains).
pub(super) struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl SystemResolver {
    pub(super) fn new(lookups: usize) -> Self {
        SystemResolver { lookups: Arc::new(Semaphore::new(lookups)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        let lookups = Arc::clone(&self.lookups);
        let name = name.to_owned();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // The thread cannot be cancelled: the permit ends with it, not with who waits.
                let _permit = permit;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// The addresses to which a request under this grant may connect, at least one.
///
/// # Errors
/// `Denied` when the host leads only to places that the grant does not name, `Dns` when it leads
/// nowhere.
pub(super) async fn permitted(
    granted: &OutboundHost,
    name: &str,
    resolver: &dyn Resolve,
) -> Result<Vec<IpAddr>, OutboundError> {
    match granted {
        OutboundHost::Address(address) => named(*address),
        OutboundHost::Name(granted) if granted.as_ref() == "localhost" => {
            // Without the resolver: what this name means is not up to anybody's records.
            Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        }
        OutboundHost::Name(_) | OutboundHost::Below(_) => {
            let found = resolver.resolve(name).await.map_err(|_| OutboundError::Dns)?;
            only_public(name, found)
        }
    }
}

fn named(address: IpAddr) -> Result<Vec<IpAddr>, OutboundError> {
    if reach(address) == Reach::Never {
        return Err(OutboundError::Denied(format!("{address} is no single host")));
    }
    Ok(vec![address])
}

fn only_public(name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, OutboundError> {
    let Some(first) = found.first().copied() else {
        return Err(OutboundError::Dns);
    };
    let public: Vec<IpAddr> = found
        .into_iter()
        .filter(|address| reach(*address) == Reach::Public)
        .take(limits::OUTBOUND_ADDRESSES)
        .collect();
    if public.is_empty() {
        let reason = format!(
            "{name} leads to {first}, which is not a public address; \
             to allow it, name that address itself in `outbound`"
        );
        return Err(OutboundError::Denied(reason));
    }
    Ok(public)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) struct Table(Vec<IpAddr>);

    impl Resolve for Table {
        fn resolve(&self, _name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    async fn ask(granted: OutboundHost, name: &str, found: &[&str]) -> Result<Vec<String>, OutboundError> {
        let table = Table(found.iter().map(|text| text.parse().unwrap()).collect());
        let addresses = permitted(&granted, name, &table).await?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_name_leads_to_public_addresses_only() {
        let name = || OutboundHost::Name("api.test".into());
        assert_eq!(ask(name(), "api.test", &["8.8.8.8"]).await.unwrap(), ["8.8.8.8"]);
        let mixed = ask(name(), "api.test", &["10.0.0.1", "8.8.8.8", "::1"]).await.unwrap();
        assert_eq!(mixed, ["8.8.8.8"], "a private address beside a public one is not used");
        for private in ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1", "0.0.0.0"] {
            let denied = ask(name(), "api.test", &[private]).await.unwrap_err();
            assert!(matches!(denied, OutboundError::Denied(_)), "{private}: {denied}");
        }
        let below = OutboundHost::Below("test".into());
        assert!(matches!(ask(below, "x.test", &["10.0.0.1"]).await, Err(OutboundError::Denied(_))));
        assert_eq!(ask(name(), "api.test", &[]).await, Err(OutboundError::Dns));
    }

    #[tokio::test]
    async fn only_the_first_addresses_of_a_name_are_tried() {
        let many: Vec<String> = (1..=9).map(|n| format!("8.8.8.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let tried = ask(OutboundHost::Name("api.test".into()), "api.test", &many).await.unwrap();
        assert_eq!(tried, many[..limits::OUTBOUND_ADDRESSES]);
    }

    #[tokio::test]
    async fn a_private_address_is_reached_only_when_it_is_named() {
        let address = |text: &str| OutboundHost::Address(text.parse().unwrap());
        assert_eq!(ask(address("10.0.0.1"), "10.0.0.1", &[]).await.unwrap(), ["10.0.0.1"]);
        assert_eq!(ask(address("::1"), "[::1]", &[]).await.unwrap(), ["::1"]);
        for never in ["0.0.0.0", "255.255.255.255", "ff02::1"] {
            let denied = ask(address(never), never, &[]).await;
            assert!(matches!(denied, Err(OutboundError::Denied(_))), "{never}");
        }
        // Whatever a resolver says about it.
        let localhost = OutboundHost::Name("localhost".into());
        assert_eq!(ask(localhost, "localhost", &["8.8.8.8"]).await.unwrap(), ["127.0.0.1", "::1"]);
    }
}
