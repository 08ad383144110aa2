//! What a reader sees of a conflict, decided by a rule.
//!
//! A conflict is stored as it is. A [`Resolver`] decides at every *read* what to show for it, so a
//! rule can be changed without touching data, and replicas with the same rule and the same versions
//! show the same. To close a conflict for good, somebody writes:
//! [`supersede`](crate::RevisionTree::supersede), or the rule itself by
//! [`settle`](crate::RevisionTree::settle).
//!
//! | rule | what readers see |
//! |---|---|
//! | [`KeepAll`] | the winner, and that there are others |
//! | [`LastWriterWins`] | the version with the highest stamp |
//! | [`CrdtMerge`] | the merge of all bodies, which are CRDTs |
//! | [`FieldMerge`] | what changed since the common versions, field by field |
//! | [`Custom`] | what a function says |
//! | [`AskUser`] | the winner, and that somebody has to decide |
//! | [`Chain`] | what the first says, else what the next says |
//!
//! # One conflict, three strategies
//!
//! There is milk on a shopping list. Ann adds plums, six of them. Bob, who cannot know, buys the milk
//! and adds rice. The same in `docs/conflicts.md`, with what to choose when.
//!
//! ```
//! use conflict_store::{CrdtMerge, Document, FieldMerge, LastWriterWins, Lines, Reading, Resolver};
//! use crdt_core::{Crdt, Hlc, Limits, OrSet, ReplicaId, Stamp, Writer, codec};
//!
//! const LIST: &[u8] = b"shopping list";
//! const ANN: ReplicaId = ReplicaId::from_u128(0xa);
//! const BOB: ReplicaId = ReplicaId::from_u128(0xb);
//!
//! type Body = Vec<u8>;
//! type Failure = Box<dyn core::error::Error>;
//!
//! /// There is a list. Ann and Bob change it apart from each other, Bob a second later. Then they meet.
//! fn apart(
//!     list: &Body,
//!     anns: Body,
//!     bobs: Body,
//!     rule: &dyn Resolver<Body>,
//! ) -> Result<Reading<Body>, Failure> {
//!     let stamp = |who, millis| {
//!         let stamp = Stamp { time: Hlc::new(millis, 0), replica: who };
//!         rule.orders_by_time().then_some(stamp)
//!     };
//!     let mut on_anns = Document::default();
//!     let (first, _) = on_anns.put(LIST, None, Some(list.clone()), stamp(ANN, 1_000))?;
//!     let mut on_bobs = on_anns.clone();
//!     on_anns.put(LIST, Some(&first), Some(anns), stamp(ANN, 2_000))?;
//!     on_bobs.put(LIST, Some(&first), Some(bobs), stamp(BOB, 3_000))?;
//!     Ok(on_anns.merged(&on_bobs).read(LIST, rule)?)
//! }
//!
//! let mut output = String::new();
//!
//! // The list is a text. The last writer wins: Ann's plums are not shown.
//! let reading = apart(&b"milk".to_vec(), b"milk, plums".to_vec(), b"rice".to_vec(), &LastWriterWins)?;
//! output += &format!("last writer wins: {}\n", String::from_utf8(reading.value.unwrap_or_default())?);
//!
//! // The list is a set that merges: what either added is on it, what Bob bought is not.
//! let mut list = OrSet::<String>::default();
//! list.add(Writer::unchecked(ANN), "milk".into())?;
//! let (mut anns, mut bobs) = (list.clone(), list.clone());
//! anns.add(Writer::unchecked(ANN), "plums".into())?;
//! bobs.remove("milk");
//! bobs.add(Writer::unchecked(BOB), "rice".into())?;
//! let [list, anns, bobs] = [&list, &anns, &bobs].map(codec::to_bytes);
//! let reading = apart(&list, anns, bobs, &CrdtMerge::<OrSet<String>>::new())?;
//! let merged: OrSet<String> = codec::from_bytes(&reading.value.unwrap_or_default(), &Limits::default())?;
//! let mut wishes: Vec<_> = merged.iter().cloned().collect();
//! wishes.sort();
//! output += &format!("CRDT merge: {}\n", wishes.join(", "));
//!
//! // The list has a field for each thing, with how much of it. Fields changed by one side merge.
//! let rule = FieldMerge::new("amounts", Lines);
//! let list = b"milk=1\n".to_vec();
//! let reading = apart(&list, b"milk=1\nplums=6\n".to_vec(), b"rice=1\n".to_vec(), &rule)?;
//! let amounts = String::from_utf8(reading.value.unwrap_or_default())?;
//! output += &format!("field merge: {}\n", amounts.trim_end().replace('\n', ", "));
//!
//! // Had Ann wanted more milk while Bob bought it, somebody would have to say which.
//! let reading = apart(&list, b"milk=2\nplums=6\n".to_vec(), b"rice=1\n".to_vec(), &rule)?;
//! let question = reading.suspended.map(|reason| reason.to_string());
//! output += &format!("milk changed by both: {}\n", question.unwrap_or_default());
//!
//! assert_eq!(output, "\
//! last writer wins: rice
//! CRDT merge: plums, rice
//! field merge: plums=6, rice=1
//! milk changed by both: these fields were changed differently: milk; all versions are kept
//! ");
//! # Ok::<(), Failure>(())
//! ```

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
