//! What a session compares: the snapshot, at any depth, less the items that the peer has dropped.

use alloc::vec::Vec;

use crate::merkle::cells::{Cell, LEVEL_BITS};
use crate::merkle::prefix::Prefix;
use crate::merkle::{Item, ItemSource, KeyHash, TreeSnapshot};

pub(super) struct View {
    snapshot: TreeSnapshot,
    excluded: Vec<Excluded>,
}

/// An item below the horizon, and the sum of those before it in the order of key hashes.
struct Excluded {
    key_hash: KeyHash,
    version: u128,
    before: Cell,
    own: Cell,
}

impl View {
    pub(super) fn new(snapshot: TreeSnapshot) -> Self {
        Self { snapshot, excluded: Vec::new() }
    }

    pub(super) fn snapshot(&self) -> &TreeSnapshot {
        &self.snapshot
    }

    /// Leaves out what lies below the horizon. False if the source cannot tell.
    pub(super) fn exclude_below(&mut self, horizon: u64, items: &dyn ItemSource) -> bool {
        let mut excluded = Vec::new();
        let can_tell = items.for_each_below(horizon, &mut |Item { key_hash, version, .. }| {
            excluded.push((key_hash, version));
        });
        excluded.sort_unstable();
        let mut before = Cell::default();
        for (key_hash, version) in excluded {
            let own = Cell { lanes: self.snapshot.prf().item(key_hash, version), count: 1 };
            self.excluded.push(Excluded { key_hash, version, before, own });
            before = before.plus(own);
        }
        can_tell
    }

    pub(super) fn root(&self) -> Cell {
        self.node(Prefix::ALL)
    }

    /// The node at a depth of at most that of the leaves. O(1) at the depths that the tree stores,
    /// else O(descendants at the next of them), and O(log excluded).
    #[inline]
    pub(super) fn node(&self, node: Prefix) -> Cell {
        if node.bits().is_multiple_of(LEVEL_BITS) && self.excluded.is_empty() {
            return self.snapshot.node(node);
        }
        self.sum(node)
    }

    fn sum(&self, node: Prefix) -> Cell {
        let stored = node.bits().next_multiple_of(LEVEL_BITS);
        let below = stored - node.bits();
        let first = node.value() << below;
        let descendants = (first..first + (1 << below)).map(|value| Prefix::new(stored, value));
        let sum = descendants.map(|node| self.snapshot.node(node)).fold(Cell::default(), Cell::plus);
        if self.excluded.is_empty() { sum } else { sum.minus(self.excluded_in(node)) }
    }

    /// Calls `f` with the items that take part, under the node.
    #[inline]
    pub(super) fn for_each_in(&self, part: Prefix, items: &dyn ItemSource, mut f: impl FnMut(Item)) {
        let is_whole = self.excluded.is_empty();
        items.for_each_in(part, &mut |item| {
            if part.contains(item.key_hash) && (is_whole || !self.is_excluded(&item)) {
                f(item);
            }
        });
    }

    /// Calls `f` with the items that take no part.
    pub(super) fn for_each_excluded(&self, f: &mut dyn FnMut(KeyHash, u128)) {
        self.excluded.iter().for_each(|item| f(item.key_hash, item.version));
    }

    fn excluded_in(&self, node: Prefix) -> Cell {
        let up_to = |at: usize| match self.excluded.get(at) {
            Some(next) => next.before,
            None => self.excluded.last().map_or(Cell::default(), |last| last.before.plus(last.own)),
        };
        let first = self.excluded.partition_point(|item| item.key_hash < node.start());
        let end = self.excluded.partition_point(|item| item.key_hash <= node.end());
        up_to(end).minus(up_to(first))
    }

    fn is_excluded(&self, item: &Item) -> bool {
        let place = (item.key_hash, item.version);
        self.excluded.binary_search_by_key(&place, |item| (item.key_hash, item.version)).is_ok()
    }
}
