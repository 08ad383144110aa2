//! What long histories and wide conflicts cost, counted in looks at versions.
//!
//! Peers were reported to need minutes for documents of thousands of revisions, almost all of it in
//! stemming.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{Crdt, DeltaCrdt, Limits};

use super::oracle::{KEY, Tree};
use super::tests::{chain, extend, ids};
use super::version::visits;
use super::{Claim, VersionId, common_ancestor};

/// Looks at versions, for each version of a history.
struct Cost(&'static str, u64);

impl Cost {
    fn of(what: &'static str, work: impl FnOnce()) -> Self {
        Self(what, visits::of(work))
    }
}

/// With ten times as many versions each work takes ten times as many looks, and a little more for
/// the logarithm in looking up.
fn assert_in_proportion(sizes: [usize; 3], costs: impl Fn(usize) -> Vec<Cost>) {
    let counted = sizes.map(|size| (size as u64, costs(size)));
    for (size, costs) in &counted {
        for Cost(what, looks) in costs {
            let allowed = 24 * (size + 10) * u64::from(size.ilog2() + 1);
            assert!(*looks <= allowed, "{what} of {size}: {looks} looks, {allowed} allowed");
        }
    }
    for pair in counted.windows(2) {
        let [(small, few), (large, many)] = pair else { continue };
        for (Cost(what, few), Cost(_, many)) in few.iter().zip(many) {
            let allowed = few * (large / small) * 3 / 2 + 1_000;
            assert!(*many <= allowed, "{what}: {few} looks at {small} versions became {many} at {large}");
        }
    }
}

#[test]
fn long_histories_cost_in_proportion_to_their_length() {
    assert_in_proportion([1_000, 10_000, 100_000], |revisions| {
        let tree = chain(revisions);
        let tip = *tree.leaves()[0].id();
        let half = {
            let mut half = Tree::default();
            extend(&mut half, revisions / 2);
            half
        };
        let behind = || half.clone();
        let bytes = tree.encode_for_key(KEY);
        let branch = tree.branch(&tip, &[]).unwrap();
        vec![
            Cost::of("put", || drop(chain(revisions))),
            Cost::of("merge", || assert!(behind().merge(&tree).is_changed())),
            Cost::of("merge into nothing", || assert!(Tree::default().merge(&tree).is_changed())),
            Cost::of("merge what is known", || assert!(!tree.clone().merge(&tree).is_changed())),
            Cost::of("merge and place", || assert!(behind().merge_placed(&tree).change.is_changed())),
            Cost::of("stem", || assert_eq!(tree.clone().stem(revisions / 2), revisions - revisions / 2 - 1)),
            Cost::of("encode", || drop(tree.encode_for_key(KEY))),
            Cost::of("decode", || {
                assert!(Tree::decode_for_key(KEY, &bytes, &Limits::default()).is_ok());
            }),
            Cost::of("history", || assert_eq!(tree.history(&tip).count(), revisions)),
            Cost::of("lineage", || assert_eq!(tree.lineage(&tip).count(), revisions)),
            Cost::of("delta", || {
                assert_eq!(tree.delta_since(&half.digest()).len(), revisions - revisions / 2);
            }),
            Cost::of("branch", || assert!(tree.branch(&tip, &[]).is_some())),
            Cost::of("insert branch", || {
                assert!(behind().insert_branch(KEY, branch.history(&tip).map(Claim::from)).is_ok());
            }),
            Cost::of("missing", || {
                assert_eq!(half.missing(&ids(tree.versions())).len(), revisions - revisions / 2);
            }),
        ]
    });
}

/// Versions that arrive a few at a time, as a log replays them, each batch on top of the last.
#[test]
fn small_batches_cost_in_proportion_to_what_they_bring() {
    assert_in_proportion([1_000, 10_000, 100_000], |revisions| {
        let tree = chain(revisions);
        let versions: Vec<_> = tree.versions().cloned().collect();
        let batches: Vec<_> = versions.chunks(4).map(|batch| Tree::from_sorted(batch.to_vec())).collect();
        let merge = || {
            let mut arrived = Tree::default();
            for batch in &batches {
                assert!(arrived.merge(batch).is_changed());
            }
            assert_eq!(arrived.len(), revisions);
        };
        vec![Cost::of("merge in batches", merge)]
    });
}

/// A thousand writers who saw the same version, and none of the others.
#[test]
fn wide_conflicts_cost_in_proportion_to_their_width() {
    assert_in_proportion([10, 100, 1_000], |branches| {
        let trunk = chain(10);
        let root = *trunk.leaves()[0].id();
        let bodies = || (0..u32::try_from(branches).unwrap()).map(|n| Some(n.to_le_bytes().to_vec()));
        let grow = || {
            let mut tree = trunk.clone();
            bodies().for_each(|body| drop(tree.put_branch(KEY, Some(&root), body, None)));
            tree
        };
        let tree = grow();
        let leaves: Vec<VersionId> = ids(tree.leaves());
        let bytes = tree.encode_for_key(KEY);
        vec![
            Cost::of("branch off", || drop(grow())),
            Cost::of("merge", || assert!(trunk.clone().merge(&tree).is_changed())),
            Cost::of("merge and place", || {
                assert_eq!(trunk.clone().merge_placed(&tree).places.len(), branches);
            }),
            Cost::of("stem", || assert_eq!(tree.clone().stem(5), 5)),
            Cost::of("decode", || assert!(Tree::decode_for_key(KEY, &bytes, &Limits::default()).is_ok())),
            Cost::of("winner and conflicts", || assert_eq!(tree.conflicts().count(), branches - 1)),
            Cost::of("common ancestor", || {
                assert_eq!(common_ancestor(&tree, &leaves).version.map(|version| *version.id()), Some(root));
            }),
            Cost::of("resolve", || assert!(tree.clone().supersede(KEY, &leaves, None, None).is_ok())),
        ]
    });
}
