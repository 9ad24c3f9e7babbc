//! Hosts with their parts of the colony and the network between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cyte_medium::{Counts, Net, Parcel, Peer, Weather};
use cyte_organism::Nanos;
use cyte_organism::claim::Piece;
use cyte_organism::colony::handover::{Obstacle, Stuck};
use cyte_organism::colony::{Colony, Output, Setup, Stand};
use cyte_organism::dice::{Dice, Key};
use cyte_organism::law::ClassId;
use cyte_organism::phenotype::{Epoch, Event, HostId, Record};

/// The longest that a message takes in fair weather.
pub const DELAY: Nanos = Nanos::from_millis(20);
pub const CLASS: ClassId = ClassId(0);

pub fn weather() -> Weather {
    Weather { least: Duration::from_millis(1), most: Duration::from_millis(15), loss: 0.0, twice: 0.02 }
}

/// One host: its part, and what it was told to hold and do.
pub struct Host {
    pub colony: Colony,
    pub is_up: bool,
    /// When its clock matters next, as it last said.
    due: Nanos,
    pub holds: BTreeSet<Piece>,
    pub grown: u32,
    /// Records of others by host and number, and when they were learned.
    pub learned: BTreeMap<(HostId, u64), Nanos>,
    number: u64,
}

pub struct World {
    pub now: Nanos,
    pub hosts: Vec<Host>,
    pub net: Net,
    pub starts: u32,
    pub retired: u32,
    pub given_up: usize,
    pub deaths: Vec<(Nanos, usize, HostId)>,
}

fn time(now: Nanos) -> Duration {
    Duration::from_nanos(now.0)
}

pub fn piece(at: usize) -> Piece {
    Piece { gene: format!("gene-{}", at / 2).parse().unwrap(), copy: (at % 2) as u16 }
}

impl World {
    pub fn new(hosts: usize, pieces: usize, weather: Weather, seed: u64) -> Self {
        let mut net = Net::new(weather, seed);
        let mut dice = Dice::new(seed);
        let wanted: BTreeSet<Piece> = (0..pieces).map(piece).collect();
        let roster: Vec<HostId> = (0..hosts).map(|at| HostId(at as u64)).collect();
        let hosts = (0..hosts).map(|at| {
            net.join(Peer(at as u64));
            let setup = Setup {
                me: HostId(at as u64),
                epoch: Epoch(1),
                key: Key::new([seed, 1]),
                roster: roster.clone(),
                delay: DELAY,
                seed: dice.bits(),
            };
            let mut colony = Colony::new(setup, Nanos(0));
            colony.stand(Stand { free_permille: 800, room: 0, spare: 0, cells: Vec::new() });
            colony.want(wanted.clone());
            Host {
                colony,
                is_up: true,
                due: Nanos(0),
                holds: BTreeSet::new(),
                grown: 0,
                learned: BTreeMap::new(),
                number: 0,
            }
        });
        let hosts = hosts.collect();
        Self { now: Nanos(0), hosts, net, starts: 0, retired: 0, given_up: 0, deaths: Vec::new() }
    }

    /// Something happens at host `at`.
    pub fn happens(&mut self, at: usize) -> u64 {
        let host = &mut self.hosts[at];
        host.number += 1;
        let number = host.number;
        host.colony.told(Record {
            host: HostId(at as u64),
            epoch: Epoch(1),
            number,
            at_ms: self.now.as_millis(),
            gene: Some("front".parse().unwrap()),
            cell: None,
            event: Event::Note { text: "something of a usual length happened here".into() },
        });
        number
    }

    pub fn kill(&mut self, at: usize) {
        self.hosts[at].is_up = false;
        self.net.leave(Peer(at as u64));
    }

    pub fn need(&mut self, at: usize, unmet: f64) {
        let mut out = Vec::new();
        self.hosts[at].colony.need(self.now, CLASS, unmet, &mut out);
        self.perform(at, out);
    }

    /// Host `at` cannot start `cells` of the pieces of `gene` that it answers for.
    pub fn stuck(&mut self, at: usize, gene: &str, cells: u32, obstacle: Obstacle) {
        let gene = gene.parse().unwrap();
        let stuck = Stuck { gene, cells, obstacle, reason: "because".into() };
        let mut out = Vec::new();
        self.hosts[at].colony.stuck(self.now, &[stuck], &mut out);
        self.perform(at, out);
    }

    pub fn run(&mut self, ms: u64) {
        let end = self.now + Nanos::from_millis(ms);
        let mut came = Vec::new();
        loop {
            let up = self.hosts.iter().filter(|host| host.is_up);
            let tick = up.map(|host| host.due).min();
            let mail = self.net.next().map(|at| Nanos(at.as_nanos() as u64));
            let next = mail.into_iter().chain(tick).min().unwrap_or(end).max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            self.net.arrive(time(next), &mut came);
            for parcel in std::mem::take(&mut came) {
                let at = parcel.to.0 as usize;
                let mut out = Vec::new();
                let from = HostId(parcel.from.0);
                self.hosts[at].colony.hear(self.now, from, &parcel.bytes, &mut out);
                self.perform(at, out);
            }
            for at in 0..self.hosts.len() {
                if self.hosts[at].is_up && self.hosts[at].due <= self.now {
                    let mut out = Vec::new();
                    self.hosts[at].colony.tick(self.now, &mut out);
                    self.perform(at, out);
                }
            }
        }
        self.now = end;
    }

    fn perform(&mut self, at: usize, out: Vec<Output>) {
        self.hosts[at].due = self.hosts[at].colony.next_deadline();
        for output in out {
            let host = &mut self.hosts[at];
            match output {
                Output::Send(to, bytes) => {
                    let (from, to) = (Peer(at as u64), Peer(to.0));
                    let _ = self.net.send(time(self.now), Parcel { from, to, bytes: Bytes::from(bytes) });
                }
                Output::Start(piece) => {
                    self.starts += 1;
                    host.holds.insert(piece);
                }
                Output::Retire(piece) => {
                    self.retired += 1;
                    host.holds.remove(&piece);
                }
                Output::Grow(class, cells) => {
                    assert_eq!(class, CLASS);
                    host.grown += cells;
                }
                Output::GaveUp { pieces, .. } => {
                    self.given_up += pieces.len();
                    pieces.iter().for_each(|piece| {
                        host.holds.remove(piece);
                    });
                }
                Output::Came(_) => {}
                Output::Died(who, _) => self.deaths.push((self.now, at, who)),
                Output::Learned(record) => {
                    let is_new = host.learned.insert((record.host, record.number), self.now).is_none();
                    assert!(is_new, "learned once");
                }
            }
        }
    }

    /// Living hosts that hold a piece.
    pub fn owners(&self, piece: &Piece) -> usize {
        self.hosts.iter().filter(|host| host.is_up && host.holds.contains(piece)).count()
    }

    pub fn all_owned(&self, pieces: usize, times: usize) -> bool {
        (0..pieces).all(|at| self.owners(&piece(at)) == times)
    }

    /// Runs until each piece has one living owner; how long that took, in ms.
    pub fn until_owned(&mut self, pieces: usize, at_most: u64) -> u64 {
        let begun = self.now;
        while !self.all_owned(pieces, 1) && self.now.since(begun).as_millis() < at_most {
            self.run(10);
        }
        self.now.since(begun).as_millis()
    }

    /// Messages and bytes sent by all hosts.
    pub fn sent(&self) -> Counts {
        let mut all = Counts::default();
        for peer in self.net.peers() {
            let counts = self.net.counts(peer);
            all.sent += counts.sent;
            all.sent_bytes += counts.sent_bytes;
            all.dropped += counts.dropped;
        }
        all
    }
}
