//! Hints when nodes leave, and waiting until hints are home.

use std::time::Duration;

use crdt_core::CausalContext;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::leaderless::{HintsReply, QuorumReply, RingReply};
use crdt_sync::placement::{Change, ChangeError, Member};
use crdt_sync::wire::{Message, Mint, Quorum};
use crdt_sync::{Event, ItemKey, Reply, Request, Write};

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

/// A has left, and everybody knows. What E is told then in the place of A was on its way for a while.
#[test]
fn a_hint_that_comes_late_for_a_node_that_left_goes_to_the_replicas_of_now() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d, e]) = cluster.cast::<5>(&titles());
    cluster.change_ring(b, Change::Leave(vec![id_of(a)]));
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[a, b, c, d, e], 4)));
    cluster.pass(Duration::from_secs(2));
    let write = Write { collection: title.collection, key: title.key.clone(), action: set("Hello") };
    let (in_place_of, seen, before) = (Some(id_of(a)), None, CausalContext::default());
    let mint = Mint { request: 1, ring: 3, in_place_of, seen, before, write };
    cluster.say(b, e, &Message::Quorum(Quorum::Mint(mint)));
    cluster.pass(Duration::from_secs(3));
    assert_eq!(hints_at(&mut cluster, e), DELIVERED);
    for node in &cluster.order(b, &title)[..3] {
        assert_eq!(cluster.held(*node, &title).as_deref(), Some("Hello"));
    }
}

/// It went to a replica; or it was dropped, by one that is such by now.
fn is_gone(event: &Event, dead: crdt_sync::NodeId) -> bool {
    [Event::HintsDelivered { owner: dead, hints: 1 }, Event::HintsDiscarded { owner: dead, hints: 1 }]
        .contains(event)
}

/// Whichever node the administrator speaks to, the one with the hint or another one, and also after a restart.
#[test]
fn hints_for_a_node_that_is_removed_or_replaced_go_to_a_replica() {
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
        let gone = |at, event: &Event| at == d && is_gone(event, dead);
        assert_eq!(cluster.count_events(gone), 1);
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

/// D has left, and B, which knows it a little later, has it stand in for A. What D kept would stay with a node to which
/// nobody listens.
#[test]
fn a_node_that_left_keeps_nothing_for_others() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d, e]) = cluster.cast::<5>(&titles());
    cluster.change_ring(b, Change::Leave(vec![id_of(d)]));
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[a, b, c, d, e], 4)));
    let write = Write { collection: title.collection, key: title.key.clone(), action: set("Hello") };
    let (seen, before) = (None, CausalContext::default());
    let in_place_of = Some(id_of(a));
    let mint = Mint { request: 1, ring: 3, in_place_of, seen, before, write };
    let mint = Message::Quorum(Quorum::Mint(mint));
    cluster.say(b, d, &mint);
    cluster.pass(Duration::from_secs(3));
    assert_eq!((cluster.held(d, &title), hints_at(&mut cluster, d)), (None, DELIVERED));
    cluster.say(b, e, &mint);
    assert_eq!(cluster.held(e, &title).as_deref(), Some("Hello"), "who is on the ring stands in");
}

/// F is to come, and does not: the change waits for E, and is given up as E is dead. What F had kept for A meanwhile
/// would stay with a node to which nobody listens.
#[test]
fn a_node_that_is_still_to_come_keeps_nothing_for_others() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d, e]) = cluster.cast::<5>(&titles());
    let f = cluster.add_newcomer();
    cluster.crash(e);
    cluster.change_ring(b, Change::Join(vec![Member::new(id_of(f), "rack 5")]));
    cluster.pass(Duration::from_secs(2));
    cluster.cut(&[a], &[f]);
    cluster.pass(Duration::from_secs(2));
    let written = cluster.write(f, &title, set("Hello"), WriteOptions::QUORUM);
    assert!(matches!(written, QuorumReply::Written { .. }), "{written:?}");
    cluster.request(b, Request::DeclareDead { nodes: vec![id_of(e)] });
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| cluster.is_stable(&[a, b, c, d, f], 3)));
    cluster.heal();
    cluster.pass(Duration::from_secs(3));
    assert_eq!(hints_at(&mut cluster, f), DELIVERED);
    assert_eq!(cluster.held(f, &title), None);
}

/// E died while the ring waits for it. Once that is said, the change goes back to where it began, and E can be removed.
#[test]
fn a_change_does_not_wait_for_a_node_that_is_declared_dead() {
    let mut cluster = Cluster::of(5);
    let (_, [a, b, c, d, e]) = cluster.cast::<5>(&titles());
    let newcomer = cluster.add_newcomer();
    cluster.crash(e);
    cluster.change_ring(a, Change::Join(vec![Member::new(id_of(newcomer), "rack 5")]));
    let others = [a, b, c, d];
    assert!(!cluster.run_until(Duration::from_secs(20), |cluster| cluster.is_stable(&others, 3)));
    let told = cluster.request(b, Request::DeclareDead { nodes: vec![id_of(e)] });
    let Reply::Ring(RingReply::DeclaredDead { version: 2 }) = cluster.any_reply_to(told) else {
        panic!("it is on the ring")
    };
    let again = cluster.request(c, Request::DeclareDead { nodes: vec![id_of(e)] });
    let refused = ChangeError::AlreadyDead { node: id_of(e) };
    assert_eq!(cluster.any_reply_to(again), Reply::Ring(RingReply::Refused(refused)));
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| cluster.is_stable(&others, 3)));
    assert_eq!(cluster.engine(d).ring_progress().unwrap().dead, [id_of(e)]);
    cluster.change_ring(a, Change::Remove { dead: vec![id_of(e)] });
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&others, 6)));
}

/// A is dead and still on the ring. D stands in for it, and what it keeps goes to a replica that lives.
#[test]
fn a_fallback_stands_in_for_a_dead_node_that_is_still_on_the_ring() {
    let mut cluster = Cluster::of(5);
    let (title, [a, b, c, d]) = cluster.cast(&titles());
    cluster.crash(a);
    let told = cluster.request(b, Request::DeclareDead { nodes: vec![id_of(a)] });
    assert_eq!(cluster.any_reply_to(told), Reply::Ring(RingReply::DeclaredDead { version: 1 }));
    // Only D can be reached: it carries the write out in A's place.
    cluster.cut(&[d], &[b, c]);
    let written = cluster.write(d, &title, set("Hello"), sloppy(WriteOptions::ONE));
    let QuorumReply::Written { report, .. } = written else { panic!("D is up: {written:?}") };
    assert_eq!(report.fallbacks(), [(id_of(d), id_of(a))]);
    cluster.pass(Duration::from_secs(3));
    assert_eq!(cluster.held(d, &title).as_deref(), Some("Hello"));
    cluster.heal();
    cluster.pass(Duration::from_secs(3));
    assert_eq!(cluster.held(d, &title), None);
    assert_eq!(cluster.text(c, &title, ReadOptions::QUORUM).as_deref(), Some("Hello"));
}

/// E leaves, and is down before it has dropped anything, while the ring goes on to change twice.
#[test]
fn a_node_that_was_down_through_two_changes_drops_what_it_does_not_hold_any_more() {
    let mut cluster = Cluster::of(5);
    let items =
        || (0..40).map(|n| ItemKey { collection: titles().id(), key: format!("{n}").as_str().into() });
    for item in items() {
        cluster.write(0, &item, set("Hello"), WriteOptions::ALL);
    }
    let held_by = |cluster: &Cluster, node| items().filter(|item| cluster.held(node, item).is_some()).count();
    let before = held_by(&cluster, 4);
    cluster.change_ring(0, Change::Leave(vec![id_of(4)]));
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[0], 4)));
    cluster.crash(4);
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&[0, 1, 2, 3], 4)));
    let newcomer = cluster.add_newcomer();
    cluster.change_ring(0, Change::Join(vec![Member::new(id_of(newcomer), "rack 5")]));
    let stay = [0, 1, 2, 3, newcomer];
    assert!(cluster.run_until(Duration::from_secs(60), |cluster| cluster.is_stable(&stay, 7)));
    cluster.start(4);
    assert!(before > 0);
    cluster.pass(Duration::from_secs(3));
    assert_eq!(held_by(&cluster, 4), 0);
}
