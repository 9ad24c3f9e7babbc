//! Mutation fuzzing on stable Rust: the bundle decoder and `dna.toml` meet changed inputs for
//! `CYTE_FUZZ_SECONDS` (default 2) each. The seed is printed; `CYTE_FUZZ_SEED` replays it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reads the clock and the environment"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cyte_dna::{
    Blob, Clock, Descent, Digest, DnaToml, Draft, Folder, GeneParts, Germline, Known, Manifest,
    OutboundGrant, Purpose, Role, Route, SigningKey, normal_host, open,
};

/// splitmix64: small, seeded, good enough to choose bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Call `body` with fresh randomness until time is up; a panic shows the seed above it.
fn fuzz(name: &str, mut body: impl FnMut(&mut Random)) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("CYTE_FUZZ_SEED").unwrap_or(now.as_nanos() as u64);
    let seconds = variable("CYTE_FUZZ_SECONDS").unwrap_or(2);
    println!("{name}: replay with CYTE_FUZZ_SEED={seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(seed);
    let mut rounds = 0u64;
    while Instant::now() < end {
        body(&mut random);
        rounds += 1;
    }
    println!("{name}: {rounds} inputs in {seconds} s");
    assert!(seconds == 0 || rounds > 0);
}

const INTERESTING: &[&[u8]] = &[
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"..",
    b"/",
    b"\0",
    b"[",
    b"{",
    b"\"\"\"",
    b"= ",
    b"[gene.\"../x\"]\n",
    b"9999999999999999999GiB",
    "\u{202e}".as_bytes(),
];

/// A few random changes: bits, bytes, insertions, removals, copies, swaps of ranges.
fn mutate(input: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let length = random.below(16).min(bytes.len() - at);
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.insert(at, random.next() as u8),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let piece = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => {
                let piece = INTERESTING[random.below(INTERESTING.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

const TOML: &str = r#"
[organism]
name = "shop"
version = "0.1.0"

[gene.front]
source = "genes/front"
role = "drone"
route = ["/api/...", "shop.example/..."]
reuse = 128
outbound = ["https://*.example.test", "http://127.0.0.1:9000"]
files = [{ from = "assets", to = "/assets", write = false }]
config = { greeting = "hello" }
secrets = ["token"]
limits = { memory = "64MiB", cpu = "500ms", wall = "10s", body = "8MiB", wait = "100ms" }
express = { min = 0, max = 64, scope = "local" }
build = { command = "make" }

[gene.think]
source = "genes/think"
role = "neuron"
neuron = "replace"
config = { tick-ms = "2000" }
limits = { wall = "5ms" }
"#;

const NOW: Clock = Clock { unix_s: 1_000, synchronised: true };

fn key() -> SigningKey {
    let mut random = [7; 32];
    random[0] = 1;
    SigningKey::generate(random).unwrap()
}

fn draft() -> Draft {
    let dna = DnaToml::parse(TOML).unwrap();
    let folder = Folder::pack([("a.txt".to_string(), b"a"), ("b/c.txt".to_string(), b"c")]).unwrap();
    let think = GeneParts {
        name: "think".parse().unwrap(),
        role: Role::Neuron,
        component: b"\0asm and more".to_vec(),
        folders: BTreeMap::new(),
        site: None,
    };
    let parts = GeneParts {
        name: "front".parse().unwrap(),
        role: Role::Drone,
        component: b"\0asm and so on".to_vec(),
        folders: BTreeMap::from([("assets".to_string(), folder)]),
        site: None,
    };
    let germline = Germline::single(dna.organism.clone(), key().public());
    dna.assemble(vec![parts, think], Descent::first(germline)).unwrap()
}

#[test]
fn changed_bundles_are_never_accepted() {
    let good = draft().sign_all([&key()]).unwrap();
    let known = Known::first(draft().manifest().germline.clone());
    assert!(open(good.as_slice(), &known, NOW, Purpose::Deploy).is_ok());
    fuzz("bundle", |random| {
        let bytes = mutate(&good, random);
        if bytes != good {
            assert!(open(bytes.as_slice(), &known, NOW, Purpose::Deploy).is_err());
        }
    });
}

/// Behind the signature: changed manifests, signed as they are.
#[test]
fn changed_manifests_decode_only_in_canonical_form() {
    let good = draft().manifest().encode().unwrap();
    fuzz("manifest", |random| {
        let bytes = mutate(&good, random);
        if let Ok(manifest) = Manifest::decode(&bytes) {
            manifest.check().unwrap();
            assert_eq!(manifest.encode().unwrap(), bytes);
            let _ = Manifest::diff(draft().manifest(), &manifest);
        }
    });
}

#[test]
fn changed_folders_parse_only_in_canonical_form() {
    let draft = draft();
    let blob = draft
        .manifest()
        .gene("front")
        .unwrap()
        .blobs()
        .copied()
        .find(|blob| *blob != Blob::of(b"\0asm and so on"))
        .unwrap();
    let good = draft.blob(&blob.sha256).unwrap().to_vec();
    assert_eq!(Digest::of(&good), blob.sha256);
    fuzz("folder", |random| {
        let bytes = mutate(&good, random);
        if let Ok(folder) = Folder::parse(bytes.clone()) {
            let again =
                Folder::pack(folder.files().map(|(path, content)| (path.to_string(), content.to_vec())));
            assert_eq!(again.unwrap().into_bytes(), bytes);
        }
    });
}

/// Every text is read or has faults that can be shown; what is read makes valid DNA.
#[test]
fn changed_dna_toml_is_read_or_shown_with_its_faults() {
    fuzz("dna.toml", |random| {
        let bytes = mutate(TOML.as_bytes(), random);
        let text = String::from_utf8_lossy(&bytes);
        match DnaToml::parse(&text) {
            Ok(dna) => assert_valid(&dna),
            Err(errors) => {
                assert!(!errors.faults().is_empty() && errors.faults().len() <= 20);
                assert!(errors.render("dna.toml", &text).contains("help: "));
            }
        }
    });
}

/// What `dna.toml` lets through, the manifest lets through.
fn assert_valid(dna: &DnaToml) {
    let folder = Folder::pack([("a.txt".to_string(), b"a")]).unwrap();
    let parts = dna.genes.iter().map(|gene| GeneParts {
        name: gene.name.clone(),
        role: gene.role.unwrap_or(if gene.neuron.is_some() { Role::Neuron } else { Role::Drone }),
        component: b"\0asm".to_vec(),
        folders: gene.files.iter().map(|file| (file.from.clone(), folder.clone())).collect(),
        site: None,
    });
    let germline = Germline::single(dna.organism.clone(), key().public());
    dna.assemble(parts.collect(), Descent::first(germline)).unwrap();
}

#[test]
fn changed_texts_never_panic() {
    let texts =
        ["shop.example/api/...", "https://*.example.test:8443", "http://[::1]:9000", "Shop.Example:80"];
    let germline = draft().manifest().germline.to_text();
    let secret = key().to_text();
    fuzz("texts", |random| {
        let bytes = mutate(texts[random.below(texts.len())].as_bytes(), random);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (text.parse::<Route>(), text.parse::<OutboundGrant>(), normal_host(&text));
        let _ = Germline::from_text(&String::from_utf8_lossy(&mutate(germline.as_bytes(), random)));
        let _ = SigningKey::from_text(&String::from_utf8_lossy(&mutate(secret.as_bytes(), random)));
    });
}
