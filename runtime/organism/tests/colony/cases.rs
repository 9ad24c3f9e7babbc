//! What is promised of several hosts.

use cyte_medium::{Peer, Weather};
use cyte_organism::colony::handover::{Obstacle, PATIENCE, RESTS};
use cyte_organism::colony::{DEAD, Stand};
use cyte_organism::phenotype::HostId;
use cyte_organism::wish::Count;

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
            host.colony.stand(Stand { free_permille, room: 12, spare: 0, cells: Vec::new() });
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

/// What its owner cannot start another host takes, soon; who gave it up does not take it again while
/// others have it, also long after.
#[test]
fn what_a_host_cannot_start_lives_elsewhere_and_does_not_go_to_and_fro() {
    for seed in 0..5 {
        let mut world = World::new(4, 2, weather(), seed);
        world.until_owned(2, 10_000);
        world.run(2_000);
        let owner = (0..4).find(|at| world.hosts[*at].holds.contains(&piece(1))).unwrap();
        world.stuck(owner, "gene-0", 1, Obstacle::Lasting);
        assert!(!world.hosts[owner].holds.contains(&piece(1)), "the last copy first");
        let given = world.hosts[owner].colony.given_up().to_vec();
        assert_eq!((given[0].piece.clone(), given[0].reason.as_str()), (piece(1), "because"));
        let took = world.until_owned(2, 5_000);
        assert!(took < 3_000, "{took} ms");
        assert!(!world.hosts[owner].holds.contains(&piece(1)));
        let starts = world.starts;
        world.run(2 * RESTS.as_millis());
        assert_eq!((world.starts, world.given_up), (starts, 1), "it stays where it is");
        assert!(world.all_owned(2, 1));
    }
}

/// No room is no reason at once, nor where nobody else has any; and who is alone keeps what is its own.
#[test]
fn a_host_gives_up_only_what_lasts_and_others_could_take() {
    let mut world = World::new(2, 1, weather(), 3);
    world.until_owned(1, 10_000);
    world.run(2_000);
    let owner = (0..2).find(|at| !world.hosts[*at].holds.is_empty()).unwrap();
    let other = 1 - owner;
    let stand = |world: &mut World, free_permille| {
        let stand = Stand { free_permille, room: 0, spare: 0, cells: Vec::new() };
        world.hosts[other].colony.stand(stand);
        world.run(1_000);
    };
    stand(&mut world, 0);
    for _ in 0..20 {
        world.stuck(owner, "gene-0", 1, Obstacle::Room);
        world.run(200);
    }
    assert_eq!(world.given_up, 0, "nobody has room");
    stand(&mut world, 500);
    let nothing = |world: &mut World| {
        world.hosts[owner].colony.stuck(world.now, &[], &mut Vec::new());
    };
    nothing(&mut world);
    world.stuck(owner, "gene-0", 1, Obstacle::Room);
    world.run(PATIENCE.as_millis() - 100);
    world.stuck(owner, "gene-0", 1, Obstacle::Room);
    assert_eq!(world.given_up, 0, "it may pass");
    nothing(&mut world);
    world.stuck(owner, "gene-0", 1, Obstacle::Room);
    world.run(200);
    assert_eq!(world.given_up, 0, "it did pass in between");
    world.run(PATIENCE.as_millis());
    world.stuck(owner, "gene-0", 1, Obstacle::Room);
    assert_eq!(world.given_up, 1);
    assert!(world.until_owned(1, 5_000) < 3_000);
    assert!(world.hosts[other].holds.contains(&piece(0)));
    world.kill(owner);
    world.run(3_000);
    world.stuck(other, "gene-0", 1, Obstacle::Lasting);
    assert_eq!(world.given_up, 1, "who is alone keeps it");
}

/// What nobody can start is tried by each in turn, and by the first again after its rest.
#[test]
fn what_nobody_can_start_goes_round_slowly() {
    let mut world = World::new(3, 1, weather(), 5);
    for _ in 0..RESTS.as_millis() / 200 {
        world.run(200);
        for at in 0..3 {
            if !world.hosts[at].holds.is_empty() {
                world.stuck(at, "gene-0", 1, Obstacle::Lasting);
            }
        }
    }
    assert!((3..=4).contains(&world.starts), "{}", world.starts);
    assert_eq!(world.given_up, world.starts as usize);
    assert!(world.until_owned(1, 3 * RESTS.as_millis()) < 2 * RESTS.as_millis(), "it is tried again");
}

/// What hosts may have of a gene adds up to what all may have, from the first moment and after a death.
#[test]
fn what_hosts_may_have_adds_up() {
    let mut world = World::new(4, 3, weather(), 3);
    let count = Count::range(2, 9);
    let sum = |world: &World, hosts: &[usize]| -> u32 {
        let gene = piece(0).gene;
        let ceiling = |at: &usize| world.hosts[*at].colony.ceiling(world.now, &gene, count).unwrap();
        hosts.iter().map(ceiling).sum()
    };
    assert_eq!(sum(&world, &[0, 1, 2, 3]), 7, "the two that all want are claimed by nobody yet");
    world.run(3_000);
    assert_eq!(sum(&world, &[0, 1, 2, 3]), 9);
    world.kill(2);
    world.run(4_000);
    assert_eq!(sum(&world, &[0, 1, 3]), 9);
    let gene = piece(0).gene;
    assert_eq!(world.hosts[0].colony.ceiling(world.now, &gene, Count { min: 2, max: None }), None);
}

/// What a host has to spare for others is known to them.
#[test]
fn hosts_tell_what_they_have_to_spare() {
    let mut world = World::new(3, 0, weather(), 1);
    for (at, host) in world.hosts.iter_mut().enumerate() {
        let spare = if at == 2 { 1_000_000 } else { at as u32 };
        host.colony.stand(Stand { free_permille: 1, room: 0, spare, cells: Vec::new() });
    }
    world.run(2_000);
    let known: Vec<_> = world.hosts[0].colony.spares().map(|(host, _, spare)| (host.0, spare)).collect();
    assert_eq!(known, [(1, 1), (2, u32::from(u16::MAX))]);
    world.kill(2);
    world.run(3_000);
    let known: Vec<_> = world.hosts[0].colony.spares().map(|(host, ..)| host.0).collect();
    assert_eq!(known, [1]);
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
