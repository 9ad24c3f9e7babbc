//! Requests and answers as what travels between hosts, and back.

use bytes::Bytes;
use cyte_engine::{CallFacts, RequestId};
use cyte_gateway::Whole;
use cyte_organism::colony::errand::{Answered, Brought, REQUEST_BODY_MAX};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;

/// A request as it travels; `None` where it is too long.
pub(super) fn brought(request: &Request<Bytes>, facts: &CallFacts) -> Option<Brought> {
    (request.body().len() <= REQUEST_BODY_MAX).then(|| Brought {
        id: facts.id.0,
        method: request.method().as_str().to_owned(),
        target: request.uri().to_string(),
        is_tls: facts.scheme == Scheme::HTTPS,
        fields: fields(request.headers()),
        body: request.body().to_vec(),
    })
}

/// The request that travelled; `None` where it is none.
pub(super) fn request(brought: Brought) -> Option<(Request<Full<Bytes>>, CallFacts)> {
    let Brought { id, method, target, is_tls, fields, body } = brought;
    let request = Request::builder().method(method.as_str()).uri(target);
    let mut request = request.body(Full::new(Bytes::from(body))).ok()?;
    *request.headers_mut() = headers(fields)?;
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    // Its class was judged where it came in.
    Some((request, CallFacts { id: RequestId(id), scheme, is_background: false }))
}

/// An answer as it travels.
pub(super) fn answered(head: &http::response::Parts, body: &Bytes, trailers: Option<&HeaderMap>) -> Answered {
    Answered {
        status: head.status.as_u16(),
        fields: fields(&head.headers),
        body: body.to_vec(),
        trailers: trailers.map(fields).unwrap_or_default(),
    }
}

/// The answer that travelled; `None` where it is none.
pub(super) fn answer(bytes: &[u8]) -> Option<Response<Whole>> {
    let Answered { status, fields, body, trailers } = Answered::read(bytes).ok()?;
    let trailers = if trailers.is_empty() { None } else { Some(headers(trailers)?) };
    let mut response =
        Response::builder().status(status).body(Whole { bytes: Bytes::from(body), trailers }).ok()?;
    *response.headers_mut() = headers(fields)?;
    Some(response)
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn headers(fields: Vec<(String, Vec<u8>)>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use cyte_organism::colony::errand::{Parts, parts};
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_and_its_answer_come_out_as_they_went_in() {
        let facts = CallFacts { id: RequestId(7), scheme: Scheme::HTTPS, is_background: false };
        let asked = Request::put("/a%2Fb?c=d")
            .header("x-one", "1")
            .header("x-one", HeaderValue::from_bytes(b"\xff").unwrap())
            .header("host", "shop.example")
            .body(Bytes::from_static(b"body"))
            .unwrap();
        let (got, told) = request(brought(&asked, &facts).unwrap()).unwrap();
        assert_eq!((told.id, told.scheme), (facts.id, facts.scheme));
        assert_eq!((got.method(), got.uri(), got.headers()), (asked.method(), asked.uri(), asked.headers()));
        assert_eq!(got.into_body().collect().await.unwrap().to_bytes(), asked.body());

        let (head, ()) = Response::builder().status(418).header("a", "b").body(()).unwrap().into_parts();
        let trailers: HeaderMap =
            [(HeaderName::from_static("t"), HeaderValue::from_static("u"))].into_iter().collect();
        let body = Bytes::from(vec![9; 200_000]);
        let (mut come, mut whole) = (Parts::default(), None);
        for part in parts(&answered(&head, &body, Some(&trailers))).unwrap() {
            whole = whole.or(come.take(part));
        }
        let got = answer(&whole.unwrap()).unwrap();
        assert_eq!((got.status(), got.headers()), (head.status, &head.headers));
        assert_eq!((&got.body().bytes, got.body().trailers.as_ref()), (&body, Some(&trailers)));
    }

    #[test]
    fn what_is_no_request_or_answer_is_refused() {
        let facts = CallFacts { id: RequestId(7), scheme: Scheme::HTTP, is_background: false };
        let long = Request::new(Bytes::from(vec![0; REQUEST_BODY_MAX + 1]));
        assert!(brought(&long, &facts).is_none());
        let good = brought(&Request::new(Bytes::new()), &facts).unwrap();
        let bad = |change: fn(&mut Brought)| {
            let mut bad = good.clone();
            change(&mut bad);
            request(bad).is_none()
        };
        assert!(bad(|brought| brought.method = "NO METHOD".into()));
        assert!(bad(|brought| brought.target = "\n".into()));
        assert!(bad(|brought| brought.fields = vec![("a b".into(), vec![])]));
        assert!(bad(|brought| brought.fields = vec![("a".into(), vec![b'\n'])]));
        assert!(answer(b"nonsense").is_none());
    }
}
