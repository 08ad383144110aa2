//! A node that lost its disk is filled before it answers reads.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{Failure, ReadOptions, Refusal, WriteOptions};
use crdt_sync::placement::{Change, Member};
use crdt_sync::wire::{Message, Quorum};
use crdt_sync::{Event, ItemKey};

use crate::cluster::{Cluster, id_of, set, titles};

/// A and B have it, C was away; then A loses its disk, and B cannot be reached.
fn only_b_has_it() -> (Cluster, ItemKey, [usize; 3]) {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.crash(c);
    cluster.write(a, &title, set("Hello"), WriteOptions::QUORUM);
    cluster.cut(&[b], &[a, c]);
    cluster.events.clear();
    cluster.restore(a, 0);
    cluster.start(c);
    (cluster, title, [a, b, c])
}

fn fillings(cluster: &Cluster, node: usize, is_covered: bool) -> usize {
    cluster.count_events(|at, event| {
        at == node && matches!(event, Event::PartitionFilled { covered, .. } if *covered == is_covered)
    })
}

/// In the order in which the others are dialled.
fn in_order(mut nodes: [usize; 3]) -> [usize; 3] {
    nodes.sort_unstable();
    nodes
}

/// A and C are R = 2 of three, and would say that nothing was ever written.
#[test]
fn a_replica_that_lost_its_disk_does_not_answer_for_what_it_acknowledged() {
    let (mut cluster, title, [a, b, c]) = only_b_has_it();
    cluster.pass(Duration::from_secs(120));
    for node in [a, c] {
        let QuorumReply::Unmet(unmet) = cluster.read(node, &title, ReadOptions::QUORUM) else {
            panic!("only C is left that holds what it acknowledged")
        };
        assert!(unmet.report().failed().contains(&(id_of(a), Failure::Refused(Refusal::Filling))));
    }
    assert_eq!(cluster.engine(a).ring_progress().unwrap().filling, 16);

    cluster.heal();
    cluster.pass(Duration::from_secs(3));
    assert_eq!((fillings(&cluster, a, true), fillings(&cluster, a, false)), (16, 0));
    cluster.crash(b);
    assert_eq!(cluster.text(c, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// What it takes counts: with B out of reach, A and C are the only two that can.
#[test]
fn a_replica_that_is_being_filled_takes_writes() {
    let (mut cluster, title, [a, _, c]) = only_b_has_it();
    let written = cluster.write(c, &title, set("Bonjour"), WriteOptions::QUORUM);
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    assert_eq!(cluster.held(a, &title).as_deref(), Some("Bonjour"));
}

#[test]
fn a_restart_does_not_fill_it() {
    let (mut cluster, title, [a, _, c]) = only_b_has_it();
    cluster.pass(Duration::from_secs(3));
    cluster.crash(a);
    cluster.start(a);
    cluster.pass(Duration::from_secs(3));
    let read = cluster.read(c, &title, ReadOptions::QUORUM);
    assert!(matches!(read, QuorumReply::Unmet(_)), "{read:?}");
}

/// D copies from two of A, B and C. What A has to offer is no copy of what it had.
#[test]
fn a_newcomer_does_not_copy_from_a_replica_that_is_being_filled() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    let newcomer = cluster.add_newcomer();
    cluster.cut(&[b], &[a, newcomer]);
    cluster.restore(a, 0);
    cluster.change_ring(c, Change::Join(vec![Member::new(id_of(newcomer), "rack 3")]));
    assert!(!cluster.run_until(Duration::from_secs(30), |cluster| cluster.is_stable(&[c], 4)));
    cluster.heal();
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[a, b, c, newcomer], 4)));
    cluster.crash(b);
    assert_eq!(cluster.text(newcomer, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// More than W - 1 disks are gone. What is left is brought together, and everybody is told that it may not be all.
#[test]
fn with_two_of_three_disks_lost_they_go_on_with_what_the_third_has_and_say_so() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    let [a, b, c] = in_order([a, b, c]);
    for node in [b, c] {
        cluster.crash(node);
    }
    cluster.events.clear();
    cluster.restore(b, 0);
    cluster.restore(c, 0);
    cluster.pass(Duration::from_secs(3));
    // Whoever is filled second takes the first for one that holds everything.
    assert!(fillings(&cluster, b, false) + fillings(&cluster, c, false) >= 16);
    cluster.crash(a);
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// C is down for good. Whoever declares that gives up what C alone had; A goes on with what B has.
#[test]
fn a_dead_node_is_not_waited_for_by_one_that_is_being_filled() {
    let (mut cluster, title, [a, b, c]) = only_b_has_it();
    cluster.crash(c);
    cluster.heal();
    cluster.pass(Duration::from_secs(3));
    assert_eq!(fillings(&cluster, a, false), 0, "C may have something");
    cluster.change_ring(b, Change::Remove { dead: vec![id_of(c)] });
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[a, b], 4)));
    assert_eq!(cluster.text(a, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// All three are founded anew, and one never comes up. The two that do can work; the third is filled when it comes.
#[test]
fn in_the_beginning_a_quorum_is_enough_and_who_comes_late_is_filled_first() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    for node in [a, b, c] {
        cluster.crash(node);
    }
    cluster.restore(a, 0);
    let read = cluster.read(a, &title, ReadOptions::ONE);
    assert!(matches!(read, QuorumReply::Unmet(_)), "it may have lost everything: {read:?}");
    cluster.restore(b, 0);
    cluster.write(a, &title, set("Hello"), WriteOptions::QUORUM);
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));

    cluster.events.clear();
    cluster.restore(c, 0);
    assert_eq!(fillings(&cluster, c, true), 16);
    cluster.crash(a);
    assert_eq!(cluster.text(c, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// A and B have it; both lose their disks while C is away. They cannot be told from two that are new.
fn two_took_themselves_for_new() -> (Cluster, ItemKey, [usize; 3]) {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
    for node in [a, b, c] {
        cluster.crash(node);
    }
    cluster.events.clear();
    cluster.restore(a, 0);
    cluster.restore(b, 0);
    assert_eq!(cluster.text(b, &title, ReadOptions::QUORUM), None);
    assert_eq!(fillings(&cluster, a, false) + fillings(&cluster, b, false), 0, "it is too early to tell");
    (cluster, title, [a, b, c])
}

#[test]
fn two_that_take_themselves_for_new_say_so_when_the_third_is_not_heard_of() {
    let (mut cluster, _, [a, b, _]) = two_took_themselves_for_new();
    cluster.pass(Duration::from_secs(120));
    assert_eq!((fillings(&cluster, a, false), fillings(&cluster, b, false)), (16, 16), "once for each");
}

#[test]
fn two_that_took_themselves_for_new_say_so_when_the_third_turns_out_to_hold_something() {
    let (mut cluster, title, [a, b, c]) = two_took_themselves_for_new();
    cluster.start(c);
    assert_eq!((fillings(&cluster, a, false), fillings(&cluster, b, false)), (16, 16));
    cluster.pass(Duration::from_secs(120));
    assert_eq!((fillings(&cluster, a, false), fillings(&cluster, b, false)), (16, 16));
    assert_eq!(cluster.text(a, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// B and C cannot tell each other for a while that they are new. A has heard both, and holds by then everything that
/// there is, which is nothing.
#[test]
fn three_that_are_new_do_not_say_that_something_may_be_missing() {
    for late in [false, true] {
        let mut cluster = Cluster::of(3);
        let (_, [a, b, c]) = cluster.cast(&titles());
        for node in [a, b, c] {
            cluster.crash(node);
        }
        cluster.events.clear();
        cluster.lose(move |from, to, message| {
            late && from != a && to != a && matches!(message, Message::Quorum(Quorum::Filling(_)))
        });
        for node in [b, c, a] {
            cluster.restore(node, 0);
        }
        assert_eq!(cluster.engine(a).ring_progress().unwrap().filling, 0);
        cluster.lose_nothing();
        cluster.pass(Duration::from_secs(120));
        for node in [a, b, c] {
            assert_eq!(fillings(&cluster, node, false), 0);
            assert_eq!(cluster.engine(node).ring_progress().unwrap().filling, 0);
        }
    }
}

/// What C is told of writes is lost, and so is what comparisons say; then a node loses its disk that had acknowledged.
fn acknowledges_and_loses_its_disk(
    cluster: &mut Cluster,
    coordinator: usize,
    title: &ItemKey,
    [lost, c]: [usize; 2],
) -> u64 {
    cluster.lose(move |_, to, message| match message {
        Message::Quorum(Quorum::Mutate(_)) => to == c,
        Message::Session(_) => true,
        _ => false,
    });
    let asked = cluster.ask_to_write(coordinator, title, set("Hello"), WriteOptions::ALL);
    cluster.deliver();
    assert_eq!(cluster.held(lost, title).as_deref(), Some("Hello"));
    cluster.restore(lost, 0);
    cluster.lose(|_, _, message| matches!(message, Message::Session(_)));
    asked
}

/// B has acknowledged, and loses its disk before C has got the write. It counts when it has got it a second time.
#[test]
fn an_acknowledgement_of_a_replica_that_lost_its_disk_meanwhile_is_taken_back() {
    let mut cluster = Cluster::of(3);
    let (title, [a, b, c]) = cluster.cast(&titles());
    let asked = acknowledges_and_loses_its_disk(&mut cluster, a, &title, [b, c]);
    let QuorumReply::Written { report, .. } = cluster.early_reply_to(asked) else { panic!("all are up") };
    assert_eq!(report.copies(), 3);
    assert!([a, b, c].iter().all(|node| cluster.held(*node, &title).is_some()));
}

/// The same when it is A, which carried the write out for D.
#[test]
fn who_carried_out_a_write_and_lost_its_disk_meanwhile_is_told_of_it() {
    let mut cluster = Cluster::of(4);
    let (title, [a, b, c, d]) = cluster.cast(&titles());
    let asked = acknowledges_and_loses_its_disk(&mut cluster, d, &title, [a, c]);
    let QuorumReply::Written { report, .. } = cluster.early_reply_to(asked) else { panic!("all are up") };
    assert_eq!(report.copies(), 3);
    assert!([a, b, c].iter().all(|node| cluster.held(*node, &title).is_some()));
}

/// There is no way from D to A when A comes back without its disk, so D still counts what A said before.
#[test]
fn a_coordinator_without_a_way_to_a_replica_does_not_hear_that_its_disk_was_lost() {
    let mut cluster = Cluster::of(4);
    let (title, [a, b, c, d]) = cluster.cast(&titles());
    cluster.lose(move |_, to, message| matches!(message, Message::Quorum(Quorum::Mutate(_))) && to == c);
    let asked = cluster.ask_to_write(d, &title, set("Hello"), WriteOptions::ALL);
    cluster.deliver();
    cluster.cut(&[a], &[d]);
    cluster.lose(|_, _, message| matches!(message, Message::Session(_)));
    cluster.restore(a, 0);
    let QuorumReply::Written { report, .. } = cluster.early_reply_to(asked) else { panic!("B and C are up") };
    assert_eq!(report.copies(), 3);
    assert_eq!([a, b, c].map(|node| cluster.held(node, &title).is_some()), [false, true, true]);
    cluster.lose_nothing();
    cluster.pass(Duration::from_secs(5));
    assert!(cluster.held(a, &title).is_some(), "it is filled with it");
}
