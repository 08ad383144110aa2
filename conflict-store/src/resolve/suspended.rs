//! Conflicts that wait for somebody, and the answer.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crdt_core::Stamp;

use super::reading::{ResolveError, evaluate};
use super::{Conflict, Resolution, Resolver};
use crate::limits::MAX_PARENTS;
use crate::revision::{PutError, RevisionTree, Version, VersionId, Written, common_ancestor};

/// Why a rule decided nothing and wants somebody to. The document is as it was, with all its
/// versions.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuspendReason {
    /// The rule leaves it to people.
    #[error("the rule leaves the decision to people")]
    LeftToPeople,
    /// A rule of your own says this.
    #[error("{0}")]
    Other(Box<str>),
    /// The body of a version is not what the rule works on. Whoever wrote it is at fault, or the
    /// rule is the wrong one for the collection.
    #[error("the body of {version:?} cannot be read ({reason}); all versions are kept")]
    Undecodable {
        /// The first such version, in the order of the conflict.
        version: VersionId,
        /// What was wrong with it.
        reason: String,
    },
    /// The bodies can be read, but one of them must not be merged with the others. Its writer is at
    /// fault: two writers used one identity.
    #[error("the body of {version:?} cannot be merged ({reason}); all versions are kept")]
    Unmergeable {
        /// The first such version, in the order of the conflict.
        version: VersionId,
        /// What was wrong with it.
        reason: String,
    },
    /// The bodies were merged, but the result cannot be written as a body.
    #[error("the merged value cannot be written ({reason}); all versions are kept")]
    Unencodable {
        /// What was wrong.
        reason: String,
    },
    /// These fields were changed differently, and their rules do not decide.
    #[error("these fields were changed differently: {}; all versions are kept", fields.join(", "))]
    Fields {
        /// The names of the fields, ascending.
        fields: Vec<String>,
    },
    /// The versions' history is not known as far as a three-way merge needs it: what seems to be
    /// added may have been removed by the other side.
    #[error("the history of the versions is not known back to where they parted; all versions are kept")]
    HistoryIncomplete,
    /// More versions compete than the rule looks at, or lie side by side at the base of two of them.
    #[error("{given} versions compete or are a base, more than the limit of {limit}; all versions are kept")]
    TooManyVersions {
        /// How many there are.
        given: usize,
        /// The limit.
        limit: usize,
    },
}

/// A conflict that waits for somebody, with all that is needed to decide it.
///
/// What is to be sent back with the answer are the ids in [`seen`](Self::seen), see
/// [`Document::resolve_suspended`](crate::RevisionTree::resolve_suspended).
#[non_exhaustive]
pub struct SuspendedConflict<'a, V> {
    /// Why the rule did not decide.
    pub reason: SuspendReason,
    /// The competing versions, the winner first.
    pub versions: Vec<&'a Version<V>>,
    /// The newest known version that all of them were written on, if there is one.
    pub common_ancestor: Option<&'a Version<V>>,
    /// Whether [`common_ancestor`](Self::common_ancestor) rests on the whole history, see
    /// [`Conflict::is_history_complete`].
    pub is_history_complete: bool,
    /// The ids of the competing versions, ascending: what the answer will rest on.
    pub seen: Vec<VersionId>,
}

impl<V: AsRef<[u8]> + Clone + Eq> RevisionTree<V> {
    /// The conflict of this document of `key`, if it has one that the rule suspends. O(versions
    /// above the common ancestor), plus what the rule does.
    ///
    /// ```
    /// use conflict_store::{AskUser, Document};
    ///
    /// let mut title = Document::<Vec<u8>>::default();
    /// title.put_branch(b"title", None, Some(b"Hello".to_vec()), None);
    /// title.put_branch(b"title", None, Some(b"Bonjour".to_vec()), None);
    ///
    /// let question = title.suspended(b"title", &AskUser)?.expect("nobody has decided yet");
    /// assert_eq!(question.versions.len(), 2);
    /// let seen = question.seen;
    ///
    /// // While somebody thinks, a third title arrives. The answer does not decide about it.
    /// let (late, _) = title.put_branch(b"title", None, Some(b"Hola".to_vec()), None);
    /// title.resolve_suspended(b"title", &seen, Some(b"Hello, bonjour".to_vec()), None)?;
    /// let question = title.suspended(b"title", &AskUser)?.expect("there is a new question");
    /// assert!(question.seen.contains(&late));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suspended<R: Resolver<V> + ?Sized>(
        &self,
        key: &[u8],
        resolver: &R,
    ) -> Result<Option<SuspendedConflict<'_, V>>, ResolveError> {
        let conflict = Conflict::new(key, self, resolver.orders_by_time());
        let Resolution::Suspend(reason) = evaluate(resolver, &conflict)? else {
            return Ok(None);
        };
        let mut seen = conflict.ids().to_vec();
        seen.sort_unstable();
        let ancestor = common_ancestor(self, &seen);
        Ok(Some(SuspendedConflict {
            reason,
            // Asked for by id, they live as long as the tree, whatever becomes of the key.
            versions: conflict.ids().iter().filter_map(|id| self.get(id)).collect(),
            common_ancestor: ancestor.version,
            is_history_complete: ancestor.is_history_complete,
            seen,
        }))
    }

    /// Writes what somebody decided (`None` deletes) on top of all they had
    /// [seen](SuspendedConflict::seen).
    ///
    /// What arrived meanwhile is not resolved away. A version beside those seen stays as it is. A
    /// version on top of one of those seen stays as well, and competes with the decision: neither
    /// work is lost, and the next reader is asked about these two. Where *all* that was seen has
    /// been written on, the question no longer exists: [`PutError::Conflict`], as for a version of
    /// `seen` that is not known. (To refuse as soon as *any* was written on,
    /// [`supersede`](Self::supersede).)
    ///
    /// A decision sent twice is one version.
    pub fn resolve_suspended(
        &mut self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, PutError> {
        let written = self.resolve_suspended_delta(key, seen, body, stamp)?;
        Ok(self.add(written))
    }

    /// What [`resolve_suspended`](Self::resolve_suspended) would add, without adding it.
    pub(crate) fn resolve_suspended_delta(
        &self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, PutError> {
        if seen.is_empty() || seen.iter().all(|id| self.is_leaf(id)) {
            return self.supersede_delta(key, seen, body, stamp, None);
        }
        if seen.len() > MAX_PARENTS {
            return Err(PutError::TooManyParents { given: seen.len(), limit: MAX_PARENTS });
        }
        let decision = Version::new(key, seen.into(), body, stamp, None);
        let is_repeated = self.is_leaf(decision.id());
        let is_open = seen.iter().any(|id| self.is_leaf(id));
        let is_known = seen.iter().all(|id| self.get(id).is_some());
        if !is_repeated && (!is_open || !is_known) {
            return Err(PutError::Conflict { leaves: self.leaves().iter().map(|leaf| *leaf.id()).collect() });
        }
        Ok(self.delta(decision))
    }
}
