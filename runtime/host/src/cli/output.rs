//! Where a verb's words go: data to standard output, notes to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::{Color, Globals};
use crate::codes::Code;
use crate::error::CliError;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object, indented.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// What a verb knows about the terminal and the flags around it.
#[derive(Debug, Clone)]
pub struct Context {
    /// How data is printed.
    pub output: Output,
    /// Whether notes are left out.
    pub quiet: bool,
    /// How much more is said.
    pub verbose: u8,
    colour: bool,
}

impl Context {
    pub(super) fn new(globals: &Globals) -> Self {
        let choice = match globals.color {
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
            Color::Auto => anstream::AutoStream::choice(&io::stderr()),
        };
        Self {
            output: globals.output,
            quiet: globals.quiet,
            verbose: globals.verbose,
            colour: !matches!(choice, anstream::ColorChoice::Never),
        }
    }

    /// Whether data is JSON of some form.
    pub fn is_json(&self) -> bool {
        self.output != Output::Text
    }

    /// Whether notes may be coloured.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether a person can be asked something.
    pub fn can_ask(&self) -> bool {
        !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// A note for a person, on standard error; nothing with `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// The error that ends the verb, on standard error, in the form that was asked for.
    pub fn error(&self, error: &CliError) {
        let text = if self.is_json() { format!("{}\n", error.json()) } else { error.render(self.colour) };
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Text on standard output. A reader that went away ends the program quietly, as every
    /// filter does.
    ///
    /// # Errors
    /// [`Code::Write`] when standard output cannot be written for another reason.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => {
                Err(CliError::new(Code::Write, "cannot write to standard output", error.to_string()))
            }
        }
    }

    /// One object on standard output: indented, or on one line with `--output jsonl`.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn object(&self, value: &Value) -> Result<(), CliError> {
        match self.output {
            Output::Jsonl => self.print(&format!("{value}\n")),
            _ => self.print(&format!("{value:#}\n")),
        }
    }

    /// One object of a stream: always on one line.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn line(&self, value: &Value) -> Result<(), CliError> {
        self.print(&format!("{value}\n"))
    }

    /// `value` as it was asked for: JSON, one item of list `items` a line, or `text`.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn answer(
        &self,
        value: &Value,
        items: &str,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        match (self.output, value.get(items).and_then(Value::as_array)) {
            (Output::Text, _) => self.print(&text(value)),
            (Output::Jsonl, Some(list)) => list.iter().try_for_each(|item| self.line(item)),
            _ => self.object(value),
        }
    }
}
