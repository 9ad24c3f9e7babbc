use proptest::prelude::*;

use super::*;

fn bounds(cells_max: u32, waiters_max: u32) -> Bounds {
    let ms = Nanos::from_millis;
    Bounds { cells_max, slots: 1, waiters_max, wait: ms(100), target: ms(20), stands_after: ms(100) }
}

fn plenty() -> Stock {
    Stock { stems: 1_000, coming: 0 }
}

fn ms(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

#[test]
fn the_hottest_cell_comes_first_and_waiters_are_served_in_order() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(2, 2));
    let Offer::NeedsCell(a) = tissue.offer(plenty) else { panic!("room for a") };
    let Offer::NeedsCell(b) = tissue.offer(plenty) else { panic!("room for b") };
    assert_eq!(tissue.offer(plenty), Offer::MustWait);
    tissue.enqueue(Nanos(0), 1);
    assert_eq!(tissue.offer(plenty), Offer::MustWait);
    tissue.enqueue(Nanos(0), 2);
    assert_eq!(tissue.offer(plenty), Offer::Saturated);
    assert_eq!(tissue.give_back(a, || ms(1)), GivenBack::Passed(1, a));
    tissue.leave(b, End::Died, false);
    let (waker, heir) = tissue.heir(|| ms(1)).expect("the place passes to the second waiter");
    assert_eq!((waker, tissue.alive()), (2, 2));
    assert_eq!(tissue.give_back(a, || ms(1)), GivenBack::Kept);
    assert_eq!(tissue.give_back(heir, || ms(1)), GivenBack::Kept);
    assert_eq!(tissue.offer(plenty), Offer::Sent(heir));
}

#[test]
fn above_a_lowered_bound_just_as_many_end_as_are_too_many() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(4, 2));
    let born: Vec<Birth> = (0..4).filter_map(|_| tissue.conceive()).collect();
    tissue.set_bounds(bounds(2, 2));
    assert_eq!((tissue.over(), tissue.staying()), (2, 4));
    assert_eq!(tissue.give_back(born[0], || ms(1)), GivenBack::Surplus(born[0]));
    assert_eq!(tissue.give_back(born[1], || ms(1)), GivenBack::Surplus(born[1]));
    // Both are about to end; who comes now stays.
    assert_eq!(tissue.give_back(born[2], || ms(1)), GivenBack::Kept);
    tissue.leave(born[0], End::Surplus, true);
    tissue.leave(born[1], End::Surplus, true);
    assert_eq!((tissue.over(), tissue.staying(), tissue.alive()), (0, 2, 2));
    assert_eq!(tissue.conceive_ahead(), None);
}

#[test]
fn a_request_calls_for_a_cell_only_as_the_law_allows() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(8, 8));
    let shut = Demand { max: 8, slots: 1, floor: 4, ..Demand::default() };
    tissue.publish(shut);
    let Offer::NeedsCell(first) = tissue.offer(Stock::default) else { panic!("the first of its gene") };
    assert_eq!(tissue.offer(plenty), Offer::MustWait, "the cores are full");
    let open = Demand { is_open: true, ..shut };
    tissue.publish(open);
    let stems = |stems, coming| move || Stock { stems, coming };
    assert_eq!(tissue.offer(stems(4, 0)), Offer::MustWait, "the last stems are the law's");
    assert_eq!(tissue.offer(stems(5, 1)), Offer::MustWait, "one is coming");
    let Offer::NeedsCell(second) = tissue.offer(stems(5, 0)) else { panic!("a stem for it") };
    assert_eq!((second.mother, second.mother_niche), (Some(first.id), Some(first.niche)));
    tissue.leave(second, End::Succeeded, false);
    tissue.publish(shut);
    let Offer::NeedsCell(heir) = tissue.offer(Stock::default) else { panic!("a successor") };
    assert_eq!((heir.niche, heir.generation), (second.niche, 1));
    tissue.enqueue(ms(1), 1);
    assert!(!tissue.calls(plenty()));
    tissue.publish(open);
    assert!(tissue.calls(plenty()) && !tissue.calls(Stock::default()));
}

#[test]
fn who_is_worn_and_replaced_at_once_is_not_missed() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(1, 2));
    let Offer::NeedsCell(worn) = tissue.offer(plenty) else { panic!("room for one") };
    tissue.enqueue(ms(0), 1);
    tissue.leave(worn, End::Worn, false);
    assert_eq!(tissue.counts().worn, 1);
    let (_, heir) = tissue.heir(|| ms(1)).expect("somebody waits");
    tissue.is_replaced();
    assert_eq!((tissue.counts().worn, heir.generation), (0, 0));
}

#[test]
fn a_cell_made_ahead_is_no_sign_of_load() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(4, 2));
    let birth = tissue.conceive_ahead().expect("there is room");
    tissue.give_back(birth, || ms(1));
    assert_eq!(tissue.sample().peak, 0);
    tissue.offer(plenty);
    assert_eq!(tissue.sample().peak, 1);
}

#[test]
fn patience_ends_at_the_deadline() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(0, 8));
    assert_eq!(tissue.offer(plenty), Offer::MustWait);
    assert_eq!(tissue.enqueue(Nanos(5), 1), Nanos(5) + Nanos::from_millis(100));
    tissue.enqueue(Nanos(7), 2);
    assert_eq!(tissue.expire(Nanos(5) + Nanos::from_millis(100)).collect::<Vec<_>>(), [1]);
    assert_eq!((tissue.waiting(), tissue.counts().expired), (1, 1));
}

#[test]
fn who_wants_to_wait_less_leaves_the_middle_of_the_queue_and_counts_once() {
    let mut tissue: Tissue<Birth, u8> = Tissue::new(bounds(0, 8));
    for (at, who) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(tissue.offer(plenty), Offer::MustWait);
        tissue.enqueue(ms(at), who);
    }
    assert!(!tissue.suffers(|| ms(3)) && tissue.suffers(|| ms(4)));
    tissue.lapse(|waker| *waker == 2);
    assert_eq!((tissue.waiting(), tissue.counts().expired), (2, 1));
    assert_eq!(tissue.expire(ms(102)).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(tissue.counts().expired, 3);
    assert!(!tissue.suffers(|| ms(500)), "nobody waits");
}

/// One cell, busy, and nobody waits.
fn busy() -> (Tissue<Birth, u32>, Birth) {
    let mut tissue = Tissue::new(Bounds { wait: ms(1_000), ..bounds(1, 1_000) });
    let Offer::NeedsCell(birth) = tissue.offer(plenty) else { panic!("room for one") };
    (tissue, birth)
}

/// A request at `now`; whether it waits.
fn arrives(tissue: &mut Tissue<Birth, u32>, now: Nanos) -> bool {
    assert_eq!(tissue.offer(plenty), Offer::MustWait);
    let may_wait = !tissue.turns_away(now);
    if may_wait {
        tissue.enqueue(now, 0);
    }
    may_wait
}

#[test]
fn newcomers_are_refused_once_the_queue_stands() {
    let (mut tissue, cell) = busy();
    // Who came first is too late from 21 on; a hundred later the queue stands.
    assert!(arrives(&mut tissue, ms(0)));
    assert!(arrives(&mut tissue, ms(119)) && arrives(&mut tissue, ms(119)));
    assert!(!arrives(&mut tissue, ms(120)));
    assert_eq!(tissue.give_back(cell, || ms(130)), GivenBack::Passed(0, cell));
    assert!(!arrives(&mut tissue, ms(135)), "the one that was served was late too");
    assert_eq!((tissue.counts().shed, tissue.waiting()), (2, 2));
    // The second one waited 20, which is no harm.
    assert_eq!(tissue.give_back(cell, || ms(139)), GivenBack::Passed(0, cell));
    assert!(arrives(&mut tissue, ms(140)));
    assert_eq!((tissue.counts().shed, tissue.counts().saturated), (2, 0));
}

/// One cell that serves one each 10: ten of them wait 100, which is all that anybody waits.
#[test]
fn who_would_wait_in_vain_is_refused_where_no_more_cells_may_come() {
    for (cells_max, refused) in [(1, true), (2, false)] {
        let (mut tissue, cell) = busy();
        let patient = |cells_max| Bounds { stands_after: ms(10_000), ..bounds(cells_max, 100) };
        let arrivals =
            |tissue: &mut Tissue<Birth, u32>, now, many| (0..many).all(|_| arrives(tissue, ms(now)));
        tissue.set_bounds(patient(1));
        assert!(arrivals(&mut tissue, 0, 9));
        tissue.set_bounds(patient(cells_max));
        for step in 1..=5 {
            assert_eq!(tissue.give_back(cell, || ms(step * 10)), GivenBack::Passed(0, cell));
        }
        assert!(arrivals(&mut tissue, 50, 3), "seven before it: eighty");
        assert_eq!(arrives(&mut tissue, ms(50)), !refused, "{cells_max}");
        assert_eq!(tissue.counts().shed, u64::from(refused));
    }
}

#[test]
fn a_burst_with_lucky_ones_is_worked_off() {
    let (mut tissue, cell) = busy();
    let mut waiting = std::collections::VecDeque::new();
    for now in 0..2_000 {
        // Thirty at once every 250, served one each 8: the last of them waits 240.
        for _ in 0..if now % 250 == 0 { 30 } else { 0 } {
            assert!(arrives(&mut tissue, ms(now)), "at {now}");
            waiting.push_back(now);
        }
        if now % 8 == 0 && waiting.pop_front().is_some() {
            assert_eq!(tissue.give_back(cell, || ms(now)), GivenBack::Passed(0, cell));
        }
    }
    assert_eq!(tissue.counts().shed, 0);
}

#[test]
fn after_the_queue_stood_one_waits_to_see_whether_there_is_room() {
    let (mut tissue, cell) = busy();
    assert!(arrives(&mut tissue, ms(0)));
    assert!(!arrives(&mut tissue, ms(500)));
    assert_eq!(tissue.expire(ms(1_000)).count(), 1);
    assert!(arrives(&mut tissue, ms(1_001)), "the first in an empty queue");
    assert!(!arrives(&mut tissue, ms(1_002)), "but no second one");
    assert_eq!(tissue.give_back(cell, || ms(1_003)), GivenBack::Passed(0, cell));
    assert!(arrives(&mut tissue, ms(1_004)), "it was served in time");
    assert_eq!(tissue.expire(ms(2_004)).count(), 1);
    assert_eq!(tissue.give_back(cell, || ms(3_000)), GivenBack::Kept);
    assert_eq!(tissue.offer(plenty), Offer::Sent(cell));
    assert!(arrives(&mut tissue, ms(9_000)) && arrives(&mut tissue, ms(9_001)), "old lateness is forgotten");
}

proptest! {
    /// Nobody is turned away unless somebody waits and everybody who was served in the last
    /// 100 ms waited longer than the target.
    #[test]
    fn who_is_turned_away_would_have_waited_too_long(
        gaps in prop::collection::vec(0u64..40, 1..200),
        service in 1u64..60,
    ) {
        let (mut tissue, cell) = busy();
        let (mut now, mut free_at) = (0, service);
        let mut queue = std::collections::VecDeque::new();
        let mut served: Vec<(u64, u64)> = Vec::new();
        for gap in gaps {
            now += gap;
            while free_at <= now && let Some(since) = queue.pop_front() {
                let at: u64 = free_at;
                prop_assert_eq!(tissue.give_back(cell, || ms(at)), GivenBack::Passed(0, cell));
                served.push((at, at - since));
                free_at += service;
            }
            if free_at <= now {
                prop_assert_eq!(tissue.give_back(cell, || ms(now)), GivenBack::Kept);
                prop_assert_eq!(tissue.offer(plenty), Offer::Sent(cell));
                served.push((now, 0));
                free_at = now + service;
                continue;
            }
            if arrives(&mut tissue, ms(now)) {
                queue.push_back(now);
                continue;
            }
            prop_assert!(!queue.is_empty() && now >= 120);
            for (at, wait) in &served {
                prop_assert!(*wait > 20 || now - at >= 100, "{wait} at {at}, now {now}");
            }
        }
    }

    /// Whatever happens, never more cells than the bound, never more waiters than theirs, and
    /// every birth has an id of its own.
    #[test]
    fn bounds_hold(cells_max in 0u32..6, waiters_max in 0u32..6, steps in prop::collection::vec(0u8..5, 0..300)) {
        let mut tissue: Tissue<Birth, u32> = Tissue::new(bounds(cells_max, waiters_max));
        let mut busy: Vec<Birth> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (now, step) in steps.into_iter().enumerate() {
            let now = Nanos::from_millis(now as u64 * 7);
            let mut born = None;
            match step {
                0 | 1 => match tissue.offer(plenty) {
                    Offer::Sent(cell) => busy.push(cell),
                    Offer::NeedsCell(birth) => born = Some(birth),
                    Offer::MustWait => if !tissue.turns_away(now) { tissue.enqueue(now, 0); },
                    Offer::Saturated => prop_assert_eq!(tissue.waiting(), waiters_max as usize),
                },
                2 => if let Some(cell) = busy.pop()
                    && let GivenBack::Passed(_, cell) = tissue.give_back(cell, || now) { busy.push(cell) },
                3 => if let Some(cell) = busy.pop() {
                    let ends = [End::Succeeded, End::Worn, End::Surplus, End::Died];
                    tissue.leave(cell, ends[now.0 as usize % 4], false);
                    born = tissue.heir(|| now).map(|(_, birth)| birth);
                },
                _ => { tissue.expire(now).count(); }
            }
            if let Some(birth) = born {
                prop_assert!(seen.insert(birth.id));
                busy.push(birth);
            }
            prop_assert!(tissue.alive() <= cells_max);
            prop_assert!(tissue.waiting() <= waiters_max as usize);
            prop_assert_eq!(tissue.busy() as usize, busy.len());
        }
    }
}
