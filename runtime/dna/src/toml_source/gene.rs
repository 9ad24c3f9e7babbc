//! `[gene.NAME]`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::SourceError;
use super::read::{Placed, Reader, Table};
use super::units::Measure;
use crate::folder::check_path;
use crate::limits as l;
use crate::{
    Deed, Duty, Expression, GeneLimits, GeneName, Mandate, OutboundGrant, Role, Route, Scope, Signal,
};

/// One gene as its author describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneSource {
    /// Its name.
    pub name: GeneName,
    /// A version for people; empty where left out.
    pub version: String,
    /// Words to find it by. Sorted by key.
    pub labels: Vec<(String, String)>,
    /// A crate folder, a `.wasm` file or a folder of static files, relative to `dna.toml`.
    pub source: String,
    /// `None` = found from the component's exports.
    pub role: Option<Role>,
    /// How much the word of a neuron counts.
    pub neuron: Option<Mandate>,
    /// What a policy does for its host. Ascending, each once.
    pub policy: Vec<Duty>,
    /// Its strength against other genes where not all can grow.
    pub weight: u32,
    /// Sorted, each once; `None` = left out (see [`super::DnaToml::assemble`]).
    pub routes: Option<Vec<Route>>,
    /// Requests that are background work. Sorted, each once.
    pub background: Vec<Route>,
    /// Uses of one cell; `None` = what the component declares.
    pub reuse: Option<u32>,
    /// Calls at once in one cell.
    pub concurrency: u32,
    /// Sorted, each once.
    pub outbound: Vec<OutboundGrant>,
    /// Sorted by `to`, each once.
    pub files: Vec<FileEntry>,
    /// Sorted by key.
    pub config: Vec<(String, String)>,
    /// Sorted by name.
    pub environment: Vec<(String, String)>,
    /// Names only. Sorted, each once.
    pub secrets: Vec<String>,
    /// What its cells may do about their own population. Ascending, each once.
    pub may: Vec<Deed>,
    /// The number that its cells may report as the load of their class.
    pub signal: Option<Signal>,
    /// Limits of its own.
    pub limits: GeneLimits,
    /// How many cells, and where.
    pub express: Expression,
    /// `build.command`, where the default does not fit.
    pub build: Option<String>,
    /// Where `[gene.NAME]` stands in the text, for faults that are found later.
    pub span: Range<usize>,
    /// Where the value of `source` stands.
    pub source_span: Range<usize>,
    /// Where the value of `policy` stands; `[gene.NAME]` where there is none.
    pub(super) policy_span: Range<usize>,
    /// Where each route stands, in the order of `routes`.
    route_spans: Vec<Range<usize>>,
    /// The same of `background`.
    background_spans: Vec<Range<usize>>,
}

/// One entry of `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// A folder: next to `dna.toml` and packed where read-only, of this name in the host's
    /// state folder where writable. Relative, without `.` and `..`.
    pub from: String,
    /// Where the gene sees it, absolute.
    pub to: String,
    /// Whether the gene may write.
    pub write: bool,
    /// Where the entry stands in the text.
    pub span: Range<usize>,
}

type Pairs = Vec<(String, String)>;

const KEYS: &[&str] = &[
    "background",
    "build",
    "concurrency",
    "config",
    "environment",
    "express",
    "files",
    "labels",
    "limits",
    "may",
    "neuron",
    "outbound",
    "policy",
    "reuse",
    "role",
    "route",
    "secrets",
    "signal",
    "source",
    "version",
    "weight",
];

/// What to write where a neuron does not say how much its word counts.
pub(super) const NEURON_HELP: &str = "add neuron = \"advise\" (bends the host's law by at most 25 %) or neuron = \"replace\" (says how many cells there are to be)";

const LIMIT_KEYS: &[&str] = &[
    "memory",
    "cpu",
    "wall",
    "body",
    "wait",
    "waiters",
    "background",
    "background-wait",
    "idle",
    "pong",
    "tables",
    "handles",
    "host-call",
    "headers",
    "random",
    "outbound",
    "files",
    "file-count",
];

impl GeneSource {
    /// What does not fit the role that the gene's exports make it, at its place in the text.
    #[must_use]
    pub fn misfit(&self, exported: Role) -> Option<SourceError> {
        let name = &self.name;
        if let Some(said) = self.role.filter(|said| *said != exported) {
            let message =
                format!("gene `{name}` is said to be a {said}, but its exports make it a {exported}");
            let help = format!("remove role, or build it as a {said}");
            return Some(SourceError::new(self.span.clone(), message, help));
        }
        match (exported, self.neuron) {
            (Role::Neuron, None) => {
                let message = format!("gene `{name}` is a neuron and does not say how much its word counts");
                Some(SourceError::new(self.span.clone(), message, NEURON_HELP))
            }
            (Role::Drone | Role::Task | Role::Policy, Some(_)) => {
                let message = format!("gene `{name}` has `neuron`, but its exports make it a {exported}");
                Some(SourceError::new(self.span.clone(), message, "remove neuron"))
            }
            _ => self.misfit_of_duties(exported).or_else(|| self.misfit_of_weight(exported)),
        }
    }

    fn misfit_of_weight(&self, exported: Role) -> Option<SourceError> {
        let is_misfit = exported != Role::Drone && self.weight != l::WEIGHT;
        let message = format!("gene `{}` has `weight`, but its exports make it a {exported}", self.name);
        is_misfit.then(|| {
            SourceError::new(self.span.clone(), message, "remove weight: only a drone has a population")
        })
    }

    pub(super) fn routes_with_spans(&self) -> impl Iterator<Item = (&Route, Range<usize>)> {
        self.routes.iter().flatten().zip(self.route_spans.iter().cloned())
    }

    pub(super) fn background_with_spans(&self) -> impl Iterator<Item = (&Route, Range<usize>)> {
        self.background.iter().zip(self.background_spans.iter().cloned())
    }
}

impl Reader {
    pub(super) fn gene(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<GeneSource> {
        let name = match GeneName::new(key.get_ref()) {
            Ok(name) => Some(name),
            Err(error) => {
                self.faults.push(SourceError::new(key.span(), error.to_string(), error.help()));
                None
            }
        };
        let Some(entries) = value.get_ref().as_table() else {
            let message = format!("gene `{}` must be a table", key.get_ref());
            self.faults.push(SourceError::new(
                value.span(),
                message,
                "write [gene.front] with its keys below",
            ));
            return None;
        };
        let table = Table { entries, span: value.span(), name: format!("gene `{}`", key.get_ref()) };
        self.known_keys(&table, KEYS);
        self.gene_body(name, &table, key.span())
    }

    fn gene_body(
        &mut self,
        name: Option<GeneName>,
        table: &Table<'_, '_>,
        span: Range<usize>,
    ) -> Option<GeneSource> {
        let source = self.source(table, &span);
        let version = self.label(table);
        let labels = self.labels(table);
        let roles = [Role::Drone, Role::Task, Role::Neuron, Role::Policy].map(|role| (role.as_str(), role));
        let role = self.word(table, "role", &roles);
        let neuron = self.neuron(table, role);
        let policy = self.duties(table, role);
        let policy_span = table.entries.get("policy").map_or_else(|| span.clone(), Spanned::span);
        let weight = self.number(table, "weight", 1, l::WEIGHT_MAX).unwrap_or(l::WEIGHT);
        let routes = self.routes(table, role);
        let (background, background_spans) = self.background(table, role).into_iter().unzip();
        let reuse = self.number(table, "reuse", 1, l::REUSE_MAX);
        let concurrency = self.number(table, "concurrency", 1, l::CONCURRENCY_MAX).unwrap_or(1);
        let outbound = self.parsed_list(table, "outbound", true).unwrap_or_default();
        let outbound = self.unique(table, "outbound", outbound, l::OUTBOUND_PER_GENE);
        let files = self.files(table);
        let (config, environment) = self.config(table);
        let secrets = self.secrets(table);
        let may = self.may(table, role);
        let signal = self.signal(table, role);
        let limits = self.limits(table);
        let express = self.express(table);
        let build = self.build(table);
        let (source, source_span) = source?;
        let (routes, route_spans) = match routes {
            Some(routes) => {
                let (routes, spans) = routes.into_iter().unzip();
                (Some(routes), spans)
            }
            None => (None, Vec::new()),
        };
        Some(GeneSource {
            name: name?,
            version,
            labels,
            source,
            role,
            neuron,
            policy,
            weight,
            routes,
            background,
            reuse,
            concurrency,
            outbound: outbound.into_iter().map(|(grant, _)| grant).collect(),
            files,
            config,
            environment,
            secrets,
            may,
            signal,
            limits,
            express,
            build,
            span,
            source_span,
            policy_span,
            route_spans,
            background_spans,
        })
    }

    fn source(&mut self, table: &Table<'_, '_>, span: &Range<usize>) -> Option<Placed<String>> {
        if table.entries.get("source").is_none() {
            let message = format!("{} has no source", table.name);
            let help = "add source = \"...\": a crate folder, a .wasm file or a folder of static files";
            self.faults.push(SourceError::new(span.clone(), message, help));
        }
        let (text, span) = self.string(table, "source")?;
        if text.is_empty() || text.chars().any(char::is_control) {
            let help = "name a crate folder, a .wasm file or a folder of static files";
            self.faults.push(SourceError::new(span, "`source` is not a path", help));
            return None;
        }
        Some((text, span))
    }

    /// How much a neuron's word counts, and nothing granted beside it.
    fn neuron(&mut self, table: &Table<'_, '_>, role: Option<Role>) -> Option<Mandate> {
        let words = [("advise", Mandate::Advise), ("replace", Mandate::Replace)];
        let said = self.word(table, "neuron", &words);
        let key = table.entries.get("neuron");
        if let (Some(role @ (Role::Drone | Role::Task | Role::Policy)), Some(value)) = (role, key) {
            let message = format!("`neuron` is for neurons, and {} is a {role}", table.name);
            self.faults.push(SourceError::new(value.span(), message, "remove neuron, or the role"));
        }
        if let (Some(Role::Neuron), None, Some(value)) = (role, key, table.entries.get("role")) {
            let message = format!("{} does not say how much its word counts", table.name);
            self.faults.push(SourceError::new(value.span(), message, NEURON_HELP));
        }
        if key.is_some() || role == Some(Role::Neuron) {
            self.grants_nothing(table);
        }
        said
    }

    fn grants_nothing(&mut self, table: &Table<'_, '_>) {
        for key in ["outbound", "files", "secrets", "may", "signal", "express", "concurrency", "weight"] {
            if let Some(value) = table.entries.get(key) {
                let message = format!("a neuron has no `{key}`");
                let help = "remove it: a neuron is one cell a host that sees counts and reaches nothing";
                self.faults.push(SourceError::new(value.span(), message, help));
            }
        }
    }

    /// Routes may repeat here: the check over all genes finds them with their place.
    fn routes(&mut self, table: &Table<'_, '_>, role: Option<Role>) -> Option<Vec<Placed<Route>>> {
        let mut routes: Vec<Placed<Route>> = self.parsed_list(table, "route", true)?;
        routes.sort_by(|a, b| a.0.cmp(&b.0));
        if let (Some(Role::Task | Role::Neuron), Some((_, span))) = (role, routes.first()) {
            let help = "remove route, or the role where it is a drone";
            self.faults.push(SourceError::new(span.clone(), "only a drone has a route", help));
        }
        self.cap(table, "route", routes.len(), l::ROUTES_PER_GENE);
        Some(routes)
    }

    /// Whether they are parts of its routes is known when all genes are.
    fn background(&mut self, table: &Table<'_, '_>, role: Option<Role>) -> Vec<Placed<Route>> {
        let routes = self.parsed_list(table, "background", true).unwrap_or_default();
        if let (Some(Role::Task | Role::Neuron), Some((_, span))) = (role, routes.first()) {
            let help = "remove background, or the role where it is a drone";
            self.faults.push(SourceError::new(span.clone(), "only a drone takes requests", help));
        }
        self.unique(table, "background", routes, l::ROUTES_PER_GENE)
    }

    fn cap(&mut self, table: &Table<'_, '_>, key: &str, found: usize, cap: usize) {
        if found > cap
            && let Some(value) = table.entries.get(key)
        {
            let message = format!("`{key}` has {found} entries, more than the {cap} that are allowed");
            self.faults.push(SourceError::new(value.span(), message, "split the gene"));
        }
    }

    /// Sorted, within its cap, with a fault for each that is there twice.
    pub(super) fn unique<T: Ord + std::fmt::Display>(
        &mut self,
        table: &Table<'_, '_>,
        key: &str,
        mut items: Vec<Placed<T>>,
        cap: usize,
    ) -> Vec<Placed<T>> {
        self.cap(table, key, items.len(), cap);
        items.sort_by(|a, b| (&a.0, a.1.start).cmp(&(&b.0, b.1.start)));
        for pair in items.windows(2) {
            if let [(first, _), (second, span)] = pair
                && first == second
            {
                let message = format!("`{second}` is there twice in `{key}`");
                self.faults.push(SourceError::new(span.clone(), message, "remove one of them"));
            }
        }
        items
    }

    fn secrets(&mut self, table: &Table<'_, '_>) -> Vec<String> {
        let names = self.strings(table, "secrets", false).unwrap_or_default();
        let names = self.unique(table, "secrets", names, l::SECRETS_PER_GENE);
        for (name, span) in &names {
            if GeneName::new(name).is_err() {
                let message = format!("`{name}` cannot name a secret");
                let help = "use 1 to 63 of a-z, 0-9 and -; values are set with: cyte secret set NAME";
                self.faults.push(SourceError::new(span.clone(), message, help));
            }
        }
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// What its cells may do about their own population; who has none is granted nothing.
    fn may(&mut self, table: &Table<'_, '_>, role: Option<Role>) -> Vec<Deed> {
        let known: Vec<&str> = Deed::ALL.iter().map(|deed| deed.as_str()).collect();
        let mut deeds = Vec::new();
        for (text, span) in self.strings(table, "may", true).unwrap_or_default() {
            match Deed::ALL.into_iter().find(|deed| deed.as_str() == text) {
                Some(deed) => deeds.push((deed, span)),
                None => {
                    let message = format!("`{text}` is not a value of `may`");
                    let help = format!("write one of: {}", known.join(", "));
                    self.faults.push(SourceError::new(span, message, help));
                }
            }
        }
        if let (Some(Role::Task), Some((_, span))) = (role, deeds.first()) {
            let help = "remove may, or the role where it is a drone";
            self.faults.push(SourceError::new(span.clone(), "only a drone has a population", help));
        }
        let deeds = self.unique(table, "may", deeds, Deed::ALL.len());
        deeds.into_iter().map(|(deed, _)| deed).collect()
    }

    /// A number of the gene's own that counts as its load.
    fn signal(&mut self, gene: &Table<'_, '_>, role: Option<Role>) -> Option<Signal> {
        let table = self.table(gene, "signal")?;
        self.known_keys(&table, &["name", "per-cell"]);
        let help =
            "write signal = { name = \"queue-depth\", per-cell = 10 }: so much of it is one cell's load";
        for key in ["name", "per-cell"] {
            if table.entries.get(key).is_none() {
                let message = format!("`{key}` is missing");
                self.faults.push(SourceError::new(table.span.clone(), message, help));
            }
        }
        if role == Some(Role::Task) {
            let help = "remove signal, or the role where it is a drone";
            self.faults.push(SourceError::new(table.span.clone(), "only a drone has a population", help));
        }
        let per_cell = self.number(&table, "per-cell", 1, l::SIGNAL_PER_CELL_MAX);
        let (name, span) = self.string(&table, "name")?;
        if GeneName::new(&name).is_err() {
            let message = format!("a signal cannot be named `{name}`");
            self.faults.push(SourceError::new(span, message, "use 1 to 63 of a-z, 0-9 and -"));
        }
        Some(Signal { name, per_cell: per_cell? })
    }

    fn labels(&mut self, table: &Table<'_, '_>) -> Pairs {
        let labels = self.pairs(table, "labels");
        self.cap(table, "labels", labels.len(), l::LABELS_PER_GENE);
        let is_long = |value: &str| value.len() > l::LABEL_MAX_BYTES || value.chars().any(char::is_control);
        let fault = labels.iter().find_map(|(key, value)| match GeneName::new(key) {
            Err(error) => Some((format!("a label cannot be named `{key}`"), error.help())),
            Ok(_) if is_long(value) => Some((
                format!("the value of label `{key}` is longer than 64 bytes or holds a control character"),
                "shorten it",
            )),
            Ok(_) => None,
        });
        if let (Some((message, help)), Some(place)) = (fault, table.entries.get("labels")) {
            self.faults.push(SourceError::new(place.span(), message, help));
        }
        labels
    }

    fn config(&mut self, table: &Table<'_, '_>) -> (Pairs, Pairs) {
        let config = self.pairs(table, "config");
        let environment = self.pairs(table, "environment");
        let bytes: usize =
            config.iter().chain(&environment).map(|(key, value)| key.len() + value.len()).sum();
        let bad_key = |key: &str| key.is_empty() || key.chars().any(char::is_control);
        let bad_variable =
            |(key, value): &(String, String)| bad_key(key) || key.contains('=') || value.contains('\0');
        let fault = if bytes > l::CONFIG_PER_GENE_BYTES {
            Some((
                "config and environment are larger than 64 KiB",
                "put the data in a file and grant it with files",
            ))
        } else if config.iter().any(|(key, _)| bad_key(key)) {
            Some(("a key of config is empty or holds a control character", "rename it"))
        } else if environment.iter().any(bad_variable) {
            Some((
                "a name of environment is empty or holds = or a control character, or a value holds NUL",
                "rename it",
            ))
        } else {
            None
        };
        if let Some((message, help)) = fault {
            let place = table.entries.get("config").or_else(|| table.entries.get("environment"));
            let span = place.map_or_else(|| table.span.clone(), Spanned::span);
            self.faults.push(SourceError::new(span, message, help));
        }
        (config, environment)
    }

    fn files(&mut self, table: &Table<'_, '_>) -> Vec<FileEntry> {
        let Some(value) = table.entries.get("files") else {
            return Vec::new();
        };
        let example = "write files = [{ from = \"assets\", to = \"/assets\" }]";
        let Some(array) = value.get_ref().as_array() else {
            self.faults.push(SourceError::new(value.span(), "`files` must be an array of tables", example));
            return Vec::new();
        };
        self.cap(table, "files", array.len(), l::FILES_PER_GENE);
        let mut files: Vec<FileEntry> = Vec::new();
        for item in array {
            let Some(entries) = item.get_ref().as_table() else {
                self.faults.push(SourceError::new(
                    item.span(),
                    "an entry of `files` must be a table",
                    example,
                ));
                continue;
            };
            let entry = Table { entries, span: item.span(), name: "`files`".into() };
            files.extend(self.file(&entry));
        }
        files.sort_by(|a, b| (&a.to, a.span.start).cmp(&(&b.to, b.span.start)));
        for pair in files.windows(2) {
            if let [first, second] = pair
                && first.to == second.to
            {
                let message = format!("two entries of `files` are seen at `{}`", second.to);
                self.faults.push(SourceError::new(
                    second.span.clone(),
                    message,
                    "give one of them another `to`",
                ));
            }
        }
        files
    }

    fn file(&mut self, table: &Table<'_, '_>) -> Option<FileEntry> {
        self.known_keys(table, &["from", "to", "write"]);
        for key in ["from", "to"] {
            if table.entries.get(key).is_none() {
                let help = "write { from = \"assets\", to = \"/assets\" }";
                self.faults.push(SourceError::new(table.span.clone(), format!("`{key}` is missing"), help));
            }
        }
        let from = self.string(table, "from");
        let to = self.string(table, "to");
        let write = self.boolean(table, "write").unwrap_or(false);
        let ((from, from_span), (to, to_span)) = (from?, to?);
        if let Err(reason) = check_path(&from) {
            let help = "name a folder below the one of dna.toml, as in \"assets\"";
            self.faults.push(SourceError::new(from_span, format!("`from` is not usable: {reason}"), help));
        }
        let inner = to.strip_prefix('/');
        if inner.is_none_or(|inner| !inner.is_empty() && check_path(inner).is_err()) {
            let message = "`to` must be an absolute path without . or ..";
            self.faults.push(SourceError::new(to_span, message, "write to = \"/assets\""));
        }
        Some(FileEntry { from, to, write, span: table.span.clone() })
    }

    fn limits(&mut self, gene: &Table<'_, '_>) -> GeneLimits {
        let Some(table) = self.table(gene, "limits") else {
            return GeneLimits::default();
        };
        self.known_keys(&table, LIMIT_KEYS);
        let (bytes, time) = (Measure::Bytes, Measure::Time);
        GeneLimits {
            memory: self.amount(&table, "memory", bytes, l::CELL_MEMORY_MIN_BYTES, l::CELL_MEMORY_MAX_BYTES),
            cpu_ms: self.amount(&table, "cpu", time, 1, l::CPU_PER_CALL_MAX_MS),
            wall_ms: self.amount(&table, "wall", time, 1, l::WALL_PER_CALL_MAX_MS),
            body: self.amount(&table, "body", bytes, 0, l::REQUEST_BODY_MAX_BYTES),
            wait_ms: self.amount(&table, "wait", time, 0, l::WAIT_FOR_CAPACITY_MAX_MS),
            waiters: self.number(&table, "waiters", 0, l::WAITERS_PER_GENE_MAX),
            background: self.number(&table, "background", 0, l::BACKGROUND_PER_GENE_MAX),
            background_wait_ms: self.amount(&table, "background-wait", time, 0, l::BACKGROUND_WAIT_MAX_MS),
            idle_ms: self.amount(&table, "idle", time, 1, l::IDLE_AFTER_HEAD_MAX_MS),
            pong_ms: self.amount(&table, "pong", time, l::PONG_MIN_MS, l::PONG_MAX_MS),
            tables: self.number(&table, "tables", 0, l::CELL_TABLE_ELEMENTS_MAX),
            handles: self.number(&table, "handles", 1, l::CELL_HANDLES_MAX),
            host_call: self.amount(&table, "host-call", bytes, 1, l::HOST_CALL_MAX_BYTES),
            headers: self.amount(&table, "headers", bytes, 1, l::HEADER_FIELDS_MAX_BYTES),
            random: self.amount(&table, "random", bytes, 0, l::RANDOM_PER_CALL_MAX_BYTES),
            outbound: self.number(&table, "outbound", 1, l::OUTBOUND_PER_CELL_MAX),
            files: self.amount(&table, "files", bytes, 0, l::WRITABLE_MAX_BYTES),
            file_count: self.number(&table, "file-count", 0, l::WRITABLE_FILES_MAX),
        }
    }

    fn express(&mut self, gene: &Table<'_, '_>) -> Expression {
        let Some(table) = self.table(gene, "express") else {
            return Expression::default();
        };
        self.known_keys(&table, &["min", "max", "scope", "every-host"]);
        if self.boolean(&table, "every-host") == Some(true) {
            self.alone(&table, "every-host");
            return Expression::EVERY_HOST;
        }
        let max = self.number(&table, "max", 1, l::CELLS_PER_GENE_MAX);
        let min = self.number(&table, "min", 0, max.unwrap_or(l::CELLS_PER_GENE_MAX)).unwrap_or(0);
        let scopes = [("local", Scope::Local), ("network", Scope::Network), ("remote", Scope::Remote)];
        let scope = self.word(&table, "scope", &scopes).unwrap_or_default();
        Expression { min, max, scope, every_host: false }
    }

    /// A key that leaves nothing for others to say.
    fn alone(&mut self, table: &Table<'_, '_>, key: &str) {
        for (other, value) in table.entries.iter().filter(|(other, _)| other.get_ref() != key) {
            let message = format!("`{other}` beside `{key}`, which means exactly one cell on every host");
            self.faults.push(SourceError::new(value.span(), message, format!("remove {other}")));
        }
    }

    fn build(&mut self, gene: &Table<'_, '_>) -> Option<String> {
        let table = self.table(gene, "build")?;
        self.known_keys(&table, &["command"]);
        if table.entries.get("command").is_none() {
            let help = "write build = { command = \"...\" }, or remove build";
            self.faults.push(SourceError::new(table.span.clone(), "`build` has no command", help));
        }
        self.string(&table, "command").map(|(command, _)| command)
    }
}
