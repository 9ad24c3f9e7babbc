//! How long calls take: a histogram of atomics, four buckets to a doubling, exact to 19 %.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cyte_organism::Nanos;

/// Buckets: four for each power of two of microseconds, up to over an hour.
const BUCKETS: usize = 4 * 33;

/// Counts of calls by duration.
#[derive(Debug)]
pub(crate) struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Latency {
    pub(crate) fn record(&self, span: Nanos) {
        if let Some(count) = self.0.get(bucket(span.0 / 1_000)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The duration in microseconds that this share of calls stayed within; 0 without calls.
    pub(crate) fn quantile_us(&self, share: f64) -> u64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in counts.iter().enumerate() {
            seen += count;
            if total > 0 && seen >= rank {
                return upper_us(at);
            }
        }
        0
    }
}

/// Below four microseconds one bucket each; above, the two bits after the leading one choose.
fn bucket(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let log = us.ilog2() as usize;
    let quarter = (us >> (log - 2)) as usize & 3;
    ((log - 1) * 4 + quarter).min(BUCKETS - 1)
}

/// The largest duration of a bucket.
fn upper_us(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let (log, quarter) = (bucket / 4 + 1, bucket as u64 % 4);
    ((4 + quarter + 1) << (log - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_within_its_bucket() {
        for us in (0..5_000).chain([1 << 20, (1 << 20) + 12_345, 3_600_000_000]) {
            let at = bucket(us);
            assert!(us <= upper_us(at), "{us} in bucket {at} up to {}", upper_us(at));
            assert!(at == 0 || us > upper_us(at - 1), "{us} above bucket {}", at - 1);
        }
    }

    #[test]
    fn quantiles_are_near() {
        let latency = Latency::default();
        for us in 1..=1_000 {
            latency.record(Nanos(us * 1_000));
        }
        assert!((500..=640).contains(&latency.quantile_us(0.5)));
        assert!((990..=1_280).contains(&latency.quantile_us(0.99)));
    }
}
