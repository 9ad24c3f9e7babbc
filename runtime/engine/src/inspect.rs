//! Looking at a component without running it: what it is, what it asks for, what it declares.

use std::collections::BTreeSet;

use cyte_dna::{Deed, Duty, Grants, Role};
use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

use crate::engines::Kind;

/// What a component is to cyte, by its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Exports `wasi:http/incoming-handler@0.2`.
    Http02,
    /// Exports `wasi:http/handler@0.3`.
    Http03,
    /// Exports `wasi:cli/run@0.2`.
    Task02,
    /// Exports `wasi:cli/run@0.3`.
    Task03,
    /// A WASI 0.1 command module; it is wrapped as a 0.2 task.
    Command01,
    /// Exports `cyte:cell/homeostasis@0.1`.
    Neuron,
    /// Exports `zombies`, `log-sink` or `metrics` of `cyte:cell@0.1`.
    Policy,
}

impl Shape {
    /// The role that this shape can play.
    pub fn role(self) -> Role {
        match self {
            Self::Http02 | Self::Http03 => Role::Drone,
            Self::Task02 | Self::Task03 | Self::Command01 => Role::Task,
            Self::Neuron => Role::Neuron,
            Self::Policy => Role::Policy,
        }
    }

    /// The engine that runs it.
    pub fn engine(self) -> Kind {
        match self {
            Self::Http02 | Self::Task02 | Self::Command01 | Self::Neuron | Self::Policy => Kind::Plain,
            Self::Http03 | Self::Task03 => Kind::Concurrent,
        }
    }

    /// The world it was built for, for people.
    pub fn world(self) -> &'static str {
        match self {
            Self::Http02 => "wasi:http/incoming-handler@0.2",
            Self::Http03 => "wasi:http/handler@0.3",
            Self::Task02 => "wasi:cli/run@0.2",
            Self::Task03 => "wasi:cli/run@0.3",
            Self::Command01 => "wasip1 command",
            Self::Neuron => "cyte:cell/homeostasis@0.1",
            Self::Policy => "cyte:cell/policy@0.1",
        }
    }
}

/// What was found in a component.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What it is.
    pub shape: Shape,
    /// The interfaces it imports, sorted.
    pub imports: Vec<String>,
    /// The interfaces it exports, sorted.
    pub exports: Vec<String>,
    /// How often one cell may be used, if the gene says so in its section `cyte:reuse`.
    pub reuse: Option<u32>,
    /// Core modules inside.
    pub core_modules: u32,
    /// Size in bytes.
    pub size: u64,
}

/// One thing that a gene asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// The interface.
    pub import: String,
    /// What it gets.
    pub answer: Answer,
}

/// What a gene gets for what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Always there; gives nothing away.
    Free,
    /// Granted by the DNA.
    Granted,
    /// Links and gives nothing: the list behind it is empty.
    Empty,
    /// Links and denies each call.
    Denied,
    /// Needs a grant that is not there: a load error.
    Missing,
    /// Nothing here provides it: a load error.
    Unknown,
}

impl Ask {
    /// Why gene `gene` cannot be loaded because of this, and what mends it; `None` where it can.
    pub fn refusal(&self, gene: &str) -> Option<(&'static str, String)> {
        match self.answer {
            Answer::Missing => {
                let interface = self.import.split('@').next().unwrap_or(&self.import);
                let line = match deeds(interface).first() {
                    Some(deed) => format!("may = [\"{deed}\"]"),
                    None => "signal = { name = \"queue-depth\", per-cell = 10 }".to_owned(),
                };
                Some(("its DNA does not grant", format!("add {line} to [gene.{gene}] in dna.toml")))
            }
            Answer::Unknown => Some((
                "nothing here provides",
                format!("build gene `{gene}` without it: no grant in dna.toml provides {}", self.import),
            )),
            Answer::Free | Answer::Granted | Answer::Empty | Answer::Denied => None,
        }
    }
}

/// The deeds for which an interface of ours is there; empty for any other.
fn deeds(interface: &str) -> &'static [Deed] {
    match interface {
        "cyte:cell/endocrine" => &[Deed::Release],
        "cyte:cell/division" => &[Deed::Divide, Deed::Retire],
        _ => &[],
    }
}

/// The custom section in which a gene declares its reuse, as decimal digits.
const REUSE_SECTION: &str = "cyte:reuse";

/// Nesting that is looked into; deeper components are refused.
const DEPTH_MAX: usize = 16;

/// Looks at a component or a WASI 0.1 command module.
///
/// # Errors
///
/// Says in one sentence what the bytes are instead.
pub fn inspect(wasm: &[u8]) -> Result<Inspection, String> {
    let mut found = Found::default();
    match encoding(wasm)? {
        Encoding::Component => found.component(wasm)?,
        Encoding::Module => found.module(wasm)?,
    }
    let shape = found.shape()?;
    Ok(Inspection {
        shape,
        imports: found.imports.into_iter().collect(),
        exports: found.exports.into_iter().collect(),
        reuse: found.reuse,
        core_modules: found.core_modules,
        size: wasm.len() as u64,
    })
}

impl Inspection {
    /// What each import gets under these grants.
    pub fn asks(&self, grants: &Grants) -> Vec<Ask> {
        self.imports
            .iter()
            .map(|import| Ask { import: import.clone(), answer: answer(import, grants) })
            .collect()
    }

    /// Whether its cells are to be told how their class stands.
    pub fn has_receptor(&self) -> bool {
        self.exports("cyte:cell/receptor")
    }

    /// Whether its cells are to be told the turns of their lives.
    pub fn has_lifecycle(&self) -> bool {
        self.exports("cyte:cell/lifecycle")
    }

    /// Whether it exports what this duty needs.
    pub fn does(&self, duty: Duty) -> bool {
        self.exports(duty.interface())
    }

    fn exports(&self, interface: &str) -> bool {
        let rest = |name: &String| name.strip_prefix(interface).is_some_and(|rest| rest.starts_with("@0.1"));
        self.exports.iter().any(rest)
    }
}

fn answer(import: &str, grants: &Grants) -> Answer {
    let interface = import.split('@').next().unwrap_or(import);
    let or = |without: Answer, is_granted: bool| if is_granted { Answer::Granted } else { without };
    match interface {
        "wasi:http/outgoing-handler" | "wasi:http/client" => or(Answer::Denied, !grants.outbound.is_empty()),
        "wasi:filesystem/preopens" => or(Answer::Empty, !grants.files.is_empty()),
        "wasi:cli/environment" => or(Answer::Empty, !grants.environment.is_empty()),
        "wasi:config/store" => or(Answer::Empty, !grants.config.is_empty()),
        "wasi:sockets/tcp" | "wasi:sockets/udp" | "wasi:sockets/ip-name-lookup" => Answer::Denied,
        "cyte:cell/identity" | "wasi:logging/logging" => Answer::Free,
        "cyte:cell/load" => or(Answer::Missing, grants.signal.is_some()),
        "cyte:cell/endocrine" | "cyte:cell/division" => {
            or(Answer::Missing, deeds(interface).iter().any(|deed| grants.allows(*deed)))
        }
        _ if [
            "wasi:cli/",
            "wasi:io/",
            "wasi:clocks/",
            "wasi:random/",
            "wasi:filesystem/",
            "wasi:http/",
            "wasi:sockets/",
        ]
        .iter()
        .any(|package| interface.starts_with(package)) =>
        {
            Answer::Free
        }
        _ if interface.starts_with("wasi_snapshot_preview1") => Answer::Free,
        _ => Answer::Unknown,
    }
}

/// The component in these bytes: itself, or a WASI 0.1 command module wrapped as one.
///
/// # Errors
///
/// Says what is wrong with the bytes.
pub(crate) fn as_component(wasm: &[u8]) -> Result<Vec<u8>, String> {
    if encoding(wasm)? == Encoding::Component {
        return Ok(wasm.to_vec());
    }
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    wit_component::ComponentEncoder::default()
        .module(wasm)
        .and_then(|encoder| encoder.validate(true).adapter("wasi_snapshot_preview1", adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| format!("the core module cannot be wrapped as a component: {error:#}"))
}

/// Component or core module, told by the first eight bytes.
fn encoding(wasm: &[u8]) -> Result<Encoding, String> {
    if wasm.starts_with(b"\x7fELF") {
        return Err("this is precompiled native code, not WebAssembly; cyte compiles genes itself".into());
    }
    if !wasm.starts_with(b"\0asm") {
        return Err("this is not WebAssembly (the first bytes are not `\\0asm`)".into());
    }
    match Parser::new(0).parse_all(wasm).next() {
        Some(Ok(Payload::Version { encoding, .. })) => Ok(encoding),
        Some(Err(error)) => Err(format!("this is not valid WebAssembly: {error}")),
        _ => Err("this is not valid WebAssembly: it has no version".into()),
    }
}

#[derive(Default)]
struct Found {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    reuse: Option<u32>,
    core_modules: u32,
    is_command: bool,
}

impl Found {
    fn component(&mut self, wasm: &[u8]) -> Result<(), String> {
        let invalid = |error| format!("this is not valid WebAssembly: {error}");
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(invalid)? {
                Payload::ModuleSection { .. } => {
                    self.core_modules += 1;
                    depth += 1;
                }
                Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        self.imports.insert(import.map_err(invalid)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        self.exports.insert(export.map_err(invalid)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == REUSE_SECTION => {
                    self.declare(section.data())?
                }
                _ => {}
            }
            if depth > DEPTH_MAX {
                return Err(format!("components are nested more than {DEPTH_MAX} deep"));
            }
        }
        Ok(())
    }

    fn module(&mut self, wasm: &[u8]) -> Result<(), String> {
        let invalid = |error| format!("this is not valid WebAssembly: {error}");
        self.core_modules = 1;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(invalid)? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        self.imports.insert(import.map_err(invalid)?.module.to_owned());
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        self.is_command |= export.map_err(invalid)?.name == "_start";
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Several core modules of one component may each declare; the strictest holds.
    fn declare(&mut self, data: &[u8]) -> Result<(), String> {
        let declared = std::str::from_utf8(data).ok().and_then(|text| text.trim().parse().ok());
        let Some(uses @ 1..) = declared else {
            return Err(format!("its section `{REUSE_SECTION}` is not a number from 1 up"));
        };
        self.reuse = Some(self.reuse.map_or(uses, |before: u32| before.min(uses)));
        Ok(())
    }

    fn shape(&self) -> Result<Shape, String> {
        let exports = |prefix: &str| self.exports.iter().any(|name| name.starts_with(prefix));
        if exports("wasi:http/handler@0.3") {
            Ok(Shape::Http03)
        } else if exports("wasi:http/incoming-handler@0.2") {
            Ok(Shape::Http02)
        } else if exports("wasi:cli/run@0.3") {
            Ok(Shape::Task03)
        } else if exports("wasi:cli/run@0.2") {
            Ok(Shape::Task02)
        } else if exports("cyte:cell/homeostasis@0.1") {
            Ok(Shape::Neuron)
        } else if Duty::ALL.iter().any(|duty| exports(&format!("{}@0.1", duty.interface()))) {
            Ok(Shape::Policy)
        } else if self.is_command && self.imports.iter().all(|module| module == "wasi_snapshot_preview1") {
            Ok(Shape::Command01)
        } else {
            Err(self.wrong_world())
        }
    }

    fn wrong_world(&self) -> String {
        let exports: Vec<&str> = self.exports.iter().map(String::as_str).collect();
        format!(
            "it exports no world that cyte knows (wasi:http/incoming-handler@0.2, wasi:http/handler@0.3, wasi:cli/run, cyte:cell/homeostasis@0.1, or zombies, log-sink or metrics of cyte:cell@0.1); it exports {}",
            if exports.is_empty() { "nothing".into() } else { exports.join(", ") }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_granted_is_empty_or_denied() {
        let mut grants = Grants::default();
        let says = |grants: &Grants, import: &str| answer(import, grants);
        for import in
            ["wasi:cli/environment@0.2.6", "wasi:filesystem/preopens@0.2.0", "wasi:config/store@0.2.0-rc.1"]
        {
            assert_eq!(says(&grants, import), Answer::Empty, "{import}");
        }
        for import in ["wasi:http/outgoing-handler@0.2.3", "wasi:http/client@0.3.0", "wasi:sockets/tcp@0.2.0"]
        {
            assert_eq!(says(&grants, import), Answer::Denied, "{import}");
        }
        assert_eq!(says(&grants, "wasi:clocks/monotonic-clock@0.2.0"), Answer::Free);
        assert_eq!(says(&grants, "spin:llm/llm@1.0.0"), Answer::Unknown);
        let import = "cyte:cell/endocrine@0.1.0";
        assert_eq!(says(&grants, import), Answer::Missing);
        let (why, remedy) = Ask { import: import.into(), answer: Answer::Missing }.refusal("front").unwrap();
        assert!(
            why.contains("not grant") && remedy.contains("may = [\"release\"] to [gene.front]"),
            "{remedy}"
        );
        grants.may.push(Deed::Release);
        assert_eq!(says(&grants, import), Answer::Granted);
        grants.config.push(("greeting".into(), "hello".into()));
        grants.outbound.push("https://api.example.test".parse().unwrap());
        assert_eq!(says(&grants, "wasi:config/store@0.2.0-rc.1"), Answer::Granted);
        assert_eq!(says(&grants, "wasi:http/outgoing-handler@0.2.3"), Answer::Granted);
        assert_eq!(says(&grants, "wasi:sockets/tcp@0.2.0"), Answer::Denied, "nothing grants sockets");
    }
}
