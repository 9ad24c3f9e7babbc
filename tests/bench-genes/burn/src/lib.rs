//! Computes for some milliseconds, then answers with the same twenty bytes as the others.

use cyte_sdk::prelude::*;

struct Burn;

/// Some ten milliseconds of one core.
const ROUNDS: u32 = 10_000_000;

impl Drone for Burn {
    fn handle(_request: Request) -> Result<Response, Error> {
        let mut number = 1u32;
        for _ in 0..ROUNDS {
            number = std::hint::black_box(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        }
        std::hint::black_box(number);
        Ok(Response::text("hello from wasm gene"))
    }
}

cyte_sdk::drone!(Burn);
