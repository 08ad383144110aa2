//! The grow-only set.

use alloc::collections::BTreeSet;
use alloc::collections::btree_set;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;

use crate::fingerprint::sum;
use crate::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, FingerprintWriter, MergeError, NotStable, ReplicaId, Retire,
    Retirement, TryMerge, VersionDigest,
};

/// A set to which elements are added and from which none is ever removed; merging is union.
///
/// It needs no replica ids and no counters. For elements that also go away use
/// [`OrSet`](crate::OrSet).
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of Convergent and
/// Commutative Replicated Data Types", 2011, specification 11.
///
/// ```
/// use crdt_core::{Crdt, GSet};
///
/// let mut seen = GSet::default();
/// let delta = seen.insert("k42");
/// assert!(seen.insert("k42").is_bottom(), "known already");
///
/// let mut peer = GSet::default();
/// assert!(peer.merge(&delta).is_changed());
/// assert!(peer.contains("k42"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GSet<T> {
    elements: BTreeSet<T>,
}

impl<T: Ord + Clone> GSet<T> {
    /// Adds `element` and returns the delta: bottom if it was there. O(log n).
    pub fn insert(&mut self, element: T) -> Self {
        self.insert_all([element])
    }

    /// Adds all `elements` and returns one delta with those that were not there. O(k log n).
    pub fn insert_all(&mut self, elements: impl IntoIterator<Item = T>) -> Self {
        let elements = elements.into_iter().filter(|element| self.elements.insert(element.clone())).collect();
        Self { elements }
    }
}

impl<T: Ord> GSet<T> {
    /// Whether `element` is in the set. O(log n).
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.elements.contains(element)
    }
}

impl<T> GSet<T> {
    /// The elements in ascending order.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.elements.iter()
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
}

/// Bottom: the empty set.
impl<T> Default for GSet<T> {
    fn default() -> Self {
        Self { elements: BTreeSet::new() }
    }
}

impl<T: Ord> FromIterator<T> for GSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self { elements: elements.into_iter().collect() }
    }
}

impl<'a, T> IntoIterator for &'a GSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord + Clone> Crdt for GSet<T> {
    /// Union. O(m log n); elements already there are not cloned.
    fn merge(&mut self, other: &Self) -> Change {
        let before = self.len();
        for element in other {
            if !self.elements.contains(element) {
                self.elements.insert(element.clone());
            }
        }
        Change::from(self.len() != before)
    }

    /// Union without cloning. O(min(n, m) log(n + m)): the smaller set moves into the larger.
    fn merge_owned(&mut self, mut other: Self) -> Change {
        let before = self.len();
        if before < other.len() {
            core::mem::swap(self, &mut other);
        }
        self.elements.extend(other.elements);
        Change::from(self.len() != before)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let order = self.len().cmp(&other.len());
        let (small, large) = if order.is_gt() { (other, self) } else { (self, other) };
        small.elements.is_subset(&large.elements).then_some(order)
    }

    fn is_bottom(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Ord + Clone> DeltaCrdt for GSet<T> {
    /// The elements themselves: no smaller summary is exact. To reconcile large sets, compare
    /// [version digests](VersionDigest) of parts.
    type Digest = Self;

    fn digest(&self) -> Self {
        self.clone()
    }

    /// The elements that are not in `digest`. O(n + m).
    fn delta_since(&self, digest: &Self) -> Self {
        self.elements.difference(&digest.elements).cloned().collect()
    }

    /// One part per element.
    fn split(&self) -> Vec<Self> {
        self.iter().map(|element| Self::from_iter([element.clone()])).collect()
    }
}

/// Nobody's changes are named, so nothing can be claimed or forked.
impl<T: Ord + Clone> TryMerge for GSet<T> {
    fn changes_of(&self, _: ReplicaId) -> u128 {
        0
    }

    fn check_merge(&self, _: &Self, _: ReplicaId) -> Result<(), MergeError> {
        Ok(())
    }
}

/// Nobody is named, so nobody is renamed.
impl<T> Retire for GSet<T> {
    fn retire(&mut self, _: &Retirement) -> Result<(), NotStable> {
        Ok(())
    }
}

impl<T: CanonicalBytes> VersionDigest for GSet<T> {
    fn version_digest(&self) -> u128 {
        sum(self.iter().map(|element| {
            let mut part = FingerprintWriter::new(*b"g-set...");
            part.write(element);
            part.finish()
        }))
    }
}

#[cfg(feature = "serde")]
impl<T> crate::codec::Encoded for GSet<T>
where
    T: Ord + serde::Serialize + serde::de::DeserializeOwned,
{
    const TYPE_TAG: u16 = 0x0003;
    const NAME: &str = "GSet";
}

/// A sequence in ascending order; disorder and duplicates are refused.
#[cfg(feature = "serde")]
mod serde_impls {
    use alloc::vec::Vec;
    use core::fmt;
    use core::marker::PhantomData;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{Serialize, Serializer};

    use super::GSet;

    impl<T: Serialize> Serialize for GSet<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self)
        }
    }

    impl<'de, T: Ord + Deserialize<'de>> Deserialize<'de> for GSet<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Ascending(PhantomData))
        }
    }

    struct Ascending<T>(PhantomData<T>);

    impl<'de, T: Ord + Deserialize<'de>> Visitor<'de> for Ascending<T> {
        type Value = GSet<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence of elements in strictly ascending order")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<GSet<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                if elements.last().is_some_and(|last| *last >= element) {
                    return Err(A::Error::custom("elements out of order"));
                }
                elements.push(element);
            }
            Ok(elements.into_iter().collect())
        }
    }
}
