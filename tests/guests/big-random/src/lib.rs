//! Asks for 10 MiB of random bytes in one call on `/big`, in many on `/many`; a few otherwise.

use cyte_sdk::prelude::*;
use wasip2::random::random::get_random_bytes;

struct BigRandom;

impl Drone for BigRandom {
    fn handle(request: Request) -> Result<Response, Error> {
        let length = match request.path() {
            "/big" => get_random_bytes(10 << 20).len(),
            "/many" => (0..10 << 10).map(|_| get_random_bytes(1 << 10).len()).sum(),
            _ => get_random_bytes(16).len(),
        };
        Ok(Response::text(format!("{length} bytes\n")))
    }
}

cyte_sdk::drone!(BigRandom);
