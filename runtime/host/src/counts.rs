//! What a running host counted, under the names that the table of limits uses.

use std::collections::BTreeMap;

use cyte_engine::{Tissue, Usage};
use cyte_gateway::CountersSnapshot;

use crate::outbound::OutboundCounts;

/// Counters by name; see [`cyte_dna::limits::Limit::counter`].
pub type Counts = BTreeMap<&'static str, u64>;

/// What the engine counted over all genes.
pub fn engine(usage: &Usage) -> Counts {
    let counters = &usage.counters;
    Counts::from([
        ("cyte_calls_cpu_exceeded_total", counters.cpu_breaches),
        ("cyte_calls_wall_exceeded_total", counters.wall_breaches),
        ("cyte_cells_memory_exceeded_total", counters.memory_breaches),
        ("cyte_cells_tables_exceeded_total", counters.structure_breaches),
        ("cyte_cells_trapped_total", counters.traps),
        ("cyte_cells_refused_total", counters.no_place),
        ("cyte_cells_memory_refused_total", usage.memory_refused),
        ("cyte_neuron_failures_total", counters.neuron_failures),
        ("cyte_receptor_failures_total", counters.receptor_failures),
        ("cyte_lifecycle_failures_total", counters.lifecycle_failures),
        ("cyte_policy_failures_total", counters.policy_failures),
        ("cyte_policy_skipped_total", counters.policy_skipped),
        ("cyte_cells_stuck_total", counters.stuck),
        ("cyte_neuron_orders_refused_total", counters.neuron_orders_refused),
    ])
}

/// What the tissues counted together.
pub fn tissues<'t>(tissues: impl Iterator<Item = &'t Tissue>) -> Counts {
    let (mut full, mut saturated, mut shed, mut expired, mut retired) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    let (mut files, mut old) = (0_u64, 0_u64);
    let (mut held, mut overdue, mut refused) = (0_u64, 0_u64, 0_u64);
    for tissue in tissues {
        let counts = tissue.counts();
        full = [counts.waited, counts.saturated, counts.shed].into_iter().fold(full, u64::saturating_add);
        saturated = saturated.saturating_add(counts.saturated);
        shed = shed.saturating_add(counts.shed);
        expired = expired.saturating_add(counts.expired);
        retired = retired.saturating_add(counts.retired);
        files = files.saturating_add(tissue.files_refused());
        old = old.saturating_add(tissue.grown_old());
        let background = tissue.background().map(|background| background.counts).unwrap_or_default();
        held = held.saturating_add(background.held);
        overdue = overdue.saturating_add(background.overdue);
        refused = refused.saturating_add(background.refused);
    }
    Counts::from([
        ("cyte_tissue_full_total", full),
        ("cyte_waiters_refused_total", saturated),
        ("cyte_waiters_shed_total", shed),
        ("cyte_waits_expired_total", expired),
        ("cyte_cells_retired_total", retired),
        ("cyte_files_refused_total", files),
        ("cyte_cells_grown_old_total", old),
        ("cyte_background_held_total", held),
        ("cyte_background_overdue_total", overdue),
        ("cyte_background_refused_total", refused),
    ])
}

/// What the front counted.
pub fn front(front: &CountersSnapshot) -> Counts {
    let body_too_large = front.refusals.get("body-too-large").copied().unwrap_or(0);
    Counts::from([
        ("cyte_requests_head_too_large_total", front.head_too_large),
        ("cyte_requests_body_too_large_total", body_too_large),
        ("cyte_requests_body_stalled_total", front.body_stalled),
        ("cyte_responses_write_stalled_total", front.write_stalled),
        ("cyte_connections_waits_total", front.connection_cap_waits),
        ("cyte_connections_first_request_late_total", front.first_request_late),
        ("cyte_connections_head_late_total", front.head_late),
        ("cyte_connections_idle_closed_total", front.idle_closed),
        ("cyte_connections_dropped_at_drain_total", front.dropped_at_drain),
    ])
}

/// What outbound requests ran into.
pub fn outbound(counts: &OutboundCounts) -> Counts {
    Counts::from([
        ("cyte_outbound_denied_total", counts.denied),
        ("cyte_outbound_private_denied_total", counts.private_denied),
        ("cyte_outbound_concurrency_exceeded_total", counts.concurrency),
        ("cyte_outbound_connect_timeouts_total", counts.connect_late),
        ("cyte_outbound_head_timeouts_total", counts.head_late),
        ("cyte_outbound_idle_timeouts_total", counts.idle_late),
        ("cyte_outbound_kept_dropped_total", counts.kept_dropped),
    ])
}

/// What logs, events and recordings of incidents lost or cut.
pub fn logs(dropped_bytes: u64, cut_lines: u64, warnings_dropped: u64, incidents_dropped: u64) -> Counts {
    Counts::from([
        ("cyte_log_dropped_bytes_total", dropped_bytes),
        ("cyte_log_cut_lines_total", cut_lines),
        ("cyte_warnings_dropped_total", warnings_dropped),
        ("cyte_incidents_dropped_total", incidents_dropped),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every counter that the table names is counted, and what is counted is in the table. The
    /// numbers differ, so that a name cannot stand for another's number.
    #[test]
    fn the_table_and_the_counters_name_each_other() {
        let named: BTreeSet<_> = cyte_dna::limits::TABLE.iter().filter_map(|limit| limit.counter).collect();
        let gateway = cyte_gateway::Gateway::new(cyte_gateway::FrontLimits::default(), 0, None);
        let none = OutboundCounts {
            denied: 1,
            private_denied: 2,
            concurrency: 3,
            connect_late: 4,
            head_late: 5,
            idle_late: 6,
            kept_dropped: 7,
        };
        let mut all = engine(&usage());
        all.append(&mut tissues(std::iter::empty()));
        all.append(&mut front(&gateway.snapshot()));
        all.append(&mut outbound(&none));
        all.append(&mut logs(8, 9, 10, 11));
        assert_eq!(all.keys().copied().collect::<BTreeSet<_>>(), named);
        assert_eq!(all["cyte_outbound_idle_timeouts_total"], 6);
        assert_eq!(all["cyte_log_cut_lines_total"], 9);
    }

    fn usage() -> Usage {
        Usage {
            cells: 0,
            cells_max: 0,
            stems: 16,
            memory_bytes: 0,
            memory_max_bytes: 0,
            memory_refused: 0,
            counters: cyte_engine::CountersSnapshot::default(),
        }
    }
}
