//! What an add-wins set must get right, each a lesson from a set that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::dotted::{Causal, DotSet, ElementStore};
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, DotsExhausted, OrSet, ReplicaId, VersionDigest,
};

use crate::common::by;
use crate::orders::merged_in_every_order;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Set = OrSet<&'static str>;

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn elements(set: &Set) -> Vec<&'static str> {
    set.to_sorted().into_iter().copied().collect()
}

#[test]
fn an_older_copy_does_not_undo_a_removal() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "foo").unwrap();
    a.add(by(A), "bar").unwrap();
    b.add(by(B), "baz").unwrap();
    let older = a.clone().merged(&b);

    a.remove("bar");

    assert_eq!(elements(&a.clone().merged(&older)), ["baz", "foo"]);
    assert_eq!(elements(&older.merged(&a)), ["baz", "foo"]);
}

#[test]
fn an_element_alive_on_both_sides_can_still_be_removed_by_both() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "z").unwrap();
    let c = a.clone();
    a.remove("z");
    b.add(by(B), "z").unwrap();
    let _ = a.merge(&b);
    b.remove("z");

    // `a` holds B's add and dropped its own, `c` the other way round, and `b` dropped B's.
    assert_eq!((elements(&a), elements(&c)), (vec!["z"], vec!["z"]));
    assert!(merged_in_every_order([&a, &b, &c]).is_empty());
}

#[test]
fn of_a_concurrent_add_and_removal_the_add_wins() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "e").unwrap();
    b.add(by(B), "e").unwrap();
    let mut c = a.clone();
    c.remove("e");

    let merged = merged_in_every_order([&a, &b, &c]);

    assert_eq!(elements(&merged), ["e"]);
    assert_eq!(merged.dots("e"), DotSet::from(dot(B, 1)));
}

#[test]
fn adding_again_beats_a_concurrent_removal() {
    let mut a = Set::default();
    a.add(by(A), "e").unwrap();
    let mut b = a.clone();
    b.remove("e");
    a.add(by(A), "e").unwrap();

    assert_eq!(elements(&a.clone().merged(&b)), ["e"]);
    assert_eq!(elements(&b.merged(&a)), ["e"]);
}

#[test]
fn adding_again_replaces_the_dots() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "e").unwrap();
    b.add(by(B), "e").unwrap();
    let _ = a.merge(&b);
    assert_eq!(a.dots("e").len(), 2);

    let delta = a.add(by(A), "e").unwrap();

    assert_eq!(a.dots("e"), DotSet::from(dot(A, 2)));
    assert_eq!(delta.context(), &CausalContext::from_iter([dot(A, 1), dot(A, 2), dot(B, 1)]));
    assert_eq!(b.merged(&delta), a);
}

#[test]
fn a_removal_that_comes_again_does_not_touch_a_later_add() {
    let mut a = Set::default();
    a.add(by(A), "a").unwrap();
    a.add(by(A), "b").unwrap();
    let mut peer = a.clone();
    let removal = a.remove("b");
    peer.add(by(B), "c").unwrap();
    let _ = peer.merge(&removal);
    peer.add(by(B), "b").unwrap();

    assert!(!peer.merge(&removal).is_changed());
    assert_eq!(elements(&peer), ["a", "b", "c"]);
}

#[test]
fn a_removal_may_arrive_before_the_add() {
    let mut a = Set::default();
    let add = a.add(by(A), "five").unwrap();
    let removal = a.remove("five");

    let mut early = Set::default();
    let _ = early.merge(&removal);
    assert!(early.is_empty());
    assert!(!early.merge(&add).is_changed(), "the add is known to be over");

    let in_order = Set::default().merged(&add).merged(&removal);
    assert_eq!(early, in_order);
    assert_eq!(early, a);
}

#[test]
fn a_lost_delta_deletes_nothing() {
    let mut start = Set::default();
    start.add(by(A), "a").unwrap();
    let mut first = start.clone();
    let d1 = first.add(by(A), "b").unwrap();
    let d2 = first.add(by(A), "c").unwrap();
    let d3 = start.clone().add(by(B), "d").unwrap();

    let without_d1 = start.clone().merged(&d3).merged(&d2);
    let with_all = start.merged(&d1).merged(&d2).merged(&d3);

    assert_eq!(elements(&without_d1), ["a", "c", "d"]);
    assert_eq!(elements(&without_d1.merged(&with_all)), ["a", "b", "c", "d"]);
}

#[test]
fn a_removal_carries_exactly_the_dots_removed() {
    let (mut a, mut b) = (Set::default(), Set::default());
    let add = a.add(by(A), "a").unwrap();
    b.add(by(B), "b").unwrap();
    b.remove("b");
    let _ = a.merge(&b);

    let removal = a.remove("a");

    assert_eq!(removal.context(), &CausalContext::from(dot(A, 1)));
    let elsewhere = Set::default().merged(&add).merged(&removal);
    assert_eq!(elsewhere.context().highest(B), 0, "nothing is said about B");
    assert!(a.remove("a").is_bottom(), "nothing to remove, nothing to say");
}

#[test]
fn clearing_spares_what_it_has_not_seen() {
    let mut a = Set::default();
    a.add_all(by(A), ["x", "y"]).unwrap();
    let mut b = a.clone();
    let add = b.add(by(B), "y").unwrap();

    let cleared = a.clear();

    assert!(a.is_empty());
    assert_eq!(cleared.context(), a.context());
    assert_eq!(elements(&b.merged(&cleared)), ["y"]);
    assert_eq!(elements(&a.merged(&add)), ["y"]);
}

#[test]
fn elements_added_together_are_removed_one_by_one() {
    let mut a = Set::default();
    let batch = a.add_all(by(A), ["x", "y"]).unwrap();
    let mut b = Set::default().merged(&batch);

    let removal = b.remove("x");

    assert_eq!(elements(&a.clone().merged(&b)), ["y"]);
    assert_eq!(elements(&a.merged(&removal)), ["y"]);
}

#[test]
fn an_element_twice_in_a_batch_ends_under_one_dot() {
    let mut a = Set::default();
    let batch = a.add_all(by(A), ["x", "x"]).unwrap();
    assert_eq!(a.dots("x"), DotSet::from(dot(A, 2)));
    assert_eq!(Set::default().merged(&batch), a);
}

#[test]
fn equal_contexts_are_not_equal_states() {
    let mut a = Set::default();
    a.add(by(A), "x").unwrap();
    let mut b = a.clone();
    a.remove("x");

    assert_eq!(a.context(), b.context());
    assert_ne!(a, b);
    assert_ne!(a.version_digest(), b.version_digest());
    assert_eq!(b.compare(&a), Some(Ordering::Less));
    assert!(b.merge(&a).is_changed());
    assert!(b.is_empty());
}

#[test]
fn a_delta_since_carries_removals_and_nothing_for_equals() {
    let mut a = Set::default();
    a.add_all(by(A), ["keep", "drop"]).unwrap();
    let b = a.clone();
    a.remove("drop");

    let delta = a.delta_since(&b.digest());
    let b = b.merged(&delta);

    assert_eq!(b, a);
    assert_eq!(delta.context(), &CausalContext::from(dot(A, 2)), "and not what stayed");
    assert!(a.delta_since(&b.digest()).is_bottom());
}

#[test]
fn part_of_a_delta_says_nothing_about_the_rest() {
    let mut a = Set::default();
    a.add_all(by(A), ["k1", "k2"]).unwrap();
    let mut b = a.clone();
    b.add_all(by(B), ["k3", "k4"]).unwrap();

    let parts = b.delta_since(&a.digest()).split();
    let k3 = parts.iter().find(|part| part.contains("k3")).unwrap();

    assert_eq!(parts.len(), 2);
    assert_eq!(elements(&a.merged(k3)), ["k1", "k2", "k3"]);
}

#[test]
fn the_last_counter_is_used_and_none_after_it() {
    let mut full = CausalContext::new();
    full.insert_range(A, 1..=u64::MAX - 1);
    let mut set = Set::default().merged(&Set::from(Causal::delta(ElementStore::new(), full)));
    let before = set.clone();

    assert_eq!(set.add_all(by(A), ["x", "y"]), Err(DotsExhausted { replica: A }));
    assert_eq!(set, before, "all or nothing");

    set.add_all(by(A), ["x"]).unwrap();
    assert_eq!(set.dots("x"), DotSet::from(dot(A, u64::MAX)));
    let before = set.clone();
    assert_eq!(set.add(by(A), "y"), Err(DotsExhausted { replica: A }));
    assert_eq!(set.add_all(by(A), []), Ok(Set::default()), "nothing takes no counter");
    assert_eq!(set, before);

    set.add(by(C), "y").unwrap();
    assert_eq!(elements(&set), ["x", "y"]);
}

/// A client far away saw one add of an element. Another add of it, and other elements, are not its business.
#[test]
fn whoever_saw_an_add_elsewhere_removes_that_add_and_nothing_else() {
    let mut a = Set::default();
    a.add_all(by(A), ["five", "six"]).unwrap();
    let shown = a.dots("five");
    let again = Set::default().add(by(C), "five").unwrap();
    let _ = a.merge(&again);

    // The removal reaches a replica that has heard of nothing yet.
    let mut b = Set::default();
    let removal = b.remove_seen("five", &shown);

    assert_eq!(removal.context(), &CausalContext::from(dot(A, 1)), "exactly what the client named");
    assert_eq!(elements(&a.clone().merged(&removal)), ["five", "six"], "the other add survives");
    assert_eq!(a.dots("five").len(), 2);
    a.remove_seen("five", &shown);
    assert_eq!(a.dots("five"), DotSet::from(dot(C, 1)));
    assert_eq!(b.merged(&a), a);
}

#[test]
fn a_token_of_one_element_does_not_remove_another() {
    let mut a = Set::default();
    a.add_all(by(A), ["five", "six"]).unwrap();
    let before = a.clone();
    let of_six = a.dots("six");

    assert!(a.remove_seen("five", &of_six).is_bottom());
    assert_eq!(a, before);
}

#[test]
fn deltas_can_be_gathered_as_they_come_about() {
    let mut a = Set::default();
    a.add(by(A), "x").unwrap();
    let mut b = a.clone();
    let mut group = Set::default();
    for element in ["y", "x", "y", "z"] {
        a.add_into(by(A), element, &mut group).unwrap();
    }
    assert_eq!(b.merge(&group), Change::Changed);
    assert_eq!(a, b);
    assert_eq!(group.dots("y").len(), 1, "the first y was replaced within the group");
}
