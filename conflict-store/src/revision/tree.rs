//! All versions of one document.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crdt_core::{Crdt, Stamp};

use super::error::PutError;
use super::held::Held;
use super::id::VersionId;
use super::version::Version;
use crate::limits::MAX_PARENTS;

/// A document is all versions of it that are known.
pub type Document<V> = RevisionTree<V>;

/// What a write gives back: the id of the new version, and the delta that tells other replicas.
pub type Written<V> = (VersionId, Document<V>);

/// All known versions of one document, and how they hang together.
///
/// Every write adds a version on top of the ones it was made on. Versions nobody has written on are
/// the *leaves*: one when all writers saw each other, several when they did not. Among the leaves
/// that do not delete, one is the [`winner`](Self::winner), the same on every replica that knows
/// the same leaves; the others are the [`conflicts`](Self::conflicts), kept until something
/// resolves them.
///
/// The semantics are those of the revision trees of [CouchDB](https://docs.couchdb.org), with one
/// difference. There, a conflict is resolved by a child of the winner plus a deleted child of every
/// loser, and those deleted leaves stay for ever. Here the resolving version has all versions it
/// resolves as [parents](Version::parents). That takes one version instead of several, leaves
/// nothing behind, names exactly what its writer had seen, and gives a later conflict the nearest
/// common ancestor. (The tree is then, strictly, an acyclic graph.)
///
/// A tree is a [`Crdt`](crdt_core::Crdt): merging is the union of versions, everything else is
/// derived from it. All versions of a tree belong to one key, which the tree does not store: it
/// enters the ids. The caller passes the same key every time and merges only trees of the same key.
///
/// ```
/// use conflict_store::Document;
/// use crdt_core::Crdt;
///
/// let mut here = Document::<Vec<u8>>::default();
/// let (first, _) = here.put(b"title", None, Some("Hi".into()), None)?;
/// let mut there = here.clone();
///
/// let (_, delta) = here.put(b"title", Some(&first), Some("Hello".into()), None)?;
/// there.put(b"title", Some(&first), Some("Bonjour".into()), None)?;
///
/// assert!(there.merge(&delta).is_changed());
/// assert_eq!(there.live_leaves().count(), 2, "both are kept");
/// assert_eq!(there.conflicts().count(), 1, "one of them wins until they are resolved");
///
/// let seen: Vec<_> = there.leaves().iter().map(|leaf| *leaf.id()).collect();
/// there.supersede(b"title", &seen, Some("Hello, bonjour".into()), None)?;
/// assert_eq!(there.conflicts().count(), 0);
/// # Ok::<(), conflict_store::PutError>(())
/// ```
///
/// # Cost
///
/// A document of one version is four words and what the version says. Versions are shared between a tree, its clones
/// and deltas. Looking a version up is O(log n) in
/// the number of versions; the winner and the conflicts are O(leaves).
#[derive(Clone, PartialEq, Eq)]
pub struct RevisionTree<V> {
    pub(super) held: Held<V>,
}

impl<V> Default for RevisionTree<V> {
    fn default() -> Self {
        Self { held: Held::NOTHING }
    }
}

/// Writing.
impl<V: AsRef<[u8]> + Clone + Eq> RevisionTree<V> {
    /// Writes `body` (`None` deletes) on top of `parent`, and returns the new version's id with the
    /// delta that tells other replicas.
    ///
    /// `parent` must be a current leaf. Without one the document must not exist yet, or be deleted;
    /// a document that is deleted comes back on top of its deletions. Anything else is a
    /// [`PutError::Conflict`]: the writer has not seen what it would overwrite. To write a branch
    /// on purpose, [`put_branch`](Self::put_branch).
    ///
    /// A write repeated after a lost answer is one version: while nobody has written on it, it
    /// returns the same id and an empty delta.
    ///
    /// `stamp` belongs to collections that order versions by time; others pass `None`.
    pub fn put(
        &mut self,
        key: &[u8],
        parent: Option<&VersionId>,
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, PutError> {
        let written = self.put_delta(key, parent, body, stamp)?;
        Ok(self.add(written))
    }

    /// Writes `body` (`None` deletes) beside whatever else was written on `parent`, which need not
    /// be a leaf nor be known here. This is how a conflict is made on purpose.
    pub fn put_branch(
        &mut self,
        key: &[u8],
        parent: Option<&VersionId>,
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Written<V> {
        let version = Version::new(key, parent.copied().into_iter().collect(), body, stamp, None);
        let written = self.delta(version);
        self.add(written)
    }

    /// Writes one version on top of all of `seen`, which resolves the conflict between them. `None`
    /// as `body` deletes.
    ///
    /// Every version of `seen` must be a current leaf, else [`PutError::Conflict`]. Leaves that are
    /// not named stay as they are: a version that arrived after the writer looked is not resolved
    /// away.
    ///
    /// The same resolution made on two nodes is one version, because its id derives from what it
    /// supersedes and what it says.
    pub fn supersede(
        &mut self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, PutError> {
        let written = self.supersede_delta(key, seen, body, stamp, None)?;
        Ok(self.add(written))
    }

    pub(crate) fn add(&mut self, (id, delta): Written<V>) -> Written<V> {
        // Whether it is new shows in the delta.
        let _ = self.merge(&delta);
        (id, delta)
    }
}

/// What a write would add, without adding it: an id, and a delta that is empty if the version is
/// there already.
impl<V: AsRef<[u8]>> RevisionTree<V> {
    pub(crate) fn put_delta(
        &self,
        key: &[u8],
        parent: Option<&VersionId>,
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, PutError> {
        let parents = match parent {
            Some(parent) => vec![*parent],
            None => self.deletions(),
        };
        let version = Version::new(key, parents, body, stamp, None);
        if self.is_leaf(version.id()) {
            return Ok(self.delta(version));
        }
        let overlooks_live = parent.is_none() && self.live_leaves().next().is_some();
        if overlooks_live || !version.parents().iter().all(|parent| self.is_leaf(parent)) {
            return Err(self.conflict());
        }
        let stands_on_live =
            version.parents().iter().filter_map(|id| self.get(id)).any(|leaf| !leaf.is_deleted());
        if version.is_deleted() && !stands_on_live {
            return Err(PutError::NothingToDelete);
        }
        Ok(self.delta(version))
    }

    pub(crate) fn supersede_delta(
        &self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
        rule: Option<&str>,
    ) -> Result<Written<V>, PutError> {
        if seen.is_empty() {
            return self.put_delta(key, None, body, stamp);
        }
        if seen.len() > MAX_PARENTS {
            return Err(PutError::TooManyParents { given: seen.len(), limit: MAX_PARENTS });
        }
        let version = Version::new(key, seen.to_vec(), body, stamp, rule.map(Box::from));
        if !self.is_leaf(version.id()) && !seen.iter().all(|id| self.is_leaf(id)) {
            return Err(self.conflict());
        }
        Ok(self.delta(version))
    }

    pub(crate) fn delta(&self, version: Version<V>) -> Written<V> {
        let id = *version.id();
        let held = if self.knows(&version) { Held::NOTHING } else { Held::Leaf(version) };
        (id, Self { held })
    }

    /// What a write that names no parent stands on: every deletion, as far as one version can.
    fn deletions(&self) -> Vec<VersionId> {
        let leaves = self.leaves().iter().rev();
        leaves.filter(|leaf| leaf.is_deleted()).map(|leaf| *leaf.id()).take(MAX_PARENTS).collect()
    }

    fn conflict(&self) -> PutError {
        PutError::Conflict { leaves: self.leaves().iter().map(|leaf| *leaf.id()).collect() }
    }
}

/// Reading.
impl<V> RevisionTree<V> {
    /// The versions nobody has written on, deletions included, ascending by id. Never
    /// [stubs](Version::is_stub).
    pub fn leaves(&self) -> &[Version<V>] {
        self.held.leaves()
    }

    /// All other known versions, stubs among them, ascending by id.
    pub(super) fn ancestors(&self) -> &[Version<V>] {
        self.held.ancestors()
    }

    /// The leaves that do not delete, ascending by id.
    pub fn live_leaves(&self) -> impl DoubleEndedIterator<Item = &Version<V>> {
        self.leaves().iter().filter(|leaf| !leaf.is_deleted())
    }

    /// The version a reader sees who asks for one, `None` when nothing is known of the document
    /// (or nothing but stubs).
    ///
    /// Live leaves win over deletions, then the higher generation as a number, then the higher
    /// digest, so every replica that knows the same leaves has the same winner. The winner of a
    /// deleted document is its highest deletion.
    pub fn winner(&self) -> Option<&Version<V>> {
        self.leaves().iter().max_by_key(|leaf| leaf.rank())
    }

    /// The live leaves that are not the winner: what somebody should resolve. Ascending by id.
    pub fn conflicts(&self) -> impl Iterator<Item = &Version<V>> {
        let winner = self.winner().map(|winner| *winner.id());
        self.live_leaves().filter(move |leaf| Some(*leaf.id()) != winner)
    }

    /// Whether the document is known and all its leaves delete it.
    pub fn is_deleted(&self) -> bool {
        !self.leaves().is_empty() && self.live_leaves().next().is_none()
    }

    /// The version with this id, leaf or not. O(log n).
    pub fn get(&self, id: &VersionId) -> Option<&Version<V>> {
        let find = |versions: &[Version<V>]| versions.binary_search_by(|version| version.id().cmp(id));
        match find(self.leaves()) {
            Ok(leaf) => self.leaves().get(leaf),
            Err(_) => self.ancestors().get(find(self.ancestors()).ok()?),
        }
    }

    /// Whether the version with this id is known and nobody has written on it. O(log leaves).
    pub fn is_leaf(&self, id: &VersionId) -> bool {
        self.leaves().binary_search_by(|leaf| leaf.id().cmp(id)).is_ok()
    }

    /// Which of `ids` are not known here, in the order given: what to ask a peer for. O(ids · log
    /// n).
    ///
    /// A [stub](Version::is_stub) is among them: what it says may be the base that a later conflict
    /// is resolved on. ([CouchDB](https://docs.couchdb.org)'s `_revs_diff` does not ask for it.)
    pub fn missing(&self, ids: &[VersionId]) -> Vec<VersionId> {
        ids.iter().filter(|id| self.get(id).is_none_or(Version::is_stub)).copied().collect()
    }

    /// The leaves that may be ancestors of one of `missing`, ascending: those of a lower generation
    /// than the highest of them. A peer that knows one of these need not tell what lies below it,
    /// see [`branch`](Self::branch). O(leaves + missing).
    ///
    /// With [`missing`](Self::missing) it is what `CouchDB` answers to `_revs_diff`.
    pub fn possible_ancestors(&self, missing: &[VersionId]) -> Vec<VersionId> {
        let highest = missing.iter().map(VersionId::generation).max().unwrap_or(0);
        let ids = self.leaves().iter().map(|leaf| *leaf.id());
        ids.take_while(|id| id.generation() < highest).collect()
    }

    /// Whether every version of `other` is known here. O(m log n).
    pub fn contains_all(&self, other: &Self) -> bool {
        other.len() <= self.len() && other.versions().all(|version| self.knows(version))
    }

    /// Whether as much as `version` says is known here. O(log n).
    pub(super) fn knows(&self, version: &Version<V>) -> bool {
        self.get(version.id()).is_some_and(|known| version.is_stub() || !known.is_stub())
    }

    /// How many versions are known.
    pub fn len(&self) -> usize {
        self.leaves().len() + self.ancestors().len()
    }

    /// Whether nothing is known of the document, not even that it was deleted.
    pub fn is_empty(&self) -> bool {
        self.leaves().is_empty() && self.ancestors().is_empty()
    }

    /// All known versions, ascending by id, so that parents come before their children.
    pub fn versions(&self) -> impl Iterator<Item = &Version<V>> {
        let mut leaves = self.leaves().iter().peekable();
        let mut ancestors = self.ancestors().iter().peekable();
        core::iter::from_fn(move || match (leaves.peek(), ancestors.peek()) {
            (Some(leaf), Some(ancestor)) if leaf.id() < ancestor.id() => leaves.next(),
            (_, Some(_)) => ancestors.next(),
            (_, None) => leaves.next(),
        })
    }
}

impl<V: AsRef<[u8]>> fmt::Debug for RevisionTree<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.versions()).finish()
    }
}
