//! Hints when nodes leave, and waiting until hints are home.

use std::time::Duration;

use crdt_sync::leaderless::HintsReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::placement::{Change, Member};
use crdt_sync::{Event, ItemKey, Reply, Request};

use crate::cluster::{Cluster, id_of, set, sloppy, titles};

/// Waits for what a node keeps for others, for so long.
fn ask_for_hints(cluster: &mut Cluster, node: usize, span: Duration) -> u64 {
    let deadline = cluster.after(span);
    cluster.request(node, Request::AwaitHints { deadline })
}

fn hints_at(cluster: &mut Cluster, node: usize) -> Reply {
    let asked = ask_for_hints(cluster, node, Duration::ZERO);
    cluster.any_reply_to(asked)
}

const DELIVERED: Reply = Reply::Hints(HintsReply::Delivered);

/// D cannot see A, and keeps what it missed; all others see everybody.
fn a_hint_for_a_at_d(cluster: &mut Cluster) -> (ItemKey, [usize; 5]) {
    let (title, [a, b, c, d, e]) = cluster.cast(&titles());
    cluster.cut(&[a], &[d]);
    cluster.write(d, &title, set("Hello"), sloppy(WriteOptions::ALL));
    assert_ne!(hints_at(cluster, d), DELIVERED, "there is one");
    (title, [a, b, c, d, e])
}

#[test]
fn whoever_waits_for_hints_is_told_when_they_are_home_or_how_many_are_not() {
    let mut cluster = Cluster::of(5);
    let (_, [a, _, _, d, _]) = a_hint_for_a_at_d(&mut cluster);
    let asked = ask_for_hints(&mut cluster, d, Duration::from_secs(1));
    let Reply::Hints(HintsReply::StillWaiting { count, bytes, .. }) = cluster.any_reply_to(asked) else {
        panic!("A is still out of sight")
    };
    assert!(count == 1 && bytes > 0);
    let asked = ask_for_hints(&mut cluster, d, Duration::from_secs(30));
    cluster.heal();
    assert_eq!(cluster.any_reply_to(asked), DELIVERED);
    assert!(cluster.events.contains(&(d, Event::HintsDelivered { owner: id_of(a), hints: 1 })));
}

/// Whoever asks while too many wait is sent away instead of being remembered.
#[test]
fn not_everybody_may_wait_for_hints_at_a_time() {
    let mut cluster = Cluster::of(5);
    let (_, [_, _, _, d, _]) = a_hint_for_a_at_d(&mut cluster);
    for _ in 0..256 {
        ask_for_hints(&mut cluster, d, Duration::from_secs(60));
    }
    let one_more = ask_for_hints(&mut cluster, d, Duration::from_secs(60));
    assert_eq!(cluster.any_reply_to(one_more), Reply::Overloaded);
}

/// A hands over what it holds and leaves. What it missed goes to those that hold it from then on.
#[test]
fn hints_for_a_node_that_left_go_to_the_replicas_of_now() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, _, d, _]) = a_hint_for_a_at_d(&mut cluster);
    let asked = ask_for_hints(&mut cluster, d, Duration::from_secs(50));
    cluster.change_ring(b, Change::Leave(vec![id_of(a)]));
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| cluster.is_stable(&[b, d], 4)));
    assert_eq!(cluster.any_reply_to(asked), DELIVERED);
    assert_eq!(
        cluster.count_events(|at, event| at == d && matches!(event, Event::HintsReassigned { .. })),
        1
    );
    cluster.pass(Duration::from_secs(3));
    for node in &cluster.order(b, &title)[..3] {
        assert_eq!(cluster.held(*node, &title).as_deref(), Some("Hello"));
    }
    assert_eq!(hints_at(&mut cluster, d), DELIVERED, "nothing is left, neither for A nor for anybody");
}

/// Whichever node the administrator speaks to, the one with the hint or another one, and also after a restart.
#[test]
fn hints_for_a_node_that_is_removed_or_replaced_are_dropped() {
    for (speaks_to_d, replaced) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut cluster = Cluster::of(5);
        let (title, [a, b, c, d, e]) = a_hint_for_a_at_d(&mut cluster);
        let newcomer = cluster.add_newcomer();
        cluster.crash(a);
        let (dead, by) = (id_of(a), Member::new(id_of(newcomer), "rack 5"));
        let change =
            if replaced { Change::Replace { dead, by } } else { Change::Remove { dead: vec![dead] } };
        let asked = ask_for_hints(&mut cluster, d, Duration::from_secs(50));
        cluster.change_ring(if speaks_to_d { d } else { b }, change);
        assert_eq!(cluster.any_reply_to(asked), DELIVERED);
        assert!(cluster.events.contains(&(d, Event::HintsDiscarded { owner: dead, hints: 1 })));
        let stay = [b, c, d, e];
        assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&stay, 4)));
        cluster.crash(d);
        cluster.start(d);
        assert_eq!(hints_at(&mut cluster, d), DELIVERED);
        assert_eq!(cluster.text(d, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
    }
}

/// D leaves while it keeps something for A, which it cannot see. It stays until somebody keeps that in its stead.
#[test]
fn a_node_that_leaves_hands_on_what_it_keeps_for_others() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d, e]) = a_hint_for_a_at_d(&mut cluster);
    cluster.change_ring(b, Change::Leave(vec![id_of(d)]));
    let stay = [a, b, c, e];
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&stay, 4)));
    cluster.pass(Duration::from_secs(2));
    assert_eq!(hints_at(&mut cluster, d), DELIVERED);
    assert!(cluster.events.contains(&(d, Event::HintsDelivered { owner: id_of(a), hints: 1 })));
    assert_eq!(cluster.held(d, &title), None, "it holds nothing any more");
    assert_eq!(cluster.held(a, &title).as_deref(), Some("Hello"));
    let handed_on = |at, event: &Event| {
        at != d && matches!(event, Event::HintsDelivered { owner, .. } if *owner == id_of(a))
    };
    assert_eq!(cluster.count_events(handed_on), 1);
}
