//! Causal stability: what every Active member is known to have applied.
//!
//! Each node keeps one *row* per member: how far that member said it was, in each partition. Peers tell each other
//! their rows, so that members hear of those they never meet. An entry is *stable* once every Active member's row
//! covers it; the stable frontier is the minimum over the rows. Nothing of this is journaled. A member that was not
//! heard of since this node started, not even by way of others, is unknown, and counts as having applied nothing: it
//! holds everything back until it is heard of, or retired.
//!
//! A row only grows. A member whose disk was restored from a backup has less than its row says until it has caught up;
//! it writes under a fresh identity, and what it lacks is sent to it like to any other.
//!
//! # When a deletion may be forgotten
//!
//! A deleted document is collected after two rounds. The first begins with everything that anybody is known to have
//! applied, and with the deletion applied here. Once that is stable, every member has the deletion, and its row, told
//! later than that, covers whatever it wrote before it had it. The second round begins with these rows. Once they are
//! stable, every member also has every write that was made beside the deletion. A document that is still deleted then,
//! and did not change since the first round began, is deleted everywhere, and all that will ever be written to it is
//! written by somebody who knows. So nobody needs the tombstone any more, and it is dropped. The rounds begin anew when
//! a member is heard of that was not known when they began, or is retired.
//!
//! With the document go the entries that wrote to it: a node that comes later is not sent a document by its first
//! entry whose last one it lacks. What was lost with a disk is named by the row of its node as long as that is a
//! member, and holds everything back, like a member that is not heard of, until the node is retired, or all nodes were
//! restarted.
//!
//! A session that was given up leaves states ahead of the frontier, of which rows say nothing: what they rest on may
//! be lost. A document that may show such is not forgotten before the frontier has come that far, or the writer is
//! retired. Whoever forgot it in between takes it back with the others' states, and keeps it for the same reason.
//!
//! Source: causal stability is Baquero, Almeida and Shoker, "Making Operation-based CRDTs Operation-based" (2014).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::Member;
use crate::entry::Position;
use crate::node::NodeId;
use crate::replica::Replica;
use crate::time::Instant;

/// How far a member is in one partition: per origin the last sequence applied.
pub(crate) type Row = BTreeMap<ReplicaId, u64>;

/// What is known of how far each member is.
#[derive(Debug, Default)]
pub(crate) struct Stability {
    rows: BTreeMap<(u16, NodeId), Row>,
    /// How often a row changed.
    version: u64,
    /// Members that lack something, and since when nothing was heard of them that would have made it less.
    behind: BTreeMap<NodeId, Instant>,
    rounds: BTreeMap<u16, Round>,
}

/// A step towards forgetting deletions.
#[derive(Debug)]
struct Round {
    /// Deletions up to this record may be forgotten in the end.
    lsn: Lsn,
    /// What must be stable first.
    awaits: Row,
    /// Who was waited for when it began.
    members: BTreeSet<NodeId>,
    is_second: bool,
}

/// A member that others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldsBack {
    /// The member.
    pub node: NodeId,
    /// Since when nothing was heard of it that would have moved the stable frontier.
    pub since: Instant,
}

impl Stability {
    /// A member, or somebody who heard of it, says how far it is: of at most `limit` origins, whoever names more over
    /// time. O(origins).
    pub(crate) fn hear(
        &mut self,
        (partition, node): (u16, NodeId),
        heads: impl IntoIterator<Item = (ReplicaId, u64)>,
        limit: usize,
        now: Instant,
    ) {
        let row = self.rows.entry((partition, node)).or_default();
        let mut advanced = false;
        for (origin, sequence) in heads {
            if row.len() >= limit && !row.contains_key(&origin) {
                continue;
            }
            let known = row.entry(origin).or_default();
            advanced |= sequence > *known;
            *known = sequence.max(*known);
        }
        if advanced {
            self.version += 1;
            if let Some(since) = self.behind.get_mut(&node) {
                *since = now;
            }
        }
    }

    /// A number that changes whenever a row does.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// What is known of all members in a partition, this node included, ascending.
    pub(crate) fn rows(&self, partition: u16, replica: &Replica) -> Vec<(NodeId, Vec<(ReplicaId, u64)>)> {
        let members = replica.members.membership().active();
        let known = members.filter_map(|node| Some((node, self.row(partition, node, replica)?)));
        known.map(|(node, row)| (node, row.into_iter().collect())).collect()
    }

    /// What every Active member is known to have applied. O(members x origins).
    pub(crate) fn stable(&self, partition: u16, replica: &Replica) -> Vec<(ReplicaId, u64)> {
        let mut stable = row_of(&replica.partition(partition).heads());
        for node in others(replica) {
            let row = self.rows.get(&(partition, node));
            for (origin, sequence) in &mut stable {
                *sequence = row.and_then(|row| row.get(origin)).copied().unwrap_or(0).min(*sequence);
            }
        }
        stable.into_iter().filter(|(_, sequence)| *sequence > 0).collect()
    }

    /// The members that the stable frontier waits for.
    pub(crate) fn held_back_by(&self, replica: &Replica) -> Vec<HoldsBack> {
        let behind = self.behind.iter().filter(|(node, _)| !replica.members.membership().is_retired(**node));
        behind.map(|(&node, &since)| HoldsBack { node, since }).collect()
    }

    /// Notes who is behind now, and forgets the rows of those who were retired.
    pub(crate) fn look(&mut self, replica: &Replica, now: Instant) {
        let members = replica.members.membership();
        self.rows.retain(|(_, node), _| !members.is_retired(*node));
        self.behind.retain(|node, _| !members.is_retired(*node));
        for node in others(replica) {
            let lacks = replica.partitions.iter().any(|partition| {
                let heads = row_of(&partition.heads());
                !self.rows.get(&(partition.number, node)).map_or(heads.is_empty(), |row| covers(row, &heads))
            });
            if lacks {
                self.behind.entry(node).or_insert(now);
            } else {
                self.behind.remove(&node);
            }
        }
    }

    /// Takes the next step towards forgetting deletions in a partition; returns up to which record they may be now.
    pub(crate) fn step(&mut self, partition: u16, replica: &Replica) -> Option<Lsn> {
        let awaits = self.most(partition, replica);
        let members: BTreeSet<NodeId> = replica.members.membership().active().collect();
        // A member that was not known then may have seen less than all others had, and what one had that was retired
        // since may be nowhere any more.
        let round = self.rounds.get(&partition).filter(|round| members == round.members);
        let Some(round) = round else {
            let lsn = replica.journal.last();
            self.rounds.insert(partition, Round { lsn, awaits, members, is_second: false });
            return None;
        };
        let rows = replica.members.membership().active().map(|node| self.row(partition, node, replica));
        let is_stable = rows.into_iter().all(|row| row.is_some_and(|row| covers(&row, &round.awaits)));
        let (lsn, is_second) = (round.lsn, round.is_second);
        match (is_stable, is_second) {
            (false, _) => None,
            (true, false) => {
                self.rounds.insert(partition, Round { lsn, awaits, members, is_second: true });
                None
            }
            (true, true) => {
                self.rounds.remove(&partition);
                Some(lsn)
            }
        }
    }

    /// In how many partitions a step is under way.
    pub(crate) fn waiting(&self) -> usize {
        self.rounds.len()
    }

    /// Everything that anybody is known to have applied, and everything that is valid of the retired.
    fn most(&self, partition: u16, replica: &Replica) -> Row {
        let mut most = Row::new();
        let mut raise = |origin: ReplicaId, sequence: u64| {
            let known = most.entry(origin).or_default();
            *known = sequence.max(*known);
        };
        for node in replica.members.membership().active() {
            let row = self.row(partition, node, replica).unwrap_or_default();
            for (origin, sequence) in row {
                raise(origin, sequence);
            }
        }
        // A partial replica may have heard of more, which nobody can send to anybody.
        for (_, member) in replica.members.membership().iter() {
            let Member::Retired { last } = member else { continue };
            for origin in member.replicas() {
                most.insert(origin, last.last(origin, partition).sequence);
            }
        }
        most
    }

    fn row(&self, partition: u16, node: NodeId, replica: &Replica) -> Option<Row> {
        if node == replica.config.node {
            return Some(row_of(&replica.partition(partition).heads()));
        }
        self.rows.get(&(partition, node)).cloned()
    }
}

fn others(replica: &Replica) -> impl Iterator<Item = NodeId> {
    let me = replica.config.node;
    replica.members.membership().active().filter(move |node| *node != me)
}

fn row_of(heads: &[(ReplicaId, Position)]) -> Row {
    heads.iter().map(|(origin, head)| (*origin, head.sequence)).collect()
}

fn covers(row: &Row, other: &Row) -> bool {
    other.iter().all(|(origin, sequence)| row.get(origin).copied().unwrap_or(0) >= *sequence)
}
