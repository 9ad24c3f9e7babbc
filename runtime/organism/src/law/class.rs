//! One class: what it senses, what its cells feel, how much it wants to grow and to shrink.

use serde::{Deserialize, Serialize};

use super::peak::Peak;
use super::{Advice, ClassSample, Trace, Transport};
use crate::Nanos;
use crate::constants::{
    COMPUTES_SHARE, CROWD_HALF_LIFE, CROWD_MAX, ClassSpec, Constants, DRAIN_MIN, RATE_HALF_LIFE,
};
use crate::endocrine::{Endocrine, Packet, Scale};
use crate::family::{Census, Family, Member};
use crate::time::part;

/// How a class stands, for people and for the stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Cells that serve, that are on their way, and that finish.
    pub ready: u32,
    /// See `ready`.
    pub pending: u32,
    /// See `ready`.
    pub draining: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Whether the queue's head has waited long enough to be felt.
    pub is_felt: bool,
    /// What the gene's own signal says, in loads of one cell.
    pub signal: f64,
    /// Arrivals a second.
    pub rate: f64,
    /// The signed sum of all hormone: wanted cells minus living ones, as far as reports reach.
    pub deficit: f64,
    /// `N*`: cells that the demand wants.
    pub wanted: f64,
    /// `G`: cells that growth hormone asks for.
    pub growth: f64,
    /// Mean of what ready cells feel, and the same of the slow average.
    pub felt_fast: f64,
    /// See `felt_fast`.
    pub felt_slow: f64,
    /// Deaths that the surplus has added up to.
    pub dying: f64,
    /// Cells asked for that nothing here could make.
    pub unmet: f64,
    /// Since when without a break.
    pub unmet_since: Option<Nanos>,
}

/// What a class remembers between runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Class {
    pub(crate) spec: ClassSpec,
    pub(crate) family: Family,
    pub(crate) endocrine: Endocrine,
    pub(crate) census: Census,
    pub(crate) view: View,
    pub(crate) advice: Option<(Advice, Nanos)>,
    pub(crate) word: Option<f64>,
    /// Expected voluntary deaths a second, and those that added up.
    pub(crate) death_rate: f64,
    pub(crate) deaths: f64,
    /// Retirements not looked at yet, and the births owed for them, in thousandths.
    pub(crate) renewals: i64,
    pub(crate) renewal_credit: i64,
    /// Whole cells asked for in this run and not granted yet.
    pub(crate) asked: u32,
    /// What sharing owes this class, and since when it waits for a birth.
    pub(crate) credit: f64,
    pub(crate) owed_since: Option<Nanos>,
    /// Most cells it may have while not all classes can have what they want.
    pub(crate) fair: Option<f64>,
    /// Cells above which the cores could not drive one more.
    pub(crate) useful: u32,
    /// Whether its messages mostly compute.
    pub(crate) computes: bool,
    /// Cells that wait for a core, averaged, above those that the cores can take up without a gap.
    pub(crate) crowd: f64,
    /// Its part of the memory that rests above what may, see [`super::glut`].
    pub(crate) glut: f64,
    /// See [`super::Demand::soon_ppm`].
    pub(crate) soon_ppm: u32,
    peak: Peak,
    is_known: bool,
    rate: f64,
    arrived: u64,
    retired: u64,
}

impl Class {
    pub(crate) fn new(spec: ClassSpec) -> Self {
        Self {
            spec,
            family: Family::default(),
            endocrine: Endocrine::default(),
            census: Census::default(),
            view: View::default(),
            advice: None,
            word: None,
            death_rate: 0.0,
            deaths: 0.0,
            renewals: 0,
            renewal_credit: 0,
            asked: 0,
            credit: 0.0,
            owed_since: None,
            fair: None,
            useful: u32::MAX,
            computes: false,
            crowd: 0.0,
            glut: 0.0,
            soon_ppm: 0,
            peak: Peak::default(),
            is_known: false,
            rate: 0.0,
            arrived: 0,
            retired: 0,
        }
    }

    pub(crate) fn living(&self) -> u32 {
        self.census.living()
    }

    pub(crate) fn can_grow(&self) -> bool {
        self.census.placed() < self.spec.max && (self.living() < self.useful || self.living() < self.spec.min)
    }

    /// The cells that a neuron allows: as many as it says, one at least so that a first request is
    /// heard.
    pub(crate) fn target(&self) -> u32 {
        match self.advice {
            Some((Advice::Target(target), _)) => target.max(1),
            _ => u32::MAX,
        }
    }

    /// Cells that the most messages of late needed.
    pub(crate) fn needed_lately(&self) -> u32 {
        self.peak.most().div_ceil(self.spec.slots.max(1))
    }

    /// Whether it may have one more cell and still hold no more than its share.
    pub(crate) fn is_below_share(&self) -> bool {
        self.fair.is_none_or(|fair| f64::from(self.living()) + 1.0 <= fair)
    }

    /// Whether time alone will change what is to be decided.
    pub(crate) fn is_awake(&self, constants: &Constants) -> bool {
        let census = &self.census;
        // Who is idle comes to feel that it is, however much it feels now: nobody sleeps above the
        // minimum, unless no surplus is large enough to die of.
        let shrinks = census.living() > self.spec.min && (constants.die_above < 1.0 || self.death_rate > 0.0);
        census.inflight > 0
            || census.pending > 0
            || census.draining > 0
            || census.living() < self.spec.min
            || self.view.queued > 0
            || self.view.signal > 0.0
            || self.view.growth > 0.0
            || self.advice.is_some()
            || shrinks
    }

    /// Takes in a sample: reports, transport, growth and the rate of death.
    pub(crate) fn sense(
        &mut self,
        now: Nanos,
        elapsed: Nanos,
        constants: &Constants,
        transport: Transport,
        sample: &ClassSample<'_>,
    ) {
        self.census = self.family.follow(sample.cells);
        self.count(elapsed, sample);
        self.peak.note(now, sample.peak);
        self.advice = self.advice.filter(|(_, until)| now < *until);
        let (scale, demand) = self.scale(now, constants, sample);
        self.remember(elapsed, constants, &scale);
        let word = self.word(constants);
        let slots = self.spec.slots;
        self.endocrine.gather(self.family.members(), |member| scale.own(member, slots));
        match transport {
            Transport::Family => self.endocrine.spread(constants.attenuation, word),
            Transport::Central => self.endocrine.proclaim(word),
        }
        self.feel(now, constants, &scale, demand, sample);
        for member in self.family.members_mut() {
            member.released = None;
        }
    }

    /// What one more cell would be worth on so many cores (0 where the host does not know).
    pub(crate) fn weigh_cores(&mut self, elapsed: Nanos, cores: u32, sample: &ClassSample<'_>) {
        let spare = if cores == 0 { 0.0 } else { f64::from(sample.stalled) - f64::from(cores) };
        self.crowd += (spare - self.crowd) * part(elapsed, CROWD_HALF_LIFE);
        let is_known = sample.service > Nanos(0);
        self.computes = if is_known {
            sample.computing.0 > sample.service.0 / COMPUTES_SHARE
        } else {
            sample.stalled > 0
        };
        self.useful = match cores {
            0 => u32::MAX,
            // Who waits for a core would only wait beside more of its kind.
            cores if sample.stalled >= cores => self.living(),
            cores if is_known => {
                driven(cores, self.spec.slots, sample).saturating_add(2).max(signalled(sample))
            }
            // Before the first message ended: who is inside and does not compute waits for something else.
            cores => {
                let inside = u32::try_from(self.census.inflight).unwrap_or(u32::MAX);
                let inside = inside.div_ceil(self.spec.slots.max(1));
                let elsewhere = match sample.stalled {
                    0 => inside.saturating_mul(2),
                    stalled => inside.saturating_sub(stalled.saturating_add(cores)),
                };
                elsewhere.saturating_add(cores).saturating_add(2).max(signalled(sample))
            }
        };
    }

    /// Whether there are cells that only wait for the cores beside others of their class.
    pub(crate) fn is_crowded(&self) -> bool {
        self.computes && self.crowd > CROWD_MAX
    }

    fn count(&mut self, elapsed: Nanos, sample: &ClassSample<'_>) {
        let seconds = elapsed.0 as f64 / 1e9;
        if self.is_known && seconds > 0.0 {
            let rate = sample.arrived.saturating_sub(self.arrived) as f64 / seconds;
            self.rate += (rate - self.rate) * part(elapsed, RATE_HALF_LIFE);
            let retired = sample.retired.saturating_sub(self.retired);
            self.renewals = self.renewals.saturating_add(i64::try_from(retired).unwrap_or(i64::MAX));
        }
        self.is_known = true;
        // Who gets a slot before the wait is felt needs no cell.
        let horizon = sample.activation.max(self.spec.pain());
        let soon = horizon.0 as f64 * 1e6 / sample.service.0 as f64;
        self.soon_ppm = if sample.service.0 == 0 { 0 } else { soon.min(1e6) as u32 };
        self.arrived = sample.arrived;
        self.retired = sample.retired;
    }

    /// How loads become reports now, and the demand of the whole class in slots.
    fn scale(&self, now: Nanos, constants: &Constants, sample: &ClassSample<'_>) -> (Scale, f64) {
        let census = &self.census;
        let slots = f64::from(self.spec.slots);
        let queued = f64::from(sample.queued);
        let inflight = census.inflight as f64;
        let is_felt = sample.head.is_some_and(|head| now.since(head) >= self.spec.pain());
        let queue = if is_felt {
            let service = sample.service.0 as f64;
            let drain = DRAIN_MIN.0.max(sample.activation.0.saturating_mul(4)) as f64;
            let missing = self.rate * service / 1e9 - inflight;
            // Before the first request ended nobody knows how long one takes: each may need a slot.
            let pressing = if service > 0.0 { (service / drain).min(1.0) } else { 1.0 };
            pressing * queued + missing.max(0.0)
        } else {
            queued
        };
        let bias = match self.advice {
            Some((Advice::Bias(bias), _)) => bias,
            _ => 1.0,
        };
        // So many cells at the load that each should have, and as many once they are there.
        let signal = sample.signal as f64 / 1e3;
        let target = slots * constants.utilisation(f64::from(census.living()) * slots);
        let wished = signal * slots * constants.utilisation(signal * slots);
        let scale = Scale {
            target,
            clamp: 1.0 + constants.report_max,
            bias,
            is_felt,
            queue: (queue + signal * target) / f64::from(census.ready.max(1)),
        };
        (scale, (inflight + queue + wished) * bias)
    }

    /// Every ready cell's averages. They rise by no more than two ticks of what was not looked at,
    /// and fall by all of it.
    fn remember(&mut self, elapsed: Nanos, constants: &Constants, scale: &Scale) {
        let believed = elapsed.min(Nanos(constants.tick.0.saturating_mul(2)));
        let (fast_up, fast_down) = (part(believed, constants.feel_fast), part(elapsed, constants.feel_fast));
        let (slow_up, slow_down) = (part(believed, constants.feel_slow), part(elapsed, constants.feel_slow));
        let slots = self.spec.slots;
        for member in self.family.members_mut().iter_mut().filter(|member| member.is_ready()) {
            let load = scale.load(member, slots);
            let step = |old: f64, up: f64, down: f64| old + (load - old) * if load > old { up } else { down };
            member.fast = step(member.fast, fast_up, fast_down);
            member.slow = step(member.slow, slow_up, slow_down);
        }
    }

    /// An operator's word, as loud as the class.
    fn word(&mut self, constants: &Constants) -> Packet {
        let Some(strength) = self.word else { return Packet::default() };
        if self.census.ready > 0 {
            self.word = None;
        }
        let report = (1.0 + strength).min(1.0 + constants.report_max);
        Packet::new(report, report, f64::from(self.census.living()))
    }

    /// What the cells feel, summed up: growth, and the rate of death.
    fn feel(
        &mut self,
        now: Nanos,
        constants: &Constants,
        scale: &Scale,
        demand: f64,
        sample: &ClassSample<'_>,
    ) {
        let (mut fast, mut slow, mut growth, mut rate, mut deficit) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (member, felt) in self.family.members().iter().zip(self.endocrine.felt()) {
            let own = scale.own(member, self.spec.slots);
            deficit += own.fast - own.weight;
            if !member.is_ready() {
                continue;
            }
            fast += felt.fast;
            slow += felt.slow;
            if felt.fast > constants.grow_above {
                growth += constants.gain * felt.fast;
            }
            if now.since(member.reading.since) >= constants.min_age {
                rate += (-felt.fast.max(felt.slow - self.glut) - constants.die_above).max(0.0);
            }
        }
        let living = f64::from(self.census.living());
        let ready = f64::from(self.census.ready);
        let wanted = constants.wanted(demand, self.spec.slots);
        growth = if self.census.ready > 0 { growth * living / ready } else { self.seed(wanted) };
        let mut death_rate = (1.0 + self.glut) * rate * 1e9 / constants.death.0.max(1) as f64;
        if let Some((Advice::Target(target), _)) = self.advice {
            growth = (f64::from(target) - living).max(0.0);
            // All of the surplus at once: who replaces the law answers for it, inside the caps.
            death_rate = (living - f64::from(target)).max(0.0) * 1e9 / constants.tick.0.max(1) as f64;
        }
        self.death_rate = death_rate;
        self.view = View {
            ready: self.census.ready,
            pending: self.census.pending,
            draining: self.census.draining,
            queued: sample.queued,
            is_felt: scale.is_felt,
            signal: sample.signal as f64 / 1e3,
            rate: self.rate,
            deficit,
            wanted,
            growth,
            felt_fast: if ready > 0.0 { fast / ready } else { 0.0 },
            felt_slow: if ready > 0.0 { slow / ready } else { 0.0 },
            dying: self.deaths,
            unmet: 0.0,
            unmet_since: self.view.unmet_since,
        };
    }

    /// Growth of a class that has no serving cell and so nobody who could feel: the queue itself
    /// asks, and what is on its way counts.
    fn seed(&mut self, wanted: f64) -> f64 {
        let asked = if self.word.take().is_some_and(|strength| strength > 0.0) { 1.0 } else { 0.0 };
        (wanted - f64::from(self.census.living())).max(asked - f64::from(self.census.living())).max(0.0)
    }

    /// What one member knew.
    pub(crate) fn trace(&self, at: usize) -> Trace {
        let felt = self.endocrine.felt().get(at).copied().unwrap_or_default();
        Trace {
            felt_fast: felt.fast,
            felt_slow: felt.slow,
            weight: felt.weight,
            own: self.family.members().get(at).map_or(0.0, |member: &Member| member.fast),
            ..self.overview()
        }
    }

    /// What the class as a whole knew.
    pub(crate) fn overview(&self) -> Trace {
        Trace {
            living: self.census.living(),
            wanted: self.view.wanted,
            growth: self.view.growth,
            dying: self.deaths,
            queued: self.view.queued,
            ..Trace::default()
        }
    }
}

/// Cells that the gene's own signal asks for: its work is told by no message, so what messages compute says
/// nothing of it.
fn signalled(sample: &ClassSample<'_>) -> u32 {
    u32::try_from(sample.signal.div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// Cells of a class that so many cores can drive at once.
fn driven(cores: u32, slots: u32, sample: &ClassSample<'_>) -> u32 {
    let computing = u128::from(sample.computing.0) * u128::from(slots);
    let driven = (u128::from(cores) * u128::from(sample.service.0)).checked_div(computing);
    // What never computes is driven by any core.
    driven.and_then(|driven| u32::try_from(driven).ok()).unwrap_or(u32::MAX)
}
