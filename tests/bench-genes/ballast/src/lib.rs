//! Fills four mebibytes, waits fifty milliseconds, lets go of them, and answers with the same twenty
//! bytes as the others, over `wasi:http` 0.3.

use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Ballast;

const WEIGHT: usize = 4 << 20;
const SPAN: Duration = Duration::from_millis(50);

impl Drone for Ballast {
    async fn handle(_request: Request) -> Result<Response, Error> {
        let weight = std::hint::black_box(vec![1u8; WEIGHT]);
        sleep(SPAN).await;
        drop(weight);
        Ok(Response::text("hello from wasm gene"))
    }
}

cyte_sdk::drone_p3!(Ballast);
