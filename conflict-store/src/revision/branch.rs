//! Versions written elsewhere: one, or one with the places of those it was written on.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::Stamp;
use smallvec::SmallVec;

use super::content::Content;
use super::descent::Descent;
use super::error::InsertError;
use super::id::VersionId;
use super::place::{Inserted, Place};
use super::tree::RevisionTree;
use super::version::Version;
use crate::limits::MAX_PARENTS;

/// A version as somebody else tells it, not checked yet: [`RevisionTree::insert_branch`] checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<V> {
    /// The id it came with.
    pub id: VersionId,
    /// The versions it supersedes.
    pub parents: Vec<VersionId>,
    /// What it says, or the digest of that.
    pub content: Content<V>,
}

impl<V: AsRef<[u8]>> Claim<V> {
    /// The version of `key` this claims to be. O(length of key and content).
    fn check(self, key: &[u8]) -> Result<Version<V>, InsertError> {
        if self.parents.len() > MAX_PARENTS {
            return Err(InsertError::TooManyParents { given: self.parents.len(), limit: MAX_PARENTS });
        }
        let version = Version::with_content(key, self.parents, self.content);
        if *version.id() != self.id {
            return Err(InsertError::Forged { claimed: self.id, actual: *version.id() });
        }
        Ok(version)
    }
}

/// What a replica tells another about a version.
impl<V: Clone> From<&Version<V>> for Claim<V> {
    fn from(version: &Version<V>) -> Self {
        Self { id: *version.id(), parents: version.parents().to_vec(), content: version.content() }
    }
}

/// Replicating.
impl<V: AsRef<[u8]> + Clone + Eq> RevisionTree<V> {
    /// Inserts a version that was written elsewhere, wherever it belongs; its parents need not be
    /// known.
    ///
    /// The id it came with must be the digest of its content as a version of `key`, else
    /// [`InsertError::Forged`]. Whole trees travel without ids, see
    /// [`decode_for_key`](Self::decode_for_key).
    pub fn insert(
        &mut self,
        key: &[u8],
        claimed: &VersionId,
        parents: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
        rule: Option<&str>,
    ) -> Result<Inserted, InsertError> {
        let content = Content::attributed(body, stamp, rule.map(Box::from));
        self.insert_branch(key, [Claim { id: *claimed, parents: parents.to_vec(), content }])
    }

    /// Inserts a leaf that was written elsewhere together with the versions it was written on,
    /// newest first; of those only the places need be told.
    ///
    /// It is what `CouchDB` does for a write with `new_edits=false` and its list of `_revisions`. The
    /// ancestry joins the leaf to what is known here although nobody sends the bodies between: a
    /// known leaf that is among the ancestors becomes one of them, and no conflict arises. Whatever
    /// was forgotten here re-attaches.
    ///
    /// Nothing is taken on trust. An ancestor's id is the digest of where it hangs and of the
    /// digest of its content, so it proves its place without its body.
    ///
    /// O(m log n) plus the cost of merging, which is O(n log n) when there are stubs among what is
    /// new.
    ///
    /// ```
    /// use conflict_store::{Claim, Document, Place};
    ///
    /// let mut here = Document::<Vec<u8>>::default();
    /// let (mut tip, _) = here.put(b"title", None, Some("one".into()), None)?;
    /// let known = here.leaves()[0].id().clone();
    /// let mut there = here.clone();
    /// for body in ["two", "three", "four"] {
    ///     tip = there.put(b"title", Some(&tip), Some(body.into()), None)?.0;
    /// }
    ///
    /// // Of "two" and "three" only the places go over the wire.
    /// let branch = there.branch(&tip, &[known]).expect("it was written there");
    /// let claims = branch.history(&tip).map(Claim::from);
    /// let inserted = here.insert_branch(b"title", claims)?;
    /// assert_eq!(inserted.place, Place::NewLeaf);
    /// assert_eq!((here.len(), here.conflicts().count()), (4, 0));
    /// assert!(here.history(&tip).nth(1).is_some_and(|three| three.is_stub()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_branch(
        &mut self,
        key: &[u8],
        claims: impl IntoIterator<Item = Claim<V>>,
    ) -> Result<Inserted, InsertError> {
        let mut named = BTreeSet::new();
        let mut versions: SmallVec<[Version<V>; 1]> = SmallVec::new();
        for claim in claims {
            let version = claim.check(key)?;
            if versions.is_empty() && version.is_stub() {
                return Err(InsertError::LeafWithoutContent { leaf: *version.id() });
            }
            if !versions.is_empty() && !named.contains(version.id()) {
                return Err(InsertError::NotAnAncestor { given: *version.id() });
            }
            named.extend(version.parents().iter().copied());
            versions.push(version);
        }
        if versions.is_empty() {
            return Err(InsertError::NoLeaf);
        }
        let mut branch = Self::default();
        // Whether the branch is new shows when it is merged.
        let _ = branch.rebuild(versions);
        let merged = self.merge_placed(&branch);
        let place = merged.places.first().map_or(Place::InternalNode, |(_, place)| *place);
        Ok(Inserted { change: merged.change, place })
    }

    /// The version `leaf` with its content, and the places of all it was written on down to the
    /// versions `known` to the receiver: the least that makes the receiver see it as the sender
    /// does. `None` when `leaf` is not known here with its content.
    ///
    /// The answer of the receiver's [`possible_ancestors`](Self::possible_ancestors) makes a good
    /// `known`. What is merged there is the tree itself, or its versions as [`Claim`]s.
    ///
    /// Visits each version above `known` once; O(log n) for each, plus hashing its content.
    pub fn branch(&self, leaf: &VersionId, known: &[VersionId]) -> Option<Self> {
        let tip = self.get(leaf).filter(|version| !version.is_stub())?;
        let known: BTreeSet<_> = known.iter().collect();
        let mut descent = Descent::new(self, [(*leaf, ())]);
        let mut versions = Vec::new();
        while let Some((id, version, ())) = descent.step() {
            let Some(version) = version.filter(|_| id == *leaf || !known.contains(&id)) else { continue };
            descent.descend(version, &());
            versions.push(if id == *leaf { tip.clone() } else { version.to_stub() });
        }
        versions.reverse();
        Some(Self::from_sorted(versions))
    }
}
