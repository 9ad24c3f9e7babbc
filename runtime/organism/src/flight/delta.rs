//! What one look saw of a class, as what changed since the look before.
//!
//! Most cells of most looks are as they were, or hold another number of messages; so a look of a
//! hundred busy cells is some three hundred bytes instead of two thousand, and one of a class that
//! rests is three.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::law::{ClassId, ClassSample};
use crate::lineage::Niche;
use crate::{Nanos, Phase, Reading};

/// The numbers of a sample beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) queued: u32,
    pub(super) peak: u32,
    pub(super) head: Option<Nanos>,
    pub(super) arrived: u64,
    pub(super) service: Nanos,
    pub(super) computing: Nanos,
    pub(super) stalled: u32,
    pub(super) activation: Nanos,
    pub(super) retired: u64,
    pub(super) signal: u64,
    pub(super) resting_mib: u32,
}

impl Counts {
    fn of(sample: &ClassSample<'_>) -> Self {
        let ClassSample {
            queued,
            peak,
            head,
            arrived,
            service,
            computing,
            stalled,
            activation,
            retired,
            signal,
            resting_mib,
            ..
        } = *sample;
        Self {
            queued,
            peak,
            head,
            arrived,
            service,
            computing,
            stalled,
            activation,
            retired,
            signal,
            resting_mib,
        }
    }
}

/// What became of one niche.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    /// Its cell has so many slots in use now, and is else as it was.
    Load(u32),
    /// It is new, or another cell holds it.
    Set { mother: Option<Niche>, phase: Phase, inflight: u32, since: Nanos },
    /// It is gone.
    Gone,
}

impl Change {
    fn set(reading: &Reading) -> Self {
        let Reading { mother, phase, inflight, since, .. } = *reading;
        Self::Set { mother, phase, inflight, since }
    }
}

/// One class of a look. Niches ascend; each is told as its distance from the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delta {
    pub(super) class: ClassId,
    counts: Option<Counts>,
    cells: Vec<(u64, Change)>,
}

/// A class as it was at the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    pub(super) counts: Counts,
    pub(super) cells: Vec<Reading>,
}

impl Known {
    /// This as the law takes it.
    pub(super) fn sample(&self, class: ClassId) -> ClassSample<'_> {
        let Counts {
            queued,
            peak,
            head,
            arrived,
            service,
            computing,
            stalled,
            activation,
            retired,
            signal,
            resting_mib,
        } = self.counts;
        ClassSample {
            class,
            cells: &self.cells,
            queued,
            peak,
            head,
            arrived,
            service,
            computing,
            stalled,
            activation,
            retired,
            signal,
            resting_mib,
        }
    }
}

/// All classes as they were at the last look: both who writes a tape and who reads it keep one.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(BTreeMap<ClassId, Known>);

/// A delta that fits nothing that was there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misfit;

impl Memory {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn known(&self, class: ClassId) -> Option<&Known> {
        self.0.get(&class)
    }

    /// What changed since the last look; remembers `sample`. Readings that do not ascend are left
    /// out, as the law passes over them.
    pub(super) fn note(&mut self, sample: &ClassSample<'_>) -> Delta {
        let is_new = !self.0.contains_key(&sample.class);
        let known = self.0.entry(sample.class).or_default();
        let now = Counts::of(sample);
        let counts = (is_new || now != known.counts).then_some(now);
        known.counts = now;
        let ascends = sample.cells.is_sorted_by(|a, b| a.niche < b.niche);
        let cells = if ascends {
            difference(&mut known.cells, sample.cells)
        } else {
            let mut last = None;
            let rises = |reading: &&Reading| {
                let is_next = last.is_none_or(|last| reading.niche > last);
                last = if is_next { Some(reading.niche) } else { last };
                is_next
            };
            let kept: Vec<Reading> = sample.cells.iter().filter(rises).copied().collect();
            difference(&mut known.cells, &kept)
        };
        Delta { class: sample.class, counts, cells }
    }

    /// Takes in what changed.
    ///
    /// # Errors
    /// [`Misfit`] for what no [`Memory::note`] made; what is remembered is of no use then.
    pub(super) fn apply(&mut self, delta: &Delta) -> Result<(), Misfit> {
        if delta.counts.is_none() && !self.0.contains_key(&delta.class) {
            return Err(Misfit);
        }
        let known = self.0.entry(delta.class).or_default();
        known.counts = delta.counts.unwrap_or(known.counts);
        if !delta.cells.is_empty() {
            known.cells = changed(&known.cells, &delta.cells)?;
        }
        Ok(())
    }
}

/// The changes that make `known` what `now` is, and makes it that.
fn difference(known: &mut Vec<Reading>, now: &[Reading]) -> Vec<(u64, Change)> {
    let mut changes = Changes::default();
    let is_same = known.len() == now.len() && known.iter().zip(now).all(|(old, new)| old.niche == new.niche);
    if is_same {
        for (old, new) in known.iter_mut().zip(now) {
            changes.compare(old, new);
            *old = *new;
        }
        return changes.made;
    }
    let mut old = known.iter().peekable();
    for new in now {
        while let Some(gone) = old.next_if(|old| old.niche < new.niche) {
            changes.add(gone.niche, Change::Gone);
        }
        match old.next_if(|old| old.niche == new.niche) {
            Some(old) => changes.compare(old, new),
            None => changes.add(new.niche, Change::set(new)),
        }
    }
    for gone in old {
        changes.add(gone.niche, Change::Gone);
    }
    known.clear();
    known.extend_from_slice(now);
    changes.made
}

/// Changes with ascending niches.
#[derive(Default)]
struct Changes {
    made: Vec<(u64, Change)>,
    last: u64,
}

impl Changes {
    fn compare(&mut self, old: &Reading, new: &Reading) {
        if old == new {
            return;
        }
        let is_load = Reading { inflight: new.inflight, ..*old } == *new;
        self.add(new.niche, if is_load { Change::Load(new.inflight) } else { Change::set(new) });
    }

    fn add(&mut self, niche: Niche, change: Change) {
        self.made.push((niche.0.wrapping_sub(self.last), change));
        self.last = niche.0;
    }
}

/// `known` with these changes.
fn changed(known: &[Reading], changes: &[(u64, Change)]) -> Result<Vec<Reading>, Misfit> {
    let mut cells = Vec::with_capacity(known.len());
    let mut old = known.iter().copied().peekable();
    let mut last: Option<u64> = None;
    for (gap, change) in changes {
        let at = last.unwrap_or(0).checked_add(*gap).ok_or(Misfit)?;
        if last.is_some_and(|last| at <= last) {
            return Err(Misfit);
        }
        last = Some(at);
        while let Some(same) = old.next_if(|old| old.niche.0 < at) {
            cells.push(same);
        }
        let here = old.next_if(|old| old.niche.0 == at);
        match (*change, here) {
            (Change::Load(inflight), Some(here)) => cells.push(Reading { inflight, ..here }),
            (Change::Set { mother, phase, inflight, since }, _) => {
                cells.push(Reading { niche: Niche(at), mother, phase, inflight, since });
            }
            (Change::Gone, Some(_)) => {}
            (Change::Load(_) | Change::Gone, None) => return Err(Misfit),
        }
    }
    cells.extend(old);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading() -> impl Strategy<Value = Reading> {
        let phase = prop_oneof![Just(Phase::Pending), Just(Phase::Ready), Just(Phase::Draining)];
        (0u64..40, prop::option::of(0u64..40), phase, 0u32..3, 0u64..3).prop_map(
            |(niche, mother, phase, inflight, since)| Reading {
                niche: Niche(niche),
                mother: mother.map(Niche),
                phase,
                inflight,
                since: Nanos(since),
            },
        )
    }

    fn cells() -> impl Strategy<Value = Vec<Reading>> {
        prop::collection::vec(reading(), 0..20).prop_map(|mut cells| {
            cells.sort_by_key(|cell| cell.niche);
            cells.dedup_by_key(|cell| cell.niche);
            cells
        })
    }

    fn sample(cells: &[Reading], arrived: u64) -> ClassSample<'_> {
        ClassSample {
            class: ClassId(7),
            cells,
            queued: 0,
            peak: 0,
            head: None,
            arrived,
            service: Nanos(0),
            computing: Nanos(0),
            stalled: 0,
            activation: Nanos(0),
            retired: 0,
            signal: 0,
            resting_mib: 0,
        }
    }

    proptest! {
        /// Whatever is seen, look after look, is what the other side knows.
        #[test]
        fn what_was_noted_is_what_is_known(looks in prop::collection::vec((cells(), 0u64..3), 1..20)) {
            let (mut writer, mut reader) = (Memory::default(), Memory::default());
            for (cells, arrived) in &looks {
                let delta = writer.note(&sample(cells, *arrived));
                reader.apply(&delta).unwrap();
                let known = reader.known(ClassId(7)).unwrap();
                prop_assert_eq!(&known.cells, cells);
                prop_assert_eq!(known.counts.arrived, *arrived);
            }
        }
    }

    #[test]
    fn the_same_again_is_next_to_nothing_and_one_busy_cell_is_three_bytes_more() {
        let cell = |niche| Reading {
            niche: Niche(niche),
            mother: None,
            phase: Phase::Ready,
            inflight: 1,
            since: Nanos(1),
        };
        let mut cells: Vec<Reading> = (1..=100).map(cell).collect();
        let mut memory = Memory::default();
        let bytes = |delta: &Delta| postcard::to_stdvec(delta).unwrap().len();
        assert!(bytes(&memory.note(&sample(&cells, 1))) > 500);
        assert_eq!(bytes(&memory.note(&sample(&cells, 1))), 3);
        cells[40].inflight = 7;
        assert_eq!(bytes(&memory.note(&sample(&cells, 1))), 6);
    }

    #[test]
    fn what_does_not_ascend_is_left_out_and_what_fits_nothing_is_refused() {
        let cell = |niche| Reading {
            niche: Niche(niche),
            mother: None,
            phase: Phase::Ready,
            inflight: 0,
            since: Nanos(0),
        };
        let (mut writer, mut reader) = (Memory::default(), Memory::default());
        let delta = writer.note(&sample(&[3, 2, 5, 5].map(cell), 0));
        reader.apply(&delta).unwrap();
        assert_eq!(reader.known(ClassId(7)).unwrap().cells, [3, 5].map(cell));
        let odd = |cells| Delta { class: ClassId(7), counts: None, cells };
        for cells in [
            vec![(4, Change::Gone)],
            vec![(9, Change::Load(1))],
            vec![(3, Change::Gone), (0, Change::Load(1))],
            vec![(3, Change::Gone), (u64::MAX, Change::Load(1))],
        ] {
            assert_eq!(reader.clone().apply(&odd(cells)), Err(Misfit));
        }
        let unknown = Delta { class: ClassId(8), counts: None, cells: Vec::new() };
        assert_eq!(reader.apply(&unknown), Err(Misfit));
    }
}
