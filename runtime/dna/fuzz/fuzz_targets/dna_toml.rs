//! Any text as `dna.toml`: it is read, or its faults can be shown.
#![no_main]

use cyte_dna::DnaToml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(errors) = DnaToml::parse(text) {
        assert!(!errors.faults().is_empty());
        let _ = errors.render("dna.toml", text);
    }
});
