//! A replay as a person reads it: the verdict, a table over time, and each deed with its reason.

use std::fmt::Write as _;

use cyte_organism::flight::{Row, Verdict};

use super::{Deed, Flown};
use crate::calendar::stamp;
use crate::cli::table::table;

/// Deeds that are shown; the last ones, as they are what led to the recording.
const SHOWN: usize = 60;

pub(super) fn text(flown: &Flown) -> String {
    let about = &flown.recording.about;
    let mut out = format!(
        "recorded   {} by cyte {}, {}: {}\nspan       {:.1} s\n",
        stamp(about.made_ms),
        about.cyte,
        about.organism,
        about.reason,
        flown.recording.span().0 as f64 / 1e9,
    );
    let _ = writeln!(out, "replayed   {}", verdict(&flown.verdict));
    for (class, rows) in flown.busy() {
        let (mean, simulated) = flown.means(class);
        let _ = write!(out, "\n{}: {mean:.1} cells on average", flown.gene(class));
        if let Some(simulated) = simulated {
            let _ = write!(out, ", {simulated:.1} in the simulator");
        }
        let _ = writeln!(out, "\n{}", grid(rows));
    }
    out.push_str(&deeds(flown));
    out
}

/// `3012 looks, 45 decisions: equal`, or the first difference.
fn verdict(verdict: &Verdict) -> String {
    let Verdict { looks, decisions, keyframes, difference } = verdict;
    match difference {
        None => format!("{looks} looks, {decisions} decisions, {keyframes} keyframes: equal"),
        Some(found) => format!("{looks} looks, {decisions} decisions, then it differs: {found}"),
    }
}

fn grid(rows: &[Row]) -> String {
    let heading = ["TIME", "LOAD", "CELLS", "MOST", "WAITING", "WANTED", "FELT", "BORN", "ENDED"];
    let cells = |row: &Row| {
        vec![
            format!("{:.1}s", row.from_s),
            format!("{:.0}/s", row.load),
            format!("{:.1}", row.cells),
            row.cells_most.to_string(),
            row.waiting_most.to_string(),
            format!("{:.1}", row.wanted),
            format!("{:+.2}", row.felt),
            row.born.to_string(),
            row.ended.to_string(),
        ]
    };
    table(&heading, &rows.iter().map(cells).collect::<Vec<_>>())
}

fn deeds(flown: &Flown) -> String {
    let surplus = flown.deeds.len().saturating_sub(SHOWN);
    let mut out = String::new();
    if flown.deeds_in_all > SHOWN {
        let _ =
            writeln!(out, "{} deeds, the last {SHOWN} of them (--output json has more):", flown.deeds_in_all);
    }
    for deed in flown.deeds.iter().skip(surplus) {
        let _ = writeln!(out, "{:>8.3}s  {}", deed.at_s, line(flown, deed));
    }
    out
}

fn line(flown: &Flown, deed: &Deed) -> String {
    let Deed { count, what, .. } = deed;
    match (&deed.cause, &deed.why) {
        (Some(cause), Some(why)) => format!("{}: {count} {what} by {cause}: {why}", flown.gene(deed.class)),
        _ => format!("pool: {count} {what}"),
    }
}
