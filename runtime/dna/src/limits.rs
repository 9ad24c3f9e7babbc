//! The one table of limits: every bound of the product, with unit, default, reason, who may
//! change it, the counter that moves when it is hit, and the test that hits it.
//!
//! The typed constants are what code uses; [`TABLE`] is what `cyte limits` prints and what the
//! tests walk. A number that bounds anything and is not here is a mistake.
//!
//! A rule such as "2 x cores" is worked out by the host; the table keeps its words.

use std::fmt;

/// 1 KiB.
pub const KIB: u64 = 1024;
/// 1 MiB.
pub const MIB: u64 = 1024 * KIB;
/// 1 GiB.
pub const GIB: u64 = 1024 * MIB;

// A call and a cell.

/// CPU of one call up to the response head, summed poll time, in milliseconds.
pub const CPU_PER_CALL_MS: u64 = 500;
/// The most CPU a gene may ask for with `limits.cpu`, in milliseconds.
pub const CPU_PER_CALL_MAX_MS: u64 = 600_000;
/// Wall clock of one call up to the response head, in milliseconds.
pub const WALL_PER_CALL_MS: u64 = 10_000;
/// The most wall clock a gene may ask for with `limits.wall`, in milliseconds.
pub const WALL_PER_CALL_MAX_MS: u64 = 24 * 3_600_000;
/// Wall clock without a byte moved after the response head, in milliseconds.
pub const IDLE_AFTER_HEAD_MS: u64 = 30_000;
/// Memory of one cell, summed over its memories, in bytes.
pub const CELL_MEMORY_BYTES: u64 = 64 * MIB;
/// The least memory a gene may ask for with `limits.memory`, in bytes: one Wasm page.
pub const CELL_MEMORY_MIN_BYTES: u64 = 64 * KIB;
/// The most memory a gene may ask for with `limits.memory`, in bytes.
pub const CELL_MEMORY_MAX_BYTES: u64 = 4 * GIB;
/// Table elements of one cell.
pub const CELL_TABLE_ELEMENTS: usize = 100_000;
/// Core instances of one cell.
pub const CELL_INSTANCES: usize = 16;
/// Resource handles of one cell.
pub const CELL_HANDLES: usize = 4_096;
/// Bytes that host calls may move into the host for one call.
pub const HOST_CALL_BYTES: usize = 1 << 20;
/// Bytes of header fields, names and values, of one message.
pub const HEADER_FIELDS_BYTES: usize = 64 << 10;
/// Random bytes one call may draw.
pub const RANDOM_PER_CALL_BYTES: u64 = 64 * KIB;
/// Log of one cell that is kept, in bytes a second.
pub const LOG_PER_CELL_BYTES_S: u64 = 64 * KIB;
/// One line of a cell's log, in bytes.
pub const LOG_LINE_BYTES: usize = 8 << 10;
/// The most uses a gene may ask for with `reuse`.
pub const REUSE_MAX: u32 = 1_000_000_000;
/// Uses of a cell of a `wasi:http` 0.2 component that declares nothing.
pub const REUSE_HTTP_02: u32 = 1;
/// Uses of a cell of a `wasi:http` 0.3 component that declares nothing.
pub const REUSE_HTTP_03: u32 = 128;
/// The most calls at once in one cell a gene may ask for with `concurrency`.
pub const CONCURRENCY_MAX: u32 = 1_024;
/// The most cells a gene may ask for with `express`.
pub const CELLS_PER_GENE_MAX: u32 = 1_000_000;

// Outbound requests.

/// Outbound requests of one cell at once.
pub const OUTBOUND_PER_CELL: usize = 6;
/// Connecting to an outbound host, in milliseconds.
pub const OUTBOUND_CONNECT_MS: u64 = 5_000;
/// Waiting for the head of an outbound response, in milliseconds.
pub const OUTBOUND_HEAD_MS: u64 = 10_000;
/// Waiting for the next byte of an outbound body, in milliseconds.
pub const OUTBOUND_IDLE_MS: u64 = 10_000;

// The host.

/// Guest calls being polled at once, for each processor.
pub const POLLED_CALLS_PER_CORE: usize = 2;
/// CPU of one `inspect` of a B cell, in milliseconds.
pub const INSPECT_CPU_MS: u64 = 20;
/// Pages of used cells kept in memory over both engines, in bytes.
pub const KEPT_WARM_BYTES: u64 = 32 * MIB;
/// Memory of a cell that is counted above its image, in bytes.
pub const CELL_OVERHEAD_BYTES: u64 = 64 * KIB;
/// Waiting for a cell, in milliseconds.
pub const WAIT_FOR_CAPACITY_MS: u64 = 100;
/// The longest wait a gene may ask for with `limits.wait`, in milliseconds.
pub const WAIT_FOR_CAPACITY_MAX_MS: u64 = 60_000;
/// Requests of one gene that wait for a cell.
pub const WAITERS_PER_GENE: usize = 1_024;

// Compilation, in a child process.

/// Size of a component that is compiled, in bytes.
pub const COMPILE_INPUT_BYTES: u64 = 64 * MIB;
/// CPU of one compilation: this much ...
pub const COMPILE_CPU_MS: u64 = 5_000;
/// ... and this much for each MiB of Wasm, in milliseconds.
pub const COMPILE_CPU_PER_MIB_MS: u64 = 1_500;
/// Memory of one compilation, in bytes.
pub const COMPILE_MEMORY_BYTES: u64 = GIB;

// The front.

/// Request line and header fields, in bytes.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;
/// Request body unless the gene says otherwise, in bytes.
pub const REQUEST_BODY_BYTES: u64 = 8 * MIB;
/// The largest request body a gene may ask for with `limits.body`, in bytes.
pub const REQUEST_BODY_MAX_BYTES: u64 = 1024 * GIB;

// DNA: checked before anything is allocated.

/// An encoded manifest, in bytes.
pub const MANIFEST_BYTES: usize = 4 << 20;
/// Genes of one organism.
pub const GENES: usize = 4_096;
/// One blob of a bundle (a component or a packed folder), in bytes.
pub const BLOB_BYTES: u64 = 64 * MIB;
/// All blobs of a bundle, in bytes.
pub const BUNDLE_BYTES: u64 = 512 * MIB;
/// Signatures of one bundle.
pub const SIGNATURES: usize = 16;
/// Keys of one germline.
pub const GERMLINE_KEYS: usize = 32;
/// Hosts named in a roster.
pub const ROSTER_HOSTS: usize = 4_096;
/// Revoked keys, and likewise revoked genes, in one manifest.
pub const REVOCATIONS: usize = 4_096;
/// Routes of one gene.
pub const ROUTES_PER_GENE: usize = 64;
/// Routes of one organism.
pub const ROUTES: usize = 16_384;
/// Config and environment of one gene, keys and values, in bytes.
pub const CONFIG_PER_GENE_BYTES: usize = 64 << 10;
/// Outbound grants of one gene.
pub const OUTBOUND_PER_GENE: usize = 256;
/// File grants of one gene.
pub const FILES_PER_GENE: usize = 64;
/// Secrets named by one gene.
pub const SECRETS_PER_GENE: usize = 64;
/// Name of a gene, an organism or a secret, in bytes.
pub const NAME_MAX_BYTES: usize = 63;
/// Version of a gene and label of an organism, in bytes.
pub const LABEL_MAX_BYTES: usize = 64;
/// Text of one route, in bytes.
pub const ROUTE_MAX_BYTES: usize = 512;
/// Text of a germline file, in bytes.
pub const GERMLINE_TEXT_BYTES: usize = 16 << 10;
/// Accepted manifests, and likewise former germlines, that a host remembers.
pub const REMEMBERED_DNA: usize = 64;
/// A file of a packed folder: one part of its path, in bytes.
pub const FOLDER_NAME_BYTES: usize = 255;
/// A file of a packed folder: its path, in bytes.
pub const FOLDER_PATH_BYTES: usize = 1_024;
/// Files of one packed folder.
pub const FOLDER_FILES: usize = 65_536;
/// Text of a `dna.toml`, in bytes.
pub const DNA_TOML_BYTES: usize = 1 << 20;

/// How much a limit allows by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// A number in the limit's unit.
    Number(u64),
    /// What the host works out, or several numbers that belong together, in words.
    Rule(&'static str),
}

/// The unit of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// None, the default is a rule.
    None,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Unique, kebab-case.
    pub name: &'static str,
    /// The unit of a numeric default.
    pub unit: Unit,
    /// What holds without a flag.
    pub default: Amount,
    /// Why there is a limit and why it is this one.
    pub reason: &'static str,
    /// Who may change it: any of `DNA`, `flag`, `live`, `call`, `host`; `nobody` = fixed.
    pub changed_by: &'static str,
    /// The counter that moves when it is hit; limits of DNA share one, labelled with
    /// [`crate::DnaError::code`].
    pub counter: &'static str,
    /// The test that hits it, as `crate::path` or as a file below `tests/`; `None` = not written yet.
    pub test: Option<&'static str>,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Count => "",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "bytes/s",
            Unit::Milliseconds => "ms",
            Unit::None => "",
        })
    }
}

impl fmt::Display for Limit {
    /// The default as people read it: `64 MiB`, `500 ms`, `2 x cores`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self.default {
            Amount::Rule(rule) => return f.pad(rule),
            Amount::Number(number) => number,
        };
        f.pad(&match self.unit {
            Unit::Bytes => human_bytes(number),
            Unit::BytesPerSecond => format!("{}/s", human_bytes(number)),
            Unit::Milliseconds => human_ms(number),
            Unit::Count | Unit::None => number.to_string(),
        })
    }
}

/// `64 MiB`, `1 KiB`, `100 B`: the largest binary unit that divides the number.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    for (unit, name) in [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

/// `10 s`, `500 ms`: whole seconds where they fit.
#[must_use]
pub fn human_ms(ms: u64) -> String {
    if ms >= 1_000 && ms.is_multiple_of(1_000) {
        return format!("{} s", ms / 1_000);
    }
    format!("{ms} ms")
}

/// The row of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Limit> {
    TABLE.iter().find(|limit| limit.name == name)
}

use Amount::{Number, Rule};

/// Rows by columns, so that the table below reads as one.
macro_rules! table {
    ($($name:literal $unit:ident $default:expr, $by:literal, $counter:literal, $test:expr, $reason:literal;)*) => {
        /// Every limit, in the order in which `cyte limits` prints them.
        pub static TABLE: &[Limit] = &[$(Limit {
            name: $name,
            unit: Unit::$unit,
            default: $default,
            reason: $reason,
            changed_by: $by,
            counter: $counter,
            test: $test,
        }),*];
    };
}

table! {
    "listen-address" None Rule("loopback only"), "flag, DNA", "cyte_listen_refused_total", None,
        "nobody should serve the internet by accident";
    "cpu-per-call" Milliseconds Number(CPU_PER_CALL_MS), "DNA", "cyte_calls_cpu_exceeded_total", None,
        "a call that spins must end; counted as summed poll time up to the response head, refilled by bytes moved after it";
    "wall-per-call" Milliseconds Number(WALL_PER_CALL_MS), "DNA", "cyte_calls_wall_exceeded_total", None,
        "a client should get an answer while it still waits; up to the response head";
    "idle-after-head" Milliseconds Number(IDLE_AFTER_HEAD_MS), "DNA", "cyte_calls_stalled_total", None,
        "a response that no longer moves holds a cell";
    "cell-memory" Bytes Number(CELL_MEMORY_BYTES), "DNA", "cyte_cells_memory_exceeded_total", None,
        "one cell must not take the memory of the others; summed over its memories";
    "cell-table-elements" Count Number(CELL_TABLE_ELEMENTS as u64), "DNA", "cyte_cells_tables_exceeded_total", None,
        "tables are memory too; Python and JavaScript engines fit";
    "cell-instances" Count Number(CELL_INSTANCES as u64), "DNA", "cyte_cells_instances_exceeded_total", None,
        "slots of the pool are sized for it; the largest known component has 14 core modules";
    "cell-handles" Count Number(CELL_HANDLES as u64), "DNA", "cyte_cells_handles_exceeded_total", None,
        "a handle is memory of the host";
    "host-call-bytes" Bytes Number(HOST_CALL_BYTES as u64), "DNA", "cyte_calls_host_bytes_exceeded_total", None,
        "what a guest passes to the host is copied there";
    "header-fields" Bytes Number(HEADER_FIELDS_BYTES as u64), "DNA", "cyte_calls_fields_exceeded_total", None,
        "header fields are memory of the host";
    "random-per-call" Bytes Number(RANDOM_PER_CALL_BYTES), "DNA", "cyte_calls_random_exceeded_total", None,
        "random bytes cost the host, not the guest's budget";
    "cell-log-rate" BytesPerSecond Number(LOG_PER_CELL_BYTES_S), "DNA", "cyte_log_dropped_bytes_total", None,
        "a chatty cell must not fill the disk nor hide the others";
    "log-line" Bytes Number(LOG_LINE_BYTES as u64), "DNA", "cyte_log_cut_lines_total", None,
        "one line is held in memory until it ends";
    "outbound" None Rule("denied"), "DNA", "cyte_outbound_denied_total", None,
        "a gene reaches only what its DNA names";
    "outbound-private" None Rule("denied unless the address itself is named"), "DNA", "cyte_outbound_private_denied_total", None,
        "a name must not lead a gene to the inside of the network; checked after resolving";
    "outbound-per-cell" Count Number(OUTBOUND_PER_CELL as u64), "DNA", "cyte_outbound_concurrency_exceeded_total", None,
        "what a browser allows one page; a cell must not become a flood";
    "outbound-connect" Milliseconds Number(OUTBOUND_CONNECT_MS), "DNA", "cyte_outbound_connect_timeouts_total", None,
        "a host that does not answer must not hold a cell";
    "outbound-head" Milliseconds Number(OUTBOUND_HEAD_MS), "DNA", "cyte_outbound_head_timeouts_total", None,
        "the same for a host that accepts and is silent";
    "outbound-idle" Milliseconds Number(OUTBOUND_IDLE_MS), "DNA", "cyte_outbound_idle_timeouts_total", None,
        "the same for a body that stops";
    "polled-calls" None Rule("2 x cores"), "live", "cyte_calls_poll_waits_total", None,
        "more guests than processors only slow each other; a call that awaits I/O holds no permit";
    "inspect-cpu" Milliseconds Number(INSPECT_CPU_MS), "DNA", "cyte_inspect_cpu_exceeded_total", None,
        "inspection stands before every request";
    "task-cpu" None Rule("unlimited unless the gene's limits or --timeout say so"), "DNA, flag", "cyte_tasks_cpu_exceeded_total", None,
        "a task is waited for by a person who can stop it; exit status 124 at its limit";
    "cells-per-host" None Rule("what memory and the kernel's map count allow"), "live", "cyte_cells_refused_total", None,
        "beyond it the kernel ends the process; `cyte doctor` says which bound it is";
    "cells-per-gene" None Rule("0 to what the host has"), "DNA, live", "cyte_tissue_full_total", None,
        "a gene grows with its load, inside the range of its DNA";
    "memory-of-all-cells" None Rule("half of the memory of the cgroup or machine"), "live", "cyte_cells_memory_refused_total", None,
        "the host itself and the page cache need the rest; counted as growth above the image + 64 KiB a cell, corrected by RSS";
    "kept-warm" Bytes Number(KEPT_WARM_BYTES), "live", "cyte_warm_evicted_total", None,
        "pages kept after use make reuse fast and idle hosts heavy; over both engines";
    "wait-for-capacity" Milliseconds Number(WAIT_FOR_CAPACITY_MS), "DNA, call", "cyte_waits_expired_total", None,
        "long enough to grow a cell, short enough to tell a client the truth";
    "waiters-per-gene" Count Number(WAITERS_PER_GENE as u64), "DNA", "cyte_waiters_refused_total", None,
        "a queue without a bound is a leak";
    "compile-input" Bytes Number(COMPILE_INPUT_BYTES), "host", "cyte_compile_too_large_total", None,
        "a component of this size is compiled in about a minute";
    "compile-cpu" None Rule("5 s + 1.5 s a MiB"), "host", "cyte_compile_cpu_exceeded_total", None,
        "some small Wasm compiles for ever; in a child without network or files";
    "compile-memory" Bytes Number(COMPILE_MEMORY_BYTES), "host", "cyte_compile_memory_exceeded_total", None,
        "some small Wasm compiles into all memory";
    "request-head" Bytes Number(REQUEST_HEAD_BYTES as u64), "nobody", "cyte_requests_head_too_large_total", None,
        "held in memory before anything is known about the client";
    "request-body" Bytes Number(REQUEST_BODY_BYTES), "DNA", "cyte_requests_body_too_large_total", None,
        "a gene that streams more says so";
    "cpu-per-call-ceiling" Milliseconds Number(CPU_PER_CALL_MAX_MS), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "what longer work a call may do belongs in a task";
    "wall-per-call-ceiling" Milliseconds Number(WALL_PER_CALL_MAX_MS), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a call that lasts longer outlives every client";
    "cell-memory-floor" Bytes Number(CELL_MEMORY_MIN_BYTES), "nobody", "cyte_dna_refused_total", Some("cyte_dna::toml_source::tests::values_of_the_wrong_kind_or_size_are_faults"),
        "one page of Wasm";
    "cell-memory-ceiling" Bytes Number(CELL_MEMORY_MAX_BYTES), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "what 32-bit Wasm can address";
    "request-body-ceiling" Bytes Number(REQUEST_BODY_MAX_BYTES), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "as good as none, and sums of it do not overflow";
    "wait-for-capacity-ceiling" Milliseconds Number(WAIT_FOR_CAPACITY_MAX_MS), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "no client waits longer for a first byte";
    "cells-per-gene-ceiling" Count Number(CELLS_PER_GENE_MAX as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a hundred times what one machine holds";
    "concurrency-ceiling" Count Number(CONCURRENCY_MAX as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "all of them die with their cell";
    "reuse-ceiling" Count Number(REUSE_MAX as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "as good as for ever, and counters do not overflow";
    "reuse-http-0.2" Count Number(REUSE_HTTP_02 as u64), "DNA", "cyte_cells_retired_total", None,
        "a foreign component that declares nothing gets a fresh cell for each request";
    "reuse-http-0.3" Count Number(REUSE_HTTP_03 as u64), "DNA", "cyte_cells_retired_total", None,
        "0.3 components are written to be reused; a bound still sheds what they leak";
    "remembered-dna" Count Number(REMEMBERED_DNA as u64), "nobody", "cyte_dna_forgotten_total", Some("cyte_dna::bundle::tests::a_host_remembers_a_bounded_past"),
        "how far back a host may return; of germlines likewise";
    "germline-file" Bytes Number(GERMLINE_TEXT_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::germline::tests::text_comes_back"),
        "32 keys fit five times over";
    "dna-manifest" Bytes Number(MANIFEST_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::bundle::tests::a_declared_length_of_2_gib_costs_nothing"),
        "read into memory before a signature is checked";
    "dna-genes" Count Number(GENES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "every gene is compiled and has a tissue";
    "dna-blob" Bytes Number(BLOB_BYTES), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a blob is read into memory to be checked";
    "dna-bundle" Bytes Number(BUNDLE_BYTES), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the last five DNAs are kept on disk";
    "dna-signatures" Count Number(SIGNATURES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::bundle::tests::seventeen_signatures_are_refused"),
        "each is verified before anything is known about its maker";
    "dna-germline-keys" Count Number(GERMLINE_KEYS as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::germline::tests::caps_of_a_germline"),
        "people hold these keys";
    "dna-roster" Count Number(ROSTER_HOSTS as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "read by every host";
    "dna-revocations" Count Number(REVOCATIONS as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "read by every host; of keys, and again of genes";
    "dna-routes-per-gene" Count Number(ROUTES_PER_GENE as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a gene with more wants a prefix";
    "dna-routes" Count Number(ROUTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the table is searched for every request";
    "dna-config-per-gene" Bytes Number(CONFIG_PER_GENE_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "config and environment are copied into cells";
    "dna-outbound-per-gene" Count Number(OUTBOUND_PER_GENE as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "searched for every outbound request";
    "dna-files-per-gene" Count Number(FILES_PER_GENE as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "each is an open directory in every cell";
    "dna-secrets-per-gene" Count Number(SECRETS_PER_GENE as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "searched for in every outbound header";
    "dna-name" Bytes Number(NAME_MAX_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::name::tests::name_of_64_characters_is_refused"),
        "a name is a label of DNS";
    "dna-label" Bytes Number(LABEL_MAX_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "shown in one column";
    "dna-route" Bytes Number(ROUTE_MAX_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::route::tests::a_route_of_513_bytes_is_refused"),
        "compared with every request";
    "folder-name" Bytes Number(FOLDER_NAME_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "longer names do not exist on any file system in use";
    "folder-path" Bytes Number(FOLDER_PATH_BYTES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "longer paths do not exist on every file system";
    "folder-files" Count Number(FOLDER_FILES as u64), "nobody", "cyte_dna_refused_total", Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "a host keeps an index of them";
    "dna-toml" Bytes Number(DNA_TOML_BYTES as u64), "nobody", "cyte_dna_toml_refused_total", Some("cyte_dna::toml_source::tests::a_text_above_its_cap_is_refused"),
        "people write it; it is parsed in memory";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_cell_is_filled() {
        let mut names: Vec<_> = TABLE.iter().map(|limit| limit.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for limit in TABLE {
            assert!(!limit.reason.is_empty() && !limit.changed_by.is_empty(), "{}", limit.name);
            assert!(
                limit.counter.starts_with("cyte_") && limit.counter.ends_with("_total"),
                "{}",
                limit.name
            );
            assert_eq!(matches!(limit.default, Amount::Rule(_)), limit.unit == Unit::None, "{}", limit.name);
        }
    }

    /// The tests that the table names in this crate exist.
    #[test]
    fn named_tests_exist() {
        let sources = [
            ("bundle", include_str!("bundle/tests.rs")),
            ("manifest", include_str!("manifest/tests.rs")),
            ("germline", include_str!("germline.rs")),
            ("folder", include_str!("folder.rs")),
            ("name", include_str!("name.rs")),
            ("route", include_str!("route.rs")),
            ("toml_source", include_str!("toml_source/tests.rs")),
        ];
        for limit in TABLE {
            let Some(rest) = limit.test.and_then(|test| test.strip_prefix("cyte_dna::")) else { continue };
            let (module, test) = rest.split_once("::tests::").unwrap();
            let (_, source) = sources.iter().find(|(name, _)| *name == module).unwrap();
            assert!(source.contains(&format!("fn {test}()")), "{}: {rest}", limit.name);
        }
    }

    #[test]
    fn defaults_read_well() {
        assert_eq!(find("cell-memory").unwrap().to_string(), "64 MiB");
        assert_eq!(find("cpu-per-call").unwrap().to_string(), "500 ms");
        assert_eq!(find("wall-per-call").unwrap().to_string(), "10 s");
        assert_eq!(find("cell-log-rate").unwrap().to_string(), "64 KiB/s");
        assert_eq!(find("polled-calls").unwrap().to_string(), "2 x cores");
        assert_eq!(find("cell-handles").unwrap().to_string(), "4096");
        assert!(find("no-such-limit").is_none());
    }
}
