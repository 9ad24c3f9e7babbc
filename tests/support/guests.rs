//! Guests, built once in a test process with the binary under test.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::{Cyte, paths};

type Slot = Arc<OnceLock<Result<PathBuf, String>>>;

/// The component of `tests/guests/NAME`, built when it is first asked for.
#[track_caller]
pub fn guest(name: &str) -> PathBuf {
    of_crate(&paths::repository().join("tests/guests").join(name))
}

/// The component of the crate in `folder`, built when it is first asked for.
#[track_caller]
pub fn of_crate(folder: &Path) -> PathBuf {
    static SLOTS: Mutex<Option<HashMap<PathBuf, Slot>>> = Mutex::new(None);
    let slot = {
        let mut slots = SLOTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(slots.get_or_insert_default().entry(folder.to_owned()).or_default())
    };
    match slot.get_or_init(|| build(folder)) {
        Ok(path) => path.clone(),
        Err(why) => panic!("{why}"),
    }
}

/// A project of its own names the crate, so that nothing is written beside the guest's sources.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("gene");
    let project = paths::kept().join("guests").join(name);
    std::fs::create_dir_all(&project).map_err(|error| error.to_string())?;
    let mut toml = format!("[organism]\nname = \"{name}\"\n\n[gene.{name}]\nsource = {folder:?}\n");
    let lib = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
    if lib.contains("cyte_sdk::neuron!(") {
        toml.push_str("neuron = \"replace\"\n");
    }
    if lib.contains("cyte_sdk::division") {
        toml.push_str("may = [\"release\", \"divide\", \"retire\"]\n");
    }
    let duties = [("zombies", "zombies"), ("log_sink", "log"), ("metrics", "metrics")];
    let duties = duties.into_iter().filter(|(made_by, _)| lib.contains(&format!("cyte_sdk::{made_by}!(")));
    let duties: Vec<_> = duties.map(|(_, duty)| duty).collect();
    if !duties.is_empty() {
        toml.push_str(&format!("policy = {duties:?}\n"));
    }
    if lib.contains("cyte_sdk::load") {
        toml.push_str("signal = { name = \"depth\", per-cell = 1 }\n");
    }
    let file = project.join("dna.toml");
    if !std::fs::read_to_string(&file).is_ok_and(|there| there == toml) {
        std::fs::write(&file, toml).map_err(|error| error.to_string())?;
    }
    let ran = Cyte::new(["build", "--output", "json"]).arg(&project).run();
    if !ran.status.success() {
        return Err(format!("cannot build the guest {name}:\n{}", ran.stderr));
    }
    let path = project.join(".cyte/genes").join(format!("{name}.wasm"));
    if path.is_file() { Ok(path) } else { Err(format!("{} was not made", path.display())) }
}

/// A module or component from its text form, as bytes.
#[track_caller]
pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The smallest drone in text form: a component that exports `wasi:http/incoming-handler` and
/// answers nothing. Good for everything that only looks at components.
pub fn tiny_drone() -> Vec<u8> {
    wat(include_str!("tiny_drone.wat"))
}
