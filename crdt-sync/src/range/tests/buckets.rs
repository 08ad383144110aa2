//! The same comparison by the bucket tree, to count against.

use alloc::collections::BTreeMap;

use super::support::{KEY, Replica};
use crate::merkle::{BucketTree, Item, ItemSource, KeyHash, Limits, Prefix, Session, TreeSnapshot};

/// Items by the hash of their keys.
struct Buckets {
    tree: TreeSnapshot,
    items: BTreeMap<KeyHash, Item>,
}

impl Buckets {
    fn of(replica: &Replica) -> Self {
        let mut tree = BucketTree::new(&KEY, BucketTree::leaf_bits_for(replica.tree.len())).unwrap();
        let mut items = BTreeMap::new();
        for (handle, (key, &version)) in (0..).zip(&replica.rows) {
            let key_hash = tree.key_hash(key);
            tree.insert(key_hash, version).unwrap();
            items.insert(key_hash, Item { handle, key_hash, version });
        }
        Self { tree: tree.snapshot(), items }
    }
}

impl ItemSource for Buckets {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.items.range(part.start()..=part.end()).for_each(|(_, item)| f(*item));
    }
}

/// What a session between the same data sets costs when keys are scattered by their hashes.
pub(super) fn bytes(a: &Replica, b: &Replica) -> u64 {
    let [a, b] = [a, b].map(Buckets::of);
    let mut initiator = Session::initiate(a.tree.clone(), [0; 16], Limits::default());
    let mut acceptor = Session::accept(b.tree.clone(), [1; 16], Limits::default());
    loop {
        if let Some(frame) = initiator.poll_frame() {
            acceptor.handle(&frame, &b).unwrap();
        } else if let Some(frame) = acceptor.poll_frame() {
            initiator.handle(&frame, &a).unwrap();
        } else {
            break;
        }
    }
    assert!(initiator.outcome().is_some() && acceptor.outcome().is_some());
    initiator.stats().bytes_sent + initiator.stats().bytes_received
}
