//! What the simulator would have expected of what was recorded.

use super::{Recording, RecordingError, Timeline, Verdict, replay};
use crate::Nanos;
use crate::constants::{ClassSpec, Constants};
use crate::law::HostSample;
use crate::sim::{ClassPlan, Controller, HostPlan, Load, Outcome, Scenario, ScenarioError, run};

/// How finely a recorded load is told: about as often as the law looks.
const PART: Nanos = Nanos::from_millis(25);
/// Most parts of it.
const PARTS: u64 = 4_800;

/// A recording beside its simulation.
#[derive(Debug)]
pub struct Prediction {
    /// How the replay went.
    pub verdict: Verdict,
    /// What the host did.
    pub recorded: Timeline,
    /// What the simulator did under the recorded load.
    pub simulated: Outcome,
}

/// What was learnt of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Learnt {
    spec: ClassSpec,
    service: Nanos,
    computing: Nanos,
    activation: Nanos,
}

/// A scenario of what was recorded: the law's constants, the classes' bounds and last measured
/// times, and the arrivals of each part of the time as a rate. Beside it what the host did.
///
/// # Errors
/// As [`replay`].
pub fn scenario(recording: &Recording) -> Result<(Scenario, Timeline, Verdict), RecordingError> {
    let first = recording.segments.first().map_or(Nanos(0), |segment| segment.from);
    let classes = recording.about.genes.len();
    let parts = (recording.span().0 / PART.0).clamp(1, PARTS) as usize;
    let mut timeline = Timeline::new(first, recording.span(), parts, classes);
    let mut learnt = vec![Learnt::default(); classes];
    let mut constants = Constants::default();
    let (mut host, mut places) = (HostSample::default(), 0_u32);
    let verdict = replay(recording, |moment| {
        timeline.see(moment);
        (host, constants) = (moment.host, *moment.law.constants());
        let mut held = moment.host.stems.saturating_add(moment.host.room);
        for sample in moment.seen.samples() {
            held = held.saturating_add(u32::try_from(sample.cells.len()).unwrap_or(u32::MAX));
            let Some(class) = learnt.get_mut(sample.class.0 as usize) else { continue };
            let spec = moment.law.specs().find(|(id, _)| *id == sample.class).map(|(_, spec)| *spec);
            let (service, computing, activation) = (sample.service, sample.computing, sample.activation);
            *class = Learnt { spec: spec.unwrap_or_default(), service, computing, activation };
        }
        places = places.max(held);
    })?;
    let (hormones, pool) = constants.policies();
    let wake = learnt.iter().map(|class| class.activation).max().unwrap_or_default();
    let scenario = Scenario {
        name: recording.about.organism.clone(),
        seconds: (recording.span().0 as f64 / 1e9).clamp(1.0, 86_400.0),
        host: HostPlan {
            cores: host.cores.clamp(1, 1_024),
            places: places.clamp(1, 1_000_000),
            wake_ms: wake.0 as f64 / 1e6,
            ..HostPlan::default()
        },
        hormones,
        pool,
        classes: learnt.iter().enumerate().map(|(at, class)| plan(recording, &timeline, at, class)).collect(),
        blows: Vec::new(),
    };
    Ok((scenario, timeline, verdict))
}

fn plan(recording: &Recording, timeline: &Timeline, at: usize, learnt: &Learnt) -> ClassPlan {
    let rows = timeline.rows().get(at).map(Vec::as_slice).unwrap_or_default();
    let load = Load::Trace {
        every: rows.first().map_or(1.0, |row| row.for_s),
        rates: rows.iter().map(|row| row.load).collect(),
    };
    let waits = learnt.service.since(learnt.computing);
    ClassPlan {
        name: recording.about.genes.get(at).cloned().unwrap_or_default(),
        spec: learnt.spec,
        load,
        // A class that served nothing has no time of its own; the least that can be simulated.
        service_ms: (waits.0 as f64 / 1e6).max(0.001),
        service_cv: 0.0,
        cpu_ms: learnt.computing.0 as f64 / 1e6,
        ..ClassPlan::default()
    }
}

/// Replays `recording` and plays its load in the simulator, under the law as a host runs it.
///
/// # Errors
/// As [`replay`]; inside it a [`ScenarioError`] where what was recorded cannot be simulated, for
/// example without a class.
pub fn predict(
    recording: &Recording,
    seed: u64,
) -> Result<Result<Prediction, ScenarioError>, RecordingError> {
    let (scenario, recorded, verdict) = scenario(recording)?;
    let simulated = run(&scenario, Controller::Hybrid, seed);
    Ok(simulated.map(|simulated| Prediction { verdict, recorded, simulated }))
}
