//! What a host knows about its organism, and what follows from it for DNA that is offered.
//!
//! Pure: the host stores [`Known`] durably and hands it in with the time; [`Known::accept`] says
//! what to store afterwards.

use serde::{Deserialize, Serialize};

use super::Dna;
use crate::limits::REMEMBERED_DNA;
use crate::{Digest, DnaError, Gene, Germline, KeyId, Manifest, PublicKey, Revoked};

/// The time, and whether the kernel vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Wall clock, unix seconds.
    pub unix_s: u64,
    /// Whether the kernel says that it is synchronised. If not, it may have been lost: then a
    /// `not_before` in its future is not held against DNA, and the time floor ignores it.
    pub synchronised: bool,
}

/// Why DNA is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run it: newer than what the host has, or the very DNA in force.
    Deploy,
    /// To go back to it, at an operator's word.
    Return,
}

/// Why DNA was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The first of its organism on this host.
    First,
    /// A newer version.
    Newer,
    /// The DNA in force, grown again.
    InForce,
    /// Accepted here once, and now again.
    Returned,
}

/// A manifest that this host once accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
}

/// What a host stores about its organism.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The germline that it trusts.
    pub germline: Germline,
    /// Germlines before this one, newest last; they vouch only for what was accepted under them.
    pub former: Vec<Germline>,
    /// The highest version ever accepted.
    pub highest: Option<Accepted>,
    /// The DNA in force.
    pub current: Option<Digest>,
    /// What was accepted, oldest first, at most 64.
    pub accepted: Vec<Accepted>,
    /// `floor` of the newest manifest.
    pub floor: u64,
    /// What the newest manifest revokes.
    pub revoked: Revoked,
    /// It is at least this late, unix seconds.
    pub time_floor: u64,
}

impl Known {
    /// A host that trusts this germline and has seen nothing yet.
    #[must_use]
    pub fn first(germline: Germline) -> Self {
        Known {
            germline,
            former: Vec::new(),
            highest: None,
            current: None,
            accepted: Vec::new(),
            floor: 0,
            revoked: Revoked::default(),
            time_floor: 0,
        }
    }

    /// Take note of DNA that is now in force. Store the result before anything of it runs.
    pub fn accept(&mut self, dna: &Dna, clock: Clock) {
        let manifest = &dna.manifest;
        let this = Accepted { version: manifest.version, digest: dna.digest };
        self.time_floor = self.time_floor.max(manifest.not_before);
        if clock.synchronised {
            self.time_floor = self.time_floor.max(clock.unix_s);
        }
        self.current = Some(dna.digest);
        if self.highest.is_some_and(|highest| highest.version >= this.version) {
            return;
        }
        self.highest = Some(this);
        push_bounded(&mut self.accepted, this);
        self.floor = manifest.floor;
        self.revoked = manifest.revoked.clone();
        if self.germline != manifest.germline {
            let former = std::mem::replace(&mut self.germline, manifest.germline.clone());
            push_bounded(&mut self.former, former);
        }
    }

    /// Enough signatures of the germline; of a former one for what was accepted before.
    pub(super) fn demand(&self, digest: &Digest, signers: &[PublicKey]) -> Result<(), DnaError> {
        let now = self.germline.demand(signers, &self.revoked.keys);
        let mut former = self.former.iter();
        if now.is_err()
            && self.was_accepted(digest)
            && former.any(|germline| germline.demand(signers, &self.revoked.keys).is_ok())
        {
            return Ok(());
        }
        now
    }

    /// The keys that do not count for the germline that a manifest carries.
    pub(super) fn revoked_with(&self, manifest: &Manifest) -> Vec<KeyId> {
        [self.revoked.keys.as_slice(), manifest.revoked.keys.as_slice()].concat()
    }

    /// Rollback, lineage, time and revoked genes, for a manifest that is signed and canonical.
    pub(super) fn judge(
        &self,
        manifest: &Manifest,
        digest: &Digest,
        clock: Clock,
        purpose: Purpose,
    ) -> Result<Standing, DnaError> {
        if manifest.organism != *self.germline.organism() {
            let (found, expected) = (manifest.organism.clone(), self.germline.organism().clone());
            return Err(DnaError::OtherOrganism { found, expected });
        }
        let standing = self.standing(manifest, digest, purpose)?;
        if matches!(standing, Standing::First | Standing::Newer) {
            self.check_lineage(manifest)?;
            self.check_time(manifest, clock)?;
        }
        self.check_revoked_genes(manifest)?;
        Ok(standing)
    }

    fn was_accepted(&self, digest: &Digest) -> bool {
        self.current == Some(*digest) || self.accepted.iter().any(|old| old.digest == *digest)
    }

    fn standing(&self, manifest: &Manifest, digest: &Digest, purpose: Purpose) -> Result<Standing, DnaError> {
        let version = manifest.version;
        if self.current == Some(*digest) {
            return Ok(Standing::InForce);
        }
        let Some(highest) = self.highest else {
            return match purpose {
                Purpose::Deploy => Ok(Standing::First),
                Purpose::Return => Err(DnaError::NeverAccepted { version }),
            };
        };
        if highest.digest == *digest {
            return Ok(Standing::Returned);
        }
        if purpose == Purpose::Return {
            return self.may_return(version, digest);
        }
        match version.cmp(&highest.version) {
            std::cmp::Ordering::Greater => Ok(Standing::Newer),
            std::cmp::Ordering::Equal => Err(DnaError::SameVersion { version }),
            std::cmp::Ordering::Less => {
                Err(DnaError::Rollback { offered: version, highest: highest.version })
            }
        }
    }

    fn may_return(&self, version: u64, digest: &Digest) -> Result<Standing, DnaError> {
        if !self.was_accepted(digest) {
            return Err(DnaError::NeverAccepted { version });
        }
        if version < self.floor {
            return Err(DnaError::BelowFloor { version, floor: self.floor });
        }
        Ok(Standing::Returned)
    }

    fn check_lineage(&self, manifest: &Manifest) -> Result<(), DnaError> {
        let broken = |reason| Err(DnaError::LineageBreak { version: manifest.version, reason });
        let ours = self.germline.digest();
        let Some(highest) = self.highest else {
            // On an empty host either germline of a rotation may be the one that is trusted.
            return match manifest.lineage.germline == ours || manifest.germline == self.germline {
                true => Ok(()),
                false => broken("it was signed under another germline than the one trusted here"),
            };
        };
        if manifest.lineage.germline != ours {
            return broken("it was signed under another germline than the one trusted here");
        }
        let Some(parent) = manifest.lineage.parent else {
            return broken("it says that it is the first of its organism");
        };
        if parent == highest.digest {
            return Ok(());
        }
        if manifest.version == highest.version.saturating_add(1) {
            return broken("the DNA before it is another than the one seen here");
        }
        if self.was_accepted(&parent) {
            return broken("it descends from an older DNA than the newest seen here");
        }
        // Versions between were never offered here; what they were, its signers vouch for.
        Ok(())
    }

    fn check_time(&self, manifest: &Manifest, clock: Clock) -> Result<(), DnaError> {
        let now = self.time_floor.max(clock.unix_s);
        if let Some(expires) = manifest.expires
            && now >= expires
        {
            return Err(DnaError::Expired { expires, now });
        }
        let not_before = manifest.not_before;
        if clock.synchronised && now < not_before {
            return Err(DnaError::NotYetValid { not_before, now });
        }
        Ok(())
    }

    fn check_revoked_genes(&self, manifest: &Manifest) -> Result<(), DnaError> {
        let revoked = |gene: &&Gene| self.revoked.genes.contains(&gene.component.sha256);
        match manifest.genes.iter().find(revoked) {
            Some(gene) => Err(DnaError::RevokedGene { gene: gene.name.clone() }),
            None => Ok(()),
        }
    }
}

fn push_bounded<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= REMEMBERED_DNA {
        list.remove(0);
    }
    list.push(item);
}
