//! Questions about what is wanted, following it, and the two writes: apply and delete.
//!
//! Writes wait for the disk, so that they are done on a thread that may.

use std::sync::Arc;

use bytes::Bytes;
use cyte_dna::GeneName;
use cyte_organism::wish::Definition;
use cyte_store::{Change, Listening, News, Watcher};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::HostView;
use super::query::{Query, unescape};
use super::reply::{Body, Follower, answered, failed, followed, line};
use crate::codes::Code;
use crate::error::CliError;
use crate::wishes::{FILE_MAX, Wishes, definition_value};

/// What a host wants of its genes, and who may change it.
pub trait WishView: Send + Sync + 'static {
    /// What is wanted.
    fn wishes(&self) -> &Wishes;

    /// Takes all wishes of a file, or none, on behalf of user `uid`; durable, audited and in force
    /// when it returns. Faults are shown with file name `name`.
    ///
    /// # Errors
    /// `Code::Wish` for a fault, `Code::Envelope` for what the DNA does not allow, `Code::State` when
    /// it cannot be kept.
    fn apply(&self, uid: u32, name: &str, text: &str) -> Result<Value, CliError>;

    /// What all wishes of a file would come to; changes nothing.
    ///
    /// # Errors
    /// As [`WishView::apply`].
    fn plan(&self, name: &str, text: &str) -> Result<Value, CliError>;

    /// Why there are as many cells of a gene, or of each gene, as there are.
    ///
    /// # Errors
    /// `Code::Unknown` for a gene that the DNA does not have.
    fn why(&self, gene: Option<&str>) -> Result<Value, CliError>;

    /// Forgets what operators wish for a gene.
    ///
    /// # Errors
    /// `Code::Wish` when they wish nothing, `Code::State` when it cannot be kept.
    fn delete_wish(&self, uid: u32, gene: &str) -> Result<Value, CliError>;
}

/// An answer to `GET /v1/wishes...`.
pub(super) fn read(steps: &[&str], query: &Query, view: &dyn HostView) -> Response<Body> {
    let wishes = view.wishes();
    let answer = match steps {
        [] if query.history => wishes.history(query.gene.as_deref()),
        [] if !query.words.is_empty() => wishes.search(&query.words),
        [] => Ok(wishes.all()),
        [gene] => wishes.get(&unescape(gene)),
        _ => Err(CliError::new(Code::Control, "cannot answer about wishes", "there is no such question")),
    };
    answered(answer, StatusCode::NOT_FOUND)
}

/// An answer to `GET /v1/why` and `GET /v1/why/GENE`.
pub(super) fn why(steps: &[&str], view: &dyn HostView) -> Response<Body> {
    let gene = steps.first().map(|gene| unescape(gene));
    answered(view.why(gene.as_deref()), StatusCode::NOT_FOUND)
}

/// An answer to `POST /v1/wishes`, to the same with `?plan`, and `DELETE /v1/wishes/GENE`.
pub(super) async fn write(
    method: &Method,
    steps: &[&str],
    query: Query,
    body: Incoming,
    view: Arc<dyn HostView>,
    uid: u32,
) -> Response<Body> {
    let text = match Limited::new(body, FILE_MAX + 1).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let why = format!("it is longer than {FILE_MAX} bytes, or ended early");
            return failed(
                StatusCode::PAYLOAD_TOO_LARGE,
                &CliError::new(Code::Wish, "cannot take the file", why),
            );
        }
    };
    let gene = match (method, steps) {
        (&Method::POST, []) => None,
        (&Method::DELETE, [gene]) => Some(unescape(gene)),
        _ => {
            let error = CliError::new(Code::Control, "cannot change wishes so", "there is no such question");
            return failed(StatusCode::NOT_FOUND, &error);
        }
    };
    let name = query.file.unwrap_or_else(|| "-".to_owned());
    let work = move || match gene {
        Some(gene) => view.delete_wish(uid, &gene),
        None if query.plan => view.plan(&name, &text_of(&text)?),
        None => view.apply(uid, &name, &text_of(&text)?),
    };
    let stopping = |_| Err(CliError::new(Code::Control, "cannot keep the wish", "the host stops"));
    answered(tokio::task::spawn_blocking(work).await.unwrap_or_else(stopping), StatusCode::BAD_REQUEST)
}

fn text_of(bytes: &Bytes) -> Result<String, CliError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| CliError::new(Code::Wish, "cannot read the wishes", "they are not text"))
}

/// An answer to `GET /v1/wishes?follow=1[&after=REVISION][&gene=GENE]`: what changes in the gene store,
/// one object a line, for as long as the peer listens.
///
/// Without a revision the first line is all that is wanted at one revision. So is the next line for
/// whoever was so slow that changes are forgotten: nothing is ever missed without a word.
pub(super) async fn follow(query: &Query, view: Arc<dyn HostView>) -> Response<Body> {
    match Following::begin(view.wishes(), query) {
        Ok(following) => followed(following),
        Err(error) => failed(StatusCode::BAD_REQUEST, &error),
    }
}

/// One who follows the gene store.
struct Following {
    /// Away while it reads.
    watcher: Option<Watcher>,
    news: watch::Receiver<u64>,
    _listening: Listening,
    gene: Option<GeneName>,
    /// What is said first.
    first: Option<Bytes>,
}

impl Following {
    fn begin(wishes: &Wishes, query: &Query) -> Result<Self, CliError> {
        let gene = query.gene.as_deref().map(|gene| wishes.known(gene)).transpose()?;
        let (newest, news) = watch::channel(0);
        let listening = wishes.listen(Arc::new(move |revision| {
            newest.send_replace(revision);
        }))?;
        // Listening came first, so that no change falls between the two.
        let (watcher, first) = match query.after {
            Some(after) => (wishes.watch(after), None),
            None => {
                let (revision, all) = wishes.definitions();
                (wishes.watch(revision), Some(line(&resync(revision, &all, gene.as_ref()))))
            }
        };
        Ok(Self { watcher: Some(watcher), news, _listening: listening, gene, first })
    }

    fn lines(&self, changes: &[Change]) -> Vec<u8> {
        let wanted =
            changes.iter().filter(|change| self.gene.as_ref().is_none_or(|gene| *gene == change.gene));
        let mut text = Vec::new();
        for change in wanted {
            let mut value = json!(change);
            if let Some(object) = value.as_object_mut() {
                object.insert("v".into(), 1.into());
            }
            text.extend_from_slice(&line(&value));
        }
        text
    }
}

impl Follower for Following {
    async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            self.news.mark_unchanged();
            let Some(mut watcher) = self.watcher.take() else { return Ok(None) };
            let read = tokio::task::spawn_blocking(move || (watcher.poll(), watcher)).await;
            let Ok((news, watcher)) = read else { return Ok(None) };
            self.watcher = Some(watcher);
            let text = match news.map_err(|error| unfollowed(&error.to_string()))? {
                News::Nothing => {
                    if self.news.changed().await.is_err() {
                        return Ok(None);
                    }
                    continue;
                }
                News::Resync { revision, all } => line(&resync(revision, &all, self.gene.as_ref())).to_vec(),
                News::Changes(changes) => self.lines(&changes),
            };
            if !text.is_empty() {
                return Ok(Some(Bytes::from(text)));
            }
        }
    }
}

/// All that is wanted at one revision, of all genes or of one.
fn resync(revision: u64, all: &[Definition], gene: Option<&GeneName>) -> Value {
    let wanted = all.iter().filter(|definition| gene.is_none_or(|gene| *gene == definition.wish.gene));
    let wanted: Vec<Value> = wanted.map(definition_value).collect();
    json!({"v": 1, "revision": revision, "definitions": wanted})
}

fn unfollowed(why: &str) -> CliError {
    CliError::new(Code::State, "cannot follow what is wanted", why).help("cyte get -f begins anew")
}
