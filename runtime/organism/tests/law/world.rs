//! A host small enough to see through: it does what the law decides, at once and exactly, and
//! counts what the invariants speak of.

use cyte_organism::constants::{ClassSpec, Constants};
use cyte_organism::flight::{Recorded, Tape, TapeLimits};
use cyte_organism::law::{Act, Cause, ClassId, ClassSample, Decision, HostSample, Law, Transport};
use cyte_organism::lineage::Niche;
use cyte_organism::{Nanos, Phase, Reading};

/// One class of the world.
#[derive(Default)]
pub(crate) struct Tissue {
    pub(crate) cells: Vec<Reading>,
    pub(crate) born: u64,
    pub(crate) queued: u32,
    pub(crate) head: Option<Nanos>,
    pub(crate) arrived: u64,
    pub(crate) retired: u64,
    pub(crate) signal: u64,
    /// Memory of each cell.
    pub(crate) cell_mib: u32,
}

impl Tissue {
    fn add(&mut self, now: Nanos, mother: Option<Niche>) {
        self.born += 1;
        let niche = Niche(self.born);
        self.cells.push(Reading { niche, mother, phase: Phase::Pending, inflight: 0, since: now });
    }

    /// Everybody who was on the way serves.
    pub(crate) fn wake(&mut self, now: Nanos) {
        for cell in self.cells.iter_mut().filter(|cell| cell.phase == Phase::Pending) {
            (cell.phase, cell.since) = (Phase::Ready, now);
        }
    }

    pub(crate) fn count(&self, phase: Phase) -> u32 {
        self.cells.iter().filter(|cell| cell.phase == phase).count() as u32
    }

    pub(crate) fn living(&self) -> u32 {
        self.count(Phase::Ready) + self.count(Phase::Pending)
    }

    fn resting_mib(&self) -> u32 {
        let rests = |cell: &&Reading| cell.phase != Phase::Pending && cell.inflight == 0;
        self.cells.iter().filter(rests).count() as u32 * self.cell_mib
    }

    pub(crate) fn set_loads(&mut self, inflight: u32) {
        for cell in &mut self.cells {
            cell.inflight = inflight;
        }
    }
}

/// As a host's, with a keyframe ten times as often.
pub(crate) const TAPE: TapeLimits =
    TapeLimits { span: Nanos::from_millis(60_000), keyframe: Nanos::from_millis(500), bytes: 8 << 20 };

/// A host with its law, which is recorded.
pub(crate) struct World {
    pub(crate) law: Recorded,
    pub(crate) now: Nanos,
    pub(crate) tissues: Vec<Tissue>,
    pub(crate) stems: u32,
    pub(crate) room: u32,
    pub(crate) run_delay: Nanos,
    pub(crate) cores: u32,
    pub(crate) computing: Nanos,
    pub(crate) activation: Nanos,
    pub(crate) warm_mib: u32,
    pub(crate) decisions: Vec<Decision>,
}

impl World {
    pub(crate) fn new(constants: Constants, specs: &[ClassSpec], seed: u64) -> Self {
        let tape = Tape::new(TAPE);
        let mut law = Recorded::new(Law::new(constants, Transport::Family, seed), tape);
        for (id, spec) in specs.iter().enumerate() {
            law.set_class(ClassId(id as u32), *spec).expect("a spec in range");
        }
        let tissues = specs.iter().map(|_| Tissue::default()).collect();
        Self {
            law,
            now: Nanos(0),
            tissues,
            stems: 0,
            room: 1_000,
            run_delay: Nanos(0),
            cores: 0,
            computing: Nanos(0),
            activation: Nanos::from_millis(3),
            warm_mib: 0,
            decisions: Vec::new(),
        }
    }

    /// A class of `cells` that all serve since the start, in a bushy tree.
    pub(crate) fn populate(&mut self, class: usize, cells: u32) {
        for at in 1..=u64::from(cells) {
            self.tissues[class].add(self.now, (at > 1).then_some(Niche(at / 2)));
        }
        self.tissues[class].wake(Nanos(0));
    }

    /// Runs the law after `span` and does what it says.
    pub(crate) fn step(&mut self, span: Nanos) {
        self.now = self.now + span;
        self.decisions.clear();
        let samples: Vec<ClassSample<'_>> = self
            .tissues
            .iter()
            .enumerate()
            .map(|(id, tissue)| ClassSample {
                class: ClassId(id as u32),
                cells: &tissue.cells,
                queued: tissue.queued,
                peak: tissue.cells.iter().fold(tissue.queued, |sum, cell| sum.saturating_add(cell.inflight)),
                head: tissue.head,
                arrived: tissue.arrived,
                service: Nanos::from_millis(50),
                computing: self.computing,
                stalled: 0,
                activation: self.activation,
                retired: tissue.retired,
                signal: tissue.signal,
                resting_mib: tissue.resting_mib(),
            })
            .collect();
        let host = HostSample {
            stems: self.stems,
            room: self.room,
            run_delay: self.run_delay,
            busy_permille: 0,
            cores: self.cores,
            warm_mib: self.warm_mib,
        };
        self.law.run(self.now, host, &samples, &mut self.decisions);
        for decision in self.decisions.clone() {
            self.perform(decision);
        }
    }

    /// Steps of one tick; `keep` sets the loads before each.
    pub(crate) fn ticks(&mut self, count: u32, mut keep: impl FnMut(&mut Self)) {
        for _ in 0..count {
            keep(self);
            self.step(Nanos::from_millis(20));
            let now = self.now;
            self.tissues.iter_mut().for_each(|tissue| tissue.wake(now));
        }
    }

    fn perform(&mut self, decision: Decision) {
        match decision {
            Decision::Refill(count) => {
                self.room = self.room.checked_sub(count).expect("stems only where there is room");
                self.stems += count;
            }
            Decision::Dissolve(count) => {
                self.stems = self.stems.checked_sub(count).expect("only stems that are there");
                self.room += count;
            }
            Decision::Cell { class, act, .. } => {
                let now = self.now;
                let tissue = &mut self.tissues[class.0 as usize];
                match act {
                    Act::Differentiate { mother } => {
                        self.stems = self.stems.checked_sub(1).expect("only stems that are there");
                        tissue.add(now, mother);
                    }
                    Act::Divide { mother } => {
                        self.room = self.room.checked_sub(1).expect("only where there is room");
                        assert!(
                            tissue
                                .cells
                                .iter()
                                .any(|cell| cell.niche == mother && cell.phase == Phase::Ready)
                        );
                        tissue.add(now, Some(mother));
                    }
                    Act::Found => {
                        self.room = self.room.checked_sub(1).expect("only where there is room");
                        tissue.add(now, None);
                    }
                    Act::Die { niche } => {
                        let cell = tissue.cells.iter_mut().find(|cell| cell.niche == niche).expect("a cell");
                        assert_eq!(cell.phase, Phase::Ready, "only who serves can die");
                        cell.phase = Phase::Draining;
                    }
                }
            }
        }
    }

    /// Draining cells that are done leave, and their places come back.
    pub(crate) fn bury(&mut self) {
        for tissue in &mut self.tissues {
            let before = tissue.cells.len();
            tissue.cells.retain(|cell| cell.phase != Phase::Draining);
            self.room += (before - tissue.cells.len()) as u32;
        }
    }

    pub(crate) fn births(&self) -> u32 {
        let is_birth = |decision: &&Decision| matches!(decision, Decision::Cell { act, .. } if !matches!(act, Act::Die { .. }));
        self.decisions.iter().filter(is_birth).count() as u32
    }

    pub(crate) fn births_of(&self, of: u32) -> u32 {
        let is_birth = |decision: &&Decision| matches!(decision, Decision::Cell { class, act, .. } if class.0 == of && !matches!(act, Act::Die { .. }));
        self.decisions.iter().filter(is_birth).count() as u32
    }

    pub(crate) fn births_by(&self, by: Cause) -> u32 {
        let is_birth = |decision: &&Decision| matches!(decision, Decision::Cell { act, cause, .. } if *cause == by && !matches!(act, Act::Die { .. }));
        self.decisions.iter().filter(is_birth).count() as u32
    }

    pub(crate) fn deaths(&self, of: u32) -> u32 {
        let is_death = |decision: &&Decision| matches!(decision, Decision::Cell { class, act: Act::Die { .. }, .. } if class.0 == of);
        self.decisions.iter().filter(is_death).count() as u32
    }
}

/// Constants without chance in the utilisation: a cell reports exactly `inflight / slots`.
pub(crate) fn exact() -> Constants {
    Constants { headroom: 0.0, utilisation_max: 1.0, stems_min: 0, stems_max: 0, ..Constants::default() }
}
