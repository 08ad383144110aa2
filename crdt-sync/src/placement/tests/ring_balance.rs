//! How evenly partitions are spread, and how much moves when a node comes or goes: the figures of [`Ring`], which are
//! the same on every machine, as bounds.

use alloc::format;
use alloc::vec::Vec;

use super::super::{Member, Ring, Shape};
use super::support::{member, members, node};

fn ring(members: &[Member], partitions: usize) -> Ring {
    let partitions = u16::try_from(partitions).unwrap();
    Ring::new(members, Shape { partitions, replicas: 3, write_quorum: 2 }).unwrap()
}

/// Partitions of the node with most of them, against the mean; in thousandths.
fn heaviest(ring: &Ring) -> usize {
    let most = ring.nodes().iter().map(|node| ring.partitions_of(*node).count()).max().unwrap();
    let copies: usize = (0..ring.partitions()).map(|partition| ring.primaries(partition).len()).sum();
    1_000 * most * ring.nodes().len() / copies
}

/// Copies that somebody has to make, against the even share of one node in the larger ring; in thousandths.
fn movement(before: &Ring, after: &Ring) -> usize {
    let gained = |partition: u16| {
        after.primaries(partition).filter(move |node| !before.is_primary(*node, partition)).count()
    };
    let copies: usize = (0..before.partitions()).map(gained).sum();
    let larger = before.nodes().len().max(after.nodes().len());
    1_000 * copies * larger / (3 * usize::from(before.partitions()))
}

#[test]
fn the_load_is_even_and_little_moves() {
    for (nodes, racks) in
        [(3, 3), (4, 4), (5, 5), (10, 3), (10, 10), (20, 4), (30, 3), (30, 30), (64, 8), (100, 5), (100, 100)]
    {
        let partitions = (50 * nodes).max(64);
        let before = ring(&members(0..nodes, racks), partitions);
        let joined = ring(&members(0..nodes + 1, racks), partitions);
        let left = ring(&members(1..nodes, racks), partitions);
        let (load, join, leave) = (heaviest(&before), movement(&before, &joined), movement(&before, &left));
        assert!(load <= 1_150, "{nodes} nodes: the heaviest carries {load} thousandths of the mean");
        assert!(join <= 1_500, "{nodes} nodes: {join} thousandths of the minimum move");
        // Of three nodes the last two hold everything already.
        assert!(leave <= 1_500, "{nodes} nodes: {leave} thousandths of the minimum move");
    }
}

#[test]
fn load_follows_weight() {
    let weighted: Vec<Member> = (0..8).map(|n| member(n, 8).weighing(if n < 4 { 3 } else { 1 })).collect();
    let ring = ring(&weighted, 4_000);
    let load = |n: usize| ring.partitions_of(node(n)).count();
    // 12,000 copies, 16 units of weight; the heavy ones have 2,250 each, the light ones 750.
    for n in 0..4 {
        assert!((2_000..2_540).contains(&load(n)), "{}", load(n));
        assert!((500..850).contains(&load(n + 4)), "{}", load(n + 4));
    }
}

#[test]
fn a_small_rack_takes_what_the_others_may_not() {
    // Three racks for three primaries: the node that is alone in its rack holds everything.
    let uneven: Vec<Member> =
        (0..9).map(|n| Member::new(node(n), format!("{}", if n == 0 { 0 } else { 1 + n % 2 }))).collect();
    let ring = ring(&uneven, 600);
    assert_eq!(ring.partitions_of(node(0)).count(), 600);
    // The others share the rest evenly: 150 each.
    for n in 1..9 {
        let load = ring.partitions_of(node(n)).count();
        assert!((100..=170).contains(&load), "{load}");
    }
}
