//! What of a file a request wants: all, a part, or nothing new.

use std::ops::Range;

use cyte_sdk::prelude::*;

use crate::shelf::Item;

/// What of a file is wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Wanted {
    All,
    /// Bytes from start to before end; never empty.
    Part(Range<u64>),
    /// A part that the file does not have.
    Outside,
}

/// Reads `Range`, unless `If-Range` names another content.
pub(crate) fn wanted(request: &Request, item: &Item) -> Wanted {
    let headers = request.headers();
    match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        Some(range) if headers.get(header::IF_RANGE).is_none_or(|tag| *tag == *item.tag) => {
            parse(range, item.length)
        }
        _ => Wanted::All,
    }
}

/// One range of bytes. What is malformed, of another unit, or more than one, is as if absent.
fn parse(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|spec| spec.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>());
    let part = match (first, last) {
        ("", last) => match number(last) {
            Some(Ok(count)) => length.saturating_sub(count)..length,
            _ => return Wanted::All,
        },
        (first, "") => match number(first) {
            Some(Ok(first)) => first..length,
            _ => return Wanted::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(Ok(first)), Some(Ok(last))) if first <= last => first..length.min(last.saturating_add(1)),
            _ => return Wanted::All,
        },
    };
    if part.is_empty() { Wanted::Outside } else { Wanted::Part(part) }
}

/// Whether `If-None-Match` names this content.
pub(crate) fn is_known(if_none_match: Option<&str>, tag: &str) -> bool {
    let Some(list) = if_none_match else {
        return false;
    };
    list.trim() == "*" || list.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges() {
        assert_eq!(parse("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(parse("bytes=2-5", 10), Wanted::Part(2..6));
        assert_eq!(parse("bytes=5-", 10), Wanted::Part(5..10));
        assert_eq!(parse("bytes=5-99", 10), Wanted::Part(5..10));
        assert_eq!(parse("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(parse("bytes=-99", 10), Wanted::Part(0..10));
        assert_eq!(parse("bytes=9-18446744073709551615", 10), Wanted::Part(9..10));
    }

    #[test]
    fn parts_that_are_not_there() {
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0"] {
            assert_eq!(parse(range, 10), Wanted::Outside, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Outside);
        assert_eq!(parse("bytes=-1", 0), Wanted::Outside);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
            "bytes=1 -2",
        ] {
            assert_eq!(parse(range, 10), Wanted::All, "{range}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for known in ["\"a\"", "*", " \"b\" , W/\"a\"", "W/\"a\""] {
            assert!(is_known(Some(known), "\"a\""), "{known}");
        }
        for other in ["a", "\"b\"", "", "\"a"] {
            assert!(!is_known(Some(other), "\"a\""), "{other}");
        }
        assert!(!is_known(None, "\"a\""));
    }
}
