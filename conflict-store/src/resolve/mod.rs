//! What a reader sees of a conflict, decided by a rule.
//!
//! A conflict is stored as it is. A [`Resolver`] decides at every *read* what to show for it, so a
//! rule can be changed without touching data, and replicas with the same rule and the same versions
//! show the same. To close a conflict for good, somebody writes:
//! [`supersede`](crate::RevisionTree::supersede), or the rule itself by
//! [`settle`](crate::RevisionTree::settle).

mod audit;
mod chain;
mod conflict;
mod crdt_merge;
mod fields;
mod reading;
mod rules;
mod suspended;

#[cfg(test)]
mod tests;

pub use audit::AuditEntry;
pub use chain::Chain;
pub use conflict::Conflict;
pub use crdt_merge::CrdtMerge;
pub use fields::{
    FieldBase, FieldConflict, FieldMap, FieldMerge, FieldResolution, FieldRule, FieldValue, Fields, Lines,
    LinesError,
};
pub use reading::{Reading, ResolveError, SettleError};
pub use rules::{AskUser, Custom, KeepAll, LastWriterWins};
pub use suspended::{SuspendReason, SuspendedConflict};

use crate::revision::VersionId;

/// A rule that decides what readers see of a conflict.
///
/// It must be a pure function: the same versions give the same result, on every node, in every
/// release that bears the same [`rule`](Self::rule) name. No clock, no randomness, no state from
/// elsewhere. Debug builds evaluate twice and report [`ResolveError::NotDeterministic`] when the
/// results differ.
pub trait Resolver<V> {
    /// The name of the rule. It enters the ids of the versions the rule writes, so rename it when
    /// its results change.
    fn rule(&self) -> &str;

    /// What to show for this conflict.
    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V>;

    /// Whether the rule orders versions by their stamps. Collections under such a rule digest the
    /// stamp into every version's id, and their deletions compete with live versions instead of
    /// giving way to them.
    fn orders_by_time(&self) -> bool {
        false
    }

    /// This rule, and for what it keeps or suspends the rule `next`. See [`Chain`].
    fn or_else<N: Resolver<V>>(self, next: N) -> Chain<V, Self, N>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }
}

impl<V, R: Resolver<V> + ?Sized> Resolver<V> for &R {
    fn rule(&self) -> &str {
        (**self).rule()
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        (**self).resolve(conflict)
    }

    fn orders_by_time(&self) -> bool {
        (**self).orders_by_time()
    }
}

/// What a [`Resolver`] makes of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution<V> {
    /// Show the winner and report the others as conflicts.
    Keep,
    /// Show this version, which must be one of the conflict's, and nothing of the others.
    Choose(VersionId),
    /// Show this value, which the rule made of them.
    Merge(V),
    /// Show the winner and mark the document as waiting for somebody to decide, for this reason.
    Suspend(SuspendReason),
}
