//! One gene: a component, what it may do and how it is to live.
//!
//! Plain data. What fits together is checked once, by [`crate::Manifest::check`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Duty, GeneName, OutboundGrant, Route, limits};

/// What a gene's exports make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Answers HTTP requests (`wasi:http`).
    Drone,
    /// Runs once and ends (`wasi:cli/run`).
    Task,
    /// Says how many cells each class of its host should have (`cyte:cell/homeostasis`).
    Neuron,
    /// Judges, or takes what the host has to say (`cyte:cell/zombies`, `log-sink`, `metrics`).
    Policy,
}

impl Role {
    /// The name as it stands in `dna.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Drone => "drone",
            Role::Task => "task",
            Role::Neuron => "neuron",
            Role::Policy => "policy",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much a neuron's word counts: what the DNA lets it write for a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mandate {
    /// It may bend the demand that the host's law sees, by at most 25 % either way.
    Advise,
    /// It may also say how many cells there are to be, instead of the law.
    Replace,
}

impl Mandate {
    /// The name as it stands in `dna.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mandate::Advise => "advise",
            Mandate::Replace => "replace",
        }
    }
}

impl fmt::Display for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a cell may do about the population of its own class, where its DNA says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Release growth hormone and its counterpart (`cyte:cell/endocrine`).
    Release,
    /// Divide (`cyte:cell/division`).
    Divide,
    /// End cells of its own class (`cyte:cell/division`).
    Retire,
}

impl Deed {
    /// All of them, ascending.
    pub const ALL: [Deed; 3] = [Deed::Release, Deed::Divide, Deed::Retire];

    /// The name as it stands in `dna.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Deed::Release => "release",
            Deed::Divide => "divide",
            Deed::Retire => "retire",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A number of a gene's own, which its cells report, that counts as its load: the depth of a queue that
/// it works off, for example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Signal {
    /// What it is called, for people: `[a-z0-9-]`, 1 to 63 characters.
    pub name: String,
    /// So much of it is the load of one cell; 1 to [`limits::SIGNAL_PER_CELL_MAX`].
    pub per_cell: u32,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} a cell", self.name, self.per_cell)
    }
}

/// Bytes named by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// Digest of the bytes.
    pub sha256: Digest,
    /// How many bytes.
    pub length: u64,
}

impl Blob {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Blob { sha256: Digest::of(bytes), length: bytes.len() as u64 }
    }
}

/// One gene of an organism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gene {
    /// Unique within the organism.
    pub name: GeneName,
    /// A label for people, at most 64 bytes; nothing compares it.
    pub version: String,
    /// Words for people and their tools to find it by, such as `team = web`; nothing here acts on
    /// them. Sorted by key, no duplicates.
    pub labels: Vec<(String, String)>,
    /// Drone, task, neuron or policy.
    pub role: Role,
    /// How much its word counts; a neuron has one, no other gene does.
    pub neuron: Option<Mandate>,
    /// What it does for its host; a policy does something, no other gene does. Ascending, no
    /// duplicates; each duty is one gene's.
    pub policy: Vec<Duty>,
    /// Its strength against other genes where not all can grow: who has twice as much gets twice the
    /// cells. From 1; 1 for all but drones.
    pub weight: u32,
    /// The Wasm component.
    pub component: Blob,
    /// Where it is mounted; empty for all but drones. Sorted, no duplicates.
    pub routes: Vec<Route>,
    /// Requests that are background work: parts of `routes`. Sorted, no duplicates.
    pub background: Vec<Route>,
    /// All it may do. Empty = nothing but compute.
    pub grants: Grants,
    /// Its limits, where it names them.
    pub limits: GeneLimits,
    /// How many cells there may be, and where.
    pub express: Expression,
    /// Uses of one cell before it retires; `None` = what the component itself declares
    /// (custom section `cyte:reuse`), else 1 for `wasi:http` 0.2 and 128 for 0.3.
    pub reuse: Option<u32>,
    /// Calls at once in one cell, at least 1; above 1 for `wasi:http` 0.3 genes only.
    pub concurrency: u32,
}

impl Gene {
    /// A gene without grants, routes or limits of its own; a neuron may only advise, a policy judges.
    #[must_use]
    pub fn new(name: GeneName, role: Role, component: Blob) -> Self {
        Gene {
            name,
            version: String::new(),
            labels: Vec::new(),
            role,
            neuron: (role == Role::Neuron).then_some(Mandate::Advise),
            policy: if role == Role::Policy { vec![Duty::Zombies] } else { Vec::new() },
            weight: limits::WEIGHT,
            component,
            routes: Vec::new(),
            background: Vec::new(),
            grants: Grants::default(),
            limits: GeneLimits::default(),
            express: Expression::default(),
            reuse: None,
            concurrency: 1,
        }
    }

    /// The blobs it needs: its component, then its packed folders.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let folders = self.grants.files.iter().filter_map(|grant| match &grant.source {
            FileSource::Packed(blob) => Some(blob),
            FileSource::Local(_) => None,
        });
        std::iter::once(&self.component).chain(folders)
    }
}

/// What a gene may do. Everything that is not here is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Where it may send HTTP requests. Sorted, no duplicates.
    pub outbound: Vec<OutboundGrant>,
    /// Folders it sees. Sorted by `to`, no duplicates.
    pub files: Vec<FileGrant>,
    /// `wasi:config` values. Sorted by key, no duplicates.
    pub config: Vec<(String, String)>,
    /// Names of secrets it may put into outbound requests; never values. Sorted.
    pub secrets: Vec<String>,
    /// Environment variables. Sorted by name, no duplicates.
    pub environment: Vec<(String, String)>,
    /// What its cells may do about the population of their own class. Ascending, no duplicates.
    pub may: Vec<Deed>,
    /// The number that its cells may report as the load of their class (`cyte:cell/load`).
    pub signal: Option<Signal>,
}

impl Grants {
    /// Whether its cells may do this.
    #[must_use]
    pub fn allows(&self, deed: Deed) -> bool {
        self.may.contains(&deed)
    }
}

/// Where the files of a grant are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileSource {
    /// A folder in the bundle, packed as a [`crate::Folder`]. Read-only.
    Packed(Blob),
    /// A folder of this name that the host keeps for this gene in its state folder; never a
    /// path of the host.
    Local(String),
}

/// A folder that a gene sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileGrant {
    /// Where the gene sees it: absolute, normal, e.g. `/assets`.
    pub to: String,
    /// Whether it may write; only for [`FileSource::Local`].
    pub write: bool,
    /// Where the files are.
    pub source: FileSource,
}

/// A gene's own limits. `None` = the default of [`crate::limits`]; an upper bound holds for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneLimits {
    /// Memory of one cell, summed over its memories, in bytes.
    pub memory: Option<u64>,
    /// CPU of one call up to the response head, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Wall clock of one call up to the response head, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Request body, in bytes.
    pub body: Option<u64>,
    /// How long a request waits for capacity, in milliseconds.
    pub wait_ms: Option<u64>,
    /// Requests that wait for capacity at once.
    pub waiters: Option<u32>,
    /// Background requests that are held back at once while clients suffer.
    pub background: Option<u32>,
    /// How long each of them is held back at most, in milliseconds.
    pub background_wait_ms: Option<u64>,
    /// Wall clock without a byte moved after the response head, in milliseconds.
    pub idle_ms: Option<u64>,
    /// How often a cell that holds a message is pinged, in milliseconds.
    pub pong_ms: Option<u64>,
    /// Table elements of one cell.
    pub tables: Option<u32>,
    /// Resource handles of one cell.
    pub handles: Option<u32>,
    /// Bytes that host calls may move into the host for one call.
    pub host_call: Option<u64>,
    /// Header fields of one message, names and values, in bytes.
    pub headers: Option<u64>,
    /// Random bytes of one call.
    pub random: Option<u64>,
    /// Outbound requests of one cell at once.
    pub outbound: Option<u32>,
    /// Lengths of all files in its writable folders together, in bytes.
    pub files: Option<u64>,
    /// Files, folders and links in its writable folders together.
    pub file_count: Option<u32>,
}

impl GeneLimits {
    /// Bytes of memory of one cell.
    #[must_use]
    pub fn memory_or_default(&self) -> u64 {
        self.memory.unwrap_or(limits::CELL_MEMORY_BYTES)
    }

    /// CPU of one call of a drone, in milliseconds.
    #[must_use]
    pub fn cpu_ms_or_default(&self) -> u64 {
        self.cpu_ms.unwrap_or(limits::CPU_PER_CALL_MS)
    }

    /// Wall clock of one call of a drone, in milliseconds.
    #[must_use]
    pub fn wall_ms_or_default(&self) -> u64 {
        self.wall_ms.unwrap_or(limits::WALL_PER_CALL_MS)
    }

    /// Wall clock of one look of a neuron, in milliseconds.
    #[must_use]
    pub fn look_ms_or_default(&self) -> u64 {
        self.wall_ms.unwrap_or(limits::NEURON_LOOK_MS)
    }

    /// Wall clock of one call of a policy, in milliseconds.
    #[must_use]
    pub fn policy_ms_or_default(&self) -> u64 {
        self.wall_ms.unwrap_or(limits::POLICY_CALL_MS)
    }

    /// Bytes of request body.
    #[must_use]
    pub fn body_or_default(&self) -> u64 {
        self.body.unwrap_or(limits::REQUEST_BODY_BYTES)
    }

    /// Milliseconds that a request waits for capacity.
    #[must_use]
    pub fn wait_ms_or_default(&self) -> u64 {
        self.wait_ms.unwrap_or(limits::WAIT_FOR_CAPACITY_MS)
    }

    /// Requests that wait for capacity at once.
    #[must_use]
    pub fn waiters_or_default(&self) -> u32 {
        self.waiters.unwrap_or(limits::WAITERS_PER_GENE)
    }

    /// Background requests that are held back at once.
    #[must_use]
    pub fn background_or_default(&self) -> u32 {
        self.background.unwrap_or(limits::BACKGROUND_PER_GENE)
    }

    /// Milliseconds for which each of them is held back at most.
    #[must_use]
    pub fn background_wait_ms_or_default(&self) -> u64 {
        self.background_wait_ms.unwrap_or(limits::BACKGROUND_WAIT_MS)
    }

    /// Milliseconds without a byte moved after the response head.
    #[must_use]
    pub fn idle_ms_or_default(&self) -> u64 {
        self.idle_ms.unwrap_or(limits::IDLE_AFTER_HEAD_MS)
    }

    /// Milliseconds between two pings of a cell that holds a message.
    #[must_use]
    pub fn pong_ms_or_default(&self) -> u64 {
        self.pong_ms.unwrap_or(limits::PONG_MS)
    }

    /// Table elements of one cell.
    #[must_use]
    pub fn tables_or_default(&self) -> u32 {
        self.tables.unwrap_or(limits::CELL_TABLE_ELEMENTS)
    }

    /// Resource handles of one cell.
    #[must_use]
    pub fn handles_or_default(&self) -> u32 {
        self.handles.unwrap_or(limits::CELL_HANDLES)
    }

    /// Bytes that host calls may move into the host for one call.
    #[must_use]
    pub fn host_call_or_default(&self) -> u64 {
        self.host_call.unwrap_or(limits::HOST_CALL_BYTES)
    }

    /// Bytes of header fields of one message.
    #[must_use]
    pub fn headers_or_default(&self) -> u64 {
        self.headers.unwrap_or(limits::HEADER_FIELDS_BYTES)
    }

    /// Random bytes of one call.
    #[must_use]
    pub fn random_or_default(&self) -> u64 {
        self.random.unwrap_or(limits::RANDOM_PER_CALL_BYTES)
    }

    /// Outbound requests of one cell at once.
    #[must_use]
    pub fn outbound_or_default(&self) -> u32 {
        self.outbound.unwrap_or(limits::OUTBOUND_PER_CELL)
    }

    /// Bytes in its writable folders.
    #[must_use]
    pub fn files_or_default(&self) -> u64 {
        self.files.unwrap_or(limits::WRITABLE_BYTES)
    }

    /// Files, folders and links in its writable folders.
    #[must_use]
    pub fn file_count_or_default(&self) -> u32 {
        self.file_count.unwrap_or(limits::WRITABLE_FILES)
    }
}

/// On which hosts a gene lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// On every host for itself.
    #[default]
    Local,
    /// Counted over all hosts of the organism.
    Network,
    /// On other hosts only.
    Remote,
}

impl Scope {
    /// The name as it stands in `dna.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Local => "local",
            Scope::Network => "network",
            Scope::Remote => "remote",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many cells of a gene there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expression {
    /// Cells that are always there. Default 0.
    pub min: u32,
    /// Cells at most; `None` = what the host has.
    pub max: Option<u32>,
    /// Where they are counted.
    pub scope: Scope,
    /// One cell on every host, always, no more and no fewer (seed 000, "a single instance of any gene
    /// marked"). `min` and `max` are 1 then, `scope` is local.
    pub every_host: bool,
}

impl Expression {
    /// One cell on every host.
    pub const EVERY_HOST: Self = Self { min: 1, max: Some(1), scope: Scope::Local, every_host: true };
}
