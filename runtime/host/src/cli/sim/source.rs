//! A scenario file, read with positions, so that a fault shows its line as in `dna.toml`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use cyte_dna::{HormonePolicy, PoolPolicy, SourceError};
use cyte_organism::constants::ClassSpec;
use cyte_organism::sim::{Blow, BlowKind, ClassPlan, Controller, HostPlan, Load, Scenario};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::files;
use crate::codes::Code;
use crate::error::CliError;

/// What a file asks for.
#[derive(Debug)]
pub(super) struct File {
    pub(super) scenario: Scenario,
    pub(super) controllers: Vec<Controller>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<String>,
    seconds: f64,
    #[serde(default)]
    controllers: Vec<Controller>,
    #[serde(default)]
    host: toml::Table,
    #[serde(default)]
    hormones: toml::Table,
    #[serde(default)]
    pool: toml::Table,
    class: BTreeMap<String, RawClass>,
    #[serde(default)]
    blow: Vec<RawBlow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    load: Load,
    slots: Option<u32>,
    min: Option<u32>,
    max: Option<u32>,
    wait_target_ms: Option<u32>,
    weight: Option<u32>,
    core: Option<bool>,
    service_ms: Option<f64>,
    service_cv: Option<f64>,
    cpu_ms: Option<f64>,
    patience_ms: Option<f64>,
    sheds: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlow {
    at: f64,
    class: String,
    crash: Option<f64>,
    liars: Option<u32>,
}

/// Reads and checks the scenario at `path`.
///
/// # Errors
/// [`Code::Missing`] for a file that cannot be read, [`Code::Scenario`] for a fault in it, with
/// its line.
pub(super) fn read(path: &Path) -> Result<File, CliError> {
    let text = files::text(path).map_err(|error| match path.exists() {
        true => error,
        false => error.help("scenarios to start from are in examples/scenarios"),
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    parse(&name, &text).map_err(|fault| faulty(path, &text, &fault))
}

fn parse(name: &str, text: &str) -> Result<File, SourceError> {
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(text.len()..text.len());
        SourceError::new(span, one_line(error.message()), "examples/scenarios shows every key")
    })?;
    let host: HostPlan = over(&HostPlan::default(), raw.host, text)?;
    let hormones: HormonePolicy = over(&HormonePolicy::default(), raw.hormones, text)?;
    let pool: PoolPolicy = over(&PoolPolicy::default(), raw.pool, text)?;
    let names: Vec<&String> = raw.class.keys().collect();
    let blows = raw.blow.iter().map(|raw| blow(raw, &names, text)).collect::<Result<_, _>>()?;
    let scenario = Scenario {
        name: raw.name.unwrap_or_else(|| name.to_owned()),
        seconds: raw.seconds,
        host,
        hormones,
        pool,
        blows,
        classes: raw.class.iter().map(|(name, raw)| class(name, raw)).collect(),
    };
    scenario.check().map_err(|error| {
        let message = error.to_string();
        let span = find(text, &message);
        let help = if span.is_empty() {
            "it is left out, and the default does not fit the rest: state it"
        } else {
            "stay within the range, or leave it out"
        };
        SourceError::new(span, message, help)
    })?;
    let controllers = if raw.controllers.is_empty() { vec![Controller::Hybrid] } else { raw.controllers };
    Ok(File { scenario, controllers })
}

fn class(name: &str, raw: &RawClass) -> ClassPlan {
    let usual = ClassPlan::default();
    ClassPlan {
        name: name.to_owned(),
        spec: ClassSpec {
            slots: raw.slots.unwrap_or(usual.spec.slots),
            min: raw.min.unwrap_or(usual.spec.min),
            max: raw.max.unwrap_or(usual.spec.max),
            wait_target_ms: raw.wait_target_ms.unwrap_or(usual.spec.wait_target_ms),
            weight: raw.weight.unwrap_or(usual.spec.weight),
            core: raw.core.unwrap_or(usual.spec.core),
        },
        load: raw.load.clone(),
        service_ms: raw.service_ms.unwrap_or(usual.service_ms),
        service_cv: raw.service_cv.unwrap_or(usual.service_cv),
        cpu_ms: raw.cpu_ms.unwrap_or(usual.cpu_ms),
        patience_ms: raw.patience_ms.unwrap_or(usual.patience_ms),
        sheds: raw.sheds.unwrap_or(usual.sheds),
    }
}

fn blow(raw: &RawBlow, classes: &[&String], text: &str) -> Result<Blow, SourceError> {
    let Some(class) = classes.iter().position(|class| **class == raw.class) else {
        let message = format!("a blow strikes class `{}`, which is not there", raw.class);
        return Err(SourceError::new(find(text, "[[blow]]"), message, "name one of the classes"));
    };
    let kind = match (raw.crash, raw.liars) {
        (Some(share), None) => BlowKind::Crash(share),
        (None, Some(count)) => BlowKind::Liars(count),
        _ => {
            let message = "a blow is either `crash` or `liars`";
            return Err(SourceError::new(find(text, "[[blow]]"), message, "write crash = 0.5 or liars = 1"));
        }
    };
    Ok(Blow { at: raw.at, class, kind })
}

/// `usual` with the keys that the file states; a key that `usual` does not have is a fault.
fn over<T: serde::Serialize + DeserializeOwned>(
    usual: &T,
    stated: toml::Table,
    text: &str,
) -> Result<T, SourceError> {
    let fault = |message: String| SourceError::new(0..0, message, "examples/scenarios shows every key");
    let mut all = toml::Table::try_from(usual).map_err(|error| fault(error.to_string()))?;
    let known: Vec<String> = all.keys().cloned().collect();
    for (key, value) in stated {
        if !known.contains(&key) {
            let help = format!("one of {}", known.join(", "));
            return Err(SourceError::new(find(text, &key), format!("`{key}` is not known here"), help));
        }
        // A whole number where a fraction may stand is meant as one.
        let value = match (all.get(&key), value) {
            (Some(toml::Value::Float(_)), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
            (_, value) => value,
        };
        if all.get(&key).is_some_and(|usual| !usual.same_type(&value)) {
            let message = format!("`{key}` is not of the right type");
            return Err(SourceError::new(find(text, &key), message, "write a number"));
        }
        all.insert(key, value);
    }
    all.try_into().map_err(|error: toml::de::Error| fault(one_line(error.message())))
}

/// The line that a message is about: the last word of its name, as a key at the start of a line or
/// of an inline table. The start of the file where there is none.
fn find(text: &str, message: &str) -> Range<usize> {
    let name = message.split(" =").next().unwrap_or_default();
    let key = name.rsplit([' ', '.']).next().unwrap_or_default();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(key)).filter(|_| !key.is_empty()) {
        let (start, end) = (from + at, from + at + key.len());
        let is_word =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let bytes = text.as_bytes();
        let before = start.checked_sub(1).and_then(|at| bytes.get(at).copied());
        // A key or a table's head, not the same word in a comment.
        let is_set = text.get(end..).is_some_and(|rest| rest.trim_start_matches(' ').starts_with('='));
        let is_key = is_set || key.ends_with(']');
        if !is_word(before) && is_key {
            return start..end;
        }
        from = end;
    }
    0..0
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

fn faulty(path: &Path, text: &str, fault: &SourceError) -> CliError {
    let name = path.display().to_string();
    let why = fault.render(&name, text);
    // The rendered fault begins with its own "error: " and ends with its own help.
    let why = why.strip_prefix("error: ").unwrap_or(&why);
    let (why, _) = why.rsplit_once("\nhelp: ").unwrap_or((why, ""));
    CliError::new(Code::Scenario, format!("cannot use `{name}`"), why).help(fault.help.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "seconds = 2\n[class.web]\nload = { kind = \"constant\", rate = 100 }\nmax = 5\n[hormones]\ntick_ms = 10\n";

    #[test]
    fn what_is_left_out_is_usual() {
        let file = parse("small", SMALL).unwrap();
        assert_eq!((file.scenario.name.as_str(), file.scenario.hormones.tick_ms), ("small", 10));
        assert_eq!(file.scenario.hormones.reflex_gap_ms, HormonePolicy::default().reflex_gap_ms);
        assert_eq!((file.scenario.classes[0].spec.max, file.scenario.classes[0].spec.slots), (5, 8));
        assert_eq!(file.controllers, [Controller::Hybrid]);
    }

    #[test]
    fn every_fault_shows_its_line_and_a_remedy() {
        let cases = [
            (SMALL.replace("tick_ms = 10", "tick_ms = 4"), "6 | tick_ms = 4"),
            (SMALL.replace("tick_ms = 10", "tack_ms = 10"), "6 | tack_ms = 10"),
            (SMALL.replace("tick_ms = 10", "tick_ms = \"x\""), "6 | tick_ms"),
            (SMALL.replace("max = 5", "max = 2"), "min"),
            (SMALL.replace("rate = 100", "rate = -1"), "3 | load"),
            (SMALL.replace("rate = 100", "rote = 100"), "3 | load"),
            (SMALL.replace("seconds = 2", "seconds = nan"), "1 | seconds"),
            (SMALL.replace("seconds = 2", "controllers = [\"kpb\"]\nseconds = 2"), "1 | controllers"),
            (format!("{SMALL}[[blow]]\nat = 1\nclass = \"api\"\ncrash = 0.5\n"), "7 | [[blow]]"),
            (format!("{SMALL}[[blow]]\nat = 1\nclass = \"web\"\n"), "`crash` or `liars`"),
            ("seconds =".to_owned(), "1 | seconds"),
        ];
        for (text, part) in cases {
            let fault = parse("x", &text).unwrap_err();
            let error = faulty(Path::new("x.toml"), &text, &fault);
            let rendered = error.render(false);
            assert!(rendered.contains(part), "{part} is not in:\n{rendered}");
            assert!(error.help.is_some() && error.code == Code::Scenario);
        }
    }

    #[test]
    fn the_examples_are_scenarios() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scenarios");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                read(&path).unwrap_or_else(|error| panic!("{}", error.render(false)));
                seen += 1;
            }
        }
        assert!(seen >= 10, "{seen}");
    }
}
