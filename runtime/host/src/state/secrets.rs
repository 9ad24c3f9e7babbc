//! Values of secrets: sealed by the host key, opened only in the host's memory.
//!
//! Sealed with ChaCha20-Poly1305 under a key derived for this purpose; the secret's name is the
//! associated data, so that a sealed value moved under another name does not open. Guests never
//! see a value: an outgoing request carries a placeholder that the host fills in as it leaves.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use cyte_dna::{HostKey, SubKey, limits};
use cyte_store::{AuditEntry, Sealed};

use crate::codes::Code;
use crate::error::CliError;

/// The longest value of a secret, in bytes.
pub const VALUE_MAX: usize = limits::SECRET_BYTES;
/// The longest name of a secret, in bytes.
const NAME_MAX: usize = limits::NAME_MAX_BYTES;
/// How many secrets one host keeps.
const SECRETS_MAX: usize = limits::SECRETS;

const NONCE: usize = 12;

/// The open values of one host. Reads come from memory; writes go to the head first.
pub struct Secrets {
    cipher: ChaCha20Poly1305,
    open: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Opens every sealed value in `head`.
    ///
    /// # Errors
    /// [`Code::Secret`] when one does not open: it was sealed by another host key, or changed.
    pub fn load(head: &cyte_store::Head, key: &HostKey) -> Result<Self, CliError> {
        let cipher = ChaCha20Poly1305::new(&Key::from(*key.derive(SubKey::Secrets).as_bytes()));
        let mut open = BTreeMap::new();
        for (name, sealed) in head.secrets().map_err(|error| store_error(&error))? {
            let value = unseal(&cipher, &name, &sealed)?;
            open.insert(name, value);
        }
        Ok(Self { cipher, open: Mutex::new(open) })
    }

    /// The value of secret `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().get(name).cloned()
    }

    /// Every name, in order.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Seals and keeps `value` under `name`, durably, and notes who asked.
    ///
    /// # Errors
    /// [`Code::Secret`] for a name or value outside its bounds; [`Code::State`] when the write
    /// fails. Nothing has changed then.
    pub fn set(
        &self,
        head: &cyte_store::Head,
        name: &str,
        value: Vec<u8>,
        audit: &AuditEntry,
    ) -> Result<(), CliError> {
        check(name, &value)?;
        let mut open = self.lock();
        if open.len() >= SECRETS_MAX && !open.contains_key(name) {
            return Err(refusal(name, format!("a host keeps at most {SECRETS_MAX} secrets")));
        }
        let sealed = self.seal(name, &value)?;
        head.put_secret(name, &sealed, audit).map_err(|error| store_error(&error))?;
        open.insert(name.to_owned(), value);
        Ok(())
    }

    /// Forgets secret `name`; says whether there was one.
    ///
    /// # Errors
    /// [`Code::State`] when the write fails. Nothing has changed then.
    pub fn remove(&self, head: &cyte_store::Head, name: &str, audit: &AuditEntry) -> Result<bool, CliError> {
        let mut open = self.lock();
        let existed = head.remove_secret(name, audit).map_err(|error| store_error(&error))?;
        open.remove(name);
        Ok(existed)
    }

    fn seal(&self, name: &str, value: &[u8]) -> Result<Sealed, CliError> {
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce)
            .map_err(|error| CliError::new(Code::Machine, "cannot draw random bytes", error.to_string()))?;
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| refusal(name, "the value cannot be sealed".into()))?;
        Ok(Sealed([nonce.as_slice(), &sealed].concat()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // A panic cannot leave the map half-changed, so a poisoned lock is still good.
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn unseal(cipher: &ChaCha20Poly1305, name: &str, sealed: &Sealed) -> Result<Vec<u8>, CliError> {
    let why = || refusal(name, "it was sealed by another host key, or changed since".into());
    let (nonce, sealed) = sealed.0.split_first_chunk::<NONCE>().ok_or_else(why)?;
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: name.as_bytes() }).map_err(|_| why())
}

fn check(name: &str, value: &[u8]) -> Result<(), CliError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
        let why = format!("a name has 1 to {NAME_MAX} of a-z, 0-9, `-` and `_`");
        return Err(refusal(name, why));
    }
    if value.is_empty() {
        let made = CliError::new(Code::Secret, format!("cannot set secret `{name}`"), "the value is empty");
        return Err(
            made.help(format!("printf %s \"$VALUE\" | cyte secret set {name}; or cyte secret rm {name}"))
        );
    }
    if value.len() > VALUE_MAX {
        let why = format!("the value is {} bytes, the most is {VALUE_MAX}", value.len());
        return Err(refusal(name, why));
    }
    Ok(())
}

fn refusal(name: &str, why: String) -> CliError {
    CliError::new(Code::Secret, format!("cannot use secret `{name}`"), why)
        .help(format!("cyte secret set {name}"))
}

fn store_error(error: &cyte_store::StoreError) -> CliError {
    CliError::new(Code::State, "cannot use the state folder's head", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{Scratch, scratch};
    use cyte_store::Head;

    fn host_key(n: u8) -> HostKey {
        let mut random = [n; 32];
        random[0] = 0;
        HostKey::generate(random).unwrap()
    }

    fn audit() -> AuditEntry {
        AuditEntry { at_s: 1, uid: 0, verb: "secret.set".into(), subject: "x".into() }
    }

    fn head(name: &str) -> (Scratch, Head) {
        let (path, _) = scratch(name);
        let head = Head::open(&path.join("head.redb")).unwrap();
        (path, head)
    }

    #[test]
    fn a_secret_is_kept_sealed_and_opens_with_the_same_key_only() {
        let (_path, head) = head("sealed");
        let key = host_key(3);
        let secrets = Secrets::load(&head, &key).unwrap();
        secrets.set(&head, "token", b"hunter2".to_vec(), &audit()).unwrap();
        let stored = head.secrets().unwrap();
        assert!(!stored[0].1.0.windows(7).any(|w| w == b"hunter2"));
        let again = Secrets::load(&head, &key).unwrap();
        assert_eq!(again.get("token").unwrap(), b"hunter2");
        let other = Secrets::load(&head, &host_key(4)).unwrap_err();
        assert_eq!(other.code, Code::Secret);
    }

    #[test]
    fn a_sealed_value_does_not_open_under_another_name() {
        let (_path, head) = head("moved");
        let key = host_key(3);
        let secrets = Secrets::load(&head, &key).unwrap();
        secrets.set(&head, "a", b"v".to_vec(), &audit()).unwrap();
        let sealed = head.secrets().unwrap()[0].1.clone();
        head.put_secret("b", &sealed, &audit()).unwrap();
        assert!(Secrets::load(&head, &key).is_err());
    }

    #[test]
    fn so_many_secrets_are_kept() {
        let (_path, head) = head("many");
        let secrets = Secrets::load(&head, &host_key(3)).unwrap();
        // As if they had been set one by one, which would be a thousand durable writes.
        secrets.lock().extend((0..SECRETS_MAX).map(|n| (format!("s{n}"), vec![1])));
        let error = secrets.set(&head, "one-more", vec![1], &audit()).unwrap_err();
        assert!(error.why.contains(&SECRETS_MAX.to_string()), "{error}");
        secrets.set(&head, "s0", vec![2], &audit()).unwrap();
        secrets.remove(&head, "s1", &audit()).unwrap();
        secrets.set(&head, "one-more", vec![1], &audit()).unwrap();
    }

    #[test]
    fn names_and_values_are_bounded() {
        let (_path, head) = head("bounds");
        let secrets = Secrets::load(&head, &host_key(3)).unwrap();
        for name in ["", "A", "a b", "../x", &"a".repeat(64)] {
            assert!(secrets.set(&head, name, vec![1], &audit()).is_err(), "{name}");
        }
        assert!(secrets.set(&head, "a", vec![], &audit()).unwrap_err().why.contains("empty"));
        assert!(secrets.set(&head, "a", vec![0; VALUE_MAX + 1], &audit()).is_err());
        assert!(secrets.names().is_empty());
        secrets.set(&head, "a", vec![0; VALUE_MAX], &audit()).unwrap();
        assert!(secrets.remove(&head, "a", &audit()).unwrap());
        assert!(!secrets.remove(&head, "a", &audit()).unwrap());
        assert_eq!(secrets.get("a"), None);
    }
}
