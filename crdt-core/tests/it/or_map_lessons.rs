//! What a map of mergeable values must get right, each a lesson from a map that got it wrong.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use crdt_core::dotted::{Causal, CausalCrdt, DotMap, Dotted};
use crdt_core::{
    CausalContext, Crdt, DeltaCrdt, Dot, DotsExhausted, GCounter, GSet, MergeError, OrMap, OrSet, ReplicaId,
    ResetCounter, Retire, Retirement, TryMerge,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Sets = OrMap<&'static str, OrSet<u8>>;
type Maps = OrMap<&'static str, Sets>;
type Counters = OrMap<&'static str, ResetCounter>;

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn dots(dots: impl IntoIterator<Item = Dot>) -> CausalContext {
    dots.into_iter().collect()
}

fn under(map: &Sets, key: &str) -> Vec<u8> {
    let set = map.value(key).unwrap_or_default();
    set.to_sorted().into_iter().copied().collect()
}

fn add(map: &mut Sets, me: ReplicaId, key: &'static str, element: u8) -> Sets {
    map.update(key, |set| set.add(by(me), element)).unwrap()
}

/// Merges in both orders and returns what they agree on.
fn merged_both_ways<T: Crdt + PartialEq + core::fmt::Debug>(a: &T, b: &T) -> T {
    let merged = a.clone().merged(b);
    assert_eq!(b.clone().merged(a), merged);
    merged
}

#[test]
fn removing_a_key_resets_what_was_seen_under_it() {
    let mut a = Sets::default();
    add(&mut a, A, "k", 1);
    let mut b = a.clone();
    a.remove("k");
    add(&mut b, B, "k", 2);

    let merged = merged_both_ways(&a, &b);

    assert_eq!(under(&merged, "k"), [2], "the 1 is gone, also where it still stood");
}

#[test]
fn removing_a_key_resets_maps_under_it_to_any_depth() {
    let mut a = Maps::default();
    a.update("outer", |inner| inner.update("k", |set| set.add(by(A), 1))).unwrap();
    a.update("outer", |inner| inner.update("gone", |set| set.add(by(A), 1))).unwrap();
    let mut b = a.clone();
    a.remove("outer");
    b.update("outer", |inner| inner.update("k", |set| set.add(by(B), 2))).unwrap();

    let inner = merged_both_ways(&a, &b).value("outer").unwrap();

    assert_eq!(inner.keys().collect::<Vec<_>>(), [&"k"]);
    assert_eq!(under(&inner, "k"), [2]);
}

#[test]
fn a_key_made_anew_keeps_what_others_added_meanwhile() {
    let mut a = Sets::default();
    add(&mut a, A, "x", 0);
    let mut b = a.clone();
    add(&mut b, B, "x", 1);
    a.update_with("x", |set| set.remove(&0));
    a.remove("x");
    add(&mut a, A, "x", 2);

    assert_eq!(under(&merged_both_ways(&a, &b), "x"), [1, 2]);
}

#[test]
fn a_key_made_anew_does_not_get_its_old_content_back() {
    let mut a = Sets::default();
    add(&mut a, A, "x", 0);
    let b = a.clone();
    a.update_with("x", |set| set.remove(&0));
    a.remove("x");
    add(&mut a, A, "x", 2);

    assert_eq!(under(&merged_both_ways(&a, &b), "x"), [2]);
}

#[test]
fn the_same_holds_one_map_further_in() {
    let mut a = Maps::default();
    a.update("m", |map| map.update("x", |set| set.add(by(A), 0))).unwrap();
    let (mut b, c) = (a.clone(), a.clone());
    b.update("m", |map| map.update("x", |set| set.add(by(B), 1))).unwrap();
    a.update_with("m", |map| map.update_with("x", |set| set.remove(&0)));
    assert!(a.is_empty(), "a map under which nothing is alive is not there");
    a.update("m", |map| map.update("x", |set| set.add(by(A), 2))).unwrap();

    assert_eq!(under(&merged_both_ways(&a, &b).value("m").unwrap(), "x"), [1, 2]);
    assert_eq!(under(&merged_both_ways(&a, &c).value("m").unwrap(), "x"), [2]);
}

#[test]
fn replacing_a_value_does_not_resurrect_the_old_one() {
    let mut a = Sets::default();
    add(&mut a, A, "k", 1);
    let mut b = a.clone();

    let delta = a.replace("k", |set| set.add(by(A), 2)).unwrap();

    assert_eq!(under(&a, "k"), [2]);
    assert_eq!(under(&merged_both_ways(&a, &b), "k"), [2]);
    assert_eq!(delta.context(), &dots([dot(A, 1), dot(A, 2)]), "removal and write travel together");
    add(&mut b, B, "k", 3);
    assert_eq!(under(&b.merged(&delta), "k"), [2, 3], "what was not seen is not replaced");
}

#[test]
fn replacing_by_nothing_is_removing() {
    let mut a = Sets::default();
    add(&mut a, A, "k", 1);
    let delta = a.replace("k", |_| Ok::<_, DotsExhausted>(OrSet::default())).unwrap();
    assert!(a.is_empty());
    assert_eq!(delta.context(), &dots([dot(A, 1)]));
}

#[test]
fn a_removal_carries_exactly_what_it_removes() {
    let mut a = Sets::default();
    add(&mut a, A, "k", 1);
    add(&mut a, A, "k", 2);
    add(&mut a, A, "other", 3);

    assert_eq!(a.remove("k").context(), &dots([dot(A, 1), dot(A, 2)]));
    assert!(a.remove("k").is_bottom(), "nothing to remove, nothing to say");
    assert_eq!(a.clear().context(), &dots([dot(A, 3)]));
    assert_eq!(a.context(), &dots([dot(A, 1), dot(A, 2), dot(A, 3)]), "and minted nothing");
}

#[test]
fn values_share_the_dots_of_the_map() {
    let mut a = Sets::default();
    let first = add(&mut a, A, "k", 1);
    let second = add(&mut a, A, "l", 1);
    a.remove("k");
    let third = add(&mut a, A, "k", 1);

    let contexts = [first, second, third].map(|delta| delta.context().clone());
    assert_eq!(contexts, [1, 2, 3].map(|counter| dots([dot(A, counter)])), "none is ever used twice");
}

#[test]
fn part_of_a_delta_says_nothing_about_other_keys() {
    let mut a = Sets::default();
    add(&mut a, A, "k1", 1);
    add(&mut a, A, "k2", 2);
    let mut b = a.clone();
    let k3 = add(&mut b, B, "k3", 3);
    add(&mut b, B, "k4", 4);

    let merged = a.clone().merged(&k3);
    assert_eq!(merged.keys().copied().collect::<Vec<_>>(), ["k1", "k2", "k3"]);

    for part in b.delta_since(&a.digest()).split() {
        assert_eq!(a.clone().merged(&part).len(), 3, "the old two and one more");
    }
}

#[test]
fn a_value_returned_in_place_of_its_delta_removes_nothing_elsewhere() {
    let mut a = Sets::default();
    add(&mut a, A, "other", 1);
    let peer = a.clone();

    let delta = a
        .update("k", |set| {
            set.add(by(A), 2)?;
            Ok::<_, DotsExhausted>(set.clone())
        })
        .unwrap();

    let peer = peer.merged(&delta);
    assert_eq!((under(&peer, "other"), under(&peer, "k")), (vec![1], vec![2]));
    assert_eq!(peer, a);
}

#[test]
fn a_change_that_fails_leaves_the_map_as_it_was() {
    let mut full = CausalContext::new();
    full.insert_range(A, 1..=u64::MAX);
    let mut map = Maps::default();
    map.update("m", |inner| inner.update("k", |set| set.add(by(B), 1))).unwrap();
    let _ = map.merge(&Maps::from(Causal::delta(DotMap::new(), full)));
    let before = map.clone();

    let refused = map.update("m", |inner| inner.update("k", |set| set.add(by(A), 2)));
    assert_eq!(refused, Err(DotsExhausted { replica: A }));
    assert_eq!(map, before);

    let refused = map.replace("m", |inner| inner.update("k", |set| set.add(by(A), 2)));
    assert_eq!(refused, Err(DotsExhausted { replica: A }));
    assert_eq!(map, before);

    let refused = map.update("new", |inner| inner.update("k", |set| set.add(by(A), 2)));
    assert_eq!(refused, Err(DotsExhausted { replica: A }));
    assert_eq!(map, before, "no key appears");
}

#[test]
fn what_was_done_before_an_error_stays_and_spreads() {
    let mut a = Sets::default();
    let refused = a.update("k", |set| {
        set.add(by(A), 1).unwrap();
        Err::<OrSet<u8>, &str>("changed my mind")
    });
    assert_eq!(refused, Err("changed my mind"));
    assert_eq!(under(&a, "k"), [1]);

    let b = Sets::default();
    let missing = a.delta_since(&b.digest());
    assert_eq!(b.merged(&missing), a);
}

#[test]
fn a_panic_does_not_lose_the_context() {
    let mut a = Sets::default();
    add(&mut a, A, "k", 1);
    let before = a.clone();

    let panicked = catch_unwind(AssertUnwindSafe(|| {
        a.update("k", |_| -> Result<OrSet<u8>, ()> { panic!("on purpose") })
    }));
    assert!(panicked.is_err());
    assert_eq!(a, before);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        a.replace("k", |_| -> Result<OrSet<u8>, ()> { panic!("on purpose") })
    }));
    assert!(panicked.is_err());
    assert_eq!(a, before);

    assert_eq!(add(&mut a, A, "k", 2).context(), &dots([dot(A, 2)]), "and no dot is used twice");
}

#[test]
fn a_counter_under_a_removed_key_keeps_only_what_was_not_seen() {
    let mut a = Counters::default();
    a.update("k", |counter| counter.increment(by(A), 5)).unwrap();
    let mut b = a.clone();
    a.update("k", |counter| counter.increment(by(A), 2)).unwrap();
    b.remove("k");

    let merged = merged_both_ways(&a, &b);

    assert_eq!(merged.value("k").unwrap().value(), 2, "not 7, and not 0");
}

#[test]
fn down_and_up_again_is_zero_also_under_a_key() {
    let mut map = Counters::default();
    map.update("k", |counter| counter.decrement(by(A), 1)).unwrap();
    map.update("k", |counter| counter.increment(by(A), 1)).unwrap();
    assert_eq!(map.value("k").unwrap().value(), 0);
    map.update("l", |counter| counter.decrement(by(A), 1)).unwrap();
    map.update("l", |counter| counter.decrement(by(A), 1)).unwrap();
    assert_eq!(map.value("l").unwrap().value(), -2);
}

#[test]
fn the_kind_of_a_value_is_part_of_its_key() {
    // A map has values of one type, so a key cannot be a set here and a counter there. Where both are wanted, the kind
    // goes into the key and both are kept.
    type Fields = (OrMap<&'static str, OrSet<u8>>, OrMap<&'static str, ResetCounter>);
    let (mut a, mut b) = (Fields::default(), Fields::default());
    a.0.update("k", |set| set.add(by(A), 1)).unwrap();
    b.1.update("k", |counter| counter.increment(by(B), 1)).unwrap();
    let merged = merged_both_ways(&a, &b);
    assert!(merged.0.contains_key("k") && merged.1.contains_key("k"));
}

#[test]
fn what_merges_without_dots_is_removed_by_whole_values() {
    type Dots = OrMap<&'static str, Dotted<GSet<u8>>>;
    let insert = |map: &mut Dots, me, element| {
        map.update("k", |set| set.update(by(me), |set| drop(set.insert(element)))).unwrap()
    };
    let mut a = Dots::default();
    insert(&mut a, A, 1);
    let mut b = a.clone();
    insert(&mut b, B, 2);
    a.remove("k");

    // The writer of 2 had seen 1, and wrote both.
    let merged = merged_both_ways(&a, &b);
    let survives = merged.value("k").unwrap().read();
    assert!(survives.contains(&1) && survives.contains(&2));

    let mut c = merged.clone();
    let delta = insert(&mut c, C, 3);
    assert_eq!(delta.context(), &dots([dot(B, 1), dot(C, 1)]), "a write supersedes what it saw");
    c.remove("k");
    assert!(merged_both_ways(&merged, &c).is_empty(), "and without a concurrent write nothing survives");
}

#[test]
fn concurrent_values_are_joined_when_read() {
    let mut a = Dotted::<GCounter>::default();
    let mut b = a.clone();
    a.try_update(by(A), |counter| {
        counter.increment(by(A), 2).map(drop).map_err(|_| DotsExhausted { replica: A })
    })
    .unwrap();
    b.update(by(B), |counter| drop(counter.increment(by(B), 3))).unwrap();

    let mut merged = merged_both_ways(&a, &b);
    assert_eq!((merged.store().len(), merged.read().value()), (2, 5));

    assert!(merged.update(by(A), |_| ()).unwrap().is_bottom(), "no change, no dot");
    merged.update(by(A), |counter| drop(counter.increment(by(A), 1))).unwrap();
    assert_eq!((merged.store().len(), merged.read().value()), (1, 6));
    assert_eq!(merged.clear().context(), &dots([dot(A, 2)]));
    assert!(merged.read().is_bottom());
}

#[test]
fn changes_in_the_own_name_are_refused_until_the_name_is_given_up() {
    let mut a = Counters::default();
    a.update("k", |counter| counter.increment(by(A), 1)).unwrap();
    let mut backup = a.clone();
    a.update("k", |counter| counter.increment(by(A), 1)).unwrap();

    let refused = backup.try_merge(&a, A);
    assert_eq!(refused, Err(MergeError::OwnChangesClaimed { replica: A, claimed: 2, issued: 1 }));
    assert_eq!(backup.value("k").unwrap().value(), 1, "nothing was merged");
    assert!(backup.try_merge(&a, C).unwrap().is_changed());
}

#[test]
fn one_dot_under_two_keys_or_with_two_amounts_is_a_fork() {
    let start = Counters::default();
    let [mut left, mut right, mut elsewhere] = [start.clone(), start.clone(), start];
    left.update("k", |counter| counter.increment(by(A), 1)).unwrap();
    right.update("k", |counter| counter.increment(by(A), 2)).unwrap();
    elsewhere.update("l", |counter| counter.increment(by(A), 1)).unwrap();

    for other in [&right, &elsewhere] {
        let mut state = left.clone();
        assert_eq!(state.try_merge(other, B), Err(MergeError::ForkedReplica { dot: dot(A, 1) }));
        assert_eq!(state, left);
    }

    // Two maps further in.
    let nest = |inner: Counters| {
        let (store, context) = Causal::from(inner).into_parts();
        OrMap::<u8, Counters>::from(Causal::delta([(1, store)].into_iter().collect(), context))
    };
    let refused = nest(left).check_merge(&nest(right), B);
    assert_eq!(refused, Err(MergeError::ForkedReplica { dot: dot(A, 1) }));
}

#[test]
fn retiring_reaches_every_depth() {
    let mut a = Maps::default();
    a.update("m", |inner| inner.update("x", |set| set.add(by(A), 1))).unwrap();
    a.update("m", |inner| inner.update("y", |set| set.add(by(B), 2))).unwrap();
    let lagging = Maps::default();

    let retirement = Retirement::new(1, [(A, a.changes_to_retire(A)), (B, 1)]).unwrap();
    assert_eq!(lagging.clone().retire(&retirement).unwrap_err().found, 0);
    a.retire(&retirement).unwrap();

    let mut renamed = CausalContext::new();
    renamed.insert_range(retirement.archive(), 1..=2);
    assert_eq!(a.context(), &renamed);
    assert_eq!(under(&a.value("m").unwrap(), "y"), [2]);
}

#[test]
fn any_causal_type_will_do() {
    fn holds<C: CausalCrdt>(value: C) -> bool {
        let (store, context) = value.into().into_parts();
        let map = OrMap::<u8, C>::from(Causal::delta([(0, store)].into_iter().collect(), context));
        map.contains_key(&0)
    }
    let mut set = OrSet::default();
    set.add(by(A), 1).unwrap();
    assert!(holds(set));
    assert!(!holds(Sets::default()));
}

/// Two changes in one closure, and the delta of one: peers never hear of the other, but here nothing goes astray.
#[test]
fn a_change_that_was_not_told_can_still_be_removed_from_elsewhere() {
    // A small delta from elsewhere makes a large map look for a quicker way from now on.
    let mut many = OrMap::<u8, OrSet<u8>>::default();
    (0..100).for_each(|key| drop(many.update(key, |set| set.add(by(A), 1)).unwrap()));
    let mut elsewhere = OrMap::<u8, OrSet<u8>>::default();
    let _ = many.merge(&elsewhere.update(7, |set| set.add(by(B), 2)).unwrap());

    many.update(50, |set| {
        set.add(by(A), 3).unwrap();
        set.add(by(A), 4)
    })
    .unwrap();
    let mut all_seen = many.clone();
    let removal = all_seen.update_with(50, |set| set.remove(&3));

    assert!(many.merge(&removal).is_changed());
    assert!(!many.value(&50).unwrap().contains(&3), "what was not told is gone, too");
    assert!(many.scrub());
    assert_eq!(many, all_seen);
}
