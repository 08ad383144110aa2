//! The tree as a CRDT: merging is the union of versions, leaves are derived.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem;

use crdt_core::{Change, Crdt, DeltaCrdt, VersionDigest};
use smallvec::{SmallVec, smallvec};

use super::held::{Branches, Held};
use super::id::VersionId;
use super::tree::RevisionTree;
use super::version::Version;

impl<V: AsRef<[u8]> + Clone + Eq> Crdt for RevisionTree<V> {
    /// O(m log n) to find what is new, O(n + m) more when anything is.
    fn merge(&mut self, other: &Self) -> Change {
        let new = other.versions().filter(|version| !self.knows(version)).cloned().collect();
        self.absorb(new)
    }

    fn merge_owned(&mut self, other: Self) -> Change {
        if self.is_empty() {
            let change = Change::from(!other.is_empty());
            *self = other;
            return change;
        }
        let new: SmallVec<[Version<V>; 1]> = match other.held {
            Held::Leaf(leaf) => smallvec![leaf],
            branches @ Held::Branches(_) => {
                let Branches { leaves, ancestors } = branches.into();
                leaves.into_iter().chain(ancestors).collect()
            }
        };
        self.absorb(new.into_iter().filter(|version| !self.knows(version)).collect())
    }

    /// By the versions known, not only the leaves: a replica that stemmed its history knows less,
    /// and so does one that knows a version only as a stub. O(n log n).
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

/// Which versions a tree knows, to tell a peer what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownVersions {
    /// Those known with their content, ascending.
    whole: Vec<VersionId>,
    /// Those of which only the place is known, ascending.
    stubs: Vec<VersionId>,
}

/// The digest lists every version known, which makes the delta exact. Where the two sides' leaves
/// say enough, [`missing`](RevisionTree::missing) is shorter.
impl<V: AsRef<[u8]> + Clone + Eq> DeltaCrdt for RevisionTree<V> {
    type Digest = KnownVersions;

    fn digest(&self) -> KnownVersions {
        let mut known = KnownVersions::default();
        for version in self.versions() {
            if version.is_stub() { &mut known.stubs } else { &mut known.whole }.push(*version.id());
        }
        known
    }

    fn delta_since(&self, digest: &KnownVersions) -> Self {
        let lists = |ids: &[VersionId], version: &Version<V>| ids.binary_search(version.id()).is_ok();
        let known = |version: &Version<V>| {
            lists(&digest.whole, version) || version.is_stub() && lists(&digest.stubs, version)
        };
        Self::from_sorted(self.versions().filter(|version| !known(version)).cloned().collect())
    }

    fn split(&self) -> Vec<Self> {
        self.versions().map(|version| Self::from_sorted(vec![version.clone()])).collect()
    }
}

/// Equal exactly for equal leaves, whatever history is kept below them: a replica that stemmed its
/// history has nothing to exchange with one that did not. O(leaves).
impl<V> VersionDigest for RevisionTree<V> {
    fn version_digest(&self) -> u128 {
        self.leaves().iter().fold(0, |sum, leaf| sum.wrapping_add(u128::from_le_bytes(*leaf.id().digest())))
    }
}

impl<V> RevisionTree<V> {
    /// The tree of these versions, ascending by id without repetition. O(n log n).
    pub(super) fn from_sorted(versions: Vec<Version<V>>) -> Self {
        let mut is_superseded = vec![false; versions.len()];
        // A stub supersedes nothing by itself. It only passes on what a version with content does.
        let mut superseding: Vec<_> = versions.iter().filter(|version| !version.is_stub()).collect();
        while let Some(version) = superseding.pop() {
            for parent in version.parents() {
                let place = versions.binary_search_by(|version| version.id().cmp(parent));
                let Ok(place) = place else { continue };
                if !is_superseded[place] && versions[place].is_stub() {
                    superseding.push(&versions[place]);
                }
                is_superseded[place] = true;
            }
        }
        let mut branches = Branches::default();
        for (version, is_superseded) in versions.into_iter().zip(is_superseded) {
            if is_superseded || version.is_stub() {
                branches.ancestors.push(version);
            } else {
                branches.leaves.push(version);
            }
        }
        Self { held: branches.into() }
    }

    /// Adds one version. O(log n) when it is the newest, as it mostly is; O(n) otherwise, and O(n
    /// log n) beside a stub.
    pub(super) fn insert_version(&mut self, version: Version<V>) -> Change {
        if self.knows(&version) {
            return Change::Unchanged;
        }
        let Some(is_superseded) = self.is_superseded_plainly(&version) else {
            return self.rebuild(smallvec![version]);
        };
        if self.is_empty() {
            self.held = Held::Leaf(version);
            return Change::Changed;
        }
        self.held.edit(|Branches { leaves, ancestors }| {
            for parent in version.parents() {
                if let Ok(place) = leaves.binary_search_by(|leaf| leaf.id().cmp(parent)) {
                    insert_sorted(ancestors, leaves.remove(place));
                }
            }
            insert_sorted(if is_superseded { ancestors } else { leaves }, version);
        });
        Change::Changed
    }

    /// Adds versions that are not known yet.
    fn absorb(&mut self, mut new: SmallVec<[Version<V>; 1]>) -> Change {
        match new.len() {
            0 => Change::Unchanged,
            1 => new.pop().map_or(Change::Unchanged, |version| self.insert_version(version)),
            _ if new.iter().all(|version| self.is_above_all(version) && !self.is_beside_stub(version)) => {
                // One after another, parents first, so that each is the newest when its turn comes.
                new.sort_by(|a, b| a.id().cmp(b.id()));
                new.into_iter()
                    .fold(Change::Unchanged, |change, version| change | self.insert_version(version))
            }
            _ => self.rebuild(new),
        }
    }

    /// Adds versions in any order, at the cost of looking at all. O(n log n).
    pub(super) fn rebuild(&mut self, new: SmallVec<[Version<V>; 1]>) -> Change {
        let Branches { leaves, ancestors: mut versions } = mem::replace(&mut self.held, Held::NOTHING).into();
        versions.extend(leaves);
        versions.extend(new);
        // A few ascending runs, which a merge sort takes as they are.
        versions.sort_by(|a, b| a.id().cmp(b.id()).then(a.is_stub().cmp(&b.is_stub())));
        // What is known whole makes its stub redundant.
        versions.dedup_by(|later, earlier| later.id() == earlier.id());
        *self = Self::from_sorted(versions);
        Change::Changed
    }

    /// Whether the version lies in a higher generation than all known ones.
    fn is_above_all(&self, version: &Version<V>) -> bool {
        let lies_below = |known: Option<&Version<V>>| {
            known.is_none_or(|known| known.id().generation() < version.id().generation())
        };
        lies_below(self.leaves().last()) && lies_below(self.ancestors().last())
    }

    /// Whether the version is a stub, is known as one, or was written on one.
    fn is_beside_stub(&self, version: &Version<V>) -> bool {
        let is_stub = |id: &VersionId| self.get(id).is_some_and(Version::is_stub);
        version.is_stub() || is_stub(version.id()) || version.parents().iter().any(is_stub)
    }

    /// Whether a version that is not known is the parent of a known one; `None` when that cannot be
    /// told from its neighbours alone, because the version or one of them is a stub.
    ///
    /// Children lie in a higher generation, or in the same one where generations saturate; the
    /// highest version of all is a leaf, so the newest version is decided at once.
    fn is_superseded_plainly(&self, version: &Version<V>) -> Option<bool> {
        let id = version.id();
        if self.is_beside_stub(version) {
            return None;
        }
        let cannot_be_child = |other: &Version<V>| {
            other.id().generation() <= id.generation() && other.id().generation() < u64::MAX
        };
        let mut is_superseded = false;
        for versions in [self.ancestors(), self.leaves()] {
            let first = versions.partition_point(cannot_be_child);
            for child in versions[first..].iter().filter(|child| child.parents().contains(id)) {
                if child.is_stub() {
                    return None;
                }
                is_superseded = true;
            }
        }
        Some(is_superseded)
    }
}

fn insert_sorted<V>(versions: &mut Vec<Version<V>>, version: Version<V>) {
    let place = versions.partition_point(|other| other.id() < version.id());
    versions.insert(place, version);
}
