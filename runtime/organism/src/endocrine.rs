//! How hormones arise and travel within one class on one host.
//!
//! Every cell reports its felt load over its target load; a committed cell reports 0 with full
//! weight, a draining one nothing. So the signed sum of all reports is the deficit in cells, and
//! pending cells keep everybody from answering the same need twice. Reports are **averaged** over
//! mother-daughter edges, attenuated by `alpha` an edge: an opinion, which can never leave the
//! range of what was reported.
//!
//! Two passes over the tree and O(n), delivered within the tick: one tick of delay for each hop
//! would turn 16 % overshoot into 118-180 %. Sums are only ever made of parts that are added, in
//! an order that never changes; nothing is subtracted, so a range holds to the last bit and more
//! load never feels like less.

use serde::{Deserialize, Serialize};

use crate::constants::{ADVICE_MAX, RELEASE_WEIGHT};
use crate::family::{Member, Phase};

/// A pair of reports (fast and slow) and what they weigh, summed over what arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Packet {
    pub(crate) fast: f64,
    pub(crate) slow: f64,
    pub(crate) weight: f64,
}

impl Packet {
    /// A report of `fast` and `slow` that weighs `weight`.
    pub(crate) fn new(fast: f64, slow: f64, weight: f64) -> Self {
        Self { fast: fast * weight, slow: slow * weight, weight }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            fast: self.fast + other.fast,
            slow: self.slow + other.slow,
            weight: self.weight + other.weight,
        }
    }

    fn times(self, alpha: f64) -> Self {
        Self { fast: self.fast * alpha, slow: self.slow * alpha, weight: self.weight * alpha }
    }
}

/// What a cell feels of the others: averages of their `report - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Felt {
    /// `F_i`: the deficit that asks for growth, in cells for each cell.
    pub fast: f64,
    /// `S_i`: the same over a longer time; guards against dying in a lull.
    pub slow: f64,
    /// What the reports weighed that arrived; 0 for a cell that is alone and hears itself.
    pub weight: f64,
}

/// A hormone that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// Not a number, or beyond the range of a report.
    #[error("the strength must be from -1 to the most that a cell may report")]
    Strength,
    /// One a tick and cell; there was one.
    #[error("this cell released a hormone in this tick already")]
    TooOften,
    /// No such cell here, or it does not serve.
    #[error("no serving cell holds this place")]
    NoCell,
}

/// What makes a report of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// The load of one cell at which it reports 1: `C * u(n)`, in slots.
    pub(crate) target: f64,
    /// `1 + s_max`.
    pub(crate) clamp: f64,
    /// A neuron's advice, as a factor on the demand.
    pub(crate) bias: f64,
    /// Whether the queue is felt: then the load counts as it is and not as it was on average.
    pub(crate) is_felt: bool,
    /// The part of the queue that each cell feels, in slots.
    pub(crate) queue: f64,
}

impl Scale {
    fn report(&self, load: f64) -> f64 {
        (load * self.bias / self.target).min(self.clamp)
    }

    /// The load of one ready cell, bounded where a report would be clamped anyway, so that what
    /// is remembered of one cell is bounded too.
    pub(crate) fn load(&self, member: &Member, slots: u32) -> f64 {
        let most = self.clamp * f64::from(slots);
        (f64::from(member.reading.inflight) + self.queue).min(most)
    }

    /// What one member reports, fast and slow, with its weight.
    pub(crate) fn own(&self, member: &Member, slots: u32) -> Packet {
        match member.reading.phase {
            Phase::Draining => Packet::default(),
            Phase::Pending => Packet::new(0.0, 0.0, 1.0),
            Phase::Ready => {
                let load = if self.is_felt { self.load(member, slots) } else { member.fast };
                let own = Packet::new(self.report(load), self.report(member.slow), 1.0);
                match member.released {
                    None => own,
                    Some(strength) => own.plus(Packet::new(1.0 + strength, 1.0 + strength, RELEASE_WEIGHT)),
                }
            }
        }
    }
}

/// A strength that a guest or an operator may release: a number from -1 to `report_max`.
pub(crate) fn check_strength(strength: f64, report_max: f64) -> Result<f64, ReleaseError> {
    // A comparison with what is not a number is false.
    if (-1.0..=report_max).contains(&strength) { Ok(strength) } else { Err(ReleaseError::Strength) }
}

/// A neuron's advice as a factor, no further from 1 than advice may go.
pub(crate) fn check_bias(bias: f64) -> f64 {
    if bias.is_finite() { bias.clamp(1.0 - ADVICE_MAX, 1.0 + ADVICE_MAX) } else { 1.0 }
}

/// One node of the tree while hormones travel.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    own: Packet,
    mother: u32,
    /// From all daughters.
    below: Packet,
    /// From the sisters that come later, and from those that came before.
    later: Packet,
    earlier: Packet,
    /// From the mother.
    above: Packet,
}

/// The hormones of one class: filled, spread, read. Keeps its space from run to run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Endocrine {
    #[serde(skip)]
    nodes: Vec<Node>,
    felt: Vec<Felt>,
}

impl Endocrine {
    /// What each member felt at the last [`Endocrine::spread`], in order of the members.
    pub(crate) fn felt(&self) -> &[Felt] {
        &self.felt
    }

    /// Takes in every member's report and the operator's word, which every cell hears as if it
    /// stood beside it.
    pub(crate) fn gather(&mut self, members: &[Member], own: impl Fn(&Member) -> Packet) {
        self.nodes.clear();
        let nodes =
            members.iter().map(|member| Node { own: own(member), mother: member.mother, ..Node::default() });
        self.nodes.extend(nodes);
    }

    /// Delivers every report to everybody along the edges, `alpha` left after each.
    pub(crate) fn spread(&mut self, alpha: f64, word: Packet) {
        self.rise(alpha);
        self.fall(alpha);
        self.felt.clear();
        self.felt.extend(self.nodes.iter().map(|node| hear(node.own, node.below.plus(node.above), word)));
    }

    /// Everybody hears the exact average of all: what a centre that sees everything would say.
    pub(crate) fn proclaim(&mut self, word: Packet) {
        let all = self.nodes.iter().fold(Packet::default(), |sum, node| sum.plus(node.own));
        self.felt.clear();
        self.felt.extend(self.nodes.iter().map(|node| hear(node.own, all, word)));
    }

    /// From the youngest to the first: each sends its mother what it and its daughters say.
    fn rise(&mut self, alpha: f64) {
        for at in (1..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get(at).copied() else { continue };
            let message = node.own.plus(node.below.times(alpha));
            let Some(mother) = self.nodes.get_mut(node.mother as usize) else { continue };
            let later = mother.below;
            mother.below = later.plus(message);
            if let Some(node) = self.nodes.get_mut(at) {
                node.later = later;
            }
        }
    }

    /// From the first to the youngest: each hears from its mother what she, her mother and her
    /// other daughters say.
    fn fall(&mut self, alpha: f64) {
        for at in 1..self.nodes.len() {
            let Some(node) = self.nodes.get(at).copied() else { continue };
            let message = node.own.plus(node.below.times(alpha));
            let Some(mother) = self.nodes.get_mut(node.mother as usize) else { continue };
            let others = mother.earlier.plus(node.later).plus(mother.above);
            mother.earlier = mother.earlier.plus(message);
            let above = mother.own.plus(others.times(alpha));
            if let Some(node) = self.nodes.get_mut(at) {
                node.above = above;
            }
        }
    }
}

fn hear(own: Packet, others: Packet, word: Packet) -> Felt {
    let heard = others.plus(word);
    // Alone: its own report. A weight that underflowed says nothing any more either.
    if heard.weight > f64::MIN_POSITIVE {
        let Packet { fast, slow, weight } = heard;
        return Felt { fast: fast / weight - 1.0, slow: slow / weight - 1.0, weight };
    }
    if own.weight > 0.0 {
        return Felt { fast: own.fast / own.weight - 1.0, slow: own.slow / own.weight - 1.0, weight: 0.0 };
    }
    Felt::default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Nanos;
    use crate::family::{NOBODY, Reading};
    use crate::lineage::Niche;

    fn member(at: usize, mother: u32, report: f64, weightless: bool) -> Member {
        let phase = if weightless { Phase::Draining } else { Phase::Ready };
        let reading =
            Reading { niche: Niche(at as u64 + 1), mother: None, phase, inflight: 0, since: Nanos(0) };
        Member { reading, mother, fast: report, slow: report / 2.0, divided: None, released: None }
    }

    /// A random tree: the mother of each stands before it.
    fn tree() -> impl Strategy<Value = Vec<Member>> {
        prop::collection::vec((any::<u32>(), 0.0f64..2.0, prop::bool::weighted(0.15)), 1..60).prop_map(
            |rows| {
                let rows = rows.into_iter().enumerate();
                rows.map(|(at, (mother, report, weightless))| {
                    let mother = if at == 0 { NOBODY } else { mother % at as u32 };
                    member(at, mother, report, weightless)
                })
                .collect()
            },
        )
    }

    const SCALE: Scale = Scale { target: 1.0, clamp: 2.0, bias: 1.0, is_felt: false, queue: 0.0 };

    fn feel(members: &[Member], alpha: f64) -> Vec<Felt> {
        let mut endocrine = Endocrine::default();
        endocrine.gather(members, |member| SCALE.own(member, 1));
        endocrine.spread(alpha, Packet::default());
        endocrine.felt().to_vec()
    }

    fn path(members: &[Member], mut at: usize) -> Vec<usize> {
        let mut path = vec![at];
        while members[at].mother != NOBODY {
            at = members[at].mother as usize;
            path.push(at);
        }
        path
    }

    fn distance(members: &[Member], a: usize, b: usize) -> i32 {
        let (a, b) = (path(members, a), path(members, b));
        let shared = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        (a.len() + b.len() - 2 * shared) as i32
    }

    /// Weight and value of what `i` hears, straight from the definition.
    fn direct(members: &[Member], alpha: f64, i: usize) -> (f64, f64) {
        let others = (0..members.len()).filter(|j| *j != i && members[*j].is_ready());
        others.fold((0.0, 0.0), |(value, weight), j| {
            let w = libm::pow(alpha, f64::from(distance(members, i, j) - 1));
            (value + w * members[j].fast, weight + w)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// I3: two passes are the direct sum over distances, and what is felt stays between the
        /// least and the greatest report of the others.
        #[test]
        fn i3_spread_is_the_direct_sum_and_stays_in_range(members in tree(), alpha in 0.5f64..=1.0) {
            let felt = feel(&members, alpha);
            for (i, felt) in felt.iter().enumerate() {
                let others = || (0..members.len()).filter(|j| *j != i && members[*j].is_ready());
                if others().next().is_none() {
                    prop_assert_eq!(felt.weight, 0.0);
                    let own = if members[i].is_ready() { members[i].fast - 1.0 } else { 0.0 };
                    prop_assert_eq!(felt.fast, own);
                    continue;
                }
                let (value, weight) = direct(&members, alpha, i);
                prop_assert!((felt.fast - (value / weight - 1.0)).abs() < 1e-9);
                let least = others().map(|j| members[j].fast).fold(f64::MAX, f64::min) - 1.0;
                let greatest = others().map(|j| members[j].fast).fold(f64::MIN, f64::max) - 1.0;
                prop_assert!(felt.fast >= least - 1e-12 && felt.fast <= greatest + 1e-12);
                prop_assert!((-1.0..=1.0).contains(&felt.fast));
            }
        }

        /// I6: raising a report lowers what nobody feels, to the last bit.
        #[test]
        fn i6_raising_a_report_lowers_nothing(members in tree(), alpha in 0.5f64..=1.0, at: prop::sample::Index, by in 0.0f64..1.0) {
            let before = feel(&members, alpha);
            let mut raised = members.clone();
            let at = at.index(members.len());
            raised[at].fast = (raised[at].fast + by).min(2.0);
            for (before, after) in before.iter().zip(feel(&raised, alpha)) {
                prop_assert!(after.fast >= before.fast);
            }
        }

        /// I7: one report moves what another feels by no more than its weight there.
        #[test]
        fn i7_influence_is_bounded_by_weight(members in tree(), alpha in 0.5f64..=1.0, at: prop::sample::Index, to in 0.0f64..=2.0) {
            let at = at.index(members.len());
            let before = feel(&members, alpha);
            let mut lying = members.clone();
            lying[at].fast = to;
            let after = feel(&lying, alpha);
            for i in (0..members.len()).filter(|i| *i != at && members[at].is_ready()) {
                let (_, weight) = direct(&members, alpha, i);
                let share = libm::pow(alpha, f64::from(distance(&members, i, at) - 1)) / weight;
                prop_assert!((after[i].fast - before[i].fast).abs() <= 2.0 * share + 1e-12);
            }
        }
    }

    #[test]
    fn a_guests_release_weighs_a_quarter_and_nonsense_is_refused() {
        let mut members = [member(0, NOBODY, 1.0, false), member(1, 0, 1.0, false)];
        members[1].released = Some(1.0);
        let felt = feel(&members, 0.9);
        assert!((felt[0].fast - 0.25 / 1.25).abs() < 1e-12, "{felt:?}");
        for nonsense in [f64::NAN, f64::INFINITY, -1.1, 1.1, -f64::INFINITY] {
            assert_eq!(check_strength(nonsense, 1.0), Err(ReleaseError::Strength));
        }
        assert_eq!((check_bias(f64::NAN), check_bias(9.0), check_bias(-3.0)), (1.0, 1.25, 0.75));
    }

    #[test]
    fn a_chain_of_ten_thousand_neither_overflows_nor_fades() {
        let members: Vec<Member> =
            (0..10_000).map(|at| member(at, (at as u32).wrapping_sub(1), 1.5, false)).collect();
        assert!(feel(&members, 0.5).iter().all(|felt| (felt.fast - 0.5).abs() < 1e-9));
    }
}
