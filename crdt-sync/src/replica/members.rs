//! Members in the journal: what a replica learned of them is there again after a restart.

use alloc::vec::Vec;

use crdt_core::ReplicaId;

use super::{JournalRecord, Replica};
use crate::entry::Position;
use crate::membership::{Member, Membership, MembershipError, News, RetireError};
use crate::node::NodeId;

impl Replica {
    /// Notes a node that greeted.
    pub(crate) fn meet(&mut self, node: NodeId) -> News {
        let mut met = Membership::default();
        met.meet(node, None);
        self.take_over(&met)
    }

    /// Checks what a peer says of members before anything else is done with it.
    pub(crate) fn admit_members(&self, theirs: &Membership) -> Result<(), MembershipError> {
        self.members.membership().admit(theirs, self.config.partitions, &self.config.limits)
    }

    /// Joins what a peer knows of members, which was [admitted](Self::admit_members).
    pub(crate) fn learn_members(&mut self, theirs: &Membership) -> News {
        self.take_over(theirs)
    }

    /// Retires a node as far as this one has applied what it wrote.
    pub(crate) fn retire(&mut self, node: NodeId) -> Result<News, RetireError> {
        if node == self.config.node {
            return Err(RetireError::Myself);
        }
        if self.members.is_evicted() {
            return Err(RetireError::Evicted);
        }
        if self.members.membership().get(node).is_none() {
            return Err(RetireError::Unknown { node });
        }
        let mut retired = Membership::default();
        retired.retire(node);
        Ok(self.take_over(&retired))
    }

    /// This node heard that it is retired itself. How much of what it wrote is valid may still be unknown.
    pub(crate) fn evict(&mut self) -> News {
        let mut retired = Membership::default();
        retired.retire(self.config.node);
        self.take_over(&retired)
    }

    /// Whether another node may be taken on as a member.
    pub(crate) fn has_room_for(&self, node: NodeId) -> bool {
        let known = self.members.membership();
        known.get(node).is_some() || known.iter().count() < self.config.limits.max_members
    }

    pub(super) fn replay_members(&mut self, known: &Membership) {
        // Whatever was stated about retired members is in the record.
        let news = self.members.learn(known, |_| Vec::new());
        self.note_ends(&news);
    }

    /// Deletions that show more of a retired node than is valid are ahead of nothing.
    fn note_ends(&mut self, news: &News) {
        let membership = self.members.membership();
        let told = news.delta.iter().filter_map(|(node, _)| membership.get(node));
        for member in told {
            let Member::Retired { last } = member else { continue };
            for partition in &mut self.partitions {
                let end = |origin| (origin, last.last(origin, partition.number).sequence);
                partition.ahead.end(member.replicas().map(end));
            }
        }
    }

    fn take_over(&mut self, theirs: &Membership) -> News {
        let Self { members, partitions, .. } = self;
        let news = members.learn(theirs, |replica| heads_of(partitions, replica));
        if news.change().is_changed() {
            let lsn = self.journal.append(&JournalRecord::Members(news.delta.clone()));
            self.members.journaled_at(lsn);
            self.note_ends(&news);
        }
        news
    }
}

/// How far all of an identity's entries are applied, in each partition. Where only those in a scope are nothing is
/// stated: what nobody holds whole would count as valid.
fn heads_of(partitions: &[super::Partition], replica: ReplicaId) -> Vec<(u16, Position)> {
    let head = |partition: &super::Partition| (partition.number, partition.histories.head(replica));
    let whole = partitions.iter().filter(|partition| partition.histories.is_whole(replica));
    whole.map(head).filter(|(_, head)| head.sequence > 0).collect()
}
