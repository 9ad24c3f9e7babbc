//! What hosts say to each other, from any bytes: no panic, and what decodes can be said again.
#![no_main]

use cyte_organism::colony::Word;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(word) = Word::decode(bytes) {
        assert!(word.encode().is_ok());
    }
});
