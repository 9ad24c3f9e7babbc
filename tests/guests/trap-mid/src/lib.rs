//! Ends badly after its response began: `/trap` traps after the head and a piece, `/trap/length`
//! the same with a content-length, `/leave` gives up without finishing; answers otherwise.

use cyte_sdk::prelude::*;

struct TrapMid;

impl Drone for TrapMid {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/trap" => Ok(trapping()),
            "/trap/length" => trapping().with_header(header::CONTENT_LENGTH, "1000"),
            "/leave" => Ok(Response::stream(|out| {
                out.send("some of it\n")?;
                Err(Error::msg("guest error: left in the middle"))
            })),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

fn trapping() -> Response {
    Response::stream(|out| {
        out.send("some of it\n")?;
        // So that the piece leaves before the trap.
        std::thread::sleep(std::time::Duration::from_millis(50));
        trap_in_the_middle()
    })
}

#[inline(never)]
fn trap_in_the_middle() -> ! {
    std::process::abort()
}

cyte_sdk::drone!(TrapMid);
