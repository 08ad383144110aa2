//! Walking from versions towards the first one: history, common ancestors, stemming.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::min;

use smallvec::SmallVec;

use super::held::Branches;
use super::id::VersionId;
use super::tree::RevisionTree;
use super::version::Version;
use crate::limits::MAX_PARENTS;

impl<V> RevisionTree<V> {
    /// The version with this id and everything it was written on, newest first, as far back as is
    /// known: its lineage and, where versions were merged, theirs.
    ///
    /// Visits each version once; O(log n) per version.
    pub fn history(&self, id: &VersionId) -> impl Iterator<Item = &Version<V>> {
        let mut descent = Descent::new(self, [(*id, ())]);
        core::iter::from_fn(move || {
            loop {
                let (_, version, ()) = descent.step()?;
                if let Some(version) = version {
                    descent.descend(version, &());
                    return Some(version);
                }
            }
        })
    }

    /// The id of this version, of its highest parent, of that one's, and so on, newest first, as far
    /// back as is known. It is what `CouchDB` tells as `_revisions`; where versions were merged,
    /// [`history`](Self::history) has the others, too.
    ///
    /// O(log n) per version.
    pub fn lineage(&self, id: &VersionId) -> impl Iterator<Item = &VersionId> {
        let mut next = self.get(id);
        core::iter::from_fn(move || {
            let version = next?;
            let parent = version.parent().filter(|parent| *parent < version.id());
            next = parent.and_then(|parent| self.get(parent));
            Some(version.id())
        })
    }

    /// Forgets every version that is more than `limit` steps below all leaves, and returns how many
    /// that were.
    ///
    /// Leaves stay, and with them the winner, the conflicts and the [version
    /// digest](crdt_core::VersionDigest). What is forgotten comes back, and re-attaches, when a
    /// replica that still knows it sends it.
    ///
    /// Visits each version once; O(log n) per version. [`Store`](crate::Store) calls it often
    /// enough to keep the promise of its limit and seldom enough to cost nothing.
    ///
    /// Stemming is the one thing that is not a merge. A replica whose own leaf was stemmed away
    /// elsewhere brings that leaf back as a conflict,
    /// [flagged](crate::Conflict::is_history_complete) as possibly a false one.
    pub fn stem(&mut self, limit: usize) -> usize {
        let mut descent = Descent::new(self, self.leaves().iter().map(|leaf| (*leaf.id(), Steps(0))));
        let mut keep = Vec::new();
        while let Some((id, version, steps)) = descent.step() {
            let Some(version) = version else { continue };
            if steps.0 > 0 {
                keep.push(id);
            }
            if steps.0 < limit {
                descent.descend(version, &Steps(steps.0 + 1));
            }
        }
        self.held.edit(|Branches { ancestors, .. }| {
            let before = ancestors.len();
            // Both are sorted, in opposite directions.
            ancestors.retain(|ancestor| keep.pop_if(|id| id == ancestor.id()).is_some());
            before - ancestors.len()
        })
    }
}

/// What several versions have in common.
pub(crate) struct CommonAncestor<'a, V> {
    /// The highest version with content that all of them were written on.
    pub(crate) version: Option<&'a Version<V>>,
    /// Whether the walk met no version that is named but not known, and no common one of which the
    /// content is not known. If it did, a higher ancestor may have been forgotten.
    pub(crate) is_history_complete: bool,
}

/// The highest version with content that all of `ids` were written on.
///
/// Visits each version above the answer once. More than [`MAX_PARENTS`] ids, which no write could
/// close at once, are not searched.
pub(crate) fn common_ancestor<'a, V>(tree: &'a RevisionTree<V>, ids: &[VersionId]) -> CommonAncestor<'a, V> {
    if ids.len() > MAX_PARENTS {
        return CommonAncestor { version: None, is_history_complete: false };
    }
    let starts = ids.iter().enumerate().map(|(index, id)| (*id, Reach::only(index)));
    let mut descent = Descent::new(tree, starts);
    let mut is_history_complete = true;
    while let Some((_, version, reach)) = descent.step() {
        match version {
            Some(version) if reach.count() == ids.len() && !version.is_stub() => {
                return CommonAncestor { version: Some(version), is_history_complete };
            }
            Some(version) => {
                is_history_complete &= reach.count() < ids.len();
                descent.descend(version, &reach);
            }
            None => is_history_complete = false,
        }
    }
    CommonAncestor { version: None, is_history_complete }
}

/// A walk over versions in descending order of id, carrying a mark from children to parents. A
/// version is met after all its children, with their marks joined.
///
/// Only parents with a lower id than their child are followed. That is all of them, except under a
/// hostile version of the very last generation, where following others could take for ever.
pub(super) struct Descent<'a, V, M> {
    tree: &'a RevisionTree<V>,
    ahead: BTreeMap<VersionId, M>,
}

impl<'a, V, M: Mark> Descent<'a, V, M> {
    pub(super) fn new(tree: &'a RevisionTree<V>, starts: impl IntoIterator<Item = (VersionId, M)>) -> Self {
        Self { tree, ahead: starts.into_iter().collect() }
    }

    /// The next version named, and the version itself if it is known.
    pub(super) fn step(&mut self) -> Option<(VersionId, Option<&'a Version<V>>, M)> {
        let (id, mark) = self.ahead.pop_last()?;
        Some((id, self.tree.get(&id), mark))
    }

    /// Goes on to the parents of `version`.
    pub(super) fn descend(&mut self, version: &Version<V>, mark: &M) {
        for parent in version.parents().iter().filter(|parent| *parent < version.id()) {
            self.ahead.entry(*parent).and_modify(|known| known.join(mark)).or_insert_with(|| mark.clone());
        }
    }
}

pub(super) trait Mark: Clone {
    fn join(&mut self, other: &Self);
}

impl Mark for () {
    fn join(&mut self, (): &()) {}
}

/// The fewest steps from a leaf.
#[derive(Clone)]
struct Steps(usize);

impl Mark for Steps {
    fn join(&mut self, other: &Self) {
        self.0 = min(self.0, other.0);
    }
}

/// From which starts a version was reached, as a bitmap.
#[derive(Clone)]
struct Reach(SmallVec<[u64; 2]>);

impl Reach {
    fn only(index: usize) -> Self {
        let mut words = SmallVec::from_elem(0, index / 64 + 1);
        words[index / 64] = 1 << (index % 64);
        Self(words)
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

impl Mark for Reach {
    fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }
}
