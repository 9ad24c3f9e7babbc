//! Progress for the person who waits. The workshop never prints: it tells a [`Notes`].

use std::sync::Mutex;

/// Where progress goes. Calls may come from several threads.
pub trait Notes: Sync {
    /// One fact, such as `wasm std` / `found in the Rust toolchain`.
    fn note(&self, what: &str, text: &str);

    /// One line as a build tool printed it (cargo's `Compiling ...`, a compiler's message),
    /// without its line end; it may hold colour codes where [`super::Env::colour`] allows them.
    fn tool(&self, line: &str);
}

/// Tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Notes for Silent {
    fn note(&self, _what: &str, _text: &str) {}
    fn tool(&self, _line: &str) {}
}

/// Writes lines such as `wasm std   found in the Rust toolchain` to any writer, tools' own lines
/// as they are. A writer that fails is ignored: progress is never worth a build.
#[derive(Debug)]
pub struct LineNotes<W: std::io::Write + Send> {
    out: Mutex<W>,
}

impl<W: std::io::Write + Send> LineNotes<W> {
    /// Notes written to `out`, usually stderr.
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }

    fn line(&self, line: std::fmt::Arguments<'_>) {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writeln!(out, "{line}");
    }
}

impl<W: std::io::Write + Send> Notes for LineNotes<W> {
    fn note(&self, what: &str, text: &str) {
        self.line(format_args!("{what:<10} {text}"));
    }

    fn tool(&self, line: &str) {
        self.line(format_args!("{line}"));
    }
}
