use super::*;
use crate::constants::Constants;

/// A class of eight slots a cell that has `messages` inside and waiting all the time until `ms`.
fn class(ready: u32, messages: u32, ms: u64) -> Sample {
    let inflight = messages.min(ready * 8);
    Sample {
        gene: "web".to_owned(),
        ready,
        queued: messages - inflight,
        inflight: inflight.into(),
        service_us: 50_000,
        activation_us: 3_000,
        slots: 8,
        most: 96,
        wait_target_ms: 25,
        weight: 1_000,
        peak: messages,
        concurrency_us: u64::from(messages) * ms * 1_000,
        ..Sample::default()
    }
}

fn look(ms: u64, classes: Vec<Sample>) -> Look {
    Look { host: Host { now_us: ms * 1_000, stems: 16, room: 1_000, ..Host::default() }, classes }
}

fn told(orders: &[Order]) -> u32 {
    match orders {
        [Order { gene, advice: Advice::Target(cells) }] if gene == "web" => *cells,
        other => panic!("{other:?}"),
    }
}

/// What `watch` says every `step` ms from `from` to `to`, while `messages` are there.
fn watched(
    watch: &mut dyn Watch,
    (from, to, step): (u64, u64, usize),
    ready: u32,
    messages: u32,
) -> Vec<u32> {
    (from..=to)
        .step_by(step)
        .map(|ms| told(&watch.watch(&look(ms, vec![class(ready, messages, ms)]))))
        .collect()
}

#[test]
fn kpa_aims_at_its_utilisation_and_hurries_at_twice_what_serves() {
    let mut kpa = Kpa::default();
    // 56 messages, 8 slots, 70 %: ten cells.
    let calm = watched(&mut kpa, (0, 60_000, 20), 10, 56);
    assert!(calm.iter().all(|cells| *cells == 10), "{calm:?}");
    // Ten times the load for six seconds: the panic window calls for far more.
    let (mut seen, mut sum) = (Vec::new(), 56 * 60_000_000);
    for ms in (60_020..=66_000).step_by(20) {
        sum += 560 * 20_000;
        let class = Sample { concurrency_us: sum, ..class(10, 560, ms) };
        seen.push(told(&kpa.watch(&look(ms, vec![class]))));
    }
    assert_eq!(*seen.last().unwrap(), 96, "its most");
    // The load is gone, and still nothing shrinks for a stable window.
    let quiet = |kpa: &mut Kpa, ms| {
        let class = Sample { concurrency_us: sum, ..class(96, 0, ms) };
        told(&kpa.watch(&look(ms, vec![class])))
    };
    let during: Vec<u32> = (66_020..120_000).step_by(20).map(|ms| quiet(&mut kpa, ms)).collect();
    assert!(during.iter().all(|cells| *cells == 96));
    let after: Vec<u32> = (120_000..140_000).step_by(20).map(|ms| quiet(&mut kpa, ms)).collect();
    assert_eq!(*after.last().unwrap(), 48, "down by half at most");
}

#[test]
fn kpa_decides_at_its_tick_and_says_the_same_in_between() {
    let times = KpaTimes { tick: Nanos::from_millis(100), ..KpaTimes::default() };
    let mut kpa = Kpa::new(KpaTimes { stable: Nanos::from_millis(10_000), ..times }).unwrap();
    watched(&mut kpa, (0, 1_000, 20), 10, 56);
    let told = watched(&mut kpa, (1_020, 1_100, 20), 2, 5_600);
    assert!(told[..4].iter().all(|cells| *cells == 10) && told[4] > 10, "{told:?}");
    assert!(Kpa::new(times).is_ok(), "600 ticks a window are remembered");
    let long = KpaTimes { tick: Nanos::from_millis(20), ..times };
    assert_eq!(Kpa::new(long).unwrap_err(), TimesError, "3,000 are not");
}

#[test]
fn on_demand_makes_cells_for_those_who_wait_and_keeps_a_second_s_peak() {
    let mut rule = OnDemand::default();
    // 3 cells hold 24 of 40: two more for the 16 that wait.
    assert_eq!(watched(&mut rule, (0, 0, 20), 3, 40), [5]);
    let pending = Sample { pending: 1, ..class(3, 40, 20) };
    assert_eq!(told(&rule.watch(&look(20, vec![pending]))), 5, "one is on its way, eight still wait");
    // Within a second of the peak nothing goes; after it all that is not needed does.
    let cells = watched(&mut rule, (40, 1_200, 20), 5, 8);
    assert_eq!((cells[0], cells[47], cells[57]), (5, 5, 1), "{cells:?}");
}

#[test]
fn the_calculus_grows_and_shrinks_as_the_law_does() {
    let mut rule = Calculus::new(Constants::default(), 7);
    assert_eq!(watched(&mut rule, (1_000, 1_000, 20), 0, 0), [0], "nothing to do");
    // What is ordered is there at the next look; a report doubles a class at most.
    let mut ready = 3;
    for ms in (1_020..=1_600).step_by(20) {
        let told = told(&rule.watch(&look(ms, vec![class(ready, 60, ms)])));
        assert!(told <= 2 * ready, "{told} of {ready}");
        ready = told.max(ready);
    }
    assert!((8..=12).contains(&ready), "60 messages want about nine cells of eight slots: {ready}");
    let calm = watched(&mut rule, (1_620, 60_000, 20), 10, 62);
    let calm = &calm[1_000..];
    assert!(calm.iter().all(|cells| (9..=11).contains(cells)), "wanted is met: {calm:?}");
    let less = watched(&mut rule, (60_020, 75_000, 20), 10, 8);
    assert!(less.iter().filter(|cells| **cells < 10).count() > 10, "a lasting surplus shrinks");
    assert!(less.iter().all(|cells| *cells >= 9), "one at a time: {less:?}");
}

#[test]
fn the_same_looks_give_the_same_orders_and_a_class_that_leaves_is_forgotten() {
    let rules: [fn() -> Box<dyn Watch>; 3] = [
        || Box::new(Calculus::new(Constants::default(), 1)),
        || Box::new(Kpa::default()),
        || Box::new(OnDemand::default()),
    ];
    for rule in rules {
        let (mut one, mut two) = (rule(), rule());
        for step in 0..200u64 {
            let load = (step * 37 % 90) as u32;
            let other = Sample { gene: "api".to_owned(), ..class(2, load / 3, step * 20) };
            let mut classes = vec![class(4, load, step * 20), other];
            classes.truncate(if step % 50 < 40 { 2 } else { 1 });
            let shown = look(step * 20, classes);
            let orders = one.watch(&shown);
            assert_eq!(orders, two.watch(&shown), "{one:?}");
            let genes: Vec<&str> = orders.iter().map(|order| order.gene.as_str()).collect();
            assert_eq!(genes, shown.classes.iter().map(|c| c.gene.as_str()).collect::<Vec<_>>());
        }
        assert!(one.watch(&look(4_000, Vec::new())).is_empty());
    }
}

#[test]
fn absurd_samples_give_orders_and_no_panic() {
    let odd = Sample {
        gene: "web".to_owned(),
        queued: u32::MAX,
        head_wait_us: u64::MAX,
        inflight: u64::MAX,
        arrived: u64::MAX,
        service_us: u64::MAX,
        computing_us: u64::MAX,
        activation_us: u64::MAX,
        slots: 0,
        least: 5,
        most: 1,
        peak: u32::MAX,
        concurrency_us: u64::MAX,
        ..Sample::default()
    };
    let full = Sample {
        ready: 3,
        pending: 2,
        draining: 1,
        slots: 65_535,
        weight: 1,
        wait_target_ms: 1,
        least: 0,
        most: 10,
        ..odd.clone()
    };
    let mut rules: [Box<dyn Watch>; 3] =
        [Box::new(Calculus::new(Constants::default(), 1)), Box::<Kpa>::default(), Box::<OnDemand>::default()];
    for rule in &mut rules {
        for ms in [0, u64::MAX / 1_000, 5, 2_000, 4_000] {
            for class in [&odd, &full] {
                let shown = look(ms, vec![class.clone()]);
                assert!(rule.watch(&shown).len() <= 1);
            }
        }
    }
}

#[test]
fn a_look_holds_what_the_law_was_shown() {
    let cell = |niche, phase, inflight| Reading {
        niche: crate::lineage::Niche(niche),
        mother: None,
        phase,
        inflight,
        since: Nanos(0),
    };
    let cells = [cell(1, Phase::Ready, 3), cell(2, Phase::Pending, 0), cell(3, Phase::Draining, 5)];
    let sample = ClassSample {
        class: law::ClassId(1),
        cells: &cells,
        queued: 2,
        peak: 9,
        head: Some(Nanos::from_millis(90)),
        arrived: 7,
        service: Nanos(1_999),
        computing: Nanos(0),
        stalled: 2,
        activation: Nanos::from_millis(3),
        retired: 1,
        signal: 1_500,
        resting_mib: 3,
    };
    let now = Nanos::from_millis(100);
    let beside = Beside { concurrency: Nanos::from_millis(5), memory: 1 << 20, died: 4 };
    let shown = Sample::of(now, "web", &ClassSpec::default(), &sample, beside);
    assert_eq!((shown.ready, shown.pending, shown.draining, shown.inflight), (1, 1, 1, 3));
    assert_eq!((shown.queued, shown.head_wait_us, shown.service_us), (2, 10_000, 1));
    assert_eq!((shown.peak, shown.concurrency_us, shown.most), (9, 5_000, 64));
    assert_eq!((shown.stalled, shown.signal, shown.resting_mib), (2, 1_500, 3));
    assert_eq!((shown.memory, shown.died), (1 << 20, 4));
    assert_eq!(law::Advice::from(Advice::Bias(-250)), law::Advice::Bias(0.75));
}
