//! From a path to built genes, shared by `build`, `check`, `run` and `dna pack`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cyte_dna::{Descent, Draft, Gene, GeneLimits, Grants, Role};
use cyte_engine::{Answer, Inspection, inspect};
use serde_json::{Value, json};

use super::Context;
use crate::codes::Code;
use crate::error::CliError;
use crate::state::IN_PROJECT;
use crate::state::trust::dna_error;
use crate::workshop::{Built, Env, Kind, LineNotes, Mode, Notes, Project, Silent, WorkshopError};

/// A project whose genes were built and looked at.
pub(super) struct Made {
    /// The project.
    pub project: Project,
    genes: Vec<MadeGene>,
}

/// One gene, built and looked at.
pub(super) struct MadeGene {
    built: Built,
    role: Role,
    inspection: Inspection,
    took: Duration,
}

/// Opens the project at `path`.
///
/// # Errors
/// [`Code::Manifest`] for a fault in `dna.toml`, [`Code::Missing`] when there is nothing to run.
pub(super) fn open(path: &Path) -> Result<Project, CliError> {
    Project::open(path).map_err(|error| workshop_error(&error))
}

/// Where the state of the project at `path` is unless somebody says otherwise: in the project; a bare
/// component has none, so here.
pub(super) fn state_of(project: &Project, path: &Path) -> PathBuf {
    if path.is_dir() || project.file().is_some() {
        project.root().join(IN_PROJECT)
    } else {
        PathBuf::from(IN_PROJECT)
    }
}

/// Builds every gene of `project` and looks at what it exports.
///
/// # Errors
/// [`Code::Build`], [`Code::Toolchain`], or [`Code::Component`] for what cannot live here.
pub(super) fn make(project: Project, mode: Mode, context: &Context) -> Result<Made, CliError> {
    let started = Instant::now();
    let built = build(&project, mode, context)?;
    // Genes of one workspace share a build, so a time for each would be made up.
    let took = started.elapsed();
    let genes = built.into_iter().map(|built| look(&project, built, took)).collect::<Result<_, _>>()?;
    Ok(Made { project, genes })
}

/// Builds every gene of `project`, without looking at what came out.
///
/// # Errors
/// [`Code::Build`] and [`Code::Toolchain`].
pub(super) fn build(project: &Project, mode: Mode, context: &Context) -> Result<Vec<Built>, CliError> {
    let env = Env::from_process(context.colour()).map_err(|error| workshop_error(&error))?;
    project.build(&env, mode, notes(context).as_ref()).map_err(|error| build_error(&error, context))
}

/// A failed build as a person reads it. With `--quiet` nobody was told yet what the tool said, and
/// that is the reason.
fn build_error(error: &WorkshopError, context: &Context) -> CliError {
    let mut made = workshop_error(error);
    if context.quiet && !error.output.is_empty() {
        made.why = format!("{}\n{}", made.why, error.output.trim_end());
    }
    made
}

/// The workshop's progress: on standard error, or nowhere with `--quiet`.
fn notes(context: &Context) -> Box<dyn Notes> {
    if context.quiet { Box::new(Silent) } else { Box::new(LineNotes::new(std::io::stderr())) }
}

fn look(project: &Project, built: Built, took: Duration) -> Result<MadeGene, CliError> {
    let what = format!("cannot use gene `{}`", built.name);
    let inspection = inspect(&built.component).map_err(|why| {
        CliError::new(Code::Component, what, why)
            .help("a gene exports wasi:http, wasi:cli/run, cyte:cell/homeostasis or what a policy does")
    })?;
    let exported = (inspection.shape.role(), inspection.exports.as_slice());
    let role = project.role(&built.name, exported).map_err(|error| workshop_error(&error))?;
    Ok(MadeGene { built, role, inspection, took })
}

impl Made {
    /// The unsigned DNA of these genes.
    ///
    /// # Errors
    /// [`Code::Manifest`] when the manifest breaks a rule.
    pub(super) fn assemble(self, descent: Descent) -> Result<Draft, CliError> {
        let Self { project, genes } = self;
        let parts = genes.into_iter().map(|gene| gene.built.into_parts(gene.role)).collect();
        let name = project.file().unwrap_or(project.root()).display().to_string();
        project.assemble(parts, descent).map_err(|error| {
            let mut made = dna_error(&name, &error);
            made.code = Code::Manifest;
            made.exit = Code::Manifest.exit();
            made.what = format!("cannot pack `{name}`");
            made
        })
    }

    /// Refuses what a gene asks for and nothing here provides.
    ///
    /// # Errors
    /// [`Code::Component`] with the gene and the import.
    pub(super) fn check_imports(&self) -> Result<(), CliError> {
        for gene in &self.genes {
            let asks = gene.inspection.asks(&self.grants(gene));
            let refused = asks.iter().find_map(|ask| Some((ask, ask.refusal(gene.built.name.as_str())?)));
            if let Some((ask, (why, remedy))) = refused {
                let what = format!("cannot use gene `{}`", gene.built.name);
                let why = format!("it asks for `{}`, which {why}", ask.import);
                return Err(CliError::new(Code::Component, what, why).help(remedy));
            }
        }
        Ok(())
    }

    /// What `dna.toml` grants a gene, as far as its imports tell.
    fn grants(&self, gene: &MadeGene) -> Grants {
        let Some(source) = self.project.toml().gene(gene.built.name.as_str()) else {
            return Grants::default();
        };
        Grants {
            outbound: source.outbound.clone(),
            config: source.config.clone(),
            secrets: source.secrets.clone(),
            environment: source.environment.clone(),
            may: source.may.clone(),
            signal: source.signal.clone(),
            files: Vec::new(),
        }
    }

    /// Each gene as `build` and `check` print it.
    pub(super) fn values(&self) -> Vec<Value> {
        self.genes.iter().map(|gene| self.value(gene)).collect()
    }

    fn value(&self, gene: &MadeGene) -> Value {
        let grants = self.grants(gene);
        let has_files = gene.built.site.is_some()
            || self
                .project
                .toml()
                .gene(gene.built.name.as_str())
                .is_some_and(|source| !source.files.is_empty());
        let limits =
            self.project.toml().gene(gene.built.name.as_str()).map_or_else(GeneLimits::default, |s| s.limits);
        let asks: Vec<Value> = gene
            .inspection
            .asks(&grants)
            .iter()
            .map(|ask| {
                let is_granted = has_files && ask.import.starts_with("wasi:filesystem/preopens");
                let answer = if is_granted { Answer::Granted } else { ask.answer };
                json!({"import": ask.import, "answer": answer})
            })
            .collect();
        json!({
            "gene": gene.built.name.as_str(),
            "role": gene.role.as_str(),
            "neuron": self.project.toml().gene(gene.built.name.as_str()).and_then(|source| source.neuron),
            "policy": self.project.toml().gene(gene.built.name.as_str()).map(|source| &source.policy),
            "world": gene.inspection.shape.world(),
            "size": gene.inspection.size,
            "sha256": cyte_dna::Digest::of(&gene.built.component).to_string(),
            "imports": gene.inspection.imports,
            "asks": asks,
            "reuse": gene.inspection.reuse,
            "memory": limits.memory_or_default(),
            "path": gene.built.path,
            "took_ms": u64::try_from(gene.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// One line for a gene: `front   drone   91 KB   0.9 s    imports ...; asks for nothing else`.
pub(super) fn gene_line(
    name: &str,
    role: Role,
    inspection: &Inspection,
    grants: &Grants,
    took: Duration,
) -> String {
    let role = role.as_str();
    let size = format!("{} KB", inspection.size.div_ceil(1_000));
    let seconds = format!("{}.{} s", took.as_secs(), took.subsec_millis() / 100);
    format!("gene       {name:<7} {role:<7} {size:<7} {seconds:<8} {}", asks_text(inspection, grants))
}

/// The packages it imports, and what it asks for beyond what gives nothing away. An empty
/// environment or list of folders is not mentioned: most toolchains ask for both unasked.
pub(super) fn asks_text(inspection: &Inspection, grants: &Grants) -> String {
    let mut packages: Vec<&str> = inspection
        .imports
        .iter()
        .filter_map(|import| import.split('/').next())
        .filter(|package| !matches!(*package, "wasi:io" | "wasi:cli"))
        .collect();
    packages.dedup();
    let asks = inspection.asks(grants);
    let of = |wanted: Answer| -> Vec<&str> {
        asks.iter()
            .filter(|ask| ask.answer == wanted)
            .filter_map(|ask| ask.import.split('@').next())
            .collect()
    };
    let mut text = match packages.as_slice() {
        [] => "imports nothing".to_owned(),
        some => format!("imports {}", some.join(", ")),
    };
    let (granted, denied) = (of(Answer::Granted), of(Answer::Denied));
    if !granted.is_empty() {
        text.push_str(&format!("; granted {}", granted.join(", ")));
    }
    text.push_str(&match denied.as_slice() {
        [] if granted.is_empty() => "; asks for nothing else".to_owned(),
        [] => String::new(),
        some => format!("; asks, not granted: {}", some.join(", ")),
    });
    text
}

/// The line of a gene that is ready to run.
pub(super) fn grown_line(gene: &Gene, inspection: &Inspection, took: Duration) -> String {
    gene_line(gene.name.as_str(), gene.role, inspection, &gene.grants, took)
}

/// A workshop's error as a person reads it.
pub(super) fn workshop_error(error: &WorkshopError) -> CliError {
    let code = match error.kind {
        Kind::Usage => Code::Usage,
        Kind::Missing => Code::Missing,
        Kind::Write => Code::Write,
        Kind::Manifest => Code::Manifest,
        Kind::Build => Code::Build,
        Kind::Toolchain => Code::Toolchain,
        Kind::New => Code::New,
    };
    let mut made = CliError::new(code, error.what.clone(), error.why.clone());
    made.help.clone_from(&error.help);
    made
}
