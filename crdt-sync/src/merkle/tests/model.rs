//! Whatever is done to a tree, in whatever order: it says what its items say.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{KEY, Replica};
use crate::merkle::{BatchError, BucketTree, Change, LazyTree, Scrub, TreeError};

#[derive(Clone, Debug)]
enum Step {
    Put(u64, u128),
    Remove(u64),
    Mark(u64, Option<u128>),
    Grow(u32),
    Fold(u8),
    Scrub(u32),
    Reopen(u64),
    Batch(u64, u128),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..60, 0_u128..4).prop_map(|(key, version)| Step::Put(key, version)),
        2 => (0_u64..60).prop_map(Step::Remove),
        2 => (0_u64..60, proptest::option::of(0_u128..4)).prop_map(|(key, to)| Step::Mark(key, to)),
        2 => (1_u32..300).prop_map(Step::Grow),
        1 => (1_u8..=3).prop_map(|level| Step::Fold(4 * level)),
        1 => (1_u32..40).prop_map(Step::Scrub),
        1 => any::<u64>().prop_map(Step::Reopen),
        1 => (0_u64..60, 0_u128..4).prop_map(|(first, version)| Step::Batch(first, version)),
        1 => Just(Step::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// The rows of `model` are the oracle; its own tree is not used.
    #[test]
    fn a_tree_that_lived_is_one_built_from_scratch(
        steps in proptest::collection::vec(step(), 0..60),
        leaf_bits in 1_u8..=2,
    ) {
        let mut model = Replica::new(4 * leaf_bits);
        let mut lazy = LazyTree::new(BucketTree::new(&KEY, 4 * leaf_bits).unwrap());
        let mut cursor = Scrub::default();
        for step in steps {
            match step {
                Step::Put(key, version) => {
                    let hash = model.hash(key);
                    match model.rows.insert(hash, (key, version)) {
                        Some((_, old)) => lazy.replace(hash, old, version).unwrap(),
                        None => lazy.insert(hash, version).unwrap(),
                    }
                }
                Step::Remove(key) => {
                    let hash = model.hash(key);
                    if let Some((_, old)) = model.rows.remove(&hash) {
                        lazy.remove(hash, old).unwrap();
                    }
                }
                Step::Mark(key, to) => {
                    let hash = model.hash(key);
                    lazy.mark_dirty(hash);
                    match to {
                        Some(version) => _ = model.rows.insert(hash, (key, version)),
                        None => _ = model.rows.remove(&hash),
                    }
                }
                Step::Grow(leaves) => {
                    let tree = lazy.settle(&model).unwrap();
                    if tree.leaf_bits() < 12 {
                        tree.grow(&model, leaves).unwrap();
                    }
                }
                Step::Fold(to) => {
                    let tree = lazy.settle(&model).unwrap();
                    prop_assert_eq!(tree.fold_to(to).is_ok(), to <= tree.leaf_bits());
                }
                Step::Scrub(leaves) => {
                    let found = lazy.settle(&model).unwrap().scrub(&mut cursor, &model, leaves).unwrap();
                    prop_assert_eq!(found.mended, []);
                }
                Step::Reopen(lsn) => {
                    let bytes = lazy.settle(&model).unwrap().snapshot().encode_checkpoint(lsn);
                    let (tree, read) = BucketTree::decode_checkpoint(&KEY, &bytes).unwrap();
                    prop_assert_eq!(read, lsn);
                    lazy = LazyTree::new(tree);
                }
                Step::Batch(first, version) => {
                    let tree = lazy.settle(&model).unwrap();
                    let changes: Vec<_> = (first..first + 20)
                        .map(|key| {
                            let key_hash = model.hash(key);
                            let old = model.rows.insert(key_hash, (key, version)).map(|(_, old)| old);
                            Change { key_hash, old, new: Some(version) }
                        })
                        .collect();
                    tree.update_batch(&changes).unwrap();
                }
                Step::Snapshot => {
                    let tree = lazy.settle(&model).unwrap();
                    let snapshot = tree.snapshot();
                    let mut scratch = Replica::of(tree.leaf_bits(), model.rows.values().copied());
                    prop_assert!(snapshot == scratch.tree.snapshot());
                }
            }
        }
        let tree = lazy.settle(&model).unwrap();
        let mut scratch = Replica::of(tree.leaf_bits(), model.rows.values().copied());
        prop_assert!(tree.snapshot() == scratch.tree.snapshot());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Against one change at a time; of a batch with a change that is refused nothing stays.
    #[test]
    fn a_batch_is_its_changes_or_nothing(
        changes in proptest::collection::vec(
            (0_u64..20, proptest::option::of(0_u128..2), proptest::option::of(0_u128..2)), 0..60),
        grown in proptest::option::of(1_u32..256),
    ) {
        let rows = || Replica::of(8, (0..10).map(|key| (key, 1)));
        let mut replica = rows();
        let change = |(key, old, new)| Change { key_hash: replica.hash(key), old, new };
        let changes: Vec<_> = changes.into_iter().map(change).collect();
        let refused = changes.iter().position(|&Change { key_hash, old, new }| {
            let tree = &mut replica.tree;
            let result = match (old, new) {
                (Some(old), Some(new)) => tree.replace(key_hash, old, new),
                (None, Some(new)) => tree.insert(key_hash, new),
                (Some(old), None) => tree.remove(key_hash, old),
                (None, None) => Ok(()),
            };
            result.is_err()
        });
        let mut batched = rows().tree;
        if let Some(leaves) = grown {
            batched.grow(&rows(), leaves).unwrap();
        }
        match batched.update_batch(&changes) {
            Ok(()) => {
                prop_assert_eq!(refused, None);
                prop_assert!(batched.snapshot() == replica.tree.snapshot());
            }
            // While a tree grows, its finer leaves see mistakes that its leaves do not.
            Err(BatchError { at, error }) => {
                let refused = refused.unwrap_or(changes.len());
                prop_assert!(at == refused || grown.is_some() && at < refused);
                prop_assert!(matches!(error, TreeError::Absent { .. }), "{}", error);
                prop_assert!(batched.snapshot() == rows().tree.snapshot());
            }
        }
    }
}
