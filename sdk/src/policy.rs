//! Policies: genes that decide about something in the life of their host, or take what it has to say.
//!
//! A policy is a gene of its own, beside those that answer requests. `dna.toml` says what it is asked
//! (`policy = ["zombies", "log", "metrics"]`), and for each of these it implements a trait. The host keeps
//! one cell of it, so what a static holds is there at the next call, for as long as the cell lives;
//! nobody waits for it. A cell that is late (`limits.wall`, 100 ms unless `dna.toml` says otherwise) or
//! panics ends, and the host's own default acts.

/// A cell that holds a request, makes no progress and waits for nothing that could come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zombie {
    /// The gene's name.
    pub gene: String,
    /// The cell's number.
    pub cell: u64,
    /// For how long nothing happened in it, in milliseconds.
    pub silent_ms: u64,
    /// What it did last, in words.
    pub last: String,
}

/// What becomes of a cell that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends, with what it holds.
    End,
    /// It stays, inside its request's own time; this is asked again while it is stuck.
    Spare,
}

/// Judges cells that are stuck, where `dna.toml` says `policy = "zombies"`. Named in
/// [`zombies!`](crate::zombies!).
///
/// ```
/// use cyte_sdk::policy::{Verdict, Zombie, Zombies};
///
/// struct Patient;
///
/// impl Zombies for Patient {
///     fn judge(found: &Zombie) -> Verdict {
///         if found.gene == "slow" && found.silent_ms < 5_000 { Verdict::Spare } else { Verdict::End }
///     }
/// }
///
/// cyte_sdk::zombies!(Patient);
/// ```
pub trait Zombies {
    /// Judges one of them.
    fn judge(found: &Zombie) -> Verdict;
}

/// A line of a gene, as the host kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Wall clock in milliseconds since 1970, as the host then believed.
    pub at_ms: u64,
    /// The gene's name; never the sink's own.
    pub gene: String,
    /// The cell's number; 0 where no cell is meant.
    pub cell: u64,
    /// The request that the cell was serving, as 16 hexadecimal digits.
    pub request: Option<String>,
    /// Where it was written: `stdout`, `stderr`, `log`, or `host` for what the host says of the gene.
    pub origin: String,
    /// The level, where one was named.
    pub level: Option<String>,
    /// The text, without a line feed.
    pub text: String,
}

/// Takes the lines of genes, where `dna.toml` says `policy = "log"`. Named in
/// [`log_sink!`](crate::log_sink!).
pub trait LogSink {
    /// Takes lines in their order, at most 256 at once; `dropped` lines are missing since the last call,
    /// because this was slow or had failed.
    fn take(lines: &[Line], dropped: u64);
}

/// What was counted of one gene in the last second in which anything happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The gene's name.
    pub gene: String,
    /// Requests that a cell took.
    pub served: u32,
    /// Calls that ended with their cell's death.
    pub failed: u32,
    /// Requests that the host refused.
    pub refused: u32,
    /// Half of the gene's calls so far took at most this long, in microseconds.
    pub p50_us: u32,
    /// 99 of 100 did.
    pub p99_us: u32,
    /// Cells that live now.
    pub cells: u32,
}

/// Takes what is counted of genes, where `dna.toml` says `policy = "metrics"`. Named in
/// [`metrics!`](crate::metrics!).
pub trait Metrics {
    /// Takes the genes of which anything was counted; a second in which nothing happened is not told.
    /// `at_ms` is the wall clock in milliseconds since 1970.
    fn take(at_ms: u64, genes: &[Counts]);
}
