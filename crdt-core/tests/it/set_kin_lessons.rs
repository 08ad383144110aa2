//! What sets in which a removal wins must get right.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::dotted::{Causal, DotMap, DotSet};
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, DotsExhausted, HeapSize, MergeError, ReplicaId, Retire,
    Retirement, RwSet, TryMerge, TwoPhaseSet, VersionDigest,
};

use crate::common::by;
use crate::orders::merged_in_every_order;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Set = RwSet<&'static str>;

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn elements(set: &Set) -> Vec<&'static str> {
    set.iter().copied().collect()
}

#[test]
fn of_a_concurrent_add_and_removal_the_removal_wins() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "e").unwrap();
    b.add(by(B), "e").unwrap();
    let mut c = a.clone();
    c.remove(by(C), "e").unwrap();

    let merged = merged_in_every_order([&a, &b, &c]);

    assert!(merged.is_empty());
    assert!(merged.removed().eq(&["e"]));
    let marks = merged.marks("e").unwrap();
    assert_eq!((marks.adds(), marks.removals()), (&DotSet::from(dot(B, 1)), &DotSet::from(dot(C, 1))));
}

#[test]
fn an_add_that_saw_the_removal_undoes_it() {
    let mut a = Set::default();
    a.add(by(A), "e").unwrap();
    a.remove(by(A), "e").unwrap();
    let mut b = a.clone();
    let add = b.add(by(B), "e").unwrap();

    assert_eq!(add.context(), &CausalContext::from_iter([dot(A, 2), dot(B, 1)]), "exactly what it replaces");
    assert_eq!(elements(&a.merged(&add)), ["e"]);
    assert_eq!(b.removed().count(), 0);
}

#[test]
fn a_removal_of_what_is_not_here_holds_out_what_is_under_way() {
    let (mut a, mut b) = (Set::default(), Set::default());
    let add = a.add(by(A), "eve").unwrap();

    let removal = b.remove(by(B), "eve").unwrap();

    assert!(!removal.is_bottom());
    assert!(b.merged(&add).is_empty());
    assert!(a.merged(&removal).is_empty());
}

#[test]
fn a_second_removal_holds_out_what_was_added_since_the_first() {
    let mut a = Set::default();
    a.remove(by(A), "e").unwrap();
    let mut b = a.clone();
    b.add(by(B), "e").unwrap();

    a.remove(by(A), "e").unwrap();

    assert!(a.clone().merged(&b).is_empty());
    assert_eq!(a.marks("e").unwrap().removals(), &DotSet::from(dot(A, 2)), "one mark, not two");
}

#[test]
fn an_older_copy_does_not_undo_a_removal() {
    let mut a = Set::default();
    a.add(by(A), "foo").unwrap();
    a.add(by(A), "bar").unwrap();
    let older = a.clone();
    a.remove(by(A), "bar").unwrap();

    assert_eq!(elements(&a.clone().merged(&older)), ["foo"]);
    assert_eq!(elements(&older.merged(&a)), ["foo"]);
}

#[test]
fn an_add_and_its_removal_may_arrive_the_wrong_way_round() {
    let mut a = Set::default();
    let add = a.add(by(A), "e").unwrap();
    let removal = a.remove(by(A), "e").unwrap();

    let early = Set::default().merged(&removal);
    assert!(early.is_empty());
    let mut late = early.clone();
    assert!(!late.merge(&add).is_changed(), "the add is known to be over");
    assert_eq!(late, a);
    assert_eq!(Set::default().merged(&add).merged(&removal), a);
}

#[test]
fn a_lost_delta_removes_nothing_else() {
    let mut a = Set::default();
    a.add(by(A), "a").unwrap();
    let b = a.clone();
    let lost = a.add(by(A), "b").unwrap();
    let late = a.add(by(A), "c").unwrap();

    assert_eq!(elements(&b.clone().merged(&late)), ["a", "c"]);
    assert_eq!(b.merged(&late).merged(&lost), a);
}

#[test]
fn a_delta_since_is_nothing_for_equals_and_everything_for_the_rest() {
    let mut a = Set::default();
    a.add(by(A), "keep").unwrap();
    a.add(by(A), "drop").unwrap();
    let b = a.clone();
    a.remove(by(A), "drop").unwrap();

    let delta = a.delta_since(&b.digest());

    assert_eq!(delta.context(), &CausalContext::from_iter([dot(A, 2), dot(A, 3)]), "and not what stayed");
    assert_eq!(b.merged(&delta), a);
    assert!(a.delta_since(&a.digest()).is_bottom());
}

#[test]
fn one_dot_for_an_add_and_a_removal_is_a_fork() {
    let (mut original, mut clone) = (Set::default(), Set::default());
    original.add(by(A), "e").unwrap();
    clone.remove(by(A), "e").unwrap();
    let before = original.clone();
    let fork = MergeError::ForkedReplica { dot: dot(A, 1) };

    assert_eq!(original.try_merge(&clone, B), Err(fork));
    assert_eq!(original, before, "nothing was merged");
    assert_eq!(clone.try_merge(&original, B), Err(fork));

    let mut elsewhere = Set::default();
    elsewhere.add(by(A), "f").unwrap();
    assert_eq!(original.try_merge(&elsewhere, B), Err(fork), "nor may it be another element's");
    assert_eq!(original.try_merge(&before, B), Ok(Change::Unchanged));
}

#[test]
fn own_changes_that_were_never_made_are_refused() {
    let mut mine = Set::default();
    mine.add(by(A), "e").unwrap();
    let mut forged = mine.clone();
    forged.remove(by(A), "e").unwrap();
    let before = (mine.clone(), mine.version_digest());

    let refused = MergeError::OwnChangesClaimed { replica: A, claimed: 2, issued: 1 };
    assert_eq!(mine.try_merge(&forged, A), Err(refused));
    assert_eq!((&mine, mine.version_digest()), (&before.0, before.1));
    assert_eq!(mine.try_merge(&forged, C), Ok(Change::Changed), "a stranger's, under a fresh id");
}

#[test]
fn without_a_counter_left_nothing_is_marked() {
    let mut everything = CausalContext::new();
    everything.insert_range(A, 1..=u64::MAX);
    let mut set = Set::from(Causal::delta(DotMap::new(), everything));
    let before = set.clone();

    assert_eq!(set.add(by(A), "e"), Err(DotsExhausted { replica: A }));
    assert_eq!(set.remove(by(A), "e"), Err(DotsExhausted { replica: A }));
    assert_eq!(set, before);
    set.add(by(B), "e").unwrap();
    assert_eq!(elements(&set), ["e"]);
}

#[test]
fn the_usual_mark_takes_no_memory_of_its_own() {
    let mut set = RwSet::default();
    set.add(by(A), 1_u64).unwrap();
    assert_eq!(set.marks(&1).map(HeapSize::heap_size), Some(0));
    assert!(set.heap_size() > 0);
}

#[test]
fn retiring_keeps_who_is_in_and_who_is_out() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.add(by(A), "in").unwrap();
    a.remove(by(A), "out").unwrap();
    let early = b.clone();
    let _ = b.merge(&a);
    b.add(by(B), "late").unwrap();
    b.remove(by(B), "in").unwrap();
    let retirement = Retirement::new(1, [(A, 2)]).unwrap();

    let mut not_ready = early.clone();
    assert!(not_ready.retire(&retirement).is_err());
    assert_eq!(not_ready, early);

    let mut merged = a.clone().merged(&b);
    for set in [&mut a, &mut b, &mut merged] {
        set.retire(&retirement).unwrap();
    }
    assert_eq!((elements(&a), elements(&b)), (vec!["in"], vec!["late"]));
    assert!(a.removed().eq(&["out"]) && b.removed().eq(&["in", "out"]));
    assert_eq!(a.merged(&b), merged);
}

#[test]
fn what_is_forgotten_is_exactly_what_is_settled() {
    let mut a = Set::default();
    a.remove(by(A), "settled").unwrap();
    a.remove(by(A), "contested").unwrap();
    a.add(by(A), "present").unwrap();
    let mut b = Set::default();
    b.add(by(B), "contested").unwrap();
    let _ = a.merge(&b);
    let stable = a.context().clone();
    a.remove(by(A), "recent").unwrap();
    let (before, context) = (elements(&a), a.context().clone());

    let forgotten = a.forget_stable(&stable);

    assert_eq!(forgotten.context(), &CausalContext::from(dot(A, 1)));
    assert!(a.removed().eq(&["contested", "recent"]));
    assert_eq!((elements(&a), a.context()), (before, &context), "nothing came, went or was unlearned");
    assert!(a.marks("settled").is_none());
    assert!(a.forget_stable(&stable).is_bottom(), "nothing more to forget");
}

#[test]
fn what_was_forgotten_does_not_come_back_from_those_who_remember() {
    let mut a = Set::default();
    let add = a.add(by(A), "e").unwrap();
    let removal = a.remove(by(A), "e").unwrap();
    let mut b = a.clone();
    let forgotten = a.forget_stable(&a.context().clone());

    for late in [&add, &removal, &b] {
        assert!(!a.merge(late).is_changed());
    }
    assert_eq!(b.compare(&a), Some(Ordering::Less), "to have forgotten is to know more");
    let _ = b.merge(&forgotten);
    assert_eq!(b, a);
}

#[test]
fn a_removal_forgotten_before_all_have_seen_it_no_longer_wins() {
    let (mut a, mut b) = (Set::default(), Set::default());
    a.remove(by(A), "e").unwrap();
    let add = b.add(by(B), "e").unwrap();
    assert!(a.clone().merged(&add).is_empty());

    // B's add is under way, and what could race with the removal is not here yet.
    a.forget_stable(&a.context().clone());

    assert_eq!(elements(&a.merged(&add)), ["e"], "which is why forgetting has conditions");
}

#[test]
fn a_removal_forgotten_before_all_know_what_it_ended_lets_that_come_back() {
    let (mut a, mut b, mut c) = (Set::default(), Set::default(), Set::default());
    let first = a.add(by(A), "e").unwrap();
    let _ = b.merge(&first);
    b.add(by(B), "e").unwrap();
    let removal = b.remove(by(B), "e").unwrap();

    // C hears of the removal alone, and of what that replaced; A's add it does not know.
    let _ = c.merge(&removal);
    let stable = c.context().clone();
    let _ = a.merge(&c);
    assert!(a.is_empty(), "held out by the removal");
    let mut whole = a.clone().merged(&b).merged(&c);

    // Everything that could race is in `whole`, which ended A's add; but A has not merged it.
    let forgotten = whole.forget_stable(&stable);
    assert_eq!(elements(&a.clone().merged(&forgotten)), ["e"], "until A hears of the rest");

    let _ = a.merge(&whole);
    assert!(a.is_empty());
}

#[test]
fn a_removed_element_never_comes_back() {
    let mut a = TwoPhaseSet::default();
    let insertion = a.insert("k1");
    let mut b = a.clone();
    let removal = b.remove("k1");

    assert_eq!(a.merge(&removal), Change::Changed);
    assert!(a.insert("k1").is_bottom());
    assert!(!a.merge(&insertion).is_changed());
    assert!(!a.contains("k1") && a.removed().eq(&["k1"]));
    assert_eq!(Ok(Change::Unchanged), a.try_merge(&insertion, A));
    assert_eq!(a, b);
}

#[test]
fn only_what_is_there_can_be_removed() {
    let mut set = TwoPhaseSet::default();
    assert!(set.remove("k1").is_bottom());
    assert!(set.is_bottom());
    assert!(!set.insert("k1").is_bottom());
    assert!(set.insert("k1").is_bottom());
    assert!(!set.remove("k1").is_bottom());
    assert!(set.remove("k1").is_bottom(), "once is enough");
    assert!(set.is_empty() && !set.is_bottom());
}

#[test]
fn a_removal_may_arrive_before_the_insertion() {
    let mut a = TwoPhaseSet::default();
    let insertion = a.insert("k1");
    let removal = a.remove("k1");

    let early = TwoPhaseSet::default().merged(&removal).merged(&insertion);

    assert_eq!(early, a);
    assert_eq!(insertion.compare(&removal), Some(Ordering::Less), "removed is further than present");
    assert!(insertion.delta_since(&removal.digest()).is_bottom());
    assert_eq!(removal.delta_since(&insertion.digest()), removal);
}

#[test]
fn a_two_phase_set_names_nobody() {
    let mut set = TwoPhaseSet::default();
    set.insert(7);
    let before = set.clone();
    set.retire(&Retirement::new(1, [(A, 3)]).unwrap()).unwrap();
    assert_eq!((set.changes_of(A), set), (0, before));
}
