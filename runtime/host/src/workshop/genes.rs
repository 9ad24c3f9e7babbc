//! From a project to built genes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cyte_dna::{FileEntry, Folder, GeneSource, SourceError};

use super::cargo::{self, CrateBuild, LockFile};
use super::project::{Built, Made, Project};
use super::wasm_std::{self, WasmStd};
use super::{Env, Kind, Notes, WorkshopError, cache, defaults, folder, new, short_key, sources, standard};

/// What building may change in the project's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `Cargo.lock` and `.cyte/` may change, and `build.command` runs.
    Build,
    /// Nothing: build results are in the user's cache, `Cargo.lock` must be right, and
    /// `build.command` does not run (its result must be there).
    Check,
}

impl Project {
    /// Build every gene, in the order of their names.
    ///
    /// # Errors
    /// The first gene that does not build ends it. Kind `Manifest`: a source or folder that
    /// `dna.toml` names is not there (shown with its line); `Build`; `Toolchain`; `Write`.
    pub fn build(&self, env: &Env, mode: Mode, notes: &dyn Notes) -> Result<Vec<Built>, WorkshopError> {
        let mut shop = Shop { project: self, env, mode, notes, stds: BTreeMap::new() };
        // All that can be seen at once is told before anybody waits for a compiler.
        for gene in &self.toml().genes {
            shop.look(gene)?;
        }
        self.toml().genes.iter().map(|gene| shop.gene(gene)).collect()
    }
}

/// One run of the workshop over one project.
struct Shop<'a> {
    project: &'a Project,
    env: &'a Env,
    mode: Mode,
    notes: &'a dyn Notes,
    /// By the folder whose toolchain counts.
    stds: BTreeMap<PathBuf, WasmStd>,
}

/// What a gene's `source` is.
enum Source {
    Crate(PathBuf),
    File(PathBuf),
    Site(PathBuf),
    Standard(&'static str),
}

impl Shop<'_> {
    fn gene(&mut self, gene: &GeneSource) -> Result<Built, WorkshopError> {
        if let (Some(command), Mode::Build) = (&gene.build, self.mode) {
            self.notes.note("building", &format!("{}: {command}", gene.name));
            cargo::custom(self.env, command, self.project.root(), self.notes)?;
        }
        let mut site = None;
        let (made, component) = match self.source(gene)? {
            Source::Crate(krate) => (Made::Crate, self.crate_(&krate)?),
            Source::File(path) => (Made::File, cargo::read_component(&path)?),
            Source::Standard(name) => (Made::Standard(name), self.standard(name)?),
            Source::Site(path) => {
                let packed = folder::pack(&path)?;
                folder::note_left_out(&packed, gene.name.as_str(), self.notes);
                if packed.folder.get("index.html").is_none() {
                    self.notes.note("notice", &format!("{} has no index.html", path.display()));
                }
                site = Some(packed.folder);
                (Made::Standard(standard::STATIC_SITE), self.standard(standard::STATIC_SITE)?)
            }
        };
        let path = match (self.mode, &made) {
            (Mode::Build, Made::Crate) => Some(self.keep(gene, &component)?),
            _ => None,
        };
        let folders = self.folders(gene)?;
        Ok(Built { name: gene.name.clone(), made, component, folders, site, path })
    }

    /// Whether everything that `dna.toml` names for a gene is there.
    fn look(&self, gene: &GeneSource) -> Result<(), WorkshopError> {
        if gene.build.is_none() || self.mode == Mode::Check {
            self.source(gene)?;
        }
        for entry in gene.files.iter().filter(|entry| !entry.write && gene.build.is_none()) {
            self.folder_of(entry)?;
        }
        Ok(())
    }

    fn source(&self, gene: &GeneSource) -> Result<Source, WorkshopError> {
        let path = self.project.root().join(&gene.source);
        let wrong = |message: String, help: &str| {
            Err(self.project.fault(SourceError::new(gene.source_span.clone(), message, help)))
        };
        if let Some(asked) = gene.source.strip_prefix(standard::SCHEME) {
            let names = standard::names();
            return match (names.iter().find(|name| **name == asked), &gene.build) {
                (Some(name), None) => Ok(Source::Standard(name)),
                (Some(_), Some(_)) => wrong(
                    format!("gene `{}` is a standard gene and has a build.command", gene.name),
                    "remove build",
                ),
                (None, _) => wrong(
                    format!("there is no standard gene `{asked}`"),
                    &format!("the standard genes are: {}", names.join(", ")),
                ),
            };
        }
        let Ok(metadata) = fs::metadata(&path) else {
            let message = format!("the source of gene `{}` is not there: {}", gene.name, path.display());
            return match gene.build {
                Some(_) => wrong(message, "`cyte build` runs build.command, which makes it"),
                None => wrong(message, "name a crate folder, a .wasm file or a folder of static files"),
            };
        };
        if !metadata.is_dir() {
            return Ok(Source::File(path));
        }
        match (path.join("Cargo.toml").is_file(), &gene.build) {
            (true, None) if defaults::is_crate(&path) => Ok(Source::Crate(path)),
            (true, None) => wrong(
                format!("the source of gene `{}` is a workspace, not a crate", gene.name),
                "name the folder of one of its crates",
            ),
            (true, Some(_)) => wrong(
                format!("gene `{}` has a build.command, so cargo does not build it", gene.name),
                "name the .wasm file that the command makes, or remove build",
            ),
            (false, _) => Ok(Source::Site(path)),
        }
    }

    fn crate_(&mut self, krate: &Path) -> Result<Vec<u8>, WorkshopError> {
        self.sdk(krate)?;
        let std = self.std(krate)?;
        let target = target_folder(self.env, krate, &std)?;
        let lock_file = match self.mode {
            Mode::Build => LockFile::MayChange,
            Mode::Check => LockFile::Fixed,
        };
        let build = CrateBuild { krate, from: krate, target: &target, lock_file };
        cargo::build(self.env, &std, &build, self.notes)
    }

    fn standard(&mut self, name: &str) -> Result<Vec<u8>, WorkshopError> {
        let root = self.project.root().to_owned();
        let std = self.std(&root)?;
        standard::build(self.env, &std, name, &root, self.notes)
    }

    /// The standard library for the toolchain that `folder` chooses; asked once for each choice.
    fn std(&mut self, folder: &Path) -> Result<WasmStd, WorkshopError> {
        let folder = fs::canonicalize(folder).map_err(|e| WorkshopError::read(folder, e))?;
        let root = fs::canonicalize(self.project.root()).unwrap_or_else(|_| folder.clone());
        let chooses =
            |at: &&Path| at.join("rust-toolchain.toml").exists() || at.join("rust-toolchain").exists();
        let at = folder.ancestors().find(chooses).unwrap_or(&root).to_owned();
        if let Some(std) = self.stds.get(&at) {
            return Ok(std.clone());
        }
        let std = wasm_std::find(self.env, &at, self.notes)?;
        self.stds.insert(at, std.clone());
        Ok(std)
    }

    /// See that the SDK is there that `cyte new` puts into `.cyte/`, which is rarely checked in.
    fn sdk(&self, krate: &Path) -> Result<(), WorkshopError> {
        let Some(place) = sdk_path(krate) else { return Ok(()) };
        let (Some(name), Some(dot_cyte)) = (place.file_name(), place.parent()) else { return Ok(()) };
        if place.exists() || dot_cyte.file_name().is_none_or(|name| name != ".cyte") {
            return Ok(());
        }
        let wrong = |why: String, help: &str| {
            Err(WorkshopError::new(Kind::Build, format!("no SDK in `{}`", place.display()), why).help(help))
        };
        if *name != *new::sdk_folder() {
            let why = format!("this cyte carries the SDK {}", sources::VERSION);
            return wrong(why, &format!("name .cyte/{} in Cargo.toml", new::sdk_folder()));
        }
        match self.mode {
            Mode::Build => new::write_sdk(dot_cyte),
            Mode::Check => wrong("a check writes nothing".into(), "`cyte build` puts it there"),
        }
    }

    fn folders(&self, gene: &GeneSource) -> Result<BTreeMap<String, Folder>, WorkshopError> {
        let mut folders = BTreeMap::new();
        for entry in gene.files.iter().filter(|entry| !entry.write) {
            let path = self.folder_of(entry)?;
            let packed = folder::pack(&path)?;
            folder::note_left_out(&packed, &entry.from, self.notes);
            folders.insert(entry.from.clone(), packed.folder);
        }
        Ok(folders)
    }

    /// The folder that an entry of `files` names, if it is there.
    fn folder_of(&self, entry: &FileEntry) -> Result<PathBuf, WorkshopError> {
        let path = self.project.root().join(&entry.from);
        if path.is_dir() {
            return Ok(path);
        }
        let message = format!("the folder is not there: {}", path.display());
        let help = "make the folder, or write write = true for one that the host keeps";
        Err(self.project.fault(SourceError::new(entry.span.clone(), message, help)))
    }

    /// Put a component where the project's owner finds it.
    fn keep(&self, gene: &GeneSource, component: &[u8]) -> Result<PathBuf, WorkshopError> {
        let folder = self.project.root().join(".cyte");
        new::make_private(&folder)?;
        let folder = folder.join("genes");
        fs::create_dir_all(&folder).map_err(|e| WorkshopError::write(&folder, e))?;
        let path = folder.join(format!("{}.wasm", gene.name));
        if !fs::read(&path).is_ok_and(|there| there == component) {
            cache::write_whole(&path, component)?;
        }
        Ok(path)
    }
}

/// The folder of `cyte-sdk`, where the crate or its workspace names it by path.
fn sdk_path(krate: &Path) -> Option<PathBuf> {
    let path_in = |folder: &Path, keys: &[&str]| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let mut value = toml::Value::Table(text.parse().ok()?);
        for key in keys {
            value = value.get(key)?.clone();
        }
        Some(folder.join(value.as_str()?))
    };
    path_in(krate, &["dependencies", "cyte-sdk", "path"])
        .or_else(|| path_in(&workspace_of(krate), &["workspace", "dependencies", "cyte-sdk", "path"]))
}

/// The folder whose build results a crate shares: the nearest workspace above it, else itself.
fn workspace_of(krate: &Path) -> PathBuf {
    let krate = fs::canonicalize(krate).unwrap_or_else(|_| krate.to_owned());
    let is_workspace = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        text.parse::<toml::Table>().is_ok_and(|manifest| manifest.contains_key("workspace"))
    };
    krate.ancestors().find(is_workspace).unwrap_or(&krate).to_owned()
}

/// The folder of build results in the user's cache, by workspace and standard library: cargo does
/// not notice another sysroot by itself.
fn target_folder(env: &Env, krate: &Path, std: &WasmStd) -> Result<PathBuf, WorkshopError> {
    let workspace = workspace_of(krate);
    let all = env.cache()?.join("build");
    sweep_targets(&all);
    let folder = all.join(short_key(&[&workspace.to_string_lossy()]));
    let note = folder.join(OF);
    if !note.exists() {
        fs::create_dir_all(&folder).map_err(|e| WorkshopError::write(&folder, e))?;
        cache::write_whole(&note, workspace.to_string_lossy().as_bytes())?;
    }
    Ok(folder.join(std.key()))
}

/// Says whose build results a folder holds.
const OF: &str = "of";

/// Delete the build results of workspaces that are gone.
fn sweep_targets(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let gone = fs::read_to_string(entry.path().join(OF)).is_ok_and(|of| !Path::new(&of).exists());
        if gone {
            // What cannot be deleted costs only space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
