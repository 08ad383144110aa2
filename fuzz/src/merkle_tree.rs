//! What became of a tree, against the items it should hold; and bytes that claim to be a tree.

use std::collections::BTreeMap;

use crdt_sync::merkle::{
    BucketTree, Change, Item, ItemSource, KeyHash, LazyTree, Prefix, Rotating, Scrub, TreeKey,
};
use siphasher::sip128::SipHasher24;

const KEY: TreeKey = TreeKey::new([7; 16]);
const NEXT: TreeKey = TreeKey::new([8; 16]);
/// Larger trees would make each run slow and show nothing else.
const MAX_LEAF_BITS: u8 = 12;

/// The items by the keyed hash of their key; a handle is the key.
#[derive(Default)]
struct Rows(BTreeMap<KeyHash, Item>);

impl ItemSource for Rows {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.0.range(part.start()..=part.end()).for_each(|(_, item)| f(*item));
    }
}

impl Rows {
    /// Sets or removes an item and says which versions it has before and after.
    fn change(&mut self, key_hash: KeyHash, handle: u64, new: Option<u128>) -> Change {
        let old = match new {
            Some(version) => self.0.insert(key_hash, Item { handle, key_hash, version }),
            None => self.0.remove(&key_hash),
        };
        Change { key_hash, old: old.map(|item| item.version), new }
    }

    fn tree(&self, key: &TreeKey, leaf_bits: u8) -> BucketTree {
        let mut tree = BucketTree::new(key, leaf_bits).expect("a size of the tree that lives");
        for item in self.0.values() {
            let key_hash = tree.key_hash(&item.handle.to_le_bytes());
            tree.insert(key_hash, item.version).expect("a few items fit");
        }
        tree
    }
}

/// After any history of writes, marks, growth, folds, scrubs, checkpoints and a change of key, a tree says what one
/// says that was built from the items at once: in its root, and in every leaf, as its checkpoint has them.
pub fn a_tree_says_what_its_items_say(bytes: &[u8]) {
    let mut tree = LazyTree::new(BucketTree::new(&KEY, 4).expect("four leaf bits are allowed"));
    let (mut rows, mut cursor) = (Rows::default(), Scrub::default());
    for step in bytes.chunks_exact(3) {
        let (what, key, more) = (step[0], u64::from(step[1]), step[2]);
        let key_hash = tree.key_hash(&key.to_le_bytes());
        let version = (more % 4 > 0).then_some(u128::from(more));
        match what % 8 {
            0..=2 => {
                let change = rows.change(key_hash, key, version);
                write(&mut tree, change);
            }
            3 => {
                rows.change(key_hash, key, version);
                tree.mark_dirty(key_hash);
            }
            4 => {
                let tree = tree.settle(&rows).expect("the source knows its leaves");
                if tree.leaf_bits() < MAX_LEAF_BITS {
                    tree.grow(&rows, more.into()).expect("the source is not stale");
                }
            }
            5 => {
                let tree = tree.settle(&rows).expect("the source knows its leaves");
                let to = more % 4 * 4;
                assert_eq!(tree.fold_to(to).is_ok(), to >= 4 && to <= tree.leaf_bits());
            }
            6 => {
                let tree = tree.settle(&rows).expect("the source knows its leaves");
                let found = tree.scrub(&mut cursor, &rows, more.into());
                assert!(found.expect("the source knows its leaves").mended.is_empty());
            }
            _ => {
                let settled = tree.settle(&rows).expect("the source knows its leaves");
                let bytes = settled.snapshot().encode_checkpoint(key);
                let reopened = BucketTree::decode_checkpoint(&KEY, &bytes);
                let (reopened, lsn) = reopened.expect("it was just written");
                assert_eq!(lsn, key);
                tree = LazyTree::new(reopened);
            }
        }
    }
    let settled = tree.settle(&rows).expect("the source knows its leaves");
    let leaf_bits = settled.leaf_bits();
    let lived = settled.snapshot().encode_checkpoint(0);
    assert_eq!(lived, rows.tree(&KEY, leaf_bits).snapshot().encode_checkpoint(0));
    let batched = batch(&rows, leaf_bits).snapshot().encode_checkpoint(0);
    assert_eq!(lived, batched);
    rotate(rows, leaf_bits, bytes);
}

fn write(tree: &mut LazyTree, Change { key_hash, old, new }: Change) {
    let written = match (old, new) {
        (Some(old), Some(new)) => tree.replace(key_hash, old, new),
        (None, Some(new)) => tree.insert(key_hash, new),
        (Some(old), None) => tree.remove(key_hash, old),
        (None, None) => Ok(()),
    };
    written.expect("the tree holds what the rows hold");
}

fn batch(rows: &Rows, leaf_bits: u8) -> BucketTree {
    let mut tree = BucketTree::new(&KEY, leaf_bits).expect("a size of the tree that lives");
    let insert = |item: &Item| Change { key_hash: item.key_hash, old: None, new: Some(item.version) };
    let changes: Vec<_> = rows.0.values().map(insert).collect();
    tree.update_batch(&changes).expect("a few items fit");
    tree
}

/// Changes the key while keys named by `bytes` are removed.
fn rotate(mut rows: Rows, leaf_bits: u8, bytes: &[u8]) {
    let mut rotating = Rotating::new(rows.tree(&KEY, leaf_bits), &NEXT);
    for key in bytes.iter().map(|byte| u64::from(*byte)) {
        let hashes = rotating.key_hashes(&key.to_le_bytes());
        if let Some(old) = rows.change(hashes.old, key, None).old {
            rotating.remove(hashes, old).expect("the tree holds what the rows hold");
        }
        rotating.step(&rows, 3, |item| item.handle.to_le_bytes()).expect("the source is not stale");
    }
    while !rotating.step(&rows, 1 << 8, |item| item.handle.to_le_bytes()).expect("not stale").finished {}
    let mut tree = rotating.finish().expect("it is complete");
    let scratch = rows.tree(&NEXT, leaf_bits).snapshot().encode_checkpoint(0);
    assert_eq!(tree.snapshot().encode_checkpoint(0), scratch);
}

/// Bytes are refused, or are exactly those that the tree they make would be written as; also under a checksum that
/// fits, and under the key's true name.
pub fn a_checkpoint_loads_only_from_its_one_encoding(bytes: &[u8]) {
    loads_as_written(bytes);
    let mut forged = bytes.to_vec();
    if let Some(id) = forged.get_mut(16..32) {
        let check = hash(&[7; 16], b"key check");
        id.copy_from_slice(&hash(&check, b"key id"));
    }
    let checksum = hash(b"merkle tree file", &forged);
    forged.extend_from_slice(&checksum);
    loads_as_written(&forged);
}

fn loads_as_written(bytes: &[u8]) {
    if let Ok((mut tree, lsn)) = BucketTree::decode_checkpoint(&KEY, bytes) {
        assert_eq!(tree.snapshot().encode_checkpoint(lsn), bytes);
    }
}

fn hash(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(key).hash(message).as_bytes()
}
