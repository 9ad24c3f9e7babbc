//! What a tissue counted, in one-second sums, and which of its cells are there.
//!
//! Cells that are born in a niche of their own are told one by one. Whoever takes over the niche of a
//! retired cell travels in a sum, because a gene with one use a cell renews itself with every request;
//! a census says which cells that leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use cyte_dna::limits::BIRTHS_TOLD_PER_S;
use cyte_dna::{GeneName, Role};
use cyte_engine::Tissue;
use cyte_organism::lineage::{Birth, CellId};
use cyte_organism::phenotype::{Census, Event, Requests};

/// What a tissue counted since the host started: numbers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Cells born.
    pub born: u64,
    /// Cells that ended by use, age or surplus.
    pub retired: u64,
    /// Cells that ended otherwise.
    pub died: u64,
    /// Requests that asked for a cell.
    pub offered: u64,
    /// Of those, the ones that the host refused.
    pub refused: u64,
}

/// What was counted in one second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// When it was over, in milliseconds since 1970.
    pub at_ms: u64,
    /// The genes of which anything was counted, with the cells that live.
    pub genes: Vec<(GeneName, Requests, u32)>,
}

/// A tissue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What it counted.
    pub seen: Seen,
    /// Half of its calls so far took at most this long, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 did.
    pub p99_us: u64,
    /// Its cells, ascending.
    pub cells: Vec<Birth>,
}

/// A tissue that is looked at.
pub trait Observed: Send + Sync {
    /// Its gene.
    fn gene(&self) -> &GeneName;
    /// Its gene's role.
    fn role(&self) -> Role;
    /// What it counted; cheap.
    fn seen(&self) -> Seen;
    /// All of it; costs a little a cell.
    fn look(&self) -> Look;
}

impl Observed for Tissue {
    fn gene(&self) -> &GeneName {
        &self.gene().name
    }

    fn role(&self) -> Role {
        self.gene().role
    }

    fn seen(&self) -> Seen {
        let counts = self.counts();
        let refused = [counts.saturated, counts.shed, counts.expired].into_iter();
        Seen {
            born: self.born(),
            retired: counts.retired,
            died: counts.died,
            offered: counts.offered,
            refused: refused.fold(0, u64::saturating_add),
        }
    }

    fn look(&self) -> Look {
        let seen = self.seen();
        let (p50_us, p99_us) = self.latency_us();
        Look { seen, p50_us, p99_us, cells: self.births() }
    }
}

/// One tissue as it was recorded last.
pub(super) struct Pulse {
    tissue: Arc<dyn Observed>,
    last: Seen,
    /// Calls that ended with a cell's death, since the last beat.
    failed: u64,
    /// Cells that the records know as alive.
    known: BTreeSet<CellId>,
    /// Cells whose death was told; one may be seen for a moment after that.
    buried: BTreeSet<CellId>,
    /// Whether anything had changed at the last beat: what is counted first may be seen a little later.
    has_moved: bool,
}

impl Pulse {
    pub(super) fn new(tissue: Arc<dyn Observed>) -> Self {
        let (known, buried) = (BTreeSet::new(), BTreeSet::new());
        Self { tissue, last: Seen::default(), failed: 0, known, buried, has_moved: false }
    }

    pub(super) fn gene(&self) -> &GeneName {
        self.tissue.gene()
    }

    /// Cells that the records know as alive.
    pub(super) fn living(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// A cell's death was told.
    pub(super) fn bury(&mut self, cell: CellId) {
        self.failed = self.failed.saturating_add(1);
        self.known.remove(&cell);
        self.buried.insert(cell);
    }

    /// So many deaths were told in a sum.
    pub(super) fn count_failed(&mut self, deaths: u64) {
        self.failed = self.failed.saturating_add(deaths);
    }

    /// What is to be recorded since the last beat, with the cell it is about.
    pub(super) fn beat(&mut self) -> Vec<(Option<CellId>, Event)> {
        let has_moved = self.failed > 0 || self.tissue.seen() != self.last;
        if !has_moved && !std::mem::take(&mut self.has_moved) {
            return Vec::new();
        }
        self.has_moved = has_moved;
        let look = self.tissue.look();
        let mut events = Vec::new();
        events.extend(self.requests(&look).map(|sum| (None, Event::Requests(sum))));
        self.cells(&look, &mut events);
        self.last = look.seen;
        events
    }

    /// Whether the last beat found that something had changed, so that another one is due.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// The sum of what came in. A request counts when it asks for a cell, so that one that waits may be
    /// taken back as refused a second later. The quantiles are those of all calls so far; who was late
    /// without being refused is not counted by the tissue.
    fn requests(&mut self, look: &Look) -> Option<Requests> {
        let offered = look.seen.offered.saturating_sub(self.last.offered);
        let refused = look.seen.refused.saturating_sub(self.last.refused);
        let failed = std::mem::take(&mut self.failed);
        if offered == 0 && refused == 0 && failed == 0 {
            return None;
        }
        Some(Requests {
            served: small(offered.saturating_sub(refused)),
            failed: small(failed),
            refused: small(refused),
            late: 0,
            p50_us: small(look.p50_us),
            p99_us: small(look.p99_us),
        })
    }

    fn cells(&mut self, look: &Look, events: &mut Vec<(Option<CellId>, Event)>) {
        let there: BTreeSet<CellId> = look.cells.iter().map(|cell| cell.id).collect();
        self.buried.retain(|cell| there.contains(cell));
        let alive = || look.cells.iter().filter(|cell| !self.buried.contains(&cell.id));
        let mut needs_census = self.known.iter().any(|cell| !there.contains(cell));
        let mut firsts = 0_usize;
        for cell in alive().filter(|cell| !self.known.contains(&cell.id)) {
            if cell.generation > 0 || firsts >= BIRTHS_TOLD_PER_S {
                needs_census = true;
                continue;
            }
            firsts += 1;
            let Birth { id, mother, generation, niche, .. } = *cell;
            let role = Some(self.tissue.role());
            events.push((Some(id), Event::Born { role, mother, generation, niche }));
        }
        let born = look.seen.born.saturating_sub(self.last.born).saturating_sub(firsts as u64);
        let renewed = born.min(look.seen.retired.saturating_sub(self.last.retired));
        if renewed > 0 {
            events.push((None, Event::Renewed { cells: small(renewed) }));
        }
        if needs_census {
            events.push((None, Event::Census(Census::of(alive().map(|cell| cell.id)))));
        }
        self.known = alive().map(|cell| cell.id).collect();
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::Fake;
    use cyte_organism::lineage::Niche;

    fn cell(id: u64, generation: u64) -> Birth {
        Birth { id: CellId(id), mother: None, mother_niche: None, generation, niche: Niche(1) }
    }

    fn names(events: &[(Option<CellId>, Event)]) -> Vec<String> {
        let name = |event: &Event| format!("{event:?}").split([' ', '(']).next().unwrap().to_owned();
        events
            .iter()
            .map(|(cell, event)| name(event) + &cell.map_or(String::new(), |c| c.0.to_string()))
            .collect()
    }

    #[test]
    fn births_are_told_one_by_one_and_successors_in_sums_with_a_census() {
        let tissue = Arc::new(Fake::new());
        let mut pulse = Pulse::new(tissue.clone());
        assert!(pulse.beat().is_empty() && !pulse.has_moved(), "nothing happened yet");
        let seen = Seen { born: 2, offered: 2, ..Seen::default() };
        let cells = vec![cell(1, 0), cell(2, 0)];
        *tissue.1.lock().unwrap() = Look { seen, p50_us: 5, p99_us: 9, cells };
        let events = pulse.beat();
        assert_eq!(names(&events), ["Requests", "Born1", "Born2"]);
        let expected = Requests { served: 2, p50_us: 5, p99_us: 9, ..Requests::default() };
        assert_eq!(events[0].1, Event::Requests(expected));
        let seen = Seen { born: 12, retired: 10, offered: 12, refused: 3, ..Seen::default() };
        *tissue.1.lock().unwrap() = Look { seen, cells: vec![cell(11, 4), cell(12, 6)], ..Look::default() };
        let events = pulse.beat();
        assert_eq!(names(&events), ["Requests", "Renewed", "Census"]);
        assert_eq!(events[1].1, Event::Renewed { cells: 10 });
        assert_eq!(events[2].1, Event::Census(Census { runs: vec![(CellId(11), 2)], complete: true }));
        assert!(matches!(events[0].1, Event::Requests(Requests { served: 7, refused: 3, .. })));
        assert!(pulse.has_moved());
        assert!(pulse.beat().is_empty() && !pulse.has_moved(), "one more look, then rest");
    }

    #[test]
    fn a_death_that_was_told_needs_no_census_and_is_not_born_again() {
        let tissue = Arc::new(Fake::new());
        let mut pulse = Pulse::new(tissue.clone());
        let seen = Seen { born: 2, ..Seen::default() };
        *tissue.1.lock().unwrap() = Look { seen, cells: vec![cell(1, 0), cell(2, 0)], ..Look::default() };
        assert_eq!(names(&pulse.beat()), ["Born1", "Born2"]);
        pulse.bury(CellId(1));
        // It is still seen for a moment.
        let events = pulse.beat();
        assert!(matches!(events[..], [(None, Event::Requests(Requests { failed: 1, .. }))]), "{events:?}");
        tissue.1.lock().unwrap().cells.remove(0);
        assert!(pulse.beat().is_empty());
    }

    #[test]
    fn a_crowd_of_births_is_told_by_a_census() {
        let tissue = Arc::new(Fake::new());
        let mut pulse = Pulse::new(tissue.clone());
        let cells: Vec<Birth> = (1..=1_000).map(|id| cell(id, 0)).collect();
        let seen = Seen { born: 1_000, ..Seen::default() };
        *tissue.1.lock().unwrap() = Look { seen, cells, ..Look::default() };
        let events = pulse.beat();
        assert_eq!(events.len(), BIRTHS_TOLD_PER_S + 1);
        assert!(
            matches!(&events.last().unwrap().1, Event::Census(census) if census.runs == [(CellId(1), 1_000)])
        );
    }
}
