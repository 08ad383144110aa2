//! Maps, composites, and the counters that maps hold obey the laws of merging, of deltas and of retiring.

#![cfg(feature = "proptest")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::fmt::Debug;

use crdt_core::dotted::Dotted;
use crdt_core::laws::{
    arb_bounded_counters, arb_counter_maps, arb_dotted_maps, arb_histories, arb_lww_maps, arb_map_maps,
    arb_or_maps, arb_reset_counters, check_delta_laws, check_laws,
};
use crdt_core::{
    BoundedCounter, Change, DeltaCrdt, GSet, Hlc, LwwMap, LwwRegister, OrMap, OrSet, PnCounter, ReplicaId,
    ResetCounter, Retire, Retirement, Stamp, TryMerge, VersionDigest, composite,
};
use proptest::prelude::*;

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xaa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xbb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xcc; 16]);

fn check<T>([a, b, c]: &[T; 3]) -> Result<(), TestCaseError>
where
    T: DeltaCrdt + TryMerge + VersionDigest + PartialEq + Debug,
{
    check_laws(a, b, c)?;
    check_delta_laws(a, b, c)?;
    for (a, b) in [(a, b), (b, c), (c, a)] {
        prop_assert_eq!(a.version_digest() == b.version_digest(), a == b);
    }
    prop_assert_eq!(a.version_digest() == 0, a.is_bottom());
    // What honest replicas send is never refused, as it is or in parts.
    for (ours, theirs, me) in [(a, b, A), (b, c, B), (c, a, C)] {
        let mut taken = ours.clone();
        prop_assert_eq!(taken.try_merge(theirs, me).map(Change::is_changed), Ok(taken != *ours));
        for part in theirs.split() {
            prop_assert_eq!(ours.check_merge(&part, me), Ok(()));
        }
        let delta = theirs.delta_since(&ours.digest());
        prop_assert_eq!(ours.check_merge(&delta, me), Ok(()));
    }
    Ok(())
}

/// Once everybody knows all of A's changes, A is retired; `change` is what others do before and after hearing of it.
fn check_retire<T, V: PartialEq + Debug>(
    [a, b, c]: &[T; 3],
    change: impl Fn(&mut T, ReplicaId) -> T,
    value: impl Fn(&T) -> V,
) -> Result<(), TestCaseError>
where
    T: TryMerge + Retire + PartialEq + Debug,
{
    let known = a.clone().merged(b).merged(c);
    let last = known.changes_to_retire(A);
    let retirement = Retirement::new(1, [(A, last)]).unwrap();

    let (mut bs, mut cs) = (known.clone(), known.clone());
    let late = change(&mut bs, B);
    prop_assert_eq!(&known.clone().merged(&late), &bs, "a mutator does what merging its delta does");
    change(&mut cs, C);
    let mut both = bs.clone().merged(&cs);
    let expected = [&bs, &cs, &both].map(&value);

    bs.retire(&retirement).unwrap();
    cs.retire(&retirement).unwrap();
    both.retire(&retirement).unwrap();

    prop_assert_eq!(&[&bs, &cs, &both].map(&value), &expected);
    prop_assert_eq!(&bs.clone().merged(&cs), &both);
    prop_assert_eq!(&cs.clone().merged(&bs), &both);
    if last > 0 {
        prop_assert_eq!(both.changes_to_retire(A), 0);
        // Whoever lacks some of A's changes, or has more than the decision says, is not rewritten.
        let mut early = late.clone();
        if early.changes_to_retire(A) != last {
            prop_assert!(early.retire(&retirement).is_err());
            prop_assert_eq!(early, late);
        }
        let too_early = Retirement::new(1, [(A, last + 1)]).unwrap();
        let mut state = known.clone();
        prop_assert_eq!(state.retire(&too_early).unwrap_err().expected, last + 1);
        prop_assert_eq!(state, known);
    }
    Ok(())
}

fn stamp(millis: u64, replica: ReplicaId) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica }
}

/// A rewrite renames dots, and with them the order in which a set is walked.
fn sorted(set: &OrSet<u8>) -> Vec<u8> {
    set.to_sorted().into_iter().copied().collect()
}

type Sets = OrMap<u8, OrSet<u8>>;

fn elements(map: &Sets) -> Vec<(u8, Vec<u8>)> {
    map.keys().map(|key| (*key, sorted(&map.value(key).unwrap()))).collect()
}

composite! {
    /// One of each kind: causal, counting, stamped.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Note {
        title: LwwRegister<u8>,
        tags: OrSet<u8>,
        likes: PnCounter,
    }
}

fn edit_note(note: &mut Note, me: ReplicaId, (kind, value): (u8, u8)) -> Note {
    match kind {
        0 => {
            let title = note.title.set(stamp(u64::from(value), me), value).unwrap_or_default();
            Note { title, ..Note::default() }
        }
        1 => Note { tags: note.tags.remove(&value), ..Note::default() },
        2 => Note { likes: note.likes.increment(by(me), 1).unwrap(), ..Note::default() },
        _ => Note { tags: note.tags.add(by(me), value).unwrap(), ..Note::default() },
    }
}

fn arb_notes() -> impl Strategy<Value = [Note; 3]> {
    arb_histories((0_u8..5, 0_u8..4), |note: &mut Note, me, edit| edit_note(note, me.id(), edit))
}

type Four = (GSet<u8>, OrSet<u8>, PnCounter, ResetCounter);

fn arb_fours() -> impl Strategy<Value = [Four; 3]> {
    arb_histories((0_u8..5, 0_u8..4), |four: &mut Four, me, (kind, value)| {
        let mut delta = Four::default();
        match kind {
            0 => delta.0 = four.0.insert(value),
            1 => delta.1 = four.1.add(me, value).unwrap(),
            2 => delta.1 = four.1.clear(),
            3 => delta.2 = four.2.decrement(me, 1).unwrap(),
            _ => delta.3 = four.3.add(me, i64::from(value) - 1).unwrap(),
        }
        delta
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn map_of_sets(states in arb_or_maps()) {
        check(&states)?;
        check_retire(&states, |map, me| map.update(1, |set| set.add(by(me), 3)).unwrap(), elements)?;
    }

    #[test]
    fn map_of_maps(states in arb_map_maps()) {
        check(&states)?;
        let change = |map: &mut OrMap<u8, Sets>, me| {
            map.update(1, |inner| inner.update(1, |set| set.add(by(me), 3))).unwrap()
        };
        let value = |map: &OrMap<u8, Sets>| {
            map.keys().map(|key| (*key, elements(&map.value(key).unwrap()))).collect::<Vec<_>>()
        };
        check_retire(&states, change, value)?;
    }

    #[test]
    fn reset_counter(states in arb_reset_counters()) {
        check(&states)?;
        check_retire(&states, |counter, me| counter.add(by(me), 2).unwrap(), ResetCounter::value)?;
        check_retire(&states, |counter, _| counter.reset(), ResetCounter::value)?;
    }

    #[test]
    fn map_of_counters(states in arb_counter_maps()) {
        check(&states)?;
        let change = |map: &mut OrMap<u8, ResetCounter>, me| map.update(1, |counter| counter.add(by(me), 2)).unwrap();
        let value = |map: &OrMap<u8, ResetCounter>| {
            map.iter().map(|(key, amounts)| (*key, amounts.total())).collect::<Vec<_>>()
        };
        check_retire(&states, change, value)?;
    }

    #[test]
    fn map_of_dotted_values(states in arb_dotted_maps()) {
        check(&states)?;
        let change = |map: &mut OrMap<u8, Dotted<GSet<u8>>>, me| {
            map.update(1, |set| set.update(by(me), |set| drop(set.insert(3)))).unwrap()
        };
        let value = |map: &OrMap<u8, Dotted<GSet<u8>>>| {
            map.iter().map(|(key, set)| (*key, set.joined())).collect::<Vec<_>>()
        };
        check_retire(&states, change, value)?;
    }

    #[test]
    fn lww_map(states in arb_lww_maps()) {
        check(&states)?;
        let change = |map: &mut LwwMap<u8, u8>, me| map.set(stamp(9, me), 1, 1).unwrap();
        let value = |map: &LwwMap<u8, u8>| map.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>();
        check_retire(&states, change, value)?;
    }

    #[test]
    fn bounded_counter(states in arb_bounded_counters()) {
        check(&states)?;
        check_retire(&states, |counter, me| counter.increment(by(me), 2).unwrap(), BoundedCounter::value)?;
        let spend = |counter: &mut BoundedCounter, me| counter.decrement(by(me), 1).unwrap_or_default();
        check_retire(&states, spend, BoundedCounter::value)?;
        let give = |counter: &mut BoundedCounter, me| counter.transfer(by(me), A, 1).unwrap_or_default();
        let rights = |counter: &BoundedCounter| [B, C].map(|replica| counter.rights_of(replica));
        check_retire(&states, give, rights)?;
    }

    #[test]
    fn composite_of_three(states in arb_notes()) {
        check(&states)?;
        let value = |note: &Note| {
            (note.title.get().copied(), sorted(&note.tags), note.likes.value())
        };
        check_retire(&states, |note, me| edit_note(note, me, (3, 2)), value)?;
        check_retire(&states, |note, me| edit_note(note, me, (0, 9)), value)?;
    }

    #[test]
    fn tuple_of_four(states in arb_fours()) {
        check(&states)?;
        let value = |four: &Four| (sorted(&four.1), four.2.value(), four.3.value());
        let change = |four: &mut Four, me| {
            (GSet::default(), OrSet::default(), four.2.increment(by(me), 1).unwrap(), ResetCounter::default())
        };
        check_retire(&states, change, value)?;
    }
}
