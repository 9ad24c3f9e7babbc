//! How quickly a host is there and how little it holds: start to first answer, idle memory,
//! size of the binary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cases::{Ask, CONTROL, Contender, HYPER, System};
use super::client::Client;
use super::load::Load;
use super::machine::{self, Memory};
use super::report::{CaseReport, GateReport, Row, note};
use super::server::{Launch, Server};
use super::stats::{Spread, order, ratios};
use super::systems::{Bench, asked, finish};
use super::{BenchError, Progress};

/// Starts of each system.
const STARTS: usize = 20;
/// How long a server rests before its memory is read.
const REST: Duration = Duration::from_secs(2);
/// How long a server may take to end.
const END: Duration = Duration::from_secs(5);
/// A million bytes, the unit of the figures.
const MB: f64 = 1e6;

const CYTE: Contender = Contender { label: "cyte", system: System::Cyte { gene: "hello", reuse: 128 } };
const WASMTIME: Contender =
    Contender { label: "wasmtime serve", system: System::Wasmtime { gene: "hello", flags: &[] } };

/// A contender and what it showed.
struct Runner {
    contender: Contender,
    /// `None` once it has failed.
    launch: Option<Launch>,
    /// Milliseconds, one for each turn.
    starts: Vec<Option<f64>>,
    idle: Option<Memory>,
}

/// Measure it all. What cannot be measured leaves its gate open and is said in the notes.
pub(crate) fn run(bench: &Bench<'_>, progress: Progress<'_>) -> CaseReport {
    let mut notes = Vec::new();
    progress("start: packing, signing and running once, so that the state folder is warm");
    let launches = [
        (HYPER, bench.launch(&HYPER)),
        (CYTE, warm(bench)),
        (WASMTIME, bench.launch(&WASMTIME)),
        (CONTROL, bench.launch(&CONTROL)),
    ];
    let mut runners = launches.map(|(contender, launch)| {
        let launch = launch.map_err(|error| notes.push(note(contender.label, &error.to_string()))).ok();
        Runner { contender, launch, starts: Vec::new(), idle: None }
    });
    for turn in 0..STARTS {
        for index in order(runners.len(), turn) {
            if let Some(runner) = runners.get_mut(index) {
                let took = runner.try_once(bench, &mut notes).map(|(_, took)| took.as_secs_f64() * 1e3);
                runner.starts.push(took);
            }
        }
    }
    for runner in &mut runners {
        progress(&format!(
            "start: memory of {} after {} idle seconds",
            runner.contender.label,
            REST.as_secs()
        ));
        runner.rest(bench, &mut notes);
    }
    let binary = stripped(bench, &bench.args.cyte, &mut notes);
    report(&runners, binary, notes)
}

impl Runner {
    /// Start and ask once; what fails is noted and not tried again.
    fn try_once(&mut self, bench: &Bench<'_>, notes: &mut Vec<String>) -> Option<(Server, Duration)> {
        let answered = first_answer(bench, self.launch.as_ref()?, self.contender.system);
        answered
            .map_err(|error| {
                notes.push(note(self.contender.label, &error.to_string()));
                self.launch = None;
            })
            .ok()
    }

    /// Memory of a server that answered once and then rested.
    fn rest(&mut self, bench: &Bench<'_>, notes: &mut Vec<String>) {
        if let Some((mut server, _)) = self.try_once(bench, notes) {
            std::thread::sleep(REST);
            self.idle = Some(machine::memory(server.pid()));
            server.stop(END);
        }
    }

    fn row(&self, base: &[Option<f64>], binary: Option<f64>) -> Row {
        let known: Vec<f64> = self.starts.iter().copied().flatten().collect();
        let idle = |of: fn(Memory) -> u64| self.idle.map(|memory| of(memory) as f64 / MB);
        Row::new(self.contender.label)
            .with("start ms", &known)
            .with("x hyper", &ratios(&self.starts, base))
            .with("RSS idle MB", idle(|memory| memory.rss).as_slice())
            .with("PSS idle MB", idle(|memory| memory.pss).as_slice())
            .with("binary MB", binary.as_slice())
    }
}

fn report(runners: &[Runner; 4], binary: Option<f64>, notes: Vec<String>) -> CaseReport {
    let [hyper, cyte, wasmtime, again] = runners;
    let one = |value: Option<f64>| value.and_then(|value| Spread::of(&[value]));
    let gate =
        |what: &str, at_most, measured| GateReport::judge(what.to_owned(), true, at_most, None, measured);
    let control = Spread::of(&ratios(&again.starts, &hyper.starts));
    let started = Spread::of(&ratios(&cyte.starts, &hyper.starts));
    let rss = cyte.idle.map(|memory| memory.rss as f64 / MB);
    CaseReport {
        name: "start".to_owned(),
        about: "process start to first 200 with a warm code cache; idle memory with one drone".to_owned(),
        how: format!("{STARTS} starts each in turn, both cores; memory after {} idle s", REST.as_secs()),
        rows: vec![
            hyper.row(&hyper.starts, None),
            cyte.row(&hyper.starts, binary),
            wasmtime.row(&hyper.starts, None),
            again.row(&hyper.starts, None),
        ],
        control,
        gates: vec![
            gate("cyte start <= 2.00 x hyper", 2.0, started).against(control),
            gate("cyte idle RSS <= 20.0 MB", 20.0, one(rss)),
            gate("cyte stripped binary <= 30.0 MB", 30.0, one(binary.filter(|_| cyte.idle.is_some()))),
        ],
        notes,
    }
}

/// Start a server and ask once; the server and the time from its start to the whole answer.
fn first_answer(
    bench: &Bench<'_>,
    launch: &Launch,
    system: System,
) -> Result<(Server, Duration), BenchError> {
    let server = Server::start(launch, None, bench.args.stop)?;
    let (request, expect) = asked(Ask::Hello, system, true);
    let load = Load { connections: 1, request, expect, keep: true };
    let answered = Client::connect(server.address()).and_then(|mut client| client.expect(&load));
    let took = server.started().elapsed();
    answered.map_err(|reason| server.failed(reason))?;
    Ok((server, took))
}

/// A signed bundle and a state folder that has run it once.
fn warm(bench: &Bench<'_>) -> Result<Launch, BenchError> {
    let project = bench.project("start", &[("hello", "/...", "reuse = 128\n")])?;
    let (key, bundle) = (bench.path("start.key"), bench.path("start.dna"));
    let cyte = |words: &[&Path]| {
        let words: Vec<_> = words.iter().map(|word| word.as_os_str().to_owned()).collect();
        finish(&bench.args.cyte, &words)
    };
    let word = Path::new;
    cyte(&[word("dna"), word("keygen"), word("--out"), &key])?;
    cyte(&[word("dna"), word("pack"), &project, word("--out"), &bundle, word("--key"), &key])?;
    let launch = bench.cyte(CYTE.label.to_owned(), &bundle, &bench.path("start-state"));
    let (mut server, _) = first_answer(bench, &launch, CYTE.system)?;
    server.stop(END);
    Ok(launch)
}

/// Megabytes of a binary without its symbols; as it is, and noted, where it cannot be stripped.
fn stripped(bench: &Bench<'_>, binary: &Path, notes: &mut Vec<String>) -> Option<f64> {
    let copy: PathBuf = bench.path("stripped");
    let arguments = ["-o".into(), copy.as_os_str().to_owned(), binary.as_os_str().to_owned()];
    let measured = if finish(Path::new("strip"), &arguments).is_ok() {
        copy
    } else {
        notes.push("`strip` is missing or failed: the binary's size is as built".to_owned());
        binary.to_owned()
    };
    std::fs::metadata(measured).ok().map(|meta| meta.len() as f64 / MB)
}
