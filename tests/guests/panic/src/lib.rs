//! Panics on `/panic`, in a function whose name the log must show; answers otherwise.

use cyte_sdk::prelude::*;

struct Panic;

impl Drone for Panic {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/panic" => deep_inside(request.query().unwrap_or("boom")),
            "/error" => Err(Error::msg("guest error: only for the log")),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

#[inline(never)]
fn deep_inside(what: &str) -> ! {
    panic!("guest panic: {what}")
}

cyte_sdk::drone!(Panic);
