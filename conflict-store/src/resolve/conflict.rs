//! What a rule gets to see.

use smallvec::SmallVec;

use super::Resolution;
use crate::revision::{RevisionTree, Version, VersionId, common_ancestor};

/// Several current versions of one document.
pub struct Conflict<'a, V> {
    key: &'a [u8],
    tree: &'a RevisionTree<V>,
    versions: SmallVec<[&'a Version<V>; 4]>,
}

impl<'a, V> Conflict<'a, V> {
    /// The leaves of `tree` that compete: the live ones, and the deletions too `with_deletions`.
    pub(super) fn new(key: &'a [u8], tree: &'a RevisionTree<V>, with_deletions: bool) -> Self {
        let competes = |leaf: &&Version<V>| with_deletions || !leaf.is_deleted();
        let mut versions: SmallVec<[_; 4]> = tree.leaves().iter().filter(competes).collect();
        versions.sort_unstable_by_key(|version| core::cmp::Reverse(version.rank()));
        Self { key, tree, versions }
    }

    /// The conflict among the live versions only, for a rule that does not ask for deletions.
    pub(super) fn without_deletions(&self) -> Self {
        let live = |version: &&&'a Version<V>| !version.is_deleted();
        Self {
            key: self.key,
            tree: self.tree,
            versions: self.versions.iter().filter(live).copied().collect(),
        }
    }

    pub(super) fn tree(&self) -> &'a RevisionTree<V> {
        self.tree
    }

    /// The key of the document.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The competing versions, the winner first: live ones before deletions, then the higher id
    /// first.
    ///
    /// Deletions are among them only for rules that [order by
    /// time](super::Resolver::orders_by_time); for others a deletion gives way to any live version.
    pub fn versions(&self) -> &[&'a Version<V>] {
        &self.versions
    }

    /// The bodies of the competing versions that have one, the winner's first.
    pub fn bodies(&self) -> impl DoubleEndedIterator<Item = &'a V> {
        self.versions.iter().filter_map(|version| version.body())
    }

    /// The newest known version that all competing versions were written on: the base of a
    /// three-way merge.
    ///
    /// `None` when they have none, or when it has been forgotten or never arrived, see
    /// [`is_history_complete`](Self::is_history_complete). O(versions above it).
    pub fn common_ancestor(&self) -> Option<&'a Version<V>> {
        common_ancestor(self.tree, &self.ids()).version
    }

    /// Whether the answer of [`common_ancestor`](Self::common_ancestor) rests on the whole history.
    /// If not, versions that seem unrelated may in truth follow one another: the conflict may be a
    /// false one.
    pub fn is_history_complete(&self) -> bool {
        common_ancestor(self.tree, &self.ids()).is_history_complete
    }

    /// This body as the result: as the version that says exactly this, if one does.
    pub(super) fn choose_or_merge(&self, body: V) -> Resolution<V>
    where
        V: AsRef<[u8]>,
    {
        let says_this =
            |version: &&&Version<V>| version.body().is_some_and(|known| known.as_ref() == body.as_ref());
        match self.versions.iter().find(says_this) {
            Some(version) => Resolution::Choose(*version.id()),
            None => Resolution::Merge(body),
        }
    }

    pub(super) fn ids(&self) -> SmallVec<[VersionId; 4]> {
        self.versions.iter().map(|version| *version.id()).collect()
    }
}
