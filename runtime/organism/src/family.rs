//! The family tree of one class on one host, over which hormones travel.
//!
//! Members are niches in ascending order of their numbers. A mother's niche is always older than
//! her daughters', so that **a mother stands before her daughters** in the list: one walk from the
//! back meets every daughter before her mother, one from the front every mother first. That makes
//! the two passes of transport plain loops, without recursion and in an order that never changes.
//!
//! When a mother dies, her daughters are adopted by the grandmother; when the first of all dies,
//! her eldest daughter takes her place and adopts the sisters. The tree never falls apart.
//!
//! The host's readings are the truth: a tree is brought in line with them ([`Family::follow`])
//! in one merge, which allocates nothing while the population only changes its loads.

use serde::{Deserialize, Serialize};

use crate::{Nanos, lineage::Niche};

/// Where a cell stands between commitment and death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Committed: it will serve, and counts from now.
    Pending,
    /// It serves.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
}

/// One cell of a class as the host sees it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Its place in the tree. Readings ascend by it.
    pub niche: Niche,
    /// The niche whose cell divided, or recruited it; `None` for the first.
    pub mother: Option<Niche>,
    /// Where it stands.
    pub phase: Phase,
    /// Its slots in use, counted by the host.
    pub inflight: u32,
    /// Since when it serves.
    pub since: Nanos,
}

/// The first of the tree has no mother.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A member of the tree and what it remembers of its load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) reading: Reading,
    /// Index of the mother, before this one; [`NOBODY`] for the first.
    pub(crate) mother: u32,
    /// Averages of the felt load, in slots.
    pub(crate) fast: f64,
    pub(crate) slow: f64,
    /// When it last divided.
    pub(crate) divided: Option<Nanos>,
    /// What its guest released since the last spread, as a report; weightless when nothing.
    pub(crate) released: Option<f64>,
}

impl Member {
    fn new(reading: Reading, mother: u32) -> Self {
        Self { reading, mother, fast: 0.0, slow: 0.0, divided: None, released: None }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.reading.phase == Phase::Ready
    }
}

/// How many of a class there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Serving.
    pub ready: u32,
    /// Committed, not yet serving.
    pub pending: u32,
    /// Finishing.
    pub draining: u32,
    /// Slots in use of ready cells.
    pub inflight: u64,
}

impl Census {
    /// `n`: ready and pending.
    pub fn living(&self) -> u32 {
        self.ready.saturating_add(self.pending)
    }

    /// Every cell that holds a place.
    pub fn placed(&self) -> u32 {
        self.living().saturating_add(self.draining)
    }
}

/// The tree of one class.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Family {
    members: Vec<Member>,
    /// Used while members come and go; keeps its space.
    #[serde(skip)]
    next: Vec<Member>,
    #[serde(skip)]
    moved: Vec<u32>,
}

impl Family {
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// The member that holds `niche`.
    pub(crate) fn member_mut(&mut self, niche: Niche) -> Option<&mut Member> {
        let at = self.members.binary_search_by_key(&niche, |member| member.reading.niche).ok()?;
        self.members.get_mut(at)
    }

    /// Who lives below another mother than the one that bore it, because she is gone: its niche and
    /// that of whoever adopted it. The eldest daughter of the first of all is nobody's: she took her
    /// mother's place.
    pub(crate) fn adopted(&self) -> impl Iterator<Item = (Niche, Niche)> + '_ {
        self.members.iter().filter_map(|member| {
            let bore = member.reading.mother?;
            let mother = self.members.get(member.mother as usize)?.reading.niche;
            (mother != bore).then_some((member.reading.niche, mother))
        })
    }

    /// Brings the tree in line with what the host sees; readings that do not ascend are passed
    /// over. What a cell that no longer serves remembered of its load goes to those that do, in
    /// equal parts: the demand it felt outlives it. The slow memory of a cell that was told to die
    /// goes with it: it was surplus, and its memory would only keep the next one from dying.
    pub(crate) fn follow(&mut self, readings: &[Reading]) -> Census {
        let mut left = Left::default();
        let is_same = self.members.len() == readings.len()
            && self.members.iter().zip(readings).all(|(member, now)| member.reading.niche == now.niche);
        if is_same {
            for (member, now) in self.members.iter_mut().zip(readings) {
                update(member, now, &mut left);
            }
        } else {
            self.merge(readings, &mut left);
        }
        let census = self.census();
        self.inherit(left, census.ready);
        census
    }

    fn merge(&mut self, readings: &[Reading], left: &mut Left) {
        self.next.clear();
        self.moved.clear();
        let mut old = self.members.iter().copied().peekable();
        let mut last = None;
        for reading in readings.iter().copied() {
            if last.is_some_and(|last| reading.niche <= last) {
                continue;
            }
            last = Some(reading.niche);
            while let Some(gone) = old.next_if(|member| member.reading.niche < reading.niche) {
                bury(&gone, &mut self.moved, left);
            }
            let at = self.next.len() as u32;
            let mut member = match old.next_if(|member| member.reading.niche == reading.niche) {
                Some(known) => {
                    let mother = self.moved.get(known.mother as usize).copied().unwrap_or(NOBODY);
                    self.moved.push(at);
                    Member { mother, ..known }
                }
                None => Member::new(reading, find(&self.next, reading.mother)),
            };
            if at > 0 && member.mother == NOBODY {
                member.mother = 0;
            }
            update(&mut member, &reading, left);
            self.next.push(member);
        }
        for gone in old {
            bury(&gone, &mut self.moved, left);
        }
        std::mem::swap(&mut self.members, &mut self.next);
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        for member in &self.members {
            match member.reading.phase {
                Phase::Pending => census.pending += 1,
                Phase::Draining => census.draining += 1,
                Phase::Ready => {
                    census.ready += 1;
                    census.inflight += u64::from(member.reading.inflight);
                }
            }
        }
        census
    }

    fn inherit(&mut self, left: Left, ready: u32) {
        if ready == 0 || (left.fast <= 0.0 && left.slow <= 0.0) {
            return;
        }
        let (fast, slow) = (left.fast / f64::from(ready), left.slow / f64::from(ready));
        for member in self.members.iter_mut().filter(|member| member.is_ready()) {
            member.fast += fast;
            member.slow += slow;
        }
    }
}

/// Remembered load of those who no longer serve.
#[derive(Default)]
struct Left {
    fast: f64,
    slow: f64,
}

fn update(member: &mut Member, now: &Reading, left: &mut Left) {
    let served = member.is_ready();
    member.reading = Reading { mother: member.reading.mother, ..*now };
    if served && !member.is_ready() {
        left.fast += std::mem::take(&mut member.fast);
        member.slow = 0.0;
    }
}

/// A member is gone: whoever looks for it finds its mother's new place.
fn bury(gone: &Member, moved: &mut Vec<u32>, left: &mut Left) {
    left.fast += gone.fast;
    left.slow += gone.slow;
    moved.push(moved.get(gone.mother as usize).copied().unwrap_or(NOBODY));
}

/// The place of `mother` among the members before; the first of all where she is not there.
fn find(members: &[Member], mother: Option<Niche>) -> u32 {
    mother
        .and_then(|mother| members.binary_search_by_key(&mother, |member| member.reading.niche).ok())
        .map_or(NOBODY, |at| at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(niche: u64, mother: u64, phase: Phase) -> Reading {
        let mother = (mother > 0).then_some(Niche(mother));
        Reading { niche: Niche(niche), mother, phase, inflight: 1, since: Nanos(0) }
    }

    fn mothers(family: &Family) -> Vec<(u64, Option<u64>)> {
        let members = family.members();
        let mother = |member: &Member| members.get(member.mother as usize).map(|m| m.reading.niche.0);
        members.iter().map(|member| (member.reading.niche.0, mother(member))).collect()
    }

    #[test]
    fn orphans_go_to_the_grandmother_and_else_to_the_eldest_daughter() {
        let all = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 1)].map(|(n, m)| reading(n, m, Phase::Ready));
        let mut family = Family::default();
        family.follow(&all);
        assert_eq!(family.adopted().count(), 0);
        family.follow(&[all[0], all[2], all[3], all[4]]);
        let adopted: Vec<_> = family.adopted().map(|(cell, by)| (cell.0, by.0)).collect();
        assert_eq!(adopted, [(3, 1), (4, 1)], "by the grandmother");
        assert_eq!(mothers(&family), [(1, None), (3, Some(1)), (4, Some(1)), (5, Some(1))]);
        family.follow(&[all[2], all[3], all[4]]);
        assert_eq!(mothers(&family), [(3, None), (4, Some(3)), (5, Some(3))]);
        let adopted: Vec<_> = family.adopted().map(|(cell, by)| (cell.0, by.0)).collect();
        assert_eq!(adopted, [(4, 3), (5, 3)], "by the eldest daughter's line");
        // Niche 2 is filled again: it is the eldest, and the tree stays one.
        family.follow(&[all[1], all[2], all[3], all[4]]);
        assert_eq!(mothers(&family), [(2, None), (3, Some(2)), (4, Some(3)), (5, Some(3))]);
    }

    #[test]
    fn what_the_dead_felt_is_felt_by_the_living() {
        let mut all = [1, 2, 3].map(|niche| reading(niche, niche - 1, Phase::Ready));
        let mut family = Family::default();
        family.follow(&all);
        for member in family.members_mut() {
            (member.fast, member.slow) = (6.0, 3.0);
        }
        all[1].phase = Phase::Draining;
        assert_eq!(family.follow(&all[1..]), Census { ready: 1, pending: 0, draining: 1, inflight: 1 });
        let last = family.members()[1];
        assert_eq!((last.fast, last.slow), (18.0, 6.0), "one crashed, one was told to die");
    }
}
