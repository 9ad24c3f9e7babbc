//! The head of an outbound request as it leaves, and of a response as a guest sees it.

use cyte_engine::capability::http::OutboundError;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};

/// Fields that concern one connection only. `Expect` is among them: nobody here waits for 100.
const OF_THE_CONNECTION: [HeaderName; 10] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Removes them, and those that `Connection` names.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != header::CONTENT_LENGTH)
        .collect();
    for name in OF_THE_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Makes a guest's head what HTTP/1.1 wants on the wire: a path, one Host that is the one of the
/// URL, and a Content-Length only if it is true.
///
/// # Errors
/// `BadRequest` for CONNECT, for a URL with a user in it and for one without a host.
pub(super) fn prepare(head: &mut Parts, body_length: Option<u64>) -> Result<(), OutboundError> {
    if head.method == Method::CONNECT {
        return Err(OutboundError::BadRequest("CONNECT is not for genes".into()));
    }
    strip(&mut head.headers);
    let host = host_value(&head.uri)?;
    head.headers.insert(header::HOST, host);
    if let Some(length) = body_length
        && head.headers.get(header::CONTENT_LENGTH).is_some_and(|value| *value != HeaderValue::from(length))
    {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    head.version = Version::HTTP_11;
    Ok(())
}

fn host_value(uri: &Uri) -> Result<HeaderValue, OutboundError> {
    let bad = |reason: &str| OutboundError::BadRequest(reason.to_owned());
    let authority = uri.authority().ok_or_else(|| bad("the URL names no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("the URL names a user; use a header and a secret"));
    }
    HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the host of the URL is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn prepared(uri: &str, fields: &[(&'static str, &'static str)]) -> Result<Parts, OutboundError> {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let mut head = builder.body(()).unwrap().into_parts().0;
        prepare(&mut head, Some(4))?;
        Ok(head)
    }

    #[test]
    fn the_wire_gets_a_path_and_one_true_host() {
        let head =
            prepared("https://api.test:8443/a?b=c", &[("host", "other"), ("content-length", "9")]).unwrap();
        assert_eq!(head.uri, "/a?b=c");
        assert_eq!(head.headers.get_all("host").iter().collect::<Vec<_>>(), ["api.test:8443"]);
        assert!(!head.headers.contains_key("content-length"), "a lie about the body is left out");
        let head = prepared("http://api.test", &[("content-length", "4")]).unwrap();
        assert_eq!(head.uri, "/");
        assert_eq!(head.headers.get("content-length").unwrap(), "4");
    }

    #[test]
    fn fields_of_the_connection_stay_behind() {
        let head = prepared(
            "http://api.test/",
            &[
                ("connection", "x-hop, content-length"),
                ("x-hop", "1"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
                ("content-length", "4"),
                ("x-kept", "1"),
            ],
        );
        let head = head.unwrap();
        let mut left: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-kept"]);
    }

    #[test]
    fn users_and_connect_are_refused() {
        assert!(prepared("http://user@api.test/", &[]).is_err());
        assert!(prepared("/path", &[]).is_err());
    }
}
