//! The one error a person meets: what failed, why, and what to type next.
//!
//! Everything that ends a verb becomes a [`CliError`], and [`CliError::render`] is the only place
//! that turns one into text. No backtrace is ever printed, whatever `RUST_BACKTRACE` says.

use std::fmt::Write as _;

use crate::codes::Code;

/// A failed verb, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// What failed, with the name of the thing, for example ``cannot read `dna.toml` ``.
    pub what: String,
    /// Why it failed. May have several lines, for example an excerpt with a caret.
    pub why: String,
    /// One command or one step that helps, where there is one.
    pub help: Option<String>,
    /// The stable code that `cyte explain` knows.
    pub code: Code,
    /// The exit status of the process.
    pub exit: u8,
}

impl CliError {
    /// An error of kind `code`; its exit status comes from the code.
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), help: None, code, exit: code.exit() }
    }

    /// The same error with a command or step that helps.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error as text, `styled` with terminal colours or plain. Ends with a line feed.
    pub fn render(&self, styled: bool) -> String {
        let (red, cyan, reset) =
            if styled { ("\u{1b}[1;31m", "\u{1b}[36m", "\u{1b}[0m") } else { ("", "", "") };
        let mut text = format!("{red}error[{}]{reset}: {}\n", self.code.id(), self.what);
        for line in self.why.lines() {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "{cyan}help{reset}: {help}");
        }
        text
    }

    /// The error as one JSON object, for `--output json` and the control API.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "v": 1,
            "error": {
                "code": self.code.id(),
                "what": self.what,
                "why": self.why,
                "help": self.help,
                "exit": self.exit,
            }
        })
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for CliError {}

/// Everything below `error` and its causes on one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the cause in their own text; once is enough.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_thing_the_reason_and_one_step() {
        let error = CliError::new(Code::StateBusy, "cannot use `.cyte`", "process 7 holds it\nsince noon")
            .help("cyte ps --state .cyte");
        assert_eq!(
            error.render(false),
            "error[E301]: cannot use `.cyte`\n  process 7 holds it\n  since noon\nhelp: cyte ps --state .cyte\n"
        );
        assert_eq!(error.exit, 1);
        assert!(error.render(true).contains("\u{1b}[1;31m"));
    }

    #[test]
    fn json_has_the_same_fields() {
        let json = CliError::new(Code::Refused, "a", "b").json();
        assert_eq!(json["error"]["exit"], 4);
        assert_eq!(json["error"]["code"], "E201");
        assert!(json["error"]["help"].is_null());
    }

    #[test]
    fn a_chain_does_not_repeat_itself() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] std::io::Error);
        let outer = Outer(std::io::Error::other("inner"));
        assert_eq!(chain(&outer), "outer: inner");
    }
}
