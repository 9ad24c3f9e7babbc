//! The gateway over real sockets, with a scripted tissue behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cyte_dna::{Blob, Gene, GeneName, Role};
use cyte_engine::{Breach, CallError};
use futures_util::StreamExt;
use http::header::HeaderMap;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::cell::scripted::{BoxError, CellBody, Script, Tissue};
use crate::{FrontLimits, Gateway, Listener, Mount, Routes};

fn full(text: impl Into<Bytes>) -> CellBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

fn frames(frames: Vec<Result<Frame<Bytes>, BoxError>>) -> CellBody {
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn collected(request: Request<CellBody>) -> Result<(http::request::Parts, Bytes, HeaderMap), BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    Ok((head, body.to_bytes(), trailers))
}

/// One gene for all tests: the path says what it does.
fn script() -> Script {
    Box::new(|request| {
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let builder = Response::builder();
            let response = match path.as_str() {
                "/hello" => builder.body(full("hello")),
                "/host" => {
                    let host = request.headers().get("host").map(|host| host.as_bytes().to_vec());
                    builder.body(full(host.unwrap_or_default()))
                }
                "/echo" => match collected(request).await {
                    Ok((_, body, trailers)) => {
                        let trailer = trailers.get("x-sum").cloned();
                        let builder = match trailer {
                            Some(value) => builder.header("x-sum-seen", value),
                            None => builder,
                        };
                        builder.body(full(body))
                    }
                    Err(error) => builder.status(599).body(full(error.to_string())),
                },
                "/trailers" => {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("x-sum", "7".parse().unwrap());
                    let body = frames(vec![data("a"), Ok(Frame::trailers(trailers))]);
                    builder.header("trailer", "x-sum").body(body)
                }
                "/hop" => builder
                    .header("connection", "close, x-hop")
                    .header("x-hop", "1")
                    .header("transfer-encoding", "gzip")
                    .body(full("hop")),
                "/broken" => {
                    let trap = futures_util::stream::once(async {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        Err("trap".into())
                    });
                    let body = StreamBody::new(futures_util::stream::iter([data("part")]).chain(trap));
                    builder.body(body.boxed_unsync())
                }
                "/stillborn" => builder.body(frames(vec![data("part"), Err("trap".into())])),
                "/short" => builder.header("content-length", "9").body(frames(vec![data("four")])),
                "/long" => builder.header("content-length", "3").body(frames(vec![data("four")])),
                "/lies" => builder.header("content-length", "9").body(full("four")),
                "/lengths" => {
                    builder.header("content-length", "9").header("content-length", "8").body(full("four"))
                }
                "/204" => builder.status(204).header("content-length", "4").body(full("four")),
                "/101" => builder.status(101).body(full("")),
                "/flood" => {
                    let endless = futures_util::stream::repeat_with(|| {
                        Ok(Frame::data(Bytes::from_static(&[b'x'; 32 << 10])))
                    });
                    builder.body(StreamBody::new(endless).boxed_unsync())
                }
                "/ignore" => builder.body(full("ignored")),
                "/hang" => std::future::pending().await,
                "/trap" => return Err(CallError::Trapped("secret".into())),
                "/wall" => return Err(CallError::Breached(Breach::Wall)),
                "/busy" => return Err(CallError::Saturated),
                _ => builder.body(full("other")),
            };
            Ok(response.unwrap())
        })
    })
}

fn quick_limits() -> FrontLimits {
    FrontLimits {
        first_request: Duration::from_millis(400),
        head: Duration::from_millis(300),
        idle: Duration::from_millis(900),
        body_stall: Duration::from_millis(300),
        write_stall: Duration::from_millis(300),
        drain: Duration::from_millis(500),
        ..FrontLimits::default()
    }
}

struct Front {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    listening: tokio::task::JoinHandle<()>,
}

async fn front_with(limits: FrontLimits) -> Front {
    let gateway = Gateway::new(limits, 0x5eed, None);
    let mut gene = Gene::new(GeneName::new("hello").unwrap(), Role::Drone, Blob::of(b""));
    gene.routes = vec!["/...".parse().unwrap()];
    gene.limits.body = Some(64);
    let claims = Mount::claims(&Tissue::new(gene, script()), None);
    gateway.mount(Routes::build(claims.into()).unwrap());
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(any, Arc::clone(&gateway), Handle::current()).unwrap();
    let address = listener.local_addr().unwrap();
    Front { gateway, address, listening: tokio::spawn(listener.run()) }
}

async fn front() -> Front {
    front_with(quick_limits()).await
}

impl Front {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await
    }

    /// Waits until a counter says so; counting happens after the client has seen the end.
    async fn counted(&self, name: &str, is: impl Fn(&crate::CountersSnapshot) -> bool) {
        for _ in 0..200 {
            if is(&self.gateway.snapshot()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name}: {:?}", self.gateway.snapshot());
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    // A reset ends the reading too; what came before it counts.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut seen))
        .await
        .expect("the server closes");
    String::from_utf8_lossy(&seen).into_owned()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        seen.push(char::from(byte[0]));
    }
    seen
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

#[tokio::test]
async fn answers_keep_the_connection_and_pipelined_requests_keep_their_order() {
    let front = front().await;
    let request = |path: &str, end: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{end}\r\n");
    let bytes = request("/hello", "") + &request("/", "") + &request("/hello", "Connection: close\r\n");
    let answer = front.exchange(&bytes).await;
    let bodies: Vec<_> = answer.split("\r\n\r\n").skip(1).collect();
    assert!(
        bodies[0].starts_with("helloHTTP/1.1 200") && bodies[1].starts_with("otherHTTP/1.1 200"),
        "{answer}"
    );
    assert_eq!(bodies[2], "hello");
    assert!(answer.contains("content-length: 5\r\n") && answer.contains("\r\ndate: "));
    front
        .counted("answered", |now| {
            now.answered == 3 && now.requests == 3 && now.bytes_out == 15 && now.open == 0
        })
        .await;
}

#[tokio::test]
async fn refusals_have_an_id_a_code_and_the_form_the_client_asked_for() {
    let front = front().await;
    for (path, code, name) in [
        ("/trap", "502", "cell-trapped"),
        ("/wall", "504", "wall-clock"),
        ("/busy", "503", "saturated"),
        ("/101", "502", "cell-answer"),
        ("/lies", "502", "cell-answer"),
    ] {
        let answer = front.get(path).await;
        assert_eq!(status(&answer), code, "{answer}");
        assert!(
            answer.contains("x-request-id: ") && answer.contains(&format!("({name}, request ")),
            "{answer}"
        );
        assert!(!answer.contains("secret"));
        assert_eq!(answer.contains("retry-after: 1\r\n"), code == "503");
    }
    let json = front
        .exchange("GET /trap HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
        .await;
    assert!(json.contains("\"code\":\"cell-trapped\""), "{json}");
    let head = front.exchange("HEAD /trap HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(head.ends_with("\r\n\r\n") && !head.contains("content-length: 0"), "{head}");
    front.gateway.mount(Routes::default());
    assert_eq!(status(&front.get("/hello").await), "404");
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let front = front().await;
    for (bytes, code) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET ! HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ("garbage\r\n\r\n", "400"),
    ] {
        let mut stream = front.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert_eq!(status(&answer), code, "{bytes:?}: {answer}");
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(70 << 10));
    assert_eq!(status(&front.exchange(&huge).await), "431");
    front.counted("malformed", |now| now.malformed == 1 && now.head_too_large == 1).await;
}

#[tokio::test]
async fn a_gene_reads_the_host_that_the_target_names_or_the_address() {
    let front = front().await;
    let absolute =
        front.exchange("GET http://b.test/host HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(absolute.ends_with("\r\n\r\nb.test"), "{absolute}");
    let nameless = front.exchange("GET /host HTTP/1.0\r\n\r\n").await;
    assert!(nameless.ends_with(&front.address.to_string()), "{nameless}");
}

#[tokio::test]
async fn heads_without_a_body_keep_its_length_and_204_has_none() {
    let front = front().await;
    let head = front.exchange("HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let none = front.get("/204").await;
    assert_eq!(status(&none), "204");
    assert!(!none.contains("content-length") && none.ends_with("\r\n\r\n"), "{none}");
    // A body without end is not waited for.
    let flood = front.exchange("HEAD /flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&flood), "200");
    front.counted("answered", |now| now.answered == 3).await;
}

#[tokio::test]
async fn fields_of_the_connection_are_not_the_genes() {
    let front = front().await;
    let answer = front
        .exchange(
            "GET /hop HTTP/1.1\r\nHost: a\r\n\r\nGET /hop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("200 OK").count(), 2, "{answer}");
    assert!(!answer.contains("x-hop") && !answer.contains("gzip"), "{answer}");
    let lengths = front.get("/lengths").await;
    assert!(lengths.contains("content-length: 4\r\n"), "{lengths}");
}

#[tokio::test]
async fn a_body_that_fails_half_way_never_looks_complete() {
    let front = front().await;
    let broken = front.get("/broken").await;
    assert!(broken.contains("part") && !broken.contains("\r\n0\r\n"), "{broken}");
    // Nothing was sent yet: then nothing is.
    assert_eq!(front.get("/stillborn").await, "");
    let short = front.get("/short").await;
    assert!(short.is_empty() || short.ends_with("content-length: 9\r\n\r\nfour"), "{short}");
    let long = front.get("/long").await;
    assert!(!long.contains("fou"), "{long}");
    front.counted("cut off", |now| now.cut_off == 4 && now.answered == 0).await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let front = front().await;
    let answer = front
        .exchange("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.ends_with("1\r\na\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 9\r\n\r\n";
    let answer = front.exchange(request).await;
    assert!(answer.contains("x-sum-seen: 9") && answer.ends_with("\r\n\r\nab"), "{answer}");
    front.counted("bytes in", |now| now.bytes_in == 2).await;
}

#[tokio::test]
async fn bodies_over_the_cap_are_refused_and_the_refusal_is_readable() {
    let front = front().await;
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    let announced = format!("{head}Content-Length: 400000\r\n\r\n{}", "x".repeat(400_000));
    assert_eq!(status(&front.exchange(&announced).await), "413");
    let chunk = format!("40\r\n{}\r\n", "x".repeat(64));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(2000));
    assert_eq!(status(&front.exchange(&chunked).await), "413");
    let exact = format!("{head}Content-Length: 64\r\nConnection: close\r\n\r\n{}", "x".repeat(64));
    assert_eq!(status(&front.exchange(&exact).await), "200");
    // A gene that does not read its upload answers readably as well.
    let ignored = format!("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n{}", "x".repeat(60));
    let mut stream = front.connect().await;
    stream.write_all(ignored.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "ignored").await.contains("200 OK"));
}

#[tokio::test]
async fn continue_is_sent_when_the_gene_reads_and_not_before_a_refusal() {
    let front = front().await;
    let mut stream = front.connect().await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nok"));
    let refused = front
        .exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(status(&refused), "413");
}

#[tokio::test]
async fn silent_and_slow_clients_are_closed_in_time() {
    let front = front().await;
    let started = Instant::now();
    for start in ["", "GE", "GET / HTTP/1.1\r\nHost: ", "PRI * HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        front.exchange(start).await;
    }
    assert!(started.elapsed() < Duration::from_millis(5 * 900), "{:?}", started.elapsed());
    front.counted("first request", |now| now.first_request_late == 5 && now.open == 0).await;

    // A second head that dribbles: each byte is progress, and it ends all the same.
    let mut stream = front.connect().await;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "hello").await;
    let started = Instant::now();
    while stream.write_all(b"G").await.is_ok() && started.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
    front.counted("head", |now| now.head_late == 1).await;

    // And one that says nothing more.
    let mut stream = front.connect().await;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "hello").await;
    rest(&mut stream).await;
    front.counted("idle", |now| now.idle_closed == 1).await;
}

#[tokio::test]
async fn a_body_that_stops_is_408_and_a_client_that_stops_reading_is_dropped() {
    let front = front().await;
    let stalled = front.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert_eq!(status(&stalled), "408", "{stalled}");
    front.counted("body", |now| now.body_stalled == 1 && now.refusals["body-stalled"] == 1).await;

    let mut stream = front.connect().await;
    stream.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    front.counted("write", |now| now.write_stalled == 1 && now.open == 0 && now.cut_off == 1).await;
    drop(stream);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let front = front().await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    front.counted("asked", |now| now.requests == 1).await;
    drop(stream);
    front.counted("cancelled", |now| now.open == 0 && now.cut_off == 1).await;
}

#[tokio::test]
async fn draining_lets_open_requests_end_and_drops_the_rest() {
    let front = front().await;
    let mut idle = front.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "hello").await;
    let mut silent = front.connect().await;
    let mut busy = front.connect().await;
    busy.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").await.unwrap();
    let mut hanging = front.connect().await;
    hanging.write_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    front.counted("open", |now| now.requests == 3 && now.accepted == 4).await;

    let gateway = Arc::clone(&front.gateway);
    let drained = tokio::spawn(async move { gateway.drain().await });
    rest(&mut idle).await;
    rest(&mut silent).await;
    busy.write_all(b"ok").await.unwrap();
    let answer = rest(&mut busy).await;
    assert!(answer.ends_with("ok") && answer.contains("connection: close"), "{answer}");
    assert_eq!(drained.await.unwrap(), 1);
    assert_eq!(rest(&mut hanging).await, "");
    front.listening.await.unwrap();
    assert!(TcpStream::connect(front.address).await.is_err());
}

#[tokio::test]
async fn the_cap_of_connections_makes_the_next_one_wait() {
    let front =
        front_with(FrontLimits { connections: 1, idle: Duration::from_secs(60), ..quick_limits() }).await;
    let mut first = front.connect().await;
    first.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, "hello").await;
    let mut second = front.connect().await;
    second.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    front.counted("waits", |now| now.connection_cap_waits >= 1 && now.accepted == 1).await;
    drop(first);
    read_until(&mut second, "hello").await;
}

mod http2 {
    use super::*;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

    async fn connected(front: &Front, window: u32) -> Sender {
        let io = TokioIo::new(front.connect().await);
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
        let uri = format!("http://a.test{path}");
        Request::builder().method(method).uri(uri).body(Full::new(Bytes::from(body))).unwrap()
    }

    #[tokio::test]
    async fn streams_heads_trailers_and_refusals_pass() {
        let front = front().await;
        let mut client = connected(&front, 1 << 16).await;
        let echo = client.send_request(request("POST", "/echo", "ab")).await.unwrap();
        assert_eq!(echo.into_body().collect().await.unwrap().to_bytes(), "ab");
        let trailers = client.send_request(request("GET", "/trailers", "")).await.unwrap();
        let trailers = trailers.into_body().collect().await.unwrap();
        assert_eq!(trailers.trailers().unwrap()["x-sum"], "7");
        let head = client.send_request(request("HEAD", "/hello", "")).await.unwrap();
        assert_eq!(head.headers()["content-length"], "5");
        assert_eq!(head.into_body().collect().await.unwrap().to_bytes(), "");
        let trap = client.send_request(request("GET", "/trap", "")).await.unwrap();
        assert_eq!(trap.status(), 502);
        // The reset may overtake the head.
        if let Ok(broken) = client.send_request(request("GET", "/broken", "")).await {
            assert!(broken.into_body().collect().await.is_err());
        }
        let again = client.send_request(request("GET", "/hello", "")).await.unwrap();
        assert_eq!(again.status(), 200);
        drop((client, again));
        front.counted("closed", |now| now.open == 0).await;
    }

    #[tokio::test]
    async fn a_stream_that_is_not_read_is_dropped_and_the_connection_lives() {
        let front = front().await;
        let mut client = connected(&front, 1 << 16).await;
        let flood = client.send_request(request("GET", "/flood", "")).await.unwrap();
        front.counted("stalled", |now| now.write_stalled == 1 && now.cut_off == 1).await;
        drop(flood);
        let again = client.send_request(request("GET", "/hello", "")).await.unwrap();
        assert_eq!(again.status(), 200);
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let front = front().await;
        let mut client = connected(&front, 1 << 16).await;
        let hello = client.send_request(request("GET", "/hello", "")).await.unwrap();
        hello.into_body().collect().await.unwrap();
        front.counted("idle", |now| now.idle_closed == 1 && now.open == 0).await;
    }

    #[tokio::test]
    async fn one_stream_too_many_waits_until_another_ends() {
        let front = front_with(FrontLimits { streams: 2, ..quick_limits() }).await;
        let mut client = connected(&front, 1 << 16).await;
        // The client learns how many streams it may open with the first answer.
        assert_eq!(client.send_request(request("GET", "/hello", "")).await.unwrap().status(), 200);
        let mut hanging: Vec<_> =
            (0..2).map(|_| tokio::spawn(client.send_request(request("GET", "/hang", "")))).collect();
        front.counted("both", |now| now.requests == 3).await;
        let mut third = tokio::spawn(client.send_request(request("GET", "/hello", "")));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut third).await;
        assert!(early.is_err(), "two are open already: {early:?}");
        assert_eq!(front.gateway.snapshot().requests, 3, "it did not even arrive");
        hanging.pop().unwrap().abort();
        assert_eq!(third.await.unwrap().unwrap().status(), 200);
    }

    #[tokio::test]
    async fn draining_waits_for_open_streams() {
        let front = front().await;
        let mut client = connected(&front, 1 << 16).await;
        let hanging = tokio::spawn(client.send_request(request("GET", "/hang", "")));
        front.counted("open", |now| now.requests == 1).await;
        assert_eq!(front.gateway.drain().await, 1);
        assert!(hanging.await.unwrap().is_err());
        front.counted("dropped", |now| now.open == 0 && now.dropped_at_drain == 1).await;
    }
}
