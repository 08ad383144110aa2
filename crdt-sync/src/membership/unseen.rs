//! What a retired node wrote, and nobody else may have.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crdt_core::{ReplicaId, codec};

use super::Member;
use crate::entry::{Entry, Position};
use crate::replica::{Partition, Replica};

/// What a retired node wrote beyond its final frontier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unacknowledged {
    /// Its entries that are still held, in the order in which they were written.
    pub entries: Vec<Unseen>,
    /// Those that are not held any more, whose effects are only in its states.
    pub forgotten: Vec<Forgotten>,
}

/// An entry that nobody else may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    /// The partition.
    pub partition: u16,
    /// Under which identity it is held: that under which it was written or, where that was forked, the branch of it.
    pub origin: ReplicaId,
    /// Its sequence.
    pub sequence: u64,
    /// The entry.
    pub entry: Entry,
}

/// Entries that nobody else may have, and that are too old to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The partition.
    pub partition: u16,
    /// Under which identity they are held, as of [`Unseen::origin`].
    pub origin: ReplicaId,
    /// Their sequences.
    pub sequences: RangeInclusive<u64>,
}

/// What a node wrote that others do not have, by what `known` says of its identities and their branches; nothing of a
/// node that is not retired. Where an identity was forked, what the node wrote after the fork is held as a branch.
pub(crate) fn unacknowledged(
    replica: &Replica,
    known: impl Fn(&Partition, ReplicaId) -> Known,
) -> Unacknowledged {
    let mut found = Unacknowledged::default();
    let member =
        replica.members.membership().get(replica.config.node).filter(|_| replica.members.is_evicted());
    let own: BTreeSet<ReplicaId> = member.into_iter().flat_map(Member::replicas).collect();
    for partition in &replica.partitions {
        let forks = &partition.forks;
        let branches = forks.branches().filter(|(branch, _)| own.contains(&forks.root_of(*branch)));
        let whole = own.iter().map(|origin| (*origin, 0));
        for (origin, start) in whole.chain(branches) {
            let known = known(partition, origin);
            let known = Known { upto: known.upto.max(start), ..known };
            collect_unseen(partition, origin, known, &mut found);
        }
    }
    // A node's clock never goes back, whatever identity it writes under.
    found.entries.sort_by_key(|unseen| (unseen.entry.stamp, unseen.origin, unseen.sequence));
    found
}

/// What others have of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// They have everything up to here,
    pub(crate) upto: u64,
    /// and from there up to here it cannot be told.
    pub(crate) untold: u64,
}

impl Partition {
    /// What the others have of a history of which the last valid position is this one.
    pub(crate) fn known_of(&self, origin: ReplicaId, last: Position) -> Known {
        let Some(held) = self.histories.get(origin) else { return Known::default() };
        // Where a clone wrote under the same name and nobody has found out, it is not known from where on.
        let differs =
            last.sequence > held.head().sequence || held.at(last.sequence).is_some_and(|at| at != last);
        let is_anothers = differs && !self.forks.is_burnt(origin);
        Known { upto: if is_anothers { 0 } else { last.sequence }, untold: 0 }
    }
}

fn collect_unseen(partition: &Partition, origin: ReplicaId, known: Known, found: &mut Unacknowledged) {
    let Some(history) = partition.histories.get(origin) else { return };
    let number = partition.number;
    let from = history.floor().sequence.max(known.untold).max(known.upto);
    if known.upto < from {
        found.forgotten.push(Forgotten { partition: number, origin, sequences: known.upto + 1..=from });
    }
    for (sequence, retained) in (from + 1..).zip(history.after(from).into_iter().flatten()) {
        // What this node encoded itself is read back whatever the limits are.
        match codec::decode_payload(&retained.bytes, &crate::replica::STORED) {
            Ok(entry) => found.entries.push(Unseen { partition: number, origin, sequence, entry }),
            Err(_) => {
                found.forgotten.push(Forgotten { partition: number, origin, sequences: sequence..=sequence });
            }
        }
    }
}
