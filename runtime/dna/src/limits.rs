//! The one table of limits: every bound of the product, with unit, default, reason, who may
//! change it, the counter that moves when it is hit, and the test that hits it.
//!
//! The typed constants are what code uses; [`TABLE`] is what `cyte limits` prints and what the
//! tests walk. A number that bounds anything and is not here is a mistake.
//!
//! A rule such as "2 x cores" is worked out by the host; the table keeps its words.

mod table;

pub use table::{Amount, Limit, TABLE, Unit, find, human_bytes, human_ms};

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
/// The longest time without a byte a gene may ask for with `limits.idle`, in milliseconds.
pub const IDLE_AFTER_HEAD_MAX_MS: u64 = WALL_PER_CALL_MAX_MS;
/// Memory of one cell, summed over its memories, in bytes.
pub const CELL_MEMORY_BYTES: u64 = 64 * MIB;
/// A cell whose memory is above this part of its bound retires when it has finished what it holds, in
/// hundredths.
pub const MEMORY_MARK_PERCENT: u64 = 75;
/// The least memory a gene may ask for with `limits.memory`, in bytes: one Wasm page.
pub const CELL_MEMORY_MIN_BYTES: u64 = 64 * KIB;
/// The most memory a gene may ask for with `limits.memory`, in bytes.
pub const CELL_MEMORY_MAX_BYTES: u64 = 4 * GIB;
/// Table elements of one cell.
pub const CELL_TABLE_ELEMENTS: u32 = 100_000;
/// The most table elements a gene may ask for with `limits.tables`.
pub const CELL_TABLE_ELEMENTS_MAX: u32 = 1_000_000;
/// Core instances of one cell.
pub const CELL_INSTANCES: usize = 16;
/// Resource handles of one cell.
pub const CELL_HANDLES: u32 = 4_096;
/// The most resource handles a gene may ask for with `limits.handles`.
pub const CELL_HANDLES_MAX: u32 = 65_536;
/// Bytes that host calls may move into the host for one call.
pub const HOST_CALL_BYTES: u64 = MIB;
/// The most bytes of host calls a gene may ask for with `limits.host-call`.
pub const HOST_CALL_MAX_BYTES: u64 = 64 * MIB;
/// Bytes of header fields, names and values, of one message.
pub const HEADER_FIELDS_BYTES: u64 = 64 * KIB;
/// The most bytes of header fields a gene may ask for with `limits.headers`.
pub const HEADER_FIELDS_MAX_BYTES: u64 = MIB;
/// Random bytes one call may draw.
pub const RANDOM_PER_CALL_BYTES: u64 = 64 * KIB;
/// The most random bytes a gene may ask for with `limits.random`.
pub const RANDOM_PER_CALL_MAX_BYTES: u64 = 16 * MIB;
/// Log of one cell that is kept, in bytes a second.
pub const LOG_PER_CELL_BYTES_S: u64 = 64 * KIB;
/// One line of a cell's log, in bytes.
pub const LOG_LINE_BYTES: usize = 8 << 10;
/// Lengths of all files in the writable folders of one gene together, in bytes.
pub const WRITABLE_BYTES: u64 = 256 * MIB;
/// The most bytes in writable folders a gene may ask for with `limits.files`.
pub const WRITABLE_MAX_BYTES: u64 = 1024 * GIB;
/// Files, folders and links in the writable folders of one gene together.
pub const WRITABLE_FILES: u32 = 16_384;
/// The most files a gene may ask for with `limits.file-count`.
pub const WRITABLE_FILES_MAX: u32 = 1_000_000;
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
pub const OUTBOUND_PER_CELL: u32 = 6;
/// The most outbound requests at once a gene may ask for with `limits.outbound`.
pub const OUTBOUND_PER_CELL_MAX: u32 = 256;
/// Connecting to an outbound host, in milliseconds.
pub const OUTBOUND_CONNECT_MS: u64 = 5_000;
/// Waiting for the head of an outbound response, in milliseconds.
pub const OUTBOUND_HEAD_MS: u64 = 10_000;
/// Waiting for the next byte of an outbound body, in milliseconds.
pub const OUTBOUND_IDLE_MS: u64 = 10_000;
/// How long an unused outbound connection is kept, in milliseconds.
pub const OUTBOUND_KEEP_MS: u64 = 30_000;
/// Unused outbound connections kept for one gene and one authority.
pub const OUTBOUND_KEPT_PER_PLACE: usize = OUTBOUND_PER_CELL as usize;
/// Unused outbound connections kept in all.
pub const OUTBOUND_KEPT: usize = 256;
/// Names being resolved at once, each on a thread of its own.
pub const OUTBOUND_LOOKUPS: usize = 16;
/// Addresses of one name that are tried.
pub const OUTBOUND_ADDRESSES: usize = 4;
/// Head of an outbound response, and what is read ahead of a guest, in bytes.
pub const OUTBOUND_READ_BUFFER_BYTES: usize = 64 << 10;
/// All header values with secrets in them, of one outbound request, in bytes.
pub const OUTBOUND_FILLED_BYTES: usize = 64 << 10;

// The host.

/// Guest calls being polled at once, for each processor.
pub const POLLED_CALLS_PER_CORE: usize = 2;
/// The most of them that an operator may ask for while the host serves, for each processor.
pub const POLLED_CALLS_PER_CORE_MAX: usize = 4;
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
/// A wait that is felt: the gene's wait divided by this.
pub const WAIT_FELT_SHARE: u64 = 5;
/// For how long every wait must have been felt before newcomers are refused at once, in
/// milliseconds.
pub const QUEUE_STANDS_MS: u64 = 100;
/// Requests of one gene that wait for a cell.
pub const WAITERS_PER_GENE: u32 = 1_024;
/// The most waiting requests a gene may ask for with `limits.waiters`.
pub const WAITERS_PER_GENE_MAX: u32 = 65_536;
/// The memory of all cells is hot above this part of what they may use, in hundredths.
pub const HOT_MEMORY_PERCENT: u64 = 90;
/// A cell's report of its gene's own signal counts for so long, in milliseconds.
pub const SIGNAL_MS: u64 = 5_000;
/// The most that a cell may report.
pub const SIGNAL_MAX: f64 = 1e12;
/// The most of a signal that a gene may call the load of one cell.
pub const SIGNAL_PER_CELL_MAX: u32 = 1_000_000_000;
/// Background requests of one gene that are held back at once while clients suffer.
pub const BACKGROUND_PER_GENE: u32 = 64;
/// The most of them a gene may ask for with `limits.background`.
pub const BACKGROUND_PER_GENE_MAX: u32 = 4_096;
/// Between two looks at whether clients still suffer, in milliseconds.
pub const BACKGROUND_PACE_MS: u64 = 5;
/// How long a background request is held back at most, in milliseconds.
pub const BACKGROUND_WAIT_MS: u64 = 1_000;
/// The longest time a gene may ask for with `limits.background-wait`, in milliseconds.
pub const BACKGROUND_WAIT_MAX_MS: u64 = 60_000;

// Neurons.

/// Neurons of one organism.
pub const NEURONS: usize = 1;
/// Wall clock of one look of a neuron, in milliseconds.
pub const NEURON_LOOK_MS: u64 = 5;
/// A neuron is asked no sooner than this after it was asked before, in milliseconds.
pub const NEURON_EVERY_MS: u64 = 20;
/// First and longest pause after a neuron's cell ended badly, in milliseconds; doubles in between.
pub const NEURON_PAUSE_MS: (u64, u64) = (100, 10_000);
/// The furthest a neuron may bend a demand, in thousandths of it.
pub const NEURON_BIAS_PERMILLE: u32 = 250;

// Policies: genes that judge for their host, or take what it has to say.

/// Wall clock of one call of a policy, in milliseconds.
pub const POLICY_CALL_MS: u64 = 100;
/// Calls that wait for one policy at once.
pub const POLICY_CALLS: usize = 64;
/// First and longest pause after a policy's cell ended badly, in milliseconds; doubles in between.
pub const POLICY_PAUSE_MS: (u64, u64) = (100, 10_000);
/// A stuck cell whose judge has not answered after this ends, in milliseconds.
pub const VERDICT_MS: u64 = 1_000;
/// Log lines in one call of a log sink.
pub const SINK_LINES: usize = 256;

// Weights: whose cells there are where not all can grow.

/// A gene's weight unless its DNA says otherwise.
pub const WEIGHT: u32 = 1;
/// The highest weight.
pub const WEIGHT_MAX: u32 = 1_000;

// The flight recorder.

/// How far back the flight recorder reaches, in milliseconds.
pub const FLIGHT_MS: u64 = 60_000;
/// How often it keeps the whole state of the law while anything happens, in milliseconds.
pub const FLIGHT_KEYFRAME_MS: u64 = 5_000;
/// What it holds in memory, in bytes.
pub const FLIGHT_BYTES: usize = 8 << 20;
/// The largest file that is read as a recording, in bytes.
pub const FLIGHT_FILE_BYTES: u64 = 16 * MIB;
/// Why a recording was made, in words, in bytes.
pub const FLIGHT_REASON_BYTES: usize = 256;
/// Recordings of incidents that a host keeps.
pub const INCIDENTS_KEPT: usize = 8;
/// The least time between two incidents that are recorded, in milliseconds.
pub const INCIDENT_PAUSE_MS: u64 = 30_000;
/// For how long requests must be refused without a pause until that is an incident, in milliseconds.
pub const INCIDENT_SATURATED_MS: u64 = 2_000;

// Receptors: how a gene's cells are told how their class stands.

/// CPU of one call of a cell's receptor, in milliseconds.
pub const RECEPTOR_CPU_MS: u64 = 5;
/// Wall clock of one call of a cell's receptor, in milliseconds.
pub const RECEPTOR_WALL_MS: u64 = 20;
/// A cell's receptor is called no sooner than this after it was called before, in milliseconds.
pub const RECEPTOR_EVERY_MS: u64 = 100;

// Lifecycle: how a gene's cells are told the turns of their lives.

/// CPU in which a cell hears of its daughters, in milliseconds.
pub const LIFECYCLE_CPU_MS: u64 = 5;
/// Wall clock in which a cell hears of its daughters, in milliseconds.
pub const LIFECYCLE_WALL_MS: u64 = 20;
/// CPU in which a cell hears that it is dying, in milliseconds.
pub const DYING_CPU_MS: u64 = 20;
/// Wall clock in which a cell hears that it is dying, in milliseconds.
pub const DYING_WALL_MS: u64 = 100;

// Zombies: cells that hold a message and are stuck.

/// How often a cell that holds a message is pinged, in milliseconds; one that is stuck is found within
/// two of these.
pub const PONG_MS: u64 = 1_000;
/// The shortest time between two pings that a gene may ask for with `limits.pong`, in milliseconds.
pub const PONG_MIN_MS: u64 = 50;
/// The longest, in milliseconds.
pub const PONG_MAX_MS: u64 = 3_600_000;

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
/// Connections at once over all listeners; half of the process's file descriptors where that is
/// less.
pub const CONNECTIONS: usize = 8_192;
/// Connections that wait in the kernel until they are accepted.
pub const BACKLOG: u32 = 1_024;
/// First and longest pause of the accept loop after an error that is not a client's, in
/// milliseconds.
pub const ACCEPT_PAUSE_MS: (u64, u64) = (5, 1_000);
/// From accept to the first whole request head, in milliseconds.
pub const FIRST_REQUEST_MS: u64 = 10_000;
/// From the first byte of a later head to its end, in milliseconds.
pub const REQUEST_HEAD_MS: u64 = 10_000;
/// Without a request on a connection that is kept alive, in milliseconds.
pub const CONNECTION_IDLE_MS: u64 = 75_000;
/// How often the idle deadline is looked at in its time: it passes after at most a quarter more,
/// and in return no request touches a timer.
pub const CONNECTION_IDLE_LOOKS: u32 = 4;
/// Bytes that an idle client may send between two of those looks: answers to PING and the like.
pub const CONNECTION_IDLE_BYTES: u64 = KIB;
/// Without a byte of a request body that the gene waits for, in milliseconds.
pub const BODY_STALL_MS: u64 = 30_000;
/// Without a byte taken by a client while there is something to send, in milliseconds.
pub const WRITE_STALL_MS: u64 = 30_000;
/// How long open requests may take to end when the host stops, in milliseconds.
pub const DRAIN_MS: u64 = 10_000;
/// The first read of a connection, in bytes: a usual first request needs no second one.
pub const FIRST_READ_BYTES: usize = 2 << 10;
/// Bytes of a refused upload that are thrown away so that the client can read the refusal ...
pub const LINGER_BYTES: usize = 1 << 20;
/// ... and for how long, in milliseconds.
pub const LINGER_MS: u64 = 2_000;
/// Body bytes of an answer to HEAD that are thrown away while its gene comes to an end ...
pub const UNSEEN_BODY_BYTES: u64 = MIB;
/// ... and for how long, in milliseconds; after that the call is cut off.
pub const UNSEEN_BODY_MS: u64 = 1_000;

// HTTP/2 at the front.

/// Streams at once on one connection.
pub const STREAMS_PER_CONNECTION: u32 = 128;
/// Streams that a client reset and the host still holds, before it says GOAWAY (rapid reset).
pub const PENDING_RESET_STREAMS: usize = 20;
/// Resets that a client provokes with faulty frames, before GOAWAY (MadeYouReset).
pub const LOCAL_ERROR_RESETS: usize = 64;
/// Bytes of one request body that may arrive before the gene reads them.
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same for all streams of a connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of one response that wait for the client's window.
pub const STREAM_SEND_BUFFER_BYTES: usize = 64 << 10;
/// A silent connection is asked for a sign of life this often, in milliseconds ...
pub const PING_EVERY_MS: u64 = 20_000;
/// ... and closed after this long without one, in milliseconds.
pub const PING_TIMEOUT_MS: u64 = 10_000;

// What a host remembers and says.

/// Lines of guests that a host remembers; its files hold more.
pub const LOG_LINES_KEPT: usize = 4_096;
/// Cells that have a log rate of their own at once; beyond it those of a gene share one.
pub const LOG_RATES: usize = 16_384;
/// Events that a host remembers; its files hold more.
pub const EVENTS_KEPT: usize = 4_096;
/// Warnings of the host's own code that become events, a second.
pub const WARNINGS_PER_S: u64 = 20;
/// Deaths of cells that are told one by one, a second; more of them are told in sums.
pub const DEATHS_TOLD_PER_S: u64 = 20;
/// One log file, in bytes, before it is rotated ...
pub const LOG_FILE_BYTES: u64 = 8 * MIB;
/// ... and how many full ones are kept.
pub const LOG_FILES_KEPT: u32 = 4;
/// How long a host keeps what it observed, in milliseconds: a day, so that last night can be asked
/// about ...
pub const OBSERVED_AGE_MS: u64 = 86_400_000;
/// ... and how much of it at most, in bytes.
pub const OBSERVED_BYTES: u64 = 32 * MIB;
/// Observed events that wait in memory for the disk; above it the oldest are dropped and counted.
pub const OBSERVED_WAITING: usize = 16_384;
/// Births of one gene that are told one by one, a second; of more a list of its cells is kept.
pub const BIRTHS_TOLD_PER_S: usize = 64;
/// Bundles that a state folder keeps.
pub const BUNDLES_KEPT: usize = 5;
/// One secret's value, in bytes.
pub const SECRET_BYTES: usize = 64 << 10;
/// Entries of the audit trail that a host keeps.
pub const AUDIT_KEPT: u64 = 10_000;
/// Secrets of one host.
pub const SECRETS: usize = 1_024;
/// Connections of the control socket at once.
pub const CONTROL_CONNECTIONS: usize = 64;
/// Entries in one answer of the control socket.
pub const CONTROL_PAGE: usize = 1_000;

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
/// A file of wishes, in bytes.
pub const WISH_FILE_BYTES: usize = 1 << 20;
/// One wish as it is kept, in bytes.
pub const WISH_BYTES: usize = 8 << 10;
/// Changes of wishes that a host remembers.
pub const WISH_HISTORY: u64 = 10_000;
/// The pause between starts of a gene in a crash loop, in milliseconds.
pub const CRASH_LOOP_PAUSE_MS: u64 = 60_000;
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
/// Labels of one gene.
pub const LABELS_PER_GENE: usize = 64;
/// Version of a gene, label of an organism, and key and value of a gene's labels, in bytes.
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
