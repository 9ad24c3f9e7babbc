//! A request that found no room on this host, and the other hosts that may have some.
//!
//! Only genes whose mount has a way to other hosts come here, and only requests that no cell had
//! anything of: what was begun is never begun again. Such a request waits here, at its place in the queue,
//! for at least half of its wait, and on while no other host seems to have room; what is left is for
//! finding a host that takes it. Its body goes whole, so it must be short and its length known; anything
//! else hears what it heard without other hosts, 503.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cyte_engine::{CallError, CallFacts, Unserved, preferred_wait};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::cell::{CellBody, whole};
use crate::refusal::Refusal;

/// An answer from another host: its whole body and what follows it.
#[derive(Debug)]
pub struct Whole {
    /// The body.
    pub bytes: Bytes,
    /// The fields after it.
    pub trailers: Option<HeaderMap>,
}

/// Why there is no answer from another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotElsewhere {
    /// No host took it; nothing of it was begun.
    NobodyTookIt,
    /// A host took it, and this came of it.
    Refused(Refusal),
}

/// What becomes of a request that goes to another host.
pub type Going<'a> = Pin<Box<dyn Future<Output = Result<Response<Whole>, NotElsewhere>> + Send + 'a>>;

/// The way of one gene's requests to other hosts.
pub trait Elsewhere: Send + Sync {
    /// How long a request of this gene waits in all; `None` where it may not leave this host. Asked for
    /// every request: never waits.
    fn wait(&self) -> Option<Duration>;
    /// Whether another host seems to have room. Never waits.
    fn has_room(&self) -> bool;
    /// Bytes of a body that can go.
    fn body_max(&self) -> usize;
    /// Sends a request to a host that has room for it within `left`, and brings its answer back.
    fn go(&self, request: Request<Bytes>, facts: CallFacts, left: Duration) -> Going<'_>;
}

/// What is decided when a request comes, for the case that there is no room.
pub(crate) struct Trip<'a> {
    elsewhere: &'a dyn Elsewhere,
    came: Instant,
    wait: Duration,
}

impl<'a> Trip<'a> {
    /// `None` where the request is this host's alone.
    pub(crate) fn plan(
        elsewhere: Option<&'a dyn Elsewhere>,
        headers: &HeaderMap,
        body: &impl Body,
    ) -> Option<Self> {
        let elsewhere = elsewhere?;
        let allowed = elsewhere.wait()?;
        // What cannot go waits here for all of its time.
        length_of(body, elsewhere.body_max())?;
        let asked = preferred_wait(headers).map(|wait| Duration::from_nanos(wait.0));
        let wait = asked.map_or(allowed, |asked| asked.min(allowed));
        Some(Self { elsewhere, came: Instant::now(), wait })
    }

    /// How long it waits here at least.
    pub(crate) fn here(&self) -> Duration {
        self.wait / 2
    }

    /// Whether there is somewhere to go.
    pub(crate) fn is_open(&self) -> bool {
        self.elsewhere.has_room()
    }

    /// Takes the request to another host, where it may go.
    pub(crate) async fn go<B>(
        self,
        unserved: Unserved<B>,
        facts: CallFacts,
    ) -> Result<Response<CellBody>, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Unserved { error, request } = unserved;
        let refusal = Refusal::from(&error);
        let may_go = matches!(error, CallError::Saturated | CallError::WaitedTooLong) && self.is_open();
        let Some(request) = request.filter(|_| may_go) else { return Err(refusal) };
        let until = self.came + self.wait;
        let (head, body) = request.into_parts();
        let reading = read(body, self.elsewhere.body_max());
        let Ok(Some(body)) = tokio::time::timeout_at(until, reading).await else { return Err(refusal) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refusal);
        }
        match self.elsewhere.go(Request::from_parts(head, body), facts, left).await {
            Ok(response) => Ok(response.map(|Whole { bytes, trailers }| whole(bytes, trailers))),
            Err(NotElsewhere::NobodyTookIt) => Err(refusal),
            Err(NotElsewhere::Refused(refusal)) => Err(refusal),
        }
    }
}

/// The whole body, where its length is known and at most `most`.
async fn read<B>(mut body: B, most: usize) -> Option<Bytes>
where
    B: Body<Data = Bytes> + Unpin,
{
    let length = length_of(&body, most)?;
    let mut read = BytesMut::with_capacity(length);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            read.extend_from_slice(&data);
        }
    }
    (read.len() == length).then(|| read.freeze())
}

/// The length of a body, where it is known and at most `most`.
fn length_of(body: &impl Body, most: usize) -> Option<usize> {
    if body.is_end_stream() {
        return Some(0);
    }
    usize::try_from(body.size_hint().exact()?).ok().filter(|length| *length <= most)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use cyte_engine::RequestId;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    /// Other hosts that answer with what they were brought, or not at all.
    struct Others {
        wait: Option<Duration>,
        has_room: bool,
        fails: Option<NotElsewhere>,
        brought: Mutex<Vec<(String, Bytes)>>,
    }

    impl Others {
        fn new(wait: Option<u64>, fails: Option<NotElsewhere>) -> Self {
            Self { wait: wait.map(Duration::from_millis), has_room: true, fails, brought: Mutex::default() }
        }
    }

    impl Elsewhere for Others {
        fn wait(&self) -> Option<Duration> {
            self.wait
        }

        fn has_room(&self) -> bool {
            self.has_room
        }

        fn body_max(&self) -> usize {
            4
        }

        fn go(&self, request: Request<Bytes>, _facts: CallFacts, left: Duration) -> Going<'_> {
            assert!(left <= self.wait.unwrap());
            Box::pin(async move {
                if let Some(fails) = self.fails {
                    return Err(fails);
                }
                let (head, bytes) = request.into_parts();
                self.brought.lock().unwrap().push((head.uri.to_string(), bytes.clone()));
                Ok(Response::new(Whole { bytes, trailers: None }))
            })
        }
    }

    fn facts() -> CallFacts {
        CallFacts { id: RequestId(1), scheme: http::uri::Scheme::HTTP, is_background: false }
    }

    async fn send(
        others: &Others,
        error: CallError,
        body: &'static str,
    ) -> Result<Response<CellBody>, Refusal> {
        let request = Request::post("http://a/b").body(Full::new(Bytes::from(body))).unwrap();
        let trip = plan(others, request.headers()).unwrap();
        trip.go(Unserved::whole(error, request), facts()).await
    }

    fn plan<'a>(others: &'a Others, headers: &HeaderMap) -> Option<Trip<'a>> {
        Trip::plan(Some(others), headers, &Full::new(Bytes::new()))
    }

    #[tokio::test]
    async fn what_found_no_room_goes_whole_and_its_answer_comes_back() {
        let others = Others::new(Some(5_000), None);
        let answer = send(&others, CallError::Saturated, "four").await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "four");
        assert!(send(&others, CallError::WaitedTooLong, "").await.is_ok());
        let brought = others.brought.lock().unwrap();
        assert_eq!(brought[0], ("http://a/b".to_owned(), Bytes::from("four")));
        assert_eq!(brought.len(), 2);
    }

    #[tokio::test]
    async fn what_is_long_of_unknown_length_or_was_begun_stays() {
        let others = Others::new(Some(5_000), None);
        let saturated = Refusal::Saturated { retry_after_s: 1 };
        let long = send(&others, CallError::Saturated, "longer").await;
        assert_eq!(long.err(), Some(saturated));
        let trapped = send(&others, CallError::Trapped(String::new()), "").await;
        assert_eq!(trapped.err(), Some(Refusal::CellTrapped));
        let frames = [Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from("x")))];
        let request = Request::new(StreamBody::new(futures_util::stream::iter(frames)));
        assert!(Trip::plan(Some(&others), request.headers(), request.body()).is_none());
        let trip = plan(&others, request.headers()).unwrap();
        let unknown = trip.go(Unserved::whole(CallError::Saturated, request), facts()).await;
        assert_eq!(unknown.err(), Some(saturated));
        let trip = plan(&others, &HeaderMap::new()).unwrap();
        let begun = trip.go(Unserved::<Full<Bytes>>::seen(CallError::WaitedTooLong), facts()).await;
        assert_eq!(begun.err(), Some(Refusal::WaitedTooLong { retry_after_s: 1 }));
        assert!(others.brought.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_nobody_took_hears_what_it_would_have_heard_here() {
        let others = Others::new(Some(5_000), Some(NotElsewhere::NobodyTookIt));
        let refused = send(&others, CallError::WaitedTooLong, "").await;
        assert_eq!(refused.err(), Some(Refusal::WaitedTooLong { retry_after_s: 1 }));
        let others = Others::new(Some(5_000), Some(NotElsewhere::Refused(Refusal::HostLost)));
        assert_eq!(send(&others, CallError::Saturated, "").await.err(), Some(Refusal::HostLost));
        let others = Others::new(Some(0), None);
        assert!(send(&others, CallError::Saturated, "").await.is_err(), "no time is left");
        let others = Others { has_room: false, ..Others::new(Some(5_000), None) };
        assert!(send(&others, CallError::Saturated, "").await.is_err(), "at once");
    }

    #[test]
    fn it_waits_here_for_half_of_what_client_and_gene_allow() {
        let mut headers = HeaderMap::new();
        let others = Others::new(Some(100), None);
        let here = |headers: &HeaderMap| plan(&others, headers).map(|trip| trip.here());
        assert_eq!(here(&headers), Some(Duration::from_millis(50)));
        headers.insert("prefer", "wait=0.04".parse().unwrap());
        assert_eq!(here(&headers), Some(Duration::from_millis(20)));
        headers.insert("prefer", "wait=9".parse().unwrap());
        assert_eq!(here(&headers), Some(Duration::from_millis(50)));
        assert!(Trip::plan(None, &headers, &Full::new(Bytes::new())).is_none());
        assert!(plan(&Others::new(None, None), &headers).is_none());
        assert!(Trip::plan(Some(&others), &headers, &Full::new(Bytes::from("longer"))).is_none());
    }
}
