//! Who of several hosts expresses a gene that nobody has: claims instead of a leader.
//!
//! Every so often a host looks at what is missing and unclaimed and claims a random part of it.
//! A claim carries a score; after a window of two message delays the claimant acts if the gene is
//! still missing and no better claim lives, and then says `have`. Two claimants always hear each
//! other before either acts, so without loss nobody starts what another starts. With loss both
//! may; then both say `have` again and again, and the weaker of the two retires its copy.
//!
//! Pure: messages go in and out as values, the draw of the moment comes from a seed, scores from
//! a key of the organism. Losing messages changes views and never kills the last copy.

use std::collections::{BTreeMap, BTreeSet};

use cyte_dna::GeneName;
use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::dice::{Dice, Key};
use crate::phenotype::HostId;

/// Pieces that one host keeps account of.
pub const PIECES_MAX: usize = 4_096;

/// Mean time between two looks at what is missing; each is drawn from half to one and a half.
pub const PERIOD: Nanos = Nanos::from_millis(200);

/// An owner says `have` so often; a copy not heard of for two of them is missing.
pub const MEMBERSHIP: Nanos = Nanos::from_millis(1_000);

/// One cell that is wanted somewhere: the first, second, ... copy of a gene.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// Of which gene.
    pub gene: GeneName,
    /// Which copy, from 0.
    pub copy: u16,
}

/// How a host stands beside the others, for how much it takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Hosts that are believed alive, this one included.
    pub hosts: u32,
    /// This host's free capacity, in thousandths.
    pub free_permille: u32,
    /// What a living host has free on average, in thousandths.
    pub mean_permille: u32,
}

impl Standing {
    /// This host's part of the work beside an even share: 1 where it is as free as the others, at
    /// most 4. Where nobody has anything free all are alike.
    fn weight(&self) -> f64 {
        if self.mean_permille == 0 {
            return 1.0;
        }
        (f64::from(self.free_permille) / f64::from(self.mean_permille)).min(4.0)
    }
}

/// What hosts tell each other about genes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// I will start it unless somebody better does.
    Claim {
        /// Which piece.
        piece: Piece,
        /// How good the claimant is: its luck, scaled by its free capacity.
        score: u64,
    },
    /// It lives here.
    Have(Piece),
}

/// What a host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell all other hosts.
    Tell(Message),
    /// Start a copy.
    Start(Piece),
    /// End the copy: a stronger owner has it too.
    Retire(Piece),
}

/// What a host knows of one piece.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Its own claim: when it was made, and its score.
    claimed: Option<(Nanos, u64)>,
    /// The best claim of another, and until when it lives.
    rival: Option<(u64, HostId, Nanos)>,
    /// Another owner, and until when it is believed.
    owner: Option<(HostId, Nanos)>,
    is_mine: bool,
    /// This host gave it up and does not claim it before.
    rests: Option<Nanos>,
}

impl Known {
    /// Whether it lives somewhere, as far as is known.
    fn is_had(&self, now: Nanos) -> bool {
        self.is_mine || self.owner.is_some_and(|(_, until)| until > now)
    }
}

/// The claims of one host.
#[derive(Debug)]
pub struct Claims {
    me: HostId,
    key: Key,
    window: Nanos,
    dice: Dice,
    pieces: BTreeMap<Piece, Known>,
    next_look: Nanos,
    next_have: Nanos,
}

impl Claims {
    /// The claims of host `me`, started at `now`. `delay` is the longest that a message may take;
    /// the window is twice that.
    pub fn new(me: HostId, key: Key, delay: Nanos, now: Nanos, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let window = Nanos(delay.0.saturating_mul(2));
        let next_look = now + pause(&mut dice);
        Self { me, key, window, dice, pieces: BTreeMap::new(), next_look, next_have: now + MEMBERSHIP }
    }

    /// Looks at the clock. `wanted` are the pieces that should each live once, `standing` is how
    /// much of what is missing this host takes on.
    pub fn tick(&mut self, now: Nanos, wanted: &BTreeSet<Piece>, standing: Standing, out: &mut Vec<Output>) {
        self.pieces.retain(|piece, _| wanted.contains(piece));
        self.decide(now, out);
        if now >= self.next_have {
            self.next_have = now + MEMBERSHIP;
            let mine = self.pieces.iter().filter(|(_, known)| known.is_mine);
            out.extend(mine.map(|(piece, _)| Output::Tell(Message::Have(piece.clone()))));
        }
        if now >= self.next_look {
            self.next_look = now + pause(&mut self.dice);
            self.claim(now, wanted, standing, out);
        }
    }

    /// A message of host `from` arrived. It is remembered also of a gene that this host has not
    /// looked for yet, or a claim that came before the first look would be overheard and started
    /// twice; what turns out not to be wanted is forgotten at the next tick.
    pub fn hear(&mut self, now: Nanos, from: HostId, message: &Message, out: &mut Vec<Output>) {
        let (Message::Claim { piece, .. } | Message::Have(piece)) = message;
        if from == self.me || (self.pieces.len() >= PIECES_MAX && !self.pieces.contains_key(piece)) {
            return;
        }
        match message {
            Message::Claim { piece, score } => {
                let (score, window) = (*score, self.window);
                let known = self.pieces.entry(piece.clone()).or_default();
                if known.is_mine {
                    out.push(Output::Tell(Message::Have(piece.clone())));
                    return;
                }
                let until = now + Nanos(window.0.saturating_mul(2));
                let is_better = known
                    .rival
                    .is_none_or(|(best, host, until)| until <= now || (score, from) >= (best, host));
                if is_better {
                    known.rival = Some((score, from, until));
                }
            }
            Message::Have(piece) => self.other_has(now, from, piece, out),
        }
    }

    /// A host is gone: what it had is missing, what it claimed is free.
    pub fn gone(&mut self, host: HostId) {
        for known in self.pieces.values_mut() {
            known.owner = known.owner.filter(|(owner, _)| *owner != host);
            known.rival = known.rival.filter(|(_, rival, _)| *rival != host);
        }
    }

    /// This host cannot start it after all, and does not claim it before `until`.
    pub fn give_up(&mut self, piece: &Piece, until: Nanos) {
        if let Some(known) = self.pieces.get_mut(piece) {
            (known.is_mine, known.claimed, known.rests) = (false, None, Some(until));
        }
    }

    /// Host `from` cannot start it after all: it is missing, unless another has it.
    pub fn given_up(&mut self, from: HostId, piece: &Piece) {
        if let Some(known) = self.pieces.get_mut(piece) {
            known.owner = known.owner.filter(|(owner, _)| *owner != from);
            known.rival = known.rival.filter(|(_, rival, _)| *rival != from);
        }
    }

    /// Whether this host has the gene.
    pub fn is_mine(&self, piece: &Piece) -> bool {
        self.pieces.get(piece).is_some_and(|known| known.is_mine)
    }

    /// All that this host has, ascending.
    pub fn mine(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|(_, known)| known.is_mine).map(|(piece, _)| piece)
    }

    /// When the clock matters next.
    pub fn next_deadline(&self) -> Nanos {
        let claims = self.pieces.values().filter_map(|known| known.claimed);
        let acts = claims.map(|(at, _)| at + self.window);
        acts.fold(self.next_look.min(self.next_have), Nanos::min)
    }

    fn other_has(&mut self, now: Nanos, from: HostId, piece: &Piece, out: &mut Vec<Output>) {
        let is_stronger = self.strength(self.me, piece) > self.strength(from, piece);
        let known = self.pieces.entry(piece.clone()).or_default();
        known.claimed = None;
        if known.is_mine && is_stronger {
            // The other hears this and retires.
            out.push(Output::Tell(Message::Have(piece.clone())));
            return;
        }
        if known.is_mine {
            known.is_mine = false;
            out.push(Output::Retire(piece.clone()));
        }
        known.owner = Some((from, now + Nanos(2 * MEMBERSHIP.0)));
    }

    /// Claims whose window is over: act or give way.
    fn decide(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let (me, window) = (self.me, self.window);
        for (piece, known) in &mut self.pieces {
            let Some((at, score)) = known.claimed.filter(|(at, _)| now >= *at + window) else { continue };
            known.claimed = None;
            let is_beaten = known.rival.is_some_and(|(rival, host, until)| {
                // It lived when the claim was made or came in within the window.
                until > at + window && (rival, host) > (score, me)
            });
            if !is_beaten && !known.is_had(now) {
                known.is_mine = true;
                out.push(Output::Start(piece.clone()));
                out.push(Output::Tell(Message::Have(piece.clone())));
            }
        }
    }

    fn claim(&mut self, now: Nanos, wanted: &BTreeSet<Piece>, standing: Standing, out: &mut Vec<Output>) {
        let mut open: Vec<&Piece> = Vec::new();
        for piece in wanted {
            let known = self.pieces.entry(piece.clone()).or_default();
            let is_claimed = known.claimed.is_some() || known.rival.is_some_and(|(.., until)| until > now);
            let rests = known.rests.is_some_and(|until| until > now);
            if !known.is_had(now) && !is_claimed && !rests {
                open.push(piece);
            }
        }
        let (missing, hosts) = (open.len() as u64, u64::from(standing.hosts.max(1)));
        let weight = standing.weight();
        let share = missing as f64 / hosts as f64 * weight;
        let count = if missing < hosts {
            u64::from(self.dice.unit() * (hosts as f64) < 4.0 * missing as f64 * weight)
        } else if weight < 1.0 {
            // A host with little free claims nothing at times; others come sooner then.
            u64::from(self.dice.round(share))
        } else {
            share.ceil() as u64
        };
        for _ in 0..count.min(missing) {
            let at = self.dice.below(open.len() as u64) as usize;
            if at >= open.len() {
                break;
            }
            let piece = open.swap_remove(at);
            let luck = self.strength(self.me, piece) >> 32;
            let score = luck.saturating_mul(u64::from(standing.free_permille.min(1_000)));
            if let Some(known) = self.pieces.get_mut(piece) {
                known.claimed = Some((now, score));
                out.push(Output::Tell(Message::Claim { piece: piece.clone(), score }));
            }
        }
    }

    /// The same for all hosts that hold the organism's key, and different for each host and piece.
    fn strength(&self, host: HostId, piece: &Piece) -> u64 {
        let mut words = vec![host.0, u64::from(piece.copy)];
        for chunk in piece.gene.as_str().as_bytes().chunks(8) {
            words.push(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        self.key.hash(&words)
    }
}

/// The time to the next look.
fn pause(dice: &mut Dice) -> Nanos {
    Nanos(PERIOD.0 / 2 + dice.below(PERIOD.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn piece(at: usize) -> Piece {
        Piece { gene: format!("gene-{}", at / 2).parse().unwrap(), copy: (at % 2) as u16 }
    }

    const DELAY: Nanos = Nanos::from_millis(10);

    /// Hosts with a network between them that loses, repeats and delays.
    struct Net {
        now: Nanos,
        hosts: Vec<Claims>,
        is_up: Vec<bool>,
        free: Vec<u32>,
        wanted: BTreeSet<Piece>,
        /// Messages by arrival and a number that keeps them apart.
        mail: BTreeMap<(Nanos, u64), (usize, usize, Message)>,
        sent: u64,
        dice: Dice,
        loss: f64,
        is_parted: bool,
        starts: BTreeMap<Piece, u32>,
    }

    impl Net {
        fn new(hosts: usize, genes: usize, seed: u64) -> Self {
            let key = Key::new([seed, 7]);
            let hosts: Vec<Claims> = (0..hosts)
                .map(|at| Claims::new(HostId(at as u64), key, DELAY, Nanos(0), seed ^ (at as u64) << 8))
                .collect();
            Self {
                now: Nanos(0),
                is_up: vec![true; hosts.len()],
                free: vec![500; hosts.len()],
                hosts,
                wanted: (0..genes).map(piece).collect(),
                mail: BTreeMap::new(),
                sent: 0,
                dice: Dice::new(seed),
                loss: 0.0,
                is_parted: false,
                starts: BTreeMap::new(),
            }
        }

        fn run(&mut self, span: Nanos) {
            let end = self.now + span;
            loop {
                let mail = self.mail.keys().next().map(|(at, _)| *at);
                let up = self.hosts.iter().zip(&self.is_up).filter(|(_, up)| **up);
                let tick = up.map(|(host, _)| host.next_deadline()).min();
                let next = mail.into_iter().chain(tick).min().unwrap_or(end);
                if next > end {
                    break;
                }
                self.now = next;
                // What arrives at an instant is heard before the clock of that instant.
                while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= next) {
                    let (from, to, message) = entry.remove();
                    let mut out = Vec::new();
                    if self.is_up[to] {
                        self.hosts[to].hear(next, HostId(from as u64), &message, &mut out);
                    }
                    self.perform(to, out);
                }
                for at in 0..self.hosts.len() {
                    if self.is_up[at] && self.hosts[at].next_deadline() <= next {
                        let mut out = Vec::new();
                        let count = self.is_up.iter().filter(|up| **up).count() as u32;
                        let free_permille = self.free[at];
                        let standing = Standing { hosts: count, free_permille, mean_permille: self.mean() };
                        self.hosts[at].tick(next, &self.wanted, standing, &mut out);
                        self.perform(at, out);
                    }
                }
            }
            self.now = end;
        }

        fn perform(&mut self, at: usize, out: Vec<Output>) {
            for output in out {
                match output {
                    Output::Start(gene) => *self.starts.entry(gene).or_default() += 1,
                    Output::Retire(_) => {}
                    Output::Tell(message) => {
                        for to in (0..self.hosts.len()).filter(|to| *to != at) {
                            let is_cut =
                                self.is_parted && (to < self.hosts.len() / 2) != (at < self.hosts.len() / 2);
                            for _ in 0..1 + self.dice.below(2) {
                                if is_cut || self.dice.unit() < self.loss {
                                    continue;
                                }
                                self.sent += 1;
                                let arrives = self.now + Nanos(1 + self.dice.below(DELAY.0 - 1));
                                self.mail.insert((arrives, self.sent), (at, to, message.clone()));
                            }
                        }
                    }
                }
            }
        }

        fn mean(&self) -> u32 {
            self.free.iter().sum::<u32>() / self.free.len() as u32
        }

        fn owners(&self, gene: &Piece) -> usize {
            let up = self.hosts.iter().zip(&self.is_up).filter(|(_, up)| **up);
            up.filter(|(host, _)| host.is_mine(gene)).count()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// I11: without loss (but with delays, repetition and reordering) each gene is started
        /// exactly once, soon.
        #[test]
        fn i11_without_loss_nothing_is_started_twice(hosts in 1usize..12, genes in 1usize..40, seed: u64) {
            let mut net = Net::new(hosts, genes, seed);
            net.run(Nanos::from_millis(4_000));
            for gene in &net.wanted {
                prop_assert_eq!(net.starts.get(gene).copied().unwrap_or(0), 1, "{:?}", gene);
                prop_assert_eq!(net.owners(gene), 1);
            }
        }

        /// I11: after any loss each gene has exactly one owner within two membership periods.
        #[test]
        fn i11_after_loss_one_owner_is_left(hosts in 2usize..8, genes in 1usize..20, loss in 0.0f64..0.9, parted: bool, seed: u64) {
            let mut net = Net::new(hosts, genes, seed);
            (net.loss, net.is_parted) = (loss, parted);
            net.run(Nanos::from_millis(5_000));
            (net.loss, net.is_parted) = (0.0, false);
            net.run(Nanos(2 * MEMBERSHIP.0));
            for gene in &net.wanted {
                prop_assert!(net.owners(gene) <= 1, "{} of {:?}", net.owners(gene), gene);
            }
            // What nobody had is claimed as soon as false views have faded.
            net.run(Nanos(2 * MEMBERSHIP.0));
            for gene in &net.wanted {
                prop_assert_eq!(net.owners(gene), 1, "{:?}", gene);
            }
        }
    }

    #[test]
    fn the_genes_of_dead_hosts_come_back_and_a_partition_deletes_nothing() {
        let mut net = Net::new(10, 60, 3);
        net.run(Nanos::from_millis(3_000));
        for at in 0..3 {
            net.is_up[at] = false;
        }
        net.run(Nanos::from_millis(3_000));
        assert!(net.wanted.iter().all(|gene| net.owners(gene) == 1), "healed within 3 s of a silent death");
        net.is_parted = true;
        net.run(Nanos::from_millis(10_000));
        assert!(net.wanted.iter().all(|gene| net.owners(gene) == 2), "each half serves everything");
        net.is_parted = false;
        net.run(Nanos::from_millis(1_100));
        assert!(net.wanted.iter().all(|gene| net.owners(gene) == 1));
    }

    /// Who has little free takes little on.
    #[test]
    fn a_host_with_little_free_gets_less() {
        let (mut slow, mut all) = (0, 0);
        for seed in 0..20 {
            let mut net = Net::new(5, 50, seed);
            net.free = vec![100, 900, 900, 900, 900];
            net.run(Nanos::from_millis(5_000));
            slow += net.hosts[0].mine().count();
            all += net.hosts.iter().map(|host| host.mine().count()).sum::<usize>();
        }
        assert_eq!(all, 20 * 50);
        assert!(slow * 15 < all, "{slow} of {all}, an even share were a fifth");
    }
}
