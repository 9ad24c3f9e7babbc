//! What guests say: taken within their rate, cleaned, kept, and shown.
//!
//! A guest's line passes one gate: at most `log-line` bytes, at most `cell-log-rate` bytes a second and
//! cell on average, no control characters that a terminal would obey. What is beyond is dropped and
//! counted, and the count is said once the cell is within its rate again. A thread of its own
//! writes to the terminal and the file, so that a guest never waits for a pipe that nobody reads.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use cyte_dna::limits;
use serde::{Deserialize, Serialize};

use crate::ring::Ring;
use crate::state::clock;
use crate::state::rotate::RotatedFile;

/// The longest line, in bytes; the rest of a longer one is dropped and counted.
const LINE_MAX: usize = limits::LOG_LINE_BYTES;
/// Bytes a second that one cell may log; also how many it may log at once.
const RATE: u64 = limits::LOG_PER_CELL_BYTES_S;
/// How many lines one host remembers.
const LINES_KEPT: usize = limits::LOG_LINES_KEPT;
/// How many lines may wait for the terminal and the file.
const QUEUE: usize = 2_048;
/// How many cells have a bucket of their own at once.
const BUCKETS: usize = limits::LOG_RATES;
/// How often full buckets are looked for, at most.
const SWEEP_MS: u64 = 100;
/// The bucket of what the host says about a gene, and the one that a gene's cells share when too
/// many talk; no cell has these numbers.
const HOSTS_OWN: u64 = u64::MAX;
const SHARED: u64 = u64::MAX - 1;

/// Where a guest wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `wasi:logging`.
    Log,
    /// The host, about the gene.
    Host,
}

impl Stream {
    /// As records and policies name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log => "log",
            Self::Host => "host",
        }
    }
}

/// One kept line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The version of this object; 1.
    pub v: u32,
    /// Rises by one with every line since the host started.
    pub seq: u64,
    /// Wall clock in milliseconds since 1970, as the host then believed.
    pub at_ms: u64,
    /// The gene's name.
    pub gene: String,
    /// The cell's number within its tissue.
    pub cell: u64,
    /// The request that the cell was serving, as 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// Where it was written.
    pub stream: Stream,
    /// The level, where the guest named one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<String>,
    /// The text, cleaned, without a line feed.
    pub text: String,
}

/// Where the lines are shown besides the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// On standard error, prefixed by the cell's name.
    Stderr,
    /// On standard error, prefixed by this name of the host and the cell's name.
    Named(Arc<str>),
    /// Nowhere: they are asked for with `cyte logs`.
    Nowhere,
}

/// The gate and the memory for guests' lines.
#[derive(Debug)]
pub struct GuestLog {
    ring: Ring<LogRecord>,
    writer: Option<SyncSender<LogRecord>>,
    buckets: Mutex<Buckets>,
    start: Instant,
    dropped_bytes: AtomicU64,
    dropped_lines: AtomicU64,
    cut_lines: AtomicU64,
}

impl GuestLog {
    /// A log that keeps lines in memory, shows them as `show` says and, with a file, writes them.
    pub fn new(file: Option<RotatedFile>, show: Show) -> Arc<Self> {
        let writer = spawn_writer(file, show);
        Arc::new(Self {
            ring: Ring::new(LINES_KEPT),
            writer,
            buckets: Mutex::default(),
            start: Instant::now(),
            dropped_bytes: AtomicU64::new(0),
            dropped_lines: AtomicU64::new(0),
            cut_lines: AtomicU64::new(0),
        })
    }

    /// Takes what was said; several lines are taken one by one. Never waits.
    pub fn say(&self, said: &Said<'_>) {
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        for text in said.text.split('\n') {
            self.line_at(now_ms, &Said { text, ..*said });
        }
    }

    fn line_at(&self, now_ms: u64, said: &Said<'_>) {
        let clean = visible(said.text);
        let cost = clean.text.len() as u64 + 1;
        // What the host says about a cell must not be lost because the cell was loud.
        let bucket = if said.stream == Stream::Host { HOSTS_OWN } else { said.cell };
        if clean.cut > 0 {
            self.dropped_bytes.fetch_add(clean.cut, Ordering::Relaxed);
            self.cut_lines.fetch_add(1, Ordering::Relaxed);
        }
        match self.take(now_ms, said.gene, bucket, cost) {
            Take::Dropped => {
                self.dropped_bytes.fetch_add(cost, Ordering::Relaxed);
                self.dropped_lines.fetch_add(1, Ordering::Relaxed);
            }
            Take::Kept { dropped } => {
                if dropped > 0 {
                    let note = format!("{dropped} lines over the log rate were dropped");
                    self.keep(&Said { stream: Stream::Host, level: None, ..*said }, note);
                }
                self.keep(said, clean.text);
            }
        }
    }

    /// The kept lines, for readers and followers.
    pub fn ring(&self) -> &Ring<LogRecord> {
        &self.ring
    }

    /// Bytes and lines dropped since the host started.
    pub fn dropped(&self) -> (u64, u64) {
        (self.dropped_bytes.load(Ordering::Relaxed), self.dropped_lines.load(Ordering::Relaxed))
    }

    /// Lines that lost their end since the host started.
    pub fn cut(&self) -> u64 {
        self.cut_lines.load(Ordering::Relaxed)
    }

    fn take(&self, now_ms: u64, gene: &str, cell: u64, cost: u64) -> Take {
        // A panic cannot leave a bucket half-changed, so a poisoned lock is still good.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(now_ms, gene, cell, cost)
    }

    fn keep(&self, said: &Said<'_>, text: String) {
        let at_ms = clock::wall_ms();
        let mut made = None;
        self.ring.push_with(|seq| {
            let record = LogRecord {
                v: 1,
                seq,
                at_ms,
                gene: said.gene.to_owned(),
                cell: said.cell,
                request: (said.request != 0).then(|| format!("{:016x}", said.request)),
                stream: said.stream,
                level: said.level.map(str::to_owned),
                text,
            };
            made = Some(record.clone());
            record
        });
        if let (Some(record), Some(writer)) = (made, &self.writer)
            && writer.try_send(record).is_err()
        {
            self.dropped_lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Something that was said, not yet checked.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The gene's name.
    pub gene: &'a str,
    /// The cell's number; 0 where no cell is meant.
    pub cell: u64,
    /// The request that the cell was serving; 0 for none.
    pub request: u64,
    /// Where it was written.
    pub stream: Stream,
    /// The level, where one was named.
    pub level: Option<&'static str>,
    /// The text; may hold control characters of the guest.
    pub text: &'a str,
}

/// The buckets of all cells that said something of late.
#[derive(Debug, Default)]
struct Buckets {
    by_cell: BTreeMap<(String, u64), Bucket>,
    swept_ms: u64,
}

impl Buckets {
    fn take(&mut self, now_ms: u64, gene: &str, cell: u64, cost: u64) -> Take {
        let mut key = (gene.to_owned(), cell);
        if self.by_cell.len() >= BUCKETS && !self.by_cell.contains_key(&key) {
            if now_ms.saturating_sub(self.swept_ms) >= SWEEP_MS {
                self.swept_ms = now_ms;
                // A bucket that has refilled says nothing that a new one would not.
                self.by_cell.retain(|_, bucket| !bucket.is_full(now_ms));
            }
            if self.by_cell.len() >= BUCKETS {
                // Too many cells talk at once; from here on those of a gene share one rate.
                key.1 = SHARED;
            }
        }
        self.by_cell.entry(key).or_insert_with(|| Bucket::new(now_ms)).take(now_ms, cost)
    }
}

/// What a bucket answers.
#[derive(Debug, PartialEq, Eq)]
enum Take {
    Kept { dropped: u64 },
    Dropped,
}

/// The bytes one cell may still log, refilled at its rate.
#[derive(Debug)]
struct Bucket {
    tokens: u64,
    at_ms: u64,
    dropped: u64,
}

impl Bucket {
    fn new(now_ms: u64) -> Self {
        Self { tokens: RATE, at_ms: now_ms, dropped: 0 }
    }

    fn refill(&self, now_ms: u64) -> u64 {
        let gained = now_ms.saturating_sub(self.at_ms).saturating_mul(RATE) / 1_000;
        self.tokens.saturating_add(gained).min(RATE)
    }

    fn is_full(&self, now_ms: u64) -> bool {
        self.dropped == 0 && self.refill(now_ms) >= RATE
    }

    fn take(&mut self, now_ms: u64, cost: u64) -> Take {
        let tokens = self.refill(now_ms);
        if tokens != self.tokens {
            // Time only moves on when it gave something, so that small steps are not lost.
            (self.tokens, self.at_ms) = (tokens, now_ms);
        }
        match self.tokens.checked_sub(cost) {
            Some(left) => {
                self.tokens = left;
                Take::Kept { dropped: std::mem::take(&mut self.dropped) }
            }
            None => {
                self.dropped += 1;
                Take::Dropped
            }
        }
    }
}

/// A line as it may be shown.
pub(crate) struct Clean {
    pub(crate) text: String,
    /// Bytes that were cut off the end.
    pub(crate) cut: u64,
}

/// Cuts at the longest line and turns what a terminal would obey into visible text.
pub(crate) fn visible(text: &str) -> Clean {
    let mut end = text.len().min(LINE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, cut) = text.split_at(end);
    let mut clean = String::with_capacity(kept.len());
    for character in kept.trim_end_matches('\r').chars() {
        match character {
            '\t' => clean.push('\t'),
            // C0, DEL and C1: C1 includes the one-byte forms of escape sequences. The rest are
            // the marks that turn the direction of text around.
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                clean.extend(character.escape_default())
            }
            plain => clean.push(plain),
        }
    }
    Clean { text: clean, cut: cut.len() as u64 }
}

fn spawn_writer(file: Option<RotatedFile>, show: Show) -> Option<SyncSender<LogRecord>> {
    if file.is_none() && show == Show::Nowhere {
        return None;
    }
    let (sender, receiver) = sync_channel::<LogRecord>(QUEUE);
    let write = move || {
        let mut file = file;
        for record in receiver {
            if let (Some(file), Ok(mut line)) = (file.as_mut(), serde_json::to_vec(&record)) {
                line.push(b'\n');
                // A full disk loses lines; the ring still has them.
                let _ = file.append(&line);
            }
            let _ = match &show {
                Show::Stderr => writeln!(std::io::stderr().lock(), "{}", display(&record)),
                Show::Named(host) => writeln!(std::io::stderr().lock(), "{host}  {}", display(&record)),
                Show::Nowhere => Ok(()),
            };
        }
    };
    std::thread::Builder::new().name("logs".into()).spawn(write).ok().map(|_| sender)
}

/// The line as a person reads it: `front#1 | text`.
pub fn display(record: &LogRecord) -> String {
    let name = match record.cell {
        0 => record.gene.clone(),
        cell => format!("{}#{cell}", record.gene),
    };
    let mark = match (record.stream, record.level.as_deref()) {
        (Stream::Host, _) => "! ".to_owned(),
        (Stream::Log, Some(level)) => format!("{level}: "),
        _ => String::new(),
    };
    format!("{name} | {mark}{}", record.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Arc<GuestLog> {
        GuestLog::new(None, Show::Nowhere)
    }

    fn said<'a>(gene: &'a str, text: &'a str) -> Said<'a> {
        Said { gene, cell: 1, request: 0, stream: Stream::Stdout, level: None, text }
    }

    fn texts(log: &GuestLog) -> Vec<String> {
        log.ring().after(0, usize::MAX).entries.into_iter().map(|(_, r)| r.text).collect()
    }

    #[test]
    fn a_line_is_kept_with_its_cell() {
        let log = log();
        log.say(&said("front", "hello"));
        let (_, record) = log.ring().after(0, 1).entries.remove(0);
        assert_eq!((record.gene.as_str(), record.cell, record.text.as_str()), ("front", 1, "hello"));
        assert_eq!(display(&record), "front#1 | hello");
    }

    #[test]
    fn so_many_lines_are_remembered() {
        let log = log();
        for cell in 0..limits::LOG_LINES_KEPT as u64 + 7 {
            log.line_at(0, &Said { cell, ..said("a", "x") });
        }
        let kept = log.ring().after(0, usize::MAX).entries;
        assert_eq!((kept.len(), kept[0].1.cell), (limits::LOG_LINES_KEPT, 7));
    }

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let log = log();
        log.say(&said("a", "x\u{1b}[2Jy\u{9b}31m\rz\ttab \u{202e}back\u{7f}"));
        assert_eq!(texts(&log), ["x\\u{1b}[2Jy\\u{9b}31m\\rz\ttab \\u{202e}back\\u{7f}"]);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let log = log();
        let long = format!("{}é{}", "a".repeat(LINE_MAX - 1), "b".repeat(10));
        log.say(&said("a", &long));
        assert_eq!(texts(&log), ["a".repeat(LINE_MAX - 1)]);
        assert_eq!((log.dropped().0, log.cut()), (12, 1));
    }

    #[test]
    fn a_cell_over_its_rate_is_cut_off_and_told_so_later() {
        let log = log();
        let line = "x".repeat(1023);
        for _ in 0..100 {
            log.line_at(0, &said("loud", &line));
        }
        log.line_at(0, &said("quiet", "still heard"));
        assert_eq!(texts(&log).len(), 65, "64 KiB of the loud one, and the quiet one");
        assert_eq!(log.dropped(), (36 * 1024, 36));
        log.line_at(1_000, &said("loud", "back"));
        let texts = texts(&log);
        assert_eq!(texts[65], "36 lines over the log rate were dropped");
        assert_eq!(texts[66], "back");
    }

    #[test]
    fn the_host_is_heard_about_a_loud_cell_line_by_line() {
        let log = log();
        log.line_at(0, &said("a", &"x".repeat(LINE_MAX)));
        for _ in 0..20 {
            log.line_at(0, &said("a", &"x".repeat(LINE_MAX)));
        }
        let host = Said { stream: Stream::Host, request: 10, ..said("a", "cell ended: trap\n    at main") };
        log.say(&host);
        let last: Vec<_> = log.ring().after(log.ring().before_last(2), 2).entries;
        assert_eq!(display(&last[0].1), "a#1 | ! cell ended: trap");
        assert_eq!(last[1].1.text, "    at main");
        assert_eq!(last[1].1.request.as_deref(), Some("000000000000000a"));
    }

    #[test]
    fn very_many_talking_cells_share_a_rate_and_memory_stays_bounded() {
        let log = log();
        for cell in 0..(BUCKETS as u64 + 200) {
            log.line_at(0, &Said { cell, ..said("a", &"x".repeat(1023)) });
        }
        assert_eq!(log.buckets.lock().unwrap().by_cell.len(), BUCKETS + 1);
        assert_eq!(log.dropped().1, 200 - 64);
    }

    #[test]
    fn small_steps_of_time_still_refill() {
        let mut bucket = Bucket::new(0);
        assert_eq!(bucket.take(0, RATE), Take::Kept { dropped: 0 });
        for at in 1..=10 {
            assert_eq!(bucket.take(at, RATE), Take::Dropped);
        }
        assert_eq!(bucket.take(1_100, RATE), Take::Kept { dropped: 10 });
    }
}
