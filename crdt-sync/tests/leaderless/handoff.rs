//! Hints: what is kept for a node that is away, and what becomes of it.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::{Action, Cell, Event};
use quorum::Level;

use crate::cluster::{Cluster, counts, id_of, lists, set, sloppy, titles};

const QUORUM: WriteOptions = WriteOptions { level: Level::Quorum, ..WriteOptions::ONE };
const ALL: WriteOptions = WriteOptions { level: Level::All, ..WriteOptions::ONE };

/// D holds A's data with a hint, hands it over when A is back, and deletes it after the transfer.
#[test]
fn d_keeps_for_a_what_it_missed_and_deletes_it_when_a_has_it() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, _, d]) = cluster.cast(&titles());
    cluster.crash(a);
    let written = cluster.write(b, &title, set("Hello"), sloppy(ALL));
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    assert_eq!(cluster.held(d, &title).as_deref(), Some("Hello"));

    cluster.start(a);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.held(a, &title).as_deref(), Some("Hello"));
    assert!(cluster.events.contains(&(d, Event::HintsDelivered { owner: id_of(a), hints: 1 })));
    assert_eq!(cluster.held(d, &title), None);
}

/// A hint outlives the node that keeps it, as all that was acknowledged does.
#[test]
fn a_hint_survives_a_crash_of_the_node_that_keeps_it() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, _, d]) = cluster.cast(&titles());
    cluster.crash(a);
    cluster.write(b, &title, set("Hello"), sloppy(ALL));
    cluster.crash(d);
    cluster.start(d);
    cluster.start(a);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.held(a, &title).as_deref(), Some("Hello"));
}

/// The transfer arrives and its confirmation is lost: the hint is sent again, and counts nothing twice.
#[test]
fn a_hint_whose_confirmation_is_lost_is_sent_again_and_counts_once() {
    let mut cluster = Cluster::of(5);
    let (likes, [a, b, c, d]) = cluster.cast(&counts());
    cluster.crash(a);
    cluster.write(b, &likes, Action::Increment(5), sloppy(ALL));
    cluster.cut(&[a], &[b, c]);
    cluster.start(a);
    cluster.pass(Duration::from_millis(200));
    cluster.crash(d);
    cluster.start(d);
    cluster.heal();
    cluster.pass(Duration::from_secs(7));
    let Some(Cell::Counter(counter)) = cluster.engine(a).peek(&likes) else { panic!("A has it") };
    assert_eq!(counter.value(), 5);
}

/// With both other replicas away, a fallback carries out counts itself. It gives up that identity with the data, so
/// that what it counts later cannot be taken for what it counted before.
#[test]
fn a_fallback_that_counts_twice_with_a_handoff_in_between_counts_both() {
    let mut cluster = Cluster::of(5);
    let (likes, [a, b, c, d]) = cluster.cast(&counts());
    for round in 1..=2 {
        for node in [a, b, c] {
            cluster.crash(node);
        }
        cluster.write(d, &likes, Action::Increment(5), sloppy(QUORUM));
        for node in [a, b, c] {
            cluster.start(node);
        }
        cluster.pass(Duration::from_secs(3));
        let Some(Cell::Counter(counter)) = cluster.cell(a, &likes, ReadOptions::QUORUM) else {
            panic!("counted")
        };
        assert_eq!(counter.value(), 5 * round);
        assert!(cluster.engine(d).peek(&likes).is_none());
    }
}

/// A late hint does not bring back what was removed meanwhile.
#[test]
fn a_late_hint_resurrects_nothing() {
    let mut cluster = Cluster::of(5);
    let (list, [a, b, c, d]) = cluster.cast(&lists());
    cluster.crash(a);
    cluster.write(b, &list, Action::Add("milk".into()), sloppy(ALL));
    cluster.crash(d);
    cluster.start(a);
    cluster.pass(Duration::from_secs(1));
    cluster.write(b, &list, Action::Remove("milk".into()), WriteOptions::ALL);
    cluster.start(d);
    cluster.pass(Duration::from_secs(2));
    for node in [a, b, c] {
        assert!(cluster.engine(node).peek(&list).is_none(), "milk is back at {node}");
    }
}

/// A is put back to a backup, and writes before it has heard what it wrote in between. Its old self and its new one do
/// not get in each other's way: it writes under a fresh identity each time it starts.
#[test]
fn a_restored_backup_that_writes_at_once_takes_nothing_of_what_it_wrote_before() {
    let mut cluster = Cluster::of(3);
    let (list, [a, b, c]) = cluster.cast(&lists());
    let backup = cluster.records(a);
    cluster.write(a, &list, Action::Add("milk".into()), WriteOptions::ALL);
    cluster.cut(&[a], &[b, c]);
    cluster.restore(a, backup);
    cluster.write(a, &list, Action::Add("bread".into()), sloppy(WriteOptions::ONE));
    cluster.heal();
    cluster.pass(Duration::from_secs(2));
    let Some(Cell::Set(elements)) = cluster.cell(b, &list, ReadOptions::ALL) else { panic!("two elements") };
    assert_eq!(elements.len(), 2);
}
