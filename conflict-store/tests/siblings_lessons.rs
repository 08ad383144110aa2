//! What siblings promise, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use conflict_store::limits::{CROWDED_SIBLINGS, MAX_SIBLINGS};
use conflict_store::{Crowding, SiblingWriteError, Siblings};
use crdt_core::codec;
use crdt_core::dotted::Causal;
use crdt_core::laws::arb_replicas;
use crdt_core::{
    CausalContext, Change, Crdt, IdentityInUse, Limits, MergeError, Replica, ReplicaId, Retirement, TryMerge,
    Writer,
};
use proptest::prelude::*;

type Text = &'static str;

const A: ReplicaId = ReplicaId::from_u128(0xa);
const B: ReplicaId = ReplicaId::from_u128(0xb);
const C: ReplicaId = ReplicaId::from_u128(0xc);

/// Tests number their replicas themselves.
fn by(id: ReplicaId) -> Writer<'static> {
    Writer::unchecked(id)
}

/// What somebody has seen who has not looked.
fn nothing() -> CausalContext {
    CausalContext::new()
}

fn values<V: Clone + Ord>(siblings: &Siblings<V>) -> Vec<V> {
    let mut values: Vec<V> = siblings.values().cloned().collect();
    values.sort();
    values
}

/// What stores did before dots: one version vector per object. The server can tell that a write did
/// not see everything, and not what it did see.
#[derive(Default)]
struct OneVector {
    events: u64,
    values: Vec<u32>,
}

impl OneVector {
    fn write(&mut self, seen: u64, value: u32) {
        if seen >= self.events {
            self.values.clear();
        }
        self.values.push(value);
        self.events += 1;
    }
}

#[test]
fn interleaved_writers_leave_two_siblings_and_no_more() {
    let mut siblings = Siblings::default();
    let mut naive = OneVector::default();
    // Two clients, each of which reads just before the other one writes.
    let mut seen = [nothing(), nothing()];
    let mut seen_naive = [0, 0];
    for write in 0..101 {
        let (client, other) = (write as usize % 2, (write as usize + 1) % 2);
        (seen[other], seen_naive[other]) = (siblings.context().clone(), naive.events);
        siblings.write(by(A), &seen[client], write).unwrap();
        naive.write(seen_naive[client], write);
        assert!(siblings.len() <= 2);
    }
    assert_eq!(values(&siblings), [99, 100]);
    assert_eq!(naive.values.len(), 101);
}

#[test]
fn a_client_that_goes_on_from_its_own_writes_makes_no_siblings() {
    let mut siblings = Siblings::default();
    let mut anns = siblings.write(by(A), &nothing(), 0).unwrap();
    let mut bobs = siblings.write(by(A), &nothing(), 1_000).unwrap();
    for n in 1..=100 {
        anns = siblings.write(by(A), anns.context(), n).unwrap();
        bobs = siblings.write(by(A), bobs.context(), 1_000 + n).unwrap();
    }
    assert_eq!(values(&siblings), [100, 1_100], "neither has seen the other, each has replaced itself");
    assert!(!anns.context().contains(bobs.dot));
}

#[test]
fn merging_is_in_any_order_any_number_of_times_and_with_itself() {
    let [mut a, mut b, mut c] = [(); 3].map(|()| Siblings::default());
    a.write(by(A), &nothing(), "ann").unwrap();
    b.write(by(B), &nothing(), "bob").unwrap();
    c.write(by(C), &nothing(), "cyd").unwrap();
    let seen = c.context().clone();
    c.write(by(C), &seen, "cyd again").unwrap();

    let all = a.clone().merged(&b).merged(&c);
    assert_eq!(values(&all), ["ann", "bob", "cyd again"]);
    assert_eq!(c.clone().merged(&b).merged(&a), all);
    assert_eq!(a.clone().merged(&b.clone().merged(&c)), all);
    assert_eq!(all.clone().merge(&all), Change::Unchanged);
    assert_eq!(all.clone().merged(&all).len(), 3, "an object merged with itself keeps its values");
}

#[test]
fn equal_values_written_apart_are_two_writes() {
    let (mut a, mut b) = (Siblings::default(), Siblings::default());
    a.write(by(A), &nothing(), "same").unwrap();
    let bobs = b.write(by(B), &nothing(), "same").unwrap();
    let _ = a.merge(&b);
    assert_eq!(values(&a), ["same", "same"]);
    a.write(by(A), bobs.context(), "other").unwrap();
    assert_eq!(values(&a), ["other", "same"], "Bob's is replaced, Ann's stays");
}

#[test]
fn a_write_drops_exactly_what_its_client_saw() {
    let mut siblings = Siblings::default();
    siblings.write(by(A), &nothing(), "one").unwrap();
    siblings.write(by(A), &nothing(), "two").unwrap();
    let old_read = siblings.context().clone();
    siblings.write(by(A), &nothing(), "three").unwrap();
    siblings.write(by(B), &nothing(), "four").unwrap();

    siblings.write(by(A), &old_read, "one and two").unwrap();
    assert_eq!(values(&siblings), ["four", "one and two", "three"]);
    siblings.write(by(A), &old_read, "once more").unwrap();
    assert_eq!(
        values(&siblings),
        ["four", "once more", "one and two", "three"],
        "it saw no more than before"
    );
}

#[test]
fn what_a_client_read_elsewhere_is_superseded_when_it_arrives() {
    let (mut a, mut b) = (Siblings::default(), Siblings::default());
    a.write(by(A), &nothing(), "old").unwrap();
    b.write(by(B), a.context(), "new, written at B before B has heard of A").unwrap();
    assert_eq!(b.merge(&a), Change::Unchanged);
    assert_eq!(b.len(), 1);
}

#[test]
fn a_write_that_a_deletion_did_not_see_survives_it() {
    let mut a = Siblings::default();
    a.write(by(A), &nothing(), "first").unwrap();
    let mut b = a.clone();
    let seen = a.context().clone();
    let deletion = a.delete(by(A), &seen).unwrap();
    let write = b.write(by(B), &seen, "second").unwrap();

    assert!(a.is_empty());
    let _ = a.merge(&write.delta);
    let _ = b.merge(&deletion);
    assert_eq!(values(&a), ["second"]);
    assert_eq!(a, b);
}

#[test]
fn a_deletion_leaves_nothing_behind() {
    let mut siblings = Siblings::default();
    for round in 0..1_000 {
        let written = siblings.write(by(A), &nothing(), round).unwrap();
        siblings.delete(by(A), written.context()).unwrap();
    }
    assert!(siblings.is_empty());
    assert_eq!(siblings.context().range_count(), 1, "all that is known of 1000 writes and deletions");
    assert!(codec::encode_payload(&siblings).len() < 30);
    let seen = siblings.context().clone();
    assert!(siblings.delete(by(A), &seen).unwrap().is_bottom(), "once more is no news");
}

/// Elsewhere an old tombstone that lay on a fallback node has eaten the key created after it.
#[test]
fn what_is_created_again_is_not_eaten_by_an_old_deletion() {
    let mut a = Siblings::default();
    let first = a.write(by(A), &nothing(), "first").unwrap();
    let late_deletion = a.delete(by(A), first.context()).unwrap();
    let again = a.write(by(A), &nothing(), "again").unwrap();
    let mut b = Siblings::default();
    for delta in [&again.delta, &late_deletion, &first.delta, &late_deletion] {
        let _ = a.merge(delta);
        let _ = b.merge(delta);
        assert_eq!((values(&a), values(&b)), (vec!["again"], vec!["again"]));
    }
    assert_eq!(a, b);
}

/// Under its old id a wiped node would number its next writes 1, 2, 3, which everybody has seen
/// replaced: acknowledged, and repaired out of existence.
#[test]
fn a_wiped_replica_writes_under_a_new_identity() {
    let mut node = Replica::new(B, Siblings::default()).unwrap();
    for text in ["one", "two", "three"] {
        let seen = node.context().clone();
        node.edit(|siblings, me| siblings.write(me, &seen, text)).unwrap();
    }
    let peer = node.state().clone();
    let (_, seal) = node.close();

    // The disk comes back empty. The seal does not fit, and the identity is gone with it.
    let refused = seal.open(Siblings::<Text>::default()).unwrap_err();
    assert_eq!(refused.replica, B);
    let mut node = Replica::new(C, refused.state).unwrap();
    node.edit(|siblings, me| siblings.write(me, &nothing(), "after the accident")).unwrap();
    assert!(node.merge(&peer).unwrap().is_changed());
    assert_eq!(
        values(&node),
        ["after the accident", "three"],
        "old higher counters say nothing of the new write"
    );
}

#[test]
fn a_wiped_replica_that_kept_its_identity_is_found_out() {
    let mut peer = Siblings::default();
    for text in ["one", "two", "three"] {
        let seen = peer.context().clone();
        peer.write(by(B), &seen, text).unwrap();
    }
    let wiped = || Replica::new(B, Siblings::<Text>::default()).unwrap();

    // By the first client that writes with what it once read there.
    let mut node = wiped();
    let refused = node.edit(|siblings, me| siblings.write(me, peer.context(), "next")).unwrap_err();
    assert_eq!(refused, SiblingWriteError::OwnWritesClaimed { replica: B, claimed: 3, issued: 0 });
    let refused = node.edit(|siblings, me| siblings.delete(me, peer.context())).unwrap_err();
    assert_eq!(refused, SiblingWriteError::OwnWritesClaimed { replica: B, claimed: 3, issued: 0 });
    assert!(node.is_bottom(), "nothing was written");
    node.rename(C).unwrap();
    node.edit(|siblings, me| siblings.write(me, peer.context(), "next")).unwrap();
    assert_eq!(node.merge(&peer), Ok(Change::Unchanged), "what the client read there was replaced here");
    assert_eq!(values(&node), ["next"]);

    // Or by the first peer. Without the check, the write would be gone.
    let mut node = wiped();
    node.edit(|siblings, me| siblings.write(me, &nothing(), "lost?")).unwrap();
    let refused = node.merge(&peer).unwrap_err();
    assert_eq!(refused, MergeError::OwnChangesClaimed { replica: B, claimed: 3, issued: 1 });
    assert_eq!(values(&node), ["lost?"], "nothing was merged");
    assert_eq!(values(&node.state().clone().merged(&peer)), ["three"]);
}

#[test]
fn two_stores_with_one_identity_are_found_out() {
    let mut one = Replica::new(B, Siblings::default()).unwrap();
    let mut other = Replica::new(B, Siblings::default()).unwrap();
    let dot = one.edit(|siblings, me| siblings.write(me, &nothing(), "one")).unwrap().dot;
    other.edit(|siblings, me| siblings.write(me, &nothing(), "other")).unwrap();

    // By each other, and by a third.
    assert_eq!(one.merge(&other), Err(MergeError::ForkedReplica { dot }));
    let mut third = Siblings::default();
    let _ = third.try_merge(&one, A).unwrap();
    assert_eq!(third.try_merge(&other, A), Err(MergeError::ForkedReplica { dot }));
    assert_eq!(values(&third), ["one"], "nothing was merged");

    // A second store on the same data does not get as far as writing.
    let refused = Replica::new(B, one.state().clone()).unwrap_err();
    assert_eq!(refused, IdentityInUse { replica: B, changes: 1 });
}

#[test]
fn too_many_siblings_are_reported_and_then_refused_and_can_always_be_resolved() {
    let mut siblings = Siblings::default();
    for n in 1..=MAX_SIBLINGS {
        let written = siblings.write(by(A), &nothing(), n).unwrap();
        let expected = match n {
            MAX_SIBLINGS => Crowding::Full,
            CROWDED_SIBLINGS.. => Crowding::Crowded,
            _ => Crowding::Normal,
        };
        assert_eq!(written.crowding, expected);
    }
    let before = siblings.clone();
    let one_more = siblings.write(by(A), &nothing(), 101).unwrap_err();
    assert_eq!(one_more, SiblingWriteError::TooMany { siblings: 100, limit: MAX_SIBLINGS });
    assert_eq!(siblings, before);
    assert_eq!(siblings.len(), 100, "all of it can be read");

    // Whoever replaces one of them may.
    let (dot, _) = siblings.entries().next().unwrap();
    siblings.write(by(A), &CausalContext::from(dot), 102).unwrap();
    assert_eq!(siblings.len(), 100);
    let seen = siblings.context().clone();
    let resolved = siblings.write(by(A), &seen, 103).unwrap();
    assert_eq!((values(&siblings), resolved.crowding), (vec![103], Crowding::Normal));
}

#[test]
fn what_peers_send_is_never_refused_for_being_too_much() {
    let crowd = |id| {
        let mut siblings = Siblings::default();
        for n in 0..MAX_SIBLINGS {
            siblings.write(by(id), &nothing(), n).unwrap();
        }
        siblings
    };
    let mut siblings = crowd(A);
    assert!(siblings.try_merge(&crowd(B), C).unwrap().is_changed());
    assert_eq!((siblings.len(), siblings.crowding()), (200, Crowding::Full));

    let bytes = codec::to_bytes(&siblings);
    assert_eq!(codec::from_bytes::<Siblings<usize>>(&bytes, &Limits::default()).as_ref(), Ok(&siblings));
    assert!(siblings.write(by(C), &nothing(), 0).is_err());
    let (dot, _) = siblings.entries().next().unwrap();
    siblings.write(by(C), &CausalContext::from(dot), 0).unwrap();
    assert_eq!(siblings.len(), 200, "no more than before");
    let seen = siblings.context().clone();
    siblings.delete(by(C), &seen).unwrap();
    assert!(siblings.is_empty());
}

/// What three replicas get to while clients write with what they read, or blindly.
fn arb_siblings() -> impl Strategy<Value = [Siblings<u8>; 3]> {
    let action = (any::<bool>(), proptest::option::weighted(0.7, 0..4_u8));
    arb_replicas(action, |siblings: &mut Siblings<u8>, me, (is_blind, value)| {
        let seen = if is_blind { nothing() } else { siblings.context().clone() };
        match value {
            Some(value) => siblings.write(me, &seen, value).unwrap().delta,
            None => siblings.delete(me, &seen).unwrap(),
        }
    })
}

/// Drops what the context knows of replicas of whom no value is left: what stores with long version
/// vectors do to keep them short, and what nobody needs to do here.
fn prune<V: Clone + Eq>(siblings: &Siblings<V>) -> Siblings<V> {
    let alive = |replica| siblings.entries().any(|(dot, _)| dot.replica == replica);
    let mut pruned = CausalContext::new();
    for (replica, counters) in siblings.context().ranges().filter(|(replica, _)| alive(*replica)) {
        pruned.insert_range(replica, counters);
    }
    Causal::from_parts(siblings.store().clone(), pruned).unwrap().into()
}

#[test]
fn contexts_do_not_grow_with_writes_so_there_is_nothing_to_prune() {
    let mut siblings = Siblings::default();
    for n in 0..3_000 {
        let seen = siblings.context().clone();
        siblings.write(by([A, B, C][n % 3]), &seen, n).unwrap();
    }
    assert_eq!(siblings.context().range_count(), 3);

    // What goes with time is writers, and those can be retired, on all replicas alike.
    let mut node = Replica::new(ReplicaId::from_u128(0xd), siblings).unwrap();
    let retirement = Retirement::new(1, [A, B, C].map(|replica| (replica, 1_000))).unwrap();
    node.retire(&retirement).unwrap();
    assert_eq!((node.context().range_count(), values(&node)), (1, vec![2_999]));
}

/// Elsewhere pruned and unpruned copies have made siblings of each other without end.
#[test]
fn a_pruned_copy_and_an_unpruned_one_agree_at_once() {
    let mut whole = Siblings::default();
    whole.write(by(A), &nothing(), "of A").unwrap();
    let seen = whole.context().clone();
    whole.write(by(B), &seen, "of B").unwrap();
    whole.write(by(C), &nothing(), "of C").unwrap();

    let mut pruned = prune(&whole);
    assert!(pruned.context().range_count() < whole.context().range_count());
    assert_eq!(whole.merge(&pruned), Change::Unchanged, "nothing that has a value was dropped");
    assert!(pruned.merge(&whole).is_changed());
    assert_eq!(pruned, whole);
    assert_eq!((whole.merge(&pruned), pruned.merge(&whole)), (Change::Unchanged, Change::Unchanged));
    assert_eq!(whole.len(), 2);
}

proptest! {
    /// Not for any history either, however often one side prunes again.
    #[test]
    fn no_history_of_pruning_grows_siblings([a, b, c] in arb_siblings()) {
        let mut whole = a.clone().merged(&b).merged(&c);
        let mut pruned = prune(&whole);
        for _ in 0..3 {
            prop_assert_eq!(whole.merge(&pruned), Change::Unchanged);
            let _ = pruned.merge(&whole);
            prop_assert_eq!(&pruned, &whole);
            pruned = prune(&pruned);
        }
        // Peers that are behind meet the pruned copy first; with the whole one it is all over.
        for peer in [a, b, c] {
            let _ = pruned.merge(&peer);
        }
        prop_assert_eq!(whole.merge(&pruned), Change::Unchanged);
        let _ = pruned.merge(&whole);
        prop_assert_eq!(pruned, whole);
    }
}

#[test]
fn pruning_is_not_offered_because_a_peer_that_is_behind_would_bring_back_what_it_dropped() {
    let mut siblings = Siblings::default();
    siblings.write(by(A), &nothing(), "replaced").unwrap();
    let behind = siblings.clone();
    let seen = siblings.context().clone();
    siblings.write(by(B), &seen, "current").unwrap();

    assert_eq!(values(&siblings.clone().merged(&behind)), ["current"]);
    let mut pruned = prune(&siblings);
    let _ = pruned.merge(&behind);
    assert_eq!(values(&pruned), ["current", "replaced"]);
    // It ends there, with the first copy that was not pruned.
    assert_eq!(values(&pruned.merged(&siblings)), ["current"]);
}

/// The rules, in order: time, then replica, then the replica's later write. Deletions do not compete:
/// they remove what they saw, and a value that they did not see is there, however old it is.
#[test]
fn the_last_writer_is_the_same_everywhere_also_at_equal_times() {
    type Stamped = (u64, Text);
    let latest = |siblings: &Siblings<Stamped>| {
        siblings.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, (_, text))| *text)
    };
    let (mut a, mut b) = (Siblings::<Stamped>::default(), Siblings::default());
    a.write(by(A), &nothing(), (5, "z, of A")).unwrap();
    b.write(by(B), &nothing(), (5, "a, of B")).unwrap();
    b.write(by(B), &nothing(), (5, "a, of B, later")).unwrap();
    let (ab, ba) = (a.clone().merged(&b), b.clone().merged(&a));
    assert_eq!((latest(&ab), latest(&ba)), (Some("a, of B, later"), Some("a, of B, later")));

    a.write(by(A), &nothing(), (6, "of A, a moment later")).unwrap();
    let mut all = ab.merged(&a);
    assert_eq!(latest(&all), Some("of A, a moment later"));
    let seen = a.context().clone();
    all.delete(by(A), &seen).unwrap();
    assert_eq!(latest(&all), Some("a, of B, later"), "the deletion did not see what B wrote");
}
