//! Reads that find replicas behind, and what they do about it.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{Fallbacks, ReadOptions, Repair, WriteOptions};
use crdt_sync::{Action, Cell};

use crate::cluster::{Cluster, lists, set, titles};

const ONE: WriteOptions = WriteOptions { fallbacks: Fallbacks::Strict, ..WriteOptions::ONE };
/// All three are asked at once, and all that differ are repaired.
const THOROUGH: ReadOptions = ReadOptions { speculate: None, ..ReadOptions::QUORUM };

/// Writes to one replica while the others cannot be reached, and has it forget that they missed it.
fn write_at(cluster: &mut Cluster, node: usize, item: &crdt_sync::ItemKey, action: Action) {
    let others: Vec<usize> = (0..3).filter(|other| *other != node).collect();
    cluster.cut(&[node], &others);
    let written = cluster.write(node, item, action, ONE);
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
}

#[test]
fn two_versions_and_a_replica_without_any_are_all_brought_to_the_newest() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (title, [a, b, c]) = cluster.cast(&titles());
    write_at(&mut cluster, b, &title, set("v1"));
    cluster.pass(Duration::from_millis(10));
    write_at(&mut cluster, a, &title, set("v2"));
    cluster.heal();
    assert_eq!(cluster.text(a, &title, THOROUGH).as_deref(), Some("v2"));
    cluster.deliver();
    for node in [a, b, c] {
        assert_eq!(cluster.held(node, &title).as_deref(), Some("v2"));
    }
}

#[test]
fn what_two_replicas_hold_beside_each_other_is_united_and_both_get_it() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (list, [a, b, c]) = cluster.cast(&lists());
    write_at(&mut cluster, a, &list, Action::Add("milk".into()));
    write_at(&mut cluster, b, &list, Action::Add("bread".into()));
    cluster.heal();
    let Some(Cell::Set(elements)) = cluster.cell(c, &list, ReadOptions::ALL) else { panic!("two elements") };
    assert_eq!(elements.len(), 2);
    cluster.deliver();
    for node in [a, b, c] {
        let Some(Cell::Set(elements)) = cluster.engine(node).peek(&list) else {
            panic!("{node} got nothing")
        };
        assert_eq!(elements.len(), 2);
    }
}

#[test]
fn what_was_removed_at_one_replica_is_not_read_from_another() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (list, [a, b, c]) = cluster.cast(&lists());
    cluster.write(a, &list, Action::Add("milk".into()), WriteOptions::ALL);
    write_at(&mut cluster, a, &list, Action::Remove("milk".into()));
    cluster.heal();
    assert_eq!(cluster.cell(b, &list, ReadOptions::ALL), None);
    cluster.deliver();
    assert!([a, b, c].iter().all(|node| cluster.engine(*node).peek(&list).is_none()));
}

/// The writer failed at W = 2: only A has it. Whoever has read it must not read the old value afterwards.
#[test]
fn once_read_with_repair_before_the_reply_nobody_reads_the_old_value() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (title, [a, b]) = cluster.cast(&titles());
    cluster.write(a, &title, set("old"), WriteOptions::ALL);
    write_at(&mut cluster, a, &title, set("new"));
    cluster.heal();
    let monotonic = ReadOptions { repair: Repair::Before, ..THOROUGH };
    assert_eq!(cluster.text(a, &title, monotonic).as_deref(), Some("new"));
    cluster.crash(a);
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM).as_deref(), Some("new"));
}

#[test]
fn replicas_that_agree_are_asked_for_digests_and_nothing_is_written() {
    let mut cluster = Cluster::of(3);
    let (title, [a]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    let syncs = cluster.syncs();
    let messages = cluster.messages;
    assert_eq!(cluster.text(a, &title, THOROUGH).as_deref(), Some("Hello"));
    assert_eq!((cluster.syncs() - syncs, cluster.messages - messages), (0, 4)); // two questions, two answers
}
