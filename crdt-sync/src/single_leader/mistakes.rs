//! Planted mistakes of this topology.

use replication_log::Lsn;
use replication_log::ship::commit::Role;

use super::SingleLeader;
use crate::engine::Context;
use crate::planted::PlantedBug;
use crate::replica::Replica;
use crate::wire::LogEnd;

impl SingleLeader {
    /// Whether this node makes a mistake.
    pub(super) fn makes(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }
}

/// How far a node shows its log: one that follows, everything that is on its disk.
pub(super) fn shown(committed: Lsn, leads: bool, context: &Context<'_>) -> Lsn {
    let is_made = !leads && context.replica.has_bug(PlantedBug::AppliedBeforeCommitted);
    if is_made { context.outbox.durable() } else { committed }
}

/// What counts as durable: with this mistake everything that was handed to the log.
pub(super) fn durable(durable: Lsn, bug: PlantedBug, context: &Context<'_>) -> Lsn {
    if context.replica.has_bug(bug) { context.replica.journal.last() } else { durable }
}

/// Whether a follower counts: everybody does.
pub(super) fn role(role: Role, replica: &Replica) -> Role {
    if replica.has_bug(PlantedBug::ObserverCounted) { Role::Candidate } else { role }
}

/// Where whoever promises says that its log ends: with this mistake only what is on its disk counts.
pub(super) fn told_end(end: LogEnd, is_made: bool, context: &Context<'_>) -> LogEnd {
    if is_made { context.replica.end_at(context.outbox.durable()) } else { end }
}
