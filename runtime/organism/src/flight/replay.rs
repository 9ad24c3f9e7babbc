//! Running a recording again, and whether everything comes out as it did.

use std::fmt;

use super::delta::Memory;
use super::{Look, Recording, RecordingError, Stimulus};
use crate::Nanos;
use crate::constants::Constants;
use crate::law::{ClassId, ClassSample, Decision, HostSample, Law};

/// How a replay ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Looks that were run again.
    pub looks: u64,
    /// Decisions that came out equal.
    pub decisions: u64,
    /// Keyframes that the law had come to by itself; the first was given.
    pub keyframes: u64,
    /// The first thing that came out otherwise. Nothing after it was compared: what was seen later
    /// followed from other decisions.
    pub difference: Option<Difference>,
}

/// Something that came out otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The look, counted from 0.
    pub look: u64,
    /// When it was.
    pub at: Nanos,
    /// Which decision of the look, counted from 0; none where the decisions are equal and the law
    /// stands otherwise.
    pub decision: Option<usize>,
    /// What the host decided there, if it did.
    pub recorded: Option<Decision>,
    /// What came out now, if anything.
    pub replayed: Option<Decision>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(decision) = self.decision else {
            return write!(f, "before look {} the law stands otherwise than it stood", self.look);
        };
        write!(f, "look {}, decision {decision}: ", self.look)?;
        match (&self.recorded, &self.replayed) {
            (Some(was), Some(is)) => write!(f, "was {was:?}, is {is:?}"),
            (Some(was), None) => write!(f, "was {was:?}, is none"),
            (None, Some(is)) => write!(f, "was none, is {is:?}"),
            (None, None) => f.write_str("differs"),
        }
    }
}

/// One look of a replay.
#[derive(Debug)]
pub struct Moment<'a> {
    /// When.
    pub now: Nanos,
    /// The host.
    pub host: HostSample,
    /// The classes that were looked at.
    pub seen: Seen<'a>,
    /// The law after the look.
    pub law: &'a Law,
    /// What it decided.
    pub decisions: &'a [Decision],
}

/// The classes of one look.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    memory: &'a Memory,
    ids: &'a [ClassId],
}

impl<'a> Seen<'a> {
    /// Each with what was seen of it.
    pub fn samples(self) -> impl Iterator<Item = ClassSample<'a>> {
        self.ids.iter().filter_map(move |id| Some(self.memory.known(*id)?.sample(*id)))
    }
}

/// Runs `recording` again; `each` is shown every look.
///
/// # Errors
/// [`RecordingError::Unreadable`] for a keyframe or an entry that this version does not read.
pub fn replay(recording: &Recording, mut each: impl FnMut(&Moment<'_>)) -> Result<Verdict, RecordingError> {
    let mut verdict = Verdict::default();
    let mut law: Option<Law> = None;
    let unreadable = |part| RecordingError::Unreadable { part, by: recording.about.cyte.clone() };
    for segment in &recording.segments {
        let law = match &mut law {
            none @ None => none.insert(thaw(&segment.keyframe).ok_or_else(|| unreadable("keyframe"))?),
            Some(law) => {
                if freeze(law) != segment.keyframe {
                    let (look, at) = (verdict.looks, segment.from);
                    verdict.difference =
                        Some(Difference { look, at, decision: None, recorded: None, replayed: None });
                    return Ok(verdict);
                }
                verdict.keyframes += 1;
                law
            }
        };
        let mut memory = Memory::default();
        let mut rest = segment.entries.as_slice();
        while !rest.is_empty() {
            let (stimulus, after) =
                postcard::take_from_bytes::<Stimulus>(rest).map_err(|_| unreadable("entry"))?;
            rest = after;
            let Some(look) = tell(law, stimulus).map_err(|Refused| unreadable("entry"))? else {
                continue;
            };
            verdict.difference = look_again(law, &mut memory, &look, &mut verdict, &mut each)
                .ok_or_else(|| unreadable("entry"))?;
            if verdict.difference.is_some() {
                return Ok(verdict);
            }
        }
    }
    Ok(verdict)
}

/// The law refused what it took when it was recorded.
struct Refused;

/// Everything but a look, which is given back.
fn tell(law: &mut Law, stimulus: Stimulus) -> Result<Option<Look>, Refused> {
    match stimulus {
        Stimulus::Class(class, spec) => law.set_class(class, spec).map_err(|_| Refused)?,
        Stimulus::Forget(class) => law.remove_class(class),
        Stimulus::Release(class, niche, strength) => {
            law.release(class, niche, strength).map_err(|_| Refused)?;
        }
        Stimulus::Command(class, strength) => law.command(class, strength).map_err(|_| Refused)?,
        Stimulus::Advise(now, class, advice) => law.advise(now, class, advice),
        Stimulus::Look(look) => return Ok(Some(look)),
    }
    Ok(None)
}

/// Runs the law on one look and compares; the outer `None` for a look that cannot be read.
fn look_again(
    law: &mut Law,
    memory: &mut Memory,
    look: &Look,
    verdict: &mut Verdict,
    each: &mut impl FnMut(&Moment<'_>),
) -> Option<Option<Difference>> {
    for delta in &look.classes {
        memory.apply(delta).ok()?;
    }
    let ids: Vec<ClassId> = look.classes.iter().map(|delta| delta.class).collect();
    let seen = Seen { memory, ids: &ids };
    let samples: Vec<ClassSample<'_>> = seen.samples().collect();
    let mut decisions = Vec::new();
    law.run(look.now, look.host, &samples, &mut decisions);
    each(&Moment { now: look.now, host: look.host, seen, law, decisions: &decisions });
    let difference = first_difference(&look.decisions, &decisions).map(|at| Difference {
        look: verdict.looks,
        at: look.now,
        decision: Some(at),
        recorded: look.decisions.get(at).copied(),
        replayed: decisions.get(at).copied(),
    });
    verdict.looks += 1;
    verdict.decisions +=
        difference.as_ref().and_then(|found| found.decision).unwrap_or(decisions.len()) as u64;
    Some(difference)
}

/// Where two lists differ first, to the last bit.
fn first_difference(recorded: &[Decision], replayed: &[Decision]) -> Option<usize> {
    let bytes = |decision: &Decision| postcard::to_stdvec(decision).unwrap_or_default();
    let same = recorded.iter().zip(replayed).take_while(|(was, is)| bytes(was) == bytes(is)).count();
    (same < recorded.len().max(replayed.len())).then_some(same)
}

fn freeze(law: &Law) -> Vec<u8> {
    postcard::to_stdvec(law).unwrap_or_default()
}

/// The law of a keyframe, if this version of it would write the same one, and if a DNA could state
/// its numbers: a law that runs with others might never come to an end.
fn thaw(keyframe: &[u8]) -> Option<Law> {
    let law: Law = postcard::from_bytes(keyframe).ok()?;
    let (hormones, pool) = law.constants().policies();
    let is_sound = Constants::new(&hormones, &pool).is_ok_and(|constants| constants == *law.constants())
        && law.specs().all(|(_, spec)| spec.check().is_ok());
    (is_sound && freeze(&law) == keyframe).then_some(law)
}
