//! What a node knows of the members, kept so that each entry that arrives is judged in one look.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crdt_core::{Change, Crdt, ReplicaId};
use replication_log::Lsn;

use super::{Member, Membership};
use crate::entry::Position;
use crate::node::NodeId;
use crate::wire::Run;

/// The membership as one node knows it.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    me: NodeId,
    membership: Membership,
    /// Per retired identity the last valid sequence in each partition.
    retired: BTreeMap<ReplicaId, BTreeMap<u16, u64>>,
    /// How often it changed.
    version: u64,
    /// The record that holds the last change.
    lsn: Lsn,
    /// Somebody was retired, and the links to retired nodes are still to be closed.
    pub(crate) must_part: bool,
    #[cfg(feature = "_planted_bugs")]
    merges_the_evicted: bool,
}

/// What a node learned of members.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Nodes seen for the first time.
    pub(crate) joined: Vec<NodeId>,
    /// Nodes that were not known to be retired.
    pub(crate) retired: Vec<NodeId>,
    /// What to write to the log; bottom when nothing changed.
    pub(crate) delta: Membership,
}

impl Members {
    /// A node that knows only itself.
    pub(crate) fn new(me: NodeId) -> Self {
        let mut membership = Membership::default();
        membership.meet(me, None);
        Self {
            me,
            membership,
            retired: BTreeMap::new(),
            version: 0,
            lsn: Lsn::ZERO,
            must_part: false,
            #[cfg(feature = "_planted_bugs")]
            merges_the_evicted: false,
        }
    }

    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// A number that changes whenever anything of it does.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// This node writes under one more identity. The record `lsn` of its log says so.
    pub(crate) fn write_under(&mut self, replica: ReplicaId, lsn: Lsn) {
        self.membership.meet(self.me, Some(replica));
        self.lsn = lsn;
        self.changed();
    }

    /// Joins what is known of members, and states how far this node has applied what the retired wrote: as it is now,
    /// before any more of it is refused. `applied` gives the last position of an identity in each partition.
    ///
    /// About itself an evicted node states nothing: what it wrote last is what nobody else has.
    pub(crate) fn learn(
        &mut self,
        theirs: &Membership,
        applied: impl Fn(ReplicaId) -> Vec<(u16, Position)>,
    ) -> News {
        let before = self.membership.clone();
        let _ = self.membership.merge(theirs);
        let retired: Vec<(NodeId, Vec<ReplicaId>)> = self
            .membership
            .iter()
            .filter(|(node, member)| *node != self.me && matches!(member, Member::Retired { .. }))
            .map(|(node, member)| (node, member.replicas().collect()))
            .collect();
        for (node, replicas) in retired {
            for replica in replicas {
                for (partition, position) in applied(replica) {
                    self.membership.extend(node, replica, partition, position);
                }
            }
        }
        self.news_since(&before)
    }

    fn news_since(&mut self, before: &Membership) -> News {
        let delta = self.membership.news_for(before);
        let mut news = News::default();
        for (node, member) in delta.iter() {
            if before.get(node).is_none() {
                news.joined.push(node);
            }
            if matches!(member, Member::Retired { .. }) && !before.is_retired(node) {
                news.retired.push(node);
            }
        }
        self.must_part |= !news.retired.is_empty();
        if !delta.is_bottom() {
            self.changed();
        }
        news.delta = delta;
        news
    }

    /// The record that holds the last change.
    pub(crate) fn journaled_at(&mut self, lsn: Lsn) {
        self.lsn = lsn;
    }

    /// Whoever is told of a retirement must be able to rely on it: not before this record is durable.
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Whether this node was retired.
    pub(crate) fn is_evicted(&self) -> bool {
        self.refuses(self.me)
    }

    /// Whether nothing may be taken from this node.
    pub(crate) fn refuses(&self, node: NodeId) -> bool {
        #[cfg(feature = "_planted_bugs")]
        if self.merges_the_evicted {
            return false;
        }
        self.membership.is_retired(node)
    }

    /// Whether an identity is retired and its entries are valid only up to a sequence below this one. O(log retired).
    pub(crate) fn is_above_final(&self, origin: ReplicaId, partition: u16, sequence: u64) -> bool {
        #[cfg(feature = "_planted_bugs")]
        if self.merges_the_evicted {
            return false;
        }
        let last = self.retired.get(&origin).map(|last| last.get(&partition).copied().unwrap_or(0));
        last.is_some_and(|last| sequence > last)
    }

    /// Whether a run brings entries that are not valid.
    pub(crate) fn refuses_run(&self, run: &Run) -> bool {
        let last = run.after.sequence.saturating_add(run.entries.len() as u64);
        self.is_above_final(run.origin, run.partition, last)
    }

    /// The first of these heads that lies beyond the final frontier of its origin.
    pub(crate) fn first_above_final(
        &self,
        partition: u16,
        heads: &[(ReplicaId, Position)],
    ) -> Option<ReplicaId> {
        let mut above = heads.iter().filter(|(id, head)| self.is_above_final(*id, partition, head.sequence));
        above.next().map(|(origin, _)| *origin)
    }

    fn changed(&mut self) {
        self.version += 1;
        let last =
            |last: &BTreeMap<u16, Position>| last.iter().map(|(n, last)| (*n, last.sequence)).collect();
        self.retired = self.membership.retired_replicas().map(|(id, at)| (id, last(at))).collect();
    }

    /// A planted mistake: whoever was evicted is merged back.
    #[cfg(feature = "_planted_bugs")]
    pub(crate) fn merge_the_evicted(&mut self) {
        self.merges_the_evicted = true;
    }
}

impl News {
    pub(crate) fn change(&self) -> Change {
        Change::from(!self.delta.is_bottom())
    }
}
