//! Bodies that stream: back-pressure in both directions, and trailers.

use std::thread;
use std::time::Duration;

use super::plain::{ECHOS, chunk, head, patient, pattern};
use super::zoo::{self, Zoo, get};
use crate::support::Connection;
use crate::support::http::Why;
use crate::support::wait::within;

/// What passes through, and how much of it a host may hold at once.
const BODY: usize = 64 << 20;
const HELD: u64 = 16 << 20;

fn echos() -> Zoo {
    host_with("limits = { body = \"1GiB\" }")
}

fn host_with(more: &str) -> Zoo {
    zoo::host(&ECHOS.map(|name| (name, more)))
}

#[test]
fn a_client_that_stops_reading_holds_its_own_upload_back() {
    let host = echos();
    for name in ECHOS {
        for path in ["/", "/copy"] {
            warm_up(&host, name, path);
            let quiet = host.resident();
            let mut reader = patient(&host);
            reader.send(head("POST", name, path, "transfer-encoding: chunked\r\n"));
            let mut writer = reader.stream().try_clone().unwrap();
            let sender = thread::spawn(move || upload(&mut writer));
            // Nobody reads the answer: the upload must come to a halt.
            let halted = halt(&host);
            assert!(halted < BODY as u64 / 2, "{name}{path}: the host took {halted} bytes that nobody reads");
            let held = host.resident().saturating_sub(quiet);
            assert!(held < HELD, "{name}{path}: {held} bytes held for a client that does not read");
            let answer = download(&mut reader);
            sender.join().unwrap();
            assert_eq!(answer, BODY, "{name}{path}");
            let held = host.resident().saturating_sub(quiet);
            assert!(held < HELD, "{name}{path}: {held} bytes held after 64 MiB went through");
        }
    }
}

/// One body through each way, so that what a first use costs is not counted.
fn warm_up(host: &Zoo, name: &str, path: &str) {
    let headers = [("host", &*format!("{name}.test"))];
    let body = pattern(1 << 20);
    let answer = patient(host).request("POST", path, &headers, &body);
    assert!(answer.body == body, "{name}{path}");
}

fn upload(writer: &mut std::net::TcpStream) {
    use std::io::Write as _;
    let piece = chunk(&pattern(64 << 10));
    for _ in 0..BODY / (64 << 10) {
        writer.write_all(&piece).unwrap();
    }
    writer.write_all(b"0\r\n\r\n").unwrap();
}

/// Waits until the host reads no more, and says how much it read of bodies so far: what the
/// kernel counts as read by the process, which grows as long as the upload moves.
fn halt(host: &Zoo) -> u64 {
    let read = || {
        let io = std::fs::read_to_string(format!("/proc/{}/io", host.id())).unwrap();
        let line = io.lines().find(|line| line.starts_with("rchar:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (first, mut last) = (read(), 0);
    within(Duration::from_secs(30), "the upload halts", || {
        let now = read();
        let stands = now == last;
        last = now;
        thread::sleep(Duration::from_millis(250));
        stands.then_some(())
    });
    last - first
}

fn download(reader: &mut Connection) -> usize {
    let head = reader.head().unwrap();
    assert_eq!(head.status, 200);
    let answer = reader.body_of(head).unwrap();
    let piece = pattern(64 << 10);
    assert!(answer.body.chunks(64 << 10).all(|part| part == piece), "what comes back is not what went in");
    answer.body.len()
}

#[test]
fn a_client_that_stops_reading_holds_the_gene_back() {
    let host = zoo::host(&[("echo", "")]);
    warm_up(&host, "echo", "/copy");
    let quiet = host.resident();
    let mut reader = patient(&host);
    reader.send(get("echo", &format!("/zeros?n={BODY}")));
    let head = reader.head().unwrap();
    within(Duration::from_secs(30), "the gene waits", || {
        let before = host.cpu();
        thread::sleep(Duration::from_millis(250));
        (host.cpu() == before).then_some(())
    });
    let held = host.resident().saturating_sub(quiet);
    assert!(held < HELD, "{held} bytes held for a client that does not read");
    assert_eq!(reader.body_of(head).unwrap().body.len(), BODY);
}

#[test]
fn an_answer_begins_before_the_request_ends() {
    let host = echos();
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/copy", "transfer-encoding: chunked\r\n"));
        connection.send(chunk(b"ping 0"));
        let answer = connection.head().unwrap();
        assert_eq!(answer.status, 200, "{name}");
        connection.until("ping 0");
        for n in 1..5 {
            let text = format!("ping {n}");
            connection.send(chunk(text.as_bytes()));
            connection.until(&text);
        }
        connection.send("0\r\n\r\n");
        connection.until("0\r\n\r\n");
        assert_eq!(zoo::ask(&mut connection, name, "/").status, 200, "{name}: the connection goes on");
    }
}

#[test]
fn trailers_pass_in_both_directions() {
    let host = echos();
    for name in ECHOS {
        for path in ["/", "/copy"] {
            let mut connection = host.connect();
            let more = "transfer-encoding: chunked\r\nte: trailers\r\ntrailer: x-sum, x-more\r\n";
            connection.send(head("POST", name, path, more));
            connection.send(chunk(b"hello"));
            connection.send("0\r\nx-sum: 42\r\nx-more: yes\r\n\r\n");
            let answer = connection.response().unwrap();
            assert_eq!(answer.text(), "hello", "{name}{path}");
            let mut trailers = answer.trailers.clone();
            trailers.sort();
            let expected = [("x-more".to_owned(), "yes".to_owned()), ("x-sum".to_owned(), "42".to_owned())];
            assert_eq!(trailers, expected, "{name}{path}");
        }
    }
}

#[test]
fn trailers_that_nobody_asked_for_are_left_out() {
    let host = echos();
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/copy", "transfer-encoding: chunked\r\ntrailer: x-sum\r\n"));
        connection.send(chunk(b"hello"));
        connection.send("0\r\nx-sum: 42\r\n\r\n");
        let answer = connection.response().unwrap();
        assert_eq!((answer.text().as_str(), answer.trailers.len()), ("hello", 0), "{name}");
    }
}

#[test]
fn a_request_cut_off_in_the_middle_is_not_a_whole_one() {
    let host = echos();
    for name in ECHOS {
        let mut connection = host.connect();
        connection.send(head("POST", name, "/copy", "transfer-encoding: chunked\r\n"));
        connection.send(chunk(b"some"));
        let answer = connection.head().unwrap();
        connection.finish();
        let broken = connection.body_of(answer).expect_err("the answer to half a request is no whole one");
        assert_eq!(broken.why, Why::Closed, "{name}");
        assert_eq!(host.ask(name, "/").status, 200, "{name}");
    }
}
