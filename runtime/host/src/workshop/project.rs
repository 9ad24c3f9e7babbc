//! A project on disk: its `dna.toml`, or sane defaults where there is none, and what is built
//! from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cyte_dna::{Descent, DnaError, DnaToml, Draft, Folder, GeneName, GeneParts, GeneSource, Role, Route};
use cyte_dna::{SourceError, SourceErrors, limits};

use super::{Kind, WorkshopError, cache, defaults};

/// The name of the file that describes a project.
pub const DNA_TOML: &str = "dna.toml";

/// A project that was read; nothing is built yet.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    file: Option<PathBuf>,
    text: String,
    toml: DnaToml,
}

/// How a gene's component came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// Built from a crate.
    Crate,
    /// Read from a `.wasm` file, perhaps one that `build.command` had just made.
    File,
    /// The standard gene of this name.
    Standard(&'static str),
}

/// One gene, built; what it exports is not known yet.
#[derive(Debug)]
pub struct Built {
    /// Its name.
    pub name: GeneName,
    /// How the component came to be.
    pub made: Made,
    /// The component's bytes, not looked at.
    pub component: Vec<u8>,
    /// The read-only folders of its `files`, by their `from`.
    pub folders: BTreeMap<String, Folder>,
    /// The static files, where its source is a folder of them.
    pub site: Option<Folder>,
    /// Where [`super::Mode::Build`] put a component that was made for this project.
    pub path: Option<PathBuf>,
}

impl Built {
    /// What a DNA is assembled from, once the exports have told the role.
    #[must_use]
    pub fn into_parts(self, role: Role) -> GeneParts {
        let Self { name, component, folders, site, .. } = self;
        GeneParts { name, role, component, folders, site }
    }
}

impl Project {
    /// Open a project folder, a `dna.toml`, or a bare component.
    ///
    /// Without a `dna.toml` a folder is an organism of its `genes/` (crates, `.wasm` files, folders
    /// with an `index.html`), else of the crate that it is, else of the `.wasm` files in it, else a
    /// static site.
    ///
    /// # Errors
    /// Kind `Missing`: not there, or nothing that could be a gene; `Manifest`: a fault in
    /// `dna.toml`, shown with its line.
    pub fn open(path: &Path) -> Result<Self, WorkshopError> {
        let kind = fs::metadata(path).map_err(|e| missing(path, &e))?;
        if kind.is_dir() {
            let file = path.join(DNA_TOML);
            return match file.exists() {
                true => Self::read(path, file),
                false => Self::of(path, defaults::of_folder(path)?),
            };
        }
        let root = match path.parent() {
            Some(root) if root.as_os_str().is_empty() => Path::new("."),
            Some(root) => root,
            None => Path::new("."),
        };
        match path.extension().is_some_and(|e| e == "toml") {
            true => Self::read(root, path.to_owned()),
            false => Self::of(root, defaults::of_component(path)),
        }
    }

    fn read(root: &Path, file: PathBuf) -> Result<Self, WorkshopError> {
        let limit = u64::try_from(limits::DNA_TOML_BYTES).unwrap_or(u64::MAX);
        let bytes = cache::read_bounded(&file, limit).map_err(|e| WorkshopError::read(&file, e))?;
        let text = bytes.map(String::from_utf8);
        let wrong = |why: &str| WorkshopError::new(Kind::Manifest, cannot_use(&file), why);
        let text = text
            .ok_or_else(|| wrong("it is larger than 1 MiB"))?
            .map_err(|_| wrong("it is not UTF-8 text"))?;
        match DnaToml::parse(&text) {
            Ok(toml) => Ok(Self { root: root.to_owned(), file: Some(file), text, toml }),
            Err(faults) => Err(faulty(&file, &text, &faults)),
        }
    }

    /// A project without a file of its own: the defaults are written out and read like one.
    fn of(root: &Path, text: String) -> Result<Self, WorkshopError> {
        match DnaToml::parse(&text) {
            Ok(toml) => Ok(Self { root: root.to_owned(), file: None, text, toml }),
            Err(faults) => Err(faulty(&root.join(DNA_TOML), &text, &faults)),
        }
    }

    /// The project's folder. For a bare component the folder it lies in.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The `dna.toml`, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The text of `dna.toml`; without one, the defaults as they would stand there.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    #[must_use]
    pub fn toml(&self) -> &DnaToml {
        &self.toml
    }

    /// A fault in `dna.toml` that was found after it was parsed, shown with its line.
    #[must_use]
    pub fn fault(&self, fault: SourceError) -> WorkshopError {
        let file = self.file.clone().unwrap_or_else(|| self.root.join(DNA_TOML));
        faulty(&file, &self.text, &fault.into())
    }

    /// The role of a gene, now that its exports, by name, tell one.
    ///
    /// # Errors
    /// Kind `Manifest` where `dna.toml` says another, or does not say what the role needs.
    pub fn role(&self, name: &GeneName, exported: (Role, &[String])) -> Result<Role, WorkshopError> {
        let (role, exports) = exported;
        let misfit = |gene: &GeneSource| gene.misfit(role).or_else(|| gene.unmet_duty(exports));
        match self.toml.gene(name.as_str()).and_then(misfit) {
            Some(fault) => Err(self.fault(fault)),
            None => Ok(role),
        }
    }

    /// Put the genes together to an unsigned DNA.
    ///
    /// Without a `dna.toml`, several drones are mounted at `/NAME/...` each.
    ///
    /// # Errors
    /// As [`DnaToml::assemble`].
    pub fn assemble(&self, parts: Vec<GeneParts>, descent: Descent) -> Result<Draft, DnaError> {
        let drones: Vec<&GeneName> =
            parts.iter().filter(|p| p.role == Role::Drone).map(|p| &p.name).collect();
        if self.file.is_some() || drones.len() < 2 {
            return self.toml.assemble(parts, descent);
        }
        let mut toml = self.toml.clone();
        for gene in toml.genes.iter_mut().filter(|gene| drones.contains(&&gene.name)) {
            gene.routes = format!("/{}/...", gene.name).parse::<Route>().ok().map(|route| vec![route]);
        }
        toml.assemble(parts, descent)
    }
}

fn cannot_use(file: &Path) -> String {
    format!("cannot use `{}`", file.display())
}

fn missing(path: &Path, error: &std::io::Error) -> WorkshopError {
    let error = WorkshopError::read(path, error);
    match path.exists() {
        true => error,
        false => error.help("`cyte new NAME` makes a project"),
    }
}

fn faulty(file: &Path, text: &str, faults: &SourceErrors) -> WorkshopError {
    let name = file.display().to_string();
    WorkshopError::new(Kind::Manifest, cannot_use(file), faults.render(&name, text).trim_end())
}
