//! Gives back what it gets: the body, and the trailers after it.
//!
//! - `/` passes the body on within the host;
//! - `/copy` reads it piece by piece and writes each piece;
//! - `/whole` reads all of it first;
//! - `/head` answers with method, target and headers, one a line;
//! - `/discard` reads the body and answers with its length;
//! - `/zeros?n=N` sends N bytes in pieces of 64 KiB, whatever came in; `/zeros?n=N&piece=P` in
//!   pieces of P bytes.

use std::fmt::Write as _;

use cyte_sdk::prelude::*;

struct Echo;

/// The header that names the trailers to come goes back with them.
fn announced(head: Option<HeaderValue>, mut response: Response) -> Response {
    if let Some(names) = head {
        response.headers_mut().insert(header::TRAILER, names);
    }
    response
}

impl Drone for Echo {
    fn handle(mut request: Request) -> Result<Response, Error> {
        let trailer = || request.headers().get(header::TRAILER).cloned();
        match request.path() {
            "/copy" => Ok(announced(trailer(), copy(request))),
            "/whole" => Ok(Response::new(request.body_mut().read_bytes_up_to(64 << 20)?)),
            "/head" => head(&request),
            "/discard" => {
                let mut length = 0;
                for piece in request.body_mut().chunks() {
                    length += piece?.len();
                }
                Ok(Response::text(format!("{length}\n")))
            }
            "/zeros" => {
                let number = |name| request.query_value(name).map(|value| value.parse::<usize>());
                zeros(number("n").transpose()?.unwrap_or(0), number("piece").transpose()?.unwrap_or(64 << 10))
            }
            _ => {
                let trailer = trailer();
                let length = request.headers().get(header::CONTENT_LENGTH).cloned();
                let mut response = Response::new(request.into_body());
                if let Some(length) = length {
                    response.headers_mut().insert(header::CONTENT_LENGTH, length);
                }
                Ok(announced(trailer, response))
            }
        }
    }
}

fn copy(request: Request) -> Response {
    let mut body = request.into_body();
    Response::stream(move |out| {
        while let Some(piece) = body.chunk()? {
            out.send(piece)?;
        }
        if let Some(trailers) = body.trailers()? {
            out.trailers(trailers);
        }
        Ok(())
    })
}

fn zeros(mut left: usize, piece: usize) -> Result<Response, Error> {
    Ok(Response::stream(move |out| {
        let piece = vec![0; piece];
        while left > 0 {
            let now = left.min(piece.len());
            out.send(&piece[..now])?;
            left -= now;
        }
        Ok(())
    }))
}

fn head(request: &Request) -> Result<Response, Error> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    Ok(Response::text(text))
}

cyte_sdk::drone!(Echo);
