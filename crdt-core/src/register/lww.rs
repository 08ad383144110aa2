//! The register in which the last write wins.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem;

use crate::foreign::check_own_changes;
use crate::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, FingerprintWriter, HeapSize, MergeError, NotStable, ReplicaId,
    Retire, Retirement, Stamp, TryMerge, VersionDigest,
};

/// A single value; of two writes the one with the greater [`Stamp`] stays.
///
/// The order is total and the same everywhere: time, then replica, then a deletion over a value,
/// then the values' own order. So merging is commutative even where two writes carry one stamp,
/// which only a cloned replica produces. The other write is lost: use a multi-value register where
/// that must not happen.
///
/// Stamps come from a clock outside, normally an [`HlcClock`](crate::HlcClock) that
/// [observed](crate::HlcClock::observe) the stamp stored here, so that a new write is greater.
///
/// Source: Johnson, Thomas, "The maintenance of duplicate databases", RFC 677, 1975.
///
/// ```
/// use crdt_core::{Crdt, Hlc, LwwRegister, ReplicaId, Stamp};
///
/// let stamp = |millis, replica| Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_u128(replica) };
/// let mut title = LwwRegister::default();
/// let mut copy = title.clone();
/// title.set(stamp(5, 1), "Draft")?;
/// let delta = copy.set(stamp(6, 2), "Final")?;
///
/// assert!(title.merge(&delta).is_changed());
/// assert_eq!(title.get(), Some(&"Final"));
/// assert!(title.set(stamp(6, 1), "Late").is_err(), "not after what is stored");
/// # Ok::<(), crdt_core::ClockAhead>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct LwwRegister<V> {
    last: Option<Write<V>>,
}

/// The stored stamp is not below that of a local write.
///
/// This replica's clock is behind a write it has already seen: it stepped back, or another
/// replica's ran ahead. The register is unchanged. Let the clock observe [`stored`](Self::stored)
/// and mint a new stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored stamp {} of {} is not below the new {} of {}; the register is unchanged",
    stored.time, stored.replica, offered.time, offered.replica
)]
pub struct ClockAhead {
    /// The stamp of what is stored.
    pub stored: Stamp,
    /// The stamp of the refused write.
    pub offered: Stamp,
}

/// The derived order is the order of writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
struct Write<V> {
    stamp: Stamp,
    content: Content<V>,
}

/// Variants in ascending order: at the same stamp a deletion wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Content<V> {
    Live(V),
    Deleted,
}

impl<V: Ord + Clone> LwwRegister<V> {
    /// Writes `value`. The delta is the new state. O(1) besides cloning the value.
    pub fn set(&mut self, stamp: Stamp, value: V) -> Result<Self, ClockAhead> {
        self.write(stamp, Content::Live(value))
    }

    /// Deletes the value, which is a write like any other: older writes that arrive later stay
    /// without effect.
    pub fn clear(&mut self, stamp: Stamp) -> Result<Self, ClockAhead> {
        self.write(stamp, Content::Deleted)
    }

    fn write(&mut self, offered: Stamp, content: Content<V>) -> Result<Self, ClockAhead> {
        if let Some(stored) = self.stamp().filter(|stored| *stored >= offered) {
            return Err(ClockAhead { stored, offered });
        }
        self.last = Some(Write { stamp: offered, content });
        Ok(self.clone())
    }
}

impl<V> LwwRegister<V> {
    /// The value, unless nothing was ever written or the last write deleted it. O(1).
    pub fn get(&self) -> Option<&V> {
        match &self.last.as_ref()?.content {
            Content::Live(value) => Some(value),
            Content::Deleted => None,
        }
    }

    /// The stamp of the last write or deletion. O(1).
    pub fn stamp(&self) -> Option<Stamp> {
        self.last.as_ref().map(|write| write.stamp)
    }
}

/// Bottom: never written.
impl<V> Default for LwwRegister<V> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<V: Ord + Clone> Crdt for LwwRegister<V> {
    /// Keeps the greater write. O(1) besides comparing and cloning values.
    fn merge(&mut self, other: &Self) -> Change {
        let newer = self.last < other.last;
        if newer {
            self.last.clone_from(&other.last);
        }
        newer.into()
    }

    fn merge_owned(&mut self, mut other: Self) -> Change {
        let newer = self.last < other.last;
        if newer {
            mem::swap(&mut self.last, &mut other.last);
        }
        newer.into()
    }

    /// A total order: never `None`.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.last.cmp(&other.last))
    }

    fn is_bottom(&self) -> bool {
        self.last.is_none()
    }
}

impl<V: Ord + Clone> DeltaCrdt for LwwRegister<V> {
    /// The state itself: a stamp alone could not tell apart two contents that a cloned replica gave
    /// the same stamp.
    type Digest = Self;

    fn digest(&self) -> Self {
        self.clone()
    }

    /// The whole register if it is ahead of `digest`, else bottom.
    fn delta_since(&self, digest: &Self) -> Self {
        if self.last > digest.last { self.clone() } else { Self::default() }
    }

    /// One part, or none for bottom.
    fn split(&self) -> Vec<Self> {
        if self.is_bottom() { Vec::new() } else { vec![self.clone()] }
    }
}

/// Only the last write is known of, so a replica's changes count while it is the last writer.
impl<V: Ord + Clone> TryMerge for LwwRegister<V> {
    /// The stamp as a number (milliseconds, then counter) if the last write is by `replica`.
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        let own = self.stamp().filter(|stamp| stamp.replica == replica);
        own.map_or(0, |stamp| u128::from(stamp.time.millis()) << 32 | u128::from(stamp.time.counter()))
    }

    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        if let (Some(ours), Some(theirs)) = (&self.last, &other.last)
            && ours.stamp == theirs.stamp
            && ours.content != theirs.content
        {
            return Err(MergeError::ForkedStamp { stamp: ours.stamp });
        }
        // An own write below the stored one was overwritten here since.
        if other.last > self.last { check_own_changes(self, other, me) } else { Ok(()) }
    }
}

/// Stamps keep the names of retired replicas: they break ties, and only the last write has one.
impl<V> Retire for LwwRegister<V> {
    fn retire(&mut self, _: &Retirement) -> Result<(), NotStable> {
        Ok(())
    }

    fn changes_to_retire(&self, _: ReplicaId) -> u128
    where
        Self: TryMerge,
    {
        0
    }
}

impl<V: HeapSize> HeapSize for LwwRegister<V> {
    fn heap_size(&self) -> usize {
        self.get().map_or(0, HeapSize::heap_size)
    }
}

impl<V: CanonicalBytes> VersionDigest for LwwRegister<V> {
    fn version_digest(&self) -> u128 {
        self.stamp().map_or(0, |stamp| {
            let mut part = FingerprintWriter::new(*b"lww-reg.");
            part.write(&stamp);
            part.write(&self.get());
            part.finish()
        })
    }
}

#[cfg(feature = "serde")]
impl<V: serde::Serialize + serde::de::DeserializeOwned> crate::codec::Encoded for LwwRegister<V> {
    const TYPE_TAG: u16 = 0x0005;
    const NAME: &str = "LwwRegister";
}
