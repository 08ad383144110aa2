//! What one replica did to a [`BoundedCounter`](super::BoundedCounter).

use core::cmp::Ordering;

use crate::fingerprint::{FingerprintWriter, sum};
use crate::{Change, Crdt, Dot, HeapSize, ReplicaId, VersionVector};

/// A row of the rights matrix: only its replica changes it, and every entry only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub(super) struct Row {
    pub(super) increments: u64,
    pub(super) decrements: u64,
    /// How much was handed to whom, in all.
    transferred: VersionVector,
}

impl Row {
    pub(super) fn transferred(&self, to: ReplicaId) -> u64 {
        self.transferred.get(to)
    }

    /// Raises what was handed to a replica to this.
    pub(super) fn transfer(&mut self, to: ReplicaId, all: u64) {
        if let Some(last) = Dot::new(to, all) {
            self.transferred.advance(last);
        }
    }

    pub(super) fn transfers(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.transferred.iter()
    }

    /// What was taken away and handed on.
    pub(super) fn spent(&self) -> u128 {
        u128::from(self.decrements) + self.transfers().map(|(_, amount)| u128::from(amount)).sum::<u128>()
    }

    /// The sum of all entries: of two states of one row, the later has the greater.
    pub(super) fn total(&self) -> u128 {
        u128::from(self.increments) + self.spent()
    }

    pub(super) fn is_at_most(&self, other: &Self) -> bool {
        self.increments <= other.increments
            && self.decrements <= other.decrements
            && self.transferred.compare(&other.transferred).is_some_and(Ordering::is_le)
    }

    pub(super) fn merge(&mut self, other: &Self) -> Change {
        let grown = self.increments < other.increments || self.decrements < other.decrements;
        self.increments = self.increments.max(other.increments);
        self.decrements = self.decrements.max(other.decrements);
        Change::from(grown) | self.transferred.merge(&other.transferred)
    }

    /// Adds the entries of another row, transfers under new names and without those that have none. `None` where a sum
    /// is too great, with this row in any state.
    pub(super) fn add(&mut self, other: &Self, name: impl Fn(ReplicaId) -> Option<ReplicaId>) -> Option<()> {
        self.increments = self.increments.checked_add(other.increments)?;
        self.decrements = self.decrements.checked_add(other.decrements)?;
        for (to, amount) in other.transfers() {
            if let Some(to) = name(to) {
                self.transfer(to, self.transferred(to).checked_add(amount)?);
            }
        }
        Some(())
    }

    pub(super) fn digest_of(&self, replica: ReplicaId) -> u128 {
        let part = |kind: u8, to: ReplicaId, amount: u64| {
            let mut part = FingerprintWriter::new(*b"bounded.");
            part.write(&replica);
            part.write(&kind);
            part.write(&to);
            part.write(&amount);
            part.finish()
        };
        let own = [(0, self.increments), (1, self.decrements)].into_iter().filter(|(_, amount)| *amount > 0);
        sum(own.map(|(kind, amount)| part(kind, replica, amount)))
            .wrapping_add(sum(self.transfers().map(|(to, amount)| part(2, to, amount))))
    }
}

impl HeapSize for Row {
    fn heap_size(&self) -> usize {
        self.transferred.heap_size()
    }
}
