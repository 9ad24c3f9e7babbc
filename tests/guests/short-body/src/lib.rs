//! Promises ten bytes and sends less; `/whole` does so with a body that is all there.

use cyte_sdk::prelude::*;

struct ShortBody;

impl Drone for ShortBody {
    fn handle(request: Request) -> Result<Response, Error> {
        let response = match request.path() {
            "/whole" => Response::new("xxxxx"),
            _ => Response::stream(|out| {
                for _ in 0..5 {
                    out.send("x")?;
                }
                Ok(())
            }),
        };
        response.with_header(header::CONTENT_LENGTH, "10")
    }
}

cyte_sdk::drone!(ShortBody);
