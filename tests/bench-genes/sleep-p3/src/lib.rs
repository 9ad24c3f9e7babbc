//! Waits fifty milliseconds, then answers with the same twenty bytes, over `wasi:http` 0.3. A request to
//! `/trap` ends its cell.

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Sleep);

struct Sleep;

/// As long as a call to a database or to another service may take.
const SPAN_NS: u64 = 50_000_000;

/// As long as the reference server's, so that both send the same number of bytes.
const BODY: &[u8] = b"hello from wasm gene";

impl wasip3::exports::http::handler::Guest for Sleep {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        assert!(request.get_path_with_query().as_deref() != Some("/trap"), "as asked");
        wait_for(SPAN_NS).await;
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
