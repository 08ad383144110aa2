//! What keeping a tree of `crdt-sync` up takes, step by step.

#![allow(
    clippy::cast_precision_loss,
    clippy::missing_panics_doc,
    reason = "figures for people, of writes that succeed"
)]

use std::hint::black_box;

use crdt_sync::merkle::{BucketTree, Change, KeyHash, TreeKey};

use super::cpu::Stopwatch;

/// How many writes a batch has.
const BATCH: usize = 1_000;

/// A tree of which every item is written once in each pass, in an order that has nothing to do with places in the tree.
pub struct Writes {
    tree: BucketTree,
    hashes: Vec<KeyHash>,
    version: u128,
}

impl Writes {
    /// A tree with `2^leaf_bits` leaves over so many items.
    pub fn new(leaf_bits: u8, items: u64) -> Self {
        let mut tree = BucketTree::new(&TreeKey::new([7; 16]), leaf_bits).expect("an allowed size");
        let hashes: Vec<_> = (0..items).map(|key| tree.key_hash(&key.to_le_bytes())).collect();
        for hash in &hashes {
            tree.insert(*hash, 1).expect("few enough items");
        }
        tree.refresh();
        Self { tree, hashes, version: 1 }
    }

    /// Nanoseconds for each write, one by one.
    pub fn alone(&mut self) -> f64 {
        self.pass(|tree, hashes, old| {
            let watch = Stopwatch::start();
            for hash in hashes {
                tree.replace(*hash, old, old + 1).expect("the item is there");
            }
            watch.nanoseconds()
        })
    }

    /// Nanoseconds for each write of a batch.
    pub fn in_batches(&mut self) -> f64 {
        self.pass(|tree, hashes, old| {
            let mut watch = Stopwatch::start();
            for hashes in hashes.chunks(BATCH) {
                let change =
                    |key_hash: &KeyHash| Change { key_hash: *key_hash, old: Some(old), new: Some(old + 1) };
                let batch: Vec<_> = watch.paused(|| hashes.iter().map(change).collect());
                tree.update_batch(&batch).expect("the items are there");
            }
            watch.nanoseconds()
        })
    }

    /// Nanoseconds for a write, bringing the inner nodes up to date, and the root.
    pub fn with_refresh(&mut self) -> f64 {
        self.pass(|tree, hashes, old| {
            let watch = Stopwatch::start();
            for hash in hashes {
                tree.replace(*hash, old, old + 1).expect("the item is there");
                tree.refresh();
                black_box(tree.root());
            }
            watch.nanoseconds()
        })
    }

    fn pass(&mut self, write_all: impl FnOnce(&mut BucketTree, &[KeyHash], u128) -> f64) -> f64 {
        let nanoseconds = write_all(&mut self.tree, &self.hashes, self.version);
        self.version += 1;
        self.tree.refresh();
        nanoseconds / self.hashes.len() as f64
    }
}
