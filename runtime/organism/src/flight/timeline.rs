//! What happened, as a table over time.

use serde::Serialize;

use super::Moment;
use crate::Nanos;
use crate::law::{Act, ClassId, Decision};
use crate::sim::{ClassOutcome, Point};

/// One class over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// When it begins, in seconds since the first look.
    pub from_s: f64,
    /// How long it is, in seconds.
    pub for_s: f64,
    /// The class's number.
    pub class: u32,
    /// Arrivals a second.
    pub load: f64,
    /// Cells on average: ready, pending and draining.
    pub cells: f64,
    /// Most of them.
    pub cells_most: u32,
    /// Most requests that waited.
    pub waiting_most: u32,
    /// Cells wanted, on average.
    pub wanted: f64,
    /// The deficit that cells felt, on average; negative is a surplus.
    pub felt: f64,
    /// Cells that the law made.
    pub born: u32,
    /// Cells that it ended.
    pub ended: u32,
}

/// One class as it was since the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    arrived: Option<u64>,
    /// Arrivals between the look before and this one.
    came: u64,
    cells: u32,
    wanted: f64,
    felt: f64,
}

/// A table in the making: as many equal parts of time as are asked for, a row for each class.
#[derive(Debug)]
pub struct Timeline {
    from: Nanos,
    part: u64,
    rows: Vec<Vec<Row>>,
    held: Vec<Held>,
    last: Option<Nanos>,
}

impl Timeline {
    /// A table of `parts` parts from `from` on for `span`, for so many classes.
    #[must_use]
    pub fn new(from: Nanos, span: Nanos, parts: usize, classes: usize) -> Self {
        let parts = parts.max(1);
        let part = span.0.div_ceil(parts as u64).max(1);
        let row = |at: usize, class: usize| Row {
            from_s: (at as u64).saturating_mul(part) as f64 / 1e9,
            for_s: part as f64 / 1e9,
            class: class as u32,
            ..Row::default()
        };
        let rows = (0..classes).map(|class| (0..parts).map(|at| row(at, class)).collect()).collect();
        Self { from, part, rows, held: vec![Held::default(); classes], last: None }
    }

    /// Takes in one look; they come in order.
    pub fn see(&mut self, moment: &Moment<'_>) {
        for sample in moment.seen.samples() {
            let Some(held) = self.held.get_mut(sample.class.0 as usize) else { continue };
            held.came = sample.arrived.saturating_sub(held.arrived.unwrap_or(sample.arrived));
            held.arrived = Some(sample.arrived);
        }
        self.pass(moment.now);
        for sample in moment.seen.samples() {
            let class = sample.class.0 as usize;
            let view = moment.law.view(sample.class).copied().unwrap_or_default();
            let Some(held) = self.held.get_mut(class) else { continue };
            let cells = u32::try_from(sample.cells.len()).unwrap_or(u32::MAX);
            *held = Held { came: 0, cells, wanted: view.wanted, felt: view.felt_fast, ..*held };
            let part = self.part;
            let Some(row) = row_at(&mut self.rows, self.from, part, moment.now, sample.class) else {
                continue;
            };
            row.cells_most = row.cells_most.max(cells);
            row.waiting_most = row.waiting_most.max(sample.queued);
        }
        for decision in moment.decisions {
            let Decision::Cell { class, act, .. } = decision else { continue };
            let Some(row) = row_at(&mut self.rows, self.from, self.part, moment.now, *class) else {
                continue;
            };
            match act {
                Act::Die { .. } => row.ended += 1,
                _ => row.born += 1,
            }
        }
    }

    /// Time passes: everything is as it was at the last look, and what came since came evenly.
    fn pass(&mut self, now: Nanos) {
        let mut at = self.last.unwrap_or(now);
        let passed = now.since(at).0.max(1) as f64;
        while at < now {
            let number = at.since(self.from).0 / self.part;
            let end = self.from + Nanos((number + 1).saturating_mul(self.part));
            let until = end.min(now).max(at + Nanos(1));
            let share = until.since(at).0 as f64 / self.part as f64;
            for (rows, held) in self.rows.iter_mut().zip(&self.held) {
                let Some(row) = rows.get_mut(usize::try_from(number).unwrap_or(usize::MAX)) else { return };
                row.load += held.came as f64 * 1e9 / passed * share;
                row.cells += f64::from(held.cells) * share;
                row.wanted += held.wanted * share;
                row.felt += held.felt * share;
            }
            at = until;
        }
        self.last = Some(now.max(at));
    }

    /// The rows of one class after another.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Row>] {
        &self.rows
    }

    /// Cells of one class on average between two times, in seconds since the first look.
    #[must_use]
    pub fn mean_cells(&self, class: usize, from_s: f64, to_s: f64) -> f64 {
        let rows = self.rows.get(class).map(Vec::as_slice).unwrap_or_default();
        let within = rows.iter().filter(|row| row.from_s >= from_s && row.from_s + row.for_s <= to_s);
        let (sum, count) = within.fold((0.0, 0_u32), |(sum, count), row| (sum + row.cells, count + 1));
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }

    /// One class as the simulator's pictures take it; `need` are the cells wanted.
    #[must_use]
    pub fn outcome(&self, class: usize, name: &str) -> ClassOutcome {
        let rows = self.rows.get(class).map(Vec::as_slice).unwrap_or_default();
        let point = |row: &Row| Point {
            at: row.from_s + row.for_s / 2.0,
            load: row.load,
            cells: libm::round(row.cells) as u32,
            need: row.wanted,
            hormone: Some(row.felt),
            late: 0.0,
        };
        ClassOutcome {
            class: name.to_owned(),
            points: rows.iter().map(point).collect(),
            ..ClassOutcome::default()
        }
    }
}

fn row_at(rows: &mut [Vec<Row>], from: Nanos, part: u64, now: Nanos, class: ClassId) -> Option<&mut Row> {
    let rows = rows.get_mut(class.0 as usize)?;
    let last = rows.len().checked_sub(1)?;
    let at = usize::try_from(now.since(from).0 / part).unwrap_or(last).min(last);
    rows.get_mut(at)
}
