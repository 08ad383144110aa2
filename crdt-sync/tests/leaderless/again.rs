//! Operations that have to be begun again: until they succeed, or their time is up, and then the client hears why.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, Refusal, WriteOptions};
use crdt_sync::placement::{Change, Member};
use crdt_sync::wire::{Message, Quorum};
use crdt_sync::{Action, Cell, Config, ItemKey};

use crate::cluster::{Cluster, counts, id_of, lists, set, titles};

/// Neither hints nor comparisons bring what a message did not, unless something calls for it.
fn left_to_themselves(config: &mut Config) {
    config.limits.max_hints = 0;
    config.timing.compare_every = Duration::from_secs(24 * 60 * 60);
}

fn holds_milk(cluster: &Cluster, node: usize, list: &ItemKey) -> bool {
    matches!(cluster.engine(node).peek(list), Some(Cell::Set(list)) if list.contains("milk".as_bytes()))
}

/// D reads what B knows to be gone, of which A, which is to carry out the removal, has seen nothing.
fn a_removal_that_a_cannot_vouch_for() -> (Cluster, ItemKey, [usize; 4], u64) {
    let mut cluster = Cluster::with(4, left_to_themselves);
    let (list, [a, b, c, d]) = cluster.cast(&lists());
    cluster.write(a, &list, Action::Add("milk".into()), WriteOptions::ALL);
    cluster.cut(&[a], &[b, c]);
    cluster.write(b, &list, Action::Add("eggs".into()), WriteOptions::QUORUM);
    cluster.write(b, &list, Action::Remove("eggs".into()), WriteOptions::QUORUM);
    cluster.crash(b);
    cluster.start(b);
    let asked = cluster.ask_to_write_on_top(d, &list, Action::Remove("milk".into()));
    (cluster, list, [a, b, c, d], asked)
}

#[test]
fn a_removal_is_asked_for_again_until_whoever_carries_it_out_has_seen_enough() {
    let (mut cluster, list, [a, b, c, _], asked) = a_removal_that_a_cannot_vouch_for();
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.answers_to(asked), 0);
    assert!([a, b, c].iter().all(|node| holds_milk(&cluster, *node, &list)), "A does not carry it out yet");
    cluster.heal();
    let reply = cluster.reply_to(asked);
    assert!(matches!(reply, QuorumReply::Written { .. }), "{reply:?}");
    assert!([a, b, c].iter().all(|node| !holds_milk(&cluster, *node, &list)));
}

#[test]
fn a_removal_that_nobody_can_vouch_for_in_time_is_refused_once_and_carried_out_nowhere() {
    let (mut cluster, list, [a, b, c, _], asked) = a_removal_that_a_cannot_vouch_for();
    let reply = cluster.reply_to(asked);
    assert_eq!(reply, QuorumReply::Refused { by: id_of(a), why: Refusal::Behind });
    cluster.heal();
    cluster.pass(Duration::from_secs(10));
    assert_eq!(cluster.answers_to(asked), 1);
    assert!([a, b, c].iter().all(|node| holds_milk(&cluster, *node, &list)));
}

/// A knows of a change of the ring, and nobody hears of it: they refuse whatever it asks.
fn a_is_alone_with_its_ring() -> (Cluster, ItemKey, usize) {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (likes, [a]) = cluster.cast(&counts());
    let newcomer = cluster.add_newcomer();
    cluster.crash(newcomer);
    cluster.lose(|_, _, message| matches!(message, Message::Quorum(Quorum::Layout(_))));
    cluster.change_ring(a, Change::Join(vec![Member::new(id_of(newcomer), "rack 3")]));
    (cluster, likes, a)
}

fn count(cluster: &Cluster, node: usize, likes: &ItemKey) -> i128 {
    match cluster.engine(node).peek(likes) {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    }
}

/// It was carried out, once; what it did not reach in time is told.
#[test]
fn a_write_that_meets_another_ring_until_its_time_is_up_is_reported_as_unmet() {
    let (mut cluster, likes, a) = a_is_alone_with_its_ring();
    let asked = cluster.ask_to_write(a, &likes, Action::Increment(5), WriteOptions::QUORUM);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.answers_to(asked), 0, "the others may hear of the ring any moment");
    let QuorumReply::Unmet(unmet) = cluster.reply_to(asked) else { panic!("nobody else takes it") };
    assert_eq!(unmet.report().primaries(), [id_of(a)]);
    cluster.pass(Duration::from_secs(10));
    assert_eq!((cluster.answers_to(asked), count(&cluster, a, &likes)), (1, 5));
}

#[test]
fn a_write_that_met_another_ring_is_told_again_when_the_others_know_it() {
    let (mut cluster, likes, a) = a_is_alone_with_its_ring();
    let asked = cluster.ask_to_write(a, &likes, Action::Increment(5), WriteOptions::QUORUM);
    cluster.pass(Duration::from_secs(1));
    cluster.lose_nothing();
    let reply = cluster.reply_to(asked);
    assert!(matches!(reply, QuorumReply::Written { .. }), "{reply:?}");
    cluster.pass(Duration::from_secs(10));
    assert!([0, 1, 2].iter().all(|node| count(&cluster, *node, &likes) == 5));
}

#[test]
fn a_read_that_meets_another_ring_is_begun_again_until_its_time_is_up() {
    for in_time in [true, false] {
        let mut cluster = Cluster::with(3, left_to_themselves);
        let (title, [a]) = cluster.cast(&titles());
        cluster.write(a, &title, set("Hello"), WriteOptions::ALL);
        let newcomer = cluster.add_newcomer();
        cluster.crash(newcomer);
        cluster.lose(|_, _, message| matches!(message, Message::Quorum(Quorum::Layout(_))));
        cluster.change_ring(a, Change::Join(vec![Member::new(id_of(newcomer), "rack 3")]));
        let asked = cluster.ask_to_read(a, &title, ReadOptions::QUORUM);
        cluster.pass(Duration::from_secs(1));
        assert_eq!(cluster.answers_to(asked), 0);
        if in_time {
            cluster.lose_nothing();
        }
        let reply = cluster.reply_to(asked);
        assert_eq!(matches!(reply, QuorumReply::Read { .. }), in_time, "{reply:?}");
        assert_eq!(matches!(reply, QuorumReply::Unmet(_)), !in_time, "{reply:?}");
        cluster.pass(Duration::from_secs(10));
        assert_eq!(cluster.answers_to(asked), 1);
    }
}
