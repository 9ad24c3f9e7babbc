//! The hormone law on this host: what the tissues say goes in, births, deaths and stems come out.
//!
//! The law itself is `cyte_organism::law`, the same that the simulator runs. Here it gets its
//! samples: each tissue's cells and counts, and averages of what was counted since the last look.
//! One class for each tissue, in the tissues' order.

use cyte_dna::limits;
use cyte_engine::HormoneLevels;
use cyte_organism::constants::{ClassSpec, ConstantError, Constants};
use cyte_organism::flight::{Recorded, Segment, Tape, TapeLimits};
use cyte_organism::law::{ClassId, ClassSample, Decision, Demand, HostSample, Law, Trace, Transport, View};
use cyte_organism::lineage::Niche;
use cyte_organism::neuron::{Beside, Host, Look, Order, Sample};
use cyte_organism::{Nanos, Reading, ReleaseError};
use std::sync::Arc;

use super::Tally;

/// What is remembered of what the law was told.
const TAPE: TapeLimits = TapeLimits {
    span: Nanos::from_millis(limits::FLIGHT_MS),
    keyframe: Nanos::from_millis(limits::FLIGHT_KEYFRAME_MS),
    bytes: limits::FLIGHT_BYTES,
};

/// Messages over which the mean service time is averaged.
const SERVICE_SPAN: f64 = 64.0;

/// How much one look changes what is believed of the clock.
const TRUTH_PART: f64 = 0.1;

/// One tissue as the law is to see it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Its cells.
    pub(super) cells: Vec<Reading>,
    /// Its counts.
    pub(super) tally: Tally,
    /// Cells below which the law forces births: what is wanted and was met already. The rest is
    /// expression's.
    pub(super) least: u32,
}

/// What is remembered of one class's service.
#[derive(Clone, Copy, Debug, Default)]
struct Service {
    served: u64,
    held: Nanos,
    computed: Nanos,
    mean_held: f64,
    mean_computed: f64,
    /// Message-time inside and waiting since the start, as far as looks show it.
    concurrency: Nanos,
}

impl Service {
    fn add_up(&mut self, elapsed: Nanos, seen: &Seen) {
        let inside = seen.cells.iter().fold(seen.tally.queued, |sum, cell| sum.saturating_add(cell.inflight));
        self.concurrency = self.concurrency + Nanos(elapsed.0.saturating_mul(inside.into()));
    }

    fn take_in(&mut self, tally: &Tally) {
        let served = tally.served.saturating_sub(self.served);
        let held = tally.held.since(self.held);
        let computed = tally.computed.since(self.computed);
        if served > 0 {
            let count = served as f64;
            // Before anything was known, all of it.
            let part = if self.served == 0 { 1.0 } else { (count / SERVICE_SPAN).min(1.0) };
            self.mean_held += (held.0 as f64 / count - self.mean_held) * part;
            self.mean_computed += (computed.0 as f64 / count - self.mean_computed) * part;
            (self.served, self.held, self.computed) = (tally.served, tally.held, tally.computed);
        }
    }
}

/// The law and what it needs between looks.
#[derive(Debug)]
pub(super) struct Homeostasis {
    law: Recorded,
    specs: Vec<Option<ClassSpec>>,
    services: Vec<Service>,
    seen: Vec<Seen>,
    decisions: Vec<Decision>,
    arrived: u64,
    looked: Nanos,
    /// The part of measured computing that was CPU time and not a wait for a core.
    truth: f64,
    /// Whether the last look found requests that came since the one before.
    was_asked: bool,
}

impl Homeostasis {
    /// A law of so many classes by the DNA's `constants`. Its draws come from `seed`.
    pub(super) fn new(constants: Constants, seed: u64, classes: usize) -> Self {
        Self {
            law: Recorded::new(Law::new(constants, Transport::Family, seed), Tape::new(TAPE)),
            specs: vec![None; classes],
            services: vec![Service::default(); classes],
            seen: std::iter::repeat_with(Seen::default).take(classes).collect(),
            decisions: Vec::new(),
            arrived: 0,
            looked: Nanos(0),
            truth: 1.0,
            was_asked: false,
        }
    }

    /// What there is of each class; to be filled before [`Self::decide`].
    pub(super) fn seen_mut(&mut self) -> &mut [Seen] {
        &mut self.seen
    }

    /// What there was of each class at the last look.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Whether no request ever came: an egg, which grows nothing.
    pub(super) fn is_dormant(&self) -> bool {
        self.seen.iter().all(|seen| seen.tally.arrived == 0 && seen.cells.is_empty())
    }

    /// Runs the law on what was seen; the decisions count as done.
    ///
    /// # Errors
    /// A class that the law refuses, by the constant that is out of range.
    pub(super) fn decide(&mut self, now: Nanos, host: HostSample) -> Result<&[Decision], ConstantError> {
        self.decisions.clear();
        let arrived = self.seen.iter().map(|seen| seen.tally.arrived).sum();
        self.was_asked = arrived != self.arrived;
        self.arrived = arrived;
        let elapsed = now.since(self.looked);
        self.looked = now;
        self.weigh(elapsed, host);
        for (at, seen) in self.seen.iter().enumerate() {
            let spec = spec(seen);
            if let Some(known) = self.specs.get_mut(at).filter(|known| **known != Some(spec)) {
                self.law.set_class(class(at), spec)?;
                *known = Some(spec);
            }
            if let Some(service) = self.services.get_mut(at) {
                service.take_in(&seen.tally);
                service.add_up(elapsed, seen);
            }
        }
        let samples: Vec<ClassSample<'_>> =
            self.seen.iter().zip(&self.services).enumerate().map(|of| sample(of, self.truth)).collect();
        self.law.run(now, host, &samples, &mut self.decisions);
        Ok(&self.decisions)
    }

    /// Computing is measured by the clock, which also runs while others have the core; what the whole
    /// process used says how much of it was true.
    fn weigh(&mut self, elapsed: Nanos, host: HostSample) {
        let tallies = self.seen.iter().zip(&self.services);
        let measured: u64 =
            tallies.map(|(seen, service)| seen.tally.computed.since(service.computed).0).sum();
        let used = elapsed.0 as f64 * f64::from(host.cores) * f64::from(host.busy_permille) / 1e3;
        if measured > 0 && host.cores > 0 {
            let truth = (used / measured as f64).min(1.0);
            self.truth += (truth - self.truth) * TRUTH_PART;
        }
    }

    /// What the law was shown at the last look, for a neuron; `memory` is what cells have and may have,
    /// `names` are the classes' genes.
    pub(super) fn look<'n>(
        &self,
        now: Nanos,
        host: HostSample,
        memory: (u64, u64),
        names: impl Iterator<Item = &'n str>,
    ) -> Look {
        let all = self.seen.iter().zip(&self.services).enumerate().zip(names);
        let classes = all.map(|((at, (seen, service)), name)| {
            let sample = sample((at, (seen, service)), self.truth);
            let Tally { memory_bytes: memory, died, .. } = seen.tally;
            let beside = Beside { concurrency: service.concurrency, memory, died };
            Sample::of(now, name, &spec(seen), &sample, beside)
        });
        Look { host: Host::of(now, host, memory), classes: classes.collect() }
    }

    /// Writes a neuron's order into the register of class `at`.
    pub(super) fn advise(&mut self, now: Nanos, at: usize, order: &Order) {
        self.law.advise(now, class(at), order.advice.into());
    }

    /// When the law wants to look again. While requests come it looks at every tick, so that none of
    /// them has to wake it.
    pub(super) fn next_deadline(&self, now: Nanos) -> Option<Nanos> {
        let asked = self.was_asked.then(|| now + self.law.constants().tick);
        self.law.next_deadline().into_iter().chain(asked).min()
    }

    /// When the law must look because requests of class `at` wait since `head`.
    pub(super) fn reflex(&self, at: usize, head: Nanos) -> Option<Nanos> {
        self.law.reflex(class(at), head)
    }

    /// What requests of class `at` may do on their own.
    pub(super) fn demand(&self, at: usize) -> Option<Demand> {
        self.specs.get(at)?.is_some().then(|| self.law.demand(class(at)))
    }

    /// How class `at` stood at the last look.
    pub(super) fn view(&self, at: usize) -> View {
        self.law.view(class(at)).copied().unwrap_or_default()
    }

    /// What the cell in `niche` felt at the last look.
    pub(super) fn trace(&self, at: usize, niche: Niche) -> Option<Trace> {
        self.law.trace(class(at), niche)
    }

    /// Who of class `at` lives below another mother than its own: its niche and that of whoever adopted
    /// it.
    pub(super) fn adopted(&self, at: usize) -> impl Iterator<Item = (Niche, Niche)> + '_ {
        self.law.adopted(class(at))
    }

    /// A guest released a hormone; heard at the next look.
    ///
    /// # Errors
    /// No cell of class `at` that serves holds this niche, or it released one already.
    pub(super) fn release(&mut self, at: usize, niche: Niche, strength: f64) -> Result<(), ReleaseError> {
        // The DNA may allow a report less than the strongest word.
        let most = self.law.constants().report_max;
        self.law.release(class(at), niche, strength.min(most))
    }

    /// How class `at` stood at the last look, as its cells are told.
    pub(super) fn told(&self, at: usize) -> HormoneLevels {
        let view = self.view(at);
        HormoneLevels {
            felt_fast: view.felt_fast,
            felt_slow: view.felt_slow,
            growth: view.deficit.max(0.0),
            anti_growth: (-view.deficit).max(0.0),
            cores_full: self.is_suppressed(),
        }
    }

    /// An operator releases a hormone to class `at`; heard at the next look.
    ///
    /// # Errors
    /// A strength out of range, or no such class.
    pub(super) fn command(&mut self, at: usize, strength: f64) -> Result<(), ReleaseError> {
        self.law.command(class(at), strength)
    }

    /// Whether full cores held growth back at the last look.
    pub(super) fn is_suppressed(&self) -> bool {
        self.law.is_suppressed()
    }

    /// The mean time in which a message of class `at` holds its slot, and what of it it computes, in
    /// microseconds.
    pub(super) fn service_us(&self, at: usize) -> (u64, u64) {
        let service = self.services.get(at).copied().unwrap_or_default();
        ((service.mean_held / 1e3) as u64, (service.mean_computed * self.truth / 1e3) as u64)
    }

    /// What the law was told lately, and what it decided.
    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.law.tape().segments()
    }

    /// The constants in force.
    pub(super) fn constants(&self) -> &Constants {
        self.law.constants()
    }
}

/// The class of the tissue at this place.
pub(super) fn class(at: usize) -> ClassId {
    ClassId(u32::try_from(at).unwrap_or(u32::MAX))
}

fn spec(seen: &Seen) -> ClassSpec {
    let tally = &seen.tally;
    ClassSpec {
        slots: tally.slots.max(1),
        min: seen.least.min(tally.most),
        max: tally.most,
        wait_target_ms: u32::try_from(tally.target.as_millis()).unwrap_or(u32::MAX).max(1),
        weight: tally.weight.max(1),
        core: false,
    }
}

fn sample<'a>((at, (seen, service)): (usize, (&'a Seen, &Service)), truth: f64) -> ClassSample<'a> {
    let tally = &seen.tally;
    ClassSample {
        class: class(at),
        cells: &seen.cells,
        queued: tally.queued,
        peak: tally.peak,
        head: tally.head,
        arrived: tally.arrived,
        service: Nanos(service.mean_held as u64),
        computing: Nanos((service.mean_computed * truth) as u64),
        stalled: tally.stalled,
        activation: tally.activation,
        retired: tally.worn,
        signal: tally.signal.map_or(0, |signal| signal.millicells),
        resting_mib: u32::try_from(tally.resting_bytes >> 20).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_service_follows_what_was_served() {
        let ms = Nanos::from_millis;
        let mut service = Service::default();
        let tally = |served, held, computed| Tally {
            served,
            held: ms(held),
            computed: ms(computed),
            ..Tally::default()
        };
        service.take_in(&tally(0, 0, 0));
        assert_eq!(service.mean_held, 0.0);
        service.take_in(&tally(2, 100, 4));
        assert_eq!((service.mean_held, service.mean_computed), (50e6, 2e6));
        service.take_in(&tally(66, 740, 4));
        assert_eq!((service.mean_held, service.mean_computed), (10e6, 0.0));
        service.take_in(&tally(66, 740, 9));
        assert_eq!(service.mean_held, 10e6);
    }
}
