//! Guests that flood their log.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::zoo::{self, Zoo};
use crate::support::until;

/// What the control socket says about the whole host.
fn status(host: &Zoo) -> Value {
    let lock = std::fs::read_to_string(host.state().join("lock")).unwrap();
    let lock: Value = serde_json::from_str(&lock).unwrap();
    let mut socket = UnixStream::connect(lock["socket"].as_str().unwrap()).unwrap();
    socket.write_all(b"GET /v1/status HTTP/1.1\r\nhost: cyte\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[test]
fn a_flood_is_dropped_and_counted() {
    let host = zoo::host(&[("log-flood", "limits = { cpu = \"60s\", wall = \"100s\" }"), ("panic", "")]);
    assert_eq!(host.ask("log-flood", "/").text(), "logged\n");
    let quiet = host.resident();
    for path in ["/stdout", "/line", "/logging"] {
        let answer = host.connect().deadline(crate::support::wait::LONG).request("GET", path, &[], b"");
        assert_eq!(answer.text(), "logged\n", "{path}");
        let held = host.resident().saturating_sub(quiet);
        assert!(held < 32 << 20, "{path}: {held} bytes held");
    }
    let dropped = status(&host)["dropped"].clone();
    // 200 MB and 4 MB of output and about 1.5 MB of lines, of which some hundred KB were kept.
    assert!(dropped["log_bytes"].as_u64().unwrap() > 190_000_000, "{dropped}");
    assert!(dropped["log_lines"].as_u64().unwrap() > 190_000, "{dropped}");
    let said: Vec<_> = host.logs("log-flood");
    assert!(
        said.iter().any(|line| line["text"].as_str().unwrap().contains("over the log rate")),
        "the log says so"
    );
    let on_disk: u64 = std::fs::read_dir(host.state().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(on_disk < 64 << 20, "{on_disk} bytes of log files");
    // Another gene's words are not lost for it.
    assert_eq!(host.ask("panic", "/error").status, 500);
    until("the other gene is heard", || {
        host.logs("panic")
            .iter()
            .any(|line| line["text"].as_str().unwrap().contains("only for the log"))
            .then_some(())
    });
}

#[test]
fn lines_are_cut_and_cleaned() {
    let host = zoo::host(&[("log-flood", "")]);
    assert_eq!(host.ask("log-flood", "/").text(), "logged\n");
    assert_eq!(host.ask("log-flood", "/binary").text(), "logged\n");
    let lines = until("all that was said", || {
        let lines = host.logs("log-flood");
        lines.iter().any(|line| line["text"].as_str().unwrap().contains("not text")).then_some(lines)
    });
    let find = |text: &str| {
        lines.iter().find(|line| line["text"] == text).unwrap_or_else(|| panic!("{text}: {lines:?}"))
    };
    assert_eq!(find("a line on stdout")["stream"], "stdout");
    assert_eq!(find("a line on stderr")["stream"], "stderr");
    assert_eq!(
        (&find("a line with a level")["stream"], &find("a line with a level")["level"]),
        (&"log".into(), &"warn".into())
    );
    for line in &lines {
        let text = line["text"].as_str().unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
        assert!(text.len() <= 8 << 10);
    }
    assert_eq!(host.ask("log-flood", "/line").text(), "logged\n");
    let longest = host.logs("log-flood").iter().map(|line| line["text"].as_str().unwrap().len()).max();
    assert!(longest.unwrap() <= 8 << 10, "{longest:?}");
    assert!(!host.err().text().contains('\u{1b}'), "no terminal is told what to do");
}
