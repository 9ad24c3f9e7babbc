//! The reference server: what plain hyper costs for the work that genes do in the figures.
//!
//! `GET /` answers a static body, `POST /digest` parses and hashes a small JSON body. It listens
//! on a free loopback port and prints `listening http://127.0.0.1:PORT` once it would answer.
//! It has what any fair server has (keep-alive, a header deadline, `TCP_NODELAY`, one task a
//! connection on a multi-thread runtime) and nothing else: no limits, no log, no routing table.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

/// As long as the hello gene's, so that both send the same number of bytes.
const HELLO: &[u8] = b"hello from reference";
/// A longer body is refused.
const MOST: usize = 1 << 20;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening http://{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                tokio::spawn(serve(stream));
            }
            // Out of descriptors, or a peer that is gone already: the next one may do.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

/// One connection to its end; what breaks it is the client's affair.
async fn serve(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => text(StatusCode::OK, HELLO),
        (&Method::POST, "/digest") => digest(request).await,
        _ => text(StatusCode::NOT_FOUND, b"not here"),
    })
}

async fn digest(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Ok(body) = Limited::new(request.into_body(), MOST).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, b"refused");
    };
    match bench_work::digest(&body.to_bytes()) {
        Ok(answer) => typed(StatusCode::OK, "application/json", Bytes::from(answer)),
        Err(_) => text(StatusCode::BAD_REQUEST, b"refused"),
    }
}

fn text(status: StatusCode, body: &'static [u8]) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", Bytes::from_static(body))
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
