use core::cmp::Ordering;

use crate::dotted::{Causal, DotFun, DotMap, DotSet, DotStore};
use crate::{CausalContext, Change, Crdt, DeltaCrdt, Dot, InvalidCausal, ReplicaId};

type Elements = Causal<DotMap<&'static str, DotSet>>;

const A: u8 = 0xaa;
const B: u8 = 0xbb;

fn dot(replica: u8, counter: u64) -> Dot {
    Dot::new(ReplicaId::from_bytes([replica; 16]), counter).unwrap()
}

fn seen<const N: usize>(dots: [Dot; N]) -> CausalContext {
    dots.into_iter().collect()
}

/// Adds at a replica and hands back the delta.
fn add(state: &mut Elements, replica: u8, element: &'static str) -> Elements {
    let dot = state.context().next_dot(ReplicaId::from_bytes([replica; 16])).unwrap();
    let superseded = dots_of(state, element);
    let delta = Causal::delta([(element, DotSet::from(dot))].into_iter().collect(), superseded);
    let _ = state.merge(&delta);
    delta
}

/// Removes at a replica and hands back the delta.
fn remove(state: &mut Elements, element: &'static str) -> Elements {
    let delta = Causal::delta(DotMap::new(), dots_of(state, element));
    let _ = state.merge(&delta);
    delta
}

fn dots_of(state: &Elements, element: &str) -> CausalContext {
    state.store().get(element).map(DotStore::dots).unwrap_or_default()
}

fn elements(state: &Elements) -> Vec<&'static str> {
    state.store().iter().map(|(element, _)| *element).collect()
}

#[test]
fn a_removal_reaches_only_the_dots_it_names() {
    let mut a = Elements::default();
    add(&mut a, A, "five");
    add(&mut a, A, "six");

    // A client that read "five" at A removes it at B, which has seen nothing yet.
    let mut b = Elements::default();
    let _ = b.merge(&Causal::delta(DotMap::new(), dots_of(&a, "five")));
    assert_eq!(elements(&a.clone().merged(&b)), ["six"]);

    // Had it sent all that A has seen instead, it would have removed what it never looked at.
    let too_much = Causal::delta(DotMap::new(), a.context().clone());
    assert_eq!(elements(&a.merged(&too_much)), [""; 0]);
}

#[test]
fn a_partial_delta_leaves_the_rest_alone() {
    let mut a = Elements::default();
    add(&mut a, A, "k1");
    add(&mut a, A, "k2");
    let mut b = a.clone();
    let only_k3 = add(&mut b, B, "k3");
    let _ = a.merge(&only_k3);
    assert_eq!(elements(&a), ["k1", "k2", "k3"]);
}

#[test]
fn a_lost_delta_removes_nothing() {
    let mut origin = Elements::default();
    add(&mut origin, A, "a");
    let mut writer = origin.clone();
    let _lost = add(&mut writer, A, "b");
    let arrived = add(&mut writer, A, "c");
    let gappy = origin.merged(&arrived);
    assert_eq!(elements(&gappy), ["a", "c"]);
    assert_eq!(elements(&gappy.merged(&writer)), ["a", "b", "c"]);
}

#[test]
fn what_changed_since_a_digest_includes_what_was_removed() {
    let mut a = Elements::default();
    add(&mut a, A, "x");
    let b = a.clone();
    let _ = remove(&mut a, "x");
    let delta = a.delta_since(&b.digest());
    assert_eq!(elements(&b.merged(&delta)), [""; 0]);
}

#[test]
fn equal_replicas_have_nothing_to_tell_each_other() {
    let mut a = Elements::default();
    add(&mut a, A, "x");
    add(&mut a, A, "y");
    let _ = remove(&mut a, "x");
    let b = a.clone();
    assert!(a.delta_since(&b.digest()).is_bottom(), "although something was removed once");
}

#[test]
fn equal_contexts_do_not_make_equal_states() {
    let mut a = Elements::default();
    add(&mut a, A, "x");
    let mut b = a.clone();
    let _ = remove(&mut a, "x");
    assert_eq!(a.context(), b.context());
    assert_ne!(a, b);
    assert_eq!(b.compare(&a), Some(Ordering::Less));
    assert_eq!(a.clone().merge(&b), Change::Unchanged);
    assert_eq!(b.merge(&a), Change::Changed);
    assert_eq!(elements(&b), [""; 0]);
}

#[test]
fn a_removal_may_arrive_before_the_add() {
    let mut a = Elements::default();
    let added = add(&mut a, A, "five");
    let removed = remove(&mut a, "five");
    let in_order = Elements::default().merged(&added).merged(&removed);
    let reversed = Elements::default().merged(&removed).merged(&added);
    assert_eq!(elements(&reversed), [""; 0]);
    assert_eq!(reversed, in_order);
}

#[test]
fn a_concurrent_add_survives_a_removal() {
    let mut a = Elements::default();
    add(&mut a, A, "e");
    let mut b = a.clone();
    let _ = remove(&mut b, "e");
    add(&mut a, A, "e");
    assert_eq!(elements(&a.clone().merged(&b)), ["e"]);
    assert_eq!(a.clone().merged(&b), b.merged(&a));
}

#[test]
fn adding_again_replaces_the_dots_an_element_had() {
    let mut a = Elements::default();
    for _ in 0..3 {
        add(&mut a, A, "e");
    }
    assert_eq!(a.live(), seen([dot(A, 3)]));
    assert_eq!(a.context(), &seen([dot(A, 1), dot(A, 2), dot(A, 3)]));
}

#[test]
fn a_removed_key_leaves_nothing_behind() {
    let mut a = Elements::default();
    add(&mut a, A, "x");
    let _ = remove(&mut a, "x");
    assert!(a.store().is_empty());
    let mut map = DotMap::<&str, DotSet>::new();
    assert_eq!(map.insert("x", DotSet::new()), None);
    assert!(map.is_empty(), "a key without a live dot is not present");
}

#[test]
fn splitting_gives_one_part_per_live_dot_and_one_per_range_of_removed_dots() {
    let mut a = Elements::default();
    for element in ["p", "q", "r", "s", "t"] {
        add(&mut a, A, element);
    }
    for element in ["q", "r", "t"] {
        let _ = remove(&mut a, element);
    }
    let contexts: Vec<_> = a.split().iter().map(|part| part.context().clone()).collect();
    let expected = [seen([dot(A, 1)]), seen([dot(A, 4)]), seen([dot(A, 2), dot(A, 3)]), seen([dot(A, 5)])];
    assert_eq!(contexts, expected);
}

#[test]
fn a_claim_about_every_counter_is_split_compared_and_merged_in_no_time() {
    let mut all = CausalContext::new();
    all.insert_range(ReplicaId::from_bytes([B; 16]), 1..=u64::MAX);
    let mut state = Elements::default();
    add(&mut state, A, "x");
    let claim = Causal::delta(DotMap::new(), all);
    let both = state.clone().merged(&claim);
    assert_eq!(both.split().len(), 2);
    assert_eq!(state.compare(&both), Some(Ordering::Less));
    assert_eq!(both.delta_since(&state.digest()), claim);
}

#[test]
fn a_store_with_a_dot_its_context_has_not_seen_is_refused() {
    let live = DotSet::from(dot(A, 2));
    let refused = Causal::from_parts(live, seen([dot(A, 1)]));
    assert_eq!(refused, Err(InvalidCausal::DotOutsideContext { dot: dot(A, 2) }));
}

#[test]
fn a_dot_in_two_places_is_refused() {
    let twice: DotMap<_, _> = ["x", "y"].map(|key| (key, DotSet::from(dot(A, 1)))).into_iter().collect();
    let refused = Causal::from_parts(twice, seen([dot(A, 1)]));
    assert_eq!(refused, Err(InvalidCausal::DotInTwoPlaces { dot: dot(A, 1) }));
}

#[test]
fn a_dot_with_two_values_is_found_and_orders_nothing() {
    let written = |value| Causal::delta(DotFun::from_iter([(dot(A, 1), 7), (dot(A, 2), value)]), seen([]));
    let (original, fork) = (written(8), written(9));
    assert_eq!(original.store().find_fork(&CausalContext::new(), fork.store()), Some(dot(A, 2)));
    assert_eq!(original.store().find_fork(&CausalContext::new(), &original.store().clone()), None);
    assert_eq!(original.compare(&fork), None, "neither knows what the other knows");
    assert_eq!(original.clone().merged(&fork), original, "the value under a dot never changes");
}

/// Flags of which somebody says that very many replicas raised them: work on them must not grow with their square.
#[test]
fn very_many_live_dots_join_in_reasonable_time() {
    let flag = |low: u64| -> Causal<DotSet> {
        let replica = ReplicaId::from_bytes([A; 16]);
        let live: DotSet = (0..200_000).filter_map(|n| Dot::new(replica, n * 2 + low)).collect();
        let seen = live.iter().collect();
        Causal::from_parts(live, seen).unwrap()
    };
    let both = flag(1).merged(&flag(2));
    assert_eq!(both.store().len(), 400_000);
    assert_eq!(both.context().range_count(), 1);
}
