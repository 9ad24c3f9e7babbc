//! What `run` does with a folder or a bare component: packed and signed with the development key of
//! the state folder, by the same rules as every other DNA.
//!
//! Unchanged genes give the same bundle again, so that running a project twice writes nothing.

use std::collections::BTreeMap;

use cyte_dna::{Descent, Digest, Draft, Germline, Known, Lineage, Manifest, OrganismName, SigningKey};

use super::files;
use super::project::Made;
use crate::codes::Code;
use crate::error::CliError;
use crate::state::trust::{begin_development, development_key, dna_error};
use crate::state::{StateFolder, bundles};
use crate::workshop::Project;

/// A state folder that develops one organism.
pub(super) struct Development {
    name: String,
    key: SigningKey,
    known: Known,
}

impl Development {
    /// Begins or goes on to develop `project` on `state`.
    ///
    /// # Errors
    /// [`Code::Refused`] when the folder trusts somebody's germline, which never accepts its
    /// development key; [`Code::State`] when the head cannot be read or written.
    pub(super) fn begin(state: &StateFolder, project: &Project) -> Result<Self, CliError> {
        let key = development_key(state)?;
        let organism = project.toml().organism.clone();
        let name = project.root().display().to_string();
        let known = begin_development(state, &organism, &key)?;
        if known.germline != Germline::single(organism, key.public()) {
            return Err(foreign(&name, &known));
        }
        Ok(Self { name, key, known })
    }

    /// Whom every host that is developed here trusts.
    pub(super) fn germline(&self) -> Germline {
        self.known.germline.clone()
    }

    /// The signed bundle of `made`.
    ///
    /// # Errors
    /// What packing says.
    pub(super) fn bundle(&self, state: &StateFolder, made: Made) -> Result<Vec<u8>, CliError> {
        let before = in_force(state, &self.known)?;
        let descent = same_as(before.as_ref().map(|(manifest, _)| manifest), &self.known.germline);
        let draft = made.assemble(descent)?;
        if let Some((manifest, bytes)) = before
            && manifest == *draft.manifest()
        {
            return Ok(bytes);
        }
        let signed = next(&draft, &self.known)?.sign_all([&self.key]);
        signed.map_err(|error| dna_error(&self.name, &error))
    }
}

fn foreign(name: &str, known: &Known) -> CliError {
    let organism: &OrganismName = known.germline.organism();
    let why = format!(
        "the state folder trusts germline {} of `{organism}`; folders and bare components run under\n\
         a development key, which no other germline accepts",
        known.germline.digest().short()
    );
    CliError::new(Code::Refused, format!("cannot run `{name}`"), why)
        .help(format!("cyte run {name} --state DIR, with a folder of its own; or pack and sign it"))
}

/// The manifest in force with its bundle, if it is here and the one that is known.
fn in_force(state: &StateFolder, known: &Known) -> Result<Option<(Manifest, Vec<u8>)>, CliError> {
    let Some(path) = bundles::current(state)? else { return Ok(None) };
    let Ok(bytes) = files::read(&path, files::BUNDLE_MAX) else { return Ok(None) };
    // A damaged file is no reason to stop: a new one is made and takes its place.
    let Ok(draft) = Draft::from_bytes(&bytes) else { return Ok(None) };
    let is_known = known.highest.is_some_and(|highest| highest.digest == draft.digest());
    Ok(is_known.then(|| (draft.manifest().clone(), bytes)))
}

/// What the manifest would be if nothing had changed.
fn same_as(before: Option<&Manifest>, ours: &Germline) -> Descent {
    let first = Descent::first(ours.clone());
    match before {
        Some(before) => Descent { version: before.version, lineage: before.lineage, ..first },
        None => first,
    }
}

/// The draft as the next version of what is known.
fn next(draft: &Draft, known: &Known) -> Result<Draft, CliError> {
    let mut manifest = draft.manifest().clone();
    if let Some(highest) = known.highest {
        manifest.version = highest.version.saturating_add(1);
        manifest.lineage = Lineage { parent: Some(highest.digest), germline: known.germline.digest() };
    }
    let blobs: BTreeMap<Digest, Vec<u8>> = manifest
        .blobs()
        .iter()
        .filter_map(|blob| Some((blob.sha256, draft.blob(&blob.sha256)?.to_vec())))
        .collect();
    Draft::new(manifest, blobs).map_err(|error| dna_error("the project", &error))
}
