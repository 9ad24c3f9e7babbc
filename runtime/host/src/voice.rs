//! What the host's own code says about itself: the lines of `tracing`, on standard error and,
//! from warnings up, among the events.
//!
//! Warnings are always heard, `-v` adds what is worth knowing and `-vv` what one debugs with; of
//! other people's crates only warnings are heard. Spans are refused where they are made, and what
//! is below debug is not even compiled in, so a request pays one comparison for each. A thread of
//! its own writes, so that nobody waits for a terminal; lines that find its queue full are counted.
//!
//! Never here: what guests say (that is [`crate::log`]), or anything that a decision depends on.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use cyte_dna::limits;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};

use crate::event::{EventLog, Happening};
use crate::log::visible;

/// How many lines may wait for standard error.
const QUEUE: usize = 1_024;
/// How long the end of the program waits for them.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The one voice of this process.
static VOICE: OnceLock<Arc<Voice>> = OnceLock::new();

/// Starts to listen to this process's own code; `verbose` is how often `-v` was said. With `quiet`
/// nothing is written to standard error. Only the first call has an effect.
pub fn start(verbose: u8, quiet: bool) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let voice = VOICE.get_or_init(|| Arc::new(Voice::new(level, quiet)));
    // It fails where somebody else listens already; one listener is enough.
    let _ = tracing::subscriber::set_global_default(Heard(voice.clone()));
}

/// From here on warnings are events of `events` as well, as long as somebody holds it.
pub fn record_in(events: &Arc<EventLog>) {
    if let Some(voice) = VOICE.get() {
        voice.warnings.lock().unwrap_or_else(PoisonError::into_inner).events = Arc::downgrade(events);
    }
}

/// Waits a moment until what was said is written.
pub fn finish() {
    if let Some(voice) = VOICE.get() {
        voice.finish();
    }
}

/// How many lines were lost because standard error, or the events, could not take more.
pub fn dropped() -> u64 {
    VOICE.get().map_or(0, |voice| voice.dropped.load(Ordering::Relaxed))
}

/// Takes lines and passes them on.
struct Voice {
    level: LevelFilter,
    is_quiet: bool,
    writer: OnceLock<Option<SyncSender<Line>>>,
    warnings: Mutex<Warnings>,
    start: Instant,
    dropped: AtomicU64,
}

/// What the writer is given.
enum Line {
    Text(String),
    /// Answered when everything before it is written.
    End(SyncSender<()>),
}

impl Voice {
    fn new(level: LevelFilter, is_quiet: bool) -> Self {
        Self {
            level,
            is_quiet,
            writer: OnceLock::new(),
            warnings: Mutex::default(),
            start: Instant::now(),
            dropped: AtomicU64::new(0),
        }
    }

    fn hears(&self, metadata: &Metadata<'_>) -> bool {
        let most = if is_ours(metadata.target()) { self.level } else { LevelFilter::WARN };
        !metadata.is_span() && *metadata.level() <= most
    }

    fn say(&self, level: Level, target: &str, text: &str) {
        let text = visible(text).text;
        let by = target.split("::").next().unwrap_or(target);
        let by = by.strip_prefix("cyte_").unwrap_or(by);
        if level <= Level::WARN {
            let second = self.start.elapsed().as_secs();
            let happening = || Happening::Warned { by: by.to_owned(), text: text.clone() };
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            if !warnings.record(second, happening) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !self.is_quiet {
            self.write(format!("{:<10} {by}: {text}", level.as_str().to_ascii_lowercase()));
        }
    }

    fn write(&self, line: String) {
        // A thread only where there is something to write: most runs have nothing.
        let Some(writer) = self.writer.get_or_init(spawn_writer) else { return };
        if writer.try_send(Line::Text(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finish(&self) {
        let Some(Some(writer)) = self.writer.get() else { return };
        let (done, written) = sync_channel(1);
        match writer.try_send(Line::End(done)) {
            Ok(()) => drop(written.recv_timeout(LAST_WORDS)),
            // Standard error takes nothing; it will not in a moment either.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Where warnings are recorded, within their rate.
#[derive(Default)]
struct Warnings {
    events: Weak<EventLog>,
    second: u64,
    recorded: u64,
}

impl Warnings {
    /// Records what happened in this second of the process; false where there was too much of it.
    fn record(&mut self, second: u64, happening: impl FnOnce() -> Happening) -> bool {
        let Some(events) = self.events.upgrade() else { return true };
        if second != self.second {
            (self.second, self.recorded) = (second, 0);
        }
        if self.recorded >= limits::WARNINGS_PER_S {
            return false;
        }
        self.recorded += 1;
        events.record(happening());
        true
    }
}

fn is_ours(target: &str) -> bool {
    target == "cyte" || target.starts_with("cyte::") || target.starts_with("cyte_")
}

fn spawn_writer() -> Option<SyncSender<Line>> {
    let (sender, receiver) = sync_channel(QUEUE);
    std::thread::Builder::new()
        .name("voice".into())
        .spawn(move || write_lines(&receiver))
        .ok()
        .map(|_| sender)
}

fn write_lines(lines: &Receiver<Line>) {
    for line in lines {
        match line {
            Line::Text(text) => {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            }
            Line::End(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// The voice as `tracing` wants it.
struct Heard(Arc<Voice>);

impl Subscriber for Heard {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.hears(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.hears(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        self.0.say(*metadata.level(), metadata.target(), &text.finish());
    }

    // Spans are never enabled, so nothing below is asked.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's fields as one line: `message (name: value, name: value)`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        if self.fields.is_empty() { self.message } else { format!("{} ({})", self.message, self.fields) }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string does not fail.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            let _ = write!(self.fields, "{comma}{}: {value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` with a voice of its own and says what became events.
    fn heard(level: LevelFilter, work: impl FnOnce()) -> (Arc<Voice>, Vec<Happening>) {
        let voice = Arc::new(Voice::new(level, true));
        let events = EventLog::new(None);
        voice.warnings.lock().unwrap().events = Arc::downgrade(&events);
        tracing::subscriber::with_default(Heard(voice.clone()), work);
        let page = events.after(0, usize::MAX);
        (voice, page.entries.into_iter().map(|(_, record)| record.what).collect())
    }

    #[test]
    fn a_warning_is_an_event_with_its_fields_and_harmless_text() {
        let (_, events) = heard(LevelFilter::WARN, || {
            let error = "no \u{1b}[2J descriptors";
            tracing::warn!(target: "cyte_gateway::listener", %error, pause = ?Duration::from_millis(5), "cannot accept");
            tracing::info!(target: "cyte_gateway::listener", "not heard");
        });
        let text = "cannot accept (error: no \\u{1b}[2J descriptors, pause: 5ms)".to_owned();
        assert_eq!(events, [Happening::Warned { by: "gateway".into(), text }]);
    }

    #[test]
    fn of_strangers_only_warnings_are_heard_and_spans_never() {
        let (voice, events) = heard(LevelFilter::DEBUG, || {
            assert!(tracing::enabled!(target: "cyte_engine", Level::DEBUG));
            assert!(!tracing::enabled!(target: "h2::proto", Level::DEBUG));
            assert!(tracing::error_span!(target: "cyte_engine", "call").is_disabled());
            tracing::warn!(target: "h2::proto", "odd");
        });
        assert_eq!(voice.level, LevelFilter::DEBUG);
        assert_eq!(events, [Happening::Warned { by: "h2".into(), text: "odd".into() }]);
    }

    #[test]
    fn a_flood_of_warnings_leaves_room_for_other_events() {
        let mut warnings = Warnings::default();
        let events = EventLog::new(None);
        warnings.events = Arc::downgrade(&events);
        let warned = || Happening::Warned { by: "engine".into(), text: "again".into() };
        let recorded = (0..500).filter(|_| warnings.record(7, warned)).count();
        assert_eq!(recorded as u64, limits::WARNINGS_PER_S);
        assert!(warnings.record(8, warned), "the next second has room again");
    }
}
