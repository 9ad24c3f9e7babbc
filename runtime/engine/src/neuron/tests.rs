use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cyte_dna::{Blob, Gene, Role};
use cyte_organism::neuron::{Advice, Sample};
use tokio::runtime::Runtime;

use super::*;
use crate::{
    Alarm, Answer, Clock, GenomeConfig, Geometry, Kind, Lanes, Shape,
    cache::CodeCache,
    capability::{
        Hands,
        control::NoControl,
        http::{BoxFuture, Outbound, OutboundBody, OutboundError, OutboundRequest},
        log::{Death, LogLine, LogSink},
    },
    engines, inspect,
};

/// Orders as many cells for `web` as it has looked.
const COUNT: &str = "
    (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 3))
    (i32.store8 (i32.const 264) (i32.const 1)) (i32.store (i32.const 268) (global.get $looks))
    (i32.store (i32.const 16) (i32.const 256)) (i32.store (i32.const 20) (i32.const 1))";
/// Orders the same for a class that nobody knows.
const STRANGER: &str = "
    (i32.store (i32.const 256) (i32.const 68)) (i32.store (i32.const 260) (i32.const 6))
    (i32.store8 (i32.const 264) (i32.const 1)) (i32.store (i32.const 268) (i32.const 9))
    (i32.store (i32.const 16) (i32.const 256)) (i32.store (i32.const 20) (i32.const 1))";
/// Gives out a list that is not in its memory.
const OUT_OF_BOUNDS: &str = "
    (i32.store (i32.const 16) (i32.const 256)) (i32.store (i32.const 20) (i32.const 0x1000000))";
/// Gives out more orders than a host lets in.
const FLOOD: &str = "
    (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0x20000))";
const TRAP: &str = "(if (i32.gt_u (global.get $looks) (i32.const 1)) (then unreachable))";
const SPIN: &str = "(loop $on (br $on))";

/// A component of `world neuron` whose `watch` does this.
fn component(body: &str) -> Vec<u8> {
    let text = format!(
        "(module
            (memory (export \"memory\") 40)
            (global $next (mut i32) (i32.const 65536))
            (global $looks (mut i32) (i32.const 0))
            (data (i32.const 64) \"web\\00nobody\")
            (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get 2))))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export \"cyte:cell/homeostasis@0.1.0#watch\")
                (param i64 i32 i32 i64 i32 i32 i32 i64 i64 i32 i32) (result i32)
                (global.set $next (i32.const 65536))
                (global.set $looks (i32.add (global.get $looks) (i32.const 1)))
                {body}
                (i32.const 16)))"
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir("../../wit").unwrap();
    let world = resolve.select_world(&[package], Some("neuron")).unwrap();
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .unwrap();
    let encoder = wit_component::ComponentEncoder::default().module(&module).unwrap();
    encoder.validate(true).encode().unwrap()
}

/// Hears of deaths.
#[derive(Default)]
struct Ears(Mutex<Vec<(u64, String)>>);

impl LogSink for Ears {
    fn line(&self, _: LogLine) {}

    fn died(&self, death: &Death<'_>) {
        self.0.lock().unwrap().push((death.cell, format!("{:?}", death.cause)));
    }
}

struct Nobody;

impl Outbound for Nobody {
    fn send(&self, _: OutboundRequest) -> BoxFuture<Result<::http::Response<OutboundBody>, OutboundError>> {
        Box::pin(async { Err(OutboundError::Dns) })
    }
}

/// A host with one neuron.
struct Lab {
    runtime: Runtime,
    genome: Arc<Genome>,
    ears: Arc<Ears>,
    neuron: Arc<Neuron>,
    folder: std::path::PathBuf,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn lab(body: &str, change: impl FnOnce(&mut Gene)) -> Lab {
    lab_with_places(body, 8, change)
}

fn lab_with_places(body: &str, places: u32, change: impl FnOnce(&mut Gene)) -> Lab {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let folder = std::env::temp_dir().join(format!("cyte-neuron-{}-{number}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = GenomeConfig {
        geometry: Geometry { slots: 8, warm_bytes: 0 },
        memory_max: 64 << 20,
        cells_max: places,
        code_folder: folder.clone(),
        code_key: [7; 32],
        // The code is compiled below and lies in the cache.
        compiler: None,
        lanes: Lanes { cytoplasm: runtime.handle().clone(), slow: runtime.handle().clone(), slow_at_once: 1 },
        clock: Clock::start(),
        alarm: Alarm::new(|_| {}),
    };
    let genome = Genome::new(config, None).unwrap();
    let wasm = component(body);
    let mut gene = Gene::new("think".parse().unwrap(), Role::Neuron, Blob::of(&wasm));
    gene.neuron = Some(Mandate::Replace);
    // A busy machine is no reason for a late answer here.
    gene.limits.wall_ms = Some(2_000);
    change(&mut gene);
    let code = engines::compiler(Kind::Plain).unwrap().precompile_component(&wasm).unwrap();
    let engine = engines::fingerprint(Kind::Plain).unwrap();
    CodeCache::new(folder.clone(), [7; 32]).store(&engine, &gene.component.sha256, &code).unwrap();
    let ears = Arc::new(Ears::default());
    let hands = Hands { outbound: Arc::new(Nobody), log: ears.clone(), control: Arc::new(NoControl) };
    let inspection = inspect(&wasm).unwrap();
    let pre = genome.prepare(&gene, "lab", &wasm, inspection, hands, Vec::new()).unwrap();
    let neuron = genome.neuron(pre).unwrap();
    Lab { runtime, genome, ears, neuron, folder }
}

fn look() -> Look {
    Look { classes: vec![Sample { gene: "web".to_owned(), ..Sample::default() }], ..Look::default() }
}

fn web(cells: u32) -> Vec<Order> {
    vec![Order { gene: "web".to_owned(), advice: Advice::Target(cells) }]
}

const MS: fn(u64) -> Nanos = Nanos::from_millis;

impl Lab {
    fn look(&self) -> Result<Vec<Order>, CallError> {
        self.runtime.block_on(self.neuron.look(&look()))
    }

    /// Asks, and waits until the look has ended.
    fn asked(&self, now: Nanos) -> Asked {
        let asked = self.neuron.ask(now, look());
        for _ in 0..1_000 {
            if !self.neuron.state().is_looking {
                return asked;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("a look did not end in 10 s");
    }
}

#[test]
fn what_it_remembers_is_there_at_the_next_look_and_orders_are_taken_once() {
    let lab = lab(COUNT, |_| {});
    assert_eq!(lab.neuron.take(), None);
    assert_eq!(lab.asked(MS(1_000)), Asked::Begun);
    assert_eq!((lab.neuron.take(), lab.neuron.take()), (Some(web(1)), None));
    lab.asked(MS(1_020));
    lab.asked(MS(1_040));
    assert_eq!(lab.neuron.take(), Some(web(3)), "the newest only, from the same cell");
    let seen = lab.neuron.snapshot();
    assert_eq!((seen.cell, seen.born, seen.looks, seen.failures), (Some(1), 1, 3, 0));
    assert_eq!(lab.genome.usage().cells, 1, "it holds a place like any cell");
    lab.neuron.forget();
    assert_eq!((lab.look().unwrap(), lab.neuron.snapshot().cell), (web(1), Some(2)));
}

#[test]
fn it_is_asked_once_at_a_time_and_not_too_often() {
    let quick = lab(COUNT, |_| {});
    assert_eq!(quick.asked(MS(0)), Asked::Begun);
    assert_eq!(quick.asked(MS(19)), Asked::TooSoon);
    assert_eq!(quick.asked(MS(20)), Asked::Begun);
    let slow = lab(SPIN, |gene| gene.limits.wall_ms = Some(300));
    assert_eq!(slow.neuron.ask(MS(0), look()), Asked::Begun);
    assert_eq!(slow.neuron.ask(MS(100), look()), Asked::Busy);
    assert!(matches!(slow.asked(MS(200)), Asked::Busy));
    assert_eq!(slow.neuron.take(), None);
}

#[test]
fn one_that_spins_is_ended_at_its_deadline() {
    let lab = lab(SPIN, |gene| gene.limits.wall_ms = None);
    let started = std::time::Instant::now();
    assert!(matches!(lab.look(), Err(CallError::Breached(Breach::Wall))));
    // 5 ms by default; the rest is for a machine that does other things as well.
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    let seen = lab.neuron.snapshot();
    assert_eq!((seen.cell, seen.failures), (None, 1));
    assert_eq!(lab.genome.usage().cells, 0, "its place is free");
    assert_eq!(*lab.ears.0.lock().unwrap(), [(1, "Breach".to_owned())]);
    let counters = lab.genome.usage().counters;
    assert_eq!((counters.wall_breaches, counters.neuron_failures), (1, 1));
}

#[test]
fn after_a_trap_it_rests_and_then_finds_a_fresh_cell() {
    let lab = lab(&format!("{TRAP}{COUNT}"), |_| {});
    assert_eq!(lab.look().unwrap(), web(1));
    for streak in 0..10 {
        let before = lab.neuron.host.clock.now();
        assert!(matches!(lab.look(), Err(CallError::Trapped(_))), "each cell traps at its second look");
        let until = lab.neuron.state().rests_until.unwrap();
        assert!(until.since(before) >= MS(100), "{streak}");
        assert_eq!(lab.neuron.ask(Nanos(until.0 - 1), look()), Asked::Resting(until));
        // By this clock 100 ms go by each time, so that it is not too soon.
        assert_eq!(lab.asked(until + MS(100 * streak)), Asked::Begun);
        assert_eq!(lab.neuron.take(), Some(web(1)), "a cell that remembers nothing");
        assert_eq!(lab.neuron.snapshot().trouble, None);
    }
    let deaths = lab.ears.0.lock().unwrap().clone();
    let cells: Vec<u64> = deaths.iter().map(|(cell, _)| *cell).collect();
    assert_eq!(cells, (1..=10).collect::<Vec<u64>>(), "no number twice");
    assert!(deaths.iter().all(|(_, cause)| cause == "Trap"), "{deaths:?}");
    assert_eq!(
        [0, 1, 6, 7, u32::MAX].map(|streak| pause(limits::NEURON_PAUSE_MS, streak)),
        [MS(100), MS(200), MS(6_400), MS(10_000), MS(10_000)]
    );
}

#[test]
fn garbage_is_refused_and_counted() {
    let stranger = lab(STRANGER, |_| {});
    assert_eq!(stranger.look().unwrap(), []);
    assert_eq!(stranger.neuron.snapshot().orders_refused, 1);
    assert_eq!(stranger.genome.usage().counters.neuron_orders_refused, 1);
    let advisor = lab(COUNT, |gene| gene.neuron = Some(Mandate::Advise));
    assert_eq!(advisor.look().unwrap(), [], "it may only advise");
    assert_eq!(advisor.neuron.snapshot().orders_refused, 1);
    for body in [OUT_OF_BOUNDS, FLOOD] {
        let lab = lab(body, |_| {});
        assert!(matches!(lab.look(), Err(CallError::Trapped(_))), "{body}");
        assert_eq!(lab.neuron.snapshot().cell, None);
    }
}

#[test]
fn it_lives_within_its_uses_and_the_places_of_its_host() {
    let twice = lab(COUNT, |gene| gene.reuse = Some(2));
    let told: Vec<Vec<Order>> = (0..3).map(|_| twice.look().unwrap()).collect();
    assert_eq!(told, [web(1), web(2), web(1)]);
    assert_eq!((twice.neuron.snapshot().born, twice.ears.0.lock().unwrap().len()), (2, 0), "it retired");
    let full = lab_with_places(COUNT, 0, |_| {});
    assert!(matches!(full.look(), Err(CallError::NotMade(_))));
}

#[test]
fn a_component_is_a_neuron_by_its_export() {
    let wasm = component(COUNT);
    let found = inspect(&wasm).unwrap();
    assert_eq!(
        (found.shape, found.shape.role(), found.shape.engine()),
        (Shape::Neuron, Role::Neuron, Kind::Plain)
    );
    assert_eq!(found.shape.world(), "cyte:cell/homeostasis@0.1");
    assert!(found.asks(&cyte_dna::Grants::default()).iter().all(|ask| ask.answer != Answer::Unknown));
    let lab = lab(COUNT, |_| {});
    let hands = Hands { outbound: Arc::new(Nobody), log: lab.ears.clone(), control: Arc::new(NoControl) };
    let drone = Gene::new("front".parse().unwrap(), Role::Drone, Blob::of(&wasm));
    let error = lab.genome.prepare(&drone, "lab", &wasm, found, hands, Vec::new()).err().unwrap();
    let says = "gene `front`: its DNA says drone, but it is built for cyte:cell/homeostasis@0.1";
    assert_eq!(error.to_string(), says);
}
