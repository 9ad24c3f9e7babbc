//! Where a gene is mounted: an optional host name and a path or a path prefix.
//!
//! One text form each way: `/...` (everything), `/api/...` (`/api` and all below it), `/exact`,
//! `shop.example/...`. Paths are compared byte by byte as they stand in the request line;
//! nothing is decoded, so that a route cannot match a path that the gene then reads differently.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::limits::ROUTE_MAX_BYTES;
use crate::text::{TextError, serde_as_text};

/// One route of a gene. Made by parsing only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    host: Option<Box<str>>,
    path: Box<str>,
    prefix: bool,
}

/// How specific a route is; the greatest among those that match is taken.
///
/// With a host beats without; then an exact path beats a prefix; then the longer path wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precedence {
    has_host: bool,
    exact: bool,
    path_bytes: usize,
}

impl Route {
    /// The host name it is bound to, lower case, without port; `None` = any.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The path, beginning with `/`; of a prefix route without the trailing `/...`, and `/`
    /// for the route that takes everything.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether all paths below [`Self::path`] belong to it too.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.prefix
    }

    /// The route `/...`: every host, every path.
    #[must_use]
    pub fn everything() -> Self {
        Route { host: None, path: "/".into(), prefix: true }
    }

    /// Whether a request belongs here. `host` is the request's host as [`normal_host`] gives
    /// it; `path` is the raw path without the query.
    #[must_use]
    pub fn matches(&self, host: Option<&str>, path: &str) -> bool {
        let host_fits = match self.host() {
            None => true,
            Some(wanted) => host == Some(wanted),
        };
        host_fits && self.matches_path(path)
    }

    fn matches_path(&self, path: &str) -> bool {
        if !self.prefix {
            return path == self.path();
        }
        if self.path() == "/" {
            return true;
        }
        match path.strip_prefix(self.path()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// Whether every request of `part` belongs here too.
    #[must_use]
    pub fn covers(&self, part: &Route) -> bool {
        let host_fits = self.host.is_none() || self.host == part.host;
        host_fits && (self.prefix || !part.prefix) && self.matches_path(part.path())
    }

    /// Whose requests those of this route are, if nobody else claims a part of them: the claim that is
    /// the most specific one of all that cover it.
    pub fn owner<'a, T>(&self, claims: impl Iterator<Item = (&'a Route, T)>) -> Option<T> {
        let covering = claims.filter(|(route, _)| route.covers(self));
        covering.max_by_key(|(route, _)| route.precedence()).map(|(_, owner)| owner)
    }

    /// How specific it is, see [`Precedence`].
    #[must_use]
    pub fn precedence(&self) -> Precedence {
        Precedence { has_host: self.host.is_some(), exact: !self.prefix, path_bytes: self.path.len() }
    }

    /// Whether two routes claim the same requests with the same precedence, so that neither
    /// could win. Routes that overlap otherwise do not conflict: the more specific one wins.
    #[must_use]
    pub fn conflicts_with(&self, other: &Route) -> bool {
        self == other
    }
}

/// The host name of a `Host` header or `:authority`: lower case, without port, without the
/// dot at the end of a fully qualified name. `None` where it is not a host name at all.
#[must_use]
pub fn normal_host(authority: &str) -> Option<Cow<'_, str>> {
    let host = strip_port(authority)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    };
    check_host(&host).is_ok().then_some(host)
}

fn strip_port(authority: &str) -> Option<&str> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, port) = authority.split_at_checked(end + 1)?;
        return (port.is_empty() || is_port(port)).then_some(host);
    }
    match authority.find(':') {
        None => Some(authority),
        Some(at) => {
            let (host, port) = authority.split_at_checked(at)?;
            is_port(port).then_some(host)
        }
    }
}

/// `:` and up to five digits; an empty port is allowed by RFC 3986.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or("x");
    digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A lower-case DNS name, an IPv4 address or an IPv6 address in brackets.
pub(crate) fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').unwrap_or("");
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("what is in brackets is not an IPv6 address"),
        };
    }
    if host.is_empty() {
        return Err("its host name is empty");
    }
    if host.len() > 253 {
        return Err("its host name is longer than 253 characters");
    }
    let label_fits = |label: &str| (1..=63).contains(&label.len());
    if !host.split('.').all(label_fits) {
        return Err("a part of its host name is empty or longer than 63 characters");
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if !host.bytes().all(allowed) {
        return Err("its host name may hold only a-z, 0-9, -, _ and .");
    }
    // `127.1`, `0x7f.1` and `2130706433` are addresses to some resolvers and names to others.
    let last = host.rsplit('.').next().unwrap_or("");
    let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err("its host looks like a number but is not an IPv4 address");
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("its path must begin with /");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(
            "its path holds a character that is not allowed there (write it undecoded, without query)",
        );
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err("its path holds . or .."),
            dots if dots.contains("...") => return Err("... is allowed only at the end, after a /"),
            "" if segments.peek().is_some() => return Err("its path holds //"),
            _ => {}
        }
    }
    Ok(())
}

impl FromStr for Route {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let remedy = "write a path, as in /about or /api/..., after a host name where it is for that one: shop.example/...";
        let fail = |reason| TextError::new("route", text, reason).remedy(remedy);
        if text.len() > ROUTE_MAX_BYTES {
            return Err(fail("it is longer than 512 characters"));
        }
        let slash = text.find('/').ok_or_else(|| fail("it has no path; write /... for every path"))?;
        let (host, path) = text.split_at_checked(slash).unwrap_or((text, ""));
        let host = if host.is_empty() {
            None
        } else {
            let host = host.to_ascii_lowercase();
            check_host(&host).map_err(fail)?;
            Some(host.into_boxed_str())
        };
        let (path, prefix) = match path.strip_suffix("/...") {
            Some("") => ("/", true),
            Some(path) if path.ends_with('/') => return Err(fail("its path holds //")),
            Some(path) => (path, true),
            None => (path, false),
        };
        check_path(path).map_err(fail)?;
        Ok(Route { host, path: path.into(), prefix })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host().unwrap_or(""))?;
        match (self.prefix, self.path()) {
            (true, "/") => f.write_str("/..."),
            (true, path) => write!(f, "{path}/..."),
            (false, path) => f.write_str(path),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({self})")
    }
}

serde_as_text!(Route);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(text: &str) -> Route {
        text.parse().unwrap()
    }

    /// The route that a table of these would choose.
    fn choose<'a>(routes: &'a [&'a str], host: Option<&str>, path: &str) -> Option<&'a str> {
        let fits = routes.iter().filter(|text| route(text).matches(host, path));
        fits.max_by_key(|text| route(text).precedence()).copied()
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let api = route("/api/...");
        assert_eq!((api.path(), api.is_prefix(), api.host()), ("/api", true, None));
        for path in ["/api", "/api/", "/api/x/y"] {
            assert!(api.matches(None, path), "{path}");
        }
        for path in ["/apis", "/ap", "/", "/API", "/x/api", "*", ""] {
            assert!(!api.matches(None, path), "{path}");
        }
        assert!(Route::everything().matches(Some("any"), "*"));
        assert_eq!(route("/..."), Route::everything());
    }

    #[test]
    fn an_exact_route_is_exact() {
        assert!(route("/a").matches(None, "/a"));
        for path in ["/a/", "/a/b", "/"] {
            assert!(!route("/a").matches(None, path), "{path}");
        }
        assert!(route("/").matches(None, "/") && !route("/").matches(None, "/x"));
        assert!(route("/a/").matches(None, "/a/"));
    }

    #[test]
    fn the_more_specific_route_wins() {
        let all = ["/...", "/api/...", "/api/v1/...", "/api", "shop.example/...", "shop.example/api/..."];
        assert_eq!(choose(&all, None, "/x"), Some("/..."));
        assert_eq!(choose(&all, None, "/api"), Some("/api"));
        assert_eq!(choose(&all, None, "/api/v1"), Some("/api/v1/..."));
        assert_eq!(choose(&all, None, "/api/v2"), Some("/api/..."));
        assert_eq!(choose(&all, Some("shop.example"), "/api"), Some("shop.example/api/..."));
        assert_eq!(choose(&all, Some("shop.example"), "/x"), Some("shop.example/..."));
        assert_eq!(choose(&all, Some("other.example"), "/x"), Some("/..."));
        assert_eq!(choose(&["shop.example/..."], None, "/x"), None);
    }

    #[test]
    fn text_that_is_no_route_is_refused() {
        let bad = [
            "",
            "api",
            "api/...x",
            "/.../x",
            "/api...",
            "/api/....",
            "//",
            "/a//b",
            "/a//...",
            "//...",
            "/a/./b",
            "/../...",
            "/a?b",
            "/a#b",
            "/a b",
            "/%61",
            "/ä",
            "/a\u{0}",
            "/a\\b",
            "*.example/...",
            "ex ample/",
            "a..b/",
            "-/[",
            "host:80/",
            "127.1/",
            "1.2.3.4.5/",
            "0x7f.1/",
            "[::g]/",
            ".../",
            "/a/.../",
        ];
        for text in bad {
            assert!(text.parse::<Route>().is_err(), "{text:?} {:?}", text.parse::<Route>());
        }
    }

    #[test]
    fn hosts_are_lower_case_and_may_be_addresses() {
        assert_eq!(route("Shop.Example/A").to_string(), "shop.example/A");
        assert!(route("[::1]/...").matches(Some("[::1]"), "/"));
        assert!(route("127.0.0.1/...").matches(Some("127.0.0.1"), "/"));
    }

    #[test]
    fn a_route_of_513_bytes_is_refused() {
        assert!(format!("/{}", "a".repeat(511)).parse::<Route>().is_ok());
        assert!(format!("/{}", "a".repeat(512)).parse::<Route>().is_err());
    }

    #[test]
    fn the_host_of_a_request_is_normalised() {
        let cases = [
            ("Shop.Example", Some("shop.example")),
            ("shop.example:8080", Some("shop.example")),
            ("shop.example.", Some("shop.example")),
            ("shop.example.:80", Some("shop.example")),
            ("[::1]:80", Some("[::1]")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("shop.example:", Some("shop.example")),
            ("shop.example:x", None),
            ("shop.example:123456", None),
            ("user@shop.example", None),
            ("a:b:c", None),
            ("[::1", None),
            ("", None),
            (".", None),
            ("..", None),
        ];
        for (given, wanted) in cases {
            assert_eq!(normal_host(given).as_deref(), wanted, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(text in r"([a-zA-Z0-9.-]{0,12})?(/[a-z.~%]{0,5}){0,4}(/\.\.\.)?") {
            if let Ok(route) = text.parse::<Route>() {
                let shown = route.to_string();
                prop_assert_eq!(&shown.parse::<Route>().unwrap(), &route);
                let bytes = postcard::to_allocvec(&route).unwrap();
                prop_assert_eq!(&postcard::from_bytes::<Route>(&bytes).unwrap(), &route);
                prop_assert!(route.matches(route.host(), route.path()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), path in any::<String>()) {
            if let Ok(route) = text.parse::<Route>() {
                let _ = route.matches(Some(&path), &path);
            }
            let _ = normal_host(&text);
        }

        /// Two different routes never tie for a request.
        #[test]
        fn different_routes_have_different_precedence_where_both_match(
            a in "(h/|/)(a/|b/|a){0,3}(\\.\\.\\.)?", b in "(h/|/)(a/|b/|a){0,3}(\\.\\.\\.)?", path in "/(a/|b/|a){0,3}",
        ) {
            let (Ok(a), Ok(b)) = (a.parse::<Route>(), b.parse::<Route>()) else { return Ok(()) };
            if a.matches(Some("h"), &path) && b.matches(Some("h"), &path) && !a.conflicts_with(&b) {
                prop_assert_ne!(a.precedence(), b.precedence(), "{} {} {}", a, b, path);
            }
        }
    }
}
