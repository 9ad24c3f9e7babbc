//! Small organisms for tests.

use std::collections::BTreeMap;

use crate::{
    Blob, Clock, Descent, Digest, Draft, Gene, Germline, Known, Manifest, OrganismName, Role, SigningKey,
};

/// A time at which everything below is valid.
pub(crate) const NOW: Clock = Clock { unix_s: 1_000_000, synchronised: true };

pub(crate) fn key(n: u8) -> SigningKey {
    let mut random = [n; 32];
    random[0] = !n;
    SigningKey::generate(random).unwrap()
}

pub(crate) fn shop() -> OrganismName {
    "shop".parse().unwrap()
}

/// The germline of these keys.
pub(crate) fn germline(keys: &[u8], threshold: u32) -> Germline {
    let keys = keys.iter().map(|n| key(*n).public()).collect();
    Germline::new(shop(), keys, threshold).unwrap()
}

pub(crate) const COMPONENT: &[u8] = b"\0asm, as far as this crate knows";

/// One drone that takes everything.
pub(crate) fn manifest(descent: Descent) -> Manifest {
    let mut gene = Gene::new("front".parse().unwrap(), Role::Drone, Blob::of(COMPONENT));
    gene.routes = vec!["/...".parse().unwrap()];
    Manifest {
        organism: descent.germline.organism().clone(),
        version: descent.version,
        label: "0.1.0".into(),
        not_before: descent.not_before,
        expires: descent.expires,
        lineage: descent.lineage,
        germline: descent.germline,
        genes: vec![gene],
        policy: descent.policy,
        roster: descent.roster,
        revoked: descent.revoked,
        floor: descent.floor,
    }
}

pub(crate) fn draft(manifest: Manifest) -> Draft {
    Draft::new(manifest, BTreeMap::from([(Digest::of(COMPONENT), COMPONENT.to_vec())])).unwrap()
}

/// A bundle signed with these keys.
pub(crate) fn bundle(manifest: Manifest, keys: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|n| key(*n)).collect();
    draft(manifest).sign_all(&keys).unwrap()
}

/// A host that trusts key 1 alone.
pub(crate) fn host() -> Known {
    Known::first(germline(&[1], 1))
}
