//! The hormone law: how many cells of each class a host grows, keeps and lets die.
//!
//! [`Law::run`] is given the time and what the host counted, and answers with decisions. It looks
//! at each class through its cells: reports, transport over the family tree, growth of those who
//! feel a deficit, a rate of death where a surplus lasts, all inside hard bounds that no hormone
//! and no constant moves. The same code runs in the host and in the simulator.
//!
//! What it never does: ask for the time, hold a request up, decide for one request. A request
//! that finds no free slot asks [`Demand::may_take`] on its own path and takes a stem at once;
//! the law sizes the pool and the retention behind it and grows what starts slowly.
//!
//! Where it goes beyond the written law, and why:
//! - What a cell remembers of its load is handed on when it stops serving, so the sum of reports
//!   is the demand also while half of the cells die.
//! - Budgets of births, refill and death fill with time and not with runs: reflexes run the law
//!   every few milliseconds, and a cap for each run would be no cap at all.
//! - Deaths are decided at ticks only; a reflex can make cells and never end one.
//! - The slow memory of a cell that was told to die dies with it; kept, it held 4 % more cells on a
//!   falling tide.
//! - Demand leaves a stem where it is while slots will come free before the wait is felt: a wait that
//!   does no harm is cheaper than a cell. A stall of the machine, after which everybody comes at once
//!   and everybody ends at once, then calls for no cells that nobody needs (on a real host 18 births
//!   where there were 49). The price is a wait of some 4 ms at 99.9 %.
//! - A surplus is judged by the peak of the last second, not by the mean: who was needed a moment ago
//!   stays. Half to a third of the births, for 1 % more cell-seconds.
//! - A surplus that holds more memory than may stay warm dies sooner, by as many times as it is too
//!   much, and is judged less by what it remembers: what a burst filled comes back in seconds.
//! - Full cores are told by their use as well as by run delay, and before either tells: a class
//!   whose requests compute grows to no more cells than the cores can drive at once, and one. A
//!   signal of full cores comes some 100 ms late, and by then a queue has called for many.
//! - Full cores hold back the births that demand calls for only where messages compute, and only
//!   above one cell for each core: a gene that waits for others would go without cells because of a
//!   neighbour that spins.
//! - Averages rise over at most two ticks of what was not looked at: one busy look after a long
//!   sleep is not half a second of load.
//!
//! Cost: O(cells) a run, no allocation unless the population changes.

mod class;
mod decision;
mod glut;
mod grow;
mod peak;
mod shrink;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::constants::{
    BUSY_HALF_LIFE, BUSY_MAX, CLASSES_MAX, ClassSpec, ConstantError, Constants, RUN_DELAY_MAX, SUPPRESSION,
    within,
};
use crate::dice::Dice;
use crate::endocrine::{ReleaseError, check_strength};
use crate::family::Reading;
use crate::lineage::Niche;
use crate::share::Ask;
use crate::{Nanos, endocrine::check_bias};
use class::Class;
pub use class::View;
pub use decision::{Act, Cause, Decision, Trace};
use glut::Glut;

/// A class's number on this host, for as long as the host knows the gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassId(pub u32);

/// What the host counted of one class.
#[derive(Clone, Copy, Debug)]
pub struct ClassSample<'a> {
    /// Which.
    pub class: ClassId,
    /// Its cells, ascending by niche.
    pub cells: &'a [Reading],
    /// Requests that wait for a slot.
    pub queued: u32,
    /// The most messages inside cells and waiting at once since the last sample.
    pub peak: u32,
    /// When the longest-waiting of them arrived.
    pub head: Option<Nanos>,
    /// Requests that arrived since the host started.
    pub arrived: u64,
    /// `S`: the mean time a request holds a slot, as it would be on free cores.
    pub service: Nanos,
    /// The part of it that is CPU time; 0 where nothing was measured yet.
    pub computing: Nanos,
    /// Cells that stay and whose guest computes and waits for a core right now.
    pub stalled: u32,
    /// `A`: from commitment to serving.
    pub activation: Nanos,
    /// Cells retired by use, age or memory since the host started, and not succeeded in their
    /// niche.
    pub retired: u64,
    /// What the gene's own signal says, in thousandths of one cell's load.
    pub signal: u64,
    /// Memory of its cells that hold no message, in whole MiB.
    pub resting_mib: u32,
}

/// What the host counted of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSample {
    /// Stems that wait.
    pub stems: u32,
    /// Places that the bounds of memory and maps still leave, beside cells and stems.
    pub room: u32,
    /// Mean delay from woken to polled since the last run.
    pub run_delay: Nanos,
    /// Share of the cores' time since the last run that cells used, in thousandths; 0 where the
    /// host does not know.
    pub busy_permille: u32,
    /// Cores that cells may use; 0 where the host does not know.
    pub cores: u32,
    /// Memory that cells of all classes may hold at rest and do no harm, in MiB; 0 = any.
    pub warm_mib: u32,
}

/// What a request may do on its own path, as the law last published it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Stems left to the law and to core classes.
    pub floor: u32,
    /// Whether demand may take stems: not while the cores are full, unless the class's messages
    /// mostly wait for something else.
    pub is_open: bool,
    /// Cells that the cores can run at once: below so many it is open in any case.
    pub driven: u32,
    /// Messages one cell takes at once.
    pub slots: u32,
    /// Most cells of the class.
    pub max: u32,
    /// Share of busy slots, in millionths, that come free by themselves in the time that a request
    /// should wait for rather than take a stem.
    pub soon_ppm: u32,
}

impl Demand {
    /// Before the law has spoken: as many as there are stems.
    pub fn unheard(slots: u32) -> Self {
        Self { floor: 0, is_open: true, driven: 0, slots, max: u32::MAX, soon_ppm: 0 }
    }

    /// Whether a request that finds no free slot takes a stem at once. `queued` counts it too,
    /// `busy` is slots in use.
    ///
    /// Cells on their way serve those who wait first, so that one burst does not wake a cell a
    /// request. So do slots that come free on their own before the wait is felt: with a hundred slots
    /// of 50 ms one comes free every half millisecond, and ten may wait without harm.
    pub fn may_take(&self, queued: u32, busy: u32, pending: u32, placed: u32, stems: u32) -> bool {
        let soon = u64::from(busy) * u64::from(self.soon_ppm) / 1_000_000;
        let spoken_for = u64::from(pending) * u64::from(self.slots) + soon;
        self.may_grow(placed) && stems > self.floor && u64::from(queued) > spoken_for
    }

    /// Whether more than `placed` cells would serve anybody sooner.
    pub fn may_grow(&self, placed: u32) -> bool {
        (self.is_open || placed < self.driven) && placed < self.max
    }
}

/// Where the law's averages come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Over the family tree, as it runs in a host.
    #[default]
    Family,
    /// Exact, as a centre that sees everything would have them: what the calculus is measured
    /// against.
    Central,
}

/// What a neuron writes into a class's register.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Advice {
    /// A factor on the demand; taken within 25 % of 1.
    Bias(f64),
    /// So many cells, instead of the law's own wish.
    Target(u32),
}

/// How the law of one host stands.
///
/// Its serialised form is all that its next decisions depend on: equal bytes, equal decisions ever
/// after. What is only working space is left out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Law {
    constants: Constants,
    transport: Transport,
    dice: Dice,
    classes: BTreeMap<ClassId, Class>,
    /// When the law last ran, and when it last ran a tick.
    ran: Option<Nanos>,
    ticked: Option<Nanos>,
    next_tick: Nanos,
    suppressed_until: Nanos,
    busy: f64,
    cores: u32,
    births: f64,
    refills: f64,
    #[serde(skip)]
    asks: Vec<Ask>,
    #[serde(skip)]
    order: Vec<u32>,
    /// Candidates for death: slots in use, remembered load, place in the family.
    #[serde(skip)]
    candidates: Vec<(u32, f64, u32)>,
    deadline: Option<Nanos>,
}

/// What one run works with besides the classes.
struct Run<'a> {
    now: Nanos,
    constants: Constants,
    is_suppressed: bool,
    /// Stems, room and births still to give.
    stems: u32,
    room: u32,
    births: u32,
    samples: &'a [ClassSample<'a>],
    decisions: &'a mut Vec<Decision>,
}

impl Law {
    /// A law without classes. Its draws come from `seed`.
    pub fn new(constants: Constants, transport: Transport, seed: u64) -> Self {
        Self {
            constants,
            transport,
            dice: Dice::new(seed),
            classes: BTreeMap::new(),
            ran: None,
            ticked: None,
            next_tick: Nanos(0),
            suppressed_until: Nanos(0),
            busy: 0.0,
            cores: 0,
            births: f64::from(constants.birth_cap),
            refills: f64::from(constants.refill),
            asks: Vec::new(),
            order: Vec::new(),
            candidates: Vec::new(),
            deadline: None,
        }
    }

    /// Adds a class, or changes the bounds of one that is there; its memory stays.
    ///
    /// # Errors
    /// [`ConstantError`] for a value out of range, and where there are too many classes.
    pub fn set_class(&mut self, class: ClassId, spec: ClassSpec) -> Result<(), ConstantError> {
        spec.check()?;
        if let Some(known) = self.classes.get_mut(&class) {
            known.spec = spec;
            return Ok(());
        }
        within("classes", self.classes.len() as u64 + 1, 0, CLASSES_MAX as u64)?;
        self.classes.insert(class, Class::new(spec));
        Ok(())
    }

    /// Forgets a class.
    pub fn remove_class(&mut self, class: ClassId) {
        self.classes.remove(&class);
    }

    /// A guest releases a hormone: positive asks for growth. Counted once, at the next run.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed.
    pub fn release(&mut self, class: ClassId, niche: Niche, strength: f64) -> Result<(), ReleaseError> {
        let strength = check_strength(strength, self.constants.report_max)?;
        let class = self.classes.get_mut(&class).ok_or(ReleaseError::NoCell)?;
        let member = class.family.member_mut(niche).filter(|member| member.is_ready());
        let member = member.ok_or(ReleaseError::NoCell)?;
        if member.released.is_some() {
            return Err(ReleaseError::TooOften);
        }
        member.released = Some(strength);
        Ok(())
    }

    /// An operator releases a hormone: at the next run every cell of the class hears it, as loud
    /// as all other cells together.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed.
    pub fn command(&mut self, class: ClassId, strength: f64) -> Result<(), ReleaseError> {
        let strength = check_strength(strength, self.constants.report_max)?;
        self.classes.get_mut(&class).ok_or(ReleaseError::NoCell)?.word = Some(strength);
        Ok(())
    }

    /// A neuron writes a class's register; it is obeyed for ten ticks.
    pub fn advise(&mut self, now: Nanos, class: ClassId, advice: Advice) {
        let advice = match advice {
            Advice::Bias(bias) => Advice::Bias(check_bias(bias)),
            target => target,
        };
        let until = now + Nanos(self.constants.tick.0.saturating_mul(crate::constants::ADVICE_TICKS));
        if let Some(class) = self.classes.get_mut(&class) {
            class.advice = Some((advice, until));
        }
    }

    /// Looks at what the host counted and appends what is to be done. Whatever is appended counts
    /// as done: the next sample must show committed cells as pending. A run sooner after the last
    /// than the reflex gap does nothing.
    pub fn run(
        &mut self,
        now: Nanos,
        host: HostSample,
        samples: &[ClassSample<'_>],
        decisions: &mut Vec<Decision>,
    ) {
        if let Some(ran) = self.ran
            && now.since(ran) < self.constants.reflex_gap
        {
            self.deadline = Some(ran + self.constants.reflex_gap);
            return;
        }
        let is_tick = self.ticked.is_none() || now >= self.next_tick;
        let elapsed = self.ran.map_or(self.constants.tick, |ran| now.since(ran));
        self.cores = host.cores;
        self.note_cores(now, elapsed, host);
        self.fill_budgets(elapsed);
        let glut = Glut::of(host, samples);
        for sample in samples {
            if let Some(class) = self.classes.get_mut(&sample.class) {
                class.glut = glut.part(sample);
                class.sense(now, elapsed, &self.constants, self.transport, sample);
                class.weigh_cores(elapsed, host.cores, sample);
            }
        }
        let births = self.births as u32;
        let mut run = Run {
            now,
            constants: self.constants,
            is_suppressed: now < self.suppressed_until,
            stems: host.stems,
            room: host.room,
            births,
            samples,
            decisions,
        };
        self.grow(&mut run);
        if is_tick {
            let since = self.ticked.map_or(self.constants.tick, |ticked| now.since(ticked));
            self.shrink(&mut run, since);
            self.ticked = Some(now);
        }
        let stems = self.refill(&mut run);
        let born = births - run.births;
        self.births -= f64::from(born);
        self.ran = Some(now);
        self.plan(now, host, samples, stems, is_tick);
    }

    /// When the law wants to run again; `None` while nothing would change by time alone.
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// When the law must run for a queue of `class` whose head arrived at `head`: when it is felt,
    /// and never sooner than the reflex gap allows. The host asks when a queue forms.
    pub fn reflex(&self, class: ClassId, head: Nanos) -> Option<Nanos> {
        let class = self.classes.get(&class)?;
        let gap = self.ran.map_or(Nanos(0), |ran| ran + self.constants.reflex_gap);
        Some((head + class.spec.pain()).max(gap))
    }

    /// What requests of `class` may do on their own until the next run.
    pub fn demand(&self, class: ClassId) -> Demand {
        let Some(known) = self.classes.get(&class) else { return Demand::default() };
        Demand {
            floor: if known.spec.core { 0 } else { self.constants.stems_floor() },
            is_open: !known.computes || !self.is_suppressed(),
            driven: self.cores,
            slots: known.spec.slots,
            max: known.spec.max.min(known.useful).min(known.target()),
            soon_ppm: known.soon_ppm,
        }
    }

    /// How a class stood at the last run.
    pub fn view(&self, class: ClassId) -> Option<&View> {
        self.classes.get(&class).map(|class| &class.view)
    }

    /// Who of a class lives below another mother than the one that bore it: its niche and that of
    /// whoever adopted it.
    pub fn adopted(&self, class: ClassId) -> impl Iterator<Item = (Niche, Niche)> + '_ {
        self.classes.get(&class).into_iter().flat_map(|class| class.family.adopted())
    }

    /// What the cell at `niche` felt at the last run, with its own report's averages.
    pub fn trace(&self, class: ClassId, niche: Niche) -> Option<Trace> {
        let class = self.classes.get(&class)?;
        let members = class.family.members();
        let at = members.binary_search_by_key(&niche, |member| member.reading.niche).ok()?;
        Some(class.trace(at))
    }

    /// Whether full cores held growth back at the last run.
    pub fn is_suppressed(&self) -> bool {
        self.ran.is_some_and(|ran| ran < self.suppressed_until)
    }

    /// The constants in force.
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// Every class with its bounds, ascending by number.
    #[cfg(feature = "host")]
    pub(crate) fn specs(&self) -> impl Iterator<Item = (ClassId, &ClassSpec)> {
        self.classes.iter().map(|(id, class)| (*id, &class.spec))
    }

    /// Full cores release an anti-hormone to every class. Delay tells of them where turns are long;
    /// with short turns only their use does, and more cells would still not serve sooner.
    fn note_cores(&mut self, now: Nanos, elapsed: Nanos, host: HostSample) {
        let busy = f64::from(host.busy_permille) / 1_000.0;
        self.busy += (busy - self.busy) * crate::time::part(elapsed.min(self.constants.tick), BUSY_HALF_LIFE);
        if host.run_delay > RUN_DELAY_MAX || self.busy > BUSY_MAX {
            self.suppressed_until = now + SUPPRESSION.max(self.constants.tick);
        }
    }

    fn fill_budgets(&mut self, elapsed: Nanos) {
        let ticks = elapsed.0 as f64 / self.constants.tick.0.max(1) as f64;
        let (births, refill) = (f64::from(self.constants.birth_cap), f64::from(self.constants.refill));
        self.births = (self.births + births * ticks).min(births);
        self.refills = (self.refills + refill * ticks).min(refill);
    }

    /// Brings the pool nearer to its goal; returns how many stems there are then.
    fn refill(&mut self, run: &mut Run<'_>) -> u32 {
        let living: u32 = self.classes.values().fold(0, |sum, class| sum.saturating_add(class.living()));
        let goal = self.constants.stems_goal(living);
        if run.stems < goal {
            let made = (goal - run.stems).min(run.room).min(self.refills as u32);
            if made > 0 {
                self.refills -= f64::from(made);
                run.decisions.push(Decision::Refill(made));
            }
            return run.stems + made;
        }
        if run.stems > goal {
            run.decisions.push(Decision::Dissolve(run.stems - goal));
        }
        goal
    }

    fn plan(&mut self, now: Nanos, host: HostSample, samples: &[ClassSample<'_>], stems: u32, is_tick: bool) {
        let constants = &self.constants;
        let is_awake = self.classes.values().any(|class| class.is_awake(constants));
        let living: u32 = self.classes.values().fold(0, |sum, class| sum.saturating_add(class.living()));
        let is_short = stems < constants.stems_goal(living);
        if is_tick {
            self.next_tick = now + constants.tick;
        }
        let clock = if is_awake || (is_short && host.room > 0) {
            Some(self.next_tick)
        } else if is_short {
            Some(now + IDLE_CLOCK)
        } else {
            None
        };
        let gap = now + constants.reflex_gap;
        let reflexes = samples.iter().filter_map(|sample| {
            let class = self.classes.get(&sample.class)?;
            let head = sample.head?;
            // Where no cell can be added, only the clock can change anything.
            class.can_grow().then(|| (head + class.spec.pain()).max(gap))
        });
        self.deadline = clock.into_iter().chain(reflexes).min();
    }
}

/// How often a law looks again that wants more stems and has no room for them.
pub const IDLE_CLOCK: Nanos = Nanos::from_millis(500);
