//! What is promised of several hosts.

use cyte_medium::{Peer, Weather};
use cyte_organism::colony::{DEAD, Stand};
use cyte_organism::phenotype::HostId;

use crate::world::{World, piece, weather};

const SIZES: [usize; 3] = [2, 10, 50];

/// At rest, and with ten records a second on every host: messages a host and second do not grow
/// with the number of hosts, bytes stay inside their bound.
#[test]
fn chatter_is_bounded_as_hosts_grow() {
    println!("hosts  idle msg/s  idle kB/s  busy msg/s  busy kB/s   (each host)");
    let mut rows = Vec::new();
    for hosts in SIZES {
        let mut world = World::new(hosts, 0, weather(), 7);
        world.run(3_000);
        let mut spans = Vec::new();
        for is_busy in [false, true] {
            let before = world.sent();
            for _ in 0..50 {
                if is_busy {
                    (0..hosts).for_each(|at| {
                        world.happens(at);
                    });
                }
                world.run(100);
            }
            let after = world.sent();
            assert_eq!(after.dropped, 0);
            let each = 5.0 * hosts as f64;
            let messages = (after.sent - before.sent) as f64 / each;
            spans.push((messages, (after.sent_bytes - before.sent_bytes) as f64 / each / 1_000.0));
        }
        let [(idle, idle_kb), (busy, busy_kb)] = spans[..] else { panic!() };
        println!("{hosts:5}  {idle:10.1}  {idle_kb:9.2}  {busy:10.1}  {busy_kb:9.2}");
        rows.push((idle, idle_kb, busy, busy_kb));
    }
    let [_, ten, fifty] = rows[..] else { panic!() };
    assert!(fifty.0 <= 1.2 * ten.0 && fifty.0 <= 20.0, "idle messages: {rows:?}");
    assert!(fifty.2 <= 1.5 * ten.2 && fifty.2 <= 70.0, "busy messages: {rows:?}");
    // Every host has to hear every record: bytes grow with what happens, not faster.
    assert!(fifty.1 <= 6.0 * ten.1 && fifty.3 <= 8.0 * ten.3, "bytes: {rows:?}");
}

/// What happens on one host is known on all within a second, also where every tenth message is lost.
#[test]
fn an_event_is_everywhere_within_a_second() {
    for (hosts, loss) in SIZES.into_iter().flat_map(|hosts| [(hosts, 0.0), (hosts, 0.1)]) {
        let mut took = Vec::new();
        // Many small colonies, or few large ones: about as many records either way.
        for seed in 0..50 / hosts as u64 {
            let mut world = World::new(hosts, 0, Weather { loss, ..weather() }, seed);
            world.run(3_000);
            for at in (0..hosts).step_by(1 + hosts / 10) {
                let (number, then) = (world.happens(at), world.now);
                world.run(1_500);
                for (other, host) in world.hosts.iter().enumerate().filter(|(other, _)| *other != at) {
                    let learned = host.learned.get(&(HostId(at as u64), number));
                    let learned = learned.unwrap_or_else(|| panic!("{other} never heard of {at}"));
                    took.push(learned.since(then).as_millis());
                }
            }
        }
        took.sort_unstable();
        let (half, last) = (took[took.len() / 2], took[took.len() - 1]);
        println!("{hosts} hosts, loss {loss}: half knew after {half} ms, all after {last} ms");
        assert!(last < 1_000, "{hosts} hosts, loss {loss}: {last} ms");
    }
}

/// A host that ends without a word is noticed, and all it had lives elsewhere in under three seconds.
#[test]
fn a_dead_hosts_genes_are_expressed_elsewhere_in_under_three_seconds() {
    for hosts in [3, 10, 50] {
        let (mut worst, mut noticed) = (0, 0);
        for seed in 0..1 + 20 / hosts as u64 {
            let pieces = 3 * hosts.min(20);
            let mut world = World::new(hosts, pieces, weather(), seed);
            assert!(world.until_owned(pieces, 10_000) < 10_000);
            world.run(3_000);
            assert_eq!((world.starts as usize, world.deaths.len()), (pieces, 0), "nobody twice, nobody dead");
            let dies = world.now;
            world.kill(seed as usize % hosts);
            let healed = world.until_owned(pieces, 5_000);
            worst = worst.max(healed);
            world.run(3_000);
            assert!(world.all_owned(pieces, 1));
            let seen = world.deaths.iter().map(|(at, ..)| at.since(dies).as_millis()).max().unwrap();
            noticed = noticed.max(seen);
            assert!(world.deaths.iter().all(|(.., who)| *who == HostId(seed % hosts as u64)));
            assert_eq!(world.deaths.len(), hosts - 1, "everybody noticed, once");
        }
        println!("{hosts} hosts: noticed by all after {noticed} ms, healed after {worst} ms at worst");
        assert!(worst < 3_000, "{hosts} hosts: {worst} ms");
    }
}

/// Neither loss nor delay within reason lets a living host seem dead.
#[test]
fn who_lives_is_not_taken_for_dead() {
    for (hosts, seed) in [(3, 1), (10, 2), (10, 3), (50, 4)] {
        let mut world = World::new(hosts, 0, Weather { loss: 0.1, ..weather() }, seed);
        world.run(300_000 / hosts as u64);
        assert_eq!(world.deaths, [], "{hosts} hosts");
    }
}

/// Parted for ten seconds, both halves hold everything and nothing is ended; after that duplicates
/// go, and never the last copy.
#[test]
fn a_partition_deletes_nothing() {
    for (hosts, seed) in [(2, 1), (10, 2), (10, 3), (50, 4)] {
        let pieces = 2 * hosts.min(20);
        let mut world = World::new(hosts, pieces, weather(), seed);
        world.until_owned(pieces, 10_000);
        world.run(3_000);
        let half = (0..hosts as u64 / 2).map(Peer).collect();
        world.net.part(&[half]);
        world.run(10_000);
        assert!(world.all_owned(pieces, 2), "each half serves everything");
        assert_eq!(world.retired, 0, "a partition ends nothing");
        world.net.heal();
        let mut took = 0;
        while !world.all_owned(pieces, 1) && took < 5_000 {
            world.run(10);
            took += 10;
            assert!((0..pieces).all(|at| world.owners(&piece(at)) >= 1), "never the last copy");
        }
        println!("{hosts} hosts: duplicates gone {took} ms after the partition");
        assert!(took <= 2_000, "{took} ms");
        world.run(5_000);
        assert!(world.all_owned(pieces, 1), "and nothing is started again");
    }
}

/// A host that is frozen for five seconds is replaced meanwhile, and gives way or takes back after.
#[test]
fn a_frozen_host_comes_back_without_harm() {
    let mut world = World::new(5, 20, weather(), 9);
    world.until_owned(20, 10_000);
    world.run(2_000);
    world.net.freeze(Peer(2));
    world.run(5_000);
    let others = |world: &World| {
        world.hosts.iter().enumerate().filter(|(at, host)| *at != 2 && !host.holds.is_empty()).count()
    };
    assert_eq!(others(&world), 4);
    let now = std::time::Duration::from_nanos(world.now.0);
    world.net.thaw(now, Peer(2));
    world.run(2_500);
    assert!(world.all_owned(20, 1));
}

/// What one host lacks is grown by others: all of it, hardly more, and less by who has little free.
#[test]
fn need_is_split_over_hosts_with_room() {
    let (mut slow, mut all) = (0, 0);
    for seed in 0..20 {
        let mut world = World::new(10, 0, weather(), seed);
        for (at, host) in world.hosts.iter_mut().enumerate() {
            let free_permille = if at == 1 { 50 } else { 900 };
            host.colony.stand(Stand { free_permille, room: 12, cells: Vec::new() });
        }
        world.run(3_000);
        // The governor says it again as long as it is so.
        for _ in 0..15 {
            world.need(0, 20.0);
            world.run(200);
        }
        assert_eq!(world.hosts[0].grown, 0, "own need never comes back");
        let grown: u32 = world.hosts.iter().map(|host| host.grown).sum();
        assert!((20..=30).contains(&grown), "{grown} for 20");
        slow += world.hosts[1].grown;
        all += grown;
    }
    assert!(slow * 18 < all, "the slow one grew {slow} of {all}, an even share were a ninth");
}

/// The same seed gives the same colony.
#[test]
fn a_colony_replays() {
    let run = |seed| {
        let mut world = World::new(10, 30, Weather { loss: 0.1, ..weather() }, seed);
        world.run(2_000);
        world.kill(3);
        world.run(4_000);
        (world.sent(), world.deaths.clone(), world.hosts.iter().map(|h| h.holds.clone()).collect::<Vec<_>>())
    };
    assert!(run(5) == run(5) && run(5) != run(6));
    assert!(DEAD.as_millis() < 2_000, "noticed within two seconds");
}
