//! Followers that lack what is not in the leader's log any more.

use crdt_sync::{Event, Input};
use replication_log::Lsn;
use replication_log::storage::{Storage, StorageFile};

use crate::cluster::*;

fn busy(cluster: &mut Cluster, writes: u64) {
    for number in 0..writes {
        cluster.write(A, add(&format!("key-{}", number % 7), 1));
    }
}

fn total(cluster: &Cluster, node: usize) -> i128 {
    (0..7).map(|number| cluster.count(node, &format!("key-{number}"))).sum()
}

/// A leader whose log begins behind what it wrote first, a follower that has it all, and one that was never there.
fn last_lacks_the_beginning() -> Cluster {
    let config = settings("ANY 1 (b)");
    let mut cluster = Cluster::new([config.clone(), config.clone(), config]);
    cluster.connect(A, B);
    cluster.settle();
    busy(&mut cluster, 60);
    cluster.photograph(A);
    cluster
}

#[test]
fn a_new_follower_begins_with_a_snapshot_and_goes_on_with_the_log() {
    let mut cluster = last_lacks_the_beginning();
    assert!(cluster.nodes[A].log.as_ref().unwrap().oldest() > Lsn::FIRST);
    busy(&mut cluster, 10);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(total(&cluster, C), 70);
    assert_eq!(cluster.leadership(C).follows, Some(id(A)));
    busy(&mut cluster, 5);
    cluster.settle();
    assert_eq!(total(&cluster, C), 75);
    assert!(cluster.logs_are_equal());
    // And it is the same after it is opened again.
    cluster.restart(C);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(total(&cluster, C), 75);
}

#[test]
fn a_follower_that_was_away_for_long_begins_anew_with_a_snapshot() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (b)"));
    busy(&mut cluster, 5);
    cluster.settle();
    cluster.disconnect(A, C);
    cluster.disconnect(B, C);
    busy(&mut cluster, 60);
    cluster.photograph(A);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(total(&cluster, C), 65);
    assert!(cluster.logs_are_equal());
}

#[test]
fn a_leader_opened_from_its_own_snapshot_leads_on() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    busy(&mut cluster, 30);
    cluster.photograph(A);
    busy(&mut cluster, 10);
    cluster.restart(A);
    cluster.connect(A, B);
    cluster.connect(A, C);
    cluster.settle();
    busy(&mut cluster, 1);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(total(&cluster, node), 41, "at {node}");
    }
    assert!(cluster.logs_are_equal());
}

#[test]
fn without_a_snapshot_a_follower_is_told_that_nothing_is_left_to_begin_with() {
    let mut cluster = last_lacks_the_beginning();
    cluster.nodes[A].snapshots.remove_before(Lsn::new(u64::MAX)).unwrap();
    cluster.connect(A, C);
    cluster.settle();
    let told = |(node, event): &(usize, Event)| *node == C && matches!(event, Event::NotServed { .. });
    assert!(cluster.events.iter().any(told));
    assert_eq!(total(&cluster, C), 0);
}

#[test]
fn a_follower_whose_snapshot_is_dropped_on_the_way_begins_anew_with_a_later_one() {
    let mut cluster = last_lacks_the_beginning();
    cluster.connect(A, C);
    // A few parts are on their way, no more.
    for _ in 0..6 {
        let Some((link, bytes)) = cluster.frames.pop_front() else { break };
        if let Some(&(node, link, _)) = cluster.links.get(&link) {
            cluster.handle(node, Input::Frame { link, bytes });
        }
    }
    let later = cluster.nodes[A].snapshots.newest().unwrap().unwrap().next().unwrap();
    cluster.frames.clear();
    busy(&mut cluster, 60);
    cluster.photograph(A);
    cluster.nodes[A].snapshots.remove_before(later).unwrap();
    cluster.settle();
    assert_eq!(total(&cluster, C), 120);
    assert!(cluster.logs_are_equal());
}

/// A bit of the last chunk of a node's newest snapshot changes.
fn rot(cluster: &Cluster, node: usize) {
    let shelf = &cluster.nodes[node].shelf;
    let newest = shelf.list().unwrap().pop().unwrap();
    let file = shelf.open(&newest).unwrap();
    let (place, mut byte) = (file.len().unwrap() - 64, [0]);
    file.read_at(place, &mut byte).unwrap();
    file.write_at(place, &[byte[0] ^ 1]).unwrap();
}

#[test]
fn a_snapshot_that_rotted_is_offered_once_and_another_one_wanted_though_nobody_writes() {
    let mut cluster = last_lacks_the_beginning();
    rot(&cluster, A);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(total(&cluster, C), 0);
    assert!(cluster.nodes[A].wants_snapshot);
    let told = |(node, event): &(usize, Event)| *node == C && matches!(event, Event::NotServed { .. });
    assert!(cluster.events.iter().any(told), "there is nothing left to begin with");
    // It stands for the same record, and has the same name.
    cluster.photograph(A);
    cluster.settle();
    assert_eq!(total(&cluster, C), 60);
    assert!(cluster.logs_are_equal());
}

#[test]
fn where_the_newest_snapshot_rotted_a_follower_begins_with_the_one_before() {
    let mut cluster = last_lacks_the_beginning();
    busy(&mut cluster, 1);
    cluster.photograph(A);
    rot(&cluster, A);
    // The log is in segments, and goes on from both.
    assert!(cluster.nodes[A].log.as_ref().unwrap().oldest() <= cluster.nodes[A].snapshots.list().unwrap()[0]);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!(total(&cluster, C), 61);
    assert!(cluster.nodes[A].wants_snapshot);
    assert!(cluster.logs_are_equal());
}
