//! `cyte dna`: keys, germlines and bundles.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use cyte_dna::{
    Descent, Digest, DnaBytes, Draft, Germline, KeyId, Known, Manifest, OrganismName, PublicKey, Purpose,
    SigningKey, open,
};
use serde_json::{Value, json};

use super::table::{bytes as human, role_text, table};
use super::{Context, Done, Exit, files, project, span};
use crate::codes::Code;
use crate::error::CliError;
use crate::state::clock;
use crate::state::trust::dna_error;
use crate::workshop::Mode;

/// Make keys; pack, sign, verify and compare DNA bundles
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte dna keygen --out owner.key\n  cyte dna pack . --out shop.dna --key owner.key\n  cyte dna verify shop.dna --germline shop.germline"
)]
pub(super) struct Dna {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Keygen(Keygen),
    Germline(MakeGermline),
    Pack(Pack),
    Sign(Sign),
    Verify(Verify),
    Inspect(Inspect),
    Diff(Diff),
}

/// Make a signing key in a file of mode 0600
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte dna keygen --out owner.key")]
struct Keygen {
    /// The file to make; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Write down which keys may sign an organism's DNA, and how many must
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte dna germline --organism shop --key a.key --key ed25519:0b41.. --threshold 2 --out shop.germline"
)]
struct MakeGermline {
    /// Whose DNA they sign
    #[arg(long, value_name = "NAME")]
    organism: OrganismName,
    /// A public key (ed25519:...), or a key file
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u32,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Build a project and pack it into one bundle
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte dna pack . --out shop.dna --key owner.key\n  cyte dna pack . --after shop-1.dna --out shop-2.dna --key owner.key --expires 30d"
)]
struct Pack {
    /// The project: a folder, a dna.toml, or a component
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// The bundle to write
    #[arg(long, value_name = "X.dna")]
    out: PathBuf,
    /// The bundle that this one follows: its version + 1, its germline, its policy
    #[arg(long, value_name = "OLD.dna")]
    after: Option<PathBuf>,
    /// Sign with this key; may be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The germline that the bundle carries [default: that of --after, else all of --key]
    #[arg(long, value_name = "FILE")]
    germline: Option<PathBuf>,
    /// Not accepted any more from then on, counted from now (30d)
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    expires: Option<Duration>,
    /// Not accepted before then, counted from now (1h)
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    not_before: Option<Duration>,
    /// Take back a key, by its id; may be given several times
    #[arg(long, value_name = "KEY ID")]
    revoke_key: Vec<KeyId>,
    /// Take back a component, by its sha256; may be given several times
    #[arg(long, value_name = "SHA256")]
    revoke_gene: Vec<Digest>,
    /// The lowest version to which a host may return
    #[arg(long, value_name = "VERSION")]
    floor: Option<u64>,
}

/// Add signatures to a bundle
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte dna sign shop.dna --key second.key")]
struct Sign {
    /// The bundle
    #[arg(value_name = "X.dna")]
    bundle: PathBuf,
    /// The key; may be given several times
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Write here instead of in place
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Check a bundle: envelope, signatures, encoding, genes
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte dna verify shop.dna --germline shop.germline\n  cyte dna verify shop.dna"
)]
struct Verify {
    /// The bundle
    #[arg(value_name = "X.dna")]
    bundle: PathBuf,
    /// Whom to trust; without it only the bundle's own germline is checked, which proves nothing
    /// about who made it
    #[arg(long, value_name = "FILE")]
    germline: Option<PathBuf>,
}

/// Show what a bundle says: organism, keys, genes, grants
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte dna inspect shop.dna\n  cyte dna inspect shop.dna --output json")]
struct Inspect {
    /// The bundle
    #[arg(value_name = "X.dna")]
    bundle: PathBuf,
}

/// Show what differs between two bundles; exit status 3 if anything does
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte dna diff old.dna new.dna")]
struct Diff {
    /// The bundle before
    #[arg(value_name = "OLD.dna")]
    old: PathBuf,
    /// The bundle after
    #[arg(value_name = "NEW.dna")]
    new: PathBuf,
}

pub(super) fn run(verb: Dna, context: &Context) -> Done {
    match verb.verb {
        Verb::Keygen(verb) => keygen(&verb, context),
        Verb::Germline(verb) => germline(verb, context),
        Verb::Pack(verb) => pack(&verb, context),
        Verb::Sign(verb) => sign(&verb, context),
        Verb::Verify(verb) => verify(&verb, context),
        Verb::Inspect(verb) => inspect(&verb, context),
        Verb::Diff(verb) => diff(&verb, context),
    }
}

fn keygen(verb: &Keygen, context: &Context) -> Done {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Code::Machine, "cannot draw random bytes", error.to_string()))?;
    let key = SigningKey::generate(random).map_err(|error| failed("the new key", &error))?;
    files::write_new(&verb.out, key.to_text().as_bytes(), 0o600)?;
    let public = key.public();
    let value = json!({"v": 1, "key": key.id(), "public": public, "file": verb.out});
    context.answer(&value, "", |_| format!("key        {}\npublic     {public}\n", public.id()))?;
    context
        .note(&format!("the secret half is in {}; keep it, and never put it on a host", verb.out.display()));
    Ok(Exit::OK)
}

fn germline(verb: MakeGermline, context: &Context) -> Done {
    let keys = verb.keys.iter().map(|key| public_key(key)).collect::<Result<Vec<_>, _>>()?;
    let made =
        Germline::new(verb.organism, keys, verb.threshold).map_err(|error| failed("the germline", &error))?;
    files::write(&verb.out, made.to_text().as_bytes(), 0o644)?;
    let value = json!({
        "v": 1,
        "germline": made.digest(),
        "organism": made.organism(),
        "threshold": made.threshold(),
        "keys": made.keys().iter().map(PublicKey::id).collect::<Vec<_>>(),
        "file": verb.out,
    });
    context.answer(&value, "", |_| germline_text(&made))?;
    Ok(Exit::OK)
}

/// A public key as text, or the public half of the key in a file.
fn public_key(text: &str) -> Result<PublicKey, CliError> {
    if text.starts_with("ed25519:") {
        return text.parse().map_err(|error: cyte_dna::TextError| {
            CliError::new(Code::Key, format!("cannot use key `{text}`"), error.to_string())
        });
    }
    files::signing_key(Path::new(text)).map(|key| key.public())
}

fn pack(verb: &Pack, context: &Context) -> Done {
    let keys = signing_keys(&verb.keys)?;
    let project = project::open(&verb.path)?;
    let organism = project.toml().organism.clone();
    let descent = descent(verb, &keys, organism)?;
    let made = project::make(project, Mode::Build, context)?;
    made.check_imports()?;
    let mut draft = made.assemble(descent)?;
    for key in &keys {
        draft.sign(key).map_err(|error| failed(&shown(&verb.out), &error))?;
    }
    let bytes = draft.to_bytes();
    files::write(&verb.out, &bytes, 0o644)?;
    let open_count = draft.demand_signed().err();
    let value = json!({
        "v": 1,
        "file": verb.out,
        "digest": draft.digest(),
        "organism": draft.manifest().organism,
        "version": draft.manifest().version,
        "size": bytes.len(),
        "signers": draft.signers(),
        "signed": open_count.is_none(),
    });
    context.answer(&value, "", |_| {
        let Manifest { organism, version, .. } = draft.manifest();
        format!(
            "packed     {} version {version} of {organism}, {}\ndigest     {}\n",
            shown(&verb.out),
            human(bytes.len() as u64),
            draft.digest()
        )
    })?;
    if let Some(error) = open_count {
        context.note(&format!("unsigned   {error}: cyte dna sign {} --key KEY", shown(&verb.out)));
    }
    Ok(Exit::OK)
}

fn signing_keys(paths: &[PathBuf]) -> Result<Vec<SigningKey>, CliError> {
    paths.iter().map(|path| files::signing_key(path)).collect()
}

/// What the new manifest descends from, and what its maker decides.
fn descent(verb: &Pack, keys: &[SigningKey], organism: OrganismName) -> Result<Descent, CliError> {
    let given = verb.germline.as_deref().map(files::germline).transpose()?;
    let mut descent = match &verb.after {
        Some(old) => {
            let draft = read_draft(old)?;
            let mut after = Descent::after(draft.manifest(), draft.digest());
            // Another germline than the one before is a rotation; the keys of both must sign.
            after.germline = given.unwrap_or(after.germline);
            after
        }
        None => Descent::first(match given {
            Some(given) => given,
            None => germline_of(keys, organism)?,
        }),
    };
    let from_now = |span: Duration| clock::wall_s().saturating_add(span.as_secs());
    descent.expires = verb.expires.map(from_now).or(descent.expires);
    descent.not_before = verb.not_before.map_or(descent.not_before, from_now);
    descent.floor = verb.floor.unwrap_or(descent.floor);
    add_sorted(&mut descent.revoked.keys, &verb.revoke_key);
    add_sorted(&mut descent.revoked.genes, &verb.revoke_gene);
    Ok(descent)
}

fn add_sorted<T: Ord + Clone>(list: &mut Vec<T>, more: &[T]) {
    list.extend_from_slice(more);
    list.sort();
    list.dedup();
}

/// A first bundle without a germline of its own is its signers': all of them.
fn germline_of(keys: &[SigningKey], organism: OrganismName) -> Result<Germline, CliError> {
    if keys.is_empty() {
        let why = "a first bundle carries a germline: the keys that may sign it and those after it";
        return Err(CliError::new(Code::Usage, "cannot pack without a key", why)
            .help("cyte dna keygen --out owner.key, then --key owner.key"));
    }
    let threshold = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    Germline::new(organism, keys.iter().map(SigningKey::public).collect(), threshold)
        .map_err(|error| failed("the germline", &error))
}

fn sign(verb: &Sign, context: &Context) -> Done {
    let keys = signing_keys(&verb.keys)?;
    let name = shown(&verb.bundle);
    let mut draft = read_draft(&verb.bundle)?;
    for key in &keys {
        draft.sign(key).map_err(|error| failed(&name, &error))?;
    }
    let out = verb.out.as_ref().unwrap_or(&verb.bundle);
    files::write(out, &draft.to_bytes(), 0o644)?;
    let open_count = draft.demand_signed().err();
    let value = json!({
        "v": 1,
        "file": out,
        "digest": draft.digest(),
        "signers": draft.signers(),
        "signed": open_count.is_none(),
    });
    context.answer(&value, "", |_| format!("signed     {} by {}\n", shown(out), ids(&draft.signers())))?;
    if let Some(error) = open_count {
        context.note(&format!("not enough {error}"));
    }
    Ok(Exit::OK)
}

fn verify(verb: &Verify, context: &Context) -> Done {
    let name = shown(&verb.bundle);
    let refuse = |error: cyte_dna::DnaError| dna_error(&name, &error);
    let bytes = files::read(&verb.bundle, files::BUNDLE_MAX)?;
    let introduction = match &verb.germline {
        Some(_) => None,
        None => {
            Some(DnaBytes::read(bytes.as_slice()).and_then(|envelope| envelope.introduce()).map_err(refuse)?)
        }
    };
    let germline = match (&verb.germline, &introduction) {
        (Some(file), _) => files::germline(file)?,
        (None, Some(introduction)) => introduction.germline.clone(),
        (None, None) => return Err(CliError::new(Code::Usage, "cannot verify", "no germline")),
    };
    let known = Known::first(germline);
    let (dna, blobs) = open(bytes.as_slice(), &known, clock::judging(), Purpose::Deploy).map_err(refuse)?;
    let trusted = verb.germline.is_some();
    let Manifest { organism, version, label, .. } = dna.manifest();
    let value = json!({
        "v": 1,
        "file": name,
        "organism": organism,
        "version": version,
        "label": label,
        "digest": dna.digest(),
        "signers": dna.signers(),
        "germline": known.germline.digest(),
        "blobs": blobs.len(),
        "trusted": trusted,
    });
    context.answer(&value, "", |_| {
        let word = if trusted { "verified" } else { "sound" };
        format!(
            "{word:<10} {organism} {label} version {version}, signed by {}\ndigest     {}\n",
            ids(&dna.signers()),
            dna.digest()
        )
    })?;
    if !trusted {
        context.note("no --germline was given: this says that the bundle is whole and signed by the keys it names, not whose they are");
    }
    Ok(Exit::OK)
}

fn inspect(verb: &Inspect, context: &Context) -> Done {
    let draft = read_draft(&verb.bundle)?;
    let manifest = draft.manifest();
    let value = json!({
        "v": 1,
        "file": verb.bundle,
        "digest": draft.digest(),
        "signers": draft.signers(),
        "signed": draft.demand_signed().is_ok(),
        "manifest": manifest,
    });
    context.answer(&value, "", |_| inspect_text(&draft))?;
    Ok(Exit::OK)
}

fn inspect_text(draft: &Draft) -> String {
    let manifest = draft.manifest();
    let parent = manifest
        .lineage
        .parent
        .map_or_else(|| "none, it is the first".to_owned(), |parent| parent.to_string());
    let mut text = format!(
        "organism   {} {}\nversion    {}\ndigest     {}\nparent     {parent}\n",
        manifest.organism,
        manifest.label,
        manifest.version,
        draft.digest(),
    );
    if let Some(expires) = manifest.expires {
        text.push_str(&format!("expires    {expires} (unix seconds)\n"));
    }
    text.push_str(&germline_text(&manifest.germline));
    let state = match draft.demand_signed() {
        Ok(()) => "enough".to_owned(),
        Err(error) => error.to_string(),
    };
    text.push_str(&format!("signed by  {} ({state})\n\n", ids(&draft.signers())));
    let rows: Vec<Vec<String>> = manifest
        .genes
        .iter()
        .map(|gene| {
            let routes: Vec<String> = gene.routes.iter().map(ToString::to_string).collect();
            vec![
                gene.name.to_string(),
                role(gene),
                human(gene.component.length),
                gene.component.sha256.short(),
                if routes.is_empty() { "-".to_owned() } else { routes.join(" ") },
                grants_text(gene),
            ]
        })
        .collect();
    text.push_str(&table(&["GENE", "ROLE", "SIZE", "SHA256", "ROUTES", "GRANTS"], &rows));
    text
}

/// Its role, with how much a neuron's word counts or what a policy does.
fn role(gene: &cyte_dna::Gene) -> String {
    let duties: Vec<&str> = gene.policy.iter().map(|duty| duty.as_str()).collect();
    let word = gene.neuron.map(|word| word.to_string());
    role_text(gene.role.as_str(), word.as_deref(), &duties)
}

/// All that a gene may do, on one line.
fn grants_text(gene: &cyte_dna::Gene) -> String {
    let grants = &gene.grants;
    let mut parts: Vec<String> = grants.outbound.iter().map(ToString::to_string).collect();
    parts.extend(
        grants.files.iter().map(|file| format!("{}{}", file.to, if file.write { " (write)" } else { "" })),
    );
    parts.extend(grants.secrets.iter().map(|name| format!("secret {name}")));
    if !grants.config.is_empty() {
        parts.push(format!("{} config", grants.config.len()));
    }
    if !grants.environment.is_empty() {
        parts.push(format!("{} environment", grants.environment.len()));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn germline_text(germline: &Germline) -> String {
    let keys: Vec<KeyId> = germline.keys().iter().map(PublicKey::id).collect();
    format!("germline   {} of {}: {}\n", germline.threshold(), keys.len(), ids(&keys))
}

fn diff(verb: &Diff, context: &Context) -> Done {
    let (old, new) = (read_draft(&verb.old)?, read_draft(&verb.new)?);
    let changes = Manifest::diff(old.manifest(), new.manifest());
    let value = json!({"v": 1, "changes": changes});
    context.answer(&value, "changes", |_: &Value| {
        changes.iter().map(|change| format!("{change}\n")).collect()
    })?;
    Ok(if changes.is_empty() { Exit::OK } else { Exit::DIFFERENCES })
}

fn read_draft(path: &Path) -> Result<Draft, CliError> {
    let bytes = files::read(path, files::BUNDLE_MAX)?;
    Draft::from_bytes(&bytes).map_err(|error| failed(&shown(path), &error))
}

fn failed(name: &str, error: &cyte_dna::DnaError) -> CliError {
    dna_error(name, error)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn ids(keys: &[KeyId]) -> String {
    if keys.is_empty() {
        return "nobody".to_owned();
    }
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
