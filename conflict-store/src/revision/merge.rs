//! The tree as a CRDT: merging is the union of versions, leaves are derived.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crdt_core::{Change, Crdt, DeltaCrdt, VersionDigest};
use smallvec::SmallVec;

use super::id::VersionId;
use super::tree::RevisionTree;
use super::version::Version;

impl<V: AsRef<[u8]> + Clone + Eq> Crdt for RevisionTree<V> {
    /// O(m log n) to find what is new, O(n + m) more when anything is.
    fn merge(&mut self, other: &Self) -> Change {
        let new = other.versions().filter(|version| self.get(version.id()).is_none()).cloned().collect();
        self.absorb(new)
    }

    fn merge_owned(&mut self, other: Self) -> Change {
        if self.is_empty() {
            let change = Change::from(!other.is_empty());
            *self = other;
            return change;
        }
        let mut new: SmallVec<[Version<V>; 1]> = other.leaves;
        new.extend(other.ancestors);
        new.retain(|version| self.get(version.id()).is_none());
        self.absorb(new)
    }

    /// By the versions known, not only the leaves: a replica that stemmed its history knows less.
    /// O(n log n).
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.contains_all(other), other.contains_all(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }

    fn is_bottom(&self) -> bool {
        self.is_empty()
    }
}

/// The digest lists every version known, which makes the delta exact. Where the two sides' leaves
/// say enough, [`missing`](RevisionTree::missing) is shorter.
impl<V: AsRef<[u8]> + Clone + Eq> DeltaCrdt for RevisionTree<V> {
    /// The ids of all versions known, ascending.
    type Digest = Vec<VersionId>;

    fn digest(&self) -> Vec<VersionId> {
        self.versions().map(|version| *version.id()).collect()
    }

    fn delta_since(&self, digest: &Vec<VersionId>) -> Self {
        let unknown = |version: &&Version<V>| digest.binary_search(version.id()).is_err();
        Self::from_sorted(self.versions().filter(unknown).cloned().collect())
    }

    fn split(&self) -> Vec<Self> {
        self.versions().map(|version| Self::from_sorted(vec![version.clone()])).collect()
    }
}

/// Equal exactly for equal leaves, whatever history is kept below them: a replica that stemmed its
/// history has nothing to exchange with one that did not. O(leaves).
impl<V> VersionDigest for RevisionTree<V> {
    fn version_digest(&self) -> u128 {
        self.leaves.iter().fold(0, |sum, leaf| sum.wrapping_add(u128::from_le_bytes(*leaf.id().digest())))
    }
}

impl<V> RevisionTree<V> {
    /// The tree of these versions, ascending by id without repetition. O(n log n).
    pub(super) fn from_sorted(versions: Vec<Version<V>>) -> Self {
        let mut is_leaf = vec![true; versions.len()];
        for parent in versions.iter().flat_map(Version::parents) {
            if let Ok(place) = versions.binary_search_by(|version| version.id().cmp(parent)) {
                is_leaf[place] = false;
            }
        }
        let mut tree = Self::default();
        for (version, is_leaf) in versions.into_iter().zip(is_leaf) {
            if is_leaf {
                tree.leaves.push(version);
            } else {
                tree.ancestors.push(version);
            }
        }
        tree
    }

    /// Adds one version. O(log n) when it is the newest, as it mostly is; O(n) otherwise.
    pub(super) fn insert_version(&mut self, version: Version<V>) -> Change {
        if self.get(version.id()).is_some() {
            return Change::Unchanged;
        }
        let has_child = self.has_child(version.id());
        for parent in version.parents() {
            if let Ok(place) = self.leaves.binary_search_by(|leaf| leaf.id().cmp(parent)) {
                let parent = self.leaves.remove(place);
                let place = self.ancestors.partition_point(|ancestor| ancestor.id() < parent.id());
                self.ancestors.insert(place, parent);
            }
        }
        if has_child {
            let place = self.ancestors.partition_point(|ancestor| ancestor.id() < version.id());
            self.ancestors.insert(place, version);
        } else {
            let place = self.leaves.partition_point(|leaf| leaf.id() < version.id());
            self.leaves.insert(place, version);
        }
        Change::Changed
    }

    /// Adds versions that are not known yet.
    fn absorb(&mut self, mut new: SmallVec<[Version<V>; 1]>) -> Change {
        match new.len() {
            0 => Change::Unchanged,
            1 => new.pop().map_or(Change::Unchanged, |version| self.insert_version(version)),
            _ => {
                let mut versions = core::mem::take(&mut self.ancestors);
                versions.extend(self.leaves.drain(..));
                versions.extend(new);
                // A few ascending runs, which a merge sort takes as they are.
                versions.sort_by(|a, b| a.id().cmp(b.id()));
                *self = Self::from_sorted(versions);
                Change::Changed
            }
        }
    }

    /// Whether a known version names `id` as parent. Children lie in a higher generation, or in the
    /// same one where generations saturate; the highest version of all is a leaf, so the newest
    /// version is decided at once.
    fn has_child(&self, id: &VersionId) -> bool {
        let above = |versions: &[Version<V>]| {
            let first = versions.partition_point(|version| version.id().generation() < id.generation());
            versions[first..].iter().any(|version| version.parents().contains(id))
        };
        above(&self.ancestors) || above(&self.leaves)
    }
}
