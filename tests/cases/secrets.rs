//! Secrets: kept sealed, put into what leaves by the host, never shown.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::wait::SOON;
use crate::support::{Cyte, Host, Temp, project};

const VALUE: &str = "sesame-0451-opens";

#[test]
fn a_secret_is_set_listed_and_forgotten_without_being_shown() {
    let temp = Temp::new();
    let secret = |args: &[&str]| Cyte::new(["secret"]).args(args).arg("--state").arg(temp.join("s"));
    let mut said = String::new();
    let mut run = |cyte: Cyte| {
        let ran = cyte.run();
        said.push_str(&ran.stdout);
        said.push_str(&ran.stderr);
        ran
    };
    run(secret(&["set", "token"]).stdin(format!("{VALUE}\n"))).expect(0);
    run(secret(&["set", "other"]).stdin("x")).expect(0);
    assert_eq!(run(secret(&["list"])).expect(0).stdout, "other\ntoken\n");
    assert_eq!(secret(&["list"]).json()["secrets"], serde_json::json!(["other", "token"]));
    run(secret(&["rm", "other"])).expect(0);
    run(secret(&["rm", "other"])).refused(1, "E404");
    for (name, value) in [("../x", "v"), ("", "v"), ("a b", "v")] {
        run(secret(&["set", name]).stdin(value)).refused(1, "E404");
    }
    for value in ["", "\n"] {
        let said = run(secret(&["set", "token"]).stdin(value)).refused(1, "E404");
        assert!(said.contains("the value is empty"), "{said}");
    }
    run(secret(&["set", "large"]).stdin("x".repeat(64 * 1024 + 2))).refused(1, "E404");
    run(secret(&["set", "just"]).stdin("x".repeat(64 * 1024))).expect(0);
    assert!(!said.contains(VALUE), "{said}");
    // It is nowhere on disk as it is, either.
    for file in files(&temp.join("s")) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!contains(&bytes, VALUE.as_bytes()), "{} holds it", file.display());
    }
}

#[test]
fn a_running_host_is_told_and_puts_it_into_what_leaves() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    let folder = project(&format!(
        r#"
[organism]
name = "call"
[gene.fetch]
source = "{{fetch}}"
route = "/..."
outbound = ["http://{address}"]
secrets = ["token"]
"#
    ));
    let host = Host::start(folder.path());
    host.cyte(["secret", "set", "token"]).stdin(VALUE).ok();
    assert_eq!(host.cyte(["secret", "list"]).ok().stdout, "token\n");
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0_u8; 1];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
        let _ = sender.send(String::from_utf8(head).unwrap());
    });
    let answer = host.get(&format!("/secret?name=token&url=http://{address}/"));
    let head = heads.recv_timeout(SOON).unwrap_or_else(|_| panic!("nothing left: {answer:?}"));
    assert!(head.contains(VALUE), "it did not leave with the request: {head}");
    assert!(!answer.text().contains(VALUE), "the guest never sees it: {answer:?}");
    let operator = host.event("operator", |event| event["verb"] == "secret.set");
    assert_eq!(operator["subject"], "token");
    assert!(!host.err().text().contains(VALUE) && !format!("{:?}", host.events()).contains(VALUE));
    assert!(!format!("{}", host.json(["inspect", "fetch"])).contains(VALUE));
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
