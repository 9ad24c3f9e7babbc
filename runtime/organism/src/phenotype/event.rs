//! The events: one closed enum, every part bounded.

use std::fmt;

use cyte_dna::{GeneName, KeyId, Role};
use serde::{Deserialize, Serialize};

use super::tissue::CELLS_MAX;
use crate::lineage::{CellId, Niche};
use crate::wish::{Labels, check_labels};

/// The longest text of a note or of a guest's signal name, in bytes.
pub const NOTE_BYTES: usize = 512;
/// Numbers that one decision may list.
const DECIDED_NUMBERS: usize = 16;
/// Runs of cells that one census may list.
const CENSUS_RUNS: usize = 512;
/// The longest name of a hormone, a signal or a decision's number, in bytes.
const NAME_BYTES: usize = 63;

/// A host: the first eight bytes of the digest of its key, as people see them in a key id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub u64);

impl From<KeyId> for HostId {
    fn from(id: KeyId) -> Self {
        // A key id prints as 16 hex digits, which always are a u64.
        HostId(u64::from_str_radix(&id.to_string(), 16).unwrap_or_default())
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostId({self})")
    }
}

/// One life of a host's process: rises with every start (the start time in milliseconds will do).
/// Numbers of records and cells begin anew with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One event: what happened, where, when, to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The host that saw it.
    pub host: HostId,
    /// The life of that host.
    pub epoch: Epoch,
    /// Rises by one with every record of this host and life, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970 as that host then believed.
    pub at_ms: u64,
    /// The gene it concerns; `None` for stems and for the host itself.
    pub gene: Option<GeneName>,
    /// The cell it concerns.
    pub cell: Option<CellId>,
    /// What happened.
    pub event: Event,
}

/// All that is recorded. What happens with every request travels as a one-second sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A cell got its place: a stem where the record names no gene.
    Born {
        /// Its role, where it has one already.
        role: Option<Role>,
        /// Who divided to make it.
        mother: Option<CellId>,
        /// Predecessors in its niche.
        generation: u64,
        /// Its niche.
        niche: Niche,
    },
    /// A stem became the record's cell of the record's gene, for good.
    Differentiated {
        /// The stem it was; `None` when it was made at once.
        stem: Option<CellId>,
        /// What it is now.
        role: Role,
        /// How long that took, in microseconds.
        micros: u32,
    },
    /// The record's cell divided.
    Divided {
        /// Into this one.
        daughter: CellId,
    },
    /// The record's cell lost its mother and has another.
    Adopted {
        /// By this one.
        mother: CellId,
    },
    /// The record's cell takes nothing new and ends when it has finished.
    Dying {
        /// Why.
        cause: Cause,
    },
    /// The record's cell is gone.
    Dead {
        /// Why.
        cause: Cause,
        /// Messages it served.
        uses: u64,
    },
    /// A part of the gene's tissue, or of the host, is above its mark; with a number that is not, it
    /// has cooled.
    Hot {
        /// Which part.
        part: Part,
        /// What was measured, in the part's unit.
        number: u64,
        /// The mark.
        mark: u64,
    },
    /// The level of a hormone in the gene's tissue changed.
    Level {
        /// Which hormone.
        hormone: Hormone,
        /// Its strength in thousandths; negative is the anti-hormone's side.
        milli: i32,
    },
    /// The law decided something about the gene.
    Decision(Decided),
    /// What the gene's tissue served in one second.
    Requests(Requests),
    /// Successors that took over the niches of retired cells in one second.
    Renewed {
        /// How many.
        cells: u32,
    },
    /// A wanted piece that was missing was started.
    Expressed {
        /// The gene store's revision that wanted it.
        revision: u64,
        /// Cells started.
        cells: u32,
    },
    /// A wanted piece was not started.
    Refused {
        /// Why, as `cyte why` says it; at most [`NOTE_BYTES`].
        reason: String,
        /// When it is tried again, in milliseconds from the record's time; `None` = when something
        /// changes.
        again_ms: Option<u64>,
    },
    /// Which cells of the gene (of stems, where there is none) the host has: repairs what lost
    /// records left wrong elsewhere.
    Census(Census),
    /// The record's host is up.
    HostUp {
        /// What constraints can ask of it.
        labels: Labels,
    },
    /// Some host is gone, as the record's host sees it.
    HostDown {
        /// Which.
        host: HostId,
        /// Which life of it.
        epoch: Epoch,
    },
    /// Something for people, for example that a damaged file was set aside.
    Note {
        /// At most [`NOTE_BYTES`].
        text: String,
    },
}

/// Why a cell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It had its last use.
    Uses,
    /// It grew old.
    Age,
    /// Its memory passed the mark.
    Memory,
    /// There were more than needed.
    Surplus,
    /// The bounds were lowered.
    Limits,
    /// Its gene left the DNA or came in a new version.
    Upgrade,
    /// Its host stops.
    HostStop,
    /// Its client left and it was in use for nobody else.
    ClientGone,
    /// An operator ended it.
    Killed,
    /// It could not be made.
    StartFailed,
    /// It trapped.
    Trap,
    /// It broke a limit.
    Breach,
    /// It made no progress.
    Zombie,
    /// Its class voted it out.
    Voted,
}

impl Cause {
    /// Whether the cell ended by a fault, not by the population's will.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        matches!(self, Cause::StartFailed | Cause::Trap | Cause::Breach | Cause::Zombie | Cause::Voted)
    }
}

/// What can be hot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Processor: run delay, in microseconds.
    Cpu,
    /// Memory of its cells, in bytes.
    Memory,
    /// Delay in the queue, in microseconds.
    Queue,
    /// Slots in use, or cores, in thousandths.
    Utilisation,
    /// Failed requests, in thousandths.
    Errors,
    /// A signal that the gene names, at most 63 bytes.
    Signal(String),
}

/// A kind of hormone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hormone {
    /// The class's growth hormone.
    Growth,
    /// Its anti-hormone.
    AntiGrowth,
    /// One that a gene names, at most 63 bytes.
    Named(String),
}

/// A decision with what it was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Cells to be born.
    pub births: u32,
    /// Cells to end.
    pub deaths: u32,
    /// Averages and weights by name, in thousandths; at most 16.
    pub numbers: Vec<(String, i64)>,
}

/// One second of requests of a tissue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Answered by a cell.
    pub served: u32,
    /// Of those, by a trap, a breach or a broken answer.
    pub failed: u32,
    /// Refused by the host.
    pub refused: u32,
    /// Waited for a cell longer than the target.
    pub late: u32,
    /// Half took at most this long, in microseconds.
    pub p50_us: u32,
    /// 99 of 100 took at most this long, in microseconds.
    pub p99_us: u32,
}

/// Cells by runs of consecutive numbers, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// First cell and length of each run, ascending, not touching; at most 512.
    pub runs: Vec<(CellId, u32)>,
    /// Whether all cells are listed; else nothing is said beyond the last run.
    pub complete: bool,
}

impl Census {
    /// The census of these cells, which come in ascending order.
    pub fn of(cells: impl IntoIterator<Item = CellId>) -> Self {
        let mut census = Census { runs: Vec::new(), complete: true };
        for cell in cells {
            if let Some((first, length)) = census.runs.last_mut()
                && first.0.checked_add(u64::from(*length)) == Some(cell.0)
                && let Some(longer) = length.checked_add(1)
            {
                *length = longer;
            } else if census.runs.len() < CENSUS_RUNS {
                census.runs.push((cell, 1));
            } else {
                census.complete = false;
                break;
            }
        }
        census
    }

    /// `Some(true)` = alive, `Some(false)` = gone, `None` = nothing is said.
    #[must_use]
    pub fn says(&self, cell: CellId) -> Option<bool> {
        let before = self.runs.partition_point(|(first, _)| *first <= cell);
        let run = before.checked_sub(1).and_then(|at| self.runs.get(at));
        if run.is_some_and(|(first, length)| cell.0 - first.0 < u64::from(*length)) {
            return Some(true);
        }
        (self.complete || before < self.runs.len()).then_some(false)
    }

    /// The cells that it lists.
    pub fn cells(&self) -> impl Iterator<Item = CellId> {
        self.runs.iter().flat_map(|(first, length)| {
            (0..u64::from(*length)).map_while(|at| first.0.checked_add(at)).map(CellId)
        })
    }
}

/// A record that breaks a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is not taken: {0}")]
pub struct EventError(&'static str);

impl Record {
    /// Every bound. What other hosts send is checked before it is folded or kept.
    ///
    /// # Errors
    /// The first bound that is broken.
    pub fn check(&self) -> Result<(), EventError> {
        let long = |text: &str, most: usize| text.len() > most;
        let bad = match &self.event {
            _ if self.number == 0 => Some("records are numbered from 1"),
            Event::Refused { reason: text, .. } | Event::Note { text } if long(text, NOTE_BYTES) => {
                Some("its text is above 512 bytes")
            }
            Event::Hot { part: Part::Signal(name), .. }
            | Event::Level { hormone: Hormone::Named(name), .. }
                if long(name, NAME_BYTES) =>
            {
                Some("its name is above 63 bytes")
            }
            Event::Decision(decided)
                if decided.numbers.len() > DECIDED_NUMBERS
                    || decided.numbers.iter().any(|(name, _)| long(name, NAME_BYTES)) =>
            {
                Some("a decision lists at most 16 numbers with names of 63 bytes")
            }
            Event::Census(census) if census.runs.len() > CENSUS_RUNS || !census.is_sound() => {
                Some("a census lists at most 512 runs of 65,536 cells in all, ascending")
            }
            Event::HostUp { labels } if check_labels(labels).is_err() => {
                Some("its labels are not well formed")
            }
            _ => None,
        };
        bad.map_or(Ok(()), |reason| Err(EventError(reason)))
    }
}

impl Census {
    fn is_sound(&self) -> bool {
        let (mut free, mut cells) = (0, 0_u64);
        for (first, length) in &self.runs {
            cells += u64::from(*length);
            match first.0.checked_add(u64::from(*length)) {
                Some(end) if first.0 >= free && *length > 0 => free = end,
                _ => return false,
            }
        }
        cells <= CELLS_MAX as u64
    }
}
