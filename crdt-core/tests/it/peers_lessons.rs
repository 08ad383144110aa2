//! What replicated types of other projects got wrong, and no other file here speaks of.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::{
    Change, Crdt, DeltaCrdt, EwFlag, GCounter, GSet, MaxRegister, MvRegister, OrSet, PnCounter, ReplicaId,
    RwSet, TryMerge, TwoPhaseSet, VersionDigest,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Set = OrSet<&'static str>;

fn elements(set: &Set) -> Vec<&'static str> {
    set.to_sorted().into_iter().copied().collect()
}

/// Validation that takes several elements of one batch for several uses of one dot refuses its own deltas.
#[test]
fn a_batch_is_not_taken_for_a_fork() {
    let mut a = Set::default();
    let batch = a.add_all(by(A), ["x", "y"]).unwrap();
    let mut b = Set::default();
    assert_eq!(b.try_merge(&batch, B), Ok(Change::Changed));
    assert_eq!(a.try_merge(&batch, A), Ok(Change::Unchanged));
    let removal = b.remove("x");
    assert_eq!(a.try_merge(&removal, A), Ok(Change::Changed));
    assert_eq!(a.try_merge(&b, A), Ok(Change::Unchanged));
    assert_eq!(elements(&a), ["y"]);
}

/// A replica that takes "a higher counter was seen" for "this one was seen" drops what comes late.
#[test]
fn what_comes_late_is_not_taken_for_known() {
    let mut a = Set::default();
    let first = a.add(by(A), "first").unwrap();
    let second = a.add(by(A), "second").unwrap();
    let mut b = second;
    assert!(b.merge(&first).is_changed());
    assert_eq!(b, a);
}

#[test]
fn deltas_gathered_backwards_are_the_same_group() {
    let mut a = Set::default();
    let deltas = [
        a.add(by(A), "x").unwrap(),
        a.add(by(A), "y").unwrap(),
        a.remove("x"),
        a.add(by(A), "x").unwrap(),
        a.remove("y"),
    ];
    let forwards = deltas.iter().fold(Set::default(), Set::merged);
    let backwards = deltas.iter().rev().fold(Set::default(), Set::merged);
    assert_eq!(forwards, backwards);
    assert_eq!(Set::default().merged(&backwards), a);
}

/// A removal that waits for its add beside the set is lost when that side table is merged, copied or cleared wrongly.
/// Here there is no such table.
#[test]
fn a_removal_ahead_of_its_add_is_not_forgotten_whatever_happens_meanwhile() {
    let mut a = Set::default();
    let add = a.add(by(A), "x").unwrap();
    let removal = a.remove("x");

    let mut b = Set::default();
    let _ = b.merge(&removal);
    b.add(by(B), "y").unwrap();
    b.clear();
    let mut c = Set::default();
    c.add(by(C), "x").unwrap();
    let _ = c.merge(&b.delta_since(&c.digest()));
    c.remove("x");
    assert!(!c.merge(&add).is_changed());
    assert!(c.is_empty());
    assert!(!b.merge(&add).is_changed());

    // Two of which only one had to wait are equal all the same.
    let in_order = Set::default().merged(&add).merged(&removal);
    assert_eq!(in_order, Set::default().merged(&removal).merged(&add));
}

/// A no-op that looks like a change is stored, sent and announced for ever.
#[test]
fn what_changes_nothing_says_so() {
    let mut set = Set::default();
    assert!(set.remove("x").is_bottom());
    assert!(set.clear().is_bottom());
    assert!(set.add_all(by(A), []).unwrap().is_bottom());
    assert!(set.is_bottom());
    assert!(EwFlag::default().disable().is_bottom());
    assert!(MvRegister::<u8>::default().clear().is_bottom());
    assert!(PnCounter::default().decrement(by(A), 0).unwrap().is_bottom());
    assert!(GSet::from_iter([1]).insert(1).is_bottom());
    assert!(TwoPhaseSet::<u8>::default().remove(&1).is_bottom());
    let mut best = MaxRegister::default();
    best.raise(5);
    assert!(best.raise(5).is_bottom());

    set.add(by(A), "x").unwrap();
    let (copy, digest) = (set.clone(), set.version_digest());
    assert_eq!(set.merge(&copy), Change::Unchanged);
    assert_eq!(set.merge(&Set::default()), Change::Unchanged);
    assert_eq!(set.version_digest(), digest);
}

/// States of different sizes and histories; which is which does not depend on who hears of whom first.
#[test]
fn knowing_more_is_not_being_larger() {
    let mut a = Set::default();
    a.add_all(by(A), ["x", "y", "z"]).unwrap();
    let mut b = a.clone();
    b.clear();
    assert_eq!(a.compare(&b), Some(Ordering::Less));
    assert!(a.merged(&b).is_empty());
}

/// One counter's increments vanish where it takes the maximum of what should be added, and double where it adds what
/// should be the maximum.
#[test]
fn everybody_counts_once_however_often_and_wherever_it_is_told() {
    let mut states = [GCounter::default(), GCounter::default(), GCounter::default()];
    let mut deltas = Vec::new();
    for round in 1..=5 {
        for (state, id) in states.iter_mut().zip([A, B, C]) {
            deltas.push(state.increment(by(id), round).unwrap());
            for delta in &deltas {
                let _ = state.merge(delta);
            }
        }
        let [a, b, c] = &mut states;
        let _ = (a.merge(b), b.merge(c), c.merge(a));
    }
    let all = states.iter().fold(GCounter::default(), GCounter::merged);
    assert_eq!(all.value(), 3 * 15);
    assert!(states.iter().all(|state| state.clone().merged(&all) == all));
}

/// A set that keeps a mark for each removal grows with every one of them.
#[test]
fn adding_and_removing_for_years_leaves_one_range_per_replica() {
    let mut set = Set::default();
    let mut access = RwSet::default();
    for _ in 0..10_000 {
        set.add(by(A), "x").unwrap();
        set.remove("x");
        access.remove(by(B), "x").unwrap();
        access.add(by(B), "x").unwrap();
    }
    assert_eq!((set.context().range_count(), set.len()), (1, 0));
    assert_eq!((access.context().range_count(), access.len()), (1, 1));
}

#[cfg(feature = "serde")]
mod bytes {
    use crdt_core::dotted::{Causal, ElementStore};
    use crdt_core::{CausalContext, Dot, Limits, codec};

    use super::*;

    type Text = OrSet<String>;

    /// Encodings that depend on the order in which replicas were met, or on that of a hash table.
    #[test]
    fn equal_states_have_equal_bytes_whichever_way_they_came_about() {
        let mut parts: Vec<Text> = Vec::new();
        for number in (1..=40_u8).rev() {
            let id = ReplicaId::from_bytes([number; 16]);
            let mut part = Text::default();
            part.add_all(by(id), [format!("own {number}"), "shared".into()]).unwrap();
            parts.push(part);
        }
        let one_way = parts.iter().fold(Text::default(), Text::merged);
        parts.sort_by_key(VersionDigest::version_digest);
        let (left, right) = parts.split_at(11);
        let left = left.iter().rev().fold(Text::default(), Text::merged);
        let right = right.iter().fold(Text::default(), Text::merged);
        let other_way = right.merged(&left);
        assert_eq!(codec::to_bytes(&one_way), codec::to_bytes(&other_way));
        assert_eq!(one_way.version_digest(), other_way.version_digest());
        assert!(one_way.iter().eq(other_way.iter()));
    }

    /// An id that is cut somewhere on its way makes two replicas one.
    #[test]
    fn ids_keep_all_their_bytes() {
        let mut set = Text::default();
        let ids: Vec<ReplicaId> = (0..16)
            .map(|byte| {
                let mut bytes = [0xff; 16];
                bytes[byte] = 0xfe;
                ReplicaId::from_bytes(bytes)
            })
            .collect();
        for id in &ids {
            set.add(by(*id), "same".into()).unwrap();
            let mut other = Text::default();
            other.add(by(*id), "same".into()).unwrap();
            let _ = set.merge(&other);
        }
        let read: Text = codec::from_bytes(&codec::to_bytes(&set), &Limits::default()).unwrap();
        assert_eq!(read, set);
        assert!(ids.iter().all(|id| read.context().highest(*id) == 1));
    }

    /// Snapshots that can be written and not be read again.
    #[test]
    fn what_can_be_reached_can_be_written_and_read_again() {
        let mut seen = CausalContext::new();
        seen.insert_range(A, 1..=u64::MAX - 70);
        seen.insert_range(A, u64::MAX - 66..=u64::MAX - 1);
        seen.insert_range(B, 5..=5);
        let live = [(Dot::new(A, u64::MAX - 66).unwrap(), "far".to_string())];
        let mut set: Text = Causal::from_parts(ElementStore::from_iter(live), seen).unwrap().into();
        set.add(by(A), "last".into()).unwrap();
        assert!(set.add(by(A), "none left".into()).is_err());
        for state in
            [set.clone(), set.delta_since(&Text::default().digest()), set.remove("last"), set.clear()]
        {
            let read: Text = codec::from_bytes(&codec::to_bytes(&state), &Limits::default()).unwrap();
            assert_eq!(read, state);
            assert_eq!(codec::to_bytes(&read), codec::to_bytes(&state));
        }
    }
}
