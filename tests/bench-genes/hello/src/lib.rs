//! Answers every request with the same twenty bytes: the cost of the way in and out, no more.

use cyte_sdk::prelude::*;

struct Hello;

impl Drone for Hello {
    fn handle(_request: Request) -> Result<Response, Error> {
        // As long as the reference server's, so that both send the same number of bytes.
        Ok(Response::text("hello from wasm gene"))
    }
}

cyte_sdk::drone!(Hello);
