//! The rows that people read: what `cyte limits` prints and what the tests walk.

use std::fmt;

use super::*;

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
    /// What a running host counts when it is hit; several limits may share one counter. `None` where
    /// hitting it is an error that ends the command, or where the host does not see it.
    pub counter: Option<&'static str>,
    /// The test that hits it, as `crate::path` (`all` is the crate of `tests/main.rs`); `None` = not
    /// written yet.
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
    ($($name:literal $unit:ident $default:expr, $by:literal, $counter:expr, $test:expr, $reason:literal;)*) => {
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
    "listen-address" None Rule("loopback only"), "flag", None, Some("all::cases::control::nothing_listens_beyond_loopback_unless_told"),
        "nobody should serve the internet by accident";
    "cpu-per-call" Milliseconds Number(CPU_PER_CALL_MS), "DNA", Some("cyte_calls_cpu_exceeded_total"), Some("all::cases::hostile::cpu::a_guest_that_spins_ends_at_its_budget"),
        "a call that spins must end; counted as summed poll time up to the response head, refilled by bytes moved after it";
    "wall-per-call" Milliseconds Number(WALL_PER_CALL_MS), "DNA", Some("cyte_calls_wall_exceeded_total"), Some("all::cases::hostile::failing::a_guest_that_never_answers_ends_at_its_wall_clock"),
        "a client should get an answer while it still waits; up to the response head";
    "idle-after-head" Milliseconds Number(IDLE_AFTER_HEAD_MS), "DNA", Some("cyte_calls_wall_exceeded_total"), Some("all::cases::hostile::limits::a_response_that_no_longer_moves_is_cut_off"),
        "a response that no longer moves holds a cell";
    "pong" Milliseconds Number(PONG_MS), "DNA", Some("cyte_cells_stuck_total"), Some("all::cases::zombies::a_cell_that_awaits_what_never_comes_is_found_and_ended"),
        "a cell that is stuck holds a place until its wall clock ends; one that waits for a granted thing is not";
    "receptor-cpu" Milliseconds Number(RECEPTOR_CPU_MS), "nobody", Some("cyte_receptor_failures_total"), Some("all::cases::glands::a_receptor_that_fails_ends_its_cell_only"),
        "a request may wait behind it";
    "receptor-wall" Milliseconds Number(RECEPTOR_WALL_MS), "nobody", Some("cyte_receptor_failures_total"), Some("all::cases::glands::a_receptor_that_fails_ends_its_cell_only"),
        "a request may wait behind it";
    "receptor-every" Milliseconds Number(RECEPTOR_EVERY_MS), "nobody", None, Some("all::cases::glands::cells_with_a_receptor_are_told_how_their_class_stands"),
        "10,000 cells that are told at every tick would take a core";
    "lifecycle-cpu" Milliseconds Number(LIFECYCLE_CPU_MS), "nobody", Some("cyte_lifecycle_failures_total"), Some("all::cases::life::a_cell_that_fails_at_what_it_is_told_ends_alone"),
        "a request may wait behind it";
    "lifecycle-wall" Milliseconds Number(LIFECYCLE_WALL_MS), "nobody", Some("cyte_lifecycle_failures_total"), None,
        "a request may wait behind it";
    "dying-cpu" Milliseconds Number(DYING_CPU_MS), "nobody", Some("cyte_lifecycle_failures_total"), Some("all::cases::life::who_does_not_end_when_it_is_dying_ends_anyway"),
        "a cell that is told that it ends keeps its place meanwhile";
    "dying-wall" Milliseconds Number(DYING_WALL_MS), "nobody", Some("cyte_lifecycle_failures_total"), None,
        "a cell that is told that it ends keeps its place meanwhile";
    "policy-call" Milliseconds Number(POLICY_CALL_MS), "DNA", Some("cyte_policy_failures_total"), Some("all::cases::policies::where_a_judge_fails_the_default_acts"),
        "who is late must not keep the next one waiting";
    "policy-calls" Count Number(POLICY_CALLS as u64), "nobody", Some("cyte_policy_skipped_total"), None,
        "what waits for a slow policy is memory; beyond it the host's default acts at once";
    "policy-pause" None Rule("100 ms after a policy's cell ended badly, doubling to 10 s"), "nobody", Some("cyte_policy_skipped_total"), Some("all::cases::policies::lines_that_a_sink_does_not_survive_are_counted"),
        "one that always fails must not cost a cell each time it is asked";
    "policies" None Rule("one gene for each of zombies, log, metrics"), "nobody", None, Some("cyte_dna::manifest::tests::a_policy_is_one_cell_that_only_its_host_asks"),
        "two would each say what becomes of the same cell";
    "verdict" Milliseconds Number(VERDICT_MS), "nobody", None, None,
        "a stuck cell holds a place; whose judge says nothing ends";
    "sink-lines" Count Number(SINK_LINES as u64), "nobody", None, None,
        "lines are copied into the policy's memory; those that wait are the lines that the host keeps";
    "cell-memory" Bytes Number(CELL_MEMORY_BYTES), "DNA", Some("cyte_cells_memory_exceeded_total"), Some("all::cases::hostile::memory::a_guest_that_grows_gets_its_limit_and_no_more"),
        "one cell must not take the memory of the others; summed over its memories";
    "memory-mark" None Rule("75 of 100 of the gene's memory"), "nobody", Some("cyte_cells_grown_old_total"), Some("all::cases::limits::a_cell_whose_memory_passed_the_mark_retires"),
        "a cell that grows and grows is replaced between two messages, not stopped in one";
    "cell-table-elements" Count Number(CELL_TABLE_ELEMENTS as u64), "DNA", Some("cyte_cells_tables_exceeded_total"), Some("all::cases::hostile::limits::a_gene_says_how_much_its_cells_hold_beside_memory"),
        "tables are memory too; Python and JavaScript engines fit";
    "cell-instances" Count Number(CELL_INSTANCES as u64), "nobody", Some("cyte_cells_trapped_total"), None,
        "slots of the pool are sized for it; the largest known component has 14 core modules";
    "cell-handles" Count Number(CELL_HANDLES as u64), "DNA", Some("cyte_cells_trapped_total"), Some("all::cases::hostile::limits::a_gene_says_how_much_its_cells_hold_beside_memory"),
        "a handle is memory of the host";
    "host-call-bytes" Bytes Number(HOST_CALL_BYTES), "DNA", Some("cyte_cells_trapped_total"), Some("all::cases::hostile::limits::a_gene_says_how_much_its_cells_hold_beside_memory"),
        "what a guest passes to the host is copied there";
    "header-fields" Bytes Number(HEADER_FIELDS_BYTES), "DNA", Some("cyte_cells_trapped_total"), Some("all::cases::hostile::memory::header_fields_are_limited"),
        "header fields are memory of the host";
    "random-per-call" Bytes Number(RANDOM_PER_CALL_BYTES), "DNA", Some("cyte_cells_trapped_total"), Some("all::cases::hostile::memory::random_bytes_are_limited_a_call"),
        "random bytes cost the host, not the guest's budget";
    "cell-log-rate" BytesPerSecond Number(LOG_PER_CELL_BYTES_S), "nobody", Some("cyte_log_dropped_bytes_total"), Some("all::cases::hostile::logs::a_flood_is_dropped_and_counted"),
        "a chatty cell must not fill the disk nor hide the others";
    "log-line" Bytes Number(LOG_LINE_BYTES as u64), "nobody", Some("cyte_log_cut_lines_total"), Some("all::cases::hostile::logs::lines_are_cut_and_cleaned"),
        "one line is held in memory until it ends";
    "writable-files" Bytes Number(WRITABLE_BYTES), "DNA", Some("cyte_files_refused_total"), Some("all::cases::hostile::files::a_guest_fills_its_folder_and_nothing_else"),
        "a gene must not fill the disk of its host; lengths of all files in its writable folders together";
    "writable-file-count" Count Number(WRITABLE_FILES as u64), "DNA", Some("cyte_files_refused_total"), Some("all::cases::hostile::files::a_guest_makes_so_many_files_and_no_more"),
        "empty files take room too; files, folders and links in its writable folders together";
    "outbound" None Rule("denied"), "DNA", Some("cyte_outbound_denied_total"), Some("all::cases::hostile::outbound::without_a_grant_nothing_leaves"),
        "a gene reaches only what its DNA names";
    "outbound-private" None Rule("denied unless the address itself is named"), "DNA", Some("cyte_outbound_private_denied_total"), Some("all::cases::hostile::outbound::a_name_that_leads_inside_is_denied_although_it_is_granted"),
        "a name must not lead a gene to the inside of the network; checked after resolving";
    "outbound-per-cell" Count Number(OUTBOUND_PER_CELL as u64), "DNA", Some("cyte_outbound_concurrency_exceeded_total"), None,
        "what a browser allows one page; a cell must not become a flood";
    "outbound-connect" Milliseconds Number(OUTBOUND_CONNECT_MS), "nobody", Some("cyte_outbound_connect_timeouts_total"), Some("cyte::outbound::tests::every_wait_has_a_deadline"),
        "a host that does not answer must not hold a cell";
    "outbound-head" Milliseconds Number(OUTBOUND_HEAD_MS), "nobody", Some("cyte_outbound_head_timeouts_total"), Some("cyte::outbound::tests::every_wait_has_a_deadline"),
        "the same for a host that accepts and is silent";
    "outbound-idle" Milliseconds Number(OUTBOUND_IDLE_MS), "nobody", Some("cyte_outbound_idle_timeouts_total"), Some("cyte::outbound::tests::every_wait_has_a_deadline"),
        "the same for a body that stops";
    "outbound-kept" Count Number(OUTBOUND_KEPT as u64), "nobody", Some("cyte_outbound_kept_dropped_total"), Some("cyte::outbound::tests::unused_connections_are_closed_after_a_while_and_bounded"),
        "unused connections are descriptors; 6 of them for one gene and place";
    "outbound-keep" Milliseconds Number(OUTBOUND_KEEP_MS), "nobody", None, Some("cyte::outbound::tests::unused_connections_are_closed_after_a_while_and_bounded"),
        "most servers close what is unused for a minute";
    "outbound-lookups" Count Number(OUTBOUND_LOOKUPS as u64), "nobody", None, None,
        "each lookup holds a thread; the next ones wait within their deadline";
    "outbound-addresses" Count Number(OUTBOUND_ADDRESSES as u64), "nobody", None, Some("cyte::outbound::resolve::tests::only_the_first_addresses_of_a_name_are_tried"),
        "each gets its share of the time for connecting";
    "outbound-secrets" Bytes Number(OUTBOUND_FILLED_BYTES as u64), "nobody", None, Some("cyte::outbound::secret::tests::what_cannot_be_filled_in_is_not_sent"),
        "all header values of one request with secrets filled in; a value full of placeholders would grow a thousandfold";
    "polled-calls" None Rule("2 x cores"), "flag, live", None, Some("all::cases::hostile::cpu::more_spinners_than_processors_all_end"),
        "more guests than processors only slow each other; so many threads poll guests, and a call that awaits I/O holds none";
    "inspect-cpu" Milliseconds Number(INSPECT_CPU_MS), "nobody", None, None,
        "inspection stands before every request";
    "neuron-look" Milliseconds Number(NEURON_LOOK_MS), "DNA", Some("cyte_neuron_failures_total"), Some("cyte_engine::neuron::tests::one_that_spins_is_ended_at_its_deadline"),
        "advice that comes later is about another load";
    "neuron-every" Milliseconds Number(NEURON_EVERY_MS), "nobody", None, Some("cyte_engine::neuron::tests::it_is_asked_once_at_a_time_and_not_too_often"),
        "the law's own tick; between two looks the law acts by itself";
    "neuron-pause" None Rule("100 ms after a neuron's cell ended badly, doubling to 10 s"), "nobody", Some("cyte_neuron_failures_total"), Some("cyte_engine::neuron::tests::after_a_trap_it_rests_and_then_finds_a_fresh_cell"),
        "one that always fails must not cost a cell 50 times a second";
    "neuron-bias" None Rule("250 of 1000 of a class's demand, either way"), "nobody", Some("cyte_neuron_orders_refused_total"), Some("cyte_engine::neuron::orders::tests::what_is_out_of_range_or_not_allowed_is_refused"),
        "one that may only advise must not be able to replace";
    "neurons" Count Number(NEURONS as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "two would overwrite each other's registers";
    "task-cpu" None Rule("unlimited unless the gene's limits or --timeout say so"), "DNA, flag", None, Some("all::cases::task::a_time_limit_is_status_124"),
        "a task is waited for by a person who can stop it; exit status 124 at its limit";
    "cells-per-host" None Rule("what memory and the kernel's map count allow"), "flag, live", Some("cyte_cells_refused_total"), Some("all::cases::hostile::capacity::a_host_has_never_more_cells_than_it_may"),
        "beyond it the kernel ends the process";
    "cells-per-gene" None Rule("0 to what the host has"), "DNA, live", Some("cyte_tissue_full_total"), Some("all::cases::hostile::capacity::a_gene_has_never_more_cells_than_it_may"),
        "a gene grows with its load, inside the range of its DNA";
    "memory-of-all-cells" None Rule("half of the memory of the cgroup or machine"), "live", Some("cyte_cells_memory_refused_total"), Some("cyte_engine::limiter::tests::the_memory_of_all_cells_is_bounded_and_comes_back"),
        "the host itself and the page cache need the rest; counted as growth above the image + 64 KiB a cell, corrected by RSS";
    "kept-warm" Bytes Number(KEPT_WARM_BYTES), "nobody", None, Some("cyte::machine::tests::what_stays_warm_is_one_budget_for_all_engines"),
        "pages kept after use make reuse fast and idle hosts heavy; over both engines, a quarter of it for cells that rest";
    "wait-for-capacity" Milliseconds Number(WAIT_FOR_CAPACITY_MS), "DNA, live, call", Some("cyte_waits_expired_total"), Some("all::cases::hostile::capacity::who_waits_too_long_is_told_to_come_back"),
        "long enough to grow a cell, short enough to tell a client the truth";
    "standing-queue" Milliseconds Number(QUEUE_STANDS_MS), "nobody", Some("cyte_waiters_shed_total"), Some("all::cases::hostile::capacity::newcomers_are_refused_at_once_when_the_queue_stands"),
        "when nobody was served within a fifth of `wait` for this long, who joins only waits for the same refusal";
    "waiters-per-gene" Count Number(WAITERS_PER_GENE as u64), "DNA, live", Some("cyte_waiters_refused_total"), Some("all::cases::hostile::capacity::the_queue_is_bounded_and_those_who_left_do_not_count"),
        "a queue without a bound is a leak";
    "background" Count Number(BACKGROUND_PER_GENE as u64), "DNA", Some("cyte_background_refused_total"), Some("all::cases::background::a_full_buffer_refuses_and_the_counters_add_up"),
        "each that is held back holds a connection; a buffer without a bound is a leak";
    "background-wait" Milliseconds Number(BACKGROUND_WAIT_MS), "DNA", Some("cyte_background_overdue_total"), Some("all::cases::background::it_is_answered_at_the_latest_after_its_time"),
        "background work is slowed, never starved; after this it goes on whatever clients suffer";
    "background-pace" Milliseconds Number(BACKGROUND_PACE_MS), "nobody", Some("cyte_background_held_total"), Some("cyte_organism::admission::tests::who_is_held_goes_in_order_when_it_is_calm_and_by_its_time_when_it_is_not"),
        "who is held goes on by twos, fours, eights so far apart: all at once would be the next thing that clients suffer from";
    "signal" None Rule("a report from 0 to 1e12"), "nobody", None, Some("all::cases::signal::what_is_no_number_of_things_is_refused"),
        "what a cell says of its load must be a number that a population can follow; the gene's range bounds what it does";
    "signal-age" Milliseconds Number(SIGNAL_MS), "nobody", None, Some("all::cases::signal::a_report_that_is_not_renewed_ages_away"),
        "a report that nobody renews is about another load";
    "compile-input" Bytes Number(COMPILE_INPUT_BYTES), "host", None, None,
        "a component of this size is compiled in about a minute";
    "compile-cpu" None Rule("5 s + 1.5 s a MiB"), "flag", None, Some("all::cases::hostile::compile::a_component_that_compiles_for_ever_is_stopped"),
        "some small Wasm compiles for ever; in a child without network or files";
    "compile-memory" Bytes Number(COMPILE_MEMORY_BYTES), "host", None, None,
        "some small Wasm compiles into all memory";
    "request-head" Bytes Number(REQUEST_HEAD_BYTES as u64), "nobody", Some("cyte_requests_head_too_large_total"), Some("all::cases::http::refusals::a_head_that_is_too_large_is_refused"),
        "held in memory before anything is known about the client";
    "request-body" Bytes Number(REQUEST_BODY_BYTES), "DNA", Some("cyte_requests_body_too_large_total"), Some("all::cases::http::refusals::a_body_above_the_genes_limit_is_refused_when_it_is_declared"),
        "a gene that streams more says so";
    "connections" None Rule("8192, or half of the file descriptors where that is less"), "host", Some("cyte_connections_waits_total"), Some("cyte_gateway::socket_tests::the_cap_of_connections_makes_the_next_one_wait"),
        "each is a descriptor and some memory; further clients wait in the kernel";
    "first-request" Milliseconds Number(FIRST_REQUEST_MS), "nobody", Some("cyte_connections_first_request_late_total"), Some("cyte_gateway::socket_tests::silent_and_slow_clients_are_closed_in_time"),
        "who connects wants something; from accept to a whole head";
    "request-head-time" Milliseconds Number(REQUEST_HEAD_MS), "nobody", Some("cyte_connections_head_late_total"), Some("cyte_gateway::socket_tests::silent_and_slow_clients_are_closed_in_time"),
        "a head that dribbles holds a connection";
    "connection-idle" Milliseconds Number(CONNECTION_IDLE_MS), "nobody", Some("cyte_connections_idle_closed_total"), Some("cyte_gateway::socket_tests::silent_and_slow_clients_are_closed_in_time"),
        "longer than the usual 60 s of a proxy, so that the proxy closes first";
    "body-stall" Milliseconds Number(BODY_STALL_MS), "nobody", Some("cyte_requests_body_stalled_total"), Some("cyte_gateway::socket_tests::a_body_that_stops_is_408_and_a_client_that_stops_reading_is_dropped"),
        "a gene that waits for a body holds a cell";
    "write-stall" Milliseconds Number(WRITE_STALL_MS), "nobody", Some("cyte_responses_write_stalled_total"), Some("cyte_gateway::socket_tests::a_body_that_stops_is_408_and_a_client_that_stops_reading_is_dropped"),
        "a client that does not read holds a cell";
    "http2-streams" Count Number(STREAMS_PER_CONNECTION as u64), "nobody", None, Some("cyte_gateway::socket_tests::http2::one_stream_too_many_waits_until_another_ends"),
        "requests at once on one HTTP/2 connection; a client is told and waits";
    "http2-resets" Count Number(PENDING_RESET_STREAMS as u64), "nobody", None, None,
        "requests that a client gave up at once and that still cost; beyond it the connection ends";
    "drain" Milliseconds Number(DRAIN_MS), "nobody", Some("cyte_connections_dropped_at_drain_total"), Some("cyte_gateway::socket_tests::draining_lets_open_requests_end_and_drops_the_rest"),
        "a host that stops must stop; open requests get this long";
    "secret" Bytes Number(SECRET_BYTES as u64), "nobody", None, Some("cyte::state::secrets::tests::names_and_values_are_bounded"),
        "a token or a key, not a file";
    "secrets" Count Number(SECRETS as u64), "nobody", None, Some("cyte::state::secrets::tests::so_many_secrets_are_kept"),
        "all of them are in memory";
    "wish-file" Bytes Number(WISH_FILE_BYTES as u64), "nobody", None, Some("all::cases::wish::a_file_of_wishes_has_a_bound"),
        "a wish for each of 4,096 genes fits";
    "wishes" Count Number(2 * GENES as u64), "nobody", None, Some("cyte_store::genes::tests::more_definitions_than_the_cap_are_refused"),
        "the DNA's and an operator's for each gene; all are kept in memory";
    "wish" Bytes Number(WISH_BYTES as u64), "nobody", None, Some("cyte_store::genes::tests::a_bad_wish_and_one_over_the_cap_are_refused"),
        "all labels, constraints and companions at their longest fit";
    "wish-history" Count Number(WISH_HISTORY), "nobody", None, Some("cyte_store::genes::tests::a_watcher_that_is_too_slow_is_given_all_anew_and_goes_on_without_a_gap"),
        "whoever is further behind reads all that is wanted instead";
    "crash-loop-pause" Milliseconds Number(CRASH_LOOP_PAUSE_MS), "nobody", None, Some("all::cases::wish::a_crash_loop_is_explained_with_its_next_attempt"),
        "after five cells that died young within a minute, one a minute is tried ahead of requests";
    "audit-kept" Count Number(AUDIT_KEPT), "nobody", None, Some("cyte_store::head::tests::the_audit_trail_is_bounded"),
        "who changed what on a host; the oldest are forgotten";
    "log-lines-kept" Count Number(LOG_LINES_KEPT as u64), "nobody", None, Some("cyte::log::tests::so_many_lines_are_remembered"),
        "in memory for `cyte logs`; the files hold more";
    "events-kept" Count Number(EVENTS_KEPT as u64), "nobody", None, Some("cyte::event::tests::so_many_events_are_remembered"),
        "in memory for `cyte events`; the files hold more";
    "flight-time" Milliseconds Number(FLIGHT_MS), "nobody", None, Some("cyte_organism::flight::tape::tests::what_is_older_than_the_span_is_forgotten"),
        "how far back `cyte record` reaches while something happens";
    "flight-memory" Bytes Number(FLIGHT_BYTES as u64), "nobody", None, Some("cyte_organism::flight::tape::tests::a_tape_never_holds_more_than_its_bytes"),
        "what the hormone law was told and decided, in memory; the oldest goes first";
    "flight-keyframe" Milliseconds Number(FLIGHT_KEYFRAME_MS), "nobody", None, Some("cyte_organism::flight::tape::tests::what_is_older_than_the_span_is_forgotten"),
        "a recording can begin at each of them";
    "flight-file" Bytes Number(FLIGHT_FILE_BYTES), "nobody", None, Some("cyte_organism::flight::recording::tests::what_is_no_recording_is_told_apart"),
        "`cyte replay` reads a recording into memory";
    "flight-reason" Bytes Number(FLIGHT_REASON_BYTES as u64), "nobody", None, Some("cyte::governor::watch::tests::reasons_are_short"),
        "one line of why a recording was made";
    "incidents-kept" Count Number(INCIDENTS_KEPT as u64), "nobody", None, Some("cyte::flight::tests::only_the_last_incidents_are_kept"),
        "recordings must not fill the disk; the oldest goes first";
    "incident-pause" Milliseconds Number(INCIDENT_PAUSE_MS), "nobody", Some("cyte_incidents_dropped_total"), Some("cyte::governor::watch::tests::one_incident_at_a_time"),
        "what goes wrong for long goes wrong often; one recording of it will do";
    "incident-saturation" Milliseconds Number(INCIDENT_SATURATED_MS), "nobody", None, Some("cyte::governor::watch::tests::refusing_for_long_is_an_incident"),
        "a burst is refused for a moment, and that is as it should be";
    "warnings" Count Number(WARNINGS_PER_S), "nobody", Some("cyte_warnings_dropped_total"), Some("cyte::voice::tests::a_flood_of_warnings_leaves_room_for_other_events"),
        "events a second that a warning of the host becomes; they must not push out the others";
    "deaths-told" Count Number(DEATHS_TOLD_PER_S), "nobody", None, Some("cyte::governor::tests::births_and_a_flood_of_deaths_are_told_in_sums"),
        "events a second that say why one cell died; the others are told in sums";
    "log-files" None Rule("5 of 8 MiB"), "nobody", None, Some("cyte::state::rotate::tests::files_are_bounded_in_size_and_number"),
        "logs must not fill the disk; of lines, and again of events";
    "control-connections" Count Number(CONTROL_CONNECTIONS as u64), "nobody", None, Some("cyte::control::client::tests::one_connection_too_many_waits_until_another_ends"),
        "people and tools of one user; further ones wait";
    "cpu-per-call-ceiling" Milliseconds Number(CPU_PER_CALL_MAX_MS), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "what longer work a call may do belongs in a task";
    "wall-per-call-ceiling" Milliseconds Number(WALL_PER_CALL_MAX_MS), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a call that lasts longer outlives every client";
    "cell-memory-floor" Bytes Number(CELL_MEMORY_MIN_BYTES), "nobody", None, Some("cyte_dna::toml_source::tests::values_of_the_wrong_kind_or_size_are_faults"),
        "one page of Wasm";
    "cell-memory-ceiling" Bytes Number(CELL_MEMORY_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "what 32-bit Wasm can address";
    "request-body-ceiling" Bytes Number(REQUEST_BODY_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "as good as none, and sums of it do not overflow";
    "wait-for-capacity-ceiling" Milliseconds Number(WAIT_FOR_CAPACITY_MAX_MS), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "no client waits longer for a first byte";
    "waiters-per-gene-ceiling" Count Number(WAITERS_PER_GENE_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "each holds a connection, and there are no more of those";
    "background-ceiling" Count Number(BACKGROUND_PER_GENE_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "what waits longer belongs into a queue that survives a restart";
    "background-wait-ceiling" Milliseconds Number(BACKGROUND_WAIT_MAX_MS), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "no client waits longer for a first byte";
    "signal-per-cell-ceiling" Count Number(SIGNAL_PER_CELL_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "more than that is another unit";
    "idle-after-head-ceiling" Milliseconds Number(IDLE_AFTER_HEAD_MAX_MS), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a response that is silent for longer outlives every client";
    "cell-table-elements-ceiling" Count Number(CELL_TABLE_ELEMENTS_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "8 MB of the host's memory, which no cell's memory limit counts; one table has 32,768 at most";
    "writable-files-ceiling" Bytes Number(WRITABLE_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "as good as none, and sums of it do not overflow";
    "writable-file-count-ceiling" Count Number(WRITABLE_FILES_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the host looks at each of them when they get tight";
    "cell-handles-ceiling" Count Number(CELL_HANDLES_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the host's memory for them is not counted as the cell's";
    "host-call-bytes-ceiling" Bytes Number(HOST_CALL_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a copy of it is made in the host's memory";
    "header-fields-ceiling" Bytes Number(HEADER_FIELDS_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "no server out there takes more";
    "random-per-call-ceiling" Bytes Number(RANDOM_PER_CALL_MAX_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "costs a processor a hundredth of a second";
    "outbound-per-cell-ceiling" Count Number(OUTBOUND_PER_CELL_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "each is a descriptor of the host";
    "cells-per-gene-ceiling" Count Number(CELLS_PER_GENE_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a hundred times what one machine holds";
    "concurrency-ceiling" Count Number(CONCURRENCY_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "all of them die with their cell";
    "reuse-ceiling" Count Number(REUSE_MAX as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "as good as for ever, and counters do not overflow";
    "reuse-http-0.2" Count Number(REUSE_HTTP_02 as u64), "DNA", Some("cyte_cells_retired_total"), Some("all::cases::components::a_tiny_component_of_another_toolchain_runs"),
        "a foreign component that declares nothing gets a fresh cell for each request";
    "reuse-http-0.3" Count Number(REUSE_HTTP_03 as u64), "DNA", Some("cyte_cells_retired_total"), None,
        "0.3 components are written to be reused; a bound still sheds what they leak";
    "remembered-dna" Count Number(REMEMBERED_DNA as u64), "nobody", None, Some("cyte_dna::bundle::tests::a_host_remembers_a_bounded_past"),
        "how far back a host may return; of germlines likewise";
    "germline-file" Bytes Number(GERMLINE_TEXT_BYTES as u64), "nobody", None, Some("cyte_dna::germline::tests::text_comes_back"),
        "32 keys fit five times over";
    "dna-manifest" Bytes Number(MANIFEST_BYTES as u64), "nobody", None, Some("cyte_dna::bundle::tests::a_declared_length_of_2_gib_costs_nothing"),
        "read into memory before a signature is checked";
    "dna-genes" Count Number(GENES as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "every gene is compiled and has a tissue";
    "dna-blob" Bytes Number(BLOB_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a blob is read into memory to be checked";
    "dna-bundle" Bytes Number(BUNDLE_BYTES), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the last five DNAs are kept on disk";
    "dna-signatures" Count Number(SIGNATURES as u64), "nobody", None, Some("cyte_dna::bundle::tests::seventeen_signatures_are_refused"),
        "each is verified before anything is known about its maker";
    "dna-germline-keys" Count Number(GERMLINE_KEYS as u64), "nobody", None, Some("cyte_dna::germline::tests::caps_of_a_germline"),
        "people hold these keys";
    "dna-roster" Count Number(ROSTER_HOSTS as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "read by every host";
    "dna-revocations" Count Number(REVOCATIONS as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "read by every host; of keys, and again of genes";
    "dna-routes-per-gene" Count Number(ROUTES_PER_GENE as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "a gene with more wants a prefix";
    "dna-routes" Count Number(ROUTES as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "the table is searched for every request";
    "dna-config-per-gene" Bytes Number(CONFIG_PER_GENE_BYTES as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "config and environment are copied into cells";
    "dna-outbound-per-gene" Count Number(OUTBOUND_PER_GENE as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "searched for every outbound request";
    "dna-files-per-gene" Count Number(FILES_PER_GENE as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "each is an open directory in every cell";
    "dna-secrets-per-gene" Count Number(SECRETS_PER_GENE as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "searched for in every outbound header";
    "dna-labels-per-gene" Count Number(LABELS_PER_GENE as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "shown in one column";
    "dna-name" Bytes Number(NAME_MAX_BYTES as u64), "nobody", None, Some("cyte_dna::name::tests::name_of_64_characters_is_refused"),
        "a name is a label of DNS";
    "dna-label" Bytes Number(LABEL_MAX_BYTES as u64), "nobody", None, Some("cyte_dna::manifest::tests::caps_are_refused_one_above"),
        "shown in one column";
    "dna-route" Bytes Number(ROUTE_MAX_BYTES as u64), "nobody", None, Some("cyte_dna::route::tests::a_route_of_513_bytes_is_refused"),
        "compared with every request";
    "folder-name" Bytes Number(FOLDER_NAME_BYTES as u64), "nobody", None, Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "longer names do not exist on any file system in use";
    "folder-path" Bytes Number(FOLDER_PATH_BYTES as u64), "nobody", None, Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "longer paths do not exist on every file system";
    "folder-files" Count Number(FOLDER_FILES as u64), "nobody", None, Some("cyte_dna::folder::tests::caps_of_a_folder"),
        "a host keeps an index of them";
    "dna-toml" Bytes Number(DNA_TOML_BYTES as u64), "nobody", None, Some("cyte_dna::toml_source::tests::a_text_above_its_cap_is_refused"),
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
            let reads_well = |name: &str| name.starts_with("cyte_") && name.ends_with("_total");
            assert!(limit.counter.is_none_or(reads_well), "{}", limit.name);
            assert_eq!(matches!(limit.default, Amount::Rule(_)), limit.unit == Unit::None, "{}", limit.name);
        }
    }

    /// The tests that the table names in this crate exist.
    #[test]
    fn named_tests_exist() {
        let sources = [
            ("bundle", include_str!("../bundle/tests.rs")),
            ("manifest", include_str!("../manifest/tests.rs")),
            ("germline", include_str!("../germline.rs")),
            ("folder", include_str!("../folder.rs")),
            ("name", include_str!("../name.rs")),
            ("route", include_str!("../route.rs")),
            ("toml_source", include_str!("../toml_source/tests.rs")),
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
