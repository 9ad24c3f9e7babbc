//! Killed in the middle, again and again: what was acknowledged is there, the host is ready at once, and
//! the view of what was observed is the one that a replay gives.
//!
//! `CYTE_KILL_ROUNDS=200` for the figure, `CYTE_KILL_SEED` for the same moments again. The file is
//! replayed here with the crates of the store alone, not with the host's.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cyte_organism::phenotype::View;
use cyte_store::{Begin, PhenotypeStore, Retention, fingerprint};

use super::{SHOP, ask};
use crate::support::{Connection, Host, Temp, project};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the host said of its view: the number of the newest event, and the digest.
type Said = (u64, String);

/// Wishes by their numbers: the last that was acknowledged, and the last that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wishes {
    acknowledged: u64,
    asked: u64,
}

/// What one life of a host left behind.
struct Life {
    ready: Duration,
    wishes: Wishes,
    /// Acknowledged in this life.
    applied: u64,
    served: u64,
    said: Vec<Said>,
}

/// The number of the wish that is in force.
fn in_force(host: &Host) -> u64 {
    host.json(["get", "front"])["labels"]["n"].as_str().map_or(0, |number| number.parse().unwrap())
}

/// A start after a kill: ready when the first request is answered, and all that was acknowledged there.
fn wake(folder: &Path, state: &Path, before: Wishes) -> (Host, Duration, u64) {
    let start = Instant::now();
    let host = Host::of(folder).state(state).start();
    assert_eq!(host.get("/").status, 200);
    let ready = start.elapsed();
    let there = in_force(&host);
    assert!((before.acknowledged..=before.asked).contains(&there), "{there} is in force, {before:?}");
    (host, ready, there)
}

/// Starts, loads, applies, and is killed after `life`.
fn live(folder: &Path, state: &Path, before: Wishes, life: Duration) -> Life {
    let (host, ready, begun) = wake(folder, state, before);
    let (is_over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let (acknowledged, asked) = (AtomicU64::new(begun), AtomicU64::new(begun));
    let mut said = Vec::new();
    let (address, apply) = (host.address(), host.cyte(["apply", "-"]));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = Connection::open(address);
            while connection.try_request("GET", "/", &[], b"").is_ok_and(|answer| answer.status == 200) {
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            for next in begun + 1.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                asked.store(next, Ordering::Relaxed);
                let count = next % 4 + 1;
                let text = format!("[gene.front]\ncount = \"{count}..8\"\nlabels = {{ n = \"{next}\" }}\n");
                let ran = apply.clone().stdin(text).run();
                if ran.code() != 0 {
                    // The host is gone; it never says that the wish is wrong.
                    assert!(!ran.stderr.contains("E40"), "{}", ran.stderr);
                    return;
                }
                acknowledged.store(next, Ordering::Relaxed);
            }
        });
        let end = Instant::now() + life;
        while Instant::now() < end {
            let view = ask(&host, "/v1/phenotype");
            if let (Some(newest), Some(digest)) = (view["newest"].as_u64(), view["digest"].as_str()) {
                said.push((newest, digest.to_owned()));
            }
            std::thread::sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
        host.kill();
        is_over.store(true, Ordering::Relaxed);
    });
    let wishes = Wishes { acknowledged: acknowledged.into_inner(), asked: asked.into_inner() };
    let applied = wishes.acknowledged - begun;
    Life { ready, wishes, applied, served: served.into_inner(), said }
}

/// Folds all events of the file from the first, and compares: with the view that the store makes of its
/// newest snapshot and what follows it, and with what the host said while it lived. Says how many of
/// the latter there were.
fn replay(state: &Path, said: &[Said]) -> usize {
    let file = state.join("phenotype.redb");
    if !file.exists() {
        return 0;
    }
    // A copy, so that the host itself finds the file as it was left.
    let scratch = Temp::new();
    let copy = scratch.path().join("phenotype.redb");
    std::fs::copy(&file, &copy).unwrap();
    let opened = PhenotypeStore::open(&copy, Retention::default()).unwrap();
    assert_eq!(opened.set_aside, None);
    let (mut view, mut begin, mut compared) = (View::default(), Begin::After(0), 0);
    loop {
        let page = opened.store.events(begin).unwrap();
        let Some((last, _)) = page.last() else { break };
        begin = Begin::After(*last);
        for (at, record) in &page {
            assert!(view.fold(record), "{record:?}");
            for (_, digest) in said.iter().filter(|(newest, _)| newest == at) {
                assert_eq!(fingerprint(&view).unwrap().to_string(), *digest, "the view at event {at}");
                compared += 1;
            }
        }
    }
    assert!(opened.store.view(|replayed| *replayed == view), "the store's replay and a fold of all events");
    compared
}

#[test]
fn killed_again_and_again_it_keeps_its_word_and_its_view() {
    let rounds = number("CYTE_KILL_ROUNDS", 3);
    let seed = number("CYTE_KILL_SEED", 1);
    eprintln!("CYTE_KILL_ROUNDS={rounds} CYTE_KILL_SEED={seed}");
    let folder = project(&SHOP.replace("reuse = 1000", "reuse = 50"));
    let state = folder.path().join("s");
    // Compiled once; what is measured is a start with the code at hand.
    Host::of(folder.path()).state(&state).start().stop();
    let mut dice = Dice(seed);
    let mut wishes = Wishes { acknowledged: 0, asked: 0 };
    let (mut slowest, mut applied, mut compared, mut served) = (Duration::ZERO, 0, 0, 0);
    for round in 0..rounds {
        // Most end before the first commit, some after one or two.
        let ms = if round % 3 == 2 { 1_300 + dice.below(1_500) } else { 100 + dice.below(900) };
        let life = live(folder.path(), &state, wishes, Duration::from_millis(ms));
        assert!(life.ready < Duration::from_secs(5), "round {round}: ready after {:?}", life.ready);
        (slowest, wishes) = (slowest.max(life.ready), life.wishes);
        (applied, served) = (applied + life.applied, served + life.served);
        compared += replay(&state, &life.said);
    }
    wake(folder.path(), &state, wishes).0.stop();
    eprintln!(
        "{rounds} kills: {applied} wishes acknowledged and there, {served} requests served, \
         slowest start to the first 200: {} ms, {compared} views equal after replay",
        slowest.as_millis()
    );
    assert!(applied >= rounds && served > 0);
    assert!(compared > 0 || rounds < 3, "no view was compared");
}
