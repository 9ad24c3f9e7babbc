//! Answers every request with the same twenty bytes, over `wasi:http` 0.3.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Hello);

struct Hello;

/// As long as the reference server's, so that both send the same number of bytes.
const BODY: &[u8] = b"hello from wasm gene";

impl wasip3::exports::http::handler::Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let (mut body, contents) = wit_stream::new();
        let (end, trailers) = wit_future::new(|| Ok(None));
        let headers = Fields::new();
        let length = BODY.len().to_string().into_bytes();
        headers.append("content-length", &length).map_err(|_| ErrorCode::InternalError(None))?;
        headers.append("content-type", b"text/plain").map_err(|_| ErrorCode::InternalError(None))?;
        let (response, _sent) = Response::new(headers, Some(contents), trailers);
        // Dropped unwritten: the body ends without trailers.
        drop(end);
        wit_bindgen::spawn_local(async move {
            // What a client that went away leaves behind is of no use to anybody.
            let _ = body.write_all(BODY.to_vec()).await;
        });
        Ok(response)
    }
}
