//! From one key to the next while writes and sessions go on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{KEY, Replica};
use crate::merkle::{
    BucketTree, Item, ItemSource, Limits, Outcome, Prefix, ProtocolError, Rotating, Session, TreeError,
    TreeKey,
};

const NEXT: TreeKey = TreeKey::new([8; 16]);

fn key_of(item: &Item) -> [u8; 8] {
    item.handle.to_le_bytes()
}

/// Rows under the old key, beside a tree that is rotating.
struct Live {
    rotating: Rotating,
    rows: Replica,
}

impl Live {
    fn of(leaf_bits: u8, keys: core::ops::Range<u64>) -> Self {
        let replica = || Replica::of(leaf_bits, keys.clone().map(|key| (key, 1)));
        Self { rotating: Rotating::new(replica().tree, &NEXT), rows: replica() }
    }

    fn put(&mut self, key: u64, version: u128) {
        let hashes = self.rotating.key_hashes(&key.to_le_bytes());
        match self.rows.rows.get(&hashes.old) {
            Some(&(_, old)) => self.rotating.replace(hashes, old, version).unwrap(),
            None => self.rotating.insert(hashes, version).unwrap(),
        }
        self.rows.put(key, version);
    }

    fn remove(&mut self, key: u64) {
        let hashes = self.rotating.key_hashes(&key.to_le_bytes());
        if let Some(&(_, old)) = self.rows.rows.get(&hashes.old) {
            self.rotating.remove(hashes, old).unwrap();
            self.rows.remove(key);
        }
    }

    fn step(&mut self, leaves: u32) -> bool {
        self.rotating.step(&self.rows, leaves, key_of).unwrap().finished
    }

    /// The rows in a tree that never knew another key.
    fn scratch(&self) -> BucketTree {
        let mut tree = BucketTree::new(&NEXT, self.rows.tree.leaf_bits()).unwrap();
        for &(key, version) in self.rows.rows.values() {
            tree.insert(tree.key_hash(&key.to_le_bytes()), version).unwrap();
        }
        tree
    }
}

/// One leaf per write.
#[test]
fn a_tree_changes_its_key_while_it_is_written() {
    let mut live = Live::of(8, 0..1_000);
    for write in 0..256 {
        match write % 3 {
            0 => live.remove(write * 7 % 1_100),
            _ => live.put(write * 7 % 1_100, 2),
        }
        let leaf = Prefix::new(8, u32::try_from(write).unwrap());
        let below = live.rows.rows.range(leaf.start()..=leaf.end()).count() as u64;
        let step = live.rotating.step(&live.rows, 1, key_of).unwrap();
        assert_eq!((step.leaves, step.items, step.finished), (1, below, write == 255));
        assert_eq!(live.rotating.old_root(), live.rows.tree.root(), "sessions under the old key go on");
        assert_eq!(live.rotating.new_snapshot().is_some(), step.finished);
    }
    live.put(1, 9);
    live.remove(2);
    assert!(live.rotating.old_snapshot() == live.rows.tree.snapshot());
    let mut scratch = live.scratch();
    assert!(live.rotating.finish().unwrap().snapshot() == scratch.snapshot());
}

#[test]
fn a_rotation_that_is_not_complete_cannot_be_finished_but_given_up() {
    let mut live = Live::of(8, 0..100);
    live.step(255);
    let rotating = live.rotating.finish().unwrap_err();
    assert!(rotating.abandon().snapshot() == live.rows.tree.snapshot());
}

#[test]
fn a_rotation_stops_where_the_source_is_stale() {
    let mut live = Live::of(4, 0..100);
    let stale = Replica::of(4, (0..100).map(|key| (key, 1)));
    live.put(5, 2);
    let leaf = live.rows.tree.leaf_of(live.rows.hash(5));
    let stopped = live.rotating.step(&stale, 16, key_of);
    assert_eq!(stopped, Err(TreeError::Stale { leaf }));
    assert!(live.step(16), "with the right source it goes on there");
    let mut scratch = live.scratch();
    assert!(live.rotating.new_snapshot().unwrap() == scratch.snapshot());
}

#[test]
fn a_refused_write_changes_neither_tree() {
    let mut live = Live::of(4, 0..100);
    live.step(16);
    let mut scratch = live.scratch();
    let mut refused = 0;
    let mut sparse = Live::of(12, 0..100);
    sparse.step(4_096);
    for key in 1_000..1_100_u64 {
        let hashes = sparse.rotating.key_hashes(&key.to_le_bytes());
        if let Err(error) = sparse.rotating.remove(hashes, 1) {
            assert!(matches!(error, TreeError::Absent { .. }));
            refused += 1;
        } else {
            sparse.rotating.insert(hashes, 1).unwrap();
        }
    }
    assert!(refused > 90);
    let mut right = sparse.scratch();
    assert!(sparse.rotating.new_snapshot().unwrap() == right.snapshot());
    assert!(sparse.rotating.old_snapshot() == sparse.rows.tree.snapshot());
    assert!(live.rotating.new_snapshot().unwrap() == scratch.snapshot());
}

struct Nothing;

impl ItemSource for Nothing {
    fn for_each_in(&self, _: Prefix, _: &mut dyn FnMut(Item)) {}
}

/// Peers change over one by one: who comes with the other key is told so, and comes again.
#[test]
fn a_peer_with_the_other_key_is_told_so_in_the_first_frame() {
    let mut live = Live::of(8, 0..100);
    live.step(256);
    let mut peer = Replica::of(8, (0..100).map(|key| (key, 1)));
    let meet = |mine, theirs| {
        let mut initiator = Session::initiate(mine, [1; 16], Limits::default());
        let mut acceptor = Session::accept(theirs, [2; 16], Limits::default());
        let heard = acceptor.handle(&initiator.poll_frame().unwrap(), &Nothing);
        let answered = initiator.handle(&acceptor.poll_frame().unwrap(), &Nothing);
        assert_eq!(heard, answered);
        heard.map(|()| initiator.outcome().cloned())
    };
    let new = live.rotating.new_snapshot().unwrap();
    assert_eq!(meet(new, peer.tree.snapshot()), Err(ProtocolError::KeyMismatch));
    let old = live.rotating.old_snapshot();
    assert_eq!(meet(old, peer.tree.snapshot()), Ok(Some(Outcome::Converged)));
    assert_ne!(KEY, NEXT);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_new_tree_is_one_built_from_scratch(
        steps in proptest::collection::vec((0_u64..60, proptest::option::of(0_u128..4), 0_u32..20), 0..60),
        level in 1_u8..=2,
    ) {
        let mut live = Live::of(4 * level, 0..30);
        let mut model: BTreeMap<u64, u128> = (0..30).map(|key| (key, 1)).collect();
        for (key, version, leaves) in steps {
            if let Some(version) = version {
                live.put(key, version);
                model.insert(key, version);
            } else {
                live.remove(key);
                model.remove(&key);
            }
            live.step(leaves);
        }
        while !live.step(7) {}
        let held: Vec<_> = live.rows.items().into_iter().collect();
        prop_assert_eq!(held, model.into_iter().collect::<Vec<_>>());
        prop_assert!(live.rotating.old_snapshot() == live.rows.tree.snapshot());
        let mut scratch = live.scratch();
        prop_assert!(live.rotating.finish().unwrap().snapshot() == scratch.snapshot());
    }
}
