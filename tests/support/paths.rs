//! Where things are.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> &'static Path {
    // The manifest of the crate whose test this is lies in `runtime/host`.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("runtime/host is two levels deep")
}

/// An example's folder.
pub fn example(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// What tests keep between runs, below cargo's target folder: built guests, caches.
pub fn kept() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The user's cache as the binary under test sees it: shared by all tests and kept between runs,
/// so that guests are built once, and never the person's own.
pub fn cache() -> PathBuf {
    kept().join("cache")
}
