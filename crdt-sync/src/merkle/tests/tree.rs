//! The tree against a naive one, and the laws that comparison rests on.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{KEY, Replica};
use crate::merkle::cells::{Cell, Lanes};
use crate::merkle::prf::TreePrf;
use crate::merkle::{BucketTree, KeyHash, Prefix, TreeError};

/// Writes and removals of few keys, so that they meet.
fn edits() -> impl Strategy<Value = Vec<(u64, Option<u128>)>> {
    proptest::collection::vec((0_u64..40, proptest::option::of(0_u128..4)), 0..120)
}

fn apply(replica: &mut Replica, edits: &[(u64, Option<u128>)]) {
    for &(key, version) in edits {
        match version {
            Some(version) => replica.put(key, version),
            None => replica.remove(key),
        }
    }
}

/// Every node as the sum, carried out in the open, of the items below it.
fn naive_node(replica: &Replica, node: Prefix) -> Cell {
    let prf = TreePrf::new(&KEY);
    let below = replica.rows.iter().filter(|(hash, _)| node.contains(**hash));
    below.fold(Cell::default(), |sum, (hash, (_, version))| {
        let [mut low, mut high] = halves(sum.lanes.as_u128());
        let [item_low, item_high] = halves(prf.item(*hash, *version).as_u128());
        low = low.wrapping_add(item_low);
        high = high.wrapping_add(item_high);
        let lanes = Lanes::from_u128(u128::from(low) | u128::from(high) << 64);
        Cell { lanes, count: sum.count + 1 }
    })
}

fn halves(value: u128) -> [u64; 2] {
    let [low, high] = [value & u128::from(u64::MAX), value >> 64];
    [low, high].map(|half| u64::try_from(half).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_node_is_the_sum_of_its_items(first in edits(), second in edits(), leaf_bits in 1_u8..=3) {
        let mut replica = Replica::new(4 * leaf_bits);
        apply(&mut replica, &first);
        replica.tree.snapshot(); // so that the second half refreshes a refreshed tree
        apply(&mut replica, &second);
        let snapshot = replica.tree.snapshot();
        prop_assert_eq!(snapshot.root().count, replica.rows.len() as u64);
        for level in 0..=leaf_bits {
            for value in 0..1_u32 << (4 * level) {
                let node = Prefix::new(4 * level, value);
                if replica.rows.keys().any(|hash| node.contains(*hash)) || value % 97 == 0 {
                    prop_assert_eq!(snapshot.node(node), naive_node(&replica, node), "{}", node);
                }
            }
        }
    }

    #[test]
    fn the_tree_does_not_remember_how_it_came_about(edits in edits()) {
        let mut lived = Replica::new(8);
        apply(&mut lived, &edits);
        let rows: BTreeMap<_, _> = lived.rows.values().copied().collect();
        let mut built = Replica::of(8, rows.into_iter().rev());
        prop_assert!(lived.levels() == built.levels());
    }

    #[test]
    fn what_was_inserted_can_be_taken_out(before in edits(), keys in 100_u64..200, version: u128) {
        let mut replica = Replica::new(12);
        apply(&mut replica, &before);
        let snapshot = replica.tree.snapshot();
        for key in 100..keys {
            replica.put(key, version);
        }
        for key in 100..keys {
            replica.remove(key);
        }
        prop_assert!(replica.levels() == snapshot);
    }

    #[test]
    fn a_snapshot_stays_while_writes_go_on(before in edits(), after in edits()) {
        let mut replica = Replica::new(8);
        apply(&mut replica, &before);
        let mut untouched = Replica::new(8);
        apply(&mut untouched, &before);
        let snapshot = replica.tree.snapshot();
        apply(&mut replica, &after);
        let later = replica.tree.snapshot();
        prop_assert!(snapshot == untouched.levels());
        prop_assert_eq!(later == snapshot, replica.items() == untouched.items());
    }

    #[test]
    fn a_larger_tree_folds_to_a_smaller_one(edits in edits()) {
        let mut large = Replica::new(16);
        let mut small = Replica::new(8);
        apply(&mut large, &edits);
        apply(&mut small, &edits);
        prop_assert_eq!(large.tree.root(), small.tree.root());
        let (large, small) = (large.tree.snapshot(), small.tree.snapshot());
        for value in 0..1 << 8 {
            prop_assert_eq!(large.node(Prefix::new(8, value)), small.node(Prefix::new(8, value)));
        }
    }

    #[test]
    fn a_prefix_is_a_range_of_key_hashes(hash: u128, bits in 0_u8..=20) {
        let hash = KeyHash::from_u128(hash);
        let part = Prefix::of(hash, bits);
        prop_assert!(part.start() <= hash && hash <= part.end());
        prop_assert!(part.contains(part.start()) && part.contains(part.end()));
        let width = part.end().as_u128() - part.start().as_u128();
        prop_assert_eq!(width, u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0));
    }
}

#[test]
fn only_five_sizes_exist() {
    for leaf_bits in 0..=u8::MAX {
        let tree = BucketTree::new(&KEY, leaf_bits);
        assert_eq!(tree.is_ok(), [4, 8, 12, 16, 20].contains(&leaf_bits), "{leaf_bits}");
    }
}

#[test]
fn inserting_twice_is_not_inserting_once() {
    let mut replica = Replica::of(8, [(1, 1)]);
    let once = replica.tree.root();
    replica.tree.insert(replica.hash(1), 1).unwrap();
    assert_ne!(replica.tree.root(), once);
    assert_ne!(replica.tree.root().digest, 0, "a sum that cancels would be an exclusive or");
}

#[test]
fn removing_what_is_not_there_is_an_error_and_changes_nothing() {
    let mut replica = Replica::of(8, [(1, 1)]);
    let before = replica.tree.snapshot();
    let (held, other) = (replica.hash(1), replica.hash(2));
    let absent = |tree: &BucketTree, hash| Err(TreeError::Absent { leaf: tree.leaf_of(hash) });

    assert_ne!(replica.tree.leaf_of(held), replica.tree.leaf_of(other));
    assert_eq!(replica.tree.remove(other, 1), absent(&replica.tree, other), "an empty leaf");
    assert_eq!(replica.tree.remove(held, 2), absent(&replica.tree, held), "the only item is another");
    assert_eq!(replica.tree.replace(held, 2, 3), absent(&replica.tree, held));
    assert!(replica.levels() == before);
}

#[test]
fn a_leaf_that_went_wrong_is_rebuilt_from_its_items() {
    let mut replica = Replica::of(4, (0..100).map(|key| (key, 1)));
    let right = replica.tree.snapshot();
    let hash = replica.hash(5);
    replica.tree.remove(hash, 99).unwrap(); // cannot be noticed: the leaf holds other items
    assert_ne!(replica.tree.root(), right.root());

    let leaf = replica.tree.leaf_of(hash);
    let items: Vec<_> =
        replica.rows.range(leaf.start()..=leaf.end()).map(|(hash, row)| (*hash, row.1)).collect();
    assert_eq!(replica.tree.rebuild_leaf(leaf, items.iter().copied()), Ok(true));
    assert_eq!(replica.tree.rebuild_leaf(leaf, items.iter().copied()), Ok(false), "it was right by then");
    assert!(replica.levels() == right);

    let elsewhere = Prefix::new(4, (leaf.value() + 1) % 16);
    let wrong = Err(TreeError::WrongLeaf { leaf: elsewhere });
    assert_eq!(replica.tree.rebuild_leaf(elsewhere, items.iter().copied()), wrong);
    assert_eq!(replica.tree.rebuild_leaf(Prefix::ALL, []), Err(TreeError::WrongLeaf { leaf: Prefix::ALL }));
}

#[test]
fn another_key_makes_another_tree() {
    let other = crate::merkle::TreeKey::new([8; 16]);
    let mut theirs = BucketTree::new(&other, 8).unwrap();
    let ours = Replica::of(8, [(1, 1)]);
    theirs.insert(theirs.key_hash(&1_u64.to_le_bytes()), 1).unwrap();
    assert_ne!(theirs.root().digest, ours.tree.root().digest);
}

/// The digests travel and are stored: they must be the same on every platform and in every release.
/// The values come from an independent implementation of SipHash-2-4-128.
#[test]
fn digests_are_stable() {
    let mut tree = BucketTree::new(&KEY, 16).unwrap();
    let milk = tree.key_hash(b"milk");
    tree.insert(milk, 1).unwrap();
    tree.insert(tree.key_hash(b"bread"), u128::MAX).unwrap();
    assert_eq!(format!("{milk:?}"), "KeyHash(20b1d79415f02f66e2496a36f891c23b)");
    assert_eq!(format!("{:032x}", tree.root().digest), "5184d19c35a290b49a7cb552b6fa4366");
}
