//! Votes on a cell that somebody accuses: who may vote, what the votes come to, how often.
//!
//! The electorate is drawn from the whole class, not from the accused's relatives (an infected
//! family would acquit itself), by a keyed hash that nobody outside can foresee, and stays for
//! an epoch: who loses a draw cannot ask for another. A majority **of the electorate** ends a
//! cell; who is absent, late or cut off keeps it. At most a tenth of a class (at least one cell)
//! is ended in ten seconds, so that liars who win every vote still cannot end a host.
//!
//! Pure: the host asks the electors and hands in their answers. A trap or a breach needs no vote
//! and does not come here.

use std::collections::BTreeMap;

use cyte_dna::VotePolicy;
use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::dice::Key;
use crate::law::ClassId;
use crate::lineage::Niche;

/// A cell of the host: its class and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// Its class.
    pub class: ClassId,
    /// Its niche.
    pub niche: Niche,
}

/// How long an accuser rests after an accusation, and the window of the kill cap.
pub const REST: Nanos = Nanos::from_millis(10_000);

/// A failed accusation doubles the accuser's rest, up to so many times.
const FAILURES_MAX: u32 = 4;

/// Most open and remembered ballots and accusers; more accusations are refused.
pub const OPEN_MAX: usize = 4_096;

/// Why an accusation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccusationError {
    /// The accuser's last one is too fresh.
    #[error("the accuser rests after its last accusation")]
    Rests,
    /// The accused is before the electors already, or was acquitted in this epoch.
    #[error("there is a ballot on this cell in this epoch")]
    Known,
    /// There are fewer than two who could vote.
    #[error("fewer than two cells could vote")]
    NoElectorate,
    /// Accuser and accused are one.
    #[error("a cell cannot accuse itself")]
    Itself,
    /// Too many are open.
    #[error("too many ballots are open")]
    TooMany,
}

/// What a ballot came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The cell stays.
    Keep(Voter),
    /// The cell ends. `after_birth`: its replacement is born first, or its class would fall below
    /// its least number.
    Kill {
        /// Who.
        accused: Voter,
        /// See above.
        after_birth: bool,
    },
    /// A majority wants it ended, and the cap on kills forbids it now: it is kept apart, without
    /// new requests, until a later ballot.
    Capped(Voter),
}

/// How the accused's class stands when a verdict is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Cells of the class that live.
    pub living: u32,
    /// `n_min` of the class.
    pub min: u32,
}

/// One open or closed ballot; a closed one stays for its epoch.
#[derive(Clone, Debug)]
struct Ballot {
    accuser: Voter,
    opened: Nanos,
    epoch: u64,
    /// Who may vote, and what they said.
    electorate: Vec<(Voter, Option<bool>)>,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    until: Nanos,
    failures: u32,
}

/// All ballots of a host.
#[derive(Debug)]
pub struct Court {
    policy: VotePolicy,
    key: Key,
    ballots: BTreeMap<Voter, Ballot>,
    records: BTreeMap<Voter, Record>,
    kills: Vec<(ClassId, Nanos)>,
}

impl Court {
    /// A court without ballots; draws are made under the organism's `key`.
    pub fn new(policy: VotePolicy, key: Key) -> Self {
        Self { policy, key, ballots: BTreeMap::new(), records: BTreeMap::new(), kills: Vec::new() }
    }

    /// The number of the epoch at `now`.
    pub fn epoch(&self, now: Nanos) -> u64 {
        now.0 / Nanos::from_millis(1_000).0 / u64::from(self.policy.epoch_s.max(1))
    }

    /// `accuser` accuses `accused`. `class` are all living cells of the accused's class, `t_cells`
    /// fill the electorate where fewer than three of them could vote. Returns whom to ask.
    ///
    /// # Errors
    /// [`AccusationError`]; nothing changed, except that a refused accuser does not rest longer.
    pub fn accuse(
        &mut self,
        now: Nanos,
        accuser: Voter,
        accused: Voter,
        class: &[Voter],
        t_cells: &[Voter],
    ) -> Result<Vec<Voter>, AccusationError> {
        self.forget(now);
        let epoch = self.epoch(now);
        if accuser == accused {
            return Err(AccusationError::Itself);
        }
        if self.records.get(&accuser).is_some_and(|record| now < record.until) {
            return Err(AccusationError::Rests);
        }
        if self.ballots.get(&accused).is_some_and(|ballot| !ballot.is_closed || ballot.epoch == epoch) {
            return Err(AccusationError::Known);
        }
        if self.ballots.len() >= OPEN_MAX || self.records.len() >= OPEN_MAX {
            return Err(AccusationError::TooMany);
        }
        let electorate = self.draw(accused, epoch, class, t_cells);
        if electorate.len() < 2 {
            return Err(AccusationError::NoElectorate);
        }
        let votes = electorate.iter().map(|voter| (*voter, None)).collect();
        let ballot = Ballot { accuser, opened: now, epoch, electorate: votes, is_closed: false };
        self.ballots.insert(accused, ballot);
        let record = self.records.entry(accuser).or_default();
        record.until = now + Nanos(REST.0 << record.failures);
        Ok(electorate)
    }

    /// An elector's answer; `kill` or keep. The first one counts, of an elector, in time.
    pub fn vote(&mut self, now: Nanos, accused: Voter, voter: Voter, kill: bool) {
        let late = Nanos::from_millis(self.policy.late_ms.into());
        let Some(ballot) = self.ballots.get_mut(&accused) else { return };
        if ballot.is_closed || now.since(ballot.opened) > late {
            return;
        }
        let own = ballot.electorate.iter_mut().find(|(elector, _)| *elector == voter);
        if let Some((_, vote)) = own {
            vote.get_or_insert(kill);
        }
    }

    /// Ballots that are decided: by their votes, or because time is up. `standing` tells how a
    /// class stands now.
    pub fn close(&mut self, now: Nanos, mut standing: impl FnMut(ClassId) -> Standing) -> Vec<Verdict> {
        let late = Nanos::from_millis(self.policy.late_ms.into());
        let mut verdicts = Vec::new();
        self.kills.retain(|(_, at)| now.since(*at) < REST);
        for (accused, ballot) in self.ballots.iter_mut().filter(|(_, ballot)| !ballot.is_closed) {
            let all = ballot.electorate.len();
            let yes = ballot.electorate.iter().filter(|(_, vote)| *vote == Some(true)).count();
            let no = ballot.electorate.iter().filter(|(_, vote)| *vote == Some(false)).count();
            let needed = all / 2 + 1;
            let is_decided = yes >= needed || all - no < needed || now.since(ballot.opened) >= late;
            if !is_decided {
                continue;
            }
            ballot.is_closed = true;
            let record = self.records.entry(ballot.accuser).or_default();
            if yes < needed {
                record.failures = (record.failures + 1).min(FAILURES_MAX);
                record.until = record.until.max(ballot.opened + Nanos(REST.0 << record.failures));
                verdicts.push(Verdict::Keep(*accused));
                continue;
            }
            record.failures = 0;
            let Standing { living, min } = standing(accused.class);
            let cap = (u64::from(living) * u64::from(self.policy.kills_permille) / 1_000).max(1);
            let killed = self.kills.iter().filter(|(class, _)| *class == accused.class).count() as u64;
            if killed >= cap {
                verdicts.push(Verdict::Capped(*accused));
                continue;
            }
            self.kills.push((accused.class, now));
            verdicts.push(Verdict::Kill { accused: *accused, after_birth: living <= min });
        }
        verdicts
    }

    /// When a ballot is decided at the latest; `None` without an open one.
    pub fn next_deadline(&self) -> Option<Nanos> {
        let late = Nanos::from_millis(self.policy.late_ms.into());
        self.ballots.values().filter(|ballot| !ballot.is_closed).map(|ballot| ballot.opened + late).min()
    }

    /// The electorate: of the class without the accused and without anybody who is accused now.
    fn draw(&self, accused: Voter, epoch: u64, class: &[Voter], t_cells: &[Voter]) -> Vec<Voter> {
        let is_free = |voter: &&Voter| {
            **voter != accused && self.ballots.get(voter).is_none_or(|ballot| ballot.is_closed)
        };
        let ticket = |voter: &Voter| {
            let words = [accused.class.0.into(), accused.niche.0, epoch, voter.class.0.into(), voter.niche.0];
            (self.key.hash(&words), *voter)
        };
        let mut drawn: Vec<_> = class.iter().filter(is_free).map(ticket).collect();
        drawn.sort_unstable();
        drawn.dedup();
        let most = self.policy.electorate as usize;
        if drawn.len() < 3 {
            let mut filling: Vec<_> = t_cells
                .iter()
                .filter(is_free)
                .filter(|voter| drawn.iter().all(|(_, known)| known != *voter))
                .map(ticket)
                .collect();
            filling.sort_unstable();
            filling.dedup();
            let missing = 3 - drawn.len();
            drawn.extend(filling.into_iter().take(missing));
        }
        // Odd where possible; two must agree.
        let count = drawn.len().min(most);
        drawn.truncate(if count > 2 && count % 2 == 0 { count - 1 } else { count });
        drawn.into_iter().map(|(_, voter)| voter).collect()
    }

    fn forget(&mut self, now: Nanos) {
        let epoch = self.epoch(now);
        self.ballots.retain(|_, ballot| !ballot.is_closed || ballot.epoch == epoch);
        let span = Nanos::from_millis(1_000 * u64::from(self.policy.epoch_s));
        self.records.retain(|_, record| now < record.until + span);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn voters(class: u32, count: u64) -> Vec<Voter> {
        (1..=count).map(|niche| Voter { class: ClassId(class), niche: Niche(niche) }).collect()
    }

    fn court() -> Court {
        Court::new(VotePolicy::default(), Key::new([1, 2]))
    }

    const MANY: Standing = Standing { living: 10, min: 0 };

    #[test]
    fn i10_only_a_majority_of_the_electorate_kills() {
        let class = voters(1, 10);
        for (yes, no, dies) in [(3, 0, true), (2, 0, false), (2, 3, false), (3, 2, true), (0, 0, false)] {
            let mut court = court();
            let electorate = court.accuse(Nanos(0), class[0], class[1], &class, &[]).unwrap();
            assert_eq!(electorate.len(), 5);
            for (at, voter) in electorate.iter().enumerate().take(yes + no) {
                court.vote(Nanos(1), class[1], *voter, at < yes);
            }
            // The accused's own vote, and that of one who was not drawn, count for nothing.
            court.vote(Nanos(1), class[1], class[1], true);
            let verdicts = court.close(Nanos::from_millis(2_000), |_| MANY);
            let killed = verdicts == [Verdict::Kill { accused: class[1], after_birth: false }];
            assert_eq!(killed, dies, "{yes} yes, {no} no: {verdicts:?}");
        }
    }

    #[test]
    fn i10_late_votes_keep_and_small_classes_are_filled_or_left_alone() {
        let class = voters(1, 3);
        let mut court = court();
        let two = court.accuse(Nanos(0), class[0], class[1], &class, &[]).unwrap();
        assert_eq!(two.len(), 2, "two who must agree");
        let after = Nanos::from_millis(2_001);
        two.iter().for_each(|voter| court.vote(after, class[1], *voter, true));
        assert_eq!(court.close(after, |_| MANY), [Verdict::Keep(class[1])]);
        let pair = voters(2, 2);
        assert_eq!(court.accuse(after, pair[0], pair[1], &pair, &[]), Err(AccusationError::NoElectorate));
        let three = court.accuse(after, pair[0], pair[1], &pair, &voters(9, 4)).unwrap();
        assert_eq!(three.len(), 3);
        assert_eq!(three.iter().filter(|voter| voter.class == ClassId(9)).count(), 2);
    }

    #[test]
    fn i10_no_second_draw_in_an_epoch_and_failures_cost_the_accuser() {
        let class = voters(1, 10);
        let mut court = court();
        let first = court.accuse(Nanos(0), class[0], class[1], &class, &[]).unwrap();
        assert_eq!(court.accuse(Nanos(0), class[2], class[1], &class, &[]), Err(AccusationError::Known));
        assert_eq!(court.accuse(Nanos(0), class[0], class[3], &class, &[]), Err(AccusationError::Rests));
        court.close(Nanos::from_millis(2_000), |_| MANY);
        let later = Nanos::from_millis(15_000);
        assert_eq!(court.accuse(later, class[2], class[1], &class, &[]), Err(AccusationError::Known));
        assert_eq!(court.accuse(later, class[0], class[3], &class, &[]), Err(AccusationError::Rests));
        let epoch = Nanos::from_millis(60_000);
        let second = court.accuse(epoch, class[2], class[1], &class, &[]).unwrap();
        assert_ne!(first, second, "another epoch, another draw");
        assert_eq!(court.accuse(epoch, class[2], class[2], &class, &[]), Err(AccusationError::Itself));
    }

    #[test]
    fn i2_i10_kills_are_capped_and_never_empty_a_class() {
        let class = voters(1, 10);
        let mut court = court();
        let mut killed = 0;
        for at in 0..5 {
            // Everybody wants everybody dead.
            let now = Nanos::from_millis(100 * at as u64);
            let electorate = court.accuse(now, class[at], class[9 - at], &class, &[]).unwrap();
            electorate.iter().for_each(|voter| court.vote(now, class[9 - at], *voter, true));
            let verdicts = court.close(now, |_| Standing { living: 10, min: 10 });
            for verdict in verdicts {
                match verdict {
                    Verdict::Kill { after_birth, .. } => {
                        assert!(after_birth, "the replacement is born first");
                        killed += 1;
                    }
                    Verdict::Capped(_) => {}
                    Verdict::Keep(_) => panic!("a majority wanted it"),
                }
            }
        }
        assert_eq!(killed, 1, "a tenth of ten in ten seconds");
    }

    proptest! {
        /// I10: whatever the class and whoever votes what, the accused is no elector, electors are
        /// different, and a kill has its majority.
        #[test]
        fn i10_electorates_are_fair(size in 0u64..40, accused in 0usize..40, t in 0u64..4, votes: u32, seed: u64) {
            let mut class = voters(1, size);
            let stranger = Voter { class: ClassId(1), niche: Niche(1_000) };
            let accused = class.get(accused).copied().unwrap_or(stranger);
            let accuser = Voter { class: ClassId(5), niche: Niche(1) };
            class.push(accused);
            let mut court = Court::new(VotePolicy::default(), Key::new([seed, 1]));
            let Ok(electorate) = court.accuse(Nanos(0), accuser, accused, &class, &voters(9, t)) else {
                prop_assert!(size + t <= 2 || size <= 2);
                return Ok(());
            };
            prop_assert!(electorate.len() == 2 || electorate.len() % 2 == 1);
            prop_assert!(electorate.len() <= 5 && !electorate.contains(&accused));
            let mut sorted = electorate.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), electorate.len());
            let mut yes = 0;
            for (at, voter) in electorate.iter().enumerate() {
                let kill = votes >> at & 1 == 1;
                yes += usize::from(kill);
                court.vote(Nanos(0), accused, *voter, kill);
                court.vote(Nanos(0), accused, *voter, true);
            }
            let verdicts = court.close(Nanos(0), |_| MANY);
            let dies = matches!(verdicts[..], [Verdict::Kill { .. }]);
            prop_assert_eq!(dies, yes > electorate.len() / 2);
        }
    }
}
