//! The flight recorder: what the law was told and what it decided, kept so that it can run again.
//!
//! A [`Recorded`] law is a [`Law`](crate::law::Law) that can only be moved through a [`Tape`]. The
//! tape holds segments: a keyframe, which is the law's whole state, and every stimulus since, each
//! look with the decisions that came of it. It is bounded in time and in bytes and forgets whole
//! segments, the oldest first. A [`Recording`] is a tape with what people need to read it, as one
//! file that proves itself whole. [`replay`] restores the first keyframe, runs every stimulus again
//! and compares: each decision and each further keyframe, byte for byte. [`Timeline`] tells what
//! happened, [`predict`] asks the simulator what it would have expected.
//!
//! Why equal bytes and not equal values: the promise is that a laptop decides as the host did, and
//! a difference in the last bit of an average is a difference in some later decision.
//!
//! What it never does: read a clock, write a file, hold a decision up. What is not in the file is
//! not known: which requests they were, what they carried, whose they were.

mod delta;
mod predict;
mod recorded;
mod recording;
mod replay;
mod tape;
mod timeline;

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::constants::ClassSpec;
use crate::law::{Advice, ClassId, Decision, HostSample};
use crate::lineage::Niche;
use delta::Delta;
pub use predict::{Prediction, predict, scenario};
pub use recorded::Recorded;
pub use recording::{About, FORMAT, Recording, RecordingError, VERSION_BYTES};
pub use replay::{Difference, Moment, Seen, Verdict, replay};
pub use tape::{Segment, Tape, TapeLimits};
pub use timeline::{Row, Timeline};

/// One stimulus as it lies on the tape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stimulus {
    /// A class is new, or has other bounds.
    Class(ClassId, ClassSpec),
    /// A class is gone.
    Forget(ClassId),
    /// A guest released a hormone.
    Release(ClassId, Niche, f64),
    /// An operator released one.
    Command(ClassId, f64),
    /// A neuron wrote a register.
    Advise(Nanos, ClassId, Advice),
    /// The law looked.
    Look(Look),
}

/// One look: what was seen, and what was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Look {
    now: Nanos,
    host: HostSample,
    classes: Vec<Delta>,
    decisions: Vec<Decision>,
}
