//! The work of the digest case: parse a JSON body, sum what it holds, hash it.
//!
//! The reference server links this crate natively and the `digest` gene links it as Wasm, so
//! that both run the same source and only the sandbox differs. It does no I/O.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One element of the body, with owned text as ordinary application code has it.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// Any number; read so that the parser has to.
    pub id: u64,
    /// Any text; read so that the parser has to.
    pub name: String,
    /// What is summed.
    pub score: u32,
    /// Any texts; read so that the parser has to.
    pub tags: Vec<String>,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// How many items the body held.
    pub items: usize,
    /// The sum of their scores.
    pub total: u64,
    /// SHA-256 of the body's bytes, in lower-case hex.
    pub sha256: String,
}

/// Do the work on `body`; the answer is JSON text.
///
/// # Errors
/// If `body` is not a JSON array of items.
pub fn digest(body: &[u8]) -> serde_json::Result<Vec<u8>> {
    let items: Vec<Item> = serde_json::from_slice(body)?;
    let total = items.iter().map(|item| u64::from(item.score)).sum();
    let sha256 = hex(&Sha256::digest(body));
    serde_json::to_vec(&Answer { items: items.len(), total, sha256 })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_hashes() {
        let body =
            br#"[{"id":1,"name":"a","score":2,"tags":["x"]},{"id":2,"name":"b","score":40,"tags":[]}]"#;
        let answer = String::from_utf8(digest(body).unwrap()).unwrap();
        assert!(answer.starts_with(r#"{"items":2,"total":42,"sha256":""#), "{answer}");
        assert_eq!(answer.len(), r#"{"items":2,"total":42,"sha256":""}"#.len() + 64);
    }

    #[test]
    fn refuses_what_is_not_the_array() {
        assert!(digest(b"{}").is_err());
        assert!(digest(br#"[{"id":1}]"#).is_err());
    }

    #[test]
    fn hash_is_sha256() {
        assert!(
            String::from_utf8(digest(b"[]").unwrap())
                .unwrap()
                .contains("4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945")
        );
    }
}
