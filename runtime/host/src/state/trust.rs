//! Whom a state folder trusts, and what follows from it: the only door for DNA into a host.
//!
//! The judging is `cyte_dna`'s. Here it meets what was stored: a folder that trusts nobody needs a
//! germline file or a person's yes; a folder that trusts someone refuses everything else. What is
//! learned is durable before the DNA is handed out, so nothing can be grown that could be forgotten.

use std::collections::BTreeMap;

use cyte_dna::{
    Digest, Dna, DnaBytes, DnaError, Germline, Introduction, Known, OrganismName, Purpose, SigningKey,
};

use super::{StateFolder, atomic, broken, bundles, clock, head_error};
use crate::codes::Code;
use crate::error::CliError;

/// What is said to a folder that trusts nobody yet.
pub enum FirstTrust<'a> {
    /// This germline, from a file that its owner handed over.
    Germline(Germline),
    /// Yes to whatever germline the bundle carries.
    Yes,
    /// Ask a person, who sees the introduction.
    Ask(&'a dyn Fn(&Introduction) -> bool),
    /// Nobody can be asked.
    Nobody,
}

impl std::fmt::Debug for FirstTrust<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Germline(_) => "Germline",
            Self::Yes => "Yes",
            Self::Ask(_) => "Ask",
            Self::Nobody => "Nobody",
        })
    }
}

/// DNA that may live here, with its blobs by digest.
#[derive(Debug)]
pub struct Admitted {
    /// The verified DNA.
    pub dna: Dna,
    /// Its blobs, each checked against its digest.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

/// Judges bundle `bytes`, called `name`, against what `state` knows; keeps what follows from it.
/// With [`Purpose::Return`] it is one that was accepted here before; the highest version stays
/// remembered, and the next new one must still be above it.
///
/// # Errors
/// Exit status 4 when a signature or a policy refuses it, [`Code::Bundle`] when it is damaged,
/// [`Code::State`] when what is learned cannot be kept. The folder is then as before.
pub fn admit(
    state: &StateFolder,
    name: &str,
    bytes: &[u8],
    trust: &FirstTrust<'_>,
    purpose: Purpose,
) -> Result<Admitted, CliError> {
    let refuse = |error: DnaError| dna_error(name, &error);
    let envelope = DnaBytes::read(bytes).map_err(refuse)?;
    let mut known = match state.head().known().map_err(|error| head_error(state.path(), &error))? {
        Some(known) => same_germline(name, known, trust)?,
        None => Known::first(first_germline(name, &envelope, trust)?),
    };
    let clock = clock::judging();
    let verified = envelope.verify(&known, clock, purpose);
    let (dna, mut left) = verified.map_err(|error| refusal(name, &error, &known))?;
    let blobs = left.read_all().map_err(refuse)?;
    left.demand_all(&dna, |_| false).map_err(refuse)?;
    known.accept(&dna, clock);
    keep(state, &dna, bytes, &known)?;
    Ok(Admitted { dna, blobs })
}

/// The bundle first, then what names it: a crash between the two leaves a spare file, never a
/// name without one.
fn keep(state: &StateFolder, dna: &Dna, bytes: &[u8], known: &Known) -> Result<(), CliError> {
    bundles::keep(state, dna.manifest().version, &dna.digest(), bytes)?;
    let before = state.head().known().map_err(|error| head_error(state.path(), &error))?;
    if before.as_ref() != Some(known) {
        state.head().set_known(known).map_err(|error| head_error(state.path(), &error))?;
    }
    write_germline(state, &known.germline)
}

/// The germline as text, for people and for other hosts. The head is what counts.
fn write_germline(state: &StateFolder, germline: &Germline) -> Result<(), CliError> {
    let text = germline.to_text();
    let written = atomic::read_capped(state.dir(), "germline", 64 * 1024);
    if written.is_ok_and(|old| old.as_deref() == Some(text.as_bytes())) {
        return Ok(());
    }
    atomic::write_atomic(state.dir(), "germline", text.as_bytes(), 0o600)
        .map_err(|error| broken(state.path(), &error))
}

/// A germline that is given again must be the one that is trusted already: trust is not changed
/// from the command line.
fn same_germline(name: &str, known: Known, trust: &FirstTrust<'_>) -> Result<Known, CliError> {
    match trust {
        FirstTrust::Germline(given) if *given != known.germline => {
            let why = format!(
                "this state folder trusts germline {} of `{}` already, `--germline` names {}",
                known.germline.digest().short(),
                known.germline.organism(),
                given.digest().short()
            );
            Err(CliError::new(Code::Refused, format!("cannot run `{name}`"), why)
                .help("use another state folder: --state DIR"))
        }
        _ => Ok(known),
    }
}

fn first_germline(
    name: &str,
    envelope: &DnaBytes<&[u8]>,
    trust: &FirstTrust<'_>,
) -> Result<Germline, CliError> {
    if let FirstTrust::Germline(given) = trust {
        return Ok(given.clone());
    }
    let introduction = envelope.introduce().map_err(|error| dna_error(name, &error))?;
    let is_trusted = match trust {
        FirstTrust::Yes => true,
        FirstTrust::Ask(ask) => ask(&introduction),
        FirstTrust::Germline(_) | FirstTrust::Nobody => false,
    };
    if is_trusted {
        return Ok(introduction.germline);
    }
    let why = format!("this state folder trusts nobody yet.\n{}", describe(&introduction));
    Err(CliError::new(Code::FirstTrust, format!("cannot run `{name}`"), why)
        .help(format!("cyte run {name} --germline FILE, or --yes if you know the key id")))
}

/// Who a bundle says it is, for a person to decide.
pub fn describe(introduction: &Introduction) -> String {
    let germline = &introduction.germline;
    let keys: Vec<String> = germline.keys().iter().map(|key| key.id().to_string()).collect();
    let signers: Vec<String> = introduction.signers.iter().map(ToString::to_string).collect();
    format!(
        "organism   {} {} (version {})\ngermline   {} of {} keys: {}\nsigned by  {}",
        introduction.organism,
        introduction.label,
        introduction.version,
        germline.threshold(),
        germline.keys().len(),
        keys.join(", "),
        signers.join(", ")
    )
}

/// The key under which folders and bare components run on this host.
///
/// # Errors
/// [`Code::State`] when the host key gives none; does not happen.
pub fn development_key(state: &StateFolder) -> Result<SigningKey, CliError> {
    state.host_key().development().map_err(|error| dna_error("host.key", &error))
}

/// What is known to a folder that develops `organism`: its own history where it has one, else a
/// new one under its development key. A folder that trusts somebody else's germline says so when
/// the DNA is judged.
///
/// # Errors
/// [`Code::State`] when the head cannot be read or written.
pub fn begin_development(
    state: &StateFolder,
    organism: &OrganismName,
    key: &SigningKey,
) -> Result<Known, CliError> {
    let failed = |error| head_error(state.path(), &error);
    let ours = Germline::single(organism.clone(), key.public());
    let known = match state.head().known().map_err(failed)? {
        Some(known) if is_development(&known.germline, key) && known.germline != ours => {
            // The folder developed something else before. Its own key vouches for both, and time
            // does not run backwards.
            Known { time_floor: known.time_floor, ..Known::first(ours) }
        }
        Some(known) => return Ok(known),
        None => Known::first(ours),
    };
    state.head().set_known(&known).map_err(failed)?;
    Ok(known)
}

fn is_development(germline: &Germline, key: &SigningKey) -> bool {
    germline.keys() == [key.public()]
}

/// A DNA error as a person reads it. `name` is the file it came from.
pub fn dna_error(name: &str, error: &DnaError) -> CliError {
    let code = dna_code(error);
    let verb = if error.is_refusal() { "cannot accept" } else { "cannot read" };
    let mut made = CliError::new(code, format!("{verb} `{name}`"), error.to_string());
    made.help = error.help().map(str::to_owned);
    made
}

/// [`dna_error`], with the way back where the DNA is one that was accepted here before.
fn refusal(name: &str, error: &DnaError, known: &Known) -> CliError {
    let made = dna_error(name, error);
    match error {
        DnaError::Rollback { offered, .. } if known.accepted.iter().any(|old| old.version == *offered) => {
            made.help(format!("cyte run {name} --return, to go back to it on purpose"))
        }
        _ => made,
    }
}

fn dna_code(error: &DnaError) -> Code {
    match error {
        DnaError::Rollback { .. }
        | DnaError::SameVersion { .. }
        | DnaError::NeverAccepted { .. }
        | DnaError::BelowFloor { .. } => Code::Rollback,
        DnaError::Expired { .. } | DnaError::NotYetValid { .. } => Code::Expired,
        DnaError::LineageBreak { .. } => Code::Lineage,
        DnaError::RevokedGene { .. } => Code::Revoked,
        DnaError::Read(_) => Code::Missing,
        refusal if refusal.is_refusal() => Code::Refused,
        _ => Code::Bundle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{Scratch, scratch};
    use cyte_dna::{Blob, Draft, Gene, Lineage, Manifest, Policy, Revoked, Role, Standing};

    fn key(n: u8) -> SigningKey {
        SigningKey::generate(std::array::from_fn(|i| n.wrapping_add(i as u8))).unwrap()
    }

    fn germline(keys: &[&SigningKey], threshold: u32) -> Germline {
        let keys = keys.iter().map(|key| key.public()).collect();
        Germline::new("shop".parse().unwrap(), keys, threshold).unwrap()
    }

    fn manifest(version: u64, parent: Option<Digest>, germline: &Germline) -> Manifest {
        let component = Blob::of(b"component");
        let mut gene = Gene::new("front".parse().unwrap(), Role::Drone, component);
        gene.routes = vec!["/...".parse().unwrap()];
        Manifest {
            organism: "shop".parse().unwrap(),
            version,
            label: format!("0.{version}.0"),
            not_before: 0,
            expires: None,
            lineage: Lineage { parent, germline: germline.digest() },
            germline: germline.clone(),
            genes: vec![gene],
            policy: Policy::default(),
            roster: Vec::new(),
            revoked: Revoked::default(),
            floor: 0,
        }
    }

    fn bundle(manifest: Manifest, keys: &[&SigningKey]) -> (Digest, Vec<u8>) {
        let blobs = BTreeMap::from([(Digest::of(b"component"), b"component".to_vec())]);
        let draft = Draft::new(manifest, blobs).unwrap();
        (draft.digest(), draft.sign_all(keys.iter().copied()).unwrap())
    }

    /// A state folder that goes with its test.
    struct Own {
        state: StateFolder,
        _at: Scratch,
    }

    impl std::ops::Deref for Own {
        type Target = StateFolder;

        fn deref(&self) -> &StateFolder {
            &self.state
        }
    }

    fn state(name: &str) -> Own {
        let (path, _) = scratch(name);
        Own { state: StateFolder::open(&path).unwrap(), _at: path }
    }

    fn admit(
        state: &StateFolder,
        name: &str,
        bytes: &[u8],
        trust: &FirstTrust<'_>,
    ) -> Result<Admitted, CliError> {
        super::admit(state, name, bytes, trust, Purpose::Deploy)
    }

    #[test]
    fn an_empty_folder_needs_a_word_and_keeps_it() {
        let (state, owner, stranger) = (state("first"), key(1), key(100));
        let ours = germline(&[&owner], 1);
        let (first, bytes) = bundle(manifest(1, None, &ours), &[&owner]);
        let error = admit(&state, "x.dna", &bytes, &FirstTrust::Nobody).unwrap_err();
        assert_eq!((error.code, error.exit), (Code::FirstTrust, 4));
        assert!(error.why.contains(&owner.id().to_string()), "{}", error.why);
        let no = admit(&state, "x.dna", &bytes, &FirstTrust::Ask(&|_| false)).unwrap_err();
        assert_eq!(no.code, Code::FirstTrust);
        assert!(state.head().known().unwrap().is_none(), "nothing was kept");

        admit(&state, "x.dna", &bytes, &FirstTrust::Yes).unwrap();
        let written = state.dir().read_to_string("germline").unwrap();
        assert_eq!(Germline::from_text(&written).unwrap(), ours);
        assert!(bundles::current(&state).unwrap().is_some());

        let theirs = germline(&[&stranger], 1);
        let (_, forged) = bundle(manifest(2, Some(first), &theirs), &[&stranger]);
        let error = admit(&state, "y.dna", &forged, &FirstTrust::Yes).unwrap_err();
        assert_eq!((error.code, error.exit), (Code::Refused, 4), "yes counts for the first only");
        let error = admit(&state, "x.dna", &bytes, &FirstTrust::Germline(theirs)).unwrap_err();
        assert_eq!(error.exit, 4, "a given germline does not replace the kept one");
    }

    #[test]
    fn a_germline_file_decides_without_a_question() {
        let (state, owner, other) = (state("file"), key(1), key(100));
        let two = germline(&[&owner, &other], 2);
        let (_, one_signed) = bundle(manifest(1, None, &two), &[&owner]);
        let given = || FirstTrust::Germline(two.clone());
        assert_eq!(admit(&state, "x.dna", &one_signed, &given()).unwrap_err().exit, 4);
        let (_, both) = bundle(manifest(1, None, &two), &[&owner, &other]);
        assert_eq!(admit(&state, "x.dna", &both, &given()).unwrap().dna.standing(), Standing::First);
    }

    #[test]
    fn an_older_version_is_refused_after_a_restart_too() {
        let (path, _) = scratch("rollback");
        let owner = key(1);
        let ours = germline(&[&owner], 1);
        let (first, old) = bundle(manifest(1, None, &ours), &[&owner]);
        let (_, new) = bundle(manifest(2, Some(first), &ours), &[&owner]);
        {
            let state = StateFolder::open(&path).unwrap();
            admit(&state, "old.dna", &old, &FirstTrust::Yes).unwrap();
            admit(&state, "new.dna", &new, &FirstTrust::Nobody).unwrap();
        }
        let state = StateFolder::open(&path).unwrap();
        let error = admit(&state, "old.dna", &old, &FirstTrust::Nobody).unwrap_err();
        assert_eq!((error.code, error.exit), (Code::Rollback, 4));
        let again = admit(&state, "new.dna", &new, &FirstTrust::Nobody).unwrap();
        assert_eq!(again.dna.standing(), Standing::InForce);
    }

    #[test]
    fn going_back_needs_the_word_and_the_highest_version_stays_remembered() {
        let (state, owner) = (state("return"), key(1));
        let ours = germline(&[&owner], 1);
        let (first, old) = bundle(manifest(1, None, &ours), &[&owner]);
        let back = |bytes: &[u8]| {
            super::admit(&state, "old.dna", bytes, &FirstTrust::Yes, Purpose::Return)
                .map(|admitted| admitted.dna.standing())
        };
        assert_eq!(back(&old).unwrap_err().code, Code::Rollback, "nothing was accepted here yet");
        admit(&state, "old.dna", &old, &FirstTrust::Yes).unwrap();
        let (second, new) = bundle(manifest(2, Some(first), &ours), &[&owner]);
        admit(&state, "new.dna", &new, &FirstTrust::Nobody).unwrap();
        let help = admit(&state, "old.dna", &old, &FirstTrust::Nobody).unwrap_err().help;
        assert_eq!(help.unwrap(), "cyte run old.dna --return, to go back to it on purpose");

        assert_eq!(back(&old).unwrap(), Standing::Returned);
        let in_force = std::fs::read(bundles::current(&state).unwrap().unwrap()).unwrap();
        assert_eq!(in_force, old);
        let again = admit(&state, "old.dna", &old, &FirstTrust::Nobody).unwrap();
        assert_eq!(again.dna.standing(), Standing::InForce, "it stays in force over a restart");
        assert_eq!(state.head().known().unwrap().unwrap().highest.unwrap().version, 2);
        let (_, fork) = bundle(manifest(2, Some(first), &germline(&[&owner], 1)), &[&owner]);
        assert!(admit(&state, "new.dna", &fork, &FirstTrust::Nobody).is_ok(), "the newest is welcome again");

        let mut third = manifest(3, Some(second), &ours);
        third.floor = 2;
        admit(&state, "third.dna", &bundle(third, &[&owner]).1, &FirstTrust::Nobody).unwrap();
        assert_eq!(back(&old).unwrap_err().exit, 4, "below the floor of the newest");
        let mut never = manifest(2, Some(first), &ours);
        never.label = "another".into();
        assert_eq!(back(&bundle(never, &[&owner]).1).unwrap_err().exit, 4, "never accepted here");
    }

    #[test]
    fn damage_is_told_from_refusal_and_leaves_no_trace() {
        let (state, owner) = (state("damage"), key(1));
        let ours = germline(&[&owner], 1);
        let (_, bytes) = bundle(manifest(1, None, &ours), &[&owner]);
        let error = admit(&state, "x.dna", &bytes[..bytes.len() - 1], &FirstTrust::Yes).unwrap_err();
        assert_eq!((error.code, error.exit), (Code::Bundle, 1));
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let error = admit(&state, "x.dna", &flipped, &FirstTrust::Yes).unwrap_err();
        assert_eq!(error.exit, 4, "a changed blob was not signed");
        assert!(state.head().known().unwrap().is_none());
    }

    #[test]
    fn development_has_a_key_of_its_own_and_no_other_germline_takes_it() {
        let state = state("dev");
        let dev = development_key(&state).unwrap();
        let shop: OrganismName = "shop".parse().unwrap();
        begin_development(&state, &shop, &dev).unwrap();
        let ours = Germline::single(shop.clone(), dev.public());
        let (_, bytes) = bundle(manifest(1, None, &ours), &[&dev]);
        admit(&state, "dir", &bytes, &FirstTrust::Nobody).unwrap();
        let known = begin_development(&state, &shop, &dev).unwrap();
        assert_eq!(known.highest.unwrap().version, 1, "its history goes on");
        let other = begin_development(&state, &"other".parse().unwrap(), &dev).unwrap();
        assert!(other.highest.is_none(), "another organism begins anew");

        let owned = super::tests::state("owned");
        let owner = key(1);
        let (_, owners) = bundle(manifest(1, None, &germline(&[&owner], 1)), &[&owner]);
        admit(&owned, "x.dna", &owners, &FirstTrust::Yes).unwrap();
        begin_development(&owned, &shop, &dev).unwrap();
        let (_, ours) = bundle(manifest(2, None, &Germline::single(shop, dev.public())), &[&dev]);
        assert_eq!(admit(&owned, "dir", &ours, &FirstTrust::Yes).unwrap_err().exit, 4);
    }
}
