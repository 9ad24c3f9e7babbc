//! The rules that a manifest keeps by itself, without knowing what a host has or what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Manifest, Revoked, RosterEntry};
use crate::folder::check_path;
use crate::limits as l;
use crate::{Blob, DnaError, Duty, Expression, FileGrant, FileSource, Gene, GeneName, Grants, Role, Route};

/// A rule that a manifest breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More of something than its cap.
    #[error("{}{what}: {found} is more than the {cap} that are allowed", Of(.gene))]
    TooMany {
        /// Of what.
        what: &'static str,
        /// In which gene.
        gene: Option<GeneName>,
        /// How many.
        found: u64,
        /// The cap.
        cap: u64,
    },
    /// A number outside its range.
    #[error("{}{what}: {found} is not from {min} to {max}", Of(.gene))]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// In which gene.
        gene: Option<GeneName>,
        /// The number.
        found: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A list that is not in ascending order or holds something twice.
    #[error("{}{what}: not in ascending order, or one is there twice", Of(.gene))]
    Order {
        /// Which list.
        what: &'static str,
        /// In which gene.
        gene: Option<GeneName>,
    },
    /// Two genes of one name.
    #[error("there are two genes of the name `{name}`")]
    DuplicateGene {
        /// The name.
        name: GeneName,
    },
    /// Two genes on the same route.
    #[error("genes `{first}` and `{second}` both have the route `{route}`")]
    RouteConflict {
        /// The route.
        route: Route,
        /// The gene that comes first by name.
        first: GeneName,
        /// The other one.
        second: GeneName,
    },
    /// Anything else.
    #[error("{}{what}: {reason}", Of(.gene))]
    Invalid {
        /// Where.
        what: &'static str,
        /// In which gene.
        gene: Option<GeneName>,
        /// Why, as a clause.
        reason: &'static str,
    },
}

impl ManifestError {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ManifestError::TooMany { .. } => "manifest-too-many",
            ManifestError::OutOfRange { .. } => "manifest-out-of-range",
            ManifestError::Order { .. } => "manifest-order",
            ManifestError::DuplicateGene { .. } => "manifest-duplicate-gene",
            ManifestError::RouteConflict { .. } => "manifest-route-conflict",
            ManifestError::Invalid { .. } => "manifest-invalid",
        }
    }
}

/// `gene `x`, ` in front of a message, where it is about one.
struct Of<'a>(&'a Option<GeneName>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(gene) => write!(f, "gene `{gene}`, "),
            None => Ok(()),
        }
    }
}

type Checked = Result<(), ManifestError>;

impl Manifest {
    /// Every rule of a manifest: caps, ranges, order, duplicates, routes, its germline.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), DnaError> {
        self.check_head()?;
        self.policy.check()?;
        check_roster(&self.roster)?;
        self.check_revoked()?;
        self.check_genes()?;
        self.check_routes()?;
        self.check_blobs()?;
        Ok(())
    }

    fn check_head(&self) -> Checked {
        let whole = Scope { gene: None };
        whole.range("version", self.version, 1, u64::MAX)?;
        whole.range("floor", self.floor, 0, self.version)?;
        whole.label("label", &self.label)?;
        if self.germline.organism() != &self.organism {
            return whole.invalid("germline", "it is the germline of another organism");
        }
        if self.expires.is_some_and(|expires| expires <= self.not_before) {
            return whole.invalid("expires", "it is not later than not_before");
        }
        Ok(())
    }

    fn check_revoked(&self) -> Checked {
        let Revoked { keys, genes } = &self.revoked;
        let whole = Scope { gene: None };
        whole.cap("revoked keys", keys.len(), l::REVOCATIONS)?;
        whole.cap("revoked genes", genes.len(), l::REVOCATIONS)?;
        whole.ascending("revoked keys", keys.iter())?;
        whole.ascending("revoked genes", genes.iter())?;
        if self.germline.count(self.germline.keys(), keys) < self.germline.threshold() {
            return whole.invalid("revoked keys", "they leave fewer keys of the germline than its threshold");
        }
        Ok(())
    }

    fn check_genes(&self) -> Checked {
        let whole = Scope { gene: None };
        whole.cap("genes", self.genes.len(), l::GENES)?;
        for pair in self.genes.windows(2) {
            let [first, second] = pair else { continue };
            if first.name == second.name {
                return Err(ManifestError::DuplicateGene { name: first.name.clone() });
            }
        }
        whole.ascending("genes", self.genes.iter().map(|gene| &gene.name))?;
        // Two would write the same registers in turn.
        whole.cap(
            "neurons",
            self.genes.iter().filter(|gene| gene.role == Role::Neuron).count(),
            l::NEURONS,
        )?;
        let mut duties: BTreeSet<Duty> = BTreeSet::new();
        if !self.genes.iter().flat_map(|gene| &gene.policy).all(|duty| duties.insert(*duty)) {
            return whole.invalid("policy", "two genes do the same");
        }
        self.genes.iter().try_for_each(|gene| check_gene(gene, &self.revoked))
    }

    fn check_routes(&self) -> Checked {
        let total = self.genes.iter().map(|gene| gene.routes.len()).sum();
        Scope { gene: None }.cap("routes", total, l::ROUTES)?;
        let mut owners: BTreeMap<&Route, &GeneName> = BTreeMap::new();
        for gene in &self.genes {
            for route in &gene.routes {
                if let Some(first) = owners.insert(route, &gene.name) {
                    let (first, second) = (first.clone(), gene.name.clone());
                    return Err(ManifestError::RouteConflict { route: route.clone(), first, second });
                }
            }
        }
        self.check_background()
    }

    /// What is background work of a gene would be its own without that.
    fn check_background(&self) -> Checked {
        let claims = || self.genes.iter().flat_map(|gene| gene.routes.iter().map(move |route| (route, gene)));
        for gene in &self.genes {
            let scope = Scope { gene: Some(&gene.name) };
            scope.cap("background", gene.background.len(), l::ROUTES_PER_GENE)?;
            scope.ascending("background", gene.background.iter())?;
            let is_own =
                |part: &Route| part.owner(claims()).is_some_and(|owner: &Gene| owner.name == gene.name);
            if !gene.background.iter().all(is_own) {
                return scope.invalid("background", "it is no part of the gene's own routes");
            }
        }
        Ok(())
    }

    fn check_blobs(&self) -> Checked {
        let whole = Scope { gene: None };
        let blobs = self.blobs();
        let same = |pair: &[Blob]| matches!(pair, [a, b] if a.sha256 == b.sha256);
        if blobs.windows(2).any(same) {
            return whole.invalid("blobs", "one digest is there with two lengths");
        }
        // Each is at most 64 MiB here, so that the sum cannot overflow.
        let total = blobs.iter().map(|blob| blob.length).sum();
        whole.range("bytes of all blobs", total, 0, l::BUNDLE_BYTES)
    }
}

fn check_roster(roster: &[RosterEntry]) -> Checked {
    let whole = Scope { gene: None };
    whole.cap("hosts in the roster", roster.len(), l::ROSTER_HOSTS)?;
    whole.ascending("hosts in the roster", roster.iter().map(|entry| &entry.key))?;
    let mut names: Vec<_> = roster.iter().map(|entry| &entry.name).collect();
    names.sort_unstable();
    whole.ascending("names of hosts in the roster", names.into_iter())
}

fn check_gene(gene: &Gene, revoked: &Revoked) -> Checked {
    let scope = Scope { gene: Some(&gene.name) };
    scope.label("version", &gene.version)?;
    scope.labels(&gene.labels)?;
    scope.cap("routes", gene.routes.len(), l::ROUTES_PER_GENE)?;
    scope.ascending("routes", gene.routes.iter())?;
    if gene.role != Role::Drone && !gene.routes.is_empty() {
        return scope.invalid("routes", "only a drone has them");
    }
    scope.neuron(gene)?;
    scope.policy(gene)?;
    gene.blobs().try_for_each(|blob| scope.range("bytes of a blob", blob.length, 1, l::BLOB_BYTES))?;
    if revoked.genes.binary_search(&gene.component.sha256).is_ok() {
        return scope.invalid("component", "this manifest revokes it");
    }
    scope.numbers(gene)?;
    scope.grants(gene)
}

/// Where a rule is checked: in a gene or in the manifest as a whole.
struct Scope<'a> {
    gene: Option<&'a GeneName>,
}

impl Scope<'_> {
    fn gene(&self) -> Option<GeneName> {
        self.gene.cloned()
    }

    fn cap(&self, what: &'static str, found: usize, cap: usize) -> Checked {
        if found <= cap {
            return Ok(());
        }
        Err(ManifestError::TooMany { what, gene: self.gene(), found: found as u64, cap: cap as u64 })
    }

    fn range(&self, what: &'static str, found: u64, min: u64, max: u64) -> Checked {
        if (min..=max).contains(&found) {
            return Ok(());
        }
        Err(ManifestError::OutOfRange { what, gene: self.gene(), found, min, max })
    }

    fn ascending<T: Ord>(&self, what: &'static str, items: impl Iterator<Item = T>) -> Checked {
        if items.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        Err(ManifestError::Order { what, gene: self.gene() })
    }

    fn invalid(&self, what: &'static str, reason: &'static str) -> Checked {
        Err(ManifestError::Invalid { what, gene: self.gene(), reason })
    }

    fn label(&self, what: &'static str, text: &str) -> Checked {
        self.cap(what, text.len(), l::LABEL_MAX_BYTES)?;
        if text.chars().any(char::is_control) {
            return self.invalid(what, "it holds a control character");
        }
        Ok(())
    }

    fn labels(&self, labels: &[(String, String)]) -> Checked {
        self.cap("labels", labels.len(), l::LABELS_PER_GENE)?;
        self.ascending("labels", labels.iter().map(|(key, _)| key))?;
        for (key, value) in labels {
            if GeneName::new(key).is_err() {
                return self.invalid("labels", "a key must be 1 to 63 of a-z, 0-9 and -");
            }
            self.label("the value of a label", value)?;
        }
        Ok(())
    }

    /// A neuron says how much its word counts, and reaches nothing.
    fn neuron(&self, gene: &Gene) -> Checked {
        match (gene.role, gene.neuron) {
            (Role::Neuron, None) => return self.invalid("neuron", "a neuron says `advise` or `replace`"),
            (Role::Drone | Role::Task | Role::Policy, Some(_)) => {
                return self.invalid("neuron", "it is no neuron");
            }
            (Role::Drone | Role::Task | Role::Policy, None) => return Ok(()),
            (Role::Neuron, Some(_)) => {}
        }
        let Grants { outbound, files, secrets, .. } = &gene.grants;
        if !outbound.is_empty() || !files.is_empty() || !secrets.is_empty() {
            return self.invalid("neuron", "a neuron is granted no requests, files or secrets");
        }
        if gene.express != Expression::default() {
            return self.invalid("express", "a neuron is one cell a host");
        }
        self.range("concurrency of a neuron", gene.concurrency.into(), 1, 1)
    }

    /// A policy says what it does, and is one cell that only its host asks.
    fn policy(&self, gene: &Gene) -> Checked {
        self.ascending("policy", gene.policy.iter())?;
        let most = if gene.role == Role::Drone { l::WEIGHT_MAX } else { l::WEIGHT };
        self.range("weight", gene.weight.into(), 1, most.into())?;
        match (gene.role, gene.policy.is_empty()) {
            (Role::Policy, true) => return self.invalid("policy", "it does not say what it does"),
            (Role::Drone | Role::Task | Role::Neuron, false) => {
                return self.invalid("policy", "it is no policy");
            }
            (Role::Drone | Role::Task | Role::Neuron, true) => return Ok(()),
            (Role::Policy, false) => {}
        }
        if gene.express != Expression::default() {
            return self.invalid("express", "a policy is one cell a host");
        }
        self.range("concurrency of a policy", gene.concurrency.into(), 1, 1)
    }

    fn numbers(&self, gene: &Gene) -> Checked {
        let limits = &gene.limits;
        let optional = [
            ("limits.memory", limits.memory, l::CELL_MEMORY_MIN_BYTES, l::CELL_MEMORY_MAX_BYTES),
            ("limits.cpu", limits.cpu_ms, 1, l::CPU_PER_CALL_MAX_MS),
            ("limits.wall", limits.wall_ms, 1, l::WALL_PER_CALL_MAX_MS),
            ("limits.body", limits.body, 0, l::REQUEST_BODY_MAX_BYTES),
            ("limits.wait", limits.wait_ms, 0, l::WAIT_FOR_CAPACITY_MAX_MS),
            ("limits.waiters", limits.waiters.map(u64::from), 0, l::WAITERS_PER_GENE_MAX.into()),
            ("limits.background", limits.background.map(u64::from), 0, l::BACKGROUND_PER_GENE_MAX.into()),
            ("limits.background-wait", limits.background_wait_ms, 0, l::BACKGROUND_WAIT_MAX_MS),
            ("limits.idle", limits.idle_ms, 1, l::IDLE_AFTER_HEAD_MAX_MS),
            ("limits.pong", limits.pong_ms, l::PONG_MIN_MS, l::PONG_MAX_MS),
            ("limits.tables", limits.tables.map(u64::from), 0, l::CELL_TABLE_ELEMENTS_MAX.into()),
            ("limits.handles", limits.handles.map(u64::from), 1, l::CELL_HANDLES_MAX.into()),
            ("limits.host-call", limits.host_call, 1, l::HOST_CALL_MAX_BYTES),
            ("limits.headers", limits.headers, 1, l::HEADER_FIELDS_MAX_BYTES),
            ("limits.random", limits.random, 0, l::RANDOM_PER_CALL_MAX_BYTES),
            ("limits.outbound", limits.outbound.map(u64::from), 1, l::OUTBOUND_PER_CELL_MAX.into()),
            ("limits.files", limits.files, 0, l::WRITABLE_MAX_BYTES),
            ("limits.file-count", limits.file_count.map(u64::from), 0, l::WRITABLE_FILES_MAX.into()),
            ("reuse", gene.reuse.map(u64::from), 1, l::REUSE_MAX.into()),
            ("express.max", gene.express.max.map(u64::from), 1, l::CELLS_PER_GENE_MAX.into()),
        ];
        for (what, found, min, max) in optional {
            found.map_or(Ok(()), |found| self.range(what, found, min, max))?;
        }
        let most = gene.express.max.unwrap_or(l::CELLS_PER_GENE_MAX);
        self.range("express.min", gene.express.min.into(), 0, most.into())?;
        if gene.express.every_host && gene.express != Expression::EVERY_HOST {
            return self.invalid("express", "on every host there is exactly one cell, counted there");
        }
        self.range("concurrency", gene.concurrency.into(), 1, l::CONCURRENCY_MAX.into())
    }

    fn grants(&self, gene: &Gene) -> Checked {
        let grants = &gene.grants;
        self.cap("outbound", grants.outbound.len(), l::OUTBOUND_PER_GENE)?;
        self.ascending("outbound", grants.outbound.iter())?;
        self.cap("files", grants.files.len(), l::FILES_PER_GENE)?;
        self.ascending("files", grants.files.iter().map(|grant| &grant.to))?;
        grants.files.iter().try_for_each(|grant| self.file(grant))?;
        self.cap("secrets", grants.secrets.len(), l::SECRETS_PER_GENE)?;
        self.ascending("secrets", grants.secrets.iter())?;
        if grants.secrets.iter().any(|name| GeneName::new(name).is_err()) {
            return self.invalid("secrets", "a name must be 1 to 63 of a-z, 0-9 and -");
        }
        self.ascending("may", grants.may.iter())?;
        if gene.role != Role::Drone && !grants.may.is_empty() {
            return self.invalid("may", "only a drone has a population");
        }
        if let Some(signal) = &grants.signal {
            if gene.role != Role::Drone {
                return self.invalid("signal", "only a drone has a population");
            }
            if GeneName::new(&signal.name).is_err() {
                return self.invalid("signal", "its name must be 1 to 63 of a-z, 0-9 and -");
            }
            self.range("signal.per-cell", signal.per_cell.into(), 1, l::SIGNAL_PER_CELL_MAX.into())?;
        }
        self.pairs(gene)
    }

    fn pairs(&self, gene: &Gene) -> Checked {
        let (config, environment) = (&gene.grants.config, &gene.grants.environment);
        self.ascending("config", config.iter().map(|(key, _)| key))?;
        self.ascending("environment", environment.iter().map(|(key, _)| key))?;
        let bytes = config.iter().chain(environment).map(|(key, value)| key.len() + value.len());
        self.cap("bytes of config and environment", bytes.sum(), l::CONFIG_PER_GENE_BYTES)?;
        let bad_key = |key: &str| key.is_empty() || key.chars().any(char::is_control);
        if config.iter().any(|(key, _)| bad_key(key)) {
            return self.invalid("config", "a key is empty or holds a control character");
        }
        if environment.iter().any(|(key, value)| bad_key(key) || key.contains('=') || value.contains('\0')) {
            return self.invalid(
                "environment",
                "a name is empty or holds = or a control character, or a value holds NUL",
            );
        }
        Ok(())
    }

    fn file(&self, grant: &FileGrant) -> Checked {
        let inner = grant.to.strip_prefix('/');
        if inner.is_none_or(|inner| !inner.is_empty() && check_path(inner).is_err()) {
            return self.invalid("files", "`to` must be an absolute path without . or ..");
        }
        match &grant.source {
            FileSource::Packed(_) if grant.write => {
                self.invalid("files", "a packed folder cannot be written")
            }
            FileSource::Local(name) if check_path(name).is_err() => {
                self.invalid("files", "a folder of the host must be named by a relative path without . or ..")
            }
            _ => Ok(()),
        }
    }
}
