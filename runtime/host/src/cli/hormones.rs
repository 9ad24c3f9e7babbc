//! `cyte hormones` and `cyte hormone release`: what the cells of a host feel, and a word of one's own.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::table::{field, number, table};
use super::{Context, Done, Exit, Which, ask};
use crate::codes::Code;
use crate::error::CliError;
use crate::hormones::Hormone;

/// How often levels are looked at while one follows them.
const EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// Show what the cells of a running host feel: demand, population, growth
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte hormones\n  cyte hormones -f\n  cyte hormones --output json")]
pub(super) struct Hormones {
    /// Go on, twice a second, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    which: Which,
}

/// Release a hormone to the cells of a running host
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  cyte hormone release growth 0.5"
)]
pub(super) struct HormoneVerb {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Release(Release),
}

/// Release one, heard once by every cell of the gene, or of all genes
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte hormone release growth 0.5\n  cyte hormone release anti-growth.front 1"
)]
struct Release {
    /// Which: growth, anti-growth, growth.GENE or anti-growth.GENE
    #[arg(value_name = "KIND")]
    kind: String,
    /// How strong, from 0 to 1: with 1, growth asks for as many cells again
    #[arg(value_name = "STRENGTH")]
    strength: f64,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Hormones, context: &Context) -> Done {
    let client = ask::host(&verb.which, context)?;
    loop {
        let answer = client.get("/v1/hormones")?;
        if !verb.follow {
            context.answer(&answer, "classes", text)?;
            return Ok(Exit::OK);
        }
        if context.is_json() {
            context.line(&answer)?
        } else {
            context.print(&text(&answer))?
        }
        std::thread::sleep(EVERY);
    }
}

pub(super) fn release(verb: &HormoneVerb, context: &Context) -> Done {
    let What::Release(Release { kind, strength, which }) = &verb.what;
    let usage = |why: String| CliError::new(Code::Usage, "cannot release a hormone", why);
    let hormone = kind.parse::<Hormone>();
    let hormone =
        hormone.map_err(|error| usage(error.to_string()).help("cyte hormone release growth 0.5"))?;
    if !(0.0..=1.0).contains(strength) {
        return Err(usage(format!("the strength is {strength}, and must be from 0 to 1"))
            .help(format!("cyte hormone release {hormone} 0.5")));
    }
    let asked = json!({"hormone": hormone.to_string(), "strength": strength});
    let body = asked.to_string().into_bytes().into();
    let answer = ask::host(which, context)?.call(Method::POST, "/v1/hormones", body)?;
    context.answer(&answer, "hormone", |answer| {
        format!("released   {} {}\n", field(answer, "hormone"), field(answer, "strength"))
    })?;
    Ok(Exit::OK)
}

fn text(answer: &Value) -> String {
    let level = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64).unwrap_or_default();
    let host = answer.get("host").cloned().unwrap_or_default();
    let full = host.get("is_suppressed").and_then(Value::as_bool).unwrap_or_default();
    let mut out = format!(
        "stems {} of {}, room for {} more, cores {} % busy, run delay {} ms{}\n",
        number(&host, "stems"),
        number(&host, "stems_goal"),
        number(&host, "room"),
        number(&host, "busy_permille") / 10,
        number(&host, "run_delay_us") / 1_000,
        if full { ": full, growth is held back" } else { "" },
    );
    if let Some(neuron) = answer.get("neuron") {
        let trouble =
            neuron.get("trouble").and_then(Value::as_str).map_or(String::new(), |why| format!(", {why}"));
        out.push_str(&format!(
            "neuron {} may {}: {} looks, {} failed, the last took {} us{trouble}\n",
            field(neuron, "gene"),
            field(neuron, "mandate"),
            field(neuron, "looks"),
            field(neuron, "failures"),
            field(neuron, "last_look_us"),
        ));
    }
    let head = ["GENE", "CELLS", "MAKING", "ENDING", "WAITING", "RATE", "WANTED", "FELT", "LATELY", "GROWTH"];
    let row = |class: &Value| {
        vec![
            field(class, "gene"),
            number(class, "ready").to_string(),
            number(class, "pending").to_string(),
            number(class, "draining").to_string(),
            number(class, "queued").to_string(),
            format!("{:.0}/s", level(class, "rate")),
            format!("{:.1}", level(class, "wanted")),
            format!("{:+.2}", level(class, "felt_fast")),
            format!("{:+.2}", level(class, "felt_slow")),
            format!("{:.1}", level(class, "growth")),
        ]
    };
    let classes = answer.get("classes").and_then(Value::as_array).cloned().unwrap_or_default();
    out.push_str(&table(&head, &classes.iter().map(row).collect::<Vec<_>>()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_a_line_and_a_table() {
        let answer = json!({
            "host": {"stems": 12, "stems_goal": 16, "room": 900, "busy_permille": 431, "run_delay_us": 2_400,
                     "is_suppressed": true},
            "classes": [{"gene": "front", "ready": 3, "pending": 1, "draining": 0, "queued": 2, "rate": 99.6,
                         "wanted": 4.25, "felt_fast": 0.31, "felt_slow": -0.1, "growth": 1.25}],
        });
        let text = text(&answer);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some(
                "stems 12 of 16, room for 900 more, cores 43 % busy, run delay 2 ms: full, growth is held back"
            )
        );
        assert!(lines.next().unwrap().starts_with("GENE   CELLS  MAKING"));
        let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(row, ["front", "3", "1", "0", "2", "100/s", "4.2", "+0.31", "-0.10", "1.2"]);
    }
}
