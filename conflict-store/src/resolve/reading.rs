//! What a reader sees of a document.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crdt_core::Stamp;

use super::{Conflict, Resolution, Resolver, SuspendReason};
use crate::revision::{PutError, RevisionTree, Version, VersionId, Written};

/// What a reader sees of a document under a rule.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<V> {
    /// The value to show; `None` when the document does not exist or is deleted.
    pub value: Option<V>,
    /// The version shown: of a deleted document its deletion. `None` when nothing is known of the
    /// document, or when the rule made the value out of several versions.
    pub version: Option<VersionId>,
    /// The versions this reading rests on, ascending. A write on top of what was read
    /// [supersedes](crate::RevisionTree::supersede) exactly these.
    pub seen: Vec<VersionId>,
    /// The versions that still compete with the one shown, ascending; none when the rule decided.
    pub conflicts: Vec<VersionId>,
    /// Why the rule wants somebody to decide, if it does. See
    /// [`suspended`](crate::RevisionTree::suspended).
    pub suspended: Option<SuspendReason>,
}

/// A rule broke its contract. The rule is at fault; the document is as it was, and can be read
/// under another rule.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Two evaluations gave different results. Only debug builds look.
    #[error(
        "the rule {rule:?} gave two results for one conflict: it is not a pure function; nothing was changed"
    )]
    NotDeterministic {
        /// The rule's name.
        rule: String,
    },
    /// The rule chose a version that is not one of those it was asked to choose from.
    #[error("the rule {rule:?} chose {chosen:?}, which is not in the conflict; nothing was changed")]
    NotInConflict {
        /// The rule's name.
        rule: String,
        /// What it chose.
        chosen: VersionId,
    },
}

/// A rule's result was not written. The document is as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The rule broke its contract.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The write was refused.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl<V: AsRef<[u8]> + Clone + Eq> RevisionTree<V> {
    /// What a reader sees of this document of `key` under a rule. O(leaves), plus what the rule
    /// does.
    ///
    /// The rule is asked only when versions compete; a document with one live leaf reads the same
    /// under every rule that does not order by time.
    pub fn read<R: Resolver<V> + ?Sized>(
        &self,
        key: &[u8],
        resolver: &R,
    ) -> Result<Reading<V>, ResolveError> {
        let conflict = Conflict::new(key, self, resolver.orders_by_time());
        let resolution = evaluate(resolver, &conflict)?;
        let Some(winner) = self.winner() else {
            return Ok(Reading::default());
        };
        let undecided = |suspended| Reading {
            conflicts: self.conflicts().map(|version| *version.id()).collect(),
            suspended,
            ..Reading::of(winner)
        };
        let reading = match resolution {
            Resolution::Merge(value) => Reading { value: Some(value), ..Reading::default() },
            Resolution::Choose(chosen) => Reading::of(self.get(&chosen).unwrap_or(winner)),
            Resolution::Keep => undecided(None),
            Resolution::Suspend(reason) => undecided(Some(reason)),
        };
        let mut seen = if winner.is_deleted() { self.leaf_ids() } else { conflict.ids().to_vec() };
        seen.sort_unstable();
        Ok(Reading { seen, ..reading })
    }

    /// Writes what the rule makes of the conflict as a version on top of all it resolves, and
    /// returns the id with the delta; `None` when there is no conflict or the rule leaves it open.
    ///
    /// The id derives from the versions superseded, the name of the rule and the result, so two
    /// nodes that settle the same conflict write one version. Where stamps are kept, it carries the
    /// highest of those it supersedes.
    pub fn settle<R: Resolver<V> + ?Sized>(
        &mut self,
        key: &[u8],
        resolver: &R,
    ) -> Result<Option<Written<V>>, SettleError> {
        let written = self.settle_delta(key, resolver)?;
        Ok(written.map(|written| self.add(written)))
    }

    pub(crate) fn settle_delta<R: Resolver<V> + ?Sized>(
        &self,
        key: &[u8],
        resolver: &R,
    ) -> Result<Option<Written<V>>, SettleError> {
        let conflict = Conflict::new(key, self, resolver.orders_by_time());
        let body = match evaluate(resolver, &conflict)? {
            Resolution::Choose(chosen) => self.get(&chosen).and_then(Version::body).cloned(),
            Resolution::Merge(value) => Some(value),
            Resolution::Keep | Resolution::Suspend(_) => return Ok(None),
        };
        let seen = conflict.ids();
        let stamp = if resolver.orders_by_time() { self.highest_stamp(&seen) } else { None };
        Ok(Some(self.supersede_delta(key, &seen, body, stamp, Some(resolver.rule()))?))
    }

    fn leaf_ids(&self) -> Vec<VersionId> {
        self.leaves().iter().map(|leaf| *leaf.id()).collect()
    }

    fn highest_stamp(&self, ids: &[VersionId]) -> Option<Stamp> {
        ids.iter().filter_map(|id| self.get(id)?.stamp()).max()
    }
}

impl<V: Clone> Reading<V> {
    fn of(version: &Version<V>) -> Self {
        Self { value: version.body().cloned(), version: Some(*version.id()), ..Self::default() }
    }
}

/// Nothing is known of the document.
impl<V> Default for Reading<V> {
    fn default() -> Self {
        Self { value: None, version: None, seen: Vec::new(), conflicts: Vec::new(), suspended: None }
    }
}

/// What the rule says, if there is anything to say: several versions, not all of them deletions.
pub(super) fn evaluate<V: Eq, R: Resolver<V> + ?Sized>(
    resolver: &R,
    conflict: &Conflict<'_, V>,
) -> Result<Resolution<V>, ResolveError> {
    if matches!(conflict.versions(), [] | [_]) || conflict.versions()[0].is_deleted() {
        return Ok(Resolution::Keep);
    }
    let rule = || resolver.rule().to_string();
    let resolution = resolver.resolve(conflict);
    if cfg!(debug_assertions) && resolver.resolve(conflict) != resolution {
        return Err(ResolveError::NotDeterministic { rule: rule() });
    }
    match resolution {
        Resolution::Choose(chosen) if !conflict.versions().iter().any(|version| *version.id() == chosen) => {
            Err(ResolveError::NotInConflict { rule: rule(), chosen })
        }
        resolution => Ok(resolution),
    }
}
