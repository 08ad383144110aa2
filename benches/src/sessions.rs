//! Data sets with their trees, and what it costs to compare them.

use std::collections::BTreeMap;

use crdt_sync::merkle::{
    BucketTree, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, ProtocolError, Session, TreeError,
    TreeKey,
};

/// A data set by key hash, and the tree that follows it.
pub struct Replica {
    tree: BucketTree,
    items: BTreeMap<KeyHash, Item>,
}

/// What a session took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes in both directions.
    pub bytes: u64,
    /// Turns of both sides together, of which two are a round trip.
    pub turns: u16,
    /// Items that either side now knows to send.
    pub found: usize,
}

impl Replica {
    /// The keys below `len`, all at version 1.
    pub fn new(len: u64) -> Result<Self, TreeError> {
        let mut tree = BucketTree::new(&TreeKey::new([7; 16]), BucketTree::leaf_bits_for(len))?;
        let mut items = BTreeMap::new();
        for handle in 0..len {
            let key_hash = tree.key_hash(&handle.to_le_bytes());
            let version = 1;
            tree.insert(key_hash, version)?;
            let item = Item { handle, key_hash, version };
            items.insert(key_hash, item);
        }
        Ok(Self { tree, items })
    }

    /// Moves a key to another version.
    pub fn set(&mut self, key: u64, version: u128) -> Result<(), TreeError> {
        let key_hash = self.tree.key_hash(&key.to_le_bytes());
        if let Some(item) = self.items.get_mut(&key_hash) {
            self.tree.replace(key_hash, item.version, version)?;
            item.version = version;
        }
        Ok(())
    }

    /// The tree alone.
    pub fn tree(&mut self) -> &mut BucketTree {
        &mut self.tree
    }

    /// Compares two data sets to the end.
    pub fn compare(&mut self, other: &mut Self) -> Result<Cost, ProtocolError> {
        let mut here = Session::initiate(self.tree.snapshot(), [1; 16], Limits::default());
        let mut there = Session::accept(other.tree.snapshot(), [2; 16], Limits::default());
        loop {
            if let Some(frame) = here.poll_frame() {
                there.handle(&frame, other)?;
            } else if let Some(frame) = there.poll_frame() {
                here.handle(&frame, self)?;
            } else {
                break;
            }
        }
        let stats = here.stats();
        let found = [(&here, &*self), (&there, &*other)].map(|(side, replica)| match side.outcome() {
            Some(Outcome::Differs(difference)) => difference.send.len(),
            Some(Outcome::SendAll) => replica.items.len(),
            _ => 0,
        });
        Ok(Cost {
            bytes: stats.bytes_sent + stats.bytes_received,
            turns: stats.rounds,
            found: found.iter().sum(),
        })
    }
}

impl ItemSource for Replica {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        let items = self.items.range(part.start()..=part.end());
        items.for_each(|(_, item)| f(*item));
    }
}
