//! `crdt-sync`, through its public interface. The only file that has to change with it.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crdt_sync::merkle::{
    BucketTree, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, ProtocolError, Session, TreeKey,
};

use super::cpu::Stopwatch;
use super::{Candidate, Entry, Found, Key, Updating};

/// A session that goes down the tree.
pub type ByTree = CrdtSync<Tree>;

/// How a session finds differences.
pub trait Way: 'static {
    /// As tables call it.
    const NAME: &'static str;

    /// The limits that make sessions go this way.
    fn limits() -> Limits;
}

/// By asking about nodes of the tree.
#[derive(Clone, Copy, Debug)]
pub enum Tree {}

impl Way for Tree {
    const NAME: &'static str = "crdt-sync, by tree";

    fn limits() -> Limits {
        Limits::default()
    }
}

/// A tree, and its items by key hash.
pub struct CrdtSync<W> {
    tree: BucketTree,
    items: BTreeMap<KeyHash, Item>,
    keys: Vec<Key>,
    way: PhantomData<W>,
}

impl<W: Way> Candidate for CrdtSync<W> {
    const NAME: &'static str = W::NAME;
    type Summary = BucketTree;

    fn summary(entries: &[Entry]) -> BucketTree {
        let leaf_bits = BucketTree::leaf_bits_for(entries.len() as u64);
        let mut tree = BucketTree::new(&TreeKey::new([7; 16]), leaf_bits).expect("a size it proposed");
        for entry in entries {
            tree.insert(tree.key_hash(&entry.key), entry.version.into()).expect("room for an item");
        }
        tree
    }

    fn load(entries: &[Entry]) -> Self {
        let tree = Self::summary(entries);
        let items = (0..).zip(entries).map(|(handle, entry)| {
            let key_hash = tree.key_hash(&entry.key);
            (key_hash, Item { handle, key_hash, version: entry.version.into() })
        });
        let items = items.collect();
        Self { tree, items, keys: entries.iter().map(|entry| entry.key).collect(), way: PhantomData }
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut here = Session::initiate(left.tree.snapshot(), [1; 16], W::limits());
        let mut there = Session::accept(right.tree.snapshot(), [2; 16], W::limits());
        talk((&mut here, left), (&mut there, right)).expect("both sides keep to the protocol");
        let stats = here.stats();
        Found {
            sends: [left.to_send(&here), right.to_send(&there)],
            bytes: stats.bytes_sent + stats.bytes_received,
            turns: stats.rounds.into(),
        }
    }
}

/// Carries frames until nobody has any.
fn talk(
    (here, ours): (&mut Session, &impl ItemSource),
    (there, theirs): (&mut Session, &impl ItemSource),
) -> Result<(), ProtocolError> {
    loop {
        if let Some(frame) = here.poll_frame() {
            there.handle(&frame, theirs)?;
        } else if let Some(frame) = there.poll_frame() {
            here.handle(&frame, ours)?;
        } else {
            return Ok(());
        }
    }
}

impl<W> CrdtSync<W> {
    fn to_send(&self, session: &Session) -> Vec<Key> {
        match session.outcome() {
            Some(Outcome::Differs(difference)) => {
                let handles = difference.send.iter().filter_map(|handle| usize::try_from(*handle).ok());
                handles.map(|handle| self.keys[handle]).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<W> ItemSource for CrdtSync<W> {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        let items = self.items.range(part.start()..=part.end());
        items.for_each(|(_, item)| f(*item));
    }
}

impl<W: Way> Updating for CrdtSync<W> {
    fn upsert(&mut self, to: Entry, from: u64) {
        let key_hash = self.tree.key_hash(&to.key);
        self.tree.replace(key_hash, from.into(), to.version.into()).expect("the item is there");
    }

    fn prepare(&mut self) {
        std::hint::black_box(self.tree.snapshot().root());
    }
}
