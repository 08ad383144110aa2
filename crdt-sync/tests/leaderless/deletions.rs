//! Deleted documents: not found, repaired, and forgotten when all replicas hold the deletion.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::wire::{Message, Quorum, Tombstones};
use crdt_sync::{Action, Cell, Config, Event, ItemKey};

use crate::cluster::{Cluster, notes, sloppy, sloppy_read};

/// Long enough for deletions to be old, and for a few comparisons.
const LONG: Duration = Duration::from_secs(60);

fn forgetful(config: &mut Config) {
    config.collects_deletions = true;
    config.timing.hint_lifetime = Duration::from_secs(10);
    config.timing.tombstone_horizon = Duration::from_secs(20);
    config.timing.compare_every = Duration::from_secs(5);
}

fn is_live(cell: Option<&Cell>) -> bool {
    matches!(cell, Some(Cell::Document(note)) if note.live_leaves().next().is_some())
}

fn is_deleted(cluster: &Cluster, at: usize, note: &ItemKey) -> bool {
    cluster.engine(at).peek(note).is_some_and(|cell| !is_live(Some(cell)))
}

fn is_forgotten(cluster: &Cluster, nodes: &[usize], note: &ItemKey) -> bool {
    nodes.iter().all(|node| cluster.engine(*node).peek(note).is_none())
}

/// A document on all three, deleted on A and B while C is out of sight.
fn deleted_at_a_and_b(cluster: &mut Cluster) -> (ItemKey, [usize; 3]) {
    let (note, [a, b, c]) = cluster.cast(&notes());
    cluster.write(a, &note, Action::Put("Hello".into()), WriteOptions::ALL);
    cluster.cut(&[c], &[a, b]);
    let deleted = cluster.write(a, &note, Action::Delete, WriteOptions::QUORUM);
    assert!(matches!(deleted, QuorumReply::Written { .. }), "{deleted:?}");
    (note, [a, b, c])
}

/// How often anybody forgot something.
fn collections(cluster: &Cluster) -> usize {
    cluster.count_events(|_, event| matches!(event, Event::DeletionsCollected { .. }))
}

#[test]
fn a_deletion_on_two_and_an_old_value_on_the_third_read_as_not_found_and_are_repaired() {
    let mut cluster = Cluster::with(3, |config| config.limits.max_hints = 0);
    let (note, [_, b, c]) = deleted_at_a_and_b(&mut cluster);
    cluster.heal();
    assert!(is_live(cluster.engine(c).peek(&note)));
    assert!(!is_live(cluster.cell(b, &note, ReadOptions::ALL).as_ref()));
    cluster.deliver();
    assert!(is_deleted(&cluster, c, &note));
}

/// However old a deletion is, it is kept while one replica has not got it; then all forget it, once.
#[test]
fn a_deletion_is_forgotten_only_when_all_three_hold_it() {
    let mut cluster = Cluster::with(3, |config| {
        forgetful(config);
        config.limits.max_hints = 0;
        config.timing.compare_every = Duration::from_secs(24 * 60 * 60);
    });
    let (note, [a, b, c]) = deleted_at_a_and_b(&mut cluster);
    cluster.pass(LONG);
    assert!(is_deleted(&cluster, a, &note) && is_deleted(&cluster, b, &note));
    assert!(is_live(cluster.engine(c).peek(&note)));
    cluster.heal();
    assert!(cluster.run_until(LONG, |cluster| is_forgotten(cluster, &[a, b, c], &note)));
    cluster.pass(LONG);
    assert_eq!(cluster.cell(b, &note, ReadOptions::ALL), None);
    assert!(is_forgotten(&cluster, &[a, b, c], &note));
    assert_eq!(collections(&cluster), 3, "nobody had to forget it twice");
}

/// C has a disk from before the deletion, and nobody knows. It objects when it is asked: that is how it comes out.
#[test]
fn a_replica_that_holds_an_older_version_objects_and_is_compared_with() {
    let mut cluster = Cluster::with(3, |config| {
        forgetful(config);
        config.timing.compare_every = Duration::from_secs(24 * 60 * 60);
    });
    let (note, [a, b, c]) = cluster.cast(&notes());
    cluster.write(a, &note, Action::Put("Hello".into()), WriteOptions::ALL);
    let records = cluster.records(c);
    cluster.write(a, &note, Action::Delete, WriteOptions::ALL);
    cluster.restore(c, records);
    assert!(is_live(cluster.engine(c).peek(&note)));
    assert!(cluster.run_until(LONG, |cluster| is_deleted(cluster, c, &note)));
    assert!(is_deleted(&cluster, a, &note) && is_deleted(&cluster, b, &note), "nobody forgot before");
    assert!(cluster.run_until(LONG, |cluster| is_forgotten(cluster, &[a, b, c], &note)));
}

/// A replica that decides to keep deletions keeps them for all.
#[test]
fn nothing_is_forgotten_where_a_replica_takes_no_part() {
    let mut cluster = Cluster::with(3, |config| {
        forgetful(config);
        config.collects_deletions = config.node != crate::cluster::id_of(1);
    });
    let (note, [a, b, c]) = deleted_at_a_and_b(&mut cluster);
    cluster.heal();
    cluster.pass(2 * LONG);
    assert!([a, b, c].iter().all(|node| is_deleted(&cluster, *node, &note)));
}

/// The word to forget reaches one and not the other. Who asked forgets last, so it asks again, whatever repairs did
/// meanwhile.
#[test]
fn a_word_that_is_lost_is_said_again_and_the_deletion_does_not_come_back() {
    let mut cluster = Cluster::with(3, forgetful);
    let (note, [a, b, c]) = deleted_at_a_and_b(&mut cluster);
    cluster.heal();
    let one_of_two = |cluster: &Cluster| [b, c].iter().any(|node| is_forgotten(cluster, &[*node], &note));
    assert!(cluster.run_until(LONG, one_of_two));
    let (told, other) = if is_forgotten(&cluster, &[b], &note) { (b, c) } else { (c, b) };
    assert!(is_deleted(&cluster, other, &note) && is_deleted(&cluster, a, &note), "who asks forgets last");
    cluster.crash(other);
    cluster.pass(LONG);
    assert!(is_deleted(&cluster, a, &note));
    assert!(!is_live(cluster.cell(told, &note, ReadOptions::QUORUM).as_ref()));
    cluster.start(other);
    assert!(is_deleted(&cluster, other, &note));
    assert!(cluster.run_until(LONG, |cluster| is_forgotten(cluster, &[a, b, c], &note)));
    cluster.pass(LONG);
    assert!(is_forgotten(&cluster, &[a, b, c], &note));
}

/// D kept a version for A, and was away until that was deleted and forgotten. Neither its hint nor its own copy brings
/// it back.
#[test]
fn a_hint_from_before_a_forgotten_deletion_resurrects_nothing() {
    let mut cluster = Cluster::with(5, forgetful);
    let (note, [a, b, c, d]) = cluster.cast(&notes());
    cluster.crash(a);
    cluster.write(b, &note, Action::Put("Hello".into()), sloppy(WriteOptions::ALL));
    assert!(is_live(cluster.engine(d).peek(&note)));
    cluster.crash(d);
    cluster.start(a);
    assert!(cluster.run_until(LONG, |cluster| is_live(cluster.engine(a).peek(&note))));
    cluster.write(a, &note, Action::Delete, WriteOptions::ALL);
    assert!(cluster.run_until(LONG, |cluster| is_forgotten(cluster, &[a, b, c], &note)));
    cluster.start(d);
    for node in [a, b, c, d] {
        assert_eq!(cluster.cell(node, &note, sloppy_read(ReadOptions::ALL)), None);
        cluster.pass(Duration::from_secs(5));
    }
    assert!(is_forgotten(&cluster, &[a, b, c, d], &note));
}

/// A list that no honest node sends ends the connection, and nothing is forgotten.
#[test]
fn a_list_that_is_out_of_order_too_long_or_misplaced_is_refused() {
    let mut cluster = Cluster::with(3, forgetful);
    let (note, [a, b]) = cluster.cast(&notes());
    cluster.write(a, &note, Action::Put("Hello".into()), WriteOptions::ALL);
    cluster.write(a, &note, Action::Delete, WriteOptions::ALL);
    let partition = (0..16).find(|partition| {
        let documents = vec![(note.clone(), 1)];
        !is_refused(&mut cluster, (a, b), *partition, documents)
    });
    let partition = partition.expect("the key is in one of them");
    let twice = vec![(note.clone(), 1), (note.clone(), 1)];
    assert!(is_refused(&mut cluster, (a, b), partition, twice));
    let many = vec![(note.clone(), 1); 300];
    assert!(is_refused(&mut cluster, (a, b), partition, many));
    assert!(is_refused(&mut cluster, (a, b), 16, Vec::new()));
    assert!(is_deleted(&cluster, b, &note), "and none of them had the digest of what is held");
}

/// Whether a node ends the connection when another tells it to forget these.
fn is_refused(
    cluster: &mut Cluster,
    (from, to): (usize, usize),
    partition: u16,
    documents: Vec<(ItemKey, u128)>,
) -> bool {
    let before = cluster.count_events(is_violation);
    let asked = Tombstones { request: 1, ring: 1, partition, forget: true, documents };
    cluster.say(from, to, &Message::Quorum(Quorum::Tombstones(asked)));
    cluster.cut(&[from], &[to]);
    cluster.heal();
    cluster.count_events(is_violation) > before
}

fn is_violation(_: usize, event: &Event) -> bool {
    matches!(event, Event::Violation { .. })
}

/// A document that is written anew while its deletion is being forgotten stays.
#[test]
fn a_document_that_is_written_anew_is_not_forgotten() {
    let mut cluster = Cluster::with(3, forgetful);
    let (note, [a, b, c]) = deleted_at_a_and_b(&mut cluster);
    cluster.heal();
    assert!(cluster.run_until(LONG, |cluster| is_forgotten(cluster, &[b], &note)));
    cluster.write(c, &note, Action::Put("Hello".into()), WriteOptions::QUORUM);
    cluster.pass(2 * LONG);
    assert!([a, b, c].iter().all(|node| is_live(cluster.engine(*node).peek(&note))));
}
