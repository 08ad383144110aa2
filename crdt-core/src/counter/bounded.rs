//! The counter that never goes below zero.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::mem::size_of;

use super::CounterOverflow;
use super::bounded_row::Row;
use crate::crdt::order_from;
use crate::dotted::b_tree_bytes;
use crate::fingerprint::sum;
use crate::heap::owned_by;
use crate::{
    Change, Crdt, DeltaCrdt, Dot, HeapSize, MergeError, NotStable, ReplicaId, Retire, Retirement, TryMerge,
    VersionDigest, Writer,
};

/// A counter that many replicas increment and decrement and that never goes below zero, without asking anybody.
///
/// It is an escrow. Incrementing gives the replica *rights* to decrement as much again; decrementing spends rights,
/// and who has not enough of them is refused, however great the value is; [`transfer`](Self::transfer) hands rights to
/// another replica. What a replica can spend is known to it alone, so no two replicas spend the same, whatever is
/// concurrent.
///
/// Each replica has a row that only it changes: how much it incremented, how much it decremented, and how much it
/// transferred to whom. All of that only grows, and rows merge to the greater of each. Deltas carry the whole row of
/// their replica together with the rows its rights came from, so that whatever arrives, in any order, is paid for: the
/// value is never negative at any replica, not even for a moment.
///
/// Changes and reads cost O(replicas), merging O(entries of both).
///
/// Source: Balegas, Serra, Duarte, Ferreira, Rodrigues, Preguiça, Shapiro, Najafzadeh, "Extending Eventually Consistent
/// Cloud Databases for Enforcing Numeric Invariants" (2015).
///
/// ```
/// use crdt_core::{BoundedCounter, Crdt, ReplicaId, SpendError, Writer};
///
/// let [shop, web] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut stock = BoundedCounter::default();
/// stock.increment(shop, 10)?;
/// let for_web = stock.transfer(shop, web.id(), 4)?;
///
/// let mut elsewhere = BoundedCounter::default();
/// let _ = elsewhere.merge(&for_web);
/// let sold = elsewhere.decrement(web, 3)?;
/// let refused = elsewhere.decrement(web, 2);
/// assert!(matches!(refused, Err(SpendError::InsufficientRights { available: 1, .. })));
///
/// let _ = stock.merge(&sold);
/// assert_eq!((stock.value(), stock.rights_of(shop.id()), stock.rights_of(web.id())), (7, 6, 1));
/// # Ok::<(), SpendError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct BoundedCounter {
    /// No row is empty.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::dotted::ascending::serialize"))]
    #[cfg_attr(feature = "serde", serde(deserialize_with = "serde_impls::used_rows"))]
    rows: BTreeMap<ReplicaId, Row>,
}

/// Why rights were not spent, or not given. The counter is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpendError {
    /// The replica has fewer rights than that. Others may have some to [transfer](BoundedCounter::transfer).
    #[error("{replica} has the right to {available} and not to {requested}; the counter is unchanged")]
    InsufficientRights {
        /// Whose rights they are.
        replica: ReplicaId,
        /// How many it has.
        available: u128,
        /// How many it takes.
        requested: u64,
    },
    /// The replica has counted too far under one id.
    #[error(transparent)]
    Overflow(#[from] CounterOverflow),
}

impl BoundedCounter {
    /// Adds `amount`, gives the writer the right to take as much away again, and returns the delta.
    ///
    /// Amount 0 changes nothing and gives the bottom delta. Fails when all the replica's increments together would
    /// exceed `u64::MAX`.
    pub fn increment(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, CounterOverflow> {
        self.write(me, |row| {
            row.increments = raised(me, row.increments, amount)?;
            Ok(())
        })
    }

    /// Takes `amount` away, if the writer has the rights to, and returns the delta.
    pub fn decrement(&mut self, me: Writer<'_>, amount: u64) -> Result<Self, SpendError> {
        self.check_rights(me, amount)?;
        let delta = self.write(me, |row| {
            row.decrements = raised(me, row.decrements, amount)?;
            Ok(())
        })?;
        Ok(delta)
    }

    /// Hands `amount` of the writer's rights to another replica, and returns the delta. The value stays as it is.
    /// Handing rights to oneself changes nothing.
    ///
    /// Rights given to a replica that never spends them are lost to spending; only their owner can hand them on.
    pub fn transfer(&mut self, me: Writer<'_>, to: ReplicaId, amount: u64) -> Result<Self, SpendError> {
        self.check_rights(me, amount)?;
        let delta = self.write(me, |row| {
            if to != me.id() {
                row.transfer(to, raised(me, row.transferred(to), amount)?);
            }
            Ok(())
        })?;
        Ok(delta)
    }

    /// How much `replica` may still take away or hand on: exact for the replica itself, for others what they had when
    /// last heard of. O(replicas).
    pub fn rights_of(&self, replica: ReplicaId) -> u128 {
        let (granted, spent) = self.balance(replica);
        granted.saturating_sub(spent)
    }

    /// What was added less what was taken away. O(replicas).
    pub fn value(&self) -> u128 {
        // Saturates only where parts of a state are merged without the rows that pay for them.
        self.increments().saturating_sub(self.decrements())
    }

    /// Everything that was added, by all replicas.
    pub fn increments(&self) -> u128 {
        self.rows.values().map(|row| u128::from(row.increments)).sum()
    }

    /// Everything that was taken away, by all replicas.
    pub fn decrements(&self) -> u128 {
        self.rows.values().map(|row| u128::from(row.decrements)).sum()
    }
}

impl BoundedCounter {
    fn write(
        &mut self,
        me: Writer<'_>,
        change: impl FnOnce(&mut Row) -> Result<(), CounterOverflow>,
    ) -> Result<Self, CounterOverflow> {
        let before = self.rows.get(&me.id()).cloned().unwrap_or_default();
        let mut row = before.clone();
        change(&mut row)?;
        if row == before {
            return Ok(Self::default());
        }
        self.rows.insert(me.id(), row);
        Ok(self.part(&self.backers_of(me.id())))
    }

    fn check_rights(&self, me: Writer<'_>, requested: u64) -> Result<(), SpendError> {
        let replica = me.id();
        match self.rights_of(replica) {
            available if available < requested.into() => {
                Err(SpendError::InsufficientRights { replica, available, requested })
            }
            _ => Ok(()),
        }
    }

    /// What the replica got and what it gave away or took.
    fn balance(&self, replica: ReplicaId) -> (u128, u128) {
        let got: u128 = self.rows.values().map(|row| u128::from(row.transferred(replica))).sum();
        let own = self.rows.get(&replica);
        let (increments, spent) = own.map_or((0, 0), |row| (row.increments, row.spent()));
        (got + u128::from(increments), spent)
    }

    /// The replica and all from whom its rights came, directly or by way of others. O(replicas) for each of them.
    fn backers_of(&self, replica: ReplicaId) -> BTreeSet<ReplicaId> {
        let mut backers = BTreeSet::from([replica]);
        let mut open = Vec::from([replica]);
        while let Some(receiver) = open.pop() {
            let givers = self.rows.iter().filter(|(_, row)| row.transferred(receiver) > 0);
            open.extend(givers.map(|(giver, _)| *giver).filter(|giver| backers.insert(*giver)));
        }
        backers
    }

    fn part(&self, replicas: &BTreeSet<ReplicaId>) -> Self {
        let rows = replicas.iter().filter_map(|replica| Some((*replica, self.rows.get(replica)?.clone())));
        Self { rows: rows.collect() }
    }

    /// A replica that spent more than it got, if there is one.
    fn overspent(&self) -> Option<ReplicaId> {
        let mut granted: BTreeMap<ReplicaId, u128> = BTreeMap::new();
        for (replica, row) in &self.rows {
            *granted.entry(*replica).or_default() += u128::from(row.increments);
            for (to, amount) in row.transfers() {
                *granted.entry(to).or_default() += u128::from(amount);
            }
        }
        let overspent =
            |(replica, row): &(&ReplicaId, &Row)| row.spent() > granted.get(replica).copied().unwrap_or(0);
        self.rows.iter().find(overspent).map(|(replica, _)| *replica)
    }

    fn is_at_most(&self, other: &Self) -> bool {
        self.rows
            .iter()
            .all(|(replica, row)| other.rows.get(replica).is_some_and(|theirs| row.is_at_most(theirs)))
    }
}

fn raised(me: Writer<'_>, current: u64, amount: u64) -> Result<u64, CounterOverflow> {
    current.checked_add(amount).ok_or(CounterOverflow { replica: me.id(), current, amount })
}

impl Crdt for BoundedCounter {
    /// Takes the greater of each entry. O(entries).
    fn merge(&mut self, other: &Self) -> Change {
        let mut change = Change::Unchanged;
        for (replica, theirs) in &other.rows {
            change |= self.rows.entry(*replica).or_default().merge(theirs);
        }
        change
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        order_from(self.is_at_most(other), other.is_at_most(self))
    }

    fn is_bottom(&self) -> bool {
        self.rows.is_empty()
    }
}

impl DeltaCrdt for BoundedCounter {
    /// What each replica has added, taken and handed on: all there is to know.
    type Digest = Self;

    fn digest(&self) -> Self {
        self.clone()
    }

    /// The rows in which this counter is ahead. For the owner of `digest`, who has what they rest on.
    fn delta_since(&self, digest: &Self) -> Self {
        let is_news =
            |replica: &ReplicaId, row: &Row| !digest.rows.get(replica).is_some_and(|old| row.is_at_most(old));
        let news = self.rows.iter().filter(|(replica, row)| is_news(replica, row));
        Self { rows: news.map(|(replica, row)| (*replica, row.clone())).collect() }
    }

    /// Rows together with those that their rights came from, so that each part is paid for by itself. Without
    /// transfers one part per replica.
    fn split(&self) -> Vec<Self> {
        let mut parts: Vec<_> = self.rows.keys().map(|replica| self.backers_of(*replica)).collect();
        let mut held: BTreeMap<ReplicaId, usize> = BTreeMap::new();
        for replica in parts.iter().flatten() {
            *held.entry(*replica).or_default() += 1;
        }
        // A part whose every row is in some other part goes.
        parts.retain(|part| {
            let is_needed = part.iter().any(|replica| held.get(replica) == Some(&1));
            if !is_needed {
                part.iter()
                    .filter_map(|replica| held.get_mut(replica).map(|count| *count -= 1))
                    .for_each(drop);
            }
            is_needed
        });
        parts.iter().map(|part| self.part(part)).collect()
    }
}

/// The sum of a row, which only grows, counts a replica's changes.
impl TryMerge for BoundedCounter {
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.rows.get(&replica).map_or(0, Row::total)
    }

    /// Refuses rows of which neither follows the other, and rows that spend what they do not have.
    ///
    /// The latter also befalls honest rows that arrive before those which pay for them. Deltas and parts bring these
    /// along, so that happens only to a [`delta_since`](DeltaCrdt::delta_since) that was meant for somebody else.
    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        let nothing = Row::default();
        for (&replica, theirs) in &other.rows {
            let ours = self.rows.get(&replica).unwrap_or(&nothing);
            if theirs.is_at_most(ours) {
                continue;
            }
            if replica == me {
                return Err(MergeError::OwnChangesClaimed {
                    replica,
                    claimed: theirs.total(),
                    issued: ours.total(),
                });
            }
            if !ours.is_at_most(theirs) {
                let counter = u64::try_from(theirs.total()).unwrap_or(u64::MAX);
                return Dot::new(replica, counter)
                    .map_or(Ok(()), |dot| Err(MergeError::ForkedReplica { dot }));
            }
        }
        match self.clone().merged(other).overspent() {
            Some(replica) => Err(MergeError::Overspent { replica }),
            None => Ok(()),
        }
    }
}

/// The archive has added, taken and got what the retired replicas have; what they handed each other is nobody's
/// business any more. The value does not change, nor do the rights of those who stay.
///
/// Rights that retired replicas still hold go to the archive, and as nobody writes under that, nobody can spend them
/// again: a replica should [transfer](BoundedCounter::transfer) its rights before it is retired.
impl Retire for BoundedCounter {
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable> {
        retirement.check(|replica| self.changes_of(replica))?;
        let archive = retirement.archive();
        let name = |replica| if retirement.includes(replica) { archive } else { replica };
        let mut rows: BTreeMap<ReplicaId, Row> = BTreeMap::new();
        for (&replica, row) in &self.rows {
            let folded = rows.entry(name(replica)).or_default();
            // The sums of a retired row are bounded by the decision, and others are taken as they are. Only what a
            // replica handed to several retired ones can be too much to be said in one number.
            let too_much = NotStable { replica, expected: u64::MAX.into(), found: row.spent() };
            folded.add(row, |to| Some(name(to)).filter(|to| *to != name(replica))).ok_or(too_much)?;
        }
        rows.retain(|_, row| row.total() > 0);
        self.rows = rows;
        Ok(())
    }
}

/// One part per entry that is not zero.
impl VersionDigest for BoundedCounter {
    fn version_digest(&self) -> u128 {
        sum(self.rows.iter().map(|(replica, row)| row.digest_of(*replica)))
    }
}

impl HeapSize for BoundedCounter {
    fn heap_size(&self) -> usize {
        b_tree_bytes(self.rows.len(), size_of::<(ReplicaId, Row)>()) + owned_by(self.rows.values())
    }
}

/// `{a1b2c3d4: Row { .. }}`
impl fmt::Debug for BoundedCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.rows).finish()
    }
}

#[cfg(feature = "serde")]
impl crate::codec::Encoded for BoundedCounter {
    const TYPE_TAG: u16 = 0x000f;
    const NAME: &str = "BoundedCounter";
}

#[cfg(feature = "serde")]
mod serde_impls {
    use alloc::collections::BTreeMap;

    use serde::Deserializer;
    use serde::de::Error;

    use super::Row;
    use crate::ReplicaId;
    use crate::dotted::ascending;

    /// Replicas strictly ascending, each of which did something, and handed nothing to itself.
    pub(super) fn used_rows<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ReplicaId, Row>, D::Error> {
        let rows: BTreeMap<ReplicaId, Row> = ascending::deserialize(deserializer)?;
        if rows.values().any(|row| row.total() == 0) {
            return Err(D::Error::custom("a row of zeros"));
        }
        if rows.iter().any(|(replica, row)| row.transferred(*replica) > 0) {
            return Err(D::Error::custom("rights handed to oneself"));
        }
        Ok(rows)
    }
}
