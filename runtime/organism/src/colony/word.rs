//! What hosts say to each other, as bytes.
//!
//! One format byte, then the word. Everything is bounded before it is believed: a host that is not
//! well, or not one of ours, can say nothing that costs more than reading it.

use cyte_dna::GeneName;
use serde::{Deserialize, Serialize};

use crate::claim::Piece;
use crate::phenotype::{Epoch, HostId, Record};
use crate::quota::{Quota, Receipt};

/// The longest word, in bytes; more is refused unread.
pub const WORD_MAX: usize = 64 * 1024;
/// Hosts that one pulse names.
pub const HOSTS_MAX: usize = 256;
/// Genes that one host's holdings name.
pub const HOLDINGS_MAX: usize = 512;
/// Copies of one gene that one host holds.
pub const COPIES_MAX: usize = 1_024;
/// Pieces that one word claims.
pub const CLAIMS_MAX: usize = 256;
/// Records that one word carries.
pub const RECORDS_MAX: usize = 512;

/// The format that this build speaks.
const FORMAT: u8 = 1;

/// What a host knows of a host's state, in a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Whose.
    pub host: HostId,
    /// Which life of it.
    pub epoch: Epoch,
    /// Rises while it lives.
    pub beat: u32,
    /// Its free capacity, in thousandths.
    pub free_permille: u16,
    /// Messages of others that it could take at once.
    pub spare: u16,
    /// The version of its holdings.
    pub version: u32,
    /// The number of its newest record.
    pub mark: u64,
}

/// What a host holds of one gene.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The gene.
    pub gene: GeneName,
    /// Its cells that live there.
    pub cells: u32,
    /// The copies that it answers for, ascending; at most [`COPIES_MAX`].
    pub copies: Vec<u16>,
}

/// What a host holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// By gene, ascending; at most [`HOLDINGS_MAX`].
    pub genes: Vec<Holding>,
}

/// A host's holdings under their version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whose.
    pub host: HostId,
    /// Which life of it.
    pub epoch: Epoch,
    /// Rises with every change.
    pub version: u32,
    /// What it holds.
    pub holdings: Holdings,
}

/// All that is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Word {
    /// How far the sender is; who knows more answers with news, who knows less with its own pulse.
    Pulse {
        /// Of all that it believes alive; at most [`HOSTS_MAX`].
        beats: Vec<Beat>,
        /// Whether it answers a pulse: it is not answered by another.
        is_answer: bool,
    },
    /// What the other did not know.
    News {
        /// Holdings.
        states: Vec<State>,
        /// Records, of each host by rising number; at most [`RECORDS_MAX`].
        records: Vec<Record>,
    },
    /// The sender will start these unless somebody better does; with its scores.
    Claims(Vec<(Piece, u64)>),
    /// These live at the sender.
    Haves(Vec<Piece>),
    /// The sender, or somebody before it, lacks cells.
    Quota(Quota),
    /// The sender took cells over.
    Receipt(Receipt),
    /// The sender cannot start these after all.
    GivesUp(Vec<Piece>),
}

/// Bytes that are no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what a host said is not taken: {0}")]
pub struct WordError(pub(super) &'static str);

impl Word {
    /// As bytes.
    ///
    /// # Errors
    /// A word that is longer than [`WORD_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, WordError> {
        let bytes = postcard::to_extend(self, vec![FORMAT]).map_err(|_| WordError("it has no form"))?;
        if bytes.len() > WORD_MAX {
            return Err(WordError("it is too long"));
        }
        Ok(bytes)
    }

    /// From bytes, every bound checked.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, WordError> {
        let body = match bytes {
            _ if bytes.len() > WORD_MAX => return Err(WordError("it is too long")),
            [FORMAT, body @ ..] => body,
            _ => return Err(WordError("its format is unknown")),
        };
        match postcard::take_from_bytes::<Self>(body) {
            Ok((word, [])) => word.check().map(|()| word),
            Ok(_) => Err(WordError("something follows its end")),
            Err(_) => Err(WordError("it does not decode")),
        }
    }

    fn check(&self) -> Result<(), WordError> {
        let bad = match self {
            Word::Pulse { beats, .. } => (beats.len() > HOSTS_MAX
                || beats.iter().any(|beat| beat.free_permille > 1_000))
            .then_some("a pulse names at most 256 hosts with at most 1000 thousandths free"),
            Word::News { states, records } => {
                let is_long = states.len() > HOSTS_MAX || records.len() > RECORDS_MAX;
                let is_wrong = states.iter().any(|state| !state.holdings.is_sound())
                    || records.iter().any(|record| record.check().is_err());
                (is_long || is_wrong).then_some("its news break a bound")
            }
            Word::Claims(claims) => (claims.len() > CLAIMS_MAX).then_some("it claims too much"),
            Word::Haves(pieces) | Word::GivesUp(pieces) => {
                (pieces.len() > CLAIMS_MAX).then_some("it has too much")
            }
            // Numbers out of range are refused where they are used.
            Word::Quota(_) | Word::Receipt(_) => None,
        };
        bad.map_or(Ok(()), |reason| Err(WordError(reason)))
    }
}

impl Holdings {
    /// Cells and copies of one gene.
    #[must_use]
    pub fn get(&self, gene: &GeneName) -> Option<&Holding> {
        let at = self.genes.binary_search_by(|holding| holding.gene.cmp(gene)).ok()?;
        self.genes.get(at)
    }

    /// Every piece that it answers for.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.genes.iter().flat_map(|holding| {
            holding.copies.iter().map(|copy| Piece { gene: holding.gene.clone(), copy: *copy })
        })
    }

    /// All cells of all genes.
    #[must_use]
    pub fn cells(&self) -> u32 {
        self.genes.iter().fold(0, |sum, holding| sum.saturating_add(holding.cells))
    }

    fn is_sound(&self) -> bool {
        let rises = |pair: &[Holding]| matches!(pair, [a, b] if a.gene < b.gene);
        let copies_rise = |holding: &Holding| {
            holding.copies.len() <= COPIES_MAX
                && holding.copies.windows(2).all(|pair| matches!(pair, [a, b] if a < b))
        };
        self.genes.len() <= HOLDINGS_MAX
            && self.genes.windows(2).all(rises)
            && self.genes.iter().all(copies_rise)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::law::ClassId;
    use crate::phenotype::Event;

    fn holding(gene: &str, copies: Vec<u16>) -> Holding {
        Holding { gene: gene.parse().unwrap(), cells: 3, copies }
    }

    fn words() -> Vec<Word> {
        let (host, epoch) = (HostId(u64::MAX), Epoch(7));
        let beat = Beat { host, epoch, beat: 3, free_permille: 1_000, spare: 4, version: 2, mark: 9 };
        let holdings = Holdings { genes: vec![holding("a", vec![0, 2]), holding("b", vec![])] };
        let event = Event::Note { text: "x".into() };
        let record = Record { host, epoch, number: 4, at_ms: 5, gene: None, cell: None, event };
        let piece = Piece { gene: "a".parse().unwrap(), copy: 1 };
        let quota = Quota { origin: host, epoch: 1, class: ClassId(2), cells: 1.5, ttl: 3 };
        let receipt = Receipt { origin: host, epoch: 1, class: ClassId(2), by: HostId(1), cells: 1 };
        vec![
            Word::Pulse { beats: vec![beat], is_answer: true },
            Word::News { states: vec![State { host, epoch, version: 1, holdings }], records: vec![record] },
            Word::Claims(vec![(piece.clone(), 6)]),
            Word::Haves(vec![piece.clone()]),
            Word::GivesUp(vec![piece]),
            Word::Quota(quota),
            Word::Receipt(receipt),
        ]
    }

    #[test]
    fn what_is_said_is_heard() {
        for word in words() {
            let bytes = word.encode().unwrap();
            assert_eq!(Word::decode(&bytes), Ok(word));
        }
    }

    #[test]
    fn what_breaks_a_bound_is_refused() {
        let beat = Beat {
            host: HostId(1),
            epoch: Epoch(1),
            beat: 1,
            free_permille: 1_001,
            spare: 0,
            version: 0,
            mark: 0,
        };
        let state =
            |genes| State { host: HostId(1), epoch: Epoch(1), version: 1, holdings: Holdings { genes } };
        let news = |genes| Word::News { states: vec![state(genes)], records: Vec::new() };
        let piece = Piece { gene: "a".parse().unwrap(), copy: 0 };
        for word in [
            Word::Pulse { beats: vec![beat], is_answer: false },
            Word::Pulse { beats: vec![Beat { free_permille: 1, ..beat }; HOSTS_MAX + 1], is_answer: false },
            news(vec![holding("b", vec![]), holding("a", vec![])]),
            news(vec![holding("a", vec![1, 1])]),
            Word::Claims(vec![(piece.clone(), 1); CLAIMS_MAX + 1]),
            Word::Haves(vec![piece.clone(); CLAIMS_MAX + 1]),
            Word::GivesUp(vec![piece; CLAIMS_MAX + 1]),
        ] {
            let bytes = word.encode().unwrap();
            assert!(Word::decode(&bytes).is_err(), "{word:?}");
        }
        let long = Word::News { states: vec![], records: vec![] };
        assert!(Word::decode(&[long.encode().unwrap(), vec![0]].concat()).is_err());
        assert!(Word::decode(&[]).is_err() && Word::decode(&[2, 0]).is_err());
        assert!(Word::decode(&vec![1; WORD_MAX + 1]).is_err());
    }

    proptest! {
        /// Bytes of any kind, and words with a byte changed or cut, are refused or are a word that
        /// keeps every bound; nothing panics.
        #[test]
        fn hostile_bytes_are_refused(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            which in 0usize..7, at: usize, to: u8, cut: usize,
        ) {
            let _ = Word::decode(&noise);
            let _ = Word::decode(&[&[FORMAT], noise.as_slice()].concat());
            let mut bytes = words()[which].encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(word) = Word::decode(&bytes) {
                prop_assert!(word.check().is_ok());
                prop_assert!(word.encode().is_ok());
            }
            bytes.truncate(cut % bytes.len());
            let _ = Word::decode(&bytes);
        }
    }
}
