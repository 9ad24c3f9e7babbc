//! What happened, in the words of the phenotype; and its records as JSON.

use cyte_dna::GeneName;
use cyte_organism::lineage::CellId;
use cyte_organism::phenotype::{Decided, Epoch, Event, HostId, NOTE_BYTES, Part, Record};
use serde_json::{Value, json};

use crate::event::{Happening, Heat};

/// Something that is to become a record of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) at_ms: u64,
    pub(super) gene: Option<GeneName>,
    pub(super) cell: Option<CellId>,
    pub(super) what: What,
}

/// What it is; what only the recorder knows is filled in when the record is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// An event as it is.
    Event(Event),
    /// So many cells died that are not told one by one: they count as failures, and the next census
    /// says who is left.
    Died(u64),
    /// This host is about to end.
    Farewell,
}

impl Told {
    /// `None` for what the tissues' own counters say better.
    pub(super) fn of(at_ms: u64, happening: &Happening) -> Option<Self> {
        let event = |gene: &str, event| Some(Self::about(at_ms, gene, None, What::Event(event)));
        let note = |gene: &str, text: String| event(gene, Event::Note { text: cut(text) });
        match happening {
            Happening::Started { version, pid } => {
                note("", format!("cyte {version} started as process {pid}"))
            }
            Happening::Security { germline, keys, threshold, .. } => {
                note("", format!("germline {germline}: {threshold} of {} keys", keys.len()))
            }
            Happening::Loader { name, does } => note("", format!("loader {name}: {does}")),
            Happening::Born { cell, role, mother } => {
                let of = mother.as_ref().map_or_else(String::new, |mother| format!(", daughter of {mother}"));
                note("", format!("{cell} was born, {role}{of}"))
            }
            Happening::Divided { mother, daughter, cause } => {
                note("", format!("{mother} divided into {daughter}: {cause}"))
            }
            Happening::Differentiated { cell, role, seat } => {
                note("", format!("{cell} became a {role}, the seat of {seat}"))
            }
            Happening::StemsRaised { mother, stems } => note("", format!("{mother} raised {stems} stems")),
            Happening::DnaAccepted { organism, dna_version, digest, .. } => {
                note("", format!("DNA of {organism}, version {dna_version}, is in force: {digest}"))
            }
            Happening::GeneReady { gene, took_ms, cached } => {
                let how = if *cached { "from the cache" } else { "compiled" };
                note(gene, format!("ready in {took_ms} ms, {how}"))
            }
            Happening::Listening { url } => note("", format!("listening on {url}")),
            Happening::Regulated { gene, born, ended, living, wanted_permille, felt_permille, .. } => {
                let numbers = vec![
                    ("living".to_owned(), i64::from(*living) * 1_000),
                    ("wanted".to_owned(), i64::try_from(*wanted_permille).unwrap_or(i64::MAX)),
                    ("felt".to_owned(), *felt_permille),
                ];
                event(gene, Event::Decision(Decided { births: *born, deaths: *ended, numbers }))
            }
            Happening::CellDied { gene, cell, cause, uses, .. } => {
                let dead = Event::Dead { cause: *cause, uses: *uses };
                Some(Self::about(at_ms, gene, Some(CellId(*cell)), What::Event(dead)))
            }
            Happening::Zombie { gene, cell, silent_ms, last } => {
                let text = format!("stuck for {silent_ms} ms: {last}");
                let told = Event::Note { text: cut(text) };
                Some(Self::about(at_ms, gene, Some(CellId(*cell)), What::Event(told)))
            }
            Happening::ZombieSpared { gene, cell, silent_ms } => {
                let told = Event::Note { text: format!("stuck for {silent_ms} ms and spared") };
                Some(Self::about(at_ms, gene, Some(CellId(*cell)), What::Event(told)))
            }
            Happening::PolicyFailed { gene, duty, why } => note(gene, format!("it failed at {duty}: {why}")),
            Happening::CellsBorn { .. } => None,
            Happening::CellsDied { gene, count } => Some(Self::about(at_ms, gene, None, What::Died(*count))),
            Happening::Warned { by, text } => note("", format!("{by}: {text}")),
            Happening::Operator { uid, verb, subject } => note("", format!("user {uid}: {verb} {subject}")),
            Happening::WishDropped { gene, field, asked, allowed } => {
                note(gene, format!("the wish is gone: {field} {asked}, the DNA allows {allowed}"))
            }
            Happening::LimitDropped { limit, asked, allowed } => {
                note("", format!("limit {limit}={asked} is gone, allowed: {allowed}"))
            }
            Happening::Wished { gene, count, origin, revision } => {
                note(gene, format!("{origin} wants {count}, revision {revision}"))
            }
            Happening::Expressed { gene, cells, revision } => {
                event(gene, Event::Expressed { revision: *revision, cells: *cells })
            }
            Happening::NotExpressed { gene, reason, again_ms, .. } => {
                event(gene, Event::Refused { reason: cut(reason.clone()), again_ms: *again_ms })
            }
            Happening::Incident { kind, gene, why, file } => note(gene, format!("{kind}: {why}; {file}")),
            Happening::Hot(heat) | Happening::Cooled(heat) => {
                event(heat.gene.as_deref().unwrap_or_default(), hot(heat))
            }
            Happening::HostCame { name, .. } => note("", format!("{name} is there")),
            Happening::HostGone { peer, life, .. } => {
                let host = u64::from_str_radix(peer, 16).ok()?;
                let event = Event::HostDown { host: HostId(host), epoch: Epoch(*life) };
                Some(Self::about(at_ms, "", None, What::Event(event)))
            }
            Happening::AnswersFor { gene, copies } => {
                note(gene, format!("this host answers for {copies} of it"))
            }
            Happening::HandedOn { gene, copies, reason } => {
                note(gene, format!("{copies} of it are handed on: {reason}"))
            }
            Happening::GrewForOthers { gene, cells } => {
                note(gene, format!("{cells} cells were made for other hosts"))
            }
            Happening::Draining { reason } => note("", format!("draining: {reason}")),
            Happening::Stopped => Some(Self::about(at_ms, "", None, What::Farewell)),
        }
    }

    fn about(at_ms: u64, gene: &str, cell: Option<CellId>, what: What) -> Self {
        Self { at_ms, gene: GeneName::new(gene).ok(), cell, what }
    }
}

/// The same in the phenotype's words: a number that is not above its mark is one that has cooled.
fn hot(heat: &Heat) -> Event {
    let part = match heat.part.as_str() {
        "cores" => Part::Utilisation,
        "run-delay" => Part::Cpu,
        "memory" => Part::Memory,
        "queue" => Part::Queue,
        signal => Part::Signal(signal.to_owned()),
    };
    Event::Hot { part, number: heat.number, mark: heat.mark }
}

/// At most as many bytes as a note may have, whole characters.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(NOTE_BYTES));
    text
}

/// A record as one flat object; `seq` is its number in the store that has it, `number` the one that
/// its host gave it in the life `epoch`.
#[must_use]
pub fn value(seq: u64, record: &Record) -> Value {
    let Record { host, epoch, number, at_ms, gene, cell, event } = record;
    let mut flat = json!({
        "v": 1, "seq": seq, "at_ms": at_ms, "host": host.to_string(), "epoch": epoch, "number": number,
    });
    let Some(object) = flat.as_object_mut() else { return flat };
    if let Some(gene) = gene {
        object.insert("gene".into(), gene.as_str().into());
    }
    if let Some(cell) = cell {
        object.insert("cell".into(), cell.0.into());
    }
    if let Event::HostDown { host, epoch } = event {
        // Its own fields would be taken for those of the host that says so.
        object.insert("event".into(), "host-down".into());
        object.insert("gone".into(), host.to_string().into());
        object.insert("gone_epoch".into(), epoch.0.into());
        return flat;
    }
    // One variant, one key: an enum of structs is written so.
    let named = serde_json::to_value(event).unwrap_or_default();
    for (name, fields) in named.as_object().into_iter().flatten() {
        object.insert("event".into(), name.as_str().into());
        object.extend(fields.as_object().cloned().unwrap_or_default());
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use cyte_organism::phenotype::Cause;

    #[test]
    fn a_death_names_its_cell_and_cause_and_a_birth_in_sums_is_left_to_the_counters() {
        let (cause, uses) = (Cause::Breach, 3);
        let died = Happening::CellDied { gene: "front".into(), cell: 7, cause, uses, reason: "x".into() };
        let told = Told::of(5, &died).unwrap();
        assert_eq!((told.gene.unwrap().as_str(), told.cell), ("front", Some(CellId(7))));
        assert_eq!(told.what, What::Event(Event::Dead { cause, uses }));
        assert_eq!(Told::of(5, &Happening::CellsBorn { gene: "front".into(), count: 2 }), None);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let told = Told::of(1, &Happening::Warned { by: "x".into(), text: "ä".repeat(400) }).unwrap();
        let What::Event(Event::Note { text }) = told.what else { panic!("{told:?}") };
        assert!(text.len() <= NOTE_BYTES && text.len() > NOTE_BYTES - 2 && text.ends_with('ä'));
    }

    #[test]
    fn a_record_is_one_flat_object() {
        let (host, epoch) = (HostId(10), Epoch(3));
        let mut record = Record {
            host,
            epoch,
            number: 2,
            at_ms: 9,
            gene: Some("front".parse().unwrap()),
            cell: Some(CellId(4)),
            event: Event::Dead { cause: Cause::Trap, uses: 1 },
        };
        let expected = json!({"v": 1, "seq": 8, "at_ms": 9, "host": "000000000000000a", "epoch": 3, "number": 2,
            "gene": "front", "cell": 4, "event": "dead", "cause": "trap", "uses": 1});
        assert_eq!(value(8, &record), expected);
        record.event = Event::HostDown { host: HostId(11), epoch: Epoch(1) };
        let down = value(9, &record);
        assert_eq!((&down["host"], &down["gone"]), (&"000000000000000a".into(), &"000000000000000b".into()));
        record.event = Event::Decision(Decided { births: 2, deaths: 0, numbers: Vec::new() });
        assert_eq!(
            (&value(9, &record)["event"], &value(9, &record)["births"]),
            (&"decision".into(), &2.into())
        );
    }
}
