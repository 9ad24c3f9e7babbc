//! The arithmetic of a comparison: order of the contenders, ratios, medians.
//!
//! Pure functions over numbers already measured; nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// A median and how far single rounds lay from it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle of all rounds (mean of the two middle ones when even).
    pub median: f64,
    /// The least of all rounds.
    pub min: f64,
    /// The greatest of all rounds.
    pub max: f64,
}

impl Spread {
    /// Of `values`; `None` when there are none. Values that are not numbers are left out.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

/// The order in which `count` contenders run in `round` (from 0): rotated by one from round to
/// round and reversed in every odd one, so that none always follows the same other.
#[must_use]
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if count > 0 {
        order.rotate_left((round / 2) % count);
    }
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// `subject / base` of every round in which both were measured.
#[must_use]
pub(crate) fn ratios(subject: &[Option<f64>], base: &[Option<f64>]) -> Vec<f64> {
    let pairs = subject.iter().zip(base);
    pairs.filter_map(|pair| Some(pair.0.as_ref()? / pair.1.as_ref().filter(|base| **base > 0.0)?)).collect()
}

/// `subject - base` of every round in which both were measured.
#[must_use]
pub(crate) fn differences(subject: &[Option<f64>], base: &[Option<f64>]) -> Vec<f64> {
    let pairs = subject.iter().zip(base);
    pairs.filter_map(|pair| Some(pair.0.as_ref()? - pair.1.as_ref()?)).collect()
}

/// The value below which `share` (0 to 1) of the samples lie; sorts them. `None` when empty.
#[must_use]
pub(crate) fn quantile(samples: &mut [u32], share: f64) -> Option<u32> {
    samples.sort_unstable();
    let last = samples.len().checked_sub(1)?;
    samples.get(((last as f64) * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_odd_even_and_none() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[f64::NAN]), None);
    }

    #[test]
    fn order_rotates_and_reverses() {
        assert_eq!(order(3, 0), [0, 1, 2]);
        assert_eq!(order(3, 1), [2, 1, 0]);
        assert_eq!(order(3, 2), [1, 2, 0]);
        assert_eq!(order(3, 3), [0, 2, 1]);
        assert_eq!(order(0, 5), [0; 0]);
    }

    #[test]
    fn every_contender_is_first_and_last_equally_often() {
        let mut first = [0; 4];
        let mut last = [0; 4];
        for round in 0..8 {
            let order = order(4, round);
            first[order[0]] += 1;
            last[order[3]] += 1;
        }
        assert_eq!((first, last), ([2; 4], [2; 4]));
    }

    #[test]
    fn ratios_only_inside_a_round() {
        let subject = [Some(20.0), None, Some(30.0), Some(1.0)];
        let base = [Some(10.0), Some(10.0), Some(10.0), None];
        assert_eq!(ratios(&subject, &base), [2.0, 3.0]);
        assert!(ratios(&[Some(1.0)], &[Some(0.0)]).is_empty());
    }

    #[test]
    fn quantiles() {
        let mut samples = [5, 1, 3, 2, 4];
        assert_eq!(quantile(&mut samples, 0.5), Some(3));
        assert_eq!(quantile(&mut samples, 1.0), Some(5));
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
