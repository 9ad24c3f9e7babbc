//! The flight recorder: what was recorded runs again, bit for bit, from any keyframe, and a file
//! that was changed does neither replay nor harm.

use std::sync::Arc;
use std::time::Instant;

use cyte_organism::Nanos;
use cyte_organism::constants::{ClassSpec, Constants};
use cyte_organism::flight::{About, Recorded, Recording, Tape, Timeline, predict, replay};
use cyte_organism::law::{Advice, ClassId, Decision, Law, Transport};
use cyte_organism::lineage::Niche;
use proptest::prelude::*;

use crate::world::{TAPE, World};

/// A life in which everything happens that can reach a law.
fn life(seed: u64, loads: &[u32]) -> (World, Vec<Decision>) {
    let spec = ClassSpec { slots: 8, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec, spec], seed);
    let mut all = Vec::new();
    for load in loads {
        let (now, class) = (world.now, ClassId(load % 2));
        for (at, tissue) in world.tissues.iter_mut().enumerate() {
            tissue.set_loads(load.rotate_left(at as u32) % 12);
            tissue.queued = load % 30;
            tissue.head = (tissue.queued > 0).then(|| Nanos(now.0.saturating_sub(6_000_000)));
            tissue.arrived += u64::from(*load % 100);
            tissue.wake(now);
        }
        match load % 7 {
            0 => drop(world.law.command(class, f64::from(load % 3) - 1.0)),
            1 => world.law.advise(now, class, Advice::Bias(1.1)),
            2 => world.law.advise(now, class, Advice::Target(load % 9)),
            3 => drop(world.law.release(class, Niche(u64::from(load % 5)), 0.5)),
            4 => world.law.set_class(class, ClassSpec { max: 20 + load % 50, ..spec }).unwrap(),
            _ => {}
        }
        world.step(Nanos::from_millis(u64::from(load % 60)));
        all.extend(world.decisions.iter().copied());
        if load % 5 == 0 {
            world.bury();
        }
    }
    (world, all)
}

fn recording(law: &Recorded) -> Recording {
    let about = About { genes: vec!["front".into(), "back".into()], ..About::default() };
    Recording { about, segments: law.tape().segments() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happened: written as a file, read and run again, every decision is the same to the
    /// last bit, and so is the law at every keyframe; from any keyframe on.
    #[test]
    fn what_was_recorded_replays_bit_for_bit(seed: u64, loads in prop::collection::vec(any::<u32>(), 1..250)) {
        let (world, all) = life(seed, &loads);
        let whole = Recording::from_bytes(&recording(&world.law).to_bytes()).unwrap();
        prop_assert_eq!(whole.counts(), (loads.len() as u64, all.len() as u64));
        for from in 0..whole.segments.len() {
            let later = Recording { about: whole.about.clone(), segments: whole.segments[from..].to_vec() };
            let mut decided = Vec::new();
            let verdict = replay(&later, |moment| decided.extend_from_slice(moment.decisions)).unwrap();
            prop_assert_eq!(verdict.difference, None);
            prop_assert_eq!(verdict.keyframes as usize, whole.segments.len() - from - 1);
            prop_assert_eq!((verdict.looks, verdict.decisions), later.counts());
            prop_assert_eq!(&decided[..], &all[all.len() - decided.len()..]);
        }
    }
}

/// Two lives that differ in one seed: the stimuli of one with the law of the other come out
/// otherwise, and the first look where they do is told.
#[test]
fn a_difference_is_found_and_told() {
    let loads: Vec<u32> = (0..200_u32).map(|at| at.wrapping_mul(2_654_435_761)).collect();
    let (mut mine, mut other) = (recording(&life(1, &loads).0.law), recording(&life(2, &loads).0.law));
    assert!(mine.segments.len() > 2);
    // The first segments are mine, the later ones another's: their keyframes do not fit.
    mine.segments.truncate(2);
    mine.segments.push(other.segments.remove(2));
    let verdict = replay(&mine, |_| {}).unwrap();
    let difference = verdict.difference.unwrap();
    assert_eq!((difference.look, difference.decision), (verdict.looks, None));
    assert!(difference.to_string().contains("stands otherwise"), "{difference}");
    assert_eq!(verdict.looks, mine.segments[..2].iter().map(|segment| segment.looks).sum::<u64>());
}

/// A timeline adds up to what was seen, and the simulator can be asked about a recording.
#[test]
fn a_timeline_tells_load_cells_births_and_ends() {
    let spec = ClassSpec { slots: 8, max: 60, ..ClassSpec::default() };
    let mut world = World::new(Constants::default(), &[spec, spec], 1);
    world.ticks(500, |world| {
        world.tissues[0].arrived += 4;
        world.tissues[0].set_loads(8);
    });
    let recording = recording(&world.law);
    let mut timeline = Timeline::new(recording.segments[0].from, recording.span(), 10, 2);
    let mut born = 0;
    replay(&recording, |moment| {
        timeline.see(moment);
        born += moment.decisions.iter().filter(|decision| matches!(decision, Decision::Cell { .. })).count();
    })
    .unwrap();
    let rows = &timeline.rows()[0];
    assert_eq!(rows.len(), 10);
    assert!(rows[5].load > 190.0 && rows[5].load < 210.0, "4 each 20 ms: {:?}", rows[5]);
    assert_eq!(rows.iter().map(|row| (row.born + row.ended) as usize).sum::<usize>(), born);
    assert!((timeline.mean_cells(0, 5.0, 9.0) - world.tissues[0].cells.len() as f64).abs() < 2.0);
    assert_eq!(timeline.mean_cells(7, 0.0, 1.0), 0.0);
    let prediction = predict(&recording, 1).unwrap().unwrap();
    assert_eq!(prediction.verdict.difference, None);
    let offered = prediction.simulated.classes[0].offered;
    assert!((1_800..2_200).contains(&offered), "{offered}");
}

/// splitmix64 over bytes: a few changes anywhere.
fn mutate(input: &[u8], state: &mut u64) -> Vec<u8> {
    let mut next = || {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes = input.to_vec();
    for _ in 0..=next() % 4 {
        let at = (next() % (bytes.len() as u64 + 1)) as usize;
        let length = ((next() % 16) as usize).min(bytes.len() - at);
        match next() % 6 {
            0 if at < bytes.len() => bytes[at] ^= 1 << (next() % 8),
            1 if at < bytes.len() => bytes[at] = next() as u8,
            2 => bytes.insert(at, next() as u8),
            3 => drop(bytes.drain(at..at + length)),
            4 => drop(bytes.splice(at..at, [0xff; 5])),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn variable(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is told how long to go on")]
    std::env::var(name).ok()?.parse().ok()
}

/// Changed files for `CYTE_FUZZ_SECONDS` (default 2): as they are they are refused; with a digest
/// made anew they are refused, replay, or differ, and never panic or run on for ever.
#[test]
fn changed_recordings_never_panic() {
    #[expect(clippy::disallowed_methods, reason = "this test goes on for a time")]
    let start = Instant::now();
    let seconds = variable("CYTE_FUZZ_SECONDS").unwrap_or(2);
    let mut state = variable("CYTE_FUZZ_SEED").unwrap_or(u64::from(std::process::id()));
    println!("replay with CYTE_FUZZ_SEED={state}");
    let loads: Vec<u32> = (0..40_u32).map(|at| at.wrapping_mul(2_654_435_761)).collect();
    let good = recording(&life(1, &loads).0.law);
    let bytes = good.to_bytes();
    let mut rounds = 0_u64;
    while start.elapsed().as_secs() < seconds {
        let changed = mutate(&bytes, &mut state);
        assert!(changed == bytes || Recording::from_bytes(&changed).is_err());
        // Behind the digest.
        if let Some(recording) = Recording::from_changed_body(&changed) {
            let _ = replay(&recording, |_| {});
            let _ = predict(&recording, 1);
        }
        rounds += 1;
    }
    println!("{rounds} inputs in {seconds} s");
    assert!(seconds == 0 || rounds > 0);
}

/// What recording adds to a look of a hundred busy cells: the best of many, as time is noisy.
#[test]
fn a_look_is_recorded_in_microseconds() {
    let best = |is_recorded: bool| {
        let spec = ClassSpec { slots: 8, max: 20_000, ..ClassSpec::default() };
        let constants = Constants { stems_min: 0, stems_max: 0, ..Constants::default() };
        let mut world = World::new(constants, &[spec], 1);
        if !is_recorded {
            let law = Law::new(constants, Transport::Family, 1);
            let nothing = cyte_organism::flight::TapeLimits { bytes: 0, ..TAPE };
            world.law = Recorded::new(law, Tape::new(nothing));
            world.law.set_class(ClassId(0), spec).unwrap();
        }
        world.room = 0;
        world.populate(0, 100);
        let runs = (0..60_u32).map(|at| {
            // Every second cell holds another number than before.
            for cell in world.tissues[0].cells.iter_mut().step_by(2) {
                cell.inflight = 5 + at % 2;
            }
            #[expect(clippy::disallowed_methods, reason = "this test measures the recorder")]
            let start = Instant::now();
            world.step(Nanos::from_millis(20));
            start.elapsed().as_nanos()
        });
        runs.min().unwrap()
    };
    let (plain, recorded) = (best(false), best(true));
    println!("{plain} ns a look, {recorded} ns recorded");
    let allowed: u128 = if cfg!(debug_assertions) { 40 } else { 1 };
    assert!(recorded <= plain + 5_000 * allowed, "{recorded} ns against {plain} ns");
}

#[test]
fn segments_are_shared_and_not_copied() {
    let loads: Vec<u32> = (0..200_u32).map(|at| at.wrapping_mul(2_654_435_761)).collect();
    let (world, _) = life(1, &loads);
    let (a, b) = (world.law.tape().segments(), world.law.tape().segments());
    assert!(a.len() > 2 && Arc::ptr_eq(&a[0], &b[0]));
}
