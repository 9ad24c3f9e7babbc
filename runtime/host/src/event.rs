//! What happened on this host, numbered and bounded: for `cyte events` and for whoever asks later.
//!
//! An [`EventRecord`] is one fact after it happened. It is kept in a ring, appended to
//! `logs/events.jsonl`, shown to followers and handed to the [`Recorder`], which keeps what it says of
//! cells in the phenotype. Recording never waits: a full queue to the file is counted as dropped, the
//! ring forgets its oldest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use cyte_dna::{Standing, limits};
use cyte_organism::phenotype::Cause;
use serde::{Deserialize, Serialize};

use crate::record::Recorder;
use crate::ring::{Page, Ring};
use crate::state::clock;
use crate::state::rotate::RotatedFile;

/// How many events may wait for the file.
const QUEUE: usize = 1_024;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// The host started on a state folder.
    Started {
        /// The version of cyte.
        version: String,
        /// The process id.
        pid: u32,
    },
    /// Who judges DNA on this host was found: first of all, before any gene is looked at.
    Security {
        /// What kind of judge: `germline`.
        provider: String,
        /// The germline's digest in hexadecimal.
        germline: String,
        /// The ids of the keys that may sign.
        keys: Vec<String>,
        /// How many of them must.
        threshold: usize,
    },
    /// A DNA was accepted and is in force.
    DnaAccepted {
        /// The organism's name.
        organism: String,
        /// The manifest's version.
        dna_version: u64,
        /// The manifest's digest in hexadecimal.
        digest: String,
        /// Why it was accepted.
        standing: Standing,
    },
    /// What makes code of the genes from here on was found: second, after the DNA was accepted.
    Loader {
        /// Its name: `built-in` or `cached`.
        name: String,
        /// What it does.
        does: String,
    },
    /// A gene can answer.
    GeneReady {
        /// The gene's name.
        gene: String,
        /// How long making it ready took, in milliseconds.
        took_ms: u64,
        /// Whether its compiled code came from the cache.
        cached: bool,
    },
    /// A cell that others descend from was born: the egg, or its first drone.
    Born {
        /// The cell, as `cyte ps` names it.
        cell: String,
        /// Its role.
        role: String,
        /// Who bore it; the egg has no mother.
        mother: Option<String>,
    },
    /// The egg divided.
    Divided {
        /// The egg.
        mother: String,
        /// The cell that it made.
        daughter: String,
        /// Why: `request`, `dna` (`dormant = false`) or `wish`.
        cause: String,
    },
    /// A core cell took its role, for good.
    Differentiated {
        /// The cell.
        cell: String,
        /// What it is now.
        role: String,
        /// What it does there.
        seat: String,
    },
    /// The pool of stems has as many as the DNA wants, or as there is room for, for the first time.
    StemsRaised {
        /// Who raised them.
        mother: String,
        /// How many.
        stems: u32,
    },
    /// The gateway listens.
    Listening {
        /// The first address, as a URL.
        url: String,
    },
    /// The hormone law made cells or let some end; told at most once a second for each gene and
    /// cause.
    Regulated {
        /// The gene's name.
        gene: String,
        /// Cells made since it was told last.
        born: u32,
        /// Cells told to end since it was told last.
        ended: u32,
        /// Why: `growth`, `surplus`, `floor`, `renewal`, `pressure` or `bound`.
        cause: String,
        /// Cells ready and on their way when the last of them was decided.
        living: u32,
        /// Cells that the demand wanted then, in thousandths.
        wanted_permille: u64,
        /// The deficit that its cells felt then, in thousandths; negative is a surplus.
        felt_permille: i64,
        /// The same in words.
        why: String,
    },
    /// A cell died before its uses were spent.
    CellDied {
        /// The gene's name.
        gene: String,
        /// The cell's number within its tissue.
        cell: u64,
        /// What kind of death.
        cause: Cause,
        /// Messages that it answered.
        uses: u64,
        /// Why it died.
        reason: String,
    },
    /// A cell holds a message, makes no progress and waits for nothing that could come; it ends.
    Zombie {
        /// The gene's name.
        gene: String,
        /// The cell's number within its tissue.
        cell: u64,
        /// For how long nothing happened in it, in milliseconds.
        silent_ms: u64,
        /// What it did last.
        last: String,
    },
    /// A cell is stuck as a zombie is, and the DNA's judge spares it for now.
    ZombieSpared {
        /// The gene's name.
        gene: String,
        /// The cell's number within its tissue.
        cell: u64,
        /// For how long nothing happened in it, in milliseconds.
        silent_ms: u64,
    },
    /// A policy did not do what it is there for; the host's own default acts.
    PolicyFailed {
        /// The policy's gene.
        gene: String,
        /// What it was to do: `zombies`, `log` or `metrics`.
        duty: String,
        /// Why it did not.
        why: String,
    },
    /// The host's own code warned of something.
    Warned {
        /// Which part of it, for example `gateway`.
        by: String,
        /// What it said.
        text: String,
    },
    /// Cells were born; told at most once a second for each gene.
    CellsBorn {
        /// The gene's name.
        gene: String,
        /// How many since it was told last.
        count: u64,
    },
    /// More cells died than are told one by one; told at most once a second for each gene.
    CellsDied {
        /// The gene's name.
        gene: String,
        /// How many since it was told last.
        count: u64,
    },
    /// An operator wrote something.
    Operator {
        /// The user id that asked.
        uid: u32,
        /// The verb, for example `secret.set`.
        verb: String,
        /// What it was done to.
        subject: String,
    },
    /// What an operator wished is no longer allowed by the DNA in force, and gone.
    WishDropped {
        /// The gene's name.
        gene: String,
        /// Which part of the wish.
        field: String,
        /// What was asked.
        asked: String,
        /// What the DNA allows.
        allowed: String,
    },
    /// A limit that an operator set is no longer allowed by the DNA in force, and gone.
    LimitDropped {
        /// Its name, for example `front.wait`.
        limit: String,
        /// What was asked.
        asked: String,
        /// What is allowed.
        allowed: String,
    },
    /// What is wanted of a gene changed.
    Wished {
        /// The gene's name.
        gene: String,
        /// How many cells are wanted now.
        count: String,
        /// Who wants it: `dna` or `operator`.
        origin: String,
        /// The gene store's revision.
        revision: u64,
    },
    /// Cells that were wanted and missing were started.
    Expressed {
        /// The gene's name.
        gene: String,
        /// How many cells.
        cells: u32,
        /// The gene store's revision that wanted them.
        revision: u64,
    },
    /// Cells that are wanted are missing, and are not started now.
    NotExpressed {
        /// The gene's name.
        gene: String,
        /// How many cells.
        cells: u32,
        /// Why.
        reason: String,
        /// When it is tried next, in milliseconds from now; none = when what stands against it changes.
        again_ms: Option<u64>,
    },
    /// Something went wrong that is worth a look, and a recording of it is kept.
    Incident {
        /// What kind: `crash-loop`, `saturation` or `breach`.
        kind: String,
        /// The gene's name.
        gene: String,
        /// What happened.
        why: String,
        /// The recording, for `cyte replay`: its path within the state folder.
        file: String,
    },
    /// A part of a gene's tissue, or of the host, stays over its mark.
    Hot(Heat),
    /// It stayed well below its mark again.
    Cooled(Heat),
    /// Another host is there, for the first time or again.
    HostCame {
        /// Which, as records name it.
        peer: String,
        /// Its name for people.
        name: String,
    },
    /// Nothing was heard of another host for too long.
    HostGone {
        /// Which, as records name it.
        peer: String,
        /// Its name for people.
        name: String,
        /// Which life of it.
        life: u64,
    },
    /// Of a gene that is counted over all hosts this one answers for so many cells now.
    AnswersFor {
        /// The gene's name.
        gene: String,
        /// How many.
        copies: u32,
    },
    /// This host cannot start cells that it answered for; another is to.
    HandedOn {
        /// The gene's name.
        gene: String,
        /// How many.
        copies: u32,
        /// Why.
        reason: String,
    },
    /// Cells were made for another host that lacks them.
    GrewForOthers {
        /// The gene's name.
        gene: String,
        /// How many.
        cells: u32,
    },
    /// The host finishes what runs and takes nothing new.
    Draining {
        /// Why, for example the signal's name.
        reason: String,
    },
    /// The host ends.
    Stopped,
}

/// Which part is hot, or has cooled, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heat {
    /// The gene's name; none for the host itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gene: Option<String>,
    /// `cores`, `run-delay`, `memory`, `queue`, or the name of the gene's own signal.
    pub part: String,
    /// What was measured.
    pub number: u64,
    /// The mark.
    pub mark: u64,
    /// The unit of both; empty for a signal.
    pub unit: String,
}

/// One fact with its number and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The version of this object; 1.
    pub v: u32,
    /// Rises by one with every event since the host started.
    pub seq: u64,
    /// Wall clock in milliseconds since 1970, as the host then believed.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// Where events go.
#[derive(Debug)]
pub struct EventLog {
    ring: Ring<EventRecord>,
    file: Option<SyncSender<EventRecord>>,
    recorder: OnceLock<Arc<Recorder>>,
    dropped: AtomicU64,
}

impl EventLog {
    /// A log that keeps events in memory and, with a file, on disk as well.
    ///
    /// The file is written by a thread of its own that ends when the log is dropped; a file that
    /// cannot be written any more loses events and counts them.
    pub fn new(file: Option<RotatedFile>) -> Arc<Self> {
        let file = file.and_then(spawn_writer);
        let ring = Ring::new(limits::EVENTS_KEPT);
        Arc::new(Self { ring, file, recorder: OnceLock::new(), dropped: AtomicU64::new(0) })
    }

    /// From here on all that happens is handed to `recorder`; only the first one counts.
    pub fn tell(&self, recorder: Arc<Recorder>) {
        let _ = self.recorder.set(recorder);
    }

    /// Records that `what` happened now. Never waits.
    pub fn record(&self, what: Happening) {
        let at_ms = clock::wall_ms();
        if let Some(recorder) = self.recorder.get() {
            recorder.tell(at_ms, &what);
        }
        let mut made = None;
        self.ring.push_with(|seq| {
            let record = EventRecord { v: 1, seq, at_ms, what };
            made = Some(record.clone());
            record
        });
        if let (Some(record), Some(file)) = (made, &self.file)
            && file.try_send(record).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// At most `limit` events after number `seen`.
    pub fn after(&self, seen: u64, limit: usize) -> Page<EventRecord> {
        self.ring.after(seen, limit)
    }

    /// The events themselves, for followers.
    pub fn ring(&self) -> &Ring<EventRecord> {
        &self.ring
    }

    /// How many events the file missed since the host started.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn spawn_writer(mut file: RotatedFile) -> Option<SyncSender<EventRecord>> {
    let (sender, receiver) = sync_channel::<EventRecord>(QUEUE);
    let write = move || {
        for record in receiver {
            let Ok(mut line) = serde_json::to_vec(&record) else { continue };
            line.push(b'\n');
            // A full disk loses lines; the ring still has them.
            let _ = file.append(&line);
        }
    };
    std::thread::Builder::new().name("events".into()).spawn(write).ok().map(|_| sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::scratch;

    #[test]
    fn a_record_is_one_flat_object() {
        let log = EventLog::new(None);
        let (cause, uses) = (Cause::Trap, 7);
        log.record(Happening::CellDied { gene: "front".into(), cell: 3, cause, uses, reason: "trap".into() });
        let page = log.after(0, 10);
        let json = serde_json::to_value(&page.entries[0].1).unwrap();
        assert_eq!(json["v"], 1);
        assert_eq!(json["seq"], 1);
        assert_eq!(json["event"], "cell-died");
        assert_eq!(
            (&json["gene"], &json["cause"], &json["uses"]),
            (&"front".into(), &"trap".into(), &7.into())
        );
        let back: EventRecord = serde_json::from_value(json).unwrap();
        assert_eq!(back, page.entries[0].1);
    }

    #[test]
    fn so_many_events_are_remembered() {
        let log = EventLog::new(None);
        for _ in 0..limits::EVENTS_KEPT + 7 {
            log.record(Happening::Stopped);
        }
        let kept = log.after(0, usize::MAX).entries;
        assert_eq!((kept.len(), kept[0].1.seq), (limits::EVENTS_KEPT, 8));
    }

    #[test]
    fn events_reach_the_file() {
        let (path, dir) = scratch("events");
        let log = EventLog::new(Some(RotatedFile::open(dir, "events.jsonl").unwrap()));
        log.record(Happening::Stopped);
        drop(log);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            let text = std::fs::read_to_string(path.join("events.jsonl")).unwrap();
            if text.ends_with("\"event\":\"stopped\"}\n") {
                break;
            }
            assert!(std::time::Instant::now() < end, "{text}");
            std::thread::yield_now();
        }
    }
}
