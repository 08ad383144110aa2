use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn list(elements: impl IntoIterator<Item = u16>) -> Indexed<u16> {
    let (mut list, mut delta) = (Indexed::new(), Indexed::new());
    elements.into_iter().for_each(|element| list.insert(element, &mut delta));
    assert!(list.is_sound() && delta.is_sound());
    assert_eq!(list.elements(), delta.elements());
    list
}

/// The elements without repetitions, in the order they came.
fn in_order(elements: impl IntoIterator<Item = u16>) -> Vec<u16> {
    let mut seen = BTreeSet::new();
    elements.into_iter().filter(|element| seen.insert(*element)).collect()
}

/// Lists that are short, that have just outgrown the scan, and long ones, from few enough values to meet.
fn arb_elements() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![vec(0_u16..12, 0..12), vec(0_u16..300, 0..40), vec(0_u16..600, 0..500)]
}

proptest! {
    #[test]
    fn it_holds_each_element_once_in_the_order_they_came(elements in arb_elements()) {
        let list = list(elements.iter().copied());
        let expected = in_order(elements);
        prop_assert_eq!(list.elements(), &expected[..]);
        prop_assert!((0..600).all(|n| list.contains(&n) == expected.contains(&n)));
        let read = Indexed::from_different(expected);
        prop_assert!(read.is_sound() && read.seems_equal(&list));
    }

    /// Whichever way the other is walked, the order is that of its elements.
    #[test]
    fn merging_appends_what_is_missing_in_the_others_order(
        common in arb_elements(), left in arb_elements(), right in arb_elements(),
    ) {
        let ours = in_order(common.iter().chain(&left).copied());
        let theirs = in_order(common.iter().chain(&right).copied());
        for theirs in [theirs.clone(), theirs.into_iter().rev().collect()] {
            let (a, b) = (list(ours.iter().copied()), list(theirs.iter().copied()));
            let expected = in_order(ours.iter().chain(&theirs).copied());

            let mut merged = a.clone();
            merged.merge(&b);
            prop_assert_eq!(merged.elements(), &expected[..]);
            prop_assert!(merged.is_sound());
            prop_assert!(a.is_subset(&merged) && b.is_subset(&merged));
            prop_assert_eq!(merged.is_subset(&a), merged.elements().len() == a.elements().len());

            let mut moved = a.clone();
            moved.merge_owned(b.clone());
            prop_assert_eq!(moved.elements(), &expected[..]);
            prop_assert!(moved.is_sound());

            let difference = b.difference(&a);
            prop_assert_eq!(difference.elements(), &expected[ours.len()..]);
            prop_assert!(difference.is_sound());
        }
    }
}

/// As if there had been no number left for it, or as if a clone had panicked in the middle of a merge.
#[test]
fn an_element_without_a_place_is_found_all_the_same() {
    let mut list = list(0..20);
    list.elements.extend([20, 21]);
    assert_eq!(list.find(hash_one(&21_u16), &21), Some(21));
    assert!(!list.contains(&22));
    list.fingerprint = sum(&list.elements);
    assert!(list.is_sound());
    let mut other = Indexed::new();
    other.merge_owned(list.clone());
    other.merge(&list);
    assert_eq!(other.elements(), list.elements());
}

#[test]
fn a_short_list_has_no_table_and_one_element_no_allocation() {
    let table_size = |len| list(0..len).places.allocation_size();
    assert!((0..=8).all(|len| table_size(len) == 0) && table_size(9) > 0);
    assert_eq!((list([7]).heap_size(), list([]).heap_size()), (0, 0));
}

#[test]
fn damage_is_noticed() {
    let sound = list(0..20);
    let (mut element, mut place, mut sum) = (sound.clone(), sound.clone(), sound);
    element.elements[3] = 99;
    place.places.clear();
    sum.fingerprint ^= 1;
    assert!(!element.is_sound() && !sum.is_sound());
    assert!(place.is_sound(), "without places it is slow and right");
}

#[test]
fn borrowed_forms_find_owned_elements() {
    for len in [3, 30] {
        let words = Indexed::from_different((0..len).map(|n: u8| n.to_string()));
        assert!(words.contains("2") && !words.contains(&String::from("99")));
    }
}

#[test]
fn places_come_ascending_and_pick_their_items() {
    let mut places = Places::among(&[(); 201]);
    for place in [200, 3, 64, 63, 130] {
        places.insert(place);
    }
    assert_eq!(places.count(), 5);
    assert_eq!(places.places().collect::<Vec<_>>(), [3, 63, 64, 130, 200]);
    assert_eq!(places.pick(0..201).collect::<Vec<_>>(), [3, 63, 64, 130, 200]);
}
