use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

/// Dense enough to meet often, wide enough to leap.
fn arb_map(most: usize) -> impl Strategy<Value = BTreeMap<ReplicaId, u8>> {
    btree_map((0_u8..100).prop_map(id), 1_u8..5, 0..most)
}

/// All bytes differ, so that comparing from the wrong end shows.
fn id(n: u8) -> ReplicaId {
    ReplicaId::from_bytes([n, n ^ 0xff, n, n, n, n, n, n, n, n, n, n, n, n, n.reverse_bits(), !n])
}

fn of(naive: &BTreeMap<ReplicaId, u8>) -> ByReplica<u8> {
    ByReplica::from_ascending(naive.iter().map(|(replica, value)| (*replica, *value)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what joins also joins what cannot be copied")]
fn raise(mine: &mut u8, theirs: &u8) -> bool {
    let further = theirs > mine;
    *mine = *theirs.max(mine);
    further
}

fn naive_is_at_most(left: &BTreeMap<ReplicaId, u8>, right: &BTreeMap<ReplicaId, u8>) -> bool {
    left.iter().all(|(replica, value)| right.get(replica).is_some_and(|other| value <= other))
}

fn check(left: &BTreeMap<ReplicaId, u8>, right: &BTreeMap<ReplicaId, u8>) -> Result<(), TestCaseError> {
    let mut merged = left.clone();
    for (replica, value) in right {
        merged.entry(*replica).and_modify(|mine| *mine = (*mine).max(*value)).or_insert(*value);
    }
    let (ours, theirs) = (of(left), of(right));
    let mut ours_merged = ours.clone();
    prop_assert_eq!(ours_merged.merge_with(&theirs, raise).is_changed(), merged != *left);
    prop_assert!(ours_merged == of(&merged));

    let order = order_from(naive_is_at_most(left, right), naive_is_at_most(right, left));
    prop_assert_eq!(ours.compare_with(&theirs, |mine, theirs| Some(mine.cmp(theirs))), order);

    let beside: Vec<_> =
        ours.beside(&theirs).map(|(replica, _, theirs)| (replica, theirs.copied())).collect();
    let naive: Vec<_> = left.keys().map(|replica| (*replica, right.get(replica).copied())).collect();
    prop_assert_eq!(beside, naive);
    Ok(())
}

proptest! {
    #[test]
    fn it_does_what_an_ordinary_map_does(left in arb_map(80), right in arb_map(80), few in arb_map(12)) {
        check(&left, &right)?;
        check(&left, &few)?;
        check(&few, &left)?;
        check(&left, &left)?;
    }

    #[test]
    fn it_counts_what_is_below(naive in arb_map(80), n in 0_u8..=100) {
        let below = naive.keys().filter(|replica| **replica < id(n)).count();
        prop_assert_eq!(count_below(&of(&naive).entries, id(n)), below);
    }
}

#[test]
fn the_order_of_ids_is_the_order_of_their_bytes() {
    let bytes = [[0_u8; 16], [1; 16], [0xff; 16], id(3).as_bytes().to_owned(), id(200).as_bytes().to_owned()];
    for left in bytes {
        for right in bytes {
            let ids = (ReplicaId::from_bytes(left), ReplicaId::from_bytes(right));
            assert_eq!(ids.0.cmp(&ids.1), left.cmp(&right));
        }
    }
}
