//! What arrives when.

use super::scenario::Load;
use crate::dice::Dice;

/// The arrivals of one class.
#[derive(Debug)]
pub struct Arrivals {
    load: Load,
    dice: Dice,
    /// Sources of a bursty load that are on.
    on: u32,
}

impl Arrivals {
    /// Arrivals of `load`; every draw comes from `seed`.
    pub fn new(load: Load, seed: u64) -> Self {
        Self { load, dice: Dice::new(seed), on: 0 }
    }

    /// Requests a second expected at `t` seconds, as far as is known now.
    pub fn rate(&self, t: f64) -> f64 {
        match &self.load {
            Load::Constant { rate } => *rate,
            Load::Step { base, peak, from, to } => {
                if (*from..*to).contains(&t) {
                    *peak
                } else {
                    *base
                }
            }
            Load::Flash { base, height, at, rise, decay } => {
                let crowd: f64 = at.iter().map(|at| crowd(t - at, *rise, *decay)).sum();
                base * (1.0 + height * crowd)
            }
            Load::Sine { mean, amplitude, period } => {
                mean + amplitude * libm::sin(2.0 * std::f64::consts::PI * t / period)
            }
            Load::Bursty { base, each, .. } => base + each * f64::from(self.on),
            Load::Trace { every, rates } => rates.get((t / every) as usize).copied().unwrap_or(0.0),
        }
    }

    /// No rate is ever above it.
    fn most(&self) -> f64 {
        match &self.load {
            Load::Constant { rate } => *rate,
            Load::Step { base, peak, .. } => base.max(*peak),
            Load::Flash { base, height, at, .. } => base * (1.0 + height * at.len() as f64),
            Load::Sine { mean, amplitude, .. } => mean + amplitude,
            Load::Bursty { base, sources, each, .. } => base + each * f64::from(*sources),
            Load::Trace { rates, .. } => rates.iter().copied().fold(0.0, f64::max),
        }
    }

    /// The next instant after `t` at which a request may arrive, and whether it does. `None` for a
    /// load that is never there.
    pub fn next(&mut self, t: f64) -> Option<f64> {
        if let Load::Trace { every, rates } = &self.load {
            return next_of(t, *every, rates);
        }
        let most = self.most();
        if most <= 0.0 {
            return None;
        }
        Some(t - libm::log(1.0 - self.dice.unit()) / most)
    }

    /// Whether the candidate at `t` is a request: candidates come at the highest rate there is,
    /// and are thinned to the rate of the moment.
    pub fn is_real(&mut self, t: f64) -> bool {
        matches!(self.load, Load::Trace { .. }) || self.dice.unit() * self.most() < self.rate(t)
    }

    /// Whether the rate at a later time depends on sources that switch.
    pub(super) fn sources(&self) -> u32 {
        match self.load {
            Load::Bursty { sources, .. } => sources,
            _ => 0,
        }
    }

    /// A source starts to be on or off: for how many seconds.
    pub(super) fn switch(&mut self, is_on: bool) -> f64 {
        let Load::Bursty { on, off, shape, .. } = self.load else { return f64::MAX };
        let mean = if is_on { on } else { off };
        let least = mean * (shape - 1.0) / shape;
        least * libm::pow(1.0 - self.dice.unit(), -1.0 / shape)
    }

    /// A source went on or off.
    pub(super) fn turn(&mut self, is_on: bool) {
        self.on = if is_on { self.on.saturating_add(1) } else { self.on.saturating_sub(1) };
    }

    /// Whether a source is on at first: as often as it is on in the long run.
    pub(super) fn starts_on(&mut self) -> bool {
        let Load::Bursty { on, off, .. } = self.load else { return false };
        self.dice.unit() < on / (on + off)
    }

    /// When the load jumps up, and until when it stays there: where reaction times are measured.
    pub fn jump(&self) -> Option<(f64, f64)> {
        match self.load {
            Load::Step { from, to, base, peak } if peak > base => Some((from, to)),
            _ => None,
        }
    }
}

/// The next of evenly spaced arrivals at measured rates.
fn next_of(t: f64, every: f64, rates: &[f64]) -> Option<f64> {
    let (mut at, mut left) = (t, 1.0);
    let first = (t / every) as usize;
    for (number, rate) in rates.iter().enumerate().skip(first) {
        let end = (number + 1) as f64 * every;
        let fits = (end - at).max(0.0) * rate;
        if fits >= left {
            return Some(at + left / rate);
        }
        left -= fits;
        at = end;
    }
    None
}

fn crowd(since: f64, rise: f64, decay: f64) -> f64 {
    if since < 0.0 {
        0.0
    } else if since < rise {
        since / rise
    } else {
        libm::exp(-(since - rise) / decay)
    }
}

/// Draws service times and delays.
#[derive(Debug)]
pub(super) struct Nature {
    dice: Dice,
}

impl Nature {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed) }
    }

    /// A lognormal time with this mean and this ratio of deviation to mean.
    pub(super) fn service(&mut self, mean: f64, cv: f64) -> f64 {
        if cv <= 0.0 || mean <= 0.0 {
            return mean;
        }
        let variance = libm::log(1.0 + cv * cv);
        let (radius, angle) = (1.0 - self.dice.unit(), self.dice.unit());
        let normal = libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(2.0 * std::f64::consts::PI * angle);
        mean * libm::exp(libm::sqrt(variance) * normal - variance / 2.0)
    }

    /// A delay that varies evenly by `spread` of itself either way.
    pub(super) fn delay(&mut self, mean: f64, spread: f64) -> f64 {
        mean * (1.0 + spread * (2.0 * self.dice.unit() - 1.0))
    }

    /// One of so many.
    pub(super) fn pick(&mut self, of: usize) -> usize {
        self.dice.below(of as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_have_the_shapes_that_they_are_named_for() {
        let flash = Load::Flash { base: 400.0, height: 14.0, at: vec![60.0], rise: 0.5, decay: 20.0 };
        let arrivals = Arrivals::new(flash, 1);
        assert_eq!(
            (arrivals.rate(59.0), arrivals.rate(60.25), arrivals.rate(60.5)),
            (400.0, 3_200.0, 6_000.0)
        );
        assert!((arrivals.rate(80.5) - 400.0 * (1.0 + 14.0 / std::f64::consts::E)).abs() < 1e-6);
        let tide = Arrivals::new(Load::Sine { mean: 1_600.0, amplitude: 1_400.0, period: 120.0 }, 1);
        assert!((tide.rate(30.0) - 3_000.0).abs() < 1e-6 && (tide.rate(90.0) - 200.0).abs() < 1e-6);
        let trace = Arrivals::new(Load::Trace { every: 0.5, rates: vec![10.0, 30.0] }, 1);
        assert_eq!([0.0, 0.6, 1.0].map(|t| trace.rate(t)), [10.0, 30.0, 0.0]);
        assert_eq!(trace.most(), 30.0);
    }

    /// What was measured has its own chance in it: nothing is added to it, nothing is lost.
    #[test]
    fn measured_arrivals_come_evenly() {
        let mut trace = Arrivals::new(Load::Trace { every: 0.1, rates: vec![100.0, 0.0, 25.0, 300.0] }, 1);
        let (mut t, mut counts) = (0.0, [0; 4]);
        while let Some(next) = trace.next(t) {
            assert!(next > t && trace.is_real(next));
            t = next;
            counts[((t - 1e-9) / 0.1) as usize] += 1;
        }
        assert_eq!(counts, [10, 0, 2, 30]);
    }

    #[test]
    fn arrivals_and_services_have_the_means_that_were_asked_for() {
        let mut arrivals = Arrivals::new(Load::Step { base: 100.0, peak: 1_000.0, from: 10.0, to: 20.0 }, 3);
        let (mut t, mut inside, mut outside) = (0.0, 0, 0);
        while t < 30.0 {
            t = arrivals.next(t).unwrap();
            if arrivals.is_real(t) {
                if (10.0..20.0).contains(&t) { inside += 1 } else { outside += 1 }
            }
        }
        assert!((9_600..10_400).contains(&inside) && (1_850..2_150).contains(&outside), "{inside} {outside}");
        let mut nature = Nature::new(1);
        let times: Vec<f64> = (0..100_000).map(|_| nature.service(50.0, 0.5)).collect();
        let mean = times.iter().sum::<f64>() / 1e5;
        let variance = times.iter().map(|time| (time - mean) * (time - mean)).sum::<f64>() / 1e5;
        assert!((mean - 50.0).abs() < 0.5 && (variance.sqrt() - 25.0).abs() < 1.0, "{mean} {variance}");
    }
}
