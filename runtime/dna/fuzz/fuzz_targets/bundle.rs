//! Bundles, manifests and folders from any bytes: no panic, and only canonical forms decode.
#![no_main]

use cyte_dna::{Draft, Folder, Manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(draft) = Draft::from_bytes(bytes) {
        assert_eq!(draft.to_bytes(), bytes);
    }
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode().expect("what decodes encodes"), bytes);
    }
    if let Ok(folder) = Folder::parse(bytes.to_vec()) {
        let files = folder.files().map(|(path, content)| (path.to_string(), content.to_vec()));
        assert_eq!(Folder::pack(files).expect("what parses packs").as_bytes(), bytes);
    }
});
