//! `cyte sim`: the hormone law, or a rival, against a scenario on virtual time.

mod neuron;
mod source;

use std::path::{Path, PathBuf};

use clap::Args;
use cyte_organism::sim::{ClassOutcome, Controller, Outcome, Scenario, picture, run as simulate, run_neuron};
use serde_json::{Value, json};

use super::table::table;
use super::{Context, Done, Exit, files};
use crate::codes::Code;
use crate::error::CliError;

/// Play a scenario on virtual time: load, cells, hormones and what clients get
///
/// Same scenario, same seed, same figures. It is the law that hosts run. Scenarios to start from
/// are in examples/scenarios; `cyte sim FILE --out PLOT.svg` draws what happened.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte sim examples/scenarios/step.toml\n  cyte sim examples/scenarios/flash.toml --out flash.svg\n  cyte sim step.toml --under hybrid,kpa --rounds 6 --output json\n  cyte sim step.toml --under hybrid --neuron .cyte/genes/think.wasm"
)]
pub(super) struct Sim {
    /// The scenario, a TOML file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who decides about cells; without it those that the scenario names
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    under: Vec<Controller>,
    /// Play it under this neuron too, a component; alone unless --under says who else
    #[arg(long, value_name = "X.wasm")]
    neuron: Option<PathBuf>,
    /// Play so many times, each from the next seed; the table shows means
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Draw the first round into this SVG file; further classes go to FILE-CLASS.svg
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Put the timelines into JSON too
    #[arg(long)]
    points: bool,
}

pub(super) fn run(verb: &Sim, context: &Context) -> Done {
    let file = source::read(&verb.file)?;
    let controllers: &[Controller] = match (verb.under.as_slice(), &verb.neuron) {
        ([], None) => &file.controllers,
        (named, _) => named,
    };
    let mut outcomes = Vec::new();
    for controller in controllers {
        for round in 0..u64::from(verb.rounds) {
            if verb.rounds > 1 || context.verbose > 0 {
                context.note(&format!("{controller}, round {} of {}", round + 1, verb.rounds));
            }
            let seed = verb.seed.wrapping_add(round);
            let outcome = simulate(&file.scenario, *controller, seed)
                .map_err(|error| CliError::new(Code::Scenario, "cannot simulate", error.to_string()))?;
            outcomes.push(outcome);
        }
    }
    if let Some(path) = &verb.neuron {
        outcomes.extend(under_neuron(path, &file.scenario, verb, context)?);
    }
    if let Some(out) = &verb.out {
        draw(out, &outcomes, verb.seed, context)?;
    }
    if !verb.points {
        outcomes.iter_mut().flat_map(|outcome| &mut outcome.classes).for_each(|class| class.points.clear());
    }
    let runs = serde_json::to_value(&outcomes)
        .map_err(|error| CliError::new(Code::Machine, "cannot write JSON", error.to_string()))?;
    let value = json!({"v": 1, "scenario": file.scenario.name, "runs": runs});
    context.answer(&value, "runs", |_: &Value| text(&outcomes))?;
    Ok(Exit::OK)
}

/// Each round under the neuron at `path`, in a cell of its own.
fn under_neuron(
    path: &Path,
    scenario: &Scenario,
    verb: &Sim,
    context: &Context,
) -> Result<Vec<Outcome>, CliError> {
    let lab = neuron::Lab::open(path, context)?;
    let mut outcomes = Vec::new();
    for round in 0..u64::from(verb.rounds) {
        if verb.rounds > 1 || context.verbose > 0 {
            context.note(&format!("{}, round {} of {}", path.display(), round + 1, verb.rounds));
        }
        let outcome = run_neuron(scenario, lab.watch(), verb.seed.wrapping_add(round))
            .map_err(|error| CliError::new(Code::Scenario, "cannot simulate", error.to_string()))?;
        if let Some(trouble) = lab.take_trouble() {
            return Err(trouble);
        }
        outcomes.push(outcome);
    }
    if lab.refused() > 0 {
        context.note(&format!(
            "refused    {} orders, as a host would: out of range, or for no class",
            lab.refused()
        ));
    }
    Ok(outcomes)
}

/// One picture a class, of the first round of each controller.
fn draw(out: &Path, outcomes: &[Outcome], seed: u64, context: &Context) -> Result<(), CliError> {
    let first: Vec<Outcome> = outcomes.iter().filter(|outcome| outcome.seed == seed).cloned().collect();
    let classes = first.first().map_or(&[][..], |outcome| &outcome.classes);
    for (at, class) in classes.iter().enumerate() {
        let path = if at == 0 { out.to_owned() } else { beside(out, &class.class) };
        files::write(&path, picture::draw(&first, at).as_bytes(), 0o644)
            .map_err(|error| error.help("--out names a file in a folder that is there"))?;
        context.note(&format!("drew {}", path.display()));
    }
    Ok(())
}

/// The picture of a further class.
pub(super) fn beside(out: &Path, class: &str) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}-{class}.svg"))
}

/// A row for each controller and class, in the order they were played.
fn text(outcomes: &[Outcome]) -> String {
    let classes = outcomes.first().map_or(0, |outcome| outcome.classes.len());
    let mut who: Vec<Controller> = Vec::new();
    for outcome in outcomes {
        if !who.contains(&outcome.controller) {
            who.push(outcome.controller);
        }
    }
    let mut rows = Vec::new();
    for at in 0..classes {
        for controller in &who {
            let of = outcomes.iter().filter(|outcome| outcome.controller == *controller);
            let rounds: Vec<&ClassOutcome> = of.filter_map(|outcome| outcome.classes.get(at)).collect();
            rows.push(row(*controller, &rounds, classes > 1));
        }
    }
    let mut heading = vec!["UNDER"];
    if classes > 1 {
        heading.push("CLASS");
    }
    heading.extend([
        "LATE %", "WORST %", "CELL-S", "BIRTHS", "MOST", "T90 MS", "OVER %", "SETTLE S", "P99.9 MS",
        "RESP P99", "LOST",
    ]);
    let mut text = table(&heading, &rows);
    text.push_str(
        "\nLATE waited longer than the target or never got an answer; WORST in any 100 ms; CELL-S cells x\n\
         seconds; T90 from the jump to 90 % of need; OVER above need; P99.9 of waits for a slot\n",
    );
    text
}

fn row(controller: Controller, rounds: &[&ClassOutcome], with_class: bool) -> Vec<String> {
    let mean = |value: &dyn Fn(&ClassOutcome) -> f64| {
        rounds.iter().map(|class| value(class)).sum::<f64>() / rounds.len().max(1) as f64
    };
    // A round in which it never happened has no time; then the mean would be a lie.
    let all = |value: &dyn Fn(&ClassOutcome) -> Option<f64>, digits: usize| {
        let known: Option<Vec<f64>> = rounds.iter().map(|class| value(class)).collect();
        let known = known.filter(|known| !known.is_empty());
        known.map_or_else(
            || "-".to_owned(),
            |known| format!("{:.digits$}", known.iter().sum::<f64>() / known.len() as f64),
        )
    };
    let mut row = vec![controller.to_string()];
    if with_class {
        row.push(rounds.first().map(|class| class.class.clone()).unwrap_or_default());
    }
    row.extend([
        format!("{:.4}", mean(&|class| class.late_percent)),
        format!("{:.1}", mean(&|class| class.worst_window_percent)),
        format!("{:.0}", mean(&|class| class.cell_seconds)),
        format!("{:.0}", mean(&|class| class.births as f64)),
        format!("{:.0}", mean(&|class| f64::from(class.cells_most))),
        all(&|class| class.t90_ms, 0),
        all(&|class| class.overshoot_percent, 0),
        all(&|class| class.settle_s, 1),
        format!("{:.2}", mean(&|class| class.wait_p999_ms)),
        format!("{:.0}", mean(&|class| class.response_p99_ms)),
        format!("{:.0}", mean(&|class| class.lost as f64)),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use cyte_organism::sim::{Load, Scenario};

    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let mut scenario = Scenario { seconds: 12.0, ..Scenario::default() };
        scenario.classes[0].load = Load::Step { base: 200.0, peak: 2_000.0, from: 4.0, to: 8.0 };
        let mut other = scenario.classes[0].clone();
        other.name = "api".to_owned();
        other.load = Load::Constant { rate: 100.0 };
        scenario.classes.push(other);
        let both = [Controller::Hybrid, Controller::Static(3)];
        both.iter().flat_map(|who| [1, 2].map(|seed| simulate(&scenario, *who, seed).unwrap())).collect()
    }

    #[test]
    fn the_table_has_a_row_for_each_class_and_controller_with_means() {
        let outcomes = outcomes();
        let text = text(&outcomes);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        for (row, (who, class)) in
            [("hybrid", "web"), ("static-3", "web"), ("hybrid", "api"), ("static-3", "api")]
                .iter()
                .enumerate()
        {
            assert_eq!(rows[row + 1][..2], [*who, *class], "{text}");
        }
        let mean = outcomes[..2].iter().map(|outcome| outcome.classes[0].births as f64).sum::<f64>() / 2.0;
        assert_eq!(rows[1][5], format!("{mean:.0}"), "{text}");
        assert_eq!((rows[1][2], rows[2][2] == "0.0000"), ("0.0000", false), "{text}");
        // Three cells never reach nine tenths of twelve.
        assert_eq!(rows[2][7], "-", "{text}");
    }

    #[test]
    fn each_class_gets_its_picture() {
        assert_eq!(beside(Path::new("a/step.svg"), "api"), PathBuf::from("a/step-api.svg"));
    }
}
