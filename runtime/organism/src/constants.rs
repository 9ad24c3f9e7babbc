//! The numbers of the hormone law: what the DNA states in whole units, as the law needs them.
//!
//! The signed form is integers (thousandths where a fraction is meant), so that equal DNA has
//! equal bytes; [`Constants`] is the same in `f64`, made once when DNA is loaded. A value outside
//! its range, or a minimum above its maximum, is refused here and never repaired: a law that runs
//! with other numbers than the signed ones could not be explained.

#[cfg(feature = "host")]
use cyte_dna::{HormonePolicy, PoolPolicy};
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// Half-life of the arrival rate's average: long enough for a rate, short enough for a jump.
pub const RATE_HALF_LIFE: Nanos = Nanos::from_millis(30);

/// A mother that divided rests so long before she divides again.
pub const REFRACTORY: Nanos = Nanos::from_millis(50);

/// A felt queue is to be worked off within this time at least (or four activation delays).
pub const DRAIN_MIN: Nanos = Nanos::from_millis(200);

/// Delay from woken to polled above which the cores are full and growth cannot help.
pub const RUN_DELAY_MAX: Nanos = Nanos::from_millis(2);

/// Share of the cores' time in use above which they are full.
pub const BUSY_MAX: f64 = 0.97;

/// Half-life of the average of that share: a full tick is not full cores.
pub const BUSY_HALF_LIFE: Nanos = Nanos::from_millis(50);

/// How long the anti-hormone of full cores lasts after the last tick that felt them.
pub const SUPPRESSION: Nanos = Nanos::from_millis(100);

/// A class whose messages need less than this share of their time for computing (as a part) mostly
/// waits: full cores are no reason to hold it back.
pub const COMPUTES_SHARE: u64 = 4;

/// Half-life of the average of cells that wait for a core.
pub const CROWD_HALF_LIFE: Nanos = Nanos::from_millis(100);

/// Cells that may wait for a core, beyond one for each core, before some go.
pub const CROWD_MAX: f64 = 0.75;

/// How many times sooner, at most, a surplus dies that holds more memory than may stay warm.
pub const HASTE_MAX: f64 = 9.0;

/// The heaviest a hormone that a guest releases can weigh, against 1 of the host's own report.
pub const RELEASE_WEIGHT: f64 = 0.25;

/// How far a neuron that may only advise can bend the law, as a share of the demand.
pub const ADVICE_MAX: f64 = 0.25;

/// A neuron's register is obeyed for so many ticks.
pub const ADVICE_TICKS: u64 = 10;

/// A class that is owed a birth waits no longer than this before it goes first.
pub const OWED_MAX: Nanos = Nanos::from_millis(500);

/// A cell that the peak of so long needed does not go.
pub const PEAK_WINDOW: Nanos = Nanos::from_millis(1_000);

/// Most classes one law decides for (as many genes as a DNA may hold).
pub const CLASSES_MAX: usize = 4_096;

#[cfg(feature = "host")]
const _: () = assert!(CLASSES_MAX == cyte_dna::limits::GENES, "a class for each gene");

/// Why a constant was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {found}: it must be from {min} to {max}")]
pub struct ConstantError {
    /// Which constant.
    pub name: &'static str,
    /// What the DNA says.
    pub found: u64,
    /// The least that is allowed.
    pub min: u64,
    /// The most that is allowed.
    pub max: u64,
}

/// Refuses `found` outside `min..=max` under the name of the constant.
pub(crate) fn within(name: &'static str, found: u64, min: u64, max: u64) -> Result<(), ConstantError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(ConstantError { name, found, min, max }) }
}

/// The constants that hold for a whole host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// Time between two looks while anything happens.
    pub tick: Nanos,
    /// Least time between two runs of the law.
    pub reflex_gap: Nanos,
    /// `alpha`: what is left of a hormone after one edge.
    pub attenuation: f64,
    /// `s_max`: the strongest report above 1.
    pub report_max: f64,
    /// `kappa`: share of the felt deficit made up for in one run.
    pub gain: f64,
    /// `h_up`: no growth below this felt deficit.
    pub grow_above: f64,
    /// `h_dn`: no voluntary death below this felt surplus.
    pub die_above: f64,
    /// `beta` of the wanted utilisation.
    pub headroom: f64,
    /// `u_max`: the highest wanted utilisation.
    pub utilisation_max: f64,
    /// `tau_f`: half-life of the load felt for growth.
    pub feel_fast: Nanos,
    /// `tau_s`: half-life of the load felt for death.
    pub feel_slow: Nanos,
    /// `tau_d`: time constant of voluntary death.
    pub death: Nanos,
    /// No voluntary death of a younger cell.
    pub min_age: Nanos,
    /// Voluntary deaths a tick at most, as a share of the class.
    pub death_cap: f64,
    /// Births a tick at most, over all classes.
    pub birth_cap: u32,
    /// `rho`: births for each retirement, in thousandths.
    pub renewal_permille: u32,
    /// `m_min`: at least so many stems.
    pub stems_min: u32,
    /// `m_max`: at most so many stems.
    pub stems_max: u32,
    /// `phi`: stems for each living cell.
    pub stems_per_cell: f64,
    /// New stems a tick at most.
    pub refill: u32,
}

impl Default for Constants {
    /// Those of a DNA that states none.
    fn default() -> Self {
        Self {
            tick: Nanos::from_millis(20),
            reflex_gap: Nanos::from_millis(2),
            attenuation: 0.9,
            report_max: 1.0,
            gain: 1.0,
            grow_above: 0.1,
            die_above: 0.1,
            headroom: 0.5,
            utilisation_max: 0.97,
            feel_fast: Nanos::from_millis(100),
            feel_slow: Nanos::from_millis(3_000),
            death: Nanos::from_millis(3_000),
            min_age: Nanos::from_millis(1_000),
            death_cap: 0.1,
            birth_cap: 64,
            renewal_permille: 1_000,
            stems_min: 16,
            stems_max: 48,
            stems_per_cell: 1.0,
            refill: 16,
        }
    }
}

#[cfg(feature = "host")]
impl Constants {
    /// The constants of a policy.
    ///
    /// # Errors
    /// [`ConstantError`] with name, value and range of the first that is out of range.
    pub fn new(hormones: &HormonePolicy, pool: &PoolPolicy) -> Result<Self, ConstantError> {
        let h = hormones;
        within("tick_ms", h.tick_ms.into(), 5, 500)?;
        within("reflex_gap_ms", h.reflex_gap_ms.into(), 1, 500)?;
        within("attenuation_permille", h.attenuation_permille.into(), 500, 1_000)?;
        within("report_max_permille", h.report_max_permille.into(), 500, 4_000)?;
        within("gain_permille", h.gain_permille.into(), 250, 1_000)?;
        within("grow_above_permille", h.grow_above_permille.into(), 0, 1_000)?;
        within("die_above_permille", h.die_above_permille.into(), 0, 1_000)?;
        within("headroom_permille", h.headroom_permille.into(), 0, 3_000)?;
        within("utilisation_max_permille", h.utilisation_max_permille.into(), 100, 1_000)?;
        within("feel_fast_ms", h.feel_fast_ms.into(), 5, 60_000)?;
        within("feel_slow_ms", h.feel_slow_ms.into(), h.feel_fast_ms.into(), 3_600_000)?;
        within("death_ms", h.death_ms.into(), 100, 3_600_000)?;
        within("min_age_ms", h.min_age_ms.into(), 0, 3_600_000)?;
        within("deaths_per_tick_permille", h.deaths_per_tick_permille.into(), 1, 1_000)?;
        within("births_per_tick", h.births_per_tick.into(), 1, 100_000)?;
        within("renewal_permille", h.renewal_permille.into(), 500, 2_000)?;
        within("stems_max", pool.stems_max.into(), 0, 1_000_000)?;
        within("stems_min", pool.stems_min.into(), 0, pool.stems_max.into())?;
        within("stems_per_cell_permille", pool.stems_per_cell_permille.into(), 0, 10_000)?;
        within("refill_per_tick", pool.refill_per_tick.into(), 1, 100_000)?;
        Ok(Self::convert(hormones, pool))
    }

    fn convert(h: &HormonePolicy, pool: &PoolPolicy) -> Self {
        let share = |permille: u32| f64::from(permille) / 1_000.0;
        let span = |ms: u32| Nanos::from_millis(ms.into());
        Self {
            tick: span(h.tick_ms),
            reflex_gap: span(h.reflex_gap_ms),
            attenuation: share(h.attenuation_permille),
            report_max: share(h.report_max_permille),
            gain: share(h.gain_permille),
            grow_above: share(h.grow_above_permille),
            die_above: share(h.die_above_permille),
            headroom: share(h.headroom_permille),
            utilisation_max: share(h.utilisation_max_permille),
            feel_fast: span(h.feel_fast_ms),
            feel_slow: span(h.feel_slow_ms),
            death: span(h.death_ms),
            min_age: span(h.min_age_ms),
            death_cap: share(h.deaths_per_tick_permille),
            birth_cap: h.births_per_tick,
            renewal_permille: h.renewal_permille,
            stems_min: pool.stems_min,
            stems_max: pool.stems_max,
            stems_per_cell: share(pool.stems_per_cell_permille),
            refill: pool.refill_per_tick,
        }
    }
}

#[cfg(feature = "host")]
impl Constants {
    /// The policies that these constants come from: [`Constants::new`] of them gives the same
    /// constants, to the last bit. For constants that no DNA can state it gives others.
    pub fn policies(&self) -> (HormonePolicy, PoolPolicy) {
        let permille = |share: f64| libm::round(share * 1_000.0) as u32;
        let ms = |span: Nanos| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        let hormones = HormonePolicy {
            tick_ms: ms(self.tick),
            reflex_gap_ms: ms(self.reflex_gap),
            attenuation_permille: permille(self.attenuation),
            report_max_permille: permille(self.report_max),
            gain_permille: permille(self.gain),
            grow_above_permille: permille(self.grow_above),
            die_above_permille: permille(self.die_above),
            headroom_permille: permille(self.headroom),
            utilisation_max_permille: permille(self.utilisation_max),
            feel_fast_ms: ms(self.feel_fast),
            feel_slow_ms: ms(self.feel_slow),
            death_ms: ms(self.death),
            min_age_ms: ms(self.min_age),
            deaths_per_tick_permille: permille(self.death_cap),
            births_per_tick: self.birth_cap,
            renewal_permille: self.renewal_permille,
        };
        let pool = PoolPolicy {
            stems_min: self.stems_min,
            stems_max: self.stems_max,
            stems_per_cell_permille: permille(self.stems_per_cell),
            refill_per_tick: self.refill,
        };
        (hormones, pool)
    }
}

impl Constants {
    /// `u(n)`: the utilisation wanted of `slots` slots in all. Few slots keep more room free,
    /// because chance weighs more among few.
    pub fn utilisation(&self, slots: f64) -> f64 {
        let wanted = 1.0 / (1.0 + self.headroom / libm::sqrt(slots.max(1.0)));
        wanted.min(self.utilisation_max)
    }

    /// `N*`: the cells that `demand` busy slots want, each of `slots` slots, at the utilisation
    /// that so many cells should have. Zero for no demand.
    pub fn wanted(&self, demand: f64, slots: u32) -> f64 {
        let slots = f64::from(slots.max(1));
        let mut cells = demand / slots;
        // A contraction: twelve rounds are exact to a millionth of a cell.
        for _ in 0..12 {
            cells = demand / (slots * self.utilisation(cells * slots));
        }
        if cells > 0.0 { cells } else { 0.0 }
    }

    /// Stems wanted beside `cells` living cells.
    pub fn stems_goal(&self, cells: u32) -> u32 {
        let goal = libm::ceil(f64::from(cells) * self.stems_per_cell) as u32;
        goal.clamp(self.stems_min, self.stems_max)
    }

    /// Stems that only the law may take, not a request on its own: a quarter of the least pool.
    /// Core classes and classes that start slowly find them there even in the middle of a burst.
    pub fn stems_floor(&self) -> u32 {
        self.stems_min / 4
    }
}

/// What the DNA says of one class on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSpec {
    /// `C`: messages one cell takes at once, 1 to 65,535.
    pub slots: u32,
    /// `n_min`: below it births are forced.
    pub min: u32,
    /// `n_max`: no birth beyond it. Counts ready, pending and draining cells.
    pub max: u32,
    /// How long a request should wait for a slot at most, in milliseconds, 1 to 600,000.
    pub wait_target_ms: u32,
    /// The class's strength against the others where not all can grow, 1 to 1,000,000.
    pub weight: u32,
    /// Whether it is served before all others: immune and core classes.
    pub core: bool,
}

impl Default for ClassSpec {
    fn default() -> Self {
        Self { slots: 1, min: 0, max: 64, wait_target_ms: 25, weight: 1_000, core: false }
    }
}

impl ClassSpec {
    /// Every value within its range.
    ///
    /// # Errors
    /// [`ConstantError`] with name, value and range of the first that is not.
    pub fn check(&self) -> Result<(), ConstantError> {
        within("slots", self.slots.into(), 1, 65_535)?;
        within("max", self.max.into(), 0, 1_000_000)?;
        within("min", self.min.into(), 0, self.max.into())?;
        within("wait_target_ms", self.wait_target_ms.into(), 1, 600_000)?;
        within("weight", self.weight.into(), 1, 1_000_000)
    }

    /// `w_pain`: a queue whose head has waited so long is felt.
    pub fn pain(&self) -> Nanos {
        Nanos(Nanos::from_millis(self.wait_target_ms.into()).0 / 5)
    }
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_dna() {
        let dna = Constants::new(&HormonePolicy::default(), &PoolPolicy::default()).unwrap();
        assert_eq!(Constants::default(), dna);
    }

    #[test]
    fn a_refusal_names_constant_value_and_range() {
        let policy = HormonePolicy { tick_ms: 4, ..HormonePolicy::default() };
        let error = Constants::new(&policy, &PoolPolicy::default()).unwrap_err();
        assert_eq!(error.to_string(), "tick_ms = 4: it must be from 5 to 500");
        let pool = PoolPolicy { stems_min: 49, ..PoolPolicy::default() };
        let error = Constants::new(&HormonePolicy::default(), &pool).unwrap_err();
        assert_eq!(error.to_string(), "stems_min = 49: it must be from 0 to 48");
        let spec = ClassSpec { min: 9, max: 8, ..ClassSpec::default() };
        assert_eq!(spec.check().unwrap_err().to_string(), "min = 9: it must be from 0 to 8");
    }

    #[test]
    fn the_ranges_are_those_of_the_dna() {
        // What the DNA's own check lets through must not be refused here, and the other way round.
        let edges: [fn(&mut cyte_dna::Policy, u32); 6] = [
            |policy, to| policy.hormones.tick_ms = to,
            |policy, to| policy.hormones.attenuation_permille = to,
            |policy, to| policy.hormones.report_max_permille = to,
            |policy, to| policy.hormones.renewal_permille = to,
            |policy, to| policy.hormones.feel_slow_ms = to,
            |policy, to| policy.pool.stems_min = to,
        ];
        for edge in edges {
            for to in
                [0, 4, 5, 47, 48, 49, 99, 100, 499, 500, 501, 1_000, 1_001, 2_000, 4_000, 4_001, 3_600_001]
            {
                let mut policy = cyte_dna::Policy::default();
                edge(&mut policy, to);
                let here = Constants::new(&policy.hormones, &policy.pool);
                assert_eq!(here.is_ok(), policy.check().is_ok(), "{policy:?}");
            }
        }
    }

    #[test]
    fn wanted_cells_are_the_fixed_point() {
        let constants = Constants::default();
        let cells = constants.wanted(200.0, 8);
        let back = cells * 8.0 * constants.utilisation(cells * 8.0);
        assert!((back - 200.0).abs() < 1e-6, "{cells} {back}");
        assert_eq!(constants.wanted(0.0, 8), 0.0);
    }
}
