//! Where a gene may send requests: scheme, host and port, nothing less.
//!
//! Text form: `https://api.example.test`, `http://127.0.0.1:9000`, `https://*.example.test`.
//! There is no user, path or query in a grant: a grant that looked as if it narrowed the path
//! would promise what the name of a host cannot keep.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::route::check_host;
use crate::text::{TextError, serde_as_text};

/// The scheme of an outbound grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain HTTP, port 80 unless named.
    Http,
    /// HTTP over TLS, port 443 unless named.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Which hosts an outbound grant names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboundHost {
    /// Exactly this name, lower case.
    Name(Box<str>),
    /// Every name that ends in a dot and this name, but not this name itself.
    Below(Box<str>),
    /// Exactly this address. Only an address that is named here may be private.
    Address(IpAddr),
}

/// One place to which a gene may send requests. Made by parsing only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundGrant {
    scheme: Scheme,
    host: OutboundHost,
    port: u16,
}

impl OutboundGrant {
    /// The scheme that must be used.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host or hosts.
    #[must_use]
    pub fn host(&self) -> &OutboundHost {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a request to this place is granted. `host` is taken as it stands in the URI,
    /// in any case, IPv6 in brackets; a name never matches an address grant.
    #[must_use]
    pub fn matches(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        if scheme != self.scheme || port != self.port {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        match &self.host {
            OutboundHost::Name(name) => host.eq_ignore_ascii_case(name),
            OutboundHost::Below(parent) => is_below(host, parent),
            OutboundHost::Address(address) => parse_address(host) == Some(*address),
        }
    }
}

fn is_below(host: &str, parent: &str) -> bool {
    let Some(cut) = host.len().checked_sub(parent.len()) else {
        return false;
    };
    let Some((front, tail)) = host.split_at_checked(cut) else {
        return false;
    };
    let named = front.strip_suffix('.').is_some_and(|name| !name.is_empty());
    named && tail.eq_ignore_ascii_case(parent)
}

fn parse_address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

fn split_port(authority: &str, scheme: Scheme) -> Result<(&str, u16), &'static str> {
    let after_host = authority.rfind(']').unwrap_or(0);
    let colon = authority.get(after_host..).and_then(|rest| rest.find(':'));
    let Some(colon) = colon else {
        return Ok((authority, scheme.default_port()));
    };
    let (host, port) = authority.split_at_checked(after_host + colon).unwrap_or((authority, ""));
    let digits = port.get(1..).unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("its port is not a number");
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err("its port must be from 1 to 65535"),
        Ok(port) => Ok((host, port)),
    }
}

fn parse_host(host: &str) -> Result<OutboundHost, &'static str> {
    let host = host.to_ascii_lowercase();
    if let Some(parent) = host.strip_prefix("*.") {
        check_host(parent)?;
        if parent.starts_with('[') || parse_address(parent).is_some() {
            return Err("an address has nothing below it");
        }
        return Ok(OutboundHost::Below(parent.into()));
    }
    if host.contains('*') {
        return Err("* is allowed only as the first part of a name, as in https://*.example.test");
    }
    check_host(&host)?;
    Ok(match parse_address(&host) {
        Some(address) => OutboundHost::Address(address),
        None => OutboundHost::Name(host.into()),
    })
}

impl FromStr for OutboundGrant {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let remedy = "write scheme and host, as in https://api.example.test or https://*.example.test:8443";
        let fail = |reason| TextError::new("outbound grant", text, reason).remedy(remedy);
        let (scheme, authority) =
            text.split_once("://").ok_or_else(|| fail("it must begin with https:// or http://"))?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(fail("its scheme must be https or http")),
        };
        if authority.contains('@') {
            return Err(fail("it must not name a user; put credentials in a secret"));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(fail("it must end after the host or port; a grant is for a whole host"));
        }
        let (host, port) = split_port(authority, scheme).map_err(fail)?;
        let host = parse_host(host).map_err(fail)?;
        Ok(OutboundGrant { scheme, host, port })
    }
}

impl fmt::Display for OutboundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutboundHost::Name(name) => f.write_str(name),
            OutboundHost::Below(parent) => write!(f, "*.{parent}"),
            OutboundHost::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            OutboundHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for OutboundGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl fmt::Debug for OutboundGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundGrant({self})")
    }
}

serde_as_text!(OutboundGrant);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(text: &str) -> OutboundGrant {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_is_for_one_scheme_host_and_port() {
        let api = grant("https://api.example.test");
        assert!(api.matches(Scheme::Https, "api.example.test", 443));
        assert!(api.matches(Scheme::Https, "API.Example.test.", 443));
        assert!(!api.matches(Scheme::Http, "api.example.test", 443));
        assert!(!api.matches(Scheme::Https, "api.example.test", 8443));
        for host in ["example.test", "x.api.example.test", "api.example.test.evil", "api.example.tes", ""] {
            assert!(!api.matches(Scheme::Https, host, 443), "{host}");
        }
    }

    #[test]
    fn a_wildcard_is_for_names_below_only() {
        let below = grant("https://*.example.test:8443");
        assert!(below.matches(Scheme::Https, "a.example.test", 8443));
        assert!(below.matches(Scheme::Https, "b.A.EXAMPLE.test", 8443));
        for host in ["example.test", ".example.test", "badexample.test", "example.test.evil", "ä.example.tes"]
        {
            assert!(!below.matches(Scheme::Https, host, 8443), "{host}");
        }
    }

    #[test]
    fn an_address_is_matched_as_an_address() {
        let local = grant("http://127.0.0.1:9000");
        assert_eq!(local.host(), &OutboundHost::Address([127, 0, 0, 1].into()));
        assert!(local.matches(Scheme::Http, "127.0.0.1", 9000));
        assert!(!local.matches(Scheme::Http, "localhost", 9000));
        let six = grant("http://[0:0::1]:9000");
        assert_eq!(six.to_string(), "http://[::1]:9000");
        assert!(six.matches(Scheme::Http, "[0:0:0::1]", 9000));
        assert!(!six.matches(Scheme::Http, "::1", 9000));
    }

    #[test]
    fn text_that_is_no_grant_is_refused() {
        let bad = [
            "",
            "api.example.test",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a/x",
            "https://a?x",
            "https://a#x",
            "https://u@a",
            "https://u:p@a",
            "https://a:0",
            "https://a:65536",
            "https://a:",
            "https://a:8x",
            "https://a:+8",
            "https://*",
            "https://*.",
            "https://a.*",
            "https://*.*.a",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://::1",
            "http://[::1",
            "HTTPS://a",
            "https://a b",
            "https://a\\b",
            "https://ä",
        ];
        for text in bad {
            assert!(text.parse::<OutboundGrant>().is_err(), "{text:?}");
        }
        assert_eq!(grant("https://A.test:443").to_string(), "https://a.test");
    }

    proptest! {
        #[test]
        fn text_comes_back(text in r"https?://(\*\.)?[a-z0-9.-]{1,12}(:[0-9]{1,5})?") {
            if let Ok(grant) = text.parse::<OutboundGrant>() {
                prop_assert_eq!(&grant.to_string().parse::<OutboundGrant>().unwrap(), &grant);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), host in any::<String>()) {
            let _ = text.parse::<OutboundGrant>();
            let _ = format!("https://{text}").parse::<OutboundGrant>();
            let _ = grant("https://*.a").matches(Scheme::Https, &host, 443);
        }
    }
}
