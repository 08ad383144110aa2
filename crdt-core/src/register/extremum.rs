//! The registers that remember the greatest, or the least, value ever written.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, FingerprintWriter, HeapSize, MergeError, NotStable, ReplicaId,
    Retire, Retirement, TryMerge, VersionDigest,
};

/// The greatest value ever written: a high-water mark, the latest version seen, the best bid.
///
/// Values only replace smaller ones, so it needs no replica ids, no clock and no dots, and merging is taking
/// the maximum. `V: Ord` has to be a total order in which equal values are the same value. For the least
/// value use [`MinRegister`].
///
/// Every operation is O(1) besides comparing and cloning values.
///
/// Source: the maximum semilattice; Baquero, Almeida, Cunha, Ferreira, "Composition in State-based Replicated
/// Data Types" (2017).
///
/// ```
/// use crdt_core::{Crdt, MaxRegister};
///
/// let mut newest = MaxRegister::default();
/// newest.raise((1, 4));
/// let delta = newest.raise((2, 0));
/// assert!(newest.raise((1, 9)).is_bottom(), "below what is there");
///
/// let mut peer = MaxRegister::default();
/// assert!(peer.merge(&delta).is_changed());
/// assert_eq!(peer.get(), Some(&(2, 0)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct MaxRegister<V> {
    value: Option<V>,
}

/// The least value ever written: the earliest time, the lowest price, the first to come.
///
/// As [`MaxRegister`], the other way round: values only replace greater ones, and merging is taking the
/// minimum.
///
/// Source: the minimum semilattice; Baquero, Almeida, Cunha, Ferreira, "Composition in State-based Replicated
/// Data Types" (2017).
///
/// ```
/// use crdt_core::{Crdt, MinRegister};
///
/// let mut first_seen = MinRegister::default();
/// first_seen.lower(1_700_000_500_u64);
/// let delta = first_seen.lower(1_700_000_300);
/// assert!(first_seen.lower(1_700_000_400).is_bottom(), "above what is there");
///
/// let mut peer = MinRegister::default();
/// assert!(peer.merge(&delta).is_changed());
/// assert_eq!(peer.get(), Some(&1_700_000_300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct MinRegister<V> {
    value: Option<V>,
}

impl<V: Ord + Clone> MaxRegister<V> {
    /// Writes `value` if it is greater than what is there or the first, and returns the delta: bottom if it
    /// is not.
    pub fn raise(&mut self, value: V) -> Self {
        self.offer(value)
    }
}

impl<V: Ord + Clone> MinRegister<V> {
    /// Writes `value` if it is less than what is there or the first, and returns the delta: bottom if it is
    /// not.
    pub fn lower(&mut self, value: V) -> Self {
        self.offer(value)
    }
}

/// Everything but the direction: `$further(a, b)` orders values by how far along they are.
macro_rules! extremum {
    ($name:ident by $further:expr, digest $domain:literal, tagged $tag:literal) => {
        impl<V> $name<V> {
            /// The value, unless none was ever written.
            pub const fn get(&self) -> Option<&V> {
                self.value.as_ref()
            }
        }

        impl<V: Ord + Clone> $name<V> {
            fn offer(&mut self, value: V) -> Self {
                let offered = Self { value: Some(value) };
                if self.merge(&offered).is_changed() { offered } else { Self::default() }
            }

            /// No value is less far along than any.
            fn order(&self, other: &Self) -> Ordering {
                match (&self.value, &other.value) {
                    (Some(ours), Some(theirs)) => $further(ours, theirs),
                    (ours, theirs) => ours.is_some().cmp(&theirs.is_some()),
                }
            }
        }

        /// Bottom: never written.
        impl<V> Default for $name<V> {
            fn default() -> Self {
                Self { value: None }
            }
        }

        impl<V: Ord + Clone> Crdt for $name<V> {
            /// Keeps the value that is further along.
            fn merge(&mut self, other: &Self) -> Change {
                let behind = self.order(other).is_lt();
                if behind {
                    self.value.clone_from(&other.value);
                }
                behind.into()
            }

            fn merge_owned(&mut self, other: Self) -> Change {
                let behind = self.order(&other).is_lt();
                if behind {
                    *self = other;
                }
                behind.into()
            }

            /// A total order: never `None`.
            fn compare(&self, other: &Self) -> Option<Ordering> {
                Some(self.order(other))
            }

            fn is_bottom(&self) -> bool {
                self.value.is_none()
            }
        }

        impl<V: Ord + Clone> DeltaCrdt for $name<V> {
            /// The state itself, which is one value.
            type Digest = Self;

            fn digest(&self) -> Self {
                self.clone()
            }

            /// The whole register if it is further along than `digest`, else bottom.
            fn delta_since(&self, digest: &Self) -> Self {
                if self.order(digest).is_gt() { self.clone() } else { Self::default() }
            }

            /// One part, or none for bottom.
            fn split(&self) -> Vec<Self> {
                if self.is_bottom() { Vec::new() } else { vec![self.clone()] }
            }
        }

        /// Nobody's changes are named, so nothing can be claimed or forked.
        impl<V: Ord + Clone> TryMerge for $name<V> {
            fn changes_of(&self, _: ReplicaId) -> u128 {
                0
            }

            fn check_merge(&self, _: &Self, _: ReplicaId) -> Result<(), MergeError> {
                Ok(())
            }
        }

        /// Nobody is named, so nobody is renamed.
        impl<V> Retire for $name<V> {
            fn retire(&mut self, _: &Retirement) -> Result<(), NotStable> {
                Ok(())
            }
        }

        impl<V: HeapSize> HeapSize for $name<V> {
            const OWNS_HEAP: bool = V::OWNS_HEAP;

            fn heap_size(&self) -> usize {
                self.value.heap_size()
            }
        }

        impl<V: CanonicalBytes> VersionDigest for $name<V> {
            fn version_digest(&self) -> u128 {
                self.get().map_or(0, |value| {
                    let mut part = FingerprintWriter::new(*$domain);
                    part.write(value);
                    part.finish()
                })
            }
        }

        #[cfg(feature = "serde")]
        impl<V: serde::Serialize + serde::de::DeserializeOwned> crate::codec::Encoded for $name<V> {
            const TYPE_TAG: u16 = $tag;
            const NAME: &str = stringify!($name);
        }
    };
}

extremum!(MaxRegister by Ord::cmp, digest b"max-reg.", tagged 0x0007);
extremum!(MinRegister by |ours, theirs| Ord::cmp(theirs, ours), digest b"min-reg.", tagged 0x0008);
