//! What a policy gene does for its host.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something in the life of a host that the DNA may put into a gene's hands. Where it does not, or the
/// gene fails, the host does as it always did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Judge cells that are stuck (`cyte:cell/zombies`). By default they end.
    Zombies,
    /// Take the lines of genes (`cyte:cell/log-sink`). By default only the host keeps them; it does in
    /// any case.
    Log,
    /// Take what is counted once a second (`cyte:cell/metrics`). By default nobody does.
    Metrics,
}

impl Duty {
    /// All of them, ascending.
    pub const ALL: [Duty; 3] = [Duty::Zombies, Duty::Log, Duty::Metrics];

    /// The name as it stands in `dna.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Duty::Zombies => "zombies",
            Duty::Log => "log",
            Duty::Metrics => "metrics",
        }
    }

    /// The interface that a gene exports for it, without its version.
    #[must_use]
    pub const fn interface(self) -> &'static str {
        match self {
            Duty::Zombies => "cyte:cell/zombies",
            Duty::Log => "cyte:cell/log-sink",
            Duty::Metrics => "cyte:cell/metrics",
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
