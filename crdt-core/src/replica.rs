//! A state together with the one identity that may change it.

use core::ops::Deref;

use crate::{Change, MergeError, NotStable, ReplicaId, Retire, Retirement, TryMerge, VersionDigest, Writer};

/// A state and the identity it is written under: what a device, a process or a user's session owns.
///
/// The laws of this crate hold as long as no identity signs two different changes with one dot. Three accidents break
/// that, and this type is made to get in their way:
///
/// - *two copies of a state are changed.* A `Replica` cannot be cloned, and mutators want a [`Writer`], which only
///   [`edit`](Self::edit) lends. A clone of the state inside is free to read, send and merge, and cannot be written;
/// - *a state is restored from a backup and goes on counting.* An identity survives a restart only by
///   [`close`](Self::close) and [`Seal::open`], which refuses every state but the one that was sealed. A crash leaves
///   no seal; the way on is then a fresh id, as for a new device;
/// - *everything, seal included, is cloned or restored.* Nothing local can notice. The first peer that heard more can:
///   [`merge`](Self::merge) refuses to take in changes in this replica's own name.
///
/// What `merge` notices it notices by what is still there to be compared: more changes in the own name than were made,
/// or one dot with two contents. Two clones that made *equally many* changes and of which one has removed again what it
/// wrote look like a removal. So the third accident is to be met before it happens: give a clone, and whatever was
/// restored, a fresh id at once, by [`rename`](Self::rename).
///
/// Ids are cheap: an identity that is given up leaves 17 bytes in every context, until a
/// [`Retirement`](crate::Retirement) folds it away.
///
/// ```
/// use crdt_core::{OrSet, Replica, ReplicaId};
///
/// let mut list = Replica::new(ReplicaId::from_u128(7), OrSet::<String>::default())?;
/// list.edit(|set, me| set.add(me, "milk".into()))?;
/// let (state, seal) = list.close();
///
/// // After the restart, with both as they were stored:
/// let mut list = seal.open(state.clone())?;
/// list.edit(|set, me| set.add(me, "rice".into()))?;
/// let (newer, seal) = list.close();
///
/// // An old copy of the state does not go with the new seal.
/// let refused = seal.open(state).unwrap_err();
/// assert_eq!(refused.replica, ReplicaId::from_u128(7));
/// let list = Replica::new(ReplicaId::from_u128(8), refused.state)?;
/// assert!(list.contains("milk"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Replica<T> {
    id: ReplicaId,
    baseline: u64,
    state: T,
}

impl<T: TryMerge> Replica<T> {
    /// A replica that starts from `state` (bottom, or what a peer sent) under an id that was never used before.
    ///
    /// Refuses an id that has written into the state already: whoever did may still do so. It can tell only as far as
    /// the state does: bottom has heard of nobody, and types that name no replicas never refuse. O(log replicas).
    pub fn new(id: ReplicaId, state: T) -> Result<Self, IdentityInUse> {
        Self::new_at(0, id, state)
    }

    /// [`new`](Self::new) from a state of another [baseline](Retirement) than the first.
    pub fn new_at(baseline: u64, id: ReplicaId, state: T) -> Result<Self, IdentityInUse> {
        check_unused(id, &state)?;
        Ok(Self { id, baseline, state })
    }

    /// Takes in a state or delta of another replica, unless it breaks a rule: see [`TryMerge`].
    pub fn merge(&mut self, other: &T) -> Result<Change, MergeError> {
        self.state.try_merge(other, self.id)
    }

    /// Goes on under another id, for when this one turned out to be used elsewhere. What was written stays; on an
    /// error the old id does, too.
    pub fn rename(&mut self, fresh: ReplicaId) -> Result<(), IdentityInUse> {
        check_unused(fresh, &self.state)?;
        self.id = fresh;
        Ok(())
    }
}

fn check_unused<T: TryMerge>(id: ReplicaId, state: &T) -> Result<(), IdentityInUse> {
    match state.changes_of(id) {
        0 => Ok(()),
        changes => Err(IdentityInUse { replica: id, changes }),
    }
}

impl<T> Replica<T> {
    /// The identity changes are made under.
    pub const fn id(&self) -> ReplicaId {
        self.id
    }

    /// How many times the state has been rewritten to retire replicas.
    pub const fn baseline(&self) -> u64 {
        self.baseline
    }

    /// The state, to read, copy and send. Also by `Deref`.
    pub const fn state(&self) -> &T {
        &self.state
    }

    /// Changes the state; hands back whatever the closure does, usually the delta to send.
    ///
    /// The writer is for this state alone. What came from elsewhere goes through [`merge`](Self::merge), which checks
    /// it; merged in here it would not be.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut T, Writer<'_>) -> R) -> R {
        change(&mut self.state, Writer::unchecked(self.id))
    }

    /// Gives up the identity and keeps the state.
    pub fn into_state(self) -> T {
        self.state
    }
}

impl<T: Retire> Replica<T> {
    /// Rewrites the state to a new baseline: see [`Retirement`]. On an error everything is as it was.
    ///
    /// Refuses a retirement of this very replica, and one that does not lead past the baseline it is at.
    pub fn retire(&mut self, retirement: &Retirement) -> Result<(), RetireError> {
        if retirement.includes(self.id) {
            return Err(RetireError::Myself { replica: self.id });
        }
        if retirement.baseline() <= self.baseline {
            return Err(RetireError::OldBaseline { offered: retirement.baseline(), current: self.baseline });
        }
        self.state.retire(retirement)?;
        self.baseline = retirement.baseline();
        Ok(())
    }
}

impl<T: VersionDigest> Replica<T> {
    /// Ends writing in good order, so that the same identity can go on later: store both halves, and delete the stored
    /// seal *before* opening it. Costs one [`version_digest`](VersionDigest::version_digest).
    pub fn close(self) -> (T, Seal) {
        let seal = Seal { replica: self.id, baseline: self.baseline, digest: self.state.version_digest() };
        (self.state, seal)
    }
}

impl<T> Deref for Replica<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

/// An identity at rest, bound to the very state it was last used on.
///
/// It is worth an identity: to be kept like a key, opened once, and deleted before it is opened.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Seal {
    replica: ReplicaId,
    baseline: u64,
    digest: u128,
}

impl Seal {
    /// Whose identity this is.
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Goes on writing. Refuses any state but the one that was closed, older and newer ones alike, and then the
    /// identity is gone with the seal: take a fresh one for the state, which the error hands back.
    pub fn open<T: VersionDigest>(self, state: T) -> Result<Replica<T>, SealBroken<T>> {
        if state.version_digest() != self.digest {
            return Err(SealBroken { replica: self.replica, state });
        }
        Ok(Replica { id: self.replica, baseline: self.baseline, state })
    }
}

/// A replica was not rewritten. It is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetireError {
    /// Whoever writes under a retired id does so in vain; take a fresh one first, with [`Replica::rename`].
    #[error("{replica} is itself among the retired; nothing was rewritten, go on under a fresh replica id")]
    Myself {
        /// The replica's own id.
        replica: ReplicaId,
    },
    /// The retirement was decided on before the one this state has been through.
    #[error(
        "a retirement to baseline {offered} reached a state at baseline {current}; nothing was rewritten"
    )]
    OldBaseline {
        /// Where the retirement leads.
        offered: u64,
        /// Where the state is.
        current: u64,
    },
    /// The state lacks changes of a retired replica, or knows of some beyond the decision.
    #[error(transparent)]
    NotStable(#[from] NotStable),
}

/// A new replica was to start under an id that has written already. Nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{replica} has made {changes} changes in this state already; take a fresh replica id")]
pub struct IdentityInUse {
    /// The id.
    pub replica: ReplicaId,
    /// How many changes it made.
    pub changes: u128,
}

/// A state is not the one its identity was last used on: one of the two comes from a backup. The identity is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the state that {replica} was closed with: one of both is an old copy; take a fresh replica id"
)]
pub struct SealBroken<T> {
    /// Whose seal it was.
    pub replica: ReplicaId,
    /// The state, as it was given.
    pub state: T,
}

/// Bytes in and out, for peers that may be at another baseline.
#[cfg(feature = "serde")]
mod bytes {
    use alloc::vec::Vec;

    use super::Replica;
    use crate::codec::{self, DecodeError, EncodeError, Encoded};
    use crate::{Change, Limits, MergeError, TryMerge};

    impl<T: TryMerge + Encoded> Replica<T> {
        /// A delta, or a whole state, as bytes for a peer, marked with this replica's baseline.
        pub fn encode(&self, delta: &T) -> Result<Vec<u8>, EncodeError> {
            codec::try_to_bytes_at(self.baseline, delta)
        }

        /// Takes in what a peer [encoded](Self::encode), unless it is malformed, of another baseline, or breaks a rule
        /// of merging. On an error everything is as it was.
        ///
        /// ```
        /// use crdt_core::{GCounter, Limits, Replica, ReplicaId};
        ///
        /// let mut till = Replica::new(ReplicaId::from_u128(1), GCounter::default())?;
        /// let mut office = Replica::new(ReplicaId::from_u128(2), GCounter::default())?;
        ///
        /// let sold = till.edit(|count, me| count.increment(me, 3))?;
        /// let bytes = till.encode(&sold)?;
        /// assert!(office.receive(&bytes, &Limits::default())?.is_changed());
        /// assert_eq!(office.value(), 3);
        /// # Ok::<(), Box<dyn core::error::Error>>(())
        /// ```
        pub fn receive(&mut self, bytes: &[u8], limits: &Limits) -> Result<Change, ReceiveError> {
            let other: T = codec::from_bytes_at(self.baseline, bytes, limits)?;
            Ok(self.merge(&other)?)
        }
    }

    /// Why bytes of a peer were not merged. The replica is as it was.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum ReceiveError {
        /// They are no value of the type, or of another baseline.
        #[error(transparent)]
        Decode(#[from] DecodeError),
        /// They are, and break a rule that merging relies on.
        #[error(transparent)]
        Merge(#[from] MergeError),
    }
}

#[cfg(feature = "serde")]
pub use bytes::ReceiveError;
