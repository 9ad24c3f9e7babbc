//! Guests that send requests: only where the DNA says, and without ever seeing a secret.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::sync::mpsc::{Receiver, channel};

use super::zoo::{self, Zoo};

/// A server that answers every request with `answer` and tells what it was sent.
struct Peer {
    port: u16,
    heads: Receiver<String>,
}

impl Peer {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heads) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let _ = sender.send(String::from_utf8_lossy(&head).into_owned());
                let length = answer.len();
                let text = if answer.starts_with("HTTP/") {
                    answer.to_owned()
                } else {
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
                    )
                };
                let _ = stream.write_all(text.as_bytes());
            }
        });
        Self { port, heads }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the next request was; none where none came.
    fn head(&self) -> Option<String> {
        self.heads.try_recv().ok()
    }
}

fn fetch(host: &Zoo, gene: &str, path: &str, url: &str) -> String {
    let answer = host.ask(gene, &format!("{path}url={url}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

fn granted(url: &str) -> String {
    format!("outbound = [\"{url}\"]")
}

#[test]
fn without_a_grant_nothing_leaves() {
    let peer = Peer::start("never sent");
    let elsewhere = Peer::start("never sent");
    let host = zoo::host(&[("fetch", ""), ("fetch as some", &granted(&elsewhere.url())), ("p3-echo", "")]);
    for gene in ["fetch", "some"] {
        let said = fetch(&host, gene, "/?", &peer.url());
        assert!(said.starts_with("error: ") && said.contains("denied"), "{gene}: {said}");
    }
    let said = host.ask("p3-echo", &format!("/fetch?url={}", peer.url())).text();
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!((peer.head(), elsewhere.head()), (None, None));
    assert!(host.logs("fetch").iter().any(|line| line["stream"] == "host"), "the log says what was denied");
}

#[test]
fn a_grant_is_for_one_scheme_host_and_port() {
    let peer = Peer::start("hello from the peer");
    let port = peer.port;
    let host = zoo::host(&[("fetch", &granted(&peer.url())), ("p3-echo", &granted(&peer.url()))]);
    assert_eq!(fetch(&host, "fetch", "/?", &peer.url()), "200\nhello from the peer");
    let head = peer.head().unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{head}");
    assert_eq!(host.ask("p3-echo", &format!("/fetch?url={}", peer.url())).text(), "hello from the peer");
    assert!(peer.head().unwrap().starts_with("POST / HTTP/1.1\r\n"));
    for other in [
        format!("https://127.0.0.1:{port}"),
        "http://127.0.0.1:1".to_owned(),
        format!("http://127.0.0.2:{port}"),
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://0x7f000001:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://127.1:{port}"),
        format!("http://0:{port}"),
        format!("http://user@127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}@127.0.0.2"),
    ] {
        let answer = host.ask("fetch", &format!("/?url={other}"));
        let said = answer.text();
        assert!(!said.contains("hello"), "{other}: {said}");
    }
    assert_eq!(peer.head(), None, "nothing else arrived");
}

#[test]
fn a_name_that_leads_inside_is_denied_although_it_is_granted() {
    let Some(name) = inside_name() else {
        // The machine's own table of names has none that leads inside; the resolver's part is
        // tested with a table of its own in the host's unit tests.
        eprintln!("no name of this machine leads to a private address");
        return;
    };
    let peer = Peer::start("never sent");
    let url = format!("http://{name}:{}", peer.port);
    let host = zoo::host(&[("fetch", &granted(&url))]);
    let said = fetch(&host, "fetch", "/?", &url);
    assert!(said.starts_with("error: ") && said.contains("denied"), "{name}: {said}");
    assert_eq!(peer.head(), None);
}

/// A name other than `localhost` that this machine resolves to addresses of its own only.
fn inside_name() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names =
        hosts.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split_whitespace().skip(1));
    let mut names =
        names.filter(|name| *name != "localhost" && name.chars().any(|c| c.is_ascii_alphabetic()));
    let inside = |name: &&str| {
        (*name, 80).to_socket_addrs().is_ok_and(|mut found| {
            found.all(|address| match address.ip() {
                IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
                IpAddr::V6(v6) => v6.is_loopback(),
            })
        })
    };
    names.find(inside).map(str::to_owned)
}

#[test]
fn localhost_is_granted_only_by_that_name() {
    let peer = Peer::start("hello from the peer");
    let url = format!("http://localhost:{}", peer.port);
    let host = zoo::host(&[("fetch", &granted(&url))]);
    assert_eq!(fetch(&host, "fetch", "/?", &url), "200\nhello from the peer");
    assert!(fetch(&host, "fetch", "/?", &peer.url()).contains("denied"));
}

#[test]
fn a_secret_is_filled_in_on_the_way_out_and_never_seen() {
    let peer = Peer::start("done");
    let other = Peer::start("never sent");
    let more = format!("{}\nsecrets = [\"token\"]", granted(&peer.url()));
    let project = crate::support::project(&zoo::toml(&[
        ("fetch", &more),
        ("fetch as plain", &granted(&peer.url())),
        ("env-probe", "secrets = [\"token\"]"),
    ]));
    let host = zoo::of(project);
    let unset = fetch(&host, "fetch", "/secret?name=token&", &peer.url());
    assert!(unset.starts_with("error: "), "a secret without a value is not sent: {unset}");
    host.cyte(["secret", "set", "token"]).stdin("s3cr3t-value\n").ok();

    assert_eq!(fetch(&host, "fetch", "/secret?name=token&", &peer.url()), "200\ndone");
    let head = peer.head().unwrap();
    assert!(head.contains("authorization: Bearer s3cr3t-value\r\n"), "{head}");
    // Not granted to this gene, not a name that is granted, not to a place that is granted.
    for (gene, name, url) in
        [("plain", "token", peer.url()), ("fetch", "other", peer.url()), ("fetch", "token", other.url())]
    {
        let said = fetch(&host, gene, &format!("/secret?name={name}&"), &url);
        assert!(said.starts_with("error: "), "{gene} {name}: {said}");
    }
    assert_eq!((peer.head(), other.head()), (None, None), "a request with a hole in it never leaves");
    let probe = host.ask("env-probe", "/").text();
    assert!(!probe.contains("s3cr3t"), "{probe}");
    let kept = std::fs::read(host.state().join("head.redb")).unwrap();
    assert!(!kept.windows(6).any(|bytes| bytes == b"s3cr3t"), "it is sealed on disk");
    let said = host.err().text() + &host.json(["logs"]).to_string() + &host.json(["events"]).to_string();
    assert!(!said.contains("s3cr3t"), "it is in no log");
    host.cyte(["secret", "rm", "token"]).ok();
    assert!(fetch(&host, "fetch", "/secret?name=token&", &peer.url()).starts_with("error: "));
}

#[test]
fn a_redirect_is_not_followed() {
    let inside = Peer::start("never sent");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        inside.url()
    );
    let peer = Peer::start(Box::leak(answer.into_boxed_str()));
    let host = zoo::host(&[("fetch", &granted(&peer.url()))]);
    assert_eq!(fetch(&host, "fetch", "/?", &peer.url()), "302\n");
    assert_eq!(inside.head(), None);
}

#[test]
fn a_peer_that_misbehaves_is_the_guests_error_and_nobody_elses() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        "HTTP/9.9 what",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let peer = Peer::start(answer);
        let host = zoo::host(&[("fetch", &granted(&peer.url()))]);
        let said = fetch(&host, "fetch", "/?", &peer.url());
        assert!(said.contains("error: "), "{answer:?}: {said}");
        assert_eq!(host.ask("fetch", "/").text(), "healthy\n");
    }
    // Nobody listens there any more.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let host = zoo::host(&[("fetch", &granted(&url))]);
    assert!(fetch(&host, "fetch", "/?", &url).starts_with("error: "));
}
