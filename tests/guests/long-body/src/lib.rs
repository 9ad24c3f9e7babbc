//! Promises ten bytes and sends more; `/whole` does so with a body that is all there.

use cyte_sdk::prelude::*;

struct LongBody;

impl Drone for LongBody {
    fn handle(request: Request) -> Result<Response, Error> {
        let response = match request.path() {
            "/whole" => Response::new("xxxxxxxxxxxxxxx"),
            _ => Response::stream(|out| {
                for _ in 0..15 {
                    out.send("x")?;
                }
                Ok(())
            }),
        };
        response.with_header(header::CONTENT_LENGTH, "10")
    }
}

cyte_sdk::drone!(LongBody);
