//! HTTP/2 with prior knowledge.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::plain::{ECHOS, pattern};
use super::zoo;
use crate::support::h2::{H2, build};
use crate::support::wait::{SOON, within};
use crate::support::{Host, until};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection for what the harness' own cannot send.
struct Client {
    runtime: Runtime,
    sender: SendRequest<Body>,
}

impl Client {
    fn open(host: &Host) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(host.address()).await.unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(async { tokio::time::timeout(SOON, work).await.expect("in time") })
    }

    async fn send(&self, gene: &str, path: &str, body: Body) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let uri = format!("http://{gene}.test{path}");
        sender.send_request(Request::post(uri).body(body).unwrap()).await
    }
}

fn empty() -> Body {
    Full::default().boxed_unsync()
}

fn ask(h2: &H2, gene: &str, path: &str) -> Result<String, String> {
    let request = Request::get(format!("http://{gene}.test{path}")).body(Full::default()).unwrap();
    h2.all(vec![request]).remove(0).map(|answer| answer.text())
}

#[test]
fn hello() {
    let host = zoo::host(&[("spin", ""), ("p3-spin", ""), ("echo", "")]);
    let h2 = H2::open(host.address());
    for name in ["spin", "p3-spin"] {
        assert_eq!(ask(&h2, name, "/").unwrap(), "healthy\n");
    }
    let head = h2.request("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "8");
    assert_eq!(h2.get("/nothing?here").status, 200);
    // A connection's protocol is found out; another one may speak the other.
    assert_eq!(host.get("/").text(), "healthy\n");
}

#[test]
fn many_streams_at_once_on_one_connection() {
    let host = zoo::host(&ECHOS.map(|name| (name, "limits = { wait = \"10s\" }")));
    let h2 = H2::open(host.address());
    for name in ECHOS {
        for path in ["/", "/copy", "/whole"] {
            let bodies: Vec<Vec<u8>> = (0..60).map(|n| pattern(n * 1_000)).collect();
            let request = |body: &Vec<u8>| {
                let uri = format!("http://{name}.test{path}");
                Request::post(uri).body(Full::new(Bytes::from(body.clone()))).unwrap()
            };
            let answers = h2.all(bodies.iter().map(request).collect());
            for (answer, body) in answers.into_iter().zip(&bodies) {
                let answer = answer.unwrap();
                let same = answer.status == 200 && answer.body == *body;
                let (sent, got) = (body.len(), answer.body.len());
                assert!(
                    same,
                    "{name}{path}: {sent} bytes, {} with {got}: {:.300}",
                    answer.status,
                    answer.text()
                );
            }
        }
    }
}

/// A task that has read much in one turn is told "not yet" by its channels until its next turn,
/// also where all is there: an answer is whole wherever that falls.
#[test]
fn answers_of_any_number_of_pieces_are_whole() {
    let host = zoo::host(&[("echo", "")]);
    let h2 = H2::open(host.address());
    for pieces in 1..300 {
        let uri = format!("http://echo.test/zeros?n={pieces}&piece=1");
        let answer = h2.all(vec![Request::get(uri).body(Full::default()).unwrap()]).remove(0);
        let answer = answer.unwrap_or_else(|error| panic!("{pieces} pieces: {error}"));
        assert_eq!((answer.status, answer.body.len()), (200, pieces), "{}", answer.text());
    }
}

#[test]
fn trailers_pass_in_both_directions() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    let client = Client::open(&host);
    for name in ECHOS {
        for path in ["/", "/copy"] {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("42"));
            let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers.clone())];
            let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))).boxed_unsync();
            let collected = client.run(async {
                let answer = client.send(name, path, body).await.unwrap();
                assert_eq!(answer.status(), 200, "{name}{path}");
                answer.into_body().collect().await.unwrap()
            });
            assert_eq!(collected.trailers(), Some(&trailers), "{name}{path}");
            assert_eq!(collected.to_bytes(), "hello", "{name}{path}");
        }
    }
}

#[test]
fn a_guest_that_fails_resets_its_stream_and_no_other() {
    let host = zoo::host(&[("trap-mid", ""), ("echo", ""), ("panic", "")]);
    let h2 = H2::open(host.address());
    let mut requests = Vec::new();
    for n in 0..10 {
        requests.push(build("GET", "/trap", &[], b""));
        let uri = "http://echo.test/";
        requests.push(Request::post(uri).body(Full::new(Bytes::from(vec![n; 5_000]))).unwrap());
        requests.push(Request::get("http://panic.test/panic").body(Full::default()).unwrap());
    }
    for (at, answer) in h2.all(requests).into_iter().enumerate() {
        match at % 3 {
            0 => assert!(answer.is_err(), "half an answer looks whole: {answer:?}"),
            1 => assert_eq!(answer.unwrap().body, vec![(at / 3) as u8; 5_000]),
            _ => assert_eq!(answer.unwrap().status, 502),
        }
    }
    assert_eq!(ask(&h2, "echo", "/").unwrap(), "", "the connection goes on");
}

#[test]
fn a_stream_that_is_given_up_lets_its_guest_go() {
    let host = zoo::host(&[("never", "reuse = 1\nlimits = { wall = \"60s\" }"), ("spin", "")]);
    let client = Client::open(&host);
    client.run(async {
        let calls: Vec<_> = (0..5).map(|_| Box::pin(client.send("never", "/never", empty()))).collect();
        let all = futures_util::future::join_all(calls);
        let busy = tokio::task::spawn_blocking({
            let state = (host.state().to_owned(), host.runtime().to_owned());
            move || wait_until_busy(&state.0, &state.1)
        });
        // The calls are polled until all five are in the gene; then they are dropped.
        tokio::select! {
            _ = all => panic!("it never answers"),
            busy = busy => busy.unwrap(),
        }
    });
    until("they are gone", || (host.gene("never")["busy"] == 0).then_some(()));
    let answer = client.run(async { client.send("spin", "/", empty()).await.unwrap() });
    assert_eq!(answer.status(), 200, "the connection goes on");
}

fn wait_until_busy(state: &std::path::Path, runtime: &std::path::Path) {
    until("five calls are in the gene", || {
        let ps =
            crate::support::Cyte::new(["ps", "--state"]).arg(state).env("XDG_RUNTIME_DIR", runtime).json();
        (ps["genes"].as_array().unwrap().iter().any(|gene| gene["busy"] == 5)).then_some(())
    });
}

#[test]
fn a_stream_that_nobody_reads_holds_back_its_guest_and_nobody_else() {
    let host = zoo::host(&[("echo", "")]);
    let client = Client::open(&host);
    assert_eq!(client.run(async { client.send("echo", "/", empty()).await.unwrap() }).status(), 200);
    let quiet = host.resident();
    let unread = client.run(async { client.send("echo", "/zeros?n=67108864", empty()).await.unwrap() });
    within(Duration::from_secs(30), "the gene waits", || {
        let before = host.cpu();
        std::thread::sleep(Duration::from_millis(250));
        (host.cpu() == before).then_some(())
    });
    let held = host.resident().saturating_sub(quiet);
    assert!(held < 16 << 20, "{held} bytes held for a stream that nobody reads");
    let other = client.run(async { client.send("echo", "/head", empty()).await.unwrap() });
    assert_eq!(other.status(), 200, "another stream of the connection is served");
    let whole = client.run(async { unread.into_body().collect().await.unwrap().to_bytes().len() });
    assert_eq!(whole, 64 << 20);
}

#[test]
fn what_is_refused() {
    let host = zoo::host(&[("echo", "limits = { body = \"1KiB\" }")]);
    let h2 = H2::open(host.address());
    assert_eq!(h2.request("POST", "/whole", &[], &[0; 2_000]).status, 413);
    assert_eq!(h2.request("TRACE", "/", &[], b"").status, 501);
    assert_eq!(h2.request("GET", "/", &[("host", "other.test")], b"").status, 400);
    let long = "x".repeat(100_000);
    let answer = h2.all(vec![build("GET", "/", &[("x-long", &long)], b"")]).remove(0);
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 431), "{answer:?}");
    assert_eq!(H2::open(host.address()).get("/").status, 200);
}
