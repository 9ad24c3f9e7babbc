//! How long a client waits for a cell, where it says so: `Prefer: wait=N` of RFC 7240, in seconds; beyond
//! the RFC also with up to three decimals, as most waits here are shorter than a second.
//!
//! It only ever shortens what the gene allows; looked at only for a request that has to wait.

use cyte_organism::Nanos;
use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How long one request waits for a cell, where that is less than its gene allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    headers: &'a HeaderMap,
    most: Option<Nanos>,
}

impl<'a> Patience<'a> {
    /// As long as the client says in `headers`, and no longer than `most`.
    pub(super) fn new(headers: &'a HeaderMap, most: Option<Nanos>) -> Self {
        Self { headers, most }
    }

    /// Reads the headers: only where the request does have to wait.
    pub(super) fn read(self) -> Option<Nanos> {
        let asked = preferred_wait(self.headers);
        asked.into_iter().chain(self.most).min()
    }
}

/// The first `wait` among the preferences; what cannot be read is no preference, as the RFC wants.
#[must_use]
pub fn preferred_wait(headers: &HeaderMap) -> Option<Nanos> {
    let values = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|preference| {
        // A preference may have parameters behind semicolons.
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        millis(value.trim().trim_matches('"')).map(Nanos::from_millis)
    })
}

/// The milliseconds of `2` or `0.25`.
fn millis(text: &str) -> Option<u64> {
    let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(part) || part.len() > 3 {
        return None;
    }
    let scale = [100, 10, 1].get(part.len() - 1)?;
    let seconds = seconds.parse::<u64>().ok()?.saturating_mul(1_000);
    Some(seconds.saturating_add(part.parse::<u64>().ok()? * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Nanos> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, value.parse().unwrap());
        }
        preferred_wait(&headers)
    }

    #[test]
    fn the_shorter_of_two_waits_counts() {
        let (none, mut some) = (HeaderMap::new(), HeaderMap::new());
        some.insert(PREFER, "wait=0.1".parse().unwrap());
        let ms = |ms| Some(Nanos::from_millis(ms));
        assert_eq!((Patience::new(&none, None).read(), Patience::new(&none, ms(3)).read()), (None, ms(3)));
        assert_eq!(Patience::new(&some, ms(50)).read(), ms(50));
        assert_eq!(Patience::new(&some, ms(200)).read(), ms(100));
    }

    #[test]
    fn the_first_wait_counts_and_nonsense_does_not() {
        let seconds = |seconds: u64| Some(Nanos::from_millis(seconds * 1_000));
        assert_eq!(of(&["wait=2"]), seconds(2));
        assert_eq!(of(&["respond-async, Wait = \"3\"; x=1", "wait=9"]), seconds(3));
        assert_eq!(of(&["return=minimal", "wait=0"]), seconds(0));
        assert_eq!(of(&["wait=0.25"]), Some(Nanos::from_millis(250)));
        assert_eq!(of(&["wait=1.5"]), Some(Nanos::from_millis(1_500)));
        assert_eq!(of(&["wait=.5, wait=0.0001"]), None);
        for nothing in [&[][..], &["wait"], &["wait=-1"], &["wait=x"], &["waits=1"], &["wait="]] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
        assert!(of(&["wait=18446744073709551615"]).is_some());
    }
}
