//! Questions about what is wanted, and the two writes: apply and delete.
//!
//! Writes wait for the disk, so that they are done on a thread that may.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::HostView;
use super::server::{Body, Query, answered, failed, unescape};
use crate::codes::Code;
use crate::error::CliError;
use crate::wishes::{FILE_MAX, Wishes};

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

/// An answer to `POST /v1/wishes` and `DELETE /v1/wishes/GENE`.
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
        None => view.apply(uid, &name, &text_of(&text)?),
    };
    let stopping = |_| Err(CliError::new(Code::Control, "cannot keep the wish", "the host stops"));
    answered(tokio::task::spawn_blocking(work).await.unwrap_or_else(stopping), StatusCode::BAD_REQUEST)
}

fn text_of(bytes: &Bytes) -> Result<String, CliError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| CliError::new(Code::Wish, "cannot read the wishes", "they are not text"))
}
