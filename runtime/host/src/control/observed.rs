//! Questions about what was observed: the records since a time, across restarts, and the view.
//!
//! The file is read on a thread that may wait; a follower costs a number between its pages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cyte_organism::phenotype::{Record, View};
use cyte_store::{Begin, Listening, PhenotypeStore, StoreError};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::query::Query;
use super::reply::{Body, Follower, failed, followed, line, object};
use crate::codes::Code;
use crate::error::CliError;
use crate::record::{Recorder, value};

/// How often it is looked whether the store is open, ...
const OPENING_LOOKS: u32 = 200;
/// ... and how long after one another: two seconds in all.
const OPENING: Duration = Duration::from_millis(10);

/// An answer to `GET /v1/events?since=MS`, one record a line.
pub(super) async fn events(recorder: &Recorder, query: &Query) -> Response<Body> {
    match store(recorder).await.and_then(|store| Reading::begin(store, query)) {
        Ok(reading) => followed(reading),
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

/// An answer to `GET /v1/phenotype`.
pub(super) async fn view(recorder: &Recorder) -> Response<Body> {
    let answer = store(recorder).await.and_then(|store| {
        let (newest, digest) = store.fingerprint().map_err(|error| unreadable(&error.to_string()))?;
        let condition = recorder.condition();
        let hosts = store.view(hosts);
        Ok(json!({"v": 1, "newest": newest, "digest": digest.to_string(), "kept": condition, "hosts": hosts}))
    });
    match answer {
        Ok(value) => object(&value),
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

fn hosts(view: &View) -> Vec<Value> {
    let one = |(id, host): (_, &cyte_organism::phenotype::Host)| {
        let tissues: Vec<Value> = host
            .tissues()
            .map(|(gene, tissue)| {
                let counts = tissue.counts();
                json!({
                    "gene": gene.map(|gene| gene.as_str()),
                    "alive": counts.alive,
                    "dying": counts.dying,
                    "totals": tissue.totals,
                })
            })
            .collect();
        json!({
            "host": format!("{id}"),
            "epoch": host.epoch,
            "heard_ms": host.heard_ms,
            "is_up": host.is_up(),
            "tissues": tissues,
        })
    };
    view.hosts().map(one).collect()
}

/// The open store. Who asks while a host starts waits a moment for it.
async fn store(recorder: &Recorder) -> Result<Arc<PhenotypeStore>, CliError> {
    for _ in 0..OPENING_LOOKS {
        if let Some(store) = recorder.store() {
            return Ok(Arc::clone(store));
        }
        if let Some(why) = recorder.condition().failing {
            return Err(unreadable(&why));
        }
        tokio::time::sleep(OPENING).await;
    }
    Err(unreadable("the file is still being opened"))
}

fn unreadable(why: &str) -> CliError {
    CliError::new(Code::State, "cannot read what was observed", why)
        .help("cyte events shows what happened since the host started")
}

/// The records since some moment, page by page.
struct Reading {
    store: Arc<PhenotypeStore>,
    begin: Begin,
    /// What wakes a follower; none for one who wants what there is.
    news: Option<(watch::Receiver<u64>, Listening)>,
}

impl Reading {
    fn begin(store: Arc<PhenotypeStore>, query: &Query) -> Result<Self, CliError> {
        let begin = Begin::Since(query.since.unwrap_or(0));
        let mut news = None;
        if query.follow {
            let (newest, receiver) = watch::channel(0);
            let wake = Arc::new(move |number| {
                newest.send_replace(number);
            });
            let listening = store.listen(wake).map_err(|error| unreadable(&error.to_string()))?;
            news = Some((receiver, listening));
        }
        Ok(Self { store, begin, news })
    }

    async fn page(&self) -> Result<Vec<(u64, Record)>, CliError> {
        let (store, begin) = (Arc::clone(&self.store), self.begin);
        let read = tokio::task::spawn_blocking(move || store.events(begin)).await;
        let read = read.unwrap_or_else(|_| Err(StoreError::Io("the host stops".into())));
        read.map_err(|error| unreadable(&error.to_string()))
    }

    fn text(&self, page: &[(u64, Record)]) -> Vec<u8> {
        let mut text = Vec::new();
        let first = page.first().map_or(0, |(number, _)| *number);
        if let Begin::After(seen) = self.begin
            && let missed @ 1.. = first.saturating_sub(seen.saturating_add(1))
        {
            text.extend_from_slice(&line(&json!({"v": 1, "missed": missed})));
        }
        for (number, record) in page {
            text.extend_from_slice(&line(&value(*number, record)));
        }
        text
    }
}

impl Follower for Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        loop {
            if let Some((news, _)) = &mut self.news {
                news.mark_unchanged();
            }
            let page = self.page().await?;
            if let Some((last, _)) = page.last() {
                let text = self.text(&page);
                self.begin = Begin::After(*last);
                return Ok(Some(Bytes::from(text)));
            }
            let Some((news, _)) = &mut self.news else { return Ok(None) };
            if news.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
