//! How long a client waits for a cell, where it says so: `Prefer: wait=N` of RFC 7240, in seconds; beyond
//! the RFC also with up to three decimals, as most waits here are shorter than a second.
//!
//! It only ever shortens what the gene allows; looked at only for a request that has to wait.

use std::fmt;

use cyte_organism::Nanos;
use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How a request waits for a cell, beyond what its gene and its client say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait<'a> {
    /// No longer than that.
    pub most: Option<Nanos>,
    /// Where else it may go.
    pub way_out: Option<WayOut<'a>>,
}

/// Somewhere else to go for a request that waits: it stays in the queue, at its place, until it has
/// waited for so long and the way is open.
#[derive(Clone, Copy)]
pub struct WayOut<'a> {
    /// How long it waits at least.
    pub after: Nanos,
    /// Whether it may leave now. Asked a few times; never waits.
    pub is_open: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for WayOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WayOut").field("after", &self.after).finish_non_exhaustive()
    }
}

/// How long one request waits for a cell, where that is less than its gene allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    headers: &'a HeaderMap,
    wait: Wait<'a>,
}

impl<'a> Patience<'a> {
    /// As long as the client says in `headers`, and as `wait` says.
    pub(super) fn new(headers: &'a HeaderMap, wait: Wait<'a>) -> Self {
        Self { headers, wait }
    }

    /// Reads the headers: only where the request does have to wait.
    pub(super) fn read(self) -> Wait<'a> {
        let asked = preferred_wait(self.headers);
        Wait { most: asked.into_iter().chain(self.wait.most).min(), ..self.wait }
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
        let read = |headers, most| Patience::new(headers, Wait { most, way_out: None }).read().most;
        assert_eq!((read(&none, None), read(&none, ms(3))), (None, ms(3)));
        assert_eq!((read(&some, ms(50)), read(&some, ms(200))), (ms(50), ms(100)));
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
