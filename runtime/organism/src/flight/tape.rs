//! The tape: segments of what the law was told, bounded in time and in bytes.
//!
//! Each segment begins with a keyframe, so that any of them can be the first of a recording; the
//! oldest are forgotten whole. Cost: a look is compared with the one before and encoded once, O(cells)
//! and some 30 bytes a class where little changed; a keyframe, O(cells) and some 40 bytes each, comes
//! every few seconds. While nothing is looked at nothing is written.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::delta::Memory;
use super::{Look, Stimulus};
use crate::Nanos;
use crate::law::{ClassSample, Decision, HostSample, Law};

/// The bounds of a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeLimits {
    /// How far back it reaches at least, where its bytes allow it.
    pub span: Nanos,
    /// How often a keyframe is written while anything is.
    pub keyframe: Nanos,
    /// Most bytes it holds in memory. A law whose keyframe alone is a quarter of it is not recorded.
    pub bytes: usize,
}

/// Entries of one segment that make a keyframe due before its time, in bytes. More where the
/// keyframe itself is larger: half of a tape is entries at least.
const SEGMENT_BYTES: usize = 256 << 10;

/// A keyframe, and what the law was told since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// When the first look after the keyframe was.
    pub from: Nanos,
    /// When the last one was.
    pub to: Nanos,
    /// Looks in it.
    pub looks: u64,
    /// Decisions in it.
    pub decisions: u64,
    /// The law as it stood before the first entry.
    #[serde(with = "whole")]
    pub(super) keyframe: Vec<u8>,
    /// Stimuli, one after the other.
    #[serde(with = "whole")]
    pub(super) entries: Vec<u8>,
}

impl Segment {
    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keyframe.len() + self.entries.len()
    }
}

/// What one law was told lately.
#[derive(Debug)]
pub struct Tape {
    limits: TapeLimits,
    done: VecDeque<Arc<Segment>>,
    /// Bytes of all segments that are done.
    bytes: usize,
    open: Option<Segment>,
    /// Not recorded before: a keyframe was too large.
    not_before: Nanos,
    memory: Memory,
    looks: u64,
    /// The last look; what comes between two looks is counted to the one before.
    now: Nanos,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new(limits: TapeLimits) -> Self {
        Self {
            limits,
            done: VecDeque::new(),
            bytes: 0,
            open: None,
            not_before: Nanos(0),
            memory: Memory::default(),
            looks: 0,
            now: Nanos(0),
        }
    }

    /// Everything that it holds, oldest first. What is still being written is copied.
    #[must_use]
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.done.iter().cloned().chain(self.open.clone().map(Arc::new)).collect()
    }

    /// What it takes in memory, in bytes, without what is remembered of the last look.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.open.as_ref().map_or(0, Segment::bytes)
    }

    /// Looks that it was shown since it is there, kept or forgotten.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// A stimulus is about to reach `law`: a segment is open from here on.
    pub(super) fn open(&mut self, law: &Law) {
        if self.open.is_some() || self.now < self.not_before {
            return;
        }
        let Ok(keyframe) = postcard::to_stdvec(law) else { return };
        if keyframe.len() > self.limits.bytes / 4 {
            self.not_before = self.now + self.limits.keyframe;
            self.clear();
            return;
        }
        self.memory.clear();
        self.open = Some(Segment { from: self.now, to: self.now, keyframe, ..Segment::default() });
        self.forget();
    }

    /// As [`Self::open`], before a look at `now`: what is too long or too large is closed first.
    pub(super) fn open_for_look(&mut self, now: Nanos, law: &Law) {
        self.now = now;
        let limits = self.limits;
        let is_full = |open: &mut Segment| {
            open.looks > 0
                && (now.since(open.from) >= limits.keyframe
                    || open.entries.len() > SEGMENT_BYTES.max(open.keyframe.len()).min(limits.bytes / 4))
        };
        if let Some(full) = self.open.take_if(is_full) {
            self.bytes += full.bytes();
            self.done.push_back(Arc::new(full));
        }
        self.open(law);
    }

    /// What the law was told beside looks.
    pub(super) fn write(&mut self, stimulus: &Stimulus) {
        let Some(open) = &mut self.open else { return };
        match postcard::to_extend(stimulus, std::mem::take(&mut open.entries)) {
            Ok(entries) => open.entries = entries,
            Err(_) => self.clear(),
        }
    }

    /// What was seen, and what was decided.
    pub(super) fn look(
        &mut self,
        now: Nanos,
        host: HostSample,
        samples: &[ClassSample<'_>],
        decisions: &[Decision],
    ) {
        self.looks += 1;
        if self.open.is_none() {
            return;
        }
        let classes = samples.iter().map(|sample| self.memory.note(sample)).collect();
        self.write(&Stimulus::Look(Look { now, host, classes, decisions: decisions.to_vec() }));
        if let Some(open) = &mut self.open {
            if open.looks == 0 {
                open.from = now;
            }
            open.to = now;
            open.looks += 1;
            open.decisions += decisions.len() as u64;
        }
        self.forget();
    }

    /// Begins anew: segments with a hole between them do not replay.
    fn clear(&mut self) {
        (self.open, self.bytes) = (None, 0);
        self.done.clear();
    }

    /// The oldest segments go: those that ended before the span, and as many as are too much.
    fn forget(&mut self) {
        while let Some(oldest) = self.done.front() {
            let is_old = self.now.since(oldest.to) > self.limits.span;
            if !is_old && self.bytes() <= self.limits.bytes {
                return;
            }
            self.bytes -= oldest.bytes();
            self.done.pop_front();
        }
    }
}

/// Bytes as one piece and not one by one.
mod whole {
    use std::fmt;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::{ClassSpec, Constants};
    use crate::flight::Recorded;
    use crate::law::{ClassId, Transport};
    use crate::lineage::Niche;
    use crate::{Phase, Reading};

    fn recorded(bytes: usize) -> Recorded {
        let limits =
            TapeLimits { span: Nanos::from_millis(60_000), keyframe: Nanos::from_millis(5_000), bytes };
        let mut law = Recorded::new(Law::new(Constants::default(), Transport::Family, 1), Tape::new(limits));
        law.set_class(ClassId(0), ClassSpec { max: 100_000, ..ClassSpec::default() }).unwrap();
        law
    }

    fn look(law: &mut Recorded, now: Nanos, cells: u64, inflight: u32) {
        let cell = |niche| Reading {
            niche: Niche(niche),
            mother: None,
            phase: Phase::Ready,
            inflight,
            since: Nanos(0),
        };
        let cells: Vec<Reading> = (1..=cells).map(cell).collect();
        let sample = ClassSample {
            class: ClassId(0),
            cells: &cells,
            queued: 0,
            peak: 0,
            head: None,
            arrived: now.0,
            service: Nanos(1),
            computing: Nanos(0),
            stalled: 0,
            activation: Nanos(1),
            retired: 0,
            signal: 0,
            resting_mib: 0,
        };
        law.run(now, HostSample { room: 100, ..HostSample::default() }, &[sample], &mut Vec::new());
    }

    #[test]
    fn what_is_older_than_the_span_is_forgotten() {
        let mut law = recorded(8 << 20);
        for tick in 0..150 * 50_u64 {
            look(&mut law, Nanos::from_millis(tick * 20), 10, (tick % 3) as u32);
        }
        let segments = law.tape().segments();
        let (first, last) = (segments.first().unwrap(), segments.last().unwrap());
        let reach = last.to.since(first.from).as_millis();
        assert!((60_000..=66_000).contains(&reach), "{reach} ms");
        assert!((12..=14).contains(&segments.len()), "a keyframe every five seconds: {}", segments.len());
        assert!(law.tape().bytes() < 1 << 20, "{} bytes", law.tape().bytes());
        assert_eq!(law.tape().looks(), 7_500);
        // A long rest costs nothing, and what was before it is forgotten only when something happens.
        let before = law.tape().bytes();
        look(&mut law, Nanos::from_millis(3_600_000), 10, 0);
        assert_eq!(law.tape().segments().len(), 1);
        assert!(law.tape().bytes() < before);
    }

    #[test]
    fn a_tape_never_holds_more_than_its_bytes() {
        let mut law = recorded(64 << 10);
        for tick in 0..3_000_u64 {
            look(&mut law, Nanos::from_millis(tick * 20), 200, (tick % 7) as u32);
            assert!(law.tape().bytes() <= 64 << 10, "{} bytes", law.tape().bytes());
        }
        assert!(law.tape().segments().len() > 1);
        // Too many cells for any keyframe: nothing is recorded, and it goes on when there are fewer.
        for tick in 3_000..3_300_u64 {
            look(&mut law, Nanos::from_millis(tick * 20), 5_000, 1);
            assert!(law.tape().bytes() <= 64 << 10, "{} bytes", law.tape().bytes());
        }
        for tick in 3_300..4_000_u64 {
            look(&mut law, Nanos::from_millis(tick * 20), 10, 1);
        }
        assert!(law.tape().segments().iter().map(|segment| segment.looks).sum::<u64>() > 100);
    }
}
