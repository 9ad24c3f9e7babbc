//! Loops for ever on `/spin` and on `/spin/body` (after the head and one piece); answers otherwise.

use std::hint::black_box;

use cyte_sdk::prelude::*;

struct Spin;

impl Drone for Spin {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/spin" => spin_for_ever(),
            "/spin/body" => Ok(Response::stream(|out| {
                out.send("before\n")?;
                spin_for_ever()
            })),
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

cyte_sdk::drone!(Spin);
