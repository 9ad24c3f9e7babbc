//! What a simulation counts, and what it comes to in the end.

use serde::{Deserialize, Serialize};

use super::control::Controller;
use crate::Nanos;

/// A simulated life in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of which scenario.
    pub scenario: String,
    /// Under whom.
    pub controller: Controller,
    /// From which seed.
    pub seed: u64,
    /// Each class.
    pub classes: Vec<ClassOutcome>,
}

/// One class in figures. Times are in milliseconds unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassOutcome {
    /// Its name.
    pub class: String,
    /// Requests that arrived.
    pub offered: u64,
    /// Requests that were answered.
    pub served: u64,
    /// Requests that waited longer than the target, were given up, refused or lost; in percent.
    pub late_percent: f64,
    /// Requests whose clients gave up.
    pub given_up: u64,
    /// Requests refused at once.
    pub refused: u64,
    /// Requests that died with their cells.
    pub lost: u64,
    /// The largest share of late requests in 100 ms, in percent; windows with 20 requests count.
    pub worst_window_percent: f64,
    /// Cells ready, pending or draining, times seconds.
    pub cell_seconds: f64,
    /// What the oracle's population would have come to.
    pub need_seconds: f64,
    /// Cells born.
    pub births: u64,
    /// Births a minute and living cell.
    pub births_per_cell_minute: f64,
    /// Cells that ended.
    pub deaths: u64,
    /// Most cells at once.
    pub cells_most: u32,
    /// From the jump until nine tenths of the needed cells serve.
    pub t90_ms: Option<f64>,
    /// Most cells above the need within the jump, in percent of it.
    pub overshoot_percent: Option<f64>,
    /// From the end of the jump until no more than 15 %, or one cell, above need, in seconds.
    pub settle_s: Option<f64>,
    /// Wait for a slot of answered requests: half, 99 % and 99.9 % waited less.
    pub wait_p50_ms: f64,
    /// See `wait_p50_ms`.
    pub wait_p99_ms: f64,
    /// See `wait_p50_ms`.
    pub wait_p999_ms: f64,
    /// From arrival to answer.
    pub response_p50_ms: f64,
    /// See `response_p50_ms`.
    pub response_p99_ms: f64,
    /// The timeline, evenly spaced.
    pub points: Vec<Point>,
}

/// A moment of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When, in seconds.
    pub at: f64,
    /// Arrivals a second since the point before.
    pub load: f64,
    /// Cells ready, pending and draining.
    pub cells: u32,
    /// Cells needed.
    pub need: f64,
    /// Mean hormone felt, where there is one.
    pub hormone: Option<f64>,
    /// Late requests a second since the point before.
    pub late: f64,
}

/// A histogram of times with 3 % wide buckets from 1 microsecond to over an hour.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

const PER_OCTAVE: f64 = 24.0;
const BUCKETS: usize = 33 * PER_OCTAVE as usize;

impl Histogram {
    fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    fn add(&mut self, time: Nanos) {
        let micros = time.0 as f64 / 1e3;
        let bucket = if micros <= 1.0 { 0 } else { (libm::log2(micros) * PER_OCTAVE) as usize + 1 };
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
        self.total += 1;
    }

    /// The time that `share` of all stay at or below, in milliseconds; 0 without any.
    fn percentile(&self, share: f64) -> f64 {
        let rank = libm::ceil(self.total as f64 * share).max(1.0) as u64;
        let mut sum = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= rank {
                let micros = if bucket == 0 { 0.0 } else { libm::exp2(bucket as f64 / PER_OCTAVE) };
                return micros / 1e3;
            }
        }
        0.0
    }
}

/// Counts one class while it lives.
#[derive(Debug)]
pub struct Meter {
    outcome: ClassOutcome,
    target: Nanos,
    wait: Histogram,
    response: Histogram,
    late: u64,
    /// Arrivals and late ones of each 100 ms.
    windows: Vec<(u32, u32)>,
    noted: Nanos,
    cells: u32,
    jump: Option<(Nanos, Option<Nanos>)>,
    at_point: (u64, u64),
}

const WINDOW: Nanos = Nanos::from_millis(100);

impl Meter {
    /// Counts class `class` for so many seconds; who waits longer than `target` is late.
    pub fn new(class: &str, target: Nanos, seconds: f64) -> Self {
        let windows = (seconds * 10.0) as usize + 1;
        Self {
            outcome: ClassOutcome { class: class.to_owned(), ..ClassOutcome::default() },
            target,
            wait: Histogram::new(),
            response: Histogram::new(),
            late: 0,
            windows: vec![(0, 0); windows],
            noted: Nanos(0),
            cells: 0,
            jump: None,
            at_point: (0, 0),
        }
    }

    /// Reaction is measured from `from`; overshoot until `to`, where it ends.
    pub fn watch(&mut self, from: Nanos, to: Option<Nanos>) {
        self.jump = Some((from, to));
    }

    /// A request arrived.
    pub fn offered(&mut self, at: Nanos) {
        self.outcome.offered += 1;
        if let Some((all, _)) = self.windows.get_mut((at.0 / WINDOW.0) as usize) {
            *all += 1;
        }
    }

    /// One that arrived then gets its slot now.
    pub fn started(&mut self, arrived: Nanos, now: Nanos) {
        let wait = now.since(arrived);
        self.wait.add(wait);
        if wait > self.target {
            self.too_late(arrived);
        }
    }

    /// One that arrived then is answered now.
    pub fn served(&mut self, arrived: Nanos, now: Nanos) {
        self.outcome.served += 1;
        self.response.add(now.since(arrived));
    }

    /// The client of one that arrived then went away.
    pub fn gave_up(&mut self, arrived: Nanos) {
        self.outcome.given_up += 1;
        self.too_late(arrived);
    }

    /// One that arrived then was refused.
    pub fn refused(&mut self, arrived: Nanos) {
        self.outcome.refused += 1;
        self.too_late(arrived);
    }

    /// So many died with their cells.
    pub fn lost(&mut self, count: u32, now: Nanos) {
        self.outcome.lost += u64::from(count);
        for _ in 0..count {
            self.too_late(now);
        }
    }

    fn too_late(&mut self, arrived: Nanos) {
        self.late += 1;
        if let Some((_, late)) = self.windows.get_mut((arrived.0 / WINDOW.0) as usize) {
            *late += 1;
        }
    }

    /// A cell was born.
    pub fn born(&mut self) {
        self.outcome.births += 1;
    }

    /// So many cells ended.
    pub fn died(&mut self, count: u32) {
        self.outcome.deaths += u64::from(count);
    }

    /// The population is about to be, or was just found to be, `cells`, of which `ready` serve.
    pub fn population(&mut self, now: Nanos, cells: u32, ready: u32, need: f64) {
        self.outcome.cell_seconds += f64::from(self.cells) * now.since(self.noted).0 as f64 / 1e9;
        self.noted = now;
        self.cells = cells;
        self.outcome.cells_most = self.outcome.cells_most.max(cells);
        let Some((from, to)) = self.jump.filter(|(from, _)| now >= *from) else { return };
        let is_within = to.is_none_or(|to| now < to);
        if is_within {
            if self.outcome.t90_ms.is_none() && f64::from(ready) >= 0.9 * need {
                self.outcome.t90_ms = Some(now.since(from).0 as f64 / 1e6);
            }
            let above = (f64::from(cells) / need.max(1.0) - 1.0) * 100.0;
            let most = self.outcome.overshoot_percent.unwrap_or(0.0);
            self.outcome.overshoot_percent = Some(most.max(above));
        } else if self.outcome.settle_s.is_none() && f64::from(cells) <= (1.15 * need).max(need + 1.0) {
            self.outcome.settle_s = to.map(|to| now.since(to).0 as f64 / 1e9);
        }
    }

    /// A point of the timeline.
    pub fn point(&mut self, now: Nanos, every: f64, need: f64, hormone: Option<f64>) {
        let (offered, late) = std::mem::replace(&mut self.at_point, (self.outcome.offered, self.late));
        self.outcome.need_seconds += need * every;
        self.outcome.points.push(Point {
            at: now.0 as f64 / 1e9,
            load: (self.outcome.offered - offered) as f64 / every,
            cells: self.cells,
            need,
            hormone,
            late: (self.late - late) as f64 / every,
        });
    }

    /// What it came to.
    pub fn finish(mut self, now: Nanos) -> ClassOutcome {
        self.outcome.cell_seconds += f64::from(self.cells) * now.since(self.noted).0 as f64 / 1e9;
        let mut outcome = self.outcome;
        outcome.late_percent = 100.0 * self.late as f64 / outcome.offered.max(1) as f64;
        let shares = self.windows.iter().filter(|(all, _)| *all >= 20);
        let worst = shares.map(|(all, late)| 100.0 * f64::from(*late) / f64::from(*all));
        outcome.worst_window_percent = worst.fold(0.0, f64::max);
        outcome.births_per_cell_minute = outcome.births as f64 * 60.0 / outcome.cell_seconds.max(1.0);
        outcome.wait_p50_ms = self.wait.percentile(0.5);
        outcome.wait_p99_ms = self.wait.percentile(0.99);
        outcome.wait_p999_ms = self.wait.percentile(0.999);
        outcome.response_p50_ms = self.response.percentile(0.5);
        outcome.response_p99_ms = self.response.percentile(0.99);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut histogram = Histogram::new();
        for ms in 1..=1_000 {
            histogram.add(Nanos::from_millis(ms));
        }
        assert!((histogram.percentile(0.5) / 500.0 - 1.0).abs() < 0.04);
        assert!((histogram.percentile(0.99) / 990.0 - 1.0).abs() < 0.04);
        assert_eq!(Histogram::new().percentile(0.99), 0.0);
    }
}
