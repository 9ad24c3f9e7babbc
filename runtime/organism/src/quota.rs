//! Growth between hosts: need that one host cannot meet is split over its neighbours, never
//! copied.
//!
//! A quota is a number of cells. Who receives one takes what it has room for, acknowledges that
//! to the origin, and passes the rest on, split over its other edges; so all that is ever born of
//! a quota is what was asked for, rounded up at most once a host. The origin repeats only what
//! stayed unacknowledged after every answer must have come.
//!
//! Pure: messages go in and out as values. The medium may lose, repeat and reorder them; a
//! message seen twice (origin, epoch, class) has no second effect, and a host's own quota that
//! comes back to it has none at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::dice::Dice;
use crate::law::ClassId;
use crate::phenotype::HostId;

/// A quota travels over so many edges at most.
pub const TTL: u8 = 12;

/// Quotas remembered against repetition; the oldest are forgotten first.
pub const SEEN_MAX: usize = 65_536;

/// The most cells that one quota may ask for; more is refused as hostile.
pub const CELLS_MAX: f64 = 1_000_000.0;

/// Need on its way from host to host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    /// Who needs it.
    pub origin: HostId,
    /// The origin's count of its quotas.
    pub epoch: u64,
    /// Of which class.
    pub class: ClassId,
    /// How many cells.
    pub cells: f64,
    /// Edges that it may still cross.
    pub ttl: u8,
}

/// A host has taken over a part of a quota: anti-hormone for its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose quota.
    pub origin: HostId,
    /// Which.
    pub epoch: u64,
    /// Of which class.
    pub class: ClassId,
    /// Who took cells over.
    pub by: HostId,
    /// How many.
    pub cells: u32,
}

/// What a host is to send or do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// Send a quota over an edge.
    Forward(HostId, Quota),
    /// Send a receipt to its origin.
    Acknowledge(Receipt),
    /// Grow so many cells for others.
    Grow(ClassId, u32),
}

/// Need of this host that others are to meet.
#[derive(Debug)]
struct Wanted {
    epoch: u64,
    sent: Nanos,
    asked: f64,
    met: u32,
    heard: BTreeSet<HostId>,
}

/// The quotas of one host.
#[derive(Debug)]
pub struct Quotas {
    me: HostId,
    /// What is left of a quota after an edge.
    attenuation: f64,
    /// After this long every answer must be in.
    answers_in: Nanos,
    dice: Dice,
    epoch: u64,
    wanted: BTreeMap<ClassId, Wanted>,
    seen: BTreeMap<(HostId, u64, ClassId), Nanos>,
}

impl Quotas {
    /// The quotas of host `me`. `attenuation` is taken within 0.95 and 1; `edge` is the longest
    /// that a message may take over one edge.
    pub fn new(me: HostId, attenuation: f64, edge: Nanos, seed: u64) -> Self {
        let attenuation = if attenuation.is_finite() { attenuation.clamp(0.95, 1.0) } else { 1.0 };
        let answers_in = Nanos(edge.0.saturating_mul(2 * u64::from(TTL)));
        Self {
            me,
            attenuation,
            answers_in,
            dice: Dice::new(seed),
            epoch: 0,
            wanted: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// This host lacks `unmet` cells of `class` that it cannot make. Sends a quota unless one is
    /// on its way; then only what stayed unacknowledged, once every answer must be in.
    pub fn want(&mut self, now: Nanos, class: ClassId, unmet: f64, edges: &[HostId], out: &mut Vec<Output>) {
        if !(unmet >= 1.0 && unmet.is_finite()) || edges.is_empty() {
            return;
        }
        if self.wanted.get(&class).is_some_and(|wanted| now.since(wanted.sent) < self.answers_in) {
            return;
        }
        let asked = unmet.min(CELLS_MAX);
        self.epoch += 1;
        let wanted = Wanted { epoch: self.epoch, sent: now, asked, met: 0, heard: BTreeSet::new() };
        self.wanted.insert(class, wanted);
        let quota = Quota { origin: self.me, epoch: self.epoch, class, cells: asked, ttl: TTL };
        self.split(quota, None, edges, out);
    }

    /// A quota arrived over the edge to `from`; `room` is how many cells of the class this host
    /// could take over.
    pub fn receive(
        &mut self,
        now: Nanos,
        from: HostId,
        quota: Quota,
        room: u32,
        edges: &[HostId],
        out: &mut Vec<Output>,
    ) {
        let is_sane = quota.cells > 0.0 && quota.cells <= CELLS_MAX && quota.ttl <= TTL;
        if !is_sane || quota.origin == self.me || !self.is_new(now, &quota) {
            return;
        }
        let taken = self.dice.round(quota.cells).min(room);
        if taken > 0 {
            out.push(Output::Grow(quota.class, taken));
            let Quota { origin, epoch, class, .. } = quota;
            out.push(Output::Acknowledge(Receipt { origin, epoch, class, by: self.me, cells: taken }));
        }
        let rest = self.attenuation * (quota.cells - f64::from(taken));
        if rest > 0.0 && quota.ttl > 1 {
            let quota = Quota { cells: rest, ttl: quota.ttl - 1, ..quota };
            self.split(quota, Some(from), edges, out);
        }
    }

    /// A receipt arrived; returns the cells that it newly tells of.
    pub fn acknowledged(&mut self, receipt: Receipt) -> u32 {
        let Some(wanted) = self.wanted.get_mut(&receipt.class) else { return 0 };
        if receipt.origin != self.me || receipt.epoch != wanted.epoch || !wanted.heard.insert(receipt.by) {
            return 0;
        }
        wanted.met = wanted.met.saturating_add(receipt.cells);
        receipt.cells
    }

    /// Cells of `class` that others took over or may still take over: this host does not ask for
    /// them again.
    pub fn pending(&self, now: Nanos, class: ClassId) -> f64 {
        let Some(wanted) = self.wanted.get(&class) else { return 0.0 };
        let is_open = now.since(wanted.sent) < self.answers_in;
        if is_open { wanted.asked.max(f64::from(wanted.met)) } else { f64::from(wanted.met) }
    }

    /// Splits over all edges but the one it came from and the one to its origin; below one cell it
    /// goes whole over a random one.
    fn split(&mut self, quota: Quota, from: Option<HostId>, edges: &[HostId], out: &mut Vec<Output>) {
        let is_open = |edge: &&HostId| Some(**edge) != from && **edge != quota.origin && **edge != self.me;
        let open: Vec<HostId> = edges.iter().filter(is_open).copied().collect();
        if quota.cells < 1.0 {
            let at = self.dice.below(open.len() as u64) as usize;
            out.extend(open.get(at).map(|edge| Output::Forward(*edge, quota)));
            return;
        }
        let share = quota.cells / open.len().max(1) as f64;
        out.extend(open.into_iter().map(|edge| Output::Forward(edge, Quota { cells: share, ..quota })));
    }

    fn is_new(&mut self, now: Nanos, quota: &Quota) -> bool {
        if self.seen.len() >= SEEN_MAX {
            self.seen.retain(|_, at| now.since(*at) < self.answers_in);
        }
        // Full of fresh ones: refuse rather than answer twice. The origin repeats.
        let key = (quota.origin, quota.epoch, quota.class);
        self.seen.len() < SEEN_MAX && self.seen.insert(key, now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const CLASS: ClassId = ClassId(0);
    const EDGE: Nanos = Nanos::from_millis(10);

    /// Hosts in a random tree; whoever is asked has `room`.
    struct Net {
        hosts: Vec<Quotas>,
        edges: Vec<Vec<HostId>>,
        room: Vec<u32>,
        grown: u32,
    }

    impl Net {
        fn new(mothers: &[u32], room: u32) -> Self {
            let count = mothers.len() + 1;
            let mut edges = vec![Vec::new(); count];
            for (at, mother) in mothers.iter().enumerate() {
                let mother = *mother as usize % (at + 1);
                edges[at + 1].push(HostId(mother as u64));
                edges[mother].push(HostId(at as u64 + 1));
            }
            let hosts = (0..count).map(|at| Quotas::new(HostId(at as u64), 1.0, EDGE, at as u64)).collect();
            let mut room = vec![room; count];
            room[0] = 0;
            Self { hosts, edges, room, grown: 0 }
        }

        /// Delivers until all is quiet; each message `times` times. Returns the most hops.
        fn settle(&mut self, from: usize, first: Vec<Output>, times: usize) -> Result<u8, TestCaseError> {
            let mut queue: VecDeque<(usize, Output)> = first.into_iter().map(|out| (from, out)).collect();
            let mut hops = 0;
            while let Some((sender, message)) = queue.pop_front() {
                match message {
                    Output::Grow(_, cells) => {
                        self.grown += cells;
                        self.room[sender] -= cells;
                    }
                    Output::Acknowledge(receipt) => {
                        for _ in 0..times {
                            self.hosts[receipt.origin.0 as usize].acknowledged(receipt);
                        }
                    }
                    Output::Forward(to, quota) => {
                        prop_assert!(to != quota.origin, "I9: never back to its origin");
                        hops = hops.max(TTL + 1 - quota.ttl);
                        for _ in 0..times {
                            let at = to.0 as usize;
                            let mut out = Vec::new();
                            let edges = self.edges[at].clone();
                            self.hosts[at].receive(
                                Nanos(1),
                                HostId(sender as u64),
                                quota,
                                self.room[at],
                                &edges,
                                &mut out,
                            );
                            check_hop(sender, &quota, &out)?;
                            queue.extend(out.into_iter().map(|out| (at, out)));
                        }
                    }
                }
            }
            Ok(hops)
        }
    }

    /// I8 and I9 at one host.
    fn check_hop(sender: usize, received: &Quota, out: &[Output]) -> Result<(), TestCaseError> {
        let mut sum = 0.0;
        for output in out {
            match output {
                Output::Grow(_, cells) => sum += f64::from(*cells),
                Output::Acknowledge(_) => {}
                Output::Forward(to, quota) => {
                    prop_assert!(to.0 != sender as u64, "I9: nothing crosses an edge back");
                    prop_assert!(quota.ttl < received.ttl, "I8: ttl falls");
                    sum += quota.cells;
                }
            }
        }
        // What is taken is rounded, by less than one.
        prop_assert!(sum < received.cells + 1.0, "I8: {sum} of {}", received.cells);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// I8 and I9: on any tree, with every message delivered several times, no more is grown
        /// than was asked for and rounding up once a host allows, and nothing comes back.
        #[test]
        fn i8_i9_a_quota_is_split_and_never_copied(
            mothers in prop::collection::vec(any::<u32>(), 1..60), room in 0u32..5, need in 1.0f64..80.0, times in 1usize..4,
        ) {
            let mut net = Net::new(&mothers, room);
            let mut out = Vec::new();
            net.hosts[0].want(Nanos(0), CLASS, need, &net.edges[0].clone(), &mut out);
            net.settle(0, out, times)?;
            prop_assert!(f64::from(net.grown) <= need + net.hosts.len() as f64);
            prop_assert_eq!(net.hosts[0].wanted[&CLASS].met, net.grown);
        }
    }

    #[test]
    fn i8_a_hundred_hosts_place_what_one_lacks() {
        // A tree of three branches each: six edges deep at most.
        let mothers: Vec<u32> = (0..99).map(|at| at / 3).collect();
        let (mut grown, mut need) = (0, 0.0);
        for round in 0..20u64 {
            let mut net = Net::new(&mothers, 2);
            for host in &mut net.hosts {
                host.dice = Dice::new(host.me.0 + 1_000 * round);
            }
            let mut now = Nanos(0);
            // What stayed unacknowledged is asked for again.
            for _ in 0..4 {
                let left = 79.0 - f64::from(net.grown);
                let mut out = Vec::new();
                net.hosts[0].want(now, CLASS, left, &net.edges[0].clone(), &mut out);
                let hops = net.settle(0, out, 1).unwrap();
                assert!(hops <= TTL, "{hops}");
                now = now + Nanos(net.hosts[0].answers_in.0);
            }
            assert!(net.grown >= 79, "{}", net.grown);
            grown += net.grown;
            need += 79.0;
        }
        assert!(f64::from(grown) / need < 1.25, "{grown} for {need}");
    }

    #[test]
    fn the_origin_waits_for_every_answer_and_nonsense_is_dropped() {
        let mut quotas = Quotas::new(HostId(0), f64::NAN, EDGE, 1);
        let edges = [HostId(1), HostId(2)];
        let mut out = Vec::new();
        quotas.want(Nanos(0), CLASS, 4.0, &edges, &mut out);
        assert_eq!(out.len(), 2);
        quotas.want(Nanos(1), CLASS, 4.0, &edges, &mut out);
        assert_eq!((out.len(), quotas.pending(Nanos(1), CLASS)), (2, 4.0), "one is on its way");
        let receipt = Receipt { origin: HostId(0), epoch: 1, class: CLASS, by: HostId(1), cells: 2 };
        assert_eq!((quotas.acknowledged(receipt), quotas.acknowledged(receipt)), (2, 0));
        let after = Nanos(quotas.answers_in.0);
        assert_eq!(quotas.pending(after, CLASS), 2.0);
        quotas.want(after, CLASS, 2.0, &edges, &mut out);
        assert_eq!(out.len(), 4);
        for cells in [f64::NAN, -1.0, f64::INFINITY, 0.0, 2e6] {
            let mut got = Vec::new();
            let hostile = Quota { origin: HostId(9), epoch: 1, class: CLASS, cells, ttl: 5 };
            quotas.receive(Nanos(0), HostId(1), hostile, 10, &edges, &mut got);
            quotas.want(Nanos(1 << 50), ClassId(7), f64::NAN, &edges, &mut got);
            assert_eq!(got, []);
        }
    }
}
