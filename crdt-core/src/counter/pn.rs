//! The counter that goes both ways.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{CounterOverflow, GCounter};
use crate::foreign::check_own_changes;
use crate::{
    Change, Crdt, DeltaCrdt, HeapSize, MergeError, NotStable, ReplicaId, Retire, Retirement, TryMerge,
    VersionDigest, VersionVector, Writer,
};

/// A counter that every replica may increment and decrement.
///
/// Two [`GCounter`]s, one for each direction: what was added and what was taken away both only
/// grow, so both merge. The value may go below zero; a counter that must not is an escrow, not this
/// type.
///
/// Source: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of Convergent and
/// Commutative Replicated Data Types", 2011, specification 7.
///
/// ```
/// use crdt_core::{Crdt, PnCounter, ReplicaId, Writer};
///
/// let [front, back] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut stock = PnCounter::default();
/// stock.increment(front, 10)?;
/// let mut copy = stock.clone();
/// let sold = copy.decrement(back, 4)?;
///
/// assert!(stock.merge(&sold).is_changed());
/// assert_eq!(stock.value(), 6);
/// # Ok::<(), crdt_core::CounterOverflow>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct PnCounter {
    increments: GCounter,
    decrements: GCounter,
}

impl PnCounter {
    /// Adds `amount` and returns the delta.
    ///
    /// Amount 0 changes nothing and gives the bottom delta. Fails when the replica's increments,
    /// all together, would exceed `u64::MAX`, whatever it has decremented. O(log replicas),
    /// O(replicas) the first time.
    pub fn increment(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, CounterOverflow> {
        Ok(Self { increments: self.increments.increment(me, amount)?, ..Self::default() })
    }

    /// Takes `amount` away; otherwise like [`increment`](Self::increment).
    pub fn decrement(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, CounterOverflow> {
        Ok(Self { decrements: self.decrements.increment(me, amount)?, ..Self::default() })
    }

    /// What was added less what was taken away. O(replicas).
    ///
    /// Exact: with fewer than 2⁶³ replicas (more entries than any memory holds) each direction
    /// stays below 2⁶³ · 2⁶⁴ = 2¹²⁷, so neither sum nor their difference leaves the range of
    /// `i128`.
    pub fn value(&self) -> i128 {
        signed(&self.increments) - signed(&self.decrements)
    }

    /// The counter with these directions: for whoever keeps amounts in a form of their own.
    pub const fn from_parts(increments: GCounter, decrements: GCounter) -> Self {
        Self { increments, decrements }
    }

    /// Everything that was added, by replica.
    pub fn increments(&self) -> &GCounter {
        &self.increments
    }

    /// Everything that was taken away, by replica.
    pub fn decrements(&self) -> &GCounter {
        &self.decrements
    }
}

/// The sum of both directions, which only grows, counts a replica's changes.
impl TryMerge for PnCounter {
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.increments.changes_of(replica) + self.decrements.changes_of(replica)
    }

    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        check_own_changes(&self.increments, &other.increments, me)?;
        check_own_changes(&self.decrements, &other.decrements, me)
    }
}

impl Retire for PnCounter {
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable> {
        retirement.check(|replica| self.changes_of(replica))?;
        for direction in [&mut self.increments, &mut self.decrements] {
            *direction = GCounter::from_entries(retirement.fold_entries(direction.entries()));
        }
        Ok(())
    }
}

fn signed(counter: &GCounter) -> i128 {
    counter.entries().map(|(_, amount)| i128::from(amount)).sum()
}

impl Crdt for PnCounter {
    /// Merges both directions. O(n + m), O(m log n) for a delta.
    fn merge(&mut self, other: &Self) -> Change {
        self.increments.merge(&other.increments) | self.decrements.merge(&other.decrements)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let increments = self.increments.compare(&other.increments)?;
        let decrements = self.decrements.compare(&other.decrements)?;
        match (increments, decrements) {
            (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
            (one, other) => (one == other).then_some(one),
        }
    }

    fn is_bottom(&self) -> bool {
        self.increments.is_bottom() && self.decrements.is_bottom()
    }
}

impl DeltaCrdt for PnCounter {
    /// How far each replica has counted up, and how far down: all there is to know.
    type Digest = (VersionVector, VersionVector);

    fn digest(&self) -> Self::Digest {
        (self.increments.digest(), self.decrements.digest())
    }

    /// The entries in which this counter is ahead. O(n + m).
    fn delta_since(&self, (increments, decrements): &Self::Digest) -> Self {
        Self {
            increments: self.increments.delta_since(increments),
            decrements: self.decrements.delta_since(decrements),
        }
    }

    /// One part per replica and direction.
    fn split(&self) -> Vec<Self> {
        let increments = self.increments.split().into_iter();
        let decrements = self.decrements.split().into_iter();
        increments
            .map(|increments| Self { increments, ..Self::default() })
            .chain(decrements.map(|decrements| Self { decrements, ..Self::default() }))
            .collect()
    }
}

impl HeapSize for PnCounter {
    fn heap_size(&self) -> usize {
        self.increments.heap_size() + self.decrements.heap_size()
    }
}

impl VersionDigest for PnCounter {
    fn version_digest(&self) -> u128 {
        let increments = self.increments.digest_under(*b"pn-incr.");
        let decrements = self.decrements.digest_under(*b"pn-decr.");
        increments.wrapping_add(decrements)
    }
}

#[cfg(feature = "serde")]
impl crate::codec::Encoded for PnCounter {
    const TYPE_TAG: u16 = 0x0002;
    const NAME: &str = "PnCounter";
}
