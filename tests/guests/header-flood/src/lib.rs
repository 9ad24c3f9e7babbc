//! Answers with 10,000 header fields on `/many`, with one of 1 MiB on `/large`, with 10,000
//! trailers on `/trailers`, with a few otherwise.

use cyte_sdk::prelude::*;

struct HeaderFlood;

impl Drone for HeaderFlood {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/many" => {
                let mut response = Response::text("flood\n");
                response.headers_mut().extend(fields(10_000)?);
                Ok(response)
            }
            "/large" => Response::text("flood\n").with_header("x-large", "x".repeat(1 << 20)),
            "/trailers" => Ok(Response::new(Body::from("flood\n").with_trailers(fields(10_000)?))),
            _ => {
                let mut response = Response::text("healthy\n");
                response.headers_mut().extend(fields(20)?);
                Ok(response)
            }
        }
    }
}

fn fields(count: u32) -> Result<HeaderMap, Error> {
    let mut fields = HeaderMap::new();
    for n in 0..count {
        fields.insert(HeaderName::try_from(format!("x-flood-{n}"))?, HeaderValue::from(n));
    }
    Ok(fields)
}

cyte_sdk::drone!(HeaderFlood);
