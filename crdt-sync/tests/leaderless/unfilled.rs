//! Writes that reach a node first which lost its disk: it does not judge them by what it does not hold any more.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, Refusal, WriteOptions};
use crdt_sync::wire::{Message, Quorum};
use crdt_sync::{Action, Bytes, Cell, Collection, ItemKey};

use crate::cluster::{Cluster, counts, id_of, lists, notes};

/// All three have it; then A loses its disk, and comparisons are lost for now.
fn a_lost_its_disk(collection: &Collection, actions: &[Action]) -> (Cluster, ItemKey, [usize; 4]) {
    let mut cluster = Cluster::of(4);
    let (item, [a, b, c, d]) = cluster.cast(collection);
    for action in actions {
        cluster.write(a, &item, action.clone(), WriteOptions::ALL);
    }
    cluster.lose(|_, _, message| matches!(message, Message::Session(_)));
    cluster.restore(a, 0);
    (cluster, item, [a, b, c, d])
}

fn is_written(reply: &QuorumReply) -> bool {
    matches!(reply, QuorumReply::Written { .. })
}

fn is_filled(cluster: &Cluster, node: usize) -> bool {
    cluster.engine(node).ring_progress().unwrap().filling == 0
}

/// A would find no milk to remove. Whoever is asked, one of the others carries it out.
#[test]
fn a_removal_is_carried_out_by_a_replica_that_holds_what_is_removed() {
    for by_d in [false, true] {
        let (mut cluster, list, [a, b, c, d]) = a_lost_its_disk(&lists(), &[Action::Add("milk".into())]);
        let asked = if by_d { d } else { a };
        let removed = cluster.write(asked, &list, Action::Remove("milk".into()), WriteOptions::QUORUM);
        assert!(is_written(&removed), "{removed:?}");
        assert!(!is_filled(&cluster, a));
        for node in [b, c] {
            assert_eq!(cluster.engine(node).peek(&list), None, "asked by D: {by_d}");
        }
    }
}

/// A would say that there is no such version.
#[test]
fn a_version_is_written_on_another_one_by_a_replica_that_holds_that() {
    let (mut cluster, note, [a, b, ..]) = a_lost_its_disk(&notes(), &[Action::Put("one".into())]);
    let Some(Cell::Document(held)) = cluster.engine(b).peek(&note) else { panic!("B has it") };
    let parent = *held.winner().unwrap().id();
    let update = Action::Update { parent, body: Some("two".into()) };
    let written = cluster.write(a, &note, update, WriteOptions::QUORUM);
    assert!(is_written(&written), "{written:?}");
}

/// Nobody else can be reached.
#[test]
fn what_only_a_node_without_its_disk_could_judge_waits_and_is_refused_in_the_end() {
    let milk = || Bytes::from("milk");
    for heals in [true, false] {
        let (mut cluster, list, [a, b, c, d]) = a_lost_its_disk(&lists(), &[Action::Add(milk())]);
        cluster.cut(&[a], &[b, c, d]);
        let asked = cluster.ask_to_write(a, &list, Action::Remove(milk()), WriteOptions::ONE);
        cluster.pass(Duration::from_secs(1));
        assert_eq!(cluster.answers_to(asked), 0);
        if heals {
            cluster.heal();
        }
        let reply = cluster.reply_to(asked);
        if heals {
            assert!(is_written(&reply), "{reply:?}");
            assert_eq!(cluster.engine(b).peek(&list), None);
        } else {
            assert_eq!(reply, QuorumReply::Refused { by: id_of(a), why: Refusal::Filling });
        }
        let added = cluster.write(a, &list, Action::Add(milk()), WriteOptions::ONE);
        assert!(is_written(&added), "to add takes no judging: {added:?}");
    }
}

/// The same body makes the same first version; but that one was written over, which A does not know any more.
#[test]
fn what_is_put_where_nothing_is_left_is_no_old_version_of_the_same_words() {
    let before = [Action::Put("one".into()), Action::Put("two".into())];
    let (mut cluster, note, [a, b, c, d]) = a_lost_its_disk(&notes(), &before);
    cluster.cut(&[a], &[b, c, d]);
    assert!(is_written(&cluster.write(a, &note, Action::Put("one".into()), WriteOptions::ONE)));
    cluster.lose_nothing();
    cluster.heal();
    cluster.pass(Duration::from_secs(10));
    let Some(Cell::Document(note)) = cluster.cell(b, &note, ReadOptions::ALL) else { panic!("a note") };
    assert_eq!(note.live_leaves().count(), 2, "side by side, for neither knew of the other");
}

/// It counts under a name of its own: what it counted under the old one comes back, and is added.
#[test]
fn what_a_node_counts_before_it_is_filled_is_added_to_what_it_counted_before() {
    let (mut cluster, likes, [a, b, c, d]) = a_lost_its_disk(&counts(), &[Action::Increment(5)]);
    cluster.cut(&[a], &[b, c, d]);
    assert!(is_written(&cluster.write(a, &likes, Action::Increment(1), WriteOptions::ONE)));
    cluster.lose_nothing();
    cluster.heal();
    cluster.pass(Duration::from_secs(10));
    for node in [a, b, c] {
        let Some(Cell::Counter(counter)) = cluster.engine(node).peek(&likes) else { panic!("a count") };
        assert_eq!(counter.value(), 6);
    }
}

/// What A has read of B and C is what it judges the removal by.
#[test]
fn a_removal_on_top_of_a_read_may_be_carried_out_by_a_node_that_is_being_filled() {
    let (mut cluster, list, [a, b, c, _]) = a_lost_its_disk(&lists(), &[Action::Add("milk".into())]);
    // What the others say of how far they are filled is lost, too: A knows of nobody who holds it all.
    cluster.lose(move |_, to, message| match message {
        Message::Session(_) => true,
        Message::Quorum(Quorum::Filling(_)) => to == a,
        _ => false,
    });
    cluster.restore(a, 0);
    let asked = cluster.ask_to_write_on_top(a, &list, Action::Remove("milk".into()));
    let reply = cluster.early_reply_to(asked);
    assert!(is_written(&reply), "{reply:?}");
    cluster.deliver();
    assert!([a, b, c].iter().all(|node| cluster.engine(*node).peek(&list).is_none()));
}

/// A has got the milk meanwhile, and B has not; it is B that removes it for A, which has read that it is there.
#[test]
fn what_was_read_goes_to_whoever_carries_out_the_write_instead() {
    let (mut cluster, list, [a, b, c, d]) = a_lost_its_disk(&lists(), &[Action::Add("soap".into())]);
    cluster.cut(&[b], &[a, c, d]);
    assert!(is_written(&cluster.write(c, &list, Action::Add("milk".into()), WriteOptions::QUORUM)));
    cluster.lose(move |_, to, message| match message {
        Message::Session(_) => true,
        Message::Quorum(Quorum::Mutate(told)) => to == b && told.removal.is_none(),
        _ => false,
    });
    cluster.heal();
    let asked = cluster.ask_to_write_on_top(a, &list, Action::Remove("milk".into()));
    assert!(is_written(&cluster.reply_to(asked)));
    let milk = |node: &usize| match cluster.engine(*node).peek(&list) {
        Some(Cell::Set(list)) => list.contains("milk".as_bytes()),
        _ => false,
    };
    assert_eq!([a, b, c].iter().filter(|node| milk(node)).count(), 0);
}
