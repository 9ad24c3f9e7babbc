//! The task of one host in the colony: messages, records and time in; messages, wishes of the colony
//! and what happened elsewhere out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cyte_dna::{GeneName, Scope};
use cyte_engine::{Clock, Genome, Tissue};
use cyte_medium::{Inbox, Medium as _, Peer, Station};
use cyte_organism::Nanos;
use cyte_organism::claim::{PIECES_MAX, Piece};
use cyte_organism::colony::handover::{Obstacle, Stuck};
use cyte_organism::colony::{Colony, Output, Setup, Stand, free_permille};
use cyte_organism::expressor::Reason;
use cyte_organism::law::ClassId;
use cyte_organism::phenotype::{Epoch, HostId, Record};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Commons, Overflow, Seat, Share};
use crate::event::{EventLog, Happening};
use crate::governor::{Ear, Event, Levels, Outlook};
use crate::growth::follow;
use crate::record::Recorder;
use crate::wishes::Wishes;

/// The longest that a message takes where nothing is slowed down, threads that wait for a core
/// included.
const DELAY: Nanos = Nanos::from_millis(40);
/// How long the first record of this host is waited for: it says which life this is.
const FIRST_RECORD: Duration = Duration::from_secs(3);
/// Records of others that wait for this host's store to open.
const WAITING: usize = 4_096;

/// What a host's part is made from and acts on.
pub struct Around {
    /// What all genes live in.
    pub genome: Arc<Genome>,
    /// The genes that have cells, in the order of the law's classes.
    pub tissues: Vec<Arc<Tissue>>,
    /// Cells alive at once.
    pub cells_max: u32,
    /// What is wanted.
    pub wishes: Arc<Wishes>,
    /// Where the law says how it stands.
    pub levels: Arc<Levels>,
    /// What cannot be started here, and why.
    pub outlook: Arc<Outlook>,
    /// What the governor is let know.
    pub commons: Arc<Commons>,
    /// Requests on their way to other hosts and from them.
    pub overflow: Arc<Overflow>,
    /// The governor.
    pub ear: Ear,
    /// What happened.
    pub events: Arc<EventLog>,
    /// What keeps it.
    pub recorder: Arc<Recorder>,
    /// The host's clock.
    pub clock: Clock,
    /// This host.
    pub me: HostId,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("me", &self.me).finish_non_exhaustive()
    }
}

/// One host's part, running.
pub struct Colonist {
    around: Around,
    name: String,
    roster: BTreeMap<HostId, String>,
    station: Station,
    inbox: Inbox,
    records: mpsc::Receiver<Record>,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    colony: Colony,
    /// What others told of and this host's store has not taken.
    learned: VecDeque<Record>,
    /// Copies that this host answers for, as was last told.
    answered: BTreeMap<GeneName, u32>,
}

impl std::fmt::Debug for Colonist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Colonist").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Colonist {
    /// Takes the seat and runs until the host leaves the medium. `records` are this host's own, as
    /// they are made.
    pub async fn run(seat: Seat, around: Around, mut records: mpsc::Receiver<Record>) {
        let first = tokio::time::timeout(FIRST_RECORD, records.recv()).await.ok().flatten();
        let Seat { name, station, inbox, roster, key, seed, tell } = seat;
        let epoch = first.as_ref().map_or(Epoch(around.started_ms), |record| record.epoch);
        let all = roster.keys().copied().collect();
        let setup = Setup { me: around.me, epoch, key, roster: all, delay: DELAY, seed };
        let mut colony = Colony::new(setup, around.clock.now());
        first.into_iter().for_each(|record| colony.told(record));
        let (learned, answered) = (VecDeque::new(), BTreeMap::new());
        let colonist =
            Self { around, name, roster, station, inbox, records, tell, colony, learned, answered };
        colonist.live().await;
    }

    async fn live(mut self) {
        self.survey();
        loop {
            let now = self.around.clock.now();
            let patience = Duration::from_nanos(self.colony.next_deadline().since(now).0);
            let mut out = Vec::new();
            tokio::select! {
                parcel = self.inbox.next() => {
                    let Some(parcel) = parcel else { return };
                    let (now, from) = (self.around.clock.now(), HostId(parcel.from.0));
                    // What is no errand is a word, or is counted as one that was refused.
                    if self.around.overflow.hear(from, &parcel.bytes).is_err() {
                        self.colony.hear(now, from, &parcel.bytes, &mut out);
                    }
                }
                Some(record) = self.records.recv() => self.colony.told(record),
                () = tokio::time::sleep(patience) => {
                    let now = self.around.clock.now();
                    self.survey();
                    for (class, unmet) in self.around.levels.unmet() {
                        self.colony.need(now, ClassId(class), unmet, &mut out);
                    }
                    self.colony.stuck(now, &self.stuck(), &mut out);
                    self.colony.tick(now, &mut out);
                    self.around.overflow.told(self.colony.spares(), &self.leaving());
                    self.publish();
                }
            }
            let is_quiet = out.is_empty();
            self.perform(out);
            if !is_quiet {
                self.share();
            }
        }
    }

    /// How this host stands, and what is wanted of all.
    fn survey(&mut self) {
        let genome = &self.around.genome;
        let free = genome.room().saturating_add(genome.stems());
        let delay = self.around.levels.host().run_delay;
        let leaving = self.leaving();
        let may_come = |tissue: &&Arc<Tissue>| leaving.contains(&tissue.gene().name);
        let idle = self.around.tissues.iter().filter(may_come).map(|tissue| tissue.idle());
        let staying = |tissue: &Arc<Tissue>| (tissue.gene().name.clone(), tissue.staying());
        self.colony.stand(Stand {
            free_permille: free_permille(free, self.around.cells_max, delay),
            room: free / 2,
            spare: idle.fold(free, u32::saturating_add),
            cells: self.around.tissues.iter().map(staying).collect(),
        });
        self.colony.want(self.wanted());
    }

    /// The genes whose requests may leave their host.
    fn leaving(&self) -> BTreeSet<GeneName> {
        let in_force = self.around.wishes.in_force();
        let leaving = in_force.wishes.iter().filter(|wish| wish.scope != Scope::Local);
        leaving.map(|wish| wish.gene.clone()).collect()
    }

    /// What this host answers for and the governor could not start.
    fn stuck(&self) -> Vec<Stuck> {
        let missing = self.around.outlook.missing();
        let mine = missing.iter().filter(|missing| self.colony.share(&missing.gene) > 0);
        mine.filter_map(|missing| {
            let obstacle = obstacle(&missing.reason)?;
            let (gene, cells, reason) = (missing.gene.clone(), missing.cells, missing.reason.to_string());
            Some(Stuck { gene, cells, obstacle, reason })
        })
        .collect()
    }

    /// Every piece that is to live somewhere.
    fn wanted(&self) -> BTreeSet<Piece> {
        let in_force = self.around.wishes.in_force();
        let lives = |gene: &GeneName| self.around.tissues.iter().any(|tissue| tissue.gene().name == *gene);
        let shared = in_force.wishes.iter().filter(|wish| wish.scope == Scope::Network && lives(&wish.gene));
        let pieces = shared.flat_map(|wish| {
            let copies = u16::try_from(wish.count.min).unwrap_or(u16::MAX);
            (0..copies).map(|copy| Piece { gene: wish.gene.clone(), copy })
        });
        pieces.take(PIECES_MAX).collect()
    }

    fn perform(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send(to, bytes) => {
                    // A host that is not there hears nothing; the next round says so.
                    let _ = self.station.tell(Peer(to.0), Bytes::from(bytes));
                }
                // What follows is in the share, which is looked at after all of these.
                Output::Start(_) | Output::Retire(_) => {}
                Output::Grow(class, cells) => {
                    self.around.ear.tell(Event::Grow { class, cells });
                }
                Output::GaveUp { pieces, reason } => {
                    let copies = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
                    if let Some(gene) = pieces.first().map(|piece| piece.gene.to_string()) {
                        self.around.events.record(Happening::HandedOn { gene, copies, reason });
                    }
                }
                Output::Came(host) => {
                    let name = self.name_of(host);
                    self.around.events.record(Happening::HostCame { peer: host.to_string(), name });
                }
                Output::Died(host, epoch) => {
                    self.around.overflow.gone(host);
                    let name = self.name_of(host);
                    (self.tell)(&format!("{}  {name} is gone: nothing heard of it", self.name));
                    let peer = host.to_string();
                    self.around.events.record(Happening::HostGone { peer, name, life: epoch.0 });
                }
                Output::Learned(record) => {
                    self.learned.push_back(record);
                    if self.learned.len() > WAITING {
                        self.learned.pop_front();
                    }
                }
            }
        }
        self.keep();
    }

    /// Gives what was learned to the store, once it is open.
    fn keep(&mut self) {
        if self.learned.is_empty() {
            return;
        }
        let Some(store) = self.around.recorder.store() else { return };
        for record in self.learned.drain(..) {
            if let Err(error) = store.append(record) {
                tracing::debug!(%error, "another host's record is not kept");
            }
        }
        self.around.recorder.nudge();
    }

    /// Lets the governor know what this host answers for.
    fn share(&mut self) {
        let in_force = self.around.wishes.in_force();
        let now = self.around.clock.now();
        let mut shares = BTreeMap::new();
        for wish in in_force.wishes.iter().filter(|wish| wish.scope == Scope::Network) {
            let least = self.colony.share(&wish.gene);
            let most = self.colony.ceiling(now, &wish.gene, wish.count);
            shares.insert(wish.gene.clone(), Share { least, most });
            if self.answered.get(&wish.gene).copied().unwrap_or(0) != least {
                let (gene, copies) = (wish.gene.to_string(), least);
                self.around.events.record(Happening::AnswersFor { gene, copies });
                self.answered.insert(wish.gene.clone(), least);
            }
        }
        let ceilings = shares.iter().filter_map(|(gene, share)| Some((gene.clone(), share.most?))).collect();
        if self.around.commons.set_shares(shares) {
            self.around.wishes.set_ceilings(ceilings);
            for tissue in &self.around.tissues {
                follow(tissue, &self.around.wishes);
            }
            self.around.ear.tell(Event::Shared);
        }
    }

    /// Shows whoever looks how things stand.
    fn publish(&self) {
        let now = self.around.clock.now();
        let members = self.colony.members().map(|(host, member)| {
            json!({
                "host": host.to_string(),
                "name": self.name_of(host),
                "health": member.health,
                "cells": member.holdings.cells(),
                "free_permille": member.beat.free_permille,
                "silent_ms": now.since(member.heard).as_millis(),
            })
        });
        let members: Vec<_> = members.collect();
        self.around.commons.set_given_up(self.colony.given_up().to_vec());
        let holdings = self.colony.holdings();
        let copies: usize = holdings.genes.iter().map(|holding| holding.copies.len()).sum();
        self.around.commons.set_seen(json!({
            "host": self.around.me.to_string(),
            "name": self.name,
            "cells": holdings.cells(),
            "copies": copies,
            "said": self.colony.said(),
            "overflow": self.around.overflow.carried(),
            "sees": members,
        }));
    }

    fn name_of(&self, host: HostId) -> String {
        self.roster.get(&host).cloned().unwrap_or_else(|| host.to_string())
    }
}

/// Whether others could start what this host cannot for this reason, and when that shows.
fn obstacle(reason: &Reason) -> Option<Obstacle> {
    match reason {
        Reason::NoRoom => Some(Obstacle::Room),
        Reason::CrashLoop { .. } | Reason::Constraint(_) | Reason::Companion { .. } => {
            Some(Obstacle::Lasting)
        }
        _ => None,
    }
}
