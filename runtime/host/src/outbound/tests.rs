//! The client over real sockets, against servers that behave well and badly.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::{GeneName, OutboundGrant};
use cyte_engine::capability::http::Timeouts;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::*;

const ROOT: &[u8] = include_bytes!("testdata/root.pem");
const CERTIFICATE: &[u8] = include_bytes!("testdata/server.pem");
const KEY: &[u8] = include_bytes!("testdata/server-key.pem");

/// Says that every name is this machine.
struct Here;

impl Resolve for Here {
    fn resolve(&self, _name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

fn quick() -> OutboundConfig {
    OutboundConfig {
        connect: Duration::from_millis(400),
        head: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        keep: Duration::from_secs(10),
        extra_roots: ROOT.to_vec(),
        ..OutboundConfig::default()
    }
}

fn client_with(config: OutboundConfig) -> Client {
    let secrets: SecretLookup =
        Arc::new(|gene, name| (gene.to_string() == "shop" && name == "token").then(|| b"s3cr3t".to_vec()));
    Client::with_resolver(config, secrets, Handle::current(), Arc::new(Here)).unwrap()
}

fn client() -> Client {
    client_with(quick())
}

fn full(text: impl Into<Bytes>) -> OutboundBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

fn ask(gene: &str, grant: &str, request: Request<OutboundBody>) -> OutboundRequest {
    OutboundRequest {
        request,
        gene: GeneName::new(gene).unwrap(),
        grant: grant.parse::<OutboundGrant>().unwrap(),
        secrets: Arc::from(vec!["token".to_owned()]),
        timeouts: Timeouts::default(),
    }
}

fn get(origin: &str, path: &str) -> OutboundRequest {
    let request = Request::get(format!("{origin}{path}")).body(full("")).unwrap();
    ask("shop", origin, request)
}

async fn text(client: &Client, request: OutboundRequest) -> Result<String, OutboundError> {
    let response = client.send(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A server: how many connections it got, and what it does with each.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Server { address, connections }
    }

    /// A well-behaved one.
    async fn good() -> Self {
        Self::start(serve_http).await
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn count(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

async fn serve_http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let service = hyper::service::service_fn(answer);
    let io = hyper_util::rt::TokioIo::new(stream);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<OutboundBody>, OutboundError> {
    let path = request.uri().path().to_owned();
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
    };
    let response = Response::builder();
    Ok(match path.as_str() {
        "/redirect" => response.status(302).header("location", "/elsewhere").body(full("moved")),
        "/headers" => response.header("keep-alive", "timeout=5").header("x-kept", "1").body(full(format!(
            "{} {}",
            header("host"),
            header("authorization")
        ))),
        "/echo" => {
            let body = request.into_body().map_err(|error| OutboundError::Protocol(error.to_string()));
            response.body(body.boxed_unsync())
        }
        "/slow-head" => {
            sleep(Duration::from_secs(5)).await;
            response.body(full("late"))
        }
        "/slow-body" => {
            let stream = futures_util::stream::iter([0, 100, 100, 5_000]).then(|wait| async move {
                sleep(Duration::from_millis(wait)).await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            });
            response.body(StreamBody::new(stream).boxed_unsync())
        }
        _ => response.body(full("hello")),
    }
    .unwrap())
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn connections_are_kept_for_the_gene_that_made_them() {
    let (server, client) = (Server::good().await, client());
    for _ in 0..3 {
        assert_eq!(text(&client, get(&server.origin(), "/")).await.unwrap(), "hello");
    }
    assert_eq!(server.count(), 1);
    let mut other = get(&server.origin(), "/");
    other.gene = GeneName::new("other").unwrap();
    assert_eq!(text(&client, other).await.unwrap(), "hello");
    assert_eq!(server.count(), 2, "never shared between genes");
    assert_eq!(client.shared.pool.len(), 2);

    // Several at once, then several again: all of them are kept and found.
    for _ in 0..2 {
        let requests: Vec<_> = (0..4).map(|_| client.send(get(&server.origin(), "/"))).collect();
        for response in futures_util::future::join_all(requests).await {
            response.unwrap().into_body().collect().await.unwrap();
        }
        assert_eq!(server.count(), 5);
        assert_eq!(client.shared.pool.len(), 5);
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_denied_and_nothing_is_connected() {
    let (server, client) = (Server::good().await, client());
    let origin = format!("http://api.test:{}", server.address.port());
    let denied = text(&client, get(&origin, "/")).await.unwrap_err();
    assert!(matches!(&denied, OutboundError::Denied(reason) if reason.contains("127.0.0.1")), "{denied}");
    assert_eq!(server.count(), 0);
    // The name for this machine itself, and the address itself, may be granted.
    let origin = format!("http://localhost:{}", server.address.port());
    assert_eq!(text(&client, get(&origin, "/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_request_that_leaves_its_grant_is_denied() {
    let (server, client) = (Server::good().await, client());
    let origin = server.origin();
    for uri in ["http://127.0.0.2:80/", "http://127.0.0.1:1/", &origin.replace("http", "https")] {
        let request = Request::get(uri).body(full("")).unwrap();
        let denied = text(&client, ask("shop", &origin, request)).await;
        assert!(matches!(denied, Err(OutboundError::Denied(_))), "{uri}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn secrets_are_filled_in_on_the_way_out() {
    let (server, client) = (Server::good().await, client());
    let with = |gene: &str, value: &str| {
        let request = Request::get(format!("{}/headers", server.origin())).header("authorization", value);
        ask(gene, &server.origin(), request.body(full("")).unwrap())
    };
    let seen = text(&client, with("shop", "Bearer {{secret:token}}")).await.unwrap();
    assert_eq!(seen, format!("{} Bearer s3cr3t", server.address));
    let before = server.count();
    for (gene, value) in [("shop", "{{secret:other}}"), ("other", "{{secret:token}}")] {
        assert!(matches!(text(&client, with(gene, value)).await, Err(OutboundError::Denied(_))));
    }
    assert_eq!(server.count(), before);
}

#[tokio::test]
async fn redirects_are_the_guests_to_follow_and_connection_fields_stay_here() {
    let (server, client) = (Server::good().await, client());
    let redirect = client.send(get(&server.origin(), "/redirect")).await.unwrap();
    assert_eq!(redirect.status(), 302);
    drop(redirect);
    let headers = client.send(get(&server.origin(), "/headers")).await.unwrap();
    assert!(headers.headers().contains_key("x-kept") && !headers.headers().contains_key("keep-alive"));
}

#[tokio::test]
async fn bodies_stream_both_ways_and_a_slow_upload_is_not_a_silent_server() {
    // Pieces come far sooner than a silence counts, and all of them take longer than a head may.
    let second = Duration::from_secs(1);
    let client = client_with(OutboundConfig { head: second, idle: second, ..quick() });
    let server = Server::good().await;
    let pieces = futures_util::stream::iter(0..12).then(|_| async {
        sleep(Duration::from_millis(100)).await;
        Ok(Frame::data(Bytes::from_static(b"piece ")))
    });
    let body = StreamBody::new(pieces).boxed_unsync();
    let request = Request::post(format!("{}/echo", server.origin())).body(body).unwrap();
    assert_eq!(text(&client, ask("shop", &server.origin(), request)).await.unwrap(), "piece ".repeat(12));

    // The server reads everything before it answers, for longer than the head may take.
    let patient = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let mut seen = vec![0; 72];
        stream.read_exact(&mut seen).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let pieces = futures_util::stream::iter(0..12).then(|_| async {
        sleep(Duration::from_millis(100)).await;
        Ok(Frame::data(Bytes::from_static(b"piece ")))
    });
    let request = Request::post(format!("{}/", patient.origin())).header("content-length", "72");
    let request = request.body(StreamBody::new(pieces).boxed_unsync()).unwrap();
    assert_eq!(text(&client, ask("shop", &patient.origin(), request)).await.unwrap(), "ok");
}

#[tokio::test]
async fn every_wait_has_a_deadline() {
    let (server, client) = (Server::good().await, client());
    let started = Instant::now();
    assert_eq!(text(&client, get(&server.origin(), "/slow-head")).await, Err(OutboundError::HeadTimeout));
    assert_eq!(text(&client, get(&server.origin(), "/slow-body")).await, Err(OutboundError::IdleTimeout));
    let silent = Server::start(|stream| async move {
        sleep(Duration::from_secs(9)).await;
        drop(stream);
    })
    .await;
    let secure = silent.origin().replace("http", "https");
    assert_eq!(text(&client, get(&secure, "/")).await, Err(OutboundError::ConnectTimeout));
    assert!(started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());

    // A guest may ask for less, not for more.
    let started = Instant::now();
    let mut hasty = get(&server.origin(), "/slow-head");
    hasty.timeouts.head = Some(Duration::from_millis(50));
    assert_eq!(text(&client, hasty).await, Err(OutboundError::HeadTimeout));
    assert!(started.elapsed() < Duration::from_millis(250));
    let mut lazy = get(&server.origin(), "/slow-head");
    lazy.timeouts.head = Some(Duration::from_secs(60));
    assert_eq!(text(&client, lazy).await, Err(OutboundError::HeadTimeout));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_one_more_and_no_error() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let client = client();
    for round in 1..=4 {
        assert_eq!(text(&client, get(&server.origin(), "/")).await.unwrap(), "ok");
        assert_eq!(server.count(), round);
    }
}

#[tokio::test]
async fn a_request_that_left_is_never_sent_twice() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let client = client();
    let failed = text(&client, get(&server.origin(), "/")).await;
    assert!(matches!(failed, Err(OutboundError::Protocol(_))), "{failed:?}");
    assert_eq!(server.count(), 1);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = text(&client, get(&format!("http://{nobody}"), "/")).await;
    assert_eq!(refused, Err(OutboundError::Refused));
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_an_error() {
    let heads: [&'static str; 3] =
        ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nx: "];
    for head in heads {
        let server = Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            if head.ends_with("x: ") {
                let _ = stream.write_all("y".repeat(100 << 10).as_bytes()).await;
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        let failed = text(&client(), get(&server.origin(), "/")).await;
        assert!(matches!(failed, Err(OutboundError::Protocol(_))), "{head:?}: {failed:?}");
    }
}

#[tokio::test]
async fn dropping_the_request_closes_its_connection() {
    let (gone, mut heard) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            let end = stream.read(&mut [0]).await;
            let _ = gone.send(matches!(end, Ok(0) | Err(_))).await;
        }
    })
    .await;
    let client = client();
    let sending = client.send(get(&server.origin(), "/"));
    assert!(tokio::time::timeout(Duration::from_millis(100), sending).await.is_err());
    let heard = tokio::time::timeout(Duration::from_millis(200), heard.recv()).await;
    assert_eq!(heard.unwrap(), Some(true), "before the head deadline");
}

#[tokio::test]
async fn unused_connections_are_closed_after_a_while_and_bounded() {
    let server = Server::good().await;
    let client =
        client_with(OutboundConfig { keep: Duration::from_millis(100), keep_per_place: 2, ..quick() });
    let requests: Vec<_> = (0..4).map(|_| client.send(get(&server.origin(), "/"))).collect();
    for response in futures_util::future::join_all(requests).await {
        response.unwrap().into_body().collect().await.unwrap();
    }
    assert!(server.count() >= 2);
    assert!(client.shared.pool.len() <= 2);
    let started = Instant::now();
    while client.shared.pool.len() > 0 {
        assert!(started.elapsed() < Duration::from_secs(2));
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn tls_needs_a_certificate_that_is_trusted_and_fits_the_host() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<Vec<_>, _>>().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http(stream).await;
            }
        }
    })
    .await;
    let origin = format!("https://{}", server.address);
    let trusting = client();
    assert_eq!(text(&trusting, get(&origin, "/")).await.unwrap(), "hello");
    assert_eq!(text(&trusting, get(&origin, "/")).await.unwrap(), "hello");
    assert_eq!(server.count(), 1);
    let strict = client_with(OutboundConfig { extra_roots: Vec::new(), ..quick() });
    assert!(matches!(text(&strict, get(&origin, "/")).await, Err(OutboundError::Tls(_))));
    let broken = OutboundConfig {
        extra_roots: b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_vec(),
        ..quick()
    };
    let secrets: SecretLookup = Arc::new(|_, _| None);
    assert!(matches!(Client::new(broken, secrets, Handle::current()), Err(SetupError::Roots(_))));
}
