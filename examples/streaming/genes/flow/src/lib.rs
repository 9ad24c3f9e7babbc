//! Bodies that stream: in, out, and through.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use cyte_sdk::prelude::*;

struct Flow;

impl Drone for Flow {
    fn handle(mut request: Request) -> Result<Response, Error> {
        match request.path() {
            // Out again as it comes in, whatever its size.
            "/echo" => Ok(Response::new(request.into_body())),
            "/count" => count(&mut request),
            "/upper" => Ok(upper(request)),
            "/ticks" => ticks(&request),
            _ => Err(Error::refusal(StatusCode::NOT_FOUND, "try /echo, /count, /upper or /ticks\n")),
        }
    }
}

/// Looks at an upload piece by piece; never more of it than one piece is in memory.
fn count(request: &mut Request) -> Result<Response, Error> {
    let mut bytes = 0_u64;
    let mut lines = 0_u64;
    for piece in request.body_mut().chunks() {
        let piece = piece?;
        bytes += piece.len() as u64;
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(Response::text(format!("{bytes} bytes, {lines} lines\n")))
}

/// Reads and writes in turn; waits while the client does not take more.
fn upper(request: Request) -> Response {
    let mut body = request.into_body();
    Response::stream(move |out| {
        while let Some(piece) = body.chunk()? {
            out.send(piece.to_ascii_uppercase())?;
        }
        Ok(())
    })
}

/// Events sent by the server, one every 100 ms.
fn ticks(request: &Request) -> Result<Response, Error> {
    let count: u32 = request.query_value("n").map_or(Ok(3), |n| n.parse())?;
    Response::stream(move |out| {
        for n in 1..=count {
            write!(out, "data: tick {n}\n\n")?;
            out.flush()?;
            sleep(Duration::from_millis(100));
        }
        Ok(())
    })
    .with_header(header::CONTENT_TYPE, "text/event-stream")
}

cyte_sdk::drone!(Flow);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing::{self, arriving, get, post};

    use super::*;

    fn text(request: Request) -> String {
        testing::serve::<Flow>(request).body_mut().read_text().unwrap()
    }

    #[test]
    fn bodies_flow() {
        assert_eq!(text(post("/echo", arriving(["a", "b"]))), "ab");
        assert_eq!(text(post("/count", arriving(["a\nb", "\n"]))), "4 bytes, 2 lines\n");
        assert_eq!(text(post("/upper", arriving(["ab", "c"]))), "ABC");
        assert_eq!(text(get("/ticks?n=2")), "data: tick 1\n\ndata: tick 2\n\n");
    }

    #[test]
    fn a_broken_upload_is_an_error() {
        let body = testing::arriving_then_broken(["a"]);
        assert_eq!(testing::serve::<Flow>(post("/count", body)).status(), 500);
    }
}
