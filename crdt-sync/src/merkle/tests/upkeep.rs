//! Marks, scrubs, growth, folding and merging, each by name.

use alloc::vec::Vec;
use core::cell::Cell as Counter;

use super::support::{KEY, Replica, run};
use crate::merkle::{
    BucketTree, Growth, Item, ItemSource, LazyTree, Outcome, Prefix, Resize, Scrub, Scrubbed, TreeError,
    TreeKey,
};

/// A source that counts what it is asked for.
struct Counting<'a> {
    replica: &'a Replica,
    looks: Counter<u64>,
    items: Counter<u64>,
}

impl<'a> Counting<'a> {
    fn of(replica: &'a Replica) -> Self {
        Self { replica, looks: Counter::new(0), items: Counter::new(0) }
    }
}

impl ItemSource for Counting<'_> {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.looks.set(self.looks.get() + 1);
        self.replica.for_each_in(part, &mut |item| {
            self.items.set(self.items.get() + 1);
            f(item);
        });
    }
}

/// A source that gives every item for every part of the tree.
struct Careless<'a>(&'a Replica);

impl ItemSource for Careless<'_> {
    fn for_each_in(&self, _: Prefix, f: &mut dyn FnMut(Item)) {
        self.0.for_each_in(Prefix::ALL, f);
    }
}

/// A source that does so from some leaf of a tree with eight leaf bits on.
struct CarelessFrom<'a>(&'a Replica, u32);

impl ItemSource for CarelessFrom<'_> {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        let part = if part.value() < self.1 { part } else { Prefix::ALL };
        self.0.for_each_in(part, f);
    }
}

fn hundred(leaf_bits: u8) -> Replica {
    Replica::of(leaf_bits, (0..100).map(|key| (key, 1)))
}

/// A whole pass, in slices of `leaves`.
fn scrub(tree: &mut BucketTree, source: &dyn ItemSource, leaves: u32) -> Vec<Scrubbed> {
    let (mut cursor, mut slices) = (Scrub::default(), Vec::new());
    while slices.last().is_none_or(|slice: &Scrubbed| !slice.finished) {
        slices.push(tree.scrub(&mut cursor, source, leaves).unwrap());
    }
    assert_eq!(cursor, Scrub::default(), "the next pass begins at the beginning");
    slices
}

fn grow(tree: &mut BucketTree, source: &dyn ItemSource) {
    while !tree.grow(source, 1).unwrap().finished {}
}

#[test]
fn a_write_that_does_not_know_the_old_version_gives_the_same_root_as_one_that_does() {
    let mut knowing = hundred(8);
    let mut lazy = LazyTree::new(hundred(8).tree);
    for key in 0..10 {
        knowing.put(key, 2);
        lazy.mark_dirty(knowing.hash(key));
    }
    knowing.remove(10);
    lazy.mark_dirty(knowing.hash(10));
    knowing.put(100, 1);
    lazy.mark_dirty(knowing.hash(100));

    let unsettled = lazy.unsettled();
    assert!((1..=12).contains(&unsettled));
    assert_eq!(lazy.settled().err(), Some(TreeError::Unsettled { leaves: unsettled }));
    let source = Counting::of(&knowing);
    let settled = lazy.settle(&source).unwrap().snapshot();
    assert_eq!(source.looks.get(), unsettled as u64, "each leaf is read once");
    assert!(settled == knowing.tree.snapshot());
    assert!(lazy.settled().is_ok());
}

#[test]
fn known_writes_to_a_leaf_that_is_set_aside_are_not_counted_twice() {
    let mut replica = hundred(4);
    let mut lazy = LazyTree::new(hundred(4).tree);
    let (marked, leaf) = (replica.hash(1), replica.tree.leaf_of(replica.hash(1)));
    lazy.mark_leaf(leaf).unwrap();
    for key in 0..100 {
        replica.put(key, 2);
        lazy.replace(replica.hash(key), 1, 2).unwrap();
    }
    lazy.insert(marked, 7).unwrap();
    lazy.remove(marked, 99).unwrap();
    assert!(lazy.settle(&replica).unwrap().snapshot() == replica.tree.snapshot());
    assert_eq!(lazy.mark_leaf(Prefix::ALL), Err(TreeError::WrongLeaf { leaf: Prefix::ALL }));
}

#[test]
fn leaves_can_be_settled_a_few_at_a_time() {
    let replica = hundred(8);
    let mut lazy = LazyTree::new(BucketTree::new(&KEY, 8).unwrap());
    (0..100).for_each(|key| lazy.mark_dirty(replica.hash(key)));
    let leaves = lazy.unsettled();
    lazy.settle_some(&replica, 3).unwrap();
    assert_eq!(lazy.unsettled(), leaves - 3);
    assert!(matches!(lazy.settle(&Careless(&replica)), Err(TreeError::WrongLeaf { .. })));
    assert_eq!(lazy.unsettled(), leaves - 3, "what could not be recomputed stays aside");
    assert_eq!(lazy.settle(&replica).unwrap().root(), replica.tree.root());
}

#[test]
fn a_scrub_finds_what_a_stale_source_hid() {
    let stale = hundred(8);
    let mut replica = hundred(8);
    replica.put(5, 2);
    let mut lazy = LazyTree::new(hundred(8).tree);
    lazy.mark_dirty(replica.hash(5));
    let tree = lazy.settle(&stale).unwrap(); // does not show the write yet
    assert_ne!(tree.root(), replica.tree.root());

    let source = Counting::of(&replica);
    let slices = scrub(tree, &source, 100);
    assert_eq!(slices.iter().map(|slice| slice.leaves).collect::<Vec<_>>(), [100, 100, 56]);
    assert_eq!((source.looks.get(), source.items.get()), (256, 100), "each leaf and item once");
    assert_eq!(slices.iter().map(|slice| slice.items).sum::<u64>(), 100);
    let mended: Vec<_> = slices.iter().flat_map(|slice| &slice.mended).map(|mended| mended.node).collect();
    assert_eq!(mended, [replica.tree.leaf_of(replica.hash(5))]);
    assert!(tree.snapshot() == replica.tree.snapshot());
    assert!(scrub(tree, &replica, 100).iter().all(|slice| slice.mended.is_empty()));
}

/// One bit of every node, each time another one, on a small tree.
#[test]
fn a_flipped_bit_in_any_node_is_found_and_mended() {
    let mut replica = hundred(8);
    let right = replica.tree.snapshot();
    let nodes = [0, 4, 8].into_iter().flat_map(|bits| (0..1 << bits).map(move |at| Prefix::new(bits, at)));
    for (bit, node) in (0_u32..).zip(nodes) {
        let (bit, mut cell) = (bit % 160, right.node(node));
        if bit < 128 {
            cell.lanes = crate::merkle::cells::Lanes::from_u128(cell.lanes.as_u128() ^ 1 << bit);
        } else {
            cell.count ^= 1 << (bit - 128);
        }
        replica.tree.levels.set_node(node, cell);
        assert!(replica.tree.snapshot() != right);
        let mut tree = core::mem::replace(&mut replica.tree, BucketTree::new(&KEY, 8).unwrap());
        let found = scrub(&mut tree, &replica, 7);
        replica.tree = tree;
        assert!(found.iter().flat_map(|slice| &slice.mended).any(|mended| mended.node == node), "{node}");
        assert!(replica.tree.snapshot() == right, "{node}");
    }
}

#[test]
fn a_scrub_stops_at_a_source_that_confuses_leaves_and_goes_on_there() {
    let mut replica = hundred(8);
    let mut cursor = Scrub::default();
    let mut tree = core::mem::replace(&mut replica.tree, BucketTree::new(&KEY, 8).unwrap());
    tree.scrub(&mut cursor, &replica, 10).unwrap();
    let leaf = Prefix::new(8, 10);
    assert_eq!(tree.scrub(&mut cursor, &Careless(&replica), 10).err(), Some(TreeError::WrongLeaf { leaf }));
    let rest = tree.scrub(&mut cursor, &replica, 1_000).unwrap();
    assert_eq!((rest.leaves, rest.finished), (246, true));

    // What was mended before such a leaf is reported first.
    let wrong = (0..100).map(|key| replica.hash(key)).min().unwrap();
    tree.insert(wrong, 7).unwrap();
    let leaf = tree.leaf_of(wrong);
    let source = CarelessFrom(&replica, leaf.value() + 1);
    let found = tree.scrub(&mut cursor, &source, 1_000).unwrap();
    assert_eq!((found.leaves, found.finished), (leaf.value() + 1, false));
    assert_eq!(found.mended.first().map(|mended| mended.node), Some(leaf));
    let next = Prefix::new(8, leaf.value() + 1);
    assert_eq!(tree.scrub(&mut cursor, &source, 1_000), Err(TreeError::WrongLeaf { leaf: next }));
}

#[test]
fn a_scrub_goes_on_in_a_tree_that_grew_meanwhile() {
    let replica = hundred(4);
    let mut tree = hundred(4).tree;
    let mut cursor = Scrub::default();
    tree.scrub(&mut cursor, &replica, 4).unwrap();
    grow(&mut tree, &replica);
    let rest = tree.scrub(&mut cursor, &replica, 1_000).unwrap();
    assert_eq!((rest.leaves, rest.finished), (12 * 16, true));
}

/// One leaf is split per write, between the writes everything is as ever, and no step reads more
/// than its leaf.
#[test]
fn a_tree_grows_while_it_is_written() {
    let mut replica = Replica::of(8, (0..1_000).map(|key| (key, 1)));
    let mut tree = Replica::of(8, (0..1_000).map(|key| (key, 1))).tree;
    for write in 0.. {
        let key = write * 7 % 1_100;
        match replica.rows.get(&replica.hash(key)) {
            Some(&(_, old)) if write % 3 == 0 => tree.remove(replica.hash(key), old).unwrap(),
            Some(&(_, old)) => tree.replace(replica.hash(key), old, old + 1).unwrap(),
            None => tree.insert(replica.hash(key), 1).unwrap(),
        }
        match replica.rows.get(&replica.hash(key)) {
            Some(_) if write % 3 == 0 => replica.remove(key),
            Some(&(_, old)) => replica.put(key, old + 1),
            None => replica.put(key, 1),
        }

        let leaf = Prefix::new(8, u32::try_from(write).unwrap());
        let below = replica.rows.range(leaf.start()..=leaf.end()).count() as u64;
        let source = Counting::of(&replica);
        let step = tree.grow(&source, 1).unwrap();
        assert_eq!(step, Growth { leaves: 1, items: below, finished: write == 255 });
        assert_eq!((source.looks.get(), source.items.get()), (1, below));
        assert_eq!(tree.root(), replica.tree.root());
        if step.finished {
            break;
        }
        assert_eq!(tree.leaf_bits(), 8);
        if write % 50 == 0 {
            assert!(tree.snapshot() == replica.tree.snapshot(), "sessions do not notice");
        }
    }
    assert_eq!(tree.leaf_bits(), 12);
    let mut scratch = Replica::of(12, replica.rows.values().copied());
    assert!(tree.snapshot() == scratch.tree.snapshot());
    assert_eq!(run(&mut scratch, &mut replica).initiator.outcome(), Some(&Outcome::Converged));
}

#[test]
fn growth_stops_at_a_leaf_that_the_source_knows_otherwise() {
    let mut replica = hundred(4);
    let mut tree = hundred(4).tree;
    replica.put(5, 2); // the tree was not told
    let leaf = tree.leaf_of(replica.hash(5));
    let error = loop {
        match tree.grow(&replica, 16) {
            Ok(step) => assert!(!step.finished),
            Err(error) => break error,
        }
    };
    assert_eq!(error, TreeError::Stale { leaf });
    assert_eq!(tree.resize_due(), Some(Resize::Grow), "it has begun");
    tree.replace(replica.hash(5), 1, 2).unwrap();
    grow(&mut tree, &replica);
    assert!(tree.snapshot() == Replica::of(8, replica.rows.values().copied()).tree.snapshot());
}

#[test]
fn a_leaf_rebuilt_while_the_tree_grows_is_rebuilt_on_both_levels() {
    let replica = hundred(4);
    let mut tree = hundred(4).tree;
    tree.grow(&replica, 16 - 1).unwrap();
    let hash = replica.hash(5);
    let leaf = tree.leaf_of(hash);
    // What the finer level can tell, the coarser one could not: none of its leaves holds that item.
    let _ = tree.remove(hash, 99);
    tree.rebuild_leaf(leaf, replica.rows.range(leaf.start()..=leaf.end()).map(|(hash, row)| (*hash, row.1)))
        .unwrap();
    grow(&mut tree, &replica);
    assert!(tree.snapshot() == hundred(8).tree.snapshot());
}

#[test]
fn growth_can_be_given_up() {
    let replica = hundred(4);
    let mut tree = hundred(4).tree;
    tree.grow(&replica, 3).unwrap();
    assert_eq!(tree.resize_due(), Some(Resize::Grow));
    tree.stop_growth();
    assert_eq!(tree.resize_due(), None, "100 items in 16 leaves are few enough");
    assert!(tree.snapshot() == hundred(4).tree.snapshot());
}

#[test]
fn the_largest_tree_does_not_grow_and_no_tree_folds_upwards() {
    let mut tree = BucketTree::new(&KEY, 20).unwrap();
    assert_eq!(tree.grow(&hundred(4), 1), Err(TreeError::LeafBits { leaf_bits: 24 }));
    let mut small = BucketTree::new(&KEY, 8).unwrap();
    assert_eq!(small.fold_to(12), Err(TreeError::LeafBits { leaf_bits: 12 }));
    assert_eq!(small.fold_to(7), Err(TreeError::LeafBits { leaf_bits: 7 }));
}

#[test]
fn a_tree_that_was_folded_is_the_smaller_tree() {
    let mut tree = hundred(16).tree;
    tree.fold_to(8).unwrap();
    assert!(tree.snapshot() == hundred(8).tree.snapshot());
    let mut replica = hundred(8);
    replica.put(1, 9);
    tree.replace(replica.hash(1), 1, 9).unwrap();
    assert!(tree.snapshot() == replica.tree.snapshot());
}

#[test]
fn a_tree_asks_to_be_resized_only_when_it_is_far_off() {
    let due = |leaf_bits, items: u64| {
        let mut tree = BucketTree::new(&KEY, leaf_bits).unwrap();
        let hash = tree.key_hash(b"one");
        (0..items).for_each(|version| tree.insert(hash, version.into()).unwrap());
        tree.resize_due()
    };
    assert_eq!(due(4, 0), None);
    assert_eq!(due(4, 1_039), None);
    assert_eq!(due(4, 1_040), Some(Resize::Grow));
    assert_eq!(due(8, 1_040), None);
    assert_eq!(due(8, 65), None);
    assert_eq!(due(8, 64), Some(Resize::Fold { leaf_bits: 4 }));
    assert_eq!(due(16, 64), Some(Resize::Fold { leaf_bits: 4 }));
}

/// Two clusters that cut the same data into different partitions.
#[test]
fn clusters_with_different_partitions_compare_equal() {
    let rows = |from: u64, to: u64| Replica::of(12, (from..to).map(|key| (key, u128::from(key) % 3)));
    let merged = |parts: &mut [Replica]| {
        let mut whole = BucketTree::new(&KEY, 8).unwrap();
        for part in parts {
            whole.merge_from(&part.tree.snapshot()).unwrap();
        }
        whole
    };
    let mut three = merged(&mut [rows(0, 10), rows(10, 300), rows(300, 500)]);
    let mut five =
        merged(&mut [rows(400, 500), rows(0, 200), rows(200, 201), rows(201, 201), rows(201, 400)]);
    assert!(three.snapshot() == five.snapshot());
    let mut whole = rows(0, 500);
    whole.tree.fold_to(8).unwrap();
    assert!(three.snapshot() == whole.tree.snapshot());
}

#[test]
fn trees_that_cannot_be_merged_stay_as_they_are() {
    let mut tree = hundred(8).tree;
    let before = tree.snapshot();
    let mut other = BucketTree::new(&TreeKey::new([8; 16]), 8).unwrap();
    assert_eq!(tree.merge_from(&other.snapshot()), Err(TreeError::OtherKey));
    let mut coarse = hundred(4).tree;
    assert_eq!(tree.merge_from(&coarse.snapshot()), Err(TreeError::Coarser { leaf_bits: 4 }));
    let mut root = coarse.snapshot().node(Prefix::ALL);
    root.count = u32::MAX;
    let mut full = hundred(8).tree;
    full.levels.set_node(Prefix::ALL, root);
    assert_eq!(tree.merge_from(&full.snapshot()), Err(TreeError::Full));
    assert!(tree.snapshot() == before);
}

#[test]
fn a_merge_in_the_middle_of_growth_starts_the_growth_over() {
    let mut replica = hundred(4);
    let mut tree = hundred(4).tree;
    tree.grow(&replica, 8).unwrap();
    tree.merge_from(&Replica::of(4, (100..150).map(|key| (key, 1))).tree.snapshot()).unwrap();
    (100..150).for_each(|key| replica.put(key, 1));
    grow(&mut tree, &replica);
    assert!(tree.snapshot() == Replica::of(8, (0..150).map(|key| (key, 1))).tree.snapshot());
}
