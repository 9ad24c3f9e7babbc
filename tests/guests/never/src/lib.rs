//! Waits for what never comes: `/never` before the head, `/never/body` after a piece,
//! `/read` for the rest of the request's body; answers otherwise.

use std::thread::sleep;
use std::time::Duration;

use cyte_sdk::prelude::*;

struct Never;

impl Drone for Never {
    fn handle(mut request: Request) -> Result<Response, Error> {
        match request.path() {
            "/never" => wait_for_ever(),
            "/never/body" => Ok(Response::stream(|out| {
                out.send("before\n")?;
                wait_for_ever()
            })),
            "/read" => Ok(Response::new(request.body_mut().read_bytes()?)),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

fn wait_for_ever() -> ! {
    loop {
        sleep(Duration::from_secs(365 * 24 * 60 * 60));
    }
}

cyte_sdk::drone!(Never);
