//! On WASI 0.3: gives back what it gets, as `echo` does. `/` within the host, `/copy` piece by
//! piece, `/whole` after reading all, `/head` the head, `/fetch?url=` what it fetches.

use std::fmt::Write as _;

use cyte_sdk::http;
use cyte_sdk::p3::prelude::*;

struct Echo;

/// The header that names the trailers to come goes back with them.
fn announced(head: Option<HeaderValue>, mut response: Response) -> Response {
    if let Some(names) = head {
        response.headers_mut().insert(header::TRAILER, names);
    }
    response
}

impl Drone for Echo {
    async fn handle(mut request: Request) -> Result<Response, Error> {
        let trailer = || request.headers().get(header::TRAILER).cloned();
        match request.path() {
            "/copy" => Ok(announced(trailer(), copy(request))),
            "/whole" => Ok(Response::new(request.body_mut().read_bytes_up_to(64 << 20).await?)),
            "/head" => head(&request),
            "/fetch" => {
                let url = request.query_value("url").unwrap_or_default();
                let outgoing = http::Request::post(url).body(request.into_body())?;
                let answer = fetch(outgoing).await;
                Ok(answer.unwrap_or_else(|error| Response::text(format!("error: {error}\n"))))
            }
            _ => Ok(announced(trailer(), Response::new(request.into_body()))),
        }
    }
}

fn copy(request: Request) -> Response {
    let mut body = request.into_body();
    Response::stream(async move |out| {
        while let Some(piece) = body.chunk().await? {
            out.send(piece).await?;
        }
        if let Some(trailers) = body.trailers().await? {
            out.trailers(trailers);
        }
        Ok(())
    })
}

fn head(request: &Request) -> Result<Response, Error> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    Ok(Response::text(text))
}

cyte_sdk::drone_p3!(Echo);
