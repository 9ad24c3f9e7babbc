//! What every request must satisfy before anybody looks for a gene: the strictness that the
//! parser leaves out, and an identity.
//!
//! Refused here: a missing, repeated, contradicting or malformed Host, a target that is neither
//! a path nor an http URL, CONNECT and TRACE. What can only be seen in the raw bytes (bare line
//! feeds, Transfer-Encoding beside Content-Length) is hyper's and later the `Sentry`'s.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cyte_engine::RequestId;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri, Version};

use crate::refusal::Refusal;

/// Gives ids and admits.
#[derive(Debug)]
pub(crate) struct Admission {
    next: AtomicU64,
    /// Random for each process, so that ids of different runs do not meet in one log, and one
    /// id does not tell how many requests came before.
    seed: u64,
}

/// What routing needs of an admitted request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'r> {
    /// The host name as [`cyte_dna::normal_host`] gives it; `None` where the client named none
    /// (HTTP/1.0, or an empty Host).
    pub(crate) host: Option<Cow<'r, str>>,
    /// The raw path.
    pub(crate) path: &'r str,
}

impl Admission {
    pub(crate) fn new(seed: u64) -> Self {
        Admission { next: AtomicU64::new(0), seed }
    }

    /// An id that no other request of this process has.
    pub(crate) fn next_id(&self) -> RequestId {
        RequestId(self.next.fetch_add(1, Relaxed) ^ self.seed)
    }

    /// Admits a request and says where it wants to go.
    ///
    /// # Errors
    /// The refusal to send.
    pub(crate) fn admit(head: &Parts) -> Result<Place<'_>, Refusal> {
        if head.method == Method::CONNECT || head.method == Method::TRACE {
            return Err(Refusal::MethodNotSupported);
        }
        let path = target_path(&head.uri, &head.method)?;
        let authority = authority(head)?;
        let host = match authority {
            "" => None,
            text => Some(normal_host(text).ok_or(Refusal::HostMalformed)?),
        };
        Ok(Place { host, path })
    }
}

/// What [`cyte_dna::normal_host`] says, for the usual case in one pass over the bytes.
fn normal_host(authority: &str) -> Option<Cow<'_, str>> {
    plain_host(authority).map(Cow::Borrowed).or_else(|| cyte_dna::normal_host(authority))
}

/// The host of `name`, `name:port`, `1.2.3.4` or `1.2.3.4:port`, where it is normal already and
/// certainly well-formed; `None` means only that somebody must look closer.
fn plain_host(authority: &str) -> Option<&str> {
    let (mut label, mut start, mut is_number) = (0_u32, 0, true);
    let mut end = authority.len();
    for (at, byte) in authority.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'-' => is_number = false,
            b'0'..=b'9' => {}
            b'.' if label > 0 => {
                (label, start, is_number) = (0, at + 1, true);
                continue;
            }
            b':' => {
                end = at;
                break;
            }
            _ => return None,
        }
        label += 1;
        if label > 63 {
            return None;
        }
    }
    let (host, port) = authority.split_at_checked(end)?;
    let has_port = port.is_empty()
        || ((2..=6).contains(&port.len()) && port.bytes().skip(1).all(|b| b.is_ascii_digit()));
    // A name that ends like a number is an address or a trap.
    let is_hex = host.get(start..).is_some_and(|last| last.starts_with("0x"));
    let is_name = (!is_number && !is_hex) || host.parse::<Ipv4Addr>().is_ok();
    (has_port && label > 0 && host.len() <= 253 && is_name).then_some(host)
}

/// The path of `/path`, `http://host/path` or, for OPTIONS, `*`.
fn target_path<'r>(uri: &'r Uri, method: &Method) -> Result<&'r str, Refusal> {
    let path = uri.path();
    let is_web = uri.scheme_str().is_none_or(|scheme| scheme == "http" || scheme == "https");
    // An authority without a scheme is the form of CONNECT; the path is empty then.
    let is_path = path.starts_with('/') || (path == "*" && method == Method::OPTIONS);
    if is_web && is_path { Ok(path) } else { Err(Refusal::TargetMalformed) }
}

/// The one host that the request names: of the target (`:authority` or an absolute URL), which
/// wins in HTTP/1 as RFC 9112 demands, or of the Host field; empty where there is none.
fn authority(head: &Parts) -> Result<&str, Refusal> {
    let field = host_field(&head.headers)?;
    let Some(target) = head.uri.authority() else {
        // Since HTTP/1.1 the client must say which host it means.
        let excused = head.version < Version::HTTP_11;
        return if excused { Ok(field.unwrap_or_default()) } else { field.ok_or(Refusal::HostMissing) };
    };
    let target = target.as_str();
    if target.contains('@') {
        return Err(Refusal::TargetMalformed);
    }
    let contradicts = field.is_some_and(|field| !field.eq_ignore_ascii_case(target));
    match (head.version, contradicts) {
        (Version::HTTP_2, true) => Err(Refusal::HostConflict),
        _ => Ok(target),
    }
}

fn host_field(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut fields = headers.get_all(header::HOST).iter();
    let first = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::HostConflict);
    }
    let text = first.map(|value| value.to_str().map_err(|_| Refusal::HostMalformed));
    text.transpose()
}

/// Makes the head what a gene may see: nothing of the connection, and one host. An absolute
/// target replaces the Host field, so that a gene reads one host wherever it looks, and where
/// the client named none (`nameless`) it is the address that the client connected to.
pub(crate) fn tidy(head: &mut Parts, nameless: Option<SocketAddr>) {
    strip_connection_fields(&mut head.headers);
    let host = match (head.uri.authority(), nameless) {
        (Some(authority), _) if head.version < Version::HTTP_2 => HeaderValue::from_str(authority.as_str()),
        (None, Some(local)) => HeaderValue::from_str(&local.to_string()),
        _ => return,
    };
    if let Ok(host) = host {
        head.headers.insert(header::HOST, host);
    }
}

/// Removes the fields that concern one connection only, and those that Connection names.
pub(crate) fn strip_connection_fields(headers: &mut HeaderMap) {
    // One pass over what is there; usually there is nothing to remove.
    if !headers.keys().any(is_connection_field) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !is_essential(name))
        .collect();
    let fixed: Vec<HeaderName> = headers.keys().filter(|name| is_connection_field(name)).cloned().collect();
    for name in fixed.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Fields that `Connection: ...` cannot take away: framing and identity are the host's.
fn is_essential(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::HOST || *name == header::TRAILER
}

fn is_connection_field(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::PROXY_AUTHORIZATION
        || *name == header::PROXY_AUTHENTICATE
        || *name == "keep-alive"
        || *name == "proxy-connection"
        || *name == "http2-settings"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn head(method: &str, target: &str, version: Version, hosts: &[&str]) -> Parts {
        let mut builder = Request::builder().method(method).uri(target).version(version);
        for host in hosts {
            builder = builder.header(header::HOST, *host);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn admit(method: &str, target: &str, version: Version, hosts: &[&str]) -> Result<String, Refusal> {
        let head = head(method, target, version, hosts);
        let place = Admission::admit(&head)?;
        Ok(format!("{} {}", place.host.as_deref().unwrap_or("-"), place.path))
    }

    #[test]
    fn hosts_are_demanded_and_normalised() {
        let h1 = Version::HTTP_11;
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(admit("GET", "/a?q", h1, &["Shop.Example:8080"]), ok("shop.example /a"));
        assert_eq!(admit("GET", "/", h1, &["[::1]:80"]), ok("[::1] /"));
        assert_eq!(admit("GET", "/", h1, &[""]), ok("- /"));
        assert_eq!(admit("GET", "/", h1, &[]), Err(Refusal::HostMissing));
        assert_eq!(admit("GET", "/", h1, &["a", "a"]), Err(Refusal::HostConflict));
        for bad in ["a b", "a/b", "user@a", "a,b", "a:x", "[::1", "a..b"] {
            assert_eq!(admit("GET", "/", h1, &[bad]), Err(Refusal::HostMalformed), "{bad}");
        }
        assert_eq!(admit("GET", "/", Version::HTTP_10, &[]), ok("- /"));
    }

    #[test]
    fn targets_are_paths_or_web_urls() {
        let h1 = Version::HTTP_11;
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(admit("GET", "http://b.test/x", h1, &["a"]), ok("b.test /x"));
        assert_eq!(admit("OPTIONS", "*", h1, &["a"]), ok("a *"));
        for (method, target) in
            [("GET", "*"), ("GET", "a.test:80"), ("GET", "ftp://a.test/x"), ("GET", "http://user@a.test/x")]
        {
            let refused = admit(method, target, h1, &["a"]);
            assert_eq!(refused, Err(Refusal::TargetMalformed), "{method} {target}");
        }
        for method in ["CONNECT", "TRACE"] {
            assert_eq!(admit(method, "a.test:80", h1, &["a"]), Err(Refusal::MethodNotSupported));
        }
    }

    #[test]
    fn in_http2_the_authority_and_the_host_field_must_agree() {
        let h2 = Version::HTTP_2;
        assert_eq!(admit("GET", "http://a.test/", h2, &[]), Ok("a.test /".into()));
        assert_eq!(admit("GET", "http://a.test/", h2, &["A.test"]), Ok("a.test /".into()));
        assert_eq!(admit("GET", "http://a.test/", h2, &["b.test"]), Err(Refusal::HostConflict));
    }

    #[test]
    fn a_gene_sees_one_host_and_nothing_of_the_connection() {
        let mut head = head("GET", "http://b.test/x", Version::HTTP_11, &["a"]);
        for (name, value) in [
            ("connection", "close, X-Hop, content-length"),
            ("x-hop", "1"),
            ("x-kept", "1"),
            ("content-length", "3"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("keep-alive", "1"),
        ] {
            head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        tidy(&mut head, None);
        let mut left: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "te", "x-kept"]);
        assert_eq!(head.headers[header::HOST], "b.test");
    }

    #[test]
    fn a_gene_always_has_a_host_to_read() {
        let mut nameless = head("GET", "/", Version::HTTP_10, &[]);
        tidy(&mut nameless, Some(([127, 0, 0, 1], 8080).into()));
        assert_eq!(nameless.headers[header::HOST], "127.0.0.1:8080");
    }

    proptest! {
        #[test]
        fn the_short_way_says_what_the_long_way_says(
            text in "([a-zA-Z0-9x_.-]{0,5}|[0-9]{1,3}|0x[0-9]{1,2}|\\.){0,8}(:[0-9]{0,6})?",
        ) {
            if let Some(host) = plain_host(&text) {
                let long = cyte_dna::normal_host(&text);
                prop_assert_eq!(long.as_deref(), Some(host));
            }
            prop_assert_eq!(normal_host(&text), cyte_dna::normal_host(&text));
        }
    }

    #[test]
    fn usual_hosts_take_the_short_way() {
        for (text, host) in [
            ("localhost:8080", "localhost"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("api.shop-1.test", "api.shop-1.test"),
            ("www.example.com:80", "www.example.com"),
        ] {
            assert_eq!(plain_host(text), Some(host));
        }
        for text in ["", "A.test", "[::1]", "a..b", ".a", "1.2.3", "0x7f.1", "a:x", "a:1234567"] {
            assert_eq!(plain_host(text), None, "{text}");
        }
        assert_eq!(plain_host(&"a".repeat(64)), None);
    }

    #[test]
    fn ids_differ() {
        let admission = Admission::new(0x5eed);
        assert_ne!(admission.next_id(), admission.next_id());
    }
}
