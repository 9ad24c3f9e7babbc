//! What is simulated: plain numbers in the units that the field names say.

use cyte_dna::{HormonePolicy, PoolPolicy};
use serde::{Deserialize, Serialize};

use crate::constants::{ClassSpec, ConstantError, Constants};

/// Why a scenario was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// A constant of the law, or a bound of a class.
    #[error(transparent)]
    Constant(#[from] ConstantError),
    /// A number of the scenario.
    #[error("{name} = {found}: it must be from {min} to {max}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it says.
        found: f64,
        /// The least that is allowed.
        min: f64,
        /// The most that is allowed.
        max: f64,
    },
    /// A neuron that nobody handed in.
    #[error("a neuron is handed in, not named")]
    NoNeuron,
    /// A blow on a class that is not there.
    #[error("a blow strikes class {0}, which is not there")]
    NoClass(usize),
}

/// A host, what it serves, and what befalls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// A name for people.
    pub name: String,
    /// Virtual seconds, 1 to 86,400.
    pub seconds: f64,
    /// The host.
    pub host: HostPlan,
    /// Constants of the law.
    pub hormones: HormonePolicy,
    /// The stem pool.
    pub pool: PoolPolicy,
    /// What it serves.
    pub classes: Vec<ClassPlan>,
    /// What befalls it, in any order.
    pub blows: Vec<Blow>,
}

impl Default for Scenario {
    /// A minute of the usual plant under a constant load.
    fn default() -> Self {
        Self {
            name: "constant".to_owned(),
            seconds: 60.0,
            host: HostPlan::default(),
            hormones: HormonePolicy::default(),
            pool: PoolPolicy::default(),
            classes: vec![ClassPlan::default()],
            blows: Vec::new(),
        }
    }
}

/// The host of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Cores that requests' CPU time is shared over, 1 to 1,024.
    pub cores: u32,
    /// Most cells and stems in all, 1 to 1,000,000.
    pub places: u32,
    /// From stem to serving, in milliseconds.
    pub wake_ms: f64,
    /// From nothing to serving, in milliseconds.
    pub birth_ms: f64,
    /// Both vary evenly by this share either way, 0 to 1.
    pub spread: f64,
}

impl Default for HostPlan {
    fn default() -> Self {
        Self { cores: 2, places: 20_000, wake_ms: 3.0, birth_ms: 50.0, spread: 0.3 }
    }
}

/// One class of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPlan {
    /// A name for people.
    pub name: String,
    /// Its bounds.
    pub spec: ClassSpec,
    /// What arrives.
    pub load: Load,
    /// Time that a request holds a slot off the CPU: mean in milliseconds of a lognormal.
    pub service_ms: f64,
    /// Its standard deviation over its mean, 0 to 10.
    pub service_cv: f64,
    /// CPU time of a request in milliseconds, spent first, always the same.
    pub cpu_ms: f64,
    /// A client that waited so long for a slot goes away, in milliseconds.
    pub patience_ms: f64,
    /// Whether arrivals are refused at once while the class cannot grow and its least queue delay
    /// over 100 ms is above the wait target, as the gateway does.
    pub sheds: bool,
}

impl Default for ClassPlan {
    fn default() -> Self {
        Self {
            name: "web".to_owned(),
            spec: ClassSpec { slots: 8, min: 3, max: 96, ..ClassSpec::default() },
            load: Load::Constant { rate: 400.0 },
            service_ms: 50.0,
            service_cv: 0.5,
            cpu_ms: 0.0,
            patience_ms: 1_000.0,
            sheds: false,
        }
    }
}

impl ClassPlan {
    /// `S`: mean seconds that a request holds a slot on free cores.
    pub fn service(&self) -> f64 {
        (self.service_ms + self.cpu_ms) / 1e3
    }
}

/// Requests a second over time. Arrivals are Poisson at that rate, those of a trace evenly spaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load {
    /// Always the same.
    Constant {
        /// Requests a second.
        rate: f64,
    },
    /// Up at one time, down at another.
    Step {
        /// Requests a second outside the step.
        base: f64,
        /// Requests a second within it.
        peak: f64,
        /// When it begins, in seconds.
        from: f64,
        /// When it ends, in seconds.
        to: f64,
    },
    /// Sudden crowds that melt away.
    Flash {
        /// Requests a second without a crowd.
        base: f64,
        /// The crowd's height above the base, as a multiple of it.
        height: f64,
        /// When crowds come, in seconds.
        at: Vec<f64>,
        /// Seconds from nothing to the height.
        rise: f64,
        /// Time constant of the decay, in seconds.
        decay: f64,
    },
    /// A tide.
    Sine {
        /// Requests a second on average.
        mean: f64,
        /// The most above and below it.
        amplitude: f64,
        /// Seconds from high to high.
        period: f64,
    },
    /// Sources that are on and off for Pareto-distributed times.
    Bursty {
        /// Requests a second besides the sources.
        base: f64,
        /// How many sources.
        sources: u32,
        /// Requests a second of one that is on.
        each: f64,
        /// Mean seconds on.
        on: f64,
        /// Mean seconds off.
        off: f64,
        /// Shape of both distributions, above 1.
        shape: f64,
    },
    /// Rates that were measured, one after the other; nothing after the last.
    Trace {
        /// How long each of them lasts, in seconds.
        every: f64,
        /// Requests a second.
        rates: Vec<f64>,
    },
}

/// Something that befalls a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blow {
    /// When, in seconds.
    pub at: f64,
    /// Which class, by its place in the list.
    pub class: usize,
    /// What.
    pub kind: BlowKind,
}

/// What can befall a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlowKind {
    /// This share of its cells dies, with the requests in them.
    Crash(f64),
    /// So many of its cells report the highest load for ever from then on, and never die.
    Liars(u32),
}

fn range(name: &'static str, found: f64, min: f64, max: f64) -> Result<(), ScenarioError> {
    // What is not a number is in no range.
    if (min..=max).contains(&found) { Ok(()) } else { Err(ScenarioError::Range { name, found, min, max }) }
}

impl Scenario {
    /// The constants of the law.
    ///
    /// # Errors
    /// As [`Constants::new`].
    pub fn constants(&self) -> Result<Constants, ConstantError> {
        Constants::new(&self.hormones, &self.pool)
    }

    /// Every value within its range.
    ///
    /// # Errors
    /// The first that is not, by name.
    pub fn check(&self) -> Result<(), ScenarioError> {
        self.constants()?;
        range("seconds", self.seconds, 1.0, 86_400.0)?;
        range("cores", self.host.cores.into(), 1.0, 1_024.0)?;
        range("places", self.host.places.into(), 1.0, 1_000_000.0)?;
        range("wake_ms", self.host.wake_ms, 0.0, 600_000.0)?;
        range("birth_ms", self.host.birth_ms, 0.0, 600_000.0)?;
        range("spread", self.host.spread, 0.0, 1.0)?;
        range("classes", self.classes.len() as f64, 1.0, 64.0)?;
        for class in &self.classes {
            class.spec.check()?;
            range("service_ms", class.service_ms, 0.0, 3_600_000.0)?;
            range("cpu_ms", class.cpu_ms, 0.0, 3_600_000.0)?;
            range("service_ms + cpu_ms", class.service_ms + class.cpu_ms, 0.001, 7_200_000.0)?;
            range("service_cv", class.service_cv, 0.0, 10.0)?;
            range("patience_ms", class.patience_ms, 0.001, 3_600_000.0)?;
            class.load.check()?;
        }
        for blow in &self.blows {
            range("blow at", blow.at, 0.0, self.seconds)?;
            if blow.class >= self.classes.len() {
                return Err(ScenarioError::NoClass(blow.class));
            }
            if let BlowKind::Crash(share) = blow.kind {
                range("crash share", share, 0.0, 1.0)?;
            }
        }
        Ok(())
    }
}

/// The highest rate of a scenario: more would only measure patience.
const RATE_MAX: f64 = 10_000_000.0;

impl Load {
    fn check(&self) -> Result<(), ScenarioError> {
        let rate = |name, rate| range(name, rate, 0.0, RATE_MAX);
        let time = |name, time| range(name, time, 0.001, 86_400.0);
        match self {
            Self::Constant { rate: all } => rate("load rate", *all),
            Self::Step { base, peak, from, to } => {
                rate("load base", *base)?;
                rate("load peak", *peak)?;
                range("load from", *from, 0.0, *to)?;
                range("load to", *to, 0.0, 86_400.0)
            }
            Self::Flash { base, height, at, rise, decay } => {
                rate("load base", *base)?;
                range("load height", *height, 0.0, 10_000.0)?;
                range("number of crowds", at.len() as f64, 0.0, 1_000.0)?;
                at.iter().try_for_each(|at| range("load at", *at, 0.0, 86_400.0))?;
                time("load rise", *rise)?;
                time("load decay", *decay)
            }
            Self::Sine { mean, amplitude, period } => {
                rate("load mean", *mean)?;
                range("load amplitude", *amplitude, 0.0, *mean)?;
                time("load period", *period)
            }
            Self::Bursty { base, sources, each, on, off, shape } => {
                rate("load base", *base)?;
                rate("load each", *each)?;
                range("load sources", (*sources).into(), 0.0, 10_000.0)?;
                time("load on", *on)?;
                time("load off", *off)?;
                range("load shape", *shape, 1.05, 10.0)
            }
            Self::Trace { every, rates } => {
                time("load every", *every)?;
                range("number of rates", rates.len() as f64, 0.0, 100_000.0)?;
                rates.iter().try_for_each(|found| rate("load rates", *found))
            }
        }
    }
}
