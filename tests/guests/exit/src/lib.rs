//! Calls `wasi:cli/exit`: `/0` with success, `/1` with failure, `/code` with a code of its own,
//! `/body` in the middle of its response; answers otherwise.

use cyte_sdk::prelude::*;

struct Exit;

impl Drone for Exit {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/0" => std::process::exit(0),
            "/1" => std::process::exit(1),
            "/code" => cyte_sdk::exit(42),
            "/body" => Ok(Response::stream(|out| {
                out.send("before\n")?;
                std::process::exit(0)
            })),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

cyte_sdk::drone!(Exit);
