//! Recordings from any bytes, with and without a digest that fits: no panic, and what replays was
//! recorded.
#![no_main]

use cyte_organism::flight::{Recording, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(recording) = Recording::from_bytes(bytes) {
        let again = Recording::from_bytes(&recording.to_bytes());
        assert_eq!(again.as_ref(), Ok(&recording));
    }
    if let Some(recording) = Recording::from_changed_body(bytes) {
        let _ = replay(&recording, |_| {});
    }
});
