//! What the control API shows of a running host: snapshots as JSON, and the few writes it allows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cyte_dna::{Digest, Gene, GeneName, Manifest, limits};
use cyte_engine::{CellSnapshot, Clock, Genome, Neuron};
use cyte_gateway::Gateway;
use cyte_organism::expressor::Switch;
use cyte_organism::lineage::Niche;
use cyte_organism::phenotype::HostId;
use cyte_store::{AuditEntry, Change};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::codes::Code;
use crate::colony::Commons;
use crate::control::{
    CellView, Felt, HormoneView, HostView, HostsView, LimitView, Ordered, Recorded, Released, WishView,
};
use crate::counts::{self, Counts};
use crate::egg::{Carried, Egg, MESSENGER, MOTHER};
use crate::error::CliError;
use crate::event::{EventLog, Happening};
use crate::flight::Flight;
use crate::governor::{Ear, Event, Levels, Order, Outlook, Voice};
use crate::growth::Grown;
use crate::hormones::Hormone;
use crate::live::{self, Live, Turn};
use crate::log::GuestLog;
use crate::machine::{Machine, Plan};
use crate::outbound::Client;
use crate::policies::Policies;
use crate::record::Recorder;
use crate::state::secrets::Secrets;
use crate::state::{StateFolder, clock};
use crate::voice;
use crate::wishes::{self, WishFile, Wishes};

/// Everything that can be seen of a host.
pub struct View {
    pub(crate) state: StateFolder,
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
    pub(crate) machine: Machine,
    pub(crate) plan: Plan,
    pub(crate) genome: Arc<Genome>,
    pub(crate) grown: Vec<Grown>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) logs: Arc<GuestLog>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) client: Arc<Client>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) egg: Arc<Egg>,
    pub(crate) live: Arc<Live>,
    pub(crate) switch: Switch,
    pub(crate) outlook: Arc<Outlook>,
    pub(crate) levels: Arc<Levels>,
    pub(crate) neuron: Option<Arc<Neuron>>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) flight: Arc<Flight>,
    pub(crate) ear: Ear,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) started_ms: u64,
    pub(crate) commons: Arc<Commons>,
    pub(crate) village: Option<Arc<dyn HostsView>>,
}

/// Where a host listens and what lives there, on one line; `event` and `url` come first, for those
/// who read with no more than a pattern.
#[derive(Debug, Clone, Serialize)]
pub struct Listening {
    v: u32,
    event: &'static str,
    url: String,
    pid: u32,
    organism: String,
    version: u64,
    digest: Digest,
    state: PathBuf,
    genes: Vec<Value>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("state", &self.state.path()).finish_non_exhaustive()
    }
}

impl View {
    /// What `cyte run --output json` says first.
    pub fn listening(&self) -> Listening {
        Listening {
            v: 1,
            event: "listening",
            url: format!("http://{}", self.address),
            pid: std::process::id(),
            organism: self.manifest.organism.to_string(),
            version: self.manifest.version,
            digest: self.digest,
            state: self.state.path().to_owned(),
            genes: self.grown.iter().map(gene_facts).collect(),
        }
    }

    /// The host, as records name it.
    pub fn id(&self) -> HostId {
        self.state.host_key().id().into()
    }

    /// What the colony lets this host know.
    pub fn commons(&self) -> &Arc<Commons> {
        &self.commons
    }

    fn cells(&self) -> impl Iterator<Item = CellSnapshot> {
        self.grown.iter().filter_map(|grown| grown.tissue.as_ref()).flat_map(|tissue| tissue.snapshot().cells)
    }

    /// The core cells, the third out of `cells`.
    fn core(&self, cells: &[CellSnapshot]) -> Vec<Value> {
        let front = self.gateway.snapshot();
        let (connections, requests) = (front.accepted, front.requests);
        let carried = Carried { connections, requests, refused: front.refusals.values().sum() };
        let mind = self.neuron.as_ref().map(|neuron| neuron.snapshot().gene);
        self.egg.cells(self.clock.now(), carried, mind.as_deref(), self.egg.drone(cells))
    }

    /// Everything that is counted when a limit is hit.
    fn counts(&self) -> Counts {
        let mut all = counts::engine(&self.genome.usage());
        all.append(&mut counts::tissues(self.grown.iter().filter_map(|grown| grown.tissue.as_deref())));
        all.append(&mut counts::front(&self.gateway.snapshot()));
        all.append(&mut counts::outbound(&self.client.counts()));
        all.append(&mut counts::logs(
            self.logs.dropped().0,
            self.logs.cut(),
            voice::dropped(),
            self.flight.dropped(),
        ));
        all
    }

    /// A cell with its name and the DNA that it carries: what the host had verified when it made it.
    fn cell_value(&self, cell: &CellSnapshot) -> Value {
        let mut value = json!(cell);
        if let Some(object) = value.as_object_mut() {
            object.insert("cell".into(), cell_name(cell).into());
            object.insert("digest".into(), self.digest.to_string().into());
        }
        value
    }

    /// Writes into `values`, of the same cells, who was adopted by whom.
    fn note_adoptions(&self, cells: &[CellSnapshot], values: &mut [Value]) {
        for grown in &self.grown {
            let gene = grown.gene.name.as_str();
            let adopted = self.levels.adopted(gene);
            if adopted.is_empty() {
                continue;
            }
            let of_gene = || cells.iter().filter(|cell| cell.gene == gene);
            let holders: BTreeMap<u64, u64> = of_gene().map(|cell| (cell.niche, cell.id)).collect();
            for (cell, value) in cells.iter().zip(values.iter_mut()).filter(|(cell, _)| cell.gene == gene) {
                let at = adopted.binary_search_by_key(&Niche(cell.niche), |(niche, _)| *niche);
                let mother = at.ok().and_then(|at| adopted.get(at)).and_then(|(_, by)| holders.get(&by.0));
                if let (Some(mother), Some(object)) = (mother, value.as_object_mut()) {
                    object.insert("adopted_by".into(), (*mother).into());
                }
            }
        }
    }

    /// Why there are as many cells of a gene as there are.
    fn reasons(&self, grown: &Grown) -> Result<Value, CliError> {
        let name = &grown.gene.name;
        let wish = self.wishes.get(name.as_str())?;
        let missing = self.outlook.missing();
        let missing = missing.iter().find(|missing| missing.gene == *name).map(|missing| {
            let again = missing.again.map(|again| again.since(self.clock.now()).as_millis());
            json!({
                "cells": missing.cells,
                "kind": missing.reason,
                "reason": missing.reason.to_string(),
                "again_ms": again,
            })
        });
        let (least, most) = self.wishes.range(name);
        let given_up = self.commons.given_up();
        let given_up = given_up.iter().filter(|given| given.piece.gene == *name).map(|given| {
            let again_ms = given.until.since(self.clock.now()).as_millis();
            json!({"copy": given.piece.copy, "reason": given.reason, "again_ms": again_ms})
        });
        Ok(json!({
            "gene": name.as_str(),
            "role": grown.gene.role.as_str(),
            "policy": self.policies.snapshot(name),
            "wanted": wish.get("count"),
            "by": wish.get("origin"),
            "revision": wish.get("revision"),
            "least": least,
            "most": most,
            "cells": grown.tissue.as_ref().map(|tissue| tissue.staying()),
            "missing": missing,
            "given_up": given_up.collect::<Vec<_>>(),
            "decisions": self.levels.decisions(name.as_str(), self.clock.now()),
        }))
    }

    /// What is wanted changed: tissues follow, the governor looks, and it is told.
    fn wished(&self, audit: AuditEntry, changes: Vec<Change>) -> Value {
        let AuditEntry { uid, verb, subject, .. } = audit;
        if !changes.is_empty() {
            self.ear.tell(Event::Operator { uid, verb, subject });
        }
        for change in &changes {
            let in_force = self.wishes.in_force();
            let Some(wish) = in_force.get(&change.gene) else { continue };
            self.events.record(Happening::Wished {
                gene: change.gene.to_string(),
                count: wish.count.to_string(),
                origin: in_force.origin(&change.gene).to_string(),
                revision: change.revision,
            });
            let grown = self.grown.iter().find(|grown| grown.gene.name == change.gene);
            grown.into_iter().for_each(|grown| grown.follow(&self.wishes));
        }
        if !changes.is_empty() {
            self.ear.tell(Event::Wished);
        }
        json!({"v": 1, "revision": self.wishes.in_force().revision, "changes": changes})
    }

    fn audit(&self, uid: u32, verb: &str, subject: &str) -> AuditEntry {
        let (told, asked) = (verb.to_owned(), subject.to_owned());
        self.ear.tell(Event::Operator { uid, verb: told, subject: asked });
        entry(uid, verb, subject)
    }
}

impl HostView for View {
    fn status(&self) -> Value {
        let (log_bytes, log_lines) = self.logs.dropped();
        json!({
            "v": 1,
            "pid": std::process::id(),
            "cyte": env!("CARGO_PKG_VERSION"),
            "state": self.state.path(),
            "host": self.id().to_string(),
            "organism": self.manifest.organism.as_str(),
            "label": self.manifest.label,
            "version": self.manifest.version,
            "digest": self.digest.to_string(),
            "germline": self.manifest.germline.digest().to_string(),
            "listening": [format!("http://{}", self.address)],
            "up_ms": self.clock.now().as_millis(),
            "usage": self.genome.usage(),
            "gateway": self.gateway.snapshot(),
            "dropped": {"events": self.events.dropped(), "log_bytes": log_bytes, "log_lines": log_lines},
            "phenotype": self.recorder.condition(),
        })
    }

    fn ps(&self) -> Value {
        let genes: Vec<Value> = self.grown.iter().map(gene_now).collect();
        let all: Vec<CellSnapshot> = self.cells().collect();
        let mut cells: Vec<Value> = all.iter().map(|cell| self.cell_value(cell)).collect();
        self.note_adoptions(&all, &mut cells);
        json!({
            "v": 1,
            "organism": self.manifest.organism.as_str(),
            "version": self.manifest.version,
            "digest": self.digest.to_string(),
            "genes": genes,
            "core": self.core(&all),
            "cells": cells,
        })
    }

    fn cell(&self, id: &str) -> Option<Value> {
        let all: Vec<CellSnapshot> = self.cells().collect();
        let cell = all.iter().find(|cell| cell_name(cell) == id).map(|cell| self.cell_value(cell));
        let core =
            || self.core(&all).into_iter().find(|cell| cell.get("cell").is_some_and(|name| name == id));
        let mut value = cell.or_else(core)?;
        value.as_object_mut()?.insert("v".into(), 1.into());
        Some(value)
    }

    fn gene(&self, name: &str) -> Option<Value> {
        let grown = self.grown.iter().find(|grown| grown.gene.name.as_str() == name)?;
        let mut value = gene_now(grown);
        let object = value.as_object_mut()?;
        object.insert("v".into(), 1.into());
        object.insert("dna".into(), json!(grown.gene));
        object.insert("component".into(), json!(grown.pre.inspection()));
        object.insert("asks".into(), json!(grown.pre.inspection().asks(&grown.gene.grants)));
        if let Some(policy) = self.policies.snapshot(&grown.gene.name) {
            object.insert("calls".into(), json!(policy));
        }
        if let Some(tissue) = &grown.tissue {
            object.insert("limits".into(), json!(tissue.limits()));
            object.insert("tissue".into(), json!(tissue.snapshot()));
        }
        Some(value)
    }

    fn limits(&self) -> Value {
        json!({
            "v": 1,
            "limits": limits_value(&self.counts()),
            "live": self.live.value(&self.wishes),
            "machine": self.machine,
            "plan": self.plan,
            "usage": self.genome.usage(),
            "front": self.gateway.snapshot(),
        })
    }

    fn events(&self) -> &Arc<EventLog> {
        &self.events
    }

    fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    fn village(&self) -> Option<Arc<dyn HostsView>> {
        self.village.clone()
    }

    fn logs(&self) -> &Arc<GuestLog> {
        &self.logs
    }

    fn record(&self) -> Result<Recorded, CliError> {
        let (answer, recorded) = oneshot::channel();
        if !self.ear.tell(Event::Record { answer }) {
            return Err(CliError::new(Code::Control, "cannot record", "too much waits for the governor")
                .help("ask again: cyte record"));
        }
        Ok(recorded)
    }

    fn secrets(&self) -> Vec<String> {
        self.secrets.names()
    }

    fn set_secret(&self, uid: u32, name: &str, value: Vec<u8>) -> Result<(), CliError> {
        let audit = self.audit(uid, "secret.set", name);
        self.secrets.set(self.state.head(), name, value, &audit)
    }

    fn remove_secret(&self, uid: u32, name: &str) -> Result<bool, CliError> {
        let audit = self.audit(uid, "secret.rm", name);
        self.secrets.remove(self.state.head(), name, &audit)
    }
}

impl HormoneView for View {
    fn hormones(&self) -> Value {
        let mut levels = self.levels.value(self.clock.now());
        if let (Some(neuron), Some(object)) = (&self.neuron, levels.as_object_mut()) {
            object.insert("neuron".into(), json!(neuron.snapshot()));
        }
        levels
    }

    fn felt(&self, cell: &str) -> Result<Felt, CliError> {
        let unknown = || {
            CliError::new(Code::Unknown, format!("cannot say what cell `{cell}` felt"), "there is none")
                .help("cyte ps shows all cells")
        };
        let snapshot = self.cells().find(|found| cell_name(found) == cell).ok_or_else(unknown)?;
        let gene = snapshot.gene.parse().map_err(|_| unknown())?;
        let (answer, felt) = oneshot::channel();
        if !self.ear.tell(Event::Ask { gene, niche: Niche(snapshot.niche), answer }) {
            return Err(CliError::new(Code::Control, "cannot ask the governor", "too much waits for it"));
        }
        Ok(felt)
    }

    fn release(&self, uid: u32, hormone: &Hormone, strength: f64) -> Result<Released, CliError> {
        if let Some(gene) = &hormone.gene {
            // As for every question about a gene that is not there.
            self.wishes.get(gene.as_str())?;
        }
        let audit = entry(uid, "hormone.release", &format!("{hormone} {strength}"));
        let (answer, told) = oneshot::channel();
        let event = Event::Release {
            gene: hormone.gene.clone(),
            strength: hormone.signed(strength),
            answer: Some(answer),
        };
        self.bid("cannot release a hormone", audit, event)?;
        Ok(told)
    }
}

impl CellView for View {
    fn divide(&self, uid: u32, name: &str) -> Result<Ordered, CliError> {
        let (gene, mother) = self.place_of("divide", name)?;
        self.order(uid, "divide", name, gene, Order::Divide { mother })
    }

    fn kill(&self, uid: u32, name: &str, at_once: bool) -> Result<Ordered, CliError> {
        let (gene, cell) = self.place_of("kill", name)?;
        let Some(cell) = cell else {
            let why = "it names a gene, and a cell ends alone";
            return Err(CliError::new(Code::Unknown, format!("cannot kill `{name}`"), why).help("cyte ps"));
        };
        self.order(uid, "kill", name, gene, Order::End { cell, at_once })
    }
}

impl View {
    /// Whom a name means: a gene that has cells, and one of them where it is said.
    fn place_of(&self, verb: &str, name: &str) -> Result<(GeneName, Option<u64>), CliError> {
        let unknown = || {
            let why = "this host has no cell or gene of that name";
            CliError::new(Code::Unknown, format!("cannot {verb} `{name}`"), why).help("cyte ps")
        };
        let (gene, cell) = match name.split_once('#') {
            Some((gene, cell)) => (gene, Some(cell.parse().map_err(|_| unknown())?)),
            None => (name, None),
        };
        let mut grown = self.grown.iter().filter(|grown| grown.tissue.is_some());
        let Some(grown) = grown.find(|grown| grown.gene.name.as_str() == gene) else {
            return Err(if matches!(name, MOTHER | MESSENGER) { core_stays(verb, name) } else { unknown() });
        };
        Ok((grown.gene.name.clone(), cell))
    }

    fn order(
        &self,
        uid: u32,
        verb: &str,
        name: &str,
        gene: GeneName,
        order: Order,
    ) -> Result<Ordered, CliError> {
        let audit = entry(uid, &format!("cell.{verb}"), name);
        let (answer, ordered) = oneshot::channel();
        let event = Event::Order { gene, order, voice: Voice::Operator, answer };
        self.bid(&format!("cannot {verb} `{name}`"), audit, event)?;
        Ok(ordered)
    }

    /// Tells the governor what an operator bids, once the audit of it is kept.
    fn bid(&self, what: &str, audit: AuditEntry, event: Event) -> Result<(), CliError> {
        let kept = self.state.head().audit(&audit);
        kept.map_err(|error| CliError::new(Code::State, what, error.to_string()))?;
        let AuditEntry { uid, verb, subject, .. } = audit;
        if !self.ear.tell(Event::Operator { uid, verb, subject }) || !self.ear.tell(event) {
            return Err(CliError::new(Code::Control, what, "too much waits for the governor"));
        }
        Ok(())
    }
}

impl WishView for View {
    fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    fn plan(&self, name: &str, text: &str) -> Result<Value, CliError> {
        let staying = |gene: &GeneName| self.live.tissue(gene).map(|tissue| tissue.staying());
        self.wishes.plan(&WishFile::parse(name, text)?, staying)
    }

    fn apply(&self, uid: u32, name: &str, text: &str) -> Result<Value, CliError> {
        let file = WishFile::parse(name, text)?;
        let audit = entry(uid, "wish.apply", &wishes::subject(file.wishes()));
        let changes = self.wishes.apply(&file, clock::wall_ms(), &audit)?;
        Ok(self.wished(audit, changes))
    }

    fn why(&self, gene: Option<&str>) -> Result<Value, CliError> {
        let mut genes = Vec::new();
        for grown in
            self.grown.iter().filter(|grown| gene.is_none_or(|gene| grown.gene.name.as_str() == gene))
        {
            genes.push(self.reasons(grown)?);
        }
        match (gene, genes.is_empty()) {
            // As for every question about a gene that is not there.
            (Some(gene), true) => self.wishes.get(gene).map(|_| Value::Null),
            _ => Ok(json!({"v": 1, "expression": self.switch == Switch::On, "genes": genes})),
        }
    }

    fn delete_wish(&self, uid: u32, gene: &str) -> Result<Value, CliError> {
        let subject: String = gene.chars().take(limits::NAME_MAX_BYTES).collect();
        let audit = entry(uid, "wish.delete", &subject);
        let changes = self.wishes.delete(gene, clock::wall_ms(), &audit)?;
        Ok(self.wished(audit, changes))
    }
}

impl LimitView for View {
    fn turn_limits(&self, uid: u32, turns: &[(String, Option<String>)]) -> Result<Value, CliError> {
        let turns = turns
            .iter()
            .map(|(name, value)| Turn::parse(name, value.as_deref(), &self.live))
            .collect::<Result<Vec<_>, _>>()?;
        let now = clock::wall_ms();
        let counts = self.wishes.plan_counts(turns.iter().filter_map(Turn::count))?;
        // Whatever can be refused was; what is left can only fail at the disk.
        if !counts.is_empty() {
            let audit = entry(uid, "wish.apply", &wishes::subject(counts.iter()));
            let changes = self.wishes.set_counts(&counts, now, &audit)?;
            self.wished(audit, changes);
        }
        let knobs: Vec<_> = turns.iter().filter_map(Turn::knob).collect();
        if !knobs.is_empty() {
            let audit = entry(uid, "limits.set", &live::subject(&knobs));
            self.live.turn(self.state.head(), &knobs, now, &audit)?;
            self.live.follow(&self.wishes);
            let AuditEntry { uid, verb, subject, .. } = audit;
            self.ear.tell(Event::Operator { uid, verb, subject });
            self.ear.tell(Event::Wished);
        }
        Ok(json!({"v": 1, "live": self.live.value(&self.wishes)}))
    }
}

/// A note of who asked for what, now.
fn entry(uid: u32, verb: &str, subject: &str) -> AuditEntry {
    AuditEntry { at_s: clock::wall_s(), uid, verb: verb.to_owned(), subject: subject.to_owned() }
}

/// What never changes about a gene while it lives here.
fn gene_facts(grown: &Grown) -> Value {
    let Gene { name, version, labels, role, neuron, policy, weight, routes, component, .. } = &grown.gene;
    let labels: serde_json::Map<_, _> = labels.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    json!({
        "gene": name.as_str(),
        "version": if version.is_empty() { Value::Null } else { version.as_str().into() },
        "labels": labels,
        "role": role.as_str(),
        "neuron": neuron,
        "policy": policy,
        "weight": weight,
        "world": grown.pre.inspection().shape.world(),
        "size": component.length,
        "routes": routes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "reuse": grown.pre.reuse(),
        "took_ms": u64::try_from(grown.took.as_millis()).unwrap_or(u64::MAX),
        "cached": grown.pre.was_cached(),
    })
}

/// A gene with what its tissue does now.
fn gene_now(grown: &Grown) -> Value {
    let mut value = gene_facts(grown);
    if let (Some(tissue), Some(object)) = (&grown.tissue, value.as_object_mut()) {
        let now = tissue.snapshot();
        object.insert("ready".into(), now.ready.into());
        object.insert("busy".into(), now.busy.into());
        object.insert("waiting".into(), now.waiting.into());
        object.insert("offered".into(), now.counts.offered.into());
        object.insert("shed".into(), now.counts.shed.into());
        object.insert("background".into(), json!(now.background));
        object.insert("signal".into(), json!(tissue.signal()));
        object.insert("born".into(), now.born.into());
        object.insert("p50_us".into(), now.p50_us.into());
        object.insert("p99_us".into(), now.p99_us.into());
    }
    value
}

fn core_stays(verb: &str, name: &str) -> CliError {
    let why = "it is a core cell, which lives and dies with its host";
    CliError::new(Code::Bounds, format!("cannot {verb} `{name}`"), why).help("cyte ps shows all cells")
}

fn cell_name(cell: &CellSnapshot) -> String {
    format!("{}#{}", cell.gene, cell.id)
}

/// The table of limits as JSON.
///
/// Rows whose counter is among `counts` say how often they were hit; without a running host there
/// is none.
pub fn limits_value(counts: &Counts) -> Value {
    let row = |limit: &limits::Limit| {
        json!({
            "name": limit.name,
            "default": limit.to_string(),
            "value": match limit.default {
                limits::Amount::Number(number) => Value::from(number),
                limits::Amount::Rule(_) => Value::Null,
            },
            "unit": limit.unit.to_string(),
            "changed_by": limit.changed_by,
            "counter": limit.counter,
            "count": limit.counter.and_then(|name| counts.get(name)),
            "reason": limit.reason,
        })
    };
    limits::TABLE.iter().map(row).collect()
}
