//! What two hosts say to each other about a request that one of them has no room for.
//!
//! The one asks whether there is room; the other holds a place for it and says so, or refuses. Only
//! then is the request brought, whole, and it is run at most once: a place is used up by the first
//! request that comes for it. So whoever was not told of a place knows that nothing was begun. What is
//! longer than a message goes in numbered pieces, in any order.
//!
//! Everything is bounded before it is believed, as with any [`super::Word`].

use cyte_dna::GeneName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::word::{WORD_MAX, WordError};

/// The first byte of every errand; words have another.
pub const ERRAND: u8 = 0x45;
/// Bytes of a request's or an answer's form that one message carries.
const PIECE_BYTES: usize = 48 * 1024;
/// Bytes of a request's body that can go to another host.
pub const REQUEST_BODY_MAX: usize = 64 * 1024;
/// Bytes of an answer's body that can come back.
pub const ANSWER_BODY_MAX: usize = 256 * 1024;
/// Bytes of the form of either, head included.
const FORM_MAX: usize = ANSWER_BODY_MAX + 128 * 1024;
/// Pieces of one form.
const PIECES_MAX: usize = FORM_MAX.div_ceil(PIECE_BYTES);
/// Fields of a head.
const FIELDS_MAX: usize = 1_024;
/// Bytes of the code of a refusal.
const CODE_MAX: usize = 64;

/// Some bytes of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which, from 0.
    pub at: u16,
    /// Of so many.
    pub of: u16,
    /// What.
    pub bytes: Vec<u8>,
}

/// One message. The number is the asking host's own and names the request between the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// Is there room for a request of this gene?
    Ask {
        /// Which request.
        number: u64,
        /// Of which gene.
        gene: GeneName,
        /// The asking host waits for so many milliseconds.
        wait_ms: u32,
    },
    /// A place is held for it.
    Room(u64),
    /// There is none.
    NoRoom(u64),
    /// A part of the request.
    Bring(u64, Part),
    /// A part of its answer.
    Answer(u64, Part),
    /// It was run and there is no answer: the stable code of the refusal.
    Failed(u64, String),
    /// Nobody waits for it any more.
    Cancel(u64),
}

/// A request on its way to another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The request's id in the logs.
    pub id: u64,
    /// The method.
    pub method: String,
    /// The target, as it stands in the request.
    pub target: String,
    /// Whether the client used `https`.
    pub is_tls: bool,
    /// Header fields in their order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The whole body, at most [`REQUEST_BODY_MAX`].
    pub body: Vec<u8>,
}

/// An answer on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// Header fields in their order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The whole body, at most [`ANSWER_BODY_MAX`].
    pub body: Vec<u8>,
    /// Fields after it.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Errand {
    /// As bytes.
    ///
    /// # Errors
    /// One that is longer than a word may be.
    pub fn encode(&self) -> Result<Vec<u8>, WordError> {
        let bytes = postcard::to_extend(self, vec![ERRAND]).map_err(|_| WordError("it has no form"))?;
        if bytes.len() > WORD_MAX { Err(WordError("it is too long")) } else { Ok(bytes) }
    }

    /// From bytes, every bound checked.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WordError> {
        let body = match bytes {
            _ if bytes.len() > WORD_MAX => return Err(WordError("it is too long")),
            [ERRAND, body @ ..] => body,
            _ => return Err(WordError("its format is unknown")),
        };
        match postcard::take_from_bytes::<Self>(body) {
            Ok((errand, [])) if errand.is_sound() => Ok(errand),
            Ok((_, [])) => Err(WordError("it breaks a bound")),
            Ok(_) => Err(WordError("something follows its end")),
            Err(_) => Err(WordError("it does not decode")),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Errand::Bring(_, part) | Errand::Answer(_, part) => {
                part.at < part.of && usize::from(part.of) <= PIECES_MAX && part.bytes.len() <= PIECE_BYTES
            }
            Errand::Failed(_, code) => code.len() <= CODE_MAX,
            Errand::Ask { .. } | Errand::Room(_) | Errand::NoRoom(_) | Errand::Cancel(_) => true,
        }
    }
}

/// The parts of `form`, in order; none where it is too long to be carried.
#[must_use]
pub fn parts<T: Serialize>(form: &T) -> Option<Vec<Part>> {
    let bytes = postcard::to_allocvec(form).ok().filter(|bytes| bytes.len() <= FORM_MAX)?;
    let chunks: Vec<&[u8]> = bytes.chunks(PIECE_BYTES).collect();
    let of = u16::try_from(chunks.len()).ok()?;
    Some((0..of).zip(chunks).map(|(at, bytes)| Part { at, of, bytes: bytes.to_vec() }).collect())
}

/// Parts of one form, as they come.
#[derive(Debug, Default)]
pub struct Parts {
    come: Vec<Option<Vec<u8>>>,
}

impl Parts {
    /// Takes one more part; all bytes once nothing is missing. A part that came before, or that does
    /// not fit those that did, changes nothing.
    pub fn take(&mut self, part: Part) -> Option<Vec<u8>> {
        let of = usize::from(part.of);
        if self.come.is_empty() && (1..=PIECES_MAX).contains(&of) {
            self.come = vec![None; of];
        }
        if self.come.len() != of {
            return None;
        }
        let place = self.come.get_mut(usize::from(part.at))?;
        if place.is_some() {
            return None;
        }
        *place = Some(part.bytes);
        let all: Option<Vec<&[u8]>> = self.come.iter().map(Option::as_deref).collect();
        all.map(|all| all.concat())
    }
}

impl Brought {
    /// From the bytes of its parts.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, WordError> {
        let brought: Self = read(bytes)?;
        let is_sound = brought.fields.len() <= FIELDS_MAX && brought.body.len() <= REQUEST_BODY_MAX;
        if is_sound { Ok(brought) } else { Err(WordError("it breaks a bound")) }
    }
}

impl Answered {
    /// From the bytes of its parts.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, WordError> {
        let answered: Self = read(bytes)?;
        let fields = answered.fields.len().max(answered.trailers.len());
        let is_sound = fields <= FIELDS_MAX && answered.body.len() <= ANSWER_BODY_MAX;
        if is_sound { Ok(answered) } else { Err(WordError("it breaks a bound")) }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WordError> {
    match postcard::take_from_bytes(bytes) {
        Ok((read, [])) if bytes.len() <= FORM_MAX => Ok(read),
        Ok(_) => Err(WordError("something follows its end")),
        Err(_) => Err(WordError("it does not decode")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(at: u16, of: u16, bytes: &[u8]) -> Part {
        Part { at, of, bytes: bytes.to_vec() }
    }

    fn errands() -> Vec<Errand> {
        vec![
            Errand::Ask { number: u64::MAX, gene: "shop".parse().unwrap(), wait_ms: 50 },
            Errand::Room(1),
            Errand::NoRoom(2),
            Errand::Bring(3, part(0, 2, b"abc")),
            Errand::Answer(4, part(1, 2, &[0; PIECE_BYTES])),
            Errand::Failed(5, "cell-trapped".into()),
            Errand::Cancel(6),
        ]
    }

    #[test]
    fn what_is_said_is_heard_and_what_breaks_a_bound_is_refused() {
        for errand in errands() {
            assert_eq!(Errand::decode(&errand.encode().unwrap()), Ok(errand));
        }
        for errand in [
            Errand::Bring(1, part(2, 2, b"")),
            Errand::Bring(1, part(0, PIECES_MAX as u16 + 1, b"")),
            Errand::Answer(1, part(0, 1, &[0; PIECE_BYTES + 1])),
            Errand::Failed(1, "x".repeat(CODE_MAX + 1)),
        ] {
            assert!(Errand::decode(&errand.encode().unwrap()).is_err());
        }
        assert!(super::super::Word::decode(&Errand::Room(1).encode().unwrap()).is_err(), "it is no word");
        let long = Answered { status: 200, fields: vec![], body: vec![0; FORM_MAX], trailers: vec![] };
        assert_eq!(parts(&long), None);
        let long = Answered { body: vec![0; ANSWER_BODY_MAX + 1], ..long };
        assert!(Answered::read(&postcard::to_allocvec(&long).unwrap()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A form comes out as it went in, in whatever order and however often its parts come.
        #[test]
        fn parts_make_a_whole_once(
            length in 0usize..4 * PIECE_BYTES,
            seed: u8,
            order in prop::collection::vec(0usize..8, 0..40),
        ) {
            let body = (0..length).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect();
            let form = Answered { status: 200, fields: vec![("a".into(), b"b".to_vec())], body, trailers: vec![] };
            let all = parts(&form).unwrap();
            let (mut come, mut wholes) = (Parts::default(), Vec::new());
            for at in order.into_iter().map(|at| at % all.len()).chain(0..all.len()) {
                prop_assert!(Errand::Answer(1, all[at].clone()).encode().is_ok());
                wholes.extend(come.take(all[at].clone()));
            }
            prop_assert_eq!(wholes.len(), 1, "complete exactly once");
            prop_assert_eq!(Answered::read(&wholes[0]), Ok(form));
        }

        /// Bytes of any kind are refused or are an errand that keeps every bound; nothing panics.
        #[test]
        fn hostile_bytes_are_refused(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            which in 0usize..7, at: usize, to: u8, cut: usize,
        ) {
            let _ = Errand::decode(&[&[ERRAND], noise.as_slice()].concat());
            let _ = (Brought::read(&noise), Answered::read(&noise));
            let mut bytes = errands()[which].encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(errand) = Errand::decode(&bytes) {
                prop_assert!(errand.is_sound());
                if let Errand::Bring(_, part) | Errand::Answer(_, part) = errand {
                    let _ = Parts::default().take(part);
                }
            }
            bytes.truncate(cut % bytes.len());
            let _ = Errand::decode(&bytes);
        }
    }
}
