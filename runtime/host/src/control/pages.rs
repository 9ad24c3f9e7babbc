//! Lists of a running host that only grow, its events and its guests' lines: a page of one, or each entry
//! as it comes.

use std::sync::Arc;

use bytes::Bytes;
use cyte_dna::limits;
use futures_util::stream;
use http::Response;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

use super::query::Query;
use super::reply::{Body, lines_of, object};
use crate::ring::Ring;

/// How many entries one answer holds.
const PAGE: usize = limits::CONTROL_PAGE;

/// One page of a ring, or every entry a line for as long as the peer listens.
pub(super) fn entries<L, T>(
    name: &'static str,
    log: Arc<L>,
    ring: fn(&L) -> &Ring<T>,
    keep: impl Fn(&T) -> bool + Send + Sync + 'static,
    query: &Query,
) -> Response<Body>
where
    L: Send + Sync + 'static,
    T: Clone + Serialize + Send + Sync + 'static,
{
    let start = match (query.after, query.tail) {
        (Some(after), _) => after,
        // A filtered tail must look at everything and cut afterwards.
        (None, Some(tail)) if query.gene.is_none() => ring(&log).before_last(tail),
        _ => 0,
    };
    if !query.follow {
        let page = ring(&log).after(start, usize::MAX);
        let mut all: Vec<_> =
            page.entries.into_iter().map(|(_, entry)| entry).filter(|entry| keep(entry)).collect();
        let surplus = all.len().saturating_sub(query.tail.unwrap_or(PAGE).min(PAGE));
        all.drain(..surplus);
        return object(&json!({"v": 1, name: all, "missed": page.missed, "last": page.last}));
    }
    let following = Following { follower: ring(&log).follow(), log, ring, keep, seen: start };
    lines_of(stream::unfold(following, |mut following| async move {
        let chunk = following.next().await?;
        Some((chunk, following))
    }))
}

/// One reader that stays.
struct Following<L, T, K> {
    log: Arc<L>,
    ring: fn(&L) -> &Ring<T>,
    keep: K,
    follower: watch::Receiver<u64>,
    seen: u64,
}

impl<L, T: Clone + Serialize, K: Fn(&T) -> bool> Following<L, T, K> {
    /// The next entries as lines; waits while there are none.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.follower.mark_unchanged();
            let page = (self.ring)(&self.log).after(self.seen, PAGE);
            self.seen = page.last;
            let text = lines(&page.entries, page.missed, &self.keep);
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
            if page.entries.is_empty() {
                self.follower.changed().await.ok()?;
            }
        }
    }
}

fn lines<T: Serialize>(entries: &[(u64, T)], missed: u64, keep: impl Fn(&T) -> bool) -> Vec<u8> {
    let mut text = Vec::new();
    if missed > 0 {
        text.extend(json!({"v": 1, "missed": missed}).to_string().bytes());
        text.push(b'\n');
    }
    for entry in entries.iter().map(|(_, entry)| entry).filter(|entry| keep(entry)) {
        if serde_json::to_writer(&mut text, entry).is_ok() {
            text.push(b'\n');
        }
    }
    text
}
