//! The germline: which keys may sign an organism's DNA, and how many of them must.
//!
//! A host keeps one. It changes only by DNA that the old germline signed and that carries the
//! new one, which must have signed too.

use serde::{Deserialize, Serialize};

use crate::limits::{GERMLINE_KEYS, GERMLINE_TEXT_BYTES};
use crate::{Digest, DnaError, KeyId, OrganismName, PublicKey, TextError};

/// Keys and threshold of one organism. Decoding checks the rules of [`Germline::new`] too, so
/// that a germline with a threshold of 0 cannot exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Germline {
    /// Whose DNA these keys sign.
    organism: OrganismName,
    /// How many distinct keys must sign, at least 1.
    threshold: u32,
    /// Ascending by key id, each once, at most 32.
    keys: Vec<PublicKey>,
}

/// The same fields, unchecked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    organism: OrganismName,
    threshold: u32,
    keys: Vec<PublicKey>,
}

impl TryFrom<Raw> for Germline {
    type Error = DnaError;

    /// Keys must be in order: a germline has one encoding.
    fn try_from(Raw { organism, threshold, keys }: Raw) -> Result<Self, DnaError> {
        let germline = Germline { organism, threshold, keys };
        germline.check()?;
        Ok(germline)
    }
}

impl Germline {
    /// A germline of these keys, in any order.
    ///
    /// # Errors
    /// [`DnaError::BadGermline`] where there are no keys or more than 32, one is there twice,
    /// or the threshold is 0 or more than there are keys.
    pub fn new(organism: OrganismName, mut keys: Vec<PublicKey>, threshold: u32) -> Result<Self, DnaError> {
        keys.sort_unstable();
        let germline = Germline { organism, threshold, keys };
        germline.check()?;
        Ok(germline)
    }

    /// The germline of one key, e.g. of development.
    #[must_use]
    pub fn single(organism: OrganismName, key: PublicKey) -> Self {
        Germline { organism, threshold: 1, keys: vec![key] }
    }

    /// Whose it is.
    #[must_use]
    pub fn organism(&self) -> &OrganismName {
        &self.organism
    }

    /// How many distinct keys must sign.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold as usize
    }

    /// Its keys, ascending by key id.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Whether a key is one of its keys.
    #[must_use]
    pub fn holds(&self, key: &PublicKey) -> bool {
        self.keys.binary_search(key).is_ok()
    }

    /// The rules of [`Germline::new`].
    fn check(&self) -> Result<(), DnaError> {
        let fail = |reason| Err(DnaError::BadGermline(reason));
        if self.keys.is_empty() {
            return fail("it has no keys");
        }
        if self.keys.len() > GERMLINE_KEYS {
            return fail("it has more than 32 keys");
        }
        let ids: Vec<KeyId> = self.keys.iter().map(PublicKey::id).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return fail("its keys are not in ascending order of key id, each once");
        }
        if self.threshold == 0 {
            return fail("its threshold is 0");
        }
        if self.threshold() > self.keys.len() {
            return fail("its threshold is higher than the number of its keys");
        }
        Ok(())
    }

    /// What names this germline: the digest of its canonical encoding.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Strings, numbers and byte arrays in memory: encoding them cannot fail.
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        Digest::of(&bytes)
    }

    /// How many of its keys, not revoked, are among these (each of which is there once).
    #[must_use]
    pub fn count(&self, signers: &[PublicKey], revoked: &[KeyId]) -> usize {
        let counts = |key: &&PublicKey| self.holds(key) && !revoked.contains(&key.id());
        signers.iter().filter(counts).count()
    }

    /// Whether enough of its keys are among these.
    ///
    /// # Errors
    /// [`DnaError::UnderThreshold`] with both numbers.
    pub fn demand(&self, signers: &[PublicKey], revoked: &[KeyId]) -> Result<(), DnaError> {
        let have = self.count(signers, revoked);
        if have >= self.threshold() {
            return Ok(());
        }
        Err(DnaError::UnderThreshold { have, need: self.threshold(), organism: self.organism.clone() })
    }

    /// The text of a germline file (`--germline FILE`), TOML. Not secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        let keys: String = self.keys.iter().map(|key| format!("    \"{key}\", # {}\n", key.id())).collect();
        format!(
            "# Germline {}: who may sign the DNA of this organism.\norganism = \"{}\"\nthreshold = {}\nkeys = [\n{keys}]\n",
            self.digest().short(),
            self.organism,
            self.threshold,
        )
    }

    /// Read the text of a germline file. Keys may stand in any order.
    ///
    /// # Errors
    /// [`DnaError::Text`] where it is not one, [`DnaError::BadGermline`] where a rule is broken.
    pub fn from_text(text: &str) -> Result<Self, DnaError> {
        let fail = |reason| DnaError::Text(TextError::new("germline file", text, reason));
        if text.len() > GERMLINE_TEXT_BYTES {
            return Err(fail("it is longer than 16 KiB"));
        }
        let raw: Raw = toml::from_str(text)
            .map_err(|_| fail("it must be TOML with organism, threshold and keys, and nothing else"))?;
        Germline::new(raw.organism, raw.keys, raw.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    fn key(n: u8) -> PublicKey {
        let mut random = [n; 32];
        random[0] = !n;
        SigningKey::generate(random).unwrap().public()
    }

    fn shop() -> OrganismName {
        "shop".parse().unwrap()
    }

    #[test]
    fn caps_of_a_germline() {
        let keys: Vec<_> = (1..=33).map(key).collect();
        assert!(Germline::new(shop(), keys[..32].to_vec(), 32).is_ok());
        assert!(Germline::new(shop(), keys.clone(), 1).is_err());
        assert!(Germline::new(shop(), vec![], 1).is_err());
        assert!(Germline::new(shop(), keys[..2].to_vec(), 0).is_err());
        assert!(Germline::new(shop(), keys[..2].to_vec(), 3).is_err());
        assert!(Germline::new(shop(), vec![keys[0], keys[0]], 1).is_err());
    }

    #[test]
    fn text_comes_back() {
        let germline = Germline::new(shop(), vec![key(1), key(2), key(3)], 2).unwrap();
        let text = germline.to_text();
        assert_eq!(Germline::from_text(&text).unwrap(), germline);
        assert!(Germline::from_text(&format!("{text}extra = 1\n")).is_err());
        assert!(Germline::from_text(&text.replace("threshold = 2", "threshold = 4")).is_err());
        assert!(Germline::from_text("").is_err());
        let padding = "#".repeat(GERMLINE_TEXT_BYTES);
        assert!(Germline::from_text(&format!("{text}{padding}")).is_err());
        let reversed = Germline::new(shop(), vec![key(3), key(2), key(1)], 2).unwrap();
        assert_eq!(reversed.digest(), germline.digest());
    }

    #[test]
    fn a_germline_that_breaks_a_rule_does_not_decode() {
        let keys = Germline::new(shop(), vec![key(1), key(2)], 2).unwrap().keys;
        for (threshold, keys) in
            [(0, keys.clone()), (3, keys.clone()), (1, vec![keys[1], keys[0]]), (1, vec![])]
        {
            let bytes = postcard::to_allocvec(&Germline { organism: shop(), threshold, keys }).unwrap();
            assert!(postcard::from_bytes::<Germline>(&bytes).is_err());
        }
    }

    #[test]
    fn only_its_own_keys_that_are_not_revoked_count() {
        let germline = Germline::new(shop(), vec![key(1), key(2), key(3)], 2).unwrap();
        assert!(germline.demand(&[key(1), key(2)], &[]).is_ok());
        assert!(germline.demand(&[key(1), key(9)], &[]).is_err());
        assert!(germline.demand(&[key(1), key(2)], &[key(2).id()]).is_err());
        assert!(germline.demand(&[key(1), key(2), key(3)], &[key(2).id()]).is_ok());
    }
}
