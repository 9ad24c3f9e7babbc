//! A fault in a `dna.toml` and how it is shown.

use std::fmt;
use std::ops::Range;

/// How many faults are shown at most; the rest are mostly echoes of the first.
const SHOWN: usize = 20;
/// How much of a long line is shown, in characters.
const WIDTH: usize = 100;

/// One fault with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// Where in the text, in bytes.
    pub span: Range<usize>,
    /// What is wrong, one line.
    pub message: String,
    /// What to do about it, one line; empty where there is nothing to add to the message.
    pub help: String,
}

impl SourceError {
    /// A fault at a place.
    #[must_use]
    pub fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        SourceError { span, message: message.into(), help: help.into() }
    }

    /// The fault as people see it: message, file, line, caret, remedy. Ends with a line feed.
    #[must_use]
    pub fn render(&self, file_name: &str, text: &str) -> String {
        let place = Place::find(text, &self.span);
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        let help = match clean(&self.help) {
            help if help.is_empty() => help,
            help => format!("help: {help}\n"),
        };
        format!(
            "error: {}\n{gutter}--> {file_name}:{}:{}\n{gutter} |\n{number} | {}\n{gutter} | {}{}\n{gutter} |\n{help}",
            clean(&self.message),
            place.line,
            place.column,
            place.excerpt,
            " ".repeat(place.indent),
            "^".repeat(place.length),
        )
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean(&self.message))
    }
}

impl std::error::Error for SourceError {}

/// All faults of a text, in its order; at least one, at most 20.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceErrors(Vec<SourceError>);

impl SourceErrors {
    pub(super) fn new(mut faults: Vec<SourceError>) -> Self {
        faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
        faults.dedup();
        faults.truncate(SHOWN);
        SourceErrors(faults)
    }

    /// The faults.
    #[must_use]
    pub fn faults(&self) -> &[SourceError] {
        &self.0
    }

    /// All of them, rendered, with an empty line between.
    #[must_use]
    pub fn render(&self, file_name: &str, text: &str) -> String {
        let rendered: Vec<_> = self.0.iter().map(|fault| fault.render(file_name, text)).collect();
        rendered.join("\n")
    }
}

impl From<SourceError> for SourceErrors {
    fn from(fault: SourceError) -> Self {
        SourceErrors(vec![fault])
    }
}

impl fmt::Display for SourceErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("the file is not usable"),
            [only] => write!(f, "{only}"),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl std::error::Error for SourceErrors {}

/// A span as line, column and what to print of the line.
struct Place {
    line: usize,
    column: usize,
    excerpt: String,
    indent: usize,
    length: usize,
}

impl Place {
    fn find(text: &str, span: &Range<usize>) -> Self {
        let start = floor_boundary(text, span.start);
        let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
        let head = before.rsplit('\n').next().unwrap_or("");
        let tail = after.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let marked = floor_boundary(tail, span.end.saturating_sub(start));
        let marked = tail.get(..marked).unwrap_or("").chars().count();
        let column = head.chars().count();
        // A long line is cut in front, so that what is marked can be seen.
        let skipped = column.saturating_sub(WIDTH / 2);
        let excerpt: String = head.chars().chain(tail.chars()).skip(skipped).take(WIDTH).collect();
        let indent = column - skipped;
        Place {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt: clean(&excerpt),
            indent,
            length: marked.clamp(1, WIDTH - indent.min(WIDTH - 1)),
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One line of as many characters, safe on a terminal.
fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
