//! What can go wrong between a request and a cell: whose fault it is and what was left behind.

use std::fmt;

/// A limit that a guest broke. The cell that broke it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Breach {
    /// The CPU budget of the call.
    #[error("it used up its CPU budget")]
    Cpu = 1,
    /// The memory cap of the cell.
    #[error("it asked for more memory than it may have")]
    Memory = 2,
    /// The wall-clock deadline of the call.
    #[error("it did not answer in time")]
    Wall = 3,
    /// Table elements, instances or handles.
    #[error("it asked for more tables, instances or handles than it may have")]
    Structure = 4,
    /// An operator's word.
    #[error("an operator ended it")]
    Ended = 5,
    /// No progress with a message, and nothing it could be waiting for.
    #[error("it made no progress and waited for nothing that could come")]
    Stuck = 6,
}

impl Breach {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Cpu, Self::Memory, Self::Wall, Self::Structure, Self::Ended, Self::Stuck]
            .into_iter()
            .find(|breach| *breach as u8 == code)
    }
}

/// Why a request got no response from its gene. Nothing else was harmed: at most the cell that
/// held the request is gone, and a new one takes its place at need.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The tissue's queue is full. The client may come back.
    #[error("all cells are busy and the queue is full")]
    Saturated,
    /// No cell came free within the gene's wait.
    #[error("no cell came free in time")]
    WaitedTooLong,
    /// It is background work, clients suffer, and no more of it can be held back. The client may come
    /// back.
    #[error("clients suffer, and no more background work can be held back")]
    BackgroundFull,
    /// The host shuts down.
    #[error("the host is shutting down")]
    ShuttingDown,
    /// The request cannot be handed to a guest at all (no or unreadable authority).
    #[error("the request names no readable host")]
    BadRequest,
    /// The guest trapped or panicked; its cell is gone.
    #[error("the guest failed: {0}")]
    Trapped(String),
    /// The guest broke a limit; its cell is gone.
    #[error("the guest was stopped: {0}")]
    Breached(Breach),
    /// The guest returned without setting a response.
    #[error("the guest returned no response")]
    NoResponse,
    /// The guest broke its response off, or announced another length, before a byte of it left.
    #[error("the guest's response is broken: {0}")]
    BrokenOff(String),
    /// The guest answered with an error code of wasi:http.
    #[error("the guest answered with an error: {0}")]
    Guest(String),
    /// The cell could not be made; the reason is the host's.
    #[error("the cell could not be made: {0}")]
    NotMade(String),
}

impl CallError {
    /// How long the client should wait before it comes back, in seconds, where that can help.
    pub fn retry_after_s(&self) -> Option<u64> {
        let can_help = matches!(
            self,
            Self::Saturated
                | Self::WaitedTooLong
                | Self::BackgroundFull
                | Self::ShuttingDown
                | Self::NotMade(_)
        );
        can_help.then_some(1)
    }
}

/// Why a response body ended before its end. The connection must be aborted, so that the client
/// does not take the fragment for the whole.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The guest trapped, panicked or broke a limit half-way.
    #[error("the guest failed while it sent its response")]
    Guest,
    /// The guest made no progress in time.
    #[error("the guest made no progress while it sent its response")]
    Stalled,
    /// The guest announced another length than it wrote, or broke the protocol.
    #[error("the guest broke off its response: {0}")]
    Broken(String),
}

/// Why a gene cannot live here. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The bytes are no component that cyte can run.
    #[error("gene `{gene}`: {reason}")]
    Unfit {
        /// The gene's name.
        gene: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The component asks for something that nothing here provides or that was not granted.
    #[error("gene `{gene}` asks for `{import}`, which {reason}")]
    Import {
        /// The gene's name.
        gene: String,
        /// The interface it asks for.
        import: String,
        /// Why it is not there.
        reason: String,
        /// What to add or change.
        remedy: String,
    },
    /// The compiler child spent its CPU.
    #[error("gene `{gene}` could not be compiled: {reason}")]
    Slow {
        /// The gene's name.
        gene: String,
        /// How much it could spend.
        reason: String,
    },
    /// The compiler child ended without code.
    #[error("gene `{gene}` could not be compiled: {reason}")]
    Compile {
        /// The gene's name.
        gene: String,
        /// What the compiler said, or which cap it hit.
        reason: String,
    },
    /// No code of it is kept here, and nothing may be compiled.
    #[error("gene `{gene}` was never compiled on this host for this engine, and nothing may be compiled now")]
    NotKept {
        /// The gene's name.
        gene: String,
    },
    /// The host could not do its part (files, memory map, engine).
    #[error("gene `{gene}` could not be prepared: {reason}")]
    Host {
        /// The gene's name.
        gene: String,
        /// The host's own error.
        reason: String,
    },
}

impl PrepareError {
    pub(crate) fn host(gene: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Host { gene: gene.to_string(), reason: format!("{reason:#}") }
    }

    /// One command or line that mends it, where there is one.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Import { remedy, .. } => Some(remedy.clone()),
            Self::Unfit { .. } => Some("cyte inspect X.wasm shows what a component exports".into()),
            Self::Slow { .. } => Some("--compile-cpu SPAN gives a slow machine more".into()),
            Self::NotKept { .. } => {
                Some("run it once with --loader built-in, which compiles and keeps the code".into())
            }
            Self::Compile { .. } | Self::Host { .. } => None,
        }
    }
}
