//! The grow-only counter.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::CounterOverflow;
use crate::fingerprint::{FingerprintWriter, sum};
use crate::foreign::check_own_changes;
use crate::{
    Change, Crdt, DeltaCrdt, Dot, HeapSize, MergeError, NotStable, ReplicaId, Retire, Retirement, TryMerge,
    VersionDigest, VersionVector, Writer,
};

/// A counter that many replicas increment and none ever decrements.
///
/// Each replica has an entry that only it raises; merging takes the greater of both amounts of a
/// replica, so repeated, late and reordered deltas are harmless. The value is the sum of all
/// entries, exact beyond 64 bits.
///
/// A replica must not count on from an older copy of its own state (a restored backup): its peers
/// hold a greater amount already, and the new increments would vanish in it. It goes on under a
/// fresh [`ReplicaId`] instead.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of Convergent and
/// Commutative Replicated Data Types", 2011, specification 6.
///
/// ```
/// use crdt_core::{Crdt, GCounter, ReplicaId, Writer};
///
/// let [kitchen, bar] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut a = GCounter::default();
/// let mut b = GCounter::default();
/// a.increment(kitchen, 3)?;
/// let delta = b.increment(bar, 4)?;
///
/// assert!(a.merge(&delta).is_changed());
/// assert!(!a.merge(&delta).is_changed());
/// assert_eq!(a.value(), 7);
/// # Ok::<(), crdt_core::CounterOverflow>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct GCounter {
    /// How far each replica has counted: its n-th unit is its dot n.
    counted: VersionVector,
}

impl GCounter {
    /// Adds `amount` to the writer's entry and returns the delta.
    ///
    /// Amount 0 changes nothing and gives the bottom delta. O(log replicas), O(replicas) the first
    /// time.
    pub fn increment(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, CounterOverflow> {
        let replica = me.id();
        if amount == 0 {
            return Ok(Self::default());
        }
        let current = self.entry(replica);
        let raised = current.checked_add(amount);
        let last = raised.ok_or(CounterOverflow { replica, current, amount })?;
        let delta = Self::of(Dot::new(replica, last));
        // Always a change: the amount is not zero.
        let _ = self.merge(&delta);
        Ok(delta)
    }

    /// The sum of all entries. O(replicas).
    ///
    /// Exact: fewer than 2⁶⁴ entries of less than 2⁶⁴ each stay below 2¹²⁸.
    pub fn value(&self) -> u128 {
        self.entries().map(|(_, amount)| u128::from(amount)).sum()
    }

    /// What `replica` has counted, 0 if nothing. O(log replicas).
    pub fn entry(&self, replica: ReplicaId) -> u64 {
        self.counted.get(replica)
    }

    /// What each replica has counted, in replica order, without those that counted nothing.
    pub fn entries(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.counted.iter()
    }

    /// The counter with these entries; of several for one replica the greatest counts. For whoever keeps amounts in a
    /// form of their own. O(n log n).
    pub fn from_entries(entries: impl IntoIterator<Item = (ReplicaId, u64)>) -> Self {
        Self::of(entries.into_iter().filter_map(|(replica, amount)| Dot::new(replica, amount)))
    }

    pub(super) fn digest_under(&self, domain: [u8; 8]) -> u128 {
        sum(self.entries().map(|(replica, amount)| {
            let mut part = FingerprintWriter::new(domain);
            part.write(&replica);
            part.write(&amount);
            part.finish()
        }))
    }

    fn last_dots(&self) -> impl Iterator<Item = Dot> {
        self.entries().filter_map(|(replica, amount)| Dot::new(replica, amount))
    }

    fn of(last_dots: impl IntoIterator<Item = Dot>) -> Self {
        Self { counted: last_dots.into_iter().collect() }
    }
}

impl Crdt for GCounter {
    /// Takes the greater amount of each replica. O(n + m), O(m log n) for a small delta.
    fn merge(&mut self, other: &Self) -> Change {
        self.counted.merge(&other.counted)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.counted.compare(&other.counted)
    }

    fn is_bottom(&self) -> bool {
        self.counted.is_empty()
    }
}

impl DeltaCrdt for GCounter {
    /// How far each replica has counted: all there is to know.
    type Digest = VersionVector;

    fn digest(&self) -> VersionVector {
        self.counted.clone()
    }

    /// The entries in which this counter is ahead. O(n + m).
    fn delta_since(&self, digest: &VersionVector) -> Self {
        Self::of(self.counted.ahead_of(digest))
    }

    /// One part per replica.
    fn split(&self) -> Vec<Self> {
        self.last_dots().map(|dot| Self::of([dot])).collect()
    }
}

impl TryMerge for GCounter {
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.entry(replica).into()
    }

    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        check_own_changes(self, other, me)
    }
}

/// The archive counts what the retired replicas counted.
impl Retire for GCounter {
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable> {
        retirement.check(|replica| self.changes_of(replica))?;
        *self = Self::from_entries(retirement.fold_entries(self.entries()));
        Ok(())
    }
}

impl fmt::Debug for GCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counted.fmt(f)
    }
}

impl HeapSize for GCounter {
    fn heap_size(&self) -> usize {
        self.counted.heap_size()
    }
}

impl VersionDigest for GCounter {
    fn version_digest(&self) -> u128 {
        self.digest_under(*b"gcounter")
    }
}

#[cfg(feature = "serde")]
impl crate::codec::Encoded for GCounter {
    const TYPE_TAG: u16 = 0x0001;
    const NAME: &str = "GCounter";
}
