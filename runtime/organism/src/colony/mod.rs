//! Several hosts: what one of them knows of the others, and what follows for it.
//!
//! A [`Colony`] is one host's part, a pure state machine: bytes, records and the time go in, [`Output`]s
//! come out. Every [`ROUND`] it sends its *pulse*, how far it knows every living host, to
//! [`FANOUT`] others drawn at random. Whoever knows more answers with the news, whoever knows less
//! with its own pulse; so a beat, a record or what a host holds is everywhere after a few rounds, and
//! the number of messages does not grow with the number of hosts. What cannot wait that long is told
//! to all at once, and is rare: claims, and that a claimed piece now lives.
//!
//! - A host whose beat stands still is suspected, then dead ([`Health`]); its pieces are missing and
//!   are claimed anew ([`crate::claim`]). That is a view, not a sentence: nothing of it is ended, and
//!   when it is heard again, the weaker of two owners retires its copy.
//! - Need that a host cannot meet is split over others as quotas ([`crate::quota`]), to hosts with
//!   room, more to the freer ones.
//! - Cells of a gene are bounded for all hosts together (`ceiling`).
//! - What a host answers for and cannot start it gives up, for others to take ([`handover`]).
//! - Requests that it has no room for go to a host with room ([`overflow`], [`errand`]).
//! - Records of the phenotype are passed on as they are ([`crate::phenotype`]).
//!
//! Never here: a clock, a socket, and what a cell is.

mod ceiling;
pub mod errand;
pub mod handover;
mod ledger;
mod members;
pub mod overflow;
mod terms;
mod word;

use std::collections::{BTreeMap, BTreeSet};

use cyte_dna::GeneName;

use crate::Nanos;
use crate::claim::{self, Claims, Message, Piece, Standing};
use crate::dice::Dice;
use crate::law::ClassId;
use crate::phenotype::{Epoch, HostId, Record};
use crate::quota::{self, Quotas};
use handover::Handover;
use ledger::Ledger;
use members::{Change, Members};

pub use members::{DEAD, Health, Member, SUSPECT};
pub use terms::{Output, Said, Setup, Stand};
pub use word::{
    Beat, CLAIMS_MAX, COPIES_MAX, HOLDINGS_MAX, HOSTS_MAX, Holding, Holdings, RECORDS_MAX, State, WORD_MAX,
    Word, WordError,
};

/// How often a host sends its pulse.
pub const ROUND: Nanos = Nanos::from_millis(200);
/// To so many others.
pub const FANOUT: usize = 3;
/// A host that is alone waits this long for others before it claims anything.
pub const SETTLE: Nanos = Nanos::from_millis(1_000);
/// Bytes of records that one answer carries; what is left comes with the next.
const NEWS_BYTES: usize = 16 * 1024;
/// What one record is taken for when bytes are shared out: more than most.
const RECORD_BYTES: usize = 160;
/// Owners are believed for two membership periods; so often is the belief renewed.
const HAVE_EVERY: Nanos = Nanos::from_millis(500);
/// Hosts that are asked when this one lacks cells.
const QUOTA_EDGES: usize = 3;
/// Cells that others took over count against a host's need for so long; then they may rest again.
const GRANTED: Nanos = Nanos::from_millis(10_000);
/// Receipts remembered for that.
const GRANTS_MAX: usize = 4_096;
/// Run delay at which a host counts as half as free: the law calls its cores full there.
const DELAY_HALF_US: u64 = 2_000;

/// The part of one host.
#[derive(Debug)]
pub struct Colony {
    me: HostId,
    epoch: Epoch,
    roster: Vec<HostId>,
    dice: Dice,
    born: Nanos,
    next_round: Nanos,
    beat: u32,
    version: u32,
    stand: Stand,
    holdings: Holdings,
    wanted: BTreeSet<Piece>,
    members: Members,
    ledger: Ledger,
    claims: Claims,
    quotas: Quotas,
    handover: Handover,
    /// When each host's pieces were last taken as there.
    had: BTreeMap<HostId, Nanos>,
    /// Cells that others took over for this one: when, of which class, how many.
    granted: Vec<(Nanos, ClassId, u32)>,
    said: Said,
}

impl Colony {
    /// The part of a host that starts at `now`.
    #[must_use]
    pub fn new(setup: Setup, now: Nanos) -> Self {
        let Setup { me, epoch, key, mut roster, delay, seed } = setup;
        roster.retain(|host| *host != me);
        roster.sort_unstable();
        roster.dedup();
        roster.truncate(HOSTS_MAX - 1);
        let mut dice = Dice::new(seed);
        let (claims_seed, quotas_seed) = (dice.bits(), dice.bits());
        // Hosts that start together do not all speak at once.
        let next_round = now + Nanos(dice.below(ROUND.0));
        Self {
            me,
            epoch,
            roster,
            dice,
            born: now,
            next_round,
            beat: 0,
            version: 1,
            stand: Stand::default(),
            holdings: Holdings::default(),
            wanted: BTreeSet::new(),
            members: Members::default(),
            ledger: Ledger::new(me),
            claims: Claims::new(me, key, delay, now, claims_seed),
            quotas: Quotas::new(me, 1.0, delay, quotas_seed),
            handover: Handover::default(),
            had: BTreeMap::new(),
            granted: Vec::new(),
            said: Said::default(),
        }
    }

    /// How this host stands from now on.
    pub fn stand(&mut self, mut stand: Stand) {
        stand.free_permille = stand.free_permille.min(1_000);
        stand.cells.retain(|(_, cells)| *cells > 0);
        stand.cells.sort_unstable();
        stand.cells.dedup_by(|a, b| a.0 == b.0);
        self.stand = stand;
    }

    /// What is to live somewhere, each piece once. At most [`claim::PIECES_MAX`] count.
    pub fn want(&mut self, wanted: BTreeSet<Piece>) {
        self.wanted = wanted;
        while self.wanted.len() > claim::PIECES_MAX {
            self.wanted.pop_last();
        }
    }

    /// Something happened on this host.
    pub fn told(&mut self, record: Record) {
        if record.host == self.me {
            self.ledger.take(record, HOSTS_MAX);
        }
    }

    /// This host lacks `unmet` cells of `class` that it cannot make.
    pub fn need(&mut self, now: Nanos, class: ClassId, unmet: f64, out: &mut Vec<Output>) {
        self.granted.retain(|(at, ..)| now.since(*at) < GRANTED);
        let granted = self.granted.iter().filter(|(_, of, _)| *of == class);
        let open = unmet - granted.map(|(.., cells)| f64::from(*cells)).sum::<f64>();
        if open < 1.0 {
            return;
        }
        let edges = self.freest(QUOTA_EDGES);
        let mut sent = Vec::new();
        self.quotas.want(now, class, open, &edges, &mut sent);
        self.pass_on(sent, out);
    }

    /// When the clock matters next.
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        // Before that it claims nothing, whatever its claims would like.
        let claims = self.claims.next_deadline().max(self.settled_at());
        if self.wanted.is_empty() { self.next_round } else { self.next_round.min(claims) }
    }

    /// Looks at the clock.
    pub fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        for (host, epoch) in self.members.tick(now) {
            self.claims.gone(host);
            self.had.remove(&host);
            out.push(Output::Died(host, epoch));
        }
        self.claim(now, out);
        if now >= self.next_round {
            self.next_round = now + Nanos(ROUND.0 * 3 / 4 + self.dice.below(ROUND.0 / 2));
            self.beat = self.beat.wrapping_add(1);
            self.hold();
            for to in self.partners() {
                let beats = self.beats();
                self.send(to, &Word::Pulse { beats, is_answer: false }, out);
            }
        }
    }

    /// Bytes came from host `from`. What is not well formed is counted and dropped.
    pub fn hear(&mut self, now: Nanos, from: HostId, bytes: &[u8], out: &mut Vec<Output>) {
        let Ok(word) = Word::decode(bytes) else {
            self.said.refused = self.said.refused.saturating_add(1);
            return;
        };
        if from == self.me {
            return;
        }
        match word {
            Word::Pulse { beats, is_answer } => self.hear_pulse(now, from, &beats, is_answer, out),
            Word::News { states, records } => {
                for state in states {
                    self.learn(now, state, out);
                }
                for record in records {
                    if record.host != self.me && self.ledger.take(record.clone(), HOSTS_MAX) {
                        out.push(Output::Learned(record));
                    }
                }
            }
            Word::Claims(claims) => {
                for (piece, score) in claims {
                    self.hear_claim(now, from, &Message::Claim { piece, score }, out);
                }
            }
            Word::Haves(pieces) => {
                for piece in pieces {
                    self.hear_claim(now, from, &Message::Have(piece), out);
                }
            }
            Word::GivesUp(pieces) => pieces.iter().for_each(|piece| self.claims.given_up(from, piece)),
            Word::Quota(quota) => {
                let (room, edges) = (self.stand.room, self.freest(QUOTA_EDGES));
                let mut sent = Vec::new();
                self.quotas.receive(now, from, quota, room, &edges, &mut sent);
                self.pass_on(sent, out);
            }
            Word::Receipt(receipt) => {
                let cells = self.quotas.acknowledged(receipt);
                if cells > 0 && self.granted.len() < GRANTS_MAX {
                    self.granted.push((now, receipt.class, cells));
                }
            }
        }
    }

    /// Copies of a gene that this host answers for.
    #[must_use]
    pub fn share(&self, gene: &GeneName) -> u32 {
        let copies = self.claims.mine().filter(|piece| piece.gene == *gene).count();
        u32::try_from(copies).unwrap_or(u32::MAX)
    }

    /// Every other host that is well, with its newest beat and the messages that it could take.
    pub fn spares(&self) -> impl Iterator<Item = (HostId, u32, u32)> {
        let well = self.members.living().filter(|(_, member)| member.health == Health::Alive);
        well.map(|(host, member)| (host, member.beat.beat, u32::from(member.beat.spare)))
    }

    /// All other hosts of which something was heard, ascending.
    pub fn members(&self) -> impl Iterator<Item = (HostId, &Member)> {
        self.members.iter()
    }

    /// What this host holds, as the others are told.
    #[must_use]
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// What this host said and refused since it started.
    #[must_use]
    pub fn said(&self) -> Said {
        self.said
    }

    /// A pulse: what is known better here is told, what is known better there is asked for.
    fn hear_pulse(
        &mut self,
        now: Nanos,
        from: HostId,
        beats: &[Beat],
        is_answer: bool,
        out: &mut Vec<Output>,
    ) {
        let me = self.me;
        for beat in beats.iter().filter(|beat| beat.host != me) {
            let change = self.members.hear(now, *beat, HOSTS_MAX);
            if change == Change::Came {
                out.push(Output::Came(beat.host));
            }
            if change != Change::Old {
                self.believe(now, beat.host, out);
            }
        }
        let news = self.news_for(beats);
        if let Word::News { states, records } = &news
            && !(states.is_empty() && records.is_empty())
        {
            self.send(from, &news, out);
        }
        if !is_answer && self.lacks_any(beats) {
            let beats = self.beats();
            self.send(from, &Word::Pulse { beats, is_answer: true }, out);
        }
    }

    /// Whether somebody who says so knows more than this host.
    fn lacks_any(&self, beats: &[Beat]) -> bool {
        beats.iter().filter(|beat| beat.host != self.me).any(|beat| {
            let known = self.members.get(beat.host).map_or(0, |member| member.known);
            beat.version > known || beat.mark > self.ledger.mark(beat.host, beat.epoch)
        })
    }

    /// What somebody with these beats does not know. Who comes first changes from word to word, so
    /// that a loud host does not keep the others' records back.
    fn news_for(&mut self, theirs: &[Beat]) -> Word {
        let mine = self.beats();
        let (mut states, mut records, mut left) = (Vec::new(), Vec::new(), NEWS_BYTES / RECORD_BYTES);
        let theirs: BTreeMap<(HostId, Epoch), (u32, u64)> =
            theirs.iter().map(|their| ((their.host, their.epoch), (their.version, their.mark))).collect();
        let first = self.dice.below(mine.len() as u64) as usize;
        for beat in mine.iter().cycle().skip(first).take(mine.len()) {
            let (version, mark) = theirs.get(&(beat.host, beat.epoch)).copied().unwrap_or((0, 0));
            if beat.version > version {
                states.extend(self.state_of(beat));
            }
            let new = self.ledger.after(beat.host, beat.epoch, mark).take(left.min(RECORDS_MAX));
            let before = records.len();
            records.extend(new.cloned());
            left -= (records.len() - before).min(left);
        }
        Word::News { states, records }
    }

    fn state_of(&self, beat: &Beat) -> Option<State> {
        let Beat { host, epoch, version, .. } = *beat;
        let holdings = match self.members.get(host) {
            Some(member) => member.holdings.clone(),
            None => self.holdings.clone(),
        };
        Some(State { host, epoch, version, holdings }).filter(|_| version > 0)
    }

    fn learn(&mut self, now: Nanos, state: State, out: &mut Vec<Output>) {
        let host = state.host;
        if host != self.me && self.members.learn(state) {
            self.had.remove(&host);
            self.believe(now, host, out);
        }
    }

    /// A host that lives has what it says it holds; said now and then, that is its `have`.
    fn believe(&mut self, now: Nanos, host: HostId, out: &mut Vec<Output>) {
        if self.had.get(&host).is_some_and(|at| now.since(*at) < HAVE_EVERY) {
            return;
        }
        let Some(member) = self.members.get(host) else { return };
        let is_known = member.known > 0 && member.known >= member.beat.version;
        let pieces: Vec<Piece> = if is_known { member.holdings.pieces().collect() } else { Vec::new() };
        if is_known {
            self.had.insert(host, now);
        }
        for piece in pieces {
            self.hear_claim(now, host, &Message::Have(piece), out);
        }
    }

    fn hear_claim(&mut self, now: Nanos, from: HostId, message: &Message, out: &mut Vec<Output>) {
        let mut said = Vec::new();
        self.claims.hear(now, from, message, &mut said);
        self.speak(said, out);
    }

    fn claim(&mut self, now: Nanos, out: &mut Vec<Output>) {
        if now < self.settled_at() {
            return;
        }
        let (mut hosts, mut free) = (1_u32, u32::from(self.stand.free_permille));
        for (_, member) in self.members.living() {
            hosts = hosts.saturating_add(1);
            free = free.saturating_add(u32::from(member.beat.free_permille));
        }
        let free_permille = u32::from(self.stand.free_permille);
        let standing = Standing { hosts, free_permille, mean_permille: free / hosts };
        let mut said = Vec::new();
        self.claims.tick(now, &self.wanted, standing, &mut said);
        self.speak(said, out);
    }

    /// From when on this host claims: once it heard of all on the roster, or waited for them.
    fn settled_at(&self) -> Nanos {
        let has_all = self.roster.iter().all(|host| self.members.lives(*host));
        if has_all { self.born } else { self.born + SETTLE }
    }

    /// What claims came to: to all at once, many in one word. That a piece lives here still is what
    /// the pulse says already.
    fn speak(&mut self, said: Vec<claim::Output>, out: &mut Vec<Output>) {
        let (mut claims, mut haves, mut changed) = (Vec::new(), Vec::new(), false);
        let started: BTreeSet<Piece> = said
            .iter()
            .filter_map(|output| match output {
                claim::Output::Start(piece) => Some(piece.clone()),
                _ => None,
            })
            .collect();
        for output in said {
            match output {
                claim::Output::Tell(Message::Claim { piece, score }) => claims.push((piece, score)),
                claim::Output::Tell(Message::Have(piece)) if started.contains(&piece) => haves.push(piece),
                claim::Output::Tell(Message::Have(_)) => {}
                claim::Output::Start(piece) => {
                    changed = true;
                    out.push(Output::Start(piece));
                }
                claim::Output::Retire(piece) => {
                    changed = true;
                    out.push(Output::Retire(piece));
                }
            }
        }
        for some in claims.chunks(CLAIMS_MAX) {
            self.tell_all(&Word::Claims(some.to_vec()), out);
        }
        for some in haves.chunks(CLAIMS_MAX) {
            self.tell_all(&Word::Haves(some.to_vec()), out);
        }
        if changed {
            self.hold();
        }
    }

    /// Brings what the others are told of this host's holdings up to date.
    fn hold(&mut self) {
        let mut genes: BTreeMap<GeneName, Holding> = BTreeMap::new();
        for (gene, cells) in &self.stand.cells {
            let holding = Holding { gene: gene.clone(), cells: *cells, copies: Vec::new() };
            genes.insert(gene.clone(), holding);
        }
        for piece in self.claims.mine() {
            let fresh = || Holding { gene: piece.gene.clone(), cells: 0, copies: Vec::new() };
            let holding = genes.entry(piece.gene.clone()).or_insert_with(fresh);
            if holding.copies.len() < COPIES_MAX {
                holding.copies.push(piece.copy);
            }
        }
        let holdings = Holdings { genes: genes.into_values().take(HOLDINGS_MAX).collect() };
        if holdings != self.holdings {
            self.holdings = holdings;
            self.version = self.version.saturating_add(1);
        }
    }

    /// Of this host first, then of all that are believed to live.
    fn beats(&self) -> Vec<Beat> {
        let mine = Beat {
            host: self.me,
            epoch: self.epoch,
            beat: self.beat,
            free_permille: self.stand.free_permille,
            spare: u16::try_from(self.stand.spare).unwrap_or(u16::MAX),
            version: self.version,
            mark: self.ledger.mark(self.me, self.epoch),
        };
        let others = self.members.living().map(|(host, member)| Beat {
            // What is passed on is what is known here, not what was heard of.
            version: member.known,
            mark: self.ledger.mark(host, member.beat.epoch),
            ..member.beat
        });
        std::iter::once(mine).chain(others).take(HOSTS_MAX).collect()
    }

    /// Who hears this round's pulse: some that live, and one that does not seem to, so that a
    /// partition that ended is noticed.
    fn partners(&mut self) -> Vec<HostId> {
        let (mut living, lost): (Vec<HostId>, Vec<HostId>) =
            self.known().into_iter().partition(|host| self.members.lives(*host));
        let mut chosen = Vec::new();
        while chosen.len() < FANOUT && !living.is_empty() {
            let at = self.dice.below(living.len() as u64) as usize;
            chosen.push(living.swap_remove(at.min(living.len() - 1)));
        }
        let at = self.dice.below(lost.len() as u64) as usize;
        chosen.extend(lost.get(at));
        chosen
    }

    /// Everybody who is on the roster or was heard of.
    fn known(&self) -> BTreeSet<HostId> {
        let heard = self.members.iter().map(|(host, _)| host);
        self.roster.iter().copied().chain(heard).collect()
    }

    /// Some hosts that are well and have room, drawn by how free they are.
    fn freest(&mut self, most: usize) -> Vec<HostId> {
        let is_well = |member: &Member| member.health == Health::Alive;
        let mut open: Vec<(HostId, u64)> = self
            .members
            .living()
            .filter(|(_, member)| is_well(member) && member.beat.free_permille > 0)
            .map(|(host, member)| (host, u64::from(member.beat.free_permille)))
            .collect();
        let mut chosen = Vec::new();
        while chosen.len() < most && !open.is_empty() {
            let mut drawn = self.dice.below(open.iter().map(|(_, free)| free).sum());
            let at = open.iter().position(|(_, free)| {
                let is_it = drawn < *free;
                drawn = drawn.saturating_sub(*free);
                is_it
            });
            chosen.push(open.swap_remove(at.unwrap_or(0)).0);
        }
        chosen
    }

    fn pass_on(&mut self, sent: Vec<quota::Output>, out: &mut Vec<Output>) {
        for output in sent {
            match output {
                quota::Output::Forward(to, quota) => self.send(to, &Word::Quota(quota), out),
                quota::Output::Acknowledge(receipt) => {
                    self.send(receipt.origin, &Word::Receipt(receipt), out);
                }
                quota::Output::Grow(class, cells) => {
                    // Room that is taken is not offered again before the governor looked.
                    self.stand.room = self.stand.room.saturating_sub(cells);
                    out.push(Output::Grow(class, cells));
                }
            }
        }
    }

    fn tell_all(&mut self, word: &Word, out: &mut Vec<Output>) {
        for to in self.known() {
            self.send(to, word, out);
        }
    }

    fn send(&mut self, to: HostId, word: &Word, out: &mut Vec<Output>) {
        let Ok(bytes) = word.encode() else {
            self.said.refused = self.said.refused.saturating_add(1);
            return;
        };
        let count = match word {
            Word::Pulse { .. } => &mut self.said.pulses,
            Word::News { .. } => &mut self.said.news,
            Word::Claims(_) | Word::Haves(_) | Word::GivesUp(_) => &mut self.said.claims,
            Word::Quota(_) | Word::Receipt(_) => &mut self.said.quotas,
        };
        *count = count.saturating_add(1);
        out.push(Output::Send(to, bytes));
    }
}

/// How free a host is, in thousandths: the room that it has of all, less where its cells wait for the
/// cores, by half at two milliseconds.
#[must_use]
pub fn free_permille(room: u32, most: u32, run_delay: Nanos) -> u16 {
    let room = u64::from(room.min(most)) * 1_000 / u64::from(most.max(1));
    let delay_us = run_delay.0 / 1_000;
    let free = room.saturating_mul(DELAY_HALF_US) / DELAY_HALF_US.saturating_add(delay_us);
    u16::try_from(free).unwrap_or(1_000).min(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_less_free_where_room_or_cores_are_short() {
        assert_eq!(free_permille(100, 100, Nanos(0)), 1_000);
        assert_eq!(free_permille(50, 100, Nanos(0)), 500);
        assert_eq!(free_permille(100, 100, Nanos::from_millis(2)), 500);
        assert_eq!(free_permille(7, 0, Nanos(u64::MAX)), 0);
        assert_eq!(free_permille(0, 100, Nanos(0)), 0);
    }
}
