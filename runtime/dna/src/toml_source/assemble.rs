//! From `dna.toml` and what was built to an unsigned bundle.

use std::collections::BTreeMap;

use super::{DnaToml, FileEntry, GeneSource};
use crate::manifest::ManifestError;
use crate::{
    Blob, Digest, DnaError, Draft, FileGrant, FileSource, Folder, Gene, GeneName, Germline, Grants, Lineage,
    Manifest, Policy, Revoked, Role, RosterEntry, Route,
};

/// What was built for one gene.
#[derive(Debug)]
pub struct GeneParts {
    /// Which gene.
    pub name: GeneName,
    /// The role that its exports make it.
    pub role: Role,
    /// The component.
    pub component: Vec<u8>,
    /// The folders of its read-only `files`, by their `from`.
    pub folders: BTreeMap<String, Folder>,
    /// The static files, where its `source` is a folder of them; granted read-only at `/site`.
    pub site: Option<Folder>,
}

/// What a new manifest takes from the one before, and what its maker decides.
#[derive(Debug, Clone)]
pub struct Descent {
    /// The new version.
    pub version: u64,
    /// What it descends from.
    pub lineage: Lineage,
    /// The germline that it carries.
    pub germline: Germline,
    /// Unix seconds; 0 = no bound.
    pub not_before: u64,
    /// Unix seconds; `None` = never.
    pub expires: Option<u64>,
    /// How the organism lives.
    pub policy: Policy,
    /// Its hosts.
    pub roster: Vec<RosterEntry>,
    /// What is taken back.
    pub revoked: Revoked,
    /// The lowest version to which a host may return.
    pub floor: u64,
}

impl Descent {
    /// The first DNA of an organism, version 1.
    #[must_use]
    pub fn first(germline: Germline) -> Self {
        Descent {
            version: 1,
            lineage: Lineage { parent: None, germline: germline.digest() },
            germline,
            not_before: 0,
            expires: None,
            policy: Policy::default(),
            roster: Vec::new(),
            revoked: Revoked::default(),
            floor: 0,
        }
    }

    /// The DNA after `old`: the next version under the germline that `old` carries, with its
    /// policy, roster, revocations and floor; no times.
    #[must_use]
    pub fn after(old: &Manifest, digest: Digest) -> Self {
        Descent {
            version: old.version.saturating_add(1),
            lineage: Lineage { parent: Some(digest), germline: old.germline.digest() },
            germline: old.germline.clone(),
            not_before: 0,
            expires: None,
            policy: old.policy,
            roster: old.roster.clone(),
            revoked: old.revoked.clone(),
            floor: old.floor,
        }
    }
}

impl DnaToml {
    /// Put manifest and blobs together. A gene that is its organism's only drone and leaves
    /// `route` out takes every request; other genes that do have no routes.
    ///
    /// # Errors
    /// Where a gene has no parts, or the manifest breaks a rule.
    pub fn assemble(&self, parts: Vec<GeneParts>, descent: Descent) -> Result<Draft, DnaError> {
        let drones = parts.iter().filter(|parts| parts.role == Role::Drone).count();
        let mut parts: BTreeMap<GeneName, GeneParts> =
            parts.into_iter().map(|parts| (parts.name.clone(), parts)).collect();
        let mut blobs = BTreeMap::new();
        let mut genes = Vec::with_capacity(self.genes.len());
        for source in &self.genes {
            let parts =
                parts.remove(&source.name).ok_or_else(|| no_parts(&source.name, "it was not built"))?;
            genes.push(source.express_as(parts, drones == 1, &mut blobs)?);
        }
        genes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Draft::new(self.manifest(genes, descent), blobs)
    }

    fn manifest(&self, genes: Vec<Gene>, descent: Descent) -> Manifest {
        Manifest {
            organism: self.organism.clone(),
            version: descent.version,
            label: self.label.clone(),
            not_before: descent.not_before,
            expires: descent.expires,
            lineage: descent.lineage,
            germline: descent.germline,
            genes,
            policy: self.policy.over(descent.policy),
            roster: descent.roster,
            revoked: descent.revoked,
            floor: descent.floor,
        }
    }
}

fn no_parts(gene: &GeneName, reason: &'static str) -> DnaError {
    ManifestError::Invalid { what: "parts", gene: Some(gene.clone()), reason }.into()
}

type Blobs = BTreeMap<Digest, Vec<u8>>;

fn keep(blobs: &mut Blobs, bytes: Vec<u8>) -> Blob {
    let blob = Blob::of(&bytes);
    blobs.insert(blob.sha256, bytes);
    blob
}

impl GeneSource {
    fn express_as(&self, parts: GeneParts, only_drone: bool, blobs: &mut Blobs) -> Result<Gene, DnaError> {
        let mut gene = Gene::new(self.name.clone(), parts.role, keep(blobs, parts.component));
        gene.neuron = self.neuron;
        gene.policy.clone_from(&self.policy);
        gene.weight = self.weight;
        gene.version.clone_from(&self.version);
        gene.labels.clone_from(&self.labels);
        gene.routes = match &self.routes {
            Some(routes) => routes.clone(),
            None if only_drone && parts.role == Role::Drone => vec![Route::everything()],
            None => Vec::new(),
        };
        gene.background.clone_from(&self.background);
        gene.grants = Grants {
            outbound: self.outbound.clone(),
            files: self.file_grants(parts.folders, parts.site, blobs)?,
            config: self.config.clone(),
            secrets: self.secrets.clone(),
            environment: self.environment.clone(),
            may: self.may.clone(),
            signal: self.signal.clone(),
        };
        gene.limits = self.limits;
        gene.express = self.express;
        gene.reuse = self.reuse;
        gene.concurrency = self.concurrency;
        Ok(gene)
    }

    fn file_grants(
        &self,
        folders: BTreeMap<String, Folder>,
        site: Option<Folder>,
        blobs: &mut Blobs,
    ) -> Result<Vec<FileGrant>, DnaError> {
        let mut grants = Vec::new();
        for FileEntry { from, to, write, .. } in &self.files {
            let source = if *write {
                FileSource::Local(from.clone())
            } else {
                let folder = folders.get(from);
                let folder =
                    folder.ok_or_else(|| no_parts(&self.name, "a folder of `files` was not packed"))?;
                FileSource::Packed(keep(blobs, folder.as_bytes().to_vec()))
            };
            grants.push(FileGrant { to: to.clone(), write: *write, source });
        }
        if let Some(site) = site {
            let source = FileSource::Packed(keep(blobs, site.into_bytes()));
            grants.push(FileGrant { to: "/site".into(), write: false, source });
        }
        grants.sort_by(|a, b| a.to.cmp(&b.to));
        Ok(grants)
    }
}
