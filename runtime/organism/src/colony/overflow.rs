//! Who gets a request that this host has no room for.
//!
//! Every host tells in its pulse how many messages it could take for others. What was sent since is
//! taken off that, so that a burst does not all go where there was room a moment ago. Among hosts with
//! room left the draw is by that room, less where a host was slow to say that it takes one: half as
//! likely at [`SLOW_HALF`]. Who refused rests for a round, for that gene; who was silent for longer.
//!
//! Pure: the time and the seed are handed in. Bounded by the hosts of a colony and [`RESTS_MAX`].

use std::collections::BTreeMap;

use cyte_dna::GeneName;

use super::{HOSTS_MAX, ROUND, SUSPECT};
use crate::Nanos;
use crate::dice::Dice;
use crate::phenotype::HostId;

/// A host that took so long to say that it takes a request is half as likely to be asked.
pub const SLOW_HALF: Nanos = Nanos::from_millis(10);
/// A host that refused a request of a gene is not asked for that gene for so long.
pub const REFUSED_RESTS: Nanos = ROUND;
/// A host that did not answer is not asked for anything for so long.
pub const SILENT_RESTS: Nanos = SUSPECT;
/// Room that was offered a moment ago comes back: so long after the last offer a host still counts as one
/// that may have some. A request that finds the queue full looks only once.
pub const OFFER_LASTS: Nanos = SUSPECT;
/// Refusals remembered at once; with more, hosts are asked again that just refused.
const RESTS_MAX: usize = 4_096;
/// Weights are in so many parts of one message's room.
const PARTS: u64 = 1_024;

/// What one host offered.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    /// The beat by which it was told.
    beat: u32,
    /// Messages that it could take then, ...
    spare: u32,
    /// ... and what of this host's was there then.
    out_then: u32,
    /// What of this host's is there, or asked for, now.
    out: u32,
    /// It counts as one that may have room until then.
    open_until: Nanos,
    /// How long it took to answer, lately.
    slow: Nanos,
    /// It is not asked before.
    rests: Nanos,
}

impl Offer {
    /// Messages that it can still take, as far as is known here. What came back since makes room again.
    fn left(&self) -> u32 {
        self.spare.saturating_add(self.out_then).saturating_sub(self.out)
    }

    fn weight(&self) -> u64 {
        let half = SLOW_HALF.0;
        let parts = u128::from(self.left()) * u128::from(PARTS) * u128::from(half);
        // At least one part while there is any room: a slow host with room is better than a refusal.
        u64::try_from(parts / u128::from(half.saturating_add(self.slow.0))).unwrap_or(u64::MAX >> 16).max(1)
    }
}

/// What the others offered, and how they kept it.
#[derive(Debug)]
pub struct Offers {
    dice: Dice,
    hosts: BTreeMap<HostId, Offer>,
    refused: BTreeMap<(HostId, GeneName), Nanos>,
}

impl Offers {
    /// Nobody offered anything yet; `seed` is for the draws.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), hosts: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// All hosts that are well, with their newest beat and the messages that they could take then. Who
    /// is not among them gets nothing.
    pub fn told(&mut self, now: Nanos, well: impl IntoIterator<Item = (HostId, u32, u32)>) {
        let well: BTreeMap<HostId, (u32, u32)> =
            well.into_iter().take(HOSTS_MAX).map(|(host, beat, spare)| (host, (beat, spare))).collect();
        for (host, offer) in &mut self.hosts {
            if !well.contains_key(host) {
                (offer.spare, offer.out_then, offer.open_until) = (0, 0, Nanos(0));
            }
        }
        self.hosts.retain(|host, offer| offer.out > 0 || well.contains_key(host));
        for (host, (beat, spare)) in well {
            let offer = self.hosts.entry(host).or_default();
            if offer.beat != beat {
                (offer.beat, offer.spare, offer.out_then) = (beat, spare, offer.out);
            }
            if offer.spare > 0 || offer.out_then > 0 {
                offer.open_until = now + OFFER_LASTS;
            }
        }
        self.refused.retain(|_, until| *until > now);
    }

    /// Whether anybody offers room, or did within [`OFFER_LASTS`], that is not taken by others than this
    /// host: what this host has there comes back.
    #[must_use]
    pub fn has_room(&self, now: Nanos) -> bool {
        self.hosts.values().any(|offer| now < offer.open_until && offer.rests <= now)
    }

    /// Who is asked to take a request of `gene`; counted as there until [`Offers::done`].
    pub fn choose(&mut self, now: Nanos, gene: &GeneName) -> Option<HostId> {
        let may = |host: &HostId, offer: &Offer| {
            let refused = self.refused.get(&(*host, gene.clone())).is_some_and(|until| *until > now);
            offer.left() > 0 && offer.rests <= now && !refused
        };
        let open: Vec<(HostId, u64)> = self
            .hosts
            .iter()
            .filter(|(host, offer)| may(host, offer))
            .map(|(host, offer)| (*host, offer.weight()))
            .collect();
        let all = open.iter().fold(0_u64, |sum, (_, weight)| sum.saturating_add(*weight));
        let mut drawn = self.dice.below(all);
        let chosen = open.iter().find(|(_, weight)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        let host = chosen.or(open.last())?.0;
        let offer = self.hosts.get_mut(&host)?;
        offer.out = offer.out.saturating_add(1);
        Some(host)
    }

    /// It said that it takes the request, `took` after it was asked.
    pub fn took(&mut self, host: HostId, took: Nanos) {
        if let Some(offer) = self.hosts.get_mut(&host) {
            // A quarter of the way to the newest, so that one late answer is not the end of it.
            offer.slow = Nanos((offer.slow.0 / 4).saturating_mul(3).saturating_add(took.0 / 4));
        }
    }

    /// It had no room for this gene.
    pub fn refused(&mut self, now: Nanos, host: HostId, gene: &GeneName) {
        if self.refused.len() < RESTS_MAX {
            self.refused.insert((host, gene.clone()), now + REFUSED_RESTS);
        }
    }

    /// It said nothing for `waited`.
    pub fn silent(&mut self, now: Nanos, host: HostId, waited: Nanos) {
        self.took(host, waited);
        if let Some(offer) = self.hosts.get_mut(&host) {
            offer.rests = now + SILENT_RESTS;
        }
    }

    /// What it was chosen for came back or was given up.
    pub fn done(&mut self, host: HostId) {
        if let Some(offer) = self.hosts.get_mut(&host) {
            offer.out = offer.out.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gene(name: &str) -> GeneName {
        name.parse().unwrap()
    }

    fn told(spares: &[u32]) -> Offers {
        let mut offers = Offers::new(7);
        offers.told(Nanos(0), spares.iter().enumerate().map(|(at, spare)| (HostId(at as u64), 1, *spare)));
        offers
    }

    #[test]
    fn nobody_is_asked_for_more_than_was_offered_and_what_comes_back_makes_room() {
        let mut offers = told(&[2, 0]);
        let shop = gene("shop");
        assert!(offers.has_room(Nanos(0)));
        assert_eq!(offers.choose(Nanos(0), &shop), Some(HostId(0)));
        assert_eq!(offers.choose(Nanos(0), &shop), Some(HostId(0)));
        assert_eq!((offers.choose(Nanos(0), &shop), offers.has_room(Nanos(0))), (None, true));
        offers.done(HostId(0));
        assert_eq!(offers.choose(Nanos(0), &shop), Some(HostId(0)));
        // The same beat again is no news; a newer one counts what is there already.
        offers.told(Nanos(1), [(HostId(0), 1, 2)]);
        assert_eq!(offers.choose(Nanos(1), &shop), None);
        offers.told(Nanos(2), [(HostId(0), 2, 0)]);
        assert_eq!(offers.choose(Nanos(2), &shop), None);
        offers.done(HostId(0));
        assert_eq!(offers.choose(Nanos(2), &shop), Some(HostId(0)), "its place is free again");
        offers.told(Nanos(3), []);
        assert!(!offers.has_room(Nanos(3)), "who is not well offers nothing");
        offers.done(HostId(0));
        assert_eq!(offers.choose(Nanos(3), &shop), None, "who is not well gets nothing");
    }

    /// A host that is full for the moment in which it is asked how it stands is no full host.
    #[test]
    fn who_offered_room_a_moment_ago_still_counts() {
        let mut offers = told(&[2]);
        offers.told(Nanos(1), [(HostId(0), 2, 0)]);
        let end = OFFER_LASTS;
        assert_eq!((offers.has_room(Nanos(end.0 - 1)), offers.has_room(end)), (true, false));
        assert_eq!(offers.choose(Nanos(1), &gene("shop")), None, "and gets nothing");
        offers.told(end, [(HostId(0), 3, 1)]);
        assert!(offers.has_room(end));
    }

    #[test]
    fn who_refused_rests_for_that_gene_and_who_was_silent_for_all() {
        let mut offers = told(&[9]);
        let (shop, till) = (gene("shop"), gene("till"));
        offers.refused(Nanos(0), HostId(0), &shop);
        assert_eq!(offers.choose(Nanos(1), &shop), None);
        assert_eq!(offers.choose(Nanos(1), &till), Some(HostId(0)));
        assert_eq!(offers.choose(REFUSED_RESTS, &shop), Some(HostId(0)));
        offers.silent(Nanos(0), HostId(0), Nanos::from_millis(50));
        assert_eq!(offers.choose(Nanos(1), &till), None);
        assert_eq!(offers.choose(SILENT_RESTS, &till), Some(HostId(0)));
    }

    /// With equal room a host that answers in ten milliseconds gets about half as much as one that
    /// answers at once, and one with thrice the room about thrice as much.
    #[test]
    fn a_slow_host_gets_less_and_a_free_one_more() {
        let mut offers = told(&[1_000_000, 1_000_000, 3_000_000]);
        for _ in 0..64 {
            offers.took(HostId(1), SLOW_HALF);
        }
        let mut got = [0_u32; 3];
        for _ in 0..9_000 {
            let host = offers.choose(Nanos(0), &gene("shop")).unwrap();
            got[host.0 as usize] += 1;
            offers.done(host);
        }
        let [even, slow, free] = got.map(f64::from);
        assert!((0.4..0.62).contains(&(slow / even)), "{got:?}");
        assert!((2.6..3.4).contains(&(free / even)), "{got:?}");
    }

    proptest! {
        /// Whatever happens, nobody is asked who offered no room, who rests or is not
        /// well; and never is more there than was offered on top of what was there when it was.
        #[test]
        fn only_what_was_offered_is_used(
            seed: u64,
            steps in prop::collection::vec((0u8..6, 0u64..4, 0u32..5, 0u64..300), 1..200),
        ) {
            let (mut offers, shop) = (Offers::new(seed), gene("shop"));
            let (mut now, mut beat) = (Nanos(0), 0);
            let mut bounds: BTreeMap<HostId, u32> = BTreeMap::new();
            let mut out: BTreeMap<HostId, u32> = BTreeMap::new();
            let mut rests: BTreeMap<HostId, Nanos> = BTreeMap::new();
            for (deed, host, spare, ms) in steps {
                let host = HostId(host);
                now = now + Nanos::from_millis(ms);
                match deed {
                    0 => {
                        beat += 1;
                        offers.told(now, [(host, beat, spare)]);
                        bounds = [(host, spare + out.get(&host).copied().unwrap_or(0))].into();
                    }
                    1 if out.get(&host).is_some_and(|out| *out > 0) => {
                        offers.done(host);
                        *out.get_mut(&host).unwrap() -= 1;
                    }
                    2 => {
                        offers.refused(now, host, &shop);
                        let until = rests.entry(host).or_default();
                        *until = (*until).max(now + REFUSED_RESTS);
                    }
                    3 => offers.took(host, Nanos::from_millis(ms)),
                    _ => {
                        let Some(chosen) = offers.choose(now, &shop) else { continue };
                        prop_assert!(rests.get(&chosen).is_none_or(|until| *until <= now));
                        let there = out.entry(chosen).or_default();
                        *there += 1;
                        prop_assert!(*there <= bounds.get(&chosen).copied().unwrap_or(0));
                    }
                }
            }
        }

        /// The same seed and the same story choose the same hosts.
        #[test]
        fn a_seed_replays(seed: u64, spares in prop::collection::vec(0u32..50, 1..8)) {
            let run = || {
                let mut offers = Offers::new(seed);
                let hosts = spares.iter().enumerate();
                offers.told(Nanos(0), hosts.map(|(at, spare)| (HostId(at as u64), 1, *spare)));
                (0..60).map(|_| offers.choose(Nanos(0), &gene("shop"))).collect::<Vec<_>>()
            };
            prop_assert_eq!(run(), run());
        }
    }
}
