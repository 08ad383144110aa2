//! Where merged branches came to lie: what `CouchDB`'s `merge` answers beside the tree.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::{Change, Crdt};

use super::id::VersionId;
use super::tree::RevisionTree;
use super::version::Version;

/// Where a replicated leaf lies in the tree it was merged into.
///
/// The three cases are those of `CouchDB`'s `couch_key_tree:merge`. `PouchDB` answers
/// [`InternalNode`](Self::InternalNode) for a branch with a root of its own; here, as in `CouchDB`,
/// that is a [`NewBranch`](Self::NewBranch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// It continues what was a leaf, or is the first of its document.
    NewLeaf,
    /// It is a leaf beside the others: it grew out of a version others were written on as well, or
    /// its branch has nothing in common with what was known.
    NewBranch,
    /// It was known already, or versions that were written on it are known: no leaf is new. Still,
    /// older versions may be.
    InternalNode,
}

/// What became of a replicated version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an unchanged tree needs no write, no send and no event"]
pub struct Inserted {
    /// Whether the tree is different now.
    pub change: Change,
    /// Where the version lies.
    pub place: Place,
}

/// What became of a replicated tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an unchanged tree needs no write, no send and no event"]
pub struct Merged {
    /// Whether the tree is different now.
    pub change: Change,
    /// Where each leaf of the merged tree lies, ascending by id.
    pub places: Vec<(VersionId, Place)>,
}

impl<V: AsRef<[u8]> + Clone + Eq> RevisionTree<V> {
    /// [Merges](Crdt::merge) another tree and says where its leaves came to lie, as if its branches
    /// had been merged one after another in ascending order of their leaves.
    ///
    /// Visits each version of `other` once; O(log n) for each, and the cost of merging.
    ///
    /// ```
    /// use conflict_store::{Document, Place};
    ///
    /// let mut here = Document::<Vec<u8>>::default();
    /// let (first, _) = here.put(b"title", None, Some("Hi".into()), None)?;
    /// let mut there = here.clone();
    ///
    /// let (hello, delta) = there.put(b"title", Some(&first), Some("Hello".into()), None)?;
    /// assert_eq!(here.merge_placed(&delta).places, [(hello, Place::NewLeaf)]);
    ///
    /// let (bonjour, delta) = there.put_branch(b"title", Some(&first), Some("Bonjour".into()), None);
    /// assert_eq!(here.merge_placed(&delta).places, [(bonjour, Place::NewBranch)]);
    /// assert_eq!(here.merge_placed(&delta).places, [(bonjour, Place::InternalNode)]);
    /// # Ok::<(), conflict_store::PutError>(())
    /// ```
    pub fn merge_placed(&mut self, other: &Self) -> Merged {
        let mut walk = Walk { before: self, other, met: BTreeSet::new() };
        let mut is_first = self.leaves().is_empty();
        let mut places: Vec<(VersionId, Place)> = Vec::with_capacity(other.leaves().len());
        for leaf in other.leaves() {
            let continues_a_leaf = walk.meets_a_leaf_below(leaf);
            let place = match self.knows(leaf) {
                true => Place::InternalNode,
                false if continues_a_leaf || core::mem::take(&mut is_first) => Place::NewLeaf,
                false => Place::NewBranch,
            };
            places.push((*leaf.id(), place));
        }
        let change = self.merge(other);
        for (_, place) in places.iter_mut().filter(|(id, _)| !self.is_leaf(id)) {
            *place = Place::InternalNode;
        }
        Merged { change, places }
    }
}

/// A walk down the branches that are to be merged, one after another.
struct Walk<'a, V> {
    before: &'a RevisionTree<V>,
    other: &'a RevisionTree<V>,
    met: BTreeSet<VersionId>,
}

impl<V> Walk<'_, V> {
    /// Whether `tip` was written on a leaf of the tree that no earlier branch continued.
    fn meets_a_leaf_below(&mut self, tip: &Version<V>) -> bool {
        let mut meets = false;
        let mut ahead = tip.parents().to_vec();
        while let Some(id) = ahead.pop() {
            if !self.met.insert(id) {
                continue;
            }
            meets |= self.before.is_leaf(&id);
            // Below a version with content that only the tree knows, nothing is a leaf.
            let stub = || self.before.get(&id).filter(|version| version.is_stub());
            ahead.extend(self.other.get(&id).or_else(stub).into_iter().flat_map(Version::parents));
        }
        meets
    }
}
