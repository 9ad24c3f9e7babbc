//! The egg and what it divides into: the core cells of an organism on one host (seed 001).
//!
//! A host starts as one cell, `egg#1`, which holds the listening socket and rests. With the first
//! request it divides twice: the mother becomes a neuron, the seat of the hormone law and of a
//! neuron gene where the DNA names one; the first daughter, `egg#2`, becomes a messenger, the seat
//! of the gateway; the second is a drone, the cell of Wasm that has that very request in its hands
//! already. Then the mother raises the pool of stems. Three core cells are the least that an
//! organism rests at; which drone is the third, and that one stays, is the governor's affair.
//!
//! Neuron and messenger are the host's own code: this is where they are told and shown. Nothing of
//! it stands in a request's way: the governor writes here when it looks, the gateway never does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cyte_dna::GeneName;
use cyte_engine::CellSnapshot;
use cyte_organism::Nanos;
use serde_json::{Value, json};

use crate::event::{EventLog, Happening};

/// The first cell, which becomes the neuron.
pub const MOTHER: &str = "egg#1";
/// Her first daughter, which becomes the messenger.
pub const MESSENGER: &str = "egg#2";

/// What makes an egg divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spark {
    /// The first request.
    Request,
    /// The DNA, which says `dormant = false`.
    Dna,
    /// Cells that are wanted ahead of any request.
    Wish,
}

impl Spark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Dna => "dna",
            Self::Wish => "wish",
        }
    }
}

/// What the gateway did so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carried {
    /// Connections that it accepted.
    pub connections: u64,
    /// Requests that it took.
    pub requests: u64,
    /// Requests that it refused itself.
    pub refused: u64,
}

/// The core cells of one host.
#[derive(Debug)]
pub struct Egg {
    events: Arc<EventLog>,
    born: Nanos,
    looks: AtomicU64,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    /// When it divided.
    divided: Option<Nanos>,
    /// Whether the first drone was told.
    has_drone: bool,
    /// Whether the pool of stems was told.
    has_stems: bool,
    /// Whose eldest cell is the third core cell.
    drone: Option<GeneName>,
}

impl Egg {
    /// An egg that is there from `now` on; `events` hears of all that becomes of it.
    #[must_use]
    pub fn lay(now: Nanos, events: Arc<EventLog>) -> Arc<Self> {
        events.record(Happening::Born { cell: MOTHER.into(), role: "egg".into(), mother: None });
        Arc::new(Self { events, born: now, looks: AtomicU64::new(0), life: Mutex::default() })
    }

    /// The law looked once more.
    pub fn looked(&self) {
        self.looks.fetch_add(1, Relaxed);
    }

    /// The egg divides, once: mother and first daughter take their roles. Says whether it did just now.
    pub fn divide(&self, now: Nanos, spark: Spark) -> bool {
        {
            let mut life = self.lock();
            if life.divided.is_some() {
                return false;
            }
            life.divided = Some(now);
        }
        let became = |cell: &str, role: &str, seat: &str| Happening::Differentiated {
            cell: cell.into(),
            role: role.into(),
            seat: seat.into(),
        };
        self.events.record(Happening::Divided {
            mother: MOTHER.into(),
            daughter: MESSENGER.into(),
            cause: spark.as_str().into(),
        });
        self.events.record(became(MOTHER, "neuron", LAW));
        self.events.record(became(MESSENGER, "messenger", GATEWAY));
        true
    }

    /// Cell `number` of `gene` is the first drone that lives on this host, the egg's second daughter;
    /// counts once.
    pub fn bears(&self, gene: &GeneName, number: u64) {
        let is_first = !std::mem::replace(&mut self.lock().has_drone, true);
        if is_first {
            let (cell, mother) = (format!("{gene}#{number}"), Some(MOTHER.into()));
            self.events.record(Happening::Born { cell, role: "drone".into(), mother });
        }
    }

    /// Whether the first drone was told.
    #[must_use]
    pub fn has_borne(&self) -> bool {
        self.lock().has_drone
    }

    /// From here on the eldest cell of `gene` is the third core cell; nobody, where no gene may live.
    pub fn keeps(&self, gene: Option<&GeneName>) {
        self.lock().drone = gene.cloned();
    }

    /// So many stems wait, as many as the DNA wants; counts once.
    pub fn raised(&self, stems: u32) {
        let is_first = !std::mem::replace(&mut self.lock().has_stems, true);
        if is_first {
            self.events.record(Happening::StemsRaised { mother: MOTHER.into(), stems });
        }
    }

    /// Which of `cells` is the third core cell: the eldest of its gene that stays.
    #[must_use]
    pub fn drone<'c>(&self, cells: &'c [CellSnapshot]) -> Option<&'c CellSnapshot> {
        let life = self.lock();
        let gene = life.drone.as_ref()?.as_str();
        let of = cells.iter().filter(|cell| cell.gene == gene);
        of.min_by_key(|cell| (cell.state == "draining", cell.id))
    }

    /// The core cells as people see them: one egg, or the neuron, the messenger and, where it lives,
    /// the drone. `mind` is the neuron gene.
    #[must_use]
    pub fn cells(
        &self,
        now: Nanos,
        carried: Carried,
        mind: Option<&str>,
        drone: Option<&CellSnapshot>,
    ) -> Vec<Value> {
        let looks = self.looks.load(Relaxed);
        let divided = self.lock().divided;
        let mother = |role: &str, state: &str, seat: &str| {
            json!({
                "cell": MOTHER, "kind": "core", "role": role, "state": state, "mother": null,
                "age_ms": now.since(self.born).as_millis(), "seat": seat, "gene": mind,
                "did": {"looks": looks},
            })
        };
        let Some(divided) = divided else {
            return vec![mother("egg", "dormant", "the socket, until the first request")];
        };
        let messenger = json!({
            "cell": MESSENGER, "kind": "core", "role": "messenger", "state": "serving", "mother": MOTHER,
            "age_ms": now.since(divided).as_millis(), "seat": GATEWAY, "gene": null,
            "did": {
                "connections": carried.connections, "requests": carried.requests,
                "refused": carried.refused,
            },
        });
        let drone = drone.map(|cell| {
            json!({
                "cell": format!("{}#{}", cell.gene, cell.id), "kind": "core", "role": cell.role,
                "state": cell.state, "mother": mother_of(cell), "age_ms": cell.age_ms, "seat": "requests",
                "gene": cell.gene, "did": {"messages": cell.uses},
            })
        });
        [mother("neuron", "serving", LAW), messenger].into_iter().chain(drone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LAW: &str = "the hormone law";
const GATEWAY: &str = "the gateway";

/// Who bore a cell: one of its gene, and for the first of a gene the egg.
fn mother_of(cell: &CellSnapshot) -> String {
    cell.mother.map_or_else(|| MOTHER.to_owned(), |mother| format!("{}#{mother}", cell.gene))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &EventLog) -> Vec<String> {
        let entries = events.after(0, 100).entries;
        let flat = entries.into_iter().map(|(_, record)| serde_json::to_value(record.what).unwrap());
        flat.map(|what| {
            let text = |key: &str| what[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("event"), text("cell"), text("mother"), text("role"))
        })
        .collect()
    }

    #[test]
    fn it_divides_once_and_tells_it_in_order() {
        let events = EventLog::new(None);
        let egg = Egg::lay(Nanos(0), events.clone());
        let roles = |egg: &Egg| -> Vec<Value> {
            let cells = egg.cells(Nanos::from_millis(7), Carried::default(), None, None);
            cells.iter().map(|cell| cell["role"].clone()).collect()
        };
        assert_eq!(roles(&egg), ["egg"]);
        for at in 1..3 {
            egg.divide(Nanos(at), Spark::Request);
            egg.bears(&"front".parse().unwrap(), at);
            egg.raised(16);
        }
        assert_eq!(roles(&egg), ["neuron", "messenger"]);
        assert_eq!(
            told(&events),
            [
                "born egg#1 - egg",
                "divided - egg#1 -",
                "differentiated egg#1 - neuron",
                "differentiated egg#2 - messenger",
                "born front#1 egg#1 drone",
                "stems-raised - egg#1 -",
            ]
        );
    }
}
