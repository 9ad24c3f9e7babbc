//! What people see, kept in files: `tests/snapshots/NAME`.
//!
//! `CYTE_BLESS=1` writes what is there now; the change is then reviewed like one of an API.

use super::paths::repository;

/// Compares `text` with the kept one.
#[track_caller]
pub fn same(name: &str, text: &str) {
    let path = repository().join("tests/snapshots").join(name);
    if std::env::var_os("CYTE_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; CYTE_BLESS=1 makes it", path.display()));
    assert!(
        kept == text,
        "{} differs; CYTE_BLESS=1 takes what is there now\n--- kept\n{kept}\n--- now\n{text}",
        path.display()
    );
}
