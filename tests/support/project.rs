//! Projects made of a `dna.toml` and finished components.

use std::path::Path;

use super::{Temp, guest};

/// A project in a folder of its own: `toml` is its `dna.toml`, in which `{NAME}` in a source names
/// the guest `tests/guests/NAME`, as a built component.
#[track_caller]
pub fn project(toml: &str) -> Temp {
    let temp = Temp::new();
    write(temp.path(), toml);
    temp
}

/// Writes the `dna.toml` of [`project`] into `folder`.
#[track_caller]
pub fn write(folder: &Path, toml: &str) {
    let mut text = String::new();
    let mut rest = toml;
    while let Some((before, after)) = rest.split_once("\"{") {
        let (name, after) = after.split_once("}\"").expect("a guest's name ends with }\"");
        text.push_str(before);
        text.push_str(&format!("{:?}", guest(name)));
        rest = after;
    }
    text.push_str(rest);
    std::fs::write(folder.join("dna.toml"), text).unwrap();
}
