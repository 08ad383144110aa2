//! The tree against sorted rows, and the laws that comparison rests on.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{KEY, Replica, Row, key, key_range};
use crate::merkle::{BucketTree, Root};
use crate::range::tree::check_shape;
use crate::range::{KeyRange, RangeSnapshot, RangeTree, TreeError};

/// Writes and removals.
fn edits(most: usize) -> impl Strategy<Value = Vec<(Vec<u8>, Option<u128>)>> {
    proptest::collection::vec((key(), proptest::option::weighted(0.7, 0_u128..4)), 0..most)
}

fn apply(replica: &mut Replica, edits: &[(Vec<u8>, Option<u128>)]) {
    for (key, version) in edits {
        match version {
            Some(version) => replica.put(key, *version),
            None => replica.remove(key),
        }
    }
}

/// The sum, carried out in the open, of a bucket tree's weights.
fn naive_root(rows: impl IntoIterator<Item = Row>) -> Root {
    let tree = BucketTree::new(&KEY, 4).unwrap();
    let weight = |(key, version): Row| tree.weight(tree.key_hash(&key), version);
    rows.into_iter().map(weight).fold(Root::default(), Root::with)
}

fn content(tree: &RangeSnapshot) -> Vec<Row> {
    tree.range(&KeyRange::all()).map(|(key, version)| (key.into(), version)).collect()
}

proptest! {
    #[test]
    fn every_answer_is_that_of_sorted_rows(
        edits in edits(600),
        ranges in proptest::collection::vec(key_range(), 1..8),
        probe in key(),
    ) {
        let mut replica = Replica::new();
        apply(&mut replica, &edits);
        let tree = &replica.tree;
        check_shape(tree);
        prop_assert_eq!(tree.len(), replica.rows.len() as u64);
        prop_assert_eq!(tree.get(&probe), replica.rows.get(&probe).copied());
        prop_assert_eq!(tree.rank(&probe), replica.rows.range(..probe).count() as u64);
        for (rank, (key, version)) in replica.rows.iter().enumerate() {
            prop_assert_eq!(tree.select(rank as u64), Some((&key[..], *version)));
        }
        prop_assert_eq!(tree.select(tree.len()), None);
        for range in &ranges {
            let expected = replica.rows_in(range);
            let items = tree.range(range);
            prop_assert_eq!(items.len(), expected.len());
            prop_assert!(items.eq(expected.iter().map(|(key, version)| (&key[..], *version))));
            prop_assert_eq!(tree.aggregate(range), naive_root(expected));
        }
    }

    #[test]
    fn no_answer_depends_on_how_the_tree_came_about(edits in edits(600), range in key_range()) {
        let mut lived = Replica::new();
        apply(&mut lived, &edits);
        let ascending = Replica::of(lived.rows.clone());
        let descending = Replica::of(lived.rows.clone().into_iter().rev());
        for other in [&ascending, &descending] {
            check_shape(&other.tree);
            prop_assert_eq!(other.tree.root(), lived.tree.root());
            prop_assert_eq!(other.tree.aggregate(&range), lived.tree.aggregate(&range));
            prop_assert_eq!(other.tree.rank(range.start()), lived.tree.rank(range.start()));
            prop_assert_eq!(content(&other.tree), content(&lived.tree));
        }
    }

    #[test]
    fn a_snapshot_stays_while_writes_go_on(before in edits(400), after in edits(400)) {
        let mut replica = Replica::new();
        apply(&mut replica, &before);
        let (snapshot, rows, root) = (replica.tree.snapshot(), replica.rows.clone(), replica.tree.root());
        apply(&mut replica, &after);
        prop_assert_eq!(content(&snapshot), rows.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(snapshot.root(), root);
        check_shape(&snapshot);
        check_shape(&replica.tree);
    }

    #[test]
    fn ranges_contain_what_lies_between_their_bounds(a in key_range(), b in key_range(), key in key()) {
        let both = a.intersection(&b);
        prop_assert_eq!(both.contains(&key), a.contains(&key) && b.contains(&key));
        prop_assert!(a.covers(&both) && b.covers(&both));
        prop_assert!(!both.is_empty() || !both.contains(&key));
        if a.contains(&key) && !b.contains(&key) {
            prop_assert!(!b.covers(&a));
        }
    }

    #[test]
    fn a_prefix_is_a_range(prefix in key(), key in key()) {
        let range = KeyRange::prefix(&prefix).unwrap();
        prop_assert_eq!(range.contains(&key), key.starts_with(&prefix));
    }
}

/// Large enough for four levels, and emptied again.
#[test]
fn a_large_tree_grows_and_shrinks_in_shape() {
    let scattered = |at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes();
    let mut tree = RangeTree::new(&KEY);
    for at in 0..30_000 {
        tree.insert(&scattered(at), 1).unwrap();
        if at % 5_000 == 0 {
            check_shape(&tree);
        }
    }
    check_shape(&tree);
    for at in 0..30_000 {
        assert_eq!(tree.remove(&scattered(at)), Some(1));
        if at % 1_000 == 0 {
            check_shape(&tree);
        }
    }
    assert_eq!(tree.root(), Root::default());
    assert!(tree.heap_bytes() < 10_000, "one leaf is left");

    for at in 0..30_000_u32 {
        tree.insert(&at.to_be_bytes(), 1).unwrap();
    }
    check_shape(&tree);
    for at in (0..30_000_u32).rev() {
        tree.remove(&at.to_be_bytes());
        if at % 1_000 == 0 {
            check_shape(&tree);
        }
    }
    assert!(tree.is_empty());
}

#[test]
fn sums_are_those_of_a_bucket_tree() {
    let mut buckets = BucketTree::new(&KEY, 8).unwrap();
    let mut ranges = RangeTree::new(&KEY);
    for at in 0..1_000_u32 {
        buckets.insert(buckets.key_hash(&at.to_be_bytes()), 5).unwrap();
        ranges.insert(&at.to_be_bytes(), 5).unwrap();
    }
    assert_eq!(ranges.root(), buckets.root());
}

#[test]
fn what_was_inserted_can_be_taken_out() {
    let mut tree = RangeTree::new(&KEY);
    tree.insert(b"milk", 1).unwrap();
    let before = tree.root();
    assert_eq!(tree.insert(b"bread", 2), Ok(None));
    assert_eq!(tree.insert(b"bread", 3), Ok(Some(2)));
    assert_eq!(tree.remove(b"bread"), Some(3));
    assert_eq!(tree.remove(b"bread"), None);
    assert_eq!(tree.root(), before);
}

#[test]
fn what_a_tree_refuses_leaves_it_as_it_was() {
    let mut tree = RangeTree::new(&KEY);
    tree.insert(b"milk", 1).unwrap();
    let before = tree.root();
    let long = vec![b'k'; RangeTree::MAX_KEY_BYTES + 1];
    assert_eq!(tree.insert(&long, 1), Err(TreeError::KeyTooLong { len: 1_025 }));
    assert_eq!(tree.replace(b"milk", 2, 3), Err(TreeError::Absent));
    assert_eq!(tree.replace(b"bread", 1, 2), Err(TreeError::Absent));
    assert_eq!(tree.root(), before);
    assert_eq!(tree.replace(b"milk", 1, 2), Ok(()));
    assert_eq!(tree.get(b"milk"), Some(2));
    assert_eq!(tree.insert(&long[1..], 1), Ok(None), "the longest key");

    assert_eq!(KeyRange::prefix(&long), Err(TreeError::KeyTooLong { len: 1_025 }));
    assert_eq!(KeyRange::new(b"b", Some(b"a")), Err(TreeError::Reversed));
    assert!(KeyRange::new(b"b", Some(b"b")).unwrap().is_empty());
}

/// The count is 32 bits wide on the wire. Four thousand million insertions would take too long, so
/// the count is forged.
#[test]
fn a_full_tree_takes_no_further_key() {
    let mut tree = RangeTree::new(&KEY);
    tree.insert(b"milk", 1).unwrap();
    tree.forge_count(u32::MAX);
    assert_eq!(tree.insert(b"bread", 1), Err(TreeError::Full));
    assert_eq!(tree.insert(b"milk", 2), Ok(Some(1)), "a key that is there already");
}

/// A write copies the nodes on its way that a snapshot shares, and no others: the rest stays shared.
#[test]
fn a_write_copies_one_path() {
    let mut tree = RangeTree::new(&KEY);
    for at in 0..10_000_u32 {
        tree.insert(&at.to_be_bytes(), 1).unwrap();
    }
    let snapshot = tree.snapshot();
    assert_eq!(tree.nodes_not_in(&snapshot), 0);
    tree.insert(&5_000_u32.to_be_bytes(), 2).unwrap();
    assert_eq!(tree.nodes_not_in(&snapshot), 3, "root, inner node, leaf");
    tree.insert(&5_000_u32.to_be_bytes(), 3).unwrap();
    assert_eq!(tree.nodes_not_in(&snapshot), 3, "copied already");
    assert_eq!(tree.remove(b"absent"), None);
    assert_eq!(tree.nodes_not_in(&snapshot), 3, "nothing to change");
}

/// What the documentation says about memory: `cargo test -p crdt-sync memory_per_key`.
#[test]
fn memory_per_key_stays_within_its_bounds() {
    const ITEMS: usize = 100_000;
    let mut ascending = RangeTree::new(&KEY);
    let mut random = RangeTree::new(&KEY);
    for at in 0..ITEMS as u128 {
        ascending.insert(&at.to_be_bytes(), 1).unwrap();
        let scattered = at.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        random.insert(&scattered.to_be_bytes(), 1).unwrap();
    }
    let [ascending, random] = [ascending.heap_bytes(), random.heap_bytes()].map(|bytes| bytes / ITEMS);
    assert!((52..56).contains(&ascending), "{ascending} bytes per key");
    assert!((56..62).contains(&random), "{random} bytes per key");
}

/// The digests travel and are stored: they must be the same on every platform and in every release.
/// The value is that of the bucket tree's test, which comes from an independent implementation.
#[test]
fn digests_are_stable() {
    let tree = Replica::of([("milk", 1), ("bread", u128::MAX)]).tree;
    assert_eq!(format!("{:032x}", tree.root().digest), "5184d19c35a290b49a7cb552b6fa4366");
}
