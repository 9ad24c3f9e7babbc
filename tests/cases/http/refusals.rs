//! What a client hears when no gene answers.

use std::io::Read;

use super::plain::{ECHOS, chunk, head};
use super::zoo::{self, refused};
use crate::support::http::Why;

#[test]
fn a_body_above_the_genes_limit_is_refused_when_it_is_declared() {
    let host = zoo::host(&ECHOS.map(|name| (name, "limits = { body = \"1KiB\" }")));
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/whole", "content-length: 1025\r\n"));
        refused(&connection.response().unwrap(), 413, "body-too-large");
        let mut connection = host.connect();
        let more = "expect: 100-continue\r\ncontent-length: 1025\r\n";
        connection.send(head("POST", name, "/whole", more));
        let answer = connection.response().unwrap();
        refused(&answer, 413, "body-too-large");
        assert!(answer.interim.is_empty(), "{name}: nobody asked for the body");
        // Exactly the limit passes.
        let headers = [("host", &*format!("{name}.test"))];
        let answer = host.connect().request("POST", "/whole", &headers, &[b'x'; 1024]);
        assert_eq!((answer.status, answer.body.len()), (200, 1024), "{name}");
    }
    // Nothing of it reached a gene.
    assert_eq!(host.ask("echo", "/").status, 200);
    let status = host.json(["limits"]);
    assert_eq!(status["front"]["refusals"]["body-too-large"], 4, "{}", status["front"]);
}

#[test]
fn a_body_above_the_limit_is_refused_when_it_comes_in_chunks() {
    let host = zoo::host(&ECHOS.map(|name| (name, "limits = { body = \"64KiB\" }")));
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/whole", "transfer-encoding: chunked\r\n"));
        for _ in 0..64 {
            // Once refused, the rest may be taken or not.
            if connection.try_send(chunk(&[b'x'; 4096])).is_err() {
                break;
            }
        }
        refused(&connection.response().unwrap(), 413, "body-too-large");
        assert_eq!(host.ask(name, "/").status, 200, "{name}");
    }
}

#[test]
fn the_default_limit_of_a_body_is_8_mib() {
    let host = zoo::host(&[("echo", "")]);
    let declare = |length: u64| {
        let mut connection = host.connect();
        connection.send(head("POST", "echo", "/head", &format!("content-length: {length}\r\n")));
        connection.response().unwrap().status
    };
    assert_eq!(declare(8 << 20), 200);
    assert_eq!(declare((8 << 20) + 1), 413);
    assert_eq!(declare(1 << 62), 413);
}

#[test]
fn a_body_that_breaks_its_framing_ends_the_request_and_nothing_else() {
    let host = zoo::host(&ECHOS.map(|name| (name, "")));
    for name in ECHOS {
        for broken in ["zz\r\n", "-1\r\n", "5\r\nhelloXX", "ffffffffffffffff1\r\n"] {
            let mut connection = host.connect();
            connection.send(head("POST", name, "/whole", "transfer-encoding: chunked\r\n"));
            connection.send(broken);
            match connection.response() {
                Ok(answer) => assert!(answer.status >= 400, "{name} {broken:?}: {answer:?}"),
                Err(broken) => assert_eq!(broken.why, Why::Closed, "{name}"),
            }
        }
        assert_eq!(host.ask(name, "/").status, 200, "{name}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let host = zoo::host(&[("echo", "")]);
    let long = "x".repeat(70_000);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    for request in [
        head("GET", "echo", "/", &format!("x-long: {long}\r\n")),
        head("GET", "echo", &format!("/{long}"), ""),
        head("GET", "echo", "/", &many),
    ] {
        let mut connection = host.connect();
        // It may be refused before it was sent to its end.
        let _ = connection.try_send(request);
        assert_eq!(connection.response().unwrap().status, 431);
        assert!(connection.is_closed());
    }
    let large = format!("x-large: {}\r\n", "y".repeat(32_000));
    let mut connection = host.connect();
    connection.send(head("GET", "echo", "/head", &large));
    assert_eq!(connection.response().unwrap().body.len(), 32_000 + "x-large: ".len() + 1 + line(&host));
}

/// The bytes of the first line with which `/head` answers.
fn line(host: &zoo::Zoo) -> usize {
    host.ask("echo", "/head").body.len()
}

#[test]
fn a_request_names_one_host() {
    let host = zoo::host(&[("echo", "")]);
    for (request, code) in [
        ("GET / HTTP/1.1\r\n\r\n", "host-missing"),
        ("GET / HTTP/1.1\r\nhost: echo.test\r\nhost: echo.test\r\n\r\n", "host-conflict"),
        ("GET / HTTP/1.1\r\nhost: echo.test\r\nhost: other.test\r\n\r\n", "host-conflict"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "host-malformed"),
        ("GET / HTTP/1.1\r\nhost: echo.test/x\r\n\r\n", "host-malformed"),
        ("GET / HTTP/1.1\r\nhost: me@echo.test\r\n\r\n", "host-malformed"),
        ("GET http://me@echo.test/ HTTP/1.1\r\nhost: echo.test\r\n\r\n", "target-malformed"),
        ("GET ftp://echo.test/ HTTP/1.1\r\nhost: echo.test\r\n\r\n", "target-malformed"),
        ("GET * HTTP/1.1\r\nhost: echo.test\r\n\r\n", "target-malformed"),
    ] {
        let mut connection = host.connect();
        connection.send(request);
        refused(&connection.response().unwrap(), 400, code);
    }
}

#[test]
fn what_is_not_http_is_refused_or_closed() {
    let host = zoo::host(&[("echo", "")]);
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0";
    for bytes in [
        hello,
        b"hello world\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n folded: z\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nxx",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut connection = host.connect();
        connection.send(bytes);
        let answer = connection.rest().unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{}: {text}", bytes.escape_ascii());
    }
    assert_eq!(host.get("/").status, 200);
}

#[test]
fn methods_that_no_gene_serves() {
    let host = zoo::host(&[("echo", "")]);
    for method in ["TRACE", "CONNECT"] {
        let target = if method == "CONNECT" { "echo.test:80" } else { "/" };
        let mut connection = host.connect();
        connection.send(head(method, "echo", target, ""));
        refused(&connection.response().unwrap(), 501, "method-not-supported");
    }
    // Every other method is the gene's affair.
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "M-SEARCH"] {
        let answer = host.connect().request(method, "/head", &[], b"");
        assert!(answer.text().starts_with(method), "{method}: {answer:?}");
    }
}

#[test]
fn programs_read_a_refusal_as_json() {
    let host = zoo::host(&[("echo", "")]);
    let headers = [("host", ""), ("accept", "application/json")];
    let mut connection = host.connect();
    connection.send("GET / HTTP/1.1\r\naccept: application/json\r\n\r\n");
    let answer = connection.response().unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json();
    assert_eq!((&error["v"], &error["error"]["code"]), (&1.into(), &"host-missing".into()));
    assert_eq!(error["error"]["request_id"], answer.header("x-request-id").unwrap());
    // An empty Host is a host: the one without a name.
    assert_eq!(host.connect().request("GET", "/", &headers, b"").status, 200);
}

#[test]
fn a_refused_upload_can_still_be_read_and_the_connection_ends() {
    let host = zoo::host(&[("echo", "limits = { body = \"1KiB\" }")]);
    let mut connection = host.connect();
    connection.send(head("POST", "echo", "/whole", "content-length: 100000\r\n"));
    connection.send(vec![b'x'; 100_000]);
    refused(&connection.response().unwrap(), 413, "body-too-large");
    // What was sent and not read must not be taken for the next request.
    let mut rest = Vec::new();
    let _ = connection.stream().try_clone().unwrap().read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}
