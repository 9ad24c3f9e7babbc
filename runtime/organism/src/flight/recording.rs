//! A recording as one file: what the tape held, and what people need to read it.
//!
//! ```text
//! 8 bytes   magic: "CYTEFLY" and a line feed, which a transfer as text would change
//! 4 bytes   version of the format, little-endian
//! 8 bytes   length of the body
//! body      postcard: what it is about, then the segments
//! 32 bytes  sha256 of everything before
//! ```

use std::sync::Arc;

use cyte_dna::{Digest, GeneName, limits};
use serde::{Deserialize, Serialize};

use super::Segment;
use crate::Nanos;

const MAGIC: &[u8; 8] = b"CYTEFLY\n";
/// The version of the format that this code writes and reads.
pub const FORMAT: u32 = 3;
const HEAD: usize = 8 + 4 + 8;
const DIGEST: usize = 32;
/// The longest name of a version that a recording may carry, in bytes.
pub const VERSION_BYTES: usize = 64;

/// What a recording is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of cyte that recorded it.
    pub cyte: String,
    /// The organism's name.
    pub organism: String,
    /// Why it was made: `asked`, or the incident.
    pub reason: String,
    /// When it was made, in milliseconds since 1970 as that host then believed.
    pub made_ms: u64,
    /// The same moment on the clock of the looks.
    pub made: Nanos,
    /// The genes of the classes, in the classes' order.
    pub genes: Vec<String>,
}

/// What a tape held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// What it is about.
    pub about: About,
    /// Its segments, oldest first.
    pub segments: Vec<Arc<Segment>>,
}

/// Why bytes are no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Something else.
    #[error("it is not a recording of cyte")]
    Foreign,
    /// From the future.
    #[error("its format is {found}, and this cyte reads up to {FORMAT}")]
    Newer {
        /// Its version.
        found: u32,
    },
    /// From the past: the law has learnt to see more since.
    #[error("its format is {found}, and this cyte reads {FORMAT}")]
    Older {
        /// Its version.
        found: u32,
    },
    /// Not all of it is there, or more than all.
    #[error("it has {found} bytes and should have {expected}")]
    Length {
        /// What its head announces.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// Larger than any recording.
    #[error("it has more than {} bytes, which no recording has", limits::FLIGHT_FILE_BYTES)]
    TooLarge,
    /// It was changed.
    #[error("its digest does not fit: it was changed, or damaged on its way")]
    Damaged,
    /// It is whole, but does not say what a recording says.
    #[error("its {part} cannot be read; it was recorded by cyte {by}")]
    Unreadable {
        /// Which part.
        part: &'static str,
        /// The version that recorded it, as far as it is known.
        by: String,
    },
}

impl Recording {
    /// The file's bytes. Empty where it holds more than a file may, which no tape does.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let segments: Vec<&Segment> = self.segments.iter().map(AsRef::as_ref).collect();
        let mut bytes = Vec::with_capacity(HEAD + self.bytes() + 4_096);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        let Ok(mut bytes) = postcard::to_extend(&(&self.about, segments), bytes) else { return Vec::new() };
        let length = (bytes.len() - HEAD) as u64;
        if let Some(place) = bytes.get_mut(12..HEAD) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// A recording of a file's bytes, whole and unchanged.
    ///
    /// # Errors
    /// [`RecordingError`]; nothing of it was used.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordingError> {
        if bytes.len() as u64 > limits::FLIGHT_FILE_BYTES {
            return Err(RecordingError::TooLarge);
        }
        Self::from_body(body(bytes)?)
    }

    /// A recording of what stands between head and digest, both unchecked: for tests that change
    /// what no digest would let through. Use [`Recording::from_bytes`].
    #[doc(hidden)]
    #[must_use]
    pub fn from_changed_body(bytes: &[u8]) -> Option<Self> {
        let end = bytes.len().checked_sub(DIGEST)?;
        Self::from_body(bytes.get(HEAD..end)?).ok()
    }

    fn from_body(body: &[u8]) -> Result<Self, RecordingError> {
        let unreadable = |by: &str| RecordingError::Unreadable { part: "body", by: by.to_owned() };
        let (about, rest) = postcard::take_from_bytes::<About>(body).map_err(|_| unreadable("unknown"))?;
        let is_plain = is_plain(&about);
        let read = postcard::take_from_bytes::<Vec<Segment>>(rest).ok().filter(|(_, rest)| rest.is_empty());
        let (segments, _) = read.filter(|_| is_plain).ok_or_else(|| unreadable(&about.cyte))?;
        Ok(Self { about, segments: segments.into_iter().map(Arc::new).collect() })
    }

    /// From the first to the last look.
    #[must_use]
    pub fn span(&self) -> Nanos {
        let ends = self.segments.first().zip(self.segments.last());
        ends.map_or(Nanos(0), |(first, last)| last.to.since(first.from))
    }

    /// Looks and decisions in it.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.segments.iter().fold((0, 0), |(looks, decisions), segment| {
            (looks.saturating_add(segment.looks), decisions.saturating_add(segment.decisions))
        })
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes()).sum()
    }
}

/// Whether its words are such as a host writes: they are shown on terminals and become names of files.
fn is_plain(about: &About) -> bool {
    let is_text = |text: &str, most: usize| text.len() <= most && !text.contains(char::is_control);
    is_text(&about.cyte, VERSION_BYTES)
        && is_text(&about.organism, limits::NAME_MAX_BYTES)
        && is_text(&about.reason, limits::FLIGHT_REASON_BYTES)
        && about.genes.len() <= limits::GENES
        && about.genes.iter().all(|gene| GeneName::new(gene).is_ok())
}

/// What stands between head and digest, if both fit.
fn body(bytes: &[u8]) -> Result<&[u8], RecordingError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(RecordingError::Foreign)?;
    let found = bytes.len() as u64;
    let short = RecordingError::Length { expected: (HEAD + DIGEST) as u64, found };
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short.clone())?;
    let version = u32::from_le_bytes(*version);
    if version > FORMAT {
        return Err(RecordingError::Newer { found: version });
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| short.clone())?;
    let expected = u64::from_le_bytes(*length).saturating_add((HEAD + DIGEST) as u64);
    if expected != found {
        return Err(RecordingError::Length { expected, found });
    }
    let (body, digest) = rest.split_last_chunk::<DIGEST>().ok_or(short)?;
    let before = bytes.get(..bytes.len().saturating_sub(DIGEST)).unwrap_or_default();
    if Digest::of(before).as_bytes() != digest {
        return Err(RecordingError::Damaged);
    }
    if version < FORMAT {
        return Err(RecordingError::Older { found: version });
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let about = About {
            cyte: "0.1.0".to_owned(),
            organism: "shop".to_owned(),
            reason: "asked".to_owned(),
            made_ms: 7,
            made: Nanos(9),
            genes: vec!["front".to_owned()],
        };
        let segment =
            Segment { looks: 2, keyframe: vec![1, 2, 3], entries: vec![4; 500], ..Segment::default() };
        Recording { about, segments: vec![Arc::new(segment)] }
    }

    /// The same bytes with a digest that fits.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - DIGEST);
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    #[test]
    fn a_recording_comes_back_whole() {
        let bytes = recording().to_bytes();
        assert_eq!(Recording::from_bytes(&bytes), Ok(recording()));
        assert_eq!(Recording::from_bytes(&bytes).unwrap().counts(), (2, 0));
    }

    #[test]
    fn what_is_no_recording_is_told_apart() {
        let good = recording().to_bytes();
        let error = |bytes: &[u8]| Recording::from_bytes(bytes).unwrap_err();
        for foreign in [&b""[..], b"CYTEDNA\n", b"PK\x03\x04 and so on", &good[..5]] {
            assert_eq!(error(foreign), RecordingError::Foreign);
        }
        for cut in [8, 12, 20, 60, good.len() - 1] {
            assert!(matches!(error(&good[..cut]), RecordingError::Length { .. }), "{cut}");
        }
        assert!(matches!(error(&[&good[..], b"x"].concat()), RecordingError::Length { .. }));
        let mut newer = good.clone();
        newer[8] = FORMAT as u8 + 1;
        assert_eq!(error(&newer), RecordingError::Newer { found: FORMAT + 1 });
        for at in [25, good.len() / 2, good.len() - 1] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert_eq!(error(&changed), RecordingError::Damaged, "{at}");
        }
        let mut older = good.clone();
        older[8] = FORMAT as u8 - 1;
        assert_eq!(error(&sealed(older)), RecordingError::Older { found: FORMAT - 1 });
        let large = vec![0; limits::FLIGHT_FILE_BYTES as usize + 1];
        assert_eq!(error(&large), RecordingError::TooLarge);
        // Words that no host writes: they would reach terminals and names of files.
        let said: [fn(&mut About); 3] = [
            |about| about.genes = vec!["../../x".to_owned()],
            |about| about.organism = "\u{1b}[2J".to_owned(),
            |about| about.reason = "x".repeat(limits::FLIGHT_REASON_BYTES + 1),
        ];
        for say in said {
            let mut odd = recording();
            say(&mut odd.about);
            assert!(matches!(error(&odd.to_bytes()), RecordingError::Unreadable { .. }));
        }
        // Whole, and yet nothing that can be read.
        let mut odd = good;
        odd[20] = 0xff;
        assert!(matches!(error(&sealed(odd)), RecordingError::Unreadable { .. }));
    }
}
