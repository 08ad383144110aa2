//! The right to write under an identity.

use core::marker::PhantomData;

use crate::ReplicaId;

/// The right to make changes in the name of one replica, which every mutator asks for.
///
/// A [`ReplicaId`] is data: it stands in every dot and travels everywhere. If it were enough to write with, a copy of
/// a state could be changed beside its original, and both would sign different changes with one dot. So mutators take
/// a `Writer`, and a [`Replica`](crate::Replica) lends one only together with the one state that belongs to it.
///
/// ```
/// use crdt_core::{OrSet, Replica, ReplicaId};
///
/// let mut list = Replica::new(ReplicaId::from_u128(7), OrSet::default())?;
/// let delta = list.edit(|set, me| set.add(me, "milk"))?;
/// assert!(delta.contains("milk"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer<'a> {
    id: ReplicaId,
    /// Ends with the loan of the state it was handed out for.
    state: PhantomData<&'a mut ()>,
}

impl Writer<'_> {
    /// A writer without a [`Replica`](crate::Replica) to vouch for it.
    ///
    /// For programs that keep identities by other means, such as an engine that numbers its log. It asserts two
    /// things that nothing here can check: nobody else writes under `id`, and the state it is used on is the newest
    /// that was ever written under it. Where either is false, two changes get one name, and replicas that merge them
    /// disagree for ever; [`TryMerge`](crate::TryMerge) tells when it meets such a pair.
    pub const fn unchecked(id: ReplicaId) -> Self {
        Self { id, state: PhantomData }
    }

    /// Under whose name changes are made.
    pub const fn id(self) -> ReplicaId {
        self.id
    }
}
