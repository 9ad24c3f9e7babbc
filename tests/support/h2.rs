//! HTTP/2 with prior knowledge: a real client, seen from plain functions.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::wait::SOON;

/// One connection, on a thread of its own.
#[derive(Debug)]
pub struct H2 {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

/// A whole answer: head, body, trailers.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: http::HeaderMap,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl H2 {
    /// Connects without an upgrade, as both sides know what they speak.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// The answer to `GET path`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// The answer to one request.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.all(vec![build(method, path, headers, body)]).remove(0).unwrap()
    }

    /// The answers to requests that are sent at once, in their order; what went wrong instead
    /// where one did not come.
    #[track_caller]
    pub fn all(&self, requests: Vec<http::Request<Full<Bytes>>>) -> Vec<Result<Answer, String>> {
        self.runtime.block_on(async {
            let calls: Vec<_> = requests
                .into_iter()
                .map(|request| {
                    let mut sender = self.sender.clone();
                    tokio::spawn(async move {
                        match tokio::time::timeout(SOON, exchange(&mut sender, request)).await {
                            Ok(answer) => answer.map_err(|error| format!("{error:?}")),
                            Err(_) => Err("timed out".to_owned()),
                        }
                    })
                })
                .collect();
            let mut answers = Vec::new();
            for call in calls {
                answers.push(call.await.unwrap());
            }
            answers
        })
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        // The runtime must not be dropped inside another; it never is here, but it must not wait.
        let runtime = std::mem::replace(
            &mut self.runtime,
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
        );
        runtime.shutdown_timeout(Duration::from_millis(100));
    }
}

/// A request for [`H2::all`].
pub fn build(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::builder().method(method).uri(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> Result<Answer, hyper::Error> {
    sender.ready().await?;
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: collected.to_bytes().to_vec(),
        trailers,
    })
}
