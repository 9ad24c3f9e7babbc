//! A timeline as a picture: load, population, hormone and late requests, one above the other.
//!
//! Plain SVG text, readable on white and on its own: titled panels with labelled axes, one line
//! of a colour for each controller, a legend. Every coordinate has two decimals, so that the
//! same outcome makes the same bytes.

use std::fmt::Write as _;

use super::figures::{ClassOutcome, Outcome, Point};

const WIDTH: f64 = 960.0;
const PANEL: f64 = 170.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const GAP: f64 = 46.0;

/// Colours that stay apart for most who cannot tell red from green.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#000000"];

/// One line of a panel.
struct Line<'a> {
    name: String,
    colour: &'a str,
    is_dashed: bool,
    points: Vec<(f64, f64)>,
}

/// One panel.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    lines: Vec<Line<'a>>,
}

/// Draws class number `class` of several outcomes of one scenario. Nothing to draw is an empty
/// picture with its title.
pub fn draw(outcomes: &[Outcome], class: usize) -> String {
    let known: Vec<(String, &ClassOutcome)> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.controller.to_string(), outcome.classes.get(class)?)))
        .collect();
    let title = match (outcomes.first(), known.first()) {
        (Some(outcome), Some((_, class))) => {
            format!("{}: {}, seed {}", outcome.scenario, class.class, outcome.seed)
        }
        _ => "nothing was simulated".to_owned(),
    };
    draw_lines(&title, &known)
}

/// Draws one class as several saw it, each under its name; the load and the need are the first's.
pub fn draw_lines(title: &str, known: &[(String, &ClassOutcome)]) -> String {
    let panels = panels(known);
    let end =
        known.iter().filter_map(|(_, class)| class.points.last()).map(|point| point.at).fold(1.0, f64::max);
    // The last point falls a few nanoseconds short of the end.
    let end = libm::ceil(end - 1e-3);
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>",
        escape(title)
    );
    legend(&mut svg, known);
    for (at, panel) in panels.iter().enumerate() {
        draw_panel(&mut svg, panel, TOP + at as f64 * (PANEL + GAP), end, at + 1 == panels.len());
    }
    svg.push_str("</svg>\n");
    svg
}

fn panels<'a>(known: &[(String, &ClassOutcome)]) -> Vec<Panel<'a>> {
    let line = |name: &str, at: usize, value: &dyn Fn(&Point) -> Option<f64>, class: &ClassOutcome| Line {
        name: name.to_owned(),
        colour: colour(at),
        is_dashed: false,
        points: class.points.iter().filter_map(|point| Some((point.at, value(point)?))).collect(),
    };
    let all = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<Line<'a>> {
        known.iter().enumerate().map(|(at, (name, class))| line(name, at, value, class)).collect()
    };
    let mut load = Vec::new();
    let mut population = all(&|point| Some(f64::from(point.cells)));
    if let Some((_, class)) = known.first() {
        load.push(Line { colour: "#444444", ..line("load", 0, &|point| Some(point.load), class) });
        let need = line("need", 0, &|point| Some(point.need), class);
        population.push(Line { colour: "#444444", is_dashed: true, ..need });
    }
    let mut hormone = all(&|point| point.hormone);
    hormone.retain(|line| !line.points.is_empty());
    vec![
        Panel { title: "Load", unit: "requests/s", lines: load },
        Panel { title: "Population (dashed: need)", unit: "cells", lines: population },
        Panel { title: "Hormone felt (above 0: grow)", unit: "mean F", lines: hormone },
        Panel { title: "Late requests", unit: "requests/s", lines: all(&|point| Some(point.late)) },
    ]
}

fn colour(at: usize) -> &'static str {
    COLOURS.get(at % COLOURS.len()).copied().unwrap_or("#000000")
}

fn legend(svg: &mut String, known: &[(String, &ClassOutcome)]) {
    let mut x = LEFT;
    for (at, (name, _)) in known.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.2}\" y=\"36\" width=\"18\" height=\"4\" fill=\"{}\"/><text x=\"{:.2}\" y=\"43\">{}</text>",
            colour(at),
            x + 24.0,
            escape(name)
        );
        x += 44.0 + 7.5 * name.chars().count() as f64;
    }
}

fn draw_panel(svg: &mut String, panel: &Panel<'_>, top: f64, end: f64, is_last: bool) {
    let values = || panel.lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let least = values().fold(0.0, f64::min);
    let (step, most) = scale(values().fold(0.0, f64::max), least);
    let bottom = libm::floor(least / step) * step;
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| top + PANEL - (value - bottom) / (most - bottom) * PANEL;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.2}\" font-weight=\"bold\">{}</text>",
        top - 8.0,
        escape(panel.title)
    );
    let _ = writeln!(
        svg,
        "<text x=\"16\" y=\"{:.2}\" transform=\"rotate(-90 16 {:.2})\" text-anchor=\"middle\">{}</text>",
        top + PANEL / 2.0,
        top + PANEL / 2.0,
        escape(panel.unit)
    );
    let rows = libm::round((most - bottom) / step) as u32;
    for row in 0..=rows {
        let value = bottom + f64::from(row) * step;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{0:.2}\" x2=\"{1}\" y2=\"{0:.2}\" stroke=\"#dddddd\"/><text x=\"{2}\" y=\"{3:.2}\" text-anchor=\"end\">{4}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.0,
            number(value)
        );
    }
    let (every, _) = scale(end, 0.0);
    let mut at = 0.0;
    while at <= end {
        let label = if is_last { format!("{} s", number(at)) } else { number(at) };
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.2}\" y1=\"{1:.2}\" x2=\"{0:.2}\" y2=\"{2:.2}\" stroke=\"#888888\"/><text x=\"{0:.2}\" y=\"{3:.2}\" text-anchor=\"middle\">{label}</text>",
            x(at),
            top + PANEL,
            top + PANEL + 5.0,
            top + PANEL + 18.0
        );
        at += every;
    }
    for line in &panel.lines {
        let mut path = String::new();
        for (t, value) in &line.points {
            let _ = write!(path, "{:.2},{:.2} ", x(*t), y(*value));
        }
        let dash = if line.is_dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"{dash}><title>{}</title></polyline>",
            path.trim_end(),
            line.colour,
            escape(&line.name)
        );
    }
}

/// A round step for an axis that reaches `most`, and where the axis ends.
fn scale(most: f64, least: f64) -> (f64, f64) {
    let span = (most - least).max(1e-3);
    let power = libm::pow(10.0, libm::floor(libm::log10(span / 4.0)));
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| span / step <= 5.0);
    let step = step.unwrap_or(10.0 * power);
    (step, (libm::ceil(most / step) * step).max(step))
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Controller, run};

    #[test]
    fn a_picture_has_its_panels_axes_and_legend() {
        let scenario = crate::sim::Scenario {
            name: "a <small> one".to_owned(),
            seconds: 5.0,
            ..crate::sim::Scenario::default()
        };
        let outcomes = [Controller::Hybrid, Controller::Kpa].map(|who| run(&scenario, who, 1).unwrap());
        let svg = draw(&outcomes, 0);
        for part in
            ["a &lt;small&gt; one", ">hybrid<", ">kpa<", ">Load<", "requests/s", "cells", "mean F", "5 s"]
        {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<polyline").count(), 1 + 3 + 1 + 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(draw(&[], 0).contains("nothing was simulated"));
    }

    #[test]
    fn axes_have_round_steps() {
        assert_eq!(scale(4_000.0, 0.0), (1_000.0, 4_000.0));
        assert_eq!(scale(37.0, 0.0), (10.0, 40.0));
        assert_eq!(scale(0.0, 0.0).1, scale(0.0, 0.0).0);
        assert_eq!((number(0.2), number(1_000.0), number(-0.0)), ("0.2".into(), "1000".into(), "0".into()));
    }
}
