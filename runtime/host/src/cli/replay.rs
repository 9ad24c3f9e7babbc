//! `cyte replay`: runs a recording again, says whether everything comes out as it did, and explains.

mod text;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use clap::Args;
use cyte_dna::limits;
use cyte_organism::Nanos;
use cyte_organism::flight::{
    Difference, Prediction, Recording, RecordingError, Row, Timeline, Verdict, predict, replay,
};
use cyte_organism::law::{Act, Decision};
use cyte_organism::sim::picture;
use serde_json::{Value, json};

use super::sim::beside;
use super::{Context, Done, Exit, files};
use crate::calendar::stamp;
use crate::codes::Code;
use crate::error::CliError;

/// Rows of the table, for each gene.
const ROWS: usize = 20;
/// Points of a picture.
const POINTS: usize = 600;
/// Deeds that JSON holds at most; a recording of a wild minute has more decisions than a person reads.
const DEEDS: usize = 10_000;

/// Run a recording again and explain it: same law, same stimuli, same decisions
///
/// Needs no host. The exit status is 3 where a decision comes out otherwise than on the host that
/// recorded it, with the first difference.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte replay slow.flight\n  cyte replay .cyte/incidents/2026-11-21T17-58-24-123Z-crash-loop-front.flight\n  cyte replay slow.flight --plot slow.svg --simulate --output json"
)]
pub(super) struct Replay {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Draw load, population and hormone into this SVG file; further genes go to FILE-GENE.svg
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Play the recorded load in the simulator too, and compare the populations
    #[arg(long)]
    simulate: bool,
}

/// Decisions of one look about one class that are alike.
#[derive(Debug, Clone, PartialEq)]
struct Deed {
    at_s: f64,
    class: usize,
    /// `born` or `ended`, or what became of the pool.
    what: &'static str,
    count: u32,
    cause: Option<String>,
    why: Option<String>,
}

/// A recording, run again.
struct Flown {
    recording: Recording,
    verdict: Verdict,
    table: Timeline,
    curve: Timeline,
    /// The last ones.
    deeds: VecDeque<Deed>,
    deeds_in_all: usize,
    simulated: Option<Prediction>,
}

pub(super) fn run(verb: &Replay, context: &Context) -> Done {
    let name = verb.file.display().to_string();
    let bytes = files::read(&verb.file, limits::FLIGHT_FILE_BYTES)
        .map_err(|error| error.help("cyte record --out FILE makes a recording of a running host"))?;
    let recording = Recording::from_bytes(&bytes).map_err(|error| unusable(&name, &error))?;
    let flown = fly(recording, verb.simulate).map_err(|error| unusable(&name, &error))?;
    if let Some(plot) = &verb.plot {
        draw(plot, &flown, context)?;
    }
    context.answer(&value(&flown), "deeds", |_: &Value| text::text(&flown))?;
    Ok(if flown.verdict.difference.is_some() { Exit::DIFFERENCES } else { Exit::OK })
}

/// Why `name` cannot be replayed.
pub(super) fn unusable(name: &str, error: &RecordingError) -> CliError {
    let help = match error {
        RecordingError::Newer { .. } => "run the newer cyte, or record again: cyte record --out FILE",
        RecordingError::Older { .. } | RecordingError::Unreadable { .. } => {
            "replay it with the version that recorded it"
        }
        _ => "cyte record --out FILE makes a recording of a running host",
    };
    CliError::new(Code::Recording, format!("cannot replay `{name}`"), error.to_string()).help(help)
}

fn fly(recording: Recording, simulate: bool) -> Result<Flown, RecordingError> {
    let from = recording.segments.first().map_or(Nanos(0), |segment| segment.from);
    let timeline = |parts| Timeline::new(from, recording.span(), parts, recording.about.genes.len());
    let (mut table, mut curve) = (timeline(ROWS), timeline(POINTS));
    let (mut deeds, mut deeds_in_all) = (VecDeque::new(), 0);
    let verdict = replay(&recording, |moment| {
        table.see(moment);
        curve.see(moment);
        let at_s = moment.now.since(from).0 as f64 / 1e9;
        let mut of_look: Vec<Deed> = Vec::new();
        for decision in moment.decisions {
            add(&mut of_look, deed(at_s, decision));
        }
        deeds_in_all += of_look.len();
        deeds.extend(of_look);
        let surplus = deeds.len().saturating_sub(DEEDS);
        deeds.drain(..surplus);
    })?;
    let simulated = if simulate { predict(&recording, 1)?.ok() } else { None };
    Ok(Flown { recording, verdict, table, curve, deeds, deeds_in_all, simulated })
}

fn deed(at_s: f64, decision: &Decision) -> Deed {
    let pool = |what, count| Deed { at_s, class: usize::MAX, what, count, cause: None, why: None };
    match decision {
        Decision::Refill(count) => pool("stems made", *count),
        Decision::Dissolve(count) => pool("stems given back", *count),
        Decision::Cell { class, act, cause, trace } => Deed {
            at_s,
            class: class.0 as usize,
            what: if matches!(act, Act::Die { .. }) { "ended" } else { "born" },
            count: 1,
            cause: Some(cause.to_string()),
            why: Some(trace.to_string()),
        },
    }
}

/// One more of a kind counts; the first of them says why.
fn add(deeds: &mut Vec<Deed>, deed: Deed) {
    let is_alike =
        |known: &&mut Deed| known.class == deed.class && known.what == deed.what && known.cause == deed.cause;
    match deeds.iter_mut().find(is_alike) {
        Some(known) => known.count = known.count.saturating_add(deed.count),
        None => deeds.push(deed),
    }
}

impl Flown {
    fn gene(&self, class: usize) -> &str {
        self.recording.about.genes.get(class).map_or("?", String::as_str)
    }

    /// Classes that had anything to do.
    fn busy(&self) -> impl Iterator<Item = (usize, &[Row])> {
        let rows = self.table.rows().iter().map(Vec::as_slice).enumerate();
        rows.filter(|(_, rows)| rows.iter().any(|row| row.load > 0.0 || row.cells_most > 0))
    }

    /// Mean cells of a class in the simulator, for each row; none where it was not asked.
    fn simulated_cells(&self, class: usize, rows: &[Row]) -> Option<Vec<f64>> {
        let simulated = self.simulated.as_ref()?.simulated.classes.get(class)?;
        let mean = |row: &Row| {
            let inside = row.from_s..row.from_s + row.for_s;
            let within = simulated.points.iter().filter(|point| inside.contains(&point.at));
            let (sum, count) =
                within.fold((0.0, 0_u32), |(sum, count), point| (sum + f64::from(point.cells), count + 1));
            sum / f64::from(count.max(1))
        };
        Some(rows.iter().map(mean).collect())
    }

    /// Mean cells of a class: on the host, and in the simulator where it was asked.
    fn means(&self, class: usize) -> (f64, Option<f64>) {
        let end = self.recording.span().0 as f64 / 1e9 + 1.0;
        let simulated = self.simulated.as_ref().and_then(|found| found.simulated.classes.get(class));
        let mean = simulated.map(|class| {
            let cells = class.points.iter().map(|point| f64::from(point.cells)).sum::<f64>();
            cells / class.points.len().max(1) as f64
        });
        (self.curve.mean_cells(class, 0.0, end), mean)
    }
}

fn value(flown: &Flown) -> Value {
    let Verdict { looks, decisions, keyframes, difference } = &flown.verdict;
    let about = &flown.recording.about;
    let class = |(at, rows): (usize, &[Row])| {
        let (mean, simulated) = flown.means(at);
        json!({
            "gene": flown.gene(at),
            "mean_cells": mean,
            "rows": rows,
            "simulated_mean_cells": simulated,
            "simulated_cells": flown.simulated_cells(at, rows),
        })
    };
    let deed = |deed: &Deed| {
        json!({
            "at_s": deed.at_s,
            "gene": about.genes.get(deed.class),
            "what": deed.what,
            "count": deed.count,
            "cause": deed.cause,
            "why": deed.why,
        })
    };
    json!({
        "v": 1,
        "organism": about.organism,
        "cyte": about.cyte,
        "reason": about.reason,
        "made_ms": about.made_ms,
        "seconds": flown.recording.span().0 as f64 / 1e9,
        "looks": looks,
        "decisions": decisions,
        "keyframes": keyframes,
        "equal": difference.is_none(),
        "difference": difference.as_ref().map(|found| differs(flown, found)),
        "classes": flown.busy().map(class).collect::<Vec<_>>(),
        "deeds": flown.deeds.iter().map(deed).collect::<Vec<_>>(),
        "deeds_in_all": flown.deeds_in_all,
    })
}

fn differs(flown: &Flown, difference: &Difference) -> Value {
    let from = flown.recording.segments.first().map_or(Nanos(0), |segment| segment.from);
    json!({
        "look": difference.look,
        "at_s": difference.at.since(from).0 as f64 / 1e9,
        "decision": difference.decision,
        "recorded": difference.recorded,
        "replayed": difference.replayed,
        "text": difference.to_string(),
    })
}

/// One picture for each class that had anything to do; the simulator's population beside it.
fn draw(plot: &Path, flown: &Flown, context: &Context) -> Result<(), CliError> {
    let about = &flown.recording.about;
    for (at, (class, _)) in flown.busy().enumerate() {
        let gene = flown.gene(class);
        let recorded = flown.curve.outcome(class, gene);
        let mut lines = vec![("recorded".to_owned(), &recorded)];
        let simulated = flown.simulated.as_ref().and_then(|found| found.simulated.classes.get(class));
        lines.extend(simulated.map(|found| ("simulated".to_owned(), found)));
        let title = format!("{}: {gene}, {}", about.organism, stamp(about.made_ms));
        let path = if at == 0 { plot.to_owned() } else { beside(plot, gene) };
        files::write(&path, picture::draw_lines(&title, &lines).as_bytes(), 0o644)
            .map_err(|error| error.help("--plot names a file in a folder that is there"))?;
        context.note(&format!("drew       {}", path.display()));
    }
    Ok(())
}
