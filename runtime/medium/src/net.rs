//! A network that is run from a seed: who may hear whom, when what arrives, and what is lost.
//!
//! Pure: the time is handed in and every draw comes from the seed, so that a test runs an hour of
//! it in a moment and a failing run comes back by its number. All that waits is bounded; what does
//! not fit is dropped and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::MESSAGE_MAX;

/// Messages that may be on their way to one host; more are dropped and counted.
const ON_THE_WAY_MAX: usize = 4_096;

/// A host's number on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Peer(pub u64);

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Who sent it.
    pub from: Peer,
    /// To whom.
    pub to: Peer,
    /// What.
    pub bytes: Bytes,
}

/// How links behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// The least that a message takes.
    pub least: Duration,
    /// The most that it takes; drawn evenly between, so that messages overtake each other.
    pub most: Duration,
    /// The share of messages that is lost, 0 to 1.
    pub loss: f64,
    /// The share of messages that arrives twice, 0 to 1.
    pub twice: f64,
}

impl Weather {
    /// One millisecond, nothing lost.
    pub const FAIR: Self =
        Self { least: Duration::from_millis(1), most: Duration::from_millis(1), loss: 0.0, twice: 0.0 };
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It is longer than [`MESSAGE_MAX`].
    TooLong,
    /// Nobody of that number is known, or the sender is not on the network any more.
    Unknown,
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "the message is longer than {MESSAGE_MAX} bytes"),
            Self::Unknown => f.write_str("nobody of that number is on the network"),
        }
    }
}

impl std::error::Error for SendError {}

/// What one host sent and got since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that it sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages that arrived at it, repeated ones included.
    pub arrived: u64,
    /// Their bytes.
    pub arrived_bytes: u64,
    /// Messages to it that the weather, a partition or its end took.
    pub lost: u64,
    /// Messages to it that were dropped because too many were on their way.
    pub dropped: u64,
}

/// One host on the network.
#[derive(Debug, Default)]
struct Stand {
    counts: Counts,
    /// What every message from and to it takes longer.
    slower: Duration,
    is_frozen: bool,
    is_gone: bool,
    /// Messages on their way to it, held ones included.
    coming: usize,
    /// What arrived at it while it was frozen, in order.
    held: Vec<Parcel>,
    /// What it would have sent meanwhile, in order.
    unsent: Vec<Parcel>,
}

/// The network between some hosts.
#[derive(Debug)]
pub struct Net {
    weather: Weather,
    draw: u64,
    stands: BTreeMap<Peer, Stand>,
    /// Which side each host is on; hosts that stand on none hear only each other.
    sides: BTreeMap<Peer, usize>,
    is_parted: bool,
    /// By arrival, and by a number that keeps apart what arrives at once.
    mail: BTreeMap<(Duration, u64), Parcel>,
    number: u64,
}

impl Net {
    /// A network without hosts. Shares outside 0 to 1 are taken as the nearest end.
    #[must_use]
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            draw: seed,
            stands: BTreeMap::new(),
            sides: BTreeMap::new(),
            is_parted: false,
            mail: BTreeMap::new(),
            number: 0,
        }
    }

    /// A host joins, or comes back with nothing on its way to it.
    pub fn join(&mut self, peer: Peer) {
        self.leave(peer);
        self.stands.insert(peer, Stand::default());
    }

    /// A host ends without a word: what is on its way to it is lost.
    pub fn leave(&mut self, peer: Peer) {
        self.mail.retain(|_, parcel| parcel.to != peer);
        if let Some(stand) = self.stands.get_mut(&peer) {
            stand.counts.lost = stand.counts.lost.saturating_add(stand.coming as u64);
            (stand.is_gone, stand.coming, stand.is_frozen) = (true, 0, false);
            (stand.held, stand.unsent) = (Vec::new(), Vec::new());
        }
    }

    /// All that joined, ascending, gone ones too.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.stands.keys().copied().collect()
    }

    /// Sends `bytes` at `now`.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    pub fn send(&mut self, now: Duration, parcel: Parcel) -> Result<(), SendError> {
        if parcel.bytes.len() > MESSAGE_MAX {
            return Err(SendError::TooLong);
        }
        let length = parcel.bytes.len() as u64;
        let knows_to = self.stands.contains_key(&parcel.to);
        let Some(from) = self.stands.get_mut(&parcel.from).filter(|stand| knows_to && !stand.is_gone) else {
            return Err(SendError::Unknown);
        };
        from.counts.sent = from.counts.sent.saturating_add(1);
        from.counts.sent_bytes = from.counts.sent_bytes.saturating_add(length);
        if from.is_frozen {
            // Its own bound: what a frozen host says is held like what it is told.
            if from.unsent.len() < ON_THE_WAY_MAX {
                from.unsent.push(parcel);
            } else {
                self.count(parcel.to, |counts| counts.dropped = counts.dropped.saturating_add(1));
            }
            return Ok(());
        }
        let twice = self.unit() < self.weather.twice;
        if twice {
            self.carry(now, parcel.clone());
        }
        self.carry(now, parcel);
        Ok(())
    }

    /// When the next message arrives.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.mail.keys().next().map(|(at, _)| *at)
    }

    /// Takes out what has arrived by `now`, in order.
    pub fn arrive(&mut self, now: Duration, out: &mut Vec<Parcel>) {
        while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= now) {
            let parcel = entry.remove();
            let is_cut = self.is_cut(parcel.from, parcel.to);
            let Some(stand) = self.stands.get_mut(&parcel.to) else { continue };
            if is_cut {
                stand.coming = stand.coming.saturating_sub(1);
                stand.counts.lost = stand.counts.lost.saturating_add(1);
            } else if stand.is_frozen {
                stand.held.push(parcel);
            } else {
                stand.coming = stand.coming.saturating_sub(1);
                stand.counts.arrived = stand.counts.arrived.saturating_add(1);
                stand.counts.arrived_bytes =
                    stand.counts.arrived_bytes.saturating_add(parcel.bytes.len() as u64);
                out.push(parcel);
            }
        }
    }

    /// Parts the network: hosts hear only those of their own side from now on, and what is on its
    /// way between sides is lost. A host that is named nowhere is on a side with all such.
    pub fn part(&mut self, sides: &[Vec<Peer>]) {
        self.is_parted = true;
        self.sides = sides
            .iter()
            .enumerate()
            .flat_map(|(side, peers)| peers.iter().map(move |p| (*p, side)))
            .collect();
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.is_parted = false;
        self.sides.clear();
    }

    /// Freezes a host: what it sends and gets from now on is held, within the bound.
    pub fn freeze(&mut self, peer: Peer) {
        if let Some(stand) = self.stands.get_mut(&peer) {
            stand.is_frozen = true;
        }
    }

    /// Thaws it at `now`: all that was held goes on its way.
    pub fn thaw(&mut self, now: Duration, peer: Peer) {
        let Some(stand) = self.stands.get_mut(&peer) else { return };
        stand.is_frozen = false;
        let (held, unsent) = (std::mem::take(&mut stand.held), std::mem::take(&mut stand.unsent));
        for parcel in held {
            self.number = self.number.wrapping_add(1);
            self.mail.insert((now, self.number), parcel);
        }
        for parcel in unsent {
            self.carry(now, parcel);
        }
    }

    /// Every message from and to `peer` takes this much longer from now on.
    pub fn slow(&mut self, peer: Peer, by: Duration) {
        if let Some(stand) = self.stands.get_mut(&peer) {
            stand.slower = by;
        }
    }

    /// How links behave from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// What a host sent and got; nothing for one that never joined.
    #[must_use]
    pub fn counts(&self, peer: Peer) -> Counts {
        self.stands.get(&peer).map(|stand| stand.counts).unwrap_or_default()
    }

    /// Whether a host is held still.
    #[must_use]
    pub fn is_frozen(&self, peer: Peer) -> bool {
        self.stands.get(&peer).is_some_and(|stand| stand.is_frozen)
    }

    /// Messages that are on their way, held ones included.
    #[must_use]
    pub fn on_the_way(&self) -> usize {
        self.mail.len()
            + self.stands.values().map(|stand| stand.held.len() + stand.unsent.len()).sum::<usize>()
    }

    /// The hosts that cannot hear each other now, as one number a host.
    #[must_use]
    pub fn sides(&self) -> Option<Vec<BTreeSet<Peer>>> {
        if !self.is_parted {
            return None;
        }
        let mut sides: BTreeMap<Option<usize>, BTreeSet<Peer>> = BTreeMap::new();
        for peer in self.stands.keys() {
            sides.entry(self.sides.get(peer).copied()).or_default().insert(*peer);
        }
        Some(sides.into_values().collect())
    }

    /// Puts one copy on its way, unless something takes it.
    fn carry(&mut self, now: Duration, parcel: Parcel) {
        let is_lost = self.unit() < self.weather.loss || self.is_cut(parcel.from, parcel.to);
        let spread = self.weather.most.saturating_sub(self.weather.least);
        let drawn = self.weather.least + spread.mul_f64(self.unit());
        let slower = |peer| self.stands.get(&peer).map_or(Duration::ZERO, |stand: &Stand| stand.slower);
        let arrives = now + drawn + slower(parcel.from) + slower(parcel.to);
        let Some(to) = self.stands.get_mut(&parcel.to) else { return };
        if is_lost || to.is_gone {
            to.counts.lost = to.counts.lost.saturating_add(1);
        } else if to.coming >= ON_THE_WAY_MAX {
            to.counts.dropped = to.counts.dropped.saturating_add(1);
        } else {
            to.coming += 1;
            self.number = self.number.wrapping_add(1);
            self.mail.insert((arrives, self.number), parcel);
        }
    }

    fn is_cut(&self, from: Peer, to: Peer) -> bool {
        self.is_parted && self.sides.get(&from) != self.sides.get(&to)
    }

    fn count(&mut self, peer: Peer, change: impl FnOnce(&mut Counts)) {
        if let Some(stand) = self.stands.get_mut(&peer) {
            change(&mut stand.counts);
        }
    }

    /// A number in `[0, 1)` (splitmix64).
    fn unit(&mut self) -> f64 {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.draw;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LATE: Duration = Duration::from_secs(3_600);

    fn net(hosts: u64, weather: Weather, seed: u64) -> Net {
        let mut net = Net::new(weather, seed);
        (0..hosts).for_each(|host| net.join(Peer(host)));
        net
    }

    fn parcel(from: u64, to: u64, what: u32) -> Parcel {
        Parcel { from: Peer(from), to: Peer(to), bytes: Bytes::copy_from_slice(&what.to_be_bytes()) }
    }

    fn all(net: &mut Net, by: Duration) -> Vec<Parcel> {
        let mut out = Vec::new();
        net.arrive(by, &mut out);
        out
    }

    fn weather() -> impl Strategy<Value = Weather> {
        (0u64..50, 0u64..50, 0.0f64..1.0, 0.0f64..1.0).prop_map(|(least, more, loss, twice)| Weather {
            least: Duration::from_millis(least),
            most: Duration::from_millis(least + more),
            loss,
            twice,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Nothing arrives that was not sent, nothing more than twice, nothing before its time or
        /// across a cut; and every copy is somewhere: arrived, lost, dropped or on its way.
        #[test]
        fn what_arrives_was_sent_and_every_copy_is_accounted_for(
            weather in weather(),
            seed: u64,
            steps in prop::collection::vec((0u64..5, 0u64..5, 0u64..20, 0u8..12), 1..200),
        ) {
            let mut net = net(5, weather, seed);
            let (mut now, mut sent, mut arrived) = (Duration::ZERO, BTreeMap::new(), BTreeMap::new());
            let mut frozen = BTreeSet::new();
            for (number, (from, to, wait, deed)) in steps.into_iter().enumerate() {
                now += Duration::from_millis(wait);
                match deed {
                    0 => net.part(&[vec![Peer(0), Peer(1)], vec![Peer(2)]]),
                    1 => net.heal(),
                    2 => { net.freeze(Peer(from)); frozen.insert(from); }
                    3 => { net.thaw(now, Peer(from)); frozen.remove(&from); }
                    4 => net.slow(Peer(from), Duration::from_millis(wait)),
                    _ => {
                        let parcel = parcel(from, to, number as u32);
                        prop_assert_eq!(net.send(now, parcel.clone()), Ok(()));
                        sent.insert(parcel.bytes.clone(), (parcel, now));
                    }
                }
                for got in all(&mut net, now) {
                    let (was, at) = sent.get(&got.bytes).expect("it was sent");
                    prop_assert_eq!(was, &got);
                    prop_assert!(now >= *at + weather.least);
                    prop_assert!(!frozen.contains(&got.to.0));
                    let copies = arrived.entry(got.bytes).or_insert(0);
                    *copies += 1;
                    prop_assert!(*copies <= 2);
                }
            }
            let counts: Vec<Counts> = net.peers().into_iter().map(|peer| net.counts(peer)).collect();
            let ends: u64 = counts.iter().map(|c| c.arrived + c.lost + c.dropped).sum();
            let begun: u64 = counts.iter().map(|c| c.sent).sum();
            let total = ends + net.on_the_way() as u64;
            prop_assert!((begun..=2 * begun).contains(&total), "{total} of {begun}");
        }

        /// In fair weather everything arrives once, within the longest delay.
        #[test]
        fn in_fair_weather_everything_arrives(seed: u64, count in 1u32..200) {
            let calm = Weather { most: Duration::from_millis(20), ..Weather::FAIR };
            let mut net = net(3, calm, seed);
            for what in 0..count {
                net.send(Duration::ZERO, parcel(0, 1 + u64::from(what % 2), what)).unwrap();
            }
            prop_assert_eq!(all(&mut net, calm.most).len(), count as usize);
            prop_assert_eq!(net.next(), None);
        }

        /// The same seed gives the same network.
        #[test]
        fn a_seed_replays(weather in weather(), seed: u64) {
            let run = || {
                let mut net = net(4, weather, seed);
                for what in 0..100 {
                    net.send(Duration::from_millis(what), parcel(what % 4, what % 3, what as u32)).unwrap();
                }
                all(&mut net, LATE)
            };
            prop_assert_eq!(run(), run());
        }
    }

    #[test]
    fn parted_sides_hear_nothing_of_each_other_and_what_was_between_them_is_lost() {
        let mut net = net(4, Weather::FAIR, 1);
        net.send(Duration::ZERO, parcel(0, 2, 0)).unwrap();
        net.part(&[vec![Peer(0), Peer(1)]]);
        for (from, to) in [(0, 1), (2, 3), (0, 2), (3, 1)] {
            net.send(Duration::ZERO, parcel(from, to, 1)).unwrap();
        }
        let got: Vec<_> = all(&mut net, LATE).iter().map(|p| (p.from.0, p.to.0)).collect();
        assert_eq!(got, [(0, 1), (2, 3)]);
        assert_eq!((net.counts(Peer(2)).lost, net.counts(Peer(1)).lost), (2, 1));
        assert_eq!(net.sides().unwrap().len(), 2);
        net.heal();
        net.send(LATE, parcel(3, 1, 2)).unwrap();
        assert_eq!(all(&mut net, 2 * LATE).len(), 1);
    }

    #[test]
    fn a_frozen_host_gets_and_says_everything_later_and_a_dead_one_never() {
        let mut net = net(3, Weather::FAIR, 1);
        net.freeze(Peer(1));
        net.send(Duration::ZERO, parcel(0, 1, 0)).unwrap();
        net.send(Duration::ZERO, parcel(1, 0, 1)).unwrap();
        assert!(all(&mut net, LATE).is_empty() && net.is_frozen(Peer(1)));
        net.thaw(LATE, Peer(1));
        assert_eq!(all(&mut net, 2 * LATE).len(), 2);
        net.leave(Peer(1));
        net.send(LATE, parcel(0, 1, 2)).unwrap();
        assert_eq!(net.send(LATE, parcel(1, 0, 3)), Err(SendError::Unknown));
        assert_eq!(net.send(LATE, parcel(0, 7, 3)), Err(SendError::Unknown));
        assert!(all(&mut net, 3 * LATE).is_empty());
        assert_eq!(net.counts(Peer(1)).lost, 1);
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let mut net = net(2, Weather::FAIR, 1);
        for what in 0..ON_THE_WAY_MAX as u32 + 5 {
            net.send(Duration::ZERO, parcel(0, 1, what)).unwrap();
        }
        assert_eq!(net.counts(Peer(1)).dropped, 5);
        assert_eq!(all(&mut net, LATE).len(), ON_THE_WAY_MAX);
        net.freeze(Peer(0));
        for what in 0..ON_THE_WAY_MAX as u32 + 5 {
            net.send(Duration::ZERO, parcel(0, 1, what)).unwrap();
        }
        assert_eq!(net.counts(Peer(1)).dropped, 10);
        let long = Parcel { bytes: Bytes::from(vec![0; MESSAGE_MAX + 1]), ..parcel(1, 0, 0) };
        assert_eq!(net.send(Duration::ZERO, long), Err(SendError::TooLong));
    }
}
