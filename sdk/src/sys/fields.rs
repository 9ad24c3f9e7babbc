//! Header fields and targets, in the form that both versions of WASI take and give.

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// The whole target. Where a host gives parts that make no URI, the path alone is what is left.
pub(crate) fn uri_from(https: bool, authority: Option<String>, target: &str) -> Uri {
    let mut uri = Uri::builder().path_and_query(target);
    if let Some(authority) = authority {
        uri = uri.authority(authority).scheme(if https { "https" } else { "http" });
    }
    uri.build().or_else(|_| target.parse()).unwrap_or_default()
}

/// What the host gives and HTTP does not allow is left out.
pub(crate) fn headers_from(entries: Vec<(String, Vec<u8>)>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(entries.len());
    for (name, value) in entries {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_maybe_shared(bytes::Bytes::from(value)),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

/// Most messages have few headers: these need no allocation.
const FEW: usize = 8;

/// Gives all fields to `make` at once: one call to the host. `length` is added where the headers name none.
pub(crate) fn headers_to<T>(
    headers: &HeaderMap,
    length: Option<u64>,
    make: impl FnOnce(&[(&str, &[u8])]) -> T,
) -> T {
    let mut digits = [0; 20];
    let length = match length {
        Some(length) if !headers.contains_key(http::header::CONTENT_LENGTH) => {
            Some(("content-length", decimal(length, &mut digits)))
        }
        _ => None,
    };
    let entries = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).chain(length);
    let mut few: [(&str, &[u8]); FEW] = [("", b""); FEW];
    if headers.len() >= FEW {
        return make(&entries.collect::<Vec<_>>());
    }
    let mut count = 0;
    for (slot, entry) in few.iter_mut().zip(entries) {
        *slot = entry;
        count += 1;
    }
    make(few.get(..count).unwrap_or_default())
}

/// Names in the head the trailers that will follow, as HTTP/1.1 wants it, and says whether the head
/// may still name a length: with trailers it may not.
pub(crate) fn announce(headers: &mut HeaderMap, trailers: Option<&HeaderMap>) -> bool {
    let Some(trailers) = trailers.filter(|trailers| !trailers.is_empty()) else {
        return true;
    };
    if !headers.contains_key(http::header::TRAILER) {
        let names: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        // Names are ASCII: what they make is a value.
        if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
            headers.insert(http::header::TRAILER, names);
        }
    }
    headers.remove(http::header::CONTENT_LENGTH);
    false
}

/// Writes a number without the machinery of formatting.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = place;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(headers: &HeaderMap, length: Option<u64>) -> Vec<(String, Vec<u8>)> {
        headers_to(headers, length, |fields| {
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
        })
    }

    #[test]
    fn the_length_is_added_unless_it_is_there() {
        let mut headers = HeaderMap::new();
        assert_eq!(all(&headers, None), []);
        for length in [0, 7, 10, 65_536, u64::MAX] {
            let fields = [("content-length".to_owned(), length.to_string().into_bytes())];
            assert_eq!(all(&headers, Some(length)), fields);
        }
        headers.insert("content-length", HeaderValue::from_static("3"));
        assert_eq!(all(&headers, Some(9)), [("content-length".to_owned(), b"3".to_vec())]);
    }

    #[test]
    fn trailers_are_announced_and_end_the_length() {
        let mut headers = HeaderMap::new();
        headers.insert("content-length", HeaderValue::from_static("3"));
        assert!(announce(&mut headers, None));
        assert!(announce(&mut headers, Some(&HeaderMap::new())));
        assert_eq!(headers.len(), 1);
        let mut trailers = HeaderMap::new();
        trailers.insert("a", HeaderValue::from_static("1"));
        trailers.insert("b", HeaderValue::from_static("2"));
        assert!(!announce(&mut headers, Some(&trailers)));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["trailer"], "a, b");
    }

    #[test]
    fn no_field_is_lost_at_any_count() {
        for count in 0..20 {
            let mut headers = HeaderMap::new();
            for n in 0..count {
                headers.append(HeaderName::from_static("x"), HeaderValue::from(n));
            }
            let fields = all(&headers, Some(1));
            assert_eq!(fields.len(), count + 1);
            assert_eq!(headers_from(fields).get_all("x").iter().count(), count);
        }
    }

    #[test]
    fn parts_that_make_no_uri_leave_the_path() {
        assert_eq!(uri_from(true, Some("h:1".into()), "/p?q"), "https://h:1/p?q");
        assert_eq!(uri_from(false, Some("a b".into()), "/p?q"), "/p?q");
        assert_eq!(uri_from(false, None, "/p"), "/p");
    }
}
