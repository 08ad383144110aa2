//! The set to which an element can be added once and from which it can be removed once.

use alloc::collections::BTreeSet;
use alloc::collections::btree_set;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::mem::size_of;

use crate::crdt::order_from;
use crate::dotted::b_tree_bytes;
use crate::fingerprint::sum;
use crate::heap::owned_by;
use crate::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, FingerprintWriter, HeapSize, MergeError, NotStable, ReplicaId,
    Retire, Retirement, TryMerge, VersionDigest,
};

/// A set in which a removed element never comes back.
///
/// Each element goes one way: absent, present, removed. Merging takes each to the further of both sides, so a
/// removal wins over every insertion, earlier, concurrent or later. It needs no replica ids, counters or
/// clocks; the price is that what was removed is remembered for ever. It suits elements that are unique by
/// nature: order numbers, sessions, keys that were revoked. For elements that come and go use
/// [`OrSet`](crate::OrSet).
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of Convergent and Commutative
/// Replicated Data Types", 2011, specification 12.
///
/// ```
/// use crdt_core::{Crdt, TwoPhaseSet};
///
/// let mut keys = TwoPhaseSet::default();
/// keys.insert("k1");
/// let mut copy = keys.clone();
/// let revoked = copy.remove("k1");
///
/// assert!(keys.merge(&revoked).is_changed());
/// assert!(keys.insert("k1").is_bottom(), "once removed, it stays out");
/// assert!(!keys.contains("k1"));
/// assert!(keys.removed().eq(&["k1"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "serde_impls::Parts<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: Ord + serde::Deserialize<'de>"))
)]
pub struct TwoPhaseSet<T> {
    present: BTreeSet<T>,
    /// Has no element in common with `present`.
    removed: BTreeSet<T>,
}

impl<T: Ord + Clone> TwoPhaseSet<T> {
    /// Adds `element` and returns the delta: bottom if it is there, or was removed before. O(log n).
    pub fn insert(&mut self, element: T) -> Self {
        let mut delta = Self::default();
        if self.admit(&element) {
            delta.present.insert(element);
        }
        delta
    }

    /// Removes `element` for good and returns the delta: bottom if it is not there. O(log n).
    ///
    /// An element can be removed only where it has been seen.
    pub fn remove<Q: Ord + ?Sized>(&mut self, element: &Q) -> Self
    where
        T: Borrow<Q>,
    {
        let mut delta = Self::default();
        if let Some(element) = self.present.take(element) {
            delta.removed.insert(element.clone());
            self.removed.insert(element);
        }
        delta
    }

    /// Takes an element from absent to present; whether it was absent.
    fn admit(&mut self, element: &T) -> bool {
        let absent = !self.is_known(element);
        if absent {
            self.present.insert(element.clone());
        }
        absent
    }
}

impl<T: Ord> TwoPhaseSet<T> {
    /// Whether `element` is in the set. O(log n).
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.present.contains(element)
    }
}

impl<T> TwoPhaseSet<T> {
    /// The elements that are in the set, in ascending order.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.present.iter()
    }

    /// The elements that were removed, in ascending order.
    pub fn removed(&self) -> btree_set::Iter<'_, T> {
        self.removed.iter()
    }

    /// How many elements are in the set.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether no element is in the set. An empty set from which some were removed is not bottom.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }
}

/// Bottom: no element was ever added.
impl<T> Default for TwoPhaseSet<T> {
    fn default() -> Self {
        Self { present: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<'a, T> IntoIterator for &'a TwoPhaseSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord> TwoPhaseSet<T> {
    /// Whether every element of `other` is at least as far along here.
    fn knows_all_of(&self, other: &Self) -> bool {
        other.removed.is_subset(&self.removed) && other.present.iter().all(|element| self.is_known(element))
    }

    fn is_known(&self, element: &T) -> bool {
        self.present.contains(element) || self.removed.contains(element)
    }
}

impl<T: Ord + Clone> Crdt for TwoPhaseSet<T> {
    /// Takes each element to the further of both sides. O(m log n); elements already known are not cloned.
    fn merge(&mut self, other: &Self) -> Change {
        let mut change = Change::Unchanged;
        for element in &other.removed {
            if !self.removed.contains(element) {
                let known = self.present.take(element);
                self.removed.insert(known.unwrap_or_else(|| element.clone()));
                change = Change::Changed;
            }
        }
        for element in &other.present {
            change |= Change::from(self.admit(element));
        }
        change
    }

    /// The same without cloning. O(m log n).
    fn merge_owned(&mut self, other: Self) -> Change {
        let mut change = Change::Unchanged;
        for element in other.removed {
            self.present.remove(&element);
            change |= Change::from(self.removed.insert(element));
        }
        for element in other.present {
            if !self.removed.contains(&element) {
                change |= Change::from(self.present.insert(element));
            }
        }
        change
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        order_from(other.knows_all_of(self), self.knows_all_of(other))
    }

    fn is_bottom(&self) -> bool {
        self.present.is_empty() && self.removed.is_empty()
    }
}

impl<T: Ord + Clone> DeltaCrdt for TwoPhaseSet<T> {
    /// The elements themselves: no smaller summary is exact.
    type Digest = Self;

    fn digest(&self) -> Self {
        self.clone()
    }

    /// The elements that are further along here than in `digest`. O(n log m).
    fn delta_since(&self, digest: &Self) -> Self {
        let news = self.present.iter().filter(|element| !digest.is_known(element));
        Self { present: news.cloned().collect(), removed: &self.removed - &digest.removed }
    }

    /// One part per element.
    fn split(&self) -> Vec<Self> {
        let one = |element: &T| BTreeSet::from([element.clone()]);
        let present = self.present.iter().map(|element| Self { present: one(element), ..Self::default() });
        let removed = self.removed.iter().map(|element| Self { removed: one(element), ..Self::default() });
        present.chain(removed).collect()
    }
}

/// Nobody's changes are named, so nothing can be claimed or forked.
impl<T: Ord + Clone> TryMerge for TwoPhaseSet<T> {
    fn changes_of(&self, _: ReplicaId) -> u128 {
        0
    }

    fn check_merge(&self, _: &Self, _: ReplicaId) -> Result<(), MergeError> {
        Ok(())
    }
}

/// Nobody is named, so nobody is renamed.
impl<T> Retire for TwoPhaseSet<T> {
    fn retire(&mut self, _: &Retirement) -> Result<(), NotStable> {
        Ok(())
    }
}

impl<T: HeapSize> HeapSize for TwoPhaseSet<T> {
    fn heap_size(&self) -> usize {
        let elements = || self.present.iter().chain(&self.removed);
        b_tree_bytes(elements().count(), size_of::<T>()) + owned_by(elements())
    }
}

/// One part per element, with whether it was removed.
impl<T: CanonicalBytes> VersionDigest for TwoPhaseSet<T> {
    fn version_digest(&self) -> u128 {
        let present = self.present.iter().map(|element| (element, false));
        let removed = self.removed.iter().map(|element| (element, true));
        sum(present.chain(removed).map(|entry| {
            let mut part = FingerprintWriter::new(*b"2p-set..");
            part.write(&entry);
            part.finish()
        }))
    }
}

#[cfg(feature = "serde")]
impl<T> crate::codec::Encoded for TwoPhaseSet<T>
where
    T: Ord + serde::Serialize + serde::de::DeserializeOwned,
{
    const TYPE_TAG: u16 = 0x000b;
    const NAME: &str = "TwoPhaseSet";
}

/// Two sequences, each strictly ascending, with no element in both.
#[cfg(feature = "serde")]
mod serde_impls {
    use alloc::collections::BTreeSet;
    use core::fmt;
    use core::marker::PhantomData;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

    use super::TwoPhaseSet;

    /// What the input claims, before the halves are held against each other.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, bound(deserialize = "T: Ord + Deserialize<'de>"))]
    pub(super) struct Parts<T> {
        #[serde(deserialize_with = "ascending")]
        present: BTreeSet<T>,
        #[serde(deserialize_with = "ascending")]
        removed: BTreeSet<T>,
    }

    impl<T: Ord> TryFrom<Parts<T>> for TwoPhaseSet<T> {
        type Error = &'static str;

        fn try_from(Parts { present, removed }: Parts<T>) -> Result<Self, &'static str> {
            if present.is_disjoint(&removed) {
                Ok(Self { present, removed })
            } else {
                Err("an element is both present and removed")
            }
        }
    }

    fn ascending<'de, T, D>(deserializer: D) -> Result<BTreeSet<T>, D::Error>
    where
        T: Ord + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_seq(Ascending(PhantomData))
    }

    struct Ascending<T>(PhantomData<T>);

    impl<'de, T: Ord + Deserialize<'de>> Visitor<'de> for Ascending<T> {
        type Value = BTreeSet<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence of elements in strictly ascending order")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<BTreeSet<T>, A::Error> {
            let mut elements = BTreeSet::new();
            while let Some(element) = seq.next_element()? {
                if elements.last().is_some_and(|last| *last >= element) {
                    return Err(A::Error::custom("elements out of order"));
                }
                elements.insert(element);
            }
            Ok(elements)
        }
    }
}
