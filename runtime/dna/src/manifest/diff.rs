//! What differs between two manifests, in words, for `cyte dna diff`.

use std::fmt;

use serde::Serialize;

use super::Manifest;
use crate::limits::{human_bytes, human_ms};
use crate::{FileGrant, FileSource, Gene, GeneLimits, Mandate};

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only in the new manifest.
    Added,
    /// Only in the old one.
    Removed,
    /// In both, with another value.
    Changed,
}

/// One difference. Display: `~ gene front: cpu: 500 ms -> 1 s`, `+ ...`, `- ...`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Added, removed or changed.
    pub kind: ChangeKind,
    /// What it is about: `organism`, `gene front`.
    pub subject: String,
    /// Which property; empty where the subject as a whole came or went.
    pub property: &'static str,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.subject)?;
        if !self.property.is_empty() {
            write!(f, ": {}", self.property)?;
        }
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, ": {old} -> {new}"),
            (Some(value), None) | (None, Some(value)) => write!(f, ": {value}"),
            (None, None) => Ok(()),
        }
    }
}

impl Manifest {
    /// What differs from `old` to `new`: the organism first, then genes by name.
    #[must_use]
    pub fn diff(old: &Manifest, new: &Manifest) -> Vec<Change> {
        let mut diff = Diff { subject: "organism".into(), changes: Vec::new() };
        diff.organism(old, new);
        diff.genes(old, new);
        diff.changes
    }
}

struct Diff {
    subject: String,
    changes: Vec<Change>,
}

impl Diff {
    fn push(&mut self, kind: ChangeKind, property: &'static str, old: Option<String>, new: Option<String>) {
        self.changes.push(Change { kind, subject: self.subject.clone(), property, old, new });
    }

    /// One value, shown by `Display`.
    fn value<T: PartialEq + fmt::Display>(&mut self, property: &'static str, old: &T, new: &T) {
        if old != new {
            self.push(ChangeKind::Changed, property, Some(old.to_string()), Some(new.to_string()));
        }
    }

    /// One value that may be missing.
    fn optional<T: PartialEq + fmt::Display>(
        &mut self,
        property: &'static str,
        old: &Option<T>,
        new: &Option<T>,
    ) {
        let show = |value: &Option<T>| value.as_ref().map_or("default".to_string(), T::to_string);
        if old != new {
            self.push(ChangeKind::Changed, property, Some(show(old)), Some(show(new)));
        }
    }

    /// A sorted list: what came and what went.
    fn list(&mut self, property: &'static str, old: Vec<String>, new: Vec<String>) {
        for gone in old.iter().filter(|item| !new.contains(item)) {
            self.push(ChangeKind::Removed, property, Some(gone.clone()), None);
        }
        for added in new.into_iter().filter(|item| !old.contains(item)) {
            self.push(ChangeKind::Added, property, None, Some(added));
        }
    }

    fn organism(&mut self, old: &Manifest, new: &Manifest) {
        self.value("name", &old.organism, &new.organism);
        self.value("version", &old.version, &new.version);
        self.value("label", &old.label, &new.label);
        self.value("not before", &old.not_before, &new.not_before);
        self.optional("expires", &old.expires, &new.expires);
        self.value("floor", &old.floor, &new.floor);
        self.value("germline", &old.germline.digest(), &new.germline.digest());
        self.value("threshold", &old.germline.threshold(), &new.germline.threshold());
        self.list("key", texts(old.germline.keys()), texts(new.germline.keys()));
        self.list("revoked key", texts(&old.revoked.keys), texts(&new.revoked.keys));
        self.list("revoked gene", texts(&old.revoked.genes), texts(&new.revoked.genes));
        let hosts =
            |m: &Manifest| m.roster.iter().map(|host| format!("{} {}", host.name, host.key)).collect();
        self.list("host", hosts(old), hosts(new));
        if old.policy != new.policy {
            self.push(ChangeKind::Changed, "policy", None, None);
        }
    }

    fn genes(&mut self, old: &Manifest, new: &Manifest) {
        let mut names: Vec<_> = old.genes.iter().chain(&new.genes).map(|gene| &gene.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            self.subject = format!("gene {name}");
            match (old.gene(name.as_str()), new.gene(name.as_str())) {
                (Some(old), Some(new)) => self.gene(old, new),
                (Some(_), None) => self.push(ChangeKind::Removed, "", None, None),
                (None, _) => self.push(ChangeKind::Added, "", None, None),
            }
        }
    }

    fn gene(&mut self, old: &Gene, new: &Gene) {
        self.value("version", &old.version, &new.version);
        let labels = |gene: &Gene| gene.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.list("label", labels(old), labels(new));
        self.value("role", &old.role, &new.role);
        let word = |gene: &Gene| gene.neuron.map_or("none", Mandate::as_str);
        self.value("neuron", &word(old), &word(new));
        self.list("policy", texts(&old.policy), texts(&new.policy));
        self.value("weight", &old.weight, &new.weight);
        self.value("component", &old.component.sha256, &new.component.sha256);
        self.list("route", texts(&old.routes), texts(&new.routes));
        self.list("background", texts(&old.background), texts(&new.background));
        self.optional("reuse", &old.reuse, &new.reuse);
        self.value("concurrency", &old.concurrency, &new.concurrency);
        self.value("express.min", &old.express.min, &new.express.min);
        self.optional("express.max", &old.express.max, &new.express.max);
        self.value("express.scope", &old.express.scope, &new.express.scope);
        self.value("express.every-host", &old.express.every_host, &new.express.every_host);
        let (before, after) = (&old.limits, &new.limits);
        self.optional("limits.memory", &before.memory.map(human_bytes), &after.memory.map(human_bytes));
        self.optional("limits.cpu", &before.cpu_ms.map(human_ms), &after.cpu_ms.map(human_ms));
        self.optional("limits.wall", &before.wall_ms.map(human_ms), &after.wall_ms.map(human_ms));
        self.optional("limits.body", &before.body.map(human_bytes), &after.body.map(human_bytes));
        self.optional("limits.wait", &before.wait_ms.map(human_ms), &after.wait_ms.map(human_ms));
        self.optional("limits.waiters", &before.waiters, &after.waiters);
        self.optional("limits.background", &before.background, &after.background);
        let held = |limits: &GeneLimits| limits.background_wait_ms.map(human_ms);
        self.optional("limits.background-wait", &held(before), &held(after));
        self.optional("limits.pong", &before.pong_ms.map(human_ms), &after.pong_ms.map(human_ms));
        self.optional("limits.idle", &before.idle_ms.map(human_ms), &after.idle_ms.map(human_ms));
        self.optional("limits.tables", &before.tables, &after.tables);
        self.optional("limits.handles", &before.handles, &after.handles);
        self.optional(
            "limits.host-call",
            &before.host_call.map(human_bytes),
            &after.host_call.map(human_bytes),
        );
        self.optional("limits.headers", &before.headers.map(human_bytes), &after.headers.map(human_bytes));
        self.optional("limits.random", &before.random.map(human_bytes), &after.random.map(human_bytes));
        self.optional("limits.outbound", &before.outbound, &after.outbound);
        self.optional("limits.files", &before.files.map(human_bytes), &after.files.map(human_bytes));
        self.optional("limits.file-count", &before.file_count, &after.file_count);
        self.grants(old, new);
    }

    fn grants(&mut self, old: &Gene, new: &Gene) {
        let (old, new) = (&old.grants, &new.grants);
        self.list("outbound", texts(&old.outbound), texts(&new.outbound));
        let files = |grants: &[FileGrant]| grants.iter().map(show_file).collect();
        self.list("files", files(&old.files), files(&new.files));
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(|(key, value)| format!("{key} = {value:?}")).collect()
        };
        self.list("config", pairs(&old.config), pairs(&new.config));
        self.list("environment", pairs(&old.environment), pairs(&new.environment));
        self.list("secret", old.secrets.clone(), new.secrets.clone());
        self.list("may", texts(&old.may), texts(&new.may));
        self.optional("signal", &old.signal, &new.signal);
    }
}

fn texts<T: fmt::Display>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn show_file(grant: &FileGrant) -> String {
    let access = if grant.write { "read-write" } else { "read-only" };
    match &grant.source {
        FileSource::Packed(blob) => format!("{} {access}, packed {}", grant.to, blob.sha256.short()),
        FileSource::Local(name) => format!("{} {access}, host folder {name:?}", grant.to),
    }
}
