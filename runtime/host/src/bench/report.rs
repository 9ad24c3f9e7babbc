//! What was measured, as data for machines and as a table for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::machine::{Machine, Placement};
use super::stats::Spread;

/// All that one `cyte bench` measured. A report saved as JSON is a baseline for a later one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The format of this record: 1.
    pub v: u32,
    /// On what.
    pub machine: Machine,
    /// The cores of server and load; none where they could not be kept apart.
    pub placement: Option<Placement>,
    /// Who took part, with versions.
    pub systems: Vec<SystemFacts>,
    /// One for each case that was asked for.
    pub cases: Vec<CaseReport>,
}

/// A program that took part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SystemFacts {
    /// Its name in the tables.
    pub name: String,
    /// Its version, or why it could not take part.
    pub version: String,
}

/// What one case showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseReport {
    /// The case's name on the command line.
    pub name: String,
    /// What it does.
    pub about: String,
    /// How it was measured: connections, rounds, seconds.
    pub how: String,
    /// One for each system.
    pub rows: Vec<Row>,
    /// The same system twice: differences smaller than its spread are nothing.
    pub control: Option<Spread>,
    /// What had to hold.
    pub gates: Vec<GateReport>,
    /// What a reader must know of this run: systems that failed, a busy machine.
    pub notes: Vec<String>,
}

/// What one system showed in a case; what does not apply is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// The system.
    pub label: String,
    /// Its measurements.
    pub cells: Vec<Cell>,
}

/// One measurement of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// What was measured, with its unit.
    pub what: String,
    /// The value over all rounds.
    pub value: Spread,
}

/// Whether something held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It held.
    Pass,
    /// It was measured and did not hold.
    Short,
    /// It could not be measured.
    Open,
}

/// One thing that had to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReport {
    /// In words, with the limit.
    pub what: String,
    /// A release depends on it.
    pub must: bool,
    /// The most that the median may be.
    pub at_most: f64,
    /// What would be better still.
    pub stretch: Option<f64>,
    /// What was measured.
    pub measured: Option<Spread>,
    /// Whether it held.
    pub outcome: Outcome,
    /// It lies no further from the limit than the control from 1: another run may judge otherwise.
    pub close: bool,
}

impl GateReport {
    /// Judge what was measured by its median.
    #[must_use]
    pub(crate) fn judge(
        what: String,
        must: bool,
        at_most: f64,
        stretch: Option<f64>,
        measured: Option<Spread>,
    ) -> Self {
        let outcome = match measured {
            None => Outcome::Open,
            Some(spread) if spread.median <= at_most => Outcome::Pass,
            Some(_) => Outcome::Short,
        };
        Self { what, must, at_most, stretch, measured, outcome, close: false }
    }

    /// The same, marked where it is closer to the limit than equal systems were to each other.
    #[must_use]
    pub(crate) fn against(mut self, control: Option<Spread>) -> Self {
        let apart = control.map_or(0.0, |control| (control.max - 1.0).abs().max((control.min - 1.0).abs()));
        self.close = self.measured.is_some_and(|spread| (spread.median / self.at_most - 1.0).abs() <= apart);
        self
    }
}

/// A note on a system that failed; most errors name it themselves.
#[must_use]
pub(crate) fn note(label: &str, error: &str) -> String {
    if error.starts_with(label) { error.to_owned() } else { format!("{label}: {error}") }
}

impl Row {
    /// A row without measurements yet.
    #[must_use]
    pub(crate) fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), cells: Vec::new() }
    }

    /// The same with one measurement more, where there is a value.
    #[must_use]
    pub(crate) fn with(mut self, what: &str, values: &[f64]) -> Self {
        if let Some(value) = Spread::of(values) {
            self.cells.push(Cell { what: what.to_owned(), value });
        }
        self
    }
}

impl Report {
    /// Whether everything that a release depends on was measured and held.
    #[must_use]
    pub fn holds(&self) -> bool {
        let gates = self.cases.iter().flat_map(|case| &case.gates);
        gates.filter(|gate| gate.must).all(|gate| gate.outcome == Outcome::Pass)
    }

    /// The whole report for people: tables, gates, notes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let machine = &self.machine;
        // Writing to a string cannot fail; so in all of this module.
        let _ = writeln!(
            text,
            "{}, {} cores, Linux {}, load average {:.2} before the first round",
            machine.cpu, machine.cores, machine.kernel, machine.load
        );
        let _ = match self.placement {
            Some(place) => writeln!(text, "server on core {}, load on core {}", place.server, place.load),
            None => writeln!(text, "one core only: server and load share it"),
        };
        for system in &self.systems {
            let _ = writeln!(text, "{}: {}", system.name, system.version);
        }
        for case in &self.cases {
            case.write(&mut text);
        }
        text
    }
}

impl CaseReport {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}: {}\n  {}", self.name, self.about, self.how);
        let columns = self.columns();
        let width = self.rows.iter().map(|row| row.label.len()).max().unwrap_or(0).max(6);
        let _ = write!(text, "  {:width$}", "");
        for column in &columns {
            let _ = write!(text, "  {column:>24}");
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "  {:width$}", row.label);
            for column in &columns {
                let cell = row.cells.iter().find(|cell| cell.what == **column);
                let shown = cell.map_or_else(|| "-".to_owned(), |cell| spread(&cell.value));
                let _ = write!(text, "  {shown:>24}");
            }
            text.push('\n');
        }
        if let Some(control) = &self.control {
            let _ = writeln!(text, "  control, the same system twice: {}", spread(control));
        }
        for gate in &self.gates {
            let _ = writeln!(text, "  {}", gate.line());
        }
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
    }

    /// The names of all measurements, in the order of their first use.
    fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for cell in self.rows.iter().flat_map(|row| &row.cells) {
            if !columns.contains(&cell.what.as_str()) {
                columns.push(&cell.what);
            }
        }
        columns
    }
}

impl GateReport {
    fn line(&self) -> String {
        let mark = if self.must { "G" } else { " " };
        let outcome = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Short => "SHORT",
            Outcome::Open => "open",
        };
        let measured = self.measured.as_ref().map_or_else(|| "not measured".to_owned(), spread);
        let stretch = self.stretch.zip(self.measured).map_or_else(String::new, |(stretch, spread)| {
            let held = if spread.median <= stretch { "held" } else { "not held" };
            format!(" (stretch {}: {held})", number(stretch))
        });
        let close = if self.close { " (as close to the limit as equal systems to each other)" } else { "" };
        format!("{outcome:5} {mark} {}: {measured}{stretch}{close}", self.what)
    }
}

/// `median (min-max)`.
fn spread(value: &Spread) -> String {
    if value.min.to_bits() == value.max.to_bits() {
        return number(value.median);
    }
    let between = if value.min < 0.0 { " to " } else { "-" };
    format!("{} ({}{between}{})", number(value.median), number(value.min), number(value.max))
}

/// Three or four digits that matter.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(measured: Option<f64>, must: bool) -> GateReport {
        let spread = measured.and_then(|value| Spread::of(&[value]));
        GateReport::judge("a <= 2 x b".to_owned(), must, 2.0, Some(1.0), spread)
    }

    fn report(gates: Vec<GateReport>) -> Report {
        let rows =
            vec![Row::new("a").with("us", &[1.0, 2.0, 3.0]), Row::new("long name").with("rate", &[12_345.6])];
        let (name, about, how) = ("case".to_owned(), "about".to_owned(), "how".to_owned());
        Report {
            v: 1,
            machine: Machine { cpu: "c".to_owned(), cores: 2, kernel: "k".to_owned(), load: 0.1 },
            placement: Some(Placement { server: 1, load: 0 }),
            systems: Vec::new(),
            cases: vec![CaseReport {
                name,
                about,
                how,
                rows,
                control: Spread::of(&[1.0]),
                gates,
                notes: vec!["busy".to_owned()],
            }],
        }
    }

    #[test]
    fn gates_are_judged_by_the_median() {
        assert_eq!(judged(Some(2.0), true).outcome, Outcome::Pass);
        assert_eq!(judged(Some(2.1), true).outcome, Outcome::Short);
        assert_eq!(judged(None, true).outcome, Outcome::Open);
    }

    #[test]
    fn a_narrow_result_is_marked() {
        let control = Spread::of(&[0.95, 1.0, 1.1]);
        assert!(judged(Some(1.9), true).against(control).close);
        assert!(judged(Some(2.1), true).against(control).close);
        assert!(!judged(Some(1.5), true).against(control).close);
        assert!(!judged(Some(1.9), true).against(None).close);
    }

    #[test]
    fn a_release_needs_every_gate_that_must_hold() {
        assert!(report(vec![judged(Some(1.0), true), judged(Some(9.0), false)]).holds());
        assert!(!report(vec![judged(Some(9.0), true)]).holds());
        assert!(!report(vec![judged(None, true)]).holds());
    }

    #[test]
    fn text_shows_rows_gates_and_notes() {
        let text = report(vec![judged(Some(1.5), true)]).text();
        assert!(text.contains("2.00 (1.00-3.00)"), "{text}");
        assert!(text.contains("12346"), "{text}");
        assert!(text.contains("pass  G a <= 2 x b: 1.50 (stretch 1.00: not held)"), "{text}");
        assert!(text.contains("note: busy"), "{text}");
    }

    #[test]
    fn json_comes_back() {
        let json = serde_json::to_string(&report(vec![judged(None, true)])).unwrap();
        let back: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
    }
}
