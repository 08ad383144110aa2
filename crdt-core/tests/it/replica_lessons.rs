//! What identities must get right: an id has one writer, and whoever breaks that is told before anything is merged.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::fmt::Debug;

use crdt_core::dotted::{Causal, DotFun, DotSet, ElementStore};
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, DotsExhausted, EwFlag, GCounter, GSet, Hlc, IdentityInUse,
    LwwRegister, MergeError, MvRegister, OrSet, PnCounter, Replica, ReplicaId, RwSet, Stamp, TryMerge,
    VersionDigest,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Set = OrSet<&'static str>;

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn stamp(millis: u64, replica: ReplicaId) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica }
}

/// Merges what must be refused, and sees that nothing is left of the attempt.
fn refused<T>(state: &mut T, other: &T, me: ReplicaId) -> MergeError
where
    T: TryMerge + DeltaCrdt<Digest: PartialEq + Debug> + VersionDigest + PartialEq + Debug,
{
    let (before, digest, version) = (state.clone(), state.digest(), state.version_digest());
    let error = state.try_merge(other, me).unwrap_err();
    assert_eq!(state.check_merge(other, me), Err(error), "asking beforehand gives the same answer");
    assert_eq!(*state, before);
    assert_eq!((state.digest(), state.version_digest()), (digest, version));
    error
}

#[test]
fn of_two_copies_only_one_can_be_written() {
    let mut ours = Replica::new(A, Set::default()).unwrap();
    ours.edit(|set, me| set.add(me, "milk")).unwrap();

    // A copy of the state is data. To write it takes an identity, and A's is not to be had again.
    let copy = ours.state().clone();
    let in_use = Replica::new(A, copy.clone()).unwrap_err();
    assert_eq!(in_use, IdentityInUse { replica: A, changes: 1 });

    let mut theirs = Replica::new(B, copy).unwrap();
    theirs.edit(|set, me| set.add(me, "rice")).unwrap();
    assert!(ours.merge(&theirs).unwrap().is_changed());
    assert_eq!(ours.state(), theirs.state());
}

#[test]
fn an_id_in_use_is_refused_by_every_type_that_names_its_writers() {
    fn changes<T: TryMerge + Debug>(state: T) -> u128 {
        Replica::new(A, state).unwrap_err().changes
    }
    let mut counter = PnCounter::default();
    counter.increment(by(A), 5).unwrap();
    counter.decrement(by(A), 2).unwrap();
    assert_eq!(changes(counter.increments().clone()), 5);
    assert_eq!(changes(counter), 7);
    assert_eq!(changes(MvRegister::default().set(by(A), "x").unwrap()), 1);
    assert_eq!(changes(EwFlag::default().enable(by(A)).unwrap()), 1);
    assert_eq!(changes(RwSet::default().remove(by(A), "x").unwrap()), 1);
    assert_eq!(changes(LwwRegister::default().set(stamp(1, A), "x").unwrap()), 1 << 32);

    // What was added is gone, and who added it is still known.
    let mut set = Set::default();
    set.add(by(A), "x").unwrap();
    set.remove("x");
    assert_eq!(changes(set), 1);
}

#[test]
fn a_type_that_names_nobody_accepts_everybody() {
    let mut seen = Replica::new(A, GSet::default()).unwrap();
    seen.edit(|set, _| set.insert(1));
    let state = seen.into_state();
    assert!(Replica::new(A, state).is_ok());
}

#[test]
fn a_closed_replica_opens_with_the_very_state_it_was_closed_with() {
    let mut list = Replica::new(A, Set::default()).unwrap();
    list.edit(|set, me| set.add(me, "milk")).unwrap();
    let (state, seal) = list.close();
    assert_eq!(seal.replica(), A);

    let mut list = seal.open(state).unwrap();
    list.edit(|set, me| set.add(me, "rice")).unwrap();
    assert_eq!(list.dots("rice"), DotSet::from(dot(A, 2)), "counting goes on where it stopped");
}

#[test]
fn an_older_and_a_newer_state_than_the_one_closed_are_both_refused_and_handed_back() {
    let mut list = Replica::new(A, Set::default()).unwrap();
    list.edit(|set, me| set.add(me, "milk")).unwrap();
    let (older, seal) = list.close();

    // Somebody merged into the stored state, which the sealed one does not know of.
    let newer = older.clone().merged(&Set::default().add(by(B), "plums").unwrap());
    let broken = seal.open(newer.clone()).unwrap_err();
    assert_eq!((broken.replica, &broken.state), (A, &newer));

    // The state lives on under another name.
    let mut list = Replica::new(B, older.clone()).unwrap();
    list.edit(|set, me| set.add(me, "rice")).unwrap();
    let (_, seal) = list.close();
    let broken = seal.open(older.clone()).unwrap_err();
    assert_eq!((broken.replica, broken.state), (B, older));
}

/// A removal leaves contexts as they are, and still makes another state.
#[test]
fn a_state_that_differs_by_a_removal_alone_is_not_the_one_closed() {
    let mut list = Replica::new(A, Set::default()).unwrap();
    list.edit(|set, me| set.add(me, "milk")).unwrap();
    let before = list.state().clone();
    list.edit(|set, _| set.remove("milk"));
    let (after, seal) = list.close();
    assert_eq!(before.context(), after.context());
    assert!(seal.open(before).is_err());
}

/// State and seal come back from the same backup and fit each other: nothing local can notice.
#[cfg(feature = "serde")]
mod restored_with_its_seal {
    use super::*;

    type Shopping = OrSet<String>;

    /// What a backup of the whole device holds.
    fn backup_of(replica: Replica<Shopping>) -> (Vec<u8>, Replica<Shopping>) {
        let closed = replica.close();
        let bytes = serde_json::to_vec(&closed).unwrap();
        (bytes, closed.1.open(closed.0).unwrap())
    }

    fn restore(backup: &[u8]) -> Replica<Shopping> {
        let (state, seal): (Shopping, crdt_core::Seal) = serde_json::from_slice(backup).unwrap();
        seal.open(state).unwrap()
    }

    fn add(list: &mut Replica<Shopping>, element: &str) {
        list.edit(|set, me| set.add(me, element.into())).unwrap();
    }

    #[test]
    fn a_replica_is_noticed_by_the_first_peer_that_heard_more_and_goes_on_under_a_fresh_id() {
        let mut list = Replica::new(A, Shopping::default()).unwrap();
        add(&mut list, "milk");
        let (backup, mut list) = backup_of(list);
        add(&mut list, "rice");
        let mut peer = Replica::new(B, list.state().clone()).unwrap();

        let mut restored = restore(&backup);
        let before = restored.state().clone();
        let error = restored.merge(&peer).unwrap_err();
        assert_eq!(error, MergeError::OwnChangesClaimed { replica: A, claimed: 2, issued: 1 });
        assert_eq!(*restored.state(), before);

        restored.rename(C).unwrap();
        assert!(restored.merge(&peer).unwrap().is_changed());
        add(&mut restored, "tea");
        assert_eq!(restored.dots("tea"), DotSet::from(dot(C, 1)));
        assert!(peer.merge(&restored).unwrap().is_changed());
        assert_eq!(peer.to_sorted(), ["milk", "rice", "tea"]);
        assert_eq!(peer.state(), restored.state());
    }

    #[test]
    fn a_replica_that_wrote_before_it_met_anyone_writes_again_what_it_wrote() {
        let mut list = Replica::new(A, Shopping::default()).unwrap();
        add(&mut list, "milk");
        let (backup, mut list) = backup_of(list);
        add(&mut list, "rice");
        add(&mut list, "salt");
        let mut peer = Replica::new(B, list.state().clone()).unwrap();

        let mut restored = restore(&backup);
        add(&mut restored, "tea");
        let error = restored.merge(&peer).unwrap_err();
        assert_eq!(error, MergeError::OwnChangesClaimed { replica: A, claimed: 3, issued: 2 });
        // The peer finds out, too: dot 2 is tea at one and rice at the other.
        let fork = MergeError::ForkedReplica { dot: dot(A, 2) };
        assert_eq!(peer.merge(&restored), Err(fork));
        restored.rename(C).unwrap();
        assert_eq!(restored.merge(&peer), Err(fork), "another name does not undo the fork");

        // Nothing is lost: what the peer lacks is written into its state under the fresh id.
        let forked = restored.into_state();
        let mut list = Replica::new(C, peer.state().clone()).unwrap();
        for element in forked.to_sorted() {
            if !list.contains(element) {
                add(&mut list, element);
            }
        }
        assert!(peer.merge(&list).unwrap().is_changed());
        assert_eq!(peer.to_sorted(), ["milk", "rice", "salt", "tea"]);
    }
}

#[test]
fn a_replica_renamed_keeps_what_it_wrote_and_takes_in_what_was_written_under_its_old_name() {
    let mut ours = Replica::new(A, Set::default()).unwrap();
    ours.edit(|set, me| set.add(me, "milk")).unwrap();
    let mut elsewhere = ours.state().clone();
    elsewhere.add(by(A), "rice").unwrap();
    assert!(ours.merge(&elsewhere).is_err());

    assert_eq!(ours.rename(A), Err(IdentityInUse { replica: A, changes: 1 }), "not fresh");
    assert_eq!(ours.id(), A, "the old id stays on an error");
    ours.rename(C).unwrap();
    assert_eq!(ours.id(), C);
    assert_eq!(ours.merge(&elsewhere), Ok(Change::Changed));
    ours.edit(|set, me| set.add(me, "tea")).unwrap();
    assert_eq!(ours.to_sorted(), [&"milk", &"rice", &"tea"]);
}

#[test]
fn two_clones_that_wrote_under_one_dot_are_noticed() {
    let mut original = Set::default();
    original.add(by(A), "milk").unwrap();
    let mut clone = original.clone();
    original.add(by(A), "rice").unwrap();
    clone.add(by(A), "salt").unwrap();
    // Neither claims more of A's changes than the other has.
    let fork = MergeError::ForkedReplica { dot: dot(A, 2) };
    assert_eq!(refused(&mut original, &clone, A), fork);
    assert_eq!(refused(&mut clone, &original, A), fork);
    // A third that has heard of one of them finds out as well, by a delta as by a state.
    let delta = clone.delta_since(&Set::default().digest());
    assert_eq!(refused(&mut original, &delta, B), fork);

    let mut original = MvRegister::default();
    original.set(by(A), "draft").unwrap();
    let mut clone = original.clone();
    original.set(by(A), "plan").unwrap();
    clone.set(by(A), "notes").unwrap();
    assert_eq!(refused(&mut original, &clone, B), fork);

    let mut original = RwSet::default();
    original.add(by(A), "eve").unwrap();
    let mut clone = original.clone();
    original.add(by(A), "eve").unwrap();
    clone.remove(by(A), "eve").unwrap();
    assert_eq!(refused(&mut original, &clone, B), fork);
}

/// Two clones wrote equally much, and one removed it again: that looks like a removal. Clones take a fresh id before
/// they write, as nobody can tell afterwards.
#[test]
fn a_fork_of_which_one_side_is_gone_cannot_be_told_from_a_removal() {
    let mut original = Set::default();
    let mut clone = original.clone();
    original.add(by(A), "rice").unwrap();
    clone.add(by(A), "salt").unwrap();
    clone.remove("salt");
    assert_eq!(original.try_merge(&clone, A), Ok(Change::Changed));
    assert!(original.is_empty());
}

#[test]
fn the_same_change_twice_is_a_repetition_and_no_fork() {
    let mut ours = Set::default();
    ours.add(by(A), "milk").unwrap();
    let same = ours.clone();
    assert_eq!(ours.try_merge(&same, A), Ok(Change::Unchanged));
    assert_eq!(ours.try_merge(&same, B), Ok(Change::Unchanged));
}

#[test]
fn every_counter_claimed_in_ones_own_name_is_refused_and_costs_nothing() {
    let mut set = Set::default();
    set.add(by(A), "milk").unwrap();
    let mut everything = CausalContext::new();
    everything.insert_range(A, 1..=u64::MAX);
    let forged: Set = Causal::from_parts(ElementStore::new(), everything.clone()).unwrap().into();

    let claimed = MergeError::OwnChangesClaimed { replica: A, claimed: u64::MAX.into(), issued: 1 };
    assert_eq!(refused(&mut set, &forged, A), claimed);
    set.add(by(A), "rice").unwrap();
    assert_eq!(set.dots("rice"), DotSet::from(dot(A, 2)), "as if nothing had been said");

    // Merged unchecked, it removes what it claims to have seen, and no counter is left: an error and no wrap.
    let mut trusting = set.clone().merged(&forged);
    assert!(trusting.is_empty());
    assert_eq!(trusting.add(by(A), "salt"), Err(DotsExhausted { replica: A }));
    assert!(trusting.add(by(B), "salt").is_ok(), "others are not affected");

    let mut register = MvRegister::default();
    register.set(by(A), "x").unwrap();
    let forged: MvRegister<_> = Causal::from_parts(DotFun::new(), everything.clone()).unwrap().into();
    assert_eq!(refused(&mut register, &forged, A), claimed);
    let mut flag = EwFlag::default();
    flag.enable(by(A)).unwrap();
    let forged: EwFlag = Causal::from_parts(DotSet::new(), everything).unwrap().into();
    assert_eq!(refused(&mut flag, &forged, A), claimed);
}

/// Accepted by policy, a claim is met by counting on above it.
#[test]
fn whoever_believes_a_claim_counts_on_above_it() {
    let mut set = Set::default();
    set.add_all(by(A), ["a", "b", "c"]).unwrap();
    let mut claim = CausalContext::new();
    claim.insert_range(A, 4..=1_000);
    let forged: Set = Causal::from_parts(ElementStore::new(), claim).unwrap().into();
    assert!(set.try_merge(&forged, A).is_err());
    let _ = set.merge(&forged);
    set.add(by(A), "d").unwrap();
    assert_eq!(set.dots("d"), DotSet::from(dot(A, 1_001)));
    assert_eq!(set.len(), 4);
}

#[test]
fn an_amount_in_ones_own_name_that_was_never_counted_is_refused() {
    let mut counter = GCounter::default();
    counter.increment(by(A), 3).unwrap();
    counter.increment(by(B), 1).unwrap();
    let forged = GCounter::from_entries([(A, 4), (B, 9)]);
    let error = MergeError::OwnChangesClaimed { replica: A, claimed: 4, issued: 3 };
    assert_eq!(refused(&mut counter, &forged, A), error);
    assert_eq!(refused(&mut GCounter::default(), &forged, A).to_string().lines().count(), 1);
    assert_eq!(counter.try_merge(&forged, C), Ok(Change::Changed), "to anybody else it is A's affair");

    // Each direction for itself: more decrements are not made up for by fewer increments.
    let mut counter = PnCounter::default();
    counter.increment(by(A), 5).unwrap();
    let forged = PnCounter::from_parts(GCounter::default(), GCounter::from_entries([(A, 1)]));
    let error = MergeError::OwnChangesClaimed { replica: A, claimed: 1, issued: 0 };
    assert_eq!(refused(&mut counter, &forged, A), error);
}

/// Counts made by a restored counter vanish in what its peers remember, unless it is told first.
#[test]
fn a_restored_counter_is_told_before_its_counts_vanish() {
    let mut counter = Replica::new(A, GCounter::default()).unwrap();
    counter.edit(|counter, me| counter.increment(me, 3)).unwrap();
    let backup = counter.state().clone();
    counter.edit(|counter, me| counter.increment(me, 4)).unwrap();
    let peer = Replica::new(B, counter.state().clone()).unwrap();

    let mut restored = backup;
    refused(&mut restored, peer.state(), A);
    let mut restored = Replica::new(C, restored).unwrap();
    assert!(restored.merge(&peer).unwrap().is_changed());
    restored.edit(|counter, me| counter.increment(me, 2)).unwrap();
    assert_eq!(restored.value(), 9);
}

#[test]
fn one_stamp_with_two_contents_is_a_fork() {
    let mut ours = LwwRegister::default();
    ours.set(stamp(5, A), "draft").unwrap();
    let mut theirs = LwwRegister::default();
    theirs.set(stamp(5, A), "plan").unwrap();
    let fork = MergeError::ForkedStamp { stamp: stamp(5, A) };
    assert_eq!(refused(&mut ours, &theirs, A), fork);
    assert_eq!(refused(&mut theirs, &ours, B), fork);
    let mut deleted = LwwRegister::default();
    deleted.clear(stamp(5, A)).unwrap();
    assert_eq!(refused(&mut ours, &deleted, B), fork);

    // Unchecked, both sides still agree.
    assert_eq!(ours.clone().merged(&theirs), theirs.merged(&ours));
}

#[test]
fn a_write_in_ones_own_name_that_was_never_made_is_refused_unless_it_is_over() {
    let mut ours = LwwRegister::default();
    ours.set(stamp(5, A), "draft").unwrap();
    let mut theirs = LwwRegister::default();
    theirs.set(stamp(9, A), "plan").unwrap();
    let error = MergeError::OwnChangesClaimed { replica: A, claimed: 9 << 32, issued: 5 << 32 };
    assert_eq!(refused(&mut ours, &theirs, A), error);
    assert_eq!(ours.clone().try_merge(&theirs, B), Ok(Change::Changed));

    // An own write that somebody overwrote since comes back late: nothing new.
    ours.set(stamp(11, B), "final").unwrap();
    assert_eq!(ours.try_merge(&theirs, A), Ok(Change::Unchanged));
}
