//! What is hot: a part of a class or of the host that stays over its mark.
//!
//! One word when it becomes hot and one when it has cooled, each with the part and the number. A number
//! is averaged over a fifth of a second first, so that a full tick is not full cores; it must stay over
//! the mark for [`STAYS`], and has cooled when it stayed below [`COOL_PERCENT`] of it for as long.
//! Between the two nothing is said, however the number swings.

use std::collections::BTreeMap;

use crate::Nanos;
use crate::law::ClassId;
use crate::time::part;

/// For how long a number must stay over its mark, or below the lower one.
pub const STAYS: Nanos = Nanos::from_millis(1_000);
/// Below so many hundredths of its mark a part has cooled.
pub const COOL_PERCENT: u64 = 75;
/// Half-life of the average of a number.
const HALF_LIFE: Nanos = Nanos::from_millis(200);

/// What can be hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The host's cores: the share of their time in use, in thousandths.
    Cores,
    /// The host's cores: the delay from woken to polled, in microseconds.
    RunDelay,
    /// Memory of all cells of the host, in bytes.
    Memory,
    /// A class's queue: how long its first request has waited, in microseconds.
    Queue,
    /// A class's own signal, in its own unit.
    Signal,
}

impl Part {
    /// Its name; a signal has one of its own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Cores => "cores",
            Part::RunDelay => "run-delay",
            Part::Memory => "memory",
            Part::Queue => "queue",
            Part::Signal => "signal",
        }
    }

    /// The unit of its number; none for a signal.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Part::Cores => "permille",
            Part::RunDelay | Part::Queue => "us",
            Part::Memory => "bytes",
            Part::Signal => "",
        }
    }
}

/// A part crossed its mark for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether it is hot now; else it has cooled.
    pub is_hot: bool,
    /// The number as it is felt: averaged.
    pub number: u64,
}

/// What is remembered of one part.
#[derive(Clone, Copy, Debug)]
struct Heat {
    felt: f64,
    looked: Nanos,
    is_hot: bool,
    /// Since when it is on the other side of the mark without a break.
    since: Option<Nanos>,
}

impl Heat {
    fn feel(&mut self, now: Nanos, number: u64, mark: u64) -> Option<Turn> {
        self.felt += (number as f64 - self.felt) * part(now.since(self.looked), HALF_LIFE);
        self.looked = now;
        let mark = mark as f64;
        let is_across = match self.is_hot {
            false => mark > 0.0 && self.felt > mark,
            true => self.felt <= mark * COOL_PERCENT as f64 / 100.0,
        };
        if !is_across {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.since(since) < STAYS {
            return None;
        }
        (self.is_hot, self.since) = (!self.is_hot, None);
        Some(Turn { is_hot: self.is_hot, number: self.felt as u64 })
    }

    /// Whether nothing of it need be remembered.
    fn is_cold(&self) -> bool {
        !self.is_hot && self.since.is_none() && self.felt < 1.0
    }
}

/// All parts of a host and its classes.
#[derive(Debug, Default)]
pub struct Thermometer(BTreeMap<(Option<ClassId>, Part), Heat>);

impl Thermometer {
    /// A part of a class, or of the host, measured `number` now; what is to be said of that. A mark of 0
    /// is none.
    pub fn feel(
        &mut self,
        now: Nanos,
        class: Option<ClassId>,
        part: Part,
        number: u64,
        mark: u64,
    ) -> Option<Turn> {
        let cold = Heat { felt: 0.0, looked: now, is_hot: false, since: None };
        let key = (class, part);
        let heat = self.0.entry(key).or_insert(cold);
        let turn = heat.feel(now, number, mark);
        if heat.is_cold() && number == 0 {
            self.0.remove(&key);
        }
        turn
    }

    /// Whether something is hot or about to be, so that time alone may change what is to be said.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.0.values().any(|heat| heat.is_hot || heat.since.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said when a number is looked at every 20 ms and holds these values for so many
    /// milliseconds each: when, and whether it is hot.
    fn said(mark: u64, phases: &[(u64, u64)]) -> Vec<(u64, bool)> {
        let (mut thermometer, mut now, mut said) = (Thermometer::default(), 0, Vec::new());
        for (number, millis) in phases {
            for _ in 0..millis / 20 {
                now += 20;
                let at = Nanos::from_millis(now);
                let turn = thermometer.feel(at, Some(ClassId(1)), Part::Queue, *number, mark);
                said.extend(turn.map(|turn| (now, turn.is_hot)));
            }
        }
        said
    }

    #[test]
    fn one_word_when_it_is_hot_and_one_when_it_has_cooled() {
        type Row<'a> = (&'a str, u64, &'a [(u64, u64)], &'a [bool]);
        let table: &[Row<'_>] = &[
            ("never over", 100, &[(100, 60_000)], &[]),
            ("over for good", 100, &[(150, 60_000)], &[true]),
            ("over for too short a time", 100, &[(150, 900), (50, 5_000)], &[]),
            ("a spike", 100, &[(1_000, 20), (0, 5_000)], &[]),
            ("hot and cooled", 100, &[(150, 5_000), (50, 5_000)], &[true, false]),
            ("between the marks it stays hot", 100, &[(150, 5_000), (90, 60_000)], &[true]),
            ("a break is no cooling", 100, &[(150, 5_000), (0, 900), (150, 5_000)], &[true]),
            (
                "twice",
                100,
                &[(150, 5_000), (0, 5_000), (150, 5_000), (0, 5_000)],
                &[true, false, true, false],
            ),
            ("without a mark", 0, &[(150, 60_000)], &[]),
        ];
        for (what, mark, phases, expected) in table {
            let turns: Vec<bool> = said(*mark, phases).iter().map(|(_, is_hot)| *is_hot).collect();
            assert_eq!(turns, *expected, "{what}");
        }
    }

    #[test]
    fn it_is_said_no_sooner_than_it_stayed() {
        let [(hot, true), (cooled, false)] = said(100, &[(150, 5_000), (0, 5_000)])[..] else {
            panic!("hot once, cooled once")
        };
        assert!((1_000..2_000).contains(&hot) && (6_000..7_000).contains(&cooled), "{hot} {cooled}");
    }

    #[test]
    fn parts_are_told_apart_and_what_is_cold_is_forgotten() {
        let mut thermometer = Thermometer::default();
        let mut said = Vec::new();
        for at in 0..200 {
            let now = Nanos::from_millis(at * 20);
            for (class, part, number) in [
                (None, Part::Cores, 990),
                (Some(ClassId(0)), Part::Queue, 0),
                (Some(ClassId(1)), Part::Queue, 5),
            ] {
                let turn = thermometer.feel(now, class, part, number, 970);
                said.extend(turn.map(|turn| (class, part, turn)));
            }
        }
        assert_eq!(said, [(None, Part::Cores, Turn { is_hot: true, number: 989 })]);
        assert!(thermometer.is_warm());
        for at in 200..600 {
            thermometer.feel(Nanos::from_millis(at * 20), None, Part::Cores, 0, 970);
        }
        assert!(!thermometer.is_warm());
        assert_eq!(thermometer.0.keys().collect::<Vec<_>>(), [&(Some(ClassId(1)), Part::Queue)]);
    }
}
