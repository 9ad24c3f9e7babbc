//! Reads the body, does the work that the reference server does natively, answers JSON.

use cyte_sdk::prelude::*;

struct Digest;

/// A longer body is refused.
const MOST: usize = 1 << 20;

impl Drone for Digest {
    fn handle(mut request: Request) -> Result<Response, Error> {
        let body = request.body_mut().read_bytes_up_to(MOST)?;
        let answer = bench_work::digest(&body)
            .map_err(|error| Error::refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
        Response::new(answer).with_header(header::CONTENT_TYPE, "application/json")
    }
}

cyte_sdk::drone!(Digest);
