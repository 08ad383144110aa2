//! `rs_merkle` 1.5, as trees of hashes are often compared: roots first, and where they differ, all leaves.
//!
//! A leaf stands for the items whose keys share their top bits, 15 to 29 of them.

use std::borrow::Cow;

use rs_merkle::{Hasher, MerkleTree, algorithms::Sha256};

use super::cpu::Stopwatch;
use super::listing::{Listing, read, read_entry, read_positions, write_entry, write_positions};
use super::{Candidate, Entry, Found, Key, Updating};

/// A tree over buckets, and the items.
pub struct WholeTree {
    tree: MerkleTree<Sha256>,
    leaves: Vec<[u8; 32]>,
    items: Listing,
}

const ITEMS_PER_LEAF: usize = 16;
const SAME: usize = 1;

impl Candidate for WholeTree {
    const NAME: &'static str = "rs_merkle";
    type Summary = MerkleTree<Sha256>;

    fn summary(entries: &[Entry]) -> MerkleTree<Sha256> {
        let items = Listing::new(entries);
        MerkleTree::from_leaves(&leaves(&items, leaf_count(&items)))
    }

    fn load(entries: &[Entry]) -> Self {
        let items = Listing::new(entries);
        let leaves = leaves(&items, leaf_count(&items));
        Self { tree: MerkleTree::from_leaves(&leaves), leaves, items }
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut found = Found::default();
        let root = left.tree.root();
        found.turn(size_of::<[u8; 32]>());
        if root == right.tree.root() {
            found.turn(SAME);
            return found;
        }
        let all: Vec<u8> = right.tree.leaves().unwrap_or_default().concat();
        found.turn(all.len());
        let lists = left.lists_where_leaves_differ(&all);
        found.turn(lists.len());
        let (wanted, to_send) = right.compare(&lists);
        found.turn(wanted.len());
        found.sends = [left.named(&lists, &read_positions(&wanted)), to_send];
        found
    }
}

impl WholeTree {
    /// This side's items in every bucket that the other side has another leaf for, by the number of the bucket. Where
    /// the other side has more or fewer buckets, this side hashes all of its items again.
    fn lists_where_leaves_differ(&self, all: &[u8]) -> Vec<u8> {
        let mut lists = Vec::new();
        let count = all.len() / 32;
        let is_same_size = count == self.leaves.len();
        let ours =
            if is_same_size { Cow::Borrowed(&self.leaves) } else { Cow::Owned(leaves(&self.items, count)) };
        let differing = all.chunks_exact(32).zip(ours.iter()).zip(0_u32..);
        for (_, bucket) in differing.filter(|((theirs, ours), _)| theirs != ours) {
            let items: Vec<_> = bucket_of(&self.items, bucket as usize, count).collect();
            lists.extend(bucket.to_le_bytes());
            lists.extend(u16::try_from(items.len()).unwrap_or(u16::MAX).to_le_bytes());
            for item in items {
                write_entry(&mut lists, item);
            }
        }
        lists
    }

    /// The positions of the items that this side wants of the lists, and the keys of those that it has to send.
    fn compare(&self, mut lists: &[u8]) -> (Vec<u8>, Vec<Key>) {
        let (mut wanted, mut to_send, mut position) = (Vec::new(), Vec::new(), 0);
        while !lists.is_empty() {
            let bucket = u32::from_le_bytes(read(&mut lists)) as usize;
            let count = u16::from_le_bytes(read(&mut lists));
            let theirs: Vec<_> = (0..count).map(|_| read_entry(&mut lists)).collect();
            for their in &theirs {
                if self.items.get(&their.key) != Some(&their.version) {
                    wanted.push(position);
                }
                position += 1;
            }
            let ours = bucket_of(&self.items, bucket, self.leaves.len());
            to_send.extend(ours.filter(|our| !theirs.contains(our)).map(|our| our.key));
        }
        (write_positions(&wanted), to_send)
    }

    /// The keys at `positions` of the lists that this side sent.
    fn named(&self, mut lists: &[u8], positions: &[u32]) -> Vec<Key> {
        let mut keys = Vec::new();
        while !lists.is_empty() {
            let _: [u8; 4] = read(&mut lists);
            let count = u16::from_le_bytes(read(&mut lists));
            keys.extend((0..count).map(|_| read_entry(&mut lists).key));
        }
        debug_assert!(keys.iter().all(|key| self.items.contains_key(key)), "a side lists its own items");
        positions.iter().map(|position| keys[*position as usize]).collect()
    }
}

impl Updating for WholeTree {
    fn upsert(&mut self, to: Entry, _: u64) {
        // The digest of a bucket is over all its items, so this index cannot be left out.
        self.items.insert(to.key, to.version);
        let count = self.leaves.len();
        let bucket = place(&to.key, count);
        self.leaves[bucket] = leaf(bucket_of(&self.items, bucket, count));
    }

    /// A leaf once committed cannot be changed: all of the tree is made anew.
    fn prepare(&mut self) {
        self.tree = MerkleTree::from_leaves(&self.leaves);
    }
}

/// How many leaves a tree should have: a power of two, and the same for sets of about the same size.
fn leaf_count(items: &Listing) -> usize {
    let count = (items.len() * 11 / 10 / ITEMS_PER_LEAF).max(1);
    1 << count.ilog2()
}

fn leaves(items: &Listing, count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|bucket| leaf(bucket_of(items, bucket, count))).collect()
}

fn leaf(items: impl Iterator<Item = Entry>) -> [u8; 32] {
    let mut bytes = Vec::new();
    items.for_each(|item| write_entry(&mut bytes, item));
    Sha256::hash(&bytes)
}

/// The items of one of `count` buckets, a power of two.
fn bucket_of(items: &Listing, bucket: usize, count: usize) -> impl Iterator<Item = Entry> {
    let bits = count.ilog2();
    let start = (bucket as u128).checked_shl(128 - bits).unwrap_or(0);
    let end = start | u128::MAX.checked_shr(bits).unwrap_or(0);
    items.list(start.to_be_bytes()..=end.to_be_bytes())
}

fn place(key: &Key, count: usize) -> usize {
    let top = u128::from_be_bytes(*key).checked_shr(128 - count.ilog2()).unwrap_or(0);
    usize::try_from(top).unwrap_or(0)
}
