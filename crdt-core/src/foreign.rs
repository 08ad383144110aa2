//! Merging what came from elsewhere, checked before anything is touched.

use crate::clock::Stamp;
use crate::{Change, Crdt, Dot, ReplicaId};

/// A [`Crdt`] that can tell whether foreign input breaks a rule that merging relies on.
///
/// [`Crdt::merge`] trusts its input: between replicas that keep the rules it cannot go wrong, and it is as fast as it
/// can be. Where a peer may be a restored backup, a cloned machine or simply mistaken, [`try_merge`](Self::try_merge)
/// looks first and merges only what can be merged. It is atomic: an error leaves the state as it was.
///
/// A check costs what comparing the parts that both sides hold costs, for a small delta about as much as merging it.
///
/// ```
/// use crdt_core::{MergeError, OrSet, Replica, ReplicaId, TryMerge, Writer};
///
/// let ann = ReplicaId::from_u128(1);
/// let mut list = Replica::new(ann, OrSet::default())?;
/// list.edit(|set, me| set.add(me, "milk"))?;
///
/// // Somebody goes on from an older copy under Ann's name.
/// let mut older = OrSet::default();
/// older.add(Writer::unchecked(ann), "rice")?;
/// older.add(Writer::unchecked(ann), "salt")?;
///
/// let refused = list.merge(&older).unwrap_err();
/// assert_eq!(refused, MergeError::OwnChangesClaimed { replica: ann, claimed: 2, issued: 1 });
/// assert_eq!(list.len(), 1, "nothing was merged");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait TryMerge: Crdt {
    /// How much `replica` has changed, as far as this state knows: a number that grows with every change it makes, 0
    /// if it made none. The highest counter for most types; what exactly is counted is up to the type.
    fn changes_of(&self, replica: ReplicaId) -> u128;

    /// Why `other` must not be merged, if it must not; `me` is the identity the caller writes under.
    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError>;

    /// Merges `other` unless it breaks a rule.
    ///
    /// On [`MergeError::OwnChangesClaimed`] the identity is burnt: somebody else wrote under it, or this state is an
    /// older copy of what its owner once had. Take a fresh [`ReplicaId`] and try again; the changes are then a foreign
    /// replica's and merge.
    fn try_merge(&mut self, other: &Self, me: ReplicaId) -> Result<Change, MergeError> {
        self.check_merge(other, me)?;
        Ok(self.merge(other))
    }
}

/// Refuses input that knows of more changes of `me` than `ours` does: for types that keep all of them.
pub(crate) fn check_own_changes<T: TryMerge>(ours: &T, other: &T, me: ReplicaId) -> Result<(), MergeError> {
    let (claimed, issued) = (other.changes_of(me), ours.changes_of(me));
    if claimed > issued {
        return Err(MergeError::OwnChangesClaimed { replica: me, claimed, issued });
    }
    Ok(())
}

/// Why foreign input was not merged. The state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The input knows of changes in the caller's own name that the caller never made.
    ///
    /// Either this state is older than what was once written under the id (a restored backup), or somebody else uses
    /// the id (a cloned machine, a forgery).
    #[error(
        "{replica} is said to have made {claimed} changes and made {issued}: the id is in use elsewhere, or this \
         state is an old copy; nothing was merged, go on under a fresh replica id"
    )]
    OwnChangesClaimed {
        /// The caller's own id.
        replica: ReplicaId,
        /// What the input claims.
        claimed: u128,
        /// What this state knows of.
        issued: u128,
    },
    /// One dot has one content here and another in the input: its replica used a counter twice.
    #[error("{dot} stands for two different changes: two writers use its id; nothing was merged")]
    ForkedReplica {
        /// The dot in question.
        dot: Dot,
    },
    /// One stamp has one content here and another in the input: its replica used a stamp twice.
    #[error(
        "{} of {} stamps two different writes: two writers use its id; nothing was merged",
        stamp.time, stamp.replica
    )]
    ForkedStamp {
        /// The stamp in question.
        stamp: Stamp,
    },
    /// Both together would count further than a counter goes, which only forged amounts can.
    #[error("the amounts of {replica} add up to more than a counter holds: forged; nothing was merged")]
    Overflow {
        /// Whose amounts they are.
        replica: ReplicaId,
    },
    /// Both together, a replica spends more rights of a [`BoundedCounter`](crate::BoundedCounter) than it ever had.
    #[error(
        "{replica} spends more rights than it has: forged, or what pays for it has not arrived; nothing was merged"
    )]
    Overspent {
        /// Whose rights they are.
        replica: ReplicaId,
    },
}
