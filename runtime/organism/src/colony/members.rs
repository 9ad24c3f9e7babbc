//! Who lives: what is known of every other host, and when it was last seen to go on.
//!
//! A host lives as long as its beat rises, whoever brings word of it. One whose beat stood still for
//! [`SUSPECT`] is suspected, for [`DEAD`] is dead; what is said of it afterwards must be newer than what
//! was known, so that an old word never brings it back.

use std::collections::BTreeMap;

use super::word::{Beat, Holdings, State};
use crate::Nanos;
use crate::phenotype::{Epoch, HostId};

/// A beat that stood still for so long makes its host suspected: it is given no new work.
pub const SUSPECT: Nanos = Nanos::from_millis(1_000);
/// ... and for so long dead: what it had is missing.
pub const DEAD: Nanos = Nanos::from_millis(1_600);

/// How a host is doing, as this one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Its beat rises.
    Alive,
    /// Nothing was heard of it for a while.
    Suspected,
    /// Nothing was heard of it for too long.
    Dead,
}

/// What is known of one host.
#[derive(Clone, Debug)]
pub struct Member {
    /// What its newest beat said.
    pub beat: Beat,
    /// When that was heard.
    pub heard: Nanos,
    /// How it is doing.
    pub health: Health,
    /// What it holds, under this version of it.
    pub holdings: Holdings,
    /// The version of the holdings; 0 = none are known yet.
    pub known: u32,
}

/// What a beat changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it was known.
    Old,
    /// It goes on.
    Risen,
    /// It is here for the first time, again, or in a new life.
    Came,
}

/// All other hosts of which something was heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    all: BTreeMap<HostId, Member>,
}

impl Members {
    /// Takes in what somebody said of a host. At most `most` hosts are known.
    pub(super) fn hear(&mut self, now: Nanos, beat: Beat, most: usize) -> Change {
        let Some(member) = self.all.get_mut(&beat.host) else {
            if self.all.len() >= most {
                return Change::Old;
            }
            let member =
                Member { beat, heard: now, health: Health::Alive, holdings: Holdings::default(), known: 0 };
            self.all.insert(beat.host, member);
            return Change::Came;
        };
        let before = (member.beat.epoch, member.beat.beat);
        if (beat.epoch, beat.beat) <= before {
            return Change::Old;
        }
        if beat.epoch > before.0 {
            (member.holdings, member.known) = (Holdings::default(), 0);
        }
        let came = member.health == Health::Dead || beat.epoch > before.0;
        (member.beat, member.heard, member.health) = (beat, now, Health::Alive);
        if came { Change::Came } else { Change::Risen }
    }

    /// Takes in holdings, if they are newer than what was known; says whether they are.
    pub(super) fn learn(&mut self, state: State) -> bool {
        let Some(member) = self.all.get_mut(&state.host) else { return false };
        let is_new = state.epoch == member.beat.epoch && state.version > member.known;
        if is_new {
            (member.holdings, member.known) = (state.holdings, state.version);
        }
        is_new
    }

    /// Looks at the clock; says who died.
    pub(super) fn tick(&mut self, now: Nanos) -> Vec<(HostId, Epoch)> {
        let mut dead = Vec::new();
        for (host, member) in &mut self.all {
            let silent = now.since(member.heard);
            if silent >= DEAD && member.health != Health::Dead {
                member.health = Health::Dead;
                dead.push((*host, member.beat.epoch));
            } else if silent >= SUSPECT && member.health == Health::Alive {
                member.health = Health::Suspected;
            }
        }
        dead
    }

    pub(super) fn get(&self, host: HostId) -> Option<&Member> {
        self.all.get(&host)
    }

    /// Whether a host is believed to live.
    pub(super) fn lives(&self, host: HostId) -> bool {
        self.get(host).is_some_and(|member| member.health != Health::Dead)
    }

    /// All, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (HostId, &Member)> {
        self.all.iter().map(|(host, member)| (*host, member))
    }

    /// All that are believed to live, ascending.
    pub(super) fn living(&self) -> impl Iterator<Item = (HostId, &Member)> {
        self.iter().filter(|(_, member)| member.health != Health::Dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(host: u64, epoch: u64, beat: u32) -> Beat {
        Beat {
            host: HostId(host),
            epoch: Epoch(epoch),
            beat,
            free_permille: 500,
            spare: 0,
            version: 1,
            mark: 0,
        }
    }

    #[test]
    fn a_host_lives_while_its_beat_rises_and_an_old_word_does_not_bring_it_back() {
        let mut members = Members::default();
        assert_eq!(members.hear(Nanos(0), beat(1, 1, 5), 9), Change::Came);
        assert_eq!(members.hear(Nanos(1), beat(1, 1, 6), 9), Change::Risen);
        assert_eq!(members.tick(Nanos(1) + SUSPECT), []);
        assert_eq!(members.get(HostId(1)).unwrap().health, Health::Suspected);
        assert_eq!(members.tick(Nanos(1) + DEAD), [(HostId(1), Epoch(1))]);
        assert_eq!(members.tick(Nanos(2) + DEAD), [], "told once");
        assert_eq!(members.hear(Nanos(2) + DEAD, beat(1, 1, 6), 9), Change::Old);
        assert!(!members.lives(HostId(1)));
        assert_eq!(members.hear(Nanos(3) + DEAD, beat(1, 1, 7), 9), Change::Came);
        assert!(members.lives(HostId(1)));
    }

    #[test]
    fn a_new_life_forgets_what_the_old_one_held_and_late_holdings_are_dropped() {
        let mut members = Members::default();
        members.hear(Nanos(0), beat(1, 1, 5), 1);
        let state = |epoch, version| State {
            host: HostId(1),
            epoch: Epoch(epoch),
            version,
            holdings: Holdings::default(),
        };
        assert!(members.learn(state(1, 2)) && !members.learn(state(1, 2)) && !members.learn(state(1, 1)));
        assert_eq!(members.hear(Nanos(1), beat(1, 2, 1), 1), Change::Came);
        assert!(!members.learn(state(1, 3)) && members.learn(state(2, 1)));
        assert_eq!(members.hear(Nanos(1), beat(2, 1, 1), 1), Change::Old, "no room for more hosts");
        assert!(!members.learn(State { host: HostId(2), ..state(1, 1) }));
    }
}
