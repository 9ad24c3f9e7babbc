//! From what a gene answered, or a refusal, to what the client gets.
//!
//! Bodies are streamed and counted, never collected. A body that fails half-way cuts the
//! connection (HTTP/1) or resets the stream (HTTP/2): a clean end would tell the client that it
//! has everything. Fields that belong to the connection are the host's, not the gene's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::limits;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::admission::strip_connection_fields;
use crate::cell::CellBody;
use crate::refusal::Refusal;
use crate::stream::{Seen, note};
use crate::ticket::Ticket;
use crate::upload::Verdict;

/// What a gene's tissue gave, with the fate of the request body beside it.
pub(crate) struct Answer {
    pub(crate) response: Response<CellBody>,
    pub(crate) upload: Option<Arc<Verdict>>,
}

/// Makes the response. The ticket travels with its body and is settled with it.
pub(crate) async fn respond(mut ticket: Ticket, outcome: Result<Answer, Refusal>) -> Response<Outgoing> {
    let prepared = outcome.and_then(|answer| Prepared::of(answer, ticket.is_head));
    let Prepared { head, body, left, upload } = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => return refuse(ticket, refusal),
    };
    ticket.answered(head.status, None);
    let content = if has_no_body(head.status, ticket.is_head) {
        finish_unseen(body).await;
        Content::Nothing
    } else {
        Content::Cell { body }
    };
    if content.is_end_stream() {
        ticket.completed();
    }
    Response::from_parts(head, Outgoing { content, left, upload, ticket })
}

fn refuse(mut ticket: Ticket, refusal: Refusal) -> Response<Outgoing> {
    let (mut head, text) = refusal.response(ticket.id, ticket.form).into_parts();
    ticket.answered(head.status, Some(refusal));
    let content = if ticket.is_head {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        Content::Nothing
    } else {
        Content::Text { text: Some(text) }
    };
    Response::from_parts(head, Outgoing { content, left: None, upload: None, ticket })
}

/// A gene's answer after the checks.
struct Prepared {
    head: http::response::Parts,
    body: CellBody,
    /// Bytes that the gene announced; `None` where the body's own length is exact or unknown.
    left: Option<u64>,
    upload: Option<Arc<Verdict>>,
}

impl Prepared {
    fn of(answer: Answer, is_head: bool) -> Result<Self, Refusal> {
        let (mut head, body) = answer.response.into_parts();
        if !(200..600).contains(&head.status.as_u16()) {
            return Err(Refusal::CellAnswer);
        }
        strip_connection_fields(&mut head.headers);
        let announced = announced_length(&mut head.headers);
        let exact = body.size_hint().exact();
        if has_no_body(head.status, is_head) {
            frame_without_body(&mut head, announced, exact, is_head);
            return Ok(Prepared { head, body, left: None, upload: None });
        }
        match (announced, exact) {
            (Some(announced), Some(exact)) if announced != exact => Err(Refusal::CellAnswer),
            (left, None) => Ok(Prepared { head, body, left, upload: answer.upload }),
            _ => Ok(Prepared { head, body, left: None, upload: answer.upload }),
        }
    }
}

/// Whether HTTP gives such a response no body.
fn has_no_body(status: StatusCode, is_head: bool) -> bool {
    is_head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// HEAD says how long the body would have been; 204 must not say anything.
fn frame_without_body(
    head: &mut http::response::Parts,
    announced: Option<u64>,
    exact: Option<u64>,
    is_head: bool,
) {
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(header::CONTENT_LENGTH);
    } else if let (true, None, Some(exact)) = (is_head, announced, exact)
        && head.status != StatusCode::NOT_MODIFIED
    {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(exact));
    }
}

/// The Content-Length of the gene. One that is not a number, or several that differ, is removed:
/// the host frames the body itself then.
fn announced_length(headers: &mut HeaderMap) -> Option<u64> {
    let first = headers.get(header::CONTENT_LENGTH)?.clone();
    let agree = headers.get_all(header::CONTENT_LENGTH).iter().all(|value| value == first);
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok()).filter(|_| agree);
    match length {
        Some(_) => headers.insert(header::CONTENT_LENGTH, first),
        None => headers.remove(header::CONTENT_LENGTH),
    };
    length
}

/// Lets the gene come to its end although nobody will see the body: dropping it now would
/// cancel the call. Bounded; a body that goes on is dropped.
async fn finish_unseen(body: CellBody) {
    let mut body = std::pin::pin!(body);
    let mut seen = 0_u64;
    let reading = async {
        while seen <= limits::UNSEEN_BODY_BYTES && !body.is_end_stream() {
            match std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len) as u64);
                }
                Some(Err(_)) | None => return,
            }
        }
    };
    // Either it ended or it is dropped here; the client gets the same head.
    let _ = tokio::time::timeout(Duration::from_millis(limits::UNSEEN_BODY_MS), reading).await;
}

/// Why a response was cut off in the middle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// The gene trapped, ran out of a budget or gave an error.
    #[error("the gene's response body failed")]
    Cell(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The gene wrote more than it announced.
    #[error("the gene wrote more than its content-length")]
    TooLong,
    /// The gene wrote less than it announced.
    #[error("the gene wrote less than its content-length")]
    TooShort,
    /// The request body was refused while the response was under way.
    #[error("the request body was refused during the response")]
    Upload,
}

impl Cut {
    fn from_cell(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Cut::Cell(error.into())
    }
}

pin_project! {
    /// A response body on its way to the client.
    pub(crate) struct Outgoing {
        #[pin]
        content: Content,
        left: Option<u64>,
        upload: Option<Arc<Verdict>>,
        ticket: Ticket,
    }
}

pin_project! {
    #[project = ContentOf]
    enum Content {
        Cell { #[pin] body: CellBody },
        Text { text: Option<Bytes> },
        Nothing,
    }
}

impl Content {
    fn is_end_stream(&self) -> bool {
        match self {
            Content::Cell { body } => body.is_end_stream(),
            Content::Text { text } => text.is_none(),
            Content::Nothing => true,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut me = self.project();
        if me.upload.as_ref().is_some_and(|upload| upload.refusal().is_some()) {
            return Poll::Ready(Some(Err(Cut::Upload)));
        }
        let polled = match me.content.as_mut().project() {
            ContentOf::Cell { body } => body.poll_frame(cx),
            ContentOf::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ContentOf::Nothing => Poll::Ready(None),
        };
        note(if polled.is_ready() { Seen::Moves } else { Seen::WaitsForCell });
        let outcome = match std::task::ready!(polled) {
            Some(Ok(frame)) => meter(me.left, me.ticket, frame).map(Some),
            Some(Err(error)) => Err(Cut::from_cell(error)),
            None if me.left.is_some_and(|left| left > 0) => Err(Cut::TooShort),
            None => Ok(None),
        };
        if let Err(cut) = &outcome {
            tracing::debug!(request = %me.ticket.id, %cut, "response cut off");
        } else if me.content.is_end_stream() && me.left.is_none_or(|left| left == 0) {
            me.ticket.completed();
        }
        Poll::Ready(outcome.transpose())
    }

    fn is_end_stream(&self) -> bool {
        // A body that is shorter than announced must not look as if it had ended: it will be
        // polled once more and fail.
        self.content.is_end_stream() && self.left.is_none_or(|left| left == 0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Cell { body } => body.size_hint(),
            Content::Text { text } => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Content::Nothing => SizeHint::with_exact(0),
        }
    }
}

fn meter(left: &mut Option<u64>, ticket: &mut Ticket, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Cut> {
    let bytes = frame.data_ref().map_or(0, Bytes::len);
    if let Some(left) = left {
        *left = left.checked_sub(bytes as u64).ok_or(Cut::TooLong)?;
    }
    ticket.sent(bytes);
    Ok(frame)
}
