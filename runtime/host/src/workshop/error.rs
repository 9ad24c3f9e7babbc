//! What can go wrong in the workshop, in the words a person reads.

use std::fmt::Display;
use std::path::Path;

/// Which kind of failure it is; the command line maps it to its stable code and exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name or choice on the command line or in the environment does not make sense.
    Usage,
    /// A file or folder is not there or cannot be read.
    Missing,
    /// A file or folder cannot be written.
    Write,
    /// `dna.toml` has a fault.
    Manifest,
    /// A gene does not build.
    Build,
    /// Rust, or its standard library for WebAssembly, was not found.
    Toolchain,
    /// A project cannot be made.
    New,
}

/// A failure with the thing, the reason and what to type next. Nothing half-written is left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct WorkshopError {
    /// The kind of failure.
    pub kind: Kind,
    /// What failed, with the name of the thing.
    pub what: String,
    /// Why; may have several lines.
    pub why: String,
    /// One command or step that helps, where there is one.
    pub help: Option<String>,
    /// The last lines of the tool that failed, where one did. They were told to [`super::Notes`]
    /// already; here for those who answer in another form than a terminal.
    pub output: String,
}

impl WorkshopError {
    pub(super) fn new(kind: Kind, what: impl Into<String>, why: impl Display) -> Self {
        Self { kind, what: what.into(), why: why.to_string(), help: None, output: String::new() }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn output(mut self, output: String) -> Self {
        self.output = output;
        self
    }

    pub(super) fn read(path: &Path, why: impl Display) -> Self {
        Self::new(Kind::Missing, format!("cannot read `{}`", path.display()), why)
    }

    pub(super) fn write(path: &Path, why: impl Display) -> Self {
        Self::new(Kind::Write, format!("cannot write `{}`", path.display()), why)
    }

    pub(super) fn unknown_wasm_std(value: &str) -> Self {
        Self::new(Kind::Usage, format!("CYTE_WASM_STD is `{value}`"), "it can be `rustup` or `debian`")
            .help("unset CYTE_WASM_STD")
    }

    pub(super) fn no_cache() -> Self {
        Self::new(Kind::Write, "no place for build results", "neither XDG_CACHE_HOME nor HOME is set")
            .help("set XDG_CACHE_HOME to a writable folder")
    }

    pub(super) fn spawn(program: &str, source: &std::io::Error) -> Self {
        let error = Self::new(Kind::Toolchain, format!("cannot run `{program}`"), source);
        match source.kind() {
            std::io::ErrorKind::NotFound => {
                error.help("install Rust from https://rustup.rs and make sure its `cargo` is on PATH")
            }
            _ => error,
        }
    }
}
