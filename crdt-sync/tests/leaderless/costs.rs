//! What an operation costs, to the message and to the fsync. Values have 100 bytes, N is 3.

use crdt_sync::leaderless::coordinate::{Fallbacks, ReadOptions, WriteOptions};
use crdt_sync::{Action, Bytes};

use crate::cluster::{Cluster, titles};

/// Messages on all wires, bytes of them, and syncs of all disks, from the request until nothing is on its way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    messages: usize,
    bytes: usize,
    syncs: usize,
}

fn value() -> Action {
    Action::Set(Some(Bytes::from(&[7; 100][..])))
}

fn cost(cluster: &mut Cluster, operation: impl FnOnce(&mut Cluster)) -> Cost {
    let before = (cluster.messages, cluster.bytes, cluster.syncs());
    operation(cluster);
    cluster.deliver();
    Cost {
        messages: cluster.messages - before.0,
        bytes: cluster.bytes - before.1,
        syncs: cluster.syncs() - before.2,
    }
}

/// A write by a replica, and by a node that is none.
fn cost_of_writes(options: WriteOptions) -> [Cost; 2] {
    let mut cluster = Cluster::of(5);
    let (title, [a, _, _, d]) = cluster.cast(&titles());
    [a, d].map(|node| cost(&mut cluster, |cluster| drop(cluster.write(node, &title, value(), options))))
}

/// A read by a replica, and by a node that is none, where all replicas agree.
fn cost_of_reads(options: ReadOptions) -> [Cost; 2] {
    let mut cluster = Cluster::of(5);
    let (title, [a, _, _, d]) = cluster.cast(&titles());
    cluster.write(a, &title, value(), WriteOptions::ALL);
    [a, d].map(|node| cost(&mut cluster, |cluster| drop(cluster.cell(node, &title, options))))
}

fn messages_and_syncs(costs: [Cost; 2]) -> [(usize, usize); 2] {
    costs.map(|cost| (cost.messages, cost.syncs))
}

/// Every replica is told and syncs once, whatever the level: it says for whom to wait, not whom to tell. A coordinator
/// that is no replica has the write carried out elsewhere, which is two messages more.
#[test]
fn a_write_is_told_to_each_replica_once_and_synced_there_once_at_every_level() {
    for options in [WriteOptions::ONE, WriteOptions::QUORUM, WriteOptions::ALL] {
        let costs = cost_of_writes(options);
        assert_eq!(messages_and_syncs(costs), [(4, 3), (6, 3)], "{}", options.level);
    }
}

/// Reads ask as many as they need and sync nothing.
#[test]
fn a_read_asks_as_many_replicas_as_its_level_needs_and_syncs_nothing() {
    for (options, from_a_replica, from_another) in
        [(ReadOptions::ONE, 0, 2), (ReadOptions::QUORUM, 2, 4), (ReadOptions::ALL, 4, 6)]
    {
        let costs = cost_of_reads(options);
        assert_eq!(messages_and_syncs(costs), [(from_a_replica, 0), (from_another, 0)], "{}", options.level);
    }
    let all_at_once = ReadOptions { speculate: None, ..ReadOptions::QUORUM };
    assert_eq!(messages_and_syncs(cost_of_reads(all_at_once)), [(4, 0), (6, 0)]);
}

/// The value crosses once for each replica that is told; the rest is small.
#[test]
fn the_bytes_of_a_write_are_the_value_for_each_replica_and_little_more() {
    let [by_replica, by_another] = cost_of_writes(WriteOptions::QUORUM);
    // Two replicas are told; or the value goes to the one that carries it out, back with its dot, and to two others.
    assert!((200..200 + 200).contains(&by_replica.bytes), "{by_replica:?}");
    assert!((400..400 + 310).contains(&by_another.bytes), "{by_another:?}");
}

/// A digest is a sixth of the value.
#[test]
fn where_replicas_agree_digests_save_sending_the_value_again() {
    let [digests, _] = cost_of_reads(ReadOptions::ALL);
    let [whole, _] = cost_of_reads(ReadOptions { digests: false, ..ReadOptions::ALL });
    assert_eq!(digests.messages, whole.messages);
    assert!(digests.bytes + 2 * 80 < whole.bytes, "{digests:?} {whole:?}");
    assert!(digests.bytes < 130, "{digests:?}");
}

/// One replica is behind: its state is asked for as a whole, and it is told what it lacks.
#[test]
fn a_read_that_finds_a_replica_behind_costs_two_rounds_more_and_one_sync() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.write(a, &title, value(), WriteOptions::ALL);
    cluster.cut(&[c], &[a, b]);
    cluster.write(a, &title, Action::Set(Some("newer".into())), WriteOptions::QUORUM);
    cluster.heal();
    let behind = cost(&mut cluster, |cluster| drop(cluster.cell(a, &title, ReadOptions::ALL)));
    // Two digests; the state of the one that differs; the repair.
    assert_eq!((behind.messages, behind.syncs), (4 + 2 + 2, 1));
    let repaired = cost(&mut cluster, |cluster| drop(cluster.cell(a, &title, ReadOptions::ALL)));
    assert_eq!((repaired.messages, repaired.syncs), (4, 0));
}

/// A fallback costs what the primary would have cost; and its hint is in the same batch as the state.
#[test]
fn a_write_with_a_fallback_costs_what_one_without_does() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b]) = cluster.cast(&titles());
    cluster.crash(a);
    let sloppy = WriteOptions { fallbacks: Fallbacks::Sloppy, ..WriteOptions::ALL };
    let written = cost(&mut cluster, |cluster| drop(cluster.write(b, &title, value(), sloppy)));
    assert_eq!((written.messages, written.syncs), (4, 3));
}
