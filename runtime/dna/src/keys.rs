//! Keys: who may sign, who a host is, and what a host derives for itself.
//!
//! Text only; the host writes it to files of mode 0600. Random bytes come from the caller.
//! Secret keys never print: their `Debug` shows the key id.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::digest::{parse_hex, write_hex};
use crate::text::{TextError, serde_as_text};
use crate::{Digest, DnaError, OrganismName};

/// The first 8 bytes of the sha256 of a public key, as 16 hex digits: how people and lists
/// name a key. Decisions compare whole keys wherever whole keys are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        parse_hex(text)
            .map(KeyId)
            .ok_or_else(|| TextError::new("key id", text, "it must be 16 lower-case hex digits"))
    }
}

serde_as_text!(KeyId);

/// An ed25519 public key, checked: a point of the curve and not of small order.
///
/// Ordered by key id, then by bytes. Text: `ed25519:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey {
    id: KeyId,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Check and take a key.
    ///
    /// # Errors
    /// [`DnaError::WeakKey`] where the bytes are no point, a non-canonical one, or of small
    /// order (under which one signature fits many messages).
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, DnaError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| DnaError::WeakKey)?;
        // A point has one good encoding; others would be second names for one key.
        let canonical = key.to_edwards().compress().to_bytes() == bytes;
        if key.is_weak() || !canonical {
            return Err(DnaError::WeakKey);
        }
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(Digest::of(&bytes).as_bytes()) {
            *to = *from;
        }
        Ok(PublicKey { id: KeyId(id), bytes })
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether this is its signature over these bytes, by the strict rules of RFC 8032.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.bytes).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.id, self.bytes).cmp(&(other.id, other.bytes))
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519:")?;
        write_hex(f, &self.bytes)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

impl FromStr for PublicKey {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail = |reason| TextError::new("public key", text, reason);
        let bytes = text
            .strip_prefix("ed25519:")
            .and_then(parse_hex)
            .ok_or_else(|| fail("it must be ed25519: and 64 lower-case hex digits"))?;
        PublicKey::from_bytes(bytes).map_err(|_| fail("it is a weak key or none at all"))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.bytes.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        let bytes = <[u8; 32]>::deserialize(deserializer)?;
        PublicKey::from_bytes(bytes).map_err(D::Error::custom)
    }
}

/// A key that signs DNA. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningKey {
    secret: ed25519_dalek::SigningKey,
    public: PublicKey,
}

const SIGNING_KEY_TAG: &str = "cyte-signing-key-v1";
const HOST_KEY_TAG: &str = "cyte-host-key-v1";

impl SigningKey {
    /// The key of these 32 secret random bytes. The same bytes give the same key.
    ///
    /// # Errors
    /// [`DnaError::WeakKey`] where all bytes are equal, which no working source of randomness
    /// gives in the life of the universe.
    pub fn generate(random: [u8; 32]) -> Result<Self, DnaError> {
        let [first, ..] = random;
        if random.iter().all(|byte| *byte == first) {
            return Err(DnaError::WeakKey);
        }
        let secret = ed25519_dalek::SigningKey::from_bytes(&random);
        let public = PublicKey::from_bytes(secret.verifying_key().to_bytes())?;
        Ok(SigningKey { secret, public })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id
    }

    /// Sign these bytes. Callers put a domain prefix in front of what they sign.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    /// The text of a key file. **Secret.**
    #[must_use]
    pub fn to_text(&self) -> String {
        encode_secret(SIGNING_KEY_TAG, "signs DNA", &self.secret, self.id())
    }

    /// Read the text of a key file.
    ///
    /// # Errors
    /// Where it is not one. The error never shows the text.
    pub fn from_text(text: &str) -> Result<Self, DnaError> {
        Self::generate(decode_secret(SIGNING_KEY_TAG, "signing key file", text)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.id())
    }
}

fn encode_secret(tag: &str, purpose: &str, secret: &ed25519_dalek::SigningKey, id: KeyId) -> String {
    struct Hex<'a>(&'a [u8]);
    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_hex(f, self.0)
        }
    }
    format!("# Key {id} {purpose}. Keep it secret.\n{tag} {}\n", Hex(secret.as_bytes()))
}

fn decode_secret(tag: &str, what: &'static str, text: &str) -> Result<[u8; 32], DnaError> {
    let fail = |reason| DnaError::Text(TextError::new(what, "(not shown)", reason));
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or_else(|| fail("it is empty"))?;
    if lines.next().is_some() {
        return Err(fail("it holds more than one line"));
    }
    let (found, hex) =
        line.split_once(' ').ok_or_else(|| fail("it does not begin with the name of its kind"))?;
    if found != tag {
        return Err(fail("it is a file of another kind"));
    }
    parse_hex(hex).ok_or_else(|| fail("it does not hold 64 lower-case hex digits"))
}

/// What a host derives a key for. Each gives an unrelated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubKey<'a> {
    /// Authenticates the cache of compiled code.
    CodeCache,
    /// Seals the store of secrets.
    Secrets,
    /// Seeds the random draws of an organism on this host.
    OrganismSeed(&'a OrganismName),
    /// Signs the DNA of folders and bare components under development.
    Development,
}

impl SubKey<'_> {
    fn label(&self) -> (&'static str, &str) {
        match self {
            SubKey::CodeCache => ("code-cache", ""),
            SubKey::Secrets => ("secrets", ""),
            SubKey::OrganismSeed(organism) => ("organism-seed", organism.as_str()),
            SubKey::Development => ("development", ""),
        }
    }
}

/// 32 secret bytes derived from a host key.
#[derive(Clone, PartialEq, Eq)]
pub struct DerivedKey([u8; 32]);

impl DerivedKey {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 of these bytes under this key, for what a host writes for itself.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[message])
    }

    /// Whether `mac` is the HMAC-SHA256 of these bytes; takes the same time for every wrong one.
    #[must_use]
    pub fn mac_fits(&self, message: &[u8], mac: &[u8]) -> bool {
        new_hmac(&self.0, &[message]).verify_slice(mac).is_ok()
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(secret)")
    }
}

/// The key of one host: who it is, and the root of the keys that it uses for itself only.
///
/// It never signs DNA; [`HostKey::development`] does, under a germline of its own.
#[derive(Clone)]
pub struct HostKey(SigningKey);

impl HostKey {
    /// The key of these 32 secret random bytes.
    ///
    /// # Errors
    /// As [`SigningKey::generate`].
    pub fn generate(random: [u8; 32]) -> Result<Self, DnaError> {
        SigningKey::generate(random).map(HostKey)
    }

    /// Its public half, as a roster names it.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// A key for one purpose, unrelated to this one and to those of other purposes.
    #[must_use]
    pub fn derive(&self, purpose: SubKey<'_>) -> DerivedKey {
        let (label, context) = purpose.label();
        let parts = [b"cyte host key derive v1\0", label.as_bytes(), b"\0", context.as_bytes()];
        DerivedKey(hmac_sha256(self.0.secret.as_bytes(), &parts))
    }

    /// The key that signs what is developed on this host.
    ///
    /// # Errors
    /// As [`SigningKey::generate`]; does not happen.
    pub fn development(&self) -> Result<SigningKey, DnaError> {
        SigningKey::generate(self.derive(SubKey::Development).0)
    }

    /// The text of `host.key`. **Secret.**
    #[must_use]
    pub fn to_text(&self) -> String {
        encode_secret(HOST_KEY_TAG, "is this host", &self.0.secret, self.id())
    }

    /// Read the text of `host.key`.
    ///
    /// # Errors
    /// Where it is not one. The error never shows the text.
    pub fn from_text(text: &str) -> Result<Self, DnaError> {
        Self::generate(decode_secret(HOST_KEY_TAG, "host key file", text)?)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({}, secret)", self.id())
    }
}

fn new_hmac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC fills a short key with zeros to the block size; doing so here leaves nothing to fail.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut hmac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        hmac.update(part);
    }
    hmac
}

fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    new_hmac(key, parts).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        let mut random = [n; 32];
        random[0] = !n;
        SigningKey::generate(random).unwrap()
    }

    #[test]
    fn text_of_a_key_comes_back_and_kinds_do_not_mix() {
        let signing = key(1);
        let text = signing.to_text();
        assert_eq!(SigningKey::from_text(&text).unwrap().public(), signing.public());
        assert!(HostKey::from_text(&text).is_err());
        let host = HostKey(key(2));
        assert_eq!(HostKey::from_text(&host.to_text()).unwrap().public(), host.public());
        assert!(SigningKey::from_text(&host.to_text()).is_err());
        for bad in ["", "cyte-signing-key-v1", "cyte-signing-key-v1 00", &format!("{text}{text}")] {
            assert!(SigningKey::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let signing = key(1);
        let text = signing.to_text();
        let hex = text.split(' ').next_back().unwrap().trim();
        assert_eq!(hex.len(), 64);
        let host = HostKey(signing.clone());
        let derived = host.derive(SubKey::Secrets);
        assert!(!format!("{signing:?}{host:?}{derived:?}").contains(hex));
        let wrong = text.replace("cyte-signing-key-v1", "cyte-signing-key-v2");
        assert!(!SigningKey::from_text(&wrong).unwrap_err().to_string().contains(hex));
    }

    #[test]
    fn key_id_is_the_start_of_the_hash_of_the_key() {
        let public = key(3).public();
        let hash = Digest::of(public.as_bytes()).to_string();
        assert_eq!(public.id().to_string(), hash[..16]);
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert_eq!(public.id().to_string().parse::<KeyId>().unwrap(), public.id());
    }

    #[test]
    fn weak_and_second_encodings_of_keys_are_refused() {
        // The eight points of small order have these canonical encodings among others.
        let mut identity = [0; 32];
        identity[0] = 1;
        let order_two: [u8; 32] = {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xec;
            bytes[31] = 0x7f;
            bytes
        };
        // y = 1 + p: the identity written in a second way.
        let mut second = [0xff; 32];
        second[0] = 0xee;
        second[31] = 0x7f;
        for bytes in [identity, [0; 32], order_two, second, [0xff; 32]] {
            assert_eq!(PublicKey::from_bytes(bytes), Err(DnaError::WeakKey));
        }
        assert!(SigningKey::generate([0; 32]).is_err());
        assert!(SigningKey::generate([7; 32]).is_err());
    }

    #[test]
    fn derived_keys_differ_by_purpose_organism_and_host() {
        let (one, two) = (HostKey(key(1)), HostKey(key(2)));
        let shop: OrganismName = "shop".parse().unwrap();
        let farm: OrganismName = "farm".parse().unwrap();
        let purposes = [
            SubKey::CodeCache,
            SubKey::Secrets,
            SubKey::Development,
            SubKey::OrganismSeed(&shop),
            SubKey::OrganismSeed(&farm),
        ];
        let mut all: Vec<_> = [&one, &two]
            .iter()
            .flat_map(|host| purposes.map(|purpose| *host.derive(purpose).as_bytes()))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
        assert_eq!(one.derive(SubKey::Secrets), one.derive(SubKey::Secrets));
        assert_ne!(one.development().unwrap().public(), one.public());
    }

    #[test]
    fn a_mac_fits_only_its_message_and_key() {
        let host = HostKey(key(1));
        let cache = host.derive(SubKey::CodeCache);
        let mac = cache.mac(b"code");
        assert!(cache.mac_fits(b"code", &mac));
        assert!(!cache.mac_fits(b"codf", &mac));
        assert!(!cache.mac_fits(b"code", &mac[..31]));
        assert!(!host.derive(SubKey::Secrets).mac_fits(b"code", &mac));
    }

    #[test]
    fn signatures_verify_strictly() {
        let signing = key(1);
        let mut signature = signing.sign(b"message");
        assert!(signing.public().verifies(b"message", &signature));
        assert!(!signing.public().verifies(b"massage", &signature));
        assert!(!key(2).public().verifies(b"message", &signature));
        signature[40] ^= 1;
        assert!(!signing.public().verifies(b"message", &signature));
    }
}
