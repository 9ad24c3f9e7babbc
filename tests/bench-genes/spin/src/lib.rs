//! Never answers: computes until somebody stops it.

use cyte_sdk::prelude::*;

struct Spin;

impl Drone for Spin {
    fn handle(_request: Request) -> Result<Response, Error> {
        let mut number = 0u64;
        loop {
            number = std::hint::black_box(number.wrapping_add(1));
        }
    }
}

cyte_sdk::drone!(Spin);
