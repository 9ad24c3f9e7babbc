//! `cyte dna`: keys, bundles, signatures, and what a bundle that was tampered with comes to.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Cyte, Temp, guests, snapshot};

/// A folder with a project of one tiny gene, and keys by name.
pub struct Desk(pub Temp);

impl Desk {
    pub fn new() -> Self {
        let temp = Temp::new();
        temp.write("shop/front.wasm", guests::tiny_drone());
        temp.write("shop/dna.toml", TOML);
        Self(temp)
    }

    /// `cyte dna ARGS` at the desk.
    pub fn dna(&self, args: &[&str]) -> Cyte {
        Cyte::new(["dna"]).args(args).within(self.0.path())
    }

    /// A key in `NAME.key`; its id.
    #[track_caller]
    pub fn key(&self, name: &str) -> String {
        let made = self.dna(&["keygen", "--out", &format!("{name}.key")]).json();
        made["key"].as_str().unwrap().to_owned()
    }

    /// A germline of these keys in `NAME.germline`.
    #[track_caller]
    pub fn germline(&self, name: &str, keys: &[&str], threshold: usize) {
        let mut cyte = self.dna(&["germline", "--organism", "shop", "--threshold", &threshold.to_string()]);
        for key in keys {
            cyte = cyte.args(["--key", &format!("{key}.key")]);
        }
        cyte.args(["--out", &format!("{name}.germline")]).ok();
    }

    /// The project packed into `out`, with more arguments; what `pack` says.
    #[track_caller]
    pub fn pack(&self, out: &str, args: &[&str]) -> Value {
        self.dna(&["pack", "shop", "--out", out]).args(args).json()
    }

    /// The project with another label, so that the next bundle differs.
    pub fn change(&self, label: &str) {
        self.0.write("shop/dna.toml", TOML.replace("0.1.0", label));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

const TOML: &str = r#"
[organism]
name = "shop"
version = "0.1.0"

[gene.front]
source = "front.wasm"
route = "/..."
config = { greeting = "hello" }
"#;

#[test]
fn a_key_is_made_once_and_is_its_owners_alone() {
    let desk = Desk::new();
    let made = desk.dna(&["keygen", "--out", "owner.key"]).ok();
    assert!(made.stdout.contains("public     ed25519:"), "{}", made.stdout);
    let secret = desk.read("owner.key");
    assert_eq!(std::fs::metadata(desk.path("owner.key")).unwrap().permissions().mode() & 0o777, 0o600);
    for line in String::from_utf8(secret.clone()).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let said = format!("{}{}", made.stdout, made.stderr);
        assert!(
            !line.split([' ', '=', ':']).any(|word| word.len() > 40 && said.contains(word)),
            "the secret was shown"
        );
    }
    desk.dna(&["keygen", "--out", "owner.key"]).run().refused(1, "E003");
    assert_eq!(desk.read("owner.key"), secret, "nothing was overwritten");
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    let desk = Desk::new();
    desk.key("owner");
    std::fs::set_permissions(desk.path("owner.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = desk.dna(&["pack", "shop", "--out", "x.dna", "--key", "owner.key"]).run().refused(1, "E207");
    assert!(text.contains("mode 644") && text.contains("help: chmod 600 owner.key"), "{text}");
    assert!(!desk.path("x.dna").exists());
    desk.0.write("nonsense.key", "not a key");
    std::fs::set_permissions(desk.path("nonsense.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    desk.dna(&["pack", "shop", "--out", "x.dna", "--key", "nonsense.key"]).run().refused(1, "E207");
    desk.dna(&["pack", "shop", "--out", "x.dna", "--key", "absent.key"]).run().refused(1, "E207");
    desk.dna(&["pack", "shop", "--out", "x.dna"]).run().refused(2, "E001");
}

#[test]
fn a_bundle_says_what_it_is() {
    let desk = Desk::new();
    let key = desk.key("owner");
    let packed = desk.pack("x.dna", &["--key", "owner.key"]);
    assert_eq!(
        (&packed["organism"], &packed["version"], &packed["signed"]),
        (&"shop".into(), &1.into(), &true.into())
    );
    assert_eq!(packed["signers"], serde_json::json!([key]));
    let verified = desk.dna(&["verify", "x.dna"]).json();
    assert_eq!(verified["trusted"], false, "its own germline proves nothing about who made it");
    assert_eq!(verified["digest"], packed["digest"]);
    desk.germline("shop", &["owner"], 1);
    let verified = desk.dna(&["verify", "x.dna", "--germline", "shop.germline"]).json();
    assert_eq!(verified["trusted"], true);
    let inspected = desk.dna(&["inspect", "x.dna"]).json();
    let gene = &inspected["manifest"]["genes"][0];
    assert_eq!((&gene["name"], &gene["role"]), (&"front".into(), &"drone".into()));
    let text = desk.dna(&["inspect", "x.dna"]).ok().stdout;
    for said in ["shop 0.1.0", &key, "front", "drone", "/...", "1 config", "1 of 1"] {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let desk = Desk::new();
    desk.key("owner");
    desk.pack("a.dna", &["--key", "owner.key"]);
    desk.pack("b.dna", &["--key", "owner.key"]);
    assert_eq!(desk.read("a.dna"), desk.read("b.dna"));
}

#[test]
fn m_of_n_keys_must_sign() {
    let desk = Desk::new();
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|name| desk.key(name)).collect();
    desk.key("stranger");
    desk.germline("shop", &["a", "b", "c"], 2);
    let packed = desk.pack("x.dna", &["--germline", "shop.germline", "--key", "a.key"]);
    assert_eq!(packed["signed"], false);
    let verify = || desk.dna(&["verify", "x.dna", "--germline", "shop.germline"]).run();
    verify().refused(4, "E201");
    // The same key twice is one key.
    desk.dna(&["sign", "x.dna", "--key", "a.key"]).run();
    verify().refused(4, "E201");
    // A key of somebody else's counts for nothing.
    desk.dna(&["sign", "x.dna", "--key", "stranger.key", "--out", "y.dna"]).run();
    if desk.path("y.dna").exists() {
        desk.dna(&["verify", "y.dna", "--germline", "shop.germline"]).run().expect(4);
    }
    let signed = desk.dna(&["sign", "x.dna", "--key", "c.key"]).json();
    assert_eq!(signed["signed"], true);
    let verified = desk.dna(&["verify", "x.dna", "--germline", "shop.germline"]).json();
    let signers = verified["signers"].as_array().unwrap();
    assert!(
        signers.contains(&ids[0].as_str().into()) && signers.contains(&ids[2].as_str().into()),
        "{signers:?}"
    );
}

#[test]
fn keys_of_another_germline_do_not_verify() {
    let desk = Desk::new();
    desk.key("owner");
    desk.key("stranger");
    desk.germline("theirs", &["stranger"], 1);
    desk.pack("x.dna", &["--key", "owner.key"]);
    let text = desk.dna(&["verify", "x.dna", "--germline", "theirs.germline"]).run().refused(4, "E201");
    assert!(text.contains("x.dna"), "{text}");
}

#[test]
fn a_difference_is_status_3_and_names_what_changed() {
    let desk = Desk::new();
    desk.key("owner");
    desk.pack("a.dna", &["--key", "owner.key"]);
    desk.dna(&["diff", "a.dna", "a.dna"]).ok();
    desk.change("0.2.0");
    let after =
        TOML.replace("hello", "good day").replace("0.1.0", "0.2.0").replace("\"/...\"", "[\"/...\", \"/x\"]");
    desk.0.write("shop/dna.toml", after);
    desk.pack("b.dna", &["--after", "a.dna", "--key", "owner.key"]);
    let text = desk.dna(&["diff", "a.dna", "b.dna"]).run().expect(3).stdout;
    for said in ["0.2.0", "/x", "good day"] {
        assert!(text.contains(said), "`{said}` is not in\n{text}");
    }
    let json = desk.dna(&["diff", "a.dna", "b.dna", "--output", "json"]).run().expect(3).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["v"], 1);
}

#[test]
fn a_damaged_bundle_is_never_taken() {
    let desk = Desk::new();
    desk.key("owner");
    desk.germline("shop", &["owner"], 1);
    desk.pack("x.dna", &["--key", "owner.key"]);
    let good = desk.read("x.dna");
    let check = |bytes: &[u8], what: &str| {
        desk.0.write("bad.dna", bytes);
        let ran = desk.dna(&["verify", "bad.dna", "--germline", "shop.germline"]).run();
        assert!([1, 4].contains(&ran.code()), "{what}: {} {}", ran.code(), ran.stderr);
        assert_eq!(ran.stderr.matches("error[").count(), 1, "{what}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked") && ran.stdout.is_empty(), "{what}: {}", ran.stderr);
    };
    // Every byte and every length are tried in the decoder's own tests; here samples of them go
    // the whole way, a prime step apart, so that no field is left out for its alignment.
    for at in (0..good.len()).step_by(41).chain(good.len() - 4..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, &format!("byte {at} flipped"));
        check(&good[..at], &format!("cut at {at}"));
    }
    check(&[&good[..], b"\0"].concat(), "a byte appended");
    check(&[&good[..], &good[..]].concat(), "twice");
    check(b"", "empty");
    check(&good[1..], "without its first byte");
}

#[test]
fn a_declared_length_of_2_gib_is_refused_before_it_is_believed() {
    let desk = Desk::new();
    desk.key("owner");
    desk.pack("x.dna", &["--key", "owner.key"]);
    let good = desk.read("x.dna");
    // Wherever the four bytes of a length may stand in the envelope's head.
    for at in 0..32 {
        for length in [0x8000_0000_u32.to_le_bytes(), 0x8000_0000_u32.to_be_bytes()] {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&length);
            desk.0.write("bad.dna", &bytes);
            let ran = desk.dna(&["verify", "bad.dna"]).run();
            assert!([1, 4].contains(&ran.code()), "at {at}: {} {}", ran.code(), ran.stderr);
        }
    }
}

#[test]
fn a_swapped_gene_is_not_the_one_that_was_signed() {
    let desk = Desk::new();
    desk.key("owner");
    desk.pack("x.dna", &["--key", "owner.key"]);
    let good = desk.read("x.dna");
    let gene = guests::tiny_drone();
    let at = good.windows(gene.len()).position(|window| window == gene).expect("the gene is in the bundle");
    let mut other = gene.clone();
    // A custom section's text, the code, any byte: the digest knows.
    other[gene.len() - 1] ^= 1;
    let mut swapped = good;
    swapped[at..at + gene.len()].copy_from_slice(&other);
    desk.0.write("bad.dna", &swapped);
    desk.dna(&["verify", "bad.dna"]).run().expect(4);
}

#[test]
fn files_that_are_no_bundles_are_one_clear_error() {
    let desk = Desk::new();
    for (name, bytes) in [("a.dna", &b"MZ"[..]), ("b.dna", b"\x7fELF\x02\x01\x01"), ("c.dna", &[0; 100_000])]
    {
        desk.0.write(name, bytes);
        for verb in ["verify", "inspect"] {
            desk.dna(&[verb, name]).run().refused(1, "E107");
        }
    }
    desk.dna(&["verify", "absent.dna"]).run().refused(1, "E002");
    desk.dna(&["verify", "."]).run().refused(1, "E002");
}

#[test]
fn names_that_lead_elsewhere_are_refused_with_their_line() {
    let long = "x".repeat(64);
    for name in ["../up", "a/b", "nul\\u0000", &long, "Upper", "", "dot.ted", "-"] {
        let desk = Desk::new();
        desk.0.write("shop/dna.toml", TOML.replace("[gene.front]", &format!("[gene.\"{name}\"]")));
        let text = desk.dna(&["pack", "shop", "--out", "x.dna"]).run();
        if name == "-" {
            // Odd, and allowed.
            continue;
        }
        let text = text.refused(1, "E101");
        assert!(text.contains("dna.toml:6"), "{name}: {text}");
    }
    let desk = Desk::new();
    desk.0.write("shop/dna.toml", format!("{TOML}\n[gene.front]\nsource = \"front.wasm\"\n"));
    let text = desk.dna(&["pack", "shop", "--out", "x.dna"]).run().refused(1, "E101");
    assert!(text.contains("front"), "{text}");
}

#[test]
fn what_these_verbs_print_stays_as_it_is() {
    let desk = Desk::new();
    // Keys are random; everything that follows from them is blotted out.
    let key = desk.key("owner");
    let packed = desk.dna(&["pack", "shop", "--out", "x.dna", "--key", "owner.key"]).ok();
    let digest = desk.dna(&["verify", "x.dna"]).json()["digest"].as_str().unwrap().to_owned();
    let mut text = String::new();
    let mut add = |args: &[&str], status: i32| {
        let ran = desk.dna(args).run().expect(status);
        text.push_str(&format!("$ cyte dna {}\n{}{}", args.join(" "), ran.stdout, ran.stderr));
    };
    add(&["verify", "x.dna"], 0);
    add(&["inspect", "x.dna"], 0);
    add(&["sign", "x.dna", "--key", "owner.key", "--out", "y.dna"], 0);
    desk.change("0.2.0");
    desk.pack("z.dna", &["--after", "x.dna", "--key", "owner.key"]);
    add(&["diff", "x.dna", "z.dna"], 3);
    text.insert_str(
        0,
        &format!("$ cyte dna pack shop --out x.dna --key owner.key\n{}{}", packed.stdout, packed.stderr),
    );
    let next = desk.dna(&["verify", "z.dna"]).json()["digest"].as_str().unwrap().to_owned();
    for (secret, shown) in [(&key, "KEYID"), (&digest, "DIGEST"), (&next, "NEXT")] {
        text = text.replace(secret.as_str(), shown);
    }
    snapshot::same("dna.txt", &text);
}
