//! The grow-only set.

use alloc::vec::{self, Vec};
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::Hash;

use super::table::Table;
use crate::fingerprint::sum;
use crate::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, FingerprintWriter, HeapSize, MergeError, NotStable, ReplicaId,
    Retire, Retirement, TryMerge, VersionDigest,
};

/// A set to which elements are added and from which none is ever removed; merging is union.
///
/// It needs no replica ids and no counters. For elements that also go away use
/// [`OrSet`](crate::OrSet).
///
/// Elements are found by hash and walked in ascending order, for which a walk sorts them first: the order of a hash
/// table differs from process to process and never shows.
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
#[derive(Clone)]
pub struct GSet<T> {
    table: Table<T>,
    tracked: Option<Tracked<T>>,
}

/// A version digest that is kept current.
#[derive(Clone)]
struct Tracked<T> {
    digest: u128,
    /// What an element adds to it.
    part: fn(&T) -> u128,
}

impl<T: Ord + Hash + Clone> GSet<T> {
    /// Adds `element` and returns the delta: bottom if it was there. O(1) expected.
    pub fn insert(&mut self, element: T) -> Self {
        self.insert_all([element])
    }

    /// Adds all `elements` and returns one delta with those that were not there. O(k) expected.
    pub fn insert_all(&mut self, elements: impl IntoIterator<Item = T>) -> Self {
        let mut delta = Self::default();
        for element in elements {
            if self.table.insert(element.clone()) {
                self.note(&element);
                delta.table.insert(element);
            }
        }
        delta
    }
}

impl<T: Eq + Hash> GSet<T> {
    /// Whether `element` is in the set. O(1) expected.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.table.contains(element)
    }

    /// Whether what the set keeps beside its elements (the table, its fingerprint, a tracked digest) agrees with them.
    /// O(n).
    ///
    /// It always does unless memory was damaged, or the elements break the contract of `Eq` and `Hash`: for a service
    /// that checks itself now and then.
    pub fn scrub(&self) -> bool {
        self.table.is_sound()
            && self.tracked.as_ref().is_none_or(|tracked| tracked.digest == self.digest_by(tracked.part))
    }
}

impl<T> GSet<T> {
    /// The elements in ascending order. O(n log n).
    pub fn iter(&self) -> vec::IntoIter<&T>
    where
        T: Ord,
    {
        self.to_sorted().into_iter()
    }

    /// The elements in ascending order, as a list. O(n log n).
    pub fn to_sorted(&self) -> Vec<&T>
    where
        T: Ord,
    {
        let mut elements: Vec<&T> = self.table.iter().collect();
        elements.sort_unstable();
        elements
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Computes the [version digest](VersionDigest) once, O(n), and from now on keeps it current: asking for it is
    /// O(1) then, and every new element costs one more hash of its canonical bytes.
    ///
    /// It holds for this set and its clones. Deltas and decoded sets do not track.
    pub fn track_version_digest(&mut self)
    where
        T: CanonicalBytes,
    {
        self.tracked = Some(Tracked { digest: self.digest_by(part), part });
    }

    fn digest_by(&self, part: fn(&T) -> u128) -> u128 {
        sum(self.table.iter().map(part))
    }

    /// Whatever adds an element tells of it here.
    fn note(&mut self, new: &T) {
        if let Some(tracked) = &mut self.tracked {
            tracked.note(new);
        }
    }
}

impl<T> Tracked<T> {
    fn note(&mut self, new: &T) {
        self.digest = self.digest.wrapping_add((self.part)(new));
    }
}

fn part<T: CanonicalBytes>(element: &T) -> u128 {
    let mut part = FingerprintWriter::new(*b"g-set...");
    part.write(element);
    part.finish()
}

/// Bottom: the empty set.
impl<T> Default for GSet<T> {
    fn default() -> Self {
        Self { table: Table::new(), tracked: None }
    }
}

/// The same elements.
impl<T: Eq + Hash> PartialEq for GSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.table.seems_equal(&other.table) && self.table.is_subset(&other.table)
    }
}

impl<T: Eq + Hash> Eq for GSet<T> {}

impl<T: Ord + fmt::Debug> fmt::Debug for GSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<T: Ord + Hash + Clone> FromIterator<T> for GSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::default();
        for element in elements {
            set.table.insert(element);
        }
        set
    }
}

impl<'a, T: Ord> IntoIterator for &'a GSet<T> {
    type Item = &'a T;
    type IntoIter = vec::IntoIter<&'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Ord + Hash + Clone> Crdt for GSet<T> {
    /// Union. O(1) when both are equal, else O(m) expected; elements already there are not cloned.
    ///
    /// Equal sets are told by count and fingerprint. Sets of one size that differ have the same fingerprint with a
    /// probability of about 2⁻⁶⁴, in this process and until it ends; a merge then finds nothing to do.
    fn merge(&mut self, other: &Self) -> Change {
        let before = self.len();
        let Self { table, tracked } = self;
        table.merge(&other.table, |new| tracked.iter_mut().for_each(|tracked| tracked.note(new)));
        Change::from(self.len() != before)
    }

    /// Union without cloning: the smaller set moves into the larger, unless only this one tracks its digest.
    fn merge_owned(&mut self, mut other: Self) -> Change {
        let before = self.len();
        if before < other.len() && (self.tracked.is_none() || other.tracked.is_some()) {
            core::mem::swap(self, &mut other);
            if other.tracked.is_none() {
                self.tracked = None;
            }
        }
        let Self { table, tracked } = self;
        table.merge_owned(other.table, |new| tracked.iter_mut().for_each(|tracked| tracked.note(new)));
        Change::from(self.len() != before)
    }

    /// Exact: no fingerprint decides that sets are equal. O(min(n, m)) expected.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        let order = self.len().cmp(&other.len());
        let (small, large) = if order.is_gt() { (other, self) } else { (self, other) };
        small.table.is_subset(&large.table).then_some(order)
    }

    fn is_bottom(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Ord + Hash + Clone> DeltaCrdt for GSet<T> {
    /// The elements themselves: no smaller summary is exact. To reconcile large sets, compare
    /// [version digests](VersionDigest) of parts.
    type Digest = Self;

    fn digest(&self) -> Self {
        self.clone()
    }

    /// The elements that are not in `digest`. O(1) when both are equal (as merging has it), else O(n) expected.
    fn delta_since(&self, digest: &Self) -> Self {
        Self { table: self.table.difference(&digest.table), tracked: None }
    }

    /// One part per element.
    fn split(&self) -> Vec<Self> {
        self.iter().map(|element| Self::from_iter([element.clone()])).collect()
    }
}

/// Nobody's changes are named, so nothing can be claimed or forked.
impl<T: Ord + Hash + Clone> TryMerge for GSet<T> {
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

impl<T: HeapSize> HeapSize for GSet<T> {
    fn heap_size(&self) -> usize {
        self.table.heap_size()
    }
}

/// O(1) when [tracked](GSet::track_version_digest), else O(n).
impl<T: CanonicalBytes> VersionDigest for GSet<T> {
    fn version_digest(&self) -> u128 {
        self.tracked.as_ref().map_or_else(|| self.digest_by(part), |tracked| tracked.digest)
    }
}

#[cfg(feature = "serde")]
impl<T> crate::codec::Encoded for GSet<T>
where
    T: Ord + Hash + serde::Serialize + serde::de::DeserializeOwned,
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

    use super::{GSet, Hash, Table};

    impl<T: Ord + Serialize> Serialize for GSet<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.to_sorted())
        }
    }

    impl<'de, T: Ord + Hash + Deserialize<'de>> Deserialize<'de> for GSet<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Ascending(PhantomData))
        }
    }

    struct Ascending<T>(PhantomData<T>);

    impl<'de, T: Ord + Hash + Deserialize<'de>> Visitor<'de> for Ascending<T> {
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
            // What ascends holds nothing twice.
            Ok(GSet { table: Table::from_different(elements), tracked: None })
        }
    }
}
