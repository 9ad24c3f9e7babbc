//! HTTP/1.1 as every client speaks it.

use super::zoo::{self, get};
use crate::support::Host;
use crate::support::http::{Connection, Why, request};

/// Guests that give back what they get, one for each version of wasi:http.
pub(super) const ECHOS: [&str; 2] = ["echo", "p3-echo"];

#[test]
fn hello() {
    for name in ["spin", "p3-spin"] {
        let host = zoo::host(&[(name, "")]);
        let answer = host.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "healthy\n"), "{name}");
        assert_eq!(answer.header("content-length"), Some("8"), "{name}: a short body leaves whole");
        assert!(answer.header("date").is_some(), "{name}");
    }
}

#[test]
fn a_body_with_a_length_comes_back_whole() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    for name in ECHOS {
        for path in ["/", "/copy", "/whole"] {
            for length in [0, 1, 8_192, 1 << 20] {
                let body = pattern(length);
                let headers = [("host", &*format!("{name}.test")), ("x-n", "1")];
                let answer = host.connect().request("POST", path, &headers, &body);
                assert_eq!(answer.status, 200, "{name} {path} {length}");
                assert!(answer.body == body, "{name} {path} {length}: {} bytes", answer.body.len());
            }
        }
    }
}

#[test]
fn a_chunked_body_comes_back_whole_however_it_is_cut() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    let body = pattern(100_000);
    for name in ECHOS {
        for cut in [1_009, 65_536, 100_000] {
            let mut connection = host.connect();
            connection.send(head("POST", name, "/", "transfer-encoding: chunked\r\n"));
            for piece in body.chunks(cut) {
                connection.send(chunk(piece));
            }
            connection.send("0\r\n\r\n");
            let answer = connection.response().unwrap();
            assert!(answer.body == body, "{name} {cut}: {} bytes", answer.body.len());
        }
    }
}

#[test]
fn a_gene_reads_the_head_that_the_client_sent() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    for name in ECHOS {
        let headers = [
            ("host", &*format!("{name}.test")),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("connection", "x-hop"),
            ("x-hop", "secret of the connection"),
        ];
        let answer = host.connect().request("PUT", "/head?a=%20b&c", &headers, b"");
        let text = answer.text();
        assert!(text.lines().next().unwrap().starts_with("PUT "), "{text}");
        assert!(text.lines().next().unwrap().ends_with("/head?a=%20b&c"), "{text}");
        assert!(text.contains("x-twice: 1\nx-twice: 2\n"), "{text}");
        assert!(!text.contains("hop"), "{name}: fields of the connection end at the host: {text}");
    }
}

#[test]
fn head_has_the_length_and_no_body() {
    let host = zoo::host(&[("spin", ""), ("p3-spin", ""), ("echo", "")]);
    for name in ["spin", "p3-spin"] {
        let mut connection = host.connect();
        connection.send(head("HEAD", name, "/", ""));
        let answer = connection.answer(true).unwrap();
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("8")), "{name}");
        // Had there been a body, the next answer would not begin where it must.
        assert_eq!(zoo::ask(&mut connection, name, "/").text(), "healthy\n", "{name}");
    }
    let mut connection = host.connect();
    connection.send(head("HEAD", "echo", "/zeros?n=300000", ""));
    assert_eq!(connection.answer(true).unwrap().status, 200);
    assert_eq!(zoo::ask(&mut connection, "spin", "/").text(), "healthy\n", "after a HEAD with a long body");
}

#[test]
fn a_client_that_expects_continue_is_told_to_go_on_when_the_gene_reads() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/whole", "expect: 100-continue\r\ncontent-length: 5\r\n"));
        assert_eq!(connection.head().unwrap().status, 100, "{name}");
        connection.send("hello");
        assert_eq!(connection.response().unwrap().text(), "hello", "{name}");
    }
    // Nobody reads: the body is never asked for.
    let mut connection = host.connect();
    connection.send(head("POST", "echo", "/head", "expect: 100-continue\r\ncontent-length: 5\r\n"));
    let answer = connection.response().unwrap();
    assert_eq!((answer.status, answer.interim.as_slice()), (200, &[][..]));
}

#[test]
fn a_connection_serves_request_after_request() {
    let host = zoo::host(&[("echo", ""), ("p3-echo", ""), ("state", zoo::ONE)]);
    let mut connection = host.connect();
    for n in 1..=50 {
        for name in ECHOS {
            let body = format!("{name} {n}");
            let headers = [("host", &*format!("{name}.test"))];
            assert_eq!(connection.request("POST", "/", &headers, body.as_bytes()).text(), body);
        }
        assert_eq!(zoo::ask(&mut connection, "state", "/").text(), format!("{n}\n"), "one cell, kept");
    }
    connection.send(head("GET", "echo", "/", "connection: close\r\n"));
    let answer = connection.response().unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let host = zoo::host(&[("p3-concurrency", ""), ("echo", ""), ("p3-echo", ""), ("spin", "")]);
    let mut connection = host.connect();
    let mut all = String::new();
    // The slowest first: the others are ready long before it.
    all.push_str(&get("p3-concurrency", "/?ms=300"));
    all.push_str(&get("spin", "/"));
    for n in 0..20 {
        let name = ECHOS[n % 2];
        all.push_str(&head("POST", name, "/", "content-length: 4\r\n"));
        all.push_str(&format!("{n:04}"));
    }
    connection.send(all);
    assert_eq!(connection.response().unwrap().text(), "1 1\n");
    assert_eq!(connection.response().unwrap().text(), "healthy\n");
    for n in 0..20 {
        assert_eq!(connection.response().unwrap().text(), format!("{n:04}"));
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let host = zoo::host(&[("echo", "")]);
    let mut connection = host.connect();
    connection.send("POST /copy HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello");
    let answer = connection.response().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert!(connection.is_closed());
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let host = zoo::host(&[("echo", "")]);
    let mut connection = host.connect();
    for byte in request("POST", "/", &[("x-slow", "yes")], b"hello") {
        connection.send([byte]);
    }
    assert_eq!(connection.response().unwrap().text(), "hello");
}

#[test]
fn a_client_that_says_it_has_no_more_still_gets_its_answer() {
    let host = zoo::host(&[("p3-concurrency", "")]);
    let mut connection = host.begin("p3-concurrency", "/?ms=200");
    connection.finish();
    // A half-closed connection is not a client that went away... unless the server takes it for
    // one; then it must not send half an answer.
    match connection.response() {
        Ok(answer) => assert_eq!(answer.text(), "1 1\n"),
        Err(broken) => assert!(broken.why == Why::Closed && broken.partial.is_none(), "{broken:?}"),
    }
}

/// The head of a request for a gene, with more lines.
pub(super) fn head(method: &str, gene: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: {gene}.test\r\n{more}\r\n")
}

/// One chunk of a chunked body.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// Bytes in which a piece that is lost, doubled or moved shows.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ (n >> 13) as u8).collect()
}

/// A connection for streams that take longer than one answer.
pub(super) fn patient(host: &Host) -> Connection {
    host.connect().deadline(crate::support::wait::LONG)
}
