//! Limits that an operator changes while the host serves: kept in the head with an audit, and handed to
//! the parts that obey them, in force before the call returns.
//!
//! The DNA and the machine are the bounds. What an operator sets overrides inside them and survives a
//! restart; what a new DNA no longer allows is dropped and told. Of the host's own limits the nearest
//! value that the machine allows holds, because a machine changes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cyte_dna::{GeneName, limits};
use cyte_engine::{Genome, Tissue};
use cyte_organism::Nanos;
use cyte_organism::knob::{Knob, Span};
use cyte_organism::wish::Count;
use cyte_store::{AuditEntry, Head, SetKnob, StoreError};
use serde_json::{Value, json};

use crate::codes::Code;
use crate::error::CliError;
use crate::event::Happening;
use crate::growth::Grown;
use crate::machine::{Machine, Plan};
use crate::wishes::Wishes;

/// What to do about a limit that was refused.
const HELP: &str = "cyte limits shows names, bounds and what is in force";

/// The threads that poll guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// Those that also serve connections; always in use.
    pub inline: u32,
    /// Guests polled at once where nobody says otherwise.
    pub default: u32,
    /// Threads in all.
    pub most: u32,
}

/// The limits of one host that can be changed while it serves.
pub struct Live {
    genome: Arc<Genome>,
    spans: BTreeMap<Knob, Span>,
    genes: Vec<Grown>,
    inline: u32,
    /// What operators set. Held by whoever writes.
    set: Mutex<BTreeMap<Knob, SetKnob>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("spans", &self.spans).finish_non_exhaustive()
    }
}

/// What was set once and is no longer allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    limit: String,
    asked: String,
    allowed: String,
}

impl Gone {
    /// This as an event.
    pub fn happening(self) -> Happening {
        let Self { limit, asked, allowed } = self;
        Happening::LimitDropped { limit, asked, allowed }
    }
}

/// One limit that somebody wants to turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// How many cells a gene may have; nothing = as the DNA says.
    Count(GeneName, Option<Count>),
    /// A number, by its name; nothing = as before anybody turned it.
    Knob(Knob, Option<u64>),
}

impl Turn {
    /// What `name=value` asks for, or unsetting `name` where there is no value.
    ///
    /// # Errors
    /// [`Code::Limit`], with the bounds where it is only the value.
    pub fn parse(name: &str, value: Option<&str>, live: &Live) -> Result<Self, CliError> {
        let shown = name.escape_debug();
        let what = if value.is_some() { "set" } else { "unset" };
        let refuse =
            |why: String| Err(CliError::new(Code::Limit, format!("cannot {what} `{shown}`"), why).help(HELP));
        if let Some(gene) = name.strip_suffix(".cells").and_then(|gene| GeneName::new(gene).ok()) {
            let count = value.map(str::parse::<Count>).transpose();
            return match count {
                Ok(count) if live.tissue(&gene).is_some() => Ok(Self::Count(gene, count)),
                Ok(_) => refuse(format!("the DNA in force has no gene `{gene}` that takes requests")),
                Err(error) => refuse(error.to_string()),
            };
        }
        let Some((knob, span)) = Knob::parse(name).and_then(|knob| live.spans.get_key_value(&knob)) else {
            return refuse(live.why_unknown(name));
        };
        let Some(text) = value else { return Ok(Self::Knob(knob.clone(), None)) };
        let measure = knob.measure();
        let value = match measure.parse(text) {
            Ok(value) => value,
            Err(why) => return refuse(format!("`{}` {why}", text.escape_debug())),
        };
        match span.judge(value) {
            Ok(value) => Ok(Self::Knob(knob.clone(), Some(value))),
            Err(_) => refuse(format!("{} is outside {}", measure.show(value), bounds(knob, span))),
        }
    }

    /// The count, if it is one.
    pub fn count(&self) -> Option<(&GeneName, Option<Count>)> {
        match self {
            Self::Count(gene, count) => Some((gene, *count)),
            Self::Knob(..) => None,
        }
    }

    /// The number, if it is one.
    pub fn knob(&self) -> Option<(Knob, Option<u64>)> {
        match self {
            Self::Count(..) => None,
            Self::Knob(knob, value) => Some((knob.clone(), *value)),
        }
    }
}

/// What an audit says of these.
#[must_use]
pub fn subject(turns: &[(Knob, Option<u64>)]) -> String {
    let shown = turns.iter().map(|(knob, value)| match value {
        Some(value) => format!("{knob}={}", knob.measure().show(*value)),
        None => format!("{knob} unset"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn bounds(knob: &Knob, span: &Span) -> String {
    let measure = knob.measure();
    let whose = match (knob.gene(), span.dna) {
        (None, _) => " of this machine",
        (Some(_), Some(_)) => " of its DNA",
        (Some(_), None) => "",
    };
    format!("the bounds{whose}, {} to {}", measure.show(span.least), measure.show(span.most))
}

impl Live {
    /// The limits of a host that was just grown, with what operators set before, in force; and what of
    /// that the DNA no longer allows.
    ///
    /// # Errors
    /// [`Code::State`] when it cannot be read or written.
    pub fn load(
        head: &Arc<Head>,
        genome: &Arc<Genome>,
        machine: &Machine,
        plan: Plan,
        polled: Polled,
        grown: &[Grown],
    ) -> Result<(Self, Vec<Gone>), CliError> {
        let genes: Vec<Grown> = grown.iter().filter(|grown| grown.tissue.is_some()).cloned().collect();
        let spans = spans(machine, plan, polled, &genes);
        let live =
            Self { genome: Arc::clone(genome), spans, genes, inline: polled.inline, set: Mutex::default() };
        let mut gone = Vec::new();
        let mut forgotten = Vec::new();
        for (name, set) in head.knobs().map_err(|error| store_error(&error))? {
            let knob = Knob::parse(&name);
            let place = knob.as_ref().and_then(|knob| live.spans.get_key_value(knob));
            match (place, &knob) {
                (Some((knob, span)), _) if knob.gene().is_none() || span.judge(set.value).is_ok() => {
                    live.lock().insert(knob.clone(), set);
                }
                (place, knob) => {
                    let asked = knob.as_ref().map_or(set.value.to_string(), |k| k.measure().show(set.value));
                    let allowed =
                        place.map_or("nothing of that name".to_owned(), |(knob, span)| bounds(knob, span));
                    gone.push(Gone { limit: name.clone(), asked, allowed });
                    forgotten.push((name, None));
                }
            }
        }
        if !forgotten.is_empty() {
            let subject = forgotten.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let at_s = crate::state::clock::wall_s();
            let audit = AuditEntry { at_s, uid: 0, verb: "limits.drop".into(), subject };
            head.set_knobs(&forgotten, &audit).map_err(|error| store_error(&error))?;
        }
        live.spans.keys().for_each(|knob| live.obey(knob));
        Ok((live, gone))
    }

    /// Turns these, in an operator's name.
    ///
    /// # Errors
    /// [`Code::State`] when they cannot be kept. Nothing has changed then.
    pub fn turn(
        &self,
        head: &Head,
        turns: &[(Knob, Option<u64>)],
        at_ms: u64,
        audit: &AuditEntry,
    ) -> Result<(), CliError> {
        let kept = |value: &u64| SetKnob { value: *value, at_ms, uid: audit.uid };
        let mut set = self.lock();
        let rows: Vec<_> =
            turns.iter().map(|(knob, value)| (knob.to_string(), value.as_ref().map(kept))).collect();
        head.set_knobs(&rows, audit).map_err(|error| store_error(&error))?;
        for (knob, value) in turns {
            match value {
                Some(value) => set.insert(knob.clone(), kept(value)),
                None => set.remove(knob),
            };
        }
        drop(set);
        turns.iter().for_each(|(knob, _)| self.obey(knob));
        Ok(())
    }

    /// What is in force.
    fn in_force(&self, knob: &Knob) -> u64 {
        let set = self.lock().get(knob).map(|set| set.value);
        self.spans.get(knob).map_or(0, |span| span.nearest(set.unwrap_or(span.default)))
    }

    /// Hands what is in force to whoever obeys it.
    fn obey(&self, knob: &Knob) {
        let count = |knob: &Knob| u32::try_from(self.in_force(knob)).unwrap_or(u32::MAX);
        let time = |knob: &Knob| Nanos::from_millis(self.in_force(knob));
        let tissue = knob.gene().and_then(|gene| self.tissue(gene));
        match (knob, tissue) {
            (Knob::HostCells, _) => self.genome.set_cells_max(count(knob)),
            (Knob::HostMemory, _) => self.genome.set_memory_max(self.in_force(knob)),
            (Knob::PolledCalls, _) => self.genome.set_slow_at_once(count(knob).saturating_sub(self.inline)),
            (Knob::Wait(gene) | Knob::Waiters(gene), Some(tissue)) => {
                tissue.set_patience(time(&Knob::Wait(gene.clone())), count(&Knob::Waiters(gene.clone())));
            }
            (Knob::Background(gene) | Knob::BackgroundWait(gene), Some(tissue)) => {
                let (held, hold) = (Knob::Background(gene.clone()), Knob::BackgroundWait(gene.clone()));
                tissue.set_background(count(&held), time(&hold));
            }
            (_, None) => {}
        }
    }

    /// Makes the wishes in force the bounds of all tissues, inside what the host may hold.
    pub fn follow(&self, wishes: &Wishes) {
        self.genes.iter().for_each(|gene| gene.follow(wishes));
    }

    /// The tissue of this gene, where it has one.
    pub fn tissue(&self, gene: &GeneName) -> Option<&Arc<Tissue>> {
        self.genes.iter().find(|grown| grown.gene.name == *gene)?.tissue.as_ref()
    }

    fn why_unknown(&self, name: &str) -> String {
        if let Some(limit) = limits::find(name) {
            return format!(
                "it is no limit that changes while a host serves (changed by: {})",
                limit.changed_by
            );
        }
        match Knob::parse(name).as_ref().and_then(Knob::gene) {
            // All others a gene has.
            Some(gene) if self.tissue(gene).is_some() => {
                format!("the DNA in force names no `background` routes of gene `{gene}`")
            }
            Some(gene) => format!("the DNA in force has no gene `{gene}` that takes requests"),
            None => "there is no limit of that name: cells-per-host, memory-of-all-cells, polled-calls, \
                  GENE.cells, GENE.wait, GENE.waiters, GENE.background, GENE.background-wait"
                .to_owned(),
        }
    }

    /// All of it as JSON: defaults, the DNA's and operators' values, what is in force and by whom.
    #[must_use]
    pub fn value(&self, wishes: &Wishes) -> Value {
        let set = self.lock().clone();
        let numbers = self.spans.iter().map(|(knob, span)| {
            let (measure, kept) = (knob.measure(), set.get(knob));
            let shown = |number: u64| measure.show(number);
            json!({
                "name": knob.to_string(),
                "default": shown(span.default),
                "dna": span.dna.map(shown),
                "operator": kept.map(|kept| shown(kept.value)),
                "in_force": shown(self.in_force(knob)),
                "value": self.in_force(knob),
                "unit": measure,
                "least": shown(span.least),
                "most": shown(span.most),
                "by": if kept.is_some() { "operator" } else if span.dna.is_some() { "dna" } else { "default" },
                "uid": kept.map(|kept| kept.uid),
                "at_ms": kept.map(|kept| kept.at_ms),
            })
        });
        numbers.chain(self.genes.iter().filter_map(|gene| cells_value(gene, wishes))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Knob, SetKnob>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many cells a gene may have, in the form of the numbers.
fn cells_value(grown: &Grown, wishes: &Wishes) -> Option<Value> {
    let wish = wishes.get(grown.gene.name.as_str()).ok()?;
    let by_operator = wish.get("origin").is_some_and(|origin| origin == "operator");
    let (least, most) = wishes.range(&grown.gene.name);
    let dna = wish.get("allowed").and_then(|allowed| allowed.get("count"));
    Some(json!({
        "name": format!("{}.cells", grown.gene.name),
        "default": "0..",
        "dna": dna,
        "operator": if by_operator { wish.get("count") } else { None },
        "in_force": match most {
            Some(most) => format!("{least}..{most}"),
            None => format!("{least}.."),
        },
        "unit": "count",
        "least": dna,
        "most": dna,
        "by": wish.get("origin"),
        "at_ms": wish.get("at_ms"),
    }))
}

fn spans(machine: &Machine, plan: Plan, polled: Polled, genes: &[Grown]) -> BTreeMap<Knob, Span> {
    // Below that not even one cell of each gene could live.
    let one = genes.iter().map(|gene| gene.gene.limits.memory_or_default()).max().unwrap_or(0);
    let memory = Span {
        least: one.min(plan.memory_max),
        most: machine.memory_bytes,
        default: plan.memory_max,
        dna: None,
    };
    let (cells, least) = (plan.cells_max.into(), u64::from(polled.inline) + 1);
    let mut spans = BTreeMap::from([
        (Knob::HostCells, Span { least: 1, most: cells, default: cells, dna: None }),
        (Knob::HostMemory, memory),
        (
            Knob::PolledCalls,
            Span { least, most: polled.most.into(), default: polled.default.into(), dna: None },
        ),
    ]);
    for Grown { gene, .. } in genes {
        spans.insert(Knob::Wait(gene.name.clone()), Span::of_wait(gene));
        spans.insert(Knob::Waiters(gene.name.clone()), Span::of_waiters(gene));
        if !gene.background.is_empty() {
            spans.insert(Knob::Background(gene.name.clone()), Span::of_background(gene));
            spans.insert(Knob::BackgroundWait(gene.name.clone()), Span::of_background_wait(gene));
        }
    }
    spans
}

fn store_error(error: &StoreError) -> CliError {
    CliError::new(Code::State, "cannot keep or read what operators set", error.to_string())
}
