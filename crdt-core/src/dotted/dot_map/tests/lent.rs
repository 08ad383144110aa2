//! Values that are changed in place, under the keys of a map with an index.

use core::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dotted::StoreDigest;
use crate::{Crdt, OrMap, OrSet, VersionDigest, Writer};

type Sets = OrMap<u8, OrSet<u8>>;
type Maps = OrMap<u8, Sets>;

const KEYS: u8 = 50;

/// What is done to the value under a key, or to all.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Update,
    /// Gives a clone of the value in place of a delta.
    Clumsy,
    /// Changes something and fails then.
    Fail,
    Replace,
    FailToReplace,
    Remove,
    RemoveInner,
    /// Takes in the delta that was made so many changes ago.
    Deliver(usize),
    /// Changes the same at another replica and takes that in.
    Foreign,
    Clear,
}

fn arb_edit() -> impl Strategy<Value = (Edit, u8, u8, u8)> {
    let edit = prop_oneof![
        8 => Just(Edit::Update),
        1 => Just(Edit::Clumsy),
        2 => Just(Edit::Fail),
        2 => Just(Edit::Replace),
        1 => Just(Edit::FailToReplace),
        2 => Just(Edit::Remove),
        3 => Just(Edit::RemoveInner),
        6 => (0..9_usize).prop_map(Edit::Deliver),
        3 => Just(Edit::Foreign),
    ];
    // Some keys more often, and some that are not there.
    (prop_oneof![50 => edit, 1 => Just(Edit::Clear)], prop_oneof![0..KEYS + 4, 0..3_u8], 0..3_u8, 0..4_u8)
}

fn add(map: &mut Maps, at: usize, key: u8, inner: u8, element: u8) -> Maps {
    let me = Writer::unchecked(replica(at));
    map.update(key, |sets| sets.update(inner, |set| set.add(me, element))).unwrap()
}

fn apply(map: &mut Maps, deltas: &[Maps], (edit, key, inner, element): (Edit, u8, u8, u8)) -> Option<Maps> {
    let me = Writer::unchecked(replica(0));
    Some(match edit {
        Edit::Update => add(map, 0, key, inner, element),
        Edit::Clumsy => map
            .update(key, |sets| {
                sets.update(inner, |set| set.add(me, element)).unwrap();
                Ok::<_, Infallible>(sets.clone())
            })
            .unwrap(),
        Edit::Fail => {
            let failed = map.update(key, |sets| {
                sets.update(inner, |set| set.add(me, element)).unwrap();
                Err::<Sets, _>(())
            });
            assert!(failed.is_err());
            return None;
        }
        Edit::Replace => map.replace(key, |sets| sets.update(inner, |set| set.add(me, element))).unwrap(),
        Edit::FailToReplace => {
            assert!(map.replace(key, |_| Err::<Sets, _>(())).is_err());
            return None;
        }
        Edit::Remove => map.remove(&key),
        Edit::RemoveInner => map.update_with(key, |sets| sets.update_with(inner, |set| set.remove(&element))),
        Edit::Deliver(ago) => {
            let delta = deltas.iter().rev().nth(ago)?.clone();
            let _ = map.merge(&delta);
            delta
        }
        Edit::Foreign => {
            let delta = add(&mut map.clone(), 1, key, inner, element);
            let _ = map.merge(&delta);
            delta
        }
        Edit::Clear => map.clear(),
    })
}

fn plain(map: &Maps) -> DotMap<u8, DotMap<u8, crate::dotted::ElementStore<u8>>> {
    map.store().iter().map(|(key, store)| (*key, store.clone())).collect()
}

fn filled() -> Maps {
    let mut map = Maps::default();
    for key in 0..KEYS {
        add(&mut map, usize::from(key) % 2, key, 0, key % 4);
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A mutator does what merging its delta does, whatever the index was told meanwhile.
    #[test]
    fn changes_in_place_are_those_of_their_deltas(
        edits in vec(arb_edit(), 0..60),
        tracks in any::<bool>(),
    ) {
        let mut map = filled();
        if tracks {
            map.track_digest();
        }
        let mut deltas = Vec::new();
        for edit in edits {
            let (mut expected, seen) = (plain(&map), map.context().clone());
            if let Some(delta) = apply(&mut map, &deltas, edit) {
                let _ = expected.join_all(&seen, delta.store(), delta.context());
                prop_assert_eq!(map.store(), &expected);
                deltas.push(delta);
            }
            prop_assert!(map.scrub(), "after {:?}", edit);
            prop_assert_eq!(map.store().dots(), plain(&map).dots());
            prop_assert_eq!(map.store().store_digest(), plain(&map).store_digest());
        }
        let copy = Maps::default().merged(&map);
        prop_assert_eq!(copy.version_digest(), map.version_digest());
    }
}

/// What a closure did before it failed stays, and is removed like anything else.
#[test]
fn what_a_failed_change_left_behind_is_found_by_its_removal() {
    let mut map = filled();
    let foreign = add(&mut map.clone(), 1, 60, 0, 0);
    let _ = map.merge(&foreign);
    assert!(map.store().is_indexed());
    let failed = map.update(7, |sets| {
        sets.update(9, |set| set.add(Writer::unchecked(replica(0)), 3)).unwrap();
        Err::<Sets, _>(())
    });
    assert!(failed.is_err() && map.store().is_indexed());
    let mut copy = Maps::default().merged(&map);
    let removal = copy.update_with(7, |sets| sets.remove(&9));
    assert_eq!(removal.context().dots().count(), 1);
    assert!(map.merge(&removal).is_changed());
    assert_eq!(map, copy);
}

/// Many keys in doubt are as good as no index; the next join makes a new one.
#[test]
fn doubts_are_cleared_when_there_are_many() {
    let mut map = filled();
    let foreign = add(&mut map.clone(), 1, 60, 0, 0);
    let _ = map.merge(&foreign);
    for key in 0..20 {
        let _ = map.update(key, |_| Err::<Sets, _>(()));
    }
    let _ = map.update(200, |_| Err::<Sets, _>(()));
    let doubts = |map: &Maps| map.store().kept.index.as_ref().map(|index| index.unsure().len());
    assert_eq!(doubts(&map), Some(20), "a key that is not there leaves none");
    let _ = map.merge(&foreign);
    assert_eq!(doubts(&map), Some(0));
}

#[test]
fn a_panic_leaves_the_map_in_order() {
    let mut map = filled();
    map.track_digest();
    let foreign = add(&mut map.clone(), 1, 60, 0, 0);
    let _ = map.merge(&foreign);
    let panicked = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        map.update_with(3, |sets| {
            sets.clear();
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err() && !map.contains_key(&3));
    assert!(map.scrub());
}
