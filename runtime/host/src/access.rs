//! One line a request on standard error, with `cyte run -v`.
//!
//! A thread of its own writes, so that no request waits for a terminal; lines that find its queue
//! full are counted, and the count is said with the next line that is written.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use cyte_gateway::{AccessLine, AccessLog};

/// How many lines may wait to be written.
const QUEUE: usize = 1_024;
/// How much of a path is shown, in characters.
const PATH: usize = 200;

/// The access log of one host.
#[derive(Debug)]
pub struct AccessToStderr {
    lines: SyncSender<String>,
    dropped: AtomicU64,
}

impl AccessToStderr {
    /// A log with its writer; `None` when the machine gives no thread for it.
    pub fn start() -> Option<Arc<Self>> {
        let (lines, receiver) = sync_channel::<String>(QUEUE);
        let write = move || {
            for line in receiver {
                let _ = writeln!(std::io::stderr().lock(), "{line}");
            }
        };
        std::thread::Builder::new().name("access".into()).spawn(write).ok()?;
        Some(Arc::new(Self { lines, dropped: AtomicU64::new(0) }))
    }
}

impl AccessLog for AccessToStderr {
    fn record(&self, line: &AccessLine<'_>) {
        let mut text = display(line);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            text.push_str(&format!(" ({dropped} lines before this one were dropped)"));
        }
        if self.lines.try_send(text).is_err() {
            self.dropped.fetch_add(dropped.saturating_add(1), Ordering::Relaxed);
        }
    }
}

/// `request    GET /x 200 16 B 0.4 ms 127.0.0.1:5000 00000000000000ab`.
fn display(line: &AccessLine<'_>) -> String {
    let path: String = line.path.chars().take(PATH).flat_map(char::escape_default).collect();
    let status = line.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let micros = line.elapsed.as_micros();
    let mut text = format!(
        "request    {} {path} {status} {} B {}.{} ms {} {}",
        line.method.escape_default(),
        line.bytes_out,
        micros / 1_000,
        micros % 1_000 / 100,
        line.peer,
        line.id
    );
    if let Some(refusal) = line.refusal {
        text.push_str(&format!(" refused: {refusal}"));
    }
    if !line.complete {
        text.push_str(" cut off");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use cyte_engine::RequestId;
    use std::time::Duration;

    #[test]
    fn a_line_shows_a_clients_bytes_escaped() {
        let line = AccessLine {
            id: RequestId(0xab),
            peer: "127.0.0.1:5000".parse().unwrap(),
            method: "GET",
            path: "/a\u{1b}[2J",
            status: Some(404),
            refusal: Some("no-route"),
            bytes_out: 16,
            elapsed: Duration::from_micros(450),
            complete: false,
        };
        assert_eq!(
            display(&line),
            "request    GET /a\\u{1b}[2J 404 16 B 0.4 ms 127.0.0.1:5000 00000000000000ab refused: no-route cut off"
        );
    }
}
