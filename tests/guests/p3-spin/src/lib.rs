//! On WASI 0.3: loops for ever on `/spin` and, after a piece, on `/spin/body`; waits for ever on
//! `/never`; panics on `/panic`; answers otherwise.

use std::hint::black_box;
use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Spin;

impl Drone for Spin {
    async fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/spin" => spin_for_ever(),
            "/spin/body" => Ok(Response::stream(async |out| {
                out.send("before\n").await?;
                spin_for_ever()
            })),
            "/never" => {
                sleep(Duration::from_secs(365 * 24 * 60 * 60)).await;
                Ok(Response::text("after a year\n"))
            }
            "/panic" => panic!("guest panic: boom"),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

#[inline(never)]
fn spin_for_ever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

cyte_sdk::drone_p3!(Spin);
